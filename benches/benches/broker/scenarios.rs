//! What is measured.

use crate::load::{Load, What};
use crate::servers::Server;

/// What came of a scenario.
pub(crate) struct Outcome {
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    /// Processor time of the broker.
    pub(crate) cpu: f64,
}

const SMALL: What = What { payload: 64, qos: 0, retain: false };

type Scenario = fn(&Server, f64) -> Outcome;

pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("1:1 QoS 0, 64 B", |a, s| pairs(a, 1, 0, times(3_000_000, s))),
    ("1:1 QoS 1, 64 B", |a, s| pairs(a, 1, 1, times(1_000_000, s))),
    ("1:1 QoS 2, 64 B", |a, s| pairs(a, 1, 2, times(500_000, s))),
    ("10:10 QoS 1, 64 B", |a, s| pairs(a, 10, 1, times(100_000, s))),
    ("10:10 QoS 2, 64 B", |a, s| pairs(a, 10, 2, times(50_000, s))),
    ("1:200 QoS 0, 64 B", |a, s| fan_out(a, 200, 64, times(20_000, s))),
    ("200:1 QoS 0, 64 B", |a, s| fan_in(a, 200, times(5_000, s))),
    ("100,000 wildcards", |a, s| wildcards(a, times(500_000, s))),
    ("100,000 retained", |a, s| retained(a, times(100_000, s))),
    ("1:10 64 KiB", |a, s| fan_out(a, 10, 65_536, times(2_000, s))),
];

fn times(count: u64, scale: f64) -> u64 {
    ((count as f64 * scale) as u64).max(1)
}

fn finish(server: &Server, mut load: Load, deliveries: u64) -> Outcome {
    let (before, cpu) = (load.received(), server.cpu());
    load.start();
    let seconds = load.until(|load| load.received() - before >= deliveries);
    Outcome { deliveries: load.received() - before, seconds, cpu: server.cpu() - cpu }
}

fn pairs(server: &Server, count: usize, qos: u8, messages: u64) -> Outcome {
    let mut load = Load::new();
    for n in 0..count {
        let topic = format!("bench/pair/{n}");
        let subscriber = load.connect(server.address());
        load.subscribe(subscriber, core::slice::from_ref(&topic), qos);
        let publisher = load.connect(server.address());
        load.publish(publisher, &topic, What { qos, ..SMALL }, messages);
    }
    finish(server, load, messages * count as u64)
}

fn fan_out(server: &Server, count: usize, payload: usize, messages: u64) -> Outcome {
    let mut load = Load::new();
    for _ in 0..count {
        let subscriber = load.connect(server.address());
        load.subscribe(subscriber, &["bench/all".into()], 0);
    }
    let publisher = load.connect(server.address());
    load.publish(publisher, "bench/all", What { payload, ..SMALL }, messages);
    finish(server, load, messages * count as u64)
}

fn fan_in(server: &Server, count: usize, messages: u64) -> Outcome {
    let mut load = Load::new();
    let subscriber = load.connect(server.address());
    load.subscribe(subscriber, &["bench/+/in".into()], 0);
    for n in 0..count {
        let publisher = load.connect(server.address());
        load.publish(publisher, &format!("bench/{n}/in"), SMALL, messages);
    }
    finish(server, load, messages * count as u64)
}

/// One publisher to a topic that one of very many wildcard subscriptions matches.
fn wildcards(server: &Server, messages: u64) -> Outcome {
    let mut load = Load::new();
    let filters: Vec<String> =
        (0..100_000).map(|n| format!("site/{}/+/device{n}/#", n % 100)).collect();
    let subscriber = load.connect(server.address());
    load.subscribe(subscriber, &filters, 0);
    let publisher = load.connect(server.address());
    load.publish(publisher, "site/42/hall/device7742/t", SMALL, messages);
    finish(server, load, messages)
}

/// Very many retained messages, then a subscriber of all.
fn retained(server: &Server, messages: u64) -> Outcome {
    let mut load = Load::new();
    let publisher = load.connect(server.address());
    for n in 0..messages {
        let topic = format!("kept/{}/{n}", n % 1000);
        load.publish(publisher, &topic, What { qos: 1, retain: true, ..SMALL }, 1);
        load.start();
        load.until(|load| load.clients[publisher].acknowledged == 1);
    }
    let subscriber = load.connect(server.address());
    let (start, cpu) = (load.received(), server.cpu());
    load.subscribe(subscriber, &["kept/#".into()], 0);
    let seconds = load.until(|load| load.received() - start >= messages);
    Outcome { deliveries: load.received() - start, seconds, cpu: server.cpu() - cpu }
}
