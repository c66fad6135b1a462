//! The numbers of a broker.

use alloc::sync::Arc;

use mqtt_codec::{PacketType, Rules, Sender, Version};

use super::session::Held;
use crate::Transmit;

/// Numbers of a broker: what there is now, and what has happened since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that are open now, those included on which CONNECT is waited for.
    pub connections: usize,
    /// Sessions now, with and without a connection.
    pub sessions: usize,
    /// Sessions that have a connection now.
    pub sessions_connected: usize,
    /// The most sessions that had a connection at once.
    pub max_sessions_connected: usize,
    /// Subscriptions now, Shared Subscriptions included.
    pub subscriptions: usize,
    /// Shared Subscriptions now: members, not groups.
    pub shared_subscriptions: usize,
    /// Retained messages now.
    pub retained_messages: usize,
    /// Bytes of retained messages now.
    pub retained_bytes: usize,
    /// Messages that wait to be sent now, one that waits for several sessions counted for each.
    pub queued_messages: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Messages that are sent and not acknowledged now.
    pub in_flight_messages: usize,
    /// Their bytes.
    pub in_flight_bytes: usize,

    /// Connections that were opened.
    pub connections_opened: u64,
    /// Connections for which there was no room.
    pub connections_refused: u64,
    /// Clients that were let in.
    pub connects_accepted: u64,
    /// Clients that were refused, with CONNACK or without.
    pub connects_refused: u64,
    /// Connections that ended because their client came again on another one.
    pub taken_over: u64,
    /// Connections that ended because nothing came for too long: no CONNECT, or none within 1.5 times the
    /// Keep Alive.
    pub timeouts: u64,
    /// Sessions that ended because their Session Expiry Interval was over.
    pub sessions_expired: u64,

    /// Packets that clients have sent.
    pub received: Traffic,
    /// Packets that were sent to clients.
    pub sent: Traffic,
    /// Messages that clients have published, those received again not counted.
    pub messages_received: u64,
    /// Bytes of their payloads.
    pub payload_bytes_received: u64,
    /// Messages that were sent to clients, those sent again not counted.
    pub messages_sent: u64,
    /// Bytes of their payloads.
    pub payload_bytes_sent: u64,
    /// Messages that were not sent or not retained, by reason.
    pub dropped: Dropped,
    /// Messages of clients that were refused, mostly because the policy does not allow them.
    pub publishes_refused: u64,
    /// Subscriptions that were refused, mostly because the policy does not allow them.
    pub subscriptions_refused: u64,
}

/// Messages that a subscriber did not get, or that were not retained, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// There was no room in a queue.
    pub queue_full: u64,
    /// There was no room among the retained messages.
    pub retained_full: u64,
    /// The Message Expiry Interval was over before the message could be sent.
    pub expired: u64,
    /// The client does not take so large a packet \[MQTT-3.1.2-25].
    pub too_large: u64,
    /// QoS 0 for a session without a connection.
    pub offline: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.queue_full + self.retained_full + self.expired + self.too_large + self.offline
    }
}

/// Whole packets in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By the number of the type.
    packets: [u64; 16],
    bytes: u64,
}

/// How the broker finds where a packet ends that was taken.
const RULES: Rules = Rules::new(Version::V311, Sender::Client);

impl Traffic {
    /// Packets of all types.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets.iter().sum()
    }

    /// Packets of this type.
    #[must_use]
    pub fn of(&self, packet_type: PacketType) -> u64 {
        self.packets.get(packet_type as usize).copied().unwrap_or(0)
    }

    /// Bytes of all packets, fixed headers included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn count(&mut self, packet_type: PacketType, len: usize) {
        if let Some(count) = self.packets.get_mut(packet_type as usize) {
            *count += 1;
        }
        self.bytes += len as u64;
    }

    /// Counts what is sent there.
    pub(crate) fn counting<'t>(&'t mut self, tx: &'t mut dyn Transmit) -> Counting<'t> {
        Counting { tx, traffic: self }
    }

    /// Counts the packets that these bytes are, which were taken for good.
    pub(crate) fn count_taken(&mut self, mut taken: &[u8]) {
        while let Ok(Some(header)) = RULES.fixed_header(taken) {
            let len = header.packet_len();
            let Some(rest) = taken.get(len..) else { return };
            self.count(header.packet_type(), len);
            taken = rest;
        }
    }
}

/// Counts what is sent.
pub(crate) struct Counting<'t> {
    pub(crate) tx: &'t mut dyn Transmit,
    pub(crate) traffic: &'t mut Traffic,
}

impl Transmit for Counting<'_> {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        self.tx.packet(len)
    }

    fn packet_with(&mut self, head: usize, payload: &[u8]) -> Option<&mut [u8]> {
        self.tx.packet_with(head, payload)
    }

    fn packet_shared(
        &mut self,
        head: usize,
        shared: &Arc<[u8]>,
        start: usize,
    ) -> Option<&mut [u8]> {
        self.tx.packet_shared(head, shared, start)
    }

    fn sent(&mut self, packet_type: PacketType, len: usize) {
        self.traffic.count(packet_type, len);
    }
}

impl Statistics {
    /// Takes over what is held now.
    pub(crate) const fn with_held(self, held: Held) -> Self {
        Self {
            queued_messages: held.queued,
            queued_bytes: held.queued_bytes,
            in_flight_messages: held.in_flight,
            in_flight_bytes: held.in_flight_bytes,
            ..self
        }
    }
}
