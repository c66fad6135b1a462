//! mqtt-codec-kit: reads from `io::Read`, writes to `io::Write`.

use mqtt_codec::Version;
use mqtt_codec_kit::common::{Decodable, Encodable};
use mqtt_codec_kit::{v4, v5};

use super::{Codec, Row, slice_codec};
use crate::codec::{chunks_of_slice, frame};

slice_codec!(
    /// For 3.1.1.
    CodecKitV4 "mqtt-codec-kit" Version::V311, v4::packet::VariablePacket,
    |_, mut bytes: &[u8]| v4::packet::VariablePacket::decode(&mut bytes).ok(),
    |packet: &v4::packet::VariablePacket, buffer: &mut Vec<u8>| packet.encode(buffer).is_ok()
);

slice_codec!(
    /// For 5.
    CodecKitV5 "mqtt-codec-kit" Version::V5, v5::packet::VariablePacket,
    |_, mut bytes: &[u8]| v5::packet::VariablePacket::decode(&mut bytes).ok(),
    |packet: &v5::packet::VariablePacket, buffer: &mut Vec<u8>| packet.encode(buffer).is_ok()
);
