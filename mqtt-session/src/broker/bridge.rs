//! Bridges: clients of the embedder's own, which carry messages to and from another broker.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use mqtt_codec::{PacketId, ReasonCode, Subscription, Version};

use super::config::{Config, Overflow};
use super::connect::NEVER;
use super::journal::{Journal, Log};
use super::slab::Key;
use super::subscriptions::from_path;
use super::{Broker, ConnectionId, Outputs};
use crate::{Delta, Instant};

/// What the client identifiers of bridges begin with, which nobody from outside may have.
pub(super) const PREFIX: &str = "$bridge/";

/// How much may wait for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    /// Most messages.
    pub max_messages: usize,
    /// Most bytes of them, as [`Config::max_queued_bytes`] counts.
    pub max_bytes: usize,
    /// What becomes of a message for which there is no room.
    pub overflow: Overflow,
}

impl QueueBounds {
    /// Those of every session.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        Self {
            max_messages: config.max_queued_messages,
            max_bytes: config.max_queued_bytes,
            overflow: config.overflow,
        }
    }
}

/// A client that is set up by who embeds the broker: its session is there with and without a connection,
/// so that what it subscribes to waits for it.
#[derive(Clone, Copy, Debug)]
pub struct Bridge<'a> {
    /// Its client identifier is `$bridge/` and this name.
    pub name: &'a str,
    /// What it subscribes to.
    pub subscriptions: &'a [Subscription<'a>],
    /// How much may wait for it.
    pub queue: QueueBounds,
}

/// What there is for one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages that wait to be sent.
    pub messages: usize,
    /// How many bytes they are counted as.
    pub bytes: usize,
    /// Messages that are sent and not acknowledged.
    pub in_flight: usize,
}

impl Broker {
    /// Has these bridges and no others: their sessions are there from now on, with just these
    /// subscriptions, and those of other bridges end. To be called again when the set changes, and after
    /// [`Broker::restore`].
    ///
    /// # Errors
    /// Why there is no room for a session or a subscription; [`ReasonCode::ClientIdentifierNotValid`] if a
    /// name is too long.
    pub fn set_bridges(
        &mut self,
        now: Instant,
        bridges: &[Bridge<'_>],
        out: &mut dyn Outputs,
    ) -> Result<(), ReasonCode> {
        let others: Vec<Key> = self
            .sessions
            .keys()
            .filter(|key| {
                let name = self.sessions.get(*key).and_then(|s| s.client_id.strip_prefix(PREFIX));
                name.is_some_and(|name| bridges.iter().all(|bridge| bridge.name != name))
            })
            .collect();
        for key in others {
            if let Some(connection) = self.sessions.get(key).and_then(|s| s.connection) {
                self.disconnect(
                    now,
                    ConnectionId(connection),
                    ReasonCode::AdministrativeAction,
                    out,
                );
            }
            self.discard(now, key, out);
        }
        bridges.iter().try_for_each(|bridge| self.set_bridge(now, bridge, out))
    }

    fn set_bridge(
        &mut self,
        now: Instant,
        bridge: &Bridge<'_>,
        out: &mut dyn Outputs,
    ) -> Result<(), ReasonCode> {
        let client_id = format!("{PREFIX}{}", bridge.name);
        if client_id.len() > usize::from(u16::MAX) {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        let key = self.find_client(&client_id).or_else(|| self.add_session(&client_id));
        let key = key.ok_or(ReasonCode::QuotaExceeded)?;
        let Some(session) = self.sessions.get_mut(key) else {
            return Err(ReasonCode::UnspecifiedError);
        };
        session.is_bridge = true;
        session.bounds = Some(Box::new(bridge.queue));
        session.expiry = NEVER;
        if session.stored.is_none() {
            session.stored = self.journal.as_mut().and_then(Journal::new_session);
        }
        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
            log.session(session);
        }
        let earlier: Vec<Vec<u8>> = session
            .subscriptions
            .iter()
            .filter_map(|sub| self.subscriptions.get(*sub).map(|(path, _)| path))
            .collect();
        for path in &earlier {
            let Some((filter, group)) = from_path(path) else { continue };
            if group.is_none() && bridge.subscriptions.iter().any(|s| s.filter == filter) {
                continue;
            }
            self.subscriptions.unsubscribe(key.index, &mut session.subscriptions, filter, group);
            if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
                log.unsubscribed(path);
            }
        }
        for subscription in bridge.subscriptions {
            self.subscribe(key, Version::V5, subscription, None, subscription.qos)?;
        }
        self.pump(now, key, out);
        Ok(())
    }

    /// A new connection for a bridge, on which CONNECT with the client identifier of one is waited for.
    /// It is let in however many connections there are, and no limit of Keep Alive, Session Expiry Interval
    /// or Receive Maximum holds for it.
    pub fn open_bridge(&mut self, now: Instant) -> Option<ConnectionId> {
        self.open_connection(now, true)
    }

    /// What there is for a bridge; `None` if it has no session.
    #[must_use]
    pub fn waiting(&self, bridge: &str) -> Option<Waiting> {
        let session = self.sessions.get(self.find_client(&format!("{PREFIX}{bridge}"))?)?;
        let held = session.backlog.as_ref().map(|backlog| backlog.held()).unwrap_or_default();
        Some(Waiting { messages: held.queued, bytes: held.queued_bytes, in_flight: held.in_flight })
    }

    /// A packet identifier that no message on its way to a bridge has, for a packet of its own to the broker
    /// behind it.
    #[must_use]
    pub fn unused_packet_id(&self, bridge: &str) -> PacketId {
        let key = self.find_client(&format!("{PREFIX}{bridge}"));
        let session = key.and_then(|key| self.sessions.get(key));
        let connection = session.and_then(|session| self.connections.get(session.connection?));
        let left = session.and_then(|session| session.left.as_deref());
        let link = connection.map(|connection| &connection.link).or(left);
        let is_used =
            |id: PacketId| link.is_some_and(|l| l.in_flight().any(|(other, _)| other == id));
        // From the end: they are handed out from the beginning.
        let mut all = (1..=u16::MAX).rev().filter_map(PacketId::new);
        all.find(|id| !is_used(*id)).unwrap_or(PacketId::MAX)
    }

    /// Forgets which messages of QoS 2 a bridge has sent that are not done with: the broker behind it knows
    /// no more of them and begins anew, with the same identifiers. Ends the bridge's connection.
    pub fn forget_received(&mut self, now: Instant, bridge: &str, out: &mut dyn Outputs) {
        let Some(key) = self.find_client(&format!("{PREFIX}{bridge}")) else { return };
        if let Some(connection) = self.sessions.get(key).and_then(|s| s.connection) {
            self.disconnect(now, ConnectionId(connection), ReasonCode::SessionTakenOver, out);
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(left) = &mut session.left else { return };
        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
            left.received().for_each(|id| log.forgotten(id));
        }
        left.restore(Delta::InboundReset);
    }
}
