//! CONNECT and the will inside it (section 3.1).

use super::FixedHeader;
use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, Properties, QoS, Scope, Text, TopicName, Version, Violation};

/// CONNECT: a client asks for a connection (section 3.1).
///
/// ```
/// use mqtt_codec::{Connect, Version};
/// let connect = Connect { keep_alive: 30, ..Connect::new(Version::V5, "sensor-7") };
/// assert!(connect.clean_start);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version to speak from here on.
    pub version: Version,
    /// Clean Start, in 3.1.1 Clean Session: whether to forget an earlier session.
    pub clean_start: bool,
    /// Keep Alive in seconds (section 3.1.2.10); 0 turns it off.
    pub keep_alive: u16,
    /// Properties (section 3.1.2.11).
    pub properties: Properties<'a>,
    /// Client Identifier; empty asks the server for one (section 3.1.3.1).
    pub client_id: Text<'a>,
    /// What the server publishes should the client vanish.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<Text<'a>>,
    /// Password; before version 5 only with a User Name \[MQTT-3.1.2-22 of 3.1.1].
    pub password: Option<&'a [u8]>,
}

/// The Will Message (section 3.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// QoS to publish it with.
    pub qos: QoS,
    /// Whether it is published as retained.
    pub retain: bool,
    /// Topic to publish it to.
    pub topic: TopicName<'a>,
    /// Its payload, at most 65,535 bytes.
    pub payload: &'a [u8],
    /// Its properties (section 3.1.3.2).
    pub properties: Properties<'a>,
}

const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

impl<'a> Connect<'a> {
    /// A clean start with Keep Alive 60 s and nothing else.
    #[must_use]
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 60,
            properties: Properties::EMPTY,
            client_id: Text::new(client_id),
            will: None,
            user_name: None,
            password: None,
        }
    }

    pub(super) fn read(header: FixedHeader, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = read_version(reader)?;
        reader.rules.version = version;
        if version.has_properties() && !header.is_minimal() {
            return Err(reader.fail_at(1, Violation::RemainingLengthNotMinimal));
        }
        let (flags, will_qos) = read_flags(version, reader)?;
        let keep_alive = reader.u16()?;
        let properties = Properties::read(reader, Scope::Connect)?;
        // [MQTT-3.1.3-1] to [MQTT-3.1.3-3]: these fields in this order.
        let client_id = reader.text()?;
        let will = if flags & WILL != 0 {
            Some(Will::read(will_qos, flags & WILL_RETAIN != 0, reader)?)
        } else {
            None
        };
        let user_name = if flags & USER_NAME != 0 { Some(reader.text()?) } else { None };
        let password = if flags & PASSWORD != 0 { Some(reader.binary()?) } else { None };
        Ok(Self {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive,
            properties,
            client_id,
            will,
            user_name,
            password,
        })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        // A will mostly makes it longer than fits one byte to say.
        if self.will.is_some() { 0x80 } else { 0 }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        let flags = self.flags();
        let has_names = self.version.has_properties() || flags & (USER_NAME | PASSWORD) != PASSWORD;
        sink.check(has_names, Violation::PasswordWithoutUserName)?;
        let [high, low] = self.keep_alive.to_be_bytes();
        let rest = [self.version.level(), flags, high, low];
        // How long the name is is known to the compiler.
        match self.version {
            Version::V31 => sink.binary([], Version::V31.protocol_name().as_bytes(), rest)?,
            _ => sink.binary([], Version::V5.protocol_name().as_bytes(), rest)?,
        }
        self.properties.emit(sink, Scope::Connect)?;
        sink.string([], self.client_id)?;
        if let Some(will) = &self.will {
            will.emit(sink)?;
        }
        if let Some(user_name) = self.user_name {
            sink.string([], user_name)?;
        }
        if let Some(password) = self.password {
            sink.binary([], password, [])?;
        }
        Ok(())
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn flags(&self) -> u8 {
        let will = self.will.map_or(0, |will| {
            WILL | will.qos.bits() << 3 | if will.retain { WILL_RETAIN } else { 0 }
        });
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
            | if self.user_name.is_some() { USER_NAME } else { 0 }
    }
}

/// Protocol Name and Protocol Version [MQTT-3.1.2-1], [MQTT-3.1.2-2].
fn read_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name_at = reader.position();
    let name = reader.binary()?;
    if !matches!(name, b"MQTT" | b"MQIsdp") {
        return Err(reader.fail_at(name_at, Violation::ProtocolName));
    }
    let level_at = reader.position();
    Version::of(name, reader.u8()?)
        .ok_or_else(|| reader.fail_at(level_at, Violation::ProtocolLevel))
}

/// Connect Flags, and the Will QoS in them (section 3.1.2.3).
fn read_flags(version: Version, reader: &mut Reader<'_>) -> Result<(u8, QoS), DecodeError> {
    let start = reader.position();
    let flags = reader.u8()?;
    let will_qos = QoS::from_bits(flags >> 3 & 3);
    let violation = if flags & RESERVED != 0 {
        Violation::ConnectReserved
    } else if flags & WILL != 0 && will_qos.is_none() {
        Violation::WillQos3
    } else if flags & WILL == 0 && will_qos != Some(QoS::AtMostOnce) {
        Violation::WillQosWithoutWill
    } else if flags & WILL == 0 && flags & WILL_RETAIN != 0 {
        Violation::WillRetainWithoutWill
    } else if !version.has_properties() && flags & (USER_NAME | PASSWORD) == PASSWORD {
        Violation::PasswordWithoutUserName
    } else {
        return Ok((flags, will_qos.unwrap_or_default()));
    };
    Err(reader.fail_at(start, violation))
}

impl<'a> Will<'a> {
    /// A will of QoS 0 that is not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        Self { qos: QoS::AtMostOnce, retain: false, topic, payload, properties: Properties::EMPTY }
    }

    fn read(qos: QoS, retain: bool, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let properties_at = reader.position();
        let properties = Properties::read(reader, Scope::Will)?;
        let topic_at = reader.position();
        let topic = reader.topic_name(Violation::WillTopicWildcard)?;
        if topic.is_empty() {
            return Err(reader.fail_at(topic_at, Violation::TopicNameEmpty));
        }
        let payload_at = reader.position();
        let payload = reader.binary()?;
        properties
            .check_response_topic()
            .map_err(|violation| reader.fail_at(properties_at, violation))?;
        if !reader.rules.policy.admits_payload(payload, &properties) {
            return Err(reader.fail_at(payload_at, Violation::PayloadNotUtf8));
        }
        Ok(Self { qos, retain, topic, payload, properties })
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        self.properties.emit(sink, Scope::Will)?;
        sink.check(!self.topic.is_empty(), Violation::TopicNameEmpty)?;
        sink.topic([], self.topic.as_bytes(), [])?;
        sink.payload_format(self.payload, &self.properties)?;
        sink.binary([], self.payload, [])
    }
}
