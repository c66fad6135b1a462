//! Checking, measuring and writing.

use core::marker::PhantomData;
use core::ops::Range;

use super::text::{Wildcards, check_string, is_plain, is_plain_word};
use super::{MAX_VARIABLE, variable_len};
use crate::packet::FAST;
use crate::rules::{Policy, Rules};
use crate::{Properties, Scope, Text, Version, Violation};

/// What is done with the fields of a packet.
pub trait Mode {
    /// They are held against the rules.
    const CHECKS: bool;
    /// They are written, and not only counted.
    const WRITES: bool;
    /// There is no other walk: how long what is written is shows when it is written, and what does not
    /// fit is refused.
    const ALONE: bool = false;
    /// What takes a walk of its own is not counted but guessed.
    const GUESSES: bool = false;
}

/// To know about how long a packet is that is then checked and written at once.
#[cfg(target_pointer_width = "64")]
#[derive(Debug)]
pub(crate) enum Guess {}

/// To check a packet and write it.
#[derive(Debug)]
pub(crate) enum Encode {}

/// To check a packet and know how long it is, before there is room for it.
#[cfg(target_pointer_width = "64")]
#[derive(Debug)]
pub(crate) enum Measure {}

/// To write a packet that was checked.
#[cfg(target_pointer_width = "64")]
#[derive(Debug)]
pub(crate) enum Write {}

impl Mode for Encode {
    const CHECKS: bool = true;
    const WRITES: bool = true;
    const ALONE: bool = FAST;
}

#[cfg(target_pointer_width = "64")]
impl Mode for Guess {
    const CHECKS: bool = false;
    const WRITES: bool = false;
    const GUESSES: bool = true;
}

#[cfg(target_pointer_width = "64")]
impl Mode for Measure {
    const CHECKS: bool = true;
    const WRITES: bool = false;
}

#[cfg(target_pointer_width = "64")]
impl Mode for Write {
    const CHECKS: bool = false;
    const WRITES: bool = true;
}

/// One copy of the code for all: what is measured has no room, and is checked each time.
#[cfg(not(target_pointer_width = "64"))]
pub(crate) use Encode as Guess;
#[cfg(not(target_pointer_width = "64"))]
pub(crate) use Encode as Measure;
#[cfg(not(target_pointer_width = "64"))]
pub(crate) use Encode as Write;

/// The Property Length of a packet, and in CONNECT that of the will.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PropertyLengths {
    packet: u32,
    will: u32,
}

/// Where a packet is put, field by field: they are checked, counted, and written while there is room.
/// So each packet lays out its fields once.
#[derive(Debug)]
pub struct Sink<'b, M> {
    /// What is left of it; nothing once something did not fit.
    room: &'b mut [u8],
    /// Bytes so far, those without room included.
    pub(crate) len: u64,
    pub(crate) rules: &'b Rules,
    pub(crate) version: Version,
    /// Properties that are left out because the packet would be too large, as bits.
    pub(crate) omitted: u64,
    /// Found while counting, needed for writing.
    pub(crate) properties: PropertyLengths,
    mode: PhantomData<M>,
}

impl<'b, M: Mode> Sink<'b, M> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn new(
        room: &'b mut [u8],
        rules: &'b Rules,
        version: Version,
        omitted: u64,
        properties: PropertyLengths,
    ) -> Self {
        Self { room, len: 0, rules, version, omitted, properties, mode: PhantomData }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn policy(&self) -> Policy {
        self.rules.policy
    }

    /// Refuses the packet unless `ok`.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) const fn check(&self, ok: bool, violation: Violation) -> Result<(), Violation> {
        if M::CHECKS && !ok { Err(violation) } else { Ok(()) }
    }

    /// As [`Self::check`], of what takes more than a glance.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn demand(
        &self,
        check: impl FnOnce(&Rules) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if M::CHECKS { check(self.rules) } else { Ok(()) }
    }

    /// Refuses a payload that is not the text it is said to be, if the policy says so.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn payload_format(
        &self,
        payload: &[u8],
        properties: &Properties<'_>,
    ) -> Result<(), Violation> {
        let ok = !M::CHECKS || self.policy().admits_payload(payload, properties);
        self.check(ok, Violation::PayloadNotUtf8)
    }

    /// Refuses what is longer than its length in front of it can say.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_len(&self, bytes: &[u8]) -> Result<(), Violation> {
        self.check(bytes.len() <= usize::from(u16::MAX), Violation::StringTooLong)
    }

    /// Refuses a topic name or filter that the policy refuses. All else, its length included, was
    /// checked when it was made.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_topic(&self, topic: &[u8]) -> Result<(), Violation> {
        if M::CHECKS && self.policy().checks_strings() {
            return check_string(topic, self.policy());
        }
        Ok(())
    }

    /// The next `len` bytes, to be filled; `None` while they are only counted, or for want of room.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn room(&mut self, len: usize) -> Result<Option<&'b mut [u8]>, Violation> {
        // On 64-bit machines nothing is counted that is written.
        if !FAST || !M::WRITES {
            self.len += len as u64;
        }
        if !M::WRITES {
            return Ok(None);
        }
        match core::mem::take(&mut self.room).split_at_mut_checked(len) {
            Some((room, rest)) => {
                self.room = rest;
                Ok(Some(room))
            }
            None if M::ALONE => Err(Violation::Truncated),
            None => Ok(None),
        }
    }

    /// These bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn array<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Violation> {
        if let Some(place) = self.room(N)?.and_then(|room| room.first_chunk_mut()) {
            *place = bytes;
        }
        Ok(())
    }

    /// These bytes behind that one. It is stored by itself: to make one value of both takes longer.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn tagged<const N: usize>(
        &mut self,
        tag: u8,
        bytes: [u8; N],
    ) -> Result<(), Violation> {
        if !FAST {
            self.u8(tag)?;
            return self.array(bytes);
        }
        if let Some((first, rest)) = self.room(1 + N)?.and_then(|room| room.split_first_mut()) {
            if let Some(place) = rest.first_chunk_mut() {
                *first = tag;
                *place = bytes;
            }
        }
        Ok(())
    }

    /// These bytes, which may be many.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if let Some(room) = self.room(bytes.len())? {
            room.copy_from_slice(bytes);
        }
        Ok(())
    }

    /// A field with its length of two bytes in front of it, bytes in front of that, and others behind.
    /// Returns whether it is plain text, if `plain` asks for it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn put<const N: usize, const K: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; K],
        plain: bool,
    ) -> Result<bool, Violation> {
        Ok(match self.room(N + 2 + bytes.len() + K)? {
            Some(room) => fill(room, before, bytes, behind, plain),
            None => !plain || is_plain(bytes, Wildcards::Allowed),
        })
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u8(&mut self, value: u8) -> Result<(), Violation> {
        self.array([value])
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u16(&mut self, value: u16) -> Result<(), Violation> {
        self.array(value.to_be_bytes())
    }

    /// A Variable Byte Integer (section 1.5.5), in the fewest bytes [MQTT-1.5.5-1].
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn variable(&mut self, value: u32) -> Result<(), Violation> {
        let [a, b, c, d] =
            [value, value >> 7, value >> 14, value >> 21].map(|part| part as u8 | 0x80);
        match value {
            0..=0x7F => self.u8(value as u8),
            0x80..=0x3FFF => self.array([a, b & 0x7F]),
            0x4000..=0x1F_FFFF => self.array([a, b, c & 0x7F]),
            _ => self.array([a, b, c, d & 0x7F]),
        }
    }

    /// A fixed header (section 2.1). Returns its length.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn header(&mut self, first: u8, remaining: u64) -> Result<usize, Violation> {
        match remaining {
            short @ 0..=0x7F if FAST => {
                self.tagged(first, [short as u8])?;
                Ok(2)
            }
            medium @ 0x80..=0x3FFF if FAST => {
                self.tagged(first, [medium as u8 | 0x80, (medium >> 7) as u8])?;
                Ok(3)
            }
            long if long <= u64::from(MAX_VARIABLE) => {
                self.u8(first)?;
                self.variable(long as u32)?;
                Ok(1 + variable_len(long as u32))
            }
            _ => Err(Violation::RemainingLengthTooLong),
        }
    }

    /// Leaves room for so many bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn skip(&mut self, len: usize) -> Result<(), Violation> {
        self.room(len).map(drop)
    }

    /// A UTF-8 Encoded String (section 1.5.4), with these bytes in front of it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn string<const N: usize>(
        &mut self,
        before: [u8; N],
        text: Text<'_>,
    ) -> Result<(), Violation> {
        let text = text.as_bytes();
        self.check_len(text)?;
        let is_plain = self.put(before, text, [], M::CHECKS)?;
        if M::CHECKS && (!is_plain || self.policy().checks_strings()) {
            check_string(text, self.policy())?;
        }
        Ok(())
    }

    /// A topic name or filter, with these bytes in front of it and behind it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn topic<const N: usize, const K: usize>(
        &mut self,
        before: [u8; N],
        topic: &[u8],
        behind: [u8; K],
    ) -> Result<(), Violation> {
        self.check_topic(topic)?;
        self.put(before, topic, behind, false).map(drop)
    }

    /// Binary Data (section 1.5.6), with these bytes in front of it and behind it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn binary<const N: usize, const K: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; K],
    ) -> Result<(), Violation> {
        self.check_len(bytes)?;
        self.put(before, bytes, behind, false).map(drop)
    }

    /// Property Length and properties (section 2.2.2).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn properties(
        &mut self,
        properties: &Properties<'_>,
        scope: Scope,
    ) -> Result<(), Violation> {
        if M::ALONE {
            return self.properties_at_once(properties, scope);
        }
        if M::GUESSES {
            self.len += 1 + u64::from(properties.guess());
            return Ok(());
        }
        let is_will = matches!(scope, Scope::Will);
        let known = if is_will { self.properties.will } else { self.properties.packet };
        let counts = !M::WRITES || (!FAST && self.room.is_empty());
        let room = if counts {
            &mut []
        } else {
            self.variable(known)?;
            self.room(known as usize)?.unwrap_or_default()
        };
        // Another sink for them, so that what this one knows can stay in registers.
        let len = properties.put::<M>(room, self.rules, self.omitted, scope)?;
        if counts {
            self.len += variable_len(len) as u64 + u64::from(len);
            *if is_will { &mut self.properties.will } else { &mut self.properties.packet } = len;
        }
        Ok(())
    }

    /// Properties whose length is known once they are written.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn properties_at_once(
        &mut self,
        properties: &Properties<'_>,
        scope: Scope,
    ) -> Result<(), Violation> {
        if let Some(bytes) = properties.as_bytes(self.rules, scope) {
            self.variable(bytes.len() as u32)?;
            return self.bytes(bytes);
        }
        let room = core::mem::take(&mut self.room);
        // Their length is nearly always one byte.
        let place = room.get_mut(1..).ok_or(Violation::Truncated)?;
        let len = properties.put_at_once(place, self.rules, scope).ok_or(Violation::Truncated)?;
        if len > 0x7F {
            shift(room, 1..1 + len as usize, variable_len(len)).ok_or(Violation::Truncated)?;
        }
        self.room = room;
        self.variable(len)?;
        self.skip(len as usize)
    }

    /// Bytes so far, if there was room for so many at first.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn written(&self, room: usize) -> u64 {
        if M::ALONE { (room - self.room.len()) as u64 } else { self.len }
    }

    /// As [`Self::written`]. More than the protocol has room for make the packet too large, which is
    /// reported as that.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn clamped_len(self, room: usize) -> u32 {
        self.written(room).min(u64::from(MAX_VARIABLE)) as u32
    }
}

/// Moves these bytes to `to`. `None`: there is no room for them.
#[cold]
#[inline(never)]
pub(crate) fn shift(room: &mut [u8], bytes: Range<usize>, to: usize) -> Option<()> {
    let end = bytes.end.max(to + bytes.len());
    let room = room.get_mut(..end)?;
    room.copy_within(bytes, to);
    Some(())
}

/// Fills `room`, which is as long as these three are, and two bytes; returns whether `bytes` are plain
/// text, if `plain` asks for it.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn fill<const N: usize, const K: usize>(
    room: &mut [u8],
    before: [u8; N],
    bytes: &[u8],
    behind: [u8; K],
    plain: bool,
) -> bool {
    let Some((place, room)) = room.split_first_chunk_mut() else { return false };
    *place = before;
    let Some((place, room)) = room.split_first_chunk_mut() else { return false };
    *place = (bytes.len() as u16).to_be_bytes();
    let Some((room, place)) = room.split_last_chunk_mut() else { return false };
    *place = behind;
    if room.len() != bytes.len() {
        return false;
    }
    if !FAST {
        room.copy_from_slice(bytes);
        return !plain || is_plain(bytes, Wildcards::Allowed);
    }
    if plain {
        return copy_text(room, bytes);
    }
    copy_short(room, bytes);
    true
}

/// Copies a field, which most likely is short: two copies that overlap then take less than a call.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_short(room: &mut [u8], bytes: &[u8]) {
    // Topics, for which this is, mostly are as long as this.
    if copy_ends::<16>(room, bytes).is_some() {
        return;
    }
    if copy_ends::<8>(room, bytes).is_some() {
        return;
    }
    if copy_ends::<4>(room, bytes).is_some() {
        return;
    }
    room.copy_from_slice(bytes);
}

/// As [`copy_short`]; returns whether it is plain text: what is copied need not be read again.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_text(room: &mut [u8], bytes: &[u8]) -> bool {
    if bytes.len() < 8 {
        if let Some([a, b]) = copy_ends::<4>(room, bytes) {
            let [a, b] = [a, b].map(|half| u64::from(u32::from_le_bytes(half)));
            return is_plain_word(a | b << 32);
        }
    } else if let Some([a, b]) = copy_ends::<8>(room, bytes) {
        return is_plain_word(u64::from_le_bytes(a)) & is_plain_word(u64::from_le_bytes(b));
    } else if let Some([a, b]) = copy_ends::<16>(room, bytes) {
        // ASCII but for U+0000 is what is positive as a signed byte. The compiler looks at all at once.
        let mut is_plain = true;
        for (a, b) in a.iter().zip(&b) {
            is_plain &= ((*a as i8) > 0) & ((*b as i8) > 0);
        }
        return is_plain;
    }
    room.copy_from_slice(bytes);
    is_plain(bytes, Wildcards::Allowed)
}

/// Copies what is `N` to twice as many bytes long; returns its first and its last `N`.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_ends<const N: usize>(room: &mut [u8], bytes: &[u8]) -> Option<[[u8; N]; 2]> {
    if bytes.len() > 2 * N {
        return None;
    }
    let (first, last) = (bytes.first_chunk::<N>()?, bytes.last_chunk::<N>()?);
    *room.first_chunk_mut()? = *first;
    *room.last_chunk_mut()? = *last;
    Some([*first, *last])
}
