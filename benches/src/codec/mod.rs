//! The codecs in the race, and the ways they are driven. Every measurement drives the same code.

use core::hint::black_box;

mod limit;
mod memcpy;
mod ours;
#[cfg(feature = "peers")]
mod peers;
mod rows;

pub use limit::{Limit, Std, Swar, Valid};
pub use memcpy::Memcpy;
pub use ours::{BY_REFERENCE, LAID_OUT, Ours};
pub use rows::{Form, Row, rows};

/// A codec, made for one row.
///
/// Peers take part with the calls that their documentation shows for whole packets; those that read
/// from a buffer of their own are handed it filled, which is not measured.
pub trait Codec: Sized {
    /// As it is called in the table.
    const NAME: &'static str;
    /// Whether it takes part in writing.
    const WRITES: bool = true;
    /// Whether it takes part in reading.
    const READS: bool = true;
    /// The forms of writing that it takes part in. Peers have one for properties, which is beside ours.
    const FORMS: &'static [Form] = &[Form::Copied, Form::LaidOut];
    /// What packets are read from.
    type Input<'a>;
    /// A packet that was read.
    type Packet<'a>;
    /// A packet that an application wants to send.
    type Sent<'a>;
    /// Where the bytes are kept that came in pieces.
    type Carry: Default;
    /// Where packets are written.
    type Buffer: Buffer;

    /// `None`: it has no part in this row.
    fn new(row: &Row) -> Option<Self>;

    /// These bytes, ready to be read.
    fn input<'a>(bytes: &'a [u8]) -> Self::Input<'a>;

    /// Takes one packet off the front; `None` at the end, or if it cannot read the packet.
    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>>;

    /// Takes one packet off the front and lets go of it; `false` where [`Codec::decode`] has none.
    #[inline]
    fn pass<'a>(&mut self, input: &mut Self::Input<'a>) -> bool {
        // Not moved out of the `Option`, which would be measured too.
        let packet = self.decode(input);
        if packet.is_some() {
            black_box(&packet);
        }
        packet.is_some()
    }

    /// Reads all packets of a stream that comes in pieces of `size` bytes; returns their number.
    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Self::Carry) -> usize;

    /// The packet as an application would have it to send it.
    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>>;

    /// Appends the packet; `false` if it cannot.
    fn encode(&mut self, packet: &Self::Sent<'_>, buffer: &mut Self::Buffer) -> bool;
}

/// Where packets are written.
pub trait Buffer {
    /// With room for this many bytes.
    fn with_capacity(len: usize) -> Self;

    /// Empties the buffer and keeps its memory.
    fn clear(&mut self);

    /// What is in it.
    fn to_vec(&self) -> Vec<u8>;

    /// Bytes in it.
    fn used(&self) -> usize;
}

/// A slice that is lent packet by packet.
#[derive(Debug)]
pub struct Room {
    bytes: Vec<u8>,
    used: usize,
}

impl Room {
    /// Lends what is free to `write`, which returns how much of it was used.
    #[inline]
    fn write(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let Some(len) = self.bytes.get_mut(self.used..).and_then(write) else { return false };
        self.used += len;
        true
    }
}

impl Buffer for Room {
    fn with_capacity(len: usize) -> Self {
        Self { bytes: vec![0; len], used: 0 }
    }

    fn clear(&mut self) {
        self.used = 0;
    }

    fn to_vec(&self) -> Vec<u8> {
        self.bytes[..self.used].to_vec()
    }

    fn used(&self) -> usize {
        self.used
    }
}

impl Buffer for Vec<u8> {
    fn with_capacity(len: usize) -> Self {
        Self::with_capacity(len)
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn to_vec(&self) -> Vec<u8> {
        self.clone()
    }

    fn used(&self) -> usize {
        self.len()
    }
}

/// Reads all packets; returns their number.
// Each codec is compiled by itself, whatever measures it.
#[inline(never)]
pub fn decode_all<C: Codec>(codec: &mut C, input: &mut C::Input<'_>) -> usize {
    let mut packets = 0;
    while codec.pass(input) {
        packets += 1;
    }
    packets
}

/// Writes all packets into an emptied buffer, which is emptied again whenever `size` is reached;
/// returns how many could be written.
#[inline(never)]
pub fn encode_all<C: Codec>(
    codec: &mut C,
    packets: &[C::Sent<'_>],
    size: usize,
    buffer: &mut C::Buffer,
) -> usize {
    buffer.clear();
    let mut written = 0;
    for packet in packets {
        written += usize::from(codec.encode(black_box(packet), buffer));
        if buffer.used() >= size {
            black_box(&mut *buffer);
            buffer.clear();
        }
    }
    black_box(buffer);
    written
}

/// The packets of a row as an application would send them.
pub fn packets_to_send<'a, C: Codec>(codec: &mut C, row: &'a Row) -> Vec<C::Sent<'a>> {
    let mut input = C::input(&row.stream);
    let read = core::iter::from_fn(|| codec.decode(&mut input));
    let packets: Vec<_> = read.take(row.encode_packets).collect();
    packets.into_iter().filter_map(C::to_send).collect()
}

/// A payload in memory of its own, as an application has it and the packets of most peers do.
fn apart(payload: &[u8]) -> &[u8] {
    // A benchmark has few of them and ends soon: they are never freed.
    payload.to_vec().leak()
}

/// [`Codec::decode_chunks`] of a codec that reads from a slice: the bytes of a packet that is not
/// all there are kept and moved to the front.
#[inline]
fn chunks_of_slice<C>(codec: &mut C, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize
where
    C: for<'a> Codec<Input<'a> = &'a [u8]>,
{
    let mut packets = 0;
    carry.clear();
    for chunk in stream.chunks(size) {
        carry.extend_from_slice(chunk);
        let mut rest = carry.as_slice();
        packets += decode_all(codec, &mut rest);
        let read = carry.len() - rest.len();
        carry.drain(..read);
    }
    packets
}

/// The first packet of `rest`, whole, for peers that do not find its end themselves.
#[cfg(feature = "peers")]
#[inline]
fn frame<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let whole: &'a [u8] = rest;
    let mut len = 0;
    for (i, byte) in whole.get(1..)?.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            let (packet, behind) = whole.split_at_checked(2 + i + len)?;
            *rest = behind;
            return Some(packet);
        }
    }
    None
}

/// How many packets these bytes are. Others than those of the row are as good, such as the same
/// properties in another order.
fn legal_packets(row: &Row, mut bytes: &[u8]) -> usize {
    <Ours>::new(row).map_or(0, |mut ours| decode_all(&mut ours, &mut bytes))
}

/// What is done with each codec in each row.
pub trait Visitor {
    /// Reading.
    fn decode<C: Codec>(&mut self, row: &Row, codec: &mut C);
    /// Writing.
    fn encode<C: Codec>(&mut self, row: &Row, codec: &mut C);
}

/// Shows every codec of every row to `visitor`, the limits first.
pub fn visit(visitor: &mut impl Visitor) {
    for row in rows() {
        each::<Memcpy>(&row, visitor);
        each::<Limit<Swar>>(&row, visitor);
        each::<Limit<Std>>(&row, visitor);
        each::<Valid>(&row, visitor);
        each::<Ours>(&row, visitor);
        each::<Ours<BY_REFERENCE>>(&row, visitor);
        each::<Ours<LAID_OUT>>(&row, visitor);
        #[cfg(feature = "peers")]
        peers::visit(&row, visitor);
    }
}

/// Shows one codec, if it can read what it is to read and write what it is to write.
fn each<C: Codec>(row: &Row, visitor: &mut impl Visitor) {
    if !C::FORMS.contains(&row.form) {
        return;
    }
    let Some(mut codec) = C::new(row) else { return };
    let read = match row.chunk {
        Some(size) => codec.decode_chunks(&row.stream, size, &mut C::Carry::default()),
        None => {
            let mut input = C::input(&row.stream);
            decode_all(&mut codec, &mut input)
        }
    };
    if read == row.packets && (row.form != Form::Copied || !C::READS) {
        // As in the row in which all is written as it is.
    } else if read == row.packets {
        visitor.decode(row, &mut codec);
    } else {
        eprintln!("{}: {} reads {read} of {} packets", row.name, C::NAME, row.packets);
    }
    if !C::WRITES {
        return;
    }
    let packets = packets_to_send(&mut codec, row);
    let mut buffer = C::Buffer::with_capacity(row.stream.len());
    let written = encode_all(&mut codec, &packets, usize::MAX, &mut buffer);
    let bytes = buffer.to_vec();
    let legal = row.form == Form::ByReference || written == legal_packets(row, &bytes);
    if written == row.encode_packets && legal {
        visitor.encode(row, &mut codec);
    } else {
        let len = bytes.len();
        eprintln!("{}: {} writes {written} packets, {len} bytes, not these", row.name, C::NAME);
    }
}
