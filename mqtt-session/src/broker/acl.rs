//! Who may use which topics, as a list.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashMap;
use mqtt_codec::{TopicFilter, TopicName, Version};

/// Who may publish and subscribe to what: a list of rules in the format of mosquitto's `acl_file`.
///
/// Each line is a rule, a comment that begins with `#`, or empty:
///
/// - `topic [read|write|readwrite|deny] FILTER` is for the user that a line `user NAME` names before it;
///   without one it is for clients that have no user name.
/// - `pattern [read|write|readwrite|deny] FILTER` is for every client. In its filter `%c` stands for the
///   client identifier and `%u` for the user name.
///
/// A client may publish to a topic that one of its rules for writing matches, and subscribe to a filter
/// if one of its rules for reading matches all that the filter does. What a rule says `deny` to it may
/// not, whatever the others say, and what no rule allows it may not either.
///
/// A name that would be more than a part of one level (with `+`, `#` or `/` in it, or empty, or with `$`
/// where a topic begins) stands for nothing: patterns allow such a client nothing, and those that deny
/// hold for any name in its place.
///
/// ```
/// use mqtt_codec::{TopicFilter, TopicName};
/// use mqtt_session::broker::Acl;
///
/// let acl = Acl::parse("pattern write sensors/%c/#\nuser ann\ntopic read sensors/#")?;
/// let topic = TopicName::new("sensors/s7/temperature")?;
/// assert!(acl.may_publish("s7", None, topic));
/// assert!(!acl.may_publish("s8", None, topic));
/// assert!(acl.may_subscribe("any", Some("ann"), TopicFilter::new("sensors/+/temperature")?));
/// assert!(!acl.may_subscribe("any", Some("ann"), TopicFilter::new("#")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Acl {
    /// For clients without a user name.
    anonymous: Vec<Rule>,
    users: HashMap<Box<str>, Vec<Rule>>,
    /// For everybody.
    patterns: Vec<Rule>,
}

/// A line of an [`Acl`] that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AclError {
    /// Its number, from 1.
    pub line: usize,
    reason: &'static str,
}

impl fmt::Display for AclError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl core::error::Error for AclError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    ReadWrite,
    Deny,
}

#[derive(Clone, Debug)]
struct Rule {
    right: Right,
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
enum Level {
    Plain(Box<str>),
    /// With `%c` or `%u` in it.
    Pattern(Box<str>),
    Plus,
    Hash,
}

/// For whom a pattern is looked at.
#[derive(Clone, Copy)]
struct Names<'n> {
    client_id: &'n str,
    user_name: Option<&'n str>,
}

/// How a level of a rule fits a level of a topic or filter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// A name cannot stand in this pattern.
    Unfit,
}

impl Acl {
    /// Reads the rules.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Self, AclError> {
        let mut acl = Self::default();
        let mut user: Option<Box<str>> = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |reason| AclError { line: index + 1, reason };
            let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let rest = rest.trim();
            if rest.is_empty() {
                return Err(fail("something is missing"));
            }
            match word {
                "user" => {
                    acl.users.entry(rest.into()).or_default();
                    user = Some(rest.into());
                }
                "topic" => {
                    let rule = Rule::parse(rest, false).map_err(fail)?;
                    match &user {
                        Some(user) => acl.users.entry(user.clone()).or_default().push(rule),
                        None => acl.anonymous.push(rule),
                    }
                }
                "pattern" => acl.patterns.push(Rule::parse(rest, true).map_err(fail)?),
                _ => return Err(fail("neither topic, pattern nor user")),
            }
        }
        Ok(acl)
    }

    /// Whether this client may publish to this topic.
    #[must_use]
    pub fn may_publish(
        &self,
        client_id: &str,
        user_name: Option<&str>,
        topic: TopicName<'_>,
    ) -> bool {
        let names = Names { client_id, user_name };
        self.decide(user_name, |rule| match rule.right {
            Right::Write | Right::ReadWrite => rule.covers(topic.as_str(), names),
            Right::Deny => rule.overlaps(topic.as_str(), names),
            Right::Read => false,
        })
    }

    /// Whether this client may subscribe to this filter; of a Shared Subscription to the filter that is
    /// shared.
    #[must_use]
    pub fn may_subscribe(
        &self,
        client_id: &str,
        user_name: Option<&str>,
        filter: TopicFilter<'_>,
    ) -> bool {
        let names = Names { client_id, user_name };
        let filter = explicit(filter.shared().map_or(filter, |shared| shared.filter).as_str());
        self.decide(user_name, |rule| match rule.right {
            Right::Read | Right::ReadWrite => rule.covers(filter, names),
            Right::Deny => rule.overlaps(filter, names),
            Right::Write => false,
        })
    }

    /// Whether a rule that applies allows it and none denies it.
    fn decide(&self, user_name: Option<&str>, mut applies: impl FnMut(&Rule) -> bool) -> bool {
        let own = match user_name {
            Some(name) => self.users.get(name).map_or(&[][..], |rules| rules),
            None => &self.anonymous,
        };
        let mut allowed = false;
        for rule in own.iter().chain(&self.patterns).filter(|rule| applies(rule)) {
            if rule.right == Right::Deny {
                return false;
            }
            allowed = true;
        }
        allowed
    }
}

impl Rule {
    fn parse(text: &str, is_pattern: bool) -> Result<Self, &'static str> {
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let (right, filter) = match word {
            "read" => (Right::Read, rest.trim()),
            "write" => (Right::Write, rest.trim()),
            "readwrite" => (Right::ReadWrite, rest.trim()),
            "deny" => (Right::Deny, rest.trim()),
            _ => (Right::ReadWrite, text),
        };
        // A rule about `$share/...` is one about topics of that name.
        TopicFilter::for_version(filter, Version::V311).map_err(|_| "no topic filter")?;
        let levels = explicit(filter).split('/').map(|level| match level {
            "+" => Level::Plus,
            "#" => Level::Hash,
            _ if is_pattern && (level.contains("%c") || level.contains("%u")) => {
                Level::Pattern(level.into())
            }
            _ => Level::Plain(level.into()),
        });
        Ok(Self { right, levels: levels.collect() })
    }

    /// Whether it matches every topic that the filter, or topic, matches.
    fn covers(&self, filter: &str, names: Names<'_>) -> bool {
        if self.hides(filter) {
            return false;
        }
        let mut theirs = filter.split('/');
        for (index, level) in self.levels.iter().enumerate() {
            let their = theirs.next();
            let fits = match (level, their) {
                (Level::Hash, _) => return true,
                (_, None) => false,
                (Level::Plus, Some(their)) => their != "#",
                (level, Some(their)) => level.fit(their, names, index == 0) == Fit::Yes,
            };
            if !fits {
                return false;
            }
        }
        theirs.next().is_none()
    }

    /// Whether it matches any topic that the filter, or topic, matches.
    fn overlaps(&self, filter: &str, names: Names<'_>) -> bool {
        if self.hides(filter) {
            return false;
        }
        let mut theirs = filter.split('/');
        for (index, level) in self.levels.iter().enumerate() {
            match (level, theirs.next()) {
                (Level::Hash, _) | (_, Some("#")) => return true,
                (_, None) => return false,
                (Level::Plus, Some(_)) | (_, Some("+")) => {}
                (level, Some(their)) => match level.fit(their, names, index == 0) {
                    Fit::Yes => {}
                    Fit::No => return false,
                    // Whatever the name was meant to keep from the client, it does.
                    Fit::Unfit => return true,
                },
            }
        }
        matches!(theirs.next(), None | Some("#"))
    }

    /// Whether one of the two begins with a wildcard and the other with `$` [MQTT-4.7.2-1].
    fn hides(&self, filter: &str) -> bool {
        match self.levels.first() {
            Some(Level::Plus | Level::Hash) => filter.starts_with('$'),
            Some(Level::Plain(level)) => level.starts_with('$') && filter.starts_with(['+', '#']),
            _ => false,
        }
    }
}

impl Level {
    /// Whether it is this level, which is no wildcard.
    fn fit(&self, their: &str, names: Names<'_>, is_first: bool) -> Fit {
        match self {
            Self::Plain(level) if **level == *their => Fit::Yes,
            Self::Pattern(pattern) => names.fit(pattern, their, is_first),
            _ => Fit::No,
        }
    }
}

impl Names<'_> {
    /// Whether the level is what the pattern stands for.
    fn fit(self, pattern: &str, their: &str, is_first: bool) -> Fit {
        let mut left = Some(their);
        let mut is_start = is_first;
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('%') {
            left = left.and_then(|left| left.strip_prefix(before));
            is_start &= before.is_empty();
            let name = match after.as_bytes().first() {
                Some(b'c') => Some(self.client_id),
                Some(b'u') => self.user_name,
                _ => {
                    left = left.and_then(|left| left.strip_prefix('%'));
                    is_start = false;
                    rest = after;
                    continue;
                }
            };
            // What it holds must not widen what the pattern allows.
            let Some(name) = name.filter(|name| is_part_of_level(name, is_start)) else {
                return Fit::Unfit;
            };
            left = left.and_then(|left| left.strip_prefix(name));
            is_start = false;
            rest = after.get(1..).unwrap_or_default();
        }
        if left == Some(rest) { Fit::Yes } else { Fit::No }
    }
}

/// `/#` in words that say all: the empty name, which it would match too, is no topic [MQTT-4.7.3-1].
fn explicit(filter: &str) -> &str {
    if filter == "/#" { "/+/#" } else { filter }
}

fn is_part_of_level(name: &str, is_start: bool) -> bool {
    let is_special = is_start && name.starts_with('$');
    !name.is_empty() && !name.contains(['+', '#', '/', '\0']) && !is_special
}
