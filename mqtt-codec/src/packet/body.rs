//! What packets have in common that are measured and written.

use super::ack::BareAck;
use super::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, Publish, SubAck, Subscribe,
    UnsubAck, Unsubscribe,
};
use crate::rules::PROTOCOL_MAX;
use crate::wire::{MAX_VARIABLE, Mode, PropertyLengths, Sink, variable_len};
use crate::{EncodeError, Properties, Rules, Sender, Version, Violation};

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
        match self.remaining {
            short @ 0..=0x7F => sink.prefixed([first, short as u8], &[]),
            medium @ 0x80..=0x3FFF => {
                sink.prefixed([first, medium as u8 | 0x80, (medium >> 7) as u8], &[]);
            }
            long => {
                sink.u8(first);
                sink.variable(long);
            }
        }
        body.emit(&mut sink)
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

/// A PUBLISH without properties: nothing is compiled for them, which leaves room in registers.
pub(super) struct PlainPublish<'p>(pub(super) &'p Publish<'p>);

impl Body for PlainPublish<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        PacketType::Publish
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn first_byte(&self) -> u8 {
        self.0.first_byte()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.0.emit(&Properties::EMPTY, sink)
    }
}

impl Body for BareAck {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn packet_type(&self) -> PacketType {
        self.packet_type()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.emit(sink);
        Ok(())
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
impl Body for (PacketType, &Ack<'_>) {
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
    fn packet_type(&self) -> PacketType {
        *self
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, _: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        Ok(())
    }
}

/// Any of them, where it matters more that there is little code.
impl Body for Packet<'_> {
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
