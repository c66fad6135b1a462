//! What others do to a broker on purpose, while somebody honest uses it. What the honest one notices,
//! and what memory it takes, is printed: `cargo test --test peers hostile -- --nocapture`.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::program::Broker;
use crate::support::raw::{Publish, Raw};
use crate::support::{PATIENCE, Version};

/// How long a message may take somebody honest, mostly and at worst, without optimisation and on a
/// machine of two cores that is busy with other tests.
const MOSTLY: Duration = Duration::from_millis(100);
const WORST: Duration = Duration::from_secs(5);

/// Sends messages to itself until it is told to stop: how long each took.
struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Honest {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let mut client = Raw::connected(address, Version::V5, "honest");
        client.subscribe("honest", 0);
        let thread = thread::spawn(move || {
            let mut times = Vec::new();
            let message =
                Publish { dup: false, qos: 0, id: 0, topic: "honest".into(), payload: "x".into() };
            while !told.load(Ordering::Relaxed) || times.is_empty() {
                let from = Instant::now();
                client.publish(&message);
                assert_eq!(client.published(), message);
                times.push(from.elapsed());
                thread::sleep(Duration::from_millis(1));
            }
            times
        });
        Self { stop, thread }
    }

    /// Prints what it noticed, and fails if that is too much.
    fn finish(self, broker: &Broker, before: u64, allowed: u64, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().expect("the honest client is served to the end");
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        let after = resident(broker);
        println!(
            "{what}: honest client's round trips p50 {:?}, p99 {:?}, worst {:?}; memory {} -> {} KiB",
            at(50),
            at(99),
            at(100),
            before / 1024,
            after / 1024
        );
        assert!(at(50) < MOSTLY && at(100) < WORST, "{what}: {:?} and {:?}", at(50), at(100));
        assert!(after < before + allowed, "{what}: {before} -> {after} bytes");
    }
}

/// Bytes of memory of the broker's process.
fn resident(broker: &Broker) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", broker.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn address(broker: &Broker, scheme: &str) -> SocketAddr {
    format!("127.0.0.1:{}", broker.port(scheme)).parse().expect("an address")
}

fn tcp(broker: &Broker) -> SocketAddr {
    broker.endpoint("127.0.0.1:").parse().expect("an address")
}

/// Reads until the broker closes.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).expect("above zero");
    let mut sink = [0; 4096];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// Numbers that come again in the same order.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn with_limits() -> Broker {
    let folder = super::program::folder();
    let config = "[limits]\nconnect_timeout = 2\n";
    std::fs::write(folder.path().join("limits.toml"), config).expect("writable");
    let all = [
        &["--listen", "127.0.0.1:0", "--ws-listen", "127.0.0.1:0", "--config", "limits.toml"][..],
        &["--tls-listen", "127.0.0.1:0", "--wss-listen", "127.0.0.1:0"],
        &["--tls-cert", "server.pem", "--tls-key", "server.key"],
    ];
    Broker::start(folder, &all.concat())
}

const PORTS: [&str; 3] = ["mqtts://", "ws://", "wss://"];

/// Section 3.1: "a reasonable amount of time".
#[test]
fn half_open_floods_and_slow_loris_end_in_time_over_every_transport() {
    let broker = with_limits();
    let honest = Honest::start(tcp(&broker));
    let before = resident(&broker);
    let mut idle = Vec::new();
    for scheme in PORTS.map(|scheme| address(&broker, scheme)).into_iter().chain([tcp(&broker)]) {
        for _ in 0..100 {
            idle.push(TcpStream::connect(scheme).expect("it accepts"));
        }
    }
    // A byte now and then, of what would be whole after hours.
    let beginnings: [&[u8]; 4] = [
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3, 0, 0, 0],
        b"GET /mqtt HTTP/1.1\r\nHost: ",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3, 0, 0, 0],
        &[0x10, 0xFF, 0x01, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0],
    ];
    let from = Instant::now();
    let mut slow: Vec<(TcpStream, &[u8])> = Vec::new();
    for (place, beginning) in PORTS
        .map(|scheme| address(&broker, scheme))
        .into_iter()
        .chain([tcp(&broker)])
        .zip(beginnings)
    {
        for _ in 0..30 {
            slow.push((TcpStream::connect(place).expect("it accepts"), beginning));
        }
    }
    for at in 0..14 {
        for (stream, beginning) in &mut slow {
            // Once it is closed, that is what is wanted.
            let _ = stream.write(&beginning[at..=at]);
        }
        thread::sleep(Duration::from_millis(100));
    }
    for (stream, _) in &mut slow {
        assert!(is_closed(stream));
    }
    for stream in &mut idle {
        assert!(is_closed(stream));
    }
    let passed = from.elapsed();
    assert!(passed < Duration::from_secs(10), "a CONNECT has two seconds: {passed:?}");
    honest.finish(&broker, before, 64 << 20, "520 connections without CONNECT");
}

#[test]
fn huge_heads_cost_nothing() {
    let broker = with_limits();
    let honest = Honest::start(tcp(&broker));
    let before = resident(&broker);
    let ws = address(&broker, "ws://");
    for _ in 0..50 {
        let mut stream = TcpStream::connect(ws).expect("it accepts");
        let mut head = b"GET /mqtt HTTP/1.1\r\n".to_vec();
        head.resize(1_000_000, b'a');
        // It is turned away in the middle.
        let _ = stream.write_all(&head);
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 431");
        }
    }
    // CONNECT, and packets of clients that are let in, of the largest Remaining Length.
    for claimed in [
        &b"\x10\xFF\xFF\xFF\x7F"[..],
        b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01h\x30\xFF\xFF\xFF\x7F",
    ] {
        let mut streams = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(tcp(&broker)).expect("it accepts");
            let _ = stream.write_all(claimed);
            let _ = stream.write_all(&[0; 10_000]);
            streams.push(stream);
        }
        for stream in &mut streams {
            assert!(is_closed(stream), "larger than is allowed");
        }
    }
    honest.finish(&broker, before, 32 << 20, "heads of a megabyte and packets of 256");
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// A packet with its Remaining Length.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let more = u8::from(left >= 0x80) << 7;
        bytes.push((left & 0x7F) as u8 | more);
        left >>= 7;
        if left == 0 {
            bytes.extend(body);
            return bytes;
        }
    }
}

#[test]
fn topics_of_ten_thousand_levels_and_storms_of_wildcards_stay_with_who_sends_them() {
    let broker = with_limits();
    let honest = Honest::start(tcp(&broker));
    let before = resident(&broker);
    let deep = "a/".repeat(10_000);
    for round in 0..20 {
        let mut bomber = Raw::connected(tcp(&broker), Version::V311, "bomber");
        // Retained, so that it would stay.
        bomber.send(&packet(0x31, &[string(&deep), b"x".to_vec()].concat()));
        let filter = if round % 2 == 0 { deep.clone() } else { "+/".repeat(10_000) + "#" };
        bomber.send(&packet(0x82, &[vec![0, 1], string(&filter), vec![0]].concat()));
        bomber.send(&[0xC0, 0]);
        // Refused or closed, but not kept.
        let _ = core::iter::from_fn(|| bomber.packet()).find(|packet| packet[0] == 0xD0);
    }
    // Each of these filters matches each of these topics, level by level.
    let mut storm = Raw::connected(tcp(&broker), Version::V311, "storm");
    for n in 0..2_000_u16 {
        let mut filter: Vec<&str> =
            (0..11).map(|bit| if n >> bit & 1 == 0 { "+" } else { "a" }).collect();
        filter.push("#");
        storm.send(&packet(0x82, &[vec![1, 1], string(&filter.join("/")), vec![0]].concat()));
    }
    let mut reader = Raw::connected(tcp(&broker), Version::V311, "reader");
    for _ in 0..200 {
        reader.send(&packet(0x30, &[string(&"a/".repeat(11)), b"x".to_vec()].concat()));
    }
    reader.send(&[0xC0, 0]);
    assert_eq!(reader.packet().as_deref(), Some(&[0xD0, 0][..]));
    honest.finish(&broker, before, 64 << 20, "topics of 10,000 levels, 2,000 filters of wildcards");
}

/// Whole packets of both versions to start from.
fn seeds() -> Vec<Vec<u8>> {
    let v5 = |first, body: &[u8]| packet(first, body);
    vec![
        packet(0x32, &[string("m/1"), vec![0, 9], b"payload".to_vec()].concat()),
        packet(0x34, &[string("m/2"), vec![0, 8], b"payload".to_vec()].concat()),
        packet(0x31, &[string("m/retained"), b"x".to_vec()].concat()),
        packet(0x62, &[0, 8]),
        packet(0x40, &[0, 1]),
        packet(0x82, &[vec![0, 3], string("m/+/#"), vec![1]].concat()),
        packet(0xA2, &[vec![0, 4], string("m/+")].concat()),
        packet(0xC0, &[]),
        packet(0xE0, &[]),
        v5(
            0x32,
            &[string("m/3"), vec![0, 9, 10, 2, 0, 0, 0, 1, 35, 0, 1, 1, 1], b"p".to_vec()].concat(),
        ),
        v5(0x82, &[vec![0, 3, 2, 11, 5], string("$share/g/m/#"), vec![0x2D]].concat()),
        v5(0xE0, &[4, 5, 17, 0, 0, 0, 9]),
        v5(0xF0, &[24, 0]),
    ]
}

/// One of the seeds, changed in up to four places.
fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.insert(at, random.next() as u8),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[test]
fn a_hundred_thousand_mutated_packets_harm_nobody_else() {
    const PACKETS: usize = 100_000;
    const CONNECTS: [&[u8]; 2] = [
        b"\x10\x13\x00\x04MQTT\x04\x02\x00\x3C\x00\x07mutated",
        b"\x10\x14\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x07mutated",
    ];
    let broker = with_limits();
    let honest = Honest::start(tcp(&broker));
    let before = resident(&broker);
    let seeds = seeds();
    let mut random = Random(0x6d6f_7465);
    let mut sent = 0;
    let mut connections = 0;
    while sent < PACKETS {
        connections += 1;
        let mut stream = TcpStream::connect(tcp(&broker)).expect("it accepts");
        let mut bytes = if random.below(10) == 0 {
            mutated(&mut random, &CONNECTS.map(<[u8]>::to_vec))
        } else {
            CONNECTS[random.below(2)].to_vec()
        };
        // Some packets go wrong in a way that the next one is read as a part of it.
        for _ in 0..1 + random.below(20) {
            bytes.extend(mutated(&mut random, &seeds));
            sent += 1;
        }
        let _ = stream.write_all(&bytes);
        if random.below(4) == 0 {
            // Some do not wait for an answer.
            continue;
        }
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(&mut stream), "connection {connections} stays open");
    }
    println!("{sent} mutated packets on {connections} connections");
    honest.finish(&broker, before, 64 << 20, "100,000 mutated packets");
}
