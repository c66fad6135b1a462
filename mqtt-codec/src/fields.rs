//! Packets as `serde` sees them: maps whose keys are the names of the fields.

use core::fmt::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{
    Connect, List, Packet, Properties, Property, ReasonCode, Subscription, SubscriptionId,
    TopicFilter, Version, Will, sn,
};

/// The fields of a packet as `serde` sees them, under lower-case names joined by `_`, those that the
/// version does not have left out.
///
/// Binary data is text in hexadecimal digits under a name that ends in `_hex`. Properties that may
/// be given many times are lists, those that are absent are absent, and flags among them are 0 or 1
/// as on the wire.
///
/// ```
/// use mqtt_codec::{Fields, Packet, Publish, TopicName, Version};
///
/// let packet = Packet::Publish(Publish::new(TopicName::new("a/b")?, b"21.5"));
/// assert_eq!(
///     serde_json::to_value(Fields::new(&packet, Version::V311))?,
///     serde_json::json!({
///         "type": "PUBLISH", "dup": false, "qos": 0, "retain": false,
///         "topic": "a/b", "payload_hex": "32312e35",
///     })
/// );
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub struct Fields<'p, 'a> {
    packet: &'p Packet<'a>,
    version: Version,
}

impl<'p, 'a> Fields<'p, 'a> {
    /// The fields that the packet has in this version. CONNECT names its version itself.
    #[must_use]
    pub const fn new(packet: &'p Packet<'a>, version: Version) -> Self {
        Self { packet, version }
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digit =
            |value: u8| f.write_char(char::from_digit(u32::from(value), 16).unwrap_or_default());
        self.0.iter().try_for_each(|byte| {
            digit(byte >> 4)?;
            digit(byte & 0xF)
        })
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A sequence of what this iterator yields.
struct Sequence<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Sequence<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

impl Serialize for Fields<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let m = &mut map;
        m.serialize_entry("type", self.packet.packet_type().name())?;
        let v5 = self.version.has_properties();
        match self.packet {
            Packet::Connect(connect) => self.connect(connect, m)?,
            Packet::ConnAck(connack) => {
                m.serialize_entry("session_present", &connack.session_present)?;
                if v5 {
                    m.serialize_entry("reason_code", &connack.reason.value())?;
                } else {
                    m.serialize_entry("reason_code", &connack.reason.return_code())?;
                }
                self.properties(&connack.properties, m)?;
            }
            Packet::Publish(publish) => {
                m.serialize_entry("dup", &publish.dup)?;
                m.serialize_entry("qos", &publish.qos.bits())?;
                m.serialize_entry("retain", &publish.retain)?;
                m.serialize_entry("topic", publish.topic.as_str())?;
                if let Some(packet_id) = publish.packet_id {
                    m.serialize_entry("packet_id", &packet_id.get())?;
                }
                if v5 {
                    m.serialize_entry("properties", &Map(&publish.properties, true))?;
                }
                m.serialize_entry("payload_hex", &Hex(publish.payload))?;
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                m.serialize_entry("packet_id", &ack.packet_id.get())?;
                self.reason(ack.reason, &ack.properties, m)?;
            }
            Packet::Subscribe(subscribe) => {
                m.serialize_entry("packet_id", &subscribe.packet_id.get())?;
                self.properties(&subscribe.properties, m)?;
                let options = |subscription| Options { subscription, v5 };
                let options = Sequence(subscribe.subscriptions.iter().map(options));
                m.serialize_entry("subscriptions", &options)?;
            }
            Packet::SubAck(ack) => {
                m.serialize_entry("packet_id", &ack.packet_id.get())?;
                self.properties(&ack.properties, m)?;
                reasons(&ack.reasons, m)?;
            }
            Packet::Unsubscribe(unsubscribe) => {
                m.serialize_entry("packet_id", &unsubscribe.packet_id.get())?;
                self.properties(&unsubscribe.properties, m)?;
                let filters = unsubscribe.filters.iter().map(TopicFilter::as_str);
                m.serialize_entry("filters", &Sequence(filters))?;
            }
            Packet::UnsubAck(ack) => {
                m.serialize_entry("packet_id", &ack.packet_id.get())?;
                self.properties(&ack.properties, m)?;
                if v5 {
                    reasons(&ack.reasons, m)?;
                }
            }
            Packet::PingReq | Packet::PingResp => {}
            Packet::Disconnect(disconnect) => {
                self.reason(disconnect.reason, &disconnect.properties, m)?;
            }
            Packet::Auth(auth) => self.reason(auth.reason, &auth.properties, m)?,
        }
        map.end()
    }
}

impl Fields<'_, '_> {
    fn connect<M: SerializeMap>(&self, connect: &Connect<'_>, m: &mut M) -> Result<(), M::Error> {
        let v5 = connect.version.has_properties();
        m.serialize_entry("protocol_level", &connect.version.level())?;
        let clean = if v5 { "clean_start" } else { "clean_session" };
        m.serialize_entry(clean, &connect.clean_start)?;
        m.serialize_entry("keep_alive", &connect.keep_alive)?;
        if v5 {
            m.serialize_entry("properties", &Map(&connect.properties, false))?;
        }
        m.serialize_entry("client_id", connect.client_id.as_str())?;
        if let Some(will) = connect.will {
            m.serialize_entry("will", &WillFields { will, v5 })?;
        }
        if let Some(user_name) = connect.user_name {
            m.serialize_entry("username", user_name.as_str())?;
        }
        if let Some(password) = connect.password {
            m.serialize_entry("password_hex", &Hex(password))?;
        }
        Ok(())
    }

    fn properties<M: SerializeMap>(
        &self,
        properties: &Properties<'_>,
        m: &mut M,
    ) -> Result<(), M::Error> {
        if self.version.has_properties() {
            m.serialize_entry("properties", &Map(properties, false))?;
        }
        Ok(())
    }

    fn reason<M: SerializeMap>(
        &self,
        reason: ReasonCode,
        properties: &Properties<'_>,
        m: &mut M,
    ) -> Result<(), M::Error> {
        if self.version.has_properties() {
            m.serialize_entry("reason_code", &reason.value())?;
        }
        self.properties(properties, m)
    }
}

fn reasons<M: SerializeMap>(codes: &List<'_, ReasonCode>, m: &mut M) -> Result<(), M::Error> {
    m.serialize_entry("reason_codes", &Sequence(codes.iter().map(ReasonCode::value)))
}

struct WillFields<'a> {
    will: Will<'a>,
    v5: bool,
}

impl Serialize for WillFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut m = serializer.serialize_map(None)?;
        m.serialize_entry("qos", &self.will.qos.bits())?;
        m.serialize_entry("retain", &self.will.retain)?;
        if self.v5 {
            m.serialize_entry("properties", &Map(&self.will.properties, false))?;
        }
        m.serialize_entry("topic", self.will.topic.as_str())?;
        m.serialize_entry("payload_hex", &Hex(self.will.payload))?;
        m.end()
    }
}

struct Options<'a> {
    subscription: Subscription<'a>,
    v5: bool,
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subscription = &self.subscription;
        let mut m = serializer.serialize_map(None)?;
        m.serialize_entry("filter", subscription.filter.as_str())?;
        m.serialize_entry("qos", &subscription.qos.bits())?;
        if self.v5 {
            m.serialize_entry("no_local", &subscription.no_local)?;
            m.serialize_entry("retain_as_published", &subscription.retain_as_published)?;
            m.serialize_entry("retain_handling", &(subscription.retain_handling as u8))?;
        }
        m.end()
    }
}

/// Properties, and whether there may be many Subscription Identifiers among them.
struct Map<'p, 'a>(&'p Properties<'a>, bool);

impl Serialize for Map<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use Property as P;
        let Self(properties, many) = *self;
        let mut m = serializer.serialize_map(None)?;
        let mut user_properties_done = false;
        let mut identifiers_done = false;
        for property in properties.iter() {
            let name = property.id().name();
            match property {
                P::UserProperty(_) => {
                    if !core::mem::replace(&mut user_properties_done, true) {
                        let pairs = Pairs(properties);
                        m.serialize_entry(name, &pairs)?;
                    }
                }
                P::SubscriptionIdentifier(_) if many => {
                    if !core::mem::replace(&mut identifiers_done, true) {
                        let identifiers = Identifiers(properties);
                        m.serialize_entry(name, &identifiers)?;
                    }
                }
                P::SubscriptionIdentifier(id) => m.serialize_entry(name, &id.get())?,
                P::CorrelationData(data) => {
                    m.serialize_entry("correlation_data_hex", &Hex(data))?;
                }
                P::AuthenticationData(data) => {
                    m.serialize_entry("authentication_data_hex", &Hex(data))?;
                }
                P::PayloadFormatIndicator(flag)
                | P::RequestProblemInformation(flag)
                | P::RequestResponseInformation(flag)
                | P::RetainAvailable(flag)
                | P::WildcardSubscriptionAvailable(flag)
                | P::SubscriptionIdentifierAvailable(flag)
                | P::SharedSubscriptionAvailable(flag) => {
                    m.serialize_entry(name, &u8::from(flag))?;
                }
                P::MaximumQoS(qos) => m.serialize_entry(name, &qos.bits())?,
                P::MessageExpiryInterval(value)
                | P::SessionExpiryInterval(value)
                | P::WillDelayInterval(value) => m.serialize_entry(name, &value)?,
                P::ServerKeepAlive(value) | P::TopicAliasMaximum(value) => {
                    m.serialize_entry(name, &value)?;
                }
                P::ReceiveMaximum(value) | P::TopicAlias(value) => {
                    m.serialize_entry(name, &value)?;
                }
                P::MaximumPacketSize(value) => m.serialize_entry(name, &value)?,
                P::ResponseTopic(topic) => m.serialize_entry(name, topic.as_str())?,
                P::ContentType(text)
                | P::AssignedClientIdentifier(text)
                | P::AuthenticationMethod(text)
                | P::ResponseInformation(text)
                | P::ServerReference(text)
                | P::ReasonString(text) => m.serialize_entry(name, text)?,
            }
        }
        m.end()
    }
}

struct Pairs<'p, 'a>(&'p Properties<'a>);

impl Serialize for Pairs<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.user_properties())
    }
}

struct Identifiers<'p, 'a>(&'p Properties<'a>);

impl Serialize for Identifiers<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.subscription_identifiers().map(SubscriptionId::get))
    }
}

/// The fields under the same kind of names as those of [`Fields`]; an encapsulation is a map with
/// the message in it.
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl Serialize for sn::Datagram<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(outer) = self.encapsulation else { return self.message.serialize(serializer) };
        let mut m = serializer.serialize_map(None)?;
        m.serialize_entry("type", "FORWARD_ENCAPSULATION")?;
        m.serialize_entry("radius", &outer.radius)?;
        m.serialize_entry("wireless_node_id_hex", &Hex(outer.wireless_node_id))?;
        m.serialize_entry("message", &self.message)?;
        m.end()
    }
}

/// The fields under the same kind of names as those of [`Fields`].
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl Serialize for sn::Packet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let m = &mut map;
        m.serialize_entry("type", self.msg_type().name())?;
        match *self {
            Self::Advertise { gw_id, duration } => {
                m.serialize_entry("gw_id", &gw_id)?;
                m.serialize_entry("duration", &duration)?;
            }
            Self::SearchGw { radius } => m.serialize_entry("radius", &radius)?,
            Self::GwInfo { gw_id, gw_add } => {
                m.serialize_entry("gw_id", &gw_id)?;
                if !gw_add.is_empty() {
                    m.serialize_entry("gw_add_hex", &Hex(gw_add))?;
                }
            }
            Self::Connect(connect) => {
                m.serialize_entry("will", &connect.will)?;
                m.serialize_entry("clean_session", &connect.clean_session)?;
                m.serialize_entry("protocol_id", &1)?;
                m.serialize_entry("duration", &connect.duration)?;
                m.serialize_entry("client_id", connect.client_id)?;
            }
            Self::ConnAck(code) | Self::WillTopicResp(code) | Self::WillMsgResp(code) => {
                m.serialize_entry("return_code", &code.0)?;
            }
            Self::WillTopic(Some(will)) | Self::WillTopicUpd(Some(will)) => {
                m.serialize_entry("qos", &will.qos.bits())?;
                m.serialize_entry("retain", &will.retain)?;
                m.serialize_entry("will_topic", will.topic.as_str())?;
            }
            Self::WillTopic(None) | Self::WillTopicUpd(None) => {
                m.serialize_entry("empty", &true)?;
            }
            Self::WillMsg(data) | Self::WillMsgUpd(data) => {
                m.serialize_entry("will_msg_hex", &Hex(data))?;
            }
            Self::Register(register) => {
                m.serialize_entry("topic_id", &register.topic_id)?;
                m.serialize_entry("msg_id", &register.msg_id)?;
                m.serialize_entry("topic_name", register.topic_name.as_str())?;
            }
            Self::RegAck(ack) | Self::PubAck(ack) => {
                m.serialize_entry("topic_id", &ack.topic_id)?;
                m.serialize_entry("msg_id", &ack.msg_id)?;
                m.serialize_entry("return_code", &ack.return_code.0)?;
            }
            Self::Publish(publish) => {
                m.serialize_entry("dup", &publish.dup)?;
                m.serialize_entry("qos", &publish.qos.value())?;
                m.serialize_entry("retain", &publish.retain)?;
                match publish.topic {
                    sn::TopicId::Normal(id) => topic_id("normal", id, m)?,
                    sn::TopicId::Predefined(id) => topic_id("predefined", id, m)?,
                    sn::TopicId::Short(name) => short_topic(name, m)?,
                }
                m.serialize_entry("msg_id", &publish.msg_id)?;
                m.serialize_entry("data_hex", &Hex(publish.data))?;
            }
            Self::PubComp(msg_id)
            | Self::PubRec(msg_id)
            | Self::PubRel(msg_id)
            | Self::UnsubAck(msg_id) => m.serialize_entry("msg_id", &msg_id)?,
            Self::Subscribe(subscribe) => {
                m.serialize_entry("dup", &subscribe.dup)?;
                m.serialize_entry("qos", &subscribe.qos.bits())?;
                m.serialize_entry("msg_id", &subscribe.msg_id)?;
                topic(subscribe.topic, m)?;
            }
            Self::SubAck(ack) => {
                m.serialize_entry("qos", &ack.qos.bits())?;
                m.serialize_entry("topic_id", &ack.topic_id)?;
                m.serialize_entry("msg_id", &ack.msg_id)?;
                m.serialize_entry("return_code", &ack.return_code.0)?;
            }
            Self::Unsubscribe(unsubscribe) => {
                m.serialize_entry("msg_id", &unsubscribe.msg_id)?;
                topic(unsubscribe.topic, m)?;
            }
            Self::PingReq(Some(client_id)) => m.serialize_entry("client_id", client_id)?,
            Self::Disconnect(Some(duration)) => m.serialize_entry("duration", &duration)?,
            Self::WillTopicReq
            | Self::WillMsgReq
            | Self::PingReq(None)
            | Self::PingResp
            | Self::Disconnect(None) => {}
        }
        map.end()
    }
}

fn topic_id<M: SerializeMap>(kind: &str, id: u16, m: &mut M) -> Result<(), M::Error> {
    m.serialize_entry("topic_id_type", kind)?;
    m.serialize_entry("topic_id", &id)
}

fn short_topic<M: SerializeMap>(name: sn::ShortTopic<'_>, m: &mut M) -> Result<(), M::Error> {
    m.serialize_entry("topic_id_type", "short")?;
    m.serialize_entry("topic_short", name.as_str())
}

fn topic<M: SerializeMap>(topic: sn::Topic<'_>, m: &mut M) -> Result<(), M::Error> {
    match topic {
        sn::Topic::Name(filter) => {
            m.serialize_entry("topic_id_type", "normal")?;
            m.serialize_entry("topic_name", filter.as_str())
        }
        sn::Topic::Predefined(id) => topic_id("predefined", id, m),
        sn::Topic::Short(name) => short_topic(name, m),
    }
}
