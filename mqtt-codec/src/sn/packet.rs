//! The messages of MQTT-SN 1.2 (section 5.4).

use crate::{QoS, TopicFilter, TopicName};

/// The type of a message (section 5.2.2). Mind the order of the acknowledgements: it is not MQTT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[expect(missing_docs, reason = "the messages are described at `Packet`")]
pub enum MsgType {
    Advertise = 0x00,
    SearchGw = 0x01,
    GwInfo = 0x02,
    Connect = 0x04,
    ConnAck = 0x05,
    WillTopicReq = 0x06,
    WillTopic = 0x07,
    WillMsgReq = 0x08,
    WillMsg = 0x09,
    Register = 0x0A,
    RegAck = 0x0B,
    Publish = 0x0C,
    PubAck = 0x0D,
    PubComp = 0x0E,
    PubRec = 0x0F,
    PubRel = 0x10,
    Subscribe = 0x12,
    SubAck = 0x13,
    Unsubscribe = 0x14,
    UnsubAck = 0x15,
    PingReq = 0x16,
    PingResp = 0x17,
    Disconnect = 0x18,
    WillTopicUpd = 0x1A,
    WillTopicResp = 0x1B,
    WillMsgUpd = 0x1C,
    WillMsgResp = 0x1D,
}

impl MsgType {
    /// Every type, ascending. The encapsulation, 0xFE, is no message of its own.
    pub const ALL: [Self; 27] = [
        Self::Advertise,
        Self::SearchGw,
        Self::GwInfo,
        Self::Connect,
        Self::ConnAck,
        Self::WillTopicReq,
        Self::WillTopic,
        Self::WillMsgReq,
        Self::WillMsg,
        Self::Register,
        Self::RegAck,
        Self::Publish,
        Self::PubAck,
        Self::PubComp,
        Self::PubRec,
        Self::PubRel,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::WillTopicUpd,
        Self::WillTopicResp,
        Self::WillMsgUpd,
        Self::WillMsgResp,
    ];

    /// The type with this number; `None` for those that are reserved.
    #[must_use]
    pub fn from_value(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == value)
    }

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advertise => "ADVERTISE",
            Self::SearchGw => "SEARCHGW",
            Self::GwInfo => "GWINFO",
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::WillTopicReq => "WILLTOPICREQ",
            Self::WillTopic => "WILLTOPIC",
            Self::WillMsgReq => "WILLMSGREQ",
            Self::WillMsg => "WILLMSG",
            Self::Register => "REGISTER",
            Self::RegAck => "REGACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubComp => "PUBCOMP",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::WillTopicUpd => "WILLTOPICUPD",
            Self::WillTopicResp => "WILLTOPICRESP",
            Self::WillMsgUpd => "WILLMSGUPD",
            Self::WillMsgResp => "WILLMSGRESP",
        }
    }
}

/// A Return Code (section 5.3.10). Those above 0x03 are reserved and count as rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReturnCode(
    /// The octet on the wire.
    pub u8,
);

impl ReturnCode {
    /// Accepted.
    pub const ACCEPTED: Self = Self(0x00);
    /// Rejected: congestion. Try again after T_WAIT.
    pub const CONGESTION: Self = Self(0x01);
    /// Rejected: invalid topic ID. Register the topic again.
    pub const INVALID_TOPIC_ID: Self = Self(0x02);
    /// Rejected: not supported.
    pub const NOT_SUPPORTED: Self = Self(0x03);

    /// Whether it is [`ReturnCode::ACCEPTED`].
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        self.0 == 0
    }
}

/// How surely a PUBLISH is delivered (section 5.3.4). The order is that of the guarantee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PublishQoS {
    /// QoS -1: as QoS 0, but from a client that has no connection (section 6.8).
    MinusOne,
    /// QoS 0: at most once.
    #[default]
    AtMostOnce,
    /// QoS 1: at least once.
    AtLeastOnce,
    /// QoS 2: exactly once.
    ExactlyOnce,
}

impl PublishQoS {
    /// -1, 0, 1 or 2.
    #[must_use]
    pub const fn value(self) -> i8 {
        self as i8 - 1
    }

    /// The QoS of these two bits.
    pub(super) const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AtMostOnce,
            1 => Self::AtLeastOnce,
            2 => Self::ExactlyOnce,
            _ => Self::MinusOne,
        }
    }

    pub(super) const fn bits(self) -> u8 {
        match self {
            Self::MinusOne => 3,
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }

    /// Whether the receiver answers.
    pub(super) const fn is_answered(self) -> bool {
        matches!(self, Self::AtLeastOnce | Self::ExactlyOnce)
    }
}

impl From<QoS> for PublishQoS {
    fn from(qos: QoS) -> Self {
        Self::from_bits(qos.bits())
    }
}

/// A Short Topic Name: two octets of UTF-8 that stand where a topic id would (section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortTopic<'a>(&'a str);

impl<'a> ShortTopic<'a> {
    /// The name, if it is two octets long and has no U+0000.
    #[must_use]
    pub fn new(name: &'a str) -> Option<Self> {
        (name.len() == 2 && !name.contains('\0')).then_some(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// What PUBLISH names its topic by (section 5.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicId<'a> {
    /// An id that REGISTER or SUBSCRIBE agreed on, for this client alone.
    Normal(u16),
    /// An id that both sides were configured with.
    Predefined(u16),
    /// A name of two octets.
    Short(ShortTopic<'a>),
}

/// What SUBSCRIBE and UNSUBSCRIBE name a topic by (section 5.4.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic<'a> {
    /// A topic name, in which there may be wildcards.
    Name(TopicFilter<'a>),
    /// An id that both sides were configured with.
    Predefined(u16),
    /// A name of two octets.
    Short(ShortTopic<'a>),
}

/// CONNECT (section 5.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Will: the gateway is to ask for will topic and will message.
    pub will: bool,
    /// CleanSession: forget subscriptions and will of an earlier session (section 6.3).
    pub clean_session: bool,
    /// Duration: Keep Alive in seconds.
    pub duration: u16,
    /// ClientId, 1 to 23 characters.
    pub client_id: &'a str,
}

/// Will topic of WILLTOPIC and WILLTOPICUPD (sections 5.4.7 and 5.4.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WillTopic<'a> {
    /// QoS to publish the will with.
    pub qos: QoS,
    /// Whether it is published as retained.
    pub retain: bool,
    /// Topic to publish it to.
    pub topic: TopicName<'a>,
}

/// REGISTER (section 5.4.10): which id stands for a topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register<'a> {
    /// The id; 0x0000 from a client, which asks for one.
    pub topic_id: u16,
    /// Message id; REGACK repeats it.
    pub msg_id: u16,
    /// The topic name.
    pub topic_name: TopicName<'a>,
}

/// REGACK and PUBACK (sections 5.4.11 and 5.4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicAck {
    /// The topic id of what is answered, or in REGACK the one that was given.
    pub topic_id: u16,
    /// The message id of what is answered.
    pub msg_id: u16,
    /// How it went.
    pub return_code: ReturnCode,
}

/// PUBLISH (section 5.4.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// DUP: this is sent again.
    pub dup: bool,
    /// Quality of service.
    pub qos: PublishQoS,
    /// Retain, as in MQTT.
    pub retain: bool,
    /// The topic.
    pub topic: TopicId<'a>,
    /// Message id; 0x0000 with QoS 0 and -1.
    pub msg_id: u16,
    /// The application data.
    pub data: &'a [u8],
}

/// SUBSCRIBE (section 5.4.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// DUP: this is sent again.
    pub dup: bool,
    /// The QoS asked for.
    pub qos: QoS,
    /// Message id; SUBACK repeats it.
    pub msg_id: u16,
    /// What to subscribe to.
    pub topic: Topic<'a>,
}

/// SUBACK (section 5.4.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// The QoS granted.
    pub qos: QoS,
    /// The id of the topic; 0x0000 for a filter with wildcards.
    pub topic_id: u16,
    /// The message id of SUBSCRIBE.
    pub msg_id: u16,
    /// How it went.
    pub return_code: ReturnCode,
}

/// UNSUBSCRIBE (section 5.4.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Message id; UNSUBACK repeats it.
    pub msg_id: u16,
    /// What to unsubscribe from.
    pub topic: Topic<'a>,
}

/// A message of any type (section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// ADVERTISE: a gateway tells that it is there (section 5.4.1).
    Advertise {
        /// The gateway.
        gw_id: u8,
        /// Seconds until the next ADVERTISE.
        duration: u16,
    },
    /// SEARCHGW: a client looks for a gateway (section 5.4.2).
    SearchGw {
        /// How far to look, in hops; 0: everywhere.
        radius: u8,
    },
    /// GWINFO: the answer, from a gateway or from a client that knows one (section 5.4.3).
    GwInfo {
        /// The gateway.
        gw_id: u8,
        /// Its address, when a client answers; else empty.
        gw_add: &'a [u8],
    },
    /// CONNECT: a client asks for a connection (section 5.4.4).
    Connect(Connect<'a>),
    /// CONNACK: the answer (section 5.4.5).
    ConnAck(ReturnCode),
    /// WILLTOPICREQ: the gateway asks for the will topic (section 5.4.6).
    WillTopicReq,
    /// WILLTOPIC: the answer (section 5.4.7); `None`, a message without flags and topic, deletes
    /// the will that is stored.
    WillTopic(Option<WillTopic<'a>>),
    /// WILLMSGREQ: the gateway asks for the will message (section 5.4.8).
    WillMsgReq,
    /// WILLMSG: the answer (section 5.4.9).
    WillMsg(&'a [u8]),
    /// REGISTER: a topic name and its id (section 5.4.10).
    Register(Register<'a>),
    /// REGACK: the answer (section 5.4.11).
    RegAck(TopicAck),
    /// PUBLISH: a message (section 5.4.12).
    Publish(Publish<'a>),
    /// PUBACK: the answer to QoS 1, and to any PUBLISH that is rejected (section 5.4.13).
    PubAck(TopicAck),
    /// PUBCOMP with its message id (section 5.4.14).
    PubComp(u16),
    /// PUBREC with its message id (section 5.4.14).
    PubRec(u16),
    /// PUBREL with its message id (section 5.4.14).
    PubRel(u16),
    /// SUBSCRIBE (section 5.4.15).
    Subscribe(Subscribe<'a>),
    /// SUBACK: the answer (section 5.4.16).
    SubAck(SubAck),
    /// UNSUBSCRIBE (section 5.4.17).
    Unsubscribe(Unsubscribe<'a>),
    /// UNSUBACK: the answer, with its message id (section 5.4.18).
    UnsubAck(u16),
    /// PINGREQ (section 5.4.19), with the ClientId of a client that wakes up to fetch its messages.
    PingReq(Option<&'a str>),
    /// PINGRESP: the answer (section 5.4.20).
    PingResp,
    /// DISCONNECT (section 5.4.21), with the seconds that a client goes to sleep for.
    Disconnect(Option<u16>),
    /// WILLTOPICUPD: another will topic (section 5.4.22); `None` deletes topic and message.
    WillTopicUpd(Option<WillTopic<'a>>),
    /// WILLTOPICRESP: the answer (section 5.4.24).
    WillTopicResp(ReturnCode),
    /// WILLMSGUPD: another will message (section 5.4.23).
    WillMsgUpd(&'a [u8]),
    /// WILLMSGRESP: the answer (section 5.4.25).
    WillMsgResp(ReturnCode),
}

impl Packet<'_> {
    /// Its type.
    #[must_use]
    pub const fn msg_type(&self) -> MsgType {
        match self {
            Self::Advertise { .. } => MsgType::Advertise,
            Self::SearchGw { .. } => MsgType::SearchGw,
            Self::GwInfo { .. } => MsgType::GwInfo,
            Self::Connect(_) => MsgType::Connect,
            Self::ConnAck(_) => MsgType::ConnAck,
            Self::WillTopicReq => MsgType::WillTopicReq,
            Self::WillTopic(_) => MsgType::WillTopic,
            Self::WillMsgReq => MsgType::WillMsgReq,
            Self::WillMsg(_) => MsgType::WillMsg,
            Self::Register(_) => MsgType::Register,
            Self::RegAck(_) => MsgType::RegAck,
            Self::Publish(_) => MsgType::Publish,
            Self::PubAck(_) => MsgType::PubAck,
            Self::PubComp(_) => MsgType::PubComp,
            Self::PubRec(_) => MsgType::PubRec,
            Self::PubRel(_) => MsgType::PubRel,
            Self::Subscribe(_) => MsgType::Subscribe,
            Self::SubAck(_) => MsgType::SubAck,
            Self::Unsubscribe(_) => MsgType::Unsubscribe,
            Self::UnsubAck(_) => MsgType::UnsubAck,
            Self::PingReq(_) => MsgType::PingReq,
            Self::PingResp => MsgType::PingResp,
            Self::Disconnect(_) => MsgType::Disconnect,
            Self::WillTopicUpd(_) => MsgType::WillTopicUpd,
            Self::WillTopicResp(_) => MsgType::WillTopicResp,
            Self::WillMsgUpd(_) => MsgType::WillMsgUpd,
            Self::WillMsgResp(_) => MsgType::WillMsgResp,
        }
    }
}

/// What a forwarder puts in front of a message (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulation<'a> {
    /// Broadcast radius, 0 to 3: only from gateway to forwarder.
    pub radius: u8,
    /// The node behind the forwarder, at most 252 octets.
    pub wireless_node_id: &'a [u8],
}

/// One datagram: a message, and what a forwarder put in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Present when the message goes through a forwarder.
    pub encapsulation: Option<Encapsulation<'a>>,
    /// The message.
    pub message: Packet<'a>,
}

impl<'a> From<Packet<'a>> for Datagram<'a> {
    fn from(message: Packet<'a>) -> Self {
        Self { encapsulation: None, message }
    }
}
