//! What no codec can be faster than: the bytes of the packets, copied.

use core::hint::black_box;

use super::{Codec, Row, chunks_of_slice};

/// Copies each packet as if it were one of many of the same length.
#[derive(Debug)]
pub struct Memcpy {
    len: usize,
    copy: Vec<u8>,
}

impl Codec for Memcpy {
    const NAME: &'static str = "memcpy";
    type Input<'a> = &'a [u8];
    type Packet<'a> = &'a [u8];
    type Sent<'a> = &'a [u8];
    type Carry = Vec<u8>;
    type Buffer = Vec<u8>;

    fn new(row: &Row) -> Option<Self> {
        let len = row.stream.len() / row.packets;
        let first = row.stream.get(..len)?;
        let same = row.stream.chunks(len).all(|packet| packet == first);
        same.then(|| Self { len, copy: Vec::new() })
    }

    fn input(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
        let (packet, rest) = input.split_at_checked(self.len)?;
        self.copy.clear();
        self.copy.extend_from_slice(packet);
        black_box(&self.copy);
        *input = rest;
        Some(packet)
    }

    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
        chunks_of_slice(self, stream, size, carry)
    }

    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        Some(packet)
    }

    #[inline]
    fn encode(&mut self, packet: &&[u8], buffer: &mut Vec<u8>) -> bool {
        buffer.extend_from_slice(packet);
        true
    }
}
