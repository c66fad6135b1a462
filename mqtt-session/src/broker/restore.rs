//! How a broker comes back as it was stored.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;
use mqtt_codec::{PacketId, Property, QoS, SubscriptionId};

use super::Broker;
use super::connect::NEVER;
use super::connection::Owed;
use super::journal::{Change, Kind, Number, RELEASED, Records, WAITING};
use super::message::{Entry, Frame, KeptWill, Seq, unframe};
use super::retained::Retained;
use super::session::{Held, Replay};
use super::slab::Key;
use super::subscriptions::{Options, Subscribed, from_path};
use super::timers::Timer;
use crate::client::Slots;
use crate::{Delta, Instant, Stage, server};

/// Builds a broker from what was stored of an earlier one. What is left of it is stored no more.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use mqtt_session::Instant;
/// use mqtt_session::broker::{Broker, Config};
///
/// let mut config = Config::default();
/// config.durable = true;
/// let stored: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
/// let mut broker = Broker::new(config);
/// let mut restore = broker.restore(Instant::from_millis(1_700_000_000_000));
/// for (key, value) in &stored {
///     assert!(restore.add(key, value), "a record that cannot be read");
/// }
/// restore.finish();
/// ```
#[derive(Debug)]
#[must_use = "without `finish` sessions do not come to their end"]
pub struct Restore<'b> {
    broker: &'b mut Broker,
    now: Instant,
    sessions: HashMap<Number, Key>,
    messages: HashMap<u64, Message>,
}

/// A message that is stored.
#[derive(Debug)]
struct Message {
    frame: Frame,
    expires: Option<Instant>,
    is_used: bool,
}

impl Broker {
    /// Tells all that has changed since the last call. Call it after every other call, or at the
    /// latest before anything is sent that the broker has put out since: see [`Change::urgent`].
    /// Changes that are taken together must be stored together, or what is stored may be half of what
    /// has happened. There are none unless [`Config::durable`](super::Config::durable) says so.
    pub fn take_changes(&mut self, each: impl FnMut(Change<'_>)) {
        if let Some(journal) = &mut self.journal {
            journal.take(each);
        }
    }

    /// Whether nothing may be taken that would have to be stored, as when the disk is full: then
    /// messages of QoS 1 and 2, those to be retained, and subscriptions of sessions that are stored are
    /// refused with [`ReasonCode::QuotaExceeded`](mqtt_codec::ReasonCode::QuotaExceeded), where the client can be told and otherwise by closing
    /// its connection; and nobody is let in. Other messages are forwarded as ever.
    pub const fn refuse_changes(&mut self, refuse: bool) {
        self.refuses = refuse;
    }

    /// Begins to restore what was stored of an earlier broker. This one must be new. Bounds that have
    /// become narrower since hold for what comes; of sessions, subscriptions and retained messages,
    /// those for which there is no room end.
    pub fn restore(&mut self, now: Instant) -> Restore<'_> {
        Restore { broker: self, now, sessions: HashMap::new(), messages: HashMap::new() }
    }

    /// Tells all that is stored of this broker, in the order of keys within each kind: what the
    /// changes add up to.
    pub fn snapshot(&self, each: impl FnMut(Change<'_>)) {
        let Some(journal) = &self.journal else { return };
        let mut records = Records::default();
        for (number, session) in self.sessions.iter().filter_map(|s| Some((s.stored?, s))) {
            records.session(number, session);
            for (path, options) in
                session.subscriptions.iter().filter_map(|sub| self.subscriptions.get(*sub))
            {
                records.subscription(number, &path, &options);
            }
            if let Some(backlog) = &session.backlog {
                for (entry, id) in backlog.entries() {
                    let message = journal.number_of(&entry.frame);
                    records.message(message, &entry.frame, entry.expires);
                    records.entry(number, entry, message, id);
                }
                for (id, seq) in backlog.outbox.released() {
                    records.release(number, *seq, *id);
                }
            }
            let connection = session.connection.and_then(|key| self.connections.get(key));
            let link = connection.map(|c| &c.link).or(session.left.as_deref());
            let taken = link.into_iter().flat_map(server::Session::taken);
            taken.for_each(|id| records.taken(number, id));
            if let Some(Owed::Message(token, reason)) = connection.and_then(|c| c.owed()) {
                if let Some(Delta::Inbound(id)) = token.delta(*reason) {
                    records.taken(number, id);
                }
            }
        }
        for retained in self.retained.iter() {
            let message = journal.number_of(&retained.frame);
            if let (true, Some(publish)) = (message > 0, unframe(&retained.frame)) {
                records.message(message, &retained.frame, retained.expires);
                records.retained(publish.topic.as_str(), message, retained.qos);
            }
        }
        records.tell(each);
    }
}

/// Why a record is left out.
enum LeftOut {
    /// No broker has written it.
    Unreadable,
    /// There is no room for it, or for what it belongs to.
    NoRoom,
}

use LeftOut::{NoRoom, Unreadable};

impl Restore<'_> {
    /// Adds one record. They must come in the order of their keys. `false` if it is none that a broker
    /// has stored; it is then left out.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> bool {
        let mut rest = Bytes(key);
        let value = Bytes(value);
        let added = match rest.u8().map(Kind::of) {
            Ok(Some(Kind::Session)) => self.add_session(rest, value),
            Ok(Some(Kind::Subscription)) => self.add_subscription(rest, value),
            Ok(Some(Kind::Message)) => self.add_message(rest, value),
            Ok(Some(Kind::Entry)) => self.add_entry(rest, value),
            Ok(Some(Kind::Received)) => self.add_received(rest),
            Ok(Some(Kind::Retained)) => self.add_retained(rest, value),
            Ok(None) | Err(_) => Err(Unreadable),
        };
        if let (Err(NoRoom), Some(journal)) = (&added, &mut self.broker.journal) {
            journal.discard(key);
        }
        !matches!(added, Err(Unreadable))
    }

    /// All records are added. Sessions whose clients were connected when the broker ended count as
    /// disconnected now: their Session Expiry Intervals and Will Delay Intervals begin.
    pub fn finish(self) {
        let broker = self.broker;
        for key in self.sessions.values() {
            let Some(session) = broker.sessions.get_mut(*key) else { continue };
            if let Some(backlog) = &session.backlog {
                broker.held.replace(Held::default(), backlog.held());
            }
            if let Some(left) = &mut session.left {
                left.limit_outbound(broker.config.max_in_flight);
            }
        }
        if let Some(journal) = &mut broker.journal {
            let mut numbers: Vec<Number> = self.sessions.into_keys().collect();
            numbers.sort_unstable();
            journal.use_sessions(&numbers);
            for (number, message) in self.messages {
                if !message.is_used {
                    journal.message_gone(number);
                }
            }
        }
    }

    fn add_session(&mut self, mut key: Bytes<'_>, mut value: Bytes<'_>) -> Result<(), LeftOut> {
        let number = key.number()?;
        let was_connected = value.u8()? == 1;
        let expiry = value.u32()?;
        let mut expires = value.instant()?;
        let mut will_due = value.instant()?;
        let client_id = value.text()?;
        let has_user_name = value.u8()? == 1;
        let user_name = value.text()?;
        let mut will = None;
        if !value.0.is_empty() {
            let delay = value.u32()?;
            let (qos, retain) = value.flags()?;
            unframe(value.0).ok_or(Unreadable)?;
            will = Some(KeptWill { frame: value.0.into(), qos, retain, delay, due: None });
        }
        if was_connected {
            // Its connection has ended with the broker.
            let after = |seconds: u32| self.now + Duration::from_secs(seconds.into());
            expires = (expiry != NEVER).then(|| after(expiry));
            will_due = will.as_ref().map(|will| after(will.delay));
        }
        let session = self.broker.add_session(client_id).ok_or(NoRoom)?;
        self.sessions.insert(number, session);
        let found = self.broker.sessions.get_mut(session).ok_or(NoRoom)?;
        found.stored = Some(number);
        found.user_name = has_user_name.then(|| user_name.into());
        found.expiry = expiry;
        found.expires = expires;
        if let Some(will) = &mut will {
            will.due = will_due;
        }
        self.broker.held.will_bytes += will.as_ref().map_or(0, KeptWill::size);
        found.will = will.map(Box::new);
        if let Some(expires) = expires {
            self.broker.timers.set(expires, Timer::Session(session));
        }
        if let Some(due) = will_due {
            self.broker.timers.set(due, Timer::Will(session));
        }
        if was_connected {
            self.broker.store_session(session);
        }
        Ok(())
    }

    fn add_subscription(
        &mut self,
        mut key: Bytes<'_>,
        mut value: Bytes<'_>,
    ) -> Result<(), LeftOut> {
        let number = key.number()?;
        let (filter, group) = from_path(key.0).ok_or(Unreadable)?;
        let flags = value.u8()?;
        let options = Options {
            qos: QoS::from_bits(flags & 3).ok_or(Unreadable)?,
            no_local: flags & 4 != 0,
            retain_as_published: flags & 8 != 0,
            replays: flags & 16 != 0,
            id: SubscriptionId::new(value.u32()?),
        };
        let key = *self.sessions.get(&number).ok_or(NoRoom)?;
        let session = self.broker.sessions.get_mut(key).ok_or(NoRoom)?;
        let own = &mut session.subscriptions;
        let index = &mut self.broker.subscriptions;
        // Who needed a pattern first is not known any more: who comes first now may need more of them
        // than one session may bring.
        let payer = None;
        if index.subscribe(key.index, payer, own, filter, group, options) == Subscribed::Refused {
            return Err(NoRoom);
        }
        if options.replays {
            let cursor = self.broker.retained.cursor(filter);
            session.backlog_mut().add_replay(Replay { cursor, options });
        }
        Ok(())
    }

    fn add_message(&mut self, mut key: Bytes<'_>, mut value: Bytes<'_>) -> Result<(), LeftOut> {
        let number = key.u64()?;
        let expires = value.instant()?;
        unframe(value.0).ok_or(Unreadable)?;
        let message = Message { frame: value.0.into(), expires, is_used: false };
        self.messages.insert(number, message);
        Ok(())
    }

    /// One more refers to this message.
    fn message(&mut self, number: u64) -> Result<(Frame, Option<Instant>), LeftOut> {
        let message = self.messages.get_mut(&number).ok_or(NoRoom)?;
        message.is_used = true;
        if let Some(journal) = &mut self.broker.journal {
            journal.adopt(&message.frame, number);
        }
        Ok((message.frame.clone(), message.expires))
    }

    fn add_entry(&mut self, mut key: Bytes<'_>, mut value: Bytes<'_>) -> Result<(), LeftOut> {
        let number = key.number()?;
        let seq = Seq::new(key.u64()?);
        let (stage, id) = (value.u8()?, PacketId::new(value.u16()?));
        let session = *self.sessions.get(&number).ok_or(NoRoom)?;
        let mut entry = None;
        if stage != RELEASED {
            let is_shared = value.0.first().is_some_and(|flags| flags & 8 != 0);
            let (qos, retain) = value.flags()?;
            let message = value.u64()?;
            let mut ids = Vec::new();
            while !value.0.is_empty() {
                let id = SubscriptionId::new(value.u32()?).ok_or(Unreadable)?;
                ids.push(Property::SubscriptionIdentifier(id));
            }
            let (frame, expires) = self.message(message)?;
            let topic = unframe(&frame).map(|publish| publish.topic).ok_or(Unreadable)?;
            let index = &mut self.broker.subscriptions;
            let group = is_shared.then(|| index.group_of(session.index, topic));
            entry = Some(Entry { frame, qos, retain, expires, group, seq, added: ids.into() });
        }
        let link = (stage != WAITING).then(|| self.link(session));
        let session = self.broker.sessions.get_mut(session).ok_or(NoRoom)?;
        let backlog = session.backlog_mut();
        backlog.next_seq = seq.get() + 1;
        let Some(mut link) = link else {
            entry.into_iter().for_each(|entry| backlog.queue.push(entry));
            return Ok(());
        };
        let id = id.ok_or(Unreadable)?;
        let stage = entry.as_ref().map_or(Some(Stage::PubComp), |entry| Stage::of(entry.qos));
        link.restore(Delta::Outbound(id, stage.ok_or(Unreadable)?));
        match entry {
            Some(entry) => backlog.outbox.push(id, entry),
            None => backlog.outbox.release(id, seq),
        }
        session.left = Some(link);
        Ok(())
    }

    fn add_received(&mut self, mut key: Bytes<'_>) -> Result<(), LeftOut> {
        let session = *self.sessions.get(&key.number()?).ok_or(NoRoom)?;
        let id = PacketId::new(key.u16()?).ok_or(Unreadable)?;
        let mut link = self.link(session);
        link.restore(Delta::Inbound(id));
        self.broker.sessions.get_mut(session).ok_or(NoRoom)?.left = Some(link);
        Ok(())
    }

    /// What the last connection of this session has left, or would have.
    fn link(&mut self, session: Key) -> Box<server::Session<'static>> {
        let found = self.broker.sessions.get_mut(session).and_then(|session| session.left.take());
        let config = server::Config::default();
        found.unwrap_or_else(|| {
            Box::new(server::Session::new(self.now, config, Slots::heap(u16::MAX)))
        })
    }

    fn add_retained(&mut self, key: Bytes<'_>, mut value: Bytes<'_>) -> Result<(), LeftOut> {
        let qos = value.qos()?;
        let is_own = |topic| self.broker.journal.as_ref().is_some_and(|j| j.is_own(topic));
        if core::str::from_utf8(key.0).is_ok_and(is_own) {
            // From when clients could publish there.
            return Err(NoRoom);
        }
        let (frame, expires) = self.message(value.u64()?)?;
        let broker = &mut *self.broker;
        let topic = unframe(&frame).map(|publish| publish.topic).ok_or(Unreadable)?;
        if topic.as_str().as_bytes() != key.0 {
            return Err(Unreadable);
        }
        let retained = Retained { frame: frame.clone(), qos, expires };
        match broker.retained.set(topic, retained) {
            Some(node) => {
                if let Some(expires) = expires {
                    broker.timers.set(expires, Timer::Retained(node));
                }
            }
            None => {
                if let Some(journal) = &mut broker.journal {
                    journal.not_retained(topic.as_str(), &frame, false);
                }
            }
        }
        Ok(())
    }
}

/// What is left of a key or of a record.
#[derive(Clone, Copy, Debug)]
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], LeftOut> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LeftOut> {
        self.take(N)?.try_into().map_err(|_| Unreadable)
    }

    fn u8(&mut self) -> Result<u8, LeftOut> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn u16(&mut self) -> Result<u16, LeftOut> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, LeftOut> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, LeftOut> {
        self.array().map(u64::from_be_bytes)
    }

    fn number(&mut self) -> Result<Number, LeftOut> {
        Number::new(self.u32()?).ok_or(Unreadable)
    }

    fn instant(&mut self) -> Result<Option<Instant>, LeftOut> {
        let millis = self.u64()?;
        Ok((millis != u64::MAX).then(|| Instant::from_millis(millis)))
    }

    fn qos(&mut self) -> Result<QoS, LeftOut> {
        QoS::from_bits(self.u8()?).ok_or(Unreadable)
    }

    fn flags(&mut self) -> Result<(QoS, bool), LeftOut> {
        let flags = self.u8()?;
        Ok((QoS::from_bits(flags & 3).ok_or(Unreadable)?, flags & 4 != 0))
    }

    fn text(&mut self) -> Result<&'b str, LeftOut> {
        let len = self.u16()?;
        core::str::from_utf8(self.take(len.into())?).map_err(|_| Unreadable)
    }
}
