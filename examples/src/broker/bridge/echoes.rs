//! What a bridge has published and the other broker will send back, as 3.1.1 has no No Local.

use alloc::collections::VecDeque;
use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::time::Instant;

/// How long an echo is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many are waited for.
const MAX: usize = 65_536;

/// Messages that are to come back, by what they are: a topic and a payload. Another client's message that
/// is the same in both counts as the echo, and then the echo as that message: whoever receives them sees no
/// difference.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    hasher: RandomState,
    order: VecDeque<(Instant, u64)>,
    counts: HashMap<u64, u32>,
}

impl Echoes {
    /// This message will come back; but once, even if it is sent again.
    pub(super) fn expect(&mut self, now: Instant, topic: &str, payload: &[u8], again: bool) {
        self.forget(now);
        if self.order.len() >= MAX {
            self.drop_oldest();
        }
        let mark = self.mark(topic, payload);
        if again && self.counts.contains_key(&mark) {
            return;
        }
        self.order.push_back((now + PATIENCE, mark));
        *self.counts.entry(mark).or_default() += 1;
    }

    /// Whether this message was expected, which it is no more.
    pub(super) fn is_one(&mut self, now: Instant, topic: &str, payload: &[u8]) -> bool {
        self.forget(now);
        let mark = self.mark(topic, payload);
        let Some(count) = self.counts.get_mut(&mark) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&mark);
        }
        // Echoes come in the order of what they are echoes of.
        if let Some(index) = self.order.iter().position(|(_, other)| *other == mark) {
            self.order.remove(index);
        }
        true
    }

    fn mark(&self, topic: &str, payload: &[u8]) -> u64 {
        self.hasher.hash_one((topic, payload))
    }

    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((_, mark)) = self.order.pop_front() else { return };
        let Some(count) = self.counts.get_mut(&mark) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Echoes, MAX, PATIENCE};

    #[test]
    fn each_message_comes_back_once() {
        let (mut echoes, now) = (Echoes::default(), Instant::now());
        echoes.expect(now, "a", b"1", false);
        echoes.expect(now, "a", b"1", false);
        echoes.expect(now, "a", b"2", false);
        echoes.expect(now, "a", b"2", true);
        assert!(!echoes.is_one(now, "b", b"1"));
        assert!(echoes.is_one(now, "a", b"2"));
        assert!(!echoes.is_one(now, "a", b"2"));
        assert!(echoes.is_one(now, "a", b"1") && echoes.is_one(now, "a", b"1"));
        assert!(!echoes.is_one(now, "a", b"1"));
        assert!(echoes.order.is_empty() && echoes.counts.is_empty());
    }

    #[test]
    fn what_does_not_come_back_is_forgotten() {
        let (mut echoes, now) = (Echoes::default(), Instant::now());
        echoes.expect(now, "a", b"1", false);
        assert!(!echoes.is_one(now + PATIENCE, "a", b"1"));
        for n in 0..MAX + 10 {
            echoes.expect(now, "a", &n.to_be_bytes(), false);
        }
        assert_eq!((echoes.order.len(), echoes.counts.len()), (MAX, MAX));
        assert!(!echoes.is_one(now, "a", &0_usize.to_be_bytes()));
        assert!(echoes.is_one(now, "a", &10_usize.to_be_bytes()));
    }
}
