//! Bytes from who means no good: nobody else notices, and memory stays bounded.

use mqtt_codec::{
    Connect, Packet, PacketId, Property, Publish, QoS, Rules, Sender, Subscribe, Version,
};

use crate::harness::{BOTH, Net, Random, message, subscription};

/// Packets of all kinds that a client sends after CONNECT.
fn packets(version: Version) -> Vec<Vec<u8>> {
    let id = PacketId::new(1).unwrap();
    let list = [
        Property::UserProperty(("key", "value")),
        Property::MessageExpiryInterval(10),
        Property::TopicAlias(1.try_into().unwrap()),
    ];
    let properties = if version == Version::V5 { list[..].into() } else { [][..].into() };
    let filters =
        [subscription("noise/+/#", QoS::ExactlyOnce), subscription("noise/1", QoS::AtMostOnce)];
    let names = [filters[0].filter, filters[1].filter];
    let publish = |qos, retain| {
        let packet_id = (qos != QoS::AtMostOnce).then_some(id);
        Packet::Publish(Publish { qos, retain, packet_id, properties, ..message("noise/1", "xyz") })
    };
    let ack = mqtt_codec::Ack::new(id);
    let all = [
        publish(QoS::AtMostOnce, true),
        publish(QoS::AtLeastOnce, false),
        publish(QoS::ExactlyOnce, true),
        Packet::PubAck(ack),
        Packet::PubRec(ack),
        Packet::PubRel(ack),
        Packet::PubComp(ack),
        Packet::PingReq,
        Packet::Subscribe(Subscribe {
            packet_id: id,
            properties: [][..].into(),
            subscriptions: filters[..].into(),
        }),
        Packet::Unsubscribe(mqtt_codec::Unsubscribe {
            packet_id: id,
            properties: [][..].into(),
            filters: names[..].into(),
        }),
        Packet::Disconnect(mqtt_codec::Disconnect::new(mqtt_codec::ReasonCode::Success)),
        Packet::Connect(Connect::new(version, "again")),
    ];
    let rules = Rules::new(version, Sender::Client);
    let encode = |packet: &Packet<'_>| {
        let mut bytes = Vec::new();
        rules.encode_to_vec(packet, &mut bytes).unwrap();
        bytes
    };
    all.iter().map(encode).collect()
}

#[test]
fn a_hundred_thousand_broken_packets_disturb_nobody() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for version in BOTH {
        let mut net = Net::with(|config| config.max_retained_messages = 100);
        let honest = net.client(version, "honest");
        net.subscribe(honest, "calm", QoS::AtLeastOnce);
        let packets = packets(version);
        for round in 0..5_000 {
            let offender = net.open(version);
            let name = format!("offender {}", random.next(20));
            if random.next(20) > 0 {
                net.send(offender, &Packet::Connect(Connect::new(version, &name)));
            }
            for _ in 0..10 {
                if net.is_closed(offender) {
                    break;
                }
                let mut bytes = packets[random.next(packets.len())].clone();
                for _ in 0..random.next(4) {
                    let at = random.next(bytes.len());
                    match random.next(4) {
                        0 => bytes[at] ^= 1 << random.next(8),
                        1 => bytes[at] = random.next(256) as u8,
                        2 => bytes.truncate(at.max(1)),
                        _ => bytes.insert(at, random.next(256) as u8),
                    }
                }
                net.send_bytes(offender, &bytes);
            }
            net.bytes(offender);
            if !net.is_closed(offender) {
                net.cut(offender);
            }
            if round % 50 == 0 {
                net.publish(honest, "calm", &round.to_string(), QoS::AtLeastOnce);
                assert_eq!(net.payloads(honest), [round.to_string()]);
                net.wait(1.0);
            }
        }
        let statistics = net.broker.statistics();
        assert_eq!((statistics.connections, statistics.sessions), (1, 1), "{statistics:?}");
        assert_eq!(statistics.subscriptions, 1);
        assert_eq!(statistics.queued_bytes, 0);
    }
}

#[test]
fn topics_and_filters_of_ten_thousand_levels_are_refused_without_building_them() {
    let mut net = Net::new();
    let client = net.client(Version::V5, "c");
    let deep = "a/".repeat(10_000);
    let told = net.subscribe_to(client, &[subscription(&deep, QoS::AtMostOnce)], &[]);
    assert_eq!(told.unwrap(), [mqtt_codec::ReasonCode::TopicFilterInvalid]);
    let publish = Publish { qos: QoS::AtLeastOnce, retain: true, ..message(&deep, "x") };
    let told = net.publish_all_of(client, &publish);
    assert_eq!(told, mqtt_codec::ReasonCode::TopicNameInvalid);
    let connect = Connect {
        will: Some(mqtt_codec::Will::new(mqtt_codec::TopicName::new(&deep).unwrap(), b"")),
        ..Connect::new(Version::V5, "w")
    };
    assert_eq!(net.refused(&connect), Some(mqtt_codec::ReasonCode::TopicNameInvalid));
}

#[test]
fn a_storm_of_wildcards_is_answered_in_time() {
    let mut net = Net::with(|config| config.max_subscriptions_per_session = 20_000);
    let client = net.client(Version::V5, "storm");
    // All filters of fourteen levels that are a wildcard or the level of the topic.
    for first in 0..1_u32 << 14 {
        let level = |bit: u32| if first >> bit & 1 == 0 { "+" } else { "x" };
        let filter: Vec<&str> = (0..14).map(level).collect();
        net.subscribe(client, &filter.join("/"), QoS::AtMostOnce);
    }
    let start = std::time::Instant::now();
    let topic = ["x"; 14].join("/");
    for _ in 0..10 {
        net.publish(client, &topic, "x", QoS::AtMostOnce);
    }
    assert_eq!(net.messages(client).len(), 10, "one copy each");
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    net.cut(client);
    assert_eq!(net.broker.statistics().subscriptions, 0);
}

#[test]
fn replays_of_retained_messages_that_wait_are_bounded() {
    let mut net = Net::with(|config| config.max_subscriptions_per_session = 1000);
    let client = net.client(Version::V5, "c");
    net.retain(client, "a", "x", QoS::AtMostOnce);
    net.set_room(client, 5);
    let mut refused = 0;
    for _ in 0..1500 {
        net.set_room(client, 6);
        let filters = [subscription("#", QoS::AtMostOnce)];
        let told = net.subscribe_to(client, &filters, &[]);
        refused += usize::from(told == Some(vec![mqtt_codec::ReasonCode::QuotaExceeded]));
        net.bytes(client);
    }
    assert!(refused >= 400, "{refused}");
    net.cut(client);
    let other = net.client(Version::V5, "o");
    net.retain(other, "a", "", QoS::AtMostOnce);
    assert_eq!(net.broker.statistics().retained_messages, 0);
}

#[test]
fn what_a_client_must_not_send_is_refused_with_its_reason_code() {
    use mqtt_codec::ReasonCode as R;
    let cases: [(&str, &[u8], R); 8] = [
        ("DUP with QoS 0", b"\x38\x04\x00\x01a\x00", R::ProtocolError),
        ("a Subscription Identifier", b"\x30\x06\x00\x01a\x02\x0B\x01", R::ProtocolError),
        (
            "a wildcard in Response Topic",
            b"\x30\x08\x00\x01a\x04\x08\x00\x01#",
            R::TopicNameInvalid,
        ),
        (
            "No Local on a Shared Subscription",
            b"\x82\x10\x00\x01\x00\x00\x0A$share/g/a\x04",
            R::ProtocolError,
        ),
        ("a filter without topic", b"\x82\x0E\x00\x01\x00\x00\x08$share/g\x00", R::ProtocolError),
        ("$share/ alone", b"\x82\x0D\x00\x01\x00\x00\x07$share/\x00", R::ProtocolError),
        ("an empty ShareName", b"\x82\x0F\x00\x01\x00\x00\x09$share//a\x00", R::ProtocolError),
        ("a wildcard ShareName", b"\x82\x10\x00\x01\x00\x00\x0A$share/+/a\x00", R::ProtocolError),
    ];
    for (what, bytes, reason) in cases {
        let mut net = Net::new();
        let client = net.client(Version::V5, "c");
        net.send_bytes(client, bytes);
        assert!(net.is_closed(client), "{what}");
        assert_eq!(net.goodbye(client), Some(reason), "{what}");
    }
}
