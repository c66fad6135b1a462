//! Clients whose broker crashes at any moment: nothing is lost, and QoS 2 comes once.

use alloc::collections::BTreeMap;
use std::collections::HashMap;

use mqtt_codec::{
    Connect, PacketId, Property, Publish, QoS, Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::broker::Broker;
use mqtt_session::client::{self, Session, Slots};
use mqtt_session::{Event, Outbox};

use super::{Disk, durable};
use crate::harness::{Client, Net, Random};

const PEERS: usize = 3;
const TOPICS: [&str; 3] = ["t/a", "t/b", "t/c"];

#[derive(Debug, Default)]
struct Sent(HashMap<PacketId, (usize, QoS, String)>);

impl Outbox for Sent {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        self.0.get(&id).map(|(topic, qos, payload)| publish(*topic, *qos, payload))
    }
}

fn publish(topic: usize, qos: QoS, payload: &str) -> Publish<'_> {
    Publish { qos, ..Publish::new(TopicName::new(TOPICS[topic]).unwrap(), payload.as_bytes()) }
}

/// How much of it arrives now.
fn part(random: &mut Random, bytes: &[u8]) -> usize {
    if random.next(2) == 0 { bytes.len() } else { random.next(bytes.len() + 1) }
}

/// A client that does not crash itself.
#[derive(Debug)]
struct Peer {
    name: String,
    session: Session<'static>,
    connection: Option<Client>,
    sent: Sent,
    /// On the way to the broker, and to the client.
    up: Vec<u8>,
    down: Vec<u8>,
    has_session: bool,
    subscribed: bool,
    next: usize,
    got: Vec<String>,
}

#[derive(Debug)]
struct World {
    version: Version,
    net: Net,
    disk: Disk,
    peers: Vec<Peer>,
    random: Random,
    /// What was published: by whom, of which QoS.
    published: BTreeMap<String, QoS>,
    crashes: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut config = durable();
        config.max_in_flight = 1 + random.next(5) as u16;
        config.receive_maximum = (1 + random.next(5) as u16).try_into().unwrap();
        let peer = |n: usize| Peer {
            name: n.to_string(),
            session: Session::new(client::Config::default(), Slots::heap(4)),
            connection: None,
            sent: Sent::default(),
            up: Vec::new(),
            down: Vec::new(),
            has_session: false,
            subscribed: false,
            next: 0,
            got: Vec::new(),
        };
        Self {
            version: [Version::V311, Version::V5][random.next(2)],
            net: Net::of(Broker::new(config)),
            disk: Disk::default(),
            peers: (0..PEERS).map(peer).collect(),
            random,
            published: BTreeMap::new(),
            crashes: 0,
        }
    }

    /// Stores what has changed, and only then sends what the broker has put out.
    fn commit(&mut self) {
        self.disk.store(&mut self.net.broker);
        assert_eq!(self.disk, Disk::of(&self.net.broker));
        for peer in &mut self.peers {
            if let Some(connection) = peer.connection {
                peer.down.extend(self.net.bytes(connection));
            }
        }
    }

    /// The broker is killed. What it has put out and not sent is gone, and so is what it has not stored.
    fn crash(&mut self) {
        self.crashes += 1;
        let now = self.net.now;
        let broker = self.disk.restore(self.net.broker.config(), now);
        self.net = Net::of(broker);
        self.net.now = now;
        for n in 0..PEERS {
            // Some of what was sent still arrives.
            if self.peers[n].connection.is_some() {
                self.receive(n);
            }
            self.lose(n);
        }
        self.commit();
    }

    fn lose(&mut self, n: usize) {
        let peer = &mut self.peers[n];
        peer.connection = None;
        peer.up.clear();
        peer.down.clear();
        peer.session.closed();
    }

    fn cut(&mut self, n: usize) {
        if let Some(connection) = self.peers[n].connection {
            self.net.cut(connection);
            self.lose(n);
            self.commit();
        }
    }

    fn connect(&mut self, n: usize) {
        let connection = self.net.open(self.version);
        let list = [Property::SessionExpiryInterval(u32::MAX)];
        let peer = &mut self.peers[n];
        peer.connection = Some(connection);
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: match self.version {
                Version::V5 => list[..].into(),
                _ => [][..].into(),
            },
            ..Connect::new(self.version, &peer.name)
        };
        peer.session.connect(self.net.now, &connect, &mut peer.up).unwrap();
    }

    fn publish(&mut self, n: usize) {
        let topic = self.random.next(TOPICS.len());
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][self.random.next(2)];
        let peer = &mut self.peers[n];
        if !peer.subscribed || !peer.session.is_connected() || peer.session.quota() == 0 {
            return;
        }
        let payload = format!("{} {topic} {}", peer.name, peer.next);
        let message = publish(topic, qos, &payload);
        let id = peer.session.publish(self.net.now, &message, &mut peer.up).unwrap().unwrap();
        peer.next += 1;
        self.published.insert(payload.clone(), qos);
        peer.sent.0.insert(id, (topic, qos, payload));
    }

    /// Some of what is on its way reaches the broker, which may be killed before it has stored what
    /// follows from it, or before it has sent what it stored.
    fn deliver(&mut self, n: usize, crash: usize) {
        let peer = &mut self.peers[n];
        let Some(connection) = peer.connection else { return };
        let len = part(&mut self.random, &peer.up);
        let bytes: Vec<u8> = peer.up.drain(..len).collect();
        self.net.send_bytes(connection, &bytes);
        if self.random.next(crash) == 0 {
            return self.crash();
        }
        if self.random.next(crash) == 0 {
            self.disk.store(&mut self.net.broker);
            return self.crash();
        }
        self.commit();
        assert!(!self.net.is_closed(connection), "by the broker");
    }

    /// Some of what is on its way reaches a client.
    fn receive(&mut self, n: usize) {
        let (now, peer) = (self.net.now, &mut self.peers[n]);
        let len = part(&mut self.random, &peer.down);
        let Peer { session, down, up, sent, got, .. } = peer;
        let mut rx = &down[..len];
        while let Some(event) = session.receive(now, &mut rx, up).unwrap() {
            match event {
                Event::Connected(connack) => {
                    // The first CONNACK may have been lost.
                    assert!(connack.session_present || !peer.has_session, "a session is lost");
                    peer.has_session = true;
                    session.resume(now, sent, up).unwrap();
                    if !peer.subscribed {
                        let filter = TopicFilter::new("t/+").unwrap();
                        let all = [Subscription::new(filter, QoS::ExactlyOnce)];
                        session.subscribe(now, &all, [][..].into(), up).unwrap();
                    }
                }
                Event::Subscribed(_) => peer.subscribed = true,
                Event::Message(message) => {
                    got.push(String::from_utf8(message.publish.payload.to_vec()).unwrap());
                }
                Event::Acknowledged { id, .. } | Event::Received { id } => {
                    sent.0.remove(&id);
                    session.resume(now, sent, up).unwrap();
                }
                Event::Released { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let taken = len - rx.len();
        peer.down.drain(..taken);
    }

    fn step(&mut self) {
        let n = self.random.next(PEERS);
        if self.peers[n].connection.is_none() {
            return self.connect(n);
        }
        match self.random.next(100) {
            0 => self.crash(),
            1 => self.cut(n),
            2..25 => self.publish(n),
            25..60 => self.deliver(n, 50),
            _ => self.receive(n),
        }
    }

    /// All that is on its way arrives.
    fn settle(&mut self) {
        for _ in 0..5_000 {
            for n in 0..PEERS {
                if self.peers[n].connection.is_none() {
                    self.connect(n);
                }
                self.deliver(n, usize::MAX);
                self.receive(n);
            }
            let is_idle = |peer: &Peer| {
                let quiet = peer.up.is_empty() && peer.down.is_empty();
                quiet && peer.session.is_connected() && peer.sent.0.is_empty()
            };
            let numbers = self.net.broker.statistics();
            if numbers.in_flight_messages + numbers.queued_messages == 0
                && self.peers.iter().all(is_idle)
            {
                return;
            }
        }
        panic!("something never arrives");
    }

    /// Those who had subscribed before all was published have got all of it.
    fn check(&self, from: &[usize; PEERS]) {
        for peer in &self.peers {
            for (payload, qos) in &self.published {
                let mut words = payload.split(' ');
                let publisher: usize = words.next().unwrap().parse().unwrap();
                let number: usize = words.next_back().unwrap().parse().unwrap();
                let count = peer.got.iter().filter(|got| *got == payload).count();
                if *qos == QoS::ExactlyOnce {
                    assert!(count <= 1, "{payload} {count} times");
                }
                assert!(count >= 1 || number < from[publisher], "{payload} is lost");
            }
            // [MQTT-4.6.0-6]: in order, of each publisher, topic and QoS, as they came first.
            for (publisher, first_number) in from.iter().enumerate() {
                for topic in 0..TOPICS.len() {
                    for of in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                        let of_it = format!("{publisher} {topic} ");
                        let mut first: Vec<usize> = Vec::new();
                        for got in peer.got.iter().filter(|g| self.published[*g] == of) {
                            let Some(number) = got.strip_prefix(&of_it) else { continue };
                            let number = number.parse().unwrap();
                            if number >= *first_number && !first.contains(&number) {
                                first.push(number);
                            }
                        }
                        assert!(first.is_sorted(), "{first:?}");
                    }
                }
            }
        }
    }
}

// [MQTT-4.3.2-2], [MQTT-4.3.3-10], [MQTT-4.4.0-1]
#[test]
fn a_broker_that_crashes_at_any_moment_loses_nothing_and_repeats_nothing_of_qos_2() {
    let (mut crashes, mut messages) = (0, 0);
    for seed in 0..20 {
        let mut world = World::new(seed);
        // Everybody is there before anything is published that is counted on.
        while !world.peers.iter().all(|peer| peer.subscribed) {
            world.step();
        }
        let from: [usize; PEERS] = core::array::from_fn(|n| world.peers[n].next);
        for _ in 0..600 {
            world.step();
        }
        world.settle();
        world.check(&from);
        crashes += world.crashes;
        messages += world.published.len();
        // Nothing is left behind.
        assert_eq!(world.disk.messages(), 0);
    }
    assert!(crashes > 100 && messages > 1_000, "{crashes} crashes, {messages} messages");
}
