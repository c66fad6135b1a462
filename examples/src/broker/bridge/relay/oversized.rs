//! Messages that are larger than this broker takes, from one that cannot be told so.

use mqtt_codec::{Packet, PacketType, Part, Rules, Sender};

use super::Relay;

impl Relay {
    /// Passes over a message that is too large, which no broker of 3.1.1 can be told: to end the connection
    /// would be of no use, as it may send the message again on the next one, and the next. It is acknowledged
    /// and goes no further. `None`: it is another packet; `Some(false)`: more must come first.
    pub(super) fn pass_over(&mut self, rx: &mut &[u8], up: &mut Vec<u8>) -> Option<bool> {
        if self.skipped > 0 {
            let here = self.skipped.min(rx.len());
            *rx = rx.get(here..).unwrap_or_default();
            self.skipped -= here;
            return Some(here > 0);
        }
        let rules = Rules::new(self.settings.version, Sender::Server);
        let header = rules.fixed_header(rx).ok().flatten()?;
        let is_large = u32::try_from(header.packet_len()).map_or(true, |len| len > self.largest());
        if header.packet_type() != PacketType::Publish || !is_large {
            return None;
        }
        let mut rest = *rx;
        let (publish, missing) = match rules.decode_part(&mut rest) {
            Ok(Some(Part::Head(head))) => (head.publish, head.payload.remaining()),
            Ok(Some(Part::Packet(Packet::Publish(publish)))) => (publish, 0),
            Ok(None) => return Some(false),
            // What is wrong with it is found when it is read as a whole.
            Ok(Some(_)) | Err(_) => return None,
        };
        *rx = rest;
        self.skipped = missing;
        self.count_dropped();
        self.done(&publish, up);
        Some(true)
    }
}
