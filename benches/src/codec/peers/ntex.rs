//! ntex-mqtt: codecs for its own buffers. It writes payloads by reference.

use mqtt_codec::Version;
use ntex_bytes::{BytePages, BytesMut};
use ntex_codec::{Decoder, Encoder};
use ntex_mqtt::{v3, v5};

use super::{Codec, Row, decode_all};
use crate::codec::{Buffer, Form};

impl Buffer for BytePages {
    fn with_capacity(_: usize) -> Self {
        Self::default()
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn to_vec(&self) -> Vec<u8> {
        self.iter().flatten().copied().collect()
    }

    fn used(&self) -> usize {
        Self::len(self)
    }
}

macro_rules! ntex_codec {
    ($(#[$doc:meta])* $type:ident $module:ident $version:ident) => {
        $(#[$doc])*
        pub(super) struct $type($module::codec::Codec);

        impl Codec for $type {
            const NAME: &'static str = "ntex-mqtt";
            const FORMS: &'static [Form] = &[Form::Copied, Form::ByReference, Form::LaidOut];
            type Input<'a> = BytesMut;
            type Packet<'a> = $module::codec::Decoded;
            type Sent<'a> = $module::codec::Encoded;
            type Carry = Option<BytesMut>;
            type Buffer = BytePages;

            fn new(row: &Row) -> Option<Self> {
                let codec = $module::codec::Codec::new();
                // Payloads whole, as all others hand them out.
                codec.set_min_chunk_size(u32::MAX);
                (row.version == Version::$version).then_some(Self(codec))
            }

            fn input(bytes: &[u8]) -> BytesMut {
                BytesMut::copy_from_slice(bytes)
            }

            #[inline]
            fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
                self.0.decode(input).ok()?
            }

            fn decode_chunks(
                &mut self,
                stream: &[u8],
                size: usize,
                carry: &mut Option<BytesMut>,
            ) -> usize {
                let mut packets = 0;
                let carry = carry.get_or_insert_with(|| BytesMut::with_capacity(4096));
                carry.clear();
                for chunk in stream.chunks(size) {
                    carry.extend_from_slice(chunk);
                    packets += decode_all(self, carry);
                }
                packets
            }

            fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
                use $module::codec::{Decoded, Encoded};
                match packet {
                    Decoded::Packet(packet, _) => Some(Encoded::Packet(packet)),
                    Decoded::Publish(packet, payload, _) => {
                        Some(Encoded::Publish(packet, Some(payload)))
                    }
                    Decoded::PayloadChunk(..) => None,
                }
            }

            #[inline]
            fn encode(&mut self, packet: &Self::Sent<'_>, buffer: &mut BytePages) -> bool {
                self.0.encodev(packet.clone(), buffer).is_ok()
            }
        }
    };
}

ntex_codec!(
    /// For 3.1.1.
    NtexV3 v3 V311
);
ntex_codec!(
    /// For 5.
    NtexV5 v5 V5
);
