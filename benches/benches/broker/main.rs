//! Brokers under load, one after the other: this repository's and mosquitto.
//!
//! `cargo build --release --example broker`, then
//! `cargo bench -p motewire-benches --bench broker -- [BROKER_PROGRAM] [--scale N] [SCENARIO...]`.
//! A scenario is chosen by a part of its name; with `--scale 0.1` it is a tenth as long.
//!
//! The generator is one thread that speaks to all sockets with packets it prepared before. What counts
//! is the processor time of the broker's process per million deliveries, and deliveries per second; both
//! have room for what waits: mosquitto without a limit, the example broker up to its default bounds.

mod load;
mod scenarios;
mod servers;

use servers::Server;

fn main() {
    let mut scale = 1.0;
    let mut program = None;
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--scale" => {
                scale = arguments.next().and_then(|n| n.parse().ok()).expect("--scale NUMBER");
            }
            file if file.contains('/') => program = Some(file.to_owned()),
            name => wanted.push(name.to_owned()),
        }
    }
    println!(
        "{:<24}{:>12}{:>16}{:>16}{:>12}",
        "scenario", "broker", "s/million", "per second", "deliveries"
    );
    for (name, scenario) in scenarios::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let mut ratio = Vec::new();
        for start in [Server::motewire, Server::mosquitto] {
            let Some(server) = start(program.as_deref()) else { continue };
            let result = scenario(&server, scale);
            let per_million = result.cpu / result.deliveries as f64 * 1e6;
            let rate = result.deliveries as f64 / result.seconds;
            ratio.push(per_million);
            println!(
                "{name:<24}{:>12}{per_million:>16.3}{rate:>16.0}{:>12}",
                server.name(),
                result.deliveries
            );
        }
        if let [own, other] = ratio[..] {
            println!("{:<24}{:>12}{:>16.3}", "", "ratio", own / other);
        }
    }
}
