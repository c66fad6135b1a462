//! The table of properties: identifier, type and packets, and what it makes of a set of them.

use core::num::{NonZeroU16, NonZeroU32};

use super::Properties;
use super::value::{SubscriptionId, Value};
use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, QoS, Sender, TopicName, Violation};

/// Where properties stand: a packet, or the will inside CONNECT (section 3.1.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the packets")]
pub enum Scope {
    Will,
    Connect,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    Disconnect,
    Auth,
}

/// One row per property: identifier, name, getter, type of the value, and where it is allowed.
macro_rules! properties {
    ($($(#[$doc:meta])* $id:literal $name:ident $getter:ident $type:ty [$($scope:ident)*])*) => {
        /// The identifier of a property (section 2.2.2.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum PropertyId {
            $($(#[$doc])* $name = $id,)*
        }

        /// A property: identifier and value (section 2.2.2.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Property<'a> {
            $($(#[$doc])* $name($type),)*
        }

        impl PropertyId {
            /// Every identifier, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The identifier of this value, if it is defined.
            #[must_use]
            pub const fn from_value(value: u32) -> Option<Self> {
                // One load, where a `match` would be a jump.
                const IDS: [Option<PropertyId>; 1 + 0x2A] = {
                    let mut ids = [None; 1 + 0x2A];
                    $(ids[$id] = Some(PropertyId::$name);)*
                    ids
                };
                if value < IDS.len() as u32 { IDS[value as usize] } else { None }
            }

            const fn scopes(self) -> u16 {
                match self { $(Self::$name => 0 $(| 1 << Scope::$scope as u16)*,)* }
            }

            /// Its name in lower case, words joined by `_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($getter),)* }
            }

            /// Its name as the variants here have it.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }

        impl<'a> Property<'a> {
            /// Its identifier.
            #[must_use]
            pub const fn id(&self) -> PropertyId {
                match self { $(Self::$name(_) => PropertyId::$name,)* }
            }

            #[inline]
            pub(super) fn read(id: PropertyId, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match id { $(PropertyId::$name => Value::read(reader).map(Self::$name),)* }
            }

            /// Refuses what [`Property::read`] refuses. The identifier is known to be defined.
            #[cfg_attr(target_pointer_width = "64", inline(always))]
            pub(super) fn check(id: u32, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
                // By its value: to make an identifier of it first would be a jump more.
                match id { $($id => <$type>::check(reader),)* _ => Ok(()) }
            }

            #[cfg_attr(target_pointer_width = "64", inline(always))]
            pub(super) fn emit<M: Mode>(
                &self,
                sink: &mut Sink<'_, M>,
                bits: &mut Bits,
            ) -> Result<(), Violation> {
                match self {
                    $(Self::$name(value) => {
                        bits.add::<M>(PropertyId::$name)?;
                        value.emit($id, sink)
                    })*
                }
            }
        }

        impl<'a> Properties<'a> {
            $(
                $(#[$doc])*
                ///
                /// The first one, if there is one.
                #[inline]
                #[must_use]
                pub fn $getter(&self) -> Option<$type> {
                    match self.find(PropertyId::$name)? {
                        Property::$name(value) => Some(value),
                        _ => None,
                    }
                }
            )*
        }
    };
}

properties! {
    /// Payload Format Indicator: whether the payload is UTF-8 text. Absent: it is bytes.
    0x01 PayloadFormatIndicator payload_format_indicator bool [Will Publish]
    /// Message Expiry Interval in seconds. Absent: the message does not expire.
    0x02 MessageExpiryInterval message_expiry_interval u32 [Will Publish]
    /// Content Type: what the payload is, in words the applications agree on.
    0x03 ContentType content_type &'a str [Will Publish]
    /// Response Topic: makes the message a request.
    0x08 ResponseTopic response_topic TopicName<'a> [Will Publish]
    /// Correlation Data: tells the requester which request is answered.
    0x09 CorrelationData correlation_data &'a [u8] [Will Publish]
    /// Subscription Identifier: in SUBSCRIBE the one to use, in PUBLISH those that matched.
    0x0B SubscriptionIdentifier subscription_identifier SubscriptionId [Publish Subscribe]
    /// Session Expiry Interval in seconds. 0: with the connection; 0xFFFF_FFFF: never.
    0x11 SessionExpiryInterval session_expiry_interval u32 [Connect ConnAck Disconnect]
    /// Assigned Client Identifier: given to a client that came without one.
    0x12 AssignedClientIdentifier assigned_client_identifier &'a str [ConnAck]
    /// Server Keep Alive in seconds, in place of the client's. 0: off.
    0x13 ServerKeepAlive server_keep_alive u16 [ConnAck]
    /// Authentication Method of the enhanced authentication (section 4.12).
    0x15 AuthenticationMethod authentication_method &'a str [Connect ConnAck Auth]
    /// Authentication Data of the enhanced authentication.
    0x16 AuthenticationData authentication_data &'a [u8] [Connect ConnAck Auth]
    /// Request Problem Information: whether Reason Strings are wanted. Absent: they are.
    0x17 RequestProblemInformation request_problem_information bool [Connect]
    /// Will Delay Interval in seconds between end of connection and will. Absent: 0.
    0x18 WillDelayInterval will_delay_interval u32 [Will]
    /// Request Response Information: whether a Response Information is wanted. Absent: it is not.
    0x19 RequestResponseInformation request_response_information bool [Connect]
    /// Response Information: the base of the client's Response Topics.
    0x1A ResponseInformation response_information &'a str [ConnAck]
    /// Server Reference: which server to use instead.
    0x1C ServerReference server_reference &'a str [ConnAck Disconnect]
    /// Reason String: what went wrong, for people.
    0x1F ReasonString reason_string &'a str
        [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth]
    /// Receive Maximum: how many QoS 1 and 2 messages may be in flight. Absent: 65,535.
    0x21 ReceiveMaximum receive_maximum NonZeroU16 [Connect ConnAck]
    /// Topic Alias Maximum: the highest alias that may be sent. Absent: 0, none.
    0x22 TopicAliasMaximum topic_alias_maximum u16 [Connect ConnAck]
    /// Topic Alias: a number in place of the topic name.
    0x23 TopicAlias topic_alias NonZeroU16 [Publish]
    /// Maximum QoS, 0 or 1, that the server supports. Absent: 2.
    0x24 MaximumQoS maximum_qos QoS [ConnAck]
    /// Retain Available: whether the server keeps retained messages. Absent: it does.
    0x25 RetainAvailable retain_available bool [ConnAck]
    /// User Property: name and value, for the applications. May be given many times.
    0x26 UserProperty user_property (&'a str, &'a str) [Will Connect ConnAck Publish PubAck PubRec
        PubRel PubComp Subscribe SubAck Unsubscribe UnsubAck Disconnect Auth]
    /// Maximum Packet Size in bytes, fixed header included. Absent: no limit but the protocol's.
    0x27 MaximumPacketSize maximum_packet_size NonZeroU32 [Connect ConnAck]
    /// Wildcard Subscription Available. Absent: they are.
    0x28 WildcardSubscriptionAvailable wildcard_subscription_available bool [ConnAck]
    /// Subscription Identifiers Available. Absent: they are.
    0x29 SubscriptionIdentifierAvailable subscription_identifier_available bool [ConnAck]
    /// Shared Subscription Available. Absent: they are.
    0x2A SharedSubscriptionAvailable shared_subscription_available bool [ConnAck]
}

impl PropertyId {
    /// Whether it may stand there.
    #[must_use]
    pub const fn is_allowed(self, scope: Scope) -> bool {
        self.scopes() & (1 << scope as u16) != 0
    }

    /// Whether it may stand there more than once: User Property, and in PUBLISH the Subscription
    /// Identifier (section 3.3.2.3.8).
    #[must_use]
    pub const fn may_repeat(self, scope: Scope) -> bool {
        matches!(
            (self, scope),
            (Self::UserProperty, _) | (Self::SubscriptionIdentifier, Scope::Publish)
        )
    }

    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The rule that this property breaks there, if `seen` are those before it.
    #[inline(never)]
    pub(super) fn misplaced(self, scope: Scope, sender: Sender, seen: u64) -> Option<Violation> {
        if !self.is_allowed(scope) {
            return Some(Violation::PropertyNotAllowed);
        }
        if seen & self.bit() != 0 && !self.may_repeat(scope) {
            return Some(Violation::PropertyTwice);
        }
        match (self, scope, sender) {
            (Self::SubscriptionIdentifier, Scope::Publish, Sender::Client) => {
                Some(Violation::SubscriptionIdFromClient)
            }
            (Self::SessionExpiryInterval, Scope::Disconnect, Sender::Server) => {
                Some(Violation::SessionExpiryFromServer)
            }
            _ => None,
        }
    }
}

/// Bits of the properties of which it depends on the packet how many there may be.
pub(super) const PARTICULAR: u64 = PropertyId::SubscriptionIdentifier.bit();

impl Scope {
    /// Bits of the properties that may come from one side only here.
    #[inline]
    pub(super) const fn one_sided(self) -> u64 {
        match self {
            Self::Publish => PropertyId::SubscriptionIdentifier.bit(),
            Self::Disconnect => PropertyId::SessionExpiryInterval.bit(),
            _ => 0,
        }
    }

    /// Bits of the properties that may stand here.
    #[inline]
    pub(super) const fn allowed(self) -> u64 {
        ALLOWED[self as usize]
    }

    /// Of [`Scope::free`], the bits of those of which nothing is to be told apart.
    #[inline]
    pub(super) const fn plain(self) -> u64 {
        self.free() & !PARTICULAR
    }

    /// Bits of the properties that may stand here once, whoever the sender is and whatever else does.
    #[inline]
    pub(super) const fn free(self) -> u64 {
        const FREE: [u64; 14] = {
            let mut free = ALLOWED;
            free[Scope::Publish as usize] &= !Scope::Publish.one_sided();
            free[Scope::Disconnect as usize] &= !Scope::Disconnect.one_sided();
            let mut scope = 0;
            while scope < free.len() {
                free[scope] &= !PropertyId::AuthenticationData.bit();
                scope += 1;
            }
            free
        };
        FREE[self as usize]
    }
}

/// Bits of the properties that may stand in each scope.
const ALLOWED: [u64; 14] = {
    let mut allowed = [0; 14];
    let mut rest = PropertyId::ALL;
    while let [id, behind @ ..] = rest {
        let mut scope = 0;
        while scope < allowed.len() {
            if id.scopes() & 1 << scope != 0 {
                allowed[scope] |= id.bit();
            }
            scope += 1;
        }
        rest = behind;
    }
    allowed
};

/// Bits of the properties that are left out of a packet that would be too large, those first that
/// are of least use (for example [MQTT-3.4.2-2] and [MQTT-3.4.2-3]).
pub(crate) const OMITTABLE: [u64; 2] = [
    PropertyId::UserProperty.bit(),
    PropertyId::UserProperty.bit() | PropertyId::ReasonString.bit(),
];

/// Bits of the properties that may not be there many times everywhere.
const ONCE: u64 = !PropertyId::UserProperty.bit();

/// Which properties a packet that is measured has, as bits. They are judged together at the end, since
/// nearly always all are as they must be.
#[derive(Clone, Copy)]
pub(super) struct Bits {
    seen: u64,
    twice: u64,
}

impl Bits {
    /// Those of what was received, which has none twice that must not be.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn of(seen: u64) -> Self {
        Self { seen, twice: 0 }
    }

    /// Which there are.
    #[inline]
    pub(super) const fn seen(self) -> u64 {
        self.seen
    }

    /// One more.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn count(&mut self, id: PropertyId) {
        if id.bit() & ONCE != 0 {
            self.twice |= self.seen & id.bit();
        }
        self.seen |= id.bit();
    }

    /// As [`Self::count`], in this walk.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn add<M: Mode>(&mut self, id: PropertyId) -> Result<(), Violation> {
        // If this walk is alone, the one that finds out why goes on to what is malformed.
        if M::ALONE && self.seen & id.bit() & ONCE & !PARTICULAR != 0 {
            return Err(Violation::PropertyTwice);
        }
        self.count(id);
        Ok(())
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn check<M: Mode>(self, scope: Scope, sender: Sender) -> Result<(), Violation> {
        if !M::CHECKS || (self.seen & !scope.free() == 0 && self.twice == 0) {
            return Ok(());
        }
        self.judge(scope, sender)
    }

    #[inline(never)]
    fn judge(self, scope: Scope, sender: Sender) -> Result<(), Violation> {
        let mut doubtful = self.seen & !scope.free() | self.twice;
        while doubtful != 0 {
            let id = PropertyId::from_value(doubtful.trailing_zeros());
            match id.and_then(|id| id.misplaced(scope, sender, self.twice)) {
                Some(violation) => return Err(violation),
                None => doubtful &= doubtful - 1,
            }
        }
        match incomplete(self.seen, scope) {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }
}

/// The rule that a set of properties breaks by what is not in it. Only of CONNECT it is said that
/// Authentication Data needs a method there; AUTH has one in any case.
pub(super) fn incomplete(seen: u64, scope: Scope) -> Option<Violation> {
    let has = |id: PropertyId| seen & id.bit() != 0;
    (matches!(scope, Scope::Connect)
        && has(PropertyId::AuthenticationData)
        && !has(PropertyId::AuthenticationMethod))
    .then_some(Violation::AuthDataWithoutMethod)
}
