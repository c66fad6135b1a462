//! The driver while there is no connection: attempts, and when the next one is due.

use std::io;

use mqtt_session::Instant;

use super::answers::Awaited;
use super::{Driver, Phase, Step};
use crate::authentication::Exchange;
use crate::{ConnectionEvent, Error, Server, Transport, layers};

impl Driver {
    pub(super) fn target(&self) -> Option<&Server> {
        if self.redirect.is_some() {
            return self.redirect.as_ref();
        }
        let servers = &self.options.servers;
        servers.get(self.server.checked_rem(servers.len()).unwrap_or(0))
    }

    pub(super) fn io_error(&self, source: io::Error) -> Error {
        match self.target() {
            Some(server) => Error::io(server.clone(), source),
            None => Error::Url(crate::UrlError::Host),
        }
    }

    pub(super) fn waiting(&mut self, now: Instant, until: Instant) -> Step {
        if self.closing_ends(now) {
            return self.finish(&Error::Closed);
        }
        if now < until {
            self.phase = Phase::Waiting(until);
            return Step::Wait(Some(until));
        }
        let Some(server) = self.target().cloned() else {
            return self.finish(&Error::Url(crate::UrlError::Host));
        };
        let transport = layers::open(&mut *self.runtime, &server, &self.options);
        let until = now + self.options.response_timeout;
        self.phase = Phase::Connecting { transport, until };
        Step::Again
    }

    /// Sends CONNECT.
    pub(super) fn begin(&mut self, now: Instant, transport: Transport) -> Step {
        if let Err(error) = self.begin_exchange() {
            return self.lost(now, error);
        }
        let Self { options, session, tx, client_id, exchange, .. } = self;
        // A session that was kept is gone on with, but not one of an earlier run.
        let clean_start = options.clean_start
            && !self.restored
            && (!self.ever_accepted || !options.version.has_properties());
        let authentication = exchange.as_ref().map(Exchange::properties);
        let authentication = authentication.as_ref().map_or(&[][..], |properties| properties);
        let sent = options.with_connect(client_id, clean_start, authentication, |connect| {
            session.connect(now, connect, tx.packets())
        });
        match sent {
            Ok(()) => {
                self.phase = Phase::Online(transport);
                Step::Again
            }
            Err(error) => self.finish(&Error::Options(error)),
        }
    }

    /// The connection is gone, or there was none.
    pub(super) fn lost(&mut self, now: Instant, error: Error) -> Step {
        self.session.closed();
        self.tx.clear();
        self.rx.clear();
        self.epoch += 1;
        self.pause = None;
        self.awaited = Awaited::default();
        self.tell_written(false);
        let policy = &self.options.reconnect;
        let accepted = self.accepted.is_some();
        match self.accepted.take() {
            Some(since) if now.since(since) >= policy.stable_after => self.backoff.reset(),
            Some(_) => {}
            None if self.redirect.take().is_some() => {}
            None => self.server = self.server.wrapping_add(1),
        }
        if let Some(server) = self.server_reference.take() {
            self.redirect = Some(server);
        }
        let useless = (policy.give_up)(&error);
        if accepted || !useless {
            self.refusals = 0;
        }
        self.refusals += usize::from(useless);
        // Another server may have another opinion, unless it was accepted by this one.
        let useless = useless && (accepted || self.refusals >= self.options.servers.len());
        let again = policy.enabled && (policy.first || self.ever_accepted) && !useless;
        let wait =
            if again && !self.closing_ends(now) { self.backoff.failed(policy) } else { None };
        let Some(wait) = wait else { return self.finish(&error) };
        self.shared.tell(&ConnectionEvent::Disconnected { error, retry_after: Some(wait) });
        self.phase = Phase::Waiting(now + wait);
        Step::Again
    }
}
