//! The packets under a message, which clients keep to themselves.

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::support::Version;
use crate::support::paho::Paho;
use crate::support::raw::{Connect, Publish, Raw};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

fn publish(qos: u8, id: u16, payload: &str) -> Publish {
    Publish { dup: false, qos, id, topic: "hand/shake".into(), payload: payload.into() }
}

/// 5.0 [MQTT-4.3.3-8], [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12];
/// [MQTT-4.3.3-2 of 3.1.1].
pub(crate) fn a_repeated_qos_2_publish_is_delivered_once(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut subscriber = Paho::connected(address, version, "sub")?;
        // At QoS 1, because Paho hands a message of QoS 2 over only at its PUBREL.
        subscriber.subscribe("hand/shake", 1);
        let mut publisher = Raw::connected(address, version, "pub");
        for payload in ["once", "a new message, of the same packet identifier"] {
            publisher.publish(&publish(2, 7, payload));
            publisher.acknowledged(PUBREC, 7);
            publisher.publish(&Publish { dup: true, ..publish(2, 7, payload) });
            publisher.acknowledged(PUBREC, 7);
            publisher.acknowledge(PUBREL, 7);
            publisher.acknowledged(PUBCOMP, 7);
        }
        publisher.publish(&publish(1, 8, "last"));
        publisher.acknowledged(PUBACK, 8);
        let heard: [String; 3] = core::array::from_fn(|_| subscriber.message().payload);
        assert_eq!(heard, ["once", "a new message, of the same packet identifier", "last"]);
    }
    Some(())
}

/// 5.0 [MQTT-4.4.0-1], [MQTT-4.4.0-2], [MQTT-3.3.1-1], [MQTT-4.6.0-5]; [MQTT-4.4.0-1 of 3.1.1],
/// [MQTT-3.3.1-1 of 3.1.1], [MQTT-4.6.0-6 of 3.1.1].
pub(crate) fn what_was_not_acknowledged_comes_again_with_dup_after_a_reconnect(
    address: SocketAddr,
) -> Option<()> {
    for version in Version::BOTH {
        let kept = Connect { clean: false, ..Connect::new(version, "keeper") };
        let (mut subscriber, _) = Raw::connect(address, kept);
        subscriber.subscribe("hand/shake", 2);
        let mut publisher = Paho::connected(address, version, "pub")?;
        for (payload, qos) in [("a", 1), ("b", 1), ("c", 2), ("d", 1)] {
            publisher.publish("hand/shake", payload, qos, false);
        }
        let first: [Publish; 4] = core::array::from_fn(|_| subscriber.published());
        assert!(first.iter().all(|publish| !publish.dup), "{first:?}");
        subscriber.acknowledge(PUBACK, first[1].id);
        drop(subscriber);

        let (mut subscriber, present) = Raw::connect(address, kept);
        assert!(present);
        let [a, _, c, d] = first;
        for expected in [a, c, d] {
            assert_eq!(subscriber.published(), Publish { dup: true, ..expected });
        }
        // Ends the session: the next version starts with nothing.
        drop(Raw::connected(address, version, "keeper"));
    }
    Some(())
}

/// 5.0 [MQTT-4.3.3-5], [MQTT-4.3.3-6], [MQTT-4.4.0-1]; [MQTT-4.3.3-1 of 3.1.1], [MQTT-4.4.0-1 of 3.1.1].
pub(crate) fn after_a_pubrec_only_the_pubrel_comes_again(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let kept = Connect { clean: false, ..Connect::new(version, "keeper") };
        let (mut subscriber, _) = Raw::connect(address, kept);
        subscriber.subscribe("hand/shake", 2);
        let mut publisher = Paho::connected(address, version, "pub")?;
        publisher.publish("hand/shake", "received", 2, false);
        let id = subscriber.published().id;
        subscriber.acknowledge(PUBREC, id);
        subscriber.acknowledged(PUBREL, id);
        drop(subscriber);

        let (mut subscriber, present) = Raw::connect(address, kept);
        assert!(present);
        subscriber.acknowledged(PUBREL, id);
        subscriber.acknowledge(PUBCOMP, id);
        publisher.publish("hand/shake", "next", 1, false);
        assert_eq!(subscriber.published().payload, "next");
        drop(Raw::connected(address, version, "keeper"));
    }
    Some(())
}

/// [MQTT-3.12.4-1].
pub(crate) fn a_ping_is_answered(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut client = Raw::connected(address, version, "pinging");
        client.send(&[0xc0, 0]);
        assert_eq!(client.packet().as_deref(), Some(&[0xd0, 0][..]));
    }
    Some(())
}

/// 5.0 [MQTT-3.1.2-22]; [MQTT-3.1.2-24 of 3.1.1].
pub(crate) fn a_silent_client_is_dropped_after_one_and_a_half_keep_alives(
    address: SocketAddr,
) -> Option<()> {
    let from = Instant::now();
    let silent = [(Version::V311, "old"), (Version::V5, "new")].map(|(version, name)| {
        Raw::connect(address, Connect { keep_alive: 1, ..Connect::new(version, name) }).0
    });
    for mut client in silent {
        client.until_closed();
        let passed = from.elapsed();
        // Earlier would punish a client that keeps the rule. Later is a matter of the broker's
        // clock: mosquitto looks every five seconds.
        assert!(passed >= Duration::from_millis(1500), "{passed:?}");
        assert!(passed < Duration::from_secs(15), "{passed:?}");
    }
    Some(())
}

/// 5.0 [MQTT-3.1.3-6], [MQTT-3.1.3-7]; [MQTT-3.1.3-6 of 3.1.1], [MQTT-3.1.3-8 of 3.1.1].
pub(crate) fn an_empty_client_identifier_gets_one_assigned(address: SocketAddr) -> Option<()> {
    // Two at once: the same identifier for both would be a takeover.
    let mut both =
        [Raw::connected(address, Version::V311, ""), Raw::connected(address, Version::V311, "")];
    for client in &mut both {
        client.send(&[0xc0, 0]);
        assert_eq!(client.packet().as_deref(), Some(&[0xd0, 0][..]));
    }
    let mut kept = Raw::open(address);
    kept.send(&Connect { clean: false, ..Connect::new(Version::V311, "") }.bytes());
    assert_eq!(kept.packet().as_deref(), Some(&[0x20, 2, 0, 2][..]), "identifier rejected");
    assert_eq!(kept.packet(), None);

    let mut named = Paho::start(address, Version::V5, "")?;
    let connected = named.connect(&json!({}));
    let name = connected["properties"]["AssignedClientIdentifier"].as_str();
    assert!(name.is_some_and(|name| !name.is_empty()), "{connected}");
    Some(())
}
