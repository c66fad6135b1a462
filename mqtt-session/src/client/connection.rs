//! How a client's connections begin, stay alive, and end.

use core::time::Duration;

use mqtt_codec::{Auth, ConnAck, Connect, Disconnect, Packet, ReasonCode, Rules, Sender};

use super::{Session, State};
use crate::auth::Exchange;
use crate::{Error, Event, Fault, Instant, Limits, Misuse, Transmit};

impl Session<'_> {
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

    pub(super) fn on_connack<'rx>(&mut self, connack: ConnAck<'rx>) -> Result<Event<'rx>, Error> {
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

    pub(super) fn on_auth<'rx>(&mut self, auth: Auth<'rx>) -> Result<Event<'rx>, Error> {
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
}
