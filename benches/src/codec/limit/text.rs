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

/// Strings are checked sixteen or eight ASCII bytes at a time; only others by `core::str::from_utf8`.
#[derive(Debug)]
pub enum Swar {}

impl Text for Std {
    const NAME: &'static str = "limit, std's check";
    const WRITES: bool = true;

    #[inline(always)]
    fn is_string(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok() && has_none(bytes, false, false)
    }

    #[inline(always)]
    fn is_name(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok() && has_none(bytes, false, true)
    }

    #[inline(always)]
    fn is_filter(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok()
            && (has_none(bytes, false, true) || has_levels::<false>(bytes))
    }
}

impl Text for Swar {
    const NAME: &'static str = "limit, 16 bytes at a time";
    const WRITES: bool = false;

    #[inline(always)]
    fn is_string(bytes: &[u8]) -> bool {
        has_none(bytes, true, false) || Std::is_string(bytes)
    }

    #[inline(always)]
    fn is_name(bytes: &[u8]) -> bool {
        has_none(bytes, true, true) || Std::is_name(bytes)
    }

    #[inline(always)]
    fn is_filter(bytes: &[u8]) -> bool {
        has_none(bytes, true, true) || has_levels::<true>(bytes) || Std::is_filter(bytes)
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Wanted {
    /// All that is not ASCII.
    other: bool,
    wildcards: bool,
}

impl Wanted {
    /// Whether it is in these bytes; 0 always is looked for. A few vector instructions.
    #[inline(always)]
    fn in_chunk(self, bytes: &[u8; 16]) -> bool {
        // One after the other, each without a branch.
        let seen = bytes.iter().fold(false, |any, byte| {
            any | if self.other { (*byte as i8) <= 0 } else { *byte == 0 }
        });
        // '+' and '#' differ in one bit.
        let wildcard = bytes.iter().fold(false, |any, byte| any | (*byte & !8 == b'#'));
        seen | (self.wildcards & wildcard)
    }

    /// The same of eight bytes.
    #[inline(always)]
    fn in_word(self, word: u64) -> bool {
        // A byte below 0x80 from which 1 is subtracted has its highest bit set if it was 0.
        let seen = word.wrapping_sub(LOW) | if self.wildcards { wildcards(word) } else { 0 };
        (if self.other { seen | word } else { seen & !word }) & HIGH != 0
    }
}

/// The highest bit of a wildcard is set, and maybe of what is behind one.
#[inline(always)]
fn wildcards(word: u64) -> u64 {
    ((word & !(LOW * 0x08)) ^ (LOW * u64::from(b'#'))).wrapping_sub(LOW)
}

/// Whether no byte is 0, nor a wildcard, nor one that is not ASCII, if those are looked for.
// Some bytes are looked at again, which takes less than to look at those left one by one.
#[inline(always)]
pub(super) fn has_none(bytes: &[u8], ascii: bool, wildcards: bool) -> bool {
    let wanted = Wanted { other: ascii, wildcards };
    if let Some(last) = bytes.last_chunk() {
        let mut rest = bytes;
        while let (true, Some((chunk, behind))) = (rest.len() > 16, rest.split_first_chunk()) {
            if wanted.in_chunk(chunk) {
                return false;
            }
            rest = behind;
        }
        return !wanted.in_chunk(last);
    }
    !match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            wanted.in_word(u64::from_le_bytes(*first)) | wanted.in_word(u64::from_le_bytes(*last))
        }
        _ => wanted.in_word(short_word(bytes)),
    }
}

/// As [`has_none`], but wildcards may be there, each in a level of its own, and `#` in the last.
#[inline(never)]
fn has_levels<const ASCII: bool>(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        // Filled up with what is looked for nowhere.
        let word = bytes.iter().rev().fold(LOW, |word, byte| word << 8 | u64::from(*byte));
        return fits(bytes, 0, word, ASCII);
    };
    let mut rest = bytes;
    while let (true, Some((word, behind))) = (rest.len() > 8, rest.split_first_chunk()) {
        if !fits(bytes, bytes.len() - rest.len(), u64::from_le_bytes(*word), ASCII) {
            return false;
        }
        rest = behind;
    }
    fits(bytes, bytes.len() - 8, u64::from_le_bytes(*last), ASCII)
}

/// Whether nothing speaks against these eight bytes of a filter.
#[inline(always)]
fn fits(filter: &[u8], at: usize, word: u64, ascii: bool) -> bool {
    let mut found = wildcards(word) & if ascii { HIGH } else { HIGH & !word };
    while found != 0 {
        let here = at + found.trailing_zeros() as usize / 8;
        let before = filter.get(here.wrapping_sub(1));
        let alone = matches!(filter.get(here..), Some([b'+', b'/', ..] | [_]));
        // Behind one that is there, another may be found in error: the first fits ill then.
        if before.is_some_and(|byte| *byte != b'/') || !alone {
            return false;
        }
        found &= found - 1;
    }
    !Wanted { other: ascii, wildcards: false }.in_word(word)
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
