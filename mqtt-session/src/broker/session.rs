//! What the broker keeps of a client, with and without a connection (section 4.1).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mqtt_codec::{PacketId, Publish, QoS, TopicFilter};

use super::bridge::QueueBounds;
use super::config::{Config, Overflow};
use super::deferred::Ticket;
use super::few::Few;
use super::journal::{Journal, Log, Number};
use super::message::{Entry, KeptWill, Seq};
use super::policy::Client;
use super::retained::Cursor;
use super::slab::Key;
use super::subscriptions::{Options, SubIndex};
use crate::{Instant, Outbox, server};

/// A client's session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Box<str>,
    pub(crate) user_name: Option<Box<str>>,
    /// Whether the transport has proved it.
    pub(crate) is_proven: bool,
    /// Whether it is a bridge's, and not a client's from outside.
    pub(crate) is_bridge: bool,
    /// How much may wait for it, if not what the configuration says.
    pub(crate) bounds: Option<Box<QueueBounds>>,
    /// The connection of the client, if it has one.
    pub(crate) connection: Option<Key>,
    /// Session Expiry Interval in seconds; `u32::MAX`: never.
    pub(crate) expiry: u32,
    /// The number under which it is stored, if it is.
    pub(crate) stored: Option<Number>,
    /// When the session ends, if it has no connection.
    pub(crate) expires: Option<Instant>,
    pub(crate) will: Option<Box<KeptWill>>,
    pub(crate) subscriptions: Few<SubIndex>,
    /// Messages on their way to the client.
    pub(crate) backlog: Option<Box<Backlog>>,
    /// Identifiers in flight both ways, which the last connection left.
    pub(crate) left: Option<Box<server::Session<'static>>>,
}

impl Session {
    pub(crate) fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.into(),
            user_name: None,
            is_proven: false,
            is_bridge: false,
            bounds: None,
            connection: None,
            expiry: 0,
            stored: None,
            expires: None,
            will: None,
            subscriptions: Few::default(),
            backlog: None,
            left: None,
        }
    }

    /// The client, as the policy gets to see it, which answers with this ticket.
    pub(crate) fn client(&self, ticket: Ticket) -> Client<'_> {
        Client {
            ticket,
            id: &self.client_id,
            user_name: self.user_name.as_deref(),
            is_proven: self.is_proven,
            is_bridge: self.is_bridge,
        }
    }

    /// When the will is due, if it has no connection.
    pub(crate) fn will_due(&self) -> Option<Instant> {
        self.will.as_ref()?.due
    }

    pub(crate) fn backlog_mut(&mut self) -> &mut Backlog {
        self.backlog.get_or_insert_default()
    }

    /// Keeps a message for later; returns how many messages were dropped because of it. `held` is what
    /// all sessions hold, this one included.
    pub(crate) fn keep(
        &mut self,
        entry: Entry,
        held: &mut Held,
        config: &Config,
        journal: &mut Option<Journal>,
    ) -> usize {
        let log = Log::of(journal, self.stored);
        let usual;
        let bounds = match &self.bounds {
            Some(bounds) => &**bounds,
            None => {
                usual = QueueBounds::of(config);
                &usual
            }
        };
        let backlog = self.backlog.get_or_insert_default();
        let before = backlog.held();
        let others = held.bytes().saturating_sub(before.queued_bytes);
        let room = config.max_total_queued_bytes.saturating_sub(others);
        let dropped = backlog.keep(entry, room, bounds, log);
        held.replace(before, backlog.held());
        dropped
    }

    /// Gives back what memory is not needed without a connection.
    pub(crate) fn shrink(&mut self) {
        if self.backlog.as_ref().is_some_and(|backlog| backlog.is_empty()) {
            self.backlog = None;
        }
    }
}

/// Messages and their bytes: of one backlog, or of all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) queued: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) in_flight_bytes: usize,
    /// Of wills, which are no part of a backlog.
    pub(crate) will_bytes: usize,
}

impl Held {
    /// All that it counts.
    pub(crate) const fn bytes(&self) -> usize {
        self.queued_bytes + self.in_flight_bytes + self.will_bytes
    }

    /// In place of what was held before there is now something else.
    pub(crate) const fn replace(&mut self, before: Self, after: Self) {
        self.queued = self.queued.saturating_sub(before.queued) + after.queued;
        self.queued_bytes =
            self.queued_bytes.saturating_sub(before.queued_bytes) + after.queued_bytes;
        self.in_flight = self.in_flight.saturating_sub(before.in_flight) + after.in_flight;
        self.in_flight_bytes =
            self.in_flight_bytes.saturating_sub(before.in_flight_bytes) + after.in_flight_bytes;
    }
}

/// Messages on their way to one client.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Sent and not acknowledged.
    pub(crate) outbox: Sent,
    /// Of QoS 1 and 2, yet to be sent.
    pub(crate) queue: Queue,
    /// Of QoS 0. A message of QoS 1 or 2 that must wait for an acknowledgement does not hold them up.
    pub(crate) queue_0: Queue,
    /// Retained messages for new subscriptions.
    pub(crate) replays: VecDeque<Replay>,
    replay_bytes: usize,
    /// Not before then the walk through retained messages goes on.
    pub(crate) replay_at: Instant,
    /// For the next entry that is stored.
    pub(crate) next_seq: u64,
}

impl Backlog {
    /// What it holds.
    pub(crate) fn held(&self) -> Held {
        Held {
            queued: self.queue.len() + self.queue_0.len(),
            queued_bytes: self.queued_bytes(),
            in_flight: self.outbox.entries.len(),
            in_flight_bytes: self.outbox.bytes,
            will_bytes: 0,
        }
    }

    /// Whether so many bytes more may wait, if no more than `max` may.
    pub(crate) const fn has_room(&self, size: usize, max: usize) -> bool {
        self.queued_bytes().saturating_add(size) <= max
    }

    /// Has retained messages sent when their turn comes.
    pub(crate) fn add_replay(&mut self, replay: Replay) {
        self.replay_bytes += replay.size();
        self.replays.push_back(replay);
    }

    /// The first replay is done with.
    pub(crate) fn end_replay(&mut self) {
        let size = self.replays.pop_front().map_or(0, |replay| replay.size());
        self.replay_bytes -= size;
    }

    /// Whether not even the smallest message would be kept.
    pub(crate) fn is_full(&self, config: &Config) -> bool {
        self.queue.len() + self.queue_0.len() >= config.max_queued_messages
            || self.queued_bytes() >= config.max_queued_bytes
    }

    /// All messages in their order, and whether they were sent.
    pub(crate) fn into_messages(self) -> impl Iterator<Item = (Entry, bool)> {
        let sent = self.outbox.entries.into_iter().map(|(_, entry)| (entry, true));
        let waiting = self.queue.entries.into_iter().chain(self.queue_0.entries);
        sent.chain(waiting.map(|entry| (entry, false)))
    }

    fn is_empty(&self) -> bool {
        self.outbox.entries.is_empty()
            && self.outbox.released.is_empty()
            && self.queue.is_empty()
            && self.queue_0.is_empty()
            && self.replays.is_empty()
    }

    /// All messages of QoS 1 and 2: those in flight with their identifiers, then those that wait.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Entry, Option<PacketId>)> {
        let sent = self.outbox.entries.iter().map(|(id, entry)| (entry, Some(*id)));
        sent.chain(self.queue.entries.iter().map(|entry| (entry, None)))
    }

    /// How many bytes wait to be sent.
    pub(crate) const fn queued_bytes(&self) -> usize {
        self.queue.bytes + self.queue_0.bytes + self.replay_bytes
    }

    /// The place of the next entry that is stored.
    pub(crate) fn seq(&mut self) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        Seq::new(seq)
    }

    /// Keeps a message for later, as far as all that waits is within these bounds and no more bytes than
    /// there is `room` for; returns how many messages were dropped because of it.
    pub(crate) fn keep(
        &mut self,
        mut entry: Entry,
        room: usize,
        bounds: &QueueBounds,
        mut log: Option<Log<'_>>,
    ) -> usize {
        let size = entry.size();
        let max = room.min(bounds.max_bytes);
        let mut dropped = 0;
        loop {
            let count = self.queue.len() + self.queue_0.len();
            if count < bounds.max_messages && self.has_room(size, max) {
                break;
            }
            let oldest = match bounds.overflow {
                Overflow::DropNewest => None,
                Overflow::DropOldest => self.queue_0.pop().or_else(|| self.queue.pop()),
            };
            dropped += 1;
            let Some(oldest) = oldest else { return dropped };
            if let (Some(log), true) = (&mut log, oldest.qos != QoS::AtMostOnce) {
                log.done(&oldest);
            }
        }
        if entry.qos == QoS::AtMostOnce {
            self.queue_0.push(entry);
        } else {
            if let Some(mut log) = log {
                entry.seq = self.seq();
                log.queued(&entry, None);
            }
            self.queue.push(entry);
        }
        dropped
    }
}

/// Messages that wait, and how many bytes they are.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut Entry> {
        self.entries.front_mut()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.size();
        self.entries.push_back(entry);
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.size();
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
        Some(entry)
    }
}

/// Messages in flight, in the order they were sent, which is mostly that of their acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    entries: VecDeque<(PacketId, Entry)>,
    bytes: usize,
    /// Those of QoS 2 that were received but wait for PUBCOMP, where that is stored.
    released: Vec<(PacketId, Seq)>,
}

impl Sent {
    /// How many bytes are in flight.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so much is in flight that more must wait.
    pub(crate) const fn is_full(&self, config: &Config) -> bool {
        self.bytes > config.max_queued_bytes
    }

    pub(crate) fn push(&mut self, id: PacketId, entry: Entry) {
        self.bytes += entry.size();
        self.entries.push_back((id, entry));
    }

    /// The message has been received.
    pub(crate) fn remove(&mut self, id: PacketId) -> Option<Entry> {
        let index = self.entries.iter().position(|(other, _)| *other == id)?;
        let (_, entry) = self.entries.remove(index)?;
        self.bytes -= entry.size();
        Some(entry)
    }

    /// The identifier of a message that was received stays in use, which is stored.
    pub(crate) fn release(&mut self, id: PacketId, seq: Seq) {
        self.released.push((id, seq));
    }

    /// The identifier is free again.
    pub(crate) fn complete(&mut self, id: PacketId) -> Option<Seq> {
        let index = self.released.iter().position(|(other, _)| *other == id)?;
        Some(self.released.remove(index).1)
    }

    pub(crate) fn released(&self) -> &[(PacketId, Seq)] {
        &self.released
    }

    /// Before messages are sent again: tells what is left of their Message Expiry Intervals.
    pub(crate) fn refresh(&mut self, now: Instant) {
        self.entries.iter_mut().for_each(|(_, entry)| entry.refresh(now));
    }
}

impl Outbox for Sent {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        self.entries.iter().find(|(other, _)| *other == id)?.1.publish()
    }
}

/// The retained messages that a new subscription gets, as far as they are not sent.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) cursor: Cursor,
    pub(crate) options: Options,
}

impl Replay {
    /// The most bytes that one for this filter is counted as.
    pub(crate) fn largest(filter: TopicFilter<'_>) -> usize {
        size_of::<Self>() + 3 * (filter.as_str().len() + 1)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.cursor.filter_bytes()
    }
}
