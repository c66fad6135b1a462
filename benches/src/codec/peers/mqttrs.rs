//! mqttrs: 3.1.1, borrowed from a slice and written to one; checks little.

use mqtt_codec::Version;
use mqttrs::{Packet, decode_slice, encode_slice};

use super::{Codec, Row};
use crate::codec::{Room, chunks_of_slice, frame};

/// mqttrs.
pub(super) struct Mqttrs;

impl Codec for Mqttrs {
    const NAME: &'static str = "mqttrs";
    type Input<'a> = &'a [u8];
    type Packet<'a> = Packet<'a>;
    type Sent<'a> = Packet<'a>;
    type Carry = Vec<u8>;
    type Buffer = Room;

    fn new(row: &Row) -> Option<Self> {
        (row.version == Version::V311).then_some(Self)
    }

    fn input(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
        // It does not say how long the packet was.
        decode_slice(frame(input)?).ok()?
    }

    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
        chunks_of_slice(self, stream, size, carry)
    }

    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        Some(packet)
    }

    #[inline]
    fn encode(&mut self, packet: &Packet<'_>, buffer: &mut Room) -> bool {
        buffer.write(|room| encode_slice(packet, room).ok())
    }
}
