//! What a broker still knows when it comes back, case by case.

use mqtt_codec::{
    Ack, Connect, Disconnect, Packet, PacketId, Property, Publish, QoS, ReasonCode, Subscription,
    SubscriptionId, Version, Will,
};
use mqtt_session::broker::{Broker, Overflow};

use super::{Disk, crash, durable};
use crate::harness::{BOTH, EVERY_QOS, Net, Random, message, subscription};

fn net() -> (Net, Disk) {
    (Net::of(Broker::new(durable())), Disk::default())
}

#[test]
fn a_broker_that_is_not_durable_tells_no_changes() {
    let mut net = Net::new();
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "#", QoS::ExactlyOnce);
    net.retain(client, "a", "x", QoS::ExactlyOnce);
    let mut disk = Disk::default();
    assert!(!disk.store(&mut net.broker));
    assert_eq!(disk, Disk::default());
    assert_eq!(disk, Disk::of(&net.broker));
}

#[test]
fn a_clean_session_and_its_messages_are_not_stored() {
    let (mut net, mut disk) = net();
    let client = net.client(Version::V5, "c");
    net.subscribe(client, "#", QoS::ExactlyOnce);
    for qos in EVERY_QOS {
        net.publish(client, "a", "x", qos);
    }
    assert!(!disk.store(&mut net.broker));
    assert_eq!(disk, Disk::default());
}

#[test]
fn sessions_subscriptions_queues_and_retained_messages_come_back() {
    for version in BOTH {
        let (mut net, mut disk) = net();
        let (client, _) = net.keeper(version, "c");
        net.subscribe(client, "a/+", QoS::ExactlyOnce);
        net.cut(client);
        let publisher = net.client(version, "p");
        for qos in EVERY_QOS {
            net.publish(publisher, "a/b", &format!("{qos:?}"), qos);
            net.retain(publisher, &format!("r/{qos:?}"), "kept", qos);
        }
        crash(&mut net, &mut disk);
        let (client, present) = net.keeper(version, "c");
        assert!(present);
        assert_eq!(net.payloads(client), ["AtLeastOnce", "ExactlyOnce"]);
        net.subscribe(client, "r/#", QoS::ExactlyOnce);
        let retained = net.messages(client);
        assert_eq!(retained.len(), 3);
        assert!(retained.iter().all(|publish| publish.retain));
        // What comes next is forwarded as ever.
        let publisher = net.client(version, "p");
        net.publish(publisher, "a/c", "new", QoS::ExactlyOnce);
        assert_eq!(net.payloads(client), ["new"]);
    }
}

/// Who was the first to need the pattern of a filter is not stored: whoever comes back first, no
/// subscription is lost for it (section 4.1).
#[test]
fn a_session_comes_back_that_uses_more_patterns_than_it_may_bring() {
    let mut config = durable();
    config.max_pattern_levels_per_session = 8;
    let mut net = Net::of(Broker::new(config));
    let mut disk = Disk::default();
    let (both, _) = net.keeper(Version::V5, "both");
    let (other, _) = net.keeper(Version::V5, "other");
    net.subscribe(other, "+/+/+/+/+/+/+/+", QoS::AtLeastOnce);
    net.subscribe(both, "+/+/+/+/+/+/+/+", QoS::AtLeastOnce);
    net.subscribe(both, "a/a/+", QoS::AtLeastOnce);
    net.cut(both);
    crash(&mut net, &mut disk);
    assert_eq!(net.broker.statistics().subscriptions, 3);
    let (both, present) = net.keeper(Version::V5, "both");
    assert!(present);
    let publisher = net.client(Version::V5, "p");
    for topic in ["1/2/3/4/5/6/7/8", "a/a/b"] {
        net.publish(publisher, topic, topic, QoS::AtLeastOnce);
    }
    assert_eq!(net.payloads(both), ["1/2/3/4/5/6/7/8", "a/a/b"]);
}

#[test]
fn subscriptions_come_back_with_all_their_options() {
    let (mut net, mut disk) = net();
    let (client, _) = net.keeper(Version::V5, "c");
    let own = Subscription {
        no_local: true,
        retain_as_published: true,
        ..subscription("a", QoS::AtLeastOnce)
    };
    let id = Property::SubscriptionIdentifier(SubscriptionId::new(7).unwrap());
    net.subscribe_to(client, &[own], &[id]).unwrap();
    net.subscribe_to(client, &[subscription("$share/g/s", QoS::ExactlyOnce)], &[]).unwrap();
    let (old, _) = net.keeper(Version::V311, "old");
    net.subscribe(old, "$share/g/s", QoS::AtMostOnce);
    let (gone, _) = net.keeper(Version::V5, "gone");
    net.subscribe(gone, "a", QoS::AtLeastOnce);
    net.unsubscribe(gone, &["a"]).unwrap();
    crash(&mut net, &mut disk);
    assert_eq!(net.broker.statistics().subscriptions, 3);
    assert_eq!(net.broker.statistics().shared_subscriptions, 1);
    let (client, _) = net.keeper(Version::V5, "c");
    net.publish(client, "a", "own", QoS::AtLeastOnce);
    let other = net.client(Version::V5, "other");
    net.retain(other, "a", "x", QoS::ExactlyOnce);
    net.publish(other, "s", "shared", QoS::ExactlyOnce);
    net.publish(other, "$share/g/s", "plain", QoS::AtMostOnce);
    let got = net.messages(client);
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!((got[0].payload, got[0].qos, got[0].retain), (&b"x"[..], QoS::AtLeastOnce, true));
    assert_eq!(got[0].properties.subscription_identifier(), SubscriptionId::new(7));
    assert_eq!((got[1].payload, got[1].qos), (&b"shared"[..], QoS::ExactlyOnce));
}

// [MQTT-4.8.2-5]
#[test]
fn what_waits_for_a_member_of_a_group_goes_to_another_after_a_restart_too() {
    let (mut net, mut disk) = net();
    for name in ["ends", "stays"] {
        let (client, _) = net.keeper(Version::V5, name);
        net.subscribe(client, "$share/g/a", QoS::ExactlyOnce);
        net.cut(client);
    }
    let publisher = net.client(Version::V5, "p");
    for n in 0..4 {
        net.publish(publisher, "a", &n.to_string(), EVERY_QOS[1 + n % 2]);
    }
    crash(&mut net, &mut disk);
    net.client(Version::V5, "ends");
    crash(&mut net, &mut disk);
    let (stays, _) = net.keeper(Version::V5, "stays");
    let mut all = net.payloads(stays);
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3"]);
}

#[test]
fn a_message_for_many_queues_is_stored_once_and_for_as_long_as_one_needs_it() {
    let (mut net, mut disk) = net();
    let mut clients = Vec::new();
    for n in 0..20 {
        let (client, _) = net.keeper(Version::V5, &n.to_string());
        net.subscribe(client, "a", QoS::AtLeastOnce);
        net.cut(client);
        clients.push(n.to_string());
    }
    let publisher = net.client(Version::V5, "p");
    net.retain(publisher, "a", &"x".repeat(10_000), QoS::AtLeastOnce);
    crash(&mut net, &mut disk);
    assert_eq!(disk.messages(), 1);
    for name in &clients {
        let (client, _) = net.keeper(Version::V5, name);
        assert_eq!(net.messages(client).len(), 1);
        disk.store(&mut net.broker);
        assert_eq!(disk.messages(), 1, "it is retained");
    }
    let publisher = net.client(Version::V5, "p");
    net.retain(publisher, "a", "", QoS::AtMostOnce);
    disk.store(&mut net.broker);
    assert_eq!(disk.messages(), 0);
}

// [MQTT-4.3.3-10]
#[test]
fn a_message_of_qos_2_that_was_taken_is_not_taken_again() {
    for version in BOTH {
        let (mut net, mut disk) = net();
        let (subscriber, _) = net.keeper(version, "s");
        net.subscribe(subscriber, "a", QoS::ExactlyOnce);
        net.cut(subscriber);
        let (publisher, _) = net.keeper(version, "p");
        let id = PacketId::new(5);
        let publish = Publish { qos: QoS::ExactlyOnce, packet_id: id, ..message("a", "once") };
        net.send(publisher, &Packet::Publish(publish));
        assert!(disk.store(&mut net.broker), "PUBREC depends on it");
        crash(&mut net, &mut disk);
        let (publisher, present) = net.keeper(version, "p");
        assert!(present);
        net.send(publisher, &Packet::Publish(Publish { dup: true, ..publish }));
        net.send(publisher, &Packet::PubRel(Ack::new(id.unwrap())));
        let answers =
            [Packet::PubRec(Ack::new(id.unwrap())), Packet::PubComp(Ack::new(id.unwrap()))];
        assert_eq!(net.packets(publisher), answers);
        // Once it is released, the next one with its identifier is another.
        crash(&mut net, &mut disk);
        let (publisher, _) = net.keeper(version, "p");
        net.send(publisher, &Packet::Publish(Publish { payload: b"twice", ..publish }));
        let (subscriber, _) = net.keeper(version, "s");
        assert_eq!(net.payloads(subscriber), ["once", "twice"]);
    }
}

// [MQTT-4.3.3-10]
#[test]
fn what_was_routed_is_not_taken_again_though_there_was_no_room_for_its_answer() {
    for is_durable in [false, true] {
        let (mut net, mut disk) = net();
        if !is_durable {
            net = Net::new();
        }
        let (subscriber, _) = net.keeper(Version::V5, "s");
        net.subscribe(subscriber, "a", QoS::ExactlyOnce);
        net.cut(subscriber);
        let (publisher, _) = net.keeper(Version::V5, "p");
        let id = PacketId::new(5);
        let publish = Publish { qos: QoS::ExactlyOnce, packet_id: id, ..message("a", "once") };
        net.set_room(publisher, 0);
        net.send(publisher, &Packet::Publish(publish));
        if is_durable {
            crash(&mut net, &mut disk);
        } else {
            net.cut(publisher);
        }
        let (publisher, _) = net.keeper(Version::V5, "p");
        net.send(publisher, &Packet::Publish(Publish { dup: true, ..publish }));
        let (subscriber, _) = net.keeper(Version::V5, "s");
        assert_eq!(net.payloads(subscriber), ["once"]);
    }
}

// [MQTT-4.4.0-1], [MQTT-4.6.0-1]
#[test]
fn what_was_sent_is_sent_again_with_its_identifier_and_in_order() {
    for version in BOTH {
        let (mut net, mut disk) = net();
        let (client, _) = net.keeper(version, "c");
        net.subscribe(client, "a", QoS::ExactlyOnce);
        let publisher = net.client(version, "p");
        for n in 0..5 {
            net.publish(publisher, "a", &n.to_string(), EVERY_QOS[1 + n % 2]);
        }
        let sent = net.packets(client);
        let ids: Vec<_> = sent
            .iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => publish.packet_id.unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        // The second, of QoS 2, is received, the third, of QoS 1, acknowledged.
        net.send(client, &Packet::PubRec(Ack::new(ids[1])));
        net.send(client, &Packet::PubAck(Ack::new(ids[2])));
        crash(&mut net, &mut disk);
        let (client, _) = net.keeper(version, "c");
        let again: Vec<_> = net
            .packets(client)
            .iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => (publish.packet_id.unwrap(), publish.dup),
                Packet::PubRel(ack) => (ack.packet_id, false),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(again, [(ids[0], true), (ids[1], false), (ids[3], true), (ids[4], true)]);
        net.send(client, &Packet::PubComp(Ack::new(ids[1])));
        // An identifier in use is not given to another message.
        let publisher = net.client(version, "p");
        net.publish(publisher, "a", "new", QoS::AtLeastOnce);
        let Some(Packet::Publish(publish)) = net.packet(client) else { panic!("no message") };
        assert!(![ids[0], ids[3], ids[4]].contains(&publish.packet_id.unwrap()));
        crash(&mut net, &mut disk);
        let (client, _) = net.keeper(version, "c");
        assert_eq!(net.payloads(client), ["0", "3", "4", "new"]);
        crash(&mut net, &mut disk);
        let (client, _) = net.keeper(version, "c");
        assert_eq!(net.payloads(client), [""; 0]);
        assert_eq!(disk.messages(), 0);
    }
}

#[test]
fn intervals_begin_when_the_connection_ended_or_when_the_broker_came_back() {
    let (mut net, mut disk) = net();
    let (away, _) = net.keeper(Version::V5, "away");
    net.cut(away);
    net.keeper(Version::V5, "there");
    net.wait(600.0);
    crash(&mut net, &mut disk);
    net.wait(399.0);
    assert_eq!(net.broker.statistics().sessions, 2);
    net.wait(2.0);
    assert_eq!(net.broker.statistics().sessions, 1, "1000 s after its connection ended");
    net.wait(598.0);
    assert_eq!(net.broker.statistics().sessions, 1);
    net.wait(2.0);
    assert_eq!(net.broker.statistics().sessions, 0, "1000 s after the broker came back");
    crash(&mut net, &mut disk);
    assert_eq!(disk, Disk::default());
}

#[test]
fn sessions_end_and_messages_expire_while_the_broker_is_not_there() {
    let (mut net, mut disk) = net();
    let (away, _) = net.keeper(Version::V5, "away");
    net.subscribe(away, "#", QoS::AtLeastOnce);
    net.cut(away);
    let publisher = net.client(Version::V5, "p");
    let list = [Property::MessageExpiryInterval(10)];
    let expiring = Publish {
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: list[..].into(),
        ..message("a", "x")
    };
    net.publish_all_of(publisher, &expiring);
    net.publish(publisher, "b", "stays", QoS::AtLeastOnce);
    disk.store(&mut net.broker);
    net.now = net.now + core::time::Duration::from_secs(11);
    crash(&mut net, &mut disk);
    net.wait(0.0);
    assert_eq!(net.broker.statistics().retained_messages, 0);
    let (away, _) = net.keeper(Version::V5, "away");
    assert_eq!(net.payloads(away), ["stays"]);
    net.cut(away);
    disk.store(&mut net.broker);
    net.now = net.now + core::time::Duration::from_secs(1001);
    crash(&mut net, &mut disk);
    net.wait(0.0);
    disk.store(&mut net.broker);
    assert_eq!(disk, Disk::default());
}

// [MQTT-3.1.2-8]
#[test]
fn wills_are_published_after_their_delay_though_the_broker_was_away() {
    let (mut net, mut disk) = net();
    let (watcher, _) = net.keeper(Version::V5, "watcher");
    net.subscribe(watcher, "will/#", QoS::AtLeastOnce);
    for (name, delay, is_there) in [("now", 0, true), ("soon", 50, true), ("away", 50, false)] {
        let topic = format!("will/{name}");
        let delayed = [Property::WillDelayInterval(delay)];
        let will = Will {
            qos: QoS::AtLeastOnce,
            properties: delayed[..].into(),
            ..Will::new(mqtt_codec::TopicName::new(&topic).unwrap(), name.as_bytes())
        };
        let lasting = [Property::SessionExpiryInterval(1000)];
        let connect = Connect {
            will: Some(will),
            keep_alive: 0,
            properties: lasting[..].into(),
            ..Connect::new(Version::V5, name)
        };
        let (client, _) = net.connect(&connect);
        if !is_there {
            net.cut(client);
        }
    }
    net.wait(20.0);
    crash(&mut net, &mut disk);
    let (watcher, _) = net.keeper(Version::V5, "watcher");
    net.wait(0.0);
    assert_eq!(net.payloads(watcher), ["now"], "its client is not there any more");
    net.wait(29.0);
    assert_eq!(net.payloads(watcher), [""; 0]);
    net.wait(2.0);
    assert_eq!(net.payloads(watcher), ["away"]);
    net.wait(20.0);
    assert_eq!(net.payloads(watcher), ["soon"]);
    // Each is published once.
    crash(&mut net, &mut disk);
    net.wait(100.0);
    let (watcher, _) = net.keeper(Version::V5, "watcher");
    assert_eq!(net.payloads(watcher), [""; 0]);
}

// [MQTT-3.1.2-4], [MQTT-3.1.2-23]
#[test]
fn a_session_that_was_ended_does_not_come_back() {
    let (mut net, mut disk) = net();
    for name in ["clean", "short", "goodbye"] {
        let (client, _) = net.keeper(Version::V5, name);
        net.subscribe(client, "a", QoS::ExactlyOnce);
        net.cut(client);
    }
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a", "x", QoS::ExactlyOnce);
    disk.store(&mut net.broker);
    // A clean start; one that goes on, but not beyond its connection; and one that ends in DISCONNECT.
    net.client(Version::V5, "clean");
    let short = Connect { clean_start: false, ..Connect::new(Version::V5, "short") };
    assert!(net.connect(&short).1.session_present);
    let (client, _) = net.keeper(Version::V5, "goodbye");
    let list = [Property::SessionExpiryInterval(0)];
    let goodbye =
        Disconnect { properties: list[..].into(), ..Disconnect::new(ReasonCode::Success) };
    net.send(client, &Packet::Disconnect(goodbye));
    assert!(disk.store(&mut net.broker), "CONNACK depends on it");
    assert_eq!(disk, Disk::default());
    crash(&mut net, &mut disk);
    assert!(!net.keeper(Version::V5, "short").1);
}

#[test]
fn messages_that_a_full_queue_drops_are_not_stored_any_more() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let mut config = durable();
        config.max_queued_messages = 3;
        config.overflow = overflow;
        let mut net = Net::of(Broker::new(config));
        let mut disk = Disk::default();
        let (client, _) = net.keeper(Version::V5, "c");
        net.subscribe(client, "a", QoS::ExactlyOnce);
        net.cut(client);
        let publisher = net.client(Version::V5, "p");
        for n in 0..5 {
            net.publish(publisher, "a", &n.to_string(), QoS::ExactlyOnce);
        }
        crash(&mut net, &mut disk);
        assert_eq!(disk.messages(), 3);
        let (client, _) = net.keeper(Version::V5, "c");
        let kept: &[&str] = match overflow {
            Overflow::DropOldest => &["2", "3", "4"],
            _ => &["0", "1", "2"],
        };
        assert_eq!(net.payloads(client), kept);
    }
}

#[test]
fn retained_messages_that_are_yet_to_be_sent_to_a_new_subscription_are_sent_later() {
    let (mut net, mut disk) = net();
    let publisher = net.client(Version::V5, "p");
    for n in 0..10 {
        net.retain(publisher, &format!("r/{n}"), "x", QoS::AtLeastOnce);
    }
    let (client, _) = net.keeper(Version::V5, "c");
    // Room for SUBACK and no more.
    net.set_room(client, 8);
    net.subscribe(client, "r/#", QoS::AtLeastOnce);
    crash(&mut net, &mut disk);
    let (client, _) = net.keeper(Version::V5, "c");
    assert_eq!(net.messages(client).len(), 10);
    crash(&mut net, &mut disk);
    let (client, _) = net.keeper(Version::V5, "c");
    assert_eq!(net.messages(client).len(), 0);
}

#[test]
fn what_there_is_no_room_for_any_more_is_not_stored_any_more() {
    let (mut net, mut disk) = net();
    for n in 0..4 {
        let (client, _) = net.keeper(Version::V5, &n.to_string());
        net.subscribe(client, "a", QoS::ExactlyOnce);
        net.subscribe(client, "b", QoS::ExactlyOnce);
        net.cut(client);
    }
    let publisher = net.client(Version::V5, "p");
    net.retain(publisher, "a", "x", QoS::ExactlyOnce);
    net.retain(publisher, "r", "x", QoS::ExactlyOnce);
    disk.store(&mut net.broker);
    let mut config = durable();
    config.max_sessions = 2;
    config.max_subscriptions = 3;
    config.max_retained_messages = 1;
    let mut broker = disk.restore(&config, net.now);
    disk.store(&mut broker);
    let statistics = broker.statistics();
    assert_eq!((statistics.sessions, statistics.subscriptions), (2, 3));
    assert_eq!(statistics.retained_messages, 1);
    assert_eq!(statistics.queued_messages, 2);
    assert_eq!(disk, Disk::of(&broker));
}

#[test]
fn what_is_retained_below_sys_is_stored_where_the_broker_says_nothing_there() {
    let (mut net, mut disk) = net();
    net.announce(&Publish { retain: true, ..message("$SYS/a", "x") });
    crash(&mut net, &mut disk);
    assert_eq!(net.broker.statistics().retained_messages, 1);
    // A broker that publishes its numbers there begins anew.
    let mut config = durable();
    config.sys_interval = core::time::Duration::from_secs(10);
    let mut broker = disk.restore(&config, net.now);
    disk.store(&mut broker);
    assert_eq!(broker.statistics().retained_messages, 0);
    assert_eq!(disk, Disk::default());
    assert_eq!(disk, Disk::of(&broker));
}

#[test]
fn bytes_that_no_broker_has_stored_are_refused_and_do_no_harm() {
    let (mut net, mut disk) = net();
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "a", QoS::ExactlyOnce);
    net.cut(client);
    let publisher = net.client(Version::V5, "p");
    net.retain(publisher, "a", "x", QoS::ExactlyOnce);
    disk.store(&mut net.broker);
    let mut random = Random(1);
    let mut refused = 0;
    for _ in 0..5_000 {
        let mut broker = Broker::new(durable());
        let mut restore = broker.restore(net.now);
        for (key, value) in &disk.0 {
            let (mut key, mut value) = (key.clone(), value.clone());
            for bytes in [&mut key, &mut value] {
                match random.next(8) {
                    0 => bytes.truncate(random.next(bytes.len() + 1)),
                    1 if !bytes.is_empty() => {
                        let at = random.next(bytes.len());
                        bytes[at] = random.next(256) as u8;
                    }
                    _ => {}
                }
            }
            refused += usize::from(!restore.add(&key, &value));
        }
        restore.finish();
        let mut net = Net::of(broker);
        let (client, _) = net.keeper(Version::V5, "c");
        net.messages(client);
        net.wait(1.0);
    }
    assert!(refused > 1_000, "{refused}");
}
