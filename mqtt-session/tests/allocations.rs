//! In steady state no message takes memory from the heap, and an idle session takes little.

use mqtt_codec::{
    ConnAck, Connect, Packet, PacketId, Property, Publish, QoS, ReasonCode, Rules, Sender,
    Subscribe, Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::broker::{Broker, Config, ConnectionId, Outputs, Received};
use mqtt_session::client::{self, Slots};
use mqtt_session::{Event, Instant, Queue, QueueConfig, Ticket, TopicAliases, Transmit, server};

const NOW: Instant = Instant::from_millis(0);

fn allocations(f: impl FnOnce()) -> (u64, i64) {
    let counted = allocation_counter::measure(f);
    (counted.count_total, counted.bytes_current)
}

fn pair(version: Version) -> (client::Session<'static>, server::Session<'static>) {
    let mut config = client::Config::default();
    config.topic_aliases = TopicAliases::Lru(4);
    let mut client = client::Session::new(config, Slots::heap(16));
    let mut config = server::Config::default();
    config.topic_aliases = TopicAliases::Lru(4);
    let mut server = server::Session::new(NOW, config, Slots::heap(16));
    let list = [Property::TopicAliasMaximum(4)];
    let mut up = Vec::new();
    let connect = Connect { properties: list[..].into(), ..Connect::new(version, "c") };
    client.connect(NOW, &connect, &mut up).unwrap();
    let mut down = Vec::new();
    server.receive(NOW, &mut &up[..], &mut down).unwrap().unwrap();
    let connack = ConnAck { properties: list[..].into(), ..ConnAck::new(ReasonCode::Success) };
    server.accept(NOW, &connack, &mut down).unwrap();
    client.receive(NOW, &mut &down[..], &mut up).unwrap().unwrap();
    (client, server)
}

fn messages() -> [Publish<'static>; 3] {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| Publish {
        qos,
        ..Publish::new(TopicName::new("some/longer/topic").unwrap(), &[7; 64])
    })
}

/// Three messages each way, to their last acknowledgement.
fn exchange(
    client: &mut client::Session<'static>,
    server: &mut server::Session<'static>,
    up: &mut Vec<u8>,
    down: &mut Vec<u8>,
) {
    for publish in messages() {
        client.publish(NOW, &publish, up).unwrap();
        server.publish(&publish, down).unwrap();
    }
    let mut received = 0;
    for _ in 0..4 {
        let mut rx = &up[..];
        while let Some(event) = server.receive(NOW, &mut rx, down).unwrap() {
            received += usize::from(matches!(event, Event::Message(_)));
        }
        up.clear();
        let mut rx = &down[..];
        while let Some(event) = client.receive(NOW, &mut rx, up).unwrap() {
            received += usize::from(matches!(event, Event::Message(_)));
        }
        down.clear();
    }
    assert_eq!(received, 6);
    assert_eq!(client.in_flight().count() + server.in_flight().count(), 0);
}

#[test]
fn no_message_of_any_qos_allocates_in_either_role() {
    for version in [Version::V311, Version::V5] {
        let (mut client, mut server) = pair(version);
        let (mut up, mut down) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
        exchange(&mut client, &mut server, &mut up, &mut down);
        let (count, _) = allocations(|| {
            for _ in 0..100 {
                exchange(&mut client, &mut server, &mut up, &mut down);
            }
        });
        assert_eq!(count, 0, "{version}");
    }
}

#[test]
fn no_message_that_goes_through_the_queue_allocates() {
    let (mut client, _) = pair(Version::V5);
    let mut queue = Queue::heap(QueueConfig::default());
    let mut tx = Vec::with_capacity(4096);
    let mut done = 0;
    let mut round = |id: u16| {
        let mut tracker = |_: Ticket, _| done += 1;
        queue.submit(NOW, &messages()[1], &mut tracker).unwrap();
        queue.send(NOW, &mut client, &mut tx, &mut tracker).unwrap();
        tx.clear();
        let [high, low] = id.to_be_bytes();
        let puback = [0x40, 2, high, low];
        let event = client.receive(NOW, &mut &puback[..], &mut tx).unwrap().unwrap();
        queue.on_event(&event, &mut tracker);
    };
    (1..10).for_each(&mut round);
    let (count, _) = allocations(|| (10..1000).for_each(&mut round));
    assert_eq!(count, 0);
    assert_eq!(done, 999);
}

/// Heap and the session itself, in bytes, after CONNECT with one subscription.
#[test]
fn a_session_is_small() {
    let mut client = None;
    let (_, heap) = allocations(|| {
        let mut session = client::Session::new(client::Config::default(), Slots::heap(16));
        let mut tx = mqtt_session::Buffer::new(Box::leak(Box::new([0; 256])));
        session.connect(NOW, &Connect::new(Version::V5, "c"), &mut tx).unwrap();
        let connack = [0x20, 3, 0, 0, 0];
        session.receive(NOW, &mut &connack[..], &mut tx).unwrap().unwrap();
        let filter = Subscription::new(TopicFilter::new("a/+").unwrap(), QoS::AtLeastOnce);
        session.subscribe(NOW, &[filter], mqtt_codec::Properties::EMPTY, &mut tx).unwrap();
        let suback = [0x90, 4, 0, 1, 0, 1];
        session.receive(NOW, &mut &suback[..], &mut tx).unwrap().unwrap();
        client = Some(session);
    });
    let client = size_of_val(client.as_ref().unwrap()) + heap as usize - 256;

    let mut connect = Vec::new();
    let rules = Rules::new(Version::V5, Sender::Client);
    rules.encode_to_vec(&Packet::Connect(Connect::new(Version::V5, "c")), &mut connect).unwrap();
    let mut server = None;
    let (_, heap) = allocations(|| {
        let mut session = server::Session::new(NOW, server::Config::default(), Slots::heap(16));
        let mut tx = mqtt_session::Buffer::new(Box::leak(Box::new([0; 256])));
        session.receive(NOW, &mut &connect[..], &mut tx).unwrap().unwrap();
        session.accept(NOW, &ConnAck::new(ReasonCode::Success), &mut tx).unwrap();
        let _ = tx.packet(0);
        server = Some(session);
    });
    let server = size_of_val(server.as_ref().unwrap()) + heap as usize - 256;
    println!("client {client} bytes, server {server} bytes");
    assert!(client <= 400 + 8 * 16, "client: {client} bytes");
    assert!(server <= 250, "server: {server} bytes");
}

#[test]
fn a_client_in_lent_storage_needs_no_heap_at_all() {
    let (count, _) = allocations(|| {
        let mut outbound = [mqtt_session::Slot::default(); 4];
        let mut received = [mqtt_session::Received::default(); 4];
        let mut pending = [mqtt_session::Pending::default(); 4];
        let slots = Slots {
            outbound: (&mut outbound[..]).into(),
            received: (&mut received[..]).into(),
            pending: (&mut pending[..]).into(),
        };
        let (mut entries, mut bytes) = ([mqtt_session::Entry::default(); 4], [0; 512]);
        let mut queue = Queue::lent(&mut entries, &mut bytes, QueueConfig::default());
        let mut tx = [0; 512];
        let mut tx = mqtt_session::Buffer::new(&mut tx);
        let mut session = client::Session::new(client::Config::default(), slots);
        let mut done = 0;
        let mut tracker = |_: Ticket, _| done += 1;
        for message in messages() {
            queue.submit(NOW, &message, &mut tracker).unwrap();
        }
        session.connect(NOW, &Connect::new(Version::V5, "c"), &mut tx).unwrap();
        // CONNACK, PUBACK, PUBREC, PUBCOMP, and a message of QoS 2.
        let mut rx = &b"\x20\x03\x00\x00\x00\x40\x02\x00\x01\x50\x02\x00\x02\x70\x02\x00\x02\
            \x34\x07\x00\x01a\x00\x09\x00x"[..];
        while let Some(event) = session.receive(NOW, &mut rx, &mut tx).unwrap() {
            queue.on_event(&event, &mut tracker);
            queue.send(NOW, &mut session, &mut tx, &mut tracker).unwrap();
        }
        assert_eq!(done, 3);
        assert!(rx.is_empty());
        assert!(tx.filled().ends_with(&[0x50, 2, 0, 9]));
    });
    assert_eq!(count, 0);
}

/// What a broker sends, on whatever connection.
#[derive(Default)]
struct All(Vec<u8>);

impl Outputs for All {
    fn transmit(&mut self, _: ConnectionId) -> &mut dyn Transmit {
        &mut self.0
    }

    fn close(&mut self, _: ConnectionId) {
        panic!("a client is refused");
    }
}

fn take(broker: &mut Broker, id: ConnectionId, packet: &Packet<'_>, out: &mut All) {
    let mut bytes = Vec::new();
    Rules::new(Version::V5, Sender::Client).encode_to_vec(packet, &mut bytes).unwrap();
    assert_eq!(broker.receive(NOW, id, &mut &bytes[..], out), Received::All);
    out.0.clear();
}

fn subscriber(broker: &mut Broker, name: &str, filter: &str, out: &mut All) -> ConnectionId {
    let id = broker.open(NOW).unwrap();
    let list = [Property::SessionExpiryInterval(u32::MAX)];
    let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, name) };
    take(broker, id, &Packet::Connect(connect), out);
    let subscriptions = [Subscription::new(TopicFilter::new(filter).unwrap(), QoS::AtMostOnce)];
    let subscribe = Subscribe {
        packet_id: PacketId::new(1).unwrap(),
        properties: [][..].into(),
        subscriptions: subscriptions[..].into(),
    };
    take(broker, id, &Packet::Subscribe(subscribe), out);
    id
}

#[test]
fn an_idle_session_with_a_subscription_takes_at_most_600_bytes() {
    let count = 10_000;
    let (_, bytes) = allocations(|| {
        let mut broker = Broker::new(Config::default());
        let mut out = All::default();
        for n in 0..count {
            let filter = format!("site/{}/device/{n}/command", n % 1000);
            let id = subscriber(&mut broker, &format!("device-{n:07}"), &filter, &mut out);
            broker.closed(NOW, id, &mut out);
        }
        assert_eq!(broker.statistics().subscriptions, count);
        // Its memory is looked at, and not given back.
        core::mem::forget(broker);
    });
    assert!(bytes / (count as i64) <= 600, "{} bytes", bytes / count as i64);
}

#[test]
fn a_broker_takes_no_memory_to_pass_on_messages_of_qos_0() {
    let mut broker = Broker::new(Config::default());
    let mut out = All::default();
    for n in 0..10 {
        subscriber(&mut broker, &n.to_string(), "some/+/topic", &mut out);
    }
    let publisher = subscriber(&mut broker, "publisher", "other", &mut out);
    let [message, ..] = messages();
    let mut bytes = Vec::new();
    let packet = Packet::Publish(message);
    Rules::new(Version::V5, Sender::Client).encode_to_vec(&packet, &mut bytes).unwrap();
    let mut round = || {
        assert_eq!(broker.receive(NOW, publisher, &mut &bytes[..], &mut out), Received::All);
        out.0.clear();
    };
    round();
    let (count, _) = allocations(|| (0..100).for_each(|_| round()));
    assert_eq!(count, 0);
    assert_eq!(broker.statistics().messages_sent, 1010);
}
