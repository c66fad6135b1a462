//! Packets of one message that go to several clients as they are: written once for each version, QoS
//! and RETAIN, and not once for each client.

use alloc::vec::Vec;

use mqtt_codec::{Packet, PacketId, Publish, QoS, Rules, Sender, Version};

use crate::transmit::Written;

/// By version, QoS and RETAIN.
const SHAPES: usize = 2 * 3 * 2;

/// What is kept of a buffer from one message to the next.
const KEPT_SIZE: usize = 65_536;

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    /// Where the packet identifier is, from the start.
    id_at: usize,
}

/// The packets of the message that is going out.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    bytes: Vec<u8>,
    spans: [Option<Span>; SHAPES],
}

impl Shapes {
    /// Another message is next.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.spans = [None; SHAPES];
        if self.bytes.capacity() > KEPT_SIZE {
            self.bytes = Vec::new();
        }
    }

    /// The packet of this message, with this QoS and RETAIN, for a client of this version. `None` if it
    /// cannot be written.
    #[inline]
    pub(crate) fn of(
        &mut self,
        publish: &Publish<'_>,
        qos: QoS,
        retain: bool,
        version: Version,
    ) -> Option<Written<'_>> {
        let index = usize::from(qos.bits())
            + 3 * usize::from(retain)
            + 6 * usize::from(version.has_properties());
        let span = match self.spans.get(index)? {
            Some(span) => *span,
            None => self.write(&Publish { qos, retain, ..*publish }, version, index)?,
        };
        Some(Written { bytes: self.bytes.get(span.start..span.end)?, qos, id_at: span.id_at })
    }

    #[cold]
    fn write(&mut self, publish: &Publish<'_>, version: Version, index: usize) -> Option<Span> {
        let packet_id = (publish.qos != QoS::AtMostOnce).then_some(PacketId::new(1)?);
        // [MQTT-3.3.1-3]
        let publish = Publish { packet_id, dup: false, ..*publish };
        let rules = Rules::new(version, Sender::Server);
        let start = self.bytes.len();
        rules.encode_to_vec(&Packet::Publish(publish), &mut self.bytes).ok()?;
        let packet = self.bytes.get(start..)?;
        // Behind the fixed header and the topic with its length (section 3.3.2).
        let header = Rules::new(version, Sender::Client).fixed_header(packet).ok()??;
        let id_at = header.len() + 2 + publish.topic.as_str().len();
        let span = Span { start, end: self.bytes.len(), id_at };
        *self.spans.get_mut(index)? = Some(span);
        Some(span)
    }
}
