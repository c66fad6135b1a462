//! Reason codes (section 2.4): one table with name and who may send which in what.

use core::fmt;

use crate::{PacketType, Sender};

/// One row per code: value, name, text, the packets in which a client may send it, and a server.
macro_rules! reasons {
    ($($value:literal $name:ident $text:literal [$($client:ident)*] [$($server:ident)*])*) => {
        /// A Reason Code (section 2.4). Below 0x80 it tells of success, from 0x80 on of failure.
        ///
        /// ```
        /// use mqtt_codec::ReasonCode;
        /// assert_eq!(ReasonCode::from_value(0x8E), Some(ReasonCode::SessionTakenOver));
        /// assert_eq!(ReasonCode::SessionTakenOver.to_string(), "Session taken over");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = concat!($text, " (", stringify!($value), ").")] $name = $value,)*
        }

        impl ReasonCode {
            /// Every code, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code of this value, if it is defined.
            #[must_use]
            pub const fn from_value(value: u8) -> Option<Self> {
                match value { $($value => Some(Self::$name),)* _ => None }
            }

            /// Its name in the specification.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The packets in which a client may send it, and in which a server may, as bits.
            const fn senders(self) -> (u16, u16) {
                match self {
                    $(Self::$name => (
                        0 $(| 1 << PacketType::$client as u16)*,
                        0 $(| 1 << PacketType::$server as u16)*,
                    ),)*
                }
            }
        }
    };
}

reasons! {
    0x00 Success "Success" [PubAck PubRec PubRel PubComp Disconnect]
        [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth]
    0x01 GrantedQoS1 "Granted QoS 1" [] [SubAck]
    0x02 GrantedQoS2 "Granted QoS 2" [] [SubAck]
    0x04 DisconnectWithWill "Disconnect with Will Message" [Disconnect] []
    0x10 NoMatchingSubscribers "No matching subscribers" [] [PubAck PubRec]
    0x11 NoSubscriptionExisted "No subscription existed" [] [UnsubAck]
    0x18 ContinueAuthentication "Continue authentication" [Auth] [Auth]
    0x19 ReAuthenticate "Re-authenticate" [Auth] []
    0x80 UnspecifiedError "Unspecified error" [PubAck PubRec Disconnect]
        [ConnAck PubAck PubRec SubAck UnsubAck Disconnect]
    0x81 MalformedPacket "Malformed Packet" [Disconnect] [ConnAck Disconnect]
    0x82 ProtocolError "Protocol Error" [Disconnect] [ConnAck Disconnect]
    0x83 ImplementationSpecificError "Implementation specific error" [PubAck PubRec Disconnect]
        [ConnAck PubAck PubRec SubAck UnsubAck Disconnect]
    0x84 UnsupportedProtocolVersion "Unsupported Protocol Version" [] [ConnAck]
    0x85 ClientIdentifierNotValid "Client Identifier not valid" [] [ConnAck]
    0x86 BadUserNameOrPassword "Bad User Name or Password" [] [ConnAck]
    0x87 NotAuthorized "Not authorized" [PubAck PubRec]
        [ConnAck PubAck PubRec SubAck UnsubAck Disconnect]
    0x88 ServerUnavailable "Server unavailable" [] [ConnAck]
    0x89 ServerBusy "Server busy" [] [ConnAck Disconnect]
    0x8A Banned "Banned" [] [ConnAck]
    0x8B ServerShuttingDown "Server shutting down" [] [Disconnect]
    // Table 2-6 names DISCONNECT, section 3.14.2.1 does not: it is taken from a server.
    0x8C BadAuthenticationMethod "Bad authentication method" [] [ConnAck Disconnect]
    0x8D KeepAliveTimeout "Keep Alive timeout" [] [Disconnect]
    0x8E SessionTakenOver "Session taken over" [] [Disconnect]
    0x8F TopicFilterInvalid "Topic Filter invalid" [] [SubAck UnsubAck Disconnect]
    0x90 TopicNameInvalid "Topic Name invalid" [PubAck PubRec Disconnect]
        [ConnAck PubAck PubRec Disconnect]
    0x91 PacketIdentifierInUse "Packet Identifier in use" [PubAck PubRec]
        [PubAck PubRec SubAck UnsubAck]
    0x92 PacketIdentifierNotFound "Packet Identifier not found" [PubRel PubComp] [PubRel PubComp]
    0x93 ReceiveMaximumExceeded "Receive Maximum exceeded" [Disconnect] [Disconnect]
    0x94 TopicAliasInvalid "Topic Alias invalid" [Disconnect] [Disconnect]
    0x95 PacketTooLarge "Packet too large" [Disconnect] [ConnAck Disconnect]
    0x96 MessageRateTooHigh "Message rate too high" [Disconnect] [Disconnect]
    0x97 QuotaExceeded "Quota exceeded" [PubAck PubRec Disconnect]
        [ConnAck PubAck PubRec SubAck Disconnect]
    0x98 AdministrativeAction "Administrative action" [Disconnect] [Disconnect]
    0x99 PayloadFormatInvalid "Payload format invalid" [PubAck PubRec Disconnect]
        [ConnAck PubAck PubRec Disconnect]
    0x9A RetainNotSupported "Retain not supported" [] [ConnAck Disconnect]
    0x9B QoSNotSupported "QoS not supported" [] [ConnAck Disconnect]
    0x9C UseAnotherServer "Use another server" [] [ConnAck Disconnect]
    0x9D ServerMoved "Server moved" [] [ConnAck Disconnect]
    0x9E SharedSubscriptionsNotSupported "Shared Subscriptions not supported" [] [SubAck Disconnect]
    0x9F ConnectionRateExceeded "Connection rate exceeded" [] [ConnAck Disconnect]
    0xA0 MaximumConnectTime "Maximum connect time" [] [Disconnect]
    0xA1 SubscriptionIdentifiersNotSupported "Subscription Identifiers not supported" []
        [SubAck Disconnect]
    0xA2 WildcardSubscriptionsNotSupported "Wildcard Subscriptions not supported" []
        [SubAck Disconnect]
}

impl ReasonCode {
    /// 0x00 as DISCONNECT reads it: Normal disconnection.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// 0x00 as SUBACK reads it: Granted QoS 0.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// The byte on the wire.
    #[must_use]
    pub const fn value(self) -> u8 {
        self as u8
    }

    /// Whether it tells of a failure: 0x80 and above (section 2.4).
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.value() >= 0x80
    }

    /// Whether `sender` may put it into a packet of this type.
    #[must_use]
    pub const fn is_allowed(self, packet: PacketType, sender: Sender) -> bool {
        let (client, server) = self.senders();
        let senders = match sender {
            Sender::Client => client,
            Sender::Server => server,
            Sender::Either => client | server,
        };
        senders & (1 << packet as u16) != 0
    }

    /// The CONNACK return code of 3.1.1 that says the same (3.1.1 section 3.2.2.3), 0 to 5. `None`
    /// where there is none: the server then closes without a CONNACK.
    #[must_use]
    pub const fn return_code(self) -> Option<u8> {
        match self {
            Self::Success => Some(0),
            Self::UnsupportedProtocolVersion => Some(1),
            Self::ClientIdentifierNotValid => Some(2),
            Self::UnspecifiedError
            | Self::ImplementationSpecificError
            | Self::ServerUnavailable
            | Self::ServerBusy
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => Some(3),
            Self::BadUserNameOrPassword => Some(4),
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => Some(5),
            _ => None,
        }
    }

    /// The reason code of a CONNACK return code of 3.1.1; `None` for 6 to 255, which are reserved.
    #[must_use]
    pub const fn from_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
