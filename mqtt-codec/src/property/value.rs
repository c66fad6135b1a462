//! The types of property values (section 2.2.2.2, table 2-4).

use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

use super::PropertyId;
use crate::wire::{MAX_VARIABLE, Mode, Reader, Sink};
use crate::{DecodeError, QoS, Text, TopicName, Violation};

/// A Subscription Identifier: 1 to 268,435,455 (section 3.8.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SubscriptionId(NonZeroU32);

impl SubscriptionId {
    /// The identifier of this value; `None` for 0 and for more than 268,435,455.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) if value.get() <= MAX_VARIABLE => Some(Self(value)),
            _ => None,
        }
    }

    /// Its value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a value is read, checked and written.
pub(super) trait Value<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Refuses what `read` refuses, and has nothing to return.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check(reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        // Not mapped: what is in it would be put together to be dropped.
        Self::read(reader)?;
        Ok(())
    }

    /// Puts the identifier and the value.
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation>;
}

/// The type of a value, as far as its length is concerned (table 2-4).
#[derive(Clone, Copy)]
pub(crate) enum ValueKind {
    Byte,
    TwoBytes,
    FourBytes,
    Variable,
    String,
    Binary,
    /// Two strings.
    Pair,
}

impl PropertyId {
    /// The type of its value.
    pub(crate) const fn kind(self) -> ValueKind {
        match self {
            Self::PayloadFormatIndicator
            | Self::RequestProblemInformation
            | Self::RequestResponseInformation
            | Self::MaximumQoS
            | Self::RetainAvailable
            | Self::WildcardSubscriptionAvailable
            | Self::SubscriptionIdentifierAvailable
            | Self::SharedSubscriptionAvailable => ValueKind::Byte,
            Self::ServerKeepAlive
            | Self::ReceiveMaximum
            | Self::TopicAliasMaximum
            | Self::TopicAlias => ValueKind::TwoBytes,
            Self::MessageExpiryInterval
            | Self::SessionExpiryInterval
            | Self::WillDelayInterval
            | Self::MaximumPacketSize => ValueKind::FourBytes,
            Self::SubscriptionIdentifier => ValueKind::Variable,
            Self::UserProperty => ValueKind::Pair,
            Self::CorrelationData | Self::AuthenticationData => ValueKind::Binary,
            Self::ContentType
            | Self::ResponseTopic
            | Self::AssignedClientIdentifier
            | Self::AuthenticationMethod
            | Self::ResponseInformation
            | Self::ServerReference
            | Self::ReasonString => ValueKind::String,
        }
    }
}

/// Steps over the value of this property, which was checked before.
pub(super) fn skip(id: PropertyId, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match id.kind() {
        ValueKind::Byte => reader.bytes(1).map(drop),
        ValueKind::TwoBytes => reader.bytes(2).map(drop),
        ValueKind::FourBytes => reader.bytes(4).map(drop),
        ValueKind::Variable => reader.variable().map(drop),
        ValueKind::String | ValueKind::Binary => reader.binary().map(drop),
        ValueKind::Pair => reader.binary().and_then(|_| reader.binary()).map(drop),
    }
}

impl<'a> Value<'a> for bool {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        match reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.fail_at(start, Violation::PropertyNotBoolean)),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.tagged(id, [u8::from(*self)])
    }
}

/// Maximum QoS, of which 2 is told by saying nothing (section 3.2.2.3.4).
impl<'a> Value<'a> for QoS {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        bool::read(reader).map(|one| if one { Self::AtLeastOnce } else { Self::AtMostOnce })
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.check(*self != Self::ExactlyOnce, Violation::PropertyNotBoolean)?;
        sink.tagged(id, [self.bits()])
    }
}

impl<'a> Value<'a> for u16 {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u16()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.tagged(id, self.to_be_bytes())
    }
}

impl<'a> Value<'a> for u32 {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u32()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.tagged(id, self.to_be_bytes())
    }
}

impl<'a> Value<'a> for NonZeroU16 {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        Self::new(reader.u16()?).ok_or_else(|| reader.fail_at(start, Violation::PropertyZero))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.get().emit(id, sink)
    }
}

impl<'a> Value<'a> for NonZeroU32 {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        Self::new(reader.u32()?).ok_or_else(|| reader.fail_at(start, Violation::PropertyZero))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.get().emit(id, sink)
    }
}

impl<'a> Value<'a> for SubscriptionId {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        Self::new(reader.variable()?).ok_or_else(|| reader.fail_at(start, Violation::PropertyZero))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u8(id)?;
        sink.variable(self.get())
    }
}

impl<'a> Value<'a> for &'a str {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.text().map(Text::as_str)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check(reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        reader.text().map(drop)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.string([id], Text::new(self))
    }
}

/// Response Topic: a name as any, so without wildcards \[MQTT-3.3.2-14] and not empty, for which
/// see [`Properties::check_response_topic`](super::Properties::check_response_topic).
impl<'a> Value<'a> for TopicName<'a> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.topic_name(Violation::ResponseTopicWildcard)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.check(!self.is_empty(), Violation::TopicNameEmpty)?;
        sink.topic([id], self.as_bytes(), [])
    }
}

impl<'a> Value<'a> for &'a [u8] {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.binary()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.binary([id], self, [])
    }
}

/// User Property; both halves are strings \[MQTT-1.5.7-1].
impl<'a> Value<'a> for (&'a str, &'a str) {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok((reader.text()?.as_str(), reader.text()?.as_str()))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check(reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        reader.text().and_then(|_| reader.text()).map(drop)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, id: u8, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.0.emit(id, sink)?;
        sink.string([], Text::new(self.1))
    }
}
