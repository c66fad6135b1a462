//! mqtt-protocol-core, flowsdk's engine without I/O and rumqttc's `MqttState`, each as its own
//! documentation uses it.

use bytes::BytesMut;
use flowsdk::mqtt_client::{MqttClientOptions, MqttEngine, PublishCommand, SubscribeCommand};
use flowsdk::time::Timestamp;
use mqtt_codec::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Qos, SubEntry, SubOpts, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::{Connection, Version as CoreVersion, role};
use rumqttc::Request as RequestV311;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::Request as RequestV5;
use rumqttc::v5::mqttbytes::v5;

use super::{
    Contestant, FILTER, PAYLOAD, ROOM, Row, TOPIC, acknowledgement, connack, incoming, suback,
};

pub(super) fn all(row: Row, version: Version) -> Vec<(&'static str, Contestant)> {
    let (core, rumqttc) = if version == Version::V5 {
        (core_v5(row), rumqttc_v5(row))
    } else {
        (core_v311(row), rumqttc_v311(row))
    };
    vec![
        ("mqtt-protocol-core", core),
        ("flowsdk", flowsdk(row, version)),
        ("rumqttc MqttState", rumqttc),
    ]
}

/// Puts what is to be sent into the buffer.
fn transmit(events: Vec<Event>, tx: &mut Vec<u8>) {
    for event in events {
        if let Event::RequestSendPacket { packet, .. } = event {
            tx.extend_from_slice(&packet.to_continuous_buffer());
        }
    }
}

macro_rules! core {
    ($name:ident, $connected:ident, $subscribed:ident, $packets:ident, $version:expr, $ours:expr) => {
        fn $connected() -> Connection<role::Client> {
            let mut connection = Connection::<role::Client>::new($version);
            connection.set_auto_pub_response(true);
            let connect = $packets::Connect::builder().client_id("c").unwrap().build().unwrap();
            connection.checked_send(connect);
            connection.recv(&mut Cursor::new(connack($ours)));
            connection
        }

        /// A client of mqtt-protocol-core after CONNACK, with a subscription.
        ///
        /// # Panics
        /// Should that fail.
        #[must_use]
        pub fn $subscribed() -> Connection<role::Client> {
            let mut connection = $connected();
            let id = connection.acquire_packet_id().unwrap();
            let entry = SubEntry::new(FILTER, SubOpts::new().set_qos(Qos::AtLeastOnce)).unwrap();
            let subscribe =
                $packets::Subscribe::builder().packet_id(id).entries(vec![entry]).build().unwrap();
            assert!(!connection.checked_send(subscribe).is_empty());
            let suback = suback($ours, id);
            assert!(!connection.recv(&mut Cursor::new(&suback[..])).is_empty());
            connection
        }

        fn $name(row: Row) -> Contestant {
            let mut connection = $connected();
            let mut tx = Vec::with_capacity(ROOM);
            let publish = incoming($ours);
            let qos = if row == Row::ExactlyOnce { Qos::ExactlyOnce } else { Qos::AtLeastOnce };
            Box::new(move || {
                tx.clear();
                if row == Row::Receive {
                    transmit(connection.recv(&mut Cursor::new(&publish)), &mut tx);
                    assert_eq!(tx.len(), 4);
                    return;
                }
                let id = connection.acquire_packet_id().unwrap();
                let message = $packets::Publish::builder()
                    .topic_name(TOPIC)
                    .unwrap()
                    .qos(qos)
                    .packet_id(id)
                    .payload(&PAYLOAD[..])
                    .build()
                    .unwrap();
                transmit(connection.checked_send(message), &mut tx);
                let answers: &[u8] = if row == Row::Publish { &[0x40] } else { &[0x50, 0x70] };
                for first in answers {
                    let answer = acknowledgement(*first, id);
                    transmit(connection.recv(&mut Cursor::new(&answer)), &mut tx);
                }
                assert!(tx.len() > 64);
            })
        }
    };
}

core!(
    core_v311,
    core_v311_connected,
    core_v311_subscribed,
    v3_1_1,
    CoreVersion::V3_1_1,
    Version::V311
);
core!(core_v5, core_v5_connected, core_v5_subscribed, v5_0, CoreVersion::V5_0, Version::V5);

const ZERO: Timestamp = Timestamp::ZERO;

fn flowsdk_connected(version: Version) -> MqttEngine<Timestamp> {
    let options = MqttClientOptions::builder().client_id("c").mqtt_version(version.level()).build();
    let mut engine = MqttEngine::try_new_at(options, ZERO).unwrap();
    engine.connect_at(ZERO).unwrap();
    engine.take_outgoing_at(ZERO).unwrap();
    engine.handle_incoming_at(connack(version), ZERO).unwrap();
    assert!(engine.is_connected());
    engine.take_outgoing_at(ZERO).unwrap();
    engine
}

/// A client of flowsdk after CONNACK, with a subscription.
///
/// # Panics
/// Should that fail.
#[must_use]
pub fn flowsdk_subscribed(version: Version) -> MqttEngine<Timestamp> {
    let mut engine = flowsdk_connected(version);
    let id = engine.subscribe_at(SubscribeCommand::single(FILTER, 1), ZERO).unwrap();
    engine.take_outgoing_at(ZERO).unwrap();
    assert!(!engine.handle_incoming_at(&suback(version, id), ZERO).unwrap().is_empty());
    engine
}

fn flowsdk(row: Row, version: Version) -> Contestant {
    let mut engine = flowsdk_connected(version);
    let publish = incoming(version);
    let qos = if row == Row::ExactlyOnce { 2 } else { 1 };
    Box::new(move || {
        if row == Row::Receive {
            assert!(!engine.handle_incoming_at(&publish, ZERO).unwrap().is_empty());
            assert_eq!(engine.take_outgoing_at(ZERO).unwrap().len(), 4);
            return;
        }
        let message = PublishCommand::simple(TOPIC, PAYLOAD.to_vec(), qos, false);
        let id = engine.publish_at(message, ZERO).unwrap().unwrap();
        assert!(engine.take_outgoing_at(ZERO).unwrap().len() > 64);
        let answers: &[u8] = if row == Row::Publish { &[0x40] } else { &[0x50, 0x70] };
        for first in answers {
            let events = engine.handle_incoming_at(&acknowledgement(*first, id), ZERO).unwrap();
            let sent = engine.take_outgoing_at(ZERO).unwrap();
            assert!(*first == 0x50 || !events.is_empty());
            assert_eq!(sent.len(), if *first == 0x50 { 4 } else { 0 });
        }
    })
}

macro_rules! rumqttc {
    ($name:ident, $subscribed:ident, $packets:ident, $qos:ty, $state:ty, $request:ident, $max:expr,
        $ours:expr, $subscribe:expr $(, $properties:expr)?) => {
        /// A state of rumqttc with room for 16 messages in flight, with a subscription.
        ///
        /// # Panics
        /// Should that fail.
        #[must_use]
        pub fn $subscribed() -> $state {
            let mut state = <$state>::new(16, false);
            state.handle_outgoing_packet($request::Subscribe($subscribe)).unwrap().unwrap();
            let mut rx = BytesMut::from(&suback($ours, 1)[..]);
            let packet = $packets::Packet::read(&mut rx, $max).unwrap();
            state.handle_incoming_packet(packet).unwrap();
            state.events.clear();
            state
        }

        fn $name(row: Row) -> Contestant {
            let mut state = <$state>::new(16, false);
            let (mut rx, mut tx) = (BytesMut::with_capacity(4096), BytesMut::with_capacity(ROOM));
            let publish = incoming($ours);
            let qos =
                if row == Row::ExactlyOnce { <$qos>::ExactlyOnce } else { <$qos>::AtLeastOnce };
            let mut id = 0;
            Box::new(move || {
                tx.clear();
                state.events.clear();
                let mut take = |bytes: &[u8], state: &mut $state, tx: &mut BytesMut| {
                    rx.extend_from_slice(bytes);
                    let packet = $packets::Packet::read(&mut rx, $max).unwrap();
                    if let Some(answer) = state.handle_incoming_packet(packet).unwrap() {
                        answer.write(tx, $max).unwrap();
                    }
                };
                if row == Row::Receive {
                    take(&publish, &mut state, &mut tx);
                    assert_eq!(tx.len(), 4);
                    return;
                }
                let message = $packets::Publish::new(TOPIC, qos, PAYLOAD.to_vec() $(, $properties)?);
                let packet = state.handle_outgoing_packet($request::Publish(message)).unwrap().unwrap();
                packet.write(&mut tx, $max).unwrap();
                // It numbers messages from 1 to the most that may be in flight.
                id = id % 16 + 1;
                let answers: &[u8] = if row == Row::Publish { &[0x40] } else { &[0x50, 0x70] };
                for first in answers {
                    take(&acknowledgement(*first, id), &mut state, &mut tx);
                }
                assert!(tx.len() > 64);
            })
        }
    };
}

rumqttc!(
    rumqttc_v311,
    rumqttc_v311_subscribed,
    v4,
    rumqttc::QoS,
    rumqttc::MqttState,
    RequestV311,
    10_000,
    Version::V311,
    v4::Subscribe::new(FILTER, rumqttc::QoS::AtLeastOnce)
);
rumqttc!(
    rumqttc_v5,
    rumqttc_v5_subscribed,
    v5,
    rumqttc::v5::mqttbytes::QoS,
    rumqttc::v5::MqttState,
    RequestV5,
    Some(10_000),
    Version::V5,
    v5::Subscribe::new(v5::Filter::new(FILTER, rumqttc::v5::mqttbytes::QoS::AtLeastOnce), None),
    None
);
