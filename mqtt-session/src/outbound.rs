//! Sending QoS 1 and 2 (sections 4.3 and 4.4): packet identifiers, stages, order, quota. One engine
//! for clients and servers.

use mqtt_codec::{PacketId, QoS};

use crate::Ring;

/// What an outgoing packet with an identifier waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// PUBACK, for a PUBLISH of QoS 1.
    #[default]
    PubAck,
    /// PUBREC, for a PUBLISH of QoS 2.
    PubRec,
    /// PUBCOMP, for a PUBREL.
    PubComp,
    /// SUBACK.
    SubAck,
    /// UNSUBACK.
    UnsubAck,
}

impl Stage {
    pub(crate) const fn of(qos: QoS) -> Option<Self> {
        match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Self::PubAck),
            QoS::ExactlyOnce => Some(Self::PubRec),
        }
    }

    /// Whether it belongs to a message, which counts against the Receive Maximum and outlives the
    /// connection.
    const fn is_message(self) -> bool {
        matches!(self, Self::PubAck | Self::PubRec | Self::PubComp)
    }
}

/// Storage for one packet in flight: 4 bytes. Lend as many as there may be in flight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    id: u16,
    stage: Stage,
    /// Whether it was sent on this connection.
    sent: bool,
}

/// All that is on its way and not acknowledged, in the order it was sent. Acknowledgements mostly
/// come in that order too, so that the first slot is the one that is looked for.
#[derive(Debug)]
pub(crate) struct Outbound<'s> {
    slots: Ring<'s, Slot>,
    /// The next identifier to try.
    next_id: PacketId,
    /// Whether the identifiers have come round to one that is still in use. Only then can the next
    /// one be in use too.
    lapped: bool,
    /// Messages that were sent on this connection and count against the Receive Maximum.
    in_flight: u16,
    /// How many slots in front are known to need no resending.
    resumed: usize,
}

impl<'s> Outbound<'s> {
    pub(crate) const fn new(slots: Ring<'s, Slot>) -> Self {
        Self { slots, next_id: PacketId::MIN, lapped: false, in_flight: 0, resumed: usize::MAX }
    }

    /// How many identifiers are in use.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many messages were sent on this connection and wait for their last acknowledgement.
    pub(crate) const fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// The identifier for the next packet; `None` when all slots are in use. It is unused
    /// [MQTT-2.2.1-3], [MQTT-2.2.1-4].
    pub(crate) fn next_id(&mut self) -> Option<PacketId> {
        // Identifiers in use are never so many that there is no free one.
        if self.slots.is_full() || self.slots.len() >= usize::from(u16::MAX) {
            return None;
        }
        let Some(first) = self.slots.get(0) else {
            self.lapped = false;
            return Some(self.next_id);
        };
        self.lapped |= first.id == self.next_id.get();
        while self.lapped && self.find(self.next_id).is_some() {
            self.next_id = self.next_id.next();
        }
        Some(self.next_id)
    }

    /// Takes the identifier that [`Outbound::next_id`] gave, for a packet that was just sent.
    pub(crate) fn insert(&mut self, id: PacketId, stage: Stage) {
        self.push(id, stage, true);
        self.next_id = id.next();
    }

    /// Takes this identifier, for a message of an earlier connection.
    pub(crate) fn restore(&mut self, id: PacketId, stage: Stage) -> bool {
        self.find(id).is_none() && self.push(id, stage, false) && {
            self.next_id = id.next();
            self.lapped = true;
            true
        }
    }

    fn push(&mut self, id: PacketId, stage: Stage, sent: bool) -> bool {
        let pushed = self.slots.push(Slot { id: id.get(), stage, sent });
        self.in_flight += u16::from(pushed && sent && stage.is_message());
        pushed
    }

    /// What this identifier waits for.
    pub(crate) fn stage(&self, id: PacketId) -> Option<Stage> {
        self.slots.get(self.find(id)?).map(|slot| slot.stage)
    }

    /// PUBREC came, so PUBREL goes out: from here on PUBCOMP is waited for [MQTT-4.3.3-4], and the
    /// PUBLISH is never sent again [MQTT-4.3.3-6].
    pub(crate) fn release(&mut self, id: PacketId) {
        let slot = self.find(id).and_then(|index| self.slots.get_mut(index));
        if let Some(slot) = slot {
            slot.stage = Stage::PubComp;
            self.in_flight += u16::from(!slot.sent);
            slot.sent = true;
        }
    }

    /// Frees the identifier.
    pub(crate) fn remove(&mut self, id: PacketId) {
        let Some(index) = self.find(id) else { return };
        if let Some(slot) = self.slots.remove(index) {
            self.in_flight -= u16::from(slot.sent && slot.stage.is_message());
            if index < self.resumed && self.resumed != usize::MAX {
                self.resumed -= 1;
            }
        }
    }

    /// The connection is gone. Messages are to be sent again [MQTT-4.4.0-1]; the answers to SUBSCRIBE
    /// and UNSUBSCRIBE will not come.
    pub(crate) fn disconnect(&mut self) {
        let mut index = 0;
        while let Some(slot) = self.slots.get_mut(index) {
            slot.sent = false;
            if slot.stage.is_message() {
                index += 1;
            } else {
                self.slots.remove(index);
            }
        }
        self.in_flight = 0;
        self.resumed = 0;
    }

    /// The next message that must be sent again before anything new is [MQTT-4.6.0-1].
    pub(crate) fn next_resend(&mut self) -> Option<(PacketId, Stage)> {
        while let Some(slot) = self.slots.get(self.resumed) {
            if !slot.sent {
                return PacketId::new(slot.id).map(|id| (id, slot.stage));
            }
            // PUBREL went out already, in answer to a PUBREC.
            self.resumed += 1;
        }
        self.resumed = usize::MAX;
        None
    }

    /// That one was sent again.
    pub(crate) fn resent(&mut self) {
        if let Some(slot) = self.slots.get_mut(self.resumed) {
            slot.sent = true;
            self.in_flight += 1;
        }
    }

    /// The identifiers in use and what they wait for, in the order they were taken.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PacketId, Stage)> + use<'_, 's> {
        self.slots.iter().filter_map(|slot| Some((PacketId::new(slot.id)?, slot.stage)))
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.in_flight = 0;
        self.resumed = usize::MAX;
    }

    fn find(&self, id: PacketId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id == id.get())
    }
}
