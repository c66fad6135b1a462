//! What is forwarded with a message.

use mqtt_codec::{Packet, Property, PropertyId, Publish, QoS, TopicName, Version};

use crate::harness::{EVERY_QOS, Net, message};

fn properties() -> [Property<'static>; 9] {
    [
        Property::UserProperty(("b", "1")),
        Property::PayloadFormatIndicator(true),
        Property::ContentType("text/plain"),
        Property::UserProperty(("a", "2")),
        Property::ResponseTopic(TopicName::new("answer/here").unwrap()),
        Property::UserProperty(("b", "3")),
        Property::CorrelationData(&[0, 0xFF, 7]),
        Property::UserProperty(("", "")),
        Property::UserProperty(("b", "1")),
    ]
}

// [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18],
// [MQTT-3.3.2-20]
#[test]
fn properties_are_forwarded_unaltered_and_in_order_live_queued_and_retained() {
    for qos in EVERY_QOS {
        let mut net = Net::with(|config| config.queue_qos_0 = true);
        let list = properties();
        let live = net.client(Version::V5, "live");
        net.subscribe(live, "a", qos);
        let (sleeper, _) = net.keeper(Version::V5, "sleeper");
        net.subscribe(sleeper, "a", qos);
        net.cut(sleeper);
        let publisher = net.client(Version::V5, "p");
        let publish =
            Publish { qos, retain: true, properties: list[..].into(), ..message("a", "x") };
        net.publish_all_of(publisher, &publish);
        let late = net.client(Version::V5, "late");
        net.subscribe(late, "a", qos);
        let (sleeper, _) = net.keeper(Version::V5, "sleeper");
        for client in [live, sleeper, late] {
            let messages = net.messages(client);
            assert_eq!(messages.len(), 1);
            assert!(messages[0].properties.iter().eq(list), "{:?}", messages[0].properties);
        }
    }
}

#[test]
fn a_client_of_311_gets_the_message_without_properties() {
    let mut net = Net::new();
    let old = net.client(Version::V311, "old");
    net.subscribe(old, "a", QoS::AtLeastOnce);
    let publisher = net.client(Version::V5, "p");
    let list = properties();
    let publish = Publish { properties: list[..].into(), ..message("a", "x") };
    net.publish_all_of(publisher, &publish);
    assert_eq!(net.payloads(old), ["x"]);
}

// [MQTT-3.3.2-5]
#[test]
fn a_message_that_expires_while_it_waits_is_not_sent() {
    let mut net = Net::new();
    let (sleeper, _) = net.keeper(Version::V5, "sleeper");
    net.subscribe(sleeper, "a", QoS::ExactlyOnce);
    net.cut(sleeper);
    let publisher = net.client(Version::V5, "p");
    for (payload, seconds) in [("short", 5), ("long", 50)] {
        let list = [Property::MessageExpiryInterval(seconds)];
        let publish =
            Publish { qos: QoS::AtLeastOnce, properties: list[..].into(), ..message("a", payload) };
        net.publish_all_of(publisher, &publish);
    }
    net.publish(publisher, "a", "for ever", QoS::ExactlyOnce);
    net.wait(5.0);
    let (sleeper, _) = net.keeper(Version::V5, "sleeper");
    assert_eq!(net.payloads(sleeper), ["long", "for ever"]);
}

// [MQTT-3.3.2-6]
#[test]
fn the_message_expiry_interval_counts_down_while_the_message_waits() {
    let mut net = Net::new();
    let (sleeper, _) = net.keeper(Version::V5, "sleeper");
    net.subscribe(sleeper, "a", QoS::AtLeastOnce);
    let list = [Property::MessageExpiryInterval(50), Property::UserProperty(("k", "v"))];
    let publish =
        Publish { qos: QoS::AtLeastOnce, properties: list[..].into(), ..message("a", "x") };
    let publisher = net.client(Version::V5, "p");
    net.publish_all_of(publisher, &publish);
    let intervals = |packets: &[Packet<'_>]| {
        let left = packets.iter().filter_map(|packet| match packet {
            Packet::Publish(publish) => {
                assert_eq!(publish.properties.user_property(), Some(("k", "v")));
                let all = publish.properties.iter();
                assert_eq!(all.filter(|p| p.id() == PropertyId::MessageExpiryInterval).count(), 1);
                publish.properties.message_expiry_interval()
            }
            _ => None,
        });
        left.collect::<Vec<_>>()
    };
    assert_eq!(intervals(&net.packets(sleeper)), [50], "sent at once, and not acknowledged");
    net.cut(sleeper);
    net.publish_all_of(publisher, &publish);
    net.wait(20.0);
    let list = [Property::SessionExpiryInterval(1000)];
    let sleeper = net.open(Version::V5);
    let connect = mqtt_codec::Connect {
        clean_start: false,
        properties: list[..].into(),
        ..mqtt_codec::Connect::new(Version::V5, "sleeper")
    };
    net.send(sleeper, &Packet::Connect(connect));
    assert_eq!(intervals(&net.packets(sleeper)), [30, 30], "sent again, and from the queue");
}

#[test]
fn a_topic_alias_of_the_publisher_is_resolved_and_not_passed_on() {
    let mut net = Net::new();
    let subscriber = net.client(Version::V5, "s");
    net.subscribe(subscriber, "a/+", QoS::AtLeastOnce);
    let publisher = net.client(Version::V5, "p");
    let list = [
        Property::UserProperty(("k", "v")),
        Property::TopicAlias(3.try_into().unwrap()),
        Property::UserProperty(("l", "w")),
    ];
    let properties = list[..].into();
    net.publish_all_of(publisher, &Publish { properties, ..message("a/b", "1") });
    let aliased = Publish { topic: TopicName::ALIASED, properties, ..message("a", "2") };
    net.publish_all_of(publisher, &aliased);
    let messages = net.messages(subscriber);
    assert_eq!(messages.len(), 2);
    for message in messages {
        assert_eq!(message.topic.as_str(), "a/b");
        assert!(message.properties.iter().eq([list[0], list[2]]));
    }
}

#[test]
fn a_message_is_passed_on_with_aliases_where_both_sides_want_them() {
    let mut net = Net::with(|config| config.topic_aliases = mqtt_session::TopicAliases::Lru(4));
    let list = [Property::TopicAliasMaximum(2)];
    let connect = mqtt_codec::Connect {
        properties: list[..].into(),
        ..mqtt_codec::Connect::new(Version::V5, "s")
    };
    let (subscriber, _) = net.connect(&connect);
    net.subscribe(subscriber, "topic/#", QoS::AtMostOnce);
    let publisher = net.client(Version::V5, "p");
    for topic in ["topic/1", "topic/1", "topic/2", "topic/1"] {
        net.publish(publisher, topic, "x", QoS::AtMostOnce);
    }
    let messages = net.messages(subscriber);
    let told: Vec<_> = messages
        .iter()
        .map(|m| (m.topic.as_str(), m.properties.topic_alias().unwrap().get()))
        .collect();
    assert_eq!(told, [("topic/1", 1), ("", 1), ("topic/2", 2), ("", 1)]);
}
