//! What is due when.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::slab::Key;
use super::tree::NodeId;
use crate::Instant;

/// What is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// How many bits of the time choose the slot of a level.
const BITS: u32 = 6;

/// Slots of a level.
const SLOTS: usize = 1 << BITS;

/// As many as it takes for all bits of the time.
const LEVELS: usize = 11;

/// How many timers of a slot are looked at in search of the first.
const MAX_LOOKS: usize = 16;

/// No entry.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    timer: Timer,
    /// In its slot; or of a free entry the next free one.
    next: u32,
    previous: u32,
    /// Where it is: level and slot in one.
    place: u16,
}

/// The first and the last entry of a slot.
#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u32,
    last: u32,
}

/// A wheel of wheels. The slots of the first level are a millisecond each, those of the next level as
/// long as all slots of the one before; a timer lies where its time begins to differ from the present
/// one. To set and to cancel one costs the same however many there are. As time comes to a slot of a
/// higher level, its timers move down, a few times each in all, and until then they cost nothing.
///
/// A connection that is heard of does not move its timer: that is looked at when it fires, and set again.
#[derive(Debug)]
pub(crate) struct Timers {
    /// All before this is done with.
    now: u64,
    entries: Vec<Entry>,
    free: u32,
    slots: Vec<Slot>,
    /// Which slots of a level have entries.
    occupied: [u64; LEVELS],
    /// All that are set, by what they are for.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            entries: Vec::new(),
            free: NONE,
            slots: alloc::vec![Slot { first: NONE, last: NONE }; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Has the timer fire at this time, and no other one if it was set before.
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        if let Some(index) = self.find(timer) {
            self.remove(index);
        }
        let entry = Entry { at: at.as_millis(), timer, next: NONE, previous: NONE, place: 0 };
        let index = match self.entries.get_mut(self.free as usize) {
            Some(free) => {
                let index = core::mem::replace(&mut self.free, free.next);
                *free = entry;
                index
            }
            None => {
                // Connections, sessions and retained messages are fewer.
                let Ok(index) = u32::try_from(self.entries.len()) else { return };
                self.entries.push(entry);
                index
            }
        };
        self.link(index);
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = |index: &u32| {
            hasher.hash_one(entries.get(*index as usize).map_or(Timer::Status, |entry| entry.timer))
        };
        self.table.insert_unique(hash(&index), index, hash);
    }

    /// Has the timer that is set to this time never fire.
    pub(crate) fn cancel(&mut self, at: Instant, timer: Timer) {
        if let Some(index) = self.find(timer) {
            if self.entries.get(index as usize).is_some_and(|entry| entry.at == at.as_millis()) {
                self.remove(index);
            }
        }
    }

    fn find(&self, timer: Timer) -> Option<u32> {
        let is_it = |index: &u32| {
            self.entries.get(*index as usize).is_some_and(|entry| entry.timer == timer)
        };
        self.table.find(self.hasher.hash_one(timer), is_it).copied()
    }

    /// Takes out an entry.
    fn remove(&mut self, index: u32) -> Option<Timer> {
        self.unlink(index);
        let entry = self.entries.get_mut(index as usize)?;
        entry.next = self.free;
        self.free = index;
        let hash = self.hasher.hash_one(entry.timer);
        if let Ok(found) = self.table.find_entry(hash, |other| *other == index) {
            found.remove();
        }
        Some(entry.timer)
    }

    /// When something is to be done: no later than the first timer fires. `None` if there is none.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (_, place, start) = self.first()?;
        let mut index = self.slots.get(place)?.first;
        let mut earliest = u64::MAX;
        for _ in 0..MAX_LOOKS {
            let Some(entry) = self.entries.get(index as usize) else {
                return Some(Instant::from_millis(earliest));
            };
            earliest = earliest.min(entry.at);
            index = entry.next;
        }
        // Too many to look for the first of them: when they move down, there are fewer.
        Some(Instant::from_millis(start))
    }

    /// Takes out the first one that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Timer> {
        let now = now.as_millis().max(self.now);
        while let Some((level, place, start)) = self.first().filter(|(_, _, start)| *start <= now) {
            self.now = start;
            let Some(index) = self.slots.get(place).map(|slot| slot.first) else { break };
            if level == 0 {
                return self.remove(index);
            }
            self.move_down(index, level, place);
        }
        self.now = now;
        None
    }

    /// The first slot that has entries: its level, where it is, and when it begins.
    fn first(&self) -> Option<(usize, usize, u64)> {
        // What is on a level comes before all that is on higher ones, and not before the present.
        let (level, occupied) = self.occupied.iter().enumerate().find(|(_, slots)| **slots != 0)?;
        let slot = occupied.trailing_zeros();
        let shift = BITS * level as u32;
        let above = self.now.checked_shr(shift + BITS).unwrap_or(0);
        let start = above.checked_shl(shift + BITS).unwrap_or(0) | u64::from(slot) << shift;
        Some((level, level * SLOTS + slot as usize, start))
    }

    /// Time has come to this slot: its entries go to lower levels.
    fn move_down(&mut self, first: u32, level: usize, place: usize) {
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot { first: NONE, last: NONE };
        }
        if let Some(occupied) = self.occupied.get_mut(level) {
            *occupied &= !(1 << (place % SLOTS));
        }
        let mut index = first;
        while let Some(entry) = self.entries.get(index as usize) {
            let next = entry.next;
            self.link(index);
            index = next;
        }
    }

    /// Puts an entry where it belongs now, behind those that are there.
    fn link(&mut self, index: u32) {
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let at = entry.at.max(self.now);
        let level = (63 - ((at ^ self.now) | 1).leading_zeros()) / BITS;
        let slot = at >> (BITS * level) & (SLOTS as u64 - 1);
        let place = level as usize * SLOTS + slot as usize;
        let Some(list) = self.slots.get_mut(place) else { return };
        entry.place = place as u16;
        entry.next = NONE;
        entry.previous = list.last;
        let last = core::mem::replace(&mut list.last, index);
        match self.entries.get_mut(last as usize) {
            Some(last) => last.next = index,
            None => list.first = index,
        }
        if let Some(occupied) = self.occupied.get_mut(level as usize) {
            *occupied |= 1 << slot;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(Entry { next, previous, place, .. }) = self.entries.get(index as usize).copied()
        else {
            return;
        };
        let place = usize::from(place);
        let Some(list) = self.slots.get_mut(place) else { return };
        match self.entries.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => list.first = next,
        }
        match self.entries.get_mut(next as usize) {
            Some(next) => next.previous = previous,
            None => list.last = previous,
        }
        if list.first == NONE {
            if let Some(occupied) = self.occupied.get_mut(place / SLOTS) {
                *occupied &= !(1 << (place % SLOTS));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::{Instant, Timer, Timers};

    #[derive(Clone, Debug)]
    enum Step {
        /// From the present on, in a random power of two.
        Set(u64),
        /// One of those that are set.
        Cancel(usize),
        /// One of those that are set, to another time.
        Move(usize, u64),
        /// Time passes.
        Wait(u64),
        /// Time passes until something is to be done.
        Sleep,
    }

    fn step() -> impl Strategy<Value = Step> {
        let time = (0_u32..50, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1));
        prop_oneof![
            4 => time.clone().prop_map(Step::Set),
            2 => any::<usize>().prop_map(Step::Cancel),
            1 => (any::<usize>(), time.clone()).prop_map(|(n, wait)| Step::Move(n, wait)),
            1 => time.prop_map(Step::Wait),
            2 => Just(Step::Sleep),
        ]
    }

    /// Everything that is set, by time and number.
    type Model = BTreeSet<(u64, u32)>;

    fn fire(timers: &mut Timers, model: &mut Model, now: u64) -> Result<(), TestCaseError> {
        let mut before = 0;
        while let Some(timer) = timers.due(Instant::from_millis(now)) {
            let Timer::Retained(number) = timer else { panic!("{timer:?}") };
            let key = model.iter().find(|(_, n)| *n == number).copied();
            prop_assert!(key.is_some(), "it is not set");
            let (at, _) = key.unwrap();
            prop_assert!(at <= now, "{at} before its time");
            prop_assert!(at >= before, "{at} behind {before}");
            before = at;
            model.remove(&key.unwrap());
        }
        let first = model.first().map(|(at, _)| *at);
        prop_assert!(first.is_none_or(|at| at > now), "{first:?} is left at {now}");
        let next = timers.next().map(Instant::as_millis);
        prop_assert!(next.is_none_or(|next| next > now), "there is nothing to do at {now}");
        prop_assert_eq!(next.is_some(), first.is_some());
        prop_assert!(next <= first, "{:?} comes too late for {:?}", next, first);
        Ok(())
    }

    proptest! {
        #[test]
        fn each_timer_fires_once_at_its_time_unless_it_is_cancelled(
            start in any::<u64>().prop_map(|n| n >> 12),
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let mut timers = Timers::new();
            let mut model = Model::new();
            let mut now = start;
            let mut number = 0;
            let mut gone: Vec<(u64, u32)> = Vec::new();
            for step in steps {
                match step {
                    Step::Set(wait) => {
                        timers.set(Instant::from_millis(now + wait), Timer::Retained(number));
                        model.insert((now + wait, number));
                        number += 1;
                    }
                    Step::Move(n, wait) if !model.is_empty() => {
                        let (at, number) = *model.iter().nth(n % model.len()).unwrap();
                        model.remove(&(at, number));
                        model.insert((now + wait, number));
                        timers.set(Instant::from_millis(now + wait), Timer::Retained(number));
                    }
                    Step::Cancel(n) if !model.is_empty() => {
                        let (at, number) = *model.iter().nth(n % model.len()).unwrap();
                        let timer = Timer::Retained(number);
                        timers.cancel(Instant::from_millis(at.wrapping_add(1)), timer);
                        timers.cancel(Instant::from_millis(at), timer);
                        model.remove(&(at, number));
                        gone.push((at, number));
                    }
                    // A second time it changes nothing.
                    Step::Cancel(_) | Step::Move(..) => {
                        if let Some((at, number)) = gone.pop() {
                            timers.cancel(Instant::from_millis(at), Timer::Retained(number));
                        }
                    }
                    Step::Wait(wait) => {
                        now += wait;
                        fire(&mut timers, &mut model, now)?;
                    }
                    Step::Sleep => {
                        let Some(next) = timers.next() else { continue };
                        now = now.max(next.as_millis());
                        fire(&mut timers, &mut model, now)?;
                    }
                }
            }
            // Sleeping comes to the end of all in a few steps each.
            let mut sleeps = 0;
            while let Some(next) = timers.next() {
                now = now.max(next.as_millis());
                fire(&mut timers, &mut model, now)?;
                sleeps += 1;
                prop_assert!(sleeps <= 200 * super::LEVELS);
            }
            prop_assert!(model.is_empty());
        }
    }

    #[test]
    fn the_end_of_time_is_a_time_too() {
        let mut timers = Timers::new();
        let last = Instant::from_millis(u64::MAX);
        timers.set(last, Timer::Status);
        timers.set(Instant::from_millis(0), Timer::Retained(0));
        assert_eq!(timers.due(Instant::from_millis(0)), Some(Timer::Retained(0)));
        assert_eq!(timers.due(Instant::from_millis(last.as_millis() - 1)), None);
        assert_eq!(timers.due(last), Some(Timer::Status));
        assert_eq!((timers.next(), timers.due(last)), (None, None));
    }

    #[test]
    fn timers_that_come_and_go_take_no_more_memory_than_there_are_at_once() {
        let mut timers = Timers::new();
        for n in 0..10_000 {
            let at = Instant::from_millis(n * 1000);
            timers.set(at, Timer::Status);
            if n % 2 == 0 {
                timers.cancel(at, Timer::Status);
            } else {
                assert_eq!(timers.due(at), Some(Timer::Status));
            }
        }
        assert_eq!(timers.entries.len(), 1);
    }
}
