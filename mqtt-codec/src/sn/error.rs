//! Every rule that an MQTT-SN message can break, and the errors that name them.

use core::fmt;

use crate::ErrorClass;

/// One row per rule: name, class, section of MQTT-SN 1.2, and what went wrong in words.
macro_rules! violations {
    ($($name:ident $class:ident $section:literal $text:literal)*) => {
        /// A rule of MQTT-SN 1.2 that a message breaks, checked both ways: decoding and encoding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Violation {
            $(#[doc = concat!($text, " (section ", $section, ").")] $name,)*
        }

        impl Violation {
            /// Every rule, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What kind of mistake it is.
            #[must_use]
            pub const fn class(self) -> ErrorClass {
                match self { $(Self::$name => ErrorClass::$class,)* }
            }

            /// The section of MQTT-SN 1.2 that says so; the text has no numbered statements.
            #[must_use]
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)* }
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
    Length Malformed "5.2.1" "Length disagrees with the size of the datagram"
    LengthTooShort Malformed "5.2.1" "Length has no room for its own octets and the message type"
    MessageTooLarge Malformed "5.2.1" "message is larger than the limit"
    ReservedType Malformed "5.2.2" "message type is reserved"
    NestedEncapsulation Malformed "5.5" "an encapsulated message is encapsulated again"
    WrongDirection Direction "5.4" "this side does not send this message"
    Truncated Malformed "5.4" "message ends inside a field"
    TrailingOctets Malformed "5.4" "octets are left over after the last field"
    UnusedFlags Malformed "5.3.4" "flags are set that this message does not use, which the policy refuses"
    TopicIdTypeReserved Malformed "5.3.4" "TopicIdType is 0b11"
    QosMinusOne Malformed "5.3.4" "QoS is -1, which only PUBLISH may carry"
    QosMinusOneFromGateway Direction "5.3.4" "QoS is -1, which only a client may send"
    QosMinusOneTopicId Malformed "6.8" "QoS is -1 but TopicIdType is neither pre-defined nor short"
    ProtocolId Malformed "5.3.8" "ProtocolId is not 0x01"
    ClientIdEmpty Malformed "5.3.1" "ClientId is empty"
    ClientIdTooLong Malformed "5.3.1" "ClientId has more than 23 characters"
    StringNotUtf8 Malformed "5.3" "string is not well-formed UTF-8"
    StringHasNul Malformed "5.3" "string contains U+0000"
    TopicNameEmpty Malformed "5.4" "topic name is empty"
    TopicNameWildcard Topic "6.5" "topic name contains a wildcard character"
    TopicMissing Malformed "5.4.15" "there is no topic name"
    TopicFilter Topic "6.9" "topic filter has a misplaced wildcard"
    ShortTopicLength Malformed "5.3.4" "short topic name or topic id is not two octets long"
    WillTopicEmpty Malformed "5.4.7" "will topic is empty although flags are given, which the policy refuses"
    ReturnCodeReserved Malformed "5.3.10" "return code is reserved, which the policy refuses"
    TopicIdReserved Malformed "5.3.11" "topic id is 0x0000 or 0xFFFF, which the policy refuses"
    MsgIdZero Malformed "5.4.12" "MsgId is 0 although an answer is expected, which the policy refuses"
    MsgIdUnwanted Malformed "5.4.12" "MsgId is not 0 although no answer is expected, which the policy refuses"
    ClientFieldFromGateway Direction "5.4" "a field is given that only a client gives, which the policy refuses"
    NodeIdTooLong Malformed "5.5" "wireless node id is longer than 252 octets"
    RadiusTooLarge Malformed "5.5" "radius of the encapsulation is larger than 3"
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [MQTT-SN 1.2 section {}]", self.text(), self.section())
    }
}

impl core::error::Error for Violation {}

/// Why a datagram is refused: the rule, and where. Four bytes, `Copy`.
///
/// ```
/// use mqtt_codec::{Sender, sn};
///
/// let error = sn::Rules::new(Sender::Server).decode(&[3, 5]).unwrap_err();
/// assert_eq!(error.violation, sn::Violation::Length);
/// assert_eq!(
///     error.to_string(),
///     "octet 0: Length disagrees with the size of the datagram [MQTT-SN 1.2 section 5.2.1]"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DecodeError {
    /// The rule that is broken.
    pub violation: Violation,
    /// Where, in octets from the first one of the datagram: the field that is at fault.
    pub offset: u16,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "octet {}: {}", self.offset, self.violation)
    }
}

impl core::error::Error for DecodeError {}

/// Why a message is not written. Nothing has been written when it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The message breaks a rule that a receiver would refuse it for.
    Refused(Violation),
    /// The message would be larger than the network's limit, or than the protocol's 65,535 octets.
    TooLarge {
        /// Size of the whole message in octets, encapsulation left out.
        size: usize,
        /// The most that is allowed.
        limit: u16,
    },
    /// The buffer is too short.
    NoRoom {
        /// Size of the whole datagram in octets.
        needed: usize,
    },
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
                write!(f, "message of {size} octets is larger than the limit of {limit}")
            }
            Self::NoRoom { needed } => write!(f, "buffer is too short, {needed} octets are needed"),
        }
    }
}

impl core::error::Error for EncodeError {}
