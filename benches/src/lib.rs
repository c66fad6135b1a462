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

/// The first line that a program prints.
#[must_use]
pub fn first_line(command: &str, argument: &str) -> String {
    let output = std::process::Command::new(command).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or("?").to_owned()
}

/// The processor's name.
#[must_use]
pub fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    name.unwrap_or("?").trim_start_matches([' ', '\t', ':']).to_owned()
}
