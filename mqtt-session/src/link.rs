//! What client and server do alike on a connection: messages both ways.

use mqtt_codec::{
    Ack, Disconnect, Packet, PacketId, PacketType, Publish, QoS, ReasonCode, Rules, Sender,
    TopicName, Version,
};

use crate::alias::Aliases;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::transmit::send;
use crate::{
    AckToken, Delta, Error, Event, Fault, Limits, Message, Misuse, Outbox, Stage, Transmit,
};

/// One end of a connection, and the part of the session that both roles share.
#[derive(Debug)]
pub(crate) struct Link<'s> {
    /// How the peer's packets are read.
    pub(crate) read: Rules,
    /// How ours are written.
    pub(crate) write: Rules,
    /// What the peer allows us.
    pub(crate) limits: Limits,
    /// What we allow the peer.
    pub(crate) own: Limits,
    pub(crate) outbound: Outbound<'s>,
    pub(crate) inbound: Inbound<'s>,
    pub(crate) aliases: Aliases,
    /// Whether the application acknowledges.
    pub(crate) manual: bool,
}

impl<'s> Link<'s> {
    pub(crate) const fn new(
        peer: Sender,
        outbound: Outbound<'s>,
        inbound: Inbound<'s>,
        manual: bool,
    ) -> Self {
        let own = match peer {
            Sender::Client => Sender::Server,
            _ => Sender::Client,
        };
        Self {
            read: Rules::new(Version::V5, peer),
            write: Rules::new(Version::V5, own),
            limits: Limits::NONE,
            own: Limits::NONE,
            outbound,
            inbound,
            aliases: Aliases::new(),
            manual,
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.write.version
    }

    /// From now on the peer's limits are these, and ours are those.
    pub(crate) fn negotiate(&mut self, version: Version, limits: Limits, own: Limits) {
        self.read.version = version;
        self.write.version = version;
        self.write.max_packet_size = limits.max_packet_size;
        self.read.max_packet_size = own.max_packet_size;
        self.limits = limits;
        self.own = own;
        self.aliases.reset(own.topic_alias_maximum);
    }

    pub(crate) fn send(&self, packet: &Packet<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        send(packet, &self.write, tx)
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
        let Some(stage) = Stage::of(publish.qos) else {
            // A DUP of the caller is none of ours [MQTT-3.3.1-3], [MQTT-4.3.1-1].
            self.send(&Packet::Publish(Publish { dup: false, ..*publish }), tx)?;
            return Ok(None);
        };
        if !self.has_quota() || self.outbound.next_resend().is_some() {
            return Err(Error::QuotaExceeded);
        }
        let id = self.outbound.next_id().ok_or(Error::QuotaExceeded)?;
        let packet = Publish { dup: false, packet_id: Some(id), ..*publish };
        self.send(&Packet::Publish(packet), tx)?;
        self.outbound.insert(id, stage);
        Ok(Some(id))
    }

    /// Whether the peer's Receive Maximum leaves room for a message [MQTT-4.9.0-2].
    pub(crate) const fn has_quota(&self) -> bool {
        self.outbound.in_flight() < self.limits.receive_maximum
    }

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
        let waited = self.outbound.stage(id) == Some(stage);
        if waited {
            self.outbound.remove(id);
        }
        waited
    }

    /// Sends again what was not acknowledged, in order, as far as the Receive Maximum and the room in
    /// `tx` allow [MQTT-4.4.0-1]. The rest follows with the next call.
    pub(crate) fn resume(
        &mut self,
        outbox: &dyn Outbox,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        while let Some((id, stage)) = self.outbound.next_resend() {
            if !self.has_quota() {
                return Ok(());
            }
            match (stage, outbox.message(id)) {
                (Stage::PubComp, _) => self.send(&Packet::PubRel(Ack::new(id)), tx)?,
                // [MQTT-3.3.1-1]
                (_, Some(message)) => {
                    let publish = Publish { dup: true, packet_id: Some(id), ..message };
                    self.send(&Packet::Publish(publish), tx)?;
                }
                (_, None) => {
                    self.outbound.remove(id);
                    continue;
                }
            }
            self.outbound.resent();
        }
        Ok(())
    }

    /// A PUBLISH came.
    pub(crate) fn on_publish<'rx>(
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
        if exactly_once && self.inbound.has_received(id) {
            self.on_alias(&publish)?;
            // A duplicate [MQTT-4.3.3-10]. One that waits for the application is answered by that.
            if !self.inbound.is_pending(id) {
                self.send(&Packet::PubRec(Ack::new(id)), tx)?;
            }
            return Ok(None);
        }
        if self.inbound.in_flight() >= usize::from(self.own.receive_maximum)
            || !self.inbound.has_room(publish.qos, self.manual)
        {
            return Err(Fault::ReceiveMaximum.into());
        }
        self.on_alias(&publish)?;
        if self.manual {
            self.inbound.wait(id, publish.qos);
        } else {
            let ack = Ack::new(id);
            self.send(&if exactly_once { Packet::PubRec(ack) } else { Packet::PubAck(ack) }, tx)?;
        }
        if exactly_once {
            self.inbound.receive(id);
        }
        let token = self.manual.then_some(AckToken { id, qos: publish.qos });
        Ok(Some(Event::Message(Message { publish, token })))
    }

    fn on_alias(&mut self, publish: &Publish<'_>) -> Result<(), Fault> {
        match publish.properties.topic_alias() {
            Some(alias) => self.aliases.receive(alias.get(), publish.topic),
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

    /// The application answers a message; answers go out in order.
    pub(crate) fn acknowledge(
        &mut self,
        token: AckToken,
        reason: ReasonCode,
        tx: &mut dyn Transmit,
    ) -> Result<(), Error> {
        if !self.inbound.answer(token.id, reason) {
            return Err(Misuse::UnknownPacketId.into());
        }
        self.send_answers(tx)
    }

    /// Sends those answers whose turn it is.
    pub(crate) fn send_answers(&mut self, tx: &mut dyn Transmit) -> Result<(), Error> {
        while let Some((id, qos, reason)) = self.inbound.next_answer() {
            let ack = Ack { reason, ..Ack::new(id) };
            let exactly_once = qos == QoS::ExactlyOnce;
            self.send(&if exactly_once { Packet::PubRec(ack) } else { Packet::PubAck(ack) }, tx)?;
            self.inbound.answered();
            if exactly_once && reason.is_failure() && self.version().has_properties() {
                self.inbound.forget(id);
            }
        }
        Ok(())
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP came. What belongs to nothing is answered if it must be and
    /// otherwise let pass: the peer may have kept what we have not.
    pub(crate) fn on_ack<'rx>(
        &mut self,
        kind: PacketType,
        ack: &Ack<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<Option<Event<'rx>>, Error> {
        let id = ack.packet_id;
        let reason = ack.reason;
        let not_found =
            Ack { reason: ReasonCode::PacketIdentifierNotFound, ..Ack::new(ack.packet_id) };
        match (kind, self.outbound.stage(id)) {
            (PacketType::PubRel, _) => {
                let known = self.inbound.has_received(id) && !self.inbound.is_pending(id);
                let answer = if known { Ack::new(id) } else { not_found };
                self.send(&Packet::PubComp(answer), tx)?;
                if !known {
                    return Ok(None);
                }
                self.inbound.forget(id);
                return Ok(Some(Event::Released { id }));
            }
            (PacketType::PubAck, Some(Stage::PubAck))
            | (PacketType::PubComp, Some(Stage::PubComp)) => {}
            (PacketType::PubRec, Some(Stage::PubRec)) if reason.is_failure() => {}
            (PacketType::PubRec, Some(Stage::PubRec)) => {
                self.send(&Packet::PubRel(Ack::new(id)), tx)?;
                self.outbound.release(id);
                return Ok(Some(Event::Received { id }));
            }
            (PacketType::PubRec, Some(Stage::PubComp)) => {
                self.send(&Packet::PubRel(Ack::new(id)), tx)?;
                return Ok(None);
            }
            (PacketType::PubRec, None) if !reason.is_failure() => {
                self.send(&Packet::PubRel(not_found), tx)?;
                return Ok(None);
            }
            (_, None) => return Ok(None),
            // An answer to something else than was asked.
            (_, Some(_)) => return Err(Fault::Unexpected(kind).into()),
        }
        self.outbound.remove(id);
        Ok(Some(Event::Acknowledged { id, reason }))
    }

    /// Says goodbye in version 5, if there is room.
    pub(crate) fn say_why(&self, fault: &Fault, tx: &mut dyn Transmit) {
        let reason = fault.reason_code();
        let reason = if reason.is_allowed(PacketType::Disconnect, self.write.sender) {
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
        self.aliases.reset(0);
    }

    /// Takes up what was stored of an earlier run.
    pub(crate) fn restore(&mut self, delta: Delta) -> bool {
        match delta {
            Delta::Outbound(id, Stage::PubComp) if self.outbound.stage(id).is_some() => {
                self.outbound.release(id);
                self.outbound.disconnect();
                true
            }
            Delta::Outbound(id, stage) => {
                let restored = self.outbound.restore(id, stage);
                self.outbound.disconnect();
                restored
            }
            Delta::OutboundDone(id) => {
                self.outbound.remove(id);
                true
            }
            Delta::Inbound(id) => self.inbound.receive(id),
            Delta::InboundDone(id) => {
                self.inbound.forget(id);
                true
            }
        }
    }
}
