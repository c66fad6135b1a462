//! The program `broker`, killed again and again while messages pass through it.

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use mqtt_codec::{
    Connect, PacketId, Property, Publish, QoS, Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{Clock, Event, Outbox};

use super::support::program::Program;
use super::support::{PATIENCE, example};

const KILLS: u64 = 20;

/// Messages in flight of one publisher.
const WINDOW: u16 = 100;

#[derive(Debug, Default)]
struct Sent(HashMap<PacketId, String>);

impl Outbox for Sent {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        self.0.get(&id).map(|payload| message(payload))
    }
}

/// The number of a message says its QoS.
fn message(payload: &str) -> Publish<'_> {
    let qos = if is_once(payload) { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
    Publish { qos, ..Publish::new(TopicName::new("t").unwrap(), payload.as_bytes()) }
}

fn is_once(payload: &str) -> bool {
    payload.parse::<usize>().unwrap() % 2 == 1
}

/// A client that comes again whenever its connection is gone, and forgets nothing.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    name: &'static str,
    clock: Clock,
    session: Session<'static>,
    stream: Option<TcpStream>,
    rx: Vec<u8>,
    tx: Vec<u8>,
    subscribes: bool,
    is_subscribed: bool,
    had_session: bool,
    sent: Sent,
    published: usize,
    got: Vec<String>,
}

impl Peer {
    fn new(address: SocketAddr, name: &'static str, subscribes: bool) -> Self {
        Self {
            address,
            name,
            clock: Clock::start(),
            session: Session::new(Config::default(), Slots::heap(WINDOW)),
            stream: None,
            rx: Vec::new(),
            tx: Vec::new(),
            subscribes,
            is_subscribed: false,
            had_session: false,
            sent: Sent::default(),
            published: 0,
            got: Vec::new(),
        }
    }

    fn connect(&mut self) {
        let Ok(stream) = TcpStream::connect(self.address) else {
            return thread::sleep(Duration::from_millis(5));
        };
        stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        stream.set_nodelay(true).unwrap();
        self.stream = Some(stream);
        let list = [Property::SessionExpiryInterval(u32::MAX)];
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: list[..].into(),
            ..Connect::new(Version::V5, self.name)
        };
        self.session.connect(self.clock.now(), &connect, &mut self.tx).unwrap();
    }

    /// Sends what is to be sent, and takes what has come.
    fn turn(&mut self) {
        if self.stream.is_none() {
            self.connect();
        }
        let Some(stream) = &mut self.stream else { return };
        let mut buffer = [0; 65_536];
        let written = stream.write_all(&self.tx);
        self.tx.clear();
        match stream.read(&mut buffer) {
            Ok(len) if len > 0 => self.rx.extend_from_slice(&buffer[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return self.lose(),
        }
        if written.is_err() {
            return self.lose();
        }
        let rx = core::mem::take(&mut self.rx);
        let mut rest = &rx[..];
        self.receive(&mut rest);
        self.rx = rest.to_vec();
    }

    fn lose(&mut self) {
        self.stream = None;
        self.rx.clear();
        self.tx.clear();
        self.session.closed();
    }

    fn receive(&mut self, rx: &mut &[u8]) {
        let now = self.clock.now();
        let Self { session, tx, sent, got, .. } = self;
        while let Some(event) = session.receive(now, rx, tx).unwrap() {
            match event {
                Event::Connected(connack) => {
                    assert!(connack.session_present || !self.had_session, "a session is lost");
                    self.had_session = true;
                    session.resume(now, sent, tx).unwrap();
                    if self.subscribes && !self.is_subscribed {
                        let filter = TopicFilter::new("t").unwrap();
                        let all = [Subscription::new(filter, QoS::ExactlyOnce)];
                        session.subscribe(now, &all, [][..].into(), tx).unwrap();
                    }
                }
                Event::Subscribed(_) => self.is_subscribed = true,
                Event::Message(message) => {
                    got.push(String::from_utf8(message.publish.payload.to_vec()).unwrap());
                }
                Event::Acknowledged { id, .. } | Event::Received { id } => {
                    sent.0.remove(&id);
                    session.resume(now, sent, tx).unwrap();
                }
                Event::Released { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Publishes as much as may be in flight.
    fn publish(&mut self) {
        while self.session.is_connected() && self.session.quota() > 0 {
            let payload = self.published.to_string();
            let publish = message(&payload);
            let id = self.session.publish(self.clock.now(), &publish, &mut self.tx).unwrap();
            self.sent.0.insert(id.unwrap(), payload);
            self.published += 1;
        }
    }

    fn until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            assert!(since.elapsed() < PATIENCE, "{} waits in vain", self.name);
            self.turn();
        }
    }

    /// Every message came, those of QoS 2 once.
    fn check(&self, count: usize) {
        let mut times = vec![0; count];
        for payload in &self.got {
            times[payload.parse::<usize>().unwrap()] += 1;
        }
        for (number, times) in times.into_iter().enumerate() {
            assert!(times > 0, "{}: {number} is lost", self.name);
            assert!(times == 1 || !is_once(&number.to_string()), "{}: {number} twice", self.name);
        }
    }
}

fn start(address: SocketAddr, folder: &Path) -> Program {
    let mut command = example("broker");
    command.args(["--listen", &address.to_string(), "--log", "warn", "--persistence"]).arg(folder);
    let broker = Program::start(command);
    let line = broker.line(PATIENCE).expect("it is ready");
    assert!(line.starts_with("ready"), "{line}");
    broker
}

// [MQTT-4.3.2-2], [MQTT-4.3.3-10], [MQTT-4.4.0-1]
#[test]
fn a_broker_that_is_killed_again_and_again_loses_nothing_that_it_has_acknowledged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on loopback");
    let mut broker = Some(start(address, folder.path()));
    let mut away = Peer::new(address, "away", true);
    away.until(|peer| peer.is_subscribed);
    away.lose();
    let mut subscriber = Peer::new(address, "subscriber", true);
    subscriber.until(|peer| peer.is_subscribed);
    let is_over = AtomicBool::new(false);
    let published = AtomicUsize::new(0);
    let since = Instant::now();
    let (publisher, mut subscriber) = thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut peer = Peer::new(address, "publisher", false);
            while !is_over.load(Ordering::Acquire) {
                peer.publish();
                peer.turn();
                published.store(peer.published, Ordering::Relaxed);
            }
            peer.until(|peer| peer.sent.0.is_empty() && peer.session.in_flight().count() == 0);
            peer
        });
        let subscriber = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                subscriber.turn();
            }
            subscriber
        });
        for n in 0..KILLS {
            // Anything between before it has seen anybody and in the middle of it all.
            thread::sleep(Duration::from_millis(n * n * 37 % 150));
            drop(broker.take()); // by SIGKILL
            broker = Some(start(address, folder.path()));
        }
        // And how fast it is when it is left alone.
        let before = published.load(Ordering::Relaxed);
        let since = Instant::now();
        thread::sleep(Duration::from_secs(1));
        let count = published.load(Ordering::Relaxed) - before;
        println!("{:.0} messages/s, left alone", count as f64 / since.elapsed().as_secs_f64());
        is_over.store(true, Ordering::Release);
        let publisher = publisher.join().expect("the publisher does not panic");
        (publisher, subscriber.join().expect("the subscriber does not panic"))
    });
    let elapsed = since.elapsed();
    let count = publisher.published;
    let has_all = |peer: &Peer| {
        let mut got = vec![false; count];
        peer.got.iter().for_each(|payload| got[payload.parse::<usize>().unwrap()] = true);
        got.into_iter().all(|got| got)
    };
    subscriber.until(has_all);
    away.until(has_all);
    subscriber.check(count);
    away.check(count);
    println!("{KILLS} kills in {elapsed:?}, {count} messages to two subscribers");
    assert!(count > 500, "{count} messages are no load");
    drop(broker);
}
