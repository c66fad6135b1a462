//! The packets, one file per family; here what they have in common.

use core::num::NonZeroUsize;

use crate::property::OMITTABLE;
use crate::wire::{Measure, Reader, Write};
use crate::{DecodeError, EncodeError, PacketId, ReasonCode, Rules, Sender, Violation};

mod ack;
mod body;
mod connack;
mod connect;
mod control;
mod header;
mod publish;
mod subscribe;

pub use ack::{Ack, BareAck};
pub(crate) use body::Size;
use body::{write_at_once, write_plain_publish, write_publish_v5};
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

/// Whether code may be compiled for several kinds of packets apart, and put where it is used: on
/// small machines flash is dearer than time. `inline(always)` depends on the same throughout.
pub(crate) const FAST: bool = cfg!(target_pointer_width = "64");

/// The first byte of PUBACK.
const BARE_PUBACK: u8 = PacketType::PubAck.first_byte();

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
        mut reader: Reader<'a>,
    ) -> Result<Option<Self>, DecodeError> {
        match header.packet_type() {
            PacketType::Publish => {
                Publish::read(header, &mut reader).map(|packet| Some(Self::Publish(packet)))
            }
            // Not the reader itself, which therefore can be in registers.
            _ => Self::read_rare(header, &reader.clone()),
        }
    }

    #[inline(never)]
    fn read_rare(header: FixedHeader, reader: &Reader<'a>) -> Result<Option<Self>, DecodeError> {
        let kind = header.packet_type();
        // Each arm puts its packet where it is returned. In one place for all it would be moved there.
        macro_rules! whole {
            ($variant:ident, $read:path $(, $argument:expr)?) => {{
                let mut reader = reader.clone();
                let packet = $read($($argument,)? &mut reader)?;
                reader.finish().map(|()| Some(Self::$variant(packet)))
            }};
        }
        match kind {
            PacketType::Publish => whole!(Publish, Publish::read, header),
            PacketType::PubAck => whole!(PubAck, Ack::read, kind),
            PacketType::PubRec => whole!(PubRec, Ack::read, kind),
            PacketType::PubRel => whole!(PubRel, Ack::read, kind),
            PacketType::PubComp => whole!(PubComp, Ack::read, kind),
            PacketType::Connect => whole!(Connect, Connect::read, header),
            PacketType::ConnAck => whole!(ConnAck, ConnAck::read),
            PacketType::Subscribe => whole!(Subscribe, Subscribe::read),
            PacketType::SubAck => whole!(SubAck, SubAck::read),
            PacketType::Unsubscribe => whole!(Unsubscribe, Unsubscribe::read),
            PacketType::UnsubAck => whole!(UnsubAck, UnsubAck::read),
            PacketType::PingReq => reader.finish().map(|()| Some(Self::PingReq)),
            PacketType::PingResp => reader.finish().map(|()| Some(Self::PingResp)),
            PacketType::Disconnect => whole!(Disconnect, Disconnect::read),
            PacketType::Auth => whole!(Auth, Auth::read),
        }
    }

    /// PUBACK of nothing but its Packet Identifier, as nearly all are, from the front of `bytes`; and
    /// what is behind it. `None`: look closer. Either side may send it in every version.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn read_bare_puback(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [BARE_PUBACK, 2, high, low, rest @ ..] = bytes else { return None };
        let packet_id = PacketId::new(u16::from_be_bytes([*high, *low]))?;
        Some((Self::PubAck(Ack::new(packet_id)), rest))
    }

    /// Writes it to the front of `buffer`; returns its length.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn encode(&self, rules: &Rules, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        if !FAST {
            return self.encode_tight(rules, buffer);
        }
        // These two are nearly all of the traffic. Both sides send them in every version.
        let written = match self {
            Self::Publish(packet)
                if packet.properties.is_empty() && !rules.policy.checks_strings() =>
            {
                write_plain_publish(packet, rules, buffer)
            }
            Self::Publish(packet) if rules.version.has_properties() => {
                write_publish_v5(packet, rules, buffer)
            }
            _ => match self.bare_puback(rules) {
                Some(ack) if rules.admits_bare_ack() => buffer.first_chunk_mut().and_then(|room| {
                    *room = ack.to_bytes();
                    NonZeroUsize::new(room.len())
                }),
                Some(_) => None,
                None => self.encode_rare(rules, buffer),
            },
        };
        match written {
            Some(len) => Ok(len.get()),
            None => self.encode_tight(rules, buffer),
        }
    }

    /// PUBACK, if all that it says is that all is well, as nearly all do.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn bare_puback(&self, rules: &Rules) -> Option<BareAck> {
        match self {
            Self::PubAck(ack) => ack.bare(PacketType::PubAck, rules.version),
            _ => None,
        }
    }

    /// Each kind by itself: what is known of it is known to the compiler.
    #[inline(never)]
    fn encode_rare(&self, rules: &Rules, buffer: &mut [u8]) -> Option<NonZeroUsize> {
        match self {
            Self::Connect(packet) => write_at_once(packet, rules, buffer),
            Self::ConnAck(packet) => write_at_once(packet, rules, buffer),
            Self::Publish(packet) => write_at_once(packet, rules, buffer),
            Self::PubAck(_) | Self::PubRec(_) | Self::PubRel(_) | Self::PubComp(_) => {
                self.encode_ack(rules, buffer)
            }
            Self::Subscribe(packet) => write_at_once(packet, rules, buffer),
            Self::SubAck(packet) => write_at_once(packet, rules, buffer),
            Self::Unsubscribe(packet) => write_at_once(packet, rules, buffer),
            Self::UnsubAck(packet) => write_at_once(packet, rules, buffer),
            Self::PingReq | Self::PingResp => write_at_once(self.packet_type(), rules, buffer),
            Self::Disconnect(packet) => write_at_once(packet, rules, buffer),
            Self::Auth(packet) => write_at_once(packet, rules, buffer),
        }
    }

    /// As [`Self::encode_rare`] of an acknowledgement.
    // By itself, so that what the others are handed is where it was.
    #[inline(never)]
    fn encode_ack(&self, rules: &Rules, buffer: &mut [u8]) -> Option<NonZeroUsize> {
        let kind = self.packet_type();
        let (Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack)) = self
        else {
            return None;
        };
        match ack.bare(kind, rules.version) {
            Some(ack) => write_at_once(ack, rules, buffer),
            None => write_at_once((kind, ack), rules, buffer),
        }
    }

    /// As [`Self::encode`] where that is not done at once: a rule that it breaks is told first, and what
    /// may be left out is.
    #[cold]
    #[inline(never)]
    fn encode_tight(&self, rules: &Rules, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let size = self.measure(rules)?;
        let needed = size.packet();
        let room = buffer.get_mut(..needed).ok_or(EncodeError::NoRoom { needed })?;
        self.write_rare(size, rules, room);
        Ok(needed)
    }

    /// Checks it and finds its size.
    #[inline]
    pub(crate) fn measure(&self, rules: &Rules) -> Result<Size, EncodeError> {
        let size = match self {
            Self::Publish(packet) => Size::of::<Measure>(packet, rules, 0)?,
            _ => match self.bare_puback(rules) {
                Some(ack) => Size::of::<Measure>(&ack, rules, 0)?,
                None => self.measure_rare(rules, 0)?,
            },
        };
        if size.fits(rules) { Ok(size) } else { self.measure_again(rules) }
    }

    #[inline(never)]
    fn measure_rare(&self, rules: &Rules, omitted: u64) -> Result<Size, EncodeError> {
        Size::of::<Measure>(self, rules, omitted)
    }

    /// What it comes to without what may be left out, as it is too large with it.
    #[cold]
    #[inline(never)]
    fn measure_again(&self, rules: &Rules) -> Result<Size, EncodeError> {
        let mut size = self.measure_rare(rules, 0)?;
        for omitted in self.omittable() {
            size = self.measure_rare(rules, *omitted)?;
            if size.fits(rules) {
                return Ok(size);
            }
        }
        Err(size.too_large(rules))
    }

    /// What is left out, one after the other, when there is no room for it. Where User Properties are
    /// a message's own, or the client's wish, they are not.
    const fn omittable(&self) -> &'static [u64] {
        match self {
            Self::Publish(_) | Self::Connect(_) | Self::Subscribe(_) | Self::Unsubscribe(_) => &[],
            _ => &OMITTABLE,
        }
    }

    /// Writes it. `room` is as long as `size` says, which comes from the same packet and rules.
    #[inline]
    pub(crate) fn write(&self, size: Size, rules: &Rules, room: &mut [u8]) {
        let written = match self {
            Self::Publish(packet) => size.write::<Write>(packet, rules, room),
            _ => match self.bare_puback(rules) {
                Some(ack) => size.write::<Write>(&ack, rules, room),
                None => return self.write_rare(size, rules, room),
            },
        };
        debug_assert!(written.is_ok(), "a packet that was checked is refused");
    }

    #[inline(never)]
    fn write_rare(&self, size: Size, rules: &Rules, room: &mut [u8]) {
        let written = size.write::<Write>(self, rules, room);
        debug_assert!(written.is_ok(), "a packet that was checked is refused");
    }
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
