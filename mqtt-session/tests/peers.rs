//! What other libraries were seen to do wrong, each with a test that this one does not.

mod by_hand;

use core::time::Duration;
use std::time::Instant as Stopwatch;

use by_hand::{CONNACK_V5, Client, NOW, Same, accepted, message, packets, server};
use mqtt_codec::{
    Connect, EncodeError, Packet, PacketId, Properties, Property, Publish, QoS, Rules, Sender,
    Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::client::Slots;
use mqtt_session::{
    Error, Event, Fault, Misuse, Queue, QueueConfig, Stage, TopicAliases, client, server as role,
};

const PUBREC_1: &[u8] = &[0x50, 2, 0, 1];

// ---- rumqttc ------------------------------------------------------------------------------------

#[test]
fn rumqttc_a_publish_that_is_sent_again_has_dup_mqtt_3_3_1_1() {
    for version in [Version::V311, Version::V5] {
        let mut client = Client::new(version);
        client.publish(QoS::AtLeastOnce);
        let connack: &[u8] =
            if version == Version::V5 { &[0x20, 3, 1, 0, 0] } else { &[0x20, 2, 1, 0] };
        client.connect(version, Properties::EMPTY, connack);
        client.session.resume(NOW, &Same(QoS::AtLeastOnce), &mut client.tx).unwrap();
        let sent = packets(&client.tx, version, Sender::Client);
        assert!(matches!(sent[..], [Packet::Publish(Publish { dup: true, .. })]), "{sent:?}");
    }
}

#[test]
fn rumqttc_a_repeated_qos_2_message_reaches_the_application_once_mqtt_4_3_3_10() {
    let mut client = Client::new(Version::V5);
    let publish = [0x34, 7, 0, 1, b'a', 0, 9, 0, b'x'];
    assert_eq!(client.receive(&publish).len(), 1);
    client.tx.clear();
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 3, 1, 0, 0]);
    let mut again = publish;
    again[0] |= 0x08;
    assert!(client.receive(&again).is_empty());
    assert_eq!(client.tx, [0x50, 2, 0, 9]);
}

#[test]
fn rumqttc_a_pubrec_of_failure_frees_its_slot_mqtt_4_4_0_2() {
    let session = client::Session::new(client::Config::default(), Slots::heap(1));
    let mut client = Client { session, tx: Vec::new() };
    client.connect(Version::V5, Properties::EMPTY, CONNACK_V5);
    for round in 1..=3 {
        assert_eq!(client.publish(QoS::ExactlyOnce).get(), round);
        let events = client.receive(&[0x50, 3, 0, round as u8, 0x97]); // Quota exceeded
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(client.session.in_flight().count(), 0);
        assert_eq!(client.session.quota(), 1);
    }
}

#[test]
fn rumqttc_a_pubrel_after_a_reconnect_is_answered_mqtt_4_3_3_11() {
    for (version, answer) in
        [(Version::V311, &[0x70, 2, 0, 9][..]), (Version::V5, &[0x70, 3, 0, 9, 0x92][..])]
    {
        let mut client = Client::new(version);
        assert!(client.receive(&[0x62, 2, 0, 9]).is_empty());
        assert_eq!(client.tx, answer);
        assert!(client.session.is_connected());
    }
}

#[test]
fn rumqttc_subscribe_never_takes_an_identifier_in_flight_mqtt_2_2_1_3() {
    let mut client = Client::new(Version::V5);
    let filter = Subscription::new(TopicFilter::new("#").unwrap(), QoS::AtMostOnce);
    let published: Vec<PacketId> = (0..8).map(|_| client.publish(QoS::AtLeastOnce)).collect();
    // Once round all identifiers, while these stay in flight.
    for _ in 0..2 * 65_535 {
        let id =
            client.session.subscribe(NOW, &[filter], Properties::EMPTY, &mut client.tx).unwrap();
        assert!(!published.contains(&id));
        let [high, low] = id.get().to_be_bytes();
        assert_eq!(client.receive(&[0x90, 4, high, low, 0, 0]).len(), 1);
        client.tx.clear();
    }
}

#[test]
fn rumqttc_publish_never_takes_an_identifier_whose_pubrel_is_open_mqtt_4_3_3_5() {
    let mut client = Client::new(Version::V5);
    let open = client.publish(QoS::ExactlyOnce);
    client.receive(PUBREC_1);
    for _ in 0..2 * 65_535 {
        let id = client.publish(QoS::AtLeastOnce);
        assert_ne!(id, open);
        let [high, low] = id.get().to_be_bytes();
        assert_eq!(client.receive(&[0x40, 2, high, low]).len(), 1);
        client.tx.clear();
    }
}

#[test]
fn rumqttc_an_unknown_topic_alias_is_a_protocol_error_and_said_so() {
    let list = [Property::TopicAliasMaximum(5)];
    let mut client = Client::with(client::Config::default(), Version::V5, list[..].into());
    // Topic Alias 3 was never set.
    let error = client.try_receive(&[0x30, 6, 0, 0, 3, 0x23, 0, 3]).unwrap_err();
    assert_eq!(error, Error::Peer(Fault::TopicAliasUnknown));
    assert_eq!(client.tx, [0xE0, 1, 0x82]);
}

// ---- flowsdk ------------------------------------------------------------------------------------

#[test]
fn flowsdk_a_payload_beyond_the_protocol_is_refused_before_it_is_sent() {
    let mut client = Client::new(Version::V311);
    let payload = vec![0; 268_435_456];
    let huge = Publish { payload: &payload, ..message(QoS::AtLeastOnce) };
    let refused = client.session.publish(NOW, &huge, &mut client.tx);
    assert!(matches!(refused, Err(Error::Encode(EncodeError::TooLarge { .. }))));
    assert!(client.tx.is_empty());
    assert_eq!(client.session.in_flight().count(), 0);
}

#[test]
fn flowsdk_before_the_first_connection_every_qos_is_treated_alike() {
    let mut session = client::Session::new(client::Config::default(), Slots::heap(16));
    let mut queue = Queue::heap(QueueConfig::default());
    let mut tx = Vec::new();
    let mut done = |_, outcome| panic!("{outcome:?}");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let refused = session.publish(NOW, &message(qos), &mut tx);
        assert_eq!(refused, Err(Misuse::NotConnected.into()));
        queue.submit(NOW, &message(qos), &mut done).unwrap();
    }
    assert_eq!(queue.len(), 3);
}

#[test]
fn flowsdk_a_bad_packet_is_answered_by_disconnect_with_its_reason_mqtt_4_13_1_1() {
    let cases: [(&[u8], u8); 6] = [
        (&[0x36, 5, 0, 1, b'a', 0, 1], 0x81),    // QoS 3
        (&[0x32, 6, 0, 1, b'a', 0, 0, 0], 0x82), // identifier 0
        (&[0x30, 4, 0, 1, b'#', 0], 0x90),       // wildcard in a topic name
        (&[0x82, 2, 0, 1], 0x82),                // SUBSCRIBE to a client
        (&[0x20, 3, 0, 0, 0], 0x82),             // a second CONNACK
        (&[0x00, 0], 0x81),                      // reserved type
    ];
    for (bytes, reason) in cases {
        let mut client = Client::new(Version::V5);
        assert!(matches!(client.try_receive(bytes), Err(Error::Peer(_))));
        let [0xE0, 1, said] = client.tx[..] else { panic!("{bytes:?}: {:?}", client.tx) };
        assert!(said == reason || said == 0x82 || said == 0x81, "{bytes:?}: {said:#x}");
        // In 3.1.1 the connection is closed without a word.
        let mut client = Client::new(Version::V311);
        assert!(matches!(client.try_receive(bytes), Err(Error::Peer(_))), "{bytes:?}");
        assert!(client.tx.is_empty());
    }
}

// ---- mqtt-protocol-core -------------------------------------------------------------------------

#[test]
fn mqtt_protocol_core_an_identifier_of_0_is_refused_without_a_panic_mqtt_2_2_1_3() {
    for version in [Version::V311, Version::V5] {
        for flags in [0x32, 0x34, 0x3A, 0x3C] {
            let bytes: &[u8] = match version {
                Version::V5 => &[flags, 6, 0, 1, b'a', 0, 0, 0],
                _ => &[flags, 5, 0, 1, b'a', 0, 0],
            };
            let refused = Client::new(version).try_receive(bytes);
            assert!(matches!(refused, Err(Error::Peer(Fault::Packet(_)))));
            let refused = server(version, &accepted()).try_receive(bytes);
            assert!(matches!(refused, Err(Error::Peer(Fault::Packet(_)))));
        }
    }
}

#[test]
fn mqtt_protocol_core_sending_again_keeps_to_the_new_receive_maximum_mqtt_3_3_4_7() {
    let mut client = Client::new(Version::V5);
    for _ in 0..5 {
        client.publish(QoS::AtLeastOnce);
    }
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 1, 0, 3, 0x21, 0, 2]);
    let mut resent = Vec::new();
    for acknowledged in 0..5_u8 {
        client.session.resume(NOW, &Same(QoS::AtLeastOnce), &mut client.tx).unwrap();
        let tx = core::mem::take(&mut client.tx);
        for packet in packets(&tx, Version::V5, Sender::Client) {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            resent.push(publish.packet_id.unwrap().get());
        }
        assert!(resent.len() <= usize::from(acknowledged) + 2, "more than two in flight");
        // Counting is right all the way: no underflow, and nothing new before the rest.
        assert_eq!(client.session.quota() > 0, !client.session.is_resuming() && acknowledged > 3);
        client.receive(&[0x40, 2, 0, acknowledged + 1]);
    }
    assert_eq!(resent, [1, 2, 3, 4, 5]);
    assert_eq!(client.session.quota(), 2);
}

#[test]
fn mqtt_protocol_core_a_timer_before_the_version_is_known_does_no_harm() {
    let late = NOW + Duration::from_secs(3600);
    let mut tx = Vec::new();
    let mut session = role::Session::new(NOW, role::Config::default(), Slots::heap(16));
    assert_eq!(session.handle_timeout(NOW, &mut tx), Ok(()));
    assert_eq!(session.handle_timeout(late, &mut tx), Err(Error::Peer(Fault::Timeout)));
    let mut session = client::Session::new(client::Config::default(), Slots::heap(16));
    assert_eq!(session.handle_timeout(late, &mut tx), Ok(()));
    assert!(tx.is_empty());
}

#[test]
fn mqtt_protocol_core_a_payload_at_the_limit_is_measured_without_a_panic() {
    let mut client = Client::new(Version::V5);
    // Maximum Packet Size 100.
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 100]);
    let payload = [0; 100];
    for len in 80..100 {
        let publish = Publish { payload: &payload[..len], ..message(QoS::AtMostOnce) };
        client.tx.clear();
        match client.session.publish(NOW, &publish, &mut client.tx) {
            Ok(_) => assert!(len <= 92 && client.tx.len() <= 100),
            Err(error) => {
                assert!(matches!(error, Error::Encode(EncodeError::TooLarge { limit: 100, .. })));
                assert!(len > 92 && client.tx.is_empty());
            }
        }
    }
}

#[test]
fn mqtt_protocol_core_nothing_is_delivered_before_connect_or_connack_mqtt_3_1_0_1_mqtt_3_2_0_1() {
    let publish = [0x30, 4, 0, 1, b'a', 0];
    let mut session = role::Session::new(NOW, role::Config::default(), Slots::heap(16));
    let mut tx = Vec::new();
    assert!(matches!(session.receive(NOW, &mut &publish[..], &mut tx), Err(Error::Peer(_))));
    assert!(tx.is_empty());

    let mut session = client::Session::new(client::Config::default(), Slots::heap(16));
    assert_eq!(session.receive(NOW, &mut &publish[..], &mut tx), Ok(None));
    session.connect(NOW, &Connect::new(Version::V5, "c"), &mut tx).unwrap();
    assert!(matches!(session.receive(NOW, &mut &publish[..], &mut tx), Err(Error::Peer(_))));
}

// ---- sansio-mqtt --------------------------------------------------------------------------------

#[test]
fn sansio_mqtt_what_is_sent_again_has_its_topic_and_no_stale_alias_mqtt_3_3_2_7() {
    let mut config = client::Config::default();
    config.topic_aliases = TopicAliases::Lru(8);
    let mut client = Client::with(config, Version::V5, Properties::EMPTY);
    let with_aliases: &[u8] = &[0x20, 6, 1, 0, 3, 0x22, 0, 8];
    client.connect(Version::V5, Properties::EMPTY, with_aliases);
    let topic = TopicName::new("a/long/topic").unwrap();
    let publish = Publish { topic, ..message(QoS::AtLeastOnce) };
    for _ in 0..2 {
        client.session.publish(NOW, &publish, &mut client.tx).unwrap();
    }
    let tx = core::mem::take(&mut client.tx);
    let sent: Vec<_> = packets(&tx, Version::V5, Sender::Client)
        .iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => publish.topic.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent, ["a/long/topic", ""]);
    // The next server takes no alias at all.
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 3, 1, 0, 0]);
    client.session.resume(NOW, &Same(QoS::AtLeastOnce), &mut client.tx).unwrap();
    for packet in packets(&client.tx, Version::V5, Sender::Client) {
        let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
        assert_eq!((publish.topic.as_str(), publish.properties.topic_alias()), ("a/b", None));
    }
}

#[test]
fn sansio_mqtt_a_large_packet_in_small_reads_costs_no_more_than_its_bytes() {
    let mut client = Client::new(Version::V5);
    let payload = vec![7; 1_000_000];
    let mut bytes = Vec::new();
    let publish = Publish { payload: &payload, ..message(QoS::AtMostOnce) };
    Rules::new(Version::V5, Sender::Server)
        .encode_to_vec(&Packet::Publish(publish), &mut bytes)
        .unwrap();
    let start = Stopwatch::now();
    let mut events = 0;
    // One byte more each time: parsed from the start this would be 5 * 10^11 bytes.
    for end in 0..=bytes.len() {
        let mut rx = &bytes[..end];
        events +=
            usize::from(client.session.receive(NOW, &mut rx, &mut client.tx).unwrap().is_some());
    }
    assert_eq!(events, 1);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

// ---- mqtt-proto ---------------------------------------------------------------------------------

#[test]
fn mqtt_proto_no_byte_of_a_packet_is_lost_that_comes_in_two_reads() {
    for size in [8191, 8192, 8193, 20_000] {
        let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let mut bytes = Vec::new();
        let publish = Publish { payload: &payload, ..message(QoS::AtMostOnce) };
        Rules::new(Version::V5, Sender::Server)
            .encode_to_vec(&Packet::Publish(publish), &mut bytes)
            .unwrap();
        for cut in [1, 2, 3, 10, size / 2, size - 1] {
            let mut client = Client::new(Version::V5);
            let mut rx = &bytes[..cut];
            assert_eq!(client.session.receive(NOW, &mut rx, &mut client.tx), Ok(None));
            assert_eq!(rx.len(), cut);
            let mut rx = &bytes[..];
            let event = client.session.receive(NOW, &mut rx, &mut client.tx).unwrap();
            let Some(Event::Message(received)) = event else { panic!("{event:?}") };
            assert_eq!(received.publish.payload, payload);
            assert!(rx.is_empty());
        }
    }
}

#[test]
fn mqtt_proto_a_malformed_packet_is_an_error_and_never_a_wish_for_more() {
    let cases: [&[u8]; 9] = [
        &[0x30, 3, 0, 5, b'a'],          // topic longer than the packet
        &[0x30, 0],                      // no topic
        &[0x30, 3, 0, 1, b'a'],          // no Property Length
        &[0x30, 5, 0, 1, b'a', 9, 1],    // properties longer than the packet
        &[0x40, 1, 0],                   // half an identifier
        &[0x90, 3, 0, 1, 0],             // SUBACK without a code
        &[0x30, 5, 0, 1, b'a', 1, 0x01], // property without its value
        &[0x40, 4, 0, 1, 0, 5],          // PUBACK whose properties are missing
        &[0xE0, 2, 0, 3],                // DISCONNECT whose properties are missing
    ];
    for bytes in cases {
        let result = Client::new(Version::V5).try_receive(bytes);
        assert!(matches!(result, Err(Error::Peer(Fault::Packet(_)))), "{bytes:?}: {result:?}");
    }
}

#[test]
fn what_waits_for_pubcomp_outlives_the_connection_as_pubrel() {
    let mut client = Client::new(Version::V5);
    let id = client.publish(QoS::ExactlyOnce);
    client.receive(PUBREC_1);
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 3, 1, 0, 0]);
    assert!(client.session.in_flight().eq([(id, Stage::PubComp)]));
    client.session.resume(NOW, &(), &mut client.tx).unwrap();
    assert_eq!(client.tx, [0x62, 2, 0, 1]);
}
