//! What must survive the process: messages on their way, and the session.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::io;
use std::time::SystemTime;

use futures::future::BoxFuture;
use mqtt_codec::{Packet, PacketId, Publish, Rules, Sender, Version};
use mqtt_session::{Delta, Stage, Ticket};

/// Changes to what is stored, by key: a value to put there, or `None` to delete what is there.
pub type Changes = BTreeMap<u64, Option<Vec<u8>>>;

/// Where a client keeps the messages on their way and its session, so that a program that is killed goes
/// on where it was: see [`Options::store`](crate::Options::store). A map from numbers to bytes, whose
/// meaning is the client's. With the feature `redb`, `DiskStore` is one.
pub trait Store: fmt::Debug + Send + Sync {
    /// All that is stored. Called once, when the client is made; it may block.
    ///
    /// # Errors
    /// Whatever keeps it from being read: then there is no client.
    fn load(&self) -> io::Result<BTreeMap<u64, Vec<u8>>>;

    /// Makes all of these changes or, should the machine fail meanwhile, none. Done when they survive
    /// that. The next call comes after that, with all that has changed in the meantime, so that many
    /// messages cost one call. It must not block.
    ///
    /// # Errors
    /// Whatever keeps them from being made: it ends the client, as nothing may be sent that is not
    /// stored.
    fn commit(&self, changes: Changes) -> BoxFuture<'static, io::Result<()>>;
}

/// Keys: what it is in the highest byte, and which one in the others.
mod key {
    const KIND: u32 = 56;

    /// Client Identifier.
    pub(super) const CLIENT: u64 = 1 << KIND;

    /// A message: when it expires, and the PUBLISH.
    pub(super) const MESSAGE: u64 = 2 << KIND;

    /// The identifier of a message that is in flight, and what it waits for.
    pub(super) const STATE: u64 = 3 << KIND;

    /// An identifier of QoS 2 that was received.
    pub(super) const RECEIVED: u64 = 4 << KIND;

    /// What kind of key it is, and which one.
    pub(super) const fn split(key: u64) -> (u64, u64) {
        (key & !(u64::MAX >> 8), key & (u64::MAX >> 8))
    }
}

/// How messages are stored: with all that version 5 has, from whichever side.
const RULES: Rules = Rules::new(Version::V5, Sender::Either);

/// Changes that are yet to be stored.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    changes: Changes,
    /// The messages that are stored or are to be.
    stored: BTreeSet<u64>,
    /// The numbers of the messages of an earlier run: they have the first tickets.
    restored: Vec<u64>,
    /// What is added to later tickets.
    base: u64,
    in_flight: BTreeMap<PacketId, u64>,
    received: BTreeSet<PacketId>,
}

/// What an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) client_id: Option<String>,
    /// In the order they were submitted.
    pub(crate) messages: Vec<RestoredMessage>,
    pub(crate) received: Vec<PacketId>,
}

#[derive(Debug)]
pub(crate) struct RestoredMessage {
    number: u64,
    /// When it expires, in milliseconds of the Unix epoch; 0: never.
    expires: u64,
    publish: Vec<u8>,
    pub(crate) in_flight: Option<(PacketId, Stage)>,
}

impl Restored {
    /// What a session is restored from: of what was sent, and of what was received.
    pub(crate) fn deltas(&self) -> (Vec<Delta>, Vec<Delta>) {
        let sent = self.messages.iter().filter_map(|message| message.in_flight);
        (
            sent.map(|(id, stage)| Delta::Outbound(id, stage)).collect(),
            self.received.iter().copied().map(Delta::Inbound).collect(),
        )
    }

    /// How many messages and bytes these are for the outbox, which may need some more for each.
    pub(crate) fn size(&self) -> (u16, u32) {
        let bytes: usize = self.messages.iter().map(|message| message.publish.len() + 16).sum();
        (
            u16::try_from(self.messages.len()).unwrap_or(u16::MAX),
            u32::try_from(bytes).unwrap_or(u32::MAX),
        )
    }
}

impl RestoredMessage {
    /// What it says, and what is left of its Message Expiry Interval.
    pub(crate) fn with<R>(
        &self,
        then: impl FnOnce(&Publish<'_>, Option<Duration>) -> R,
    ) -> Option<R> {
        let mut bytes = &self.publish[..];
        let Ok(Some(Packet::Publish(publish))) = RULES.decode(&mut bytes) else { return None };
        let most = publish.properties.message_expiry_interval();
        let left = most.map(|most| {
            // A clock that was set back gives no more time than there was to begin with.
            let left = Duration::from_millis(self.expires.saturating_sub(unix_millis()));
            left.min(Duration::from_secs(most.into()))
        });
        Some(then(&Publish { packet_id: None, ..publish }, left))
    }
}

fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what is stored is not a client's session")
}

/// What the stored records say.
pub(crate) fn read(records: BTreeMap<u64, Vec<u8>>) -> io::Result<(Journal, Restored)> {
    let (mut journal, mut restored) = (Journal::default(), Restored::default());
    for (key, value) in records {
        let (kind, number) = key::split(key);
        let id = || {
            let number = u16::try_from(number).ok();
            number.and_then(PacketId::new).ok_or_else(broken)
        };
        match kind {
            key::CLIENT => {
                restored.client_id = Some(String::from_utf8(value).map_err(|_| broken())?);
            }
            key::MESSAGE => {
                let (expires, publish) = value.split_first_chunk().ok_or_else(broken)?;
                restored.messages.push(RestoredMessage {
                    number,
                    expires: u64::from_be_bytes(*expires),
                    publish: publish.into(),
                    in_flight: None,
                });
            }
            key::STATE => {
                // All messages come before.
                let delta = value.first_chunk().copied().and_then(Delta::from_bytes);
                let message = restored.messages.binary_search_by_key(&number, |m| m.number);
                let message = message.ok().and_then(|place| restored.messages.get_mut(place));
                match (message, delta) {
                    (Some(message), Some(Delta::Outbound(id, stage))) => {
                        message.in_flight = Some((id, stage));
                        journal.in_flight.insert(id, number);
                    }
                    _ => return Err(broken()),
                }
            }
            key::RECEIVED => {
                restored.received.push(id()?);
                journal.received.insert(id()?);
            }
            _ => return Err(broken()),
        }
    }
    journal.restored = restored.messages.iter().map(|message| message.number).collect();
    journal.stored = journal.restored.iter().copied().collect();
    journal.base = journal.restored.last().copied().unwrap_or(0);
    Ok((journal, restored))
}

impl Journal {
    /// The number under which a message is stored.
    fn number(&self, ticket: Ticket) -> u64 {
        let index = usize::try_from(ticket.0.saturating_sub(1)).ok();
        let restored = index.and_then(|index| self.restored.get(index));
        restored.copied().unwrap_or(self.base + ticket.0)
    }

    /// A message was submitted.
    pub(crate) fn add(&mut self, ticket: Ticket, publish: &Publish<'_>) {
        let stored = Publish { packet_id: Some(PacketId::MIN), dup: false, ..*publish };
        let packet = Packet::Publish(stored);
        let Ok(len) = RULES.encoded_len(&packet) else { return };
        let expiry = publish.properties.message_expiry_interval();
        let expires = expiry.map_or(0, |seconds| unix_millis() + u64::from(seconds) * 1000);
        let mut value = alloc::vec![0; 8 + len];
        let Some((head, body)) = value.split_first_chunk_mut() else { return };
        *head = expires.to_be_bytes();
        if RULES.encode(&packet, body).is_ok() {
            let number = self.number(ticket);
            self.stored.insert(number);
            self.changes.insert(key::MESSAGE | number, Some(value));
        }
    }

    /// It is in flight, and waits for that.
    pub(crate) fn in_flight(&mut self, ticket: Ticket, id: PacketId, stage: Stage) {
        let number = self.number(ticket);
        self.in_flight.insert(id, number);
        self.set_state(number, id, stage);
    }

    fn set_state(&mut self, number: u64, id: PacketId, stage: Stage) {
        let value = Delta::Outbound(id, stage).to_bytes();
        self.changes.insert(key::STATE | number, Some(value.to_vec()));
    }

    /// The message with this identifier is the server's, which is yet to say so for the last time.
    pub(crate) fn taken(&mut self, id: PacketId) {
        if let Some(number) = self.in_flight.get(&id).copied() {
            self.set_state(number, id, Stage::PubComp);
        }
    }

    /// Nothing is in flight with this identifier. If it is not done with, it waits again.
    pub(crate) fn not_in_flight(&mut self, id: PacketId) {
        if let Some(number) = self.in_flight.remove(&id) {
            self.changes.insert(key::STATE | number, None);
        }
    }

    /// The message is done with.
    pub(crate) fn done(&mut self, ticket: Ticket) {
        let number = self.number(ticket);
        if !self.stored.remove(&number) {
            return; // of QoS 0
        }
        // What never was stored need not be deleted.
        if let Some(Some(_)) = self.changes.remove(&(key::MESSAGE | number)) {
            self.changes.remove(&(key::STATE | number));
            return;
        }
        self.changes.insert(key::MESSAGE | number, None);
        self.changes.insert(key::STATE | number, None);
    }

    /// The session's other half has changed.
    pub(crate) fn received(&mut self, delta: Delta) {
        match delta {
            Delta::Inbound(id) => {
                self.received.insert(id);
                self.changes.insert(key::RECEIVED | u64::from(id.get()), Some(Vec::new()));
            }
            Delta::InboundDone(id) => self.forget(id),
            Delta::InboundReset => {
                while let Some(id) = self.received.first().copied() {
                    self.forget(id);
                }
            }
            // Known by their messages.
            _ => {}
        }
    }

    fn forget(&mut self, id: PacketId) {
        if self.received.remove(&id) {
            self.changes.insert(key::RECEIVED | u64::from(id.get()), None);
        }
    }

    /// What the client is called from now on.
    pub(crate) fn client_id(&mut self, client_id: &str) {
        self.changes.insert(key::CLIENT, Some(client_id.into()));
    }

    /// Takes out what is to be stored.
    pub(crate) fn take(&mut self) -> Changes {
        core::mem::take(&mut self.changes)
    }

    /// Whether nothing is to be stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
