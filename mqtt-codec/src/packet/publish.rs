//! PUBLISH (section 3.3).

use super::FixedHeader;
use crate::wire::{Mode, Reader, Sink};
use crate::{
    DecodeError, PacketId, Properties, PropertyId, QoS, Scope, TopicName, Version, Violation,
};

/// PUBLISH: a message (section 3.3).
///
/// ```
/// use mqtt_codec::{PacketId, Publish, QoS, TopicName};
/// let publish = Publish {
///     qos: QoS::AtLeastOnce,
///     packet_id: PacketId::new(10),
///     ..Publish::new(TopicName::new("residence/kitchen/temperature").unwrap(), b"21.5")
/// };
/// assert!(!publish.retain);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// DUP: this may have been sent before. Never with QoS 0 \[MQTT-3.3.1-2].
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// RETAIN: to a server, keep this as the topic's last value; from one, it was kept.
    pub retain: bool,
    /// Topic Name. In version 5 [`TopicName::ALIASED`] where a Topic Alias stands for it.
    pub topic: TopicName<'a>,
    /// Packet Identifier: with QoS 1 and 2, and only then \[MQTT-2.2.1-2], \[MQTT-2.2.1-3].
    pub packet_id: Option<PacketId>,
    /// Properties (section 3.3.2.3).
    pub properties: Properties<'a>,
    /// Application Message, which may be empty.
    pub payload: &'a [u8],
}

const RETAIN: u8 = 0x01;
const DUP: u8 = 0x08;

impl<'a> Publish<'a> {
    /// A message of QoS 0 that is not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            properties: Properties::EMPTY,
            payload,
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn read(header: FixedHeader, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // The header was refused if its QoS was 3 or DUP stood with QoS 0.
        let flags = header.flags();
        let qos = QoS::from_bits(flags >> 1 & 3).unwrap_or_default();
        let topic_at = reader.position();
        let topic = reader.topic_name(Violation::TopicNameWildcard)?;
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            _ => Some(reader.packet_id()?),
        };
        let properties_at = reader.position();
        let properties = Properties::read(reader, Scope::Publish)?;
        if let Some(violation) = nameless(topic, &properties, reader.version()) {
            return Err(reader.fail_at(topic_at, violation));
        }
        let payload_at = reader.position();
        let payload = reader.rest();
        properties
            .check_response_topic()
            .map_err(|violation| reader.fail_at(properties_at, violation))?;
        if !reader.rules.policy.admits_payload(payload, &properties) {
            return Err(reader.fail_at(payload_at, Violation::PayloadNotUtf8));
        }
        Ok(Self {
            dup: flags & DUP != 0,
            qos,
            retain: flags & RETAIN != 0,
            topic,
            packet_id,
            properties,
            payload,
        })
    }

    pub(super) const fn flags(&self) -> u8 {
        self.retain as u8 + 2 * (self.qos.bits() + 4 * self.dup as u8)
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        5 + self.topic.as_bytes().len() + self.properties.guess() + self.payload.len()
    }

    /// With these properties, which are its own.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(
        &self,
        properties: &Properties<'_>,
        sink: &mut Sink<'_, impl Mode>,
    ) -> Result<(), Violation> {
        self.check(properties, sink)?;
        let topic = self.topic.as_bytes();
        match self.packet_id {
            Some(packet_id) => sink.topic([], topic, packet_id.get().to_be_bytes())?,
            None => sink.topic([], topic, [])?,
        }
        properties.emit(sink, Scope::Publish)?;
        sink.bytes(self.payload)
    }

    /// Refuses what can be told without a look at what is long.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn check(
        &self,
        properties: &Properties<'_>,
        sink: &Sink<'_, impl Mode>,
    ) -> Result<(), Violation> {
        let named = nameless(self.topic, properties, sink.version);
        sink.check(named.is_none(), named.unwrap_or(Violation::TopicNameMissing))?;
        if self.packet_id.is_some() {
            sink.check(self.qos != QoS::AtMostOnce, Violation::PacketIdUnwanted)?;
        } else if self.qos.bits() | u8::from(self.dup) != 0 {
            sink.check(self.qos == QoS::AtMostOnce, Violation::PacketIdMissing)?;
            sink.check(false, Violation::DupWithQos0)?;
        }
        sink.payload_format(self.payload, properties)
    }
}

/// The rule that a PUBLISH breaks that does not say what its topic is.
#[inline]
fn nameless(
    topic: TopicName<'_>,
    properties: &Properties<'_>,
    version: Version,
) -> Option<Violation> {
    if !topic.is_empty() {
        None
    } else if !version.has_properties() {
        Some(Violation::TopicNameEmpty)
    } else if !properties.contains(PropertyId::TopicAlias) {
        Some(Violation::TopicNameMissing)
    } else {
        None
    }
}
