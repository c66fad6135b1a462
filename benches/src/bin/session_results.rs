//! Writes `RESULTS-session.md`: the times of the last `cargo bench -p motewire-benches --bench session`,
//! and instructions, allocations and memory, which it counts itself.
//!
//! `cargo build --profile bench -p motewire-benches --bins`, then
//! `cargo run --profile bench -p motewire-benches --bin session_results`

use core::fmt::Write as _;
use std::error;
use std::fs;
use std::path::Path;

use motewire_benches::callgrind;
#[cfg(feature = "peers")]
use motewire_benches::session::peers;
use motewire_benches::session::{FILTER, Row, VERSIONS, contestants, subscribed};
use mqtt_codec::{
    Connect, List, Packet, PacketId, Properties, QoS, ReasonCode, Rules, Sender, SubAck, Subscribe,
    Subscription, TopicFilter, Version,
};
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
    // What is reallocated counts as allocated or deallocated already.
    let heap = stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
    (size_of_val(&value), heap)
}

/// Our server's session after CONNACK, with a subscription answered.
fn server_session(version: Version) -> server::Session<'static> {
    let now = Instant::from_millis(0);
    let mut session = server::Session::new(now, server::Config::default(), Slots::heap(16));
    let mut tx = Vec::new();
    let rules = Rules::new(version, Sender::Client);
    let receive = |session: &mut server::Session<'static>, packet: Packet<'_>| {
        let mut bytes = Vec::new();
        rules.encode_to_vec(&packet, &mut bytes).expect("it is valid");
        assert!(session.receive(now, &mut &bytes[..], &mut Vec::new()).expect("valid").is_some());
    };
    receive(&mut session, Packet::Connect(Connect::new(version, "c")));
    let connack = mqtt_codec::ConnAck::new(ReasonCode::Success);
    session.accept(now, &connack, &mut tx).expect("it is accepted");
    let filter = TopicFilter::new(FILTER).expect("it is valid");
    let (packet_id, properties) = (PacketId::MIN, Properties::EMPTY);
    let filters = [Subscription::new(filter, QoS::AtLeastOnce)];
    let subscriptions = List::from(&filters[..]);
    receive(&mut session, Packet::Subscribe(Subscribe { packet_id, properties, subscriptions }));
    let reasons = List::from(&[ReasonCode::GrantedQoS1][..]);
    session.suback(&SubAck { packet_id, properties, reasons }, &mut tx).expect("it is sent");
    session
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let times = fs::read_to_string(motewire_benches::session_times())
        .map_err(|_| "run `cargo bench -p motewire-benches --bench session` first")?;
    let instructions = callgrind::count("session_instructions")?;
    let mut text = String::from(
        "# Sessions: measured\n\n\
         Written by `session_results` (see `src/bin/session_results.rs`); figures are not edited by \
         hand.\n\nOne call from bytes to bytes, in nanoseconds: the median of 101 rounds of 2000 calls, \
         in which all take turns; behind it the 5 % quantile; instructions (callgrind) and allocations per \
         call. `mqtt_codec alone` reads and writes the same packets without a session.\n",
    );
    for version in VERSIONS {
        for row in Row::ALL {
            let _ = writeln!(text, "\n## {version}: {}\n", row.name());
            text.push_str(
                "| | ns | 5 % | times ours | instructions | times ours | allocations |\n\
                 |---|--:|--:|--:|--:|--:|--:|\n",
            );
            let lines: Vec<Vec<&str>> = times
                .lines()
                .map(|line| line.split('\t').collect())
                .filter(|cells: &Vec<&str>| {
                    cells.first() == Some(&&*version.to_string())
                        && cells.get(1) == Some(&row.name())
                })
                .collect();
            let (mut ours, key) = (None, format!("{version} {}", row.name()));
            for (name, mut contestant) in contestants(row, version) {
                let line = lines.iter().find(|line| line.get(2) == Some(&name));
                let Some([.., median, low]) = line.map(Vec::as_slice) else { continue };
                let (median, low): (f64, f64) = (median.parse()?, low.parse()?);
                let counted = instructions.iter().find(|(columns, _)| *columns == [&*key, name]);
                let (_, counted) = counted.ok_or("session_instructions is older than this")?;
                let (our_median, our_count) = *ours.get_or_insert((median, *counted));
                (0..COUNTED).for_each(|_| contestant());
                let region = Region::new(ALLOCATOR);
                (0..COUNTED).for_each(|_| contestant());
                let stats = region.change();
                let count = (stats.allocations + stats.reallocations) as f64 / f64::from(COUNTED);
                let _ = writeln!(
                    text,
                    "| {name} | {median:.1} | {low:.1} | {:.2} | {counted:.0} | {:.2} | {count:.2} |",
                    median / our_median,
                    counted / our_count,
                );
            }
        }
    }
    text.push_str(
        "\n## Memory of a session\n\nAfter CONNECT and SUBSCRIBE of one filter, room for 16 packets in \
         flight, in bytes.\n\n| | itself | heap | together |\n|---|--:|--:|--:|\n",
    );
    let mut row = |name: &str, (size, heap): (usize, isize)| {
        let _ = writeln!(text, "| {name} | {size} | {heap} | {} |", size as isize + heap);
    };
    for version in VERSIONS {
        row(&format!("mqtt_session client, {version}"), memory(|| subscribed(version)));
        row(&format!("mqtt_session server, {version}"), memory(|| server_session(version)));
    }
    #[cfg(feature = "peers")]
    {
        row("mqtt-protocol-core client, 3.1.1", memory(peers::core_v311_subscribed));
        row("mqtt-protocol-core client, 5.0", memory(peers::core_v5_subscribed));
        row("flowsdk, 3.1.1", memory(|| peers::flowsdk_subscribed(Version::V311)));
        row("flowsdk, 5.0", memory(|| peers::flowsdk_subscribed(Version::V5)));
        row("rumqttc MqttState, 3.1.1", memory(peers::rumqttc_v311_subscribed));
        row("rumqttc MqttState, 5.0", memory(peers::rumqttc_v5_subscribed));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS-session.md");
    fs::write(&file, &text)?;
    println!("{text}");
    Ok(())
}
