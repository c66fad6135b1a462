//! Lists inside a packet: the filters of SUBSCRIBE and UNSUBSCRIBE, the codes of their answers.

use core::fmt;

use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, ReasonCode, TopicFilter, Version, Violation};

/// What a [`List`] holds: [`Subscription`](crate::Subscription), [`TopicFilter`] or [`ReasonCode`].
/// Sealed, as what it reads and writes with cannot be named elsewhere.
pub trait Element<'a>: Copy {
    #[doc(hidden)]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
    #[doc(hidden)]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation>;
}

/// A list in a packet. One that was received is a checked span of the packet, read as it is walked;
/// one to be sent is a slice.
///
/// ```
/// use mqtt_codec::{List, ReasonCode};
/// let codes = [ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized];
/// let list = List::from(&codes[..]);
/// assert_eq!(list.len(), 2);
/// assert!(list.iter().eq(codes));
/// ```
#[derive(Clone, Copy)]
pub struct List<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Wire { bytes: &'a [u8], version: Version },
    Items(&'a [T]),
}

impl<'a, T: Element<'a>> List<'a, T> {
    /// The list without elements.
    pub const EMPTY: Self = Self(Source::Items(&[]));

    /// Reads elements to the end of the packet, checking each.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        check: impl Fn(&T) -> Result<(), Violation>,
    ) -> Result<Self, DecodeError> {
        let start = reader.clone();
        while !reader.is_empty() {
            let at = reader.position();
            let element = T::read(reader)?;
            check(&element).map_err(|violation| reader.fail_at(at, violation))?;
        }
        Ok(Self(Source::Wire { bytes: reader.since(&start), version: reader.version() }))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn emit(
        &self,
        sink: &mut Sink<'_, impl Mode>,
        check: impl Fn(&T) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        match self.0 {
            Source::Items(items) => {
                for element in items {
                    sink.demand(|_| check(element))?;
                    element.emit(sink)?;
                }
            }
            Source::Wire { .. } => {
                for element in self.iter() {
                    sink.demand(|_| check(&element))?;
                    element.emit(sink)?;
                }
            }
        }
        Ok(())
    }

    /// About what they take, in bytes, if each takes so many.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) const fn guess(&self, each: usize) -> usize {
        match self.0 {
            Source::Wire { bytes, .. } => bytes.len(),
            Source::Items(items) => each * items.len(),
        }
    }

    /// The elements in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a, T> {
        match self.0 {
            Source::Wire { bytes, version } => {
                ListIter { wire: Reader::checked(bytes, version), items: &[] }
            }
            Source::Items(items) => ListIter { wire: Reader::checked(&[], Version::V5), items },
        }
    }

    /// How many elements there are. Walks the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self.0 {
            Source::Wire { bytes, .. } => bytes.is_empty(),
            Source::Items(items) => items.is_empty(),
        }
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Source::Items(items))
    }
}

impl<'a, T: Element<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// Iterator over the elements of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a, T> {
    wire: Reader<'a>,
    items: &'a [T],
}

impl<T> fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListIter").finish_non_exhaustive()
    }
}

impl<'a, T: Element<'a>> ListIter<'a, T> {
    #[inline(never)]
    fn next_received(&mut self) -> Option<T> {
        // The span was checked when the packet was read.
        T::read(&mut self.wire).ok()
    }
}

impl<'a, T: Element<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Some((first, rest)) = self.items.split_first() {
            self.items = rest;
            return Some(*first);
        }
        if self.wire.is_empty() {
            return None;
        }
        self.next_received()
    }
}

impl<'a> Element<'a> for TopicFilter<'a> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.topic_filter()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.demand(|_| self.admit(sink.version))?;
        sink.topic([], self.as_bytes(), [])
    }
}

impl<'a> Element<'a> for ReasonCode {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.position();
        let value = reader.u8()?;
        Self::from_value(value).ok_or_else(|| reader.fail_at(at, Violation::SubAckReason))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.u8(match sink.version {
            Version::V5 => self.value(),
            // The only failure that 3.1.1 knows (3.1.1 section 3.9.3).
            _ if self.is_failure() => Self::UnspecifiedError.value(),
            _ => self.value(),
        })
    }
}
