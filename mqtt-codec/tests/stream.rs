//! PUBLISH in pieces, and what it costs to receive in pieces.
#![cfg(feature = "alloc")]

mod common;

use core::time::Duration;
use std::time::Instant;

use common::{DEV, bytes, lines, rules};
use mqtt_codec::{
    EncodeError, Packet, Part, Properties, Property, Publish, Rules, Sender, TopicName, Version,
    Violation,
};

/// Reads everything by parts, with `size` bytes more each time, and joins the payloads.
fn by_parts(rules: Rules, bytes: &[u8], size: usize) -> Result<Vec<(String, Vec<u8>)>, Violation> {
    let mut packets = Vec::new();
    let mut buffer = Vec::new();
    let mut pieces: Option<mqtt_codec::Pieces> = None;
    for chunk in bytes.chunks(size) {
        buffer.extend_from_slice(chunk);
        let mut rest = &buffer[..];
        loop {
            if let Some(payload) = &mut pieces {
                let piece = payload.next(&mut rest)?;
                let (_, joined): &mut (String, Vec<u8>) = packets.last_mut().unwrap();
                joined.extend_from_slice(piece);
                if payload.remaining() > 0 {
                    break;
                }
                pieces = None;
            }
            match rules.decode_part(&mut rest).map_err(|error| error.violation)? {
                None => break,
                Some(Part::Packet(Packet::Publish(publish))) => {
                    let head = Publish { payload: &[], ..publish };
                    packets.push((format!("{head:?}"), publish.payload.to_vec()));
                }
                Some(Part::Packet(packet)) => packets.push((format!("{packet:?}"), Vec::new())),
                Some(Part::Head(head)) => {
                    packets.push((format!("{:?}", head.publish), Vec::new()));
                    pieces = Some(head.payload);
                }
            }
        }
        buffer = rest.to_vec();
    }
    Ok(packets)
}

#[test]
fn every_good_packet_comes_out_the_same_in_pieces_of_any_size() {
    for vector in lines(DEV).filter(|v| v["valid"] == true) {
        let Some(rules) = rules(&vector) else { continue };
        let twice = bytes(&vector).repeat(2);
        let whole = by_parts(rules, &twice, twice.len()).unwrap();
        assert_eq!(whole.len(), 2);
        for size in 1..twice.len().min(40) {
            assert_eq!(by_parts(rules, &twice, size).as_ref(), Ok(&whole), "{size} {vector}");
        }
    }
}

#[test]
fn every_bad_packet_is_refused_in_pieces_too() {
    for vector in lines(DEV).filter(|v| v["valid"] == false && v["error"] != "incomplete") {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        let Err(whole) = rules.decode(&mut &bytes[..]) else { panic!("{vector}") };
        for size in 1..=bytes.len() {
            assert_eq!(by_parts(rules, &bytes, size), Err(whole.violation), "{size} {vector}");
        }
    }
}

/// A head that runs past the end of its packet is refused before all of the packet is there.
#[test]
fn a_bad_head_is_refused_as_soon_as_it_can_be_seen() {
    let rules = Rules::new(Version::V5, Sender::Client);
    for (bytes, violation, at) in [
        (&b"\x30\x05\0\x09"[..], Violation::Truncated, 2),
        (b"\x30\x01", Violation::Truncated, 2),
        (b"\x30\x7F\0\x01a\x80\x80\x80\x80", Violation::VariableByteIntegerTooLong, 5),
        (b"\x30\x06\0\x01a\x7F", Violation::PropertyLength, 5),
        (b"\x30\x09\0\x01a\xFF\xFF\xFF\xFF", Violation::VariableByteIntegerTooLong, 5),
        (b"\x30\x7F\0\x01a\xFF\xFF\xFF\0", Violation::VariableByteIntegerNotMinimal, 5),
        (b"\x30\x7F\0\x01+\0", Violation::TopicNameWildcard, 2),
        // What comes first is told first, though what follows is wrong too.
        (b"\x30\x7F\0\x01\xB4\xFF\xFF\xFF\xFF", Violation::StringNotUtf8, 2),
        (b"\x32\x7F\0\x01a\0\0\xFF\xFF\xFF\xFF", Violation::PacketIdZero, 5),
        (b"\x30\x7F\0\x01a\x02\x01\x02", Violation::PropertyNotBoolean, 7),
    ] {
        let error = rules.decode_part(&mut &*bytes).unwrap_err();
        assert_eq!((error.violation, error.offset), (violation, at), "{bytes:x?}");
    }
}

/// Section 3.3.2.3.2: the policy holds for pieces too, and for both ways.
#[test]
fn text_is_checked_across_the_pieces() {
    let list = [Property::PayloadFormatIndicator(true)];
    let publish = Publish {
        properties: Properties::from(&list[..]),
        ..Publish::new(TopicName::new("a").unwrap(), b"")
    };
    let mut rules = Rules::new(Version::V5, Sender::Client);
    let texts: [&[u8]; 9] = [
        "aé€𐍈z".as_bytes(),
        b"",
        b"\xF0\x90\x8D",
        b"a\xFF",
        b"\xC3\x28",
        b"\xED\xA0\x80",
        b"\xE2\x82",
        b"\xF0\x90\x8D\x88\xC3\xA9",
        b"\xF0\x28\x8C\xBC",
    ];
    for strict in [false, true] {
        rules.policy.check_payload_format = strict;
        for text in texts {
            let good = !strict || core::str::from_utf8(text).is_ok();
            let whole = Packet::Publish(Publish { payload: text, ..publish });
            assert_eq!(rules.encoded_len(&whole).is_ok(), good);
            for size in 1..=text.len() + 1 {
                let mut head = [0; 32];
                let (len, mut pieces) = rules.encode_head(&publish, text.len(), &mut head).unwrap();
                let sent = text.chunks(size).all(|mut piece| pieces.next(&mut piece).is_ok());
                assert_eq!(sent, good, "{text:x?} by {size}");
                let bytes = [&head[..len], text].concat();
                assert_eq!(by_parts(rules, &bytes, size).is_ok(), good, "{text:x?} by {size}");
            }
        }
    }
}

/// Section 2.1.4: up to 268,435,455 bytes of Remaining Length, without having them.
#[test]
fn the_largest_payload_can_be_announced_and_no_larger_one() {
    let rules = Rules::new(Version::V311, Sender::Client);
    let publish = Publish::new(TopicName::new("a").unwrap(), b"");
    let mut head = [0; 16];
    let (len, payload) = rules.encode_head(&publish, 268_435_452, &mut head).unwrap();
    assert_eq!(head[..len], *b"\x30\xFF\xFF\xFF\x7F\0\x01a");
    assert_eq!(payload.remaining(), 268_435_452);
    let mut received = &head[..len];
    let Ok(Some(Part::Head(read))) = rules.decode_part(&mut received) else { panic!() };
    assert_eq!((read.publish, read.payload), (publish, payload));

    let error = rules.encode_head(&publish, 268_435_453, &mut head).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge { .. }));
    let error = rules.encode_head(&publish, usize::MAX - 10, &mut head).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge { .. }));
    let small = Rules { max_packet_size: 100, ..rules };
    assert!(small.encode_head(&publish, 95, &mut head).is_ok());
    let error = small.encode_head(&publish, 96, &mut head).unwrap_err();
    assert_eq!(error, EncodeError::TooLarge { size: 101, limit: 100 });
    let error = rules.encode_head(&publish, 10, &mut head[..4]).unwrap_err();
    assert_eq!(error, EncodeError::NoRoom { needed: 5 });
    let full = Publish { payload: b"x", ..publish };
    let error = rules.encode_head(&full, 10, &mut head).unwrap_err();
    assert_eq!(error, EncodeError::Refused(Violation::TrailingBytes));
}

/// The head written for a payload to come is that of the packet with the payload in it.
#[test]
fn head_and_payload_are_the_packet() {
    for vector in lines(DEV).filter(|v| v["valid"] == true) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        let Ok(Some(Packet::Publish(publish))) = rules.decode(&mut &bytes[..]) else { continue };
        let mut whole = vec![0; bytes.len()];
        let len = rules.encode(&Packet::Publish(publish), &mut whole).unwrap();
        let mut head = vec![0; len];
        let empty = Publish { payload: &[], ..publish };
        let (head_len, _) = rules.encode_head(&empty, publish.payload.len(), &mut head).unwrap();
        assert_eq!([&head[..head_len], publish.payload].concat(), whole[..len]);
        let packet = Packet::Publish(publish);
        let prepared = rules.prepare(&packet).unwrap();
        let mut head = vec![0; head_len];
        prepared.write_head(&mut head);
        assert_eq!([&head, prepared.payload()].concat(), whole[..len]);
    }
}

/// How long `decode` takes in all for a PUBLISH of this length that comes in pieces of this size and
/// is tried after each.
fn time_in_pieces(len: usize, size: usize) -> Duration {
    let payload = vec![b'x'; len];
    let mut stream = Vec::new();
    let rules = Rules::new(Version::V5, Sender::Client);
    let packet = Packet::Publish(Publish::new(TopicName::new("a/b").unwrap(), &payload));
    rules.encode_to_vec(&packet, &mut stream).unwrap();
    let start = Instant::now();
    for received in (size..stream.len()).step_by(size) {
        assert_eq!(rules.decode(&mut &stream[..received]), Ok(None));
    }
    let packets = rules.decode(&mut &stream[..]).into_iter().flatten().count();
    let time = start.elapsed();
    assert_eq!(packets, 1);
    time
}

/// Four times the bytes take four times as long. If what was seen were read again after each piece,
/// they would take sixteen times as long.
#[test]
fn a_packet_in_pieces_takes_linear_time() {
    for (size, len) in [(1, 256 * 1024), (1460, 16 * 1024 * 1024)] {
        // Others use the machine too: one try of many is enough.
        let is_linear =
            (0..20).any(|_| time_in_pieces(len, size) < 8 * time_in_pieces(len / 4, size));
        assert!(is_linear, "in pieces of {size} bytes");
    }
}

/// That `decode` looks at no more than the fixed header while bytes are missing: what follows it may
/// be anything, and is not refused before it can be all there.
#[test]
fn while_bytes_are_missing_only_the_fixed_header_is_looked_at() {
    let rules = Rules::new(Version::V5, Sender::Client);
    let mut bad = vec![0x30, 0x80, 0x80, 0x10];
    bad.resize(4 + 256 * 1024 - 1, 0xFF);
    assert_eq!(rules.decode(&mut &bad[..]), Ok(None));
    bad.push(0xFF);
    assert!(rules.decode(&mut &bad[..]).is_err());
}
