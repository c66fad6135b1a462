//! The driver in exchanges of enhanced authentication.

use mqtt_codec::{Auth, Disconnect, ReasonCode};
use mqtt_session::Instant;

use super::Driver;
use crate::{Authentication, Error};

impl Driver {
    /// Begins the exchange of a connection, if there is to be one, with what goes into CONNECT.
    pub(super) fn begin_exchange(&mut self) -> Result<(), Error> {
        self.exchange = self.options.authentication.as_ref().map(Authentication::begin);
        self.exchange.as_mut().map_or(Ok(()), |exchange| exchange.step(None))
    }

    /// Begins a re-authentication, if one is wanted and none is going on: with the connection there is
    /// otherwise a new one anyway.
    pub(super) fn reauthenticate(&mut self, now: Instant) -> Result<(), Error> {
        if self.reauthenticating.is_empty()
            || self.exchange.is_some()
            || !self.session.is_connected()
        {
            return Ok(());
        }
        self.begin_exchange()?;
        self.answer(now, ReasonCode::ReAuthenticate)
    }

    fn answer(&mut self, now: Instant, reason: ReasonCode) -> Result<(), Error> {
        self.await_auth();
        let Self { session, tx, exchange: Some(exchange), .. } = self else { return Ok(()) };
        let sent = exchange.with_answer(reason, |auth| session.auth(now, auth, tx.packets()));
        sent.map_err(Error::Protocol)
    }

    /// AUTH came.
    pub(super) fn on_auth(&mut self, now: Instant, auth: &Auth<'_>) -> Result<(), Error> {
        let data = auth.properties.authentication_data();
        if auth.reason == ReasonCode::Success {
            return self.authenticated(data);
        }
        let unasked = Err(Error::Authentication(ReasonCode::ProtocolError));
        let step = self.exchange.as_mut().map_or(unasked, |e| e.step(Some(data.unwrap_or(&[]))));
        self.content(step)?;
        self.answer(now, ReasonCode::ContinueAuthentication)
    }

    /// The server is content: with CONNACK or AUTH. Whether the mechanism is, too.
    pub(super) fn authenticated(&mut self, data: Option<&[u8]>) -> Result<(), Error> {
        let end = self.exchange.take().map_or(Ok(()), |exchange| exchange.end(data));
        self.content(end)?;
        for done in self.reauthenticating.drain(..) {
            // Nobody may wait any more.
            let _ = done.send(Ok(()));
        }
        Ok(())
    }

    /// If not, the server is told \[MQTT-4.12.1-2].
    fn content(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        if result.is_err() {
            let goodbye = Disconnect::new(ReasonCode::NotAuthorized);
            // Before CONNACK there is nothing to be said.
            let _ = self.session.disconnect(&goodbye, self.tx.packets());
        }
        result
    }
}
