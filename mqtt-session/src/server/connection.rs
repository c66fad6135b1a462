//! How a connection begins, stays alive, and ends.

use core::time::Duration;

use mqtt_codec::{
    Auth, ConnAck, Connect, DecodeError, Disconnect, ErrorClass, Packet, PacketType, ReasonCode,
    Rules, Sender, Version, Violation,
};

use super::{Session, State};
use crate::auth::Exchange;
use crate::link::explains;
use crate::{Error, Event, Fault, Instant, Limits, Misuse, Transmit};

impl Session<'_> {
    /// Whether nothing is taken now: all is over, or CONNECT is to be answered before this packet is
    /// read.
    #[inline(never)]
    pub(super) fn must_wait(&self, rx: &[u8]) -> Result<bool, Fault> {
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

    pub(super) fn on_connect(&mut self, connect: &Connect<'_>) {
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

    pub(super) fn on_auth<'rx>(&mut self, auth: Auth<'rx>) -> Result<Event<'rx>, Error> {
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

    pub(super) fn on_disconnect<'rx>(
        &mut self,
        disconnect: Disconnect<'rx>,
    ) -> Result<Event<'rx>, Error> {
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

    pub(super) fn fail(&mut self, fault: Fault, tx: &mut dyn Transmit) {
        // Not before CONNACK [MQTT-3.14.0-1].
        if self.state == State::Connected {
            self.link.say_why(&fault, tx);
        }
        self.state = State::Closed;
    }

    /// A packet that cannot be read. A CONNECT is answered by CONNACK where that can say why.
    pub(super) fn refuse(&mut self, error: DecodeError, rx: &[u8], tx: &mut dyn Transmit) {
        let connect = rx.first().is_some_and(|byte| byte >> 4 == PacketType::Connect as u8);
        if self.state == State::Waiting && connect {
            let reason = error.reason_code();
            let unsupported = error.violation.class() == ErrorClass::UnsupportedProtocol;
            let version = match error.violation {
                // A client of a version that is yet to come reads the latest one.
                Violation::ProtocolLevel => match rx.get(error.offset as usize) {
                    // So mosquitto's bridges ask to be known as such. A broker reads it before; who does not
                    // tells them in their language to go on as other clients.
                    Some(0..=4 | 0x83 | 0x84) | None => Version::V311,
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
