//! What is due.

use super::session::Session;
use super::slab::Key;
use super::timers::Timer;
use super::{Broker, Cause, ConnectionId, Outputs};
use crate::{Error, Instant};

impl Broker {
    /// When to call [`Broker::handle_timeout`]; `None`: never. Earlier calls do no harm.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outputs) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Connection(key) => self.on_connection_timer(now, key, out),
                Timer::Session(key) => {
                    let session = self.sessions.get(key);
                    if session.and_then(|session| session.expires).is_some_and(|at| at <= now) {
                        self.statistics.sessions_expired += 1;
                        self.discard(now, key, out);
                    }
                }
                Timer::Will(key) => {
                    let session = self.sessions.get(key);
                    if session.and_then(Session::will_due).is_some_and(|at| at <= now) {
                        self.publish_will(now, key, out);
                        self.store_session(key);
                    }
                }
                Timer::Replay(key) => self.pump(now, key, out),
                Timer::Deferred(key) => self.on_deferred_timer(now, key, out),
                Timer::Status => self.publish_status(now, out),
                Timer::Retained(node) => self.expire_retained(now, node),
            }
        }
    }

    fn on_connection_timer(&mut self, now: Instant, key: Key, out: &mut dyn Outputs) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.timer = None;
        let mut tx = self.statistics.sent.counting(out.transmit(ConnectionId(key)));
        match connection.link.handle_timeout(now, &mut tx) {
            Err(Error::Peer(fault)) => {
                self.statistics.timeouts += 1;
                self.tell_end(ConnectionId(key), Cause::Fault(fault), out);
                self.end(now, key, true, out);
            }
            // The client does not even take its answers.
            Err(_) if connection.link.next_timeout().is_some_and(|due| due <= now) => {
                self.statistics.timeouts += 1;
                self.tell_end(ConnectionId(key), Cause::Stuck, out);
                self.end(now, key, true, out);
            }
            _ => self.set_timer(key),
        }
    }

    /// Sets the timer of a connection if it is not set to a time before.
    pub(super) fn set_timer(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(due) = connection.link.next_timeout() else { return };
        if connection.timer.is_some_and(|timer| timer <= due) {
            return;
        }
        if let Some(timer) = connection.timer.replace(due) {
            self.timers.cancel(timer, Timer::Connection(key));
        }
        self.timers.set(due, Timer::Connection(key));
    }
}
