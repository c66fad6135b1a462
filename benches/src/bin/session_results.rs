//! Writes `RESULTS-session.md`: the times of the last `cargo bench -p motewire-benches --bench session`,
//! and allocations and memory, which it counts itself.
//!
//! `cargo run --profile bench -p motewire-benches --bin session_results`

use core::fmt::Write as _;
use std::error;
use std::fs;
use std::path::Path;

use motewire_benches::session::{Row, VERSIONS, connected, contestants, subscribe};
use mqtt_codec::{Connect, Packet, ReasonCode, Rules, Sender, Version};
use mqtt_session::client::Slots;
use mqtt_session::{Instant, server};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const COUNTED: u32 = 1000;

/// What a value takes, itself and on the heap, in bytes.
fn memory<T>(make: impl FnOnce() -> T) -> (usize, isize) {
    let region = Region::new(ALLOCATOR);
    let value = make();
    let stats = region.change();
    let heap =
        stats.bytes_allocated as isize - stats.bytes_deallocated as isize + stats.bytes_reallocated;
    (size_of_val(&value), heap)
}

fn server_session() -> server::Session<'static> {
    let now = Instant::from_millis(0);
    let mut session = server::Session::new(now, server::Config::default(), Slots::heap(16));
    let (mut connect, mut tx) = (Vec::new(), Vec::new());
    let rules = Rules::new(Version::V5, Sender::Client);
    rules
        .encode_to_vec(&Packet::Connect(Connect::new(Version::V5, "c")), &mut connect)
        .expect("it is valid");
    session.receive(now, &mut &connect[..], &mut tx).expect("it is valid");
    let connack = mqtt_codec::ConnAck::new(ReasonCode::Success);
    session.accept(now, &connack, &mut tx).expect("it is accepted");
    session
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let times = fs::read_to_string(motewire_benches::session_times())
        .map_err(|_| "run `cargo bench -p motewire-benches --bench session` first")?;
    let mut text = String::from(
        "# Sessions: measured\n\n\
         Written by `session_results` (see `src/bin/session_results.rs`); figures are not edited by \
         hand.\n\nOne call from bytes to bytes, in nanoseconds: the median of 101 rounds of 2000 calls, \
         in which all take turns; behind it the 5 % quantile; allocations per call. `mqtt_codec alone` \
         reads and writes the same packets without a session.\n",
    );
    for version in VERSIONS {
        for row in Row::ALL {
            let _ = writeln!(text, "\n## {version}: {}\n", row.name());
            text.push_str("| | ns | 5 % | times ours | allocations |\n|---|--:|--:|--:|--:|\n");
            let lines: Vec<Vec<&str>> = times
                .lines()
                .map(|line| line.split('\t').collect())
                .filter(|cells: &Vec<&str>| {
                    cells.first() == Some(&&*version.to_string())
                        && cells.get(1) == Some(&row.name())
                })
                .collect();
            let mut ours = 0.0;
            for (name, mut contestant) in contestants(row, version) {
                let line = lines.iter().find(|line| line.get(2) == Some(&name));
                let Some([.., median, low]) = line.map(Vec::as_slice) else { continue };
                let (median, low): (f64, f64) = (median.parse()?, low.parse()?);
                ours = if ours == 0.0 { median } else { ours };
                (0..COUNTED).for_each(|_| contestant());
                let region = Region::new(ALLOCATOR);
                (0..COUNTED).for_each(|_| contestant());
                let stats = region.change();
                let count = (stats.allocations + stats.reallocations) as f64 / f64::from(COUNTED);
                let ratio = median / ours;
                let _ =
                    writeln!(text, "| {name} | {median:.1} | {low:.1} | {ratio:.2} | {count:.2} |");
            }
        }
    }
    text.push_str(
        "\n## Memory of a session\n\nAfter CONNECT with one subscription, slots for 16 packets in flight, \
         in bytes.\n\n| | itself | heap | together |\n|---|--:|--:|--:|\n",
    );
    let mut row = |name: &str, (size, heap): (usize, isize)| {
        let _ = writeln!(text, "| {name} | {size} | {heap} | {} |", size as isize + heap);
    };
    for version in VERSIONS {
        let client = memory(|| {
            let mut session = connected(version);
            subscribe(&mut session);
            session
        });
        row(&format!("mqtt_session client, {version}"), client);
    }
    row("mqtt_session server", memory(server_session));
    #[cfg(feature = "peers")]
    row("rumqttc `MqttState`, 16 in flight", memory(|| rumqttc::MqttState::new(16, false)));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS-session.md");
    fs::write(&file, &text)?;
    println!("{text}");
    Ok(())
}
