//! Where a queue keeps its messages: entries in one place, bytes in another, each lent or on the heap.

use mqtt_codec::{EncodeError, Packet, PacketId, Publish, Rules, Sender, Version};

use super::Ticket;
use crate::{Instant, Ring};

/// Storage for one message in a [`Queue`](crate::Queue), but for its topic, payload and properties.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    pub(super) ticket: Ticket,
    pub(super) state: State,
    /// When it expires, if it does.
    pub(super) deadline: Option<Instant>,
    start: u32,
    len: u32,
}

impl Entry {
    pub(super) const fn new(ticket: Ticket, state: State, deadline: Option<Instant>) -> Self {
        Self { ticket, state, deadline, start: 0, len: 0 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Waiting,
    InFlight(PacketId),
    /// The peer has it, and PUBCOMP is yet to come.
    Taken(PacketId),
}

impl State {
    pub(super) const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::Waiting => None,
            Self::InFlight(id) | Self::Taken(id) => Some(id),
        }
    }
}

#[derive(Debug)]
enum Bytes<'s> {
    Lent(&'s mut [u8]),
    #[cfg(feature = "alloc")]
    Heap(alloc::vec::Vec<u8>),
}

/// Messages in the order they were submitted, each as the PUBLISH that it becomes in version 5.
#[derive(Debug)]
pub(super) struct Store<'s> {
    entries: Ring<'s, Entry>,
    bytes: Bytes<'s>,
    /// Where the last message ends.
    end: usize,
    /// How many bytes belong to messages, and how many may.
    used: usize,
    max: usize,
}

/// How messages are kept: with all that version 5 has, from whichever side.
const RULES: Rules = Rules::new(Version::V5, Sender::Either);

/// Most bytes of messages, so that twice as many can be counted in 32 bits.
const MOST: usize = (u32::MAX / 2) as usize;

impl<'s> Store<'s> {
    #[cfg(feature = "alloc")]
    pub(super) fn heap(messages: u16, bytes: usize) -> Store<'static> {
        let heap = Bytes::Heap(alloc::vec::Vec::new());
        let max = bytes.min(MOST);
        Store { entries: Ring::heap(messages), bytes: heap, end: 0, used: 0, max }
    }

    pub(super) fn lent(entries: &'s mut [Entry], bytes: &'s mut [u8]) -> Self {
        let max = bytes.len().min(MOST);
        let (bytes, _) = bytes.split_at_mut(max);
        Self { entries: Ring::from(entries), bytes: Bytes::Lent(bytes), end: 0, used: 0, max }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes the messages take.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) fn get(&self, index: usize) -> Option<Entry> {
        self.entries.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Entry> {
        self.entries.get_mut(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> + use<'_, 's> {
        self.entries.iter()
    }

    /// The message of this entry; `None` if it is not kept any more.
    pub(super) fn publish(&self, entry: Entry) -> Option<Publish<'_>> {
        let start = entry.start as usize;
        let mut bytes = self.bytes().get(start..start + entry.len as usize)?;
        match RULES.decode(&mut bytes) {
            Ok(Some(Packet::Publish(publish))) => Some(Publish { packet_id: None, ..publish }),
            _ => None,
        }
    }

    /// How many bytes the message would take.
    pub(super) fn measure(publish: &Publish<'_>) -> Result<usize, EncodeError> {
        RULES.encoded_len(&Packet::Publish(*publish))
    }

    /// Whether there is room for a message of this length.
    pub(super) fn fits(&self, len: usize) -> bool {
        !self.entries.is_full() && self.used.saturating_add(len) <= self.max
    }

    /// Whether there would be room for it if nothing waited.
    pub(super) fn could_fit(&self, len: usize) -> bool {
        let waiting = self.entries.iter().filter(|entry| entry.state == State::Waiting);
        let waiting: usize = waiting.map(|entry| entry.len as usize).sum();
        (self.used - waiting).saturating_add(len) <= self.max
    }

    /// Adds a message of this length, for which there is room.
    pub(super) fn push(
        &mut self,
        publish: &Publish<'_>,
        len: usize,
        entry: Entry,
    ) -> Result<(), EncodeError> {
        self.make_room(len);
        let start = self.end;
        let room = self.bytes_mut().get_mut(start..start + len).unwrap_or_default();
        RULES.encode(&Packet::Publish(*publish), room)?;
        self.end += len;
        self.used += len;
        self.entries.push(Entry { start: start as u32, len: len as u32, ..entry });
        Ok(())
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.drop_bytes(index);
        self.entries.remove(index);
    }

    /// Forgets what the message says, while its entry stays.
    pub(super) fn drop_bytes(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            self.used -= entry.len as usize;
            entry.len = 0;
        }
        if self.used == 0 {
            self.end = 0;
        }
    }

    /// Room for that many bytes at the end. What has become free before is used again when it is half
    /// of all, so that each byte is moved about once at most; in lent storage when it must be.
    fn make_room(&mut self, len: usize) {
        let end = self.end + len;
        match &mut self.bytes {
            Bytes::Lent(bytes) if end <= bytes.len() => return,
            Bytes::Lent(_) => {}
            #[cfg(feature = "alloc")]
            Bytes::Heap(bytes) => {
                let most = 2 * self.max;
                if (bytes.len() + 1..=most).contains(&end) && 2 * self.used >= self.end {
                    let size = (2 * bytes.len()).clamp(end, most);
                    bytes.reserve_exact(size - bytes.len());
                    bytes.resize(size, 0);
                }
                if end <= bytes.len() {
                    return;
                }
            }
        }
        self.compact();
        #[cfg(feature = "alloc")]
        if let Bytes::Heap(bytes) = &mut self.bytes {
            if self.end + len > bytes.len() {
                bytes.resize(self.end + len, 0);
            }
        }
    }

    fn compact(&mut self) {
        let mut end = 0;
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get(index) else { continue };
            let start = entry.start as usize;
            self.bytes_mut().copy_within(start..start + entry.len as usize, end);
            if let Some(entry) = self.entries.get_mut(index) {
                entry.start = end as u32;
            }
            end += entry.len as usize;
        }
        self.end = end;
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Lent(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Bytes::Heap(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.bytes {
            Bytes::Lent(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Bytes::Heap(bytes) => bytes,
        }
    }
}
