//! Brokers under load, one after the other: this repository's and mosquitto.
//!
//! `cargo build --release --example broker`, then
//! `cargo bench -p motewire-benches --bench broker -- [BROKER_PROGRAM] [--scale N] [SCENARIO...]`.
//! A scenario is chosen by a part of its name; with `--scale 0.1` it is a tenth as long. `--results`
//! writes the table to `RESULTS-broker.md`.
//!
//! The generator is one thread that speaks to all sockets with packets it prepared before. What counts
//! is the processor time of the broker's process per million deliveries, and deliveries per second; both
//! have room for what waits: mosquitto without a limit, the example broker up to its default bounds.

mod load;
mod scenarios;
mod servers;

use core::fmt::Write as _;
use std::path::Path;

use servers::Server;

const HEAD: &str = "\
# Broker: measured

Written by the bench `broker`; figures are not edited by hand.

CPU is seconds of the broker's process per million deliveries. The load comes from one thread with packets
it prepared before, over loopback, in one run for both brokers: `motewire` is `examples/broker`,
mosquitto is Debian's with queues without limit.

```text
cargo build --release --example broker
cargo bench -p motewire-benches --no-default-features --bench broker -- --results
```

| scenario | CPU, motewire | CPU, mosquitto | ratio | per second, motewire | per second, mosquitto | ratio |
|---|--:|--:|--:|--:|--:|--:|
";

fn main() {
    let mut scale = 1.0;
    let mut program = None;
    let mut wanted = Vec::new();
    let mut writes = false;
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--scale" => {
                scale = arguments.next().and_then(|n| n.parse().ok()).expect("--scale NUMBER");
            }
            "--results" => writes = true,
            file if file.contains('/') => program = Some(file.to_owned()),
            name => wanted.push(name.to_owned()),
        }
    }
    let mut table = HEAD.to_owned();
    print!("{HEAD}");
    for (name, scenario) in scenarios::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let [own, other] = [Server::motewire, Server::mosquitto].map(|start| {
            let Some(server) = start(program.as_deref()) else { return (f64::NAN, f64::NAN) };
            let result = scenario(&server, scale);
            let deliveries = result.deliveries as f64;
            (result.cpu / deliveries * 1e6, deliveries / result.seconds)
        });
        let row = format!(
            "| {name} | {:.3} | {:.3} | {:.3} | {:.0} | {:.0} | {:.2} |",
            own.0,
            other.0,
            own.0 / other.0,
            own.1,
            other.1,
            own.1 / other.1,
        );
        println!("{row}");
        let _ = writeln!(table, "{row}");
    }
    if writes {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS-broker.md");
        std::fs::write(file, table).expect("the file can be written");
    }
}
