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

    /// Whether each wildcard among them has a level of its own, and `#` the last.
    fn is_filter(bytes: &[u8]) -> bool;
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
        core::str::from_utf8(bytes).is_ok() && has_none(bytes, false, false)
    }

    #[inline]
    fn is_name(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok() && has_none(bytes, false, true)
    }

    #[inline]
    fn is_filter(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok() && has_levels(bytes, false)
    }
}

impl Text for Swar {
    const NAME: &'static str = "limit, 8 bytes at a time";
    const WRITES: bool = false;

    #[inline]
    fn is_string(bytes: &[u8]) -> bool {
        has_none(bytes, true, false) || Std::is_string(bytes)
    }

    #[inline]
    fn is_name(bytes: &[u8]) -> bool {
        has_none(bytes, true, true) || Std::is_name(bytes)
    }

    #[inline(always)]
    fn is_filter(bytes: &[u8]) -> bool {
        has_levels(bytes, true) || Std::is_filter(bytes)
    }
}

/// Whether no byte is 0, nor a wildcard, nor one that is not ASCII, if those are looked for.
#[inline]
pub(super) fn has_none(bytes: &[u8], ascii: bool, wildcards: bool) -> bool {
    let any = |word: u64| {
        // '+' and '#' differ in one bit.
        let wildcard = (word & !(LOW * 0x08)) ^ (LOW * u64::from(b'#'));
        let found = if wildcards { wildcard.wrapping_sub(LOW) } else { 0 };
        // A byte below 0x80 from which 1 is subtracted has its highest bit set if it was 0.
        let seen = word.wrapping_sub(LOW) | found;
        (if ascii { seen | word } else { seen & !word }) & HIGH != 0
    };
    let Some(last) = bytes.last_chunk() else { return !any(short_word(bytes)) };
    let mut rest = bytes;
    while let Some((words, behind)) = rest.split_first_chunk::<16>() {
        let word = u128::from_le_bytes(*words);
        if any(word as u64) | any((word >> 64) as u64) {
            return false;
        }
        rest = behind;
    }
    let next = rest.first_chunk().map_or(LOW, |word| u64::from_le_bytes(*word));
    // Some bytes are looked at again, which takes less than to look at those left one by one.
    !(any(next) | any(u64::from_le_bytes(*last)))
}

/// As [`has_none`], but wildcards may be there, each in a level of its own, and `#` in the last.
#[inline(always)]
fn has_levels(bytes: &[u8], ascii: bool) -> bool {
    // Among ASCII, only 0 has its highest bit set once 1 is subtracted.
    let zero = |word: u64| word.wrapping_sub(LOW) & if ascii { HIGH } else { !word & HIGH };
    let (mut at, mut rest) = (0, bytes);
    while !rest.is_empty() {
        let (word, behind) = match rest.split_first_chunk() {
            Some((word, behind)) => (u64::from_le_bytes(*word), behind),
            None => {
                // The last eight again, without those that were seen; or all, if there are fewer.
                let word = match bytes.last_chunk() {
                    Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
                    None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
                };
                (word | LOW << (8 * rest.len()), &[][..])
            }
        };
        if (if ascii { word & HIGH } else { 0 }) | zero(word) != 0 {
            return false;
        }
        let mut wildcards = zero((word & !(LOW * 0x08)) ^ (LOW * u64::from(b'#')));
        while wildcards != 0 {
            let here = at + wildcards.trailing_zeros() as usize / 8;
            let before = bytes.get(here.wrapping_sub(1));
            let fits = matches!(bytes.get(here..), Some([b'+', b'/', ..] | [_]));
            // Behind one that is there, another may be found in error: the first fits ill then.
            if before.is_some_and(|byte| *byte != b'/') || !fits {
                return false;
            }
            wildcards &= wildcards - 1;
        }
        at += 8;
        rest = behind;
    }
    true
}

/// Fewer than eight bytes in one word, some of them twice, filled up with one that is looked for
/// nowhere.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(1));
    LOW & !0xFF_FFFF | byte(0) << 16 | byte(1) << 8 | byte(2)
}
