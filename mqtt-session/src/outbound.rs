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

/// Where a packet in flight is on this connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Sent on an earlier connection, to be sent again on this one.
    #[default]
    Waiting,
    /// Sent on this connection.
    Sent,
    /// Given up, which the caller has yet to hear.
    Lost,
}

/// Storage for one packet in flight: 4 bytes. Lend as many as there may be in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    id: u16,
    stage: Stage,
    standing: Standing,
}

impl Slot {
    fn counts(self) -> bool {
        self.standing == Standing::Sent && self.stage.is_message()
    }
}

/// All that is on its way and not acknowledged, in the order it was sent. Acknowledgements mostly
/// come in that order too, so that the first slot is the one that is looked for.
#[derive(Debug)]
pub(crate) struct Outbound<'s> {
    slots: Ring<'s, Slot>,
    /// The next identifier to try.
    next_id: PacketId,
    /// Messages that were sent on this connection and count against the Receive Maximum.
    in_flight: u16,
    /// How many messages are to be sent again, and how many of them are PUBREL.
    waiting: u16,
    releases: u16,
    /// How many slots in front are known to need no resending.
    resumed: u16,
    /// Behind this many slots in front none waits for PUBCOMP.
    released: u16,
    /// How many messages are given up and not reported.
    lost: u16,
    /// Whether identifiers may have come round to one that is still in use, so that the next one must
    /// be looked for. Otherwise the slots hold them in ascending order, with wrap.
    lapped: bool,
}

impl<'s> Outbound<'s> {
    pub(crate) const fn new(slots: Ring<'s, Slot>) -> Self {
        Self {
            slots,
            next_id: PacketId::MIN,
            in_flight: 0,
            waiting: 0,
            releases: 0,
            resumed: 0,
            released: 0,
            lost: 0,
            lapped: false,
        }
    }

    /// How many messages were sent on this connection and wait for their last acknowledgement.
    pub(crate) const fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// How many more packets with an identifier there is room for.
    pub(crate) const fn room(&self) -> usize {
        self.slots.capacity() - self.slots.len()
    }

    /// The identifier for the next packet; `None` when all slots are in use. It is unused
    /// [MQTT-2.2.1-3], [MQTT-2.2.1-4].
    #[inline(always)]
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
        if self.lapped && self.get(self.next_id).is_some() {
            self.next_id = self.free_id();
        }
        Some(self.next_id)
    }

    /// An unused identifier near the next one. Of as many as there are slots in use, and one more, one
    /// is unused: it is found by halving them, so that no pattern of identifiers takes long.
    fn free_id(&self) -> PacketId {
        const ALL: u32 = 65_535;
        let next = u32::from(self.next_id.get());
        let distance = |id: u32| (id + ALL - next) % ALL;
        let (mut low, mut high) = (0, self.slots.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            let lower = low..=middle;
            let ids = self.slots.iter().map(|slot| distance(u32::from(slot.id)));
            if ids.filter(|id| lower.contains(id)).count() as u32 <= middle - low {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        PacketId::new(((next + low - 1) % ALL + 1) as u16).unwrap_or(self.next_id)
    }

    /// Takes the identifier that [`Outbound::next_id`] gave, for a packet that was just sent.
    pub(crate) fn insert(&mut self, id: PacketId, stage: Stage) {
        let slot = Slot { id: id.get(), stage, standing: Standing::Sent };
        if self.slots.push(slot) {
            self.in_flight += u16::from(slot.counts());
            self.next_id = id.next();
        }
    }

    /// Takes this identifier, for a message of an earlier connection. `false` if there is no slot.
    pub(crate) fn restore(&mut self, id: PacketId, stage: Stage) -> bool {
        // One that follows on the others in order is not among them, which saves looking for it.
        let follows = match (self.slots.get(0), self.last()) {
            (Some(first), Some(last)) => {
                let beyond = |other: u16| other.wrapping_sub(first.id);
                !self.lapped && beyond(id.get()) > beyond(last.id)
            }
            _ => {
                self.lapped = false;
                true
            }
        };
        if !follows {
            if let Some((index, known)) = self.get(id) {
                self.set_stage(index, stage);
                if stage == Stage::PubComp && known != stage {
                    self.keep_order(index);
                }
                return true;
            }
        }
        let restored = self.slots.push(Slot { id: id.get(), stage, standing: Standing::Waiting });
        if restored {
            self.next_id = id.next();
            self.lapped |= !follows;
            self.resumed = 0;
            self.waiting += 1;
            if stage == Stage::PubComp {
                self.releases += 1;
                self.released = self.slots.len() as u16;
            }
        }
        restored
    }

    fn last(&self) -> Option<Slot> {
        self.slots.get(self.slots.len().checked_sub(1)?)
    }

    /// Where this identifier stands and what it waits for.
    #[inline]
    pub(crate) fn get(&self, id: PacketId) -> Option<(usize, Stage)> {
        let stands = |index: usize| self.slots.get(index).filter(|slot| slot.id == id.get());
        let first = stands(0).map(|slot| (0, slot.stage));
        first.or_else(|| {
            (1..self.slots.len()).find_map(|index| stands(index).map(|slot| (index, slot.stage)))
        })
    }

    /// PUBREC came for the one at this index and PUBREL went out: from here on PUBCOMP is waited for
    /// [MQTT-4.3.3-4], and the PUBLISH is never sent again [MQTT-4.3.3-6].
    #[inline(never)]
    pub(crate) fn release(&mut self, index: usize) {
        let again = self.slots.get(index).is_some_and(|slot| slot.stage == Stage::PubComp);
        self.set_stage(index, Stage::PubComp);
        self.set_sent(index);
        if !again {
            self.keep_order(index);
        }
    }

    /// The one at this index waits for PUBCOMP from now on: it goes behind those that do so already,
    /// as PUBREL is sent again in the order of PUBREC [MQTT-4.6.0-4].
    fn keep_order(&mut self, index: usize) {
        let last = usize::from(self.released).saturating_sub(1);
        if index >= last {
            self.released = index as u16 + 1;
        } else if let Some(slot) = self.slots.remove(index) {
            self.slots.insert(last, slot);
            // Identifiers are not in ascending order any more.
            self.lapped = true;
            self.resumed -= u16::from(index < usize::from(self.resumed));
        }
    }

    fn set_stage(&mut self, index: usize, stage: Stage) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.standing == Standing::Waiting {
            self.releases -= u16::from(slot.stage == Stage::PubComp);
            self.releases += u16::from(stage == Stage::PubComp);
        }
        slot.stage = stage;
    }

    fn set_sent(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.standing == Standing::Waiting {
            slot.standing = Standing::Sent;
            self.in_flight += 1;
            self.waiting -= 1;
            self.releases -= u16::from(slot.stage == Stage::PubComp);
        }
    }

    /// Frees the identifier if the first one in order is that of a message of this connection which
    /// waits for that, as it mostly is. Otherwise nothing is done.
    #[inline(always)]
    pub(crate) fn finish_first(&mut self, id: PacketId, stage: Stage) -> bool {
        let is_it =
            self.slots.get(0) == Some(Slot { id: id.get(), stage, standing: Standing::Sent });
        if is_it {
            self.slots.remove(0);
            self.in_flight -= 1;
            self.resumed = self.resumed.saturating_sub(1);
            self.released = self.released.saturating_sub(1);
        }
        is_it
    }

    /// Frees the identifier.
    pub(crate) fn remove(&mut self, id: PacketId) {
        if let Some((index, _)) = self.get(id) {
            self.remove_at(index);
        }
    }

    /// Frees the identifier at this index.
    pub(crate) fn remove_at(&mut self, index: usize) {
        let Some(slot) = self.slots.remove(index) else { return };
        self.in_flight -= u16::from(slot.counts());
        match slot.standing {
            Standing::Waiting => {
                self.waiting -= 1;
                self.releases -= u16::from(slot.stage == Stage::PubComp);
            }
            Standing::Lost => self.lost -= 1,
            Standing::Sent => {}
        }
        self.resumed -= u16::from(index < usize::from(self.resumed));
        self.released -= u16::from(index < usize::from(self.released));
    }

    /// The connection is gone. Messages are to be sent again [MQTT-4.4.0-1]; the answers to SUBSCRIBE
    /// and UNSUBSCRIBE will not come.
    pub(crate) fn disconnect(&mut self) {
        let (mut waiting, mut releases, mut kept, mut released) = (0, 0, 0, 0);
        self.slots.retain(|slot| {
            if slot.standing == Standing::Sent {
                slot.standing = Standing::Waiting;
            }
            let again = slot.standing == Standing::Waiting && slot.stage.is_message();
            waiting += u16::from(again);
            releases += u16::from(again && slot.stage == Stage::PubComp);
            kept += u16::from(slot.stage.is_message());
            if slot.stage == Stage::PubComp {
                released = kept;
            }
            slot.stage.is_message()
        });
        self.in_flight = 0;
        self.waiting = waiting;
        self.releases = releases;
        self.resumed = 0;
        self.released = released;
    }

    /// Whether messages of earlier connections are still to be sent again or to be reported.
    pub(crate) const fn is_resuming(&self) -> bool {
        self.lost > 0 || self.waiting > 0
    }

    /// The next message to send again, in the order of sending [MQTT-4.6.0-1]. Where the quota is
    /// used up it is the next PUBREL, which no quota holds back [MQTT-4.9.0-3].
    pub(crate) fn next_resend(&mut self, quota: bool) -> Option<(usize, PacketId, Stage)> {
        if self.waiting == 0 || (!quota && self.releases == 0) {
            return None;
        }
        let waits = |slot: Slot| slot.standing == Standing::Waiting;
        while self.slots.get(usize::from(self.resumed)).is_some_and(|slot| !waits(slot)) {
            self.resumed += 1;
        }
        (usize::from(self.resumed)..self.slots.len()).find_map(|index| {
            let slot = self.slots.get(index)?;
            let due = waits(slot) && (quota || slot.stage == Stage::PubComp);
            PacketId::new(slot.id).filter(|_| due).map(|id| (index, id, slot.stage))
        })
    }

    /// The one at this index was sent again.
    pub(crate) fn resent(&mut self, index: usize) {
        self.set_sent(index);
    }

    /// The one at this index cannot be sent again and is given up.
    pub(crate) fn lose(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.standing == Standing::Waiting {
            slot.standing = Standing::Lost;
            self.lost += 1;
            self.waiting -= 1;
            self.releases -= u16::from(slot.stage == Stage::PubComp);
        }
    }

    /// The peer has no session: what earlier connections left is given up [MQTT-3.2.2-5].
    pub(crate) fn lose_all(&mut self) {
        for index in 0..self.slots.len() {
            self.lose(index);
        }
    }

    /// Whether there are messages that were given up.
    pub(crate) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// The next message that was given up; its identifier is free.
    pub(crate) fn next_lost(&mut self) -> Option<(PacketId, Stage)> {
        if self.lost == 0 {
            return None;
        }
        let index = (0..self.slots.len())
            .find(|index| self.slots.get(*index).is_some_and(|s| s.standing == Standing::Lost))?;
        let slot = self.slots.get(index)?;
        self.remove_at(index);
        PacketId::new(slot.id).map(|id| (id, slot.stage))
    }

    /// The identifiers in use and what they wait for, in the order they were taken.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PacketId, Stage)> + use<'_, 's> {
        self.slots.iter().filter_map(|slot| Some((PacketId::new(slot.id)?, slot.stage)))
    }

    /// From now on there are no more slots than that, but for those in use.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn limit(&mut self, max: u16) {
        self.slots.limit(max);
    }

    /// Forgets all.
    pub(crate) const fn clear(&mut self) {
        self.slots.clear();
        self.in_flight = 0;
        self.waiting = 0;
        self.releases = 0;
        self.resumed = 0;
        self.released = 0;
        self.lost = 0;
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::vec::Vec;

    use mqtt_codec::PacketId;

    use super::{Outbound, Stage};
    use crate::Ring;

    fn random(state: &mut u32) -> usize {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 16) as usize
    }

    #[test]
    fn an_identifier_in_use_is_never_given_again_mqtt_2_2_1_3() {
        let mut outbound = Outbound::new(Ring::heap(20));
        let mut used: Vec<PacketId> = Vec::new();
        let mut state = 1;
        // Four times round, with messages that stay behind for long.
        for _ in 0..4 * 65_535 {
            while let (false, Some(id)) = (random(&mut state) % 8 == 0, outbound.next_id()) {
                assert!(!used.contains(&id), "{id} is in use");
                outbound.insert(id, Stage::PubAck);
                used.push(id);
            }
            let stays = |id: &PacketId| id.get() % 30_000 == 7 && used.len() < 20;
            let index = random(&mut state) % used.len().max(1);
            if used.get(index).is_some_and(|id| !stays(id)) {
                outbound.remove(used.remove(index));
            }
            assert!(outbound.iter().map(|(id, _)| id).eq(used.iter().copied()));
            assert_eq!(usize::from(outbound.in_flight()), used.len());
        }
    }

    #[test]
    fn with_65_535_in_use_there_is_none_left_and_one_freed_is_found() {
        let mut outbound = Outbound::new(Ring::heap(u16::MAX));
        for _ in 0..u16::MAX - 1 {
            let id = outbound.next_id().unwrap();
            outbound.insert(id, Stage::SubAck);
        }
        assert_eq!(outbound.next_id(), PacketId::new(65_535));
        outbound.insert(PacketId::MAX, Stage::SubAck);
        assert_eq!(outbound.next_id(), None);
        outbound.remove(PacketId::new(40_000).unwrap());
        assert_eq!(outbound.next_id(), PacketId::new(40_000));
    }

    #[test]
    fn what_is_restored_is_what_was_stored_in_any_order_of_identifiers() {
        let mut state = 3;
        for _ in 0..200 {
            let mut outbound = Outbound::new(Ring::heap(8));
            let mut model: Vec<(PacketId, Stage)> = Vec::new();
            for _ in 0..60 {
                let id = PacketId::new([1, 2, 3, 40_000, 65_534, 65_535][random(&mut state) % 6]);
                let id = id.unwrap();
                let stage = [Stage::PubAck, Stage::PubRec, Stage::PubComp][random(&mut state) % 3];
                if random(&mut state) % 3 == 0 {
                    outbound.remove(id);
                    model.retain(|(known, _)| *known != id);
                } else {
                    match model.iter().position(|(known, _)| *known == id) {
                        // Nothing comes behind PUBCOMP, and PUBREL keeps to the order of PUBREC.
                        Some(index) if model[index].1 == Stage::PubComp => continue,
                        Some(index) if stage == Stage::PubComp => {
                            model.remove(index);
                            model.push((id, stage));
                        }
                        Some(index) => model[index].1 = stage,
                        None => model.push((id, stage)),
                    }
                    assert!(outbound.restore(id, stage));
                }
                let all: Vec<_> = outbound.iter().collect();
                assert_eq!(in_order(&all), in_order(&model));
                assert_eq!(outbound.is_resuming(), !model.is_empty());
                let next = outbound.next_id().unwrap();
                assert!(model.iter().all(|(known, _)| *known != next));
            }
            // All of it is sent again, in order.
            let mut again = Vec::new();
            while let Some((index, id, stage)) = outbound.next_resend(true) {
                outbound.resent(index);
                again.push((id, stage));
            }
            assert_eq!(in_order(&again), in_order(&model));
        }
    }

    /// Messages in the order of sending, and PUBREL in that of PUBREC.
    fn in_order(all: &[(PacketId, Stage)]) -> [Vec<(PacketId, Stage)>; 2] {
        let (released, published) = all.iter().partition(|(_, stage)| *stage == Stage::PubComp);
        [published, released]
    }
}
