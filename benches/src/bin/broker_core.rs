//! The broker core alone, without sockets.
//!
//! `cargo run --profile bench -p motewire-benches --no-default-features --bin broker_core -- memory`
//! prints what idle sessions take, `matching` what a message costs among so many subscriptions, and `storm`
//! what it costs when they are as hostile as the bounds allow.
//!
//! `deliver NAME` runs one of the scenarios of `delivery`, for callgrind to count instructions:
//! `valgrind --tool=callgrind --toggle-collect='*deliveries*' broker_core deliver fan-out`.

use core::hint::black_box;
use std::time::Instant as Clock;

use mqtt_codec::{
    Ack, Connect, Packet, PacketId, Property, Publish, QoS, Rules, Sender, Subscribe, Subscription,
    TopicFilter, TopicName, Version,
};
use mqtt_session::broker::{Broker, Config, ConnectionId, Outputs, Received};
use mqtt_session::{Instant, Transmit};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const NOW: Instant = Instant::from_millis(0);

/// What goes out, on whatever connection.
#[derive(Default)]
struct All {
    bytes: Vec<u8>,
    closed: usize,
}

impl Outputs for All {
    fn transmit(&mut self, _: ConnectionId) -> &mut dyn Transmit {
        &mut self.bytes
    }

    fn close(&mut self, _: ConnectionId) {
        self.closed += 1;
    }
}

/// A broker and its clients.
struct Net {
    broker: Broker,
    out: All,
}

impl Net {
    fn new() -> Self {
        let mut config = Config::default();
        config.max_connections = 2_000_000;
        config.max_sessions = 2_000_000;
        config.max_subscriptions_per_session = 2_000_000;
        Self { broker: Broker::new(config), out: All::default() }
    }

    fn send(&mut self, id: ConnectionId, version: Version, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        Rules::new(version, Sender::Client).encode_to_vec(packet, &mut bytes).expect("it is valid");
        self.receive(id, &bytes);
        assert_eq!(self.out.closed, 0);
        self.out.bytes.clear();
    }

    fn receive(&mut self, id: ConnectionId, mut bytes: &[u8]) {
        let received = self.broker.receive(NOW, id, &mut bytes, &mut self.out);
        assert_eq!(received, Received::All);
    }

    fn connect(&mut self, version: Version, name: &str) -> ConnectionId {
        let id = self.broker.open(NOW).expect("there is room");
        let list = [Property::SessionExpiryInterval(u32::MAX)];
        let properties = if version == Version::V5 { list[..].into() } else { [][..].into() };
        let connect = Connect { clean_start: false, properties, ..Connect::new(version, name) };
        self.send(id, version, &Packet::Connect(connect));
        id
    }

    fn subscribe(&mut self, id: ConnectionId, version: Version, filter: &str, qos: QoS) {
        let filter = TopicFilter::new(filter).expect("it is valid");
        let subscriptions = [Subscription::new(filter, qos)];
        let subscribe = Subscribe {
            packet_id: PacketId::new(1).expect("it is not 0"),
            properties: [][..].into(),
            subscriptions: subscriptions[..].into(),
        };
        self.send(id, version, &Packet::Subscribe(subscribe));
    }
}

/// So many sessions with one subscription each: bytes of the heap for each of them.
fn memory() {
    println!("{:<12}{:>12}{:>20}{:>20}", "", "sessions", "bytes per session", "allocations");
    for connected in [false, true] {
        for count in [10_000, 100_000, 1_000_000] {
            let region = Region::new(ALLOCATOR);
            let mut net = Net::new();
            for n in 0..count {
                let id = net.connect(Version::V5, &format!("device-{n:07}"));
                let filter = format!("site/{}/device/{n}/command", n % 1000);
                net.subscribe(id, Version::V5, &filter, QoS::AtLeastOnce);
                if !connected {
                    net.broker.closed(NOW, id, &mut net.out);
                }
            }
            net.out = All::default();
            let stats = region.change();
            // What a reallocation adds is in both of them already.
            let heap = stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
            let blocks = stats.allocations as isize - stats.deallocations as isize;
            println!(
                "{:<12}{count:>12}{:>20.1}{:>20.1}",
                if connected { "connected" } else { "away" },
                heap as f64 / count as f64,
                blocks as f64 / count as f64,
            );
            assert_eq!(net.broker.statistics().subscriptions, count);
        }
    }
}

/// One publisher of a topic that ten filters match, among so many others.
fn matching() {
    println!("{:<16}{:>16}{:>20}", "subscriptions", "matches", "ns per message");
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        for matches in [1, 10] {
            let mut net = Net::new();
            let subscriber = net.connect(Version::V5, "subscriber");
            for n in 0..count - matches {
                let filter = format!("site/{}/+/device{n}/#", n % 100);
                net.subscribe(subscriber, Version::V5, &filter, QoS::AtMostOnce);
            }
            for n in 0..matches {
                let id = net.connect(Version::V5, &format!("match {n}"));
                net.subscribe(id, Version::V5, "site/42/+/wanted/#", QoS::AtMostOnce);
            }
            let publisher = net.connect(Version::V5, "publisher");
            let bytes = publish("site/42/hall/wanted/t", QoS::AtMostOnce, Version::V5);
            let mut best = f64::MAX;
            for _ in 0..20 {
                let start = Clock::now();
                for _ in 0..1000 {
                    net.receive(publisher, &bytes);
                    net.out.bytes.clear();
                }
                best = best.min(start.elapsed().as_nanos() as f64 / 1000.0);
            }
            println!("{count:<16}{matches:>16}{best:>20.0}");
        }
    }
}

/// What a message costs when clients have subscribed to all that a topic can lead to, as far as the
/// default bounds let them.
fn storm() {
    println!("{:<28}{:>10}{:>12}{:>20}", "", "clients", "filters", "ns per message");
    for (what, tail) in [("filters that match", ""), ("filters that almost match", "/never")] {
        for clients in [1, 16] {
            let mut net = Net { broker: Broker::new(Config::default()), out: All::default() };
            let all: Vec<_> =
                (0..clients).map(|n| net.connect(Version::V5, &format!("c{n}"))).collect();
            // Each in turn, so that none is the first to need all levels.
            for n in 0..1_u32 << 14 {
                let level = |bit: u32| if n >> bit & 1 == 0 { "+" } else { "x" };
                let filter = (0..14).map(level).collect::<Vec<_>>().join("/") + tail;
                net.subscribe(all[n as usize % clients], Version::V5, &filter, QoS::AtMostOnce);
            }
            let publisher = net.connect(Version::V5, "publisher");
            let topic = ["x"; 15].join("/");
            let topic = if tail.is_empty() { &topic[..27] } else { &topic };
            let bytes = publish(topic, QoS::AtMostOnce, Version::V5);
            let mut best = f64::MAX;
            for _ in 0..100 {
                let start = Clock::now();
                net.receive(publisher, &bytes);
                best = best.min(start.elapsed().as_nanos() as f64);
                net.out.bytes.clear();
            }
            let filters = net.broker.statistics().subscriptions;
            println!("{what:<28}{clients:>10}{filters:>12}{best:>20.0}");
        }
    }
    for clients in [1, 16] {
        let mut net = Net { broker: Broker::new(Config::default()), out: All::default() };
        for n in 0..clients {
            let greedy = net.connect(Version::V5, &format!("c{n}"));
            for group in 0..2000 {
                let filter = format!("$share/{n}-{group}/x");
                net.subscribe(greedy, Version::V5, &filter, QoS::AtMostOnce);
            }
        }
        let publisher = net.connect(Version::V5, "publisher");
        let bytes = publish("x", QoS::AtMostOnce, Version::V5);
        let mut best = f64::MAX;
        for _ in 0..20 {
            let start = Clock::now();
            net.receive(publisher, &bytes);
            best = best.min(start.elapsed().as_nanos() as f64);
            net.out.bytes.clear();
        }
        let groups = net.broker.statistics().shared_subscriptions;
        println!("{:<28}{clients:>10}{groups:>12}{best:>20.0}", "groups");
    }
}

fn publish(topic: &str, qos: QoS, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet_id = (qos != QoS::AtMostOnce).then(|| PacketId::new(1).expect("it is not 0"));
    let topic = TopicName::new(topic).expect("it is valid");
    let publish = Publish { qos, packet_id, ..Publish::new(topic, &[b'x'; 64]) };
    let rules = Rules::new(version, Sender::Client);
    rules.encode_to_vec(&Packet::Publish(publish), &mut bytes).expect("it is valid");
    bytes
}

/// Messages of a scenario, and to how many each goes.
struct Delivery {
    net: Net,
    publisher: ConnectionId,
    subscribers: Vec<ConnectionId>,
    message: Vec<u8>,
    qos: QoS,
}

impl Delivery {
    fn new(name: &str) -> Option<Self> {
        let (qos, count, version) = match name {
            "qos-0" => (QoS::AtMostOnce, 1, Version::V311),
            "qos-1" => (QoS::AtLeastOnce, 1, Version::V311),
            "fan-out" => (QoS::AtMostOnce, 200, Version::V311),
            "fan-out-5" => (QoS::AtMostOnce, 200, Version::V5),
            "fan-out-qos-1" => (QoS::AtLeastOnce, 200, Version::V311),
            _ => return None,
        };
        let mut net = Net::new();
        let subscribers = (0..count)
            .map(|n| {
                let id = net.connect(version, &format!("s{n}"));
                net.subscribe(id, version, "bench/all", qos);
                id
            })
            .collect();
        let publisher = net.connect(version, "publisher");
        Some(Self { net, publisher, subscribers, message: publish("bench/all", qos, version), qos })
    }

    /// Sends so many messages, and acknowledges what has come.
    #[inline(never)]
    fn deliveries(&mut self, messages: u16) {
        for n in 1..=messages {
            self.net.receive(self.publisher, &self.message);
            self.net.out.bytes.clear();
            if self.qos == QoS::AtMostOnce {
                continue;
            }
            let ack = Packet::PubAck(Ack::new(PacketId::new(n).expect("it is not 0")));
            let mut bytes = [0; 4];
            Rules::new(Version::V311, Sender::Client).encode(&ack, &mut bytes).expect("room");
            for index in 0..self.subscribers.len() {
                self.net.receive(self.subscribers[index], &bytes);
            }
        }
        black_box(&self.net.out.bytes);
    }
}

fn deliver(name: &str) {
    let Some(mut delivery) = Delivery::new(name) else {
        eprintln!("no scenario {name}");
        return;
    };
    let messages = 1000;
    let start = Clock::now();
    delivery.deliveries(messages);
    let deliveries = f64::from(messages) * delivery.subscribers.len() as f64;
    let statistics = delivery.net.broker.statistics();
    assert_eq!(statistics.messages_sent as f64, deliveries);
    println!(
        "{name}: {deliveries} deliveries, {:.1} ns each",
        start.elapsed().as_nanos() as f64 / deliveries
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory"] => memory(),
        ["matching"] => matching(),
        ["storm"] => storm(),
        ["deliver", name] => deliver(name),
        _ => eprintln!("memory | matching | storm | deliver NAME"),
    }
}
