//! Properties of version 5 (section 2.2.2).

use core::fmt;

use crate::packet::FAST;
use crate::wire::{Encode, MAX_VARIABLE, Measure, Mode, Reader, Sink, Write};
use crate::{DecodeError, EncodeError, Rules, Sender, Version, Violation};

mod table;
mod value;
pub(crate) use table::OMITTABLE;
use table::{Bits, PARTICULAR, incomplete};
pub use table::{Property, PropertyId, Scope};
pub use value::SubscriptionId;
pub(crate) use value::ValueKind;

/// Properties of a packet. Those that were received are a checked span of the packet, read when they
/// are asked for; those to be sent are a slice. Both may be joined: a server passes on what it
/// received, less what was meant for itself, plus what it adds. Those that are sent again and again
/// are best laid out once, by [`Rules::lay_out`], and then are a checked span too.
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
    /// Those of `wire` that count, as bits, [`PARTLY`] if some do not, and [`LISTED`] if there is a list.
    present: u64,
}

/// Stands in `Properties::present` among the bits of the identifiers, none of which is 0. A
/// field of its own would keep the compiler from moving the whole in one go.
const PARTLY: u64 = 1;

/// Stands in `Properties::present` beyond the bits of the identifiers: one look shows whether there
/// is any property.
const LISTED: u64 = 1 << 63;

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self { wire: &[], list: &[], present: 0 };

    /// Property Length and properties, all checked.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        if !reader.version().has_properties() {
            return Ok(Self::EMPTY);
        }
        let start = reader.position();
        let len = reader.variable()?;
        if len == 0 {
            return Ok(Self::EMPTY);
        }
        let wire = reader
            .bytes(len as usize)
            .map_err(|_| reader.fail_at(start, Violation::PropertyLength))?;
        if FAST && !reader.rules.policy.checks_strings() {
            if let Some(present) = Self::check_quickly(wire, reader.rules.sender, scope) {
                return Ok(Self { wire, list: &[], present });
            }
        }
        let present = Self::check(reader.again(wire), scope)?;
        Ok(Self { wire, list: &[], present })
    }

    /// As [`Properties::check`] by the default policy, but does not tell what is wrong. That takes a
    /// third less, as nothing is kept at hand for an error.
    #[inline(never)]
    fn check_quickly(wire: &[u8], sender: Sender, scope: Scope) -> Option<u64> {
        Self::walk(Reader::new(wire, Rules::new(Version::V5, sender)), scope).ok()
    }

    /// Checks all that is left in `reader`; returns what there is, as bits.
    #[cfg_attr(target_pointer_width = "64", cold)]
    #[inline(never)]
    fn check(reader: Reader<'_>, scope: Scope) -> Result<u64, DecodeError> {
        Self::walk(reader, scope)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn walk(mut reader: Reader<'_>, scope: Scope) -> Result<u64, DecodeError> {
        let (first, allowed) = (reader.position(), scope.allowed());
        let mut seen = 0;
        while !reader.is_empty() {
            let start = reader.position();
            let value = reader.variable()?;
            if value >= u64::BITS || allowed & 1 << value == 0 {
                return Err(reader.fail_at(
                    start,
                    match PropertyId::from_value(value) {
                        Some(_) => Violation::PropertyNotAllowed,
                        None => Violation::PropertyUnknown,
                    },
                ));
            }
            let bit = 1 << value;
            Property::check(value, &mut reader).map_err(|error| match error.violation {
                Violation::PropertyZero if bit == PropertyId::TopicAlias.bit() => {
                    reader.fail_at(error.offset as usize, Violation::TopicAliasZero)
                }
                _ => error,
            })?;
            // What is malformed is reported before what is against the protocol.
            if (seen | scope.one_sided()) & bit != 0 {
                // Nearly always it is the first of its kind, and may come from either side.
                let misplaced = PropertyId::from_value(value)
                    .and_then(|id| id.misplaced(scope, reader.rules.sender, seen));
                if let Some(violation) = misplaced {
                    return Err(reader.fail_at(start, violation));
                }
            }
            seen |= bit;
        }
        if let Some(violation) = incomplete(seen, scope) {
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
            return sink.u8(0); // [MQTT-2.2.2-1]
        }
        sink.properties(self, scope)
    }

    /// About what they take, in bytes: a list is walked for that when it is written.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) const fn guess(&self) -> usize {
        self.wire.len() + 16 * self.list.len()
    }

    /// The bytes that they are, if that is all, and by the default policy they may stand there.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) const fn as_bytes(&self, scope: Scope) -> Option<&'a [u8]> {
        if self.present & !scope.plain() == 0 { Some(self.wire) } else { None }
    }

    /// Checks those properties that count and writes them to the front of `room` at once; returns their
    /// length in bytes. `None`: they break a rule, or there is no room for them. The policy takes
    /// strings as they are.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn put_at_once(
        &self,
        room: &mut [u8],
        sender: Sender,
        scope: Scope,
    ) -> Option<usize> {
        if self.present != LISTED {
            return self.put_received(room, sender, scope);
        }
        let (len, seen) = put_list(self.list, room);
        if seen & !scope.plain() != 0 && !may_stand(self.list, seen, sender, scope) {
            return None;
        }
        Some(len)
    }

    /// As [`Self::put`] of what was received, at once.
    #[inline(never)]
    fn put_received(&self, room: &mut [u8], sender: Sender, scope: Scope) -> Option<usize> {
        self.put::<Encode>(room, &Rules::new(Version::V5, sender), 0, scope)
            .ok()
            .map(|len| len as usize)
    }

    /// Puts those properties that count; returns their length in bytes.
    #[inline]
    pub(crate) fn put<M: Mode>(
        &self,
        room: &mut [u8],
        rules: &Rules,
        omitted: u64,
        scope: Scope,
    ) -> Result<u32, Violation> {
        let (received, strict) =
            (self.present & !LISTED, M::CHECKS && rules.policy.checks_strings());
        if strict || (received | omitted != 0 && !self.is_whole::<M>(omitted, scope)) {
            return self.put_each::<M>(room, rules, omitted, scope);
        }
        let free = room.len();
        let mut sink = Sink::<M>::new(room, Rules::PLAIN, Version::V5, 0, Default::default());
        let mut bits = Bits::of(received);
        if received != 0 {
            sink.bytes(self.wire)?;
        }
        for property in self.list {
            property.emit(&mut sink, &mut bits)?;
        }
        bits.check::<M>(scope, rules.sender)?;
        Ok(sink.clamped_len(free))
    }

    /// The same properties as bytes in `buffer`: see [`Rules::lay_out`].
    pub(crate) fn lay_out<'b>(
        &self,
        rules: &Rules,
        scope: Scope,
        buffer: &'b mut [u8],
    ) -> Result<Properties<'b>, EncodeError> {
        let needed = self.put::<Measure>(&mut [], rules, 0, scope)?;
        if needed == MAX_VARIABLE {
            return Err(EncodeError::TooLarge { size: needed.into(), limit: MAX_VARIABLE - 1 });
        }
        let needed = needed as usize;
        let room = buffer.get_mut(..needed).ok_or(EncodeError::NoRoom { needed })?;
        self.put::<Write>(room, rules, 0, scope)?;
        let present = self.iter().fold(0, |present, property| present | property.id().bit());
        Ok(Properties { wire: room, list: &[], present })
    }

    #[inline(never)]
    fn put_each<M: Mode>(
        &self,
        room: &mut [u8],
        rules: &Rules,
        omitted: u64,
        scope: Scope,
    ) -> Result<u32, Violation> {
        let free = room.len();
        let mut sink = Sink::<M>::new(room, rules, Version::V5, omitted, Default::default());
        let mut bits = Bits::of(0);
        self.but(omitted).try_for_each(|property| property.emit(&mut sink, &mut bits))?;
        bits.check::<M>(scope, rules.sender)?;
        Ok(sink.clamped_len(free))
    }

    /// Whether what was received is put as it is: all of it, and if it is to be checked, as it was
    /// checked already. It needs it again if it stood elsewhere, or came from the other side.
    #[inline]
    const fn is_whole<M: Mode>(&self, omitted: u64, scope: Scope) -> bool {
        let same = if M::CHECKS { scope.allowed() & !PARTICULAR } else { !PARTLY };
        self.present & !(same | LISTED) == 0 && omitted == 0
    }

    /// All in order but these.
    fn but(&self, omitted: u64) -> impl Iterator<Item = Property<'a>> + use<'a> {
        self.iter().filter(move |property| property.id().bit() & omitted == 0)
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.present & !PARTLY == 0
    }

    /// Refuses an empty Response Topic, which is no topic name [MQTT-4.7.3-1]. The packet calls this
    /// once it is read to its end, as what is malformed is reported first.
    #[inline]
    pub(crate) fn check_response_topic(&self) -> Result<(), Violation> {
        if self.present & PropertyId::ResponseTopic.bit() == 0 {
            return Ok(());
        }
        // As with `Policy::admits_payload`.
        let properties = *self;
        match properties.response_topic() {
            Some(topic) if topic.is_empty() => Err(Violation::TopicNameEmpty),
            _ => Ok(()),
        }
    }

    /// Whether there is none when these are left out.
    #[inline]
    pub(crate) fn is_empty_without(&self, omitted: u64) -> bool {
        self.present & !(omitted | PARTLY | LISTED) == 0
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
        self.present = self.present & !LISTED | if list.is_empty() { 0 } else { LISTED };
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

/// Stands for which properties there are where there is no room for them, or they are refused
/// wherever they stand.
const REFUSED: u64 = u64::MAX;

/// Checks these properties, but not whether they may stand there, and writes them to the front of
/// `room`; returns their length in bytes and which there are, as bits, or [`REFUSED`].
// That it is no error, and how little it is handed, lets all of it be in registers.
#[inline(never)]
fn put_list(list: &[Property<'_>], room: &mut [u8]) -> (usize, u64) {
    let free = room.len();
    let mut sink = Sink::<Encode>::new(room, Rules::PLAIN, Version::V5, 0, Default::default());
    let mut bits = Bits::of(0);
    for property in list {
        if property.emit(&mut sink, &mut bits).is_err() {
            return (0, REFUSED);
        }
    }
    (sink.written(free) as usize, bits.seen())
}

/// Whether these properties may stand there, of which [`put_list`] has found that none is twice, the
/// Subscription Identifier excepted.
#[cold]
#[inline(never)]
fn may_stand(list: &[Property<'_>], seen: u64, sender: Sender, scope: Scope) -> bool {
    let mut bits = Bits::of(seen & !PARTICULAR);
    for property in list {
        if property.id().bit() & PARTICULAR != 0 {
            bits.count(property.id());
        }
    }
    seen != REFUSED && bits.check::<Measure>(scope, sender).is_ok()
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
