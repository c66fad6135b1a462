//! Sockets that the broker has done with. What it said last still has to arrive: a socket that is
//! closed while bytes from its peer wait unread takes back what it has sent. A client that has sent
//! DISCONNECT sends nothing behind it [MQTT-3.14.4-1], and need not be waited for.

use core::time::Duration;
use std::io;
use std::time::Instant;

use super::connection::Tx;

/// How long a peer may take to notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many peers may be waited for.
const MAX: usize = 4096;

/// A socket of which only the end is waited for.
#[derive(Debug)]
struct Lingering {
    tx: Tx,
    is_shut: bool,
    until: Instant,
}

/// Sockets that the broker has done with.
#[derive(Debug, Default)]
pub(super) struct Lingerers {
    places: Vec<Option<Lingering>>,
    len: usize,
}

impl Lingerers {
    /// Has the socket say what is left to say. If it lingers, the index at which it is kept.
    pub(super) fn add(&mut self, mut tx: Tx) -> Option<usize> {
        tx.transport.hurry();
        // Where there was no room, there is for the last of it.
        tx.writable();
        let mut lingering = Lingering { tx, is_shut: false, until: Instant::now() + PATIENCE };
        if lingering.step() || self.len >= MAX {
            return None;
        }
        let index = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if index == self.places.len() {
            self.places.push(None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(lingering);
            self.len += 1;
        }
        Some(index)
    }

    /// The socket at this index.
    pub(super) fn tx(&mut self, index: usize) -> Option<&mut Tx> {
        self.places.get_mut(index)?.as_mut().map(|lingering| &mut lingering.tx)
    }

    /// Something has happened to the socket at this index.
    pub(super) fn on_event(&mut self, index: usize, writable: bool) {
        let Some(place) = self.places.get_mut(index) else { return };
        let Some(lingering) = place else { return };
        if writable {
            lingering.tx.writable();
        }
        if lingering.step() {
            *place = None;
            self.len -= 1;
        }
    }

    /// When one of them has lingered long enough, if there is one.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        self.places.iter().flatten().map(|lingering| lingering.until).min()
    }

    /// Closes those that have lingered long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.len == 0 {
            return;
        }
        for place in &mut self.places {
            if place.as_ref().is_some_and(|lingering| lingering.until <= now) {
                *place = None;
                self.len -= 1;
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Lingering {
    /// Goes on as far as possible; whether it is done.
    fn step(&mut self) -> bool {
        self.tx.flush();
        if !self.tx.is_empty() {
            return false;
        }
        if self.tx.is_done && self.tx.transport.is_plain() {
            return true;
        }
        if !self.is_shut {
            while self.tx.transport.say_goodbye() {
                self.tx.flush();
                if !self.tx.is_empty() {
                    return false;
                }
                if self.tx.is_broken() {
                    return true;
                }
            }
            self.is_shut = true;
            if self.tx.transport.shutdown().is_err() {
                return true;
            }
        }
        let mut sink = [0; 4096];
        // What the peer goes on sending is bounded by the time it has.
        for _ in 0..64 {
            match self.tx.transport.discard(&mut sink) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        // More than any peer that speaks the protocol would have on the way.
        true
    }
}
