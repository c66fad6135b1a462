//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).

use mqtt_codec::{
    Ack, Packet, PacketId, Property, Publish, QoS, ReasonCode, Subscribe, Subscription,
    SubscriptionId, TopicFilter, Version,
};
use mqtt_session::broker::{Admission, Client, Policy};

use crate::harness::{BOTH, EVERY_QOS, Net, message, subscription};

// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-3.9.3-1],
// [MQTT-2.2.1-6], [MQTT-3.8.4-1 of 3.1.1], [MQTT-3.8.4-2 of 3.1.1], [MQTT-3.8.4-4 of 3.1.1],
// [MQTT-3.8.4-5 of 3.1.1], [MQTT-3.9.3-1 of 3.1.1], [MQTT-2.3.1-7 of 3.1.1]
#[test]
fn subscribe_is_answered_by_one_suback_with_a_code_per_filter_in_order() {
    for version in BOTH {
        let mut net = Net::with_policy(Picky);
        let client = net.client(version, "c");
        let filters = [
            subscription("a", QoS::ExactlyOnce),
            subscription("secret", QoS::AtLeastOnce),
            subscription("b", QoS::AtMostOnce),
            subscription("low", QoS::ExactlyOnce),
            subscription("c/#", QoS::AtLeastOnce),
        ];
        let reasons = net.subscribe_to(client, &filters, &[]).unwrap();
        let refused = match version {
            Version::V5 => ReasonCode::NotAuthorized,
            _ => ReasonCode::UnspecifiedError,
        };
        assert_eq!(
            reasons,
            [
                ReasonCode::GrantedQoS2,
                refused,
                ReasonCode::GRANTED_QOS_0,
                ReasonCode::GrantedQoS1,
                ReasonCode::GrantedQoS1
            ]
        );
        // As if each had come in its own SUBSCRIBE.
        for topic in ["a", "secret", "b", "low", "c", "c/d"] {
            net.publish(client, topic, topic, QoS::ExactlyOnce);
        }
        let mut told: Vec<_> =
            net.messages(client).iter().map(|m| (m.topic.as_str(), m.qos.bits())).collect();
        told.sort_unstable();
        assert_eq!(told, [("a", 2), ("b", 0), ("c", 1), ("c/d", 1), ("low", 1)]);
    }
}

struct Picky;

impl Policy for Picky {
    fn subscribe(&mut self, _: Client<'_>, subscription: &Subscription<'_>) -> Admission {
        match subscription.filter.as_str() {
            "secret" => Admission::Refuse(ReasonCode::NotAuthorized),
            "low" => Admission::AllowUpTo(QoS::AtLeastOnce),
            _ => Admission::Allow,
        }
    }

    fn unsubscribe(&mut self, _: Client<'_>, filter: TopicFilter<'_>) -> Result<(), ReasonCode> {
        if filter.as_str() == "fixed" { Err(ReasonCode::NotAuthorized) } else { Ok(()) }
    }

    fn publish(&mut self, _: Client<'_>, publish: &Publish<'_>) -> Admission {
        match publish.topic.as_str() {
            "forbidden" => Admission::Refuse(ReasonCode::NotAuthorized),
            _ => Admission::Allow,
        }
    }
}

// [MQTT-3.3.5-2 of 3.1.1]
#[test]
fn a_message_that_may_not_be_published_is_acknowledged_and_goes_nowhere() {
    for version in BOTH {
        for qos in EVERY_QOS {
            let mut net = Net::with_policy(Picky);
            let client = net.client(version, "c");
            net.subscribe(client, "#", QoS::AtMostOnce);
            let publish = Publish { qos, retain: true, ..message("forbidden", "x") };
            let told = net.publish_all_of(client, &publish);
            let is_told = version == Version::V5 && qos != QoS::AtMostOnce;
            let expected = if is_told { ReasonCode::NotAuthorized } else { ReasonCode::Success };
            assert_eq!(told, expected);
            assert_eq!(net.messages(client), []);
            assert_eq!(net.broker.statistics().retained_messages, 0);
        }
    }
}

#[test]
fn a_publisher_of_version_5_is_told_when_nobody_has_subscribed() {
    let mut net = Net::new();
    let client = net.client(Version::V5, "c");
    let publish = Publish { qos: QoS::AtLeastOnce, ..message("a", "x") };
    assert_eq!(net.publish_all_of(client, &publish), ReasonCode::NoMatchingSubscribers);
    net.subscribe(client, "a", QoS::AtMostOnce);
    assert_eq!(net.publish_all_of(client, &publish), ReasonCode::Success);
}

// [MQTT-3.8.4-3], [MQTT-3.8.4-4], [MQTT-3.8.4-3 of 3.1.1]
#[test]
fn a_second_subscription_replaces_the_first_sends_retained_messages_and_loses_none() {
    for version in BOTH {
        let mut net = Net::new();
        let (client, _) = net.keeper(version, "c");
        let publisher = net.client(version, "p");
        net.retain(publisher, "a/b", "kept", QoS::ExactlyOnce);
        net.subscribe(client, "a/+", QoS::AtMostOnce);
        assert_eq!(net.messages(client).len(), 1);
        net.cut(client);
        let (client, _) = net.keeper(version, "c");
        net.subscribe(client, "a/+", QoS::AtLeastOnce);
        let before = net.messages(client);
        assert_eq!((before.len(), before[0].qos), (1, QoS::AtLeastOnce));
        // What waits in the queue is not touched.
        net.cut(client);
        net.publish(publisher, "a/c", "queued", QoS::AtLeastOnce);
        let (client, _) = net.keeper(version, "c");
        let queued = net.payloads(client);
        net.subscribe(client, "a/+", QoS::ExactlyOnce);
        assert_eq!((queued, net.payloads(client)), (vec!["queued".into()], vec!["kept".into()]));
        assert_eq!(net.broker.statistics().subscriptions, 1);
        net.publish(publisher, "a/c", "once", QoS::ExactlyOnce);
        let messages = net.messages(client);
        assert_eq!((messages.len(), messages[0].qos), (1, QoS::ExactlyOnce));
    }
}

// [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-1 of 3.1.1], [MQTT-3.10.4-2 of 3.1.1]
#[test]
fn unsubscribe_ends_the_subscription_of_just_that_filter() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(version, "c");
        for filter in ["a/b", "a/+", "a/#", "A/b", "a/b/"] {
            net.subscribe(client, filter, QoS::AtMostOnce);
        }
        let expected = ["a/b", "a/+", "A/b", "#", "a/#", "a/b/", "a/b"];
        let left = [4, 3, 2, 2, 1, 0, 0];
        for (filter, left) in expected.into_iter().zip(left) {
            net.unsubscribe(client, &[filter]).expect("UNSUBACK");
            assert_eq!(net.broker.statistics().subscriptions, left, "{filter}");
            net.publish(client, "a/b", "x", QoS::AtMostOnce);
            let matching = match filter {
                "a/b" if left == 4 => 1,
                "a/+" | "A/b" | "#" => 1,
                _ => 0,
            };
            assert_eq!(net.messages(client).len(), matching, "after {filter}");
        }
    }
}

// [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-3.11.3-1], [MQTT-2.2.1-6],
// [MQTT-3.10.4-4 of 3.1.1], [MQTT-3.10.4-5 of 3.1.1], [MQTT-3.10.4-6 of 3.1.1],
// [MQTT-2.3.1-7 of 3.1.1]
#[test]
fn unsubscribe_is_answered_by_one_unsuback_with_a_code_per_filter_in_order() {
    for version in BOTH {
        let mut net = Net::with_policy(Picky);
        let client = net.client(version, "c");
        net.subscribe(client, "a", QoS::AtMostOnce);
        net.subscribe(client, "fixed", QoS::AtMostOnce);
        let reasons = net.unsubscribe(client, &["a", "a", "fixed", "never"]).unwrap();
        let expected = [
            ReasonCode::Success,
            ReasonCode::NoSubscriptionExisted,
            ReasonCode::NotAuthorized,
            ReasonCode::NoSubscriptionExisted,
        ];
        assert_eq!(reasons, if version == Version::V5 { &expected[..] } else { &[] });
        net.publish(client, "a", "x", QoS::AtMostOnce);
        net.publish(client, "fixed", "y", QoS::AtMostOnce);
        assert_eq!(net.payloads(client), ["y"]);
    }
}

// [MQTT-3.10.4-3], [MQTT-3.10.4-3 of 3.1.1]
#[test]
fn deliveries_that_have_begun_are_completed_after_unsubscribe() {
    for version in BOTH {
        let mut net = Net::new();
        let (client, _) = net.keeper(version, "c");
        net.subscribe(client, "a", QoS::ExactlyOnce);
        let publisher = net.client(version, "p");
        net.publish(publisher, "a", "two", QoS::ExactlyOnce);
        net.publish(publisher, "a", "one", QoS::AtLeastOnce);
        let begun = net.packets(client);
        assert_eq!(begun.len(), 2);
        net.unsubscribe(client, &["a"]).unwrap();
        net.cut(client);
        let (client, _) = net.keeper(version, "c");
        let again = net.messages(client);
        let told: Vec<_> = again.iter().map(|m| (m.payload, m.dup)).collect();
        assert_eq!(told, [(&b"two"[..], true), (&b"one"[..], true)]);
        net.publish(publisher, "a", "later", QoS::AtLeastOnce);
        assert_eq!(net.messages(client), []);
    }
}

// [MQTT-3.8.3-3]
#[test]
fn no_local_keeps_messages_from_their_publisher_and_its_other_subscriptions_do_not() {
    let mut net = Net::new();
    let (client, _) = net.keeper(Version::V5, "c");
    let no_local = Subscription { no_local: true, ..subscription("a", QoS::ExactlyOnce) };
    net.subscribe_to(client, &[no_local], &[]).unwrap();
    let other = net.client(Version::V5, "other");
    net.publish(client, "a", "own", QoS::AtLeastOnce);
    net.publish(other, "a", "of another", QoS::AtLeastOnce);
    assert_eq!(net.payloads(client), ["of another"]);
    // It goes by the client identifier, not by the connection.
    net.cut(client);
    let (client, _) = net.keeper(Version::V5, "c");
    net.publish(client, "a", "own", QoS::AtLeastOnce);
    assert_eq!(net.messages(client), []);
    net.subscribe(client, "+", QoS::AtMostOnce);
    net.publish(client, "a", "own", QoS::AtLeastOnce);
    let messages = net.messages(client);
    assert_eq!((messages.len(), messages[0].qos), (1, QoS::AtMostOnce));
}

fn id(value: u32) -> SubscriptionId {
    SubscriptionId::new(value).unwrap()
}

// [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.5-1 of 3.1.1]
#[test]
fn overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_all_identifiers() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(version, "c");
        let ids = [Some(7), None, Some(268_435_455), Some(7)];
        for ((filter, qos), id_value) in
            [("a/b", 0), ("a/+", 2), ("#", 1), ("a/#", 0)].into_iter().zip(ids)
        {
            let list: Vec<_> =
                id_value.map(|v| Property::SubscriptionIdentifier(id(v))).into_iter().collect();
            let subscription = subscription(filter, QoS::from_bits(qos).unwrap());
            let list = if version == Version::V5 { &list[..] } else { &[] };
            net.subscribe_to(client, &[subscription], list).unwrap();
        }
        net.publish(client, "a/b", "x", QoS::ExactlyOnce);
        let messages = net.messages(client);
        assert_eq!((messages.len(), messages[0].qos), (1, QoS::ExactlyOnce));
        let mut ids: Vec<_> =
            messages[0].properties.subscription_identifiers().map(SubscriptionId::get).collect();
        ids.sort_unstable();
        assert_eq!(ids, if version == Version::V5 { &[7, 7, 268_435_455][..] } else { &[] });
    }
}

// [MQTT-3.3.4-5], [MQTT-3.3.4-2]
#[test]
fn overlapping_subscriptions_give_a_copy_each_if_so_configured() {
    let mut net = Net::with(|config| config.overlap = mqtt_session::broker::Overlap::CopyEach);
    let client = net.client(Version::V5, "c");
    for (filter, number, qos) in
        [("a/b", 1, QoS::AtMostOnce), ("a/+", 2, QoS::ExactlyOnce), ("#", 3, QoS::AtLeastOnce)]
    {
        let list = [Property::SubscriptionIdentifier(id(number))];
        net.subscribe_to(client, &[subscription(filter, qos)], &list).unwrap();
    }
    net.subscribe(client, "a/#", QoS::AtMostOnce);
    net.publish(client, "a/b", "x", QoS::ExactlyOnce);
    let messages = net.messages(client);
    let mut told: Vec<_> = messages
        .iter()
        .map(|m| {
            let ids: Vec<_> =
                m.properties.subscription_identifiers().map(SubscriptionId::get).collect();
            (ids, m.qos.bits())
        })
        .collect();
    told.sort();
    assert_eq!(told, [(vec![], 0), (vec![1], 0), (vec![2], 2), (vec![3], 1)]);
}

#[test]
fn a_subscription_identifier_comes_with_queued_and_retained_messages_too() {
    let mut net = Net::new();
    let publisher = net.client(Version::V5, "p");
    net.retain(publisher, "a", "retained", QoS::AtLeastOnce);
    let (client, _) = net.keeper(Version::V5, "c");
    let list = [Property::SubscriptionIdentifier(id(9))];
    net.subscribe_to(client, &[subscription("a", QoS::AtLeastOnce)], &list).unwrap();
    let mut messages = net.messages(client);
    net.cut(client);
    net.publish(publisher, "a", "queued", QoS::AtLeastOnce);
    let (client, _) = net.keeper(Version::V5, "c");
    messages.extend(net.messages(client));
    assert_eq!(messages.len(), 2);
    for message in messages {
        assert!(message.properties.subscription_identifiers().eq([id(9)]));
    }
}

#[test]
fn an_answer_waits_for_room_and_nothing_is_taken_meanwhile() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(version, "c");
        net.set_room(client, 3);
        let mut bytes = Vec::new();
        let rules = mqtt_codec::Rules::new(version, mqtt_codec::Sender::Client);
        let packet_id = PacketId::new(5).unwrap();
        let subscriptions = [subscription("a", QoS::AtLeastOnce)];
        for packet in [
            Packet::Subscribe(Subscribe {
                packet_id,
                properties: [][..].into(),
                subscriptions: subscriptions[..].into(),
            }),
            Packet::Publish(Publish {
                qos: QoS::AtLeastOnce,
                packet_id: Some(packet_id),
                ..message("a", "x")
            }),
            Packet::PingReq,
        ] {
            rules.encode_to_vec(&packet, &mut bytes).unwrap();
        }
        let mut rx = &bytes[..];
        let mut kinds = Vec::new();
        for _ in 0..20 {
            let _ = net.try_send(client, &mut rx);
            let room = if version == Version::V5 { 10 } else { 9 };
            net.set_room(client, room);
            net.writable(client);
            for packet in net.packets(client) {
                kinds.push(packet.packet_type());
                if let Packet::Publish(publish) = packet {
                    net.set_room(client, 100);
                    net.send(client, &Packet::PubAck(Ack::new(publish.packet_id.unwrap())));
                }
            }
            net.set_room(client, 3);
        }
        use mqtt_codec::PacketType as P;
        kinds.sort_unstable_by_key(|kind| *kind as u8);
        assert_eq!(kinds, [P::Publish, P::PubAck, P::SubAck, P::PingResp], "{version}");
        assert!(rx.is_empty());
    }
}

#[test]
fn filters_of_one_subscribe_are_granted_however_many_though_there_are_retained_messages() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(version, "c");
        net.retain(client, "kept", "x", QoS::AtMostOnce);
        let filters: Vec<String> = (0..3000).map(|n| format!("{n}/+")).collect();
        let list: Vec<_> = filters.iter().map(|f| subscription(f, QoS::AtLeastOnce)).collect();
        let granted = net.subscribe_to(client, &list, &[]).unwrap();
        assert!(granted.iter().all(|reason| reason.value() == 1));
    }
}
