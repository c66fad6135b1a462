//! What the benchmarks measure and whom they measure beside us. The clocks are elsewhere:
//! `benches/` has criterion, `src/bin/` counts instructions and allocations and writes the tables.

pub mod callgrind;
pub mod codec;
pub mod session;

/// Where the benchmark `session` leaves its times for `session_results`.
#[must_use]
pub fn session_times() -> std::path::PathBuf {
    std::env::temp_dir().join("motewire-session-times.tsv")
}
