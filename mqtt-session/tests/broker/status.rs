//! What the broker publishes about itself.

use core::time::Duration;
use std::collections::HashMap;

use mqtt_codec::{Connect, Publish, QoS, ReasonCode, TopicName, Version, Will};
use mqtt_session::broker::DollarTopics;

use crate::harness::{Client, Net, message, subscription};

fn net() -> Net {
    Net::with(|config| config.sys_interval = Duration::from_secs(10))
}

/// All messages for this client, by topic.
fn values(net: &mut Net, client: Client) -> HashMap<String, String> {
    let messages = net.messages(client);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut values = HashMap::new();
    for message in messages {
        values.insert(message.topic.as_str().to_owned(), text(message.payload));
    }
    values
}

#[test]
fn the_numbers_come_to_who_subscribes_and_again_at_each_interval() {
    let mut net = net();
    let client = net.client(Version::V5, "c");
    net.wait(0.0);
    net.subscribe(client, "$SYS/#", QoS::AtLeastOnce);
    let first = values(&mut net, client);
    assert_eq!(first["$SYS/broker/clients/connected"], "1");
    assert_eq!(first["$SYS/broker/uptime"], "0 seconds");
    assert!(first["$SYS/broker/version"].starts_with("motewire "));
    for _ in 0..30 {
        net.publish(client, "a", "12345", QoS::AtMostOnce);
    }
    net.wait(9.9);
    assert!(net.messages(client).is_empty());
    net.wait(0.2);
    let second = values(&mut net, client);
    assert_eq!(second.len(), first.len(), "each of them");
    assert_eq!(second["$SYS/broker/uptime"], "10 seconds");
    assert_eq!(second["$SYS/broker/publish/messages/received"], "30");
    assert_eq!(second["$SYS/broker/publish/bytes/received"], "150");
    assert_eq!(second["$SYS/broker/subscriptions/count"], "1");
    // 180 per minute, and little of a minute has passed.
    let load: f64 = second["$SYS/broker/load/publish/received/1min"].parse().unwrap();
    assert!((25.0..30.0).contains(&load), "{load}");
    // After long nothing is left of it.
    net.wait(3600.0);
    let last = values(&mut net, client);
    let load: f64 = last["$SYS/broker/load/publish/received/15min"].parse().unwrap();
    assert!(load < 1.0, "{load}");
    assert_eq!(last["$SYS/broker/uptime"], "3610 seconds");
}

// [MQTT-4.7.2-1]
#[test]
fn who_subscribes_to_everything_hears_nothing_of_it() {
    let mut net = net();
    let client = net.client(Version::V5, "c");
    net.wait(0.0);
    for filter in ["#", "+/#", "+/broker/uptime"] {
        net.subscribe(client, filter, QoS::AtMostOnce);
    }
    net.wait(30.0);
    assert!(net.messages(client).is_empty());
    net.subscribe(client, "$SYS/broker/+", QoS::AtMostOnce);
    assert!(net.messages(client).iter().all(|m| m.retain && m.topic.as_str().starts_with("$SYS/")));
}

#[test]
fn nobody_else_publishes_there() {
    let mut net = net();
    let client = net.client(Version::V5, "c");
    let refused = net.publish_all_of(
        client,
        &Publish { qos: QoS::AtLeastOnce, ..message("$SYS/broker/uptime", "x") },
    );
    assert_eq!(refused, ReasonCode::NotAuthorized);
    let topic = TopicName::new("$SYS/broker/uptime").unwrap();
    let connect = Connect { will: Some(Will::new(topic, b"x")), ..Connect::new(Version::V5, "w") };
    assert_eq!(net.refused(&connect), Some(ReasonCode::NotAuthorized));
    let mut off = Net::new();
    let client = off.client(Version::V5, "c");
    off.subscribe(client, "$SYS/#", QoS::AtMostOnce);
    off.publish(client, "$SYS/of/mine", "x", QoS::AtMostOnce);
    off.wait(100.0);
    assert_eq!(off.payloads(client), [""; 0], "nor where the broker says nothing");
    assert!(off.announce(&message("$SYS/of/mine", "y")));
    assert_eq!(off.payloads(client), ["y"], "but the embedder does");
    assert_eq!(off.broker.next_timeout(), None);
}

#[test]
fn a_bridge_of_mosquitto_tells_there_of_its_connection_and_of_nothing_else() {
    let mut net = net();
    let watcher = net.client(Version::V5, "watcher");
    net.subscribe(watcher, "$SYS/broker/connection/#", QoS::AtMostOnce);
    let topic = TopicName::new("$SYS/broker/connection/host.name/state").unwrap();
    let will = Will { retain: true, ..Will::new(topic, b"0") };
    let (bridge, _) =
        net.connect(&Connect { will: Some(will), ..Connect::new(Version::V311, "b") });
    net.publish(bridge, topic.as_str(), "1", QoS::AtLeastOnce);
    net.cut(bridge);
    assert_eq!(net.payloads(watcher), ["1", "0"]);
    let client = net.client(Version::V5, "c");
    for topic in ["connection/a/b/state", "connection//state", "connection/a/other", "state"] {
        let topic = format!("$SYS/broker/{topic}");
        let publish = Publish { qos: QoS::AtLeastOnce, ..message(&topic, "x") };
        assert_eq!(net.publish_all_of(client, &publish), ReasonCode::NotAuthorized, "{topic}");
    }
}

#[test]
fn topics_that_begin_with_a_dollar_are_for_clients_as_far_as_the_configuration_says() {
    let only = |all: &[&str]| DollarTopics::Only(all.iter().map(|text| (*text).into()).collect());
    let reasons = |publish: DollarTopics, subscribe: DollarTopics| {
        let mut net = Net::with(|config| {
            config.dollar_publish = publish;
            config.dollar_subscribe = subscribe;
        });
        let client = net.client(Version::V5, "c");
        let published = ["$SYS/a", "$app/a", "$other", "a/$app"].map(|topic| {
            let publish = Publish { qos: QoS::AtLeastOnce, ..message(topic, "x") };
            !net.publish_all_of(client, &publish).is_failure()
        });
        let subscribed = ["$SYS/#", "$share/g/$SYS/#", "$app/+", "$other", "#"].map(|filter| {
            let one = subscription(filter, QoS::AtMostOnce);
            !net.subscribe_to(client, &[one], &[]).unwrap()[0].is_failure()
        });
        (published, subscribed)
    };
    let all = reasons(DollarTopics::All, DollarTopics::All);
    assert_eq!(all, ([false, true, true, true], [true; 5]));
    let some = reasons(only(&["$app/", "$SYS/"]), only(&["$SYS/"]));
    assert_eq!(some, ([false, true, false, true], [true, true, false, false, true]));
    let none = reasons(only(&[]), only(&[]));
    assert_eq!(none, ([false, false, false, true], [false, false, false, false, true]));
}
