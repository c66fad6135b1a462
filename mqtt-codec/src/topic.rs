//! Topic names, topic filters and how they match (sections 4.7 and 4.8).

use core::fmt;

use crate::wire::{Wildcards, is_plain, is_wildcard};
use crate::{Text, Version, Violation};

/// A Topic Name: at least one character, no wildcard, no U+0000, at most 65,535 bytes (section 4.7.3).
///
/// ```
/// use mqtt_codec::{TopicName, Violation};
/// assert!(TopicName::new("residence/kitchen/temperature").is_ok());
/// assert_eq!(TopicName::new("residence/+"), Err(Violation::TopicNameWildcard));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a [u8]);

impl<'a> TopicName<'a> {
    /// No name: what a PUBLISH of version 5 carries when its Topic Alias stands for the name
    /// (section 3.3.2.3.4). No other use of it can be encoded.
    pub const ALIASED: Self = Self(b"");

    /// The name, if it is one.
    ///
    /// # Errors
    /// Empty \[MQTT-4.7.3-1], U+0000 \[MQTT-4.7.3-2], a wildcard \[MQTT-3.3.2-2], or too long
    /// \[MQTT-4.7.3-3].
    pub fn new(name: &'a str) -> Result<Self, Violation> {
        if name.is_empty() {
            Err(Violation::TopicNameEmpty)
        } else if name.len() > usize::from(u16::MAX) {
            Err(Violation::TopicTooLong)
        } else if is_plain(name.as_bytes(), Wildcards::Found) {
            Ok(Self(name.as_bytes()))
        } else if name.contains('\0') {
            Err(Violation::StringHasNul)
        } else if has_wildcard(name.as_bytes()) {
            Err(Violation::TopicNameWildcard)
        } else {
            Ok(Self(name.as_bytes()))
        }
    }

    /// A name that was checked while it was read.
    #[inline]
    pub(crate) const fn checked(name: &'a [u8]) -> Self {
        Self(name)
    }

    /// The name as text.
    ///
    /// Costs as much as [`Text::as_str`]. Where bytes do, take [`TopicName::as_bytes`].
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        Text::checked(self.0).as_str()
    }

    /// The name as bytes of UTF-8.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether this is [`TopicName::ALIASED`].
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Its levels, in order. `"a//b"` has three, the second of them empty (section 4.7.1.1).
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.as_str().split('/')
    }
}

/// A Topic Filter: a topic name in which levels may be wildcards (section 4.7), or in version 5
/// such a filter behind `$share/NAME/` (section 4.8.2).
///
/// ```
/// use mqtt_codec::{TopicFilter, TopicName};
/// let filter = TopicFilter::new("residence/+/temperature").unwrap();
/// assert!(filter.matches(TopicName::new("residence/kitchen/temperature").unwrap()));
/// assert!(TopicFilter::new("residence/#/temperature").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a [u8]);

/// The parts of a Shared Subscription's filter (section 4.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedFilter<'a> {
    /// The ShareName.
    pub name: &'a str,
    /// The filter that topic names are matched against.
    pub filter: TopicFilter<'a>,
}

impl<'a> TopicFilter<'a> {
    /// The filter, if it is one by the rules of version 5, which know Shared Subscriptions.
    ///
    /// # Errors
    /// Empty, U+0000 or too long \[MQTT-4.7.3-1] to \[MQTT-4.7.3-3], a misplaced wildcard
    /// \[MQTT-4.7.1-1], \[MQTT-4.7.1-2], or a bad Shared Subscription \[MQTT-4.8.2-1],
    /// \[MQTT-4.8.2-2].
    pub fn new(filter: &'a str) -> Result<Self, Violation> {
        Self::for_version(filter, Version::V5)
    }

    /// The filter, if it is one in this version. Before version 5, `$share/` has no meaning.
    ///
    /// # Errors
    /// As [`TopicFilter::new`].
    pub fn for_version(filter: &'a str, version: Version) -> Result<Self, Violation> {
        if filter.len() > usize::from(u16::MAX) {
            Err(Violation::TopicTooLong)
        } else if filter.as_bytes().contains(&0) {
            Err(Violation::StringHasNul)
        } else {
            Self::check(filter.as_bytes(), version)
        }
    }

    /// A filter that was checked while it was read.
    #[inline]
    pub(crate) const fn checked(filter: &'a [u8]) -> Self {
        Self(filter)
    }

    /// Checks all that is particular to filters. That it is a string was checked before.
    pub(crate) fn check(bytes: &'a [u8], version: Version) -> Result<Self, Violation> {
        let mut filter = bytes;
        if let (true, Some(shared)) = (version.has_properties(), bytes.strip_prefix(SHARE)) {
            filter = check_share(shared)?;
        }
        if filter.is_empty() {
            return Err(Violation::TopicFilterEmpty);
        }
        if !is_plain(filter, Wildcards::Found) {
            check_wildcards(filter)?;
        }
        Ok(Self(bytes))
    }

    /// Refuses a filter that was made for a version without Shared Subscriptions and is none in the
    /// version that it is written in.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn admit(self, version: Version) -> Result<(), Violation> {
        match self.0 {
            [b'$', ..] if version.has_properties() => self.admit_special(),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn admit_special(self) -> Result<(), Violation> {
        self.0.strip_prefix(SHARE).map_or(Ok(()), |shared| check_share(shared).map(drop))
    }

    /// The filter as text, with `$share/NAME/` if it has that. Costs as much as
    /// [`Text::as_str`].
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        Text::checked(self.0).as_str()
    }

    /// The filter as bytes of UTF-8, with `$share/NAME/` if it has that.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// ShareName and filter, if this is the filter of a Shared Subscription of version 5.
    #[must_use]
    pub fn shared(self) -> Option<SharedFilter<'a>> {
        let (name, filter) = split_level(self.0.strip_prefix(SHARE)?)?;
        Some(SharedFilter { name: Text::checked(name).as_str(), filter: Self(filter) })
    }

    /// Its levels, in order, `$share` and the ShareName included.
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.as_str().split('/')
    }

    /// Whether it has a `+` or a `#` (section 4.7.1).
    #[must_use]
    pub fn has_wildcard(self) -> bool {
        has_wildcard(self.0)
    }

    /// Whether it matches this name (section 4.7): level by level, byte by byte. A filter that
    /// begins with a wildcard matches no name that begins with `$` \[MQTT-4.7.2-1]. The filter of a
    /// Shared Subscription is matched by [`SharedFilter::filter`]; here `$share` is a level as any.
    #[must_use]
    pub fn matches(self, name: TopicName<'_>) -> bool {
        if matches!((self.0, name.0), ([b'+' | b'#', ..], [b'$', ..])) {
            return false;
        }
        let mut names = name.0.split(|byte| *byte == b'/');
        for level in self.0.split(|byte| *byte == b'/') {
            match (level, names.next()) {
                (b"#", _) => return true,
                (b"+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

/// What the filter of a Shared Subscription begins with (section 4.8.2).
const SHARE: &[u8] = b"$share/";

/// The first level and what is behind its `/`.
fn split_level(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'/')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn has_wildcard(bytes: &[u8]) -> bool {
    bytes.iter().copied().any(is_wildcard)
}

/// The filter behind `$share/NAME/`, if there are both.
fn check_share(shared: &[u8]) -> Result<&[u8], Violation> {
    match split_level(shared) {
        None if shared.is_empty() => Err(Violation::ShareNameEmpty),
        None => Err(Violation::ShareFilterMissing),
        Some(([], _)) => Err(Violation::ShareNameEmpty),
        Some((name, _)) if has_wildcard(name) => Err(Violation::ShareNameWildcard),
        Some((_, [])) => Err(Violation::ShareFilterMissing),
        Some((_, filter)) => Ok(filter),
    }
}

/// Refuses a wildcard that shares its level, and a `#` that is not the last.
fn check_wildcards(filter: &[u8]) -> Result<(), Violation> {
    let mut rest = filter;
    while let Some(at) = rest.iter().position(|byte| is_wildcard(*byte)) {
        let (before, from) = rest.split_at(at);
        // What is behind an earlier `+` begins with its `/`.
        let starts_level = matches!(before, [] | [.., b'/']);
        match from {
            [b'#'] if starts_level => return Ok(()),
            [b'#', ..] => return Err(Violation::TopicFilterHash),
            [_, behind @ ..] if starts_level && matches!(behind, [] | [b'/', ..]) => rest = behind,
            _ => return Err(Violation::TopicFilterPlus),
        }
    }
    Ok(())
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicName").field(&self.as_str()).finish()
    }
}

impl fmt::Debug for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TopicFilter").field(&self.as_str()).finish()
    }
}

impl<'a> TryFrom<&'a str> for TopicName<'a> {
    type Error = Violation;

    fn try_from(name: &'a str) -> Result<Self, Violation> {
        Self::new(name)
    }
}

impl<'a> TryFrom<&'a str> for TopicFilter<'a> {
    type Error = Violation;

    fn try_from(filter: &'a str) -> Result<Self, Violation> {
        Self::new(filter)
    }
}
