//! mqtt5-protocol: reads from `bytes::Buf`, writes to `bytes::BufMut`, both versions.

use mqtt_codec::Version;
use mqtt5_protocol::packet::{FixedHeader, MqttPacket, Packet};

use super::{Codec, Row, slice_codec};
use crate::codec::{chunks_of_slice, frame};

slice_codec!(
    /// Both versions; its packets know which they are of.
    Mqtt5 "mqtt5-protocol" Version::V311 | Version::V5, Packet,
    |version: Version, mut bytes: &[u8]| {
        let header = FixedHeader::decode(&mut bytes).ok()?;
        let (kind, level) = (header.packet_type, version.level());
        Packet::decode_from_body_with_version(kind, &header, &mut bytes, level).ok()
    },
    |packet: &Packet, buffer: &mut Vec<u8>| {
        match packet {
            Packet::Publish(packet) => packet.encode(buffer).is_ok(),
            Packet::PubAck(packet) => packet.encode(buffer).is_ok(),
            Packet::Connect(packet) => packet.encode(buffer).is_ok(),
            Packet::Subscribe(packet) => packet.encode(buffer).is_ok(),
            Packet::PingReq => {
                mqtt5_protocol::packet::pingreq::PingReqPacket::default().encode(buffer).is_ok()
            }
            _ => false,
        }
    }
);
