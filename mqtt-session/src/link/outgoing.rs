//! Messages to the peer: new ones, and those that are sent again.

use core::num::NonZeroU16;

use mqtt_codec::{BareAck, EncodeError, Packet, PacketId, Property, Publish, TopicName};

use super::Link;
use crate::replaced::Replaced;
use crate::{Error, Event, Misuse, Outbox, Stage, TopicAliases, Transmit};

impl Link<'_> {
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
            self.send_here(&packet, tx)?;
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
}
