//! What clients send, and the answers.

use alloc::vec::Vec;

use mqtt_codec::PacketId;

use super::admission::Pending;
use super::connection::{Connection, Owed};
use super::journal::Log;
use super::{Broker, Cause, ConnectionId, Outputs, Received};
use crate::{Delta, Error, Event, Instant};

impl Broker {
    /// Takes packets off the front of `rx` and does what they ask for.
    pub fn receive(
        &mut self,
        now: Instant,
        id: ConnectionId,
        rx: &mut &[u8],
        out: &mut dyn Outputs,
    ) -> Received {
        if rx.first() == Some(&0x10) {
            if let Some(plain) = self.bridge_connect(id, rx) {
                let mut connect = &plain[..];
                let received = self.take(now, id, &mut connect, out);
                *rx = rx.get(plain.len() - connect.len()..).unwrap_or_default();
                if received != Received::All {
                    return received;
                }
            }
        }
        self.take(now, id, rx, out)
    }

    /// As [`Broker::receive`], of packets as they are.
    fn take(
        &mut self,
        now: Instant,
        id: ConnectionId,
        rx: &mut &[u8],
        out: &mut dyn Outputs,
    ) -> Received {
        loop {
            let paid = self.pay(id, out);
            let Some(connection) = self.connections.get_mut(id.0) else {
                return Received::Closed;
            };
            if !paid {
                connection.blocked = true;
                return Received::Blocked;
            }
            if connection.deferred().is_some() {
                return Received::Waiting;
            }
            let before = *rx;
            let mut tx = self.statistics.sent.counting(out.transmit(id));
            let received = connection.link.receive(now, rx, &mut tx);
            let taken = before.len() - rx.len();
            self.statistics.received.count_taken(before.get(..taken).unwrap_or_default());
            match received {
                Ok(Some(event)) => self.on_event(now, id, &event, out),
                Ok(None) => {
                    if connection.pending().is_some_and(Pending::is_undecided) {
                        return Received::Waiting;
                    }
                    if core::mem::take(&mut connection.blocked) {
                        if let Some(session) = connection.session {
                            self.pump(now, session, out);
                        }
                    }
                    return Received::All;
                }
                Err(Error::TransmitFull) => {
                    connection.blocked = true;
                    return Received::Blocked;
                }
                Err(error) => {
                    self.tell_end(id, Cause::of(&error), out);
                    self.end(now, id.0, true, out);
                    return Received::Closed;
                }
            }
        }
    }

    fn on_event(
        &mut self,
        now: Instant,
        id: ConnectionId,
        event: &Event<'_>,
        out: &mut dyn Outputs,
    ) {
        match event {
            Event::Message(message) => self.on_message(now, id, message, out),
            Event::Acknowledged { id: packet, .. } | Event::Lost { id: packet, .. } => {
                self.on_acknowledged(now, id, *packet, false, out);
            }
            Event::Received { id: packet } => self.on_acknowledged(now, id, *packet, true, out),
            Event::Released { id: packet } => self.on_released(id, *packet),
            Event::Connect(connect) => self.on_connect(now, id, connect, out),
            Event::Auth(auth) => self.on_auth(now, id, auth, out),
            Event::Subscribe(subscribe) => {
                self.subscribe_all(now, id, subscribe, Vec::new(), None, out);
            }
            Event::Unsubscribe(unsubscribe) => self.on_unsubscribe(id, unsubscribe, out),
            Event::Disconnected(disconnect) => self.on_disconnect(now, id, disconnect, out),
            _ => {}
        }
    }

    /// A message of QoS 2 is done with.
    fn on_released(&mut self, id: ConnectionId, packet: PacketId) {
        if self.journal.is_none() {
            return;
        }
        let session = self.connections.get(id.0).and_then(|connection| connection.session);
        let stored = session.and_then(|key| self.sessions.get(key)?.stored);
        if let Some(mut log) = Log::of(&mut self.journal, stored) {
            log.forgotten(packet);
        }
    }

    /// Sends an answer, or keeps it until there is room.
    pub(super) fn answer(&mut self, id: ConnectionId, owed: Owed, out: &mut dyn Outputs) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if let (Owed::Message(token, reason), true) = (&owed, self.journal.is_some()) {
            let stored = connection.session.and_then(|key| self.sessions.get(key)?.stored);
            if let (Some(mut log), Some(Delta::Inbound(packet))) =
                (Log::of(&mut self.journal, stored), token.delta(*reason))
            {
                log.taken(packet);
            }
        }
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        if !owed.send(&mut connection.link, &mut tx) {
            connection.rare_mut().owed = Some(owed);
        }
    }

    /// Sends the answer for which there was no room; `false` if there still is none.
    fn pay(&mut self, id: ConnectionId, out: &mut dyn Outputs) -> bool {
        let Some(connection) = self.connections.get_mut(id.0) else { return true };
        let Connection { link, rare, .. } = connection;
        let Some(owed) = rare.as_ref().and_then(|rare| rare.owed.as_ref()) else { return true };
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        let sent = owed.send(link, &mut tx);
        if sent {
            connection.take_rare(|rare| rare.owed.take());
        }
        sent
    }

    /// The buffer of this connection had no room and has some now.
    pub fn writable(&mut self, now: Instant, id: ConnectionId, out: &mut dyn Outputs) {
        if !self.pay(id, out) {
            return;
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let session = connection.session;
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        match connection.link.handle_timeout(now, &mut tx) {
            Ok(()) => {
                if let Some(session) = session {
                    self.pump(now, session, out);
                }
            }
            Err(Error::Peer(fault)) => {
                self.tell_end(id, Cause::Fault(fault), out);
                self.end(now, id.0, true, out);
            }
            Err(_) => {}
        }
    }
}
