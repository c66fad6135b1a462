//! What MQTT 5.0 puts beside a message.

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use serde_json::json;

use crate::support::Version;
use crate::support::paho::Paho;

/// 5.0 [MQTT-3.3.2-4], [MQTT-3.3.2-6], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17],
/// [MQTT-3.3.2-18], [MQTT-3.3.2-20].
pub(crate) fn properties_of_a_message_are_forwarded(address: SocketAddr) -> Option<()> {
    let properties = json!({
        "UserProperty": [["b", "1"], ["a", "2"], ["b", "3"], ["", ""]],
        "ContentType": "text/plain",
        "ResponseTopic": "answers/here",
        "CorrelationData": "number 7",
        "PayloadFormatIndicator": 1,
        "MessageExpiryInterval": 3600,
    });
    let mut early = Paho::connected(address, Version::V5, "early")?;
    early.subscribe("told", 2);
    let mut old = Paho::connected(address, Version::V311, "old")?;
    old.subscribe("told", 2);

    let mut publisher = Paho::connected(address, Version::V5, "pub")?;
    publisher.publish_with(&json!({
        "topic": "told", "payload": "with properties", "qos": 2, "retain": true,
        "properties": properties,
    }));
    let mut late = Paho::connected(address, Version::V5, "late")?;
    late.subscribe("told", 2);

    for (subscriber, retain) in [(&mut early, false), (&mut late, true)] {
        let mut message = subscriber.message();
        assert_eq!(message.told(), ("told", "with properties", 2, retain));
        // Counts down while the message is with the broker, [MQTT-3.3.2-6].
        let left = message.properties["MessageExpiryInterval"].take();
        assert!((3590..=3600).contains(&left.as_u64().expect("seconds")), "{left}");
        message.properties["MessageExpiryInterval"] = json!(3600);
        assert_eq!(message.properties, properties);
    }
    assert_eq!(old.message().told(), ("told", "with properties", 2, false));
    Some(())
}

/// 5.0 [MQTT-3.3.2-5].
pub(crate) fn messages_expire_while_they_wait(address: SocketAddr) -> Option<()> {
    let mut sleeper = Paho::start(address, Version::V5, "sleeper")?;
    sleeper.connect(&json!({"clean": false, "expiry": 300}));
    sleeper.subscribe("short", 1);
    sleeper.disconnect();
    let mut publisher = Paho::connected(address, Version::V5, "pub")?;
    for (payload, seconds) in [("too late", 1), ("in time", 100)] {
        publisher.publish_with(&json!({
            "topic": "short", "payload": payload, "qos": 1,
            "properties": {"MessageExpiryInterval": seconds},
        }));
    }
    thread::sleep(Duration::from_millis(2100)); // above one second in any rounding
    assert_eq!(sleeper.reconnect()["session_present"], true);
    assert_eq!(sleeper.message().payload, "in time");
    Some(())
}
