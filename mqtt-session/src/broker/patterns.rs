//! Where filters have `+`, which is what bounds how many of them one topic leads through.
//!
//! At each level a topic leads to `+` and to the level that it has itself, so filters that are
//! `+` or that level would be 2 to the power of levels. But each node that it leads to has another
//! pattern of `+` and other levels above it: there are no more of them than such patterns.

use core::num::NonZeroU64;

use hashbrown::HashMap;
use mqtt_codec::TopicFilter;

use super::tree::{Tree, Value};

/// A level of a pattern: `+`, and what stands for all others.
const PLUS: &str = "+";
const OTHER: &str = "";

/// A pattern, at its last level.
#[derive(Debug, Default)]
struct Pattern {
    /// How many subscriptions have it.
    uses: u32,
    /// What it is charged to.
    charge: Option<Charge>,
}

impl Value for Pattern {
    type Wildcards = ();

    fn is_vacant(&self) -> bool {
        self.uses == 0
    }
}

/// Levels that were not there before a session needed them.
#[derive(Clone, Copy, Debug)]
struct Charge {
    session: u32,
    /// Of the account.
    number: NonZeroU64,
    levels: usize,
}

/// What is charged to a session.
#[derive(Debug)]
struct Account {
    /// Another session may have had the same index.
    number: NonZeroU64,
    levels: usize,
}

/// The patterns of all filters with `+`.
#[derive(Debug)]
pub(crate) struct Patterns {
    tree: Tree<Pattern>,
    /// Of sessions that needed levels first.
    accounts: HashMap<u32, Account>,
    last_number: NonZeroU64,
    max_per_session: usize,
}

impl Patterns {
    pub(crate) fn new(max: usize, max_per_session: usize) -> Self {
        Self {
            tree: Tree::new(max, usize::MAX),
            accounts: HashMap::new(),
            last_number: NonZeroU64::MIN,
            max_per_session,
        }
    }

    /// A session subscribes to this filter; `false` if its pattern finds no room.
    pub(crate) fn add(&mut self, session: u32, filter: TopicFilter<'_>) -> bool {
        if !filter.levels().any(|level| level == PLUS) {
            return true;
        }
        let before = self.tree.len();
        let Some(node) = self.tree.insert(pattern(filter.levels())) else { return false };
        let levels = self.tree.len() - before;
        let charge = if levels == 0 {
            None
        } else {
            let account = self.accounts.entry(session).or_insert_with(|| {
                self.last_number = self.last_number.saturating_add(1);
                Account { number: self.last_number, levels: 0 }
            });
            if account.levels + levels > self.max_per_session {
                if account.levels == 0 {
                    self.accounts.remove(&session);
                }
                self.tree.prune(node);
                return false;
            }
            account.levels += levels;
            Some(Charge { session, number: account.number, levels })
        };
        if let Some(pattern) = self.tree.value_mut(node) {
            pattern.uses += 1;
            if charge.is_some() {
                pattern.charge = charge;
            }
        }
        true
    }

    /// A subscription to the filter of these levels has ended.
    pub(crate) fn remove(&mut self, levels: &[&str]) {
        if !levels.contains(&PLUS) {
            return;
        }
        let node = self.tree.find(pattern(levels.iter().copied()));
        let Some(pattern) = self.tree.value_mut(node) else { return };
        pattern.uses = pattern.uses.saturating_sub(1);
        if pattern.uses > 0 {
            return;
        }
        let charge = pattern.charge.take();
        self.tree.prune(node);
        let Some(Charge { session, number, levels }) = charge else { return };
        let Some(account) = self.accounts.get_mut(&session).filter(|a| a.number == number) else {
            return;
        };
        account.levels = account.levels.saturating_sub(levels);
        if account.levels == 0 {
            self.accounts.remove(&session);
        }
    }

    /// The session has ended: what others still use is charged to nobody.
    pub(crate) fn forget(&mut self, session: u32) {
        self.accounts.remove(&session);
    }
}

/// What stands for these levels. A `#` at the end is found at the level before.
fn pattern<'l>(levels: impl IntoIterator<Item = &'l str>) -> impl Iterator<Item = &'static str> {
    let levels = levels.into_iter().filter(|level| *level != "#");
    levels.map(|level| if level == PLUS { PLUS } else { OTHER })
}
