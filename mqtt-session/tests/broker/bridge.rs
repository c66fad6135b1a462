//! Sessions of the embedder's own.

use mqtt_codec::{Ack, Connect, Packet, PacketId, Publish, QoS, ReasonCode, Subscription, Version};
use mqtt_session::broker::{Admission, Bridge, Client, Config, Overflow, Policy, QueueBounds};

use crate::durable::{Disk, crash, durable};
use crate::harness::{Net, message, subscription};

const CONNECT: Connect<'_> =
    Connect { clean_start: false, keep_alive: 0, ..Connect::new(Version::V5, "$bridge/up") };

fn bridge<'a>(subscriptions: &'a [Subscription<'a>]) -> Bridge<'a> {
    Bridge { name: "up", subscriptions, queue: QueueBounds::of(&Config::default()) }
}

#[test]
fn what_a_bridge_subscribes_to_waits_for_it_from_the_start() {
    let mut net = Net::with(|config| config.max_session_expiry = 1);
    net.set_bridges(&[bridge(&[subscription("a/#", QoS::AtLeastOnce)])]).unwrap();
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a/b", "x", QoS::AtLeastOnce);
    net.wait(10_000.0);
    assert_eq!(net.broker.waiting("up").unwrap().messages, 1);
    assert_eq!(net.broker.waiting("down"), None);
    let (client, connack) = net.bridge(&CONNECT);
    assert!(connack.session_present);
    assert_eq!(net.payloads(client), ["x"]);
    net.disconnect(client, ReasonCode::NORMAL_DISCONNECTION);
    net.publish(publisher, "a/b", "y", QoS::AtLeastOnce);
    assert_eq!(net.broker.waiting("up").unwrap().messages, 1);
}

#[test]
fn a_bridge_has_the_subscriptions_that_it_is_set_up_with_and_goes_with_its_set_up() {
    let mut net = Net::new();
    let (a, b) = (subscription("a", QoS::AtLeastOnce), subscription("b", QoS::AtLeastOnce));
    net.set_bridges(&[bridge(&[a, b])]).unwrap();
    net.set_bridges(&[bridge(&[b])]).unwrap();
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a", "1", QoS::AtLeastOnce);
    net.publish(publisher, "b", "2", QoS::AtLeastOnce);
    let (client, _) = net.bridge(&CONNECT);
    assert_eq!(net.payloads(client), ["2"]);
    net.set_bridges(&[]).unwrap();
    assert!(net.is_closed(client));
    assert_eq!(net.broker.waiting("up"), None);
    assert_eq!(net.broker.statistics().subscriptions, 0);
}

#[test]
fn nobody_from_outside_takes_the_session_of_a_bridge() {
    let mut net = Net::new();
    net.set_bridges(&[bridge(&[])]).unwrap();
    assert_eq!(net.refused(&CONNECT), Some(ReasonCode::ClientIdentifierNotValid));
    assert!(net.broker.waiting("up").is_some());
}

#[test]
fn a_bridge_takes_the_session_of_no_client() {
    let mut net = Net::new();
    let (client, _) = net.keeper(Version::V5, "c");
    let connect = Connect { client_id: "c".into(), ..CONNECT };
    assert_eq!(net.bridge(&connect).1.reason, ReasonCode::ClientIdentifierNotValid);
    assert!(!net.is_closed(client));
}

#[test]
fn a_bridge_comes_in_where_there_is_room_for_no_more_connections() {
    let mut net = Net::with(|config| {
        config.max_connections = 1;
        config.max_keep_alive = core::num::NonZeroU16::new(10);
    });
    net.set_bridges(&[bridge(&[])]).unwrap();
    let _client = net.client(Version::V5, "c");
    assert_eq!(net.broker.open(net.now), None);
    let (_, connack) = net.bridge(&CONNECT);
    assert_eq!(connack.properties.server_keep_alive(), None);
}

#[test]
fn a_bridge_has_bounds_of_its_own_for_what_waits() {
    let newest = QueueBounds { max_messages: 2, max_bytes: 10_000, overflow: Overflow::DropNewest };
    let oldest = QueueBounds { overflow: Overflow::DropOldest, ..newest };
    let small = QueueBounds { max_messages: 100, max_bytes: 150, ..oldest };
    for (queue, kept) in [(newest, &["0", "1"][..]), (oldest, &["3", "4"]), (small, &["3", "4"])] {
        let mut net = Net::new();
        let all = [subscription("#", QoS::AtLeastOnce)];
        net.set_bridges(&[Bridge { queue, ..bridge(&all) }]).unwrap();
        let publisher = net.client(Version::V5, "p");
        let other = net.keeper(Version::V5, "other").0;
        net.subscribe(other, "#", QoS::AtLeastOnce);
        net.cut(other);
        for n in 0..5 {
            net.publish(publisher, "a", &n.to_string(), QoS::AtLeastOnce);
        }
        let (client, _) = net.bridge(&CONNECT);
        assert_eq!(net.payloads(client), kept, "{queue:?}");
        let (other, _) = net.keeper(Version::V5, "other");
        assert_eq!(net.payloads(other).len(), 5);
    }
}

/// Allows bridges all, and others nothing but to connect.
struct OnlyBridges;

impl Policy for OnlyBridges {
    fn publish(&mut self, client: Client<'_>, _: &Publish<'_>) -> Admission {
        match client.is_bridge {
            true => Admission::Allow,
            false => Admission::Refuse(ReasonCode::NotAuthorized),
        }
    }
}

#[test]
fn a_policy_can_tell_bridges_from_others() {
    let mut net = Net::with_policy(OnlyBridges);
    net.set_bridges(&[bridge(&[])]).unwrap();
    let (client, _) = net.bridge(&CONNECT);
    let other = net.client(Version::V5, "c");
    let publish = Publish { qos: QoS::AtLeastOnce, ..message("a", "x") };
    assert_eq!(net.publish_all_of(client, &publish), ReasonCode::NoMatchingSubscribers);
    assert_eq!(net.publish_all_of(other, &publish), ReasonCode::NotAuthorized);
}

#[test]
fn a_broker_that_comes_back_has_what_waits_for_a_bridge() {
    let mut net = Net::of(mqtt_session::broker::Broker::new(durable()));
    let mut disk = Disk::default();
    let subscriptions = [subscription("a", QoS::ExactlyOnce)];
    net.set_bridges(&[bridge(&subscriptions)]).unwrap();
    let publisher = net.client(Version::V5, "p");
    net.publish(publisher, "a", "x", QoS::ExactlyOnce);
    crash(&mut net, &mut disk);
    assert_eq!(net.broker.waiting("up").unwrap().messages, 1);
    net.set_bridges(&[bridge(&subscriptions)]).unwrap();
    let (client, connack) = net.bridge(&CONNECT);
    assert!(connack.session_present);
    assert_eq!(net.payloads(client), ["x"]);
    net.set_bridges(&[]).unwrap();
    crash(&mut net, &mut disk);
    assert_eq!(net.broker.waiting("up"), None);
}

#[test]
fn after_the_broker_behind_it_begins_anew_a_bridge_publishes_with_its_identifiers_again() {
    let mut net = Net::of(mqtt_session::broker::Broker::new(durable()));
    let mut disk = Disk::default();
    net.set_bridges(&[bridge(&[])]).unwrap();
    let subscriber = net.client(Version::V5, "s");
    net.subscribe(subscriber, "a", QoS::AtMostOnce);
    let packet_id = PacketId::new(1);
    let first = Publish { qos: QoS::ExactlyOnce, packet_id, ..message("a", "first") };
    let second = Publish { payload: b"second", ..first };
    let (client, _) = net.bridge(&CONNECT);
    net.send(client, &Packet::Publish(first));
    // It is the same one until PUBREL [MQTT-4.3.3-10].
    let (client, _) = net.bridge(&CONNECT);
    net.send(client, &Packet::Publish(second));
    assert_eq!(net.payloads(subscriber), ["first"]);
    net.cut(client);
    net.forget_received("up");
    crash(&mut net, &mut disk);
    net.set_bridges(&[bridge(&[])]).unwrap();
    let subscriber = net.client(Version::V5, "s");
    net.subscribe(subscriber, "a", QoS::AtMostOnce);
    let (client, _) = net.bridge(&CONNECT);
    net.send(client, &Packet::Publish(second));
    assert_eq!(net.payloads(subscriber), ["second"]);
    net.send(client, &Packet::PubRel(Ack::new(packet_id.unwrap())));
    assert!(matches!(net.packets(client).last(), Some(Packet::PubComp(_))));
}

/// mosquitto's bridges set bit 7 of Protocol Level to be known as such.
#[test]
fn a_bridge_of_another_broker_has_no_local_and_retain_as_published_in_3_1_and_3_1_1() {
    let connects: [&[u8]; 2] = [
        b"\x10\x12\x00\x06MQIsdp\x83\x00\x00\x3C\x00\x04edge",
        b"\x10\x10\x00\x04MQTT\x84\x00\x00\x3C\x00\x04edge",
    ];
    for connect in connects {
        let mut net = Net::new();
        let other = net.client(Version::V5, "other");
        net.subscribe(other, "#", QoS::AtMostOnce);
        net.retain(other, "kept", "x", QoS::AtMostOnce);
        net.messages(other);
        let edge = net.open(Version::V311);
        // However it comes.
        for byte in connect {
            net.send_bytes(edge, &[*byte]);
        }
        assert_eq!(net.bytes(edge), [0x20, 2, 0, 0]);
        net.subscribe(edge, "#", QoS::AtLeastOnce);
        let kept = net.messages(edge);
        assert_eq!((kept.len(), kept[0].retain), (1, true));
        net.retain(edge, "a", "1", QoS::AtLeastOnce);
        assert_eq!(net.messages(other).len(), 1);
        assert_eq!(net.messages(edge).len(), 0, "what it has sent does not come back");
        net.retain(other, "b", "2", QoS::AtLeastOnce);
        let got = net.messages(edge);
        assert_eq!((got.len(), got[0].retain), (1, true));
        net.messages(other);
        // Also once it comes back: another client without that bit would not ask for it.
        net.cut(edge);
        let edge = net.open(Version::V311);
        net.send_bytes(edge, connect);
        // In 3.1 the byte is reserved.
        assert_eq!(net.bytes(edge), [0x20, 2, u8::from(connect[3] == 4), 0]);
        net.publish(edge, "a", "3", QoS::AtMostOnce);
        assert_eq!((net.messages(edge).len(), net.messages(other).len()), (0, 1));
    }
}

#[test]
fn what_is_wrong_behind_the_level_of_a_bridge_is_refused_as_it_is() {
    let refused: [(&[u8], &[u8]); 3] = [
        // The name of 3.1 with the level of 3.1.1.
        (b"\x10\x0F\x00\x06MQIsdp\x84\x02\x00\x3C\x00\x01e", &[0x20, 2, 0, 1]),
        // The reserved flag.
        (b"\x10\x0D\x00\x04MQTT\x84\x03\x00\x3C\x00\x01e", &[]),
        // Without a client identifier, and a session to come back to.
        (b"\x10\x0C\x00\x04MQTT\x84\x00\x00\x3C\x00\x00", &[0x20, 2, 0, 2]),
    ];
    for (connect, answer) in refused {
        let mut net = Net::new();
        let edge = net.open(Version::V311);
        net.send_bytes(edge, connect);
        assert!(net.is_closed(edge));
        assert_eq!(net.bytes(edge), answer, "{connect:02x?}");
    }
    // And the next packet is not taken for another CONNECT.
    let mut net = Net::new();
    let edge = net.open(Version::V311);
    let connect = b"\x10\x0D\x00\x04MQTT\x84\x02\x00\x3C\x00\x01e";
    net.send_bytes(edge, &[&connect[..], connect].concat());
    assert!(net.is_closed(edge));
    assert_eq!(net.bytes(edge), [0x20, 2, 0, 0]);
}
