//! mqtt-protocol-core and rumqttc's `MqttState`, each as its own documentation uses it.

use bytes::BytesMut;
use mqtt_codec::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Qos, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::{Connection, Version as CoreVersion, role};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{Contestant, PAYLOAD, Row, TOPIC, acknowledgement, connack, incoming};

pub(super) fn all(row: Row, version: Version) -> Vec<(&'static str, Contestant)> {
    if version == Version::V5 {
        vec![("mqtt-protocol-core", core_v5(row)), ("rumqttc MqttState", rumqttc_v5(row))]
    } else {
        vec![("mqtt-protocol-core", core_v311(row)), ("rumqttc MqttState", rumqttc_v311(row))]
    }
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
    ($name:ident, $packets:ident, $version:expr, $ours:expr) => {
        fn $name(row: Row) -> Contestant {
            let mut connection = Connection::<role::Client>::new($version);
            connection.set_auto_pub_response(true);
            let connect = $packets::Connect::builder().client_id("c").unwrap().build().unwrap();
            let mut tx = Vec::with_capacity(1024);
            transmit(connection.checked_send(connect), &mut tx);
            connection.recv(&mut Cursor::new(connack($ours)));
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

core!(core_v311, v3_1_1, CoreVersion::V3_1_1, Version::V311);
core!(core_v5, v5_0, CoreVersion::V5_0, Version::V5);

macro_rules! rumqttc {
    ($name:ident, $packets:ident, $qos:ty, $state:ty, $request:path, $max:expr, $ours:expr
        $(, $properties:expr)?) => {
        fn $name(row: Row) -> Contestant {
            let mut state = <$state>::new(16, false);
            let (mut rx, mut tx) = (BytesMut::with_capacity(4096), BytesMut::with_capacity(4096));
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
                let packet = state.handle_outgoing_packet($request(message)).unwrap().unwrap();
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
    v4,
    rumqttc::QoS,
    rumqttc::MqttState,
    rumqttc::Request::Publish,
    10_000,
    Version::V311
);
rumqttc!(
    rumqttc_v5,
    v5,
    rumqttc::v5::mqttbytes::QoS,
    rumqttc::v5::MqttState,
    rumqttc::v5::Request::Publish,
    Some(10_000),
    Version::V5,
    None
);
