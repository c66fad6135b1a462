//! What is published reaches who subscribed.

use core::net::SocketAddr;

use crate::support::paho::Paho;
use crate::support::{Message, Version, mosquitto_cli, rumqtt};

type NextMessage = Box<dyn FnMut() -> Message>;

/// Three subscribers, each from another project, and then three publishers: each of the first
/// must hear each of the others once, in order.
///
/// Over TCP, [MQTT-4.2.0-1], [MQTT-7.1.1-1 of 3.1.1]: 5.0 [MQTT-4.3.1-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-11], [MQTT-3.8.4-6];
/// [MQTT-4.3.2-2 of 3.1.1], [MQTT-4.3.3-2 of 3.1.1], [MQTT-3.8.4-5 of 3.1.1].
fn every_client_hears_every_other(
    address: SocketAddr,
    publishers: Version,
    subscribers: Version,
) -> Option<()> {
    for qos in 0..=2 {
        let topic = format!("qos/{qos}");
        let cli = mosquitto_cli::Subscriber::start(address, subscribers, &topic, qos, &[])?;
        let rumqtt = rumqtt::Subscriber::start(address, subscribers, "rumqtt-sub", &topic, qos);
        let mut paho = Paho::connected(address, subscribers, "paho-sub")?;
        assert_eq!(paho.subscribe(&topic, qos), u64::from(qos));

        mosquitto_cli::publish(address, publishers, &topic, "from mosquitto_pub", qos, &[])?;
        rumqtt::publish(address, publishers, "rumqtt-pub", &topic, "from rumqttc", qos);
        let mut publisher = Paho::connected(address, publishers, "paho-pub")?;
        publisher.publish(&topic, "from paho", qos, false);

        let mut next: [(&str, NextMessage); 3] = [
            ("mosquitto_sub", Box::new(move || cli.message())),
            ("rumqttc", Box::new(move || rumqtt.message())),
            ("paho", Box::new(move || paho.message())),
        ];
        for (name, next) in &mut next {
            for payload in ["from mosquitto_pub", "from rumqttc", "from paho"] {
                let message = next();
                assert_eq!(message.told(), (topic.as_str(), payload, qos, false), "{name}");
            }
        }
    }
    Some(())
}

pub(crate) fn every_v311_client_hears_every_v311_client(address: SocketAddr) -> Option<()> {
    every_client_hears_every_other(address, Version::V311, Version::V311)
}

pub(crate) fn every_v311_client_hears_every_v5_client(address: SocketAddr) -> Option<()> {
    every_client_hears_every_other(address, Version::V5, Version::V311)
}

pub(crate) fn every_v5_client_hears_every_v311_client(address: SocketAddr) -> Option<()> {
    every_client_hears_every_other(address, Version::V311, Version::V5)
}

pub(crate) fn every_v5_client_hears_every_v5_client(address: SocketAddr) -> Option<()> {
    every_client_hears_every_other(address, Version::V5, Version::V5)
}

/// 5.0 [MQTT-3.8.4-8]; [MQTT-3.8.4-6 of 3.1.1].
pub(crate) fn a_message_goes_out_with_the_lower_of_the_two_qos(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut publisher = Paho::connected(address, version, "pub")?;
        for granted in 0..=2 {
            let mut subscriber = Paho::connected(address, version, "sub")?;
            assert_eq!(subscriber.subscribe("lower", granted), u64::from(granted));
            for published in 0..=2 {
                publisher.publish("lower", &format!("at {published}"), published, false);
                let message = subscriber.message();
                let lower = published.min(granted);
                assert_eq!(message.told(), ("lower", &*format!("at {published}"), lower, false));
            }
        }
    }
    Some(())
}

/// 5.0 [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-4] and section 4.7.1; [MQTT-4.7.1-2 of 3.1.1],
/// [MQTT-4.7.1-3 of 3.1.1], [MQTT-4.7.3-4 of 3.1.1].
pub(crate) fn wildcards_match_whole_levels(address: SocketAddr) -> Option<()> {
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("home/+/temp", &["home/a/temp", "home//temp"], &["home/temp", "home/a/b/temp"]),
        ("home/#", &["home", "home/", "home/a/b"], &["homes", "Home/a"]),
        ("+", &["home"], &["home/a", "/home"]),
        ("+/+", &["a/b", "/b", "/"], &["a", "a/b/c"]),
        ("#", &["a", "/a", "a/b/c"], &[]),
        ("home/+/#", &["home/a", "home/a/b/c"], &["home"]),
    ];
    for version in Version::BOTH {
        let mut publisher = Paho::connected(address, version, "pub")?;
        let mut subscriber = Paho::connected(address, version, "sub")?;
        for (filter, matching, others) in cases {
            subscriber.subscribe(filter, 1);
            for topic in others.iter().chain(matching) {
                publisher.publish(topic, filter, 1, false);
            }
            for topic in matching {
                assert_eq!(subscriber.message().told(), (*topic, filter, 1, false));
            }
            subscriber.unsubscribe(filter);
        }
    }
    Some(())
}

/// [MQTT-4.7.2-1].
pub(crate) fn wildcards_at_the_start_do_not_match_dollar_topics(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut all = Paho::connected(address, version, "all")?;
        all.subscribe("#", 1);
        let mut first = Paho::connected(address, version, "first")?;
        first.subscribe("+/news", 1);
        let mut named = Paho::connected(address, version, "named")?;
        named.subscribe("$house/+", 1);

        let mut publisher = Paho::connected(address, version, "pub")?;
        publisher.publish("$house/news", "hidden", 1, false);
        publisher.publish("house/news", "open", 1, false);

        assert_eq!(named.message().told(), ("$house/news", "hidden", 1, false));
        assert_eq!(all.message().told(), ("house/news", "open", 1, false));
        assert_eq!(first.message().told(), ("house/news", "open", 1, false));
    }
    Some(())
}

/// 5.0 [MQTT-3.10.4-1], [MQTT-3.10.4-2]; [MQTT-3.10.4-1 of 3.1.1], [MQTT-3.10.4-2 of 3.1.1].
pub(crate) fn messages_stop_after_unsubscribe(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut subscriber = Paho::connected(address, version, "sub")?;
        subscriber.subscribe("left", 1);
        subscriber.subscribe("kept", 1);
        let mut publisher = Paho::connected(address, version, "pub")?;
        publisher.publish("left", "before", 1, false);
        assert_eq!(subscriber.message().payload, "before");
        subscriber.unsubscribe("left");
        publisher.publish("left", "after", 1, false);
        publisher.publish("kept", "last", 1, false);
        assert_eq!(subscriber.message().payload, "last");
    }
    Some(())
}

/// The Remaining Length takes three bytes, and the message more than one read of a socket.
pub(crate) fn a_large_message_arrives_unchanged(address: SocketAddr) -> Option<()> {
    let payload: String = (0..30_000).map(|number| format!("{number} ")).collect();
    for version in Version::BOTH {
        let mut subscriber = Paho::connected(address, version, "sub")?;
        subscriber.subscribe("large", 2);
        let mut publisher = Paho::connected(address, version, "pub")?;
        publisher.publish("large", &payload, 2, false);
        assert!(subscriber.message().payload == payload, "{} bytes", payload.len());
    }
    Some(())
}
