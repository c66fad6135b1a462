//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7): one layout.

use super::{PacketType, check_reason, read_reason};
use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, PacketId, Properties, ReasonCode, Scope, Version, Violation};

/// PUBACK, PUBREC, PUBREL or PUBCOMP: a step in the delivery of a message (sections 3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The Packet Identifier of the message \[MQTT-2.2.1-5].
    pub packet_id: PacketId,
    /// How it went. Not in 3.1.1, where every answer means success.
    pub reason: ReasonCode,
    /// Properties (for example section 3.4.2.2).
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    /// Success, without properties.
    #[must_use]
    pub const fn new(packet_id: PacketId) -> Self {
        Self { packet_id, reason: ReasonCode::Success, properties: Properties::EMPTY }
    }

    #[inline]
    pub(crate) fn read(kind: PacketType, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        // Reason code and properties may be left out (for example section 3.4.2.1).
        if reader.is_empty() || !reader.version().has_properties() {
            return Ok(Self::new(packet_id));
        }
        Self::read_reason(packet_id, kind, reader)
    }

    #[inline(never)]
    fn read_reason(
        packet_id: PacketId,
        kind: PacketType,
        reader: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let mut ack = Self::new(packet_id);
        ack.reason = read_reason(kind, reader)?;
        if !reader.is_empty() {
            ack.properties = Properties::read(reader, scope(kind))?;
        }
        Ok(ack)
    }

    /// This one without reason code and properties, if it says no more than that all is well, or
    /// the version has no more. Either side may answer so in any of the four.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn bare(&self, kind: PacketType, version: Version) -> Option<BareAck> {
        let is_success = self.reason == ReasonCode::Success && self.properties.is_empty();
        (is_success || !version.has_properties())
            .then_some(BareAck { kind, packet_id: self.packet_id })
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(
        &self,
        kind: PacketType,
        sink: &mut Sink<'_, impl Mode>,
    ) -> Result<(), Violation> {
        BareAck { kind, packet_id: self.packet_id }.emit(sink)?;
        match self.bare(kind, sink.version) {
            Some(_) => Ok(()),
            None => self.emit_reason(kind, sink),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit_reason(
        &self,
        kind: PacketType,
        sink: &mut Sink<'_, impl Mode>,
    ) -> Result<(), Violation> {
        let bare = self.properties.is_empty_without(sink.omitted);
        if bare && self.reason == ReasonCode::Success {
            return Ok(());
        }
        sink.demand(|rules| check_reason(self.reason, kind, rules.sender))?;
        sink.u8(self.reason.value())?;
        if bare { Ok(()) } else { self.properties.emit(sink, scope(kind)) }
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP of nothing but its Packet Identifier, as nearly all are: four
/// bytes that either side may send in every version.
///
/// ```
/// use mqtt_codec::{BareAck, PacketId};
/// let ack = BareAck::puback(PacketId::new(7).unwrap());
/// assert_eq!(ack.to_bytes(), *b"\x40\x02\0\x07");
/// assert_eq!(BareAck::from_bytes(ack.to_bytes()), Some(ack));
/// assert_eq!(BareAck::from_bytes(*b"\x40\x02\0\0"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareAck {
    kind: PacketType,
    packet_id: PacketId,
}

impl BareAck {
    /// Its length in bytes.
    pub(crate) const LEN: u32 = 4;

    /// PUBACK (section 3.4).
    #[must_use]
    pub const fn puback(packet_id: PacketId) -> Self {
        Self { kind: PacketType::PubAck, packet_id }
    }

    /// PUBREC (section 3.5).
    #[must_use]
    pub const fn pubrec(packet_id: PacketId) -> Self {
        Self { kind: PacketType::PubRec, packet_id }
    }

    /// PUBREL (section 3.6).
    #[must_use]
    pub const fn pubrel(packet_id: PacketId) -> Self {
        Self { kind: PacketType::PubRel, packet_id }
    }

    /// PUBCOMP (section 3.7).
    #[must_use]
    pub const fn pubcomp(packet_id: PacketId) -> Self {
        Self { kind: PacketType::PubComp, packet_id }
    }

    /// Which of the four it is.
    #[inline]
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.kind
    }

    /// The Packet Identifier of the message \[MQTT-2.2.1-5].
    #[inline]
    #[must_use]
    pub const fn packet_id(&self) -> PacketId {
        self.packet_id
    }

    /// The whole packet.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.packet_id.get().to_be_bytes();
        [self.kind.first_byte(), 2, high, low]
    }

    /// The acknowledgement that these bytes are; `None`: they are none, or not one that is bare.
    #[inline]
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        const PUBACK: u8 = PacketType::PubAck.first_byte();
        const PUBREC: u8 = PacketType::PubRec.first_byte();
        const PUBREL: u8 = PacketType::PubRel.first_byte();
        const PUBCOMP: u8 = PacketType::PubComp.first_byte();
        let [first, 2, high, low] = bytes else { return None };
        let kind = match first {
            PUBACK => PacketType::PubAck,
            PUBREC => PacketType::PubRec,
            PUBREL => PacketType::PubRel,
            PUBCOMP => PacketType::PubComp,
            _ => return None,
        };
        match PacketId::new(u16::from_be_bytes([high, low])) {
            Some(packet_id) => Some(Self { kind, packet_id }),
            None => None,
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u16(self.packet_id.get())
    }
}

const fn scope(kind: PacketType) -> Scope {
    match kind {
        PacketType::PubRec => Scope::PubRec,
        PacketType::PubRel => Scope::PubRel,
        PacketType::PubComp => Scope::PubComp,
        _ => Scope::PubAck,
    }
}
