//! Resident memory: by how much a broker grows for each of many alike.

use core::time::Duration;

use crate::load::Load;
use crate::plain;
use crate::scenarios::{filters, retain};
use crate::servers::Server;

/// How long a broker may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to give back what it does not need.
const REST: Duration = Duration::from_millis(300);

type Growth = fn(&Server) -> Option<f64>;

/// Bytes for each.
pub(crate) const ALL: &[(&str, Growth)] = &[
    ("idle connection", |server| connections(server, false)),
    ("idle connection with a subscription", |server| connections(server, true)),
    ("retained message of 64 B", retained),
    ("subscription", subscriptions),
];

fn grown(server: &Server, before: f64, count: usize) -> f64 {
    std::thread::sleep(REST);
    (server.resident() - before) / count as f64
}

fn connections(server: &Server, subscribed: bool) -> Option<f64> {
    const FIRST: usize = 500;
    const COUNT: usize = 5000;
    let mut all = Vec::new();
    let mut before = f64::NAN;
    for n in 0..FIRST + COUNT {
        if n == FIRST {
            std::thread::sleep(REST);
            before = server.resident();
        }
        let mut stream = plain::connect(server.address(), &format!("idle-{n:05}"))?;
        if subscribed {
            plain::subscribe(&mut stream, &format!("site/{}/device/{n}/command", n % 100))?;
        }
        all.push(stream);
    }
    Some(grown(server, before, COUNT))
}

fn retained(server: &Server) -> Option<f64> {
    const COUNT: usize = 100_000;
    let mut load = Load::new(PATIENCE);
    load.connect(server.address())?;
    let before = server.resident();
    retain(server, &mut load, COUNT as u64)?;
    Some(grown(server, before, COUNT))
}

fn subscriptions(server: &Server) -> Option<f64> {
    const COUNT: usize = 100_000;
    let mut load = Load::new(PATIENCE);
    let subscriber = load.connect(server.address())?;
    let before = server.resident();
    load.subscribe(subscriber, &filters(COUNT), 0)?;
    Some(grown(server, before, COUNT))
}
