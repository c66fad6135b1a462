//! Properties of version 5 (section 2.2.2): one table with identifier, type and packets.

use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, QoS, Rules, Sender, TopicName, Version, Violation};

mod value;
pub use value::SubscriptionId;
use value::Value;
pub(crate) use value::ValueKind;

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
                match value { $($id => Some(Self::$name),)* _ => None }
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
            fn read(id: PropertyId, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match id { $(PropertyId::$name => Value::read(reader).map(Self::$name),)* }
            }

            /// Refuses what [`Property::read`] refuses.
            #[cfg_attr(target_pointer_width = "64", inline(always))]
            fn check(id: PropertyId, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
                match id { $(PropertyId::$name => <$type>::check(reader),)* }
            }

            #[cfg_attr(target_pointer_width = "64", inline(always))]
            fn emit(
                &self,
                sink: &mut Sink<'_, impl Mode>,
                bits: &mut Bits,
            ) -> Result<(), Violation> {
                match self {
                    $(Self::$name(value) => {
                        bits.add(PropertyId::$name);
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

    const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The rule that this property breaks there, if `seen` are those before it.
    #[inline(never)]
    fn misplaced(self, scope: Scope, sender: Sender, seen: u64) -> Option<Violation> {
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

/// Bits of the properties of which it depends on the packet from which side they may come, or how
/// many there may be.
const PARTICULAR: u64 =
    PropertyId::SubscriptionIdentifier.bit() | PropertyId::SessionExpiryInterval.bit();

impl Scope {
    /// Bits of the properties that may come from one side only here.
    #[inline]
    const fn one_sided(self) -> u64 {
        match self {
            Self::Publish => PropertyId::SubscriptionIdentifier.bit(),
            Self::Disconnect => PropertyId::SessionExpiryInterval.bit(),
            _ => 0,
        }
    }

    /// Bits of the properties that may stand here.
    #[inline]
    const fn allowed(self) -> u64 {
        ALLOWED[self as usize]
    }

    /// Bits of the properties that may stand here once, whoever the sender is and whatever else does.
    #[inline]
    const fn free(self) -> u64 {
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

/// Properties of a packet. Those that were received are a checked span of the packet, read when they
/// are asked for; those to be sent are a slice. Both may be joined: a server passes on what it
/// received, less what was meant for itself, plus what it adds.
///
/// ```
/// use mqtt_codec::{Properties, Property};
/// let list = [Property::MessageExpiryInterval(60), Property::UserProperty(("room", "kitchen"))];
/// let properties = Properties::from(&list[..]);
/// assert_eq!(properties.message_expiry_interval(), Some(60));
/// assert_eq!(properties.content_type(), None);
/// ```
#[derive(Clone, Copy)]
pub struct Properties<'a> {
    wire: &'a [u8],
    list: &'a [Property<'a>],
    /// Those of `wire` that count, as bits, and [`PARTLY`] if some do not.
    present: u64,
}

/// Stands in `Properties::present` among the bits of the identifiers, none of which is 0. A
/// field of its own would keep the compiler from moving the whole in one go.
const PARTLY: u64 = 1;

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self { wire: &[], list: &[], present: 0 };

    /// Property Length and properties, all checked.
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        if !reader.version().has_properties() {
            return Ok(Self::EMPTY);
        }
        let start = reader.position();
        let len = reader.variable()?;
        if len == 0 {
            return Ok(Self::EMPTY);
        }
        let part = reader
            .part(len as usize)
            .map_err(|_| reader.fail_at(start, Violation::PropertyLength))?;
        let wire = part.unread();
        let present = Self::check(part, scope)?;
        Ok(Self { wire, list: &[], present })
    }

    /// Checks all that is left in `reader`; returns what there is, as bits.
    #[inline(never)]
    fn check(mut reader: Reader<'_>, scope: Scope) -> Result<u64, DecodeError> {
        let (first, allowed) = (reader.position(), scope.allowed());
        let mut seen = 0;
        while !reader.is_empty() {
            let start = reader.position();
            let Some(id) = PropertyId::from_value(reader.variable()?) else {
                return Err(reader.fail_at(start, Violation::PropertyUnknown));
            };
            if allowed & id.bit() == 0 {
                return Err(reader.fail_at(start, Violation::PropertyNotAllowed));
            }
            Property::check(id, &mut reader).map_err(|error| match (id, error.violation) {
                (PropertyId::TopicAlias, Violation::PropertyZero) => {
                    reader.fail_at(error.offset as usize, Violation::TopicAliasZero)
                }
                _ => error,
            })?;
            // What is malformed is reported before what is against the protocol.
            if (seen | scope.one_sided()) & id.bit() != 0 {
                // Nearly always it is the first of its kind, and may come from either side.
                if let Some(violation) = id.misplaced(scope, reader.rules.sender, seen) {
                    return Err(reader.fail_at(start, violation));
                }
            }
            seen |= id.bit();
        }
        if let Some(violation) = incomplete(seen) {
            return Err(reader.fail_at(first, violation));
        }
        Ok(seen)
    }

    /// Property Length and properties; nothing before version 5.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn emit(
        &self,
        sink: &mut Sink<'_, impl Mode>,
        scope: Scope,
    ) -> Result<(), Violation> {
        if !sink.version.has_properties() {
            return Ok(());
        }
        if self.is_empty() {
            sink.u8(0); // [MQTT-2.2.2-1]
            return Ok(());
        }
        sink.properties(self, scope)
    }

    /// Puts those properties that count; returns their length in bytes.
    pub(crate) fn put<M: Mode>(
        &self,
        room: &mut [u8],
        rules: &Rules,
        omitted: u64,
        scope: Scope,
    ) -> Result<u32, Violation> {
        let strict = M::CHECKS && rules.policy.checks_strings();
        if strict || (self.present | omitted != 0 && !self.is_whole::<M>(omitted, scope)) {
            return self.put_each::<M>(room, rules, omitted, scope);
        }
        // That the policy asks for nothing is known to the compiler from here on.
        const RULES: Rules = Rules::new(Version::V5, Sender::Either);
        let mut sink = Sink::<M>::new(room, &RULES, Version::V5, 0, Default::default());
        let mut bits = Bits { seen: self.present, twice: 0 };
        if !self.wire.is_empty() {
            sink.bytes(self.wire);
        }
        for property in self.list {
            property.emit(&mut sink, &mut bits)?;
        }
        bits.check::<M>(scope, rules.sender)?;
        Ok(sink.clamped_len())
    }

    #[inline(never)]
    fn put_each<M: Mode>(
        &self,
        room: &mut [u8],
        rules: &Rules,
        omitted: u64,
        scope: Scope,
    ) -> Result<u32, Violation> {
        let mut sink = Sink::<M>::new(room, rules, Version::V5, omitted, Default::default());
        let mut bits = Bits { seen: 0, twice: 0 };
        self.but(omitted).try_for_each(|property| property.emit(&mut sink, &mut bits))?;
        bits.check::<M>(scope, rules.sender)?;
        Ok(sink.clamped_len())
    }

    /// Whether what was received is put as it is: all of it, and if it is to be checked, as it was
    /// checked already. It needs it again if it stood elsewhere, or came from the other side.
    #[inline]
    const fn is_whole<M: Mode>(&self, omitted: u64, scope: Scope) -> bool {
        let same = if M::CHECKS { scope.allowed() & !PARTICULAR } else { !PARTLY };
        self.present & !same == 0 && omitted == 0
    }

    /// All in order but these.
    fn but(&self, omitted: u64) -> impl Iterator<Item = Property<'a>> + use<'a> {
        self.iter().filter(move |property| property.id().bit() & omitted == 0)
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.present & !PARTLY == 0 && self.list.is_empty()
    }

    /// Refuses an empty Response Topic, which is no topic name [MQTT-4.7.3-1]. The packet calls this
    /// once it is read to its end, as what is malformed is reported first.
    #[inline]
    pub(crate) fn check_response_topic(&self) -> Result<(), Violation> {
        if self.present & PropertyId::ResponseTopic.bit() == 0 {
            return Ok(());
        }
        match self.response_topic() {
            Some(topic) if topic.is_empty() => Err(Violation::TopicNameEmpty),
            _ => Ok(()),
        }
    }

    /// Whether there is none when these are left out.
    #[inline]
    pub(crate) fn is_empty_without(&self, omitted: u64) -> bool {
        self.present & !(omitted | PARTLY) == 0
            && self.list.iter().all(|p| p.id().bit() & omitted != 0)
    }

    /// Whether there is one with this identifier.
    #[inline]
    #[must_use]
    pub fn contains(&self, id: PropertyId) -> bool {
        self.present & id.bit() != 0 || self.list.iter().any(|p| p.id() == id)
    }

    /// All properties in order.
    #[must_use]
    pub fn iter(&self) -> PropertyIter<'a> {
        PropertyIter { list: self.list, ..self.received() }
    }

    /// Those that were received.
    fn received(&self) -> PropertyIter<'a> {
        let wire = Reader::checked(self.wire, Version::V5);
        PropertyIter { wire, present: self.present, list: &[] }
    }

    /// These properties without those of this identifier that were received.
    #[must_use]
    pub const fn without(mut self, id: PropertyId) -> Self {
        if self.present & id.bit() != 0 {
            self.present = self.present & !id.bit() | PARTLY;
        }
        self
    }

    /// The list of those to be sent, without what was received.
    #[must_use]
    pub const fn list(&self) -> &'a [Property<'a>] {
        self.list
    }

    /// The properties that were received, and behind them this list in place of an earlier one.
    #[must_use]
    pub const fn with(mut self, list: &'a [Property<'a>]) -> Self {
        self.list = list;
        self
    }

    /// All User Properties in order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|p| match p {
            Property::UserProperty(pair) => Some(pair),
            _ => None,
        })
    }

    /// All Subscription Identifiers in order.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = SubscriptionId> + use<'a> {
        self.iter().filter_map(|p| match p {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        })
    }

    #[inline]
    fn find(&self, id: PropertyId) -> Option<Property<'a>> {
        if self.present & id.bit() != 0 {
            self.iter().find_received(id)
        } else {
            self.list.iter().find(|p| p.id() == id).copied()
        }
    }
}

/// Which properties a packet that is measured has, as bits. They are judged together at the end, since
/// nearly always all are as they must be.
#[derive(Clone, Copy)]
struct Bits {
    seen: u64,
    twice: u64,
}

impl Bits {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn add(&mut self, id: PropertyId) {
        self.twice |= self.seen & id.bit();
        self.seen |= id.bit();
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn check<M: Mode>(self, scope: Scope, sender: Sender) -> Result<(), Violation> {
        const ONCE: u64 = !PropertyId::UserProperty.bit();
        if !M::CHECKS || (self.seen & !scope.free() == 0 && self.twice & ONCE == 0) {
            return Ok(());
        }
        self.judge(scope, sender)
    }

    #[inline(never)]
    fn judge(self, scope: Scope, sender: Sender) -> Result<(), Violation> {
        let found = PropertyId::ALL.iter().filter(|id| self.seen & id.bit() != 0);
        let misplaced = found.map(|id| id.misplaced(scope, sender, self.twice));
        match misplaced.flatten().next().or_else(|| incomplete(self.seen)) {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }
}

/// The rule that a set of properties breaks by what is not in it.
fn incomplete(seen: u64) -> Option<Violation> {
    let has = |id: PropertyId| seen & id.bit() != 0;
    (has(PropertyId::AuthenticationData) && !has(PropertyId::AuthenticationMethod))
        .then_some(Violation::AuthDataWithoutMethod)
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> From<&'a [Property<'a>]> for Properties<'a> {
    fn from(list: &'a [Property<'a>]) -> Self {
        Self::EMPTY.with(list)
    }
}

impl PartialEq for Properties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Properties<'_> {}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterator over [`Properties`].
#[derive(Clone)]
pub struct PropertyIter<'a> {
    wire: Reader<'a>,
    present: u64,
    list: &'a [Property<'a>],
}

impl fmt::Debug for PropertyIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropertyIter").finish_non_exhaustive()
    }
}

impl<'a> PropertyIter<'a> {
    /// The next received one with this identifier; others are stepped over without reading them.
    fn find_received(&mut self, wanted: PropertyId) -> Option<Property<'a>> {
        while !self.wire.is_empty() {
            let id = PropertyId::from_value(self.wire.variable().ok()?)?;
            if id == wanted {
                return Property::read(id, &mut self.wire).ok();
            }
            value::skip(id, &mut self.wire).ok()?;
        }
        None
    }
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        // The span was checked when the packet was read: no read in here can fail.
        while !self.wire.is_empty() {
            let id = PropertyId::from_value(self.wire.variable().ok()?)?;
            if self.present & id.bit() != 0 {
                return Property::read(id, &mut self.wire).ok();
            }
            value::skip(id, &mut self.wire).ok()?;
        }
        let (first, rest) = self.list.split_first()?;
        self.list = rest;
        Some(*first)
    }
}
