//! Receiving QoS 1 and 2 (sections 4.3.2, 4.3.3 and 4.6): duplicates, and answers in order. One
//! engine for clients and servers.

use mqtt_codec::{PacketId, QoS, ReasonCode};

use crate::Ring;

/// Storage for one received message that is not answered yet: 4 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    id: u16,
    exactly_once: bool,
    /// The answer, while earlier messages have none.
    answer: Option<ReasonCode>,
}

/// What has been received and is not done with.
#[derive(Debug)]
pub(crate) struct Inbound<'s> {
    /// Messages of QoS 2 whose PUBREL has not come, ascending. They outlive the connection.
    received: Ring<'s, u16>,
    /// Messages that the application has not answered, in the order they came.
    pending: Ring<'s, Pending>,
}

impl<'s> Inbound<'s> {
    pub(crate) const fn new(received: Ring<'s, u16>, pending: Ring<'s, Pending>) -> Self {
        Self { received, pending }
    }

    /// How many messages are in flight from the peer: those of QoS 2 until PUBREL, those of QoS 1 until
    /// they are answered.
    pub(crate) fn in_flight(&self) -> usize {
        let at_least_once = self.pending.iter().filter(|pending| !pending.exactly_once).count();
        self.received.len() + at_least_once
    }

    /// Whether another message can be kept track of.
    pub(crate) const fn has_room(&self, qos: QoS, manual: bool) -> bool {
        (!matches!(qos, QoS::ExactlyOnce) || !self.received.is_full())
            && (!manual || !self.pending.is_full())
    }

    /// Whether this message of QoS 2 came before [MQTT-4.3.3-10].
    pub(crate) fn has_received(&self, id: PacketId) -> bool {
        self.received.get(self.place(id)) == Some(id.get())
    }

    /// Whether the application has yet to answer this message.
    pub(crate) fn is_pending(&self, id: PacketId) -> bool {
        self.pending.iter().any(|pending| pending.id == id.get())
    }

    /// A message of QoS 2 came: until PUBREL its like are duplicates.
    pub(crate) fn receive(&mut self, id: PacketId) -> bool {
        self.has_received(id) || self.received.insert(self.place(id), id.get())
    }

    /// PUBREL came, or the message was refused: the identifier is free again [MQTT-4.3.3-9],
    /// [MQTT-4.3.3-12]. Whether it was in use.
    pub(crate) fn forget(&mut self, id: PacketId) -> bool {
        self.has_received(id) && self.received.remove(self.place(id)).is_some()
    }

    /// A message waits for the application's answer.
    pub(crate) fn wait(&mut self, id: PacketId, qos: QoS) -> bool {
        let exactly_once = qos == QoS::ExactlyOnce;
        self.pending.push(Pending { id: id.get(), exactly_once, answer: None })
    }

    /// The application answers. `false` if nothing waits for it.
    pub(crate) fn answer(&mut self, id: PacketId, reason: ReasonCode) -> bool {
        let waiting = |pending: Pending| pending.id == id.get() && pending.answer.is_none();
        let Some(index) = self.pending.iter().position(waiting) else { return false };
        if let Some(pending) = self.pending.get_mut(index) {
            pending.answer = Some(reason);
        }
        true
    }

    /// The next answer that may go out: answers leave in the order in which the messages came
    /// [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    pub(crate) fn next_answer(&self) -> Option<(PacketId, QoS, ReasonCode)> {
        let first = self.pending.get(0)?;
        let qos = if first.exactly_once { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        Some((PacketId::new(first.id)?, qos, first.answer?))
    }

    /// That one went out.
    pub(crate) fn answered(&mut self) {
        self.pending.remove(0);
    }

    /// The connection is gone. What was not answered comes again; what was received of QoS 2 and not
    /// answered is new then.
    pub(crate) fn disconnect(&mut self) {
        while let Some(pending) = self.pending.remove(0) {
            if let (true, Some(id)) = (pending.exactly_once, PacketId::new(pending.id)) {
                self.forget(id);
            }
        }
    }

    /// Identifiers of QoS 2 whose PUBREL has not come, ascending.
    pub(crate) fn received(&self) -> impl Iterator<Item = PacketId> + use<'_, 's> {
        self.received.iter().filter_map(PacketId::new)
    }

    /// Forgets all.
    pub(crate) const fn clear(&mut self) {
        self.received.clear();
        self.pending.clear();
    }

    fn place(&self, id: PacketId) -> usize {
        self.received.partition_point(|received| received < id.get())
    }
}
