//! minimq: version 5, the packets that a client receives. Its reader of packets is reached by what
//! it has for fuzzing, which drops the packet: nothing is left to keep the compiler from skipping
//! work, and nothing is returned. Properties are read when they are asked for.

use core::hint::black_box;

use mqtt_codec::Version;

use super::{Codec, Row};
use crate::codec::{chunks_of_slice, frame};

/// minimq.
pub(super) struct Minimq;

impl Codec for Minimq {
    const NAME: &'static str = "minimq (lazy)";
    const WRITES: bool = false;
    type Input<'a> = &'a [u8];
    type Packet<'a> = ();
    type Sent<'a> = ();
    type Carry = Vec<u8>;
    type Buffer = Vec<u8>;

    fn new(row: &Row) -> Option<Self> {
        let received = row.name.starts_with("PUBLISH") || row.name.starts_with("PUBACK");
        (row.version == Version::V5 && received).then_some(Self)
    }

    fn input(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
        minimq::fuzzing::parse_received_packet(black_box(frame(input)?));
        Some(())
    }

    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
        chunks_of_slice(self, stream, size, carry)
    }

    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        Some(packet)
    }

    fn encode(&mut self, (): &(), _: &mut Vec<u8>) -> bool {
        false
    }
}
