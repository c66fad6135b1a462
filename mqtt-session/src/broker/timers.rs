//! What is due when.

use alloc::collections::BTreeSet;

use super::slab::Key;
use super::tree::NodeId;
use crate::Instant;

/// What is to be looked at. It may not be due any more when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The timeout of a connection.
    Connection(Key),
    /// The end of a session without connection.
    Session(Key),
    /// A will that is delayed.
    Will(Key),
    /// Retained messages that are yet to be looked through for a session.
    Replay(Key),
    /// A retained message that expires.
    Retained(NodeId),
    /// What waits for the policy on a connection.
    Deferred(Key),
    /// The broker's own messages.
    Status,
}

/// Timers in the order of their times. A connection that is heard of does not move its timer: that
/// is looked at when it fires, and set again.
#[derive(Debug)]
pub(crate) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out the first one that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(timer)
    }
}
