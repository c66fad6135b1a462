//! The limit: these packets read and written by hand, with every check that the specification asks
//! of a receiver and a sender, and with nothing else: no other packets, no errors that say why.

use core::hint::black_box;
use core::marker::PhantomData;

use mqtt_codec::Version;

use super::{Codec, Form, Room, Row, chunks_of_slice};

mod read;
mod text;
mod valid;
mod write;

use text::Text;
pub use text::{Std, Swar};
pub use valid::Valid;

/// The limit with one of two ways to check strings.
#[derive(Debug)]
pub struct Limit<T> {
    v5: bool,
    text: PhantomData<T>,
}

impl<T: Text> Codec for Limit<T> {
    const NAME: &'static str = T::NAME;
    const WRITES: bool = T::WRITES;
    const FORMS: &'static [Form] = &[Form::Copied];
    type Input<'a> = &'a [u8];
    type Packet<'a> = read::Packet<'a>;
    type Sent<'a> = write::Packet<'a>;
    type Carry = Vec<u8>;
    type Buffer = Room;

    fn new(row: &Row) -> Option<Self> {
        Some(Self { v5: row.version == Version::V5, text: PhantomData })
    }

    fn input(bytes: &[u8]) -> &[u8] {
        bytes
    }

    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
        let (first, body) = read::front(self.v5, input)?;
        Some(match first {
            0x30..=0x3F => read::Packet::Publish(read::publish::<T>(self.v5, first, body)?),
            0x40 => read::Packet::PubAck(read::puback(body)?),
            0x10 => read::Packet::Connect(read::connect::<T>(body)?),
            0x82 => read::Packet::Subscribe(read::subscribe::<T>(self.v5, body)?),
            0xC0 => read::pingreq(&body).map(|()| read::Packet::PingReq)?,
            _ => return None,
        })
    }

    /// Here no packet is more than itself: not one of several in a type that has room for each.
    #[inline(always)]
    fn pass<'a>(&mut self, input: &mut Self::Input<'a>) -> bool {
        let Some((first, body)) = read::front(self.v5, input) else { return false };
        match first {
            0x30..=0x3F => seen(&read::publish::<T>(self.v5, first, body)),
            0x40 => seen(&read::puback(body)),
            0x10 => seen(&read::connect::<T>(body)),
            0x82 => seen(&read::subscribe::<T>(self.v5, body)),
            0xC0 => seen(&read::pingreq(&body)),
            _ => false,
        }
    }

    #[inline]
    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
        chunks_of_slice(self, stream, size, carry)
    }

    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        write::Packet::to_send(packet)
    }

    #[inline]
    fn encode(&mut self, packet: &write::Packet<'_>, buffer: &mut Room) -> bool {
        buffer.write(|room| packet.write(self.v5, room))
    }
}

#[inline]
fn seen<P>(packet: &Option<P>) -> bool {
    if let Some(packet) = packet {
        black_box(packet);
    }
    packet.is_some()
}
