//! What a client's process tells of itself: the same for all of them, those of `peers/` too.

use core::any::Any;
use core::time::Duration;
use std::time::Instant;

use crate::case::{Case, IDLE};

/// Prints the CPU seconds that a million messages take, and how many there are in a second.
pub(crate) fn run(case: Case, run: impl FnOnce()) {
    let (cpu, start) = (cpu(), Instant::now());
    run();
    let (cpu, took) = (self::cpu() - cpu, start.elapsed());
    let count = case.count as f64;
    println!("{} {}", cpu.as_secs_f64() / count * 1e6, count / took.as_secs_f64());
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().unwrap_or_default()
}

/// Prints p50 and p99, in microseconds.
pub(crate) fn round_trips(mut times: Vec<Duration>) {
    times.sort_unstable();
    let percent = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    println!("{} {}", percent(50), percent(99));
}

/// Prints the memory that one more idle client takes, in KiB, and how often all of them wake up in a
/// second.
pub(crate) async fn idle<F: Future<Output = Box<dyn Any>>>(
    connect: impl Fn() -> F,
    sleep: impl AsyncFn(Duration),
) {
    let mut all = Vec::new();
    let mut memory = 0.0;
    for n in 0..=IDLE {
        all.push(connect().await);
        if n == 0 {
            sleep(Duration::from_millis(200)).await;
            memory = resident();
        }
    }
    sleep(Duration::from_millis(500)).await;
    let memory = (resident() - memory) / IDLE as f64;
    let before = wake_ups();
    sleep(Duration::from_secs(1)).await;
    println!("{memory} {}", wake_ups() - before);
    drop(all);
}

/// Resident memory, in KiB.
fn resident() -> f64 {
    number(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:")
}

/// How often the threads of this process have given up the processor.
fn wake_ups() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let status = threads.map(|thread| std::fs::read_to_string(thread.path().join("status")));
    status.flatten().map(|status| number(&status, "voluntary_ctxt_switches:")).sum()
}

/// The number in a line that begins with this.
fn number(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}
