//! Base64 as it occurs: standard or URL alphabet, padded or not.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// `None`: a character of neither alphabet, or one digit too many. Bits of the last digit that are
/// no byte are ignored.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for digit in group {
            bits = bits << 6 | sextet(*digit)?;
        }
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        let whole = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        out.extend(bytes.into_iter().skip(1).take(whole));
    }
    Some(out)
}

/// Standard alphabet, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().chain([0, 0].iter()).take(3).fold(0, |sum, &b| sum << 8 | usize::from(b));
        for place in 0..4 {
            let digit = bits >> (18 - 6 * place) & 63;
            let digit = if place <= group.len() { ALPHABET.get(digit).copied() } else { None };
            out.push(digit.map_or('=', char::from));
        }
    }
    out
}

pub(super) mod data {
    use alloc::string::String;
    use alloc::vec::Vec;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(in super::super) fn serialize<S: Serializer>(
        data: &[u8],
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(&super::encode(data))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(input)?;
        super::decode(&text).ok_or_else(|| Error::custom("data: not base64"))
    }
}
