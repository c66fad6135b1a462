//! Topic names, topic filters and how they match (sections 4.7 and 4.8).

use core::fmt;

use crate::wire::has_wildcard_or_nul;
use crate::{Version, Violation};

/// A Topic Name: at least one character, no wildcard, no U+0000, at most 65,535 bytes (section 4.7.3).
///
/// ```
/// use mqtt_codec::{TopicName, Violation};
/// assert!(TopicName::new("residence/kitchen/temperature").is_ok());
/// assert_eq!(TopicName::new("residence/+"), Err(Violation::TopicNameWildcard));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// No name: what a PUBLISH of version 5 carries when its Topic Alias stands for the name
    /// (section 3.3.2.3.4). No other use of it can be encoded.
    pub const ALIASED: Self = Self("");

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
        } else if !has_wildcard_or_nul(name.as_bytes()) {
            Ok(Self(name))
        } else if name.contains('\0') {
            Err(Violation::StringHasNul)
        } else {
            Err(Violation::TopicNameWildcard)
        }
    }

    /// A name that was checked while it was read.
    #[inline]
    pub(crate) const fn checked(name: &'a str) -> Self {
        Self(name)
    }

    /// The name as text.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'a str {
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
        self.0.split('/')
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a str);

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
            Self::check(filter, version)
        }
    }

    /// Checks all that is particular to filters. The string was checked before.
    pub(crate) fn check(text: &'a str, version: Version) -> Result<Self, Violation> {
        let mut filter = text;
        if let (true, Some(shared)) = (version.has_properties(), text.strip_prefix("$share/")) {
            let Some((name, rest)) = shared.split_once('/') else {
                return Err(match shared {
                    "" => Violation::ShareNameEmpty,
                    _ => Violation::ShareFilterMissing,
                });
            };
            if name.is_empty() {
                return Err(Violation::ShareNameEmpty);
            }
            if name.contains(['+', '#']) {
                return Err(Violation::ShareNameWildcard);
            }
            if rest.is_empty() {
                return Err(Violation::ShareFilterMissing);
            }
            filter = rest;
        }
        if filter.is_empty() {
            return Err(Violation::TopicFilterEmpty);
        }
        let bytes = filter.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            if !matches!(byte, b'+' | b'#') {
                continue;
            }
            let starts_level = i == 0 || bytes.get(i - 1) == Some(&b'/');
            let next = bytes.get(i + 1);
            if *byte == b'#' && !(starts_level && next.is_none()) {
                return Err(Violation::TopicFilterHash);
            }
            if *byte == b'+' && !(starts_level && matches!(next, None | Some(b'/'))) {
                return Err(Violation::TopicFilterPlus);
            }
        }
        Ok(Self(text))
    }

    /// The filter as text, with `$share/NAME/` if it has that.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// ShareName and filter, if this is the filter of a Shared Subscription of version 5.
    #[must_use]
    pub fn shared(self) -> Option<SharedFilter<'a>> {
        let (name, filter) = self.0.strip_prefix("$share/")?.split_once('/')?;
        Some(SharedFilter { name, filter: Self(filter) })
    }

    /// Its levels, in order, `$share` and the ShareName included.
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/')
    }

    /// Whether it has a `+` or a `#` (section 4.7.1).
    #[must_use]
    pub fn has_wildcard(self) -> bool {
        self.0.contains(['+', '#'])
    }

    /// Whether it matches this name (section 4.7): level by level, byte by byte. A filter that
    /// begins with a wildcard matches no name that begins with `$` \[MQTT-4.7.2-1]. The filter of a
    /// Shared Subscription is matched by [`SharedFilter::filter`]; here `$share` is a level as any.
    #[must_use]
    pub fn matches(self, name: TopicName<'_>) -> bool {
        if self.0.starts_with(['+', '#']) && name.0.starts_with('$') {
            return false;
        }
        let mut names = name.levels();
        for level in self.levels() {
            match (level, names.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
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
