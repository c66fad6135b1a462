//! Brokers under load, one after the other: this repository's, mosquitto, and what crates.io has.
//!
//! ```text
//! cargo install --root ~/.cache/motewire-peers rumqttd@0.20.0 mqttv5-cli@0.29.10
//! cargo install --root ~/.cache/motewire-peers --path benches/peers/rmqtt
//! cargo build --release --example broker
//! cargo bench -p motewire-benches --no-default-features --bench broker -- [OPTION...] [SCENARIO...]
//! ```
//!
//! The first two commands are needed once, for the peers but mosquitto, which is Debian's; without a peer
//! its columns stay empty. `$MOTEWIRE_PEERS` may name another folder. A scenario is chosen by a part of
//! its name.
//!
//! - `--broker FILE`: another program than `target/release/examples/broker`
//! - `--beside NAME,...`: only these of `mosquitto`, `rumqttd`, `mqtt5`, `rmqtt` and `limit`
//! - `--scale NUMBER`: so many times the messages
//! - `--seconds NUMBER`: how long messages are counted at most, for each scenario and broker
//! - `--rounds NUMBER`: how often throughput is measured, and latency if that is more often than it is anyway,
//!   the brokers in turn; the median counts. For machines whose memory others use too
//! - `--results`: write `RESULTS-broker.md`
//!
//! The generator is one thread that speaks to all sockets with packets it prepared before. What counts
//! is the processor time of the broker's process per million deliveries, and deliveries per second; all
//! have room for what waits: mosquitto without a limit, the example broker up to its default bounds.

mod limit;
mod load;
mod memory;
#[cfg(target_os = "linux")]
mod pages;
mod plain;
mod report;
mod scenarios;
mod servers;

use core::time::Duration;
use std::path::Path;

use plain::Latency;
use report::{Report, Table};
use scenarios::{Outcome, Size};
use servers::{Kind, Server};

/// How often latencies are measured at least.
const LATENCY_ROUNDS: usize = 11;

/// What is asked for.
struct Options {
    broker: String,
    kinds: Vec<Kind>,
    size: Size,
    rounds: usize,
    writes: bool,
    wanted: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let broker = repository.join(target).join("release/examples/broker");
        let mut this = Self {
            broker: broker.to_string_lossy().into_owned(),
            kinds: Kind::ALL.to_vec(),
            size: Size { scale: 1.0, time: Duration::from_secs(4) },
            rounds: 1,
            writes: false,
            wanted: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value for the option");
            match argument.as_str() {
                "--bench" => {}
                "--broker" => this.broker = value(),
                "--beside" => {
                    let names = value();
                    let is_named = |kind: &Kind| names.split(',').any(|name| name == kind.name());
                    this.kinds.retain(|kind| *kind == Kind::Motewire || is_named(kind));
                }
                "--scale" => this.size.scale = value().parse().expect("a number"),
                "--seconds" => {
                    let seconds = value().parse().expect("a number");
                    this.size.time = Duration::from_secs_f64(seconds);
                }
                "--rounds" => this.rounds = value().parse().expect("a number"),
                "--results" => this.writes = true,
                name => this.wanted.push(name.to_owned()),
            }
        }
        this
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| name.contains(part.as_str()))
    }

    /// What this gives for each broker, each new.
    fn each<T>(
        &self,
        is_stored: bool,
        measure: impl Fn(&Server) -> Option<T>,
    ) -> Vec<(Kind, Option<T>)> {
        let of = |kind| measure(&Server::start(kind, &self.broker, is_stored)?);
        self.kinds.iter().map(|kind| (*kind, of(*kind))).collect()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, address] = &arguments[..] {
        if first == limit::ARGUMENT {
            return limit::run(address.parse().expect("an address"));
        }
    }
    let options = Options::parse(arguments.into_iter());
    let mut report = Report::default();
    throughput(&options, &mut report);
    latency(&options, &mut report);
    memory(&options, &mut report);
    stored(&options, &mut report);
    if options.writes {
        report.write();
    }
}

/// Processor time, and deliveries per second.
fn throughput(options: &Options, report: &mut Report) {
    let mut cpu = Table::new("Processor seconds per million deliveries", true, 3);
    let mut rate = Table::new("Deliveries per second", true, 0);
    for (name, scenario) in scenarios::ALL.iter().filter(|(name, _)| options.wants(name)) {
        let rounds = (0..options.rounds.max(1))
            .map(|_| options.each(false, |server| scenario(server, options.size)))
            .collect();
        let outcomes = medians(rounds);
        add(&mut cpu, &mut rate, name, &outcomes);
    }
    report.add(cpu);
    report.add(rate);
}

/// Of each broker the outcome that is in the middle by its processor time.
fn medians(rounds: Vec<Vec<(Kind, Option<Outcome>)>>) -> Vec<(Kind, Option<Outcome>)> {
    let each = by_kind(rounds).into_iter();
    each.map(|(kind, outcomes)| (kind, median(outcomes, Outcome::cpu_per_million))).collect()
}

/// What the rounds gave, for each broker together.
fn by_kind<T>(rounds: Vec<Vec<(Kind, T)>>) -> Vec<(Kind, Vec<T>)> {
    let mut each: Vec<(Kind, Vec<T>)> = Vec::new();
    for (kind, outcome) in rounds.into_iter().flatten() {
        match each.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, outcomes)) => outcomes.push(outcome),
            None => each.push((kind, vec![outcome])),
        }
    }
    each
}

/// The one in the middle, by what it costs.
fn median<T>(mut outcomes: Vec<Option<T>>, cost: impl Fn(&T) -> f64) -> Option<T> {
    // Those that did not do it come last.
    let cost = |outcome: &Option<T>| outcome.as_ref().map_or(f64::MAX, &cost);
    outcomes.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let middle = outcomes.len() / 2;
    outcomes.swap_remove(middle)
}

fn add(cpu: &mut Table, rate: &mut Table, name: &str, outcomes: &[(Kind, Option<Outcome>)]) {
    let cells = |value: fn(&Outcome) -> f64| {
        let cell = |(kind, outcome): &(Kind, Option<Outcome>)| {
            (*kind, outcome.as_ref().map(|outcome| (value(outcome), outcome.lost)))
        };
        outcomes.iter().map(cell).collect::<Vec<_>>()
    };
    cpu.row(name, &cells(Outcome::cpu_per_million));
    rate.row(name, &cells(|o| o.deliveries as f64 / o.seconds));
}

/// In many short rounds: whatever else the machine does now and then is not to count for one broker only.
fn latency(options: &Options, report: &mut Report) {
    let mut table = Table::new("Microseconds from sending to receiving", true, 1);
    for rate in [1000, 10_000] {
        let name = format!("latency at {rate}/s");
        if !options.wants(&name) {
            continue;
        }
        let rounds = (0..options.rounds.max(LATENCY_ROUNDS))
            .map(|_| options.each(false, |server| plain::latency(server, rate)))
            .collect();
        let outcomes = by_kind(rounds);
        let mut row = |part, of: fn(&Latency) -> f64| {
            let cell = |(kind, times): &(Kind, Vec<Option<Latency>>)| {
                (*kind, median(times.clone(), of).map(|times| (of(&times), 0.0)))
            };
            let cells: Vec<_> = outcomes.iter().map(cell).collect();
            table.row(&format!("{name}, {part}"), &cells);
        };
        row("median", |times| times.median);
        row("99 %", |times| times.most);
    }
    report.add(table);
}

fn memory(options: &Options, report: &mut Report) {
    let mut table = Table::new("Bytes of resident memory for each", false, 0);
    for (name, growth) in memory::ALL.iter().filter(|(name, _)| options.wants(name)) {
        let outcomes = options.each(false, |server| growth(server).map(|bytes| (bytes, 0.0)));
        table.row(name, &outcomes);
    }
    report.add(table);
}

/// With what must survive kept on disk.
fn stored(options: &Options, report: &mut Report) {
    let (name, scenario) = scenarios::STORED;
    if !options.wants(name) {
        return;
    }
    let stores = |kind: &Kind| matches!(kind, Kind::Motewire | Kind::Mosquitto);
    let kinds: Vec<Kind> = options.kinds.iter().copied().filter(stores).collect();
    let of = |kind| scenario(&Server::start(kind, &options.broker, true)?, options.size);
    let outcomes: Vec<_> = kinds.iter().map(|kind| (*kind, of(*kind))).collect();
    let mut cpu = Table::new("Stored: processor seconds per million deliveries", true, 3);
    let mut rate = Table::new("Stored: deliveries per second", true, 0);
    add(&mut cpu, &mut rate, name, &outcomes);
    report.add(cpu);
    report.add(rate);
}
