//! What a server may do on one connection.

use mqtt_codec::{
    Packet, PacketId, Properties, Publish, ReasonCode, Sender, SubAck, Subscribe, TopicName,
    UnsubAck, Version,
};

use crate::client::Slots;
use crate::inbound::Inbound;
use crate::link::{Link, starts_message};
use crate::outbound::Outbound;
use crate::{
    AckToken, Delta, Error, Event, Fault, Instant, Limit, Limits, Misuse, Outbox, Stage, Transmit,
};

mod config;
mod connection;

pub use config::Config;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// CONNECT has not come.
    Waiting,
    /// CONNECT came and is not answered.
    Connecting,
    Connected,
    /// Nothing more is sent or taken.
    Closed,
}

/// A server's end of one connection, and that client's session.
///
/// ```
/// use mqtt_codec::{ConnAck, ReasonCode};
/// use mqtt_session::client::Slots;
/// use mqtt_session::server::{Config, Session};
/// use mqtt_session::{Event, Instant};
///
/// let now = Instant::from_millis(0);
/// let mut session = Session::new(now, Config::default(), Slots::heap(16));
/// let mut tx = Vec::new(); // what to send
/// let received = b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x3C\x00\x00";
/// let mut rx = &received[..];
/// while let Some(event) = session.receive(now, &mut rx, &mut tx)? {
///     if let Event::Connect(connect) = event {
///         assert_eq!(connect.keep_alive, 60);
///         session.accept(now, &ConnAck::new(ReasonCode::Success), &mut tx)?;
///     }
/// }
/// assert_eq!(tx, [0x20, 2, 0, 0]);
/// # Ok::<(), mqtt_session::Error>(())
/// ```
#[derive(Debug)]
pub struct Session<'s> {
    link: Link<'s>,
    state: State,
    /// Whether the application asked for an AUTH.
    authenticating: bool,
    clean_start: bool,
    /// Whether CONNECT had a Session Expiry Interval above 0.
    expires_later: bool,
    /// Whether the client wants Reason Strings and the like.
    problem_information: bool,
    /// Keep Alive in seconds; 0: off.
    keep_alive: u16,
    /// From the configuration, in milliseconds.
    connect_timeout: u32,
    max_packet_size: u32,
    last_received: Instant,
}

impl<'s> Session<'s> {
    /// A new connection, on which CONNECT is waited for.
    #[must_use]
    pub fn new(now: Instant, config: Config, slots: Slots<'s>) -> Self {
        let mut link = Link::new(
            Sender::Client,
            Outbound::new(slots.outbound),
            Inbound::new(slots.received, slots.pending),
            config.manual_acknowledge,
            config.topic_aliases,
        );
        link.own.max_packet_size = config.max_connect_size;
        Self {
            link,
            state: State::Waiting,
            authenticating: false,
            clean_start: false,
            expires_later: false,
            problem_information: true,
            keep_alive: 0,
            connect_timeout: u32::try_from(config.connect_timeout.as_millis()).unwrap_or(u32::MAX),
            max_packet_size: config.max_packet_size,
            last_received: now,
        }
    }

    /// Takes packets off the front of `rx`, answers into `tx`, and returns the first event. `None`:
    /// no whole packet is left, or CONNECT waits for an answer.
    ///
    /// # Errors
    /// [`Error::Peer`]: send what is in `tx` and close the connection. [`Error::TransmitFull`]: send,
    /// and call again.
    #[inline]
    pub fn receive<'rx>(
        &mut self,
        now: Instant,
        rx: &mut &'rx [u8],
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        if self.state == State::Connected {
            if let Some(id) = self.link.take_first_ack(rx) {
                self.last_received = now;
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
                    if is_read {
                        self.last_received = now;
                    }
                    if event.is_some() || !is_read {
                        break;
                    }
                }
                Err(error) => {
                    match *error {
                        Error::Peer(Fault::Packet(error)) => self.refuse(error, rx, tx),
                        Error::Peer(fault) => self.fail(fault, tx),
                        _ => {}
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
            if self.must_wait(rx)? {
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
        self.on_packet(rx, tx)
    }

    #[inline(never)]
    fn on_packet<'rx>(
        &mut self,
        rx: &mut &'rx [u8],
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        let Some(packet) = self.link.read().decode(rx).map_err(Fault::Packet)? else {
            return Ok(None);
        };
        let kind = packet.packet_type();
        match packet {
            Packet::Connect(connect) if self.state == State::Waiting => {
                self.on_connect(&connect);
                Ok(Some(Event::Connect(connect)))
            }
            Packet::Subscribe(subscribe) => self.on_subscribe(subscribe).map(Some),
            Packet::Unsubscribe(unsubscribe) => Ok(Some(Event::Unsubscribe(unsubscribe))),
            Packet::PingReq => {
                // [MQTT-3.12.4-1]
                self.link.send(&Packet::PingResp, tx)?;
                Ok(None)
            }
            Packet::Disconnect(disconnect) => self.on_disconnect(disconnect).map(Some),
            Packet::Auth(auth) => self.on_auth(auth).map(Some),
            // A second CONNECT [MQTT-3.1.0-2].
            _ => Err(Fault::Unexpected(kind).into()),
        }
    }

    fn on_subscribe<'rx>(&self, subscribe: Subscribe<'rx>) -> Result<Event<'rx>, Error> {
        match self.link.own.broken_by_subscribe(&subscribe) {
            None => Ok(Event::Subscribe(subscribe)),
            Some(Limit::WildcardSubscriptionAvailable) => Err(Fault::WildcardSubscription.into()),
            Some(Limit::SharedSubscriptionAvailable) => Err(Fault::SharedSubscription.into()),
            Some(_) => Err(Fault::SubscriptionIdentifier.into()),
        }
    }

    /// Answers SUBSCRIBE, with its identifier and a code per filter.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Error::Encode`], [`Error::TransmitFull`].
    pub fn suback(&mut self, suback: &SubAck<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        self.require_connected()?;
        let properties = self.problem(suback.properties);
        self.link.send(&Packet::SubAck(SubAck { properties, ..*suback }), tx)
    }

    /// Answers UNSUBSCRIBE, with its identifier and a code per filter.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Error::Encode`], [`Error::TransmitFull`].
    pub fn unsuback(
        &mut self,
        unsuback: &UnsubAck<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.require_connected()?;
        let properties = self.problem(unsuback.properties);
        self.link.send(&Packet::UnsubAck(UnsubAck { properties, ..*unsuback }), tx)
    }

    /// Reason String and User Properties only for who wants them \[MQTT-3.1.2-29].
    const fn problem<'p>(&self, properties: Properties<'p>) -> Properties<'p> {
        if self.problem_information { properties } else { Properties::EMPTY }
    }

    /// Sends a message. One of QoS 1 or 2 gets an identifier, under which the caller keeps it until
    /// [`Event::Acknowledged`], or for QoS 2 until [`Event::Received`].
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]: wait for an acknowledgement. [`Error::Limit`], [`Error::Encode`]: the
    /// client does not take it, and it counts as delivered \[MQTT-3.1.2-25].
    /// [`Error::TransmitFull`]: send, and call again. [`Error::Misuse`].
    pub fn publish(
        &mut self,
        publish: &Publish<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<PacketId>, Error> {
        self.require_connected()?;
        self.link.publish(publish, tx)
    }

    /// As [`Session::publish`], of a packet that is written for this version already. `None` where it must
    /// be written for this client alone.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn publish_written(
        &mut self,
        written: crate::transmit::Written<'_>,
        tx: &mut dyn Transmit,
    ) -> Option<Result<Option<PacketId>, Error>> {
        if self.is_connected() { self.link.publish_written(written, tx) } else { None }
    }

    /// Sends again what an earlier connection left unacknowledged, in order \[MQTT-4.4.0-1], as far
    /// as the client's Receive Maximum allows: call it after [`Session::accept`] and after each
    /// [`Event::Acknowledged`] until [`Session::is_resuming`] is false.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`]; [`Error::TransmitFull`]: send, and call again.
    pub fn resume(&mut self, outbox: &dyn Outbox, tx: &mut dyn Transmit) -> Result<(), Error> {
        self.require_connected()?;
        self.link.resume(outbox, tx)
    }

    /// Whether [`Session::resume`] has more to send, or [`Session::receive`] to report as lost.
    #[must_use]
    pub const fn is_resuming(&self) -> bool {
        self.link.outbound.is_resuming()
    }

    /// Answers a message, where acknowledgement is manual. Answers go out in the order in which the
    /// messages came \[MQTT-4.6.0-2], \[MQTT-4.6.0-3]; those for which there is no room when their turn
    /// comes follow with the next call of [`Session::receive`] or [`Session::handle_timeout`], which
    /// is due at once.
    ///
    /// # Errors
    /// [`Misuse::UnknownPacketId`], [`Misuse::NotConnected`]. [`Error::Encode`]: PUBACK or PUBREC
    /// cannot carry that reason. [`Error::TransmitFull`]: send, and call again.
    pub fn acknowledge(
        &mut self,
        token: AckToken,
        reason: ReasonCode,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.require_connected()?;
        self.link.acknowledge(token, reason, tx)
    }

    /// The topic of the message that was received last, whether a Topic Alias stands for it or not.
    /// Ask before more is received, which may give the alias another meaning.
    #[must_use]
    pub fn topic<'t>(&'t self, publish: &Publish<'t>) -> TopicName<'t> {
        self.link.topic(publish)
    }

    /// What the client allows on this connection.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.link.limits
    }

    /// The version that the client speaks; 5 before CONNECT.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.link.version()
    }

    /// Whether the client was accepted and has not gone.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// How many messages may be sent now.
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
    /// order, before [`Session::accept`]. `false` if there is no slot for it, or it is too late.
    pub fn restore(&mut self, delta: Delta) -> bool {
        !self.is_connected() && self.link.restore(delta)
    }

    /// Identifiers of messages of QoS 2 that were taken and not done with.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn taken(&self) -> impl Iterator<Item = PacketId> + use<'_, 's> {
        self.link.inbound.taken()
    }

    /// From now on no more than that are in flight to the client, but for those that are.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn limit_outbound(&mut self, max: u16) {
        self.link.outbound.limit(max);
    }

    fn require_connected(&self) -> Result<(), Error> {
        if self.is_connected() { Ok(()) } else { Err(Misuse::NotConnected.into()) }
    }
}
