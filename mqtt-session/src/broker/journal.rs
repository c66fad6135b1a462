//! What of a broker must outlive its process: records under keys, written as they change.
//!
//! Numbers are written most significant byte first, so that records are in the order of their kinds
//! and within a kind in the order in which they are needed to rebuild the broker.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use hashbrown::HashMap;
use mqtt_codec::{PacketId, Property, QoS, SubscriptionId};

use super::message::{Entry, Frame, KeptWill, Seq};
use super::retained::Retained;
use super::session::Session;
use super::status::PREFIX;
use super::subscriptions::Options;
use crate::Instant;

/// A record that is to be stored, or is not needed any more. Records and their keys are the broker's
/// own affair; what is stored is for [`Broker::restore`](super::Broker::restore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<'c> {
    /// The key of the record, at most 131,100 bytes.
    pub key: &'c [u8],
    /// The record to be stored in place of one that may be there; `None`: it is to be removed.
    pub value: Option<&'c [u8]>,
    /// Whether bytes for some connection depend on it. Until it is stored nothing may be sent that the
    /// broker has put out since. A change that is not urgent may be stored later, but no later than
    /// the next urgent one.
    pub urgent: bool,
}

/// The number of a session that is stored, which its key begins with. Used again once it is gone.
pub(crate) type Number = NonZeroU32;

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Session = 1,
    Subscription,
    Message,
    Entry,
    Received,
    Retained,
}

impl Kind {
    pub(super) const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Session,
            2 => Self::Subscription,
            3 => Self::Message,
            4 => Self::Entry,
            5 => Self::Received,
            6 => Self::Retained,
            _ => return None,
        })
    }
}

/// How far an entry of a session's queue has come: not sent, sent, or of QoS 2 and received.
pub(super) const WAITING: u8 = 0;
const SENT: u8 = 1;
pub(super) const RELEASED: u8 = 2;

/// A message that is stored.
#[derive(Clone, Copy, Debug)]
struct Stored {
    number: u64,
    /// How many queues and topics refer to it.
    count: u32,
}

/// The changes since they were last taken.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    records: Records,
    /// Whether the broker itself publishes to the topics that begin with `$SYS/`. They begin anew with
    /// it, and are not stored.
    has_own: bool,
    /// Messages that are stored, by the address of their frame: while it is referred to, no other
    /// frame has it.
    messages: HashMap<usize, Stored>,
    next_message: u64,
    /// Numbers of sessions: those below `next_session` that are not in use, and the rest.
    free: Vec<Number>,
    next_session: u32,
}

/// The journal, as far as one session goes.
#[derive(Debug)]
pub(crate) struct Log<'j> {
    journal: &'j mut Journal,
    session: Number,
}

impl<'j> Log<'j> {
    /// `None` if nothing of this session is stored.
    pub(crate) fn of(journal: &'j mut Option<Journal>, session: Option<Number>) -> Option<Self> {
        Some(Self { journal: journal.as_mut()?, session: session? })
    }

    /// The session itself has changed.
    pub(crate) fn session(&mut self, session: &Session) {
        // What a connection begins with is answered; how it ends is not.
        self.journal.records.urgent = session.connection.is_some();
        self.journal.records.session(self.session, session);
    }

    /// The session is no more, and neither is all that was told of it.
    pub(crate) fn end(self) {
        self.journal.records.urgent = true;
        self.journal.records.remove(Kind::Session, |key| number(key, self.session));
        self.journal.free.push(self.session);
    }

    pub(crate) fn subscribed(&mut self, path: &[u8], options: &Options) {
        self.journal.records.urgent = true;
        self.journal.records.subscription(self.session, path, options);
    }

    /// The retained messages of a subscription are sent.
    pub(crate) fn replayed(&mut self, path: &[u8], options: &Options) {
        self.journal.records.urgent = false;
        self.journal.records.subscription(self.session, path, options);
    }

    pub(crate) fn unsubscribed(&mut self, path: &[u8]) {
        self.journal.records.urgent = true;
        self.journal.records.remove(Kind::Subscription, |key| {
            number(key, self.session);
            key.extend_from_slice(path);
        });
    }

    /// An entry is new.
    pub(crate) fn queued(&mut self, entry: &Entry, sent: Option<PacketId>) {
        self.journal.hold(&entry.frame, entry.expires);
        self.moved(entry, sent);
    }

    /// An entry that was queued is sent.
    pub(crate) fn moved(&mut self, entry: &Entry, sent: Option<PacketId>) {
        let message = self.journal.number_of(&entry.frame);
        self.journal.records.urgent = true;
        self.journal.records.entry(self.session, entry, message, sent);
    }

    /// The client has received a message of QoS 2, and the identifier stays in use.
    pub(crate) fn received(&mut self, id: PacketId, entry: &Entry) {
        self.journal.records.urgent = true;
        self.journal.records.release(self.session, entry.seq, id);
        self.journal.let_go(&entry.frame);
    }

    /// An entry is done with.
    pub(crate) fn done(&mut self, entry: &Entry) {
        self.released(entry.seq);
        self.journal.let_go(&entry.frame);
    }

    /// An identifier whose message was received is free.
    pub(crate) fn released(&mut self, seq: Seq) {
        self.journal.records.urgent = false;
        self.journal.records.remove(Kind::Entry, |key| entry_key(key, self.session, seq));
    }

    /// A message of QoS 2 was taken from the client.
    pub(crate) fn taken(&mut self, id: PacketId) {
        self.journal.records.urgent = true;
        self.journal.records.taken(self.session, id);
    }

    /// The next message with this identifier is a new one.
    pub(crate) fn forgotten(&mut self, id: PacketId) {
        self.journal.records.urgent = true;
        self.journal.records.remove(Kind::Received, |key| {
            number(key, self.session);
            key.extend_from_slice(&id.get().to_be_bytes());
        });
    }
}

impl Journal {
    /// Nothing is stored yet. `has_own`: topics that begin with `$SYS/` are the broker's own.
    pub(super) fn new(has_own: bool) -> Self {
        Self { has_own, ..Self::default() }
    }

    /// Whether what is retained for this topic is not stored.
    pub(super) fn is_own(&self, topic: &str) -> bool {
        self.has_own && topic.starts_with(PREFIX)
    }

    /// Tells all changes and forgets them.
    pub(super) fn take(&mut self, each: impl FnMut(Change<'_>)) {
        self.records.tell(each);
        self.records.clear();
    }

    /// A number for a new session; `None` if there is none left.
    pub(super) fn new_session(&mut self) -> Option<Number> {
        self.free.pop().or_else(|| {
            self.next_session = self.next_session.checked_add(1)?;
            Number::new(self.next_session)
        })
    }

    /// These numbers, ascending, are in use. Of those between them, as many are used again.
    pub(super) fn use_sessions(&mut self, used: &[Number]) {
        for number in used {
            let between = self.next_session.saturating_add(1)..number.get();
            let room = used.len().saturating_sub(self.free.len());
            self.free.extend(between.filter_map(Number::new).take(room));
            self.next_session = number.get();
        }
    }

    /// One more refers to this message, which is stored if it is not.
    fn hold(&mut self, frame: &Frame, expires: Option<Instant>) {
        let held = self.messages.entry(address(frame)).or_insert_with(|| {
            self.next_message += 1;
            self.records.urgent = true;
            self.records.message(self.next_message, frame, expires);
            Stored { number: self.next_message, count: 0 }
        });
        held.count = held.count.saturating_add(1);
    }

    /// One more refers to this message, which is stored under this number.
    pub(super) fn adopt(&mut self, frame: &Frame, number: u64) {
        self.next_message = self.next_message.max(number);
        let held = self.messages.entry(address(frame)).or_insert(Stored { number, count: 0 });
        held.count = held.count.saturating_add(1);
    }

    /// One less refers to this message.
    fn let_go(&mut self, frame: &Frame) {
        let Some(held) = self.messages.get_mut(&address(frame)) else { return };
        held.count -= 1;
        if held.count == 0 {
            let number = held.number;
            self.messages.remove(&address(frame));
            self.message_gone(number);
        }
    }

    /// A message is stored that nobody refers to.
    pub(super) fn message_gone(&mut self, number: u64) {
        self.records.urgent = false;
        self.records.remove(Kind::Message, |key| key.extend_from_slice(&number.to_be_bytes()));
    }

    /// Under which number a message is stored.
    pub(super) fn number_of(&self, frame: &Frame) -> u64 {
        self.messages.get(&address(frame)).map_or(0, |held| held.number)
    }

    /// A topic has got a message.
    pub(super) fn retained(&mut self, topic: &str, retained: &Retained) {
        if self.is_own(topic) {
            return;
        }
        self.hold(&retained.frame, retained.expires);
        let message = self.number_of(&retained.frame);
        self.records.urgent = true;
        self.records.retained(topic, message, retained.qos);
    }

    /// A topic has no message any more, or another than this one.
    pub(super) fn not_retained(&mut self, topic: &str, frame: &Frame, replaced: bool) {
        if self.is_own(topic) {
            return;
        }
        if !replaced {
            self.records.urgent = true;
            self.records.remove(Kind::Retained, |key| key.extend_from_slice(topic.as_bytes()));
        }
        self.let_go(frame);
    }

    /// A record is stored that means nothing.
    pub(super) fn discard(&mut self, key: &[u8]) {
        self.records.urgent = false;
        let (kind, rest) = key.split_first().map_or((0, key), |(kind, rest)| (*kind, rest));
        self.records.put(kind, |key| key.extend_from_slice(rest), None::<fn(&mut Vec<u8>)>);
    }
}

fn address(frame: &Frame) -> usize {
    frame.as_ptr().addr()
}

fn number(key: &mut Vec<u8>, session: Number) {
    key.extend_from_slice(&session.get().to_be_bytes());
}

fn entry_key(key: &mut Vec<u8>, session: Number, seq: Seq) {
    number(key, session);
    key.extend_from_slice(&seq.get().to_be_bytes());
}

/// Keys and records, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// Whether what is written next is urgent.
    urgent: bool,
}

/// Before each key: whether it is urgent, the length of the key, and that of the record or [`GONE`].
const HEAD: usize = 9;
const GONE: u32 = u32::MAX;

/// How much memory is kept for the next changes.
const KEPT: usize = 1 << 20;

impl Records {
    pub(super) fn tell(&self, mut each: impl FnMut(Change<'_>)) {
        let mut rest = &self.bytes[..];
        let length = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        while let Some((head, behind)) = rest.split_at_checked(HEAD) {
            let urgent = head.first() == Some(&1);
            let key_len = length(head.get(1..5).unwrap_or_default());
            let value_len = length(head.get(5..).unwrap_or_default());
            let Some((key, behind)) = behind.split_at_checked(key_len as usize) else { return };
            if value_len == GONE {
                each(Change { key, value: None, urgent });
                rest = behind;
                continue;
            }
            let Some((value, behind)) = behind.split_at_checked(value_len as usize) else { return };
            each(Change { key, value: Some(value), urgent });
            rest = behind;
        }
    }

    pub(super) fn clear(&mut self) {
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }

    fn remove(&mut self, kind: Kind, key: impl FnOnce(&mut Vec<u8>)) {
        self.put(kind as u8, key, None::<fn(&mut Vec<u8>)>);
    }

    fn write(
        &mut self,
        kind: Kind,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        self.put(kind as u8, key, Some(value));
    }

    fn put(
        &mut self,
        kind: u8,
        key: impl FnOnce(&mut Vec<u8>),
        value: Option<impl FnOnce(&mut Vec<u8>)>,
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEAD]);
        self.bytes.push(kind);
        key(&mut self.bytes);
        let middle = self.bytes.len();
        let gone = value.is_none();
        if let Some(value) = value {
            value(&mut self.bytes);
        }
        let key_len = (middle - start - HEAD) as u32;
        let value_len = if gone { GONE } else { (self.bytes.len() - middle) as u32 };
        if let Some(head) = self.bytes.get_mut(start..start + HEAD) {
            let urgent = core::iter::once(u8::from(self.urgent));
            let lengths = key_len.to_le_bytes().into_iter().chain(value_len.to_le_bytes());
            let bytes = urgent.chain(lengths);
            head.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        }
    }

    pub(super) fn session(&mut self, number_: Number, session: &Session) {
        self.write(
            Kind::Session,
            |key| number(key, number_),
            |value| {
                value.push(u8::from(session.connection.is_some()));
                value.extend_from_slice(&session.expiry.to_be_bytes());
                put_instant(value, session.expires);
                put_instant(value, session.will_due());
                put_bytes(value, session.client_id.as_bytes());
                value.push(u8::from(session.user_name.is_some()));
                put_bytes(value, session.user_name.as_deref().unwrap_or_default().as_bytes());
                if let Some(KeptWill { frame, qos, retain, delay, .. }) = session.will.as_deref() {
                    value.extend_from_slice(&delay.to_be_bytes());
                    value.push(flags(*qos, *retain));
                    value.extend_from_slice(frame);
                }
            },
        );
    }

    pub(super) fn subscription(&mut self, session: Number, path: &[u8], options: &Options) {
        self.write(
            Kind::Subscription,
            |key| {
                number(key, session);
                key.extend_from_slice(path);
            },
            |value| {
                value.push(
                    options.qos.bits()
                        | u8::from(options.no_local) << 2
                        | u8::from(options.retain_as_published) << 3
                        | u8::from(options.replays) << 4,
                );
                let id = options.id.map_or(0, SubscriptionId::get);
                value.extend_from_slice(&id.to_be_bytes());
            },
        );
    }

    pub(super) fn message(&mut self, number: u64, frame: &Frame, expires: Option<Instant>) {
        self.write(
            Kind::Message,
            |key| key.extend_from_slice(&number.to_be_bytes()),
            |value| {
                put_instant(value, expires);
                value.extend_from_slice(frame);
            },
        );
    }

    pub(super) fn entry(
        &mut self,
        session: Number,
        entry: &Entry,
        message: u64,
        sent: Option<PacketId>,
    ) {
        self.write(
            Kind::Entry,
            |key| entry_key(key, session, entry.seq),
            |value| {
                put_progress(value, sent.map_or(WAITING, |_| SENT), sent);
                value.push(flags(entry.qos, entry.retain) | u8::from(entry.group.is_some()) << 3);
                value.extend_from_slice(&message.to_be_bytes());
                for property in &entry.added {
                    if let Property::SubscriptionIdentifier(id) = property {
                        value.extend_from_slice(&id.get().to_be_bytes());
                    }
                }
            },
        );
    }

    pub(super) fn release(&mut self, session: Number, seq: Seq, id: PacketId) {
        self.write(
            Kind::Entry,
            |key| entry_key(key, session, seq),
            |value| put_progress(value, RELEASED, Some(id)),
        );
    }

    pub(super) fn taken(&mut self, session: Number, id: PacketId) {
        self.write(
            Kind::Received,
            |key| {
                number(key, session);
                key.extend_from_slice(&id.get().to_be_bytes());
            },
            |_| {},
        );
    }

    pub(super) fn retained(&mut self, topic: &str, message: u64, qos: QoS) {
        self.write(
            Kind::Retained,
            |key| key.extend_from_slice(topic.as_bytes()),
            |value| {
                value.push(qos.bits());
                value.extend_from_slice(&message.to_be_bytes());
            },
        );
    }
}

fn flags(qos: QoS, retain: bool) -> u8 {
    qos.bits() | u8::from(retain) << 2
}

/// The end of time for none.
fn put_instant(value: &mut Vec<u8>, instant: Option<Instant>) {
    let millis = instant.map_or(u64::MAX, Instant::as_millis);
    value.extend_from_slice(&millis.to_be_bytes());
}

/// Client identifiers and user names, which are let in only if two bytes can say how long they are.
fn put_bytes(value: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    value.extend_from_slice(&len.to_be_bytes());
    value.extend_from_slice(bytes.get(..usize::from(len)).unwrap_or_default());
}

fn put_progress(value: &mut Vec<u8>, progress: u8, id: Option<PacketId>) {
    value.push(progress);
    value.extend_from_slice(&id.map_or(0, PacketId::get).to_be_bytes());
}
