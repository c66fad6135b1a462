//! Retained messages (section 3.3.1.3).

use core::num::NonZeroU16;
use core::time::Duration;

use mqtt_codec::{Connect, Property, Publish, QoS, RetainHandling, Subscription, Version};

use crate::harness::{BOTH, EVERY_QOS, Net, message, subscription};

// [MQTT-3.3.1-5], [MQTT-3.3.1-9], [MQTT-3.3.1-5 of 3.1.1], [MQTT-3.3.1-6 of 3.1.1],
// [MQTT-3.3.1-7 of 3.1.1], [MQTT-3.3.1-8 of 3.1.1]
#[test]
fn the_last_retained_message_of_each_topic_is_sent_to_a_new_subscription() {
    for version in BOTH {
        for qos in EVERY_QOS {
            let mut net = Net::new();
            let publisher = net.client(version, "p");
            net.retain(publisher, "room/1", "old", QoS::ExactlyOnce);
            net.retain(publisher, "room/1", "one", qos);
            net.retain(publisher, "room/2", "two", qos);
            net.retain(publisher, "hall", "none of these", qos);
            let late = net.client(version, "l");
            net.subscribe(late, "room/+", QoS::ExactlyOnce);
            let mut messages = net.messages(late);
            messages.sort_by_key(|message| message.payload);
            assert!(messages.iter().all(|message| message.retain && message.qos == qos));
            let payloads: Vec<_> = messages.iter().map(|message| message.payload).collect();
            assert_eq!(payloads, [b"one", b"two"]);
        }
    }
}

// [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-10 of 3.1.1], [MQTT-3.3.1-11 of 3.1.1]
#[test]
fn an_empty_retained_message_is_delivered_and_clears_the_topic() {
    for version in BOTH {
        let mut net = Net::new();
        let publisher = net.client(version, "p");
        let live = net.client(version, "s");
        net.subscribe(live, "a", QoS::AtLeastOnce);
        net.retain(publisher, "a", "value", QoS::AtLeastOnce);
        net.retain(publisher, "a", "", QoS::AtLeastOnce);
        assert_eq!(net.payloads(live), ["value", ""]);
        assert_eq!(net.broker.statistics().retained_messages, 0);
        assert_eq!(net.broker.statistics().retained_bytes, 0);
        let late = net.client(version, "l");
        net.subscribe(late, "#", QoS::AtLeastOnce);
        assert_eq!(net.messages(late), []);
    }
}

// [MQTT-3.3.1-8], [MQTT-3.3.1-12 of 3.1.1]
#[test]
fn a_message_without_retain_leaves_the_retained_one_alone() {
    for version in BOTH {
        let mut net = Net::new();
        let publisher = net.client(version, "p");
        net.retain(publisher, "a", "kept", QoS::AtLeastOnce);
        net.publish(publisher, "a", "passing", QoS::AtLeastOnce);
        net.publish(publisher, "a", "", QoS::AtLeastOnce);
        net.publish(publisher, "b", "passing", QoS::AtLeastOnce);
        let late = net.client(version, "l");
        net.subscribe(late, "#", QoS::AtLeastOnce);
        assert_eq!(net.payloads(late), ["kept"]);
    }
}

// [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]
#[test]
fn retain_handling_says_when_retained_messages_are_sent() {
    for (handling, first, second) in [
        (RetainHandling::Send, 1, 1),
        (RetainHandling::SendIfNew, 1, 0),
        (RetainHandling::DoNotSend, 0, 0),
    ] {
        let mut net = Net::new();
        let client = net.client(Version::V5, "c");
        net.retain(client, "a", "kept", QoS::AtLeastOnce);
        let subscription =
            Subscription { retain_handling: handling, ..subscription("a", QoS::AtLeastOnce) };
        for expected in [first, second] {
            net.subscribe_to(client, &[subscription], &[]).unwrap();
            assert_eq!(net.messages(client).len(), expected, "{handling:?}");
        }
        // A subscription that was ended is new again.
        net.unsubscribe(client, &["a"]).unwrap();
        net.subscribe_to(client, &[subscription], &[]).unwrap();
        assert_eq!(net.messages(client).len(), first);
    }
}

// [MQTT-3.3.1-12], [MQTT-3.3.1-13], [MQTT-3.3.1-9 of 3.1.1]
#[test]
fn live_messages_keep_retain_only_for_who_asked_for_it() {
    for retain in [false, true] {
        let mut net = Net::new();
        let publisher = net.client(Version::V5, "p");
        let old = net.client(Version::V311, "old");
        net.subscribe(old, "a", QoS::AtMostOnce);
        let plain = net.client(Version::V5, "plain");
        net.subscribe(plain, "a", QoS::AtMostOnce);
        let asked = net.client(Version::V5, "asked");
        let option =
            Subscription { retain_as_published: true, ..subscription("a", QoS::AtMostOnce) };
        net.subscribe_to(asked, &[option], &[]).unwrap();
        net.publish_all_of(publisher, &Publish { retain, ..message("a", "live") });
        assert!(!net.messages(old)[0].retain);
        assert!(!net.messages(plain)[0].retain);
        assert_eq!(net.messages(asked)[0].retain, retain);
    }
}

// [MQTT-3.1.2-7 of 3.1.1]
#[test]
fn retained_messages_outlive_the_session_of_who_published_them() {
    for version in BOTH {
        let mut net = Net::new();
        let publisher = net.client(version, "p");
        net.retain(publisher, "a", "kept", QoS::ExactlyOnce);
        net.cut(publisher);
        assert_eq!(net.broker.statistics().sessions, 0);
        let late = net.client(version, "l");
        net.subscribe(late, "a", QoS::AtMostOnce);
        assert_eq!(net.payloads(late), ["kept"]);
    }
}

// [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn a_retained_message_expires_and_until_then_tells_what_is_left() {
    let mut net = Net::new();
    let publisher = net.client(Version::V5, "p");
    let list = [Property::MessageExpiryInterval(30)];
    let publish = Publish { retain: true, properties: list[..].into(), ..message("a", "short") };
    net.publish_all_of(publisher, &publish);
    net.wait(20.0);
    let late = net.client(Version::V5, "l");
    net.subscribe(late, "a", QoS::AtMostOnce);
    assert_eq!(net.messages(late)[0].properties.message_expiry_interval(), Some(10));
    net.wait(10.0);
    net.subscribe(late, "a", QoS::AtMostOnce);
    assert_eq!(net.messages(late), []);
    assert_eq!(net.broker.statistics().retained_messages, 0, "its memory is free again");
    // Only the message that was there expires, not the one in its place.
    net.publish_all_of(publisher, &publish);
    net.retain(publisher, "a", "for ever", QoS::AtMostOnce);
    net.wait(40.0);
    assert_eq!(net.payloads(late), ["short", "for ever"]);
    net.subscribe(late, "a", QoS::AtMostOnce);
    assert_eq!(net.payloads(late), ["for ever"]);
}

#[test]
fn thousands_of_retained_messages_reach_a_slow_subscriber_whole() {
    for qos in EVERY_QOS {
        let mut net = Net::with(|config| config.max_queued_messages = 10);
        let publisher = net.client(Version::V5, "p");
        for n in 0..3000 {
            net.retain(publisher, &format!("t/{}/{n}", n % 7), &n.to_string(), qos);
        }
        let late = net.client(Version::V5, "l");
        net.set_room(late, 1000);
        net.subscribe(late, "t/#", qos);
        let mut seen = Vec::new();
        for step in 0.. {
            net.set_room(late, 1000);
            net.writable(late);
            let payloads = net.payloads(late);
            if payloads.is_empty() {
                break;
            }
            seen.extend(payloads.iter().map(|text| text.parse::<u32>().unwrap()));
            // Topics come and go meanwhile, the one where the walk stands among them.
            if step % 3 == 0 {
                let gone = *seen.last().unwrap();
                net.retain(publisher, &format!("t/{}/{gone}", gone % 7), "", QoS::AtMostOnce);
                net.messages(late);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() >= 2990, "{} at {qos:?}", seen.len());
    }
}

#[test]
fn the_store_is_bounded_and_a_full_one_still_replaces_and_clears() {
    let mut net = Net::with(|config| config.max_retained_messages = 3);
    let publisher = net.client(Version::V5, "p");
    for n in 0..10 {
        net.retain(publisher, &format!("a/{n}"), "x", QoS::AtMostOnce);
    }
    net.retain(publisher, "a/1", "y", QoS::AtMostOnce);
    let late = net.client(Version::V5, "l");
    net.subscribe(late, "#", QoS::AtMostOnce);
    let mut payloads = net.payloads(late);
    payloads.sort();
    assert_eq!(payloads, ["x", "x", "y"]);
    net.retain(publisher, "a/0", "", QoS::AtMostOnce);
    net.retain(publisher, "a/9", "z", QoS::AtMostOnce);
    assert_eq!(net.broker.statistics().retained_messages, 3);

    let mut net = Net::with(|config| config.max_retained_bytes = 1000);
    let publisher = net.client(Version::V5, "p");
    for n in 0..100 {
        net.retain(publisher, &format!("a/{n}"), &"x".repeat(90), QoS::AtMostOnce);
    }
    let statistics = net.broker.statistics();
    assert!((900..=1000).contains(&statistics.retained_bytes), "{statistics:?}");
}

// [MQTT-4.7.2-1]
#[test]
fn retained_messages_match_as_live_ones_do() {
    let topics = ["a", "a/", "a/b", "a/b/c", "/", "/a", "$app/a", "$app", "b//c", "ä"];
    let filters = [
        "#", "+", "a/#", "a/+", "a/+/#", "+/+", "+/#", "/#", "$app/#", "$app/+", "+/a", "a/b/c",
        "b/+/c", "ä", "a/b/#", "a/b/c/#", "+/b/+", "/+",
    ];
    for filter in filters {
        let mut net = Net::new();
        let live = net.client(Version::V5, "live");
        net.subscribe(live, filter, QoS::AtMostOnce);
        let publisher = net.client(Version::V5, "p");
        for topic in topics {
            net.retain(publisher, topic, topic, QoS::AtMostOnce);
        }
        let late = net.client(Version::V5, "late");
        net.subscribe(late, filter, QoS::AtMostOnce);
        let (mut live, mut late) = (net.payloads(live), net.payloads(late));
        live.sort();
        late.sort();
        assert_eq!(live, late, "{filter}");
        let matches = |topic: &&&str| {
            let filter = mqtt_codec::TopicFilter::new(filter).unwrap();
            filter.matches(mqtt_codec::TopicName::new(topic).unwrap())
        };
        assert_eq!(live.len(), topics.iter().filter(matches).count(), "{filter}");
    }
}

// [MQTT-3.10.4-2]
#[test]
fn who_unsubscribes_is_sent_no_more_of_the_retained_messages() {
    let mut net = Net::new();
    let publisher = net.client(Version::V5, "p");
    for n in 0..3 {
        net.retain(publisher, &format!("a/{n}"), "x", QoS::AtLeastOnce);
    }
    let list = [Property::ReceiveMaximum(NonZeroU16::MIN)];
    let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, "l") };
    let (late, _) = net.connect(&connect);
    net.subscribe(late, "a/+", QoS::AtLeastOnce);
    let first = net.bytes(late);
    assert!(first.starts_with(&[0x33]), "one is on its way");
    net.unsubscribe(late, &["a/+"]).unwrap();
    for n in 0..3 {
        net.retain(publisher, &format!("a/{n}"), "after UNSUBACK", QoS::AtLeastOnce);
    }
    net.send_bytes(late, &[0x40, 2, 0, 1]);
    assert_eq!(net.messages(late), []);
    // Who subscribes again gets them all.
    net.subscribe(late, "a/+", QoS::AtLeastOnce);
    assert_eq!(net.payloads(late), ["after UNSUBACK"; 3]);
}

#[test]
fn a_long_search_through_retained_messages_lets_others_have_their_turn() {
    let mut net = Net::new();
    let publisher = net.client(Version::V5, "p");
    // The newest topic is looked at first.
    net.retain(publisher, "30000/yes", "yes", QoS::AtMostOnce);
    for n in 0..30_000 {
        let retained = Publish { retain: true, ..message("x", "no") };
        let topic = format!("{n}/no");
        let topic = mqtt_codec::TopicName::new(&topic).unwrap();
        net.send(publisher, &mqtt_codec::Packet::Publish(Publish { topic, ..retained }));
    }
    let late = net.client(Version::V5, "l");
    let filters = ["+/yes", "+/none", "+/+/+", "+/yes"].map(|f| subscription(f, QoS::AtMostOnce));
    let granted = net.subscribe_to(late, &filters, &[]).unwrap();
    assert!(granted.iter().all(|reason| reason.value() == 0));
    let soon = net.now + Duration::from_millis(1);
    assert_eq!(net.broker.next_timeout(), Some(soon), "it goes on later");
    // What is sent meanwhile costs no further steps.
    net.subscribe(late, "30000/none", QoS::AtMostOnce);
    assert_eq!(net.broker.next_timeout(), Some(soon));
    net.wait(0.1);
    assert_eq!(net.payloads(late), ["yes", "yes"]);
}

#[test]
fn a_retained_message_of_any_length_is_what_it_was() {
    let list = [
        Property::UserProperty(("key", "value")),
        Property::ContentType("text"),
        Property::MessageExpiryInterval(60),
    ];
    let long = "long level/".repeat(100);
    let topics = ["a", "/", "//", "a//b/", "/x", &long, &"y".repeat(125), &"z".repeat(20_000)];
    for is_durable in [false, true] {
        let mut net = Net::with(|config| config.durable = is_durable);
        let publisher = net.client(Version::V5, "p");
        for topic in topics {
            for (n, len) in
                [1, 90, 110, 119, 120, 121, 122, 123, 1000, 1020, 16_380].iter().enumerate()
            {
                let payload = "x".repeat(*len);
                for properties in [&list[..], &list[..1], &[]] {
                    let qos = EVERY_QOS[n % 3];
                    let publish = Publish {
                        qos,
                        retain: true,
                        properties: properties.into(),
                        ..message(topic, &payload)
                    };
                    net.publish_all_of(publisher, &publish);
                    assert_eq!(net.broker.statistics().retained_messages, 1);
                    let late = net.client(Version::V5, "late");
                    net.subscribe(late, "#", QoS::ExactlyOnce);
                    let messages = net.messages(late);
                    let [told] = &messages[..] else { panic!("{topic} {len}: {messages:?}") };
                    assert!(told.topic.as_str() == topic && told.payload == payload.as_bytes());
                    assert!(told.retain && told.qos == qos, "{told:?}");
                    assert!(told.properties.iter().eq(properties.iter().copied()), "{told:?}");
                    net.cut(late);
                }
            }
            if topic.len() > 1 {
                net.retain(publisher, topic, "", QoS::AtMostOnce);
            } else {
                let properties = list[2..].into();
                let publish = Publish { retain: true, properties, ..message(topic, "gone") };
                net.publish_all_of(publisher, &publish);
                net.wait(61.0);
            }
            let statistics = net.broker.statistics();
            assert_eq!((statistics.retained_messages, statistics.retained_bytes), (0, 0));
        }
    }
}
