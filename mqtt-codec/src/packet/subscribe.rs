//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).

use super::{PacketType, check_reason};
use crate::wire::{Mode, Reader, Sink};
use crate::{
    DecodeError, Element, List, PacketId, Properties, QoS, ReasonCode, Scope, Sender, TopicFilter,
    Version, Violation,
};

/// Which retained messages a new subscription is sent (section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum RetainHandling {
    /// 0: all that match. So it always is in 3.1.1.
    #[default]
    Send = 0,
    /// 1: all that match, if there was no such subscription before.
    SendIfNew = 1,
    /// 2: none.
    DoNotSend = 2,
}

/// A filter in SUBSCRIBE and its Subscription Options (section 3.8.3.1).
///
/// ```
/// use mqtt_codec::{QoS, Subscription, TopicFilter};
/// let subscription = Subscription {
///     no_local: true,
///     ..Subscription::new(TopicFilter::new("residence/#").unwrap(), QoS::AtLeastOnce)
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// What to subscribe to.
    pub filter: TopicFilter<'a>,
    /// Maximum QoS at which messages are delivered.
    pub qos: QoS,
    /// No Local: not what this client publishes itself. Not in 3.1.1.
    pub no_local: bool,
    /// Retain As Published: messages keep the RETAIN they were published with. Not in 3.1.1.
    pub retain_as_published: bool,
    /// Which retained messages to send now. Not in 3.1.1.
    pub retain_handling: RetainHandling,
}

impl<'a> Subscription<'a> {
    /// A subscription with this Maximum QoS; all other options are 0, as in 3.1.1.
    #[must_use]
    pub const fn new(filter: TopicFilter<'a>, qos: QoS) -> Self {
        Self {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    fn options(&self) -> u8 {
        self.qos.bits()
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }

    /// The subscription with these options, or the rule that they break.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn with_options(
        filter: TopicFilter<'a>,
        options: u8,
        version: Version,
    ) -> Result<Self, Violation> {
        let reserved = if version.has_properties() { 0xC0 } else { 0xFC };
        if options & reserved != 0 {
            return Err(Violation::SubscribeReserved);
        }
        let qos3 = match version {
            Version::V5 => Violation::SubscribeQos3,
            Version::V31 | Version::V311 => Violation::RequestedQos3,
        };
        let subscription = Self {
            filter,
            qos: QoS::from_bits(options & 3).ok_or(qos3)?,
            no_local: options & 4 != 0,
            retain_as_published: options & 8 != 0,
            retain_handling: match options >> 4 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(Violation::RetainHandling3),
            },
        };
        if subscription.is_shared_no_local() {
            return Err(Violation::NoLocalOnShared);
        }
        Ok(subscription)
    }

    #[inline]
    fn is_shared_no_local(&self) -> bool {
        self.no_local && self.filter.shared().is_some()
    }
}

impl<'a> Element<'a> for Subscription<'a> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filter = reader.topic_filter()?;
        let options_at = reader.position();
        Self::with_options(filter, reader.u8()?, reader.version())
            .map_err(|violation| reader.fail_at(options_at, violation))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        let options = if sink.version.has_properties() {
            sink.demand(|_| self.filter.admit(sink.version))?;
            sink.demand(|_| match self.is_shared_no_local() {
                true => Err(Violation::NoLocalOnShared),
                false => Ok(()),
            })?;
            self.options()
        } else {
            self.qos.bits()
        };
        sink.topic([], self.filter.as_bytes(), [options])
    }
}

/// SUBSCRIBE (section 3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Packet Identifier; SUBACK repeats it.
    pub packet_id: PacketId,
    /// Properties: Subscription Identifier and User Properties.
    pub properties: Properties<'a>,
    /// Filters and options, at least one \[MQTT-3.8.3-2].
    pub subscriptions: List<'a, Subscription<'a>>,
}

/// SUBACK (section 3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The Packet Identifier of SUBSCRIBE.
    pub packet_id: PacketId,
    /// Properties (section 3.9.2.1).
    pub properties: Properties<'a>,
    /// A code per filter, in their order. In 3.1.1 a failure is always 0x80.
    pub reasons: List<'a, ReasonCode>,
}

/// UNSUBSCRIBE (section 3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Packet Identifier; UNSUBACK repeats it.
    pub packet_id: PacketId,
    /// Properties: User Properties.
    pub properties: Properties<'a>,
    /// Filters, at least one \[MQTT-3.10.3-2].
    pub filters: List<'a, TopicFilter<'a>>,
}

/// UNSUBACK (section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The Packet Identifier of UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Properties (section 3.11.2.1).
    pub properties: Properties<'a>,
    /// A code per filter, in their order. Empty in 3.1.1.
    pub reasons: List<'a, ReasonCode>,
}

impl<'a> Subscribe<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = Properties::read(reader, Scope::Subscribe)?;
        if reader.is_empty() {
            return Err(reader.fail(Violation::SubscribeEmpty));
        }
        let subscriptions = List::read(reader, |_| Ok(()))?;
        Ok(Self { packet_id, properties, subscriptions })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess() + self.subscriptions.guess(24)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u16(self.packet_id.get())?;
        self.properties.emit(sink, Scope::Subscribe)?;
        sink.check(!self.subscriptions.is_empty(), Violation::SubscribeEmpty)?;
        self.subscriptions.emit(sink, |_| Ok(()))
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = Properties::read(reader, Scope::Unsubscribe)?;
        if reader.is_empty() {
            return Err(reader.fail(Violation::UnsubscribeEmpty));
        }
        let filters = List::read(reader, |_| Ok(()))?;
        Ok(Self { packet_id, properties, filters })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess() + self.filters.guess(24)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u16(self.packet_id.get())?;
        self.properties.emit(sink, Scope::Unsubscribe)?;
        sink.check(!self.filters.is_empty(), Violation::UnsubscribeEmpty)?;
        self.filters.emit(sink, |_| Ok(()))
    }
}

impl<'a> SubAck<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = Properties::read(reader, Scope::SubAck)?;
        if reader.is_empty() {
            return Err(reader.fail(Violation::SubAckEmpty));
        }
        let (version, sender) = (reader.version(), reader.rules.sender);
        let reasons = List::read(reader, |code| check_suback(*code, version, sender))?;
        Ok(Self { packet_id, properties, reasons })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess() + self.reasons.guess(1)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u16(self.packet_id.get())?;
        self.properties.emit(sink, Scope::SubAck)?;
        sink.check(!self.reasons.is_empty(), Violation::SubAckEmpty)?;
        let sender = sink.rules.sender;
        self.reasons.emit(sink, |code| check_suback(*code, Version::V5, sender))
    }
}

/// 3.1.1 has four codes [MQTT-3.9.3-2], which version 5 has too.
fn check_suback(code: ReasonCode, version: Version, sender: Sender) -> Result<(), Violation> {
    if !version.has_properties() && code.value() > ReasonCode::UnspecifiedError.value() {
        return Err(Violation::SubAckReason);
    }
    check_reason(code, PacketType::SubAck, sender)
}

impl<'a> UnsubAck<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        if !reader.version().has_properties() {
            return Ok(Self { packet_id, properties: Properties::EMPTY, reasons: List::EMPTY });
        }
        let properties = Properties::read(reader, Scope::UnsubAck)?;
        if reader.is_empty() {
            return Err(reader.fail(Violation::UnsubAckEmpty));
        }
        let sender = reader.rules.sender;
        let reasons = List::read(reader, |code| check_reason(*code, PacketType::UnsubAck, sender))
            .map_err(|error| match error.violation {
                // The list does not know which packet has a code that is not defined at all.
                Violation::SubAckReason => {
                    DecodeError { violation: Violation::UnsubAckReason, ..error }
                }
                _ => error,
            })?;
        Ok(Self { packet_id, properties, reasons })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess() + self.reasons.guess(1)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u16(self.packet_id.get())?;
        if !sink.version.has_properties() {
            return Ok(());
        }
        self.properties.emit(sink, Scope::UnsubAck)?;
        sink.check(!self.reasons.is_empty(), Violation::UnsubAckEmpty)?;
        let sender = sink.rules.sender;
        self.reasons.emit(sink, |code| check_reason(*code, PacketType::UnsubAck, sender))
    }
}
