//! Messages from the peer, and acknowledgements both ways.

use mqtt_codec::{
    Ack, BareAck, EncodeError, Packet, PacketId, PacketType, Publish, QoS, ReasonCode, TopicName,
};

use super::Link;
use crate::{AckToken, Error, Event, Fault, Message, Misuse, Stage, Transmit};

impl Link<'_> {
    /// Takes the last acknowledgement of the first message in order off the front of `rx`, as most are:
    /// it says no more than that all is well. Tells its identifier; `None`: something else is there, or
    /// is to be done before.
    #[inline(always)]
    pub(crate) fn take_first_ack(&mut self, rx: &mut &[u8]) -> Option<PacketId> {
        const PUBACK: u8 = PacketType::PubAck as u8;
        const PUBCOMP: u8 = PacketType::PubComp as u8;
        match rx.first()? >> 4 {
            PUBACK | PUBCOMP => self.finish_first(rx),
            _ => None,
        }
    }

    #[inline(never)]
    fn finish_first(&mut self, rx: &mut &[u8]) -> Option<PacketId> {
        let mut rest = *rx;
        let ack = self.read().take_bare_ack(&mut rest).filter(|_| !self.is_behind())?;
        let stage = match ack.packet_type() {
            PacketType::PubAck => Stage::PubAck,
            PacketType::PubComp => Stage::PubComp,
            _ => return None,
        };
        if !self.outbound.finish_first(ack.packet_id(), stage) {
            return None;
        }
        *rx = rest;
        Some(ack.packet_id())
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
    pub(crate) fn on_ack<'rx>(
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
            _ => return Err(Fault::Misanswered { packet: kind, id }.into()),
        }
        self.outbound.remove_at(index);
        Ok(Some(Event::Acknowledged { id, reason }))
    }
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
