//! Checking, measuring and writing.

use core::marker::PhantomData;
use core::ops::Range;

use super::text::{Wildcards, check_string, has_no_nul, has_no_nul_short, is_plain};
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
}

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
        self.check(has_short_len(bytes), Violation::StringTooLong)
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
    /// Returns whether nothing speaks against it: it is not too long, and if it is `text`, plain.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn put<const N: usize, const K: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; K],
        text: bool,
    ) -> Result<bool, Violation> {
        Ok(match self.room(N + 2 + bytes.len() + K)? {
            Some(room) => fill(room, before, bytes, behind, text),
            None => is_good(bytes, text),
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

    /// A UTF-8 Encoded String (section 1.5.4), with these bytes in front of it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn string<const N: usize>(
        &mut self,
        before: [u8; N],
        text: Text<'_>,
    ) -> Result<(), Violation> {
        let text = text.as_bytes();
        let is_good = self.put(before, text, [], M::CHECKS)?;
        if M::CHECKS && (!is_good || self.policy().checks_strings()) {
            self.check_len(text)?;
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
        let is_good = self.put(before, bytes, behind, false)?;
        self.check(is_good, Violation::StringTooLong)
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
        let room = core::mem::take(&mut self.room);
        // Their length is nearly always one byte.
        let place = room.get_mut(1..).ok_or(Violation::Truncated)?;
        // What is refused, and why, is found by another walk.
        let len = properties.put_at_once(place, self.rules.sender, scope);
        let len = len.ok_or(Violation::Truncated)?;
        if len > 0x7F {
            self.room = shift_behind_length(room, len).ok_or(Violation::Truncated)?;
            return Ok(());
        }
        let (first, rest) = room.split_first_mut().ok_or(Violation::Truncated)?;
        *first = len as u8;
        self.room = rest.get_mut(len..).ok_or(Violation::Truncated)?;
        Ok(())
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

/// Moves properties that are behind room for a length of one byte behind theirs, which takes more;
/// returns what room is left. `None`: there is too little.
#[cold]
#[inline(never)]
fn shift_behind_length(room: &mut [u8], len: usize) -> Option<&mut [u8]> {
    let value = u32::try_from(len).ok().filter(|len| *len <= MAX_VARIABLE)?;
    let place = variable_len(value);
    shift(room, 1..1 + len, place)?;
    let mut sink = Sink::<Encode>::new(room, Rules::PLAIN, Version::V5, 0, Default::default());
    sink.variable(value).ok()?;
    sink.room.get_mut(len..)
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

/// Whether two bytes can say how many these are.
#[inline]
const fn has_short_len(bytes: &[u8]) -> bool {
    bytes.len() <= u16::MAX as usize
}

/// Whether nothing speaks against this field: it is not too long, and if it is `text`, plain.
#[inline]
fn is_good(bytes: &[u8], text: bool) -> bool {
    has_short_len(bytes) && (!text || is_plain(bytes, Wildcards::Allowed))
}

/// Fills `room`, which is as long as these three are, and two bytes; returns [`is_good`].
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn fill<const N: usize, const K: usize>(
    room: &mut [u8],
    before: [u8; N],
    bytes: &[u8],
    behind: [u8; K],
    text: bool,
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
    let copied = if !FAST {
        None
    } else if text {
        copy_text(room, bytes)
    } else {
        copy_short(room, bytes)
    };
    copied.unwrap_or_else(|| {
        room.copy_from_slice(bytes);
        is_good(bytes, text)
    })
}

/// Copies a field, which most likely is short: two copies that overlap then take less than a call.
/// `None`: it is too long for that, or not worth it.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_short(room: &mut [u8], bytes: &[u8]) -> Option<bool> {
    // Topics, for which this is, mostly are as long as this.
    if copy_ends::<16>(room, bytes).is_some() {
        return Some(true);
    }
    if copy_ends::<8>(room, bytes).is_some() {
        return Some(true);
    }
    copy_ends::<4>(room, bytes).map(|_| true)
}

/// As [`copy_short`], of text; also whether it has no U+0000, if it says so: what is copied need not
/// be read again.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_text(room: &mut [u8], text: &[u8]) -> Option<bool> {
    if text.len() < 8 {
        let [a, b] = copy_ends(room, text)?.map(u32::from_le_bytes);
        Some(has_no_nul_short(a, b))
    } else if let Some(ends) = copy_ends(room, text) {
        let [a, b] = ends.map(u64::from_le_bytes);
        Some(has_no_nul(a, b))
    } else {
        let [a, b] = copy_ends::<16>(room, text)?;
        // The compiler looks at all at once.
        Some(!a.iter().zip(&b).fold(false, |nul, (a, b)| nul | (*a.min(b) == 0)))
    }
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
