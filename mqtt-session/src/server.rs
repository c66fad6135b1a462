//! What a server may do on one connection.

use core::time::Duration;

use mqtt_codec::{
    Auth, ConnAck, Connect, DecodeError, Disconnect, ErrorClass, Packet, PacketId, PacketType,
    Properties, Publish, ReasonCode, Rules, Sender, SubAck, Subscribe, TopicName, UnsubAck,
    Version, Violation,
};

use crate::auth::Exchange;
use crate::client::Slots;
use crate::inbound::Inbound;
use crate::link::{Link, explains, starts_message};
use crate::outbound::Outbound;
use crate::{
    AckToken, Delta, Error, Event, Fault, Instant, Limit, Limits, Misuse, Outbox, Stage,
    TopicAliases, Transmit,
};

/// How a server session behaves, apart from what CONNACK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether the application acknowledges messages by [`Session::acknowledge`]. Default: false.
    pub manual_acknowledge: bool,
    /// How long to wait for CONNECT, and before CONNACK for an AUTH that was asked for. Default: 10 s.
    pub connect_timeout: Duration,
    /// Largest CONNECT that is read, in bytes. Default: 65,536.
    pub max_connect_size: u32,
    /// Largest packet that is read, in bytes, where CONNACK announces no Maximum Packet Size, as in
    /// 3.1.1. Default: 1,048,576.
    pub max_packet_size: u32,
    /// How topic aliases are chosen for what is published. Default: off.
    pub topic_aliases: TopicAliases,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            manual_acknowledge: false,
            connect_timeout: Duration::from_secs(10),
            max_connect_size: 65_536,
            max_packet_size: 1_048_576,
            topic_aliases: TopicAliases::Off,
        }
    }
}

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
                return self.link.on_bare_ack(ack, tx);
            }
            if starts_message(rx) {
                return self.link.on_message(rx, tx);
            }
        }
        self.on_packet(rx, tx)
    }

    /// Whether nothing is taken now: all is over, or CONNECT is to be answered before this packet is
    /// read.
    #[inline(never)]
    fn must_wait(&self, rx: &[u8]) -> Result<bool, Fault> {
        let Ok(Some(header)) = self.link.read().fixed_header(rx) else {
            return Ok(self.state == State::Closed);
        };
        let kind = header.packet_type();
        match self.state {
            State::Closed => Ok(true),
            // The first packet is CONNECT [MQTT-3.1.0-1]; to say so its type is enough.
            State::Waiting if kind != PacketType::Connect => Err(Fault::Unexpected(kind)),
            State::Waiting | State::Connected => Ok(false),
            State::Connecting => Ok(match kind {
                PacketType::Connect | PacketType::Disconnect => false,
                PacketType::Auth => !self.authenticating,
                _ => true,
            }),
        }
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

    fn on_connect(&mut self, connect: &Connect<'_>) {
        let properties = &connect.properties;
        // What follows at once may be larger than CONNECT; it is read once CONNACK is sent.
        let own = Limits::NONE.or_max_packet_size(self.max_packet_size);
        self.link.negotiate(connect.version, Limits::of_client(connect), own);
        self.link.exchange = Exchange::begin(properties);
        self.clean_start = connect.clean_start;
        self.problem_information = properties.request_problem_information().unwrap_or(true);
        self.expires_later = match connect.version {
            Version::V5 => properties.session_expiry_interval().unwrap_or(0) > 0,
            Version::V31 | Version::V311 => !connect.clean_start,
        };
        self.keep_alive = connect.keep_alive;
        self.state = State::Connecting;
    }

    fn on_auth<'rx>(&mut self, auth: Auth<'rx>) -> Result<Event<'rx>, Error> {
        let exchange = &mut self.link.exchange;
        let step = if exchange.open {
            ReasonCode::ContinueAuthentication
        } else {
            ReasonCode::ReAuthenticate
        };
        exchange.receive(auth.reason, &auth.properties, &[step])?;
        exchange.open = true;
        self.authenticating = false;
        Ok(Event::Auth(auth))
    }

    fn on_subscribe<'rx>(&self, subscribe: Subscribe<'rx>) -> Result<Event<'rx>, Error> {
        match self.link.own.broken_by_subscribe(&subscribe) {
            None => Ok(Event::Subscribe(subscribe)),
            Some(Limit::WildcardSubscriptionAvailable) => Err(Fault::WildcardSubscription.into()),
            Some(Limit::SharedSubscriptionAvailable) => Err(Fault::SharedSubscription.into()),
            Some(_) => Err(Fault::SubscriptionIdentifier.into()),
        }
    }

    fn on_disconnect<'rx>(&mut self, disconnect: Disconnect<'rx>) -> Result<Event<'rx>, Error> {
        let expiry = disconnect.properties.session_expiry_interval().unwrap_or(0);
        if expiry > 0 && !self.expires_later {
            return Err(Fault::SessionExpiry.into());
        }
        self.state = State::Closed;
        Ok(Event::Disconnected(disconnect))
    }

    /// Accepts the connection. What `connack` announces holds from here on: a packet that exceeds it
    /// is refused.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`] without a CONNECT to answer; [`Misuse::ReasonCode`] for a code of
    /// failure; [`Misuse::SessionPresent`] after a Clean Start; [`Misuse::Authentication`] without
    /// the Authentication Method of CONNECT \[MQTT-4.12.0-5]; [`Misuse::TopicAliasMaximum`] without a
    /// heap; [`Error::Encode`], [`Error::TransmitFull`].
    pub fn accept(
        &mut self,
        now: Instant,
        connack: &ConnAck<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        if self.state != State::Connecting {
            return Err(Misuse::NotConnected.into());
        }
        let version = self.link.version();
        let own = Limits::of_server(connack, version).or_max_packet_size(self.max_packet_size);
        if connack.reason.is_failure() {
            return Err(Misuse::ReasonCode.into());
        }
        if connack.session_present && self.clean_start {
            return Err(Misuse::SessionPresent.into());
        }
        if version.has_properties() && !self.link.exchange.agrees(&connack.properties) {
            return Err(Misuse::Authentication.into());
        }
        if cfg!(not(feature = "alloc")) && own.topic_alias_maximum > 0 {
            return Err(Misuse::TopicAliasMaximum.into());
        }
        self.link.send(&Packet::ConnAck(*connack), tx)?;
        self.link.negotiate(version, self.link.limits, own);
        self.link.exchange.open = false;
        self.authenticating = false;
        match connack.properties.server_keep_alive() {
            // [MQTT-3.2.2-21]; 3.1.1 cannot be told.
            Some(seconds) if version.has_properties() => self.keep_alive = seconds,
            _ => {}
        }
        if !connack.session_present {
            // [MQTT-3.1.2-6]
            self.link.outbound.clear();
            self.link.inbound.clear();
        }
        self.state = State::Connected;
        self.last_received = now;
        Ok(())
    }

    /// Refuses the connection, with a code of 0x80 or above. Send what is in `tx` and close
    /// \[MQTT-3.2.2-7].
    ///
    /// # Errors
    /// [`Misuse::NotConnected`] without a CONNECT to answer; [`Misuse::ReasonCode`] for a code of
    /// success; [`Error::Encode`] also where 3.1.1 has no code for it: then close without an answer;
    /// [`Error::TransmitFull`].
    pub fn reject(&mut self, connack: &ConnAck<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        if self.state != State::Connecting {
            return Err(Misuse::NotConnected.into());
        }
        if !connack.reason.is_failure() {
            return Err(Misuse::ReasonCode.into());
        }
        self.link.send(&Packet::ConnAck(*connack), tx)?;
        self.state = State::Closed;
        Ok(())
    }

    /// Sends AUTH and waits for the client's (section 4.12).
    ///
    /// # Errors
    /// [`Misuse::NotConnected`]; [`Misuse::Authentication`] where CONNECT named no Authentication Method
    /// \[MQTT-4.12.0-6] or another one \[MQTT-4.12.0-5], or the reason is not the next step: Continue
    /// authentication before CONNACK, that or Success when the client re-authenticates;
    /// [`Misuse::ProblemInformation`]; [`Error::Encode`], [`Error::TransmitFull`].
    pub fn auth(
        &mut self,
        now: Instant,
        auth: &Auth<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        if !matches!(self.state, State::Connecting | State::Connected) {
            return Err(Misuse::NotConnected.into());
        }
        let exchange = &self.link.exchange;
        let fits = match auth.reason {
            ReasonCode::ContinueAuthentication => true,
            ReasonCode::Success => self.is_connected(),
            _ => false,
        };
        if !fits || !exchange.open || !exchange.agrees(&auth.properties) {
            return Err(Misuse::Authentication.into());
        }
        if !self.problem_information && explains(&auth.properties) {
            return Err(Misuse::ProblemInformation.into());
        }
        self.link.send(&Packet::Auth(*auth), tx)?;
        self.link.exchange.open = auth.reason == ReasonCode::ContinueAuthentication;
        self.authenticating = self.link.exchange.open;
        if self.state == State::Connecting {
            self.last_received = now;
        }
        Ok(())
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

    /// Says goodbye, which only version 5 can, and takes nothing more. Send what is in `tx` and close.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`] \[MQTT-3.14.0-1], [`Error::Encode`], [`Error::TransmitFull`].
    pub fn disconnect(
        &mut self,
        disconnect: &Disconnect<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        self.require_connected()?;
        if self.link.version().has_properties() {
            self.link.send(&Packet::Disconnect(*disconnect), tx)?;
        }
        self.state = State::Closed;
        Ok(())
    }

    /// The transport is closed. What is in flight is kept for [`Session::take_over`].
    pub fn closed(&mut self) {
        self.link.disconnect();
        self.state = State::Closed;
    }

    /// Takes over what an earlier connection of the same client left: what is in flight both ways.
    /// Call it between [`Event::Connect`] and [`Session::accept`], with Session Present there.
    pub fn take_over(&mut self, earlier: &mut Self) {
        core::mem::swap(&mut self.link.outbound, &mut earlier.link.outbound);
        core::mem::swap(&mut self.link.inbound, &mut earlier.link.inbound);
        self.link.outbound.disconnect();
        self.link.inbound.disconnect();
    }

    /// When to call [`Session::handle_timeout`]; `None`: never. Earlier calls do no harm.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let patience = match self.state {
            State::Waiting | State::Connecting => u64::from(self.connect_timeout),
            State::Connected if self.link.has_answers() => return Some(Instant::default()),
            // [MQTT-3.1.2-22]
            State::Connected if self.keep_alive > 0 => u64::from(self.keep_alive) * 1500,
            State::Connected | State::Closed => return None,
        };
        Some(self.last_received + Duration::from_millis(patience))
    }

    /// Does what is due.
    ///
    /// # Errors
    /// [`Fault::KeepAlive`], [`Fault::Timeout`]: nothing came for too long; send what is in `tx` and
    /// close. [`Error::TransmitFull`]: send, and call again.
    pub fn handle_timeout(&mut self, now: Instant, tx: &mut dyn Transmit) -> Result<(), Error> {
        if self.state == State::Connected {
            self.link.send_answers(tx)?;
        }
        match self.next_timeout() {
            Some(due) if now >= due => {
                let connected = self.state == State::Connected;
                let fault = if connected { Fault::KeepAlive } else { Fault::Timeout };
                self.fail(fault, tx);
                Err(fault.into())
            }
            _ => Ok(()),
        }
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

    fn fail(&mut self, fault: Fault, tx: &mut dyn Transmit) {
        // Not before CONNACK [MQTT-3.14.0-1].
        if self.state == State::Connected {
            self.link.say_why(&fault, tx);
        }
        self.state = State::Closed;
    }

    /// A packet that cannot be read. A CONNECT is answered by CONNACK where that can say why.
    fn refuse(&mut self, error: DecodeError, rx: &[u8], tx: &mut dyn Transmit) {
        let connect = rx.first().is_some_and(|byte| byte >> 4 == PacketType::Connect as u8);
        if self.state == State::Waiting && connect {
            let reason = error.reason_code();
            let unsupported = error.violation.class() == ErrorClass::UnsupportedProtocol;
            let version = match error.violation {
                // A client of a version that is yet to come reads the latest one.
                Violation::ProtocolLevel => match rx.get(error.offset as usize) {
                    Some(0..=4) | None => Version::V311,
                    Some(5..) => Version::V5,
                },
                _ => error.version,
            };
            let can_say = reason.is_allowed(PacketType::ConnAck, Sender::Server)
                && error.violation != Violation::ProtocolName
                && (unsupported || is_v5(rx));
            if can_say {
                let rules = Rules::new(version, Sender::Server);
                // Without room the connection is closed all the same.
                let _ = crate::transmit::send(&Packet::ConnAck(ConnAck::new(reason)), &rules, tx);
            }
        }
        self.fail(error.into(), tx);
    }
}

/// Whether this is a CONNECT of version 5, of which no more than the fixed header may be as it should.
fn is_v5(connect: &[u8]) -> bool {
    let more = connect.iter().skip(1).take(4).take_while(|byte| **byte & 0x80 != 0).count();
    let rest = connect.get(2 + more..).unwrap_or_default();
    rest.strip_prefix(b"\x00\x04MQTT").is_some_and(|rest| rest.first() == Some(&5))
}
