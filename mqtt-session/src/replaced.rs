//! A message's properties with one of our own among them.

use core::num::NonZeroU16;

use mqtt_codec::{Properties, Property};

/// The most properties of a caller's list that are taken over.
const MOST: usize = 15;

/// The list of some properties, with one more or in place of that of its kind.
pub(crate) struct Replaced<'p> {
    properties: Properties<'p>,
    list: [Property<'p>; MOST + 1],
    len: usize,
}

impl<'p> Replaced<'p> {
    /// `None` where a caller's list is too long.
    pub(crate) fn new(properties: Properties<'p>, property: Property<'p>) -> Option<Self> {
        let own = properties.list();
        let mut list = [Property::TopicAlias(NonZeroU16::MIN); MOST + 1];
        list.get_mut(..own.len()).filter(|_| own.len() <= MOST)?.copy_from_slice(own);
        let place = own.iter().position(|other| other.id() == property.id()).unwrap_or(own.len());
        *list.get_mut(place)? = property;
        let len = own.len().max(place + 1);
        Some(Self { properties: properties.without(property.id()), list, len })
    }

    pub(crate) fn properties(&self) -> Properties<'_> {
        self.properties.with(self.list.get(..self.len).unwrap_or_default())
    }
}
