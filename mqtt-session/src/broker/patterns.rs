//! Where filters have `+`, which is what bounds how many of them one topic leads through.
//!
//! At each level a topic leads to `+` and to the level that it has itself, so filters that are
//! `+` or that level would be 2 to the power of levels. But each node that it leads to has another
//! pattern of `+` and other levels above it: there are no more of them than such patterns.

use alloc::vec::Vec;
use core::iter;
use core::num::NonZeroU64;

use hashbrown::HashMap;
use mqtt_codec::TopicFilter;

use super::tree::{NodeId, ROOT, Tree, Value};

/// A level of a pattern: `+`, and what stands for all others.
const PLUS: &str = "+";
const OTHER: &str = "";

/// A level of patterns.
#[derive(Debug, Default)]
struct Pattern {
    /// How many subscriptions have the one that ends here.
    uses: u32,
    /// Who needed this level first, if that session is still there.
    charge: Option<Charge>,
}

impl Value for Pattern {
    type Wildcards = ();

    fn is_vacant(&self) -> bool {
        self.uses == 0
    }
}

/// To which account a level is charged.
#[derive(Clone, Copy, Debug)]
struct Charge {
    session: u32,
    /// Of the account.
    number: NonZeroU64,
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

    /// Somebody subscribes to this filter, and `payer` is charged with the levels that its pattern adds;
    /// `false` if it finds no room.
    pub(crate) fn add(&mut self, payer: Option<u32>, filter: TopicFilter<'_>) -> bool {
        if !filter.levels().any(|level| level == PLUS) {
            return true;
        }
        let before = self.tree.len();
        let Some(node) = self.tree.insert(pattern(filter.levels())) else { return false };
        let levels = self.tree.len() - before;
        if let Some(session) = payer.filter(|_| levels > 0) {
            let Some(charge) = self.charge(session, levels) else {
                self.tree.prune(node);
                return false;
            };
            let mut added = node;
            for _ in 0..levels {
                if let Some(level) = self.tree.value_mut(added) {
                    level.charge = Some(charge);
                }
                added = self.tree.parent(added);
            }
        }
        if let Some(pattern) = self.tree.value_mut(node) {
            pattern.uses += 1;
        }
        true
    }

    /// Charges a session with so many levels. `None` if they are too many for it.
    fn charge(&mut self, session: u32, levels: usize) -> Option<Charge> {
        let charged = self.accounts.get(&session).map_or(0, |account| account.levels);
        if charged + levels > self.max_per_session {
            return None;
        }
        let account = self.accounts.entry(session).or_insert_with(|| {
            self.last_number = self.last_number.saturating_add(1);
            Account { number: self.last_number, levels: 0 }
        });
        account.levels += levels;
        Some(Charge { session, number: account.number })
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
        let above = |node: &NodeId| Some(self.tree.parent(*node)).filter(|node| *node != ROOT);
        let path = iter::successors(Some(node), above);
        let charges: Vec<_> =
            path.map(|node| self.tree.value(node).and_then(|level| level.charge)).collect();
        let before = self.tree.len();
        self.tree.prune(node);
        // What leads to others stays, and who needed it first goes on being charged with it.
        let gone = before - self.tree.len();
        for Charge { session, number } in charges.into_iter().take(gone).flatten() {
            let account = self.accounts.get_mut(&session).filter(|a| a.number == number);
            let Some(account) = account else { continue };
            account.levels = account.levels.saturating_sub(1);
            if account.levels == 0 {
                self.accounts.remove(&session);
            }
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
