//! Which messages a bridge carries, and by which names on the other side.

use mqtt_codec::{QoS, RetainHandling, Subscription, TopicFilter, TopicName};

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the other broker to this one.
    In,
    /// From this broker to the other one.
    Out,
    /// Both ways.
    Both,
}

/// A filter, and what topics have before it on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    /// Which way.
    pub direction: Direction,
    /// What of the topics behind their prefixes.
    pub pattern: String,
    /// The highest QoS of messages that go by it.
    pub qos: QoS,
    /// What topics have before the pattern on this broker.
    pub local_prefix: String,
    /// What they have there on the other one.
    pub remote_prefix: String,
    /// Whether RETAIN goes with them.
    pub retain: bool,
}

/// One of the two brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Local,
    Remote,
}

impl TopicRule {
    /// Whether it can be used.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        for prefix in [&self.local_prefix, &self.remote_prefix] {
            if prefix.contains(['+', '#', '\0']) {
                return Err("a prefix has no wildcards");
            }
        }
        for side in [Side::Local, Side::Remote] {
            let text = self.filter_text(side);
            match TopicFilter::new(&text) {
                Ok(filter) if filter.shared().is_some() || text.starts_with("$share/") => {
                    return Err("a bridge does not share what it subscribes to");
                }
                Ok(_) => {}
                Err(_) => return Err("prefix and pattern together are no topic filter"),
            }
        }
        Ok(())
    }

    const fn goes(&self, to: Side) -> bool {
        match to {
            Side::Remote => matches!(self.direction, Direction::Out | Direction::Both),
            Side::Local => matches!(self.direction, Direction::In | Direction::Both),
        }
    }

    fn prefix(&self, side: Side) -> &str {
        match side {
            Side::Local => &self.local_prefix,
            Side::Remote => &self.remote_prefix,
        }
    }

    fn filter_text(&self, side: Side) -> String {
        format!("{}{}", self.prefix(side), self.pattern)
    }
}

/// The rules for one way, in their order.
#[derive(Debug)]
pub(super) struct Way {
    to: Side,
    rules: Vec<(String, TopicRule)>,
}

/// A message that goes the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// The highest QoS with which it goes.
    pub(super) qos: QoS,
    /// Whether RETAIN goes with it.
    pub(super) retain: bool,
}

impl Way {
    pub(super) fn new(rules: &[TopicRule], to: Side) -> Self {
        let from = match to {
            Side::Local => Side::Remote,
            Side::Remote => Side::Local,
        };
        let rules = rules.iter().filter(|rule| rule.goes(to));
        let rules = rules.map(|rule| (rule.filter_text(from), rule.clone())).collect();
        Self { to, rules }
    }

    /// What to subscribe to where the messages come from: not what the bridge itself has published there,
    /// RETAIN as it was published, and retained messages once.
    pub(super) fn subscriptions(&self, maximum: QoS) -> Vec<Subscription<'_>> {
        let mut all: Vec<Subscription<'_>> = Vec::new();
        for (filter, rule) in &self.rules {
            let Ok(filter) = TopicFilter::new(filter) else { continue };
            let qos = rule.qos.min(maximum);
            match all.iter_mut().find(|other| other.filter == filter) {
                // Which of them a message goes by is found when it comes.
                Some(other) => other.qos = other.qos.max(qos),
                None => all.push(Subscription {
                    no_local: true,
                    retain_as_published: true,
                    retain_handling: RetainHandling::SendIfNew,
                    ..Subscription::new(filter, qos)
                }),
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The highest QoS of all rules.
    pub(super) fn highest_qos(&self) -> QoS {
        self.rules.iter().map(|(_, rule)| rule.qos).max().unwrap_or_default()
    }

    /// By how many bytes a name may become longer.
    pub(super) fn growth(&self) -> usize {
        let growth = |rule: &TopicRule| match self.to {
            Side::Local => rule.local_prefix.len().saturating_sub(rule.remote_prefix.len()),
            Side::Remote => rule.remote_prefix.len().saturating_sub(rule.local_prefix.len()),
        };
        self.rules.iter().map(|(_, rule)| growth(rule)).max().unwrap_or(0)
    }

    /// Puts the name on the other side of a message of this name in place of what `name` has. `None` if it
    /// does not go there.
    pub(super) fn map(&self, topic: TopicName<'_>, name: &mut String) -> Option<Mapped> {
        let from = match self.to {
            Side::Local => Side::Remote,
            Side::Remote => Side::Local,
        };
        self.rules.iter().find_map(|(filter, rule)| {
            if !TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic)) {
                return None;
            }
            // `a/#` matches `a`, which is not behind the prefix `a/`.
            let rest = topic.as_str().strip_prefix(rule.prefix(from))?;
            name.clear();
            name.push_str(rule.prefix(self.to));
            name.push_str(rest);
            let is_name = TopicName::new(name).is_ok_and(|name| !name.is_empty());
            is_name.then_some(Mapped { qos: rule.qos, retain: rule.retain })
        })
    }

    /// Whether a message of this name would go the way.
    pub(super) fn takes(&self, topic: TopicName<'_>) -> bool {
        let matches =
            |filter: &str| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic));
        self.rules.iter().any(|(filter, _)| matches(filter))
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{QoS, TopicName};

    use super::{Direction, Side, TopicRule, Way};

    fn rule(direction: Direction, pattern: &str, local: &str, remote: &str) -> TopicRule {
        TopicRule {
            direction,
            pattern: pattern.to_owned(),
            qos: QoS::AtLeastOnce,
            local_prefix: local.to_owned(),
            remote_prefix: remote.to_owned(),
            retain: true,
        }
    }

    fn map(way: &Way, topic: &str) -> Option<String> {
        let mut name = String::from("earlier");
        way.map(TopicName::new(topic).unwrap(), &mut name).map(|_| name)
    }

    #[test]
    fn names_change_their_prefix_by_the_first_rule_that_matches() {
        let rules = [
            rule(Direction::Out, "a/+", "in/", "out/"),
            rule(Direction::Both, "#", "in/", ""),
            rule(Direction::In, "x", "", ""),
        ];
        let (out, into) = (Way::new(&rules, Side::Remote), Way::new(&rules, Side::Local));
        assert_eq!(map(&out, "in/a/b").as_deref(), Some("out/a/b"));
        assert_eq!(map(&out, "in/a/b/c").as_deref(), Some("a/b/c"));
        assert_eq!(map(&out, "in"), None, "it is not behind the prefix");
        assert_eq!(map(&out, "in/"), None, "no name would be left");
        assert_eq!(map(&out, "other"), None);
        assert_eq!(map(&into, "a/b").as_deref(), Some("in/a/b"));
        assert_eq!(map(&into, "$SYS/a"), None);
        assert_eq!(map(&into, "x").as_deref(), Some("in/x"));
        assert_eq!((out.growth(), into.growth()), (1, 3));
        let filters: Vec<_> =
            into.subscriptions(QoS::AtMostOnce).iter().map(|s| s.filter.as_str()).collect();
        assert_eq!(filters, ["#", "x"]);
    }

    #[test]
    fn a_name_that_would_be_too_long_does_not_go() {
        let way = Way::new(&[rule(Direction::Out, "#", "", "12345/")], Side::Remote);
        assert!(map(&way, &"a".repeat(65_529)).is_some());
        assert_eq!(map(&way, &"a".repeat(65_530)), None);
    }

    #[test]
    fn what_cannot_be_subscribed_to_is_no_rule() {
        for (pattern, local, remote) in [
            ("a/#/b", "", ""),
            ("", "", "a/"),
            ("#", "a", ""),
            ("a", "+/", ""),
            ("a", "$share/g/", ""),
            ("$share/g/a", "", ""),
        ] {
            let wrong = rule(Direction::Both, pattern, local, remote).check();
            assert!(wrong.is_err(), "{pattern} {local} {remote}");
        }
        assert_eq!(rule(Direction::Both, "", "a", "b").check(), Ok(()), "one name to another");
    }
}
