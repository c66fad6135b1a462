//! What a client may do.

use core::time::Duration;

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, List, Packet, PacketId, Properties, Publish, ReasonCode,
    Rules, Sender, Subscribe, Subscription, TopicFilter, TopicName, Unsubscribe, Version,
};

use crate::auth::Exchange;
use crate::inbound::Inbound;
use crate::link::{Link, starts_message};
use crate::outbound::Outbound;
use crate::{
    AckToken, Delta, Error, Event, Fault, Instant, Limits, Misuse, Outbox, Pending, Received, Ring,
    Slot, Stage, TopicAliases, Transmit,
};

/// How a client session behaves, apart from what CONNECT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether the application acknowledges messages by [`Session::acknowledge`]. Default: false, a
    /// message is acknowledged as it is received.
    pub manual_acknowledge: bool,
    /// How long to wait for CONNACK and PINGRESP before the connection is given up. Default: 10 s.
    pub response_timeout: Duration,
    /// Largest packet that is read, in bytes, where CONNECT announces no Maximum Packet Size, as in
    /// 3.1.1. Default: 1,048,576.
    pub max_packet_size: u32,
    /// How topic aliases are chosen for what is published. Default: off.
    pub topic_aliases: TopicAliases,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            manual_acknowledge: false,
            response_timeout: Duration::from_secs(10),
            max_packet_size: 1_048_576,
            topic_aliases: TopicAliases::Off,
        }
    }
}

/// Storage for a [`Session`]: how much can be in flight.
#[derive(Debug)]
pub struct Slots<'s> {
    /// Packets sent and not acknowledged, SUBSCRIBE and UNSUBSCRIBE included.
    pub outbound: Ring<'s, Slot>,
    /// Messages of QoS 2 received and not completed, 4 bytes each: as many as the Receive Maximum that
    /// is announced, which is 65,535 where nothing is, as in 3.1.1. With fewer slots than that, a
    /// peer that needs more is [`Fault::ReceiveMaximum`] in both versions.
    pub received: Ring<'s, Received>,
    /// Messages received that the application has yet to acknowledge, where that is manual: as many
    /// as the Receive Maximum.
    pub pending: Ring<'s, Pending>,
}

#[cfg(feature = "alloc")]
impl Slots<'static> {
    /// Slots on the heap for at most `max` packets sent, and for as many messages received as the
    /// Receive Maximum lets the peer send; memory is taken as it is needed. A peer of 3.1.1, to which
    /// no Receive Maximum can be announced, may so take 256 KiB; where that is too much, lend or ask
    /// for less:
    ///
    /// ```
    /// use mqtt_session::Ring;
    /// use mqtt_session::client::Slots;
    /// let slots = Slots { received: Ring::heap(100), ..Slots::heap(16) };
    /// assert_eq!(slots.received.capacity(), 100);
    /// ```
    #[must_use]
    pub fn heap(max: u16) -> Self {
        Self {
            outbound: Ring::heap(max),
            received: Ring::heap(u16::MAX),
            pending: Ring::heap(u16::MAX),
        }
    }
}

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

    /// Begins a connection: the first packet on a new transport \[MQTT-3.1.0-1]. With Clean Start
    /// what is in flight is given up: [`Event::Lost`] tells of each once the server has accepted.
    ///
    /// # Errors
    /// [`Misuse::AlreadyConnected`]; [`Misuse::ClientId`] in 3.1.1; [`Misuse::TopicAliasMaximum`]
    /// without a heap; [`Error::Encode`], [`Error::TransmitFull`].
    pub fn connect(
        &mut self,
        now: Instant,
        connect: &Connect<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        if self.state != State::Disconnected {
            return Err(Misuse::AlreadyConnected.into());
        }
        let unnamed = connect.client_id.is_empty() && !connect.clean_start;
        if unnamed && !connect.version.has_properties() {
            return Err(Misuse::ClientId.into());
        }
        let own = Limits::of_client(connect).or_max_packet_size(self.config.max_packet_size);
        if cfg!(not(feature = "alloc")) && own.topic_alias_maximum > 0 {
            return Err(Misuse::TopicAliasMaximum.into());
        }
        let rules = Rules::new(connect.version, Sender::Client);
        crate::transmit::send(&Packet::Connect(*connect), &rules, tx)?;
        self.link.negotiate(connect.version, Limits::NONE, own);
        self.link.exchange = Exchange::NONE;
        self.link.problem_information = true;
        self.clean_start = connect.clean_start;
        self.expires_later = false;
        if connect.version.has_properties() {
            self.link.problem_information =
                connect.properties.request_problem_information().unwrap_or(true);
            self.link.exchange = Exchange::begin(&connect.properties);
            let expiry = connect.properties.session_expiry_interval();
            self.expires_later = expiry.is_some_and(|seconds| seconds > 0);
        }
        self.keep_alive = Duration::from_secs(connect.keep_alive.into());
        self.state = State::Connecting;
        self.last_sent = now;
        self.waiting_since = Some(now);
        Ok(())
    }

    /// Takes packets off the front of `rx`, answers into `tx`, and returns the first event. `None`:
    /// no whole packet is left.
    ///
    /// # Errors
    /// [`Error::Peer`]: close the connection. [`Error::TransmitFull`]: send, and call again.
    pub fn receive<'rx>(
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
                return self.link.on_bare_ack(ack, tx);
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

    fn on_connack<'rx>(&mut self, connack: ConnAck<'rx>) -> Result<Event<'rx>, Error> {
        self.waiting_since = None;
        if connack.reason != ReasonCode::Success {
            self.state = State::Closed;
            return Ok(Event::Refused(connack));
        }
        if !self.link.exchange.agrees(&connack.properties) {
            return Err(Fault::AuthenticationMethod.into());
        }
        // [MQTT-3.2.2-4]
        if connack.session_present && self.clean_start {
            return Err(Fault::SessionPresent.into());
        }
        let limits = Limits::of_server(&connack, self.link.version());
        self.link.negotiate(self.link.version(), limits, self.link.own);
        if let Some(seconds) = connack.properties.server_keep_alive() {
            // [MQTT-3.1.2-21]
            self.keep_alive = Duration::from_secs(seconds.into());
        }
        if !connack.session_present {
            // [MQTT-3.2.2-5]
            self.link.inbound.clear();
            self.link.outbound.lose_all();
        }
        self.link.exchange.open = false;
        self.state = State::Connected;
        Ok(Event::Connected(connack))
    }

    fn on_auth<'rx>(&mut self, auth: Auth<'rx>) -> Result<Event<'rx>, Error> {
        self.link.admit(&auth.properties)?;
        let exchange = &mut self.link.exchange;
        let allowed: &[ReasonCode] = match self.state {
            _ if !exchange.open => &[],
            State::Connected => &[ReasonCode::ContinueAuthentication, ReasonCode::Success],
            _ => &[ReasonCode::ContinueAuthentication],
        };
        exchange.receive(auth.reason, &auth.properties, allowed)?;
        exchange.open = auth.reason != ReasonCode::Success;
        Ok(Event::Auth(auth))
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

    /// Sends AUTH: the answer to [`Event::Auth`], or a re-authentication (section 4.12).
    ///
    /// # Errors
    /// [`Misuse::NotConnected`]; [`Misuse::Authentication`] where CONNECT named no Authentication Method
    /// \[MQTT-4.12.0-7] or another one \[MQTT-4.12.0-5], or the reason is not the next step:
    /// Continue authentication in an exchange, Re-authenticate to begin one;
    /// [`Error::Encode`], [`Error::TransmitFull`].
    pub fn auth(
        &mut self,
        now: Instant,
        auth: &Auth<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        if matches!(self.state, State::Disconnected | State::Closed) {
            return Err(Misuse::NotConnected.into());
        }
        let exchange = &self.link.exchange;
        let step = if exchange.open {
            ReasonCode::ContinueAuthentication
        } else {
            ReasonCode::ReAuthenticate
        };
        if !exchange.has_method() || !exchange.agrees(&auth.properties) || auth.reason != step {
            return Err(Misuse::Authentication.into());
        }
        self.link.send(&Packet::Auth(*auth), tx)?;
        self.link.exchange.open = true;
        self.note_sent(now);
        if self.state == State::Connecting {
            self.waiting_since = Some(now);
        }
        Ok(())
    }

    /// Says goodbye. Send what is in `tx`, close the transport, and call [`Session::closed`].
    ///
    /// # Errors
    /// [`Misuse::NotConnected`]; [`Misuse::SessionExpiry`]; [`Error::Encode`],
    /// [`Error::TransmitFull`].
    pub fn disconnect(
        &mut self,
        disconnect: &Disconnect<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.require_connected()?;
        let expiry = disconnect.properties.session_expiry_interval();
        if self.version().has_properties() && expiry.unwrap_or(0) > 0 && !self.expires_later {
            return Err(Misuse::SessionExpiry.into());
        }
        self.link.send(&Packet::Disconnect(*disconnect), tx)?;
        // [MQTT-3.14.4-1]
        self.state = State::Closed;
        Ok(())
    }

    /// The transport is closed, for whatever reason. The session is as it was, ready for
    /// [`Session::connect`].
    pub fn closed(&mut self) {
        if self.state != State::Disconnected {
            self.link.disconnect();
        }
        self.state = State::Disconnected;
        self.waiting_since = None;
    }

    /// When to call [`Session::handle_timeout`]; `None`: never. Earlier calls do no harm.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if matches!(self.state, State::Disconnected | State::Closed) {
            return None;
        }
        if self.link.has_answers() {
            return Some(Instant::default());
        }
        let pings = self.state == State::Connected && !self.keep_alive.is_zero();
        let ping = pings.then(|| self.last_sent + self.keep_alive);
        self.answer_due().into_iter().chain(ping).min()
    }

    /// Until when CONNACK or PINGRESP must have come that is waited for.
    fn answer_due(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + self.config.response_timeout)
    }

    /// Does what is due: PINGREQ when nothing was sent for the Keep Alive \[MQTT-3.1.2-20].
    ///
    /// # Errors
    /// [`Fault::Timeout`]: the server does not answer, close the connection. [`Error::TransmitFull`]:
    /// send, and call again.
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut dyn Transmit) -> Result<(), Error> {
        if self.state == State::Connected {
            self.send_answers(now, tx)?;
        }
        if self.next_timeout().is_none_or(|due| now < due) {
            return Ok(());
        }
        if self.answer_due().is_some_and(|due| now >= due) {
            self.fail(Fault::Timeout, tx);
            return Err(Fault::Timeout.into());
        }
        // Also while PINGRESP is waited for, where that is longer than the Keep Alive.
        self.link.send(&Packet::PingReq, tx)?;
        self.note_sent(now);
        self.waiting_since.get_or_insert(now);
        Ok(())
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
