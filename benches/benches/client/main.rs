//! Clients against a server that acknowledges at once, so that the client is what is measured, and
//! against mosquitto: CPU seconds of the client's process per million messages, messages per second,
//! system calls, the time from publishing at QoS 1 to the acknowledgement, and what a connected client
//! takes that does nothing.
//!
//! ```text
//! cargo bench -p motewire-benches --no-default-features --bench client            [CLIENT...]
//! cargo bench -p motewire-benches --no-default-features --bench client -- results [CLIENT...]
//! ```
//!
//! The second one also writes what it measures to `RESULTS-client.md`, row by row. Each client
//! runs in a process of its own, and so does the server. Peers come from `benches/peers`, which this
//! builds: without a network, or without the C libraries, those are left out that cannot be built.
//!
//! Set `RUNS` for the median of so many runs of each measurement, and `ROWS` for those rows only that
//! begin with it, such as `"echo 1"`. With `RUNS=2` all rows take some six minutes.

extern crate alloc;

mod case;
mod compare;
mod figures;
mod limit;
mod ours;
mod programs;
mod sink;

use std::env;
use std::path::Path;

use case::Case;
use compare::compare;

fn main() {
    // cargo bench adds --bench.
    let arguments: Vec<String> = env::args().skip(1).filter(|text| text != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // What does not subscribe is the same as without handler.
        ["run", "motewire-handler", _, "publish", ..]
        | ["round-trip" | "idle", "motewire-handler", ..] => {}
        ["server"] => sink::serve(),
        ["run", client, port, way, qos, size, count] => {
            let case = format!("{way} {qos} {size} {count}").parse().expect("a case");
            run(client, case, port.parse().expect("a port"));
        }
        ["idle", client, port] => idle(client, port.parse().expect("a port")),
        ["round-trip", client, port] => round_trips(client, port.parse().expect("a port")),
        ["results", ref wanted @ ..] => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
            compare(wanted, Some(folder.join("RESULTS-client.md")));
        }
        ref wanted => compare(wanted, None),
    }
}

fn run(client: &str, case: Case, port: u16) {
    figures::run(case, || match client {
        "motewire" => runtime().block_on(ours::run(case, port)),
        "motewire-handler" => runtime().block_on(ours::run_handler(case, port)),
        "motewire-blocking" => ours::run_blocking(case, port),
        _ => limit::Loop::connect(port).run(case),
    });
}

fn round_trips(client: &str, port: u16) {
    figures::round_trips(match client {
        "motewire" => runtime().block_on(ours::round_trips(port)),
        "motewire-blocking" => ours::round_trips_blocking(port),
        _ => limit::round_trips(port),
    });
}

fn idle(client: &str, port: u16) {
    let connect = async || match client {
        "motewire" => ours::connect_idle(port).await,
        "motewire-blocking" => ours::connect_idle_blocking(port),
        _ => limit::connect_idle(port),
    };
    runtime().block_on(figures::idle(connect, tokio::time::sleep));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio")
}
