//! Runs every session in every row some times, for callgrind to count: `session_results` starts it.

use core::hint::black_box;

use motewire_benches::session::{Row, VERSIONS, contestants};

/// Calls that are counted together, so that what happens only now and then has its part.
const COUNTED: u32 = 100;

fn main() {
    for version in VERSIONS {
        for row in Row::ALL {
            for (name, mut contestant) in contestants(row, version) {
                println!("{version} {}\t{name}\t{COUNTED}", row.name());
                (0..COUNTED).for_each(|_| contestant());
                start_counting();
                (0..COUNTED).for_each(|_| contestant());
                stop_counting();
            }
        }
    }
}

#[inline(never)]
fn start_counting() {
    black_box(());
}

#[inline(never)]
fn stop_counting() {
    // Not the same body, so that the two are not merged.
    black_box(0);
}
