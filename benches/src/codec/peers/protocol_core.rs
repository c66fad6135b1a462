//! mqtt-protocol-core: parses what is behind the fixed header, by type; PUBLISH from an `Arc`.

use mqtt_codec::Version;
use mqtt_protocol_core::mqtt::Arc;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet, v3_1_1, v5_0};

use super::{Codec, Row, slice_codec};
use crate::codec::{chunks_of_slice, frame};

slice_codec!(
    /// Both versions. Its own framing hands on no PUBLISH: its type cannot be named from outside.
    ProtocolCore "mqtt-protocol-core" Version::V311 | Version::V5, Packet,
    parse,
    |packet: &Packet, buffer: &mut Vec<u8>| {
        buffer.extend_from_slice(&packet.to_continuous_buffer());
        true
    }
);

fn parse(version: Version, packet: &[u8]) -> Option<Packet> {
    let v5 = version == Version::V5;
    let first = *packet.first()?;
    let header = 2 + packet.get(1..)?.iter().position(|byte| byte & 0x80 == 0)?;
    let body = packet.get(header..)?;
    macro_rules! parse {
        ($old:ident $new:ident $type:ident ($($argument:expr),*)) => {
            if v5 {
                Some(Packet::$new(v5_0::$type::parse($($argument),*).ok()?.0))
            } else {
                Some(Packet::$old(v3_1_1::$type::parse($($argument),*).ok()?.0))
            }
        };
    }
    match first >> 4 {
        1 => parse!(V3_1_1Connect V5_0Connect Connect(body)),
        3 => parse!(V3_1_1Publish V5_0Publish Publish(first & 0x0F, Arc::from(body))),
        4 => parse!(V3_1_1Puback V5_0Puback Puback(body)),
        8 => parse!(V3_1_1Subscribe V5_0Subscribe Subscribe(body)),
        12 => parse!(V3_1_1Pingreq V5_0Pingreq Pingreq(body)),
        _ => None,
    }
}
