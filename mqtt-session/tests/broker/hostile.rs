//! Bytes from who means no good: nobody else notices, and memory stays bounded.

use mqtt_codec::{
    Connect, Packet, PacketId, Property, Publish, QoS, Rules, Sender, Subscribe, Version,
};

use crate::harness::{BOTH, Client, Net, Random, message, subscription};

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
    let mut net = Net::with(|config| {
        config.max_pattern_levels = 1 << 15;
        config.max_pattern_levels_per_session = 1 << 15;
    });
    let client = net.client(Version::V5, "storm");
    storm(&mut net, client, 14);
    assert_eq!(net.broker.statistics().subscriptions, 1 << 14);
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

/// Subscribes to all filters of so many levels that are a wildcard or the level of the topic; how many
/// are refused.
fn storm(net: &mut Net, client: Client, levels: u32) -> usize {
    let refused = |first: &u32| {
        let level = |bit: u32| if first >> bit & 1 == 0 { "+" } else { "x" };
        let filter = (0..levels).map(level).collect::<Vec<_>>().join("/");
        let filters = [subscription(&filter, QoS::AtMostOnce)];
        let told = net.subscribe_to(client, &filters, &[]).unwrap();
        assert!(!told[0].is_failure() || told == [mqtt_codec::ReasonCode::QuotaExceeded]);
        told[0].is_failure()
    };
    (0..1_u32 << levels).filter(refused).count()
}

#[test]
fn one_topic_leads_through_no_more_filters_than_there_is_room_for_their_patterns() {
    // In a tree of two branches at each level, four levels are 30.
    let mut net = Net::with(|config| {
        config.max_pattern_levels = 32;
        config.max_pattern_levels_per_session = 20;
    });
    let [first, second, third] = ["1", "2", "3"].map(|name| net.client(Version::V5, name));
    let taken = 16 - storm(&mut net, first, 4);
    assert!((5..12).contains(&taken), "{taken}");
    // What is there already costs another nothing, nor does what has no `+`.
    let levels = [subscription("+/+/+/+", QoS::AtMostOnce), subscription("a/b/#", QoS::AtMostOnce)];
    for client in [second, third] {
        assert!(!net.subscribe_to(client, &levels, &[]).unwrap().iter().any(|r| r.is_failure()));
    }
    let rest = storm(&mut net, second, 4);
    assert!(rest < 16 - taken, "the second brings some of the rest");
    let deep = [subscription("+/1/2/3/4/5/6/7/8/9/+", QoS::AtMostOnce)];
    let full = Some(vec![mqtt_codec::ReasonCode::QuotaExceeded]);
    for client in [first, second, third] {
        assert_eq!(net.subscribe_to(client, &deep, &[]), full);
    }
    net.publish(third, "x/x/x/x", "x", QoS::AtMostOnce);
    for client in [first, second, third] {
        assert_eq!(net.messages(client).len(), 1);
    }
    // Patterns end with the subscriptions, by whatever way these do.
    net.unsubscribe(third, &["+/+/+/+"]);
    net.cut(first);
    net.cut(second);
    let told = net.subscribe_to(third, &deep, &[]).unwrap();
    assert!(!told[0].is_failure(), "{told:?}");
    net.unsubscribe(third, &["+/1/2/3/4/5/6/7/8/9/+"]);
    assert_eq!(storm(&mut net, third, 4), 16 - taken, "all is as it was");
}

#[test]
fn who_ends_a_deep_filter_goes_on_being_charged_for_those_that_begin_like_it() {
    let mut net = Net::with(|config| config.max_pattern_levels_per_session = 20);
    let client = net.client(Version::V5, "c");
    let full = Some(vec![mqtt_codec::ReasonCode::QuotaExceeded]);
    let mut told = Vec::new();
    // Of the eleven levels of a pattern nine are its own, and the last of them goes.
    for beginning in ["x/x", "x/+", "+/x", "+/+"] {
        let begins = format!("{beginning}{}/+", "/x".repeat(7));
        let deep = format!("{begins}/x");
        told.push(net.subscribe_to(client, &[subscription(&deep, QoS::AtMostOnce)], &[]));
        if told.last() != Some(&full) {
            net.subscribe(client, &begins, QoS::AtMostOnce);
            net.unsubscribe(client, &[&deep]);
        }
    }
    assert!(told[0] != full && told[2..] == [full.clone(), full.clone()], "{told:?}");
    // All is given back with the last of them.
    net.unsubscribe(client, &[&format!("x/x{}/+", "/x".repeat(7))]);
    net.unsubscribe(client, &[&format!("x/+{}/+", "/x".repeat(7))]);
    let deep = ["+"; 20].join("/");
    let deep = [subscription(&deep, QoS::AtMostOnce)];
    assert_ne!(net.subscribe_to(client, &deep, &[]), full);
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
