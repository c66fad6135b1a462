//! Times sessions beside their peers, by turns so that whatever else the machine does hits all alike:
//! `cargo bench -p motewire-benches --bench session`. Then
//! `cargo run --profile bench -p motewire-benches --bin session_results` writes `RESULTS-session.md`.

use core::fmt::Write as _;
use std::time::Instant;

use motewire_benches::session::{Row, VERSIONS, contestants};

const ROUNDS: usize = 101;
const CALLS: u32 = 2000;

fn main() {
    let mut table = String::new();
    for version in VERSIONS {
        for row in Row::ALL {
            let mut all: Vec<_> =
                contestants(row, version).into_iter().map(|(n, c)| (n, c, Vec::new())).collect();
            for _ in 0..ROUNDS {
                for (_, contestant, times) in &mut all {
                    let start = Instant::now();
                    (0..CALLS).for_each(|_| contestant());
                    times.push(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
                }
            }
            for (name, _, times) in &mut all {
                times.sort_by(f64::total_cmp);
                let (low, median) = (times[ROUNDS / 20], times[ROUNDS / 2]);
                println!("{version} {}: {name} {median:.1} ns (5 %: {low:.1})", row.name());
                let _ = writeln!(table, "{version}\t{}\t{name}\t{median}\t{low}", row.name());
            }
        }
    }
    std::fs::write(motewire_benches::session_times(), table).expect("the table is written");
}
