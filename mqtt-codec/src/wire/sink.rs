//! Checking, measuring and writing.

use super::text::{Wildcards, check_string, is_plain};
use super::variable_len;
use crate::packet::FAST;
use crate::rules::{Policy, Rules};
use crate::{Properties, Scope, Sender, Version, Violation};

/// Where a packet is put: [`Measure`] checks it and counts its bytes, [`Writer`] then writes them.
/// So each packet lays out its fields once.
pub trait Sink {
    fn version(&self) -> Version;
    fn sender(&self) -> Sender;
    fn policy(&self) -> Policy;
    /// Properties that are left out because the packet would be too large, as bits.
    fn omitted(&self) -> u64;
    /// These bytes, behind them those, and those behind them.
    fn enclosed<const N: usize, const M: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; M],
    );
    /// Refuses the packet unless `ok`.
    fn check(&mut self, ok: impl FnOnce() -> bool, violation: Violation) -> Result<(), Violation>;
    /// Refuses a string with characters that a string must not have.
    fn check_string(&self, text: &str) -> Result<(), Violation>;
    /// As [`Sink::check_string`], for a topic name or filter: it was checked when it was made, but
    /// for the policy.
    fn check_topic(&self, topic: &[u8]) -> Result<(), Violation>;

    /// Refuses a payload that is not the text it is said to be, if the policy says so.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn payload_format(
        &mut self,
        payload: &[u8],
        properties: &Properties<'_>,
    ) -> Result<(), Violation> {
        let policy = self.policy();
        self.check(|| policy.admits_payload(payload, properties), Violation::PayloadNotUtf8)
    }

    /// Property Length and properties (section 2.2.2).
    fn properties(&mut self, properties: &Properties<'_>, scope: Scope) -> Result<(), Violation>;

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn prefixed<const N: usize>(&mut self, before: [u8; N], bytes: &[u8]) {
        self.enclosed(before, bytes, []);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn bytes(&mut self, bytes: &[u8]) {
        self.prefixed([], bytes);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn u8(&mut self, value: u8) {
        self.prefixed([value], &[]);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn u16(&mut self, value: u16) {
        self.prefixed(value.to_be_bytes(), &[]);
    }

    /// A Variable Byte Integer (section 1.5.5), in the fewest bytes [MQTT-1.5.5-1].
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn variable(&mut self, value: u32) {
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
    fn string(&mut self, text: &str) -> Result<(), Violation> {
        self.check_string(text)?;
        self.binary(text.as_bytes())
    }

    /// A topic name or filter.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn topic(&mut self, topic: &[u8]) -> Result<(), Violation> {
        self.check_topic(topic)?;
        self.binary(topic)
    }

    /// A topic filter and its options (section 3.8.3).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn filter(&mut self, filter: &[u8], options: u8) -> Result<(), Violation> {
        self.check_topic(filter)?;
        self.check_len(filter)?;
        self.enclosed((filter.len() as u16).to_be_bytes(), filter, [options]);
        Ok(())
    }

    /// Binary Data (section 1.5.6). Strings and topics that were checked are written by it too.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn binary(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.check_len(bytes)?;
        self.prefixed((bytes.len() as u16).to_be_bytes(), bytes);
        Ok(())
    }

    /// Refuses what is longer than its length in front of it can say.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_len(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.check(|| bytes.len() <= usize::from(u16::MAX), Violation::StringTooLong)
    }
}

/// Checks a packet and counts its bytes, the fixed header left out.
pub(crate) struct Measure<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) version: Version,
    pub(crate) omitted: u64,
    pub(crate) len: u64,
    pub(crate) properties: PropertyLengths,
}

/// The Property Length of a packet, and in CONNECT that of the will.
#[derive(Clone, Copy, Default)]
pub(crate) struct PropertyLengths {
    packet: u32,
    will: u32,
}

impl<'r> Measure<'r> {
    #[inline]
    pub(crate) fn new(rules: &'r Rules, version: Version, omitted: u64) -> Self {
        Self { rules, version, omitted, len: 0, properties: PropertyLengths::default() }
    }
}

impl Sink for Measure<'_> {
    #[inline]
    fn version(&self) -> Version {
        self.version
    }

    #[inline]
    fn sender(&self) -> Sender {
        self.rules.sender
    }

    #[inline]
    fn policy(&self) -> Policy {
        self.rules.policy
    }

    #[inline]
    fn omitted(&self) -> u64 {
        self.omitted
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn enclosed<const N: usize, const M: usize>(&mut self, _: [u8; N], bytes: &[u8], _: [u8; M]) {
        self.len += (N + M) as u64 + bytes.len() as u64;
    }

    #[inline]
    fn check(&mut self, ok: impl FnOnce() -> bool, violation: Violation) -> Result<(), Violation> {
        if ok() { Ok(()) } else { Err(violation) }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_string(&self, text: &str) -> Result<(), Violation> {
        if is_plain(text.as_bytes(), Wildcards::Allowed) && !self.rules.policy.checks_strings() {
            return Ok(());
        }
        check_string(text, self.rules.policy)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_topic(&self, topic: &[u8]) -> Result<(), Violation> {
        if !self.rules.policy.checks_strings() {
            return Ok(());
        }
        check_string(core::str::from_utf8(topic).unwrap_or_default(), self.rules.policy)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn properties(&mut self, properties: &Properties<'_>, scope: Scope) -> Result<(), Violation> {
        let len = properties.measure(scope, self.rules, self.omitted)?;
        self.len += variable_len(len) as u64 + u64::from(len);
        self.properties = match scope {
            Scope::Will => PropertyLengths { will: len, ..self.properties },
            _ => PropertyLengths { packet: len, ..self.properties },
        };
        Ok(())
    }
}

/// Fills a buffer whose length is exactly that of what is written. Should it be too short, which
/// would be a mistake in this crate, the rest is dropped: there is no panic.
pub(crate) struct Writer<'b, 'r> {
    rest: &'b mut [u8],
    rules: &'r Rules,
    version: Version,
    omitted: u64,
    properties: PropertyLengths,
}

impl<'b, 'r> Writer<'b, 'r> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn new(
        room: &'b mut [u8],
        rules: &'r Rules,
        version: Version,
        omitted: u64,
        properties: PropertyLengths,
    ) -> Self {
        Self { rest: room, rules, version, omitted, properties }
    }

    /// The next `len` bytes, to be filled.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn room(&mut self, len: usize) -> &'b mut [u8] {
        match core::mem::take(&mut self.rest).split_at_mut_checked(len) {
            Some((room, rest)) => {
                self.rest = rest;
                room
            }
            None => {
                debug_assert!(false, "a packet was measured shorter than it is");
                &mut []
            }
        }
    }
}

impl Sink for Writer<'_, '_> {
    #[inline]
    fn version(&self) -> Version {
        self.version
    }

    #[inline]
    fn sender(&self) -> Sender {
        self.rules.sender
    }

    #[inline]
    fn policy(&self) -> Policy {
        self.rules.policy
    }

    #[inline]
    fn omitted(&self) -> u64 {
        self.omitted
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn enclosed<const N: usize, const M: usize>(
        &mut self,
        before: [u8; N],
        bytes: &[u8],
        behind: [u8; M],
    ) {
        let room = self.room(N + bytes.len() + M);
        let Some((place, room)) = room.split_first_chunk_mut() else { return };
        *place = before;
        let Some((room, place)) = room.split_last_chunk_mut() else { return };
        *place = behind;
        if room.len() == bytes.len() {
            if FAST && N > 0 { copy_short(room, bytes) } else { room.copy_from_slice(bytes) }
        }
    }

    #[inline]
    fn check(&mut self, _: impl FnOnce() -> bool, _: Violation) -> Result<(), Violation> {
        Ok(())
    }

    #[inline]
    fn check_string(&self, _: &str) -> Result<(), Violation> {
        Ok(())
    }

    #[inline]
    fn check_topic(&self, _: &[u8]) -> Result<(), Violation> {
        Ok(())
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn properties(&mut self, properties: &Properties<'_>, scope: Scope) -> Result<(), Violation> {
        let len = match scope {
            Scope::Will => self.properties.will,
            _ => self.properties.packet,
        };
        self.variable(len);
        // Another writer for them, so that what this one knows can stay in registers.
        let room = self.room(len as usize);
        properties.write(room, self.rules, self.omitted);
        Ok(())
    }
}

/// Copies a field, which most likely is short: two copies that overlap then take less than a call.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_short(room: &mut [u8], bytes: &[u8]) {
    let copied =
        copy_ends::<16>(room, bytes) || copy_ends::<8>(room, bytes) || copy_ends::<4>(room, bytes);
    if !copied {
        room.copy_from_slice(bytes);
    }
}

/// Copies what is `N` to twice as many bytes long.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn copy_ends<const N: usize>(room: &mut [u8], bytes: &[u8]) -> bool {
    if bytes.len() > 2 * N {
        return false;
    }
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return false;
    };
    if let Some(room) = room.first_chunk_mut() {
        *room = *first;
    }
    if let Some(room) = room.last_chunk_mut() {
        *room = *last;
    }
    true
}
