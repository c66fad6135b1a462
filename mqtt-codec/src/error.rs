//! Every rule that a packet can break, in one table, and the errors that name them.

use core::fmt;

use crate::{ReasonCode, Version};

/// What kind of mistake a [`Violation`] is (section 4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorClass {
    /// The bytes cannot be parsed.
    Malformed,
    /// The bytes can be parsed, but what they say is not allowed.
    ProtocolError,
    /// A topic name or topic filter breaks the syntax of section 4.7 or 4.8.
    Topic,
    /// This side never sends such a packet, property or reason code.
    Direction,
    /// A protocol name or level that is none of ours.
    UnsupportedProtocol,
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::ProtocolError => "protocol_error",
            Self::Topic => "topic",
            Self::Direction => "direction",
            Self::UnsupportedProtocol => "unsupported_protocol",
        })
    }
}

/// One row per rule: name, class, reason code to answer with in version 5, the statement or section
/// of version 5 and of version 3.1.1, and what went wrong in words.
macro_rules! violations {
    ($($name:ident $class:ident $reason:ident $v5:literal $v311:literal $text:literal)*) => {
        /// A rule of the protocol that a packet breaks. The same ones are checked on both ways,
        /// decoding and encoding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Violation {
            $(#[doc = concat!($text, " (", $v5, "; 3.1.1: ", $v311, ").")] $name,)*
        }

        impl Violation {
            /// Every rule, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What kind of mistake it is.
            #[must_use]
            pub const fn class(self) -> ErrorClass {
                match self { $(Self::$name => ErrorClass::$class,)* }
            }

            /// The reason code to tell the peer (version 5; 3.1.1 only closes).
            #[must_use]
            pub const fn reason_code(self) -> ReasonCode {
                match self { $(Self::$name => ReasonCode::$reason,)* }
            }

            /// The normative statement that is broken, as `MQTT-x.y.z-n`, or where there is no
            /// statement the section that says so, as a number.
            #[must_use]
            pub const fn statement(self, version: Version) -> &'static str {
                match version {
                    Version::V5 => match self { $(Self::$name => $v5,)* },
                    Version::V31 | Version::V311 => match self { $(Self::$name => $v311,)* },
                }
            }

            /// What went wrong, in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

violations! {
    ForbiddenType Malformed MalformedPacket "2.1.2" "2.2.1" "packet type is reserved in this version"
    ReservedFlags Malformed MalformedPacket "MQTT-2.1.3-1" "MQTT-2.2.2-1" "reserved flags of the fixed header have the wrong value"
    PubRelFlags Malformed MalformedPacket "MQTT-3.6.1-1" "MQTT-3.6.1-1" "flags of PUBREL are not 0010"
    SubscribeFlags Malformed MalformedPacket "MQTT-3.8.1-1" "MQTT-3.8.1-1" "flags of SUBSCRIBE are not 0010"
    UnsubscribeFlags Malformed MalformedPacket "MQTT-3.10.1-1" "MQTT-3.10.1-1" "flags of UNSUBSCRIBE are not 0010"
    DisconnectFlags Malformed MalformedPacket "MQTT-3.14.1-1" "MQTT-3.14.1-1" "flags of DISCONNECT are not 0000"
    AuthFlags Malformed MalformedPacket "MQTT-3.15.1-1" "2.2.1" "flags of AUTH are not 0000"
    WrongDirection Direction ProtocolError "2.1.2" "2.2.1" "this side does not send this packet"
    RemainingLengthTooLong Malformed MalformedPacket "1.5.5" "2.2.3" "Remaining Length takes more than four bytes"
    RemainingLengthNotMinimal Malformed MalformedPacket "MQTT-1.5.5-1" "2.2.3" "Remaining Length takes more bytes than its value needs"
    PacketTooLarge ProtocolError PacketTooLarge "3.1.2.11.4" "2.2.3" "packet is larger than the Maximum Packet Size"
    Truncated Malformed MalformedPacket "4.13.1" "4.8" "packet ends inside a field"
    TrailingBytes Malformed MalformedPacket "4.13.1" "4.8" "bytes are left over after the last field"
    VariableByteIntegerTooLong Malformed MalformedPacket "1.5.5" "2.2.3" "Variable Byte Integer takes more than four bytes"
    VariableByteIntegerNotMinimal Malformed MalformedPacket "MQTT-1.5.5-1" "2.2.3" "Variable Byte Integer takes more bytes than its value needs"
    StringNotUtf8 Malformed MalformedPacket "MQTT-1.5.4-1" "MQTT-1.5.3-1" "string is not well-formed UTF-8"
    StringHasNul Malformed MalformedPacket "MQTT-1.5.4-2" "MQTT-1.5.3-2" "string contains U+0000"
    StringHasControl Malformed MalformedPacket "1.5.4" "1.5.3" "string contains a control character, which the policy refuses"
    StringHasNonCharacter Malformed MalformedPacket "1.5.4" "1.5.3" "string contains a noncharacter, which the policy refuses"
    StringTooLong Malformed MalformedPacket "1.5.4" "1.5.3" "string or binary data is longer than 65,535 bytes"
    TopicTooLong Topic TopicNameInvalid "MQTT-4.7.3-3" "MQTT-4.7.3-3" "topic is longer than 65,535 bytes"
    PacketIdZero Malformed ProtocolError "MQTT-2.2.1-3" "MQTT-2.3.1-1" "Packet Identifier is 0"
    PacketIdMissing Malformed ProtocolError "MQTT-2.2.1-3" "MQTT-2.3.1-1" "PUBLISH with QoS 1 or 2 has no Packet Identifier"
    PacketIdUnwanted Malformed ProtocolError "MQTT-2.2.1-2" "MQTT-2.3.1-5" "PUBLISH with QoS 0 has a Packet Identifier"

    ProtocolName UnsupportedProtocol UnsupportedProtocolVersion "MQTT-3.1.2-1" "MQTT-3.1.2-1" "Protocol Name is not one of MQTT"
    ProtocolLevel UnsupportedProtocol UnsupportedProtocolVersion "MQTT-3.1.2-2" "MQTT-3.1.2-2" "Protocol Version is not one that is supported"
    ConnectReserved Malformed MalformedPacket "MQTT-3.1.2-3" "MQTT-3.1.2-3" "reserved bit of the Connect Flags is 1"
    WillQosWithoutWill Malformed MalformedPacket "MQTT-3.1.2-11" "MQTT-3.1.2-13" "Will Flag is 0 but Will QoS is not"
    WillQos3 Malformed MalformedPacket "MQTT-3.1.2-12" "MQTT-3.1.2-14" "Will QoS is 3"
    WillRetainWithoutWill Malformed MalformedPacket "MQTT-3.1.2-13" "MQTT-3.1.2-15" "Will Flag is 0 but Will Retain is 1"
    PasswordWithoutUserName Malformed MalformedPacket "3.1.2.9" "MQTT-3.1.2-22" "Password Flag is 1 but User Name Flag is 0"
    ConnAckFlags Malformed MalformedPacket "MQTT-3.2.2-1" "3.2.2.1" "reserved bits of the Connect Acknowledge Flags are not 0"
    SessionPresentOnFailure ProtocolError ProtocolError "MQTT-3.2.2-6" "MQTT-3.2.2-4" "Session Present is 1 although the connection is refused"
    ConnAckReason Malformed ProtocolError "MQTT-3.2.2-8" "3.2.2.3" "code is none of those of CONNACK"

    PublishQos3 Malformed MalformedPacket "MQTT-3.3.1-4" "MQTT-3.3.1-4" "both QoS bits of PUBLISH are 1"
    DupWithQos0 Malformed ProtocolError "MQTT-3.3.1-2" "MQTT-3.3.1-2" "DUP is 1 although QoS is 0"
    TopicNameWildcard Topic TopicNameInvalid "MQTT-3.3.2-2" "MQTT-3.3.2-2" "topic name contains a wildcard character"
    WillTopicWildcard Topic TopicNameInvalid "MQTT-4.7.0-1" "MQTT-4.7.1-1" "Will Topic contains a wildcard character"
    ResponseTopicWildcard Topic TopicNameInvalid "MQTT-3.3.2-14" "4.7" "Response Topic contains a wildcard character"
    TopicNameEmpty Topic ProtocolError "MQTT-4.7.3-1" "MQTT-4.7.3-1" "topic name is empty"
    TopicNameMissing ProtocolError ProtocolError "3.3.2.1" "MQTT-4.7.3-1" "topic name is empty and there is no Topic Alias"
    PayloadNotUtf8 ProtocolError PayloadFormatInvalid "3.3.2.3.2" "3.3.3" "payload is not UTF-8 although Payload Format Indicator says so"
    PubAckReason Malformed ProtocolError "MQTT-3.4.2-1" "3.4" "reason code is none of those of PUBACK"
    PubRecReason Malformed ProtocolError "MQTT-3.5.2-1" "3.5" "reason code is none of those of PUBREC"
    PubRelReason Malformed ProtocolError "MQTT-3.6.2-1" "3.6" "reason code is none of those of PUBREL"
    PubCompReason Malformed ProtocolError "MQTT-3.7.2-1" "3.7" "reason code is none of those of PUBCOMP"

    SubscribeEmpty ProtocolError ProtocolError "MQTT-3.8.3-2" "MQTT-3.8.3-3" "SUBSCRIBE has no topic filter"
    SubscribeQos3 ProtocolError ProtocolError "3.8.3.1" "MQTT-3.8.3-4" "Maximum QoS of a subscription is 3"
    RequestedQos3 Malformed MalformedPacket "3.8.3.1" "MQTT-3.8.3-4" "Requested QoS is 3"
    SubscribeReserved Malformed MalformedPacket "MQTT-3.8.3-5" "MQTT-3.8.3-4" "reserved bits of the Subscription Options are not 0"
    RetainHandling3 ProtocolError ProtocolError "3.8.3.1" "MQTT-3.8.3-4" "Retain Handling is 3"
    NoLocalOnShared ProtocolError ProtocolError "MQTT-3.8.3-4" "4.7" "No Local is 1 on a Shared Subscription"
    UnsubscribeEmpty ProtocolError ProtocolError "MQTT-3.10.3-2" "MQTT-3.10.3-2" "UNSUBSCRIBE has no topic filter"
    SubAckEmpty Malformed ProtocolError "3.9.3" "3.9.3" "SUBACK has no reason code"
    SubAckReason Malformed ProtocolError "MQTT-3.9.3-2" "MQTT-3.9.3-2" "reason code is none of those of SUBACK"
    UnsubAckEmpty Malformed ProtocolError "3.11.3" "3.11" "UNSUBACK has no reason code"
    UnsubAckReason Malformed ProtocolError "MQTT-3.11.3-2" "3.11" "reason code is none of those of UNSUBACK"
    TopicFilterEmpty Topic ProtocolError "MQTT-4.7.3-1" "MQTT-4.7.3-1" "topic filter is empty"
    TopicFilterHash Topic ProtocolError "MQTT-4.7.1-1" "MQTT-4.7.1-2" "'#' is not alone in the last level of the topic filter"
    TopicFilterPlus Topic ProtocolError "MQTT-4.7.1-2" "MQTT-4.7.1-3" "'+' is not alone in its level of the topic filter"
    ShareNameEmpty Topic ProtocolError "MQTT-4.8.2-1" "4.7" "ShareName of the Shared Subscription is empty"
    ShareNameWildcard Topic ProtocolError "MQTT-4.8.2-2" "4.7" "ShareName of the Shared Subscription contains '+' or '#'"
    ShareFilterMissing Topic ProtocolError "MQTT-4.8.2-2" "4.7" "no topic filter follows the ShareName"

    DisconnectReason Malformed ProtocolError "MQTT-3.14.2-1" "3.14" "reason code is none of those of DISCONNECT"
    AuthReason Malformed ProtocolError "MQTT-3.15.2-1" "2.2.1" "reason code is none of those of AUTH"
    ReasonDirection Direction ProtocolError "2.4" "2.2.1" "this side does not send this reason code in this packet"

    PropertyLength Malformed MalformedPacket "2.2.2.1" "2.3" "Property Length exceeds the packet"
    PropertyUnknown Malformed MalformedPacket "2.2.2.2" "2.3" "property identifier is not defined"
    PropertyNotAllowed Malformed MalformedPacket "2.2.2.2" "2.3" "property does not belong in this packet"
    PropertyTwice ProtocolError ProtocolError "2.2.2.2" "2.3" "property is given twice"
    PropertyNotBoolean ProtocolError ProtocolError "2.2.2.2" "2.3" "value of the property is neither 0 nor 1"
    PropertyZero ProtocolError ProtocolError "2.2.2.2" "2.3" "value of the property is 0"
    TopicAliasZero ProtocolError TopicAliasInvalid "MQTT-3.3.2-8" "2.3" "Topic Alias is 0"
    SubscriptionIdFromClient ProtocolError ProtocolError "MQTT-3.3.4-6" "2.3" "PUBLISH from a client carries a Subscription Identifier"
    SessionExpiryFromServer ProtocolError ProtocolError "MQTT-3.14.2-2" "2.3" "DISCONNECT from a server carries a Session Expiry Interval"
    AuthDataWithoutMethod ProtocolError ProtocolError "3.1.2.11.10" "2.3" "CONNECT has Authentication Data but no Authentication Method"
    AuthMethodMissing ProtocolError ProtocolError "3.15.2.2.2" "2.3" "AUTH has no Authentication Method"
    AssignedClientIdEmpty ProtocolError ProtocolError "3.2.2.3.7" "2.3" "Assigned Client Identifier is empty"
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text(), self.statement(Version::V5))
    }
}

impl core::error::Error for Violation {}

/// Why bytes are refused: the rule, where, and under which version. Eight bytes, `Copy`.
///
/// ```
/// use mqtt_codec::{Rules, Sender, Version, Violation};
///
/// let rules = Rules::new(Version::V5, Sender::Client);
/// let error = rules.decode(&mut &[0x36, 3, 0, 1, b'a'][..]).unwrap_err();
/// assert_eq!(error.violation, Violation::PublishQos3);
/// assert_eq!(
///     error.to_string(),
///     "byte 0: both QoS bits of PUBLISH are 1 [MQTT-3.3.1-4], answer 0x81 Malformed Packet"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DecodeError {
    /// The rule that is broken.
    pub violation: Violation,
    /// The version whose rule it is.
    pub version: Version,
    /// Where, in bytes from the first byte of the packet: the field that is at fault, or for one
    /// that runs past the end, its beginning.
    pub offset: u32,
}

impl DecodeError {
    /// The rule that is broken at this offset. A packet is at most 268,435,460 bytes long.
    #[cold]
    pub(crate) fn new(violation: Violation, version: Version, offset: usize) -> Self {
        Self { violation, version, offset: offset as u32 }
    }

    /// The reason code to tell the peer (version 5; 3.1.1 only closes).
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        self.violation.reason_code()
    }

    /// The normative statement, `MQTT-x.y.z-n`, or the section that is broken.
    #[must_use]
    pub const fn statement(&self) -> &'static str {
        self.violation.statement(self.version)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {} [{}]", self.offset, self.violation.text(), self.statement())?;
        if self.version.has_properties() {
            let code = self.reason_code();
            write!(f, ", answer 0x{:02X} {code}", code.value())?;
        }
        Ok(())
    }
}

impl core::error::Error for DecodeError {}

/// Why a packet is not written. What was to be appended to is as it was; what is in a slice that was
/// lent means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The packet breaks a rule that a receiver would refuse it for.
    Refused(Violation),
    /// The packet would be larger than the receiver's Maximum Packet Size, or than the protocol's
    /// 268,435,460 bytes.
    TooLarge {
        /// Size of the whole packet in bytes.
        size: u64,
        /// The most that is allowed.
        limit: u32,
    },
    /// The buffer is too short.
    NoRoom {
        /// Size of the whole packet in bytes.
        needed: usize,
    },
    /// MQTT 3.1.1 has no return code for this reason: close without CONNACK (3.1.1 section 3.2.2.3).
    NoReturnCode(ReasonCode),
}

impl From<Violation> for EncodeError {
    fn from(violation: Violation) -> Self {
        Self::Refused(violation)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(violation) => violation.fmt(f),
            Self::TooLarge { size, limit } => {
                write!(f, "packet of {size} bytes is larger than the limit of {limit}")
            }
            Self::NoRoom { needed } => write!(f, "buffer is too short, {needed} bytes are needed"),
            Self::NoReturnCode(code) => {
                write!(f, "MQTT 3.1.1 has no return code for \"{code}\", close without CONNACK")
            }
        }
    }
}

impl core::error::Error for EncodeError {}
