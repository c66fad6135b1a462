//! Checking, measuring and writing.

use core::marker::PhantomData;

use super::text::{Wildcards, check_string, is_plain, is_plain_word};
use super::{MAX_VARIABLE, variable_len};
use crate::packet::FAST;
use crate::rules::{Policy, Rules};
use crate::{Properties, Scope, Version, Violation};

/// What is done with the fields of a packet.
pub trait Mode {
    /// They are held against the rules.
    const CHECKS: bool;
    /// They are written, and not only counted.
    const WRITES: bool;
}

/// To know how long a packet is that is then checked and written at once.
#[cfg(target_pointer_width = "64")]
#[derive(Debug)]
pub(crate) enum Count {}

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
}

#[cfg(target_pointer_width = "64")]
impl Mode for Count {
    const CHECKS: bool = false;
    const WRITES: bool = false;
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
pub(crate) use Encode as Count;
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
            return check_string(core::str::from_utf8(topic).unwrap_or_default(), self.policy());
        }
        Ok(())
    }

    /// These bytes, behind them those, and those behind them. Returns whether the ones between are
    /// plain text, if `plain` asks for it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn put<const N: usize, const K: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; K],
        plain: bool,
    ) -> bool {
        let room = if M::WRITES {
            self.room(N + bytes.len() + K)
        } else {
            self.len += (N + K) as u64 + bytes.len() as u64;
            None
        };
        match room {
            Some(room) => fill(room, before, bytes, behind, plain),
            None => !plain || is_plain(bytes, Wildcards::Allowed),
        }
    }

    /// The next `len` bytes, to be filled; `None` while they are only counted.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn room(&mut self, len: usize) -> Option<&'b mut [u8]> {
        // On 64-bit machines nothing is counted that is written.
        if !FAST {
            self.len += len as u64;
        }
        let (room, rest) = core::mem::take(&mut self.room).split_at_mut_checked(len)?;
        self.room = rest;
        Some(room)
    }

    /// These bytes, behind them those, and those behind them.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn enclosed<const N: usize, const K: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; K],
    ) {
        self.put(before, bytes, behind, false);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn prefixed<const N: usize>(&mut self, before: [u8; N], bytes: &[u8]) {
        self.enclosed(before, bytes, []);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.prefixed([], bytes);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u8(&mut self, value: u8) {
        self.prefixed([value], &[]);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u16(&mut self, value: u16) {
        self.prefixed(value.to_be_bytes(), &[]);
    }

    /// A Variable Byte Integer (section 1.5.5), in the fewest bytes [MQTT-1.5.5-1].
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn variable(&mut self, value: u32) {
        let [a, b, c, d] =
            [value, value >> 7, value >> 14, value >> 21].map(|part| part as u8 | 0x80);
        match value {
            0..=0x7F => self.u8(value as u8),
            0x80..=0x3FFF => self.prefixed([a, b & 0x7F], &[]),
            0x4000..=0x1F_FFFF => self.prefixed([a, b, c & 0x7F], &[]),
            _ => self.prefixed([a, b, c, d & 0x7F], &[]),
        }
    }

    /// A UTF-8 Encoded String (section 1.5.4).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn string(&mut self, text: &str) -> Result<(), Violation> {
        let bytes = text.as_bytes();
        self.check_len(bytes)?;
        self.string_behind((bytes.len() as u16).to_be_bytes(), text)
    }

    /// A property that is a string, behind its identifier.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn string_property(&mut self, id: u8, text: &str) -> Result<(), Violation> {
        let bytes = text.as_bytes();
        self.check_len(bytes)?;
        let [high, low] = (bytes.len() as u16).to_be_bytes();
        self.string_behind([id, high, low], text)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn string_behind<const N: usize>(
        &mut self,
        before: [u8; N],
        text: &str,
    ) -> Result<(), Violation> {
        let is_plain = self.put(before, text.as_bytes(), [], M::CHECKS);
        if M::CHECKS && (!is_plain || self.policy().checks_strings()) {
            check_string(text, self.policy())?;
        }
        Ok(())
    }

    /// A topic name or filter, with these bytes in front of it and behind it.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn topic<const K: usize>(
        &mut self,
        topic: &[u8],
        behind: [u8; K],
    ) -> Result<(), Violation> {
        self.check_topic(topic)?;
        self.enclosed((topic.len() as u16).to_be_bytes(), topic, behind);
        Ok(())
    }

    /// A property that is a topic name, behind its identifier.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn topic_property(&mut self, id: u8, topic: &[u8]) -> Result<(), Violation> {
        self.check_topic(topic)?;
        self.binary_property(id, topic)
    }

    /// Binary Data (section 1.5.6).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn binary(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.check_len(bytes)?;
        self.prefixed((bytes.len() as u16).to_be_bytes(), bytes);
        Ok(())
    }

    /// A property that is Binary Data, behind its identifier.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn binary_property(&mut self, id: u8, bytes: &[u8]) -> Result<(), Violation> {
        self.check_len(bytes)?;
        let [high, low] = (bytes.len() as u16).to_be_bytes();
        self.prefixed([id, high, low], bytes);
        Ok(())
    }

    /// Property Length and properties (section 2.2.2).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn properties(
        &mut self,
        properties: &Properties<'_>,
        scope: Scope,
    ) -> Result<(), Violation> {
        let is_will = matches!(scope, Scope::Will);
        let known = if is_will { self.properties.will } else { self.properties.packet };
        let counts = !M::WRITES || (!FAST && self.room.is_empty());
        let room = if counts {
            &mut []
        } else {
            self.variable(known);
            self.room(known as usize).unwrap_or_default()
        };
        // Another sink for them, so that what this one knows can stay in registers.
        let len = properties.put::<M>(room, self.rules, self.omitted, scope)?;
        if counts {
            self.len += variable_len(len) as u64 + u64::from(len);
            *if is_will { &mut self.properties.will } else { &mut self.properties.packet } = len;
        }
        Ok(())
    }

    /// Bytes so far. More than the protocol has room for make the packet too large, which is reported
    /// as that.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn clamped_len(self) -> u32 {
        self.len.min(u64::from(MAX_VARIABLE)) as u32
    }
}

/// Fills `room`, which is as long as these three are; returns whether `bytes` are plain text, if
/// `plain` asks for it.
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
    let Some((room, place)) = room.split_last_chunk_mut() else { return false };
    *place = behind;
    if room.len() != bytes.len() {
        return false;
    }
    if FAST && N > 0 {
        return copy_short(room, bytes, plain);
    }
    room.copy_from_slice(bytes);
    !plain || is_plain(bytes, Wildcards::Allowed)
}

/// Copies a field, which most likely is short: two copies that overlap then take less than a call.
/// Returns whether it is plain text, if `plain` asks for it: what is copied need not be read again.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_short(room: &mut [u8], bytes: &[u8], plain: bool) -> bool {
    if let Some([a, b]) = copy_ends::<16>(room, bytes) {
        let words = [a, b].map(u128::from_le_bytes);
        return !plain
            || is_plain_word(words[0] as u64)
                & is_plain_word((words[0] >> 64) as u64)
                & is_plain_word(words[1] as u64)
                & is_plain_word((words[1] >> 64) as u64);
    }
    if let Some([a, b]) = copy_ends::<8>(room, bytes) {
        return !plain
            || is_plain_word(u64::from_le_bytes(a)) & is_plain_word(u64::from_le_bytes(b));
    }
    if let Some([a, b]) = copy_ends::<4>(room, bytes) {
        let [a, b] = [a, b].map(|half| u64::from(u32::from_le_bytes(half)));
        return !plain || is_plain_word(a | b << 32);
    }
    room.copy_from_slice(bytes);
    !plain || is_plain(bytes, Wildcards::Allowed)
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
