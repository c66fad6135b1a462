//! What client and server do alike on a connection: messages both ways.

use core::num::NonZeroU16;

use mqtt_codec::{
    Ack, BareAck, Disconnect, EncodeError, Packet, PacketId, PacketType, Properties, Property,
    PropertyId, Publish, QoS, ReasonCode, Rules, Sender, TopicName, Version,
};

use crate::alias::Aliases;
use crate::auth::Exchange;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::replaced::Replaced;
use crate::transmit::send;
use crate::{
    AckToken, Delta, Error, Event, Fault, Limits, Message, Misuse, Outbox, Stage, TopicAliases,
    Transmit,
};

/// One end of a connection, and the part of the session that both roles share.
#[derive(Debug)]
pub(crate) struct Link<'s> {
    version: Version,
    /// Which side the peer is.
    peer: Sender,
    /// What the peer allows us.
    pub(crate) limits: Limits,
    /// What we allow the peer.
    pub(crate) own: Limits,
    pub(crate) outbound: Outbound<'s>,
    pub(crate) inbound: Inbound<'s>,
    aliases: Aliases,
    /// How topic aliases are chosen.
    policy: TopicAliases,
    pub(crate) exchange: Exchange,
    /// Whether the application acknowledges.
    pub(crate) manual: bool,
    /// Whether the peer may send Reason Strings and the like with every packet.
    pub(crate) problem_information: bool,
    /// Whether something was sent since this was last asked.
    sent: bool,
}

impl<'s> Link<'s> {
    pub(crate) fn new(
        peer: Sender,
        outbound: Outbound<'s>,
        inbound: Inbound<'s>,
        manual: bool,
        policy: TopicAliases,
    ) -> Self {
        Self {
            version: Version::V5,
            peer,
            limits: Limits::NONE,
            own: Limits::NONE,
            outbound,
            inbound,
            aliases: Aliases::default(),
            policy,
            exchange: Exchange::NONE,
            manual,
            problem_information: true,
            sent: false,
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// How the peer's packets are read. Rules are made when they are asked for: of what they say, a session
    /// keeps all but a byte in its limits.
    #[inline]
    pub(crate) const fn read(&self) -> Rules {
        let rules = Rules::new(self.version, self.peer);
        Rules { max_packet_size: self.own.max_packet_size, ..rules }
    }

    /// How ours are written.
    #[inline]
    const fn write(&self) -> Rules {
        let own = match self.peer {
            Sender::Client => Sender::Server,
            _ => Sender::Client,
        };
        let rules = Rules::new(self.version, own);
        Rules { max_packet_size: self.limits.max_packet_size, ..rules }
    }

    /// From now on the peer's limits are these, and ours are those.
    pub(crate) fn negotiate(&mut self, version: Version, limits: Limits, own: Limits) {
        self.version = version;
        self.limits = limits;
        self.own = own;
        self.forget_aliases();
    }

    /// They do not outlive a connection [MQTT-3.3.2-7].
    fn forget_aliases(&mut self) {
        self.aliases.reset();
    }

    pub(crate) fn send(&mut self, packet: &Packet<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        send(packet, &self.write(), tx)?;
        self.sent = true;
        Ok(())
    }

    /// Sends an answer that has no caller to complain to. One that is larger than the peer allows is
    /// taken for sent [MQTT-3.1.2-25], but PUBREL and PUBCOMP go without their reason: the peer waits
    /// for the step, whatever it says.
    fn reply(&mut self, packet: &Packet<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        match self.send(packet, tx) {
            Err(Error::Encode(EncodeError::TooLarge { .. })) => match packet {
                Packet::PubRel(ack) => self.reply_bare(BareAck::pubrel(ack.packet_id), tx),
                Packet::PubComp(ack) => self.reply_bare(BareAck::pubcomp(ack.packet_id), tx),
                _ => Ok(()),
            },
            result => result,
        }
    }

    /// Answers that all is well.
    fn reply_bare(&mut self, ack: BareAck, tx: &mut dyn Transmit) -> Result<(), Error> {
        if self.write().admits_bare_ack() {
            let bytes = ack.to_bytes();
            tx.packet_with(0, &bytes).ok_or(Error::TransmitFull)?;
            tx.sent(ack.packet_type(), bytes.len());
            self.sent = true;
        }
        Ok(())
    }

    /// Whether something was sent since this was last asked.
    pub(crate) const fn take_sent(&mut self) -> bool {
        core::mem::replace(&mut self.sent, false)
    }

    /// Sends a new message and tells its identifier.
    pub(crate) fn publish(
        &mut self,
        publish: &Publish<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<PacketId>, Error> {
        if publish.packet_id.is_some() {
            return Err(Misuse::PacketIdGiven.into());
        }
        if let Some(limit) = self.limits.broken_by(publish) {
            return Err(limit.into());
        }
        let stage = Stage::of(publish.qos);
        let id = match stage {
            None => None,
            Some(_) if !self.has_quota() || self.outbound.is_resuming() => {
                return Err(Error::QuotaExceeded);
            }
            Some(_) => Some(self.outbound.next_id().ok_or(Error::QuotaExceeded)?),
        };
        // A DUP of the caller is none of ours [MQTT-3.3.1-3], [MQTT-4.3.1-1].
        let packet = Packet::Publish(Publish { dup: false, packet_id: id, ..*publish });
        if self.policy == TopicAliases::Off || self.limits.topic_alias_maximum == 0 {
            self.send(&packet, tx)?;
        } else {
            self.send_aliased(&packet, tx)?;
        }
        if let (Some(id), Some(stage)) = (id, stage) {
            self.outbound.insert(id, stage);
        }
        Ok(id)
    }

    /// As [`Link::publish`], of a packet that is written for this version already. `None` where it must be
    /// written for this peer alone.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn publish_written(
        &mut self,
        written: crate::transmit::Written<'_>,
        tx: &mut dyn Transmit,
    ) -> Option<Result<Option<PacketId>, Error>> {
        let aliases = self.policy != TopicAliases::Off && self.limits.topic_alias_maximum > 0;
        if aliases || written.bytes.len() as u64 > u64::from(self.limits.max_packet_size) {
            return None;
        }
        let id = match Stage::of(written.qos) {
            None => None,
            Some(_) if !self.has_quota() || self.outbound.is_resuming() => {
                return Some(Err(Error::QuotaExceeded));
            }
            Some(stage) => match self.outbound.next_id() {
                None => return Some(Err(Error::QuotaExceeded)),
                Some(id) => Some((id, stage)),
            },
        };
        if let Err(error) = crate::transmit::send_written(written, id.map(|(id, _)| id), tx) {
            return Some(Err(error));
        }
        self.sent = true;
        if let Some((id, stage)) = id {
            self.outbound.insert(id, stage);
        }
        Some(Ok(id.map(|(id, _)| id)))
    }

    /// Whether the peer's Receive Maximum leaves room for a message [MQTT-4.9.0-2].
    pub(crate) const fn has_quota(&self) -> bool {
        self.outbound.in_flight() < self.limits.receive_maximum
    }

    /// How many messages may be published now.
    pub(crate) fn quota(&self) -> usize {
        if self.outbound.is_resuming() {
            return 0;
        }
        let quota = self.limits.receive_maximum.saturating_sub(self.outbound.in_flight());
        usize::from(quota).min(self.outbound.room())
    }

    /// Sends a new message, with a topic alias where there is one for it.
    #[inline(never)]
    fn send_aliased(&mut self, packet: &Packet<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        let Packet::Publish(publish) = packet else { return self.send(packet, tx) };
        if publish.properties.topic_alias().is_some() {
            return Err(Misuse::TopicAliasGiven.into());
        }
        let Some((alias, known)) = self.choose_alias(publish.topic) else {
            return self.send(packet, tx);
        };
        let Some(replaced) = Replaced::new(publish.properties, Property::TopicAlias(alias)) else {
            return self.send(packet, tx);
        };
        let properties = replaced.properties();
        let topic = if known { TopicName::ALIASED } else { publish.topic };
        match self.send(&Packet::Publish(Publish { topic, properties, ..*publish }), tx) {
            // Without the alias it may just fit.
            Err(Error::Encode(EncodeError::TooLarge { .. })) if !known => self.send(packet, tx),
            Ok(()) => {
                self.told_alias(alias, publish.topic);
                Ok(())
            }
            error => error,
        }
    }

    #[cfg(feature = "alloc")]
    fn choose_alias(&mut self, topic: TopicName<'_>) -> Option<(NonZeroU16, bool)> {
        self.aliases.choose(self.policy, self.limits.topic_alias_maximum, topic.as_str())
    }

    #[cfg(feature = "alloc")]
    fn told_alias(&mut self, alias: NonZeroU16, topic: TopicName<'_>) {
        self.aliases.told(alias, topic.as_str());
    }

    #[cfg(not(feature = "alloc"))]
    #[expect(clippy::unused_self, reason = "as with a heap")]
    const fn choose_alias(&self, _: TopicName<'_>) -> Option<(NonZeroU16, bool)> {
        None
    }

    #[cfg(not(feature = "alloc"))]
    #[expect(clippy::unused_self, reason = "as with a heap")]
    const fn told_alias(&self, _: NonZeroU16, _: TopicName<'_>) {}

    /// Takes an identifier for SUBSCRIBE or UNSUBSCRIBE, sends, and keeps it if that went well. These
    /// are not held back by the Receive Maximum [MQTT-3.3.4-8].
    pub(crate) fn request<'p>(
        &mut self,
        stage: Stage,
        packet: impl FnOnce(PacketId) -> Packet<'p>,
        tx: &mut dyn Transmit,
    ) -> Result<PacketId, Error> {
        let id = self.outbound.next_id().ok_or(Error::QuotaExceeded)?;
        self.send(&packet(id), tx)?;
        self.outbound.insert(id, stage);
        Ok(id)
    }

    /// The answer to a request came; whether it was waited for.
    pub(crate) fn answered(&mut self, id: PacketId, stage: Stage) -> bool {
        match self.outbound.get(id) {
            Some((index, found)) if found == stage => {
                self.outbound.remove_at(index);
                true
            }
            _ => false,
        }
    }

    /// Sends again what was not acknowledged, in order, as far as the Receive Maximum and the room in
    /// `tx` allow [MQTT-4.4.0-1]. The rest follows with the next call. What cannot be sent on this
    /// connection is given up.
    pub(crate) fn resume(
        &mut self,
        outbox: &dyn Outbox,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        while let Some((index, id, stage)) = self.outbound.next_resend(self.has_quota()) {
            if stage == Stage::PubComp {
                self.reply_bare(BareAck::pubrel(id), tx)?;
                self.outbound.resent(index);
                continue;
            }
            let message = outbox.message(id);
            let left = outbox.message_expiry(id).map(Property::MessageExpiryInterval);
            let replaced = message
                .zip(left)
                .and_then(|(message, left)| Replaced::new(message.properties, left));
            // [MQTT-3.3.1-1]
            let publish = message
                .map(|message| Publish { dup: true, packet_id: Some(id), ..message })
                .map(|message| match &replaced {
                    Some(replaced) => Publish { properties: replaced.properties(), ..message },
                    None => message,
                })
                .filter(|publish| self.limits.broken_by(publish).is_none())
                .filter(|publish| !publish.topic.is_empty());
            match publish.map(|publish| self.send(&Packet::Publish(publish), tx)) {
                Some(Ok(())) => self.outbound.resent(index),
                Some(Err(Error::TransmitFull)) => return Err(Error::TransmitFull),
                Some(Err(_)) | None => self.outbound.lose(index),
            }
        }
        Ok(())
    }

    /// A message that was given up.
    pub(crate) fn next_lost<'rx>(&mut self) -> Option<Event<'rx>> {
        self.outbound.next_lost().map(|(id, stage)| Event::Lost { id, stage })
    }

    /// Whether there may be something to tell or to send before more is received.
    pub(crate) const fn is_behind(&self) -> bool {
        self.outbound.has_lost() || self.inbound.has_pending()
    }

    /// On a connection: tells of a message that was given up, or sends the answers whose turn it is.
    #[inline(never)]
    pub(crate) fn catch_up<'rx>(
        &mut self,
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        let lost = self.next_lost();
        if lost.is_none() {
            self.send_answers(tx)?;
        }
        Ok(lost)
    }

    /// Refuses Reason String and User Properties in other packets than PUBLISH, CONNACK and DISCONNECT
    /// where CONNECT asked for none (section 3.1.2.11.7).
    #[inline]
    pub(crate) fn admit(&self, properties: &Properties<'_>) -> Result<(), Fault> {
        if self.problem_information || !explains(properties) {
            Ok(())
        } else {
            Err(Fault::ProblemInformation)
        }
    }

    /// An acknowledgement came that says no more than that all is well.
    #[inline(always)]
    pub(crate) fn on_bare_ack<'rx>(
        &mut self,
        ack: BareAck,
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        let (kind, id, reason) = (ack.packet_type(), ack.packet_id(), ReasonCode::Success);
        let is_last = match kind {
            PacketType::PubAck => self.outbound.finish_first(id, Stage::PubAck),
            PacketType::PubComp => self.outbound.finish_first(id, Stage::PubComp),
            _ => false,
        };
        if is_last {
            return Ok(Some(Event::Acknowledged { id, reason }));
        }
        self.on_ack(kind, id, reason, tx)
    }

    /// Takes a packet that [`starts_message`] off the front of `rx`.
    #[inline(never)]
    pub(crate) fn on_message<'rx>(
        &mut self,
        rx: &mut &'rx [u8],
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        let Some(packet) = self.read().take(rx).map_err(Fault::Packet)? else { return Ok(None) };
        if let Some(publish) = packet.publish().map_err(Fault::Packet)? {
            return self.on_publish(publish, tx);
        }
        let kind = packet.packet_type();
        match packet.ack().map_err(Fault::Packet)? {
            Some(ack) => {
                self.admit(&ack.properties)?;
                self.on_ack(kind, ack.packet_id, ack.reason, tx)
            }
            None => Err(Fault::Unexpected(kind).into()),
        }
    }

    /// A PUBLISH came.
    fn on_publish<'rx>(
        &mut self,
        publish: Publish<'rx>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        if publish.qos > self.own.maximum_qos {
            return Err(Fault::QoS.into());
        }
        if publish.retain && !self.own.retain_available {
            return Err(Fault::Retain.into());
        }
        let Some(id) = publish.packet_id else {
            self.on_alias(&publish)?;
            return Ok(Some(Event::Message(Message { publish, token: None })));
        };
        let exactly_once = publish.qos == QoS::ExactlyOnce;
        let has_quota = self.inbound.in_flight() < u32::from(self.own.receive_maximum);
        if exactly_once && self.inbound.has_received(id) {
            // One that came on an earlier connection counts on this one when it comes again.
            if !has_quota && !self.inbound.is_current(id) {
                return Err(Fault::ReceiveMaximum.into());
            }
            self.on_alias(&publish)?;
            // A duplicate [MQTT-4.3.3-10]. One that waits for the application is answered by that.
            if !self.manual || !self.inbound.is_pending(id) {
                self.reply_bare(BareAck::pubrec(id), tx)?;
            }
            self.inbound.receive(id);
            return Ok(None);
        }
        if !has_quota || !self.inbound.has_room(publish.qos, self.manual) {
            return Err(Fault::ReceiveMaximum.into());
        }
        self.on_alias(&publish)?;
        let token = if self.manual {
            Some(self.inbound.wait(id, publish.qos, self.version().has_properties()))
        } else {
            let ack = if exactly_once { BareAck::pubrec(id) } else { BareAck::puback(id) };
            self.reply_bare(ack, tx)?;
            None
        };
        if exactly_once {
            self.inbound.receive(id);
        }
        Ok(Some(Event::Message(Message { publish, token })))
    }

    #[inline]
    fn on_alias(&mut self, publish: &Publish<'_>) -> Result<(), Fault> {
        if publish.properties.is_empty() { Ok(()) } else { self.find_alias(publish) }
    }

    fn find_alias(&mut self, publish: &Publish<'_>) -> Result<(), Fault> {
        match publish.properties.topic_alias() {
            Some(alias) => {
                self.aliases.receive(alias.get(), self.own.topic_alias_maximum, publish.topic)
            }
            None => Ok(()),
        }
    }

    /// The topic of a message, whether an alias stands for it or not.
    pub(crate) fn topic<'t>(&'t self, publish: &Publish<'t>) -> TopicName<'t> {
        if !publish.topic.is_empty() {
            return publish.topic;
        }
        let alias = publish.properties.topic_alias();
        alias.and_then(|alias| self.aliases.get(alias.get())).unwrap_or(publish.topic)
    }

    /// The application answers a message. The answer goes out when its turn comes, and those behind
    /// it that waited for it as far as there is room.
    pub(crate) fn acknowledge(
        &mut self,
        token: AckToken,
        reason: ReasonCode,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        let Some(index) = self.inbound.position(token) else {
            return Err(Misuse::UnknownPacketId.into());
        };
        let reason = token.answer(reason);
        let packet = answer(token.qos, Ack { reason, ..Ack::new(token.id) });
        if index > 0 {
            // What cannot be sent must not be kept: it would hold back all that comes behind it.
            self.write().encoded_len(&packet).map(|_| ()).or_else(too_large_is_sent)?;
            self.inbound.answer(index, reason);
            return Ok(());
        }
        self.reply(&packet, tx)?;
        self.inbound.answer(index, reason);
        self.finish_answer();
        match self.send_answers(tx) {
            Err(Error::TransmitFull) => Ok(()),
            result => result,
        }
    }

    /// Whether there are answers whose turn it is.
    pub(crate) fn has_answers(&self) -> bool {
        self.inbound.next_answer().is_some()
    }

    /// Sends those answers whose turn it is.
    pub(crate) fn send_answers(&mut self, tx: &mut dyn Transmit) -> Result<(), Error> {
        while let Some((id, qos, reason)) = self.inbound.next_answer() {
            self.reply(&answer(qos, Ack { reason, ..Ack::new(id) }), tx)?;
            self.finish_answer();
        }
        Ok(())
    }

    /// The first answer went out. A refused message of QoS 2 is over [MQTT-4.3.3-9].
    fn finish_answer(&mut self) {
        if let Some((id, QoS::ExactlyOnce, reason)) = self.inbound.next_answer() {
            if reason.is_failure() {
                self.inbound.forget(id);
            }
        }
        self.inbound.answered();
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP came. What belongs to nothing is answered if it must be and
    /// otherwise let pass: the peer may have kept what we have not.
    fn on_ack<'rx>(
        &mut self,
        kind: PacketType,
        id: PacketId,
        reason: ReasonCode,
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        let not_found = Ack { reason: ReasonCode::PacketIdentifierNotFound, ..Ack::new(id) };
        if kind == PacketType::PubRel {
            let known =
                self.inbound.has_received(id) && !(self.manual && self.inbound.is_pending(id));
            if !known {
                self.reply(&Packet::PubComp(not_found), tx)?;
                return Ok(None);
            }
            self.reply_bare(BareAck::pubcomp(id), tx)?;
            self.inbound.forget(id);
            return Ok(Some(Event::Released { id }));
        }
        let Some((index, stage)) = self.outbound.get(id) else {
            if kind == PacketType::PubRec && !reason.is_failure() {
                self.reply(&Packet::PubRel(not_found), tx)?;
            }
            return Ok(None);
        };
        match (kind, stage) {
            (PacketType::PubAck, Stage::PubAck) | (PacketType::PubComp, Stage::PubComp) => {}
            (PacketType::PubRec, Stage::PubRec) if reason.is_failure() => {}
            (PacketType::PubRec, Stage::PubRec | Stage::PubComp) => {
                self.reply_bare(BareAck::pubrel(id), tx)?;
                self.outbound.release(index);
                return Ok((stage == Stage::PubRec).then_some(Event::Received { id }));
            }
            // An answer to something else than was asked.
            _ => return Err(Fault::Unexpected(kind).into()),
        }
        self.outbound.remove_at(index);
        Ok(Some(Event::Acknowledged { id, reason }))
    }

    /// Says goodbye in version 5, if there is room.
    pub(crate) fn say_why(&mut self, fault: &Fault, tx: &mut dyn Transmit) {
        let reason = fault.reason_code();
        let reason = if reason.is_allowed(PacketType::Disconnect, self.write().sender) {
            reason
        } else {
            ReasonCode::ProtocolError
        };
        if self.version().has_properties() {
            // Without room the connection is closed all the same.
            let _ = self.send(&Packet::Disconnect(Disconnect::new(reason)), tx);
        }
    }

    /// The connection is gone; the session goes on.
    pub(crate) fn disconnect(&mut self) {
        self.outbound.disconnect();
        self.inbound.disconnect();
        self.forget_aliases();
        self.exchange = Exchange::NONE;
    }

    /// Takes up what was stored of an earlier run.
    pub(crate) fn restore(&mut self, delta: Delta) -> bool {
        match delta {
            // The answers to these do not come on another connection.
            Delta::Outbound(_, Stage::SubAck | Stage::UnsubAck) => {}
            Delta::Outbound(id, stage) => return self.outbound.restore(id, stage),
            Delta::OutboundDone(id) => self.outbound.remove(id),
            Delta::Inbound(id) => return self.inbound.restore(id),
            Delta::InboundDone(id) => self.inbound.forget(id),
            Delta::InboundReset => self.inbound.clear(),
        }
        true
    }
}

/// Whether there is a Reason String or a User Property.
pub(crate) fn explains(properties: &Properties<'_>) -> bool {
    !properties.is_empty()
        && (properties.contains(PropertyId::ReasonString)
            || properties.contains(PropertyId::UserProperty))
}

/// Whether a packet begins here that is a step in the delivery of a message, which both roles take
/// alike.
#[inline]
pub(crate) fn starts_message(rx: &[u8]) -> bool {
    const FIRST: u8 = PacketType::Publish as u8;
    const LAST: u8 = PacketType::PubComp as u8;
    rx.first().is_some_and(|byte| matches!(byte >> 4, FIRST..=LAST))
}

/// The first answer to a message of this QoS, which is 1 or 2.
const fn answer(qos: QoS, ack: Ack<'_>) -> Packet<'_> {
    match qos {
        QoS::ExactlyOnce => Packet::PubRec(ack),
        _ => Packet::PubAck(ack),
    }
}

const fn too_large_is_sent(error: EncodeError) -> Result<(), EncodeError> {
    match error {
        EncodeError::TooLarge { .. } => Ok(()),
        error => Err(error),
    }
}
