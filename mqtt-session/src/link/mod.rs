//! What client and server do alike on a connection: messages both ways.

use mqtt_codec::{
    BareAck, Disconnect, EncodeError, Packet, PacketId, PacketType, Properties, PropertyId,
    ReasonCode, Rules, Sender, Version,
};

use crate::alias::Aliases;
use crate::auth::Exchange;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::transmit::send;
use crate::{Delta, Error, Event, Fault, Limits, Stage, TopicAliases, Transmit};

mod incoming;
mod outgoing;

pub(crate) use incoming::starts_message;

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

    #[inline(never)]
    pub(crate) fn send(&mut self, packet: &Packet<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
        self.send_here(packet, tx)
    }

    /// As [`Link::send`], compiled where it stands: of a packet whose type is known there, which is sent
    /// often.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn send_here(&mut self, packet: &Packet<'_>, tx: &mut dyn Transmit) -> Result<(), Error> {
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
