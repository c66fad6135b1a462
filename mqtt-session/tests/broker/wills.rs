//! Wills (sections 3.1.2.5 and 3.1.3.2).

use mqtt_codec::{
    Connect, Packet, Property, PropertyId, QoS, ReasonCode, TopicName, Version, Will,
};

use crate::harness::{BOTH, Client, EVERY_QOS, Net};

fn will<'a>(properties: &'a [Property<'a>]) -> Will<'a> {
    Will { properties: properties.into(), ..Will::new(TopicName::new("will").unwrap(), b"gone") }
}

/// A watcher of the topic of the will.
fn watcher(net: &mut Net) -> Client {
    let watcher = net.client(Version::V5, "w");
    net.subscribe(watcher, "will", QoS::ExactlyOnce);
    watcher
}

// [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-8 of 3.1.1]
#[test]
fn the_will_is_published_when_the_connection_breaks_or_the_client_breaks_the_rules() {
    for version in BOTH {
        for qos in EVERY_QOS {
            let mut net = Net::new();
            let watcher = watcher(&mut net);
            let ends: [fn(&mut Net, Client); 2] =
                [|net, client| net.cut(client), |net, client| net.send_bytes(client, b"\x00\x00")];
            for end in ends {
                let will = Will { qos, ..will(&[]) };
                let (client, _) =
                    net.connect(&Connect { will: Some(will), ..Connect::new(version, "c") });
                assert_eq!(net.messages(watcher), []);
                end(&mut net, client);
                let messages = net.messages(watcher);
                assert_eq!(messages.len(), 1);
                assert_eq!((messages[0].payload, messages[0].qos), (&b"gone"[..], qos));
            }
        }
    }
}

// [MQTT-3.1.2-10], [MQTT-3.14.4-3], [MQTT-3.1.2-10 of 3.1.1], [MQTT-3.14.4-3 of 3.1.1]
#[test]
fn the_will_is_dropped_by_a_disconnect_and_published_by_one_that_asks_for_it() {
    for version in BOTH {
        for (reason, published) in [(ReasonCode::Success, 0), (ReasonCode::DisconnectWithWill, 1)] {
            if version == Version::V311 && published > 0 {
                continue;
            }
            let mut net = Net::new();
            let watcher = watcher(&mut net);
            let connect = Connect { will: Some(will(&[])), ..Connect::new(version, "c") };
            let (client, _) = net.connect(&connect);
            net.disconnect(client, reason);
            net.wait(1e6);
            assert_eq!(net.messages(watcher).len(), published);
        }
    }
}

// [MQTT-3.1.2-10], [MQTT-3.1.2-10 of 3.1.1], [MQTT-3.1.2-12 of 3.1.1]
#[test]
fn a_will_is_published_once_and_never_without_a_will_flag() {
    for version in BOTH {
        let mut net = Net::new();
        let watcher = watcher(&mut net);
        let (client, _) =
            net.connect(&Connect { will: Some(will(&[])), ..Connect::new(version, "c") });
        net.cut(client);
        assert_eq!(net.messages(watcher).len(), 1);
        let (client, _) = net.keeper(version, "c");
        net.cut(client);
        net.wait(1e6);
        assert_eq!(net.messages(watcher), []);
    }
}

// [MQTT-3.1.2-14], [MQTT-3.1.2-15], [MQTT-3.1.2-16 of 3.1.1], [MQTT-3.1.2-17 of 3.1.1]
#[test]
fn a_will_is_retained_if_it_says_so() {
    for version in BOTH {
        for retain in [false, true] {
            let mut net = Net::new();
            let will = Will { retain, ..will(&[]) };
            let (client, _) =
                net.connect(&Connect { will: Some(will), ..Connect::new(version, "c") });
            net.cut(client);
            let late = watcher(&mut net);
            let messages = net.messages(late);
            assert_eq!(messages.len(), usize::from(retain));
            assert!(messages.iter().all(|message| message.retain));
        }
    }
}

/// A client with a will that waits 10 seconds, and whose session outlives it by so many.
fn delayed(net: &mut Net, expiry: u32) -> Client {
    let delay = [Property::WillDelayInterval(10)];
    let list = [Property::SessionExpiryInterval(expiry)];
    let connect = Connect {
        clean_start: false,
        will: Some(will(&delay)),
        properties: list[..].into(),
        ..Connect::new(Version::V5, "c")
    };
    net.connect(&connect).0
}

// [MQTT-3.1.2-8]
#[test]
fn a_delayed_will_is_published_after_its_delay_to_the_second() {
    let mut net = Net::new();
    let watcher = watcher(&mut net);
    let client = delayed(&mut net, 100);
    net.cut(client);
    net.wait(9.9);
    assert_eq!(net.messages(watcher), []);
    net.wait(0.2);
    assert_eq!(net.messages(watcher).len(), 1);
}

// [MQTT-3.1.2-8], [MQTT-3.1.3-9]
#[test]
fn a_delayed_will_is_published_when_the_session_ends_before() {
    let mut net = Net::new();
    let watcher = watcher(&mut net);
    for (expiry, wait) in [(0, 0.0), (4, 4.1)] {
        let client = delayed(&mut net, expiry);
        net.cut(client);
        net.wait(wait);
        assert_eq!(net.messages(watcher).len(), 1, "expiry {expiry}");
    }
    // A clean start ends the session too.
    let client = delayed(&mut net, 100);
    net.cut(client);
    net.client(Version::V5, "c");
    assert_eq!(net.messages(watcher).len(), 1);
}

// [MQTT-3.1.3-9]
#[test]
fn a_delayed_will_is_not_published_if_the_client_returns_in_time() {
    let mut net = Net::new();
    let watcher = watcher(&mut net);
    let client = delayed(&mut net, 100);
    net.cut(client);
    net.wait(9.0);
    let (client, present) = net.keeper(Version::V5, "c");
    assert!(present);
    net.wait(20.0);
    net.disconnect(client, ReasonCode::Success);
    net.wait(1e6);
    assert_eq!(net.messages(watcher), []);
}

// [MQTT-3.1.3-9]
#[test]
fn a_takeover_publishes_a_will_without_delay_and_no_other() {
    for (delay, published) in [(0, 1), (10, 0)] {
        let mut net = Net::new();
        let watcher = watcher(&mut net);
        let delay = [Property::WillDelayInterval(delay)];
        let list = [Property::SessionExpiryInterval(100)];
        let connect = Connect {
            will: Some(will(&delay)),
            properties: list[..].into(),
            ..Connect::new(Version::V5, "c")
        };
        net.connect(&connect);
        net.keeper(Version::V5, "c");
        net.wait(30.0);
        assert_eq!(net.messages(watcher).len(), published);
    }
}

// [MQTT-3.1.3-10]
#[test]
fn a_will_has_its_properties_in_their_order_but_for_the_delay() {
    let mut net = Net::new();
    let watcher = watcher(&mut net);
    let list = [
        Property::UserProperty(("b", "1")),
        Property::ContentType("text"),
        Property::WillDelayInterval(0),
        Property::UserProperty(("a", "2")),
        Property::CorrelationData(&[1, 2]),
        Property::UserProperty(("b", "3")),
        Property::PayloadFormatIndicator(true),
        Property::ResponseTopic(TopicName::new("answer").unwrap()),
        Property::MessageExpiryInterval(50),
    ];
    let connect = Connect { will: Some(will(&list)), ..Connect::new(Version::V5, "c") };
    let (client, _) = net.connect(&connect);
    net.cut(client);
    let messages = net.messages(watcher);
    let expected = list.iter().filter(|p| p.id() != PropertyId::WillDelayInterval).copied();
    assert!(messages[0].properties.iter().eq(expected), "{:?}", messages[0].properties);
}

#[test]
fn a_connect_that_is_refused_leaves_no_will() {
    let mut net = Net::with(|config| config.maximum_qos = QoS::AtLeastOnce);
    let watcher = watcher_of_qos_1(&mut net);
    let will = Will { qos: QoS::ExactlyOnce, ..will(&[]) };
    let connect = Connect { will: Some(will), ..Connect::new(Version::V5, "c") };
    assert_eq!(net.refused(&connect), Some(ReasonCode::QoSNotSupported));
    net.wait(20.0);
    assert_eq!(net.messages(watcher), []);
}

fn watcher_of_qos_1(net: &mut Net) -> Client {
    let watcher = net.client(Version::V5, "w");
    net.subscribe(watcher, "will", QoS::AtLeastOnce);
    net.send(watcher, &Packet::PingReq);
    assert_eq!(net.packet(watcher), Some(Packet::PingResp));
    watcher
}
