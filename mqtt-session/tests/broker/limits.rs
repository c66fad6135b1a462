//! Every bound, and what a client is told of it.

use mqtt_codec::{
    Connect, Packet, Property, PropertyId, Publish, QoS, ReasonCode, SubscriptionId, TopicName,
    Version, Will,
};
use mqtt_session::broker::Overflow;

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
