//! What a client asks for and the policy answers later.

use alloc::vec::Vec;

use mqtt_codec::{Packet, PacketType, Publish, QoS, ReasonCode, Rules, Sender, Subscribe, Version};

use super::admission::or_unspecified;
use super::connection::Owed;
use super::message::{Frame, Outgoing, unframe};
use super::policy::Admission;
use super::slab::Key;
use super::timers::Timer;
use super::{Broker, ConnectionId, Outputs};
use crate::{AckToken, Instant};

/// What [`Broker::resolve`] answers. It is of no use once that is answered, or the connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(super) connection: ConnectionId,
    /// How many answers this connection has waited for before.
    pub(super) number: u32,
}

impl Ticket {
    /// The connection that waits.
    #[must_use]
    pub const fn connection(self) -> ConnectionId {
        self.connection
    }
}

/// What waits on a connection: one thing at most, as nothing more is taken meanwhile.
#[derive(Debug)]
pub(super) struct Deferred {
    number: u32,
    /// How long it waits.
    until: Instant,
    what: What,
}

#[derive(Debug)]
enum What {
    Publish { frame: Frame, qos: QoS, retain: bool, token: Option<AckToken>, received: Instant },
    Subscribe(Subscribing),
}

/// A SUBSCRIBE, and the codes for those of its filters that are done with.
#[derive(Debug)]
pub(super) struct Subscribing {
    packet: Vec<u8>,
    version: Version,
    pub(super) reasons: Vec<ReasonCode>,
}

impl Subscribing {
    /// `None` if there is no room for it.
    pub(super) fn new(
        subscribe: &Subscribe<'_>,
        version: Version,
        reasons: Vec<ReasonCode>,
    ) -> Option<Self> {
        let mut packet = Vec::new();
        let rules = Rules::new(version, Sender::Client);
        rules.encode_to_vec(&Packet::Subscribe(*subscribe), &mut packet).ok()?;
        Some(Self { packet, version, reasons })
    }
}

impl Deferred {
    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        match &self.what {
            What::Publish { frame, .. } => frame.len(),
            What::Subscribe(subscribing) => subscribing.packet.len(),
        }
    }
}

impl Broker {
    /// The answer of a policy that said [`Admission::Later`]. Has no effect where none is waited for, and
    /// [`Admission::Later`] has none at all. Call [`Broker::receive`] then with what has come on that
    /// connection meanwhile.
    ///
    /// A client waits no longer than [`Config::connect_timeout`](super::Config::connect_timeout) to be let
    /// in, and for anything else than [`Config::policy_timeout`](super::Config::policy_timeout); then its
    /// connection is closed.
    pub fn resolve(
        &mut self,
        now: Instant,
        ticket: Ticket,
        answer: Admission,
        out: &mut dyn Outputs,
    ) {
        let id = ticket.connection;
        if answer == Admission::Later || self.decide(now, ticket, answer, out) {
            return;
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let is_it = |deferred: &mut Deferred| deferred.number == ticket.number;
        let deferred = connection.take_rare(|rare| rare.deferred.take_if(is_it));
        let Some(deferred) = deferred else { return };
        let session = connection.session;
        self.deferred_bytes = self.deferred_bytes.saturating_sub(deferred.bytes());
        self.timers.cancel(deferred.until, Timer::Deferred(id.0));
        if self.refuses {
            return self.disconnect(now, id, ReasonCode::ServerBusy, out);
        }
        match deferred.what {
            What::Publish { frame, qos, retain, token, received } => {
                let Some(publish) = unframe(&frame) else { return };
                let mut outgoing =
                    Outgoing::kept(received, Publish { qos, retain, ..publish }, &frame);
                let from = session.map(|key| key.index);
                let reason = self.publish_if(answer, from, &mut outgoing, out);
                if let Some(token) = token {
                    self.answer(id, Owed::Message(token, reason), out);
                }
            }
            What::Subscribe(subscribing) => {
                let rules = Rules::new(subscribing.version, Sender::Client);
                if let Ok(Some(Packet::Subscribe(subscribe))) =
                    rules.decode(&mut &subscribing.packet[..])
                {
                    self.subscribe_all(now, id, &subscribe, subscribing.reasons, Some(answer), out);
                }
            }
        }
    }

    /// Publishes a message if that is allowed; the code for its acknowledgement.
    pub(super) fn publish_if(
        &mut self,
        answer: Admission,
        from: Option<u32>,
        message: &mut Outgoing<'_>,
        out: &mut dyn Outputs,
    ) -> ReasonCode {
        match answer.refused() {
            Some(reason) => {
                self.statistics.publishes_refused += 1;
                or_unspecified(reason, PacketType::PubAck)
            }
            None if self.route(from, message, out) => ReasonCode::Success,
            None => ReasonCode::NoMatchingSubscribers,
        }
    }

    /// Keeps a message until the policy answers; `false` if there is no room for it.
    pub(super) fn defer_publish(
        &mut self,
        now: Instant,
        id: ConnectionId,
        publish: &Publish<'_>,
        token: Option<AckToken>,
    ) -> bool {
        let Some(frame) = Outgoing::new(now, *publish).frame(&mut self.scratch) else {
            return false;
        };
        let (qos, retain, received) = (publish.qos, publish.retain, now);
        self.defer(now, id, What::Publish { frame, qos, retain, token, received })
    }

    /// Keeps a SUBSCRIBE until the policy answers; `false` if there is no room for it.
    pub(super) fn defer_subscribe(
        &mut self,
        now: Instant,
        id: ConnectionId,
        subscribing: Subscribing,
    ) -> bool {
        self.defer(now, id, What::Subscribe(subscribing))
    }

    fn defer(&mut self, now: Instant, id: ConnectionId, what: What) -> bool {
        let until = now + self.config.policy_timeout;
        let Some(connection) = self.connections.get_mut(id.0) else { return false };
        let deferred = Deferred { number: connection.asked, until, what };
        let bytes = self.deferred_bytes.saturating_add(deferred.bytes());
        if bytes > self.config.max_deferred_bytes {
            return false;
        }
        self.deferred_bytes = bytes;
        connection.asked = connection.asked.wrapping_add(1);
        connection.rare_mut().deferred = Some(deferred);
        self.timers.set(until, Timer::Deferred(id.0));
        true
    }

    /// The policy has not answered in time: the client may come again.
    pub(super) fn on_deferred_timer(&mut self, now: Instant, key: Key, out: &mut dyn Outputs) {
        let deferred = self.connections.get(key).and_then(|c| c.deferred());
        if deferred.is_some_and(|deferred| deferred.until <= now) {
            self.disconnect(now, ConnectionId(key), ReasonCode::ServerBusy, out);
        }
    }

    /// Forgets what waits on a connection that ends.
    pub(super) fn forget_deferred(&mut self, key: Key, deferred: &Deferred) {
        self.deferred_bytes = self.deferred_bytes.saturating_sub(deferred.bytes());
        self.timers.cancel(deferred.until, Timer::Deferred(key));
    }
}
