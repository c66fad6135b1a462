//! What strings, topic names and topic filters must and must not have in them (sections 1.5.4, 4.7).

use crate::packet::FAST;
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
/// all strings, and this finds it out much faster than `core::str::from_utf8`: sixteen or eight bytes
/// at a time, wherever they begin. Some are looked at twice, which takes less than to look at those
/// left one by one.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn is_plain(bytes: &[u8], wildcards: Wildcards) -> bool {
    if !FAST {
        return !bytes.iter().any(|byte| stands_out(*byte, wildcards));
    }
    if let Some(last) = bytes.last_chunk() {
        let mut rest = bytes;
        while let (true, Some((chunk, behind))) = (rest.len() > 16, rest.split_first_chunk()) {
            if any_stands_out(chunk, wildcards) {
                return false;
            }
            rest = behind;
        }
        return !any_stands_out(last, wildcards);
    }
    let found = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            found(u64::from_le_bytes(*first), wildcards)
                | found(u64::from_le_bytes(*last), wildcards)
        }
        _ => found(short_word(bytes), wildcards),
    };
    found & HIGH == 0
}

/// Whether this is not ASCII, is U+0000, or is a wildcard if those are looked for.
#[inline]
const fn stands_out(byte: u8, wildcards: Wildcards) -> bool {
    // No branch, for the sake of `any_stands_out`. `+` and `#` differ in one bit.
    let is_wildcard = byte & !0x08 == b'#';
    (byte as i8 <= 0) | (matches!(wildcards, Wildcards::Found) & is_wildcard)
}

/// Whether one of these does. Compilers make a few vector instructions of it.
#[inline]
fn any_stands_out(bytes: &[u8; 16], wildcards: Wildcards) -> bool {
    bytes.iter().fold(false, |any, byte| any | stands_out(*byte, wildcards))
}

/// As [`any_stands_out`] of eight bytes: the highest bit of some byte is set if one does.
#[inline]
const fn found(word: u64, wildcards: Wildcards) -> u64 {
    // In a byte below 0x80, subtracting 1 sets the highest bit if it is 0; otherwise only if it
    // borrows for one that is.
    let plain = word | word.wrapping_sub(ONES);
    match wildcards {
        Wildcards::Allowed => plain,
        Wildcards::Found => plain | found_wildcards(word),
    }
}

/// The highest bit is set of a byte that is `+` or `#`, and maybe of those behind one.
#[inline]
const fn found_wildcards(word: u64) -> u64 {
    ((word & !(ONES * 0x08)) ^ (ONES * b'#' as u64)).wrapping_sub(ONES)
}

/// Whether there is no U+0000 in two words of text, if it says so: of what is not ASCII it may not.
#[inline]
pub(super) const fn has_no_nul(a: u64, b: u64) -> bool {
    // Where a byte is 1 to 0x80, subtracting 1 leaves its highest bit 0, and borrows from no other.
    (a.wrapping_sub(ONES) | b.wrapping_sub(ONES)) & HIGH == 0
}

/// As [`has_no_nul`], of half as many bytes.
#[inline]
pub(super) const fn has_no_nul_short(a: u32, b: u32) -> bool {
    (a.wrapping_sub(ONES as u32) | b.wrapping_sub(ONES as u32)) & HIGH as u32 == 0
}

/// As [`is_plain`], wildcards allowed, of eight bytes.
#[inline]
const fn is_plain_word(word: u64) -> bool {
    found(word, Wildcards::Allowed) & HIGH == 0
}

/// Fewer than eight bytes in one word, some of them twice, filled up with one that is looked for
/// nowhere.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(1));
    0x0101_0101_0100_0000 | byte(0) << 16 | byte(1) << 8 | byte(2)
}

/// Whether these bytes are ASCII without U+0000, each wildcard has a level of its own, and `#` is in
/// the last one. Where flash is dearer than time, it is only known that they are if it says so.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(super) fn is_plain_filter(bytes: &[u8]) -> bool {
    is_plain(bytes, Wildcards::Found) || (FAST && has_plain_levels(bytes))
}

/// As [`is_plain_filter`], of bytes in which something stands out.
#[inline(never)]
fn has_plain_levels(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        // Filled up with what is looked for nowhere.
        let word = bytes.iter().rev().fold(ONES, |word, byte| word << 8 | u64::from(*byte));
        return word_fits(word, 0, bytes);
    };
    let mut rest = bytes;
    while let (true, Some((word, behind))) = (rest.len() > 8, rest.split_first_chunk()) {
        if !word_fits(u64::from_le_bytes(*word), bytes.len() - rest.len(), bytes) {
            return false;
        }
        rest = behind;
    }
    word_fits(u64::from_le_bytes(*last), bytes.len() - 8, bytes)
}

/// Whether nothing speaks against these eight bytes of a filter, of which the first is there.
#[inline]
fn word_fits(word: u64, at: usize, filter: &[u8]) -> bool {
    // What is found behind a wildcard may be none: that one is then not alone in its level, and
    // refused before.
    let mut found = found_wildcards(word) & HIGH;
    while found != 0 {
        let here = at + found.trailing_zeros() as usize / 8;
        let begins = here.checked_sub(1).and_then(|before| filter.get(before));
        let ends = matches!(filter.get(here..), Some([b'+', b'/', ..] | [_]));
        if !ends || begins.is_some_and(|before| *before != b'/') {
            return false;
        }
        found &= found - 1;
    }
    is_plain_word(word)
}

/// Refuses what is no topic name; `wildcard` is the rule that a wildcard in it breaks.
#[cold]
#[inline(never)]
pub(super) fn check_name(
    bytes: &[u8],
    policy: Policy,
    wildcard: Violation,
) -> Result<(), Violation> {
    check_string(bytes, policy)?;
    if bytes.iter().copied().any(is_wildcard) { Err(wildcard) } else { Ok(()) }
}

/// Refuses what is no topic filter.
#[cold]
#[inline(never)]
pub(super) fn check_filter(bytes: &[u8], rules: &Rules) -> Result<(), Violation> {
    check_string(bytes, rules.policy)?;
    TopicFilter::check(bytes, rules.version).map(drop)
}

/// Refuses what is no string, has what no string must have, or what the policy refuses.
#[cold]
#[inline(never)]
pub(super) fn check_string(bytes: &[u8], policy: Policy) -> Result<(), Violation> {
    let text = core::str::from_utf8(bytes).map_err(|_| Violation::StringNotUtf8)?;
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
