//! Owned packets and the codec for `Framed`: nothing is copied, and the verdicts are the same.
#![cfg(feature = "tokio-util")]

mod common;

use bytes::BytesMut;
use common::{DEV, bytes, lines, rules};
use mqtt_codec::{Codec, CodecError, Packet};
use tokio_util::codec::{Decoder, Encoder};

#[test]
fn a_frame_shares_the_memory_of_the_buffer_it_was_received_in() {
    for vector in lines(DEV).filter(|v| v["valid"] == true) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        let mut buffer = BytesMut::from(&bytes[..]);
        buffer.extend_from_slice(b"\xFF");
        let memory = buffer.as_ptr() as usize..buffer.as_ptr() as usize + bytes.len();
        let frame = rules.decode_frame(&mut buffer).unwrap().unwrap();
        assert_eq!(buffer, b"\xFF"[..]);
        assert_eq!(frame.bytes(), &bytes);
        assert_eq!(frame.bytes().as_ptr() as usize, memory.start);
        assert_eq!(Some(frame.packet()), rules.decode(&mut &bytes[..]).unwrap());
        if let Packet::Publish(publish) = frame.packet() {
            assert_eq!(frame.payload(), publish.payload);
            assert_eq!(frame.topic(), publish.topic.as_str());
            for part in [frame.payload(), frame.topic()] {
                assert!(part.is_empty() || memory.contains(&(part.as_ptr() as usize)));
            }
        } else {
            assert!(frame.payload().is_empty() && frame.topic().is_empty());
        }
        assert_eq!(frame.share(b"elsewhere"), None);
    }
}

#[test]
fn the_codec_for_framed_reads_pieces_and_writes_what_encode_writes() {
    for vector in lines(DEV) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        let mut codec = Codec { incoming: rules, outgoing: rules };
        let mut buffer = BytesMut::new();
        let mut result = Ok(None);
        for byte in &bytes {
            assert!(matches!(result, Ok(None)), "{vector}");
            buffer.extend_from_slice(&[*byte]);
            result = codec.decode(&mut buffer);
            if result.is_err() {
                break;
            }
        }
        match (result, rules.decode(&mut &bytes[..])) {
            (Ok(Some(frame)), Ok(Some(packet))) => {
                assert_eq!(frame.packet(), packet);
                let mut out = BytesMut::from(&b"before"[..]);
                codec.encode(packet, &mut out).unwrap();
                let mut expected = b"before".to_vec();
                rules.encode_to_vec(&packet, &mut expected).unwrap();
                assert_eq!(out, expected);
            }
            (Ok(None), Ok(None)) => {}
            (Err(CodecError::Decode(error)), Err(expected)) => assert_eq!(error, expected),
            (result, expected) => panic!("{result:?} {expected:?}"),
        }
    }
}

#[test]
fn a_length_that_is_only_announced_takes_no_memory() {
    let rules = mqtt_codec::Rules::new(mqtt_codec::Version::V5, mqtt_codec::Sender::Client);
    let mut codec = Codec { incoming: rules, outgoing: rules };
    let mut buffer = BytesMut::from(&b"\x30\xFF\xFF\xFF\x7F"[..]);
    assert!(codec.decode(&mut buffer).unwrap().is_none());
    assert!(buffer.capacity() < 256 * 1024, "{}", buffer.capacity());
}
