//! What outlives a connection, and for how long.

use mqtt_codec::{Connect, Disconnect, Packet, Property, QoS, ReasonCode, Version};

use crate::harness::{BOTH, EVERY_QOS, Net};

// [MQTT-4.5.0-1], [MQTT-4.5.0-1 of 3.1.1]
#[test]
fn a_message_is_kept_for_every_client_that_has_subscribed() {
    for version in BOTH {
        let mut net = Net::new();
        for n in 0..3 {
            let (client, _) = net.keeper(version, &n.to_string());
            net.subscribe(client, "a/#", QoS::ExactlyOnce);
            if n > 0 {
                net.cut(client);
            }
        }
        let publisher = net.client(version, "p");
        for qos in EVERY_QOS {
            net.publish(publisher, "a/b", &format!("{qos:?}"), qos);
        }
        for n in 0..3 {
            // The one that is connected has them in its buffer, where they are lost, and gets those
            // again that it has not acknowledged.
            let (client, present) = net.keeper(version, &n.to_string());
            assert!(present);
            assert_eq!(net.payloads(client), ["AtLeastOnce", "ExactlyOnce"]);
        }
    }
}

#[test]
fn messages_of_qos_0_wait_if_so_configured() {
    let mut net = Net::with(|config| config.queue_qos_0 = true);
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "a", QoS::AtMostOnce);
    net.cut(client);
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a", "x", QoS::ExactlyOnce);
    let (client, _) = net.keeper(Version::V5, "c");
    assert_eq!(net.payloads(client), ["x"]);
}

// [MQTT-4.1.0-2]
#[test]
fn a_session_ends_with_its_expiry_interval_and_its_memory_is_free() {
    let mut net = Net::new();
    let publisher = net.connect(&Connect { keep_alive: 0, ..Connect::new(Version::V5, "p") }).0;
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "a", QoS::AtLeastOnce);
    net.cut(client);
    net.wait(999.0);
    net.publish(publisher, "a", "x", QoS::AtLeastOnce);
    assert_eq!(net.broker.statistics().sessions, 2);
    net.wait(1.0);
    assert_eq!(net.broker.statistics().sessions, 1);
    assert_eq!(net.broker.statistics().subscriptions, 0);
    assert!(!net.keeper(Version::V5, "c").1);
}

#[test]
fn disconnect_may_change_the_expiry_interval() {
    let mut net = Net::new();
    for (seconds, wait, present) in [(10, 9.0, true), (10, 11.0, false), (0, 0.0, false)] {
        let (client, _) = net.keeper(Version::V5, "c");
        let list = [Property::SessionExpiryInterval(seconds)];
        net.send(
            client,
            &Packet::Disconnect(Disconnect {
                properties: list[..].into(),
                ..Disconnect::new(ReasonCode::Success)
            }),
        );
        net.wait(wait);
        let (client, found) = net.keeper(Version::V5, "c");
        assert_eq!(found, present, "{seconds} s, after {wait} s");
        net.cut(client);
        net.client(Version::V5, "c");
    }
}

#[test]
fn the_broker_bounds_the_expiry_interval_and_says_so() {
    let mut net = Net::with(|config| config.max_session_expiry = 60);
    for (asked, told) in [(100, Some(60)), (60, None), (0, None), (u32::MAX, Some(60))] {
        let list = [Property::SessionExpiryInterval(asked)];
        let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, "c") };
        let (client, connack) = net.connect(&connect);
        assert_eq!(connack.properties.session_expiry_interval(), told);
        net.cut(client);
        net.wait(61.0);
        assert_eq!(net.broker.statistics().sessions, 0);
    }
    // A session of 3.1.1 cannot be told, but is bounded too.
    let (old, _) = net.keeper(Version::V311, "old");
    net.cut(old);
    net.wait(61.0);
    assert_eq!(net.broker.statistics().sessions, 0);
}

#[test]
fn a_session_goes_on_across_versions() {
    let mut net = Net::new();
    let (client, _) = net.keeper(Version::V311, "c");
    net.subscribe(client, "a", QoS::ExactlyOnce);
    net.cut(client);
    let publisher = net.client(Version::V5, "p");
    let list = [Property::UserProperty(("k", "v"))];
    let publish = mqtt_codec::Publish {
        qos: QoS::ExactlyOnce,
        properties: list[..].into(),
        ..crate::harness::message("a", "x")
    };
    net.publish_all_of(publisher, &publish);
    let (client, present) = net.keeper(Version::V5, "c");
    assert!(present);
    let messages = net.messages(client);
    assert_eq!(messages[0].properties.user_property(), Some(("k", "v")));
    net.cut(client);
    net.publish_all_of(publisher, &publish);
    let (client, _) = net.keeper(Version::V311, "c");
    assert_eq!(net.payloads(client), ["x"]);
}
