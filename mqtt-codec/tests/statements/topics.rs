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

/// What is read is what can be made, wherever in the bytes that are looked at together a
/// character stands: [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-3.3.2-2], [MQTT-4.7.3-2].
#[test]
fn names_and_filters_are_judged_alike_wherever_their_characters_stand() {
    // `*` and `"` differ from `+` and `#` by one bit.
    let characters = ["/", "+", "#", "a", "*", "\"", "$", "\0", "é"];
    let mut ends = vec![String::new()];
    for from in 0..characters.len().pow(2) + characters.len() + 1 {
        let longer: Vec<_> = characters.iter().map(|c| format!("{}{c}", ends[from])).collect();
        ends.extend(longer);
    }
    for begin in
        ["", "b", "b/", "bbb/", "b/bbbb", "bbbbbb/", "b/bbbbbb", "bbbbbbbb/", "bbbbbbbbbbbbbb/"]
    {
        for (end, version) in ends.iter().flat_map(|end| BOTH.map(|version| (end, version))) {
            let text = format!("{begin}{end}");
            let empty: &[u8] = if version == Version::V5 { b"\0" } else { b"" };
            let read = |first: u8, parts: &[&[u8]]| {
                let mut bytes = [&[first, 0][..], &parts.concat()].concat();
                bytes[1] = bytes.len() as u8 - 2;
                Rules::new(version, Sender::Client)
                    .decode(&mut &bytes[..])
                    .map(drop)
                    .map_err(|e| e.violation)
            };
            let len = [0, text.len() as u8];
            let filter = TopicFilter::for_version(&text, version).map(drop);
            assert_eq!(
                read(0x82, &[b"\0\x01", empty, &len, text.as_bytes(), b"\0"]),
                filter,
                "{text:?}"
            );
            if !text.is_empty() {
                let name = TopicName::new(&text).map(drop);
                assert_eq!(read(0x30, &[&len, text.as_bytes(), empty]), name, "{text:?}");
            }
        }
    }
}
