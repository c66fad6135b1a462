//! Fixed header (section 2.1): type, flags, Remaining Length.

use super::FAST;
use crate::wire::{Variable, variable_len};
use crate::{DecodeError, QoS, Rules, Sender, Version, Violation};

/// The type of a packet (section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[expect(missing_docs, reason = "the packets are described at `Packet`")]
pub enum PacketType {
    Connect = 1,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

impl PacketType {
    /// Every type, ascending.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The type with this number; `None` for 0 and above 15.
    #[must_use]
    pub const fn from_value(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// Who may send it (section 2.1.2).
    #[must_use]
    pub const fn sender(self, version: Version) -> Sender {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq => Sender::Client,
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp => Sender::Server,
            Self::Disconnect if !version.has_properties() => Sender::Client,
            _ => Sender::Either,
        }
    }

    /// Whether this version has it: AUTH came with version 5.
    #[must_use]
    pub const fn exists_in(self, version: Version) -> bool {
        !matches!(self, Self::Auth) || version.has_properties()
    }

    /// Whether it is PUBACK, PUBREC, PUBREL or PUBCOMP.
    #[inline]
    pub(crate) const fn is_ack(self) -> bool {
        matches!(self, Self::PubAck | Self::PubRec | Self::PubRel | Self::PubComp)
    }

    /// The reserved flags (section 2.1.3). Those of PUBLISH say something instead.
    pub(crate) const fn flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// Type and reserved flags, as they are written.
    #[inline]
    pub(super) const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.flags()
    }

    const fn flags_violation(self) -> Violation {
        match self {
            Self::PubRel => Violation::PubRelFlags,
            Self::Subscribe => Violation::SubscribeFlags,
            Self::Unsubscribe => Violation::UnsubscribeFlags,
            Self::Disconnect => Violation::DisconnectFlags,
            Self::Auth => Violation::AuthFlags,
            _ => Violation::ReservedFlags,
        }
    }

    /// The rule that a reason code breaks that this packet cannot carry.
    pub(crate) const fn reason_violation(self) -> Violation {
        match self {
            Self::PubAck => Violation::PubAckReason,
            Self::PubRec => Violation::PubRecReason,
            Self::PubRel => Violation::PubRelReason,
            Self::PubComp => Violation::PubCompReason,
            Self::SubAck => Violation::SubAckReason,
            Self::UnsubAck => Violation::UnsubAckReason,
            Self::Disconnect => Violation::DisconnectReason,
            Self::Auth => Violation::AuthReason,
            _ => Violation::ConnAckReason,
        }
    }
}

/// The rule that these flags of PUBLISH break (section 3.3.1).
const fn publish_violation(flags: u8) -> Option<Violation> {
    match QoS::from_bits(flags >> 1 & 3) {
        None => Some(Violation::PublishQos3),
        Some(QoS::AtMostOnce) if flags & 8 != 0 => Some(Violation::DupWithQos0),
        Some(_) => None,
    }
}

/// What each first byte says, if it is right and of a frequent type, which either side may send in
/// every version. To look it up takes less than to look at type and flags.
const FREQUENT: [Option<PacketType>; 256] = {
    let mut types = [None; 256];
    let mut first = 0;
    while first < types.len() {
        let flags = first as u8 & 0x0F;
        types[first] = match PacketType::from_value(first as u8 >> 4) {
            Some(PacketType::Publish) if publish_violation(flags).is_none() => {
                Some(PacketType::Publish)
            }
            Some(ack) if ack.is_ack() && flags == ack.flags() => Some(ack),
            _ => None,
        };
        first += 1;
    }
    types
};

/// The first two to five bytes of a packet, checked (section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHeader {
    packet_type: PacketType,
    flags: u8,
    len: u8,
    remaining: u32,
}

impl FixedHeader {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn read(bytes: &[u8], rules: &Rules) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let version = rules.version;
        let fail = |offset, violation| Err(DecodeError { violation, version, offset });
        let flags = first & 0x0F;
        let frequent = if FAST { FREQUENT[first as usize] } else { None };
        let packet_type = match frequent {
            Some(packet_type) => packet_type,
            None => match Self::any_type(first, rules) {
                Ok(packet_type) => packet_type,
                Err(violation) => return fail(0, violation),
            },
        };
        let (remaining, remaining_len) = match Variable::parse(rest) {
            Variable::Value(value, len) => (value, len),
            Variable::Incomplete => return Ok(None),
            Variable::TooLong => return fail(1, Violation::RemainingLengthTooLong),
        };
        let header = Self { packet_type, flags, len: 1 + remaining_len as u8, remaining };
        // CONNECT says by itself which version it is: see there.
        if !header.is_minimal() && version.has_properties() && packet_type != PacketType::Connect {
            return fail(1, Violation::RemainingLengthNotMinimal);
        }
        if header.packet_len() as u64 > u64::from(rules.max_packet_size) {
            return fail(1, Violation::PacketTooLarge);
        }
        Ok(Some(header))
    }

    /// The type that this first byte says.
    #[inline(never)]
    fn any_type(first: u8, rules: &Rules) -> Result<PacketType, Violation> {
        let flags = first & 0x0F;
        let Some(packet_type) = PacketType::from_value(first >> 4) else {
            return Err(Violation::ForbiddenType);
        };
        if packet_type == PacketType::Publish {
            return publish_violation(flags).map_or(Ok(packet_type), Err);
        }
        // In 3.1 these three carry a QoS of 1 and may be sent again with DUP.
        let again = rules.version == Version::V31 && packet_type.flags() != 0;
        if !packet_type.exists_in(rules.version) {
            Err(Violation::ForbiddenType)
        } else if flags != packet_type.flags() && !(again && flags == packet_type.flags() | 8) {
            Err(packet_type.flags_violation())
        } else if !rules.sender.may_be(packet_type.sender(rules.version)) {
            Err(Violation::WrongDirection)
        } else {
            Ok(packet_type)
        }
    }

    /// The type of the packet.
    #[inline]
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The lower four bits of the first byte.
    #[inline]
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The length of this header in bytes, 2 to 5.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Remaining Length: the number of bytes behind this header.
    #[inline]
    #[must_use]
    pub const fn remaining_len(&self) -> usize {
        self.remaining as usize
    }

    /// The length of the packet in bytes, this header included.
    #[inline]
    #[must_use]
    pub const fn packet_len(&self) -> usize {
        self.len() + self.remaining_len()
    }

    /// Whether Remaining Length takes no more bytes than it needs \[MQTT-1.5.5-1].
    #[inline]
    pub(crate) const fn is_minimal(&self) -> bool {
        self.len == 2 || self.len() == 1 + variable_len(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::{FREQUENT, FixedHeader, PacketType};
    use crate::{Rules, Sender, Version};

    /// Section 2.1: on 32-bit machines nothing is looked up.
    #[test]
    fn what_is_looked_up_is_what_the_rules_say() {
        for version in [Version::V31, Version::V311, Version::V5] {
            for sender in [Sender::Client, Sender::Server, Sender::Either] {
                for (first, found) in FREQUENT.into_iter().enumerate() {
                    let read =
                        FixedHeader::any_type(first as u8, &Rules::new(version, sender)).ok();
                    let frequent =
                        |kind: &PacketType| *kind == PacketType::Publish || kind.is_ack();
                    // In 3.1 a PUBREL may have DUP.
                    if found.is_some() || version != Version::V31 {
                        assert_eq!(found, read.filter(frequent), "{first:#x}");
                    }
                }
            }
        }
    }
}
