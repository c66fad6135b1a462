//! The two ways to look at a string: the limit depends on them more than on all else.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How strings are checked.
pub trait Text {
    /// As the limit is called in the table.
    const NAME: &'static str;
    /// Whether it takes part in writing, where both would be the same.
    const WRITES: bool;

    /// Whether the bytes are UTF-8 without U+0000.
    fn is_string(bytes: &[u8]) -> bool;

    /// Whether there is no wildcard among them either.
    fn is_name(bytes: &[u8]) -> bool;
}

/// Strings are checked by `core::str::from_utf8`.
#[derive(Debug)]
pub enum Std {}

/// Strings are checked eight ASCII bytes at a time; only others by `core::str::from_utf8`.
#[derive(Debug)]
pub enum Swar {}

impl Text for Std {
    const NAME: &'static str = "limit, std's check";
    const WRITES: bool = true;

    #[inline]
    fn is_string(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok() && has_none(bytes, 0, false)
    }

    #[inline]
    fn is_name(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok() && has_none(bytes, 0, true)
    }
}

impl Text for Swar {
    const NAME: &'static str = "limit, 8 bytes at a time";
    const WRITES: bool = false;

    #[inline]
    fn is_string(bytes: &[u8]) -> bool {
        has_none(bytes, HIGH, false) || Std::is_string(bytes)
    }

    #[inline]
    fn is_name(bytes: &[u8]) -> bool {
        has_none(bytes, HIGH, true) || Std::is_name(bytes)
    }
}

/// Whether no byte is 0, has a bit that is set in the bytes of `bits`, or is a wildcard, if that is
/// looked for.
#[inline]
pub(super) fn has_none(bytes: &[u8], bits: u64, wildcards: bool) -> bool {
    let any = |word: u64| {
        let zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
        // '+' and '#' differ in one bit.
        let wildcard = (word & !(LOW * 0x08)) ^ (LOW * u64::from(b'#'));
        (word & bits | zero(word) | if wildcards { zero(wildcard) } else { 0 }) != 0
    };
    let Some(last) = bytes.last_chunk() else {
        // A byte that is looked for nowhere fills up the word.
        return !any(bytes.iter().fold(LOW, |word, byte| word << 8 | u64::from(*byte)));
    };
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        if any(u64::from_le_bytes(*word)) {
            return false;
        }
        rest = behind;
    }
    // Some bytes are looked at again, which takes less than to look at those left one by one.
    !any(u64::from_le_bytes(*last))
}
