//! Answers of the policy that come later.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use mqtt_codec::{
    Ack, Connect, Packet, PacketId, Publish, QoS, ReasonCode, SubAck, Subscribe, Subscription,
    TopicName, Version, Will,
};
use mqtt_session::broker::{Admission, Client, Config, Policy, Received, Ticket};

use crate::harness::{BOTH, EVERY_QOS, Net, message, subscription};

/// Answers nothing about topics that begin with `later`, but keeps the tickets.
#[derive(Clone, Default)]
struct Undecided(Arc<Mutex<Vec<Ticket>>>);

impl Undecided {
    fn about(&self, client: Client<'_>, topic: &str) -> Admission {
        if !topic.starts_with("later") {
            return Admission::Allow;
        }
        self.0.lock().unwrap().push(client.ticket);
        Admission::Later
    }

    fn take(&self) -> Vec<Ticket> {
        core::mem::take(&mut self.0.lock().unwrap())
    }

    fn only(&self) -> Ticket {
        let tickets = self.take();
        assert_eq!(tickets.len(), 1);
        tickets[0]
    }
}

impl Policy for Undecided {
    fn publish(&mut self, client: Client<'_>, publish: &Publish<'_>) -> Admission {
        self.about(client, publish.topic.as_str())
    }

    fn subscribe(&mut self, client: Client<'_>, subscription: &Subscription<'_>) -> Admission {
        self.about(client, subscription.filter.as_str())
    }
}

fn net(change: impl FnOnce(&mut Config)) -> (Net, Undecided) {
    let policy = Undecided::default();
    (Net::with_both(policy.clone(), change), policy)
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

/// A PUBLISH as it is on the wire.
fn bytes(version: Version, topic: &str, payload: &str, qos: QoS, packet_id: u16) -> Vec<u8> {
    let packet_id = (qos != QoS::AtMostOnce).then(|| id(packet_id));
    let publish = Packet::Publish(Publish { qos, packet_id, ..message(topic, payload) });
    let mut bytes = Vec::new();
    mqtt_codec::Rules::new(version, mqtt_codec::Sender::Client)
        .encode_to_vec(&publish, &mut bytes)
        .unwrap();
    bytes
}

const REFUSED: Admission = Admission::Refuse(ReasonCode::NotAuthorized);

// [MQTT-4.6.0-2], [MQTT-4.6.0-5]
#[test]
fn what_comes_behind_a_message_that_waits_waits_too_and_the_order_is_kept() {
    for version in BOTH {
        for qos in EVERY_QOS {
            let (mut net, policy) = net(|_| {});
            let listener = net.client(Version::V5, "listener");
            net.subscribe(listener, "#", QoS::ExactlyOnce);
            let client = net.client(version, "c");
            let mut all = Vec::new();
            for (n, topic) in ["a", "later/1", "b", "later/2", "c"].iter().enumerate() {
                all.extend(bytes(version, topic, topic, qos, n as u16 + 1));
            }
            net.send_bytes(client, &all);
            assert_eq!(net.payloads(listener), ["a"]);
            let first = policy.only();
            let mut more = &[0xC0, 0][..];
            assert_eq!(net.try_send(client, &mut more), Received::Waiting);
            assert_eq!(more.len(), 2, "nothing is taken");
            // Others go on.
            net.publish(listener, "other", "other", QoS::AtMostOnce);
            assert_eq!(net.payloads(listener), ["other"]);
            net.resolve(first, Admission::Allow);
            assert_eq!(net.payloads(listener), ["later/1", "b"]);
            // An answer that comes twice is none to what waits next.
            net.resolve(first, Admission::Allow);
            assert!(net.payloads(listener).is_empty());
            net.resolve(policy.only(), REFUSED);
            assert_eq!(net.payloads(listener), ["c"]);
            let acknowledged: Vec<_> = net
                .packets(client)
                .iter()
                .map(|packet| match packet {
                    Packet::PubAck(ack) | Packet::PubRec(ack) => (ack.packet_id.get(), ack.reason),
                    other => panic!("{other:?}"),
                })
                .collect();
            let refused = match version {
                Version::V5 => ReasonCode::NotAuthorized,
                _ => ReasonCode::Success,
            };
            let expected =
                [1, 2, 3, 4, 5].map(|n| (n, if n == 4 { refused } else { ReasonCode::Success }));
            match qos {
                QoS::AtMostOnce => assert_eq!(acknowledged, []),
                _ => assert_eq!(acknowledged, expected),
            }
        }
    }
}

#[test]
fn each_filter_of_a_subscription_may_wait_and_one_answer_goes_out_for_all() {
    for version in BOTH {
        let (mut net, policy) = net(|_| {});
        let client = net.client(version, "c");
        net.retain(client, "a", "retained", QoS::AtMostOnce);
        let filters = ["a", "later/1", "b", "later/2", "later/3"];
        let list: Vec<_> = filters.iter().map(|f| subscription(f, QoS::ExactlyOnce)).collect();
        let subscribe = Subscribe {
            packet_id: id(7),
            properties: [][..].into(),
            subscriptions: list[..].into(),
        };
        net.send(client, &Packet::Subscribe(subscribe));
        for answer in [Admission::AllowUpTo(QoS::AtLeastOnce), REFUSED, Admission::Allow] {
            assert_eq!(net.packet(client), None);
            net.resolve(policy.only(), answer);
        }
        let packets = net.packets(client);
        let Packet::SubAck(SubAck { packet_id, reasons, .. }) = packets[0] else { panic!() };
        assert_eq!(packet_id, id(7));
        let failure = if version == Version::V5 { 0x87 } else { 0x80 };
        let reasons: Vec<u8> = reasons.iter().map(ReasonCode::value).collect();
        assert_eq!(reasons, [2, 1, 2, failure, 2]);
        assert!(matches!(packets[1..], [Packet::Publish(_)]), "what is retained comes behind it");
        assert_eq!(net.broker.statistics().subscriptions, 4);
        assert_eq!(net.broker.statistics().subscriptions_refused, 1);
    }
}

#[test]
fn one_answer_is_for_the_client_and_for_its_will() {
    for answer in [Admission::Allow, REFUSED] {
        let (mut net, policy) = net(|_| {});
        let will = Will::new(TopicName::new("later").unwrap(), b"x");
        let connect = Connect { will: Some(will), ..Connect::new(Version::V5, "c") };
        let client = net.open(Version::V5);
        net.send(client, &Packet::Connect(connect));
        assert_eq!(net.packet(client), None);
        net.resolve(policy.only(), answer);
        let Some(Packet::ConnAck(connack)) = net.packet(client) else { panic!("no CONNACK") };
        assert_eq!(connack.reason == ReasonCode::Success, answer == Admission::Allow);
    }
}

/// Keeps the tickets of who connects, and allows no message.
struct Checking(Undecided);

impl Policy for Checking {
    fn connect(&mut self, client: Client<'_>, _: &Connect<'_>) -> Admission {
        self.0.about(client, "later")
    }

    fn publish(&mut self, _: Client<'_>, _: &Publish<'_>) -> Admission {
        REFUSED
    }
}

#[test]
fn who_has_not_proved_its_name_does_not_learn_whether_that_may_have_a_will() {
    let tickets = Undecided::default();
    let mut net = Net::with_policy(Checking(tickets.clone()));
    let will = Will::new(TopicName::new("t").unwrap(), b"x");
    let connect = Connect { will: Some(will), ..Connect::new(Version::V5, "c") };
    let wrong = ReasonCode::BadUserNameOrPassword;
    for (answer, expected) in
        [(Admission::Refuse(wrong), wrong), (Admission::Allow, ReasonCode::NotAuthorized)]
    {
        let client = net.open(Version::V5);
        net.send(client, &Packet::Connect(connect));
        assert_eq!(net.packet(client), None);
        net.resolve(tickets.only(), answer);
        let Some(Packet::ConnAck(connack)) = net.packet(client) else { panic!("no CONNACK") };
        assert_eq!(connack.reason, expected);
    }
}

#[test]
fn nobody_is_let_in_by_a_late_answer_while_nothing_can_be_stored() {
    let (mut net, policy) = net(|_| {});
    let will = Will::new(TopicName::new("later").unwrap(), b"x");
    let connect = Connect { will: Some(will), ..Connect::new(Version::V5, "c") };
    for refuses in [true, false] {
        let client = net.open(Version::V5);
        net.send(client, &Packet::Connect(connect));
        net.broker.refuse_changes(refuses);
        net.resolve(policy.only(), Admission::Allow);
        let Some(Packet::ConnAck(connack)) = net.packet(client) else { panic!("no CONNACK") };
        let expected = if refuses { ReasonCode::ServerUnavailable } else { ReasonCode::Success };
        assert_eq!(connack.reason, expected);
        net.broker.refuse_changes(false);
    }
}

#[test]
fn a_client_is_not_kept_waiting_for_ever_and_may_come_again() {
    let (mut net, policy) = net(|config| config.policy_timeout = Duration::from_secs(3));
    let (client, _) = net.keeper(Version::V5, "c");
    let first = bytes(Version::V5, "later", "x", QoS::AtLeastOnce, 1);
    net.send_bytes(client, &first);
    net.wait(2.9);
    assert!(!net.is_closed(client));
    net.wait(0.2);
    assert_eq!(net.goodbye(client), Some(ReasonCode::ServerBusy));
    // The message was not acknowledged, and comes again.
    let (client, present) = net.keeper(Version::V5, "c");
    assert!(present);
    net.send_bytes(client, &first);
    let tickets = policy.take();
    net.resolve(tickets[0], Admission::Allow);
    assert_eq!(net.packet(client), None, "that connection is no more");
    net.resolve(tickets[1], Admission::Allow);
    let ack = Ack { reason: ReasonCode::NoMatchingSubscribers, ..Ack::new(id(1)) };
    assert_eq!(net.packet(client), Some(Packet::PubAck(ack)));
    net.wait(60.0);
    assert!(!net.is_closed(client));
}

#[test]
fn what_waits_for_the_policy_is_bounded_and_the_room_comes_back() {
    let (mut net, policy) = net(|config| config.max_deferred_bytes = 1000);
    let clients = ["a", "b", "c"].map(|name| net.client(Version::V5, name));
    let large = "x".repeat(400);
    for client in clients {
        net.send_bytes(client, &bytes(Version::V5, "later", &large, QoS::AtLeastOnce, 1));
    }
    let refused = Ack { reason: ReasonCode::QuotaExceeded, ..Ack::new(id(1)) };
    assert_eq!(net.packet(clients[2]), Some(Packet::PubAck(refused)));
    let filters = ["later"; 60].map(|filter| subscription(filter, QoS::AtMostOnce));
    let reasons = net.subscribe_to(clients[2], &filters, &[]).unwrap();
    assert_eq!(reasons, [ReasonCode::QuotaExceeded; 60]);
    let name = "n".repeat(300);
    let will = Will::new(TopicName::new("later").unwrap(), b"x");
    let connect = Connect { will: Some(will), ..Connect::new(Version::V5, &name) };
    assert_eq!(net.refused(&connect), Some(ReasonCode::ServerBusy));
    let tickets = policy.take();
    net.resolve(tickets[0], REFUSED);
    net.cut(clients[1]);
    // One was answered, one is gone: there is room for two again.
    net.send_bytes(clients[0], &bytes(Version::V5, "later", &large, QoS::AtLeastOnce, 2));
    net.send_bytes(clients[2], &bytes(Version::V5, "later", &large, QoS::AtLeastOnce, 2));
    for ticket in policy.take() {
        net.resolve(ticket, Admission::Allow);
    }
    for client in [clients[0], clients[2]] {
        let last = net.packets(client).last().copied();
        let done = Ack { reason: ReasonCode::NoMatchingSubscribers, ..Ack::new(id(2)) };
        assert_eq!(last, Some(Packet::PubAck(done)));
    }
    // A client that waits to be let in, and goes.
    for _ in 0..10 {
        let client = net.open(Version::V5);
        net.send(client, &Packet::Connect(connect));
        net.cut(client);
    }
    let client = net.open(Version::V5);
    net.send(client, &Packet::Connect(connect));
    let ticket = policy.take().pop().unwrap();
    net.resolve(ticket, Admission::Allow);
    assert!(matches!(net.packet(client), Some(Packet::ConnAck(_))));
}

#[test]
fn messages_to_a_client_do_not_wait_for_the_policy() {
    let (mut net, policy) = net(|_| {});
    let client = net.client(Version::V5, "c");
    net.subscribe(client, "a", QoS::AtMostOnce);
    net.send_bytes(client, &bytes(Version::V5, "later", "x", QoS::AtMostOnce, 0));
    let other = net.client(Version::V5, "o");
    net.publish(other, "a", "x", QoS::AtMostOnce);
    assert!(matches!(net.packet(client), Some(Packet::Publish(_))));
    net.resolve(policy.only(), Admission::Allow);
}

// [MQTT-4.3.3-10]
#[test]
fn a_message_that_waited_when_the_connection_broke_is_taken_when_it_comes_again() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let (mut net, policy) = net(|_| {});
        let listener = net.client(Version::V5, "listener");
        net.subscribe(listener, "#", QoS::ExactlyOnce);
        let (client, _) = net.keeper(Version::V5, "c");
        net.send_bytes(client, &bytes(Version::V5, "later", "x", qos, 1));
        net.cut(client);
        let (client, present) = net.keeper(Version::V5, "c");
        assert!(present);
        let mut again = bytes(Version::V5, "later", "x", qos, 1);
        again[0] |= 8;
        net.send_bytes(client, &again);
        let tickets = policy.take();
        assert_eq!(tickets.len(), 2, "it is asked about again");
        for ticket in tickets {
            net.resolve(ticket, Admission::Allow);
        }
        assert_eq!(net.payloads(listener), ["x"]);
        let answered = net.packets(client);
        assert!(matches!(answered[..], [Packet::PubAck(_) | Packet::PubRec(_)]), "{answered:?}");
    }
}
