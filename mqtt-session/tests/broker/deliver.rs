//! Who gets a message, in which order, at which QoS.

use mqtt_codec::{
    Packet, Property, PropertyId, Publish, QoS, Subscription, SubscriptionId, TopicFilter,
    TopicName, Version,
};

use crate::harness::{BOTH, EVERY_QOS, Net, message, subscription};

// [MQTT-3.8.4-8], [MQTT-3.8.4-6 of 3.1.1]
#[test]
fn a_message_is_delivered_at_the_lower_of_both_qos() {
    for version in BOTH {
        for granted in EVERY_QOS {
            let mut net = Net::new();
            let client = net.client(version, "c");
            net.subscribe(client, "a", granted);
            for published in EVERY_QOS {
                net.publish(client, "a", "x", published);
                assert_eq!(net.messages(client)[0].qos, published.min(granted));
            }
        }
    }
}

// [MQTT-3.3.2-3], [MQTT-4.7.3-4], [MQTT-4.7.2-1], [MQTT-3.3.2-3 of 3.1.1],
// [MQTT-4.7.3-4 of 3.1.1], [MQTT-4.7.2-1 of 3.1.1]
#[test]
fn a_message_goes_to_those_whose_filter_matches_character_by_character() {
    let names = [
        "a",
        "A",
        "a/",
        "/a",
        "/",
        "//",
        "a/b",
        "a/b/c",
        "a//b",
        "$a",
        "$a/b",
        "é",
        "e\u{301}",
        "a b",
        "a/ b",
        "\u{FEFF}a",
    ];
    let filters = [
        "#",
        "+",
        "a",
        "A",
        "a/#",
        "a/+",
        "+/b",
        "+/+",
        "/+",
        "/#",
        "$a/#",
        "$a/+",
        "$a",
        "+/+/+",
        "a/+/b",
        "a/b/#",
        "é",
        "e\u{301}",
        "a b",
        "\u{FEFF}a",
        "//",
        "+//",
        "+/b/#",
    ];
    for version in BOTH {
        let mut net = Net::new();
        let publisher = net.client(version, "p");
        for (n, filter) in filters.into_iter().enumerate() {
            let client = net.client(version, &format!("c{n}"));
            net.subscribe(client, filter, QoS::AtMostOnce);
            for name in names {
                net.publish(publisher, name, name, QoS::AtMostOnce);
            }
            let filter = TopicFilter::new(filter).unwrap();
            let expected: Vec<_> = names
                .into_iter()
                .filter(|name| filter.matches(TopicName::new(name).unwrap()))
                .collect();
            let topics: Vec<_> =
                net.messages(client).iter().map(|message| message.topic.as_str()).collect();
            assert_eq!(topics, expected, "{filter}");
        }
    }
}

// [MQTT-4.6.0-5], [MQTT-4.6.0-6], [MQTT-4.6.0-5 of 3.1.1], [MQTT-4.6.0-6 of 3.1.1]
#[test]
fn messages_of_one_topic_and_qos_come_in_the_order_they_were_published() {
    for version in BOTH {
        for qos in EVERY_QOS {
            let mut net = Net::with(|config| config.max_in_flight = 3);
            let (client, _) = net.keeper(version, "c");
            net.subscribe(client, "#", qos);
            let publisher = net.client(version, "p");
            let mut expected = Vec::new();
            let mut got = Vec::new();
            for n in 0..200 {
                // Sometimes there is no room, sometimes the client reads.
                net.set_room(client, if n % 7 == 0 { 0 } else { 10_000 });
                let payload = format!("{n:03}");
                net.publish(publisher, &format!("t/{}", n % 3), &payload, qos);
                expected.push(payload);
                if n % 11 == 0 {
                    net.set_room(client, 10_000);
                    net.writable(client);
                    got.extend(net.payloads(client));
                }
            }
            net.set_room(client, 100_000);
            net.writable(client);
            got.extend(net.payloads(client));
            assert_eq!(got, expected, "{version} {qos:?}");
        }
    }
}

#[test]
fn no_more_messages_are_in_flight_than_the_client_allows() {
    for version in BOTH {
        let mut net = Net::with(|config| config.max_in_flight = 20);
        let list = [Property::ReceiveMaximum(4.try_into().unwrap())];
        let connect = mqtt_codec::Connect {
            properties: if version == Version::V5 { list[..].into() } else { [][..].into() },
            ..mqtt_codec::Connect::new(version, "c")
        };
        let (client, _) = net.connect(&connect);
        net.subscribe(client, "#", QoS::ExactlyOnce);
        let publisher = net.client(version, "p");
        for n in 0..50 {
            let qos = EVERY_QOS[1 + n % 2];
            net.publish(publisher, "a", &n.to_string(), qos);
        }
        // QoS 0 does not wait for acknowledgements.
        net.publish(publisher, "a", "at once", QoS::AtMostOnce);
        let packets = net.packets(client);
        let allowed = if version == Version::V5 { 4 } else { 20 };
        assert_eq!(packets.len(), allowed + 1);
        let mut count = 0;
        for packet in packets {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            count += 1;
            net.acknowledge(client, &publish, mqtt_codec::ReasonCode::Success);
        }
        count += net.messages(client).len();
        assert_eq!(count, 51);
    }
}

#[test]
fn a_message_that_is_too_large_for_a_client_is_left_out_and_holds_nothing_up() {
    let mut net = Net::new();
    let list = [Property::MaximumPacketSize(50.try_into().unwrap())];
    let connect = mqtt_codec::Connect {
        properties: list[..].into(),
        ..mqtt_codec::Connect::new(Version::V5, "c")
    };
    let (client, _) = net.connect(&connect);
    let wide = net.client(Version::V5, "wide");
    for client in [client, wide] {
        net.subscribe(client, "a", QoS::AtLeastOnce);
    }
    for payload in ["small", &"large".repeat(20), "small too"] {
        net.publish(wide, "a", payload, QoS::AtLeastOnce);
    }
    assert_eq!(net.payloads(client), ["small", "small too"]);
    assert_eq!(net.messages(wide).len(), 3);
}

#[test]
fn the_broker_can_publish_by_itself() {
    let mut net = Net::new();
    let client = net.client(Version::V5, "c");
    net.subscribe(client, "$SYS/#", QoS::AtMostOnce);
    let uptime = Publish { retain: true, ..message("$SYS/broker/uptime", "7") };
    assert!(net.announce(&uptime));
    assert_eq!(net.payloads(client), ["7"]);
    assert!(!net.announce(&message("nobody/listens", "x")));
    let nowhere = Publish { topic: TopicName::ALIASED, ..uptime };
    assert!(!net.announce(&nowhere));
    let late = net.client(Version::V311, "late");
    net.subscribe(late, "$SYS/broker/+", QoS::AtMostOnce);
    assert_eq!(net.payloads(late), ["7"]);
}

// [MQTT-3.3.1-3], [MQTT-3.3.1-12], [MQTT-3.3.1-13], [MQTT-3.3.2-17], [MQTT-3.8.4-8]
#[test]
fn a_message_to_many_is_to_each_of_them_as_it_would_be_alone() {
    let mut net = Net::new();
    let mut subscribers = Vec::new();
    for version in [Version::V31, Version::V311, Version::V5] {
        for granted in EVERY_QOS {
            for (as_published, id) in
                [(false, None), (true, None), (false, Some(7)), (true, Some(300))]
            {
                let five = version == Version::V5;
                if !five && (as_published || id.is_some()) {
                    continue;
                }
                let client = net.client(version, &format!("{}", subscribers.len()));
                let subscription = Subscription {
                    retain_as_published: as_published,
                    ..subscription("t", granted)
                };
                let list =
                    id.map(|id| Property::SubscriptionIdentifier(SubscriptionId::new(id).unwrap()));
                let list: Vec<_> = list.into_iter().collect();
                net.subscribe_to(client, &[subscription], &list).unwrap();
                subscribers.push((client, granted, as_published, id));
            }
        }
    }
    let publisher = net.client(Version::V5, "publisher");
    let properties = [
        Property::PayloadFormatIndicator(true),
        Property::ContentType("text"),
        Property::UserProperty(("name", "value")),
        Property::UserProperty(("name", "value")),
    ];
    for round in 0..3 {
        for qos in EVERY_QOS {
            for retain in [false, true] {
                let payload = format!("{round} {qos:?} {retain}");
                let dup = qos != QoS::AtMostOnce;
                let properties = properties[..].into();
                let sent = Publish { qos, retain, dup, properties, ..message("t", &payload) };
                net.publish_all_of(publisher, &sent);
                for (client, granted, as_published, id) in &subscribers {
                    let got = net.messages(*client);
                    assert_eq!(got.len(), 1);
                    let got = got[0];
                    assert_eq!((got.topic.as_str(), got.payload), ("t", payload.as_bytes()));
                    assert_eq!((got.qos, got.dup), (qos.min(*granted), false));
                    assert_eq!(got.retain, retain && *as_published);
                    let ids: Vec<_> = got
                        .properties
                        .subscription_identifiers()
                        .map(SubscriptionId::get)
                        .collect();
                    assert_eq!(ids, id.iter().copied().collect::<Vec<u32>>());
                    let others = |p: &Property<'_>| p.id() != PropertyId::SubscriptionIdentifier;
                    let rest: Vec<_> = got.properties.iter().filter(others).collect();
                    match client.version {
                        Version::V5 => assert_eq!(rest, sent.properties.iter().collect::<Vec<_>>()),
                        _ => assert_eq!(rest, []),
                    }
                }
            }
        }
    }
}
