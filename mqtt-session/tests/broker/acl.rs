//! Access control lists.

use mqtt_codec::{TopicFilter, TopicName, Version};
use mqtt_session::broker::Acl;
use proptest::prelude::*;

fn acl(text: &str) -> Acl {
    Acl::parse(text).unwrap()
}

fn publish(acl: &Acl, client_id: &str, user_name: Option<&str>, topic: &str) -> bool {
    acl.may_publish(client_id, user_name, TopicName::new(topic).unwrap())
}

fn subscribe(acl: &Acl, client_id: &str, user_name: Option<&str>, filter: &str) -> bool {
    acl.may_subscribe(client_id, user_name, TopicFilter::new(filter).unwrap())
}

#[test]
fn a_rule_is_for_its_user_and_for_its_direction() {
    let acl = acl("\
        # Anybody without a name.\n\
        topic read news/#\n\
        \n\
        user ann\n\
        topic home/+/lamp\n\
        topic write log/ann\n\
        user bob smith\n\
        \ttopic\tread   home/# \r\n");
    assert!(subscribe(&acl, "c", None, "news/today"));
    assert!(!publish(&acl, "c", None, "news/today"));
    assert!(!subscribe(&acl, "c", Some("ann"), "news/today"), "of those without a name");
    assert!(publish(&acl, "c", Some("ann"), "home/1/lamp"));
    assert!(subscribe(&acl, "c", Some("ann"), "home/+/lamp"));
    assert!(!subscribe(&acl, "c", Some("ann"), "home/#"), "more than she may");
    assert!(publish(&acl, "c", Some("ann"), "log/ann"));
    assert!(!subscribe(&acl, "c", Some("ann"), "log/ann"));
    assert!(subscribe(&acl, "c", Some("bob smith"), "home/#"));
    assert!(!publish(&acl, "c", Some("bob smith"), "home/1/lamp"));
    assert!(!subscribe(&acl, "c", Some("eve"), "home/#"));
}

#[test]
fn what_is_denied_stays_so_whatever_else_is_allowed() {
    let acl = acl("user ann\ntopic #\ntopic deny a/secret/#\npattern readwrite a/#");
    assert!(publish(&acl, "c", Some("ann"), "a/b"));
    for topic in ["a/secret", "a/secret/x"] {
        assert!(!publish(&acl, "c", Some("ann"), topic));
    }
    // Neither may it be had by a filter that it is a part of.
    for filter in ["#", "a/#", "+/secret", "a/+/x", "+/+/#", "a/secret"] {
        assert!(!subscribe(&acl, "c", Some("ann"), filter), "{filter}");
    }
    for filter in ["a/+", "b/#", "a/b/#"] {
        assert_eq!(subscribe(&acl, "c", Some("ann"), filter), filter != "a/+", "{filter}");
    }
}

#[test]
fn names_stand_in_patterns() {
    let acl = acl("pattern a/%c/%u\npattern read all-%u-%c/#\npattern write 100%/%c");
    assert!(publish(&acl, "c", Some("u"), "a/c/u"));
    assert!(!publish(&acl, "c", Some("u"), "a/u/c"));
    assert!(!publish(&acl, "c", None, "a/c/u"));
    assert!(subscribe(&acl, "c", Some("u"), "all-u-c/x/#"));
    assert!(!subscribe(&acl, "c", Some("u"), "all-u-d/x/#"));
    assert!(publish(&acl, "%u", Some("u"), "100%/%u"), "once");
}

#[test]
fn a_name_that_is_more_than_a_part_of_a_level_gives_no_rights() {
    let acl = acl("pattern readwrite %c/#\npattern readwrite users/%u/x\npattern readwrite %c%u");
    for name in ["+", "#", "a/b", "/", "", "a+", "$SYS", "$share"] {
        for topic in
            ["a/b", "$SYS/broker", "users/a/x", "users/a/b/x", "$share/g/a", "a", "users//x"]
        {
            assert!(!publish(&acl, name, None, topic), "{name} {topic}");
            let known = name.starts_with('$');
            assert!(known || !publish(&acl, "c", Some(name), topic), "{name} {topic}");
        }
        for filter in ["#", "+/#", "+/b", "a/b", "users/+/x", "users/#", "$SYS/#"] {
            assert!(!subscribe(&acl, name, None, filter), "{name} {filter}");
            assert!(!subscribe(&acl, "c", Some(name), filter), "{name} {filter}");
        }
    }
    // A rule that denies does not go away by a name that it cannot hold.
    let acl = self::acl("pattern readwrite #\npattern deny private/%c/#");
    assert!(publish(&acl, "c", None, "private/d/x"));
    assert!(!publish(&acl, "c", None, "private/c/x"));
    assert!(!publish(&acl, "+", None, "private/c/x"));
    assert!(!publish(&acl, "c/x", None, "private/c/x/y"));
}

#[test]
fn wildcards_at_the_front_are_not_for_topics_that_begin_with_a_dollar_sign() {
    let acl = acl("topic #\ntopic +/broker/#\nuser admin\ntopic read $SYS/#");
    assert!(!subscribe(&acl, "c", None, "$SYS/#"));
    assert!(!publish(&acl, "c", None, "$SYS/broker/x"));
    assert!(subscribe(&acl, "c", None, "#"), "which does not match them either");
    assert!(subscribe(&acl, "c", Some("admin"), "$SYS/broker/+"));
    let acl = self::acl("topic #\ntopic deny $SYS/#");
    assert!(subscribe(&acl, "c", None, "#"));
}

#[test]
fn a_shared_subscription_is_one_to_the_filter_that_is_shared() {
    let acl = acl("topic read a/#");
    assert!(subscribe(&acl, "c", None, "$share/g/a/+"));
    assert!(!subscribe(&acl, "c", None, "$share/a/b"));
}

// [MQTT-4.7.3-1]
#[test]
fn a_topic_that_begins_with_a_slash_has_two_levels_at_least() {
    assert!(subscribe(&acl("topic read +/+/#"), "c", None, "/#"));
    assert!(subscribe(&acl("topic read /#\ntopic deny +"), "c", None, "/#"));
    assert!(!subscribe(&acl("topic read +/+"), "c", None, "/#"));
}

#[test]
fn a_line_that_is_no_rule_is_named() {
    for (text, line) in [
        ("topic", 1),
        ("topic read", 1),
        ("\n\nuser", 3),
        ("topic a\nallow b", 2),
        ("topic a/#/b", 1),
        ("pattern write a+", 1),
    ] {
        assert_eq!(Acl::parse(text).map_or_else(|error| error.line, |_| 0), line, "{text}");
    }
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["a", "b", "+", "$a", ""]);
    (prop::collection::vec(level, 1..4), any::<bool>())
        .prop_map(|(levels, hash)| levels.join("/") + if hash { "/#" } else { "" })
        .prop_filter("empty", |filter| !filter.is_empty())
}

fn topics() -> Vec<String> {
    let levels = ["a", "b", "$a", "", "c"];
    let mut topics: Vec<String> = levels.iter().map(|&level| level.to_owned()).collect();
    for _ in 0..3 {
        let longer: Vec<_> =
            topics.iter().flat_map(|t| levels.iter().map(move |l| format!("{t}/{l}"))).collect();
        topics.extend(longer);
        topics.sort_unstable();
        topics.dedup();
    }
    topics.retain(|topic| !topic.is_empty());
    topics
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Against every topic of up to four levels: what may be subscribed is what the rules match.
    #[test]
    fn a_filter_is_allowed_if_each_of_its_topics_is(rule in filter(), denied in filter(), wanted in filter()) {
        let matches = |filter: &str, topic: &str| {
            let filter = TopicFilter::for_version(filter, Version::V311).unwrap();
            filter.matches(TopicName::new(topic).unwrap())
        };
        let topics = topics();
        let wanted_topics: Vec<_> = topics.iter().filter(|topic| matches(&wanted, topic)).collect();
        let all = wanted_topics.iter().all(|topic| matches(&rule, topic));
        let none = !wanted_topics.iter().any(|topic| matches(&denied, topic));
        let allowed = acl(&format!("topic read {rule}"));
        let with_denial = acl(&format!("topic read {rule}\ntopic deny {denied}"));
        prop_assert_eq!(subscribe(&allowed, "c", None, &wanted), all);
        prop_assert_eq!(subscribe(&with_denial, "c", None, &wanted), all && none);
        for topic in &topics {
            let write = acl(&format!("topic write {rule}\ntopic deny {denied}"));
            let expected = matches(&rule, topic) && !matches(&denied, topic);
            prop_assert_eq!(publish(&write, "c", None, topic), expected, "{}", topic);
        }
    }
}
