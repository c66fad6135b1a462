//! The limit of writing where values cannot be wrong: strings were checked, and properties and
//! filters laid out as they are sent, when they were made. What is left is to count and to copy.

use super::super::{Codec, Form, Room, Row, chunks_of_slice};
use super::write::{Out, variable_len};
use super::{Limit, Std, read};

/// The limit of writing without a check.
#[derive(Debug)]
pub struct Valid(Limit<Std>);

impl Codec for Valid {
    const NAME: &'static str = "limit, valid by type";
    const READS: bool = false;
    const FORMS: &'static [Form] = &[Form::Copied, Form::LaidOut];
    type Input<'a> = &'a [u8];
    type Packet<'a> = read::Packet<'a>;
    type Sent<'a> = read::Packet<'a>;
    type Carry = Vec<u8>;
    type Buffer = Room;

    fn new(row: &Row) -> Option<Self> {
        Limit::new(row).map(Self)
    }

    fn input(bytes: &[u8]) -> &[u8] {
        bytes
    }

    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
        self.0.decode(input)
    }

    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
        chunks_of_slice(self, stream, size, carry)
    }

    fn to_send(mut packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        if let read::Packet::Publish(publish) = &mut packet {
            publish.payload = crate::codec::apart(publish.payload);
        }
        Some(packet)
    }

    #[inline]
    fn encode(&mut self, packet: &read::Packet<'_>, buffer: &mut Room) -> bool {
        let v5 = self.0.v5;
        buffer.write(|room| match packet {
            // The most frequent one by far.
            read::Packet::Publish(packet) => publish(v5, packet, room),
            _ => rare(v5, packet, room),
        })
    }
}

#[inline(always)]
fn publish(v5: bool, packet: &read::Publish<'_>, room: &mut [u8]) -> Option<usize> {
    let id = if packet.packet_id.is_some() { 2 } else { 0 };
    let len = 2 + packet.topic.len() + id + laid_out(v5, packet.properties) + packet.payload.len();
    let (mut out, size) = Out::new(0x30 | packet.flags, len, room)?;
    out.binary(packet.topic);
    if let Some(packet_id) = packet.packet_id {
        out.bytes(&packet_id.to_be_bytes());
    }
    properties(v5, packet.properties, &mut out);
    out.bytes(packet.payload);
    Some(size)
}

#[inline(never)]
fn rare(v5: bool, packet: &read::Packet<'_>, room: &mut [u8]) -> Option<usize> {
    match packet {
        read::Packet::Publish(packet) => publish(v5, packet, room),
        read::Packet::PubAck(packet_id) => {
            let [high, low] = packet_id.to_be_bytes();
            room.first_chunk_mut().map(|room| *room = [0x40, 2, high, low]).map(|()| 4)
        }
        read::Packet::Connect(packet) => connect(packet, room),
        read::Packet::Subscribe(packet) => {
            let len = 2 + laid_out(v5, &[]) + packet.filters.len();
            let (mut out, size) = Out::new(0x82, len, room)?;
            out.bytes(&packet.packet_id.to_be_bytes());
            properties(v5, &[], &mut out);
            out.bytes(packet.filters);
            Some(size)
        }
        read::Packet::PingReq => room.first_chunk_mut().map(|room| *room = [0xC0, 0]).map(|()| 2),
    }
}

fn connect(packet: &read::Connect<'_>, room: &mut [u8]) -> Option<usize> {
    let mut len = 10 + laid_out(true, packet.properties) + 2 + packet.client_id.len();
    if let Some(will) = &packet.will {
        len += laid_out(true, will.properties) + 4 + will.topic.len() + will.payload.len();
    }
    for field in [packet.user_name, packet.password].into_iter().flatten() {
        len += 2 + field.len();
    }
    let (mut out, size) = Out::new(0x10, len, room)?;
    out.bytes(b"\0\x04MQTT\x05");
    out.bytes(&[packet.flags]);
    out.bytes(&packet.keep_alive.to_be_bytes());
    properties(true, packet.properties, &mut out);
    out.binary(packet.client_id);
    if let Some(will) = &packet.will {
        properties(true, will.properties, &mut out);
        out.binary(will.topic);
        out.binary(will.payload);
    }
    for field in [packet.user_name, packet.password].into_iter().flatten() {
        out.binary(field);
    }
    Some(size)
}

/// The length of properties with their own length in front.
#[inline(always)]
fn laid_out(v5: bool, properties: &[u8]) -> usize {
    if v5 { variable_len(properties.len()) + properties.len() } else { 0 }
}

#[inline(always)]
fn properties(v5: bool, properties: &[u8], out: &mut Out<'_>) {
    if v5 {
        out.variable(properties.len());
        out.bytes(properties);
    }
}
