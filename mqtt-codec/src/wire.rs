//! Reading and writing the data types of section 1.5. Every bounds check is here.

use crate::rules::Rules;
use crate::{
    DecodeError, FixedHeader, PacketId, Sender, Text, TopicFilter, TopicName, Version, Violation,
};

mod sink;
mod text;

pub(crate) use sink::{Encode, Measure, Mode, PropertyLengths, Sink, Write, shift};
pub(crate) use text::{Wildcards, is_plain, is_wildcard};
use text::{check_filter, check_name, check_string, is_plain_filter};

/// The largest Variable Byte Integer (section 1.5.5).
pub(crate) const MAX_VARIABLE: u32 = 268_435_455;

/// Reads one packet, or a part of one, from the front.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset in the packet of the byte after `rest`.
    end: usize,
    pub(crate) rules: Rules,
}

impl<'a> Reader<'a> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn new(packet: &'a [u8], rules: Rules) -> Self {
        Self { rest: packet, end: packet.len(), rules }
    }

    /// A reader for what is behind the fixed header of `packet`, which is all there.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn behind(header: FixedHeader, packet: &'a [u8], rules: Rules) -> Self {
        let mut reader = Self::new(packet, rules);
        reader.skip(header.len());
        reader
    }

    /// A reader for bytes that were checked before under `version`.
    pub(crate) fn checked(bytes: &'a [u8], version: Version) -> Self {
        Self::new(bytes, Rules::new(version, Sender::Either))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn version(&self) -> Version {
        self.rules.version
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where the next byte is, in bytes from the start of the packet.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    /// The error that the field at the current position breaks this rule.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn fail(&self, violation: Violation) -> DecodeError {
        self.fail_at(self.position(), violation)
    }

    /// The error that the field at this offset breaks this rule.
    // What is cold is not handed the reader, which therefore can be in registers.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn fail_at(&self, position: usize, violation: Violation) -> DecodeError {
        DecodeError::new(violation, self.rules.version, position)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.fail(Violation::Truncated)),
        }
    }

    /// All that is left.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.fail(Violation::Truncated)),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A Variable Byte Integer (section 1.5.5).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn variable(&mut self) -> Result<u32, DecodeError> {
        match self.rest {
            [first @ 0..=0x7F, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(*first))
            }
            _ => self.long_variable(),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn long_variable(&mut self) -> Result<u32, DecodeError> {
        let violation = match Variable::parse_long(self.rest) {
            // [MQTT-1.5.5-1]
            Variable::Value(value, len) if len == variable_len(value) => {
                self.skip(len);
                return Ok(value);
            }
            Variable::Value(..) => Violation::VariableByteIntegerNotMinimal,
            Variable::Incomplete => Violation::Truncated,
            Variable::TooLong => Violation::VariableByteIntegerTooLong,
        };
        Err(self.fail(violation))
    }

    /// Binary Data: two bytes of length, then the bytes (section 1.5.6).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.rest;
        let len = self.u16()?;
        match self.rest.split_at_checked(usize::from(len)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => {
                self.rest = start;
                Err(self.fail(Violation::Truncated))
            }
        }
    }

    /// A UTF-8 Encoded String (section 1.5.4).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn text(&mut self) -> Result<Text<'a>, DecodeError> {
        let start = self.position();
        let bytes = self.binary()?;
        if !is_plain(bytes, Wildcards::Allowed) || self.rules.policy.checks_strings() {
            check_string(bytes, self.rules.policy)
                .map_err(|violation| self.fail_at(start, violation))?;
        }
        Ok(Text::checked(bytes))
    }

    /// A Topic Name, which may be empty; `wildcard` is the rule that a wildcard in it breaks.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn topic_name(&mut self, wildcard: Violation) -> Result<TopicName<'a>, DecodeError> {
        let start = self.position();
        let bytes = self.binary()?;
        if !is_plain(bytes, Wildcards::Found) || self.rules.policy.checks_strings() {
            check_name(bytes, self.rules.policy, wildcard)
                .map_err(|violation| self.fail_at(start, violation))?;
        }
        Ok(TopicName::checked(bytes))
    }

    /// A Topic Filter.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn topic_filter(&mut self) -> Result<TopicFilter<'a>, DecodeError> {
        let start = self.position();
        let bytes = self.binary()?;
        // `$` begins what needs a closer look in version 5.
        let is_special = matches!(bytes, [] | [b'$', ..]) || self.rules.policy.checks_strings();
        if is_special || !is_plain_filter(bytes) {
            check_filter(bytes, &self.rules).map_err(|violation| self.fail_at(start, violation))?;
        }
        Ok(TopicFilter::checked(bytes))
    }

    /// A Packet Identifier [MQTT-2.2.1-3], [MQTT-2.3.1-1 of 3.1.1].
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let start = self.position();
        PacketId::new(self.u16()?).ok_or_else(|| self.fail_at(start, Violation::PacketIdZero))
    }

    /// Refuses bytes that are left over.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fail(Violation::TrailingBytes)) }
    }

    /// A reader of these bytes alone, which were read last.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn again(&self, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: self.position(), rules: self.rules }
    }

    /// The bytes that `other`, an earlier copy of this reader, has not read and this one has.
    pub(crate) fn since(&self, other: &Self) -> &'a [u8] {
        let len = other.rest.len().saturating_sub(self.rest.len());
        other.rest.get(..len).unwrap_or_default()
    }
}

/// The length in bytes of the Variable Byte Integer of this value, 1 to 4.
#[inline]
pub(crate) const fn variable_len(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// What stands at the front of some bytes as Variable Byte Integer.
pub(crate) enum Variable {
    /// Value and length in bytes.
    Value(u32, usize),
    Incomplete,
    TooLong,
}

impl Variable {
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        match bytes {
            [short @ 0..=0x7F, ..] => Self::Value(u32::from(*short), 1),
            _ => Self::parse_long(bytes),
        }
    }

    fn parse_long(bytes: &[u8]) -> Self {
        let mut value = 0;
        for (i, byte) in bytes.iter().take(4).enumerate() {
            value |= u32::from(byte & 0x7F) << (7 * i);
            if byte & 0x80 == 0 {
                return Self::Value(value, i + 1);
            }
        }
        if bytes.len() < 4 { Self::Incomplete } else { Self::TooLong }
    }
}
