//! Messages that own what they are made of.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use bytes::Bytes;
use mqtt_codec::{EncodeError, Properties, Property, Publish, QoS, TopicName, Violation};

use crate::queue::Hold;
use crate::{Error, ReasonCode};

/// A message: one to be published, a will, or one that was received.
///
/// ```
/// use core::time::Duration;
/// use mqtt_client::{Message, QoS};
/// let message = Message {
///     retain: true,
///     ..Message::new("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce)
/// };
/// let message = message.expires_after(Duration::from_secs(60));
/// assert_eq!(message.payload, "21.5");
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    /// Topic Name.
    pub topic: Arc<str>,
    /// Application Message, which may be empty. Received: it may share memory with others that came
    /// with it, up to 4 KiB where it is shorter than 1 KiB, otherwise up to 256 KiB or four times its
    /// length; keep a copy of what is kept for long.
    pub payload: Bytes,
    /// Quality of service: to publish with, or that it was received with.
    pub qos: QoS,
    /// To publish: whether the server keeps it as the topic's last value. Received: whether it was
    /// kept.
    pub retain: bool,
    /// Received: whether the server may have sent it before. Not used in publishing.
    pub dup: bool,
    /// What version 5 can say besides. In 3.1.1 none of it is sent.
    pub properties: MessageProperties,
    /// Received, where acknowledgement is manual: what acknowledges it. Not used in publishing.
    pub receipt: Option<Receipt>,
}

/// The right and the duty to acknowledge a message: see [`Message::acknowledge`].
#[derive(Clone, Debug)]
pub struct Receipt(pub(crate) Arc<Hold>);

/// Properties of a message (section 3.3.2.3), used like the [`PropertyFields`] that they stand for. Most
/// messages have none, and those take no memory for them.
///
/// ```
/// use mqtt_client::{Message, QoS};
/// let mut message = Message::new("a/b", "21.5", QoS::AtLeastOnce);
/// assert_eq!(message.properties.content_type, None);
/// message.properties.content_type = Some("text/plain".into());
/// ```
#[derive(Clone, Default)]
pub struct MessageProperties(Option<Box<PropertyFields>>);

/// What [`MessageProperties`] can say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropertyFields {
    /// Payload Format Indicator: whether the payload says of itself that it is UTF-8.
    pub is_text: bool,
    /// Message Expiry Interval, in whole seconds, rounded up. To publish: for how long the message is of
    /// use, in this client's outbox (in either version) as well as in the server. Received: what is
    /// left of that.
    pub expiry: Option<Duration>,
    /// Content Type.
    pub content_type: Option<String>,
    /// Response Topic: where an answer is to be published.
    pub response_topic: Option<String>,
    /// Correlation Data: what the answer repeats.
    pub correlation_data: Option<Bytes>,
    /// User Properties, in order.
    pub user: Vec<(String, String)>,
    /// Received: the Subscription Identifiers of this client that matched. Not used in publishing.
    pub subscription_ids: Vec<u32>,
}

impl Message {
    /// A message that is not retained and has no properties.
    pub fn new(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>, qos: QoS) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
            dup: false,
            properties: MessageProperties::default(),
            receipt: None,
        }
    }

    /// The same message, of no use after this time: see [`PropertyFields::expiry`].
    #[must_use]
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.properties.expiry = Some(time);
        self
    }

    /// The payload as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.payload).ok()
    }

    /// Acknowledges a received message, where [`Options::manual_acknowledge`] asks for that. Answers
    /// go out in the order in which the messages came \[MQTT-4.6.0-2]. Without effect where there is
    /// nothing to acknowledge, the second time, and after the connection is gone on which the message
    /// came: then the server sends it again.
    ///
    /// [`Options::manual_acknowledge`]: crate::Options::manual_acknowledge
    pub fn acknowledge(&self) {
        self.answer(ReasonCode::Success);
    }

    /// Refuses a received message, where acknowledgement is manual: in version 5 the server is told
    /// the reason and will not send it again. In 3.1.1 there is no way to refuse, and this is
    /// [`Message::acknowledge`].
    ///
    /// # Errors
    /// [`Error::ReasonCode`] if PUBACK and PUBREC do not know this reason.
    pub fn reject(&self, reason: ReasonCode) -> Result<(), Error> {
        use mqtt_codec::{PacketType, Sender};
        if !reason.is_allowed(PacketType::PubAck, Sender::Client) {
            return Err(Error::ReasonCode(reason));
        }
        self.answer(reason);
        Ok(())
    }

    fn answer(&self, reason: ReasonCode) {
        if let Some(Receipt(hold)) = &self.receipt {
            hold.answer(reason);
        }
    }

    /// How many bytes topic, payload and properties take.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.size()
    }

    /// Lends out the PUBLISH of this message.
    pub(crate) fn with_publish<R>(
        &self,
        then: impl FnOnce(&Publish<'_>) -> Result<R, mqtt_session::Error>,
    ) -> Result<R, mqtt_session::Error> {
        let invalid = |violation| mqtt_session::Error::Encode(EncodeError::Refused(violation));
        let list = self.properties.list().map_err(invalid)?;
        then(&Publish {
            qos: self.qos,
            retain: self.retain,
            properties: Properties::from(&list[..]),
            ..Publish::new(TopicName::new(&self.topic).map_err(invalid)?, &self.payload)
        })
    }
}

impl PartialEq for Message {
    /// Whether they say the same, however they came here.
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.payload == other.payload
            && self.qos == other.qos
            && self.retain == other.retain
            && self.properties == other.properties
    }
}

static NONE: PropertyFields = PropertyFields {
    is_text: false,
    expiry: None,
    content_type: None,
    response_topic: None,
    correlation_data: None,
    user: Vec::new(),
    subscription_ids: Vec::new(),
};

impl Deref for MessageProperties {
    type Target = PropertyFields;

    fn deref(&self) -> &PropertyFields {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for MessageProperties {
    fn deref_mut(&mut self) -> &mut PropertyFields {
        self.0.get_or_insert_default()
    }
}

impl From<PropertyFields> for MessageProperties {
    fn from(fields: PropertyFields) -> Self {
        Self(Some(Box::new(fields)))
    }
}

impl PartialEq for MessageProperties {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for MessageProperties {}

impl fmt::Debug for MessageProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl MessageProperties {
    #[inline]
    pub(crate) fn received(properties: &Properties<'_>) -> Self {
        if properties.is_empty() { Self::default() } else { Self::owned(properties) }
    }

    fn owned(properties: &Properties<'_>) -> Self {
        let mut own = Self::default();
        for property in properties.iter() {
            match property {
                Property::PayloadFormatIndicator(is_text) => own.is_text = is_text,
                Property::MessageExpiryInterval(seconds) => {
                    own.expiry = Some(Duration::from_secs(seconds.into()));
                }
                Property::ContentType(text) => own.content_type = Some(text.into()),
                Property::ResponseTopic(topic) => own.response_topic = Some(topic.as_str().into()),
                Property::CorrelationData(data) => {
                    own.correlation_data = Some(Bytes::copy_from_slice(data));
                }
                Property::UserProperty((name, value)) => own.user.push((name.into(), value.into())),
                Property::SubscriptionIdentifier(id) => own.subscription_ids.push(id.get()),
                _ => {}
            }
        }
        own
    }

    #[inline]
    fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |fields| fields.size())
    }

    /// What the codec writes them from.
    pub(crate) fn list(&self) -> Result<Vec<Property<'_>>, Violation> {
        let mut list = Vec::new();
        if self.0.is_none() {
            return Ok(list);
        }
        if self.is_text {
            list.push(Property::PayloadFormatIndicator(true));
        }
        if let Some(expiry) = self.expiry {
            list.push(Property::MessageExpiryInterval(whole_seconds(expiry)));
        }
        if let Some(content_type) = &self.content_type {
            list.push(Property::ContentType(content_type));
        }
        if let Some(topic) = &self.response_topic {
            list.push(Property::ResponseTopic(TopicName::new(topic)?));
        }
        if let Some(data) = &self.correlation_data {
            list.push(Property::CorrelationData(data));
        }
        list.extend(user_properties(&self.user));
        Ok(list)
    }
}

impl PropertyFields {
    /// How many bytes they take, each with what a list needs for it.
    fn size(&self) -> usize {
        let texts = [&self.content_type, &self.response_topic];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let data = self.correlation_data.as_ref().map_or(0, Bytes::len);
        let user = self.user.iter().map(|(name, value)| name.len() + value.len());
        let user: usize = user.map(|len| len + size_of::<(String, String)>()).sum();
        let ids = size_of_val(&self.subscription_ids[..]);
        size_of::<Self>() + texts + data + user + ids
    }
}

/// These User Properties as the codec takes them.
pub(crate) fn user_properties(user: &[(String, String)]) -> impl Iterator<Item = Property<'_>> {
    user.iter().map(|(name, value)| Property::UserProperty((name, value)))
}

/// Whole seconds, rounded up: what is of use for half a second is not of use for none.
pub(crate) fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
