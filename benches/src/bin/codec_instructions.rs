//! Runs every codec in every row once, for callgrind to count: `results` starts it.

use core::hint::black_box;

use motewire_benches::codec::{self, Buffer, Codec, Row, Visitor};

/// Prints what is counted, in the order in which callgrind dumps it.
struct Probe;

impl Visitor for Probe {
    fn decode<C: Codec>(&mut self, row: &Row, codec: &mut C) {
        println!("decode\t{}\t{}\t{}", row.name, C::NAME, row.packets);
        match row.chunk {
            Some(size) => {
                let mut carry = C::Carry::default();
                codec.decode_chunks(&row.stream, size, &mut carry);
                counted(|| codec.decode_chunks(&row.stream, size, &mut carry));
            }
            None => {
                let mut input = C::input(&row.stream);
                counted(|| codec::decode_all(codec, &mut input));
            }
        }
    }

    fn encode<C: Codec>(&mut self, row: &Row, codec: &mut C) {
        println!("encode\t{}\t{}\t{}", row.name, C::NAME, row.encode_packets);
        let packets = codec::packets_to_send(codec, row);
        let mut buffer = C::Buffer::with_capacity(row.stream.len());
        let size = row.chunk.unwrap_or(usize::MAX);
        codec::encode_all(codec, &packets, size, &mut buffer);
        counted(|| codec::encode_all(codec, &packets, size, &mut buffer));
    }
}

/// Callgrind counts from `start_counting` to `stop_counting`.
fn counted(run: impl FnOnce() -> usize) {
    start_counting();
    black_box(run());
    stop_counting();
}

#[inline(never)]
fn start_counting() {
    black_box(());
}

#[inline(never)]
fn stop_counting() {
    // Not the same body, so that the two are not merged.
    black_box(0);
}

fn main() {
    codec::visit(&mut Probe);
}
