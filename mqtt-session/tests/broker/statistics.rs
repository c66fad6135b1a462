//! What the broker counts.

use mqtt_codec::{
    Connect, PacketType, Property, Publish, QoS, ReasonCode, Subscription, TopicFilter, Version,
};
use mqtt_session::broker::{Admission, Client, Policy};

use crate::harness::{BOTH, EVERY_QOS, Net, message};

#[test]
fn packets_and_bytes_are_counted_by_type_in_both_directions() {
    for version in BOTH {
        let mut net = Net::new();
        let (client, connack) =
            net.connect(&Connect { keep_alive: 0, ..Connect::new(version, "c") });
        let _ = connack;
        let sent = net.broker.statistics().sent;
        assert_eq!((sent.packets(), sent.of(PacketType::ConnAck)), (1, 1));
        let before = net.broker.statistics();
        // Several packets at once, the last of which is not all there.
        net.send_bytes(client, &[0xC0, 0, 0xC0, 0, 0xC0]);
        net.send_bytes(client, &[0]);
        let after = net.broker.statistics();
        assert_eq!(after.received.of(PacketType::PingReq), 3);
        assert_eq!(after.received.bytes() - before.received.bytes(), 6);
        assert_eq!(after.sent.of(PacketType::PingResp), 3);
        assert_eq!(after.sent.bytes() - before.sent.bytes(), 6);
        assert_eq!(net.bytes(client).len(), 6);
        net.subscribe(client, "a", QoS::ExactlyOnce);
        let mut bytes = 0;
        for qos in EVERY_QOS {
            net.publish(client, "a", "12345", qos);
            bytes += 5;
            let counted = net.broker.statistics();
            assert_eq!(
                (counted.payload_bytes_received, counted.payload_bytes_sent),
                (bytes, bytes)
            );
        }
        assert_eq!(net.messages(client).len(), 3);
        let counted = net.broker.statistics();
        assert_eq!((counted.messages_received, counted.messages_sent), (3, 3));
        for traffic in [counted.received, counted.sent] {
            let of = PacketType::ALL.map(|packet_type| traffic.of(packet_type));
            assert_eq!(of.iter().sum::<u64>(), traffic.packets());
            assert_eq!(traffic.of(PacketType::Publish), 3);
            for kind in
                [PacketType::PubAck, PacketType::PubRec, PacketType::PubRel, PacketType::PubComp]
            {
                assert_eq!(traffic.of(kind), 1, "{kind:?}");
            }
        }
        assert_eq!(counted.received.of(PacketType::Subscribe), 1);
        assert_eq!(counted.sent.of(PacketType::SubAck), 1);
    }
}

#[test]
fn a_message_is_dropped_for_one_reason() {
    let mut net = Net::with(|config| {
        config.max_queued_messages = 1;
        config.max_retained_messages = 1;
    });
    let publisher = net.client(Version::V5, "p");
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "#", QoS::AtLeastOnce);
    net.cut(client);
    let expiry = [Property::MessageExpiryInterval(5)];
    let expiring = Publish { properties: expiry[..].into(), ..message("a", "x") };
    net.publish_all_of(publisher, &Publish { qos: QoS::AtLeastOnce, ..expiring });
    net.publish(publisher, "a", "full", QoS::AtLeastOnce);
    net.publish(publisher, "a", "offline", QoS::AtMostOnce);
    let dropped = net.broker.statistics().dropped;
    assert_eq!((dropped.queue_full, dropped.offline, dropped.total()), (1, 1, 2));
    net.wait(6.0);
    let list =
        [Property::SessionExpiryInterval(10), Property::MaximumPacketSize(100.try_into().unwrap())];
    let connect = Connect {
        clean_start: false,
        keep_alive: 0,
        properties: list[..].into(),
        ..Connect::new(Version::V5, "c")
    };
    let (client, _) = net.connect(&connect);
    net.publish(publisher, "a", &"x".repeat(200), QoS::AtLeastOnce);
    net.retain(publisher, "one", "x", QoS::AtMostOnce);
    net.retain(publisher, "two", "x", QoS::AtMostOnce);
    let dropped = net.broker.statistics().dropped;
    assert_eq!((dropped.expired, dropped.too_large, dropped.retained_full), (1, 1, 1));
    assert_eq!(dropped.total(), 5);
    assert_eq!(net.messages(client).len(), 2);
}

#[test]
fn what_waits_and_what_is_in_flight_are_counted_apart_and_come_back_to_nothing() {
    let mut net = Net::with(|config| config.max_in_flight = 2);
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "a", QoS::AtLeastOnce);
    let publisher = net.client(Version::V5, "p");
    for _ in 0..5 {
        net.publish(publisher, "a", "x", QoS::AtLeastOnce);
    }
    let counted = net.broker.statistics();
    assert_eq!((counted.in_flight_messages, counted.queued_messages), (2, 3));
    assert!(counted.in_flight_bytes > 0 && counted.queued_bytes > counted.in_flight_bytes);
    net.cut(client);
    let counted = net.broker.statistics();
    assert_eq!((counted.in_flight_messages, counted.queued_messages), (2, 3));
    let (client, _) = net.keeper(Version::V5, "c");
    assert_eq!(net.messages(client).len(), 5);
    for _ in 0..5 {
        net.publish(publisher, "a", "x", QoS::AtLeastOnce);
    }
    net.disconnect(client, ReasonCode::NORMAL_DISCONNECTION);
    // The session ends with what it holds.
    net.client(Version::V5, "c");
    let counted = net.broker.statistics();
    assert_eq!((counted.in_flight_messages, counted.queued_messages), (0, 0));
    assert_eq!((counted.in_flight_bytes, counted.queued_bytes), (0, 0));
}

#[test]
fn connections_and_sessions_are_counted_as_they_come_and_go() {
    let mut net = Net::with(|config| {
        config.max_connections = 3;
        config.max_client_id_len = 5;
    });
    let (keeper, _) = net.keeper(Version::V5, "k");
    let other = net.client(Version::V5, "o");
    net.open(Version::V5);
    assert!(net.broker.open(net.now).is_none());
    let counted = net.broker.statistics();
    assert_eq!((counted.connections, counted.connections_opened), (3, 3));
    assert_eq!((counted.connections_refused, counted.sessions_connected), (1, 2));
    net.wait(11.0);
    assert_eq!(net.broker.statistics().timeouts, 1);
    net.refused(&Connect::new(Version::V5, "too long"));
    assert_eq!(net.broker.statistics().connects_refused, 1);
    // Nobody is counted twice who comes again.
    let (again, _) = net.keeper(Version::V5, "k");
    assert!(net.is_closed(keeper));
    net.disconnect(other, ReasonCode::NORMAL_DISCONNECTION);
    net.cut(again);
    let counted = net.broker.statistics();
    assert_eq!((counted.taken_over, counted.connects_accepted), (1, 3));
    assert_eq!((counted.sessions, counted.sessions_connected), (1, 0));
    assert_eq!(counted.max_sessions_connected, 2);
    net.wait(1001.0);
    assert_eq!(net.broker.statistics().sessions_expired, 1);
}

struct Nobody;

impl Policy for Nobody {
    fn publish(&mut self, _: Client<'_>, _: &Publish<'_>) -> Admission {
        Admission::Refuse(ReasonCode::NotAuthorized)
    }

    fn subscribe(&mut self, _: Client<'_>, _: &Subscription<'_>) -> Admission {
        Admission::Refuse(ReasonCode::NotAuthorized)
    }
}

#[test]
fn what_the_policy_refuses_is_counted() {
    let mut net = Net::with_policy(Nobody);
    let client = net.client(Version::V5, "c");
    let subscription = Subscription::new(TopicFilter::new("a").unwrap(), QoS::AtMostOnce);
    net.subscribe_to(client, &[subscription, subscription], &[]).unwrap();
    net.publish(client, "a", "x", QoS::AtLeastOnce);
    let counted = net.broker.statistics();
    assert_eq!((counted.subscriptions_refused, counted.publishes_refused), (2, 1));
    assert_eq!(counted.messages_sent, 0);
}

#[test]
fn shared_subscriptions_are_counted_beside_all() {
    let mut net = Net::new();
    let clients = ["a", "b"].map(|name| net.client(Version::V5, name));
    for client in clients {
        net.subscribe(client, "$share/g/t", QoS::AtMostOnce);
        net.subscribe(client, "t", QoS::AtMostOnce);
    }
    let counted = net.broker.statistics();
    assert_eq!((counted.subscriptions, counted.shared_subscriptions), (4, 2));
    net.unsubscribe(clients[0], &["$share/g/t"]);
    net.cut(clients[1]);
    let counted = net.broker.statistics();
    assert_eq!((counted.subscriptions, counted.shared_subscriptions), (1, 0));
}
