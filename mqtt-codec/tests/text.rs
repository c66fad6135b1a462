//! Strings are looked through many bytes at a time: wherever a byte stands that matters, what is said
//! must be what a look at one after the other says.

use mqtt_codec::{DecodeError, Packet, Rules, Sender, Version};

/// What is neither special nor refused, next to what is: `"` and `*` differ from wildcards in one
/// bit or are one less.
const BASE: &[u8] = b"a\"*\x7F,$/\x01.b";
const SPECIAL: [&[u8]; 7] = [b"+", b"#", b"/", b"\0", b"\x80", b"\xC3\xA9", b"/+/"];

/// Every text of up to 34 bytes with each two of [`SPECIAL`] in it, next to each other or at the ends.
fn each_text(mut look: impl FnMut(&[u8])) {
    for len in 1..=34 {
        for at in 0..len {
            for other in [at, at + 1, 0, len - 1] {
                for first in SPECIAL {
                    for second in SPECIAL {
                        let mut text: Vec<u8> = BASE.iter().copied().cycle().take(len).collect();
                        put(&mut text, at, first);
                        put(&mut text, other, second);
                        look(&text);
                    }
                }
            }
        }
    }
}

fn put(text: &mut [u8], at: usize, special: &[u8]) {
    if let Some(place) = text.get_mut(at..at + special.len()) {
        place.copy_from_slice(special);
    }
}

fn is_string(text: &[u8]) -> bool {
    core::str::from_utf8(text).is_ok_and(|text| !text.contains('\0'))
}

fn is_name(text: &[u8]) -> bool {
    is_string(text) && !text.iter().any(|byte| b"+#".contains(byte))
}

fn is_filter(text: &[u8]) -> bool {
    let mut levels = text.split(|byte| *byte == b'/').rev();
    let last = levels.next().is_some_and(|level| level == b"#" || level == b"+" || is_name(level));
    // A character of several bytes has no `/` in it, so each level is a string if the whole is.
    is_string(text) && last && levels.all(|level| level == b"+" || is_name(level))
}

/// A packet of this first byte with the text behind these bytes and before those.
fn packet(first: u8, before: &[u8], text: &[u8], behind: &[u8]) -> Vec<u8> {
    let len = before.len() + 2 + text.len() + behind.len();
    let mut bytes = vec![first, len as u8];
    bytes.extend_from_slice(before);
    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(behind);
    bytes
}

/// By the default policy, and by one that must look closer and finds nothing more here: in strings it
/// takes another way.
fn read(bytes: &[u8]) -> bool {
    let rules = Rules::new(Version::V5, Sender::Client);
    let mut strict = rules;
    strict.policy.refuse_noncharacters = true;
    let result = decode(&rules, bytes);
    assert_eq!(result, decode(&strict, bytes), "{bytes:x?}");
    result.is_ok()
}

fn decode(rules: &Rules, mut bytes: &[u8]) -> Result<(), DecodeError> {
    rules.decode(&mut bytes).map(|packet| {
        assert!(matches!(packet, Some(Packet::Publish(_) | Packet::Subscribe(_))));
        assert!(bytes.is_empty());
    })
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-3.3.2-2].
#[test]
fn a_topic_name_is_refused_for_any_byte_of_it() {
    each_text(|text| {
        assert_eq!(read(&packet(0x30, b"", text, b"\0")), is_name(text), "{}", text.escape_ascii());
    });
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-4.7.1-1], [MQTT-4.7.1-2].
#[test]
fn a_topic_filter_is_refused_for_any_byte_of_it() {
    each_text(|text| {
        let read = read(&packet(0x82, b"\0\x01\0", text, b"\0"));
        assert_eq!(read, is_filter(text), "{}", text.escape_ascii());
    });
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2]: alone, and as either half of a pair.
#[test]
fn a_string_in_properties_is_refused_for_any_byte_of_it() {
    each_text(|text| {
        let len = text.len() as u8;
        let content_type = packet(0x30, &[0, 1, b'a', len + 3, 0x03], text, b"");
        let name = packet(0x30, &[0, 1, b'a', len + 6, 0x26], text, b"\0\x01v");
        let value = packet(0x30, &[0, 1, b'a', len + 6, 0x26, 0, 1, b'n'], text, b"");
        for bytes in [content_type, name, value] {
            assert_eq!(read(&bytes), is_string(text), "{}", text.escape_ascii());
        }
    });
}
