//! A connection, until it is closed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use mqtt_codec::{PacketId, Properties, ReasonCode, SubAck, UnsubAck};

use super::admission::{Authentication, Pending};
use super::deferred::{Deferred, Ticket};
use super::slab::Key;
use super::{Broker, Cause, ConnectionId, Outputs};
use crate::client::Slots;
use crate::{AckToken, Error, Instant, Transmit, server};

/// An answer that is yet to be sent.
#[derive(Debug)]
pub(super) enum Owed {
    Message(AckToken, ReasonCode),
    Subscribe(PacketId, Vec<ReasonCode>),
    Unsubscribe(PacketId, Vec<ReasonCode>),
}

impl Owed {
    /// Sends it; `false` if there is no room.
    pub(super) fn send(&self, link: &mut server::Session<'static>, tx: &mut dyn Transmit) -> bool {
        let properties = Properties::EMPTY;
        let sent = match self {
            Self::Message(token, reason) => link.acknowledge(*token, *reason, tx),
            Self::Subscribe(packet_id, reasons) => {
                let (packet_id, reasons) = (*packet_id, reasons[..].into());
                link.suback(&SubAck { packet_id, properties, reasons }, tx)
            }
            Self::Unsubscribe(packet_id, reasons) => {
                let (packet_id, reasons) = (*packet_id, reasons[..].into());
                link.unsuback(&UnsubAck { packet_id, properties, reasons }, tx)
            }
        };
        sent != Err(Error::TransmitFull)
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: server::Session<'static>,
    /// The session, once the client is let in.
    pub(super) session: Option<Key>,
    /// When its timer is set to.
    pub(super) timer: Option<Instant>,
    /// Whether what the client sends waits for room. Messages to it leave the room to the answers: it
    /// must be heard however much there is for it.
    pub(super) blocked: bool,
    /// How many answers of the policy it has waited for.
    pub(super) asked: u32,
    /// Whether the transport has proved a user name.
    pub(super) is_proven: bool,
    /// Whether it is a bridge's.
    pub(super) is_bridge: bool,
    /// Whether its client asked to be known as a bridge, in 3.1 or 3.1.1.
    pub(super) asks_as_bridge: bool,
    /// What few connections have, and none for long.
    pub(super) rare: Option<Box<Rare>>,
}

/// What waits on a connection, or goes with it, but seldom.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// An answer for which there was no room. Nothing is taken until there is.
    pub(super) owed: Option<Owed>,
    /// Until the client is let in.
    pub(super) pending: Option<Pending>,
    /// What the policy has not answered. Nothing is taken until it has.
    pub(super) deferred: Option<Deferred>,
    /// The user name that the transport has proved, until CONNECT comes.
    pub(super) identity: Option<Box<str>>,
    pub(super) authentication: Option<Authentication>,
}

impl Connection {
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn owed(&self) -> Option<&Owed> {
        self.rare.as_ref()?.owed.as_ref()
    }

    pub(super) fn pending(&self) -> Option<&Pending> {
        self.rare.as_ref()?.pending.as_ref()
    }

    pub(super) fn deferred(&self) -> Option<&Deferred> {
        self.rare.as_ref()?.deferred.as_ref()
    }

    pub(super) fn authentication_mut(&mut self) -> Option<&mut Authentication> {
        self.rare.as_mut()?.authentication.as_mut()
    }

    /// Takes something out, and gives back the memory if nothing is left.
    pub(super) fn take_rare<T>(&mut self, take: impl FnOnce(&mut Rare) -> Option<T>) -> Option<T> {
        let rare = self.rare.as_mut()?;
        let taken = take(rare);
        if let Rare {
            owed: None,
            pending: None,
            deferred: None,
            identity: None,
            authentication: None,
        } = **rare
        {
            self.rare = None;
        }
        taken
    }
}

impl Broker {
    /// A new connection, on which CONNECT is waited for. `None` if there are too many.
    pub fn open(&mut self, now: Instant) -> Option<ConnectionId> {
        if self.connections.len() >= self.config.max_connections {
            self.statistics.connections_refused += 1;
            return None;
        }
        self.open_connection(now, false)
    }

    pub(super) fn open_connection(
        &mut self,
        now: Instant,
        is_bridge: bool,
    ) -> Option<ConnectionId> {
        let config = server::Config {
            manual_acknowledge: true,
            connect_timeout: self.config.connect_timeout,
            max_connect_size: self.config.max_connect_size,
            max_packet_size: self.config.max_packet_size,
            topic_aliases: self.config.topic_aliases,
        };
        let mut slots = Slots::heap(u16::MAX);
        slots.outbound = crate::Ring::heap(self.config.max_in_flight.max(1));
        let key = self.connections.insert(Connection {
            link: server::Session::new(now, config, slots),
            session: None,
            timer: None,
            blocked: false,
            asked: 0,
            is_proven: false,
            is_bridge,
            asks_as_bridge: false,
            rare: None,
        })?;
        self.statistics.connections_opened += 1;
        self.begin_status(now);
        self.set_timer(key);
        Some(ConnectionId(key))
    }

    /// The transport of this connection has proved who its client is, as by a certificate: this user
    /// name takes the place of the one in CONNECT, and [`Client::is_proven`](super::Client::is_proven) says so to the policy. To
    /// be called before CONNECT is received; later calls have no effect.
    pub fn identify(&mut self, id: ConnectionId, user_name: &str) {
        let connection = self.connections.get_mut(id.0);
        let Some(connection) = connection.filter(|c| c.session.is_none() && c.pending().is_none())
        else {
            return;
        };
        connection.rare_mut().identity = Some(user_name.into());
        connection.is_proven = true;
    }

    /// The transport of this connection is closed, and not because of [`Outputs::close`].
    pub fn closed(&mut self, now: Instant, id: ConnectionId, out: &mut dyn Outputs) {
        self.tell_end(id, Cause::Transport, out);
        self.forget(now, id.0, true, out);
    }

    /// Says goodbye to all clients and closes their connections. Their wills are published to those
    /// that are still there, as section 3.1.2.5 has it.
    pub fn shut_down(&mut self, now: Instant, out: &mut dyn Outputs) {
        let all: Vec<Key> = self.connections.keys().collect();
        for key in all {
            self.disconnect(now, ConnectionId(key), ReasonCode::ServerShuttingDown, out);
        }
    }

    /// What the policy answers with if it answers what this connection asks now.
    pub(super) fn ticket(&self, id: ConnectionId) -> Ticket {
        let number = self.connections.get(id.0).map_or(0, |connection| connection.asked);
        Ticket { connection: id, number }
    }
}
