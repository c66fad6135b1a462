//! The peers, each with the calls that its documentation shows.

use super::{Buffer, Codec, Row, Visitor, decode_all, each};
use bytes::BytesMut;

mod codec_kit;
mod minimq;
mod mqtt5;
mod mqttrs;
mod ntex;
mod protocol_core;
mod rmqtt;
mod rumqtt;

/// Shows all of them.
pub(super) fn visit(row: &Row, visitor: &mut impl Visitor) {
    each::<rumqtt::RumqttcV4>(row, visitor);
    each::<rumqtt::RumqttcV5>(row, visitor);
    each::<rumqtt::MqttbytesV4>(row, visitor);
    each::<rumqtt::MqttbytesV5>(row, visitor);
    each::<mqttrs::Mqttrs>(row, visitor);
    each::<protocol_core::ProtocolCore>(row, visitor);
    each::<rmqtt::RmqttV3>(row, visitor);
    each::<rmqtt::RmqttV5>(row, visitor);
    each::<codec_kit::CodecKitV4>(row, visitor);
    each::<codec_kit::CodecKitV5>(row, visitor);
    each::<minimq::Minimq>(row, visitor);
    each::<mqtt5::Mqtt5>(row, visitor);
    each::<ntex::NtexV3>(row, visitor);
    each::<ntex::NtexV5>(row, visitor);
}

/// [`Codec::decode_chunks`] of a codec that reads from a `BytesMut`.
fn chunks_of_bytes<C>(codec: &mut C, stream: &[u8], size: usize, carry: &mut BytesMut) -> usize
where
    C: for<'a> Codec<Input<'a> = BytesMut>,
{
    let mut packets = 0;
    carry.clear();
    for chunk in stream.chunks(size) {
        carry.extend_from_slice(chunk);
        packets += decode_all(codec, carry);
    }
    packets
}

impl Buffer for BytesMut {
    fn with_capacity(len: usize) -> Self {
        Self::with_capacity(len)
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn to_vec(&self) -> Vec<u8> {
        self[..].to_vec()
    }

    fn used(&self) -> usize {
        self[..].len()
    }
}

/// A codec that reads from a `BytesMut` and writes to one: name, type with its state, version,
/// packet, how it is made, how it reads, how it writes.
macro_rules! bytes_codec {
    (
        $(#[$doc:meta])* $type:ident($state:ty) $name:literal $version:ident $packet:ty,
        $new:expr, $decode:expr, $encode:expr
    ) => {
        $(#[$doc])*
        pub(super) struct $type($state);

        impl Codec for $type {
            const NAME: &'static str = $name;
            type Input<'a> = BytesMut;
            type Packet<'a> = $packet;
            type Sent<'a> = $packet;
            type Carry = BytesMut;
            type Buffer = BytesMut;

            fn new(row: &Row) -> Option<Self> {
                (row.version == Version::$version).then(|| Self($new))
            }

            fn input(bytes: &[u8]) -> BytesMut {
                BytesMut::from(bytes)
            }

            #[inline]
            fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
                $decode(&mut self.0, input)
            }

            fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut BytesMut) -> usize {
                chunks_of_bytes(self, stream, size, carry)
            }

            fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
                Some(packet)
            }

            #[inline]
            fn encode(&mut self, packet: &Self::Sent<'_>, buffer: &mut BytesMut) -> bool {
                $encode(&mut self.0, packet, buffer)
            }
        }
    };
}
use bytes_codec;

/// A codec that reads packets from a slice that ends with them: name, type, packet, how it reads,
/// how it writes to a `Vec`.
macro_rules! slice_codec {
    (
        $(#[$doc:meta])* $type:ident $name:literal $version:pat, $packet:ty,
        $decode:expr, $encode:expr
    ) => {
        $(#[$doc])*
        pub(super) struct $type(Version);

        impl Codec for $type {
            const NAME: &'static str = $name;
            type Input<'a> = &'a [u8];
            type Packet<'a> = $packet;
            type Sent<'a> = $packet;
            type Carry = Vec<u8>;
            type Buffer = Vec<u8>;

            fn new(row: &Row) -> Option<Self> {
                matches!(row.version, $version).then(|| Self(row.version))
            }

            fn input(bytes: &[u8]) -> &[u8] {
                bytes
            }

            #[inline]
            fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
                $decode(self.0, frame(input)?)
            }

            fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
                chunks_of_slice(self, stream, size, carry)
            }

            fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
                Some(packet)
            }

            #[inline]
            fn encode(&mut self, packet: &Self::Sent<'_>, buffer: &mut Vec<u8>) -> bool {
                $encode(packet, buffer)
            }
        }
    };
}
use slice_codec;
