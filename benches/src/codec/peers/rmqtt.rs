//! rmqtt-codec: codecs for tokio-util.

use bytes::BytesMut;
use mqtt_codec::Version;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use super::{Codec, Row, bytes_codec, chunks_of_bytes};

bytes_codec!(
    /// For 3.1.1.
    RmqttV3(v3::Codec) "rmqtt-codec" V311 v3::Packet,
    v3::Codec::new(0),
    |codec: &mut v3::Codec, input: &mut BytesMut| Some(codec.decode(input).ok()??.0),
    |codec: &mut v3::Codec, packet: &v3::Packet, buffer: &mut BytesMut| {
        codec.encode(packet.clone(), buffer).is_ok()
    }
);

bytes_codec!(
    /// For 5.
    RmqttV5(v5::Codec) "rmqtt-codec" V5 v5::Packet,
    v5::Codec::new(0, 0),
    |codec: &mut v5::Codec, input: &mut BytesMut| Some(codec.decode(input).ok()??.0),
    |codec: &mut v5::Codec, packet: &v5::Packet, buffer: &mut BytesMut| {
        codec.encode(packet.clone(), buffer).is_ok()
    }
);
