//! What goes between this broker and the other one, packet by packet.
//!
//! To this broker a bridge is a client with a session, and to the other one as well. The packets of one
//! session go on in the other with the identifiers that they have: who has received a message acknowledges
//! it to who has sent it. So a message is in the session of one broker until the other has it, and neither
//! is there anything to lose between them nor to be stored.

mod oversized;
#[cfg(test)]
mod tests;
mod unwanted;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::num::{NonZeroU16, NonZeroU32};
use std::time::Instant;

use mqtt_codec::{
    Ack, ConnAck, Connect, DecodeError, Disconnect, Packet, PacketId, PacketType, Property,
    PropertyId, Publish, QoS, ReasonCode, Rules, Sender, SubAck, Subscribe, Text, TopicName,
    Version,
};
use tracing::{info, warn};

use super::echoes::Echoes;
use super::topics::{Side, Way};
use super::trail::Trail;
use super::{BridgeSettings, Numbers};
use unwanted::Unwanted;

/// What the client identifiers of bridges begin with on this broker.
const PREFIX: &str = "$bridge/";

/// Why a connection cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// The other broker does not let the bridge in.
    Refused(ReasonCode),
    /// The other broker said goodbye.
    Ended(ReasonCode),
    /// What the other broker sent is not MQTT as it should be.
    Malformed(DecodeError),
    /// It sent what it must not.
    Unexpected(&'static str),
    /// This broker takes nothing now.
    Local(ReasonCode),
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Refused(reason) => {
                write!(f, "it refuses the bridge: {reason} (0x{:02X})", reason.value())
            }
            Self::Ended(reason) => {
                write!(f, "it ended the connection: {reason} (0x{:02X})", reason.value())
            }
            Self::Malformed(error) => write!(f, "it broke the protocol: {error}"),
            Self::Unexpected(what) => write!(f, "it broke the protocol: {what}"),
            Self::Local(reason) => write!(f, "this broker does not take it: {reason}"),
        }
    }
}

/// What the other broker said that whoever has the sockets must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The bridge is let in; whether the other broker has its session.
    LetIn { session_present: bool },
    /// What was subscribed to is.
    Subscribed,
}

/// What the other broker allows.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    qos: QoS,
    retain: bool,
    max_packet_size: Option<NonZeroU32>,
    receive_maximum: NonZeroU16,
    keep_alive: u16,
}

/// The state of a bridge but for its sockets. It outlives connections.
#[derive(Debug)]
pub(super) struct Relay {
    settings: Arc<BridgeSettings>,
    numbers: Arc<Numbers>,
    out: Way,
    into: Way,
    /// The largest packet that this broker takes.
    max_packet_size: u32,
    /// The highest QoS that it grants.
    maximum_qos: QoS,
    allowed: Allowed,
    is_connected: bool,
    /// Whether the other broker has granted all that was subscribed to, in the session that it has now.
    is_subscribed: bool,
    /// The highest QoS with which messages go there, as far as it is known.
    highest: QoS,
    /// Messages of QoS 2 of this broker that go as QoS 1, until the other one has them.
    lowered: BTreeSet<PacketId>,
    /// Messages that go with QoS 2, until the other broker says how it has taken them.
    exact: BTreeSet<PacketId>,
    /// Identifiers of this broker whose PUBREL is answered here.
    done_local: BTreeSet<PacketId>,
    /// The same of the other broker.
    done_remote: BTreeSet<PacketId>,
    /// What 3.1.1 will send back.
    echoes: Option<Echoes>,
    /// For a topic's name on the other side.
    name: String,
    trail: Trail,
    /// How much of a message that is too large is yet to be passed over.
    skipped: usize,
    unwanted: Unwanted,
}

impl Relay {
    pub(super) fn new(
        settings: Arc<BridgeSettings>,
        numbers: Arc<Numbers>,
        max_packet_size: u32,
        maximum_qos: QoS,
    ) -> Self {
        let out = Way::new(&settings.topics, Side::Remote);
        let into = Way::new(&settings.topics, Side::Local);
        Self {
            out,
            into,
            max_packet_size,
            maximum_qos: maximum_qos.min(settings.max_qos),
            allowed: Allowed {
                qos: QoS::ExactlyOnce,
                retain: true,
                max_packet_size: None,
                receive_maximum: settings.max_in_flight,
                keep_alive: settings.keep_alive.get(),
            },
            is_connected: false,
            is_subscribed: false,
            highest: settings.max_qos,
            lowered: BTreeSet::new(),
            exact: BTreeSet::new(),
            done_local: BTreeSet::new(),
            done_remote: BTreeSet::new(),
            echoes: (!settings.version.has_properties()).then(Echoes::default),
            name: String::new(),
            trail: Trail::new(&settings.name, settings.max_hops),
            skipped: 0,
            unwanted: Unwanted::default(),
            settings,
            numbers,
        }
    }

    /// Seconds after which the other broker must have heard of the bridge.
    pub(super) const fn keep_alive(&self) -> u16 {
        self.allowed.keep_alive
    }

    /// Whether messages of QoS 2 go to the other broker.
    pub(super) fn sends_exactly_once(&self) -> bool {
        self.out.highest_qos().min(self.highest) == QoS::ExactlyOnce
    }

    /// Rules for what the other broker sends.
    fn remote(&self) -> Rules {
        let max_packet_size = self.largest();
        Rules { max_packet_size, ..Rules::new(self.settings.version, Sender::Server) }
    }

    /// The largest packet that is taken from the other broker.
    fn largest(&self) -> u32 {
        self.max_packet_size.saturating_sub(self.growth(&self.into)).max(128)
    }

    /// By how many bytes a message may become longer on this way.
    fn growth(&self, way: &Way) -> u32 {
        u32::try_from(way.growth() + self.trail.len()).unwrap_or(u32::MAX)
    }

    /// Appends a packet for the other broker.
    fn up(&self, packet: &Packet<'_>, up: &mut Vec<u8>) -> bool {
        Rules::new(self.settings.version, Sender::Client).encode_to_vec(packet, up).is_ok()
    }

    /// A new connection to the other broker: what to say first.
    pub(super) fn connect(&mut self, clean_start: bool, up: &mut Vec<u8>) {
        let settings = Arc::clone(&self.settings);
        self.is_connected = false;
        self.skipped = 0;
        // They come again, and then with what is known now.
        self.exact.clear();
        let mut properties = vec![
            Property::ReceiveMaximum(settings.max_in_flight),
            Property::SessionExpiryInterval(settings.session_expiry),
        ];
        properties.extend(NonZeroU32::new(self.largest()).map(Property::MaximumPacketSize));
        let connect = Connect {
            clean_start: clean_start || settings.clean_start,
            keep_alive: settings.keep_alive.get(),
            properties: match settings.version.has_properties() {
                true => properties[..].into(),
                false => [][..].into(),
            },
            user_name: settings.user_name.as_deref().map(Text::new),
            password: settings.password.as_ref().map(String::as_bytes),
            ..Connect::new(settings.version, &settings.client_id)
        };
        self.up(&Packet::Connect(connect), up);
    }

    /// The connection to this broker is there: what to say first, on either side.
    pub(super) fn attach(
        &mut self,
        session_present: bool,
        packet_id: PacketId,
        up: &mut Vec<u8>,
        down: &mut Vec<u8>,
    ) -> bool {
        if !session_present {
            self.done_remote.clear();
            self.is_subscribed = false;
        }
        let client_id = format!("{PREFIX}{}", self.settings.name);
        let in_flight = match self.unwanted.begin() {
            true => NonZeroU16::MIN,
            false => self.settings.max_in_flight.min(self.allowed.receive_maximum),
        };
        let mut properties =
            vec![Property::SessionExpiryInterval(u32::MAX), Property::ReceiveMaximum(in_flight)];
        if let Some(max) = self.allowed.max_packet_size {
            let max = max.get().saturating_sub(self.growth(&self.out)).max(1);
            properties.extend(NonZeroU32::new(max).map(Property::MaximumPacketSize));
        }
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: properties[..].into(),
            ..Connect::new(Version::V5, &client_id)
        };
        local(&Packet::Connect(connect), down);
        // In 3.1.1 each SUBSCRIBE brings all retained messages, as if they were new.
        let is_subscribed = self.is_subscribed && !self.settings.version.has_properties();
        if self.into.is_empty() || is_subscribed {
            return false;
        }
        let subscriptions = self.into.subscriptions(self.maximum_qos);
        let subscribe = Subscribe {
            packet_id,
            properties: [][..].into(),
            subscriptions: subscriptions[..].into(),
        };
        self.up(&Packet::Subscribe(subscribe), up)
    }

    /// Takes one packet of the other broker off the front of `rx`; `Ok(None)` if it is not all there.
    pub(super) fn take_remote(
        &mut self,
        rx: &mut &[u8],
        up: &mut Vec<u8>,
        down: &mut Vec<u8>,
    ) -> Result<Option<Option<Told>>, Fault> {
        if self.is_connected && !self.settings.version.has_properties() {
            if let Some(passed) = self.pass_over(rx, up) {
                return Ok(passed.then_some(None));
            }
        }
        let Some(packet) = self.remote().decode(rx).map_err(Fault::Malformed)? else {
            return Ok(None);
        };
        if self.is_connected == matches!(packet, Packet::ConnAck(_)) {
            return Err(Fault::Unexpected("CONNACK is the first packet, and comes once"));
        }
        match packet {
            Packet::ConnAck(connack) => {
                return self.on_connack(&connack).map(|told| Some(Some(told)));
            }
            Packet::SubAck(suback) => {
                self.on_suback(&suback);
                return Ok(Some(Some(Told::Subscribed)));
            }
            Packet::Publish(publish) if publish.properties.contains(PropertyId::TopicAlias) => {
                return Err(Fault::Unexpected("a topic alias was not asked for [MQTT-3.1.2-27]"));
            }
            Packet::Publish(publish) => self.on_remote_publish(&publish, up, down),
            Packet::PubAck(ack) => {
                self.unwanted.answered();
                self.count_refused(&ack);
                let was_exact = self.exact.remove(&ack.packet_id);
                if was_exact {
                    self.lower();
                }
                if self.lowered.remove(&ack.packet_id) || was_exact {
                    self.done_local.insert(ack.packet_id);
                    local(&Packet::PubRec(Ack::new(ack.packet_id)), down);
                } else {
                    local(&Packet::PubAck(plain(&ack, PacketType::PubAck)), down);
                }
            }
            Packet::PubRec(ack) => {
                self.unwanted.answered();
                self.exact.remove(&ack.packet_id);
                self.count_refused(&ack);
                local(&Packet::PubRec(plain(&ack, PacketType::PubRec)), down);
            }
            Packet::PubRel(ack) if self.done_remote.remove(&ack.packet_id) => {
                self.up(&Packet::PubComp(Ack::new(ack.packet_id)), up);
            }
            Packet::PubRel(ack) => local(&Packet::PubRel(plain(&ack, PacketType::PubRel)), down),
            Packet::PubComp(ack) => local(&Packet::PubComp(plain(&ack, PacketType::PubComp)), down),
            Packet::PingResp => {}
            Packet::Disconnect(Disconnect { reason, .. }) => {
                self.unwanted.excused(reason);
                self.unwanted.ended();
                return Err(Fault::Ended(reason));
            }
            _ => return Err(Fault::Unexpected("a bridge does not ask for that")),
        }
        Ok(Some(None))
    }

    fn on_connack(&mut self, connack: &ConnAck<'_>) -> Result<Told, Fault> {
        if connack.reason != ReasonCode::Success {
            return Err(Fault::Refused(connack.reason));
        }
        let settings = &self.settings;
        let properties = &connack.properties;
        self.is_connected = true;
        self.allowed = Allowed {
            qos: properties.maximum_qos().unwrap_or(QoS::ExactlyOnce).min(self.highest),
            retain: properties.retain_available().unwrap_or(true),
            max_packet_size: properties.maximum_packet_size(),
            receive_maximum: properties.receive_maximum().unwrap_or(NonZeroU16::MAX),
            keep_alive: properties.server_keep_alive().unwrap_or(settings.keep_alive.get()),
        };
        let session_present = connack.session_present;
        info!(bridge = settings.name, session_present, "the other broker lets the bridge in");
        if self.allowed.qos < self.out.highest_qos().min(self.highest) {
            let qos = self.allowed.qos.bits();
            warn!(
                bridge = settings.name,
                qos, "the other broker takes no higher QoS: messages go by it"
            );
        }
        Ok(Told::LetIn { session_present })
    }

    /// Tells what the bridge does not get.
    fn on_suback(&mut self, suback: &SubAck<'_>) {
        self.is_subscribed = suback.reasons.iter().all(|reason| !reason.is_failure());
        let subscriptions = self.into.subscriptions(self.maximum_qos);
        for (reason, subscription) in suback.reasons.iter().zip(&subscriptions) {
            let filter = subscription.filter.as_str();
            let bridge = &self.settings.name;
            if reason.is_failure() {
                warn!(bridge, filter, %reason, "the other broker refuses this subscription");
            } else if reason.value() < subscription.qos.bits() {
                warn!(bridge, filter, qos = reason.value(), "the other broker grants a lower QoS");
            }
        }
    }

    /// The other broker has answered PUBLISH of QoS 2 with PUBACK, as RabbitMQ 3 does: it has the message, once
    /// or more often, and there is nothing else to be had from it.
    fn lower(&mut self) {
        if self.highest == QoS::ExactlyOnce {
            let bridge = &self.settings.name;
            warn!(bridge, "the other broker takes QoS 2 for QoS 1: messages go by that");
        }
        self.highest = self.highest.min(QoS::AtLeastOnce);
        self.allowed.qos = self.allowed.qos.min(self.highest);
    }

    fn count_dropped(&self) {
        Numbers::add(&self.numbers.dropped);
        self.numbers.complain(|count| {
            let bridge = &self.settings.name;
            warn!(
                bridge,
                count, "messages of the other broker fit no topic rule, or are too large"
            );
        });
    }

    /// A message of the other broker that nobody waits for.
    fn done(&mut self, publish: &Publish<'_>, up: &mut Vec<u8>) {
        let Some(id) = publish.packet_id else { return };
        if publish.qos == QoS::ExactlyOnce {
            self.done_remote.insert(id);
            self.up(&Packet::PubRec(Ack::new(id)), up);
        } else {
            self.up(&Packet::PubAck(Ack::new(id)), up);
        }
    }

    fn count_refused(&self, ack: &Ack<'_>) {
        if ack.reason.is_failure() {
            Numbers::add(&self.numbers.refused);
            self.numbers.complain(|count| {
                let bridge = &self.settings.name;
                warn!(bridge, reason = %ack.reason, count, "the other broker refuses messages");
            });
        }
    }

    fn count_given_up(&self, topic: &str) {
        Numbers::add(&self.numbers.refused);
        self.numbers.complain(|count| {
            let bridge = &self.settings.name;
            warn!(bridge, topic, count, "given up: the other broker hangs up on it");
        });
    }

    /// Whether messages go one at a time on this connection and would not on another.
    pub(super) const fn wants_another(&self) -> bool {
        self.unwanted.is_over()
    }

    /// The other broker has ended the connection.
    pub(super) fn on_hang_up(&mut self) {
        self.unwanted.ended();
    }

    /// A message of the other broker.
    fn on_remote_publish(&mut self, publish: &Publish<'_>, up: &mut Vec<u8>, down: &mut Vec<u8>) {
        let topic = publish.topic;
        let is_echo = match &mut self.echoes {
            // What waits for its PUBREL has been recognised.
            Some(_) if publish.packet_id.is_some_and(|id| self.done_remote.contains(&id)) => true,
            Some(echoes) => echoes.is_one(Instant::now(), topic.as_str(), publish.payload),
            None => false,
        };
        let mut name = core::mem::take(&mut self.name);
        let goes = !is_echo && self.trail.lets_pass(&publish.properties);
        let mapped = if goes { self.into.map(topic, &mut name) } else { None };
        let sent = mapped.is_some_and(|mapped| {
            let properties = publish.properties.without(PropertyId::SubscriptionIdentifier);
            let more = self.trail.property();
            let properties = properties.with(&more);
            let topic = TopicName::new(&name).unwrap_or(TopicName::ALIASED);
            let retain = publish.retain && mapped.retain;
            let publish = Publish { topic, retain, properties, ..*publish };
            let rules = Rules {
                max_packet_size: self.max_packet_size,
                ..Rules::new(Version::V5, Sender::Client)
            };
            rules.encode_to_vec(&Packet::Publish(publish), down).is_ok()
        });
        self.name = name;
        if sent {
            return Numbers::add(&self.numbers.received);
        }
        if goes {
            self.count_dropped();
        }
        self.done(publish, up);
    }

    /// Takes one packet of this broker off the front of `rx`; `false` if it is not all there.
    pub(super) fn take_local(
        &mut self,
        rx: &mut &[u8],
        up: &mut Vec<u8>,
        down: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let rules = Rules::new(Version::V5, Sender::Server);
        let Some(packet) = rules.decode(rx).map_err(Fault::Malformed)? else { return Ok(false) };
        match packet {
            Packet::ConnAck(connack) if connack.reason != ReasonCode::Success => {
                return Err(Fault::Local(connack.reason));
            }
            Packet::Publish(publish) => self.on_local_publish(&publish, up, down),
            // The other broker keeps what is not acknowledged: once this one can store again, it comes
            // again.
            Packet::PubAck(ack) | Packet::PubRec(ack)
                if ack.reason == ReasonCode::QuotaExceeded =>
            {
                return Err(Fault::Local(ack.reason));
            }
            Packet::PubAck(ack) => {
                self.up(&Packet::PubAck(plain(&ack, PacketType::PubAck)), up);
            }
            Packet::PubRec(ack) => {
                self.up(&Packet::PubRec(plain(&ack, PacketType::PubRec)), up);
            }
            Packet::PubComp(ack) => {
                self.up(&Packet::PubComp(plain(&ack, PacketType::PubComp)), up);
            }
            // Where no QoS 2 goes, the other broker knows nothing of it; after a restart neither does this set.
            Packet::PubRel(ack)
                if self.done_local.remove(&ack.packet_id)
                    || self.allowed.qos < QoS::ExactlyOnce =>
            {
                local(&Packet::PubComp(Ack::new(ack.packet_id)), down);
            }
            Packet::PubRel(ack) => {
                self.up(&Packet::PubRel(plain(&ack, PacketType::PubRel)), up);
            }
            Packet::Disconnect(Disconnect { reason, .. }) => return Err(Fault::Local(reason)),
            _ => {}
        }
        Ok(true)
    }

    /// A message of this broker.
    fn on_local_publish(&mut self, publish: &Publish<'_>, up: &mut Vec<u8>, down: &mut Vec<u8>) {
        if let Some(id) = publish.packet_id {
            // As what it is now it may go to another broker than before.
            self.lowered.remove(&id);
            self.exact.remove(&id);
            // That of a connection before; of a message that has taken its identifier it says nothing.
            if self.done_local.remove(&id) && publish.dup && publish.qos == QoS::ExactlyOnce {
                self.done_local.insert(id);
                return local(&Packet::PubRec(Ack::new(id)), down);
            }
        }
        let mut name = core::mem::take(&mut self.name);
        let here = publish.topic.as_str();
        let gives_up = self.unwanted.gives_up(Instant::now(), publish.packet_id, here);
        if gives_up {
            self.count_given_up(here);
        }
        let goes = !gives_up && self.trail.lets_pass(&publish.properties);
        let mapped = if goes { self.out.map(publish.topic, &mut name) } else { None };
        let qos = mapped.map_or(QoS::AtMostOnce, |m| m.qos.min(publish.qos).min(self.allowed.qos));
        let mapped = mapped.filter(|_| qos != QoS::AtMostOnce || self.unwanted.takes_qos_0());
        let sent = mapped.is_some_and(|mapped| {
            let topic = TopicName::new(&name).unwrap_or(TopicName::ALIASED);
            let dup = publish.dup && qos != QoS::AtMostOnce;
            if let Some(echoes) = self.echoes.as_mut().filter(|_| self.into.takes(topic)) {
                echoes.expect(Instant::now(), &name, publish.payload, dup);
            }
            let more = self.trail.property();
            let publish = Publish {
                topic,
                qos,
                dup,
                retain: publish.retain && mapped.retain && self.allowed.retain,
                packet_id: publish.packet_id.filter(|_| qos != QoS::AtMostOnce),
                properties: publish.properties.with(&more),
                ..*publish
            };
            self.up(&Packet::Publish(publish), up)
        });
        self.name = name;
        if goes {
            Numbers::add(if sent { &self.numbers.sent } else { &self.numbers.dropped });
        }
        let Some(id) = publish.packet_id else { return };
        if sent && qos != QoS::AtMostOnce {
            self.unwanted.sent(id, here);
        }
        match (sent, publish.qos, qos) {
            (true, QoS::ExactlyOnce, QoS::AtLeastOnce) => _ = self.lowered.insert(id),
            (true, _, QoS::ExactlyOnce) => _ = self.exact.insert(id),
            (true, _, QoS::AtLeastOnce) => {}
            // Nobody else acknowledges it.
            (_, QoS::ExactlyOnce, _) => {
                self.done_local.insert(id);
                local(&Packet::PubRec(Ack::new(id)), down);
            }
            _ => local(&Packet::PubAck(Ack::new(id)), down),
        }
    }

    /// Appends PINGREQ for the other broker.
    pub(super) fn ping(&self, up: &mut Vec<u8>) {
        self.up(&Packet::PingReq, up);
    }

    /// Appends the end of the connection to the other broker.
    pub(super) fn goodbye(&self, up: &mut Vec<u8>) {
        let reason = ReasonCode::NORMAL_DISCONNECTION;
        self.up(&Packet::Disconnect(Disconnect::new(reason)), up);
    }
}

/// Appends a packet for this broker, which fits: it is short, or was one of the same size.
fn local(packet: &Packet<'_>, down: &mut Vec<u8>) {
    // What cannot be written was not sent by anybody.
    let _ = Rules::new(Version::V5, Sender::Client).encode_to_vec(packet, down);
}

/// Its identifier and its code, as a client may send it: what else one broker tells is not for the other.
fn plain(ack: &Ack<'_>, packet: PacketType) -> Ack<'static> {
    let reason = match ack.reason {
        reason if reason.is_allowed(packet, Sender::Client) => reason,
        reason if reason.is_failure() => ReasonCode::UnspecifiedError,
        _ => ReasonCode::Success,
    };
    Ack { reason, ..Ack::new(ack.packet_id) }
}
