//! The types of property values (section 2.2.2.2, table 2-4).

use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

use super::PropertyId;
use crate::wire::{MAX_VARIABLE, Reader, Sink};
use crate::{DecodeError, QoS, TopicName, Violation};

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
    #[inline]
    fn check(reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        Self::read(reader).map(drop)
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation>;
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
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        match reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.fail_at(start, Violation::PropertyNotBoolean)),
        }
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.u8(u8::from(*self));
        Ok(())
    }
}

/// Maximum QoS, of which 2 is told by saying nothing (section 3.2.2.3.4).
impl<'a> Value<'a> for QoS {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        bool::read(reader).map(|one| if one { Self::AtLeastOnce } else { Self::AtMostOnce })
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.check(|| *self != Self::ExactlyOnce, Violation::PropertyNotBoolean)?;
        sink.u8(self.bits());
        Ok(())
    }
}

impl<'a> Value<'a> for u16 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u16()
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.u16(*self);
        Ok(())
    }
}

impl<'a> Value<'a> for u32 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u32()
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.u32(*self);
        Ok(())
    }
}

impl<'a> Value<'a> for NonZeroU16 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        Self::new(reader.u16()?).ok_or_else(|| reader.fail_at(start, Violation::PropertyZero))
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.u16(self.get());
        Ok(())
    }
}

impl<'a> Value<'a> for NonZeroU32 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        Self::new(reader.u32()?).ok_or_else(|| reader.fail_at(start, Violation::PropertyZero))
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.u32(self.get());
        Ok(())
    }
}

impl<'a> Value<'a> for SubscriptionId {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        Self::new(reader.variable()?).ok_or_else(|| reader.fail_at(start, Violation::PropertyZero))
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.variable(self.get());
        Ok(())
    }
}

impl<'a> Value<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.string()
    }

    #[inline]
    fn check(reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        reader.text().map(drop)
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.string(self)
    }
}

/// Response Topic: a name as any, so without wildcards \[MQTT-3.3.2-14] and not empty, for which
/// see [`Properties::check_response_topic`](super::Properties::check_response_topic).
impl<'a> Value<'a> for TopicName<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.topic_name(Violation::ResponseTopicWildcard)
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.check(|| !self.is_empty(), Violation::TopicNameEmpty)?;
        sink.topic(self.as_bytes())
    }
}

impl<'a> Value<'a> for &'a [u8] {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.binary()
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.binary(self)
    }
}

/// User Property; both halves are strings \[MQTT-1.5.7-1].
impl<'a> Value<'a> for (&'a str, &'a str) {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok((reader.string()?, reader.string()?))
    }

    #[inline]
    fn check(reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        reader.text().and_then(|_| reader.text()).map(drop)
    }

    fn emit(&self, sink: &mut impl Sink) -> Result<(), Violation> {
        sink.string(self.0)?;
        sink.string(self.1)
    }
}
