//! The normative statements that bytes alone can keep or break, each shown on both ways: what must
//! not be sent is refused when it is read, and cannot be written, by a rule or because the types have
//! no place for it. Statements of 3.1.1 are cited as `of 3.1.1`.

mod acks;
mod connect;
mod header;
mod publish;
mod strings;
mod subscribe;
mod topics;

use mqtt_codec::{
    Ack, Connect, EncodeError, Packet, PacketId, Publish, QoS, Rules, Sender, TopicName, Version,
    Violation,
};

const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn client(version: Version) -> Rules {
    Rules::new(version, Sender::Client)
}

fn server(version: Version) -> Rules {
    Rules::new(version, Sender::Server)
}

/// The rule that these bytes break, and where.
#[track_caller]
fn refused(rules: Rules, bytes: &[u8]) -> (Violation, u32) {
    let error = rules.decode(&mut &*bytes).expect_err("these bytes are to be refused");
    (error.violation, error.offset)
}

/// The packet in these bytes.
#[track_caller]
fn read(rules: Rules, bytes: &[u8]) -> Packet<'_> {
    let mut rest = bytes;
    let packet = rules.decode(&mut rest).unwrap().expect("a whole packet");
    assert!(rest.is_empty());
    packet
}

/// The rule that keeps this packet from being written.
#[track_caller]
fn not_written(rules: Rules, packet: Packet<'_>) -> Violation {
    let error = rules.encode(&packet, &mut [0; 400]).expect_err("this packet is to be refused");
    assert_eq!(rules.encoded_len(&packet), Err(error), "measuring alone refuses it too");
    assert_eq!(rules.encode(&packet, &mut []), Err(error), "the room is looked at last");
    match error {
        EncodeError::Refused(violation) => violation,
        other => panic!("{other}"),
    }
}

/// The bytes of this packet, which are read as the same packet.
#[track_caller]
fn written(rules: Rules, packet: Packet<'_>) -> Vec<u8> {
    let mut buffer = vec![0; rules.encoded_len(&packet).unwrap()];
    assert_eq!(rules.encode(&packet, &mut buffer), Ok(buffer.len()));
    assert_eq!(rules.decode(&mut &buffer[..]), Ok(Some(packet)));
    buffer
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

/// A good PUBLISH of this QoS.
fn publish(qos: QoS) -> Publish<'static> {
    let packet_id = (qos != QoS::AtMostOnce).then(|| id(10));
    Publish { qos, packet_id, ..Publish::new(topic("a/b"), b"payload") }
}

/// A good CONNECT.
fn connect(version: Version) -> Connect<'static> {
    Connect::new(version, "client")
}

/// The four acknowledgements of messages: PUBACK, PUBREC, PUBREL, PUBCOMP.
fn acknowledgement(kind: usize, ack: Ack<'_>) -> Packet<'_> {
    match kind {
        0 => Packet::PubAck(ack),
        1 => Packet::PubRec(ack),
        2 => Packet::PubRel(ack),
        _ => Packet::PubComp(ack),
    }
}
