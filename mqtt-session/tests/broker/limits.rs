//! Every bound, and what a client is told of it.

use mqtt_codec::{
    Connect, Packet, Property, PropertyId, Publish, QoS, ReasonCode, SubscriptionId, Text,
    TopicName, Version, Will,
};
use mqtt_session::broker::{Overflow, Overlap};

use crate::harness::{BOTH, EVERY_QOS, Net, message, subscription};

// [MQTT-3.2.2-9], [MQTT-3.2.2-10], [MQTT-3.2.2-12]
#[test]
fn a_lower_maximum_qos_is_announced_granted_and_enforced() {
    for max in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut net = Net::with(|config| config.maximum_qos = max);
        let (client, connack) = net.connect(&Connect::new(Version::V5, "c"));
        assert_eq!(connack.properties.maximum_qos(), Some(max));
        for qos in EVERY_QOS {
            let granted = net.subscribe_to(client, &[subscription("a", qos)], &[]).unwrap();
            assert_eq!(granted[0].value(), qos.min(max).bits());
        }
        let will = Will { qos: QoS::ExactlyOnce, ..Will::new(TopicName::new("w").unwrap(), b"") };
        for version in BOTH {
            let connect = Connect { will: Some(will), ..Connect::new(version, "other") };
            let told = net.refused(&connect);
            let expected = (version == Version::V5).then_some(ReasonCode::QoSNotSupported);
            assert_eq!(told, expected);
        }
        let id = mqtt_codec::PacketId::new(1);
        let publish = Publish { qos: QoS::ExactlyOnce, packet_id: id, ..message("a", "x") };
        net.send(client, &Packet::Publish(publish));
        assert_eq!(net.goodbye(client), Some(ReasonCode::QoSNotSupported));
    }
}

// [MQTT-3.2.2-13]
#[test]
fn a_broker_that_retains_nothing_says_so_and_refuses_retained_messages_and_wills() {
    let mut net = Net::with(|config| config.retain_available = false);
    let (client, connack) = net.connect(&Connect::new(Version::V5, "c"));
    assert_eq!(connack.properties.retain_available(), Some(false));
    let will = Will { retain: true, ..Will::new(TopicName::new("w").unwrap(), b"") };
    let connect = Connect { will: Some(will), ..Connect::new(Version::V5, "other") };
    assert_eq!(net.refused(&connect), Some(ReasonCode::RetainNotSupported));
    net.send(client, &Packet::Publish(Publish { retain: true, ..message("a", "x") }));
    assert_eq!(net.goodbye(client), Some(ReasonCode::RetainNotSupported));
    let old = net.client(Version::V311, "old");
    net.send(old, &Packet::Publish(Publish { retain: true, ..message("a", "x") }));
    assert!(net.is_closed(old), "there is no way to tell it");
    assert_eq!(net.broker.statistics().retained_messages, 0);
}

// [MQTT-3.8.3-2 of 3.1.1]
#[test]
fn subscriptions_that_are_not_available_are_announced_and_refused() {
    let mut net = Net::with(|config| {
        config.wildcard_subscription_available = false;
        config.shared_subscription_available = false;
        config.subscription_identifier_available = false;
    });
    let filters = [
        ("a/#", ReasonCode::WildcardSubscriptionsNotSupported),
        ("$share/g/a", ReasonCode::SharedSubscriptionsNotSupported),
    ];
    for (filter, reason) in filters {
        let (client, connack) = net.connect(&Connect::new(Version::V5, "c"));
        for id in [
            PropertyId::WildcardSubscriptionAvailable,
            PropertyId::SharedSubscriptionAvailable,
            PropertyId::SubscriptionIdentifierAvailable,
        ] {
            assert!(connack.properties.contains(id));
        }
        net.subscribe_to(client, &[subscription(filter, QoS::AtMostOnce)], &[]);
        assert_eq!(net.goodbye(client), Some(reason));
    }
    let old = net.client(Version::V311, "old");
    let filters = [subscription("a/+", QoS::AtMostOnce), subscription("a", QoS::AtMostOnce)];
    let told = net.subscribe_to(old, &filters, &[]);
    assert_eq!(told.unwrap(), [ReasonCode::UnspecifiedError, ReasonCode::GRANTED_QOS_0]);
    net.publish(old, "a/b", "x", QoS::AtMostOnce);
    assert_eq!(net.messages(old), []);
}

#[test]
fn a_queue_is_bounded_in_messages_and_bytes_and_drops_by_its_policy() {
    for (overflow, expected) in
        [(Overflow::DropNewest, ["0", "1", "2"]), (Overflow::DropOldest, ["7", "8", "9"])]
    {
        for by_bytes in [false, true] {
            let mut net = Net::with(|config| {
                config.overflow = overflow;
                if by_bytes {
                    config.max_queued_bytes = 3 * 1100 + 500;
                } else {
                    config.max_queued_messages = 3;
                }
            });
            let (client, _) = net.keeper(Version::V5, "c");
            net.subscribe(client, "a", QoS::AtLeastOnce);
            net.cut(client);
            let publisher = net.client(Version::V5, "p");
            for n in 0..10 {
                net.publish(publisher, "a", &n.to_string().repeat(1000), QoS::AtLeastOnce);
            }
            let (client, _) = net.keeper(Version::V5, "c");
            let payloads = net.payloads(client);
            assert_eq!(payloads.iter().map(|p| &p[..1]).collect::<Vec<_>>(), expected);
            assert_eq!(net.broker.statistics().dropped.total(), 7);
        }
    }
}

#[test]
fn a_client_that_does_not_read_costs_no_more_than_its_queue_and_holds_up_nobody() {
    let mut net = Net::with(|config| config.max_queued_bytes = 10_000);
    let slow = net.client(Version::V5, "slow");
    let quick = net.client(Version::V5, "quick");
    for client in [slow, quick] {
        net.subscribe(client, "a", QoS::AtMostOnce);
    }
    net.set_room(slow, 0);
    let publisher = net.client(Version::V5, "p");
    for _ in 0..100 {
        net.publish(publisher, "a", &"x".repeat(1000), QoS::AtMostOnce);
    }
    assert_eq!(net.messages(quick).len(), 100);
    net.set_room(slow, 1_000_000);
    net.writable(slow);
    assert!((8..=10).contains(&net.messages(slow).len()));
}

#[test]
fn connections_sessions_subscriptions_and_levels_are_bounded() {
    let mut net = Net::with(|config| {
        config.max_connections = 3;
        config.max_sessions = 2;
        config.max_subscriptions = 4;
        config.max_subscriptions_per_session = 3;
        config.max_topic_levels = 4;
    });
    let client = net.client(Version::V5, "1");
    let other = net.client(Version::V5, "2");
    assert_eq!(net.refused(&Connect::new(Version::V5, "3")), Some(ReasonCode::QuotaExceeded));
    let third = net.open(Version::V5);
    assert_eq!(net.broker.open(net.now), None);
    net.cut(third);
    let filters = ["a", "b", "c", "d"].map(|filter| subscription(filter, QoS::AtMostOnce));
    let told = net.subscribe_to(client, &filters, &[]).unwrap();
    assert_eq!(told[2..], [ReasonCode::GRANTED_QOS_0, ReasonCode::QuotaExceeded]);
    let told = net.subscribe_to(other, &filters, &[]).unwrap();
    assert_eq!(told[..2], [ReasonCode::GRANTED_QOS_0, ReasonCode::QuotaExceeded]);
    // A subscription that is there already may be made again.
    assert_eq!(net.subscribe_to(client, &filters[..1], &[]).unwrap()[0].value(), 0);
    let deep = [subscription("1/2/3/4/5", QoS::AtMostOnce)];
    net.unsubscribe(client, &["a", "b"]);
    assert_eq!(net.subscribe_to(client, &deep, &[]).unwrap(), [ReasonCode::TopicFilterInvalid]);
    let publish = Publish { qos: QoS::AtLeastOnce, ..message("1/2/3/4/5", "x") };
    assert_eq!(net.publish_all_of(client, &publish), ReasonCode::TopicNameInvalid);
    let publish = Publish { qos: QoS::AtLeastOnce, ..message("1/2/3/4", "x") };
    assert_eq!(net.publish_all_of(client, &publish), ReasonCode::NoMatchingSubscribers);
}

#[test]
fn a_packet_larger_than_announced_is_refused_at_its_header() {
    for version in BOTH {
        let mut net = Net::with(|config| config.max_packet_size = 100);
        let (client, connack) = net.connect(&Connect::new(version, "c"));
        let told = connack.properties.maximum_packet_size().map(core::num::NonZeroU32::get);
        assert_eq!(told, (version == Version::V5).then_some(100));
        net.send_bytes(client, &[0x30, 99]);
        assert!(net.is_closed(client));
        let told = net.goodbye(client);
        assert_eq!(told, (version == Version::V5).then_some(ReasonCode::PacketTooLarge));
    }
}

#[test]
fn messages_in_flight_are_bounded_in_bytes_and_the_others_follow_their_acknowledgement() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::with(|config| config.max_queued_bytes = 10_000);
        let publisher = net.client(Version::V5, "p");
        let late = net.client(Version::V5, "late");
        for n in 0..30 {
            net.retain(publisher, &format!("a/{n}"), &"x".repeat(1000), qos);
        }
        net.subscribe(late, "a/#", qos);
        let live = net.client(Version::V5, "live");
        net.subscribe(live, "b", qos);
        for _ in 0..15 {
            net.publish(publisher, "b", &"x".repeat(1000), qos);
        }
        for client in [late, live] {
            let sent = net.bytes(client).len();
            assert!((9_000..11_500).contains(&sent), "{sent} bytes are in flight");
        }
        // Packet identifiers begin with 1.
        for n in 1..=15 {
            let id = mqtt_codec::PacketId::new(n);
            let publish = Publish { qos, packet_id: id, ..message("b", "") };
            net.acknowledge(live, &publish, ReasonCode::Success);
        }
        let rest = net.packets(live);
        let rest = rest.iter().filter(|packet| matches!(packet, Packet::Publish(_))).count();
        assert!((4..=6).contains(&rest), "{rest} messages waited");
        assert_eq!(net.broker.statistics().dropped.total(), 0);
    }
}

#[test]
fn subscription_identifiers_of_a_message_that_waits_count_as_bytes() {
    let mut net = Net::with(|config| config.max_queued_bytes = 100_000);
    let (client, _) = net.keeper(Version::V5, "c");
    // 256 filters that all match.
    for n in 0_u32..256 {
        let levels: Vec<_> = (0..8).map(|bit| if n >> bit & 1 == 0 { "+" } else { "a" }).collect();
        let id = [Property::SubscriptionIdentifier(SubscriptionId::new(n + 1).unwrap())];
        let filter = levels.join("/");
        net.subscribe_to(client, &[subscription(&filter, QoS::AtLeastOnce)], &id).unwrap();
    }
    net.cut(client);
    let publisher = net.client(Version::V5, "p");
    for _ in 0..100 {
        net.publish(publisher, "a/a/a/a/a/a/a/a", "x", QoS::AtLeastOnce);
    }
    // An identifier takes two bytes at least wherever it is kept.
    assert!(net.broker.statistics().dropped.total() > 0);
    let (client, _) = net.keeper(Version::V5, "c");
    let messages = net.messages(client);
    assert!(messages.len() * 256 * 2 < 100_000, "{} messages were kept", messages.len());
    assert!(messages.iter().all(|m| m.properties.subscription_identifiers().count() == 256));
}

#[test]
fn the_levels_of_retained_topics_are_bounded() {
    let mut net = Net::with(|config| config.max_filter_levels = 20);
    let client = net.client(Version::V5, "c");
    for n in 0..10 {
        net.retain(client, &format!("{n}/1/2/3/4/5"), "x", QoS::AtMostOnce);
    }
    assert_eq!(net.broker.statistics().retained_messages, 3);
    net.retain(client, "0/1/2/3/4/5", "", QoS::AtMostOnce);
    net.retain(client, "0/1/2/3/4/6", "x", QoS::AtMostOnce);
    assert_eq!(net.broker.statistics().retained_messages, 3);
}

#[test]
fn timers_that_have_no_use_any_more_are_not_kept() {
    let mut net = Net::new();
    let expiry = [Property::MessageExpiryInterval(100_000)];
    let expiring = Publish { properties: expiry[..].into(), retain: true, ..message("a", "x") };
    let delay = [Property::WillDelayInterval(500)];
    let topic = TopicName::new("w").unwrap();
    let will = Will { properties: delay[..].into(), ..Will::new(topic, b"x") };
    let lasting = [Property::SessionExpiryInterval(1000)];
    let connect = Connect {
        clean_start: false,
        keep_alive: 0,
        will: Some(will),
        properties: lasting[..].into(),
        ..Connect::new(Version::V5, "c")
    };
    let (client, _) = net.connect(&connect);
    net.send(client, &Packet::Publish(expiring));
    net.cut(client);
    // Replaced, and then cleared.
    let (client, _) = net.connect(&connect);
    net.wait(1.0);
    net.send(client, &Packet::Publish(expiring));
    net.retain(client, "a", "", QoS::AtMostOnce);
    net.cut(client);
    net.client(Version::V5, "c");
    // Connections are looked at once more when CONNECT would have been due.
    net.wait(60.0);
    assert_eq!(net.broker.next_timeout(), None);
}

#[test]
fn a_slow_client_is_heard_however_much_there_is_for_it() {
    for qos in EVERY_QOS {
        let mut net = Net::new();
        let slow = net.client(Version::V5, "slow");
        net.subscribe(slow, "a", qos);
        let publisher = net.client(Version::V5, "p");
        net.set_room(slow, 0);
        for _ in 0..10 {
            net.publish(publisher, "a", &"x".repeat(1000), qos);
        }
        // PINGREQ comes while there is room for nothing, and then for one message at a time.
        net.send_bytes(slow, &[0xC0, 0]);
        net.set_room(slow, 1100);
        net.publish(publisher, "a", "meanwhile", qos);
        net.writable(slow);
        let got = net.packets(slow);
        assert_eq!(got[0], Packet::PingResp);
        assert!(matches!(got[1..], [Packet::Publish(_)]), "{got:?}");
        net.set_room(slow, 1_000_000);
        net.writable(slow);
        assert_eq!(net.packets(slow).len(), 10);
    }
}

#[test]
fn all_queues_together_are_bounded() {
    let mut net = Net::with(|config| config.max_total_queued_bytes = 20_000);
    for n in 0..10 {
        let (client, _) = net.keeper(Version::V5, &n.to_string());
        net.subscribe(client, "a", QoS::AtLeastOnce);
        net.cut(client);
    }
    let publisher = net.client(Version::V5, "p");
    for _ in 0..10 {
        net.publish(publisher, "a", &"x".repeat(1000), QoS::AtLeastOnce);
    }
    let waiting = net.broker.statistics().queued_bytes;
    assert!((15_000..=20_000).contains(&waiting), "{waiting}");
    // What is delivered, and what ends with its session, makes room again.
    let mut delivered = 0;
    for n in 0..10 {
        let (client, _) = net.keeper(Version::V5, &n.to_string());
        if n % 2 == 0 {
            delivered += net.messages(client).len();
        }
        net.cut(client);
        net.client(Version::V5, &n.to_string());
    }
    assert!(delivered >= 5);
    assert_eq!(net.broker.statistics().queued_bytes, 0);
}

#[test]
fn what_is_in_flight_counts_for_all_queues_together_but_each_client_has_its_share() {
    let mut net = Net::with(|config| {
        config.max_total_queued_bytes = 20_000;
        config.max_connections = 4;
    });
    let lazy = net.client(Version::V5, "lazy");
    net.subscribe(lazy, "lazy", QoS::AtLeastOnce);
    let (away, _) = net.keeper(Version::V5, "away");
    net.subscribe(away, "away", QoS::AtLeastOnce);
    net.cut(away);
    let eager = net.client(Version::V5, "eager");
    net.subscribe(eager, "eager", QoS::AtLeastOnce);
    let publisher = net.client(Version::V5, "p");
    // Nothing of this is acknowledged.
    for _ in 0..30 {
        net.publish(publisher, "lazy", &"x".repeat(1000), QoS::AtLeastOnce);
    }
    let counted = net.broker.statistics();
    assert!((19_000..22_000).contains(&counted.in_flight_bytes), "{}", counted.in_flight_bytes);
    net.publish(publisher, "away", "x", QoS::AtLeastOnce);
    assert_eq!(net.broker.statistics().queued_messages, 0, "there is no room to wait in");
    // Who takes its messages goes on getting them.
    for _ in 0..10 {
        net.publish(publisher, "eager", &"x".repeat(1000), QoS::AtLeastOnce);
        assert_eq!(net.messages(eager).len(), 1);
    }
    net.cut(lazy);
    net.publish(publisher, "away", "x", QoS::AtLeastOnce);
    assert_eq!(net.broker.statistics().queued_messages, 1);
}

#[test]
fn wills_count_for_all_queues_together() {
    let mut net = Net::with(|config| config.max_total_queued_bytes = 5000);
    let payload = [b'x'; 1000];
    let will = Will::new(TopicName::new("w").unwrap(), &payload);
    let connect =
        |name| Connect { will: Some(will), keep_alive: 0, ..Connect::new(Version::V5, name) };
    let clients = ["a", "b", "c", "d"].map(|name| net.connect(&connect(name)).0);
    assert_eq!(net.refused(&connect("e")), Some(ReasonCode::QuotaExceeded));
    assert_eq!(net.broker.statistics().sessions, 4, "nothing is left of it");
    // Of a session that was there before, everything is.
    let larger = [b'x'; 4000];
    let delay = [Property::SessionExpiryInterval(100)];
    let lasting = Connect { properties: delay[..].into(), ..connect("d") };
    let (lasting, clients) = (net.connect(&lasting).0, [clients[0], clients[1]]);
    let refused = Will::new(TopicName::new("w").unwrap(), &larger);
    let watcher = net.client(Version::V5, "watcher");
    net.subscribe(watcher, "w", QoS::AtMostOnce);
    let again = Connect { clean_start: false, will: Some(refused), ..connect("d") };
    assert_eq!(net.refused(&again), Some(ReasonCode::QuotaExceeded));
    assert!(net.is_closed(lasting));
    assert_eq!(net.messages(watcher).len(), 1, "the takeover ends its connection");
    net.wait(101.0);
    assert_eq!(net.broker.statistics().sessions, 4, "the session ends in its time");
    net.connect(&connect("d"));
    // By a goodbye, by being published, and by another in its place.
    net.disconnect(clients[0], ReasonCode::NORMAL_DISCONNECTION);
    net.cut(clients[1]);
    for _ in 0..10 {
        net.connect(&connect("c"));
    }
    net.connect(&connect("e"));
    net.connect(&connect("f"));
    assert_eq!(net.refused(&connect("g")), Some(ReasonCode::QuotaExceeded));
}

#[test]
fn the_bytes_of_levels_are_bounded() {
    let mut net = Net::with(|config| config.max_filter_bytes = 1000);
    let client = net.client(Version::V5, "c");
    let publisher = net.client(Version::V5, "p");
    let long = "x".repeat(400);
    for (n, reason) in [(0, 0), (1, 0), (2, 0x97)] {
        let filter = format!("{long}{n}/{n}");
        let reasons = net.subscribe_to(client, &[subscription(&filter, QoS::AtMostOnce)], &[]);
        assert_eq!(reasons.unwrap()[0].value(), reason);
        net.retain(publisher, &filter, "x", QoS::AtMostOnce);
        assert_eq!(net.messages(client).len(), usize::from(reason == 0));
    }
    assert_eq!(net.broker.statistics().retained_messages, 2);
    // What is gone makes room.
    net.unsubscribe(client, &[&format!("{long}0/0")]);
    net.subscribe(client, &format!("{long}2/2"), QoS::AtMostOnce);
    net.retain(publisher, &format!("{long}1/1"), "", QoS::AtMostOnce);
    net.retain(publisher, &format!("{long}2/2"), "x", QoS::AtMostOnce);
    assert_eq!(net.broker.statistics().retained_messages, 2);
}

#[test]
fn a_small_message_does_not_become_as_many_copies_as_there_are_filters() {
    for overlap in [Overlap::OneCopy, Overlap::CopyEach] {
        let mut net = Net::with(|config| {
            config.overlap = overlap;
            config.max_overlap = 10;
        });
        let clients = ["a", "b"].map(|name| net.client(Version::V5, name));
        for n in 0_u32..64 {
            let levels: Vec<_> =
                (0..6).map(|bit| if n >> bit & 1 == 0 { "+" } else { "a" }).collect();
            let id = [Property::SubscriptionIdentifier(SubscriptionId::new(n + 1).unwrap())];
            for client in clients {
                let filter = levels.join("/");
                net.subscribe_to(client, &[subscription(&filter, QoS::AtMostOnce)], &id).unwrap();
            }
        }
        let publisher = net.client(Version::V5, "p");
        net.publish(publisher, "a/a/a/a/a/a", "x", QoS::AtMostOnce);
        for client in clients {
            let messages = net.messages(client);
            let ids = messages.iter().flat_map(|m| m.properties.subscription_identifiers());
            assert_eq!(ids.count(), 10);
            assert_eq!(messages.len(), if overlap == Overlap::OneCopy { 1 } else { 10 });
        }
    }
}

#[test]
fn who_is_in_very_many_groups_gets_a_message_for_some_of_them() {
    let mut net = Net::with(|config| config.max_overlap = 10);
    let greedy = net.client(Version::V5, "greedy");
    let modest = net.client(Version::V5, "modest");
    for n in 0..50 {
        net.subscribe(greedy, &format!("$share/{n}/a"), QoS::AtLeastOnce);
    }
    net.subscribe(modest, "$share/49/a", QoS::AtLeastOnce);
    net.subscribe(modest, "$share/50/a", QoS::AtLeastOnce);
    let publisher = net.client(Version::V5, "p");
    for _ in 0..4 {
        net.publish(publisher, "a", "x", QoS::AtLeastOnce);
        assert_eq!(net.messages(greedy).len(), 10);
        // Also for the group that both are in: who has enough is passed over.
        assert_eq!(net.messages(modest).len(), 2);
    }
}

// [MQTT-3.9.3-2]: 0x97 is Quota exceeded.
#[test]
fn a_session_is_in_so_many_groups_and_no_more() {
    let mut net = Net::with(|config| {
        config.max_shared_subscriptions_per_session = 2;
        config.max_session_expiry = 1;
    });
    let one = net.keeper(Version::V5, "one").0;
    let other = net.client(Version::V5, "other");
    let subscribe = |net: &mut Net, client, filter| {
        let reasons = net.subscribe_to(client, &[subscription(filter, QoS::AtMostOnce)], &[]);
        reasons.unwrap()[0].value()
    };
    let answers = [("$share/1/a", 0), ("$share/2/a", 0), ("$share/1/a", 0), ("$share/1/b", 0x97)];
    for (filter, answer) in answers.into_iter().chain([("b", 0), ("$share/3/a", 0x97)]) {
        assert_eq!(subscribe(&mut net, one, filter), answer, "{filter}");
    }
    assert_eq!(subscribe(&mut net, other, "$share/3/a"), 0);
    net.unsubscribe(one, &["$share/2/a"]);
    assert_eq!(subscribe(&mut net, one, "$share/1/b"), 0);
    assert_eq!(subscribe(&mut net, one, "$share/2/b"), 0x97);
    // A session that takes the place of one that has ended begins with none.
    net.cut(one);
    net.wait(2.0);
    let another = net.client(Version::V5, "another");
    for (filter, answer) in [("$share/1/a", 0), ("$share/2/a", 0), ("$share/3/a", 0x97)] {
        assert_eq!(subscribe(&mut net, another, filter), answer, "{filter}");
    }
    assert_eq!(net.broker.statistics().shared_subscriptions, 3);
}

#[test]
fn retained_messages_to_come_are_bounded_as_those_that_wait() {
    let mut net = Net::with(|config| config.max_queued_bytes = 5000);
    let client = net.client(Version::V5, "c");
    net.retain(client, "a", "x", QoS::AtMostOnce);
    net.set_room(client, 0);
    let long = "x".repeat(1000);
    let filters: Vec<String> = (0..20).map(|n| format!("{long}{n}/#")).collect();
    let list: Vec<_> = filters.iter().map(|f| subscription(f, QoS::AtMostOnce)).collect();
    let subscribe = mqtt_codec::Subscribe {
        packet_id: mqtt_codec::PacketId::new(7).unwrap(),
        properties: [][..].into(),
        subscriptions: list[..].into(),
    };
    net.send(client, &Packet::Subscribe(subscribe));
    assert!(net.broker.statistics().queued_bytes <= 5000);
    net.set_room(client, usize::MAX);
    net.writable(client);
    let Some(Packet::SubAck(suback)) = net.packet(client) else { panic!("no SUBACK") };
    let taken = suback.reasons.iter().filter(|reason| !reason.is_failure()).count();
    assert!((2..=5).contains(&taken), "{taken}");
    assert_eq!(net.broker.statistics().queued_bytes, 0);
    net.subscribe(client, "a", QoS::AtMostOnce);
    assert_eq!(net.messages(client).len(), 1);
}

#[test]
fn what_a_connect_may_hold_is_bounded() {
    let mut net = Net::with(|config| {
        config.max_user_name_len = 10;
        config.max_connect_size = 100;
    });
    let named =
        |name| Connect { user_name: Some(Text::new(name)), ..Connect::new(Version::V5, "c") };
    net.connect(&named("0123456789"));
    assert_eq!(net.refused(&named("0123456789a")), Some(ReasonCode::BadUserNameOrPassword));
    let long = "x".repeat(100);
    assert_eq!(net.refused(&named(&long)), Some(ReasonCode::PacketTooLarge));
}

// [MQTT-3.3.4-9], [MQTT-3.3.2-9]
#[test]
fn receive_maximum_and_topic_aliases_are_announced_and_enforced() {
    let mut net = Net::with(|config| {
        config.receive_maximum = 3.try_into().unwrap();
        config.topic_alias_maximum = 2;
    });
    let (client, connack) = net.connect(&Connect::new(Version::V5, "c"));
    assert_eq!(connack.properties.receive_maximum(), core::num::NonZeroU16::new(3));
    assert_eq!(connack.properties.topic_alias_maximum(), Some(2));
    for n in 1..=4 {
        let packet_id = mqtt_codec::PacketId::new(n);
        let publish = Publish { qos: QoS::ExactlyOnce, packet_id, ..message("a", "x") };
        net.send(client, &Packet::Publish(publish));
    }
    assert_eq!(net.goodbye(client), Some(ReasonCode::ReceiveMaximumExceeded));
    let client = net.client(Version::V5, "c");
    for (alias, open) in [(2, true), (3, false)] {
        let alias = [Property::TopicAlias(alias.try_into().unwrap())];
        let publish = Publish { properties: alias[..].into(), ..message("a", "x") };
        net.send(client, &Packet::Publish(publish));
        assert_eq!(net.is_closed(client), !open);
    }
    assert_eq!(net.goodbye(client), Some(ReasonCode::TopicAliasInvalid));
}

#[test]
fn the_bounds_are_by_default_what_the_documentation_says() {
    let config = mqtt_session::broker::Config::default();
    let mib = 1 << 20;
    let bounds = [
        (config.max_connections, 100_000),
        (config.max_sessions, 1_000_000),
        (config.max_connect_size as usize, 131_072),
        (config.max_packet_size as usize, 1_048_576),
        (config.max_client_id_len, 1024),
        (config.max_user_name_len, 1024),
        (config.receive_maximum.get().into(), 1024),
        (config.max_in_flight.into(), 1024),
        (config.topic_alias_maximum.into(), 16),
        (config.max_queued_messages, 1_000_000),
        (config.max_queued_bytes, 64 * mib),
        (config.max_total_queued_bytes, 1024 * mib),
        (config.max_overlap, 1024),
        (config.max_retained_messages, 10_000_000),
        (config.max_retained_bytes, 1024 * mib),
        (config.max_subscriptions, 10_000_000),
        (config.max_subscriptions_per_session, 250_000),
        (config.max_shared_subscriptions_per_session, 1024),
        (config.max_filter_levels, 50_000_000),
        (config.max_filter_bytes, 1024 * mib),
        (config.max_pattern_levels, 8192),
        (config.max_pattern_levels_per_session, 1024),
        (config.max_topic_levels, 256),
        (config.max_deferred_bytes, 64 * mib),
    ];
    for (index, (bound, said)) in bounds.into_iter().enumerate() {
        assert_eq!(bound, said, "{index}");
    }
    let seconds = [config.connect_timeout, config.policy_timeout, config.sys_interval];
    assert_eq!(seconds.map(|time| time.as_secs()), [10, 10, 0]);
    assert_eq!(config.max_keep_alive, None);
    assert_eq!(config.max_session_expiry, u32::MAX);
}
