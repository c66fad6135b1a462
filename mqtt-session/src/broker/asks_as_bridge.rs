//! Bridges of others, which in 3.1 and 3.1.1 have no No Local to ask for.

use alloc::vec::Vec;

use mqtt_codec::Subscription;

use super::{Broker, ConnectionId};

/// The bit of Protocol Level by which mosquitto's bridges ask to be known as such. It is of no version: who
/// does not know it refuses the level [MQTT-3.1.2-2 of 3.1.1], and they go on without.
const BRIDGE: u8 = 0x80;

/// A whole CONNECT of 3.1 or 3.1.1 at the front of `rx` that has it, without it.
pub(super) fn connect(rx: &[u8], max_size: u32) -> Option<Vec<u8>> {
    let (0x10, rest) = rx.split_first()? else { return None };
    let mut size = 0;
    let mut at = 1;
    for (shift, byte) in [0, 7, 14, 21].into_iter().zip(rest) {
        size |= usize::from(byte & 0x7F) << shift;
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let names: [&[u8]; 2] = [b"\x00\x06MQIsdp\x83", b"\x00\x04MQTT\x84"];
    let name = names.into_iter().find(|name| rx.get(at..).is_some_and(|r| r.starts_with(name)))?;
    // What is too long, or not all there, is judged as it is.
    let whole = rx.get(..at + size).filter(|whole| whole.len() <= max_size as usize)?;
    let mut plain = whole.to_vec();
    *plain.get_mut(at + name.len() - 1)? &= !BRIDGE;
    Some(plain)
}

impl Broker {
    /// The same on a connection that waits for it.
    pub(super) fn bridge_connect(&mut self, id: ConnectionId, rx: &[u8]) -> Option<Vec<u8>> {
        let connection = self.connections.get_mut(id.0).filter(|c| c.session.is_none())?;
        let plain = connect(rx, self.config.max_connect_size)?;
        connection.asks_as_bridge = true;
        Some(plain)
    }
}

/// A subscription as such a bridge has it, and as a bridge of version 5 asks for it: its own messages do not
/// come back, and others are retained there as they are here.
pub(super) fn subscription(asked: Subscription<'_>) -> Subscription<'_> {
    Subscription { no_local: true, retain_as_published: true, ..asked }
}
