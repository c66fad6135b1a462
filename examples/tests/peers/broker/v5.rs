//! What clients of MQTT 5.0 may ask of a broker.

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use serde_json::{Value, json};

use crate::support::paho::Paho;
use crate::support::raw::{Connect, Raw, packet};
use crate::support::{Message, Version};

fn connected(address: SocketAddr, client_id: &str) -> Option<Paho> {
    Paho::connected(address, Version::V5, client_id)
}

/// [MQTT-3.8.3-3].
pub(crate) fn no_local_keeps_a_message_from_its_publisher(address: SocketAddr) -> Option<()> {
    let mut both = connected(address, "both")?;
    both.subscribe_with(&json!({"filter": "room", "qos": 1, "options": {"noLocal": true}}));
    let mut other = connected(address, "other")?;
    other.subscribe("room", 1);
    both.publish("room", "mine", 1, false);
    other.publish("room", "yours", 1, false);
    assert_eq!(both.message().payload, "yours");
    assert_eq!([other.message().payload, other.message().payload], ["mine", "yours"]);
    Some(())
}

/// [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11].
pub(crate) fn retain_handling_decides_what_a_subscription_brings(
    address: SocketAddr,
) -> Option<()> {
    let mut publisher = connected(address, "pub")?;
    publisher.publish("kept", "retained", 1, true);
    // Which of two subscriptions in a row brings the retained message.
    for (handling, expected) in [(0, [true, true]), (1, [true, false]), (2, [false, false])] {
        let mut subscriber = connected(address, "sub")?;
        for brings in expected {
            let options = json!({"retainHandling": handling});
            subscriber.subscribe_with(&json!({"filter": "kept", "qos": 1, "options": options}));
            publisher.publish("kept", "live", 1, false);
            if brings {
                assert_eq!(subscriber.message().told(), ("kept", "retained", 1, true));
            }
            assert_eq!(subscriber.message().told(), ("kept", "live", 1, false), "{handling}");
        }
    }
    Some(())
}

/// [MQTT-3.3.1-12], [MQTT-3.3.1-13].
pub(crate) fn retain_as_published_keeps_the_flag(address: SocketAddr) -> Option<()> {
    for kept in [false, true] {
        let mut client = connected(address, "client")?;
        let options = json!({"retainAsPublished": kept});
        client.subscribe_with(&json!({"filter": "flag/+", "qos": 1, "options": options}));
        client.publish("flag/a", "with", 1, true);
        client.publish("flag/a", "without", 1, false);
        assert_eq!(client.message().told(), ("flag/a", "with", 1, kept));
        assert_eq!(client.message().told(), ("flag/a", "without", 1, false));
        client.publish("flag/a", "", 1, true);
        client.disconnect();
    }
    Some(())
}

/// [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.4-5]: in one copy or in several.
pub(crate) fn subscription_identifiers_come_with_each_message(address: SocketAddr) -> Option<()> {
    let mut client = connected(address, "client")?;
    client.subscribe_with(&json!({"filter": "over/+", "qos": 1, "identifier": 7}));
    client.subscribe_with(&json!({"filter": "over/#", "qos": 1, "identifier": 300}));
    client.subscribe("last", 1);
    client.publish("over/lap", "a", 1, false);
    client.publish("last", "b", 1, false);
    let mut identifiers = Vec::new();
    let last = loop {
        let message = client.message();
        if message.topic == "last" {
            break message;
        }
        let told = message.properties["SubscriptionIdentifier"].clone();
        identifiers.extend(told.as_array().expect("a list").iter().filter_map(Value::as_u64));
    };
    identifiers.sort_unstable();
    assert_eq!(identifiers, [7, 300]);
    assert!(last.properties.get("SubscriptionIdentifier").is_none(), "{last:?}");
    Some(())
}

/// [MQTT-4.8.2-1], section 4.8.2.
pub(crate) fn a_shared_subscription_gives_each_message_to_one_member(
    address: SocketAddr,
) -> Option<()> {
    let mut members = [connected(address, "one")?, connected(address, "two")?];
    for member in &mut members {
        member.subscribe("$share/crew/work/+", 1);
        member.subscribe("end", 1);
    }
    let mut outsider = connected(address, "outsider")?;
    outsider.subscribe("work/+", 1);
    for number in 0..20 {
        outsider.publish("work/a", &number.to_string(), 1, false);
    }
    outsider.publish("end", "", 1, false);

    let mut done: Vec<u32> = Vec::new();
    for member in &mut members {
        let messages = core::iter::from_fn(|| Some(member.message()).filter(|m| m.topic != "end"));
        let share: Vec<Message> = messages.collect();
        assert!(!share.is_empty(), "both are there, so both get something");
        done.extend(share.iter().map(|message| message.payload.parse::<u32>().expect("a number")));
    }
    done.sort_unstable();
    assert_eq!(done, (0..20).collect::<Vec<u32>>());
    let all = (0..20).map(|_| outsider.message().payload);
    assert!(all.eq((0..20).map(|number| number.to_string())));
    Some(())
}

/// [MQTT-3.3.4-9], section 3.1.2.11.3.
pub(crate) fn no_more_than_receive_maximum_messages_are_on_their_way(
    address: SocketAddr,
) -> Option<()> {
    // CONNECT with Receive Maximum 2.
    let mut slow = connect_with(address, "slow", &[0x21, 0, 2]);
    slow.subscribe("flow", 1);
    let mut publisher = connected(address, "pub")?;
    for payload in ["a", "b", "c", "d"] {
        publisher.publish("flow", payload, 1, false);
    }
    let first = slow.published();
    assert_eq!((first.payload.as_str(), slow.published().payload.as_str()), ("a", "b"));
    // Nothing more may come; the answer to a PINGREQ shows that nothing did.
    slow.send(&[0xc0, 0]);
    assert_eq!(slow.packet().as_deref(), Some(&[0xd0, 0][..]));
    slow.acknowledge(0x40, first.id);
    assert_eq!(slow.published().payload, "c");
    Some(())
}

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25].
pub(crate) fn a_message_above_the_maximum_packet_size_is_not_sent(
    address: SocketAddr,
) -> Option<()> {
    // CONNECT with Maximum Packet Size 40.
    let mut small = connect_with(address, "small", &[0x27, 0, 0, 0, 40]);
    small.subscribe("size", 1);
    let mut publisher = connected(address, "pub")?;
    publisher.publish("size", &"x".repeat(60), 1, false);
    publisher.publish("size", "fits", 1, false);
    let arrived = small.published();
    assert_eq!(arrived.payload, "fits");
    small.acknowledge(0x40, arrived.id);
    Some(())
}

/// [MQTT-3.3.2-12], [MQTT-3.3.2-9] is the broker's own limit, told in CONNACK.
pub(crate) fn a_topic_alias_stands_for_the_topic_it_was_sent_with(
    address: SocketAddr,
) -> Option<()> {
    let mut subscriber = connected(address, "sub")?;
    subscriber.subscribe("alias/#", 0);
    let mut publisher = Raw::open(address);
    publisher.send(&packet(0x10, b"\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01p"));
    let connack = publisher.packet().expect("a CONNACK");
    // Topic Alias Maximum, 0x22; without it there are no aliases to test.
    let maximum = connack.windows(3).skip(4).find(|bytes| bytes[0] == 0x22);
    assert!(maximum.is_some_and(|bytes| bytes[1..] != [0, 0]), "{connack:02x?}");
    for bytes in [
        &b"\x00\x07alias/a\x03\x23\x00\x01first"[..],
        b"\x00\x00\x03\x23\x00\x01second",
        b"\x00\x07alias/b\x03\x23\x00\x01third",
        b"\x00\x00\x03\x23\x00\x01fourth",
    ] {
        publisher.send(&packet(0x30, bytes));
    }
    for (topic, payload) in
        [("alias/a", "first"), ("alias/a", "second"), ("alias/b", "third"), ("alias/b", "fourth")]
    {
        assert_eq!(subscriber.message().told(), (topic, payload, 0, false));
    }
    Some(())
}

/// [MQTT-3.1.2-8], section 3.1.3.2.2.
pub(crate) fn a_will_waits_for_its_delay(address: SocketAddr) -> Option<()> {
    let mut watcher = connected(address, "watcher")?;
    watcher.subscribe("wills/#", 1);
    let mut doomed = Paho::start(address, Version::V5, "doomed")?;
    let will = json!({"topic": "wills/late", "payload": "gone", "qos": 1, "delay": 2});
    doomed.connect(&json!({"expiry": 300, "will": will}));
    doomed.kill();
    thread::sleep(Duration::from_millis(500));
    watcher.publish("wills/before", "", 1, false);
    assert_eq!(watcher.message().topic, "wills/before");
    assert_eq!(watcher.message().topic, "wills/late");
    Some(())
}

/// [MQTT-3.1.3-9].
pub(crate) fn a_will_is_dropped_when_the_client_returns_in_time(address: SocketAddr) -> Option<()> {
    let mut watcher = connected(address, "watcher")?;
    watcher.subscribe("wills/#", 1);
    let mut doomed = Paho::start(address, Version::V5, "doomed")?;
    let will = json!({"topic": "wills/late", "payload": "gone", "qos": 1, "delay": 3});
    doomed.connect(&json!({"clean": false, "expiry": 300, "will": will}));
    // Started before, so that what a process takes to start is not part of the delay.
    let mut back = Paho::start(address, Version::V5, "doomed")?;
    doomed.kill();
    assert_eq!(back.connect(&json!({"clean": false, "expiry": 300}))["session_present"], true);
    thread::sleep(Duration::from_millis(4500)); // well above the delay
    watcher.publish("wills/none", "", 1, false);
    assert_eq!(watcher.message().topic, "wills/none");
    Some(())
}

/// [MQTT-3.1.2-23], section 3.1.2.11.2.
pub(crate) fn a_session_ends_with_its_expiry_interval(address: SocketAddr) -> Option<()> {
    for (expiry, waits, present) in [(1, 2500, false), (300, 0, true), (0, 0, false)] {
        let mut client = connected(address, "sleeper")?;
        client.disconnect();
        assert_eq!(client.connect(&json!({"clean": false, "expiry": expiry}))["reason"], 0);
        client.disconnect();
        thread::sleep(Duration::from_millis(waits));
        let again = client.connect(&json!({"clean": false, "expiry": 0}));
        assert_eq!(again["session_present"], present, "{expiry} s");
        client.disconnect();
    }
    Some(())
}

/// A clean session with `properties` in its CONNECT.
fn connect_with(address: SocketAddr, client_id: &str, properties: &[u8]) -> Raw {
    Raw::connect(address, Connect { properties, ..Connect::new(Version::V5, client_id) }).0
}
