//! Messages that wait to be sent, and those that wait to be acknowledged.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::task::Waker;

use mqtt_codec::{PacketId, PacketType, Property, PropertyId, Publish, QoS};
use mqtt_session::client::Session;
use mqtt_session::{
    Error, Event, Instant, Misuse, Outcome, Queue, QueueConfig, SHORT_PACKET, Stage, Ticket,
    Tracker, Transmit,
};

use crate::delivery::Listener;
use crate::message::whole_seconds;
use crate::message_ref::{Duty, MessageRef};
use crate::store::{Journal, Restored};
use crate::{Delivered, Delivery, Message, Options, Overflow, PublishError, ReasonCode, Resumed};

/// What becomes of a message, and who is told.
pub(crate) type Told = Result<Delivered, PublishError>;

/// Messages on their way, bounded, with those who wait for their outcomes and those who wait for room.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Queue<'static>,
    outcomes: Outcomes,
    /// Whether the driver could not send all: what comes behind it waits for the same thing.
    stalled: bool,
    max_messages: usize,
    max_bytes: usize,
    /// Whether who finds it full waits.
    waits: bool,
    /// Those who wait for room, in the order they came.
    waiting: BTreeMap<u64, Waker>,
    last_place: u64,
}

/// Who waits for the outcomes, in the order of the tickets, which are without gaps.
#[derive(Debug, Default)]
struct Outcomes {
    /// The ticket of the first one.
    first: u64,
    listeners: VecDeque<Option<Listener>>,
    /// Messages of QoS 0 that are in the transmit buffer.
    written: Vec<Listener>,
    finished: Vec<(Listener, Told)>,
    /// What is to be stored, if there is a store.
    journal: Option<Journal>,
}

impl Tracker for Outcomes {
    fn in_flight(&mut self, ticket: Ticket, id: PacketId, stage: Stage) {
        if let Some(journal) = &mut self.journal {
            journal.in_flight(ticket, id, stage);
        }
    }

    fn done(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Some(journal) = &mut self.journal {
            journal.done(ticket);
        }
        let index = ticket.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let listener = index.and_then(|index| self.listeners.get_mut(index)).and_then(Option::take);
        while let Some(None) = self.listeners.front() {
            self.listeners.pop_front();
            self.first += 1;
        }
        // Nobody may want to know.
        let Some(listener) = listener.filter(Listener::listens) else { return };
        let told = match outcome {
            Outcome::Sent => return self.written.push(listener),
            Outcome::Delivered(reason) => Ok(Delivered::new(reason)),
            Outcome::Rejected(reason) => Err(PublishError::Rejected(reason)),
            Outcome::Refused(error) => Err(PublishError::Invalid(error)),
            Outcome::Expired => Err(PublishError::Expired),
            Outcome::Dropped => Err(PublishError::Dropped),
            _ => Err(PublishError::InDoubt),
        };
        self.finished.push((listener, told));
    }
}

/// A message was taken, or there is no room for it now.
#[derive(Debug)]
pub(crate) enum Submitted {
    Taken {
        delivery: Delivery,
        /// Whether the driver has something to do now.
        wakes: bool,
    },
    Wait,
}

/// Room for packets until there are so many bytes.
struct Limited<'t> {
    tx: &'t mut Vec<u8>,
    enough: usize,
}

impl Limited<'_> {
    /// Where packets go, as long as they may.
    fn room(&mut self) -> Option<&mut Vec<u8>> {
        if self.tx.len() < self.enough { Some(self.tx) } else { None }
    }
}

impl Transmit for Limited<'_> {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        self.room()?.packet(len)
    }

    fn packet_with(&mut self, head: usize, payload: &[u8]) -> Option<&mut [u8]> {
        self.room()?.packet_with(head, payload)
    }

    fn short(&mut self) -> Option<&mut [u8; SHORT_PACKET]> {
        self.room()?.short()
    }

    fn keep(&mut self, len: usize) {
        self.tx.keep(len);
    }
}

impl Outbox {
    /// With room for what an earlier run has left, however small the bounds.
    pub(crate) fn new(options: &Options, restored: &Restored) -> Self {
        let mut config = QueueConfig::default();
        let (messages, bytes) = restored.size();
        config.max_messages = options.outbox_messages.max(1).max(messages);
        config.max_bytes = options.outbox_bytes.max(bytes);
        config.overflow = match options.overflow {
            Overflow::Wait | Overflow::Reject => mqtt_session::Overflow::Error,
            Overflow::DropOldest => mqtt_session::Overflow::DropOldest,
        };
        Self {
            queue: Queue::heap(config),
            outcomes: Outcomes { first: 1, ..Outcomes::default() },
            stalled: false,
            max_messages: usize::from(config.max_messages),
            max_bytes: usize::try_from(config.max_bytes).unwrap_or(usize::MAX),
            waits: options.overflow != Overflow::Reject,
            waiting: BTreeMap::new(),
            last_place: 0,
        }
    }

    /// How many messages are neither delivered nor given up.
    pub(crate) const fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes a message, behind those who wait for room already: `place` is that of who has waited.
    pub(crate) fn submit(
        &mut self,
        now: Instant,
        message: &Message,
        place: Option<u64>,
    ) -> Result<Submitted, PublishError> {
        let mut places = self.waiting.keys();
        let is_first = places.next().is_none_or(|first| place.is_some_and(|own| own <= *first));
        let Self { queue, outcomes, .. } = self;
        // Its listener is in place before the queue may tell that it dropped another one.
        let result = if is_first {
            message.with_publish(|publish| queue.submit(now, publish, outcomes))
        } else {
            Err(Error::QueueFull)
        };
        match result {
            Ok(ticket) => {
                let (listener, delivery) = Delivery::new();
                debug_assert_eq!(ticket.0, outcomes.first + outcomes.listeners.len() as u64);
                outcomes.listeners.push_back(Some(listener));
                if let (Some(journal), true) =
                    (&mut outcomes.journal, message.qos != QoS::AtMostOnce)
                {
                    // It can be made of it: the queue has done so.
                    let _ = message.with_publish(|publish| {
                        journal.add(ticket, publish);
                        Ok(())
                    });
                }
                // There is something to be stored, told or waited for.
                let besides = outcomes.journal.is_some()
                    || !outcomes.finished.is_empty()
                    || message.properties.expiry.is_some();
                Ok(Submitted::Taken { delivery, wakes: besides || !self.stalled })
            }
            // Alone it would have had room.
            Err(Error::QueueFull) if self.waits && !self.queue.is_empty() => Ok(Submitted::Wait),
            Err(Error::QueueFull) => Err(PublishError::Full),
            Err(error) => Err(PublishError::Invalid(error)),
        }
    }

    /// Waits for room, at its place if it has one. Returns the place.
    pub(crate) fn wait(&mut self, place: Option<u64>, waker: &Waker) -> u64 {
        let place = place.unwrap_or_else(|| {
            self.last_place += 1;
            self.last_place
        });
        self.waiting.insert(place, waker.clone());
        place
    }

    /// Waits no more.
    pub(crate) fn leave(&mut self, place: u64) {
        self.waiting.remove(&place);
    }

    /// Who is to be woken as there may be room for the first one that waits.
    pub(crate) fn next_waiting(&self) -> Option<Waker> {
        let room = self.queue.len() < self.max_messages && self.queue.bytes() < self.max_bytes;
        self.waiting.values().next().filter(|_| room).cloned()
    }

    /// Takes note of what the session has told.
    pub(crate) fn on_events(&mut self, events: &mut Vec<Event<'static>>) {
        for event in events.drain(..) {
            if let (Some(journal), Event::Received { id }) = (&mut self.outcomes.journal, &event) {
                journal.taken(*id);
            }
            self.queue.on_event(&event, &mut self.outcomes);
            if let (Some(journal), Event::Lost { id, .. } | Event::Acknowledged { id, .. }) =
                (&mut self.outcomes.journal, &event)
            {
                journal.not_in_flight(*id);
            }
        }
    }

    /// The session has given this one up, as the server answered it with that.
    pub(crate) fn misanswered(&mut self, id: PacketId, stage: Stage, packet: PacketType) {
        // One of QoS 1 is not to be sent again either.
        let stage = if stage == Stage::PubAck { Stage::PubRec } else { stage };
        let before = self.outcomes.finished.len();
        self.on_events(&mut alloc::vec![Event::Lost { id, stage }]);
        for (_, told) in self.outcomes.finished.iter_mut().skip(before) {
            if let Err(PublishError::InDoubt) = told {
                *told = Err(PublishError::Misanswered(packet));
            }
        }
    }

    /// Goes on with what an earlier run has left.
    pub(crate) fn restore(
        &mut self,
        now: Instant,
        journal: Journal,
        restored: &Restored,
    ) -> Vec<Resumed> {
        let mut resumed = Vec::new();
        self.outcomes.journal = Some(journal);
        for message in &restored.messages {
            let id = message.in_flight.map(|(id, _)| id);
            let stored = message.with(|publish, left| {
                let left = left.map(|left| Property::MessageExpiryInterval(whole_seconds(left)));
                let without = publish.properties.without(PropertyId::MessageExpiryInterval);
                let properties = without.with(left.as_slice());
                let publish = Publish { packet_id: id, properties, ..*publish };
                self.queue.restore(now, &publish, &mut self.outcomes)?;
                Ok::<_, Error>(own(&publish))
            });
            // It has room, and could be made a packet of when it was stored.
            let Some(Ok(own)) = stored else { continue };
            let (listener, delivery) = Delivery::new();
            self.outcomes.listeners.push_back(Some(listener));
            resumed.push(Resumed { message: own, delivery });
            if let Some((id, Stage::PubComp)) = message.in_flight {
                self.queue.on_event(&Event::Received { id }, &mut self.outcomes);
            }
        }
        resumed
    }

    /// What is to be stored, if there is a store.
    pub(crate) const fn journal(&mut self) -> Option<&mut Journal> {
        self.outcomes.journal.as_mut()
    }

    /// Sends what may be sent, until there are about so many bytes.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        session: &mut Session<'static>,
        tx: &mut Vec<u8>,
        enough: usize,
    ) -> Result<(), Error> {
        let mut tx = Limited { tx, enough };
        let sent = self.queue.send(now, session, &mut tx, &mut self.outcomes);
        self.stalled = self.queue.has_waiting();
        match sent {
            Err(Error::TransmitFull | Error::Misuse(Misuse::NotConnected)) => Ok(()),
            result => result,
        }
    }

    /// When [`Outbox::expire`] has something to do.
    pub(crate) const fn next_timeout(&self) -> Option<Instant> {
        self.queue.next_timeout()
    }

    /// Gives up what has expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.queue.expire(now, &mut self.outcomes);
    }

    /// Exchanges the outcomes to be told for an empty list, and adds those to be told once all that
    /// was written is sent.
    pub(crate) fn take_outcomes(
        &mut self,
        finished: &mut Vec<(Listener, Told)>,
        written: &mut Vec<Listener>,
    ) {
        finished.append(&mut self.outcomes.finished);
        written.append(&mut self.outcomes.written);
    }

    /// Gives up all. Tells which messages that were, as far as they are not the server's.
    pub(crate) fn close(&mut self) -> (Vec<Message>, BTreeMap<u64, Waker>) {
        let messages = self.queue.iter().filter_map(|(_, _, publish)| Some(own(&publish?)));
        let messages = messages.collect();
        // It stays stored, for the next run.
        self.outcomes.journal = None;
        let before = self.outcomes.finished.len();
        self.queue.clear(&mut self.outcomes);
        for (_, told) in self.outcomes.finished.iter_mut().skip(before) {
            if let Err(PublishError::Dropped) = told {
                *told = Err(PublishError::Closed);
            }
        }
        (messages, core::mem::take(&mut self.waiting))
    }
}

/// The message that this says.
fn own(publish: &Publish<'_>) -> Message {
    MessageRef::new(publish.topic.as_str(), publish, &Duty::kept(None)).to_message()
}

/// Tells what became of messages.
pub(crate) fn tell(finished: &mut Vec<(Listener, Told)>) {
    for (listener, told) in finished.drain(..) {
        listener.tell(told);
    }
}

/// Tells that what was written was sent, or that nobody knows.
pub(crate) fn tell_written(written: &mut Vec<Listener>, sent: bool) {
    for listener in written.drain(..) {
        let delivered = Delivered::new(ReasonCode::Success);
        listener.tell(if sent { Ok(delivered) } else { Err(PublishError::InDoubt) });
    }
}
