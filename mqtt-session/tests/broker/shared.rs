//! Shared Subscriptions (section 4.8.2).

use mqtt_codec::{Packet, Property, Publish, QoS, ReasonCode, Version};

use crate::harness::{Client, Net, message, subscription};

fn members(net: &mut Net, count: usize, qos: QoS) -> Vec<Client> {
    (0..count)
        .map(|n| {
            let (member, _) = net.keeper(Version::V5, &format!("member {n}"));
            net.subscribe(member, "$share/g/a/+", qos);
            member
        })
        .collect()
}

#[test]
fn each_message_goes_to_one_member_in_turn() {
    let mut net = Net::new();
    let members = members(&mut net, 3, QoS::AtLeastOnce);
    let alone = net.client(Version::V5, "alone");
    net.subscribe(alone, "$share/other/a/#", QoS::AtMostOnce);
    let plain = net.client(Version::V5, "plain");
    net.subscribe(plain, "a/b", QoS::AtMostOnce);
    let publisher = net.client(Version::V5, "p");
    for n in 0..30 {
        net.publish(publisher, "a/b", &n.to_string(), QoS::AtLeastOnce);
    }
    let mut all = Vec::new();
    for member in members {
        let payloads = net.payloads(member);
        assert_eq!(payloads.len(), 10);
        all.extend(payloads);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 30);
    assert_eq!(net.messages(alone).len(), 30);
    assert_eq!(net.messages(plain).len(), 30);
}

// [MQTT-4.8.2-3]
#[test]
fn a_member_gets_messages_at_its_own_qos() {
    for granted in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new();
        let members = members(&mut net, 1, granted);
        let publisher = net.client(Version::V5, "p");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            net.publish(publisher, "a/b", "x", qos);
            assert_eq!(net.messages(members[0])[0].qos, qos.min(granted));
        }
    }
}

#[test]
fn members_that_are_away_or_have_enough_to_do_are_skipped() {
    let mut net = Net::new();
    let members = members(&mut net, 3, QoS::AtLeastOnce);
    net.cut(members[0]);
    net.set_room(members[1], 0);
    let publisher = net.client(Version::V5, "p");
    for n in 0..11 {
        net.publish(publisher, "a/b", &n.to_string(), QoS::AtLeastOnce);
    }
    assert!(net.messages(members[2]).len() >= 10, "all but the one that showed who is busy");
    // All away: a session keeps it.
    net.cut(members[1]);
    net.cut(members[2]);
    net.publish(publisher, "a/b", "kept", QoS::AtLeastOnce);
    let kept = (0..3).any(|n| {
        let (member, _) = net.keeper(Version::V5, &format!("member {n}"));
        net.payloads(member).contains(&"kept".to_owned())
    });
    assert!(kept);
}

// [MQTT-4.8.2-4]
#[test]
fn a_delivery_of_qos_2_is_completed_to_the_member_that_it_began_with() {
    let mut net = Net::new();
    let members = members(&mut net, 2, QoS::ExactlyOnce);
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a/b", "x", QoS::ExactlyOnce);
    let first = net.packets(members[0]);
    let (began, other) = if first.is_empty() { (1, members[0]) } else { (0, members[1]) };
    net.cut(members[began]);
    net.wait(10.0);
    assert_eq!(net.messages(other), []);
    let (member, _) = net.keeper(Version::V5, &format!("member {began}"));
    let messages = net.messages(member);
    assert_eq!((messages.len(), messages[0].dup), (1, true));
    assert_eq!(net.messages(other), []);
}

// [MQTT-4.8.2-5]
#[test]
fn a_message_of_qos_2_goes_to_no_other_member_when_the_session_of_the_first_ends() {
    let mut net = Net::new();
    let members = members(&mut net, 2, QoS::ExactlyOnce);
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a/b", "x", QoS::ExactlyOnce);
    let first = net.packets(members[0]);
    let (began, other) = if first.is_empty() { (1, members[0]) } else { (0, members[1]) };
    net.cut(members[began]);
    net.client(Version::V5, &format!("member {began}"));
    assert_eq!(net.messages(other), []);
}

// [MQTT-4.8.2-6]
#[test]
fn a_message_that_a_member_refuses_is_discarded() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new();
        let members = members(&mut net, 2, qos);
        let publisher = net.client(Version::V5, "p");
        net.publish(publisher, "a/b", "x", qos);
        let mut seen = 0;
        for member in &members {
            for packet in net.packets(*member) {
                let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                seen += 1;
                net.acknowledge(*member, &publish, ReasonCode::QuotaExceeded);
            }
        }
        assert_eq!(seen, 1);
        for member in members {
            assert_eq!(net.messages(member), []);
            net.cut(member);
        }
        for n in 0..2 {
            let (member, present) = net.keeper(Version::V5, &format!("member {n}"));
            assert!(present);
            assert_eq!(net.messages(member), []);
        }
    }
}

#[test]
fn no_retained_message_comes_with_a_shared_subscription() {
    let mut net = Net::new();
    let publisher = net.client(Version::V5, "p");
    net.retain(publisher, "a/b", "kept", QoS::AtLeastOnce);
    let members = members(&mut net, 1, QoS::AtLeastOnce);
    assert_eq!(net.messages(members[0]), []);
}

#[test]
fn a_client_with_a_shared_and_a_plain_subscription_gets_a_copy_of_each() {
    let mut net = Net::new();
    let members = members(&mut net, 1, QoS::AtLeastOnce);
    net.subscribe(members[0], "a/b", QoS::AtMostOnce);
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a/b", "x", QoS::AtLeastOnce);
    assert_eq!(net.messages(members[0]).len(), 2);
}

#[test]
fn groups_come_and_go_with_their_members() {
    let mut net = Net::new();
    let publisher = net.client(Version::V5, "p");
    let clients: Vec<_> = (0..6)
        .map(|n| {
            let client = net.client(Version::V5, &format!("c{n}"));
            net.subscribe(client, &format!("$share/g{}/a", n % 3), QoS::AtMostOnce);
            net.subscribe(client, &format!("$share/g{}/a/#", n % 3), QoS::AtMostOnce);
            client
        })
        .collect();
    let count = |net: &mut Net| {
        net.publish(publisher, "a", "x", QoS::AtMostOnce);
        clients.iter().map(|c| if net.is_closed(*c) { 0 } else { net.messages(*c).len() }).sum()
    };
    let mut counts: Vec<usize> = vec![count(&mut net)];
    net.unsubscribe(clients[0], &["$share/g0/a", "$share/g1/a"]).unwrap();
    counts.push(count(&mut net));
    net.cut(clients[3]);
    counts.push(count(&mut net));
    net.cut(clients[0]);
    counts.push(count(&mut net));
    for client in [1, 2, 4, 5] {
        net.cut(clients[client]);
    }
    counts.push(count(&mut net));
    assert_eq!(counts, [6, 6, 5, 4, 0]);
    assert_eq!(net.broker.statistics().subscriptions, 0);
}

#[test]
fn in_311_share_is_a_level_like_any_other() {
    let mut net = Net::new();
    let old = net.client(Version::V311, "old");
    net.subscribe(old, "$share/g/a", QoS::AtMostOnce);
    let publisher = net.client(Version::V311, "p");
    net.publish(publisher, "a", "x", QoS::AtMostOnce);
    net.publish(publisher, "$share/g/a", "y", QoS::AtMostOnce);
    assert_eq!(net.payloads(old), ["y"]);
    let shared = [subscription("$share/g/a", QoS::AtMostOnce)];
    let new = net.client(Version::V5, "new");
    net.subscribe_to(new, &shared, &[]).unwrap();
    net.publish(publisher, "a", "z", QoS::AtMostOnce);
    assert_eq!((net.payloads(old), net.payloads(new)), (vec![], vec!["z".to_owned()]));
}

#[test]
fn what_a_member_has_not_acknowledged_goes_to_another_once_its_session_ends() {
    let mut net = Net::new();
    let members = members(&mut net, 2, QoS::AtLeastOnce);
    let publisher = net.client(Version::V5, "p");
    let expiry = [Property::MessageExpiryInterval(100)];
    for n in 0..6 {
        let payload = n.to_string();
        let qos = QoS::AtLeastOnce;
        net.publish_all_of(
            publisher,
            &Publish { qos, properties: expiry[..].into(), ..message("a/b", &payload) },
        );
    }
    let first = net.payloads(members[1]);
    assert_eq!(first.len(), 3);
    net.wait(10.0);
    // While the session is there, it may come back to them.
    net.cut(members[0]);
    assert_eq!(net.messages(members[1]), []);
    let (again, _) = net.keeper(Version::V5, "member 0");
    assert_eq!(net.packets(again).len(), 3);
    net.disconnect(again, ReasonCode::NORMAL_DISCONNECTION);
    net.wait(10.0);
    net.client(Version::V5, "member 0");
    let rest = net.messages(members[1]);
    assert_eq!(rest.len(), 3);
    assert!(rest.iter().all(|m| !m.dup && m.properties.message_expiry_interval() == Some(80)));
    assert_eq!(net.broker.statistics().in_flight_messages, 0);
}

#[test]
fn what_waits_for_a_member_goes_to_another_whatever_its_qos_but_to_no_other_group() {
    let mut net = Net::with(|config| config.max_in_flight = 1);
    let away = [net.keeper(Version::V5, "away").0, net.keeper(Version::V5, "also away").0];
    for client in away {
        net.subscribe(client, "$share/g/a/+", QoS::ExactlyOnce);
        net.cut(client);
    }
    let publisher = net.client(Version::V5, "p");
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for _ in 0..2 {
            net.publish(publisher, "a/b", "x", qos);
        }
    }
    // One of them ends.
    net.client(Version::V5, "away");
    let (back, _) = net.keeper(Version::V5, "also away");
    assert_eq!(net.messages(back).len(), 4);
    // The last of a group takes what it has along, though another group comes into its place.
    net.cut(back);
    net.publish(publisher, "a/b", "x", QoS::AtLeastOnce);
    let other = net.client(Version::V5, "other");
    net.client(Version::V5, "also away");
    net.subscribe(other, "$share/h/a/+", QoS::ExactlyOnce);
    assert_eq!(net.messages(other), []);
    assert_eq!(net.broker.statistics().queued_messages, 0);
}

#[test]
fn those_who_take_messages_share_them_alike_whoever_else_is_slow() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut net = Net::new();
        let members = members(&mut net, 7, qos);
        // One takes nothing, one acknowledges nothing, one is away.
        net.set_room(members[0], 0);
        net.cut(members[2]);
        let publisher = net.client(Version::V5, "p");
        let mut got = [0; 7];
        for _ in 0..2000 {
            net.publish(publisher, "a/b", "x", qos);
            for n in 3..7 {
                got[n] += net.messages(members[n]).len();
            }
        }
        let (least, most) = (got[3..].iter().min().unwrap(), got[3..].iter().max().unwrap());
        assert!(most - least <= 2, "{got:?}");
        let lazy = net.packets(members[1]).len();
        match qos {
            QoS::AtMostOnce => assert!(lazy.abs_diff(*most) <= 2, "{lazy} {got:?}"),
            _ => assert_eq!(got.iter().sum::<usize>() + lazy, 1999, "one waits for who is slow"),
        }
        assert_eq!(net.broker.statistics().dropped.total(), 0);
    }
}
