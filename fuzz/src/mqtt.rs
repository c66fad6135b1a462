//! What must hold of MQTT packets whatever their bytes are.

use mqtt_codec::{Packet, Part, Pieces, Publish, Rules, Sender, Version, Violation};

/// Rules from two bytes: who sends, what the policy refuses, how large a packet may be.
pub fn rules(version: Version, choices: [u8; 2]) -> Rules {
    let [choice, size] = choices;
    let sender = [Sender::Client, Sender::Server, Sender::Either][usize::from(choice % 3)];
    let mut rules = Rules::new(version, sender);
    rules.policy.refuse_control_characters = choice & 0x10 != 0;
    rules.policy.refuse_noncharacters = choice & 0x20 != 0;
    rules.policy.check_payload_format = choice & 0x40 != 0;
    rules.policy.refuse_empty_auth = choice & 0x80 != 0;
    if size != 0 {
        rules.max_packet_size = u32::from(size);
    }
    rules
}

/// Reads all packets in these bytes under one set of rules and checks what must hold of each.
pub fn decode_all(version: Version, data: &[u8]) {
    for sender in [Sender::Client, Sender::Server, Sender::Either] {
        let rules = Rules::new(version, sender);
        let mut rest = data;
        loop {
            let before = rest;
            let tree = rules.tree(rest);
            assert!(tree.bytes().len() <= rest.len());
            let mut shown = 0;
            tree.fields(|field| {
                assert!(field.offset + field.bytes.len() <= tree.bytes().len());
                shown += usize::from(field.mask == 0xFF) * field.bytes.len();
            });
            assert_eq!(shown, tree.bytes().len(), "each byte is in one field");
            match rules.decode(&mut rest) {
                Ok(Some(packet)) => {
                    let len = before.len() - rest.len();
                    assert_eq!(len, tree.bytes().len());
                    survives(packet, rules, len);
                }
                Ok(None) => {
                    assert_eq!(rest, before);
                    break;
                }
                Err(error) => {
                    assert_eq!(rest, before);
                    assert!(error.offset as usize <= tree.bytes().len());
                    break;
                }
            }
        }
    }
}

/// A packet that was read is written in no more bytes, and those are read as the same packet, of
/// which no part is a whole packet or an error.
pub fn survives(packet: Packet<'_>, rules: Rules, len: usize) {
    let mut bytes = Vec::new();
    let written = rules.encode_to_vec(&packet, &mut bytes).expect("what is read can be written");
    assert!(written <= len);
    assert_eq!(rules.decode(&mut &bytes[..]), Ok(Some(packet)));
    for split in [0, 1, 2, 3, written / 2, written - 1] {
        if split < written {
            assert_eq!(rules.decode(&mut &bytes[..split]), Ok(None));
        }
    }
}

/// What came of a stream: packets with their payloads, and the rule that ended it.
pub type Outcome = (Vec<(String, Vec<u8>)>, Option<Violation>);

fn apart(packet: Packet<'_>) -> (String, Vec<u8>) {
    match packet {
        Packet::Publish(publish) => {
            let head = Publish { payload: &[], ..publish };
            (format!("{head:?}"), publish.payload.to_vec())
        }
        packet => (format!("{packet:?}"), Vec::new()),
    }
}

/// Reads a stream that is all there.
pub fn at_once(rules: Rules, mut data: &[u8]) -> Outcome {
    let mut packets = Vec::new();
    loop {
        match rules.decode(&mut data) {
            Ok(Some(packet)) => packets.push(apart(packet)),
            Ok(None) => return (packets, None),
            Err(error) => return (packets, Some(error.violation)),
        }
    }
}

/// Reads a stream in pieces, packets by parts.
pub fn in_pieces<'a>(rules: Rules, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut packets: Vec<(String, Vec<u8>)> = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut payload: Option<Pieces> = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut rest = &buffer[..];
        loop {
            if let Some(pieces) = &mut payload {
                let Ok(piece) = pieces.next(&mut rest) else {
                    packets.pop();
                    return (packets, Some(Violation::PayloadNotUtf8));
                };
                packets.last_mut().expect("its head").1.extend_from_slice(piece);
                if pieces.remaining() > 0 {
                    break;
                }
                payload = None;
            }
            match rules.decode_part(&mut rest) {
                Ok(None) => break,
                Ok(Some(Part::Packet(packet))) => packets.push(apart(packet)),
                Ok(Some(Part::Head(head))) => {
                    packets.push((format!("{:?}", head.publish), Vec::new()));
                    payload = Some(head.payload);
                }
                Err(error) => return (packets, Some(error.violation)),
            }
        }
        buffer = rest.to_vec();
    }
    if payload.is_some() {
        packets.pop(); // The last one is not all there.
    }
    (packets, None)
}
