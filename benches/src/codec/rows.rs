//! The rows: what is read and written in each.

use mqtt_codec::{
    Ack, Connect, List, Packet, PacketId, Properties, Property, Publish, QoS, RetainHandling,
    Rules, Sender, Subscribe, Subscription, Text, TopicFilter, TopicName, Version, Will,
};

/// What is done with the parts of a packet in writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of them are written as an application has them: properties are a list.
    Copied,
    /// The payload may be left where it is, to be sent from there.
    ByReference,
    /// Properties may have been laid out before, to be sent again and again.
    LaidOut,
}

/// Packets, as bytes.
#[derive(Debug)]
pub struct Row {
    /// As it is called in the table.
    pub name: &'static str,
    /// In which version the packets are.
    pub version: Version,
    /// One after the other.
    pub stream: Vec<u8>,
    /// Their number.
    pub packets: usize,
    /// How many of them are written in one go.
    pub encode_packets: usize,
    /// What is written how. Others than [`Form::Copied`] are written only.
    pub form: Form,
    /// In pieces of how many bytes the stream comes, and leaves; `None`: all at once.
    pub chunk: Option<usize>,
}

const TOPIC: &str = "residence/kitchen/oven/1";

fn publish(payload: &[u8]) -> Publish<'_> {
    Publish::new(topic(TOPIC), payload)
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).expect("a topic name")
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not 0")
}

fn filter(text: &str, qos: QoS) -> Subscription<'_> {
    Subscription::new(TopicFilter::new(text).expect("a topic filter"), qos)
}

/// All rows, in the order of the table.
pub fn rows() -> Vec<Row> {
    let (v4, v5) = (Version::V311, Version::V5);
    let payload: Vec<u8> = (0..65_536).map(|i| (i * 7 % 251) as u8).collect();
    let small = &payload[..64];
    let qos1 = Publish { qos: QoS::AtLeastOnce, packet_id: Some(id(1234)), ..publish(small) };
    let five = [
        Property::MessageExpiryInterval(3600),
        Property::ContentType("application/json"),
        Property::CorrelationData(&[0x5A; 16]),
        Property::UserProperty(("origin", "sensor-0042")),
        Property::UserProperty(("trace", "7f3a91c0")),
    ];
    let with_five = Publish { properties: Properties::from(&five[..]), ..qos1 };
    let connect_properties = [
        Property::SessionExpiryInterval(86_400),
        Property::ReceiveMaximum(core::num::NonZeroU16::new(100).expect("not 0")),
        Property::MaximumPacketSize(core::num::NonZeroU32::new(1 << 20).expect("not 0")),
        Property::TopicAliasMaximum(16),
        Property::RequestProblemInformation(true),
        Property::UserProperty(("fleet", "north-7")),
    ];
    let will_properties = [
        Property::WillDelayInterval(30),
        Property::MessageExpiryInterval(3600),
        Property::ContentType("text/plain"),
    ];
    let connect = Connect {
        properties: Properties::from(&connect_properties[..]),
        will: Some(Will {
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::from(&will_properties[..]),
            ..Will::new(topic("residence/oven/1/state"), b"offline")
        }),
        user_name: Some(Text::new("oven-1")),
        password: Some(b"correct horse battery"),
        ..Connect::new(v5, "oven-1-8f2c55d0")
    };
    let filters = [
        filter("residence/kitchen/oven/1", QoS::AtMostOnce),
        filter("residence/kitchen/oven/2", QoS::AtLeastOnce),
        filter("residence/+/temperature", QoS::AtMostOnce),
        filter("residence/kitchen/#", QoS::AtLeastOnce),
        filter("residence/garage/door/state", QoS::ExactlyOnce),
        filter("fleet/north-7/alerts", QoS::AtLeastOnce),
        filter("fleet/+/commands/+", QoS::AtLeastOnce),
        filter("status/oven-1", QoS::AtMostOnce),
    ];
    let filters_v5 = filters.map(|subscription| Subscription {
        retain_as_published: true,
        retain_handling: RetainHandling::SendIfNew,
        ..subscription
    });
    let subscribe = |filters| {
        Packet::Subscribe(Subscribe {
            packet_id: id(11),
            properties: Properties::EMPTY,
            subscriptions: List::from(filters),
        })
    };
    let same = |name, version, packet: Packet<'_>, packets| {
        let mut stream = Vec::new();
        (0..packets).for_each(|_| write(version, &packet, &mut stream));
        // Many, so that it is them that are measured; but no more than the caches hold.
        let encode_packets = if stream.len() < 1 << 16 { packets } else { 1 };
        Row { name, version, stream, packets, encode_packets, form: Form::Copied, chunk: None }
    };
    let publish_0 = |len| Packet::Publish(publish(&payload[..len]));
    let laid_out = "PUBLISH 5 QoS 1, five properties laid out";
    let connect_laid_out = "CONNECT 5, full, properties laid out";
    let by_reference = "PUBLISH 3.1.1 QoS 0, 64 KiB by reference";
    let mut rows = vec![
        same("PUBLISH 3.1.1 QoS 0, 64 B", v4, publish_0(64), 64),
        same("PUBLISH 3.1.1 QoS 0, 1 KiB", v4, publish_0(1024), 16),
        same("PUBLISH 3.1.1 QoS 0, 64 KiB", v4, publish_0(65_536), 16),
        Row { form: Form::ByReference, ..same(by_reference, v4, publish_0(65_536), 1) },
        same("PUBLISH 5 QoS 1, 64 B", v5, Packet::Publish(qos1), 64),
        same("PUBLISH 5 QoS 1, five properties", v5, Packet::Publish(with_five), 64),
        Row { form: Form::LaidOut, ..same(laid_out, v5, Packet::Publish(with_five), 64) },
        same("CONNECT 5, full", v5, Packet::Connect(connect), 64),
        Row { form: Form::LaidOut, ..same(connect_laid_out, v5, Packet::Connect(connect), 64) },
        same("SUBSCRIBE 3.1.1, 8 filters", v4, subscribe(&filters[..]), 64),
        same("SUBSCRIBE 5, 8 filters", v5, subscribe(&filters_v5[..]), 64),
        same("PUBACK 3.1.1", v4, Packet::PubAck(Ack::new(id(1234))), 64),
        same("PUBACK 5", v5, Packet::PubAck(Ack::new(id(1234))), 64),
    ];
    let pieces = Some(1460);
    rows.extend([
        mixed("mixed 3.1.1, contiguous", v4, &payload, None),
        mixed("mixed 3.1.1, in 1460-byte chunks", v4, &payload, pieces),
        mixed("mixed 5, contiguous", v5, &payload, None),
        mixed("mixed 5, in 1460-byte chunks", v5, &payload, pieces),
    ]);
    rows
}

/// 10,000 packets: 80 % small PUBLISH of QoS 0 and 1, 15 % PUBACK, 5 % PINGREQ and SUBSCRIBE, in an
/// order that cannot be foreseen.
fn mixed(name: &'static str, version: Version, payload: &[u8], chunk: Option<usize>) -> Row {
    let packets = 10_000;
    let mut order: Vec<usize> = (0..packets).collect();
    let mut random = 1u64;
    for i in (1..packets).rev() {
        // Knuth's MMIX generator.
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        order.swap(i, (random >> 33) as usize % (i + 1));
    }
    let mut stream = Vec::new();
    for i in order {
        let number = id((i % 5000) as u16 + 1);
        let packet = match i % 100 {
            0..80 => {
                let plain = publish(&payload[i % 100..][..16 + i * 31 % 112]);
                match i % 3 {
                    0 => Packet::Publish(Publish {
                        qos: QoS::AtLeastOnce,
                        packet_id: Some(number),
                        ..plain
                    }),
                    _ => Packet::Publish(plain),
                }
            }
            80..95 => Packet::PubAck(Ack::new(number)),
            95..98 => Packet::PingReq,
            _ => {
                let filter = [filter("residence/kitchen/#", QoS::AtLeastOnce)];
                let subscribe = Subscribe {
                    packet_id: number,
                    properties: Properties::EMPTY,
                    subscriptions: List::from(&filter[..]),
                };
                write(version, &Packet::Subscribe(subscribe), &mut stream);
                continue;
            }
        };
        write(version, &packet, &mut stream);
    }
    Row { name, version, stream, packets, encode_packets: packets, form: Form::Copied, chunk }
}

fn write(version: Version, packet: &Packet<'_>, stream: &mut Vec<u8>) {
    Rules::new(version, Sender::Client).encode_to_vec(packet, stream).expect("a legal packet");
}
