//! Messages on their way: those that wait to be sent, and those in flight.

use core::time::Duration;

use mqtt_codec::{PacketId, Property, PropertyId, Publish, QoS, ReasonCode};

use crate::{Error, Event, Instant, Misuse, Outbox, Stage, Transmit, client, server};

mod store;

pub use store::Entry;
use store::{State, Store};

/// Names a message that was submitted to a [`Queue`]; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What has become of a message. Each that was submitted gets exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// QoS 0: it was sent, and nobody knows more.
    Sent,
    /// The peer has it: PUBACK or PUBCOMP came, with this code of success.
    Delivered(ReasonCode),
    /// The peer does not want it: PUBACK or PUBREC came with this code.
    Rejected(ReasonCode),
    /// It was not sent: it is more than the peer allows ([`Error::Limit`], [`Error::Encode`]).
    Refused(Error),
    /// It was not sent before its Message Expiry Interval was over (section 3.3.2.3.3).
    Expired,
    /// It was not sent: there was no room for it.
    Dropped,
    /// It was sent, and the session was lost before the peer answered: it has arrived or not.
    InDoubt,
}

/// What to do with a message for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// [`Error::QueueFull`].
    #[default]
    Error,
    /// Drop those that have waited longest. What is in flight is never dropped.
    DropOldest,
    /// Drop that message.
    DropNewest,
}

/// How a [`Queue`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Most messages on the heap, in flight ones included. Default: 1,000.
    pub max_messages: u16,
    /// Most bytes of messages on the heap: topics, payloads, properties and at most nine bytes each.
    /// Twice as much memory may be taken. Default: 1,048,576.
    pub max_bytes: u32,
    /// What to do where there is no room. Default: an error.
    pub overflow: Overflow,
    /// Whether a message of QoS 1 is sent anew when the session is lost before it is acknowledged. It
    /// may then arrive twice. Otherwise it is in doubt. Default: true.
    pub resend_lost: bool,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            max_messages: 1000,
            max_bytes: 1_048_576,
            overflow: Overflow::Error,
            resend_lost: true,
        }
    }
}

/// Who is told what becomes of messages. A closure `FnMut(Ticket, Outcome)` is one.
pub trait Tracker {
    /// The message is in flight under this identifier, which takes the place of an earlier one, and
    /// waits for that. Who keeps sessions across crashes stores it before what is in `tx` is sent.
    fn in_flight(&mut self, ticket: Ticket, id: PacketId, stage: Stage) {
        let _ = (ticket, id, stage);
    }

    /// The message has left the queue.
    fn done(&mut self, ticket: Ticket, outcome: Outcome);
}

impl<F: FnMut(Ticket, Outcome)> Tracker for F {
    fn done(&mut self, ticket: Ticket, outcome: Outcome) {
        self(ticket, outcome);
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::client::Session<'_> {}
    impl Sealed for crate::server::Session<'_> {}
}

/// A session that messages are sent by: of a client or a server.
pub trait Publisher: sealed::Sealed {
    #[doc(hidden)]
    fn send_again(
        &mut self,
        now: Instant,
        outbox: &dyn Outbox,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error>;

    #[doc(hidden)]
    fn send_new(
        &mut self,
        now: Instant,
        publish: &Publish<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<PacketId>, Error>;
}

impl Publisher for client::Session<'_> {
    fn send_again(
        &mut self,
        now: Instant,
        outbox: &dyn Outbox,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.resume(now, outbox, tx)
    }

    fn send_new(
        &mut self,
        now: Instant,
        publish: &Publish<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<PacketId>, Error> {
        self.publish(now, publish, tx)
    }
}

impl Publisher for server::Session<'_> {
    fn send_again(
        &mut self,
        _: Instant,
        outbox: &dyn Outbox,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.resume(outbox, tx)
    }

    fn send_new(
        &mut self,
        _: Instant,
        publish: &Publish<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<PacketId>, Error> {
        self.publish(publish, tx)
    }
}

/// Messages on their way: those that wait for a connection or for quota, and those in flight. It is
/// the [`Outbox`] of its session, keeps the order, and tells of each message once what became of it.
///
/// ```
/// use mqtt_codec::{Connect, Publish, QoS, TopicName, Version};
/// use mqtt_session::client::{Config, Session, Slots};
/// use mqtt_session::{Instant, Outcome, Queue, QueueConfig};
///
/// let now = Instant::from_millis(0);
/// let mut queue = Queue::heap(QueueConfig::default());
/// let mut outcomes = Vec::new();
/// let mut done = |ticket, outcome| outcomes.push((ticket, outcome));
///
/// // Without a connection already.
/// let message = Publish { qos: QoS::AtLeastOnce, ..Publish::new(TopicName::new("a/b")?, b"21.5") };
/// let ticket = queue.submit(now, &message, &mut done)?;
///
/// let mut session = Session::new(Config::default(), Slots::heap(16));
/// let mut tx = Vec::new();
/// session.connect(now, &Connect::new(Version::V5, "sensor-7"), &mut tx)?;
///
/// let received = [0x20, 3, 0, 0, 0, 0x40, 2, 0, 1]; // CONNACK, PUBACK
/// let mut rx = &received[..];
/// while let Some(event) = session.receive(now, &mut rx, &mut tx)? {
///     queue.on_event(&event, &mut done);
///     queue.send(now, &mut session, &mut tx, &mut done)?;
/// }
/// assert!(matches!(outcomes[..], [(t, Outcome::Delivered(_))] if t == ticket));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Queue<'s> {
    store: Store<'s>,
    overflow: Overflow,
    resend_lost: bool,
    /// No message before this one waits.
    next: usize,
    last_ticket: Ticket,
    /// No message that waits expires before.
    earliest: Option<Instant>,
    now: Instant,
}

impl<'s> Queue<'s> {
    /// An empty queue on the heap.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn heap(config: QueueConfig) -> Queue<'static> {
        Queue::new(Store::heap(config.max_messages, config.max_bytes as usize), config)
    }

    /// An empty queue in lent storage: an entry for each message, and bytes for what the messages say.
    /// Bytes twice as many as are needed save moving them about. The bounds in `config` do not matter.
    #[must_use]
    pub fn lent(entries: &'s mut [Entry], bytes: &'s mut [u8], config: QueueConfig) -> Self {
        Self::new(Store::lent(entries, bytes), config)
    }

    const fn new(store: Store<'s>, config: QueueConfig) -> Self {
        Self {
            store,
            overflow: config.overflow,
            resend_lost: config.resend_lost,
            next: 0,
            last_ticket: Ticket(0),
            earliest: None,
            now: Instant::from_millis(0),
        }
    }

    /// Takes in a message with its full topic; its Message Expiry Interval begins to run.
    ///
    /// # Errors
    /// [`Error::QueueFull`] by the overflow policy, and under any where the message is larger than all
    /// that is not in flight; [`Error::Encode`] for what no packet can be made of; [`Misuse::NoTopic`],
    /// [`Misuse::PacketIdGiven`]. The message is then not in the queue and gets no outcome.
    pub fn submit(
        &mut self,
        now: Instant,
        publish: &Publish<'_>,
        tracker: &mut dyn Tracker,
    ) -> Result<Ticket, Error> {
        if publish.packet_id.is_some() {
            return Err(Misuse::PacketIdGiven.into());
        }
        self.add(now, publish, State::Waiting, tracker)
    }

    /// Takes in a message that was in flight under its Packet Identifier before a crash. First all
    /// those in the order of sending, then [`Queue::submit`] for those that waited.
    ///
    /// # Errors
    /// As [`Queue::submit`].
    pub fn restore(
        &mut self,
        now: Instant,
        publish: &Publish<'_>,
        tracker: &mut dyn Tracker,
    ) -> Result<Ticket, Error> {
        let state = publish.packet_id.map_or(State::Waiting, State::InFlight);
        self.add(now, publish, state, tracker)
    }

    fn add(
        &mut self,
        now: Instant,
        publish: &Publish<'_>,
        state: State,
        tracker: &mut dyn Tracker,
    ) -> Result<Ticket, Error> {
        self.expire(now, tracker);
        if publish.topic.is_empty() || publish.properties.contains(PropertyId::TopicAlias) {
            return Err(Misuse::NoTopic.into());
        }
        let stored = Publish {
            dup: false,
            packet_id: (publish.qos != QoS::AtMostOnce).then_some(PacketId::MIN),
            ..*publish
        };
        let len = Store::measure(&stored)?;
        let ticket = Ticket(self.last_ticket.0 + 1);
        while !self.store.fits(len) {
            match (self.overflow, self.next_waiting()) {
                (Overflow::DropOldest, Some(index)) if self.store.could_fit(len) => {
                    self.finish(index, Outcome::Dropped, tracker);
                }
                (Overflow::DropNewest, _) => {
                    self.last_ticket = ticket;
                    tracker.done(ticket, Outcome::Dropped);
                    return Ok(ticket);
                }
                _ => return Err(Error::QueueFull),
            }
        }
        let expiry = publish.properties.message_expiry_interval();
        let deadline = expiry.map(|seconds| now + Duration::from_secs(seconds.into()));
        self.store.push(&stored, len, Entry::new(ticket, state, deadline))?;
        if state == State::Waiting {
            self.earliest = earlier(self.earliest, deadline);
        }
        self.last_ticket = ticket;
        Ok(ticket)
    }

    /// Sends what may be sent: first again what the last connection left, then what waits, in order
    /// and with the Message Expiry Interval that is left. Call it when the session has connected,
    /// after each event, and after [`Queue::submit`].
    ///
    /// # Errors
    /// [`Error::TransmitFull`]: send, and call again. [`Misuse::NotConnected`].
    pub fn send(
        &mut self,
        now: Instant,
        session: &mut dyn Publisher,
        tx: &mut dyn Transmit,
        tracker: &mut dyn Tracker,
    ) -> Result<(), Error> {
        self.expire(now, tracker);
        session.send_again(now, self, tx)?;
        while let Some(index) = self.next_waiting() {
            let Some(entry) = self.store.get(index) else { return Ok(()) };
            let left = [Property::MessageExpiryInterval(self.left(entry).unwrap_or(0))];
            let mut stage = None;
            let sent = match self.store.publish(entry) {
                Some(mut publish) => {
                    stage = Stage::of(publish.qos);
                    if entry.deadline.is_some() {
                        let properties =
                            publish.properties.without(PropertyId::MessageExpiryInterval);
                        publish.properties = properties.with(&left);
                    }
                    session.send_new(now, &publish, tx)
                }
                None => Err(Misuse::NoTopic.into()),
            };
            match sent {
                Ok(Some(id)) => {
                    if let Some(entry) = self.store.get_mut(index) {
                        entry.state = State::InFlight(id);
                    }
                    if let Some(stage) = stage {
                        tracker.in_flight(entry.ticket, id, stage);
                    }
                }
                Ok(None) => self.finish(index, Outcome::Sent, tracker),
                Err(Error::QuotaExceeded) => return Ok(()),
                Err(error @ (Error::TransmitFull | Error::Misuse(Misuse::NotConnected))) => {
                    return Err(error);
                }
                Err(error) => self.finish(index, Outcome::Refused(error), tracker),
            }
        }
        Ok(())
    }

    /// Takes note of what the session tells. Hand it every event.
    pub fn on_event(&mut self, event: &Event<'_>, tracker: &mut dyn Tracker) {
        match *event {
            Event::Received { id } => {
                if let Some(index) = self.find(id) {
                    self.store.drop_bytes(index);
                    if let Some(entry) = self.store.get_mut(index) {
                        entry.state = State::Taken(id);
                    }
                }
            }
            Event::Acknowledged { id, reason } => {
                if let Some(index) = self.find(id) {
                    let taken =
                        matches!(self.store.get(index), Some(e) if e.state == State::Taken(id));
                    let outcome = match reason {
                        // PUBCOMP has nothing to say about the message.
                        _ if taken || reason == ReasonCode::PacketIdentifierNotFound => {
                            Outcome::Delivered(ReasonCode::Success)
                        }
                        _ if reason.is_failure() => Outcome::Rejected(reason),
                        _ => Outcome::Delivered(reason),
                    };
                    self.finish(index, outcome, tracker);
                }
            }
            Event::Lost { id, stage } => {
                if let Some(index) = self.find(id) {
                    match (stage, self.store.get_mut(index)) {
                        (Stage::PubComp, _) => {
                            self.finish(index, Outcome::Delivered(ReasonCode::Success), tracker);
                        }
                        (Stage::PubAck, Some(entry)) if self.resend_lost => {
                            entry.state = State::Waiting;
                            self.earliest = earlier(self.earliest, entry.deadline);
                            self.next = self.next.min(index);
                        }
                        _ => self.finish(index, Outcome::InDoubt, tracker),
                    }
                }
            }
            _ => {}
        }
    }

    /// When the next message expires that waits, or earlier; then call [`Queue::expire`].
    #[must_use]
    pub const fn next_timeout(&self) -> Option<Instant> {
        self.earliest
    }

    /// Takes out what waits and has expired. What was sent is never taken out \[MQTT-4.3.3-7].
    pub fn expire(&mut self, now: Instant, tracker: &mut dyn Tracker) {
        self.now = now;
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        self.earliest = None;
        let mut index = 0;
        while let Some(entry) = self.store.get(index) {
            if entry.state == State::Waiting && entry.deadline.is_some_and(|due| now >= due) {
                self.finish(index, Outcome::Expired, tracker);
                continue;
            }
            if entry.state == State::Waiting {
                self.earliest = earlier(self.earliest, entry.deadline);
            }
            index += 1;
        }
    }

    /// Takes out everything: what waits is dropped, what is in flight is in doubt.
    pub fn clear(&mut self, tracker: &mut dyn Tracker) {
        while let Some(entry) = self.store.get(0) {
            let outcome = match entry.state {
                State::Waiting => Outcome::Dropped,
                State::InFlight(_) => Outcome::InDoubt,
                State::Taken(_) => Outcome::Delivered(ReasonCode::Success),
            };
            self.finish(0, outcome, tracker);
        }
        self.earliest = None;
    }

    /// How many messages there are, in flight ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.store.len() == 0
    }

    /// How many bytes the messages take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.store.used()
    }

    /// The messages in order: ticket, identifier where it is in flight, and what it says unless that
    /// is the peer's already.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (Ticket, Option<PacketId>, Option<Publish<'_>>)> + use<'_, 's> {
        self.store
            .iter()
            .map(|entry| (entry.ticket, entry.state.packet_id(), self.store.publish(entry)))
    }

    /// Whether there is a message that was not sent. After [`Queue::send`] it waits for quota, room or a
    /// connection, and so does whatever is submitted behind it.
    #[must_use]
    pub fn has_waiting(&mut self) -> bool {
        self.next_waiting().is_some()
    }

    fn find(&self, id: PacketId) -> Option<usize> {
        self.store.iter().position(|entry| entry.state.packet_id() == Some(id))
    }

    /// The first message that waits.
    fn next_waiting(&mut self) -> Option<usize> {
        loop {
            match self.store.get(self.next)?.state {
                State::Waiting => return Some(self.next),
                _ => self.next += 1,
            }
        }
    }

    fn finish(&mut self, index: usize, outcome: Outcome, tracker: &mut dyn Tracker) {
        if let Some(entry) = self.store.get(index) {
            self.store.remove(index);
            if index < self.next {
                self.next -= 1;
            }
            tracker.done(entry.ticket, outcome);
        }
    }

    /// What is left of the Message Expiry Interval, in seconds, rounded up.
    fn left(&self, entry: Entry) -> Option<u32> {
        let left = entry.deadline?.since(self.now);
        u32::try_from(left.as_millis().div_ceil(1000)).ok()
    }
}

impl Outbox for Queue<'_> {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        self.store.publish(self.store.get(self.find(id)?)?)
    }

    fn message_expiry(&self, id: PacketId) -> Option<u32> {
        self.left(self.store.get(self.find(id)?)?)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
