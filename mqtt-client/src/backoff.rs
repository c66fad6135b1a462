//! How long to wait before the next attempt to connect.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::collections::hash_map::RandomState;

use crate::Reconnect;

/// Exponential back-off with full jitter: before attempt `n` in a row a random time between 0 and
/// `min * 2^n`, at most `max`. The first wait after a connection that was stable is from the start.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    /// With a seed that the system's randomness gives.
    pub(crate) fn new() -> Self {
        // Without this a thousand clients would come back at the same moment.
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    const fn seeded(seed: u64) -> Self {
        Self { failures: 0, random: seed }
    }

    /// A connection ended, or could not be made. How long to wait, or `None` to give up.
    pub(crate) fn failed(&mut self, policy: &Reconnect) -> Option<Duration> {
        if policy.max_attempts.is_some_and(|max| self.failures >= max) {
            return None;
        }
        let ceiling = policy.min.saturating_mul(1 << self.failures.min(31)).min(policy.max);
        self.failures = self.failures.saturating_add(1);
        let ceiling = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Some(Duration::from_millis(self.next() % ceiling.saturating_add(1).max(1)))
    }

    /// The connection has held for long enough.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// SplitMix64: even, and good enough for what need not be secret.
    const fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn waits_grow_with_full_jitter_up_to_the_maximum() {
        let policy = Reconnect {
            min: Duration::from_millis(100),
            max: Duration::from_secs(5),
            ..Reconnect::default()
        };
        let runs: Vec<Vec<Duration>> = (0..200)
            .map(|seed| {
                let mut backoff = Backoff::seeded(seed);
                (0..12).map_while(|_| backoff.failed(&policy)).collect()
            })
            .collect();
        for attempt in 0..12 {
            let ceiling = (policy.min * (1 << attempt)).min(policy.max);
            let waits = runs.iter().map(|run| run[attempt as usize]);
            assert!(waits.clone().all(|wait| wait <= ceiling));
            // Full jitter: both the lowest and the highest quarter are used.
            assert!(waits.clone().any(|wait| wait < ceiling / 4));
            assert!(waits.clone().any(|wait| wait > ceiling * 3 / 4));
        }
    }

    #[test]
    fn a_stable_connection_starts_the_waits_anew() {
        let policy = Reconnect { min: Duration::from_millis(1), ..Reconnect::default() };
        let mut backoff = Backoff::seeded(1);
        for _ in 0..20 {
            backoff.failed(&policy);
        }
        backoff.reset();
        assert!(backoff.failed(&policy).unwrap() <= policy.min);
    }

    #[test]
    fn after_the_last_attempt_it_gives_up() {
        let policy = Reconnect { max_attempts: Some(2), ..Reconnect::default() };
        let mut backoff = Backoff::seeded(1);
        assert!(backoff.failed(&policy).is_some());
        assert!(backoff.failed(&policy).is_some());
        assert!(backoff.failed(&policy).is_none());
    }
}
