//! Messages that wait to be sent, and those that wait to be acknowledged.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::task::Waker;

use futures::channel::oneshot;
use mqtt_codec::{
    EncodeError, Packet, PacketId, Properties, Property, PropertyId, Publish, QoS, Rules, Sender,
    Version, Violation,
};
use mqtt_session::{Instant, Stage};

use crate::message::whole_seconds;
use crate::{Delivered, Message, Options, Overflow, PublishError};

/// What becomes of a message, told once.
pub(crate) type Outcome = Result<Delivered, PublishError>;

/// What a message takes besides its topic, payload and properties.
const OVERHEAD: usize = 128;

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    /// Topic and properties as an encoded PUBLISH, where there are properties: what is borrowed
    /// from here can outlive the list that it was made from.
    encoded: Option<Box<[u8]>>,
    /// What it takes in the outbox, in bytes.
    size: usize,
    /// After this it is not sent any more.
    expires: Option<Instant>,
    done: oneshot::Sender<Outcome>,
}

const RULES: Rules = Rules::new(Version::V5, Sender::Client);

impl Outgoing {
    /// Checks the message.
    pub(crate) fn new(
        message: Message,
        now: Instant,
    ) -> Result<(Self, oneshot::Receiver<Outcome>), PublishError> {
        let invalid = |error: EncodeError| PublishError::Invalid(error.into());
        let refused = |violation: Violation| invalid(violation.into());
        let mut encoded = None;
        if message.properties.is_empty() {
            message.publish(Properties::EMPTY).map_err(refused)?;
        } else {
            let list = message.properties.list().map_err(refused)?;
            let publish = message.publish(Properties::from(&list[..])).map_err(refused)?;
            let head = Publish { qos: QoS::AtMostOnce, payload: &[], ..publish };
            let mut bytes = Vec::new();
            RULES.encode_to_vec(&Packet::Publish(head), &mut bytes).map_err(invalid)?;
            encoded = Some(bytes.into_boxed_slice());
        }
        let properties = encoded.as_ref().map_or(0, |bytes| bytes.len());
        let size = OVERHEAD + message.topic.len() + message.payload.len() + properties;
        let expires = message.properties.expiry.map(|time| now + time);
        let (done, outcome) = oneshot::channel();
        Ok((Self { message, encoded, size, expires, done }, outcome))
    }

    /// The PUBLISH of it. Never `None`, as it was checked.
    fn publish(&self) -> Option<Publish<'_>> {
        match &self.encoded {
            None => self.message.publish(Properties::EMPTY).ok(),
            Some(bytes) => match RULES.decode(&mut &bytes[..]) {
                Ok(Some(Packet::Publish(head))) => self.message.publish(head.properties).ok(),
                _ => None,
            },
        }
    }

    /// Lends out the PUBLISH of it with what is left of its expiry time.
    pub(crate) fn with_publish<R>(
        &self,
        now: Instant,
        then: impl FnOnce(&Publish<'_>) -> R,
    ) -> Option<R> {
        let publish = self.publish()?;
        let Some(expires) = self.expires else { return Some(then(&publish)) };
        let list = [Property::MessageExpiryInterval(whole_seconds(expires.since(now)))];
        let properties = publish.properties.without(PropertyId::MessageExpiryInterval).with(&list);
        Some(then(&Publish { properties, ..publish }))
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Tells what became of it.
    pub(crate) fn finish(self, outcome: Outcome) {
        // Nobody may want to know.
        let _ = self.done.send(outcome);
    }

    /// What tells it.
    pub(crate) fn into_done(self) -> oneshot::Sender<Outcome> {
        self.done
    }
}

/// How much room is free again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Freed {
    messages: usize,
    bytes: usize,
}

impl Freed {
    pub(crate) const fn add(&mut self, outgoing: &Outgoing) {
        self.messages += 1;
        self.bytes += outgoing.size;
    }
}

/// What waits to be sent, bounded together with what is in flight.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: VecDeque<Outgoing>,
    /// Messages and bytes in the queue and in flight.
    messages: usize,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
    overflow: Overflow,
    /// Those who wait for room, in the order they came.
    waiting: BTreeMap<u64, Waker>,
    next_ticket: u64,
    /// No message in the queue expires before this.
    next_expiry: Option<Instant>,
}

/// What happened to a message that was to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    Taken,
    /// There will be room: come back with it.
    Wait,
    /// There is none, and it is not to wait.
    Full,
}

impl Outbox {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            queue: VecDeque::new(),
            messages: 0,
            bytes: 0,
            max_messages: options.outbox_messages.max(1),
            max_bytes: options.outbox_bytes,
            overflow: options.overflow,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            next_expiry: None,
        }
    }

    /// How many messages are neither delivered nor given up.
    pub(crate) const fn len(&self) -> usize {
        self.messages
    }

    const fn has_room(&self, size: usize) -> bool {
        self.messages == 0
            || (self.messages < self.max_messages && self.bytes + size <= self.max_bytes)
    }

    /// Takes a message, behind those who wait for room already unless this one has waited.
    pub(crate) fn push(&mut self, outgoing: &mut Option<Outgoing>, ticket: Option<u64>) -> Push {
        let Some((size, expires)) = outgoing.as_ref().map(|o| (o.size, o.expires)) else {
            return Push::Full;
        };
        if self.overflow == Overflow::DropOldest {
            while !self.has_room(size) {
                let Some(oldest) = self.queue.pop_front() else { break };
                self.forget(&oldest);
                oldest.finish(Err(PublishError::Dropped));
            }
        }
        let mut waiting = self.waiting.keys();
        let is_first = waiting.next().is_none_or(|first| ticket.is_some_and(|own| own <= *first));
        if !is_first || !self.has_room(size) {
            return match self.overflow {
                Overflow::Reject => Push::Full,
                Overflow::Wait | Overflow::DropOldest => Push::Wait,
            };
        }
        self.messages += 1;
        self.bytes += size;
        self.expect_expiry(expires);
        self.queue.extend(outgoing.take());
        Push::Taken
    }

    fn expect_expiry(&mut self, expires: Option<Instant>) {
        if let Some(expires) = expires {
            self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
        }
    }

    /// Waits for room, under the ticket if there is one. Returns the ticket.
    pub(crate) fn wait(&mut self, ticket: Option<u64>, waker: &Waker) -> u64 {
        let ticket = ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        self.waiting.insert(ticket, waker.clone());
        ticket
    }

    /// Waits no more.
    pub(crate) fn leave(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// Who is to be woken as there may be room for the first one that waits.
    pub(crate) fn next_waiting(&self) -> Option<Waker> {
        let room = self.has_room(OVERHEAD);
        self.waiting.values().next().filter(|_| room).cloned()
    }

    pub(crate) fn release(&mut self, freed: Freed) {
        self.messages = self.messages.saturating_sub(freed.messages);
        self.bytes = self.bytes.saturating_sub(freed.bytes);
    }

    fn forget(&mut self, outgoing: &Outgoing) {
        self.release(Freed { messages: 1, bytes: outgoing.size });
    }

    /// Takes out what can be sent: in order, with a QoS above 0 at most `quota`, and about `bytes`.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        mut quota: usize,
        mut bytes: usize,
        batch: &mut VecDeque<Outgoing>,
    ) {
        while let Some(front) = self.queue.front() {
            let acknowledged = front.message.qos != QoS::AtMostOnce;
            if !front.is_expired(now) {
                if acknowledged && quota == 0 || bytes == 0 {
                    return;
                }
                quota -= usize::from(acknowledged);
                bytes = bytes.saturating_sub(front.size);
            }
            let Some(front) = self.queue.pop_front() else { return };
            if front.is_expired(now) {
                self.forget(&front);
                front.finish(Err(PublishError::Expired));
            } else {
                batch.push_back(front);
            }
        }
        self.next_expiry = None;
    }

    /// Puts back what could not be sent after all, in front, in its order.
    pub(crate) fn put_back(&mut self, batch: &mut VecDeque<Outgoing>) {
        while let Some(outgoing) = batch.pop_back() {
            self.expect_expiry(outgoing.expires);
            self.queue.push_front(outgoing);
        }
    }

    /// When [`Outbox::expire`] has something to do.
    pub(crate) const fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// Gives up what has expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.next_expiry.is_none_or(|next| now < next) {
            return;
        }
        let (expired, kept): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.queue).into_iter().partition(|o| o.is_expired(now));
        for outgoing in expired {
            self.forget(&outgoing);
            outgoing.finish(Err(PublishError::Expired));
        }
        self.next_expiry = kept.iter().filter_map(|outgoing| outgoing.expires).min();
        self.queue = kept;
    }

    /// Gives up all, and tells which messages that were.
    pub(crate) fn close(&mut self) -> (Vec<Message>, Vec<Waker>) {
        let mut messages = Vec::new();
        while let Some(outgoing) = self.queue.pop_front() {
            self.forget(&outgoing);
            messages.push(outgoing.message.clone());
            outgoing.finish(Err(PublishError::Closed));
        }
        (messages, core::mem::take(&mut self.waiting).into_values().collect())
    }
}

/// What was sent and not acknowledged, in the order of sending, which is mostly that of the
/// acknowledgements too.
#[derive(Debug, Default)]
pub(crate) struct InFlight(VecDeque<(PacketId, Outgoing)>);

impl InFlight {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, id: PacketId, outgoing: Outgoing) {
        self.0.push_back((id, outgoing));
    }

    pub(crate) fn remove(&mut self, id: PacketId) -> Option<Outgoing> {
        let index = self.0.iter().position(|(own, _)| *own == id)?;
        self.0.remove(index).map(|(_, outgoing)| outgoing)
    }

    /// All of it, with what each waits for.
    pub(crate) fn drain(
        &mut self,
        stage: impl Fn(PacketId) -> Option<Stage>,
    ) -> impl Iterator<Item = (Option<Stage>, Outgoing)> {
        self.0.drain(..).map(move |(id, outgoing)| (stage(id), outgoing))
    }
}

impl mqtt_session::Outbox for InFlight {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        let (_, outgoing) = self.0.iter().find(|(own, _)| *own == id)?;
        outgoing.publish()
    }
}
