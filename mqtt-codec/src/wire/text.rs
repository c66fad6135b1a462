//! What strings, topic names and topic filters must and must not have in them (sections 1.5.4, 4.7).

use crate::rules::{Policy, Rules};
use crate::{TopicFilter, Violation};

/// What [`is_plain`] looks for beside U+0000.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcards {
    Allowed,
    Found,
}

/// Whether this is one of the characters that stand for others in a Topic Filter (section 4.7.1).
#[inline]
pub(crate) const fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'+' | b'#')
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// Whether these bytes are ASCII without U+0000, and if asked for without `+` and `#`. So are nearly
/// all strings, and this finds it out much faster than `core::str::from_utf8`: eight bytes at a
/// time, wherever they begin.
#[inline]
pub(crate) fn is_plain(bytes: &[u8], wildcards: Wildcards) -> bool {
    // The highest bit of some byte is set if one is found.
    let found = |word: u64| {
        // In a byte below 0x80, subtracting 1 sets the highest bit if it is 0; otherwise only if it
        // borrows for one that is. `+` and `#` differ in one bit.
        let wildcard = (word & !(ONES * 0x08)) ^ (ONES * b'#' as u64);
        let found = match wildcards {
            Wildcards::Allowed => 0,
            Wildcards::Found => wildcard.wrapping_sub(ONES),
        };
        word | word.wrapping_sub(ONES) | found
    };
    let Some(last) = bytes.last_chunk() else { return found(short_word(bytes)) & HIGH == 0 };
    let mut rest = bytes;
    // Two at a time, as they do not wait for each other.
    while let Some((words, behind)) = rest.split_first_chunk::<16>() {
        let word = u128::from_le_bytes(*words);
        if (found(word as u64) | found((word >> 64) as u64)) & HIGH != 0 {
            return false;
        }
        rest = behind;
    }
    let next = rest.first_chunk().map_or(ONES, |word| u64::from_le_bytes(*word));
    // Some bytes are looked at again, which takes less than to look at those left one by one.
    (found(next) | found(u64::from_le_bytes(*last))) & HIGH == 0
}

/// As [`is_plain`], wildcards allowed, of eight bytes.
#[inline]
pub(super) const fn is_plain_word(word: u64) -> bool {
    (word | word.wrapping_sub(ONES)) & HIGH == 0
}

/// Fewer than eight bytes in one word, some of them twice, filled up with one that [`is_plain`] looks
/// for nowhere.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(1));
    0x0101_0101_0100_0000 | byte(0) << 16 | byte(1) << 8 | byte(2)
}

/// Whether these bytes are ASCII without U+0000, each wildcard has a level of its own, and `#` is in
/// the last one.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(super) fn is_plain_filter(bytes: &[u8]) -> bool {
    let (mut at, mut rest) = (0, bytes);
    while !rest.is_empty() {
        let (word, behind) = match rest.split_first_chunk() {
            Some((word, behind)) => (u64::from_le_bytes(*word), behind),
            // The end of the last eight, behind what was seen of them; or all, if there are fewer.
            None => (last_word(bytes, rest.len()), &[][..]),
        };
        if (word | word.wrapping_sub(ONES)) & HIGH != 0 {
            return false;
        }
        // `+` and `#` differ in one bit. What is found behind one that is there may be none: the first
        // is then not alone in its level, and refused before.
        let mut found = ((word & !(ONES * 0x08)) ^ (ONES * b'#' as u64)).wrapping_sub(ONES) & HIGH;
        while found != 0 {
            let here = at + found.trailing_zeros() as usize / 8;
            let begins = here.checked_sub(1).and_then(|before| bytes.get(before));
            let ends = matches!(bytes.get(here..), Some([b'+', b'/', ..] | [_]));
            if !ends || begins.is_some_and(|before| *before != b'/') {
                return false;
            }
            found &= found - 1;
        }
        at += 8;
        rest = behind;
    }
    true
}

/// The last `len` bytes, fewer than eight, in one word, filled up with one that is looked for nowhere.
#[inline]
fn last_word(bytes: &[u8], len: usize) -> u64 {
    let word = match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * len),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    word | ONES << (8 * len)
}

/// Refuses what is no topic name; `wildcard` is the rule that a wildcard in it breaks.
#[cold]
#[inline(never)]
pub(super) fn check_name(
    bytes: &[u8],
    policy: Policy,
    wildcard: Violation,
) -> Result<(), Violation> {
    check_utf8(bytes, policy)?;
    if bytes.iter().copied().any(is_wildcard) { Err(wildcard) } else { Ok(()) }
}

/// Refuses what is no topic filter.
#[cold]
#[inline(never)]
pub(super) fn check_filter(bytes: &[u8], rules: &Rules) -> Result<(), Violation> {
    check_utf8(bytes, rules.policy)?;
    TopicFilter::check(bytes, rules.version).map(drop)
}

/// Refuses what is no string.
fn check_utf8(bytes: &[u8], policy: Policy) -> Result<(), Violation> {
    let text = core::str::from_utf8(bytes).map_err(|_| Violation::StringNotUtf8)?;
    check_string(text, policy)
}

/// Refuses a string that has what no string must have, or what the policy refuses.
#[cold]
#[inline(never)]
pub(super) fn check_string(text: &str, policy: Policy) -> Result<(), Violation> {
    let noncharacter =
        |c: char| matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE;
    if text.contains('\0') {
        Err(Violation::StringHasNul)
    } else if policy.refuse_control_characters && text.chars().any(char::is_control) {
        Err(Violation::StringHasControl)
    } else if policy.refuse_noncharacters && text.chars().any(noncharacter) {
        Err(Violation::StringHasNonCharacter)
    } else {
        Ok(())
    }
}
