//! Whose fault it is, and what to do next.

use core::fmt;

use mqtt_codec::{DecodeError, EncodeError, PacketId, PacketType, ReasonCode};

/// Why a call on a session did not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol: send what is in `tx`, which in version 5 ends with the DISCONNECT
    /// or CONNACK that says so, and close the connection.
    Peer(Fault),
    /// The caller did what the state does not allow. Nothing has changed.
    Misuse(Misuse),
    /// The packet must not be sent: it is invalid or larger than the peer allows. Nothing has changed.
    Encode(EncodeError),
    /// The peer does not allow it. Nothing has changed.
    Limit(Limit),
    /// There is no room in `tx`. Nothing has changed: send, and call again.
    TransmitFull,
    /// As many messages are in flight as the peer or the slots allow. Nothing has changed: wait for
    /// [`Acknowledged`](crate::Event::Acknowledged) and call again.
    QuotaExceeded,
    /// There is no room for the message in the queue. Nothing has changed.
    QueueFull,
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A packet that cannot be read, or that breaks a rule by itself.
    Packet(DecodeError),
    /// A packet that has no place here: before CONNECT or CONNACK, or a second one of those.
    Unexpected(PacketType),
    /// An acknowledgement that answers something else than was sent under its identifier, such as
    /// PUBACK a message of QoS 2 \[MQTT-4.3.2-4], \[MQTT-4.3.3-8]: it would be the same for ever, so the
    /// client has [`give_up`](crate::client::Session::give_up).
    Misanswered {
        /// What came.
        packet: PacketType,
        /// The identifier.
        id: PacketId,
    },
    /// More messages in flight than the Receive Maximum \[MQTT-3.3.4-7], \[MQTT-3.3.4-9].
    ReceiveMaximum,
    /// A Topic Alias above the Topic Alias Maximum \[MQTT-3.3.2-9].
    TopicAlias,
    /// A Topic Alias that stands for no topic on this connection (section 3.3.2.3.4).
    TopicAliasUnknown,
    /// A QoS above the Maximum QoS \[MQTT-3.2.2-11].
    QoS,
    /// RETAIN although retained messages are not available \[MQTT-3.2.2-14].
    Retain,
    /// A wildcard, although those are not available (section 3.2.2.3.11).
    WildcardSubscription,
    /// A Subscription Identifier, although those are not available (section 3.2.2.3.12).
    SubscriptionIdentifier,
    /// A Shared Subscription, although those are not available (section 3.2.2.3.13).
    SharedSubscription,
    /// The server goes on with a session that the client does not have \[MQTT-3.2.2-4].
    SessionPresent,
    /// A Session Expiry Interval in DISCONNECT although it was 0 in CONNECT (section 3.14.2.2.2).
    SessionExpiry,
    /// Reason String or User Properties although CONNECT asked for none \[MQTT-3.1.2-29].
    ProblemInformation,
    /// AUTH with another Authentication Method than CONNECT, or without one there
    /// \[MQTT-4.12.0-5], \[MQTT-4.12.0-7].
    AuthenticationMethod,
    /// Nothing came within one and a half Keep Alive \[MQTT-3.1.2-22].
    KeepAlive,
    /// No answer to PINGREQ or CONNECT came in time (section 3.12.4).
    Timeout,
}

impl Fault {
    /// The reason code to tell the peer (section 4.13).
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        match self {
            Self::Packet(error) => error.reason_code(),
            Self::ReceiveMaximum => ReasonCode::ReceiveMaximumExceeded,
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
            Self::QoS => ReasonCode::QoSNotSupported,
            Self::Retain => ReasonCode::RetainNotSupported,
            Self::WildcardSubscription => ReasonCode::WildcardSubscriptionsNotSupported,
            Self::SubscriptionIdentifier => ReasonCode::SubscriptionIdentifiersNotSupported,
            Self::SharedSubscription => ReasonCode::SharedSubscriptionsNotSupported,
            Self::KeepAlive => ReasonCode::KeepAliveTimeout,
            Self::Timeout => ReasonCode::UnspecifiedError,
            Self::Unexpected(_)
            | Self::Misanswered { .. }
            | Self::TopicAliasUnknown
            | Self::SessionPresent
            | Self::SessionExpiry
            | Self::ProblemInformation
            | Self::AuthenticationMethod => ReasonCode::ProtocolError,
        }
    }
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// There is no connection, or none yet.
    NotConnected,
    /// There is a connection already.
    AlreadyConnected,
    /// A Packet Identifier was given; the session chooses it.
    PacketIdGiven,
    /// This was not received, or was answered before.
    UnknownPacketId,
    /// The number of reason codes is not that of the filters.
    ReasonCount,
    /// A Topic Alias was given, although the session chooses them.
    TopicAliasGiven,
    /// `accept` needs a code of success, `reject` one of failure.
    ReasonCode,
    /// Session Present was set although the client asked for a Clean Start \[MQTT-3.2.2-2].
    SessionPresent,
    /// DISCONNECT with a Session Expiry Interval although it was 0 in CONNECT (section 3.14.2.2.2).
    SessionExpiry,
    /// Not the Authentication Method of CONNECT \[MQTT-4.12.0-5], or an AUTH that is not the next
    /// step.
    Authentication,
    /// CONNECT of 3.1.1 without a Client Identifier that asks for no Clean Session
    /// \[MQTT-3.1.3-7 of 3.1.1].
    ClientId,
    /// Reason String or User Properties for a client that wants none \[MQTT-3.1.2-29].
    ProblemInformation,
    /// A Topic Alias Maximum was announced, for which there is no storage without a heap.
    TopicAliasMaximum,
    /// A message to keep has no topic, or a Topic Alias, which means nothing on the next connection.
    NoTopic,
}

/// What the peer announced that it does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Maximum QoS \[MQTT-3.2.2-11].
    MaximumQoS,
    /// Retain Available \[MQTT-3.2.2-14].
    RetainAvailable,
    /// Topic Alias Maximum \[MQTT-3.2.2-17], \[MQTT-3.1.2-26].
    TopicAliasMaximum,
    /// Wildcard Subscription Available (section 3.2.2.3.11).
    WildcardSubscriptionAvailable,
    /// Subscription Identifier Available (section 3.2.2.3.12).
    SubscriptionIdentifierAvailable,
    /// Shared Subscription Available (section 3.2.2.3.13).
    SharedSubscriptionAvailable,
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Peer(fault)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Packet(error)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(fault) => write!(f, "the peer broke the protocol: {fault}"),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Encode(error) => write!(f, "the packet must not be sent: {error}"),
            Self::Limit(limit) => write!(f, "the peer announced that it does not do this: {limit}"),
            Self::TransmitFull => f.write_str("there is no room in the transmit buffer"),
            Self::QuotaExceeded => f.write_str("no more messages may be in flight now"),
            Self::QueueFull => f.write_str("there is no room in the queue"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packet(error) => return error.fmt(f),
            Self::Unexpected(packet) => return write!(f, "{} has no place here", packet.name()),
            Self::Misanswered { packet, id } => {
                let packet = packet.name();
                return write!(f, "{packet} is no answer to what has Packet Identifier {id}");
            }
            Self::ReceiveMaximum => "more messages in flight than the Receive Maximum",
            Self::TopicAlias => "Topic Alias above the Topic Alias Maximum",
            Self::TopicAliasUnknown => "Topic Alias that stands for no topic",
            Self::QoS => "QoS above the Maximum QoS",
            Self::Retain => "RETAIN although retained messages are not available",
            Self::WildcardSubscription => "wildcard although those are not available",
            Self::SubscriptionIdentifier => {
                "Subscription Identifier although those are not available"
            }
            Self::SharedSubscription => "Shared Subscription although those are not available",
            Self::SessionPresent => "Session Present although there is no session",
            Self::SessionExpiry => "Session Expiry Interval raised from 0 in DISCONNECT",
            Self::ProblemInformation => "Reason String or User Property that was not asked for",
            Self::AuthenticationMethod => "not the Authentication Method of CONNECT",
            Self::KeepAlive => "nothing came within one and a half Keep Alive",
            Self::Timeout => "no answer came in time",
        })
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "there is no connection",
            Self::AlreadyConnected => "there is a connection already",
            Self::PacketIdGiven => "the session chooses the Packet Identifier",
            Self::UnknownPacketId => "nothing with this Packet Identifier waits for an answer",
            Self::ReasonCount => "there must be one reason code per filter",
            Self::TopicAliasGiven => "the session chooses the Topic Alias",
            Self::ReasonCode => "not a reason code that fits the answer",
            Self::SessionPresent => "a Clean Start has no session to go on with",
            Self::SessionExpiry => "Session Expiry Interval cannot be raised from 0",
            Self::Authentication => "not a step of the authentication that CONNECT began",
            Self::ClientId => "without a Client Identifier there must be a Clean Session",
            Self::ProblemInformation => "the client wants no Reason String and no User Property",
            Self::TopicAliasMaximum => "topic aliases from the peer need a heap",
            Self::NoTopic => "a message to keep needs its full topic and no Topic Alias",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaximumQoS => "Maximum QoS",
            Self::RetainAvailable => "Retain Available",
            Self::TopicAliasMaximum => "Topic Alias Maximum",
            Self::WildcardSubscriptionAvailable => "Wildcard Subscription Available",
            Self::SubscriptionIdentifierAvailable => "Subscription Identifier Available",
            Self::SharedSubscriptionAvailable => "Shared Subscription Available",
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Peer(Fault::Packet(error)) => Some(error),
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl core::error::Error for Fault {}
impl core::error::Error for Misuse {}
impl core::error::Error for Limit {}
