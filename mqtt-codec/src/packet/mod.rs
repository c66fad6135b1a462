//! The packets, one file per family; here what they have in common.

use crate::property::OMITTABLE;
use crate::rules::PROTOCOL_MAX;
use crate::wire::{MAX_VARIABLE, Measure, PropertyLengths, Reader, Sink, Writer, variable_len};
use crate::{DecodeError, EncodeError, ReasonCode, Rules, Sender, Version, Violation};

mod ack;
mod connack;
mod connect;
mod control;
mod header;
mod publish;
mod subscribe;

pub use ack::Ack;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use control::{Auth, Disconnect};
pub use header::{FixedHeader, PacketType};
pub use publish::Publish;
pub use subscribe::{RetainHandling, SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe};

/// A packet of any type (section 3). In 3.1.1 the fields of version 5 are at their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// CONNECT: the client asks for a connection (section 3.1).
    Connect(Connect<'a>),
    /// CONNACK: the server answers (section 3.2).
    ConnAck(ConnAck<'a>),
    /// PUBLISH: a message (section 3.3).
    Publish(Publish<'a>),
    /// PUBACK: the answer to a message of QoS 1 (section 3.4).
    PubAck(Ack<'a>),
    /// PUBREC: a message of QoS 2 was received (section 3.5).
    PubRec(Ack<'a>),
    /// PUBREL: the sender of a message of QoS 2 forgets it (section 3.6).
    PubRel(Ack<'a>),
    /// PUBCOMP: so does its receiver (section 3.7).
    PubComp(Ack<'a>),
    /// SUBSCRIBE (section 3.8).
    Subscribe(Subscribe<'a>),
    /// SUBACK: the answer, a code per filter (section 3.9).
    SubAck(SubAck<'a>),
    /// UNSUBSCRIBE (section 3.10).
    Unsubscribe(Unsubscribe<'a>),
    /// UNSUBACK: the answer, in version 5 a code per filter (section 3.11).
    UnsubAck(UnsubAck<'a>),
    /// PINGREQ: the client is alive (section 3.12).
    PingReq,
    /// PINGRESP: the server is alive (section 3.13).
    PingResp,
    /// DISCONNECT: the last packet (section 3.14).
    Disconnect(Disconnect<'a>),
    /// AUTH: a step of the enhanced authentication, version 5 only (section 3.15).
    Auth(Auth<'a>),
}

/// Sizes of a packet that was checked and measured.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Remaining Length.
    remaining: u32,
    properties: PropertyLengths,
    /// Properties that are left out, as bits.
    omitted: u64,
}

// Each is small for the two packets that are nearly all of the traffic, and for the others, is in
// one function that is not inlined.
impl Size {
    #[inline(always)]
    fn of(
        body: &impl Body,
        rules: &Rules,
        version: Version,
        omitted: u64,
    ) -> Result<Self, EncodeError> {
        let mut measure = Measure::new(rules, version, omitted);
        body.emit(&mut measure)?;
        let remaining = remaining_length(measure.len)?;
        Ok(Self { remaining, properties: measure.properties, omitted })
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
    fn fits(&self, rules: &Rules) -> bool {
        self.packet() as u64 <= u64::from(rules.max_packet_size.min(PROTOCOL_MAX))
    }

    #[cold]
    fn too_large(&self, rules: &Rules) -> EncodeError {
        let limit = rules.max_packet_size.min(PROTOCOL_MAX);
        EncodeError::TooLarge { size: self.packet() as u64, limit }
    }

    /// Writes the packet that was measured.
    #[inline(always)]
    fn write(self, body: &impl Body, rules: Rules, room: &mut [u8]) {
        let mut writer = Writer::new(room, rules, self.omitted, self.properties);
        writer.u8(body.first_byte());
        writer.variable(self.remaining);
        let written = body.emit(&mut writer);
        debug_assert!(written.is_ok(), "a packet that was checked is refused");
    }
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
trait Body {
    /// Type and flags.
    fn first_byte(&self) -> u8;
    /// Puts all behind the fixed header.
    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation>;
}

impl Body for Publish<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        (PacketType::Publish as u8) << 4 | self.flags()
    }

    #[inline]
    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        self.emit(sink)
    }
}

struct PubAck<'p>(&'p Ack<'p>);

impl Body for PubAck<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        (PacketType::PubAck as u8) << 4
    }

    #[inline]
    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        self.0.emit(PacketType::PubAck, sink)
    }
}

impl Body for Packet<'_> {
    fn first_byte(&self) -> u8 {
        match self {
            Self::Publish(packet) => packet.first_byte(),
            _ => (self.packet_type() as u8) << 4 | self.packet_type().flags(),
        }
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        match self {
            Self::Connect(packet) => packet.emit(sink),
            Self::ConnAck(packet) => packet.emit(sink),
            Self::Publish(packet) => packet.emit(sink),
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

impl<'a> Packet<'a> {
    /// Its type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// Reads all behind the fixed header. Never `None`, but what [`Rules::decode`] returns: moving
    /// the largest packet would take longer than reading the smallest.
    #[inline]
    pub(crate) fn read(
        header: FixedHeader,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Self>, DecodeError> {
        match header.packet_type() {
            PacketType::Publish => Publish::read(header, reader).map(|p| Some(Self::Publish(p))),
            PacketType::PubAck => {
                whole(Ack::read(PacketType::PubAck, reader)?, reader).map(|p| Some(Self::PubAck(p)))
            }
            _ => Self::read_rare(header, reader),
        }
    }

    #[inline(never)]
    fn read_rare(
        header: FixedHeader,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Self>, DecodeError> {
        let kind = header.packet_type();
        let packet = match kind {
            PacketType::Publish => Self::Publish(Publish::read(header, reader)?),
            PacketType::PubAck => Self::PubAck(Ack::read(kind, reader)?),
            PacketType::PubRec => Self::PubRec(Ack::read(kind, reader)?),
            PacketType::PubRel => Self::PubRel(Ack::read(kind, reader)?),
            PacketType::PubComp => Self::PubComp(Ack::read(kind, reader)?),
            PacketType::Connect => Self::Connect(Connect::read(header, reader)?),
            PacketType::ConnAck => Self::ConnAck(ConnAck::read(reader)?),
            PacketType::Subscribe => Self::Subscribe(Subscribe::read(reader)?),
            PacketType::SubAck => Self::SubAck(SubAck::read(reader)?),
            PacketType::Unsubscribe => Self::Unsubscribe(Unsubscribe::read(reader)?),
            PacketType::UnsubAck => Self::UnsubAck(UnsubAck::read(reader)?),
            PacketType::PingReq => Self::PingReq,
            PacketType::PingResp => Self::PingResp,
            PacketType::Disconnect => Self::Disconnect(Disconnect::read(reader)?),
            PacketType::Auth => Self::Auth(Auth::read(reader)?),
        };
        reader.finish()?;
        Ok(Some(packet))
    }

    /// The version it is written in: CONNECT names its own.
    #[inline]
    fn version(&self, rules: &Rules) -> Version {
        match self {
            Self::Connect(connect) => connect.version,
            _ => rules.version,
        }
    }

    /// Writes it to the front of `buffer`; returns its length.
    #[inline]
    pub(crate) fn encode(&self, rules: &Rules, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        // These two are nearly all of the traffic. Both sides send them in every version.
        match self {
            Self::Publish(packet) => self.encode_body(packet, rules, buffer),
            Self::PubAck(packet) => self.encode_body(&PubAck(packet), rules, buffer),
            _ => self.encode_rare(rules, buffer),
        }
    }

    #[inline]
    fn encode_body(
        &self,
        body: &impl Body,
        rules: &Rules,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let size = Size::of(body, rules, rules.version, 0)?;
        let len = size.packet();
        if !size.fits(rules) {
            return self.encode_rare(rules, buffer);
        }
        let room = buffer.get_mut(..len).ok_or(EncodeError::NoRoom { needed: len })?;
        size.write(body, *rules, room);
        Ok(len)
    }

    #[inline(never)]
    fn encode_rare(&self, rules: &Rules, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let size = self.measure(rules)?;
        let len = size.packet();
        let room = buffer.get_mut(..len).ok_or(EncodeError::NoRoom { needed: len })?;
        self.write(size, rules, room);
        Ok(len)
    }

    /// Checks it and finds its size.
    #[inline]
    pub(crate) fn measure(&self, rules: &Rules) -> Result<Size, EncodeError> {
        let size = match self {
            Self::Publish(packet) => Size::of(packet, rules, rules.version, 0)?,
            Self::PubAck(packet) => Size::of(&PubAck(packet), rules, rules.version, 0)?,
            _ => self.measure_rare(rules)?,
        };
        if size.fits(rules) { Ok(size) } else { self.measure_again(size, rules) }
    }

    #[inline(never)]
    fn measure_rare(&self, rules: &Rules) -> Result<Size, EncodeError> {
        self.check_type(rules)?;
        Size::of(self, rules, self.version(rules), 0)
    }

    /// Refuses a packet that this side does not send, or for which the version has no words.
    fn check_type(&self, rules: &Rules) -> Result<(), EncodeError> {
        let version = self.version(rules);
        let kind = self.packet_type();
        if !kind.exists_in(version) {
            return Err(Violation::ForbiddenType.into());
        }
        if !rules.sender.may_be(kind.sender(version)) {
            return Err(Violation::WrongDirection.into());
        }
        match self {
            Self::ConnAck(connack) if !version.has_properties() => {
                match connack.reason.return_code() {
                    Some(_) => Ok(()),
                    None => Err(EncodeError::NoReturnCode(connack.reason)),
                }
            }
            _ => Ok(()),
        }
    }

    /// What it comes to without what may be left out, as it is too large with it.
    #[cold]
    fn measure_again(&self, mut size: Size, rules: &Rules) -> Result<Size, EncodeError> {
        for omitted in if self.may_omit() { &OMITTABLE[..] } else { &[] } {
            size = Size::of(self, rules, self.version(rules), *omitted)?;
            if size.fits(rules) {
                return Ok(size);
            }
        }
        Err(size.too_large(rules))
    }

    /// Whether Reason String and User Properties are left out when there is no room for them. Where
    /// User Properties are a message's own, or the client's wish, they are not.
    const fn may_omit(&self) -> bool {
        !matches!(
            self,
            Self::Publish(_) | Self::Connect(_) | Self::Subscribe(_) | Self::Unsubscribe(_)
        )
    }

    /// Writes it. `room` is as long as `size` says, which comes from the same packet and rules.
    #[inline]
    pub(crate) fn write(&self, size: Size, rules: &Rules, room: &mut [u8]) {
        match self {
            Self::Publish(packet) => size.write(packet, *rules, room),
            Self::PubAck(packet) => size.write(&PubAck(packet), *rules, room),
            _ => self.write_rare(size, rules, room),
        }
    }

    #[inline(never)]
    fn write_rare(&self, size: Size, rules: &Rules, room: &mut [u8]) {
        let rules = Rules { version: self.version(rules), ..*rules };
        size.write(self, rules, room);
    }
}

/// The packet, if no bytes are left over.
#[inline]
fn whole<T>(packet: T, reader: &Reader<'_>) -> Result<T, DecodeError> {
    reader.finish().map(|()| packet)
}

/// Reads a reason code and refuses those that this packet cannot carry, or not from this side.
fn read_reason(kind: PacketType, reader: &mut Reader<'_>) -> Result<ReasonCode, DecodeError> {
    let start = reader.position();
    let code = ReasonCode::from_value(reader.u8()?);
    code.ok_or(kind.reason_violation())
        .and_then(|code| check_reason(code, kind, reader.rules.sender).map(|()| code))
        .map_err(|violation| reader.fail_at(start, violation))
}

/// Refuses a reason code that this packet cannot carry, or not from this side.
fn check_reason(code: ReasonCode, kind: PacketType, sender: Sender) -> Result<(), Violation> {
    if code.is_allowed(kind, sender) {
        Ok(())
    } else if code.is_allowed(kind, Sender::Either) {
        Err(Violation::ReasonDirection)
    } else {
        Err(kind.reason_violation())
    }
}
