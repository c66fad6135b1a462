//! What outlives a connection, and what its end sets off.

use core::net::SocketAddr;

use serde_json::json;

use crate::support::paho::Paho;
use crate::support::raw::Raw;
use crate::support::{Message, Version};

/// 5.0 [MQTT-3.1.2-5], [MQTT-3.1.2-23], [MQTT-3.2.2-3]; [MQTT-3.1.2-4 of 3.1.1], [MQTT-3.1.2-5 of 3.1.1],
/// [MQTT-3.2.2-2 of 3.1.1], [MQTT-3.2.2-3 of 3.1.1]; the order by 5.0 [MQTT-4.6.0-5], [MQTT-4.6.0-6 of 3.1.1].
pub(crate) fn a_session_kept_across_a_reconnect_has_queued_what_came(
    address: SocketAddr,
) -> Option<()> {
    let keep = json!({"clean": false, "expiry": 300});
    for version in Version::BOTH {
        let mut sleeper = Paho::start(address, version, "sleeper")?;
        assert_eq!(sleeper.connect(&keep)["session_present"], false);
        sleeper.subscribe("night/#", 2);
        sleeper.disconnect();

        let mut publisher = Paho::connected(address, version, "pub")?;
        let sent = |n: u8| (format!("night/{}", n % 3), format!("message {n}"), 1 + n % 2);
        for (topic, payload, qos) in (0..20).map(sent) {
            publisher.publish(&topic, &payload, qos, false);
        }

        assert_eq!(sleeper.reconnect()["session_present"], true);
        publisher.publish("night/over", "live", 0, false);
        // Ordered for each QoS by itself: Paho hands a message of QoS 2 over only at its PUBREL.
        let mut arrived: [Vec<Message>; 3] = Default::default();
        for message in (0..=20).map(|_| sleeper.message()) {
            arrived[usize::from(message.qos)].push(message);
        }
        for qos in 1..=2 {
            let told: Vec<_> = arrived[usize::from(qos)].iter().map(Message::told).collect();
            let sent: Vec<_> = (0..20).map(sent).filter(|sent| sent.2 == qos).collect();
            let sent: Vec<_> =
                sent.iter().map(|(t, p, q)| (t.as_str(), p.as_str(), *q, false)).collect();
            assert_eq!(told, sent);
        }
        assert_eq!(arrived[0][0].told(), ("night/over", "live", 0, false));
        sleeper.disconnect();
        // The next round speaks another version, and must find nothing.
        assert_eq!(sleeper.connect(&json!({"clean": true}))["session_present"], false);
        sleeper.disconnect();
    }
    Some(())
}

/// 5.0 [MQTT-3.1.2-4], [MQTT-3.2.2-2]; [MQTT-3.1.2-6 of 3.1.1], [MQTT-3.2.2-1 of 3.1.1].
pub(crate) fn a_clean_session_forgets_its_subscriptions(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut client = Paho::start(address, version, "forgetful")?;
        client.connect(&json!({"clean": false, "expiry": 300}));
        client.subscribe("old", 1);
        client.disconnect();
        assert_eq!(client.connect(&json!({"clean": true}))["session_present"], false);
        client.subscribe("new", 1);
        client.publish("old", "nobody listens", 1, false);
        client.publish("new", "heard", 1, false);
        assert_eq!(client.message().payload, "heard");
    }
    Some(())
}

/// 5.0 [MQTT-3.1.2-8], [MQTT-3.1.2-14], [MQTT-3.1.2-15]; [MQTT-3.1.2-8 of 3.1.1],
/// [MQTT-3.1.2-16 of 3.1.1], [MQTT-3.1.2-17 of 3.1.1].
pub(crate) fn the_will_is_published_when_a_client_is_killed(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        for (qos, retain) in [(0, false), (1, true), (2, false)] {
            let topic = format!("wills/{}/{qos}", version.level());
            let mut watcher = Paho::connected(address, version, "watcher")?;
            watcher.subscribe("wills/#", 2);
            let mut doomed = Paho::start(address, version, "doomed")?;
            let will = json!({"topic": topic, "payload": "gone", "qos": qos, "retain": retain});
            assert_eq!(doomed.connect(&json!({"will": will}))["reason"], 0);
            doomed.kill();
            // One from an earlier round may be retained: told by its RETAIN flag.
            let mut live = core::iter::repeat_with(|| watcher.message()).filter(|m| !m.retain);
            let message = live.next().expect("there is no end");
            assert_eq!(message.told(), (topic.as_str(), "gone", qos, false));

            let mut late = Paho::connected(address, version, "late")?;
            late.subscribe(&topic, 2);
            watcher.publish(&topic, "live", 0, false);
            assert_eq!(late.message().retain, retain);
        }
    }
    Some(())
}

/// 5.0 [MQTT-3.1.2-10], [MQTT-3.14.4-3]; [MQTT-3.1.2-10 of 3.1.1], [MQTT-3.14.4-3 of 3.1.1].
pub(crate) fn the_will_is_dropped_by_a_disconnect(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut watcher = Paho::connected(address, version, "watcher")?;
        watcher.subscribe("wills/#", 1);
        let mut polite = Paho::start(address, version, "polite")?;
        polite.connect(&json!({"will": {"topic": "wills/polite", "payload": "gone", "qos": 1}}));
        polite.disconnect();
        watcher.publish("wills/none", "nothing before this", 1, false);
        assert_eq!(watcher.message().payload, "nothing before this");
    }
    Some(())
}

/// 5.0 [MQTT-3.1.4-3]; [MQTT-3.1.4-2 of 3.1.1].
pub(crate) fn a_second_client_of_the_same_name_takes_over(address: SocketAddr) -> Option<()> {
    for version in Version::BOTH {
        let mut first = Raw::connected(address, version, "twin");
        let mut second = Paho::connected(address, version, "twin")?;
        first.until_closed();
        second.subscribe("mine", 1);
        second.publish("mine", "still here", 1, false);
        assert_eq!(second.message().payload, "still here");
    }
    Some(())
}

/// 5.0 [MQTT-3.1.4-3]: DISCONNECT 0x8E.
pub(crate) fn a_v5_client_is_told_that_its_session_was_taken_over(
    address: SocketAddr,
) -> Option<()> {
    let mut first = Raw::connected(address, Version::V5, "twin");
    let _second = Raw::connected(address, Version::V5, "twin");
    let told = first.until_closed().expect("a DISCONNECT");
    assert_eq!((told[0], told[2]), (0xe0, 0x8e), "{told:02x?}");
    Some(())
}
