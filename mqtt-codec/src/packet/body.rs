//! What packets have in common that are measured and written.

use core::num::NonZeroUsize;

use super::ack::BareAck;
use super::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, Publish, SubAck, Subscribe,
    UnsubAck, Unsubscribe,
};
use crate::rules::PROTOCOL_MAX;
use crate::wire::{Encode, MAX_VARIABLE, Mode, PropertyLengths, Sink, shift, variable_len};
use crate::{EncodeError, Properties, Rules, Scope, Sender, Version, Violation};

/// Sizes of a packet that was checked and measured.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Remaining Length.
    remaining: u32,
    properties: PropertyLengths,
    /// Properties that are left out, as bits.
    omitted: u64,
}

impl Size {
    /// Of what is checked in doing so, if the mode is one that checks.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn of<M: Mode>(
        body: &impl Body,
        rules: &Rules,
        omitted: u64,
    ) -> Result<Self, EncodeError> {
        let version = body.version(rules);
        body.check_type(version, rules)?;
        let mut sink = Sink::<M>::new(&mut [], rules, version, omitted, Default::default());
        body.emit(&mut sink)?;
        let remaining = remaining_length(sink.len)?;
        Ok(Self { remaining, properties: sink.properties, omitted })
    }

    /// The size of a PUBLISH without payload, once it gets one of this length.
    pub(crate) fn with_payload(self, len: usize, rules: &Rules) -> Result<Self, EncodeError> {
        let remaining = remaining_length(u64::from(self.remaining) + len as u64)?;
        let size = Self { remaining, ..self };
        if size.fits(rules) { Ok(size) } else { Err(size.too_large(rules)) }
    }

    /// All of the packet, in bytes.
    #[inline]
    pub(crate) const fn packet(&self) -> usize {
        1 + variable_len(self.remaining) + self.remaining as usize
    }

    #[inline]
    pub(super) fn fits(&self, rules: &Rules) -> bool {
        // What has a Remaining Length is no longer than the protocol's limit.
        self.packet() as u64 <= u64::from(rules.max_packet_size)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn too_large(&self, rules: &Rules) -> EncodeError {
        let limit = rules.max_packet_size.min(PROTOCOL_MAX);
        EncodeError::TooLarge { size: self.packet() as u64, limit }
    }

    /// Writes the packet that was measured, and checks it if the mode is one that does.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn write<M: Mode>(
        self,
        body: &impl Body,
        rules: &Rules,
        room: &mut [u8],
    ) -> Result<(), Violation> {
        let version = body.version(rules);
        let mut sink = Sink::<M>::new(room, rules, version, self.omitted, self.properties);
        let first = body.first_byte();
        sink.header(first, u64::from(self.remaining))?;
        body.emit(&mut sink)
    }
}

/// Checks a packet and writes it to the front of `buffer` at once; returns its length. `None`: it breaks
/// a rule, or there is no room for it, or it is too large with what may be left out, or the policy
/// wants a closer look.
#[inline(never)]
pub(super) fn write_at_once(
    body: impl Body,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<NonZeroUsize> {
    if rules.policy.is_strict() {
        return None;
    }
    let version = body.version(rules);
    body.check_type(version, rules).ok()?;
    let limit = buffer.len().min(rules.max_packet_size as usize);
    let buffer = buffer.get_mut(..limit)?;
    // That the policy asks for nothing is known to the compiler from here on.
    let rules = &Rules::new(version, rules.sender);
    let guessed = header_len(body.guess());
    let (header, room) = buffer.split_at_mut_checked(guessed)?;
    let free = room.len();
    let mut sink = Sink::<Encode>::new(room, rules, version, 0, PropertyLengths::default());
    body.emit(&mut sink).ok()?;
    let remaining = sink.written(free) as usize;
    let first = body.first_byte();
    NonZeroUsize::new(match (header, remaining) {
        ([place, len], 0..=0x7F) => {
            (*place, *len) = (first, remaining as u8);
            2 + remaining
        }
        ([place, low, high], 0x80..=0x3FFF) => {
            *place = first;
            (*low, *high) = (remaining as u8 | 0x80, (remaining >> 7) as u8);
            3 + remaining
        }
        _ => write_header(first, guessed, remaining, buffer)?,
    })
}

/// Writes a fixed header in front of what was written behind room for one of another length.
#[cold]
#[inline(never)]
fn write_header(first: u8, guessed: usize, remaining: usize, buffer: &mut [u8]) -> Option<usize> {
    let len = header_len(remaining);
    shift(buffer, guessed..guessed + remaining, len)?;
    let mut sink = Sink::<Encode>::new(buffer, Rules::PLAIN, Version::V5, 0, Default::default());
    sink.header(first, remaining as u64).ok().map(|len| len + remaining)
}

/// The length of a fixed header, if the protocol has one for a Remaining Length of so many bytes.
#[cfg_attr(target_pointer_width = "64", inline(always))]
fn header_len(remaining: usize) -> usize {
    1 + variable_len(remaining as u32)
}

/// Remaining Length, if the protocol has room for so many bytes.
#[inline]
fn remaining_length(len: u64) -> Result<u32, EncodeError> {
    match u32::try_from(len) {
        Ok(remaining) if remaining <= MAX_VARIABLE => Ok(remaining),
        _ => Err(EncodeError::TooLarge { size: len + 5, limit: PROTOCOL_MAX }),
    }
}

/// What is measured and written: [`Packet`], or what is in it where that is known.
pub(super) trait Body {
    fn packet_type(&self) -> PacketType;

    /// Type and flags.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn first_byte(&self) -> u8 {
        self.packet_type().first_byte()
    }

    /// The version it is written in: CONNECT names its own.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn version(&self, rules: &Rules) -> Version {
        rules.version
    }

    /// About how many bytes [`Body::emit`] puts, at a glance.
    fn guess(&self) -> usize;

    /// Refuses a packet that this side does not send, or for which the version has no words.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_type(&self, version: Version, rules: &Rules) -> Result<(), EncodeError> {
        let kind = self.packet_type();
        if !kind.exists_in(version) {
            return Err(Violation::ForbiddenType.into());
        }
        if !rules.sender.may_be(kind.sender(version)) {
            return Err(Violation::WrongDirection.into());
        }
        Ok(())
    }

    /// Puts all behind the fixed header.
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation>;
}

macro_rules! body {
    ($name:ident $(, $version:ident)?) => {
        impl Body for $name<'_> {
            #[cfg_attr(target_pointer_width = "64", inline(always))]
            fn guess(&self) -> usize {
                self.guess()
            }

            #[cfg_attr(target_pointer_width = "64", inline(always))]
            fn packet_type(&self) -> PacketType {
                PacketType::$name
            }

            $(
                #[cfg_attr(target_pointer_width = "64", inline(always))]
                fn version(&self, _: &Rules) -> Version {
                    self.$version
                }
            )?

            #[cfg_attr(target_pointer_width = "64", inline(always))]
            fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
                self.emit(sink)
            }
        }
    };
}

body!(Connect, version);
body!(Subscribe);
body!(SubAck);
body!(Unsubscribe);
body!(UnsubAck);
body!(Disconnect);
body!(Auth);

impl Body for ConnAck<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        self.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        PacketType::ConnAck
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_type(&self, version: Version, rules: &Rules) -> Result<(), EncodeError> {
        if !rules.sender.may_be(Sender::Server) {
            return Err(Violation::WrongDirection.into());
        }
        if !version.has_properties() && self.reason.return_code().is_none() {
            return Err(EncodeError::NoReturnCode(self.reason));
        }
        Ok(())
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.emit(sink)
    }
}

impl Body for Publish<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        self.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        PacketType::Publish
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn first_byte(&self) -> u8 {
        self.packet_type().first_byte() | self.flags()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.emit(&self.properties, sink)
    }
}

/// Writes a PUBLISH without properties as [`write_at_once`] does, under a policy that takes strings as
/// they are. Nothing is compiled for properties, nor to ask whether there is a Packet Identifier: what
/// is between topic and payload is so many bytes.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(super) fn write_plain_publish(
    packet: &Publish<'_>,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<NonZeroUsize> {
    let id = packet.packet_id.map(|id| id.get().to_be_bytes());
    let max = rules.max_packet_size;
    match (id, rules.version.has_properties()) {
        (None, false) => write_plain(packet, [], &[], max, buffer),
        (None, true) => write_plain(packet, [0], &[], max, buffer),
        (Some(id), false) => write_plain(packet, id, &[], max, buffer),
        (Some([high, low]), true) => write_plain(packet, [high, low, 0], &[], max, buffer),
    }
}

/// Writes a PUBLISH with properties as [`write_at_once`] does: as one without them, if they are bytes.
#[inline(never)]
pub(super) fn write_publish_v5(
    packet: &Publish<'_>,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<NonZeroUsize> {
    match packet.properties.as_bytes(Scope::Publish) {
        Some(bytes) => write_publish_bytes(packet, rules, buffer, bytes),
        None => write_at_once(PublishV5(packet), rules, buffer),
    }
}

#[inline(never)]
fn write_publish_bytes(
    packet: &Publish<'_>,
    rules: &Rules,
    buffer: &mut [u8],
    properties: &[u8],
) -> Option<NonZeroUsize> {
    // Where a Topic Alias stands for the topic, properties are to be looked into.
    if properties.len() > 0x7F || packet.topic.is_empty() || rules.policy.is_strict() {
        return write_at_once(PublishV5(packet), rules, buffer);
    }
    let (len, max) = (properties.len() as u8, rules.max_packet_size);
    match packet.packet_id.map(|id| id.get().to_be_bytes()) {
        None => write_plain(packet, [len], properties, max, buffer),
        Some([high, low]) => write_plain(packet, [high, low, len], properties, max, buffer),
    }
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
fn write_plain<const K: usize>(
    packet: &Publish<'_>,
    between: [u8; K],
    properties: &[u8],
    max_packet_size: u32,
    buffer: &mut [u8],
) -> Option<NonZeroUsize> {
    let mut sink = Sink::<Encode>::new(buffer, Rules::PLAIN, Version::V5, 0, Default::default());
    let head = packet.topic.as_bytes().len() + 2 + K + properties.len();
    let remaining = head + packet.payload.len();
    // With the longest header that there is: what fits barely is written the long way.
    if remaining as u64 + 5 > u64::from(max_packet_size) {
        return None;
    }
    packet.check(&Properties::EMPTY, &sink).ok()?;
    let len = sink.header(packet.first_byte(), remaining as u64).ok()? + remaining;
    sink.topic([], packet.topic.as_bytes(), between).ok()?;
    if !properties.is_empty() {
        sink.bytes(properties).ok()?;
    }
    sink.bytes(packet.payload).ok()?;
    NonZeroUsize::new(len)
}

/// A PUBLISH with properties, which are there to be written in version 5 only.
struct PublishV5<'p>(&'p Publish<'p>);

impl Body for PublishV5<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        self.0.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        PacketType::Publish
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn first_byte(&self) -> u8 {
        self.0.first_byte()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn version(&self, _: &Rules) -> Version {
        Version::V5
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.0.emit(&self.0.properties, sink)
    }
}

impl Body for BareAck {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        2
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        self.packet_type()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.emit(sink)
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
impl Body for (PacketType, &Ack<'_>) {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        self.1.properties.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        self.0
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.1.emit(self.0, sink)
    }
}

/// PINGREQ or PINGRESP.
impl Body for PacketType {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        0
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        *self
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, _: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        Ok(())
    }
}

impl<B: Body> Body for &B {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        (**self).guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        (**self).packet_type()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn first_byte(&self) -> u8 {
        (**self).first_byte()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn version(&self, rules: &Rules) -> Version {
        (**self).version(rules)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_type(&self, version: Version, rules: &Rules) -> Result<(), EncodeError> {
        (**self).check_type(version, rules)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        (**self).emit(sink)
    }
}

/// Any of them, where it matters more that there is little code.
impl Body for Packet<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn guess(&self) -> usize {
        0
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        self.packet_type()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn first_byte(&self) -> u8 {
        match self {
            Self::Publish(packet) => packet.first_byte(),
            _ => self.packet_type().first_byte(),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn version(&self, rules: &Rules) -> Version {
        match self {
            Self::Connect(packet) => packet.version(rules),
            _ => rules.version,
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check_type(&self, version: Version, rules: &Rules) -> Result<(), EncodeError> {
        match self {
            Self::ConnAck(packet) => packet.check_type(version, rules),
            _ => self.packet_type().check_type(version, rules),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        match self {
            Self::Connect(packet) => packet.emit(sink),
            Self::ConnAck(packet) => packet.emit(sink),
            Self::Publish(packet) => packet.emit(&packet.properties, sink),
            Self::PubAck(packet)
            | Self::PubRec(packet)
            | Self::PubRel(packet)
            | Self::PubComp(packet) => packet.emit(self.packet_type(), sink),
            Self::Subscribe(packet) => packet.emit(sink),
            Self::SubAck(packet) => packet.emit(sink),
            Self::Unsubscribe(packet) => packet.emit(sink),
            Self::UnsubAck(packet) => packet.emit(sink),
            Self::PingReq | Self::PingResp => Ok(()),
            Self::Disconnect(packet) => packet.emit(sink),
            Self::Auth(packet) => packet.emit(sink),
        }
    }
}
