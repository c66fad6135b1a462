//! What a client may do.

use core::time::Duration;

use mqtt_codec::{
    List, Packet, PacketId, Properties, Publish, ReasonCode, Sender, Subscribe, Subscription,
    TopicFilter, TopicName, Unsubscribe, Version,
};

use crate::inbound::Inbound;
use crate::link::{Link, starts_message};
use crate::outbound::Outbound;
use crate::{
    AckToken, Delta, Error, Event, Fault, Instant, Limits, Misuse, Outbox, Stage, Transmit,
};

mod config;
mod connection;

pub use config::{Config, Slots};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Disconnected,
    /// CONNECT went out.
    Connecting,
    Connected,
    /// Nothing more is sent or taken on this connection.
    Closed,
}

/// A client's session (section 4.1): it outlives connections and knows no socket, clock or message.
///
/// ```
/// use mqtt_codec::{Connect, Publish, QoS, TopicName, Version};
/// use mqtt_session::client::{Config, Session, Slots};
/// use mqtt_session::{Event, Instant};
///
/// let mut session = Session::new(Config::default(), Slots::heap(16));
/// let mut tx = Vec::new(); // what to send
/// let now = Instant::from_millis(0);
/// session.connect(now, &Connect::new(Version::V311, "sensor-7"), &mut tx)?;
///
/// let received = [0x20, 2, 0, 0]; // CONNACK
/// let mut rx = &received[..];
/// while let Some(event) = session.receive(now, &mut rx, &mut tx)? {
///     assert!(matches!(event, Event::Connected(_)));
/// }
///
/// let message = Publish { qos: QoS::AtLeastOnce, ..Publish::new(TopicName::new("a/b")?, b"21.5") };
/// let id = session.publish(now, &message, &mut tx)?.expect("QoS 1 has an identifier");
///
/// let received = [0x40, 2, 0, 1]; // PUBACK
/// let event = session.receive(now, &mut &received[..], &mut tx)?;
/// assert!(matches!(event, Some(Event::Acknowledged { id: acknowledged, .. }) if acknowledged == id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session<'s> {
    link: Link<'s>,
    config: Config,
    state: State,
    clean_start: bool,
    /// Whether CONNECT had a Session Expiry Interval above 0.
    expires_later: bool,
    keep_alive: Duration,
    last_sent: Instant,
    /// When CONNECT or PINGREQ was sent that has no answer yet.
    waiting_since: Option<Instant>,
}

impl<'s> Session<'s> {
    /// A session without state.
    #[must_use]
    pub fn new(config: Config, slots: Slots<'s>) -> Self {
        Self {
            link: Link::new(
                Sender::Server,
                Outbound::new(slots.outbound),
                Inbound::new(slots.received, slots.pending),
                config.manual_acknowledge,
                config.topic_aliases,
            ),
            config,
            state: State::Disconnected,
            clean_start: false,
            expires_later: false,
            keep_alive: Duration::ZERO,
            last_sent: Instant::from_millis(0),
            waiting_since: None,
        }
    }

    /// Takes packets off the front of `rx`, answers into `tx`, and returns the first event. `None`:
    /// no whole packet is left.
    ///
    /// # Errors
    /// [`Error::Peer`]: close the connection. [`Error::TransmitFull`]: send, and call again.
    #[inline]
    pub fn receive<'rx>(
        &mut self,
        now: Instant,
        rx: &mut &'rx [u8],
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        if self.state == State::Connected {
            if let Some(id) = self.link.take_first_ack(rx) {
                return Ok(Some(Event::Acknowledged { id, reason: ReasonCode::Success }));
            }
        }
        self.receive_any(now, rx, tx)
    }

    /// As [`Session::receive`], whatever there is.
    #[inline(never)]
    fn receive_any<'rx>(
        &mut self,
        now: Instant,
        rx: &mut &'rx [u8],
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        // One variable for all that is returned, so that no event is moved.
        let mut event;
        loop {
            let mut rest = *rx;
            event = self.next_event(&mut rest, tx);
            match &event {
                Ok(event) => {
                    let is_read = rest.len() < rx.len();
                    *rx = rest;
                    self.note_sent(now);
                    if event.is_some() || !is_read {
                        break;
                    }
                }
                Err(error) => {
                    if let Error::Peer(fault) = *error {
                        self.fail(fault, tx);
                    }
                    break;
                }
            }
        }
        event
    }

    /// Takes one packet off the front of `rx`, unless there is something else to tell. A part of
    /// [`Session::receive`], which returns what this makes where it makes it.
    #[inline(always)]
    fn next_event<'rx>(
        &mut self,
        rx: &mut &'rx [u8],
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        if self.state != State::Connected {
            // What was given up is told also when all is over.
            if let Some(lost) = self.link.next_lost() {
                return Ok(Some(lost));
            }
            if self.state != State::Connecting {
                return Ok(None);
            }
        } else {
            if self.link.is_behind() {
                if let Some(lost) = self.link.catch_up(tx)? {
                    return Ok(Some(lost));
                }
            }
            if let Some(ack) = self.link.read().take_bare_ack(rx) {
                let (kind, id) = (ack.packet_type(), ack.packet_id());
                return self.link.on_ack(kind, id, ReasonCode::Success, tx);
            }
            if starts_message(rx) {
                return self.link.on_message(rx, tx);
            }
        }
        self.on_packet(rx)
    }

    #[inline(never)]
    fn on_packet<'rx>(&mut self, rx: &mut &'rx [u8]) -> Result<Option<Event<'rx>>, Error> {
        let Some(packet) = self.link.read().decode(rx).map_err(Fault::Packet)? else {
            return Ok(None);
        };
        let kind = packet.packet_type();
        let connected = self.state == State::Connected;
        Ok(match packet {
            Packet::ConnAck(connack) if !connected => return self.on_connack(connack).map(Some),
            Packet::Auth(auth) => return self.on_auth(auth).map(Some),
            // Everything else comes after CONNACK [MQTT-3.2.0-1].
            _ if !connected => return Err(Fault::Unexpected(kind).into()),
            Packet::SubAck(suback) => {
                self.link.admit(&suback.properties)?;
                let waited = self.link.answered(suback.packet_id, Stage::SubAck);
                waited.then_some(Event::Subscribed(suback))
            }
            Packet::UnsubAck(unsuback) => {
                self.link.admit(&unsuback.properties)?;
                let waited = self.link.answered(unsuback.packet_id, Stage::UnsubAck);
                waited.then_some(Event::Unsubscribed(unsuback))
            }
            Packet::PingResp => {
                self.waiting_since = None;
                None
            }
            Packet::Disconnect(disconnect) => {
                self.state = State::Closed;
                Some(Event::Disconnected(disconnect))
            }
            _ => return Err(Fault::Unexpected(kind).into()),
        })
    }

    /// Sends again what the last connection left unacknowledged, in order \[MQTT-4.4.0-1], as far as
    /// the server's Receive Maximum allows: call it after [`Event::Connected`], and after each
    /// [`Event::Acknowledged`] until [`Session::is_resuming`] is false. Nothing new can be published
    /// before.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`]; [`Error::TransmitFull`]: send, and call again.
    pub fn resume(
        &mut self,
        now: Instant,
        outbox: &dyn Outbox,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.require_connected()?;
        let result = self.link.resume(outbox, tx);
        self.note_sent(now);
        result
    }

    /// Whether [`Session::resume`] has more to send, or [`Session::receive`] to report as lost.
    #[must_use]
    pub const fn is_resuming(&self) -> bool {
        self.link.outbound.is_resuming()
    }

    /// Sends a message. One of QoS 1 or 2 gets an identifier, under which the caller keeps it until
    /// [`Event::Acknowledged`], or for QoS 2 until [`Event::Received`].
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]: wait for an acknowledgement. [`Error::Limit`], [`Error::Encode`]: the
    /// server does not take it. [`Error::TransmitFull`]: send, and call again. [`Error::Misuse`].
    pub fn publish(
        &mut self,
        now: Instant,
        publish: &Publish<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<PacketId>, Error> {
        self.require_connected()?;
        let id = self.link.publish(publish, tx)?;
        self.note_sent(now);
        Ok(id)
    }

    /// Asks for subscriptions; [`Event::Subscribed`] brings the answer. One that is lost with the
    /// connection must be asked for again.
    ///
    /// # Errors
    /// As [`Session::publish`].
    pub fn subscribe(
        &mut self,
        now: Instant,
        subscriptions: &[Subscription<'_>],
        properties: Properties<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<PacketId, Error> {
        self.require_connected()?;
        let subscribe = |packet_id| Subscribe {
            packet_id,
            properties,
            subscriptions: List::from(subscriptions),
        };
        if let Some(limit) = self.link.limits.broken_by_subscribe(&subscribe(PacketId::MIN)) {
            return Err(limit.into());
        }
        let id = self.link.request(Stage::SubAck, |id| Packet::Subscribe(subscribe(id)), tx)?;
        self.note_sent(now);
        Ok(id)
    }

    /// Ends subscriptions; [`Event::Unsubscribed`] brings the answer.
    ///
    /// # Errors
    /// As [`Session::publish`].
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<PacketId, Error> {
        self.require_connected()?;
        let packet = |packet_id| {
            let filters = List::from(filters);
            Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters })
        };
        let id = self.link.request(Stage::UnsubAck, packet, tx)?;
        self.note_sent(now);
        Ok(id)
    }

    /// Answers a message, where acknowledgement is manual. The answer goes out once all messages
    /// before it are answered \[MQTT-4.6.0-2], \[MQTT-4.6.0-3]; what there is no room for then follows
    /// with the next call of [`Session::receive`] or [`Session::handle_timeout`], which is due at
    /// once. In 3.1.1 `reason` cannot be told.
    ///
    /// # Errors
    /// [`Misuse::UnknownPacketId`]: answered before, or the connection was lost since: the message
    /// comes again. [`Error::Encode`]: PUBACK or PUBREC cannot carry that reason.
    /// [`Error::TransmitFull`]: send, and call again.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        token: AckToken,
        reason: ReasonCode,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.require_connected()?;
        let result = self.link.acknowledge(token, reason, tx);
        self.note_sent(now);
        result
    }

    /// Gives up a message that is in flight: it is not sent again, and its identifier is free. Returns
    /// what it waited for. Only where no right answer is to be expected, as after
    /// [`Fault::Misanswered`]: otherwise it is not over before that \[MQTT-4.3.2-3], \[MQTT-4.3.3-3].
    pub fn give_up(&mut self, id: PacketId) -> Option<Stage> {
        let (index, stage) = self.link.outbound.get(id)?;
        if matches!(stage, Stage::SubAck | Stage::UnsubAck) {
            return None;
        }
        self.link.outbound.remove_at(index);
        Some(stage)
    }

    /// The topic of the message that was received last, whether a Topic Alias stands for it or not.
    /// Ask before more is received, which may give the alias another meaning.
    #[must_use]
    pub fn topic<'t>(&'t self, publish: &Publish<'t>) -> TopicName<'t> {
        self.link.topic(publish)
    }

    /// What the server allows on this connection.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.link.limits
    }

    /// The version of this connection, or of the last one.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.link.version()
    }

    /// Whether there is a connection that the server has accepted.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// Keep Alive of this connection, zero where it is off.
    #[must_use]
    pub const fn keep_alive(&self) -> Duration {
        self.keep_alive
    }

    /// How many messages may be published now.
    #[must_use]
    pub fn quota(&self) -> usize {
        self.link.quota()
    }

    /// Identifiers in use and what they wait for, in the order of sending.
    pub fn in_flight(&self) -> impl Iterator<Item = (PacketId, Stage)> + use<'_, 's> {
        self.link.outbound.iter()
    }

    /// Identifiers of received messages of QoS 2 that are not done with, ascending.
    pub fn received(&self) -> impl Iterator<Item = PacketId> + use<'_, 's> {
        self.link.inbound.received()
    }

    /// Rebuilds the session after a crash from what was stored: call it for each [`Delta`] in their
    /// order, before [`Session::connect`]. `false` if there is no slot for it, or it is too late.
    pub fn restore(&mut self, delta: Delta) -> bool {
        self.state == State::Disconnected && self.link.restore(delta)
    }

    fn send_answers(&mut self, now: Instant, tx: &mut dyn Transmit) -> Result<(), Error> {
        let result = self.link.send_answers(tx);
        self.note_sent(now);
        result
    }

    /// Keep Alive counts from the last packet that was sent [MQTT-3.1.2-20].
    const fn note_sent(&mut self, now: Instant) {
        if self.link.take_sent() {
            self.last_sent = now;
        }
    }

    fn require_connected(&self) -> Result<(), Error> {
        if self.is_connected() { Ok(()) } else { Err(Misuse::NotConnected.into()) }
    }

    fn fail(&mut self, fault: Fault, tx: &mut dyn Transmit) {
        if matches!(self.state, State::Connecting | State::Connected) {
            self.link.say_why(&fault, tx);
        }
        self.state = State::Closed;
    }
}
