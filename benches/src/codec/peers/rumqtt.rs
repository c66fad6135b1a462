//! rumqttc, and mqttbytes, from which its codec came.

use bytes::BytesMut;
use mqtt_codec::Version;
use rumqttc::mqttbytes::v4 as rumqttc_v4;
use rumqttc::v5::mqttbytes::v5 as rumqttc_v5;

use super::{Codec, Row, bytes_codec, chunks_of_bytes};

const MAX: usize = 1 << 20;

bytes_codec!(
    /// rumqttc for 3.1.1.
    RumqttcV4(()) "rumqttc" V311 rumqttc_v4::Packet,
    (),
    |_: &mut (), input: &mut BytesMut| rumqttc_v4::Packet::read(input, MAX).ok(),
    |_: &mut (), packet: &rumqttc_v4::Packet, buffer: &mut BytesMut| packet.write(buffer, MAX).is_ok()
);

bytes_codec!(
    /// rumqttc for 5.
    RumqttcV5(()) "rumqttc" V5 rumqttc_v5::Packet,
    (),
    |_: &mut (), input: &mut BytesMut| rumqttc_v5::Packet::read(input, None).ok(),
    |_: &mut (), packet: &rumqttc_v5::Packet, buffer: &mut BytesMut| packet.write(buffer, None).is_ok()
);

bytes_codec!(
    /// mqttbytes for 3.1.1.
    MqttbytesV4(()) "mqttbytes" V311 mqttbytes::v4::Packet,
    (),
    |_: &mut (), input: &mut BytesMut| mqttbytes::v4::read(input, MAX).ok(),
    |_: &mut (), packet: &mqttbytes::v4::Packet, buffer: &mut BytesMut| {
        use mqttbytes::v4::Packet;
        match packet {
            Packet::Publish(packet) => packet.write(buffer).is_ok(),
            Packet::PubAck(packet) => packet.write(buffer).is_ok(),
            Packet::Subscribe(packet) => packet.write(buffer).is_ok(),
            Packet::PingReq => mqttbytes::v4::PingReq.write(buffer).is_ok(),
            _ => false,
        }
    }
);

bytes_codec!(
    /// mqttbytes for 5.
    MqttbytesV5(()) "mqttbytes" V5 mqttbytes::v5::Packet,
    (),
    |_: &mut (), input: &mut BytesMut| mqttbytes::v5::read(input, MAX).ok(),
    |_: &mut (), packet: &mqttbytes::v5::Packet, buffer: &mut BytesMut| {
        use mqttbytes::v5::Packet;
        match packet {
            Packet::Publish(packet) => packet.write(buffer).is_ok(),
            Packet::PubAck(packet) => packet.write(buffer).is_ok(),
            Packet::Connect(packet) => packet.write(buffer).is_ok(),
            Packet::Subscribe(packet) => packet.write(buffer).is_ok(),
            Packet::PingReq => mqttbytes::v5::PingReq.write(buffer).is_ok(),
            _ => false,
        }
    }
);
