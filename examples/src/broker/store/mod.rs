//! What a durable broker keeps in a file, so that nothing which it has acknowledged is lost with its
//! process.
//!
//! The loop works in turns: all that has come is read, the broker acts on it, what has changed is
//! stored in one transaction, and only then is anything sent. So the price of a transaction, which is
//! one wait for the disk, is shared by all messages of a turn. What nobody waits for, such as that a
//! subscriber has acknowledged a message, is stored with what comes next.

mod disk;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use core::fmt;
use core::time::Duration;
use std::io;
use std::path::Path;
use std::time::Instant;

use mqtt_session::broker::{Broker, Change};
use tracing::{error, info};

use disk::Disk;

/// How long a change may wait that nobody waits for.
const PATIENCE: Duration = Duration::from_millis(100);

/// From how many bytes on changes are stored though nobody waits for them.
const MAX_PENDING: usize = 8 << 20;

/// How long to wait before a store that has failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The record that says how the others are to be read, before all that are the broker's.
const FORMAT: (&[u8], &[u8]) = (b"\0format", b"1");

/// Changes by key: the new record, or that there is none any more.
pub(super) type Changes = BTreeMap<Box<[u8]>, Option<Box<[u8]>>>;

/// Where records are kept.
pub(super) trait Records: fmt::Debug + Send {
    /// Tells all of them, in the order of their keys.
    fn load(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()>;

    /// Stores all of these changes or none; when it returns they are on the disk. After an error it
    /// may be called again.
    fn store(&mut self, changes: &Changes) -> io::Result<()>;
}

/// A store and what is yet to be stored in it.
#[derive(Debug)]
pub(super) struct Store {
    records: Box<dyn Records>,
    pending: Changes,
    bytes: usize,
    /// Whether something that is to be sent depends on what is pending.
    is_urgent: bool,
    /// When what is pending is to be stored at the latest.
    due: Option<Instant>,
    has_failed: bool,
}

impl Store {
    /// A store in this folder, which is made if there is none.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self::with(Box::new(Disk::open(&folder.join("broker.redb"))?)))
    }

    pub(super) fn with(records: Box<dyn Records>) -> Self {
        Self {
            records,
            pending: Changes::new(),
            bytes: 0,
            is_urgent: false,
            due: None,
            has_failed: false,
        }
    }

    /// Has a new broker be as it was stored.
    pub(super) fn restore(
        &mut self,
        broker: &mut Broker,
        now: mqtt_session::Instant,
    ) -> io::Result<()> {
        let mut restore = broker.restore(now);
        let (mut format, mut unreadable) = (None, 0_u64);
        self.records.load(&mut |key, value| {
            if key == FORMAT.0 {
                format = Some(value == FORMAT.1);
            } else if !restore.add(key, value) {
                unreadable += 1;
            }
        })?;
        restore.finish();
        match format {
            Some(false) => return Err(io::Error::other("the store is of another version")),
            _ if unreadable > 0 => {
                return Err(io::Error::other(format!("{unreadable} records cannot be read")));
            }
            Some(true) => {}
            None => self.put(FORMAT.0, Some(FORMAT.1)),
        }
        self.commit(broker);
        if self.has_failed { Err(io::Error::other("the store takes nothing")) } else { Ok(()) }
    }

    fn add(&mut self, change: &Change<'_>) {
        self.is_urgent |= change.urgent;
        self.put(change.key, change.value);
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.bytes += key.len() + value.map_or(0, <[u8]>::len);
        self.pending.insert(key.into(), value.map(Into::into));
    }

    /// Stores what the broker has changed, if that is due. Whether what it has put out may be sent: if
    /// not, it never may be.
    pub(super) fn settle(&mut self, broker: &mut Broker) -> bool {
        broker.take_changes(|change| self.add(&change));
        if self.pending.is_empty() {
            return true;
        }
        let now = Instant::now();
        let due = *self.due.get_or_insert(now + PATIENCE);
        let wanted = (self.is_urgent || self.bytes > MAX_PENDING) && !self.has_failed;
        if wanted || due <= now {
            self.commit(broker);
        }
        !core::mem::take(&mut self.is_urgent)
    }

    /// Stores all.
    pub(super) fn commit(&mut self, broker: &mut Broker) {
        broker.take_changes(|change| self.add(&change));
        match self.records.store(&self.pending) {
            Ok(()) => {
                self.pending.clear();
                self.bytes = 0;
                self.is_urgent = false;
                self.due = None;
                if core::mem::take(&mut self.has_failed) {
                    info!("the store takes changes again");
                    broker.refuse_changes(false);
                }
            }
            Err(error) => {
                self.due = Some(Instant::now() + RETRY);
                if !core::mem::replace(&mut self.has_failed, true) {
                    error!(%error, "the store takes no changes: nothing is accepted that must be stored");
                    broker.refuse_changes(true);
                }
            }
        }
    }

    /// When to settle at the latest.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the last attempt to store something went wrong.
    pub(super) const fn has_failed(&self) -> bool {
        self.has_failed
    }
}
