//! Sections 4.7 and 4.8.2: topic names, topic filters, Shared Subscriptions. `TopicName` and
//! `TopicFilter` are what is written, so that what cannot be made cannot be written.

use mqtt_codec::{TopicFilter, TopicName, Version, Violation};

use super::*;

/// The rule that this filter breaks, as a type and in SUBSCRIBE and UNSUBSCRIBE.
#[track_caller]
fn broken(version: Version, filter: &str) -> Violation {
    let violation = TopicFilter::for_version(filter, version).unwrap_err();
    let properties: &[u8] = if version == Version::V5 { b"\0" } else { b"" };
    for (first, options) in [(0x82, &b"\0"[..]), (0xA2, b"")] {
        let len = [0, filter.len() as u8];
        let mut bytes = [&[first, 0, 0, 1], properties, &len, filter.as_bytes(), options].concat();
        bytes[1] = bytes.len() as u8 - 2;
        assert_eq!(refused(client(version), &bytes).0, violation, "{filter}");
    }
    violation
}

/// [MQTT-4.7.1-1], [MQTT-4.7.1-2 of 3.1.1].
#[test]
fn hash_is_the_last_level_and_alone_in_it() {
    for version in BOTH {
        for filter in ["a#", "#a", "##", "#/a", "a/#/b", "a/b#", "a/#b", "+#"] {
            let violation = broken(version, filter);
            assert!(matches!(violation, Violation::TopicFilterHash | Violation::TopicFilterPlus));
        }
        for filter in ["#", "/#", "a/#", "+/#", "a//#"] {
            assert!(TopicFilter::for_version(filter, version).is_ok(), "{filter}");
        }
    }
}

/// [MQTT-4.7.1-2], [MQTT-4.7.1-3 of 3.1.1].
#[test]
fn plus_is_alone_in_its_level() {
    for version in BOTH {
        for filter in ["a+", "+a", "++", "a/+b", "a/b+/c", "a/++"] {
            assert_eq!(broken(version, filter), Violation::TopicFilterPlus, "{filter}");
        }
        for filter in ["+", "/+", "+/", "+/+", "a/+/b", "+/b/#"] {
            assert!(TopicFilter::for_version(filter, version).is_ok(), "{filter}");
        }
    }
}

/// [MQTT-4.7.3-1], [MQTT-4.7.3-1 of 3.1.1].
#[test]
fn names_and_filters_are_not_empty() {
    assert_eq!(TopicName::new(""), Err(Violation::TopicNameEmpty));
    for version in BOTH {
        assert_eq!(broken(version, ""), Violation::TopicFilterEmpty);
    }
}

/// [MQTT-4.7.3-2], [MQTT-4.7.3-2 of 3.1.1].
#[test]
fn names_and_filters_have_no_u_0000() {
    for text in ["\0", "a\0", "a/\0/b", "#\0"] {
        assert_eq!(broken(Version::V5, text), Violation::StringHasNul);
        assert_eq!(broken(Version::V311, text), Violation::StringHasNul);
        assert_eq!(TopicName::new(text), Err(Violation::StringHasNul));
    }
}

/// [MQTT-4.7.3-3], [MQTT-4.7.3-3 of 3.1.1].
#[test]
fn names_and_filters_have_at_most_65535_bytes() {
    let long = "é".repeat(32_768);
    assert_eq!(TopicName::new(&long), Err(Violation::TopicTooLong));
    let fits = &long[..65_534];
    assert!(TopicName::new(fits).is_ok());
    for version in BOTH {
        assert_eq!(TopicFilter::for_version(&long, version), Err(Violation::TopicTooLong));
        assert!(TopicFilter::for_version(fits, version).is_ok());
    }
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2].
#[test]
fn a_shared_subscription_has_a_share_name_and_a_filter() {
    for (filter, violation) in [
        ("$share/", Violation::ShareNameEmpty),
        ("$share//a", Violation::ShareNameEmpty),
        ("$share/g", Violation::ShareFilterMissing),
        ("$share/g/", Violation::ShareFilterMissing),
        ("$share/+/a", Violation::ShareNameWildcard),
        ("$share/g#/a", Violation::ShareNameWildcard),
        ("$share/g/a#", Violation::TopicFilterHash),
        ("$share/g/+a", Violation::TopicFilterPlus),
    ] {
        assert_eq!(broken(Version::V5, filter), violation, "{filter}");
    }
    let shared = TopicFilter::new("$share/g/a/+/#").unwrap().shared().unwrap();
    assert_eq!((shared.name, shared.filter.as_str()), ("g", "a/+/#"));
    assert_eq!(TopicFilter::new("$share/g//").unwrap().shared().unwrap().filter.as_str(), "/");
    assert_eq!(TopicFilter::new("$shared/g/a").unwrap().shared(), None);
    // In 3.1.1 it is a filter as any.
    assert!(TopicFilter::for_version("$share/g", Version::V311).is_ok());
}
