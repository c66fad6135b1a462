//! Receiving QoS 1 and 2 (sections 4.3.2, 4.3.3 and 4.6): duplicates, and answers in order. One
//! engine for clients and servers.

use mqtt_codec::{PacketId, QoS, ReasonCode};

use crate::{AckToken, Ring};

/// Storage for one received message that is not answered yet: 4 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    id: u16,
    exactly_once: bool,
    /// The answer, while earlier messages have none.
    answer: Option<ReasonCode>,
}

impl Pending {
    pub(crate) const fn qos(self) -> QoS {
        if self.exactly_once { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
    }
}

/// Storage for one message of QoS 2 that was received and whose PUBREL has not come: 4 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    id: u16,
    /// Whether the message came on this connection, to which the Receive Maximum applies.
    current: bool,
}

/// What has been received and is not done with.
#[derive(Debug)]
pub(crate) struct Inbound<'s> {
    /// Messages of QoS 2 whose PUBREL has not come, ascending. They outlive the connection.
    received: Ring<'s, Received>,
    /// Messages that the application has not answered, in the order they came.
    pending: Ring<'s, Pending>,
    /// How many messages came on this connection and are in flight: of QoS 2 until PUBREL, of QoS 1
    /// until they are answered.
    in_flight: u32,
    /// Tells the tokens of this connection from those of earlier ones.
    connection: u16,
}

impl<'s> Inbound<'s> {
    pub(crate) const fn new(received: Ring<'s, Received>, pending: Ring<'s, Pending>) -> Self {
        Self { received, pending, in_flight: 0, connection: 0 }
    }

    /// How many messages of this connection are in flight from the peer.
    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether another message can be kept track of.
    pub(crate) const fn has_room(&self, qos: QoS, manual: bool) -> bool {
        (!matches!(qos, QoS::ExactlyOnce) || !self.received.is_full())
            && (!manual || !self.pending.is_full())
    }

    /// Whether messages wait for the application, or their answers for those before them.
    pub(crate) const fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether this message of QoS 2 came before [MQTT-4.3.3-10].
    pub(crate) fn has_received(&self, id: PacketId) -> bool {
        self.get(id).is_some()
    }

    /// Whether this message of QoS 2 came on this connection.
    pub(crate) fn is_current(&self, id: PacketId) -> bool {
        self.get(id).is_some_and(|received| received.current)
    }

    fn get(&self, id: PacketId) -> Option<Received> {
        self.received.get(self.place(id)).filter(|received| received.id == id.get())
    }

    /// Whether the application has yet to answer this message of QoS 2.
    pub(crate) fn is_pending(&self, id: PacketId) -> bool {
        self.pending.iter().any(|pending| pending.exactly_once && pending.id == id.get())
    }

    /// A message of QoS 2 came, for the first time or again: until PUBREL its like are duplicates.
    pub(crate) fn receive(&mut self, id: PacketId) {
        let place = self.place(id);
        self.in_flight += u32::from(!self.is_current(id) && self.restore(id));
        if let Some(received) = self.received.get_mut(place).filter(|r| r.id == id.get()) {
            received.current = true;
        }
    }

    /// A message of QoS 2 came on an earlier connection. `false` if there is no room.
    pub(crate) fn restore(&mut self, id: PacketId) -> bool {
        let received = Received { id: id.get(), current: false };
        self.has_received(id) || self.received.insert(self.place(id), received)
    }

    /// PUBREL came, or the message was refused: the identifier is free again [MQTT-4.3.3-9],
    /// [MQTT-4.3.3-12].
    pub(crate) fn forget(&mut self, id: PacketId) {
        if let Some(received) = self.get(id) {
            self.received.remove(self.place(id));
            self.in_flight -= u32::from(received.current);
        }
    }

    /// A message waits for the application's answer, which this token brings.
    pub(crate) fn wait(&mut self, id: PacketId, qos: QoS, refusable: bool) -> AckToken {
        let exactly_once = qos == QoS::ExactlyOnce;
        if self.pending.push(Pending { id: id.get(), exactly_once, answer: None }) {
            self.in_flight += u32::from(!exactly_once);
        }
        AckToken { id, qos, refusable, connection: self.connection }
    }

    /// Where the message stands that this token is for: 0 is the one whose answer goes out next.
    /// `None` if nothing waits for it.
    pub(crate) fn position(&self, token: AckToken) -> Option<usize> {
        let waits = |pending: Pending| {
            pending.id == token.id.get() && pending.qos() == token.qos && pending.answer.is_none()
        };
        (token.connection == self.connection).then(|| self.pending.iter().position(waits))?
    }

    /// The application answers the message at this index.
    pub(crate) fn answer(&mut self, index: usize, reason: ReasonCode) {
        if let Some(pending) = self.pending.get_mut(index) {
            pending.answer = Some(reason);
        }
    }

    /// The next answer that may go out: answers leave in the order in which the messages came
    /// [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    pub(crate) fn next_answer(&self) -> Option<(PacketId, QoS, ReasonCode)> {
        let first = self.pending.get(0)?;
        Some((PacketId::new(first.id)?, first.qos(), first.answer?))
    }

    /// The first message has been answered.
    pub(crate) fn answered(&mut self) -> Option<Pending> {
        let first = self.pending.remove(0)?;
        self.in_flight -= u32::from(!first.exactly_once);
        Some(first)
    }

    /// The connection is gone. What the application has not taken comes again and is new then; what it
    /// has taken of QoS 2 stays known, even if PUBREC did not go out.
    pub(crate) fn disconnect(&mut self) {
        while let Some(pending) = self.answered() {
            let taken = pending.answer.is_some_and(|reason| !reason.is_failure());
            if let (true, false, Some(id)) =
                (pending.exactly_once, taken, PacketId::new(pending.id))
            {
                self.forget(id);
            }
        }
        self.received.retain(|received| {
            received.current = false;
            true
        });
        self.in_flight = 0;
        self.connection = self.connection.wrapping_add(1);
    }

    /// Identifiers of QoS 2 whose PUBREL has not come, ascending.
    pub(crate) fn received(&self) -> impl Iterator<Item = PacketId> + use<'_, 's> {
        self.received.iter().filter_map(|received| PacketId::new(received.id))
    }

    /// The same, but for those that the application has yet to take.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub(crate) fn taken(&self) -> impl Iterator<Item = PacketId> + use<'_, 's> {
        let waits = |id: PacketId| {
            let is_it = |p: Pending| p.exactly_once && p.id == id.get() && p.answer.is_none();
            self.pending.iter().any(is_it)
        };
        self.received().filter(move |id| !waits(*id))
    }

    /// Forgets all.
    pub(crate) const fn clear(&mut self) {
        self.received.clear();
        self.pending.clear();
        self.in_flight = 0;
    }

    fn place(&self, id: PacketId) -> usize {
        self.received.partition_point(|received| received.id < id.get())
    }
}
