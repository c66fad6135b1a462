//! What is measured.

use core::time::Duration;

use crate::load::{Ended, Load, What, packet, subscribe, text};
use crate::plain;
use crate::servers::Server;

/// How much is to be measured, and how long at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// In parts of the usual number of messages.
    pub(crate) scale: f64,
    /// How long messages are counted.
    pub(crate) time: Duration,
}

/// How long a broker may take to get ready for a scenario.
const PREPARATION: Duration = Duration::from_secs(30);

/// How many messages are retained.
const RETAINED: u64 = 100_000;

/// What came of a scenario.
pub(crate) struct Outcome {
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    /// Processor time of the broker.
    pub(crate) cpu: f64,
    /// The part of the messages that never came.
    pub(crate) lost: f64,
}

impl Outcome {
    /// Seconds of processor time per million deliveries.
    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.cpu / self.deliveries as f64 * 1e6
    }
}

const SMALL: What = What { payload: 64, qos: 0, retain: false };

type Scenario = fn(&Server, Size) -> Option<Outcome>;

pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("1:1 QoS 0, 64 B", |a, s| pairs(a, s, 1, 0, times(3_000_000, s))),
    ("1:1 QoS 1, 64 B", |a, s| pairs(a, s, 1, 1, times(1_000_000, s))),
    ("1:1 QoS 2, 64 B", |a, s| pairs(a, s, 1, 2, times(500_000, s))),
    ("10:10 QoS 1, 64 B", |a, s| pairs(a, s, 10, 1, times(100_000, s))),
    ("10:10 QoS 2, 64 B", |a, s| pairs(a, s, 10, 2, times(50_000, s))),
    ("1:200 QoS 0, 64 B", |a, s| fan_out(a, s, 200, 64, times(20_000, s))),
    ("200:1 QoS 0, 64 B", |a, s| fan_in(a, s, 200, times(5_000, s))),
    ("100,000 wildcards", |a, s| wildcards(a, s, times(500_000, s))),
    ("100,000 retained", |a, s| retained(a, s, "kept/#", RETAINED, times(10, s))),
    ("100 of 100,000 retained", |a, s| retained(a, s, "kept/7/+", RETAINED / 1000, times(1000, s))),
    ("1:10 64 KiB", |a, s| fan_out(a, s, 10, 65_536, times(20_000, s))),
    ("connect, disconnect", churn),
];

/// This one with what it must not lose on disk too.
pub(crate) const STORED: (&str, Scenario) =
    ("10:10 QoS 1, 64 B, stored", |a, s| pairs(a, s, 10, 1, times(20_000, s)));

fn times(count: u64, size: Size) -> u64 {
    ((count as f64 * size.scale) as u64).max(1)
}

fn finish(server: &Server, mut load: Load, size: Size, deliveries: u64) -> Option<Outcome> {
    let (before, cpu) = (load.received(), server.cpu());
    load.set_patience(size.time);
    load.start();
    let (ended, seconds) = load.until(|load| load.received() - before >= deliveries);
    let received = load.received() - before;
    let outcome = Outcome {
        deliveries: received,
        seconds,
        cpu: server.cpu() - cpu,
        lost: if ended == Ended::Stuck { 1.0 - received as f64 / deliveries as f64 } else { 0.0 },
    };
    (received > 0).then_some(outcome)
}

fn pairs(server: &Server, size: Size, count: usize, qos: u8, messages: u64) -> Option<Outcome> {
    let mut load = Load::new(PREPARATION);
    for n in 0..count {
        let topic = format!("bench/pair/{n}");
        let subscriber = load.connect(server.address())?;
        load.subscribe(subscriber, core::slice::from_ref(&topic), qos)?;
        let publisher = load.connect(server.address())?;
        load.publish(publisher, &topic, What { qos, ..SMALL }, messages);
    }
    finish(server, load, size, messages * count as u64)
}

fn fan_out(
    server: &Server,
    size: Size,
    count: usize,
    payload: usize,
    messages: u64,
) -> Option<Outcome> {
    let mut load = Load::new(PREPARATION);
    for _ in 0..count {
        let subscriber = load.connect(server.address())?;
        load.subscribe(subscriber, &["bench/all".into()], 0)?;
    }
    let publisher = load.connect(server.address())?;
    load.publish(publisher, "bench/all", What { payload, ..SMALL }, messages);
    finish(server, load, size, messages * count as u64)
}

fn fan_in(server: &Server, size: Size, count: usize, messages: u64) -> Option<Outcome> {
    let mut load = Load::new(PREPARATION);
    let subscriber = load.connect(server.address())?;
    load.subscribe(subscriber, &["bench/+/in".into()], 0)?;
    for n in 0..count {
        let publisher = load.connect(server.address())?;
        load.publish(publisher, &format!("bench/{n}/in"), SMALL, messages);
    }
    finish(server, load, size, messages * count as u64)
}

/// Filters with wildcards, all different.
pub(crate) fn filters(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("site/{}/+/device{n}/#", n % 100)).collect()
}

/// One publisher to a topic that one of very many wildcard subscriptions matches.
fn wildcards(server: &Server, size: Size, messages: u64) -> Option<Outcome> {
    let mut load = Load::new(PREPARATION);
    let subscriber = load.connect(server.address())?;
    load.subscribe(subscriber, &filters(100_000), 0)?;
    let publisher = load.connect(server.address())?;
    load.publish(publisher, "site/42/hall/device7742/t", SMALL, messages);
    finish(server, load, size, messages)
}

/// Has the broker retain so many messages.
pub(crate) fn retain(server: &Server, load: &mut Load, messages: u64) -> Option<()> {
    const AT_ONCE: u64 = 100;
    let publisher = load.connect(server.address())?;
    for first in (0..messages).step_by(AT_ONCE as usize) {
        let last = messages.min(first + AT_ONCE);
        for n in first..last {
            let id = (1 + n - first) as u16;
            let topic = text(&format!("kept/{}/{n}", n % 1000));
            load.send(publisher, &packet(0x33, &[&topic, &id.to_be_bytes(), &[b'x'; 64]]));
        }
        let (ended, _) = load.until(|load| load.clients[publisher].acknowledged >= last);
        if ended != Ended::Done {
            return None;
        }
    }
    Some(())
}

/// Very many retained messages, and a subscriber of so many of them, this many times.
fn retained(
    server: &Server,
    size: Size,
    filter: &str,
    expected: u64,
    rounds: u64,
) -> Option<Outcome> {
    let mut load = Load::new(PREPARATION);
    retain(server, &mut load, RETAINED)?;
    let subscriber = load.connect(server.address())?;
    load.set_patience(size.time);
    let subscribe = subscribe(&[filter.to_owned()], 0);
    let cpu = server.cpu();
    let mut outcome = Outcome { deliveries: 0, seconds: 0.0, cpu: 0.0, lost: 0.0 };
    let mut ended = Ended::Done;
    for round in 1..=rounds {
        load.send(subscriber, &subscribe);
        let seconds;
        (ended, seconds) = load.until(|load| load.received() >= round * expected);
        outcome.seconds += seconds;
        if ended != Ended::Done {
            break;
        }
    }
    outcome.deliveries = load.received();
    outcome.cpu = server.cpu() - cpu;
    if ended == Ended::Stuck {
        outcome.lost = 1.0 - outcome.deliveries as f64 / (rounds * expected) as f64;
    }
    (outcome.deliveries > 0).then_some(outcome)
}

/// Clients that come and go.
fn churn(server: &Server, size: Size) -> Option<Outcome> {
    let cpu = server.cpu();
    let (deliveries, seconds) = plain::churn(server, times(20_000, size), size.time)?;
    Some(Outcome { deliveries, seconds, cpu: server.cpu() - cpu, lost: 0.0 })
}
