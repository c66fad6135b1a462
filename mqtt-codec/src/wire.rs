//! Reading and writing the data types of section 1.5. Every bounds check is here.

use crate::rules::{Policy, Rules};
use crate::{
    DecodeError, PacketId, Properties, Scope, Sender, TopicFilter, TopicName, Version, Violation,
};

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
    #[inline]
    pub(crate) fn new(packet: &'a [u8], rules: Rules) -> Self {
        Self { rest: packet, end: packet.len(), rules }
    }

    /// A reader for bytes that were checked before under `version`.
    pub(crate) fn checked(bytes: &'a [u8], version: Version) -> Self {
        Self::new(bytes, Rules::new(version, Sender::Either))
    }

    #[inline]
    pub(crate) fn version(&self) -> Version {
        self.rules.version
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where the next byte is, in bytes from the start of the packet.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    /// The error that the field at the current position breaks this rule.
    #[cold]
    pub(crate) fn fail(&self, violation: Violation) -> DecodeError {
        self.fail_at(self.position(), violation)
    }

    /// The error that the field at this offset breaks this rule.
    #[cold]
    pub(crate) fn fail_at(&self, position: usize, violation: Violation) -> DecodeError {
        // A packet is at most 268,435,460 bytes long.
        DecodeError { violation, version: self.rules.version, offset: position as u32 }
    }

    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    #[inline]
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.fail(Violation::Truncated)),
        }
    }

    /// All that is left, which stays there.
    #[inline]
    pub(crate) fn unread(&self) -> &'a [u8] {
        self.rest
    }

    /// All that is left.
    #[inline]
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.fail(Violation::Truncated)),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A Variable Byte Integer (section 1.5.5).
    #[inline]
    pub(crate) fn variable(&mut self) -> Result<u32, DecodeError> {
        match self.rest {
            [first @ 0..=0x7F, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(*first))
            }
            _ => self.long_variable(),
        }
    }

    fn long_variable(&mut self) -> Result<u32, DecodeError> {
        let (value, len) = match Variable::parse(self.rest) {
            Variable::Value(value, len) => (value, len),
            Variable::Incomplete => return Err(self.fail(Violation::Truncated)),
            Variable::TooLong => return Err(self.fail(Violation::VariableByteIntegerTooLong)),
        };
        // [MQTT-1.5.5-1]
        if len != variable_len(value) {
            return Err(self.fail(Violation::VariableByteIntegerNotMinimal));
        }
        self.skip(len);
        Ok(value)
    }

    /// Binary Data: two bytes of length, then the bytes (section 1.5.6).
    #[inline]
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
    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.position();
        let bytes = self.binary()?;
        let text = self.utf8(bytes, start)?;
        if !is_plain(bytes, Wildcards::Allowed) || self.rules.policy.checks_strings() {
            self.check_text(text, start)?;
        }
        Ok(text)
    }

    /// The bytes of a string, checked. Cheaper than the string itself: no byte is looked at twice.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.position();
        let bytes = self.binary()?;
        if !is_plain(bytes, Wildcards::Allowed) || self.rules.policy.checks_strings() {
            self.check_text(self.utf8(bytes, start)?, start)?;
        }
        Ok(bytes)
    }

    #[inline]
    fn utf8(&self, bytes: &'a [u8], start: usize) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(bytes).map_err(|_| self.fail_at(start, Violation::StringNotUtf8))
    }

    /// Refuses a string that has what strings must not have.
    #[cold]
    fn check_text(&self, text: &str, start: usize) -> Result<(), DecodeError> {
        let violation = if text.contains('\0') {
            Some(Violation::StringHasNul)
        } else {
            refused_by_policy(text, &self.rules.policy)
        };
        violation.map_or(Ok(()), |violation| Err(self.fail_at(start, violation)))
    }

    /// A Topic Name, which may be empty; `wildcard` is the rule that a wildcard in it breaks.
    #[inline]
    pub(crate) fn topic_name(&mut self, wildcard: Violation) -> Result<TopicName<'a>, DecodeError> {
        let start = self.position();
        let bytes = self.binary()?;
        if !is_plain(bytes, Wildcards::Found) || self.rules.policy.checks_strings() {
            self.check_name(bytes, start, wildcard)?;
        }
        Ok(TopicName::checked(bytes))
    }

    #[cold]
    fn check_name(
        &self,
        bytes: &'a [u8],
        start: usize,
        wildcard: Violation,
    ) -> Result<(), DecodeError> {
        let text = self.utf8(bytes, start)?;
        self.check_text(text, start)?;
        if bytes.iter().copied().any(is_wildcard) {
            return Err(self.fail_at(start, wildcard));
        }
        Ok(())
    }

    /// A Topic Filter.
    #[inline]
    pub(crate) fn topic_filter(&mut self) -> Result<TopicFilter<'a>, DecodeError> {
        let start = self.position();
        let text = self.text()?;
        TopicFilter::check(text, self.rules.version)
            .map_err(|violation| self.fail_at(start, violation))
    }

    /// A Packet Identifier [MQTT-2.2.1-3], [MQTT-2.3.1-1 of 3.1.1].
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let start = self.position();
        PacketId::new(self.u16()?).ok_or_else(|| self.fail_at(start, Violation::PacketIdZero))
    }

    /// Refuses bytes that are left over.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fail(Violation::TrailingBytes)) }
    }

    /// A reader of the next `len` bytes alone.
    #[inline]
    pub(crate) fn part(&mut self, len: usize) -> Result<Self, DecodeError> {
        let bytes = self.bytes(len)?;
        Ok(Self { rest: bytes, end: self.position(), rules: self.rules })
    }

    /// The bytes that `other`, an earlier copy of this reader, has not read and this one has.
    pub(crate) fn since(&self, other: &Self) -> &'a [u8] {
        let len = other.rest.len().saturating_sub(self.rest.len());
        other.rest.get(..len).unwrap_or_default()
    }
}

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

/// Whether these bytes are ASCII without U+0000, and if asked for without `+` and `#`. So are nearly
/// all strings, and this finds it out much faster than `core::str::from_utf8`: eight bytes at a
/// time, wherever they begin.
#[inline]
pub(crate) fn is_plain(bytes: &[u8], wildcards: Wildcards) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is_plain = |word: u64| {
        // In a byte below 0x80, subtracting 1 sets the highest bit if it is 0; otherwise only if it
        // borrows for one that is. `+` and `#` differ in one bit.
        let wildcard = (word & !(ONES * 0x08)) ^ (ONES * b'#' as u64);
        let found = match wildcards {
            Wildcards::Allowed => 0,
            Wildcards::Found => wildcard.wrapping_sub(ONES),
        };
        (word | word.wrapping_sub(ONES) | found) & (ONES * 0x80) == 0
    };
    let Some(last) = bytes.last_chunk() else {
        // The word is filled up with a byte that is looked for nowhere.
        return is_plain(bytes.iter().fold(ONES, |word, byte| word << 8 | u64::from(*byte)));
    };
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        if !is_plain(u64::from_le_bytes(*word)) {
            return false;
        }
        rest = behind;
    }
    // Some bytes are looked at again, which takes less than to look at those left one by one.
    is_plain(u64::from_le_bytes(*last))
}

/// The rule of the policy that this string breaks.
#[cold]
pub(crate) fn refused_by_policy(text: &str, policy: &Policy) -> Option<Violation> {
    let noncharacter =
        |c: char| matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE;
    if policy.refuse_control_characters && text.chars().any(char::is_control) {
        Some(Violation::StringHasControl)
    } else if policy.refuse_noncharacters && text.chars().any(noncharacter) {
        Some(Violation::StringHasNonCharacter)
    } else {
        None
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

/// Where a packet is put: [`Measure`] checks it and counts its bytes, [`Writer`] then writes them.
/// So each packet lays out its fields once.
pub trait Sink {
    fn version(&self) -> Version;
    fn sender(&self) -> Sender;
    fn policy(&self) -> Policy;
    /// Properties that are left out because the packet would be too large, as bits.
    fn omitted(&self) -> u64;
    fn bytes(&mut self, bytes: &[u8]);
    /// Refuses the packet unless `ok`.
    fn check(&mut self, ok: impl FnOnce() -> bool, violation: Violation) -> Result<(), Violation>;
    /// A UTF-8 Encoded String (section 1.5.4).
    fn string(&mut self, text: &str) -> Result<(), Violation>;

    /// A topic name or filter: checked when it was made, but for the policy.
    #[inline]
    fn topic(&mut self, topic: &[u8]) -> Result<(), Violation> {
        let policy = self.policy();
        if policy.checks_strings() {
            let refused = core::str::from_utf8(topic).map(|text| refused_by_policy(text, &policy));
            if let Ok(Some(violation)) = refused {
                return Err(violation);
            }
        }
        self.binary(topic)
    }
    /// Refuses a payload that is not the text it is said to be, if the policy says so.
    #[inline]
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

    #[inline]
    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// A Variable Byte Integer (section 1.5.5), in the fewest bytes [MQTT-1.5.5-1].
    #[inline]
    fn variable(&mut self, mut value: u32) {
        while value > 0x7F {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// Binary Data (section 1.5.6). Strings and topics that need no check are written by it too.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.check(|| bytes.len() <= usize::from(u16::MAX), Violation::StringTooLong)?;
        self.u16(bytes.len() as u16);
        self.bytes(bytes);
        Ok(())
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

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
    }

    #[inline]
    fn check(&mut self, ok: impl FnOnce() -> bool, violation: Violation) -> Result<(), Violation> {
        if ok() { Ok(()) } else { Err(violation) }
    }

    #[inline]
    fn string(&mut self, text: &str) -> Result<(), Violation> {
        if !is_plain(text.as_bytes(), Wildcards::Allowed) && text.contains('\0') {
            return Err(Violation::StringHasNul);
        }
        if self.rules.policy.checks_strings() {
            if let Some(violation) = refused_by_policy(text, &self.rules.policy) {
                return Err(violation);
            }
        }
        self.binary(text.as_bytes())
    }

    #[inline]
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
pub(crate) struct Writer<'b> {
    rest: &'b mut [u8],
    rules: Rules,
    omitted: u64,
    properties: PropertyLengths,
}

impl<'b> Writer<'b> {
    #[inline]
    pub(crate) fn new(
        room: &'b mut [u8],
        rules: Rules,
        omitted: u64,
        properties: PropertyLengths,
    ) -> Self {
        Self { rest: room, rules, omitted, properties }
    }

    /// The next `len` bytes, to be filled.
    #[inline]
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

impl Sink for Writer<'_> {
    #[inline]
    fn version(&self) -> Version {
        self.rules.version
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

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        if room.len() == bytes.len() {
            room.copy_from_slice(bytes);
        }
    }

    #[inline]
    fn check(&mut self, _: impl FnOnce() -> bool, _: Violation) -> Result<(), Violation> {
        Ok(())
    }

    #[inline]
    fn string(&mut self, text: &str) -> Result<(), Violation> {
        self.binary(text.as_bytes())
    }

    #[inline]
    fn properties(&mut self, properties: &Properties<'_>, scope: Scope) -> Result<(), Violation> {
        let len = match scope {
            Scope::Will => self.properties.will,
            _ => self.properties.packet,
        };
        self.variable(len);
        // Another writer for them, so that what this one knows can stay in registers.
        let room = self.room(len as usize);
        properties.write(&mut Writer::new(room, self.rules, self.omitted, self.properties))
    }
}
