//! Section 3.3: PUBLISH.

use mqtt_codec::{Packet, Properties, Property, SubscriptionId, TopicName, Version, Violation};

use super::*;

/// [MQTT-3.3.1-2], [MQTT-3.3.1-2 of 3.1.1].
#[test]
fn dup_is_0_when_qos_is_0() {
    for version in BOTH {
        // Seen in the first byte.
        assert_eq!(refused(client(version), &[0x38]), (Violation::DupWithQos0, 0));
        assert_eq!(refused(client(version), &[0x39]), (Violation::DupWithQos0, 0));
        let packet = Packet::Publish(Publish { dup: true, ..publish(QoS::AtMostOnce) });
        assert_eq!(not_written(client(version), packet), Violation::DupWithQos0);
        let packet = Packet::Publish(Publish { dup: true, ..publish(QoS::AtLeastOnce) });
        assert_eq!(written(client(version), packet)[0], 0x3A);
    }
}

/// [MQTT-3.3.1-4], [MQTT-3.3.1-4 of 3.1.1]. `QoS` has no 3.
#[test]
fn qos_3_is_refused() {
    for version in BOTH {
        for first in [0x36, 0x37, 0x3E, 0x3F] {
            assert_eq!(refused(client(version), &[first]), (Violation::PublishQos3, 0));
        }
    }
}

/// [MQTT-3.3.2-1], [MQTT-3.3.2-1 of 3.1.1].
#[test]
fn the_topic_name_comes_first_and_is_a_string() {
    for version in BOTH {
        let out = written(client(version), Packet::Publish(publish(QoS::AtLeastOnce)));
        assert_eq!(out[2..7], *b"\0\x03a/b");
        let error = refused(client(version), b"\x30\x04\0\x01\xFF\0");
        assert_eq!(error, (Violation::StringNotUtf8, 2));
    }
}

/// [MQTT-3.3.2-2], [MQTT-3.3.2-2 of 3.1.1], [MQTT-4.7.0-1], [MQTT-4.7.1-1 of 3.1.1]. A `TopicName`
/// cannot be made of such a name.
#[test]
fn a_topic_name_with_a_wildcard_is_refused() {
    for version in BOTH {
        for name in ["+", "#", "a+", "#a", "a/+/b", "abcdefghijklmnop/#"] {
            let mut bytes = vec![0x30, name.len() as u8 + 3, 0, name.len() as u8];
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
            assert_eq!(refused(client(version), &bytes), (Violation::TopicNameWildcard, 2));
            assert_eq!(TopicName::new(name), Err(Violation::TopicNameWildcard));
        }
    }
}

/// [MQTT-3.3.2-8]. `NonZeroU16` has no 0.
#[test]
fn topic_alias_0_is_refused() {
    let error = refused(client(Version::V5), b"\x30\x07\0\x01a\x03\x23\0\0");
    assert_eq!(error, (Violation::TopicAliasZero, 7));
}

/// Section 3.3.2.1: an empty topic name needs a Topic Alias.
#[test]
fn an_empty_topic_name_needs_an_alias() {
    let alias = [Property::TopicAlias(core::num::NonZeroU16::MIN)];
    let publish = Publish::new(TopicName::ALIASED, b"");
    let with_alias = Publish { properties: Properties::from(&alias[..]), ..publish };
    let out = written(client(Version::V5), Packet::Publish(with_alias));
    assert_eq!(out, b"\x30\x06\0\0\x03\x23\0\x01");
    let missing = Violation::TopicNameMissing;
    assert_eq!(not_written(client(Version::V5), Packet::Publish(publish)), missing);
    assert_eq!(refused(client(Version::V5), b"\x30\x03\0\0\0"), (missing, 2));
    let empty = Violation::TopicNameEmpty;
    assert_eq!(not_written(client(Version::V311), Packet::Publish(with_alias)), empty);
    assert_eq!(refused(client(Version::V311), b"\x30\x02\0\0"), (empty, 2));
}

/// [MQTT-3.3.2-13], [MQTT-3.3.2-14], [MQTT-3.3.2-19].
#[test]
fn response_topic_and_content_type_are_strings_and_the_topic_has_no_wildcards() {
    let rules = client(Version::V5);
    assert_eq!(refused(rules, b"\x30\x08\0\x01a\x04\x08\0\x01\xFF"), (Violation::StringNotUtf8, 7));
    assert_eq!(
        refused(rules, b"\x30\x08\0\x01a\x04\x08\0\x01#"),
        (Violation::ResponseTopicWildcard, 7)
    );
    assert_eq!(refused(rules, b"\x30\x08\0\x01a\x04\x08\0\x01\0"), (Violation::StringHasNul, 7));
    assert_eq!(refused(rules, b"\x30\x07\0\x01a\x03\x08\0\0").0, Violation::TopicNameEmpty);
    assert_eq!(refused(rules, b"\x30\x08\0\x01a\x04\x03\0\x01\xFF"), (Violation::StringNotUtf8, 7));
    for (property, violation) in [
        (Property::ResponseTopic(TopicName::ALIASED), Violation::TopicNameEmpty),
        (Property::ContentType("a\0"), Violation::StringHasNul),
    ] {
        let list = [property];
        let properties = Properties::from(&list[..]);
        let packet = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce) });
        assert_eq!(not_written(rules, packet), violation);
    }
}

/// [MQTT-3.3.4-6].
#[test]
fn a_client_sends_no_subscription_identifier_in_publish() {
    let bytes = b"\x30\x06\0\x01a\x02\x0B\x01";
    let violation = Violation::SubscriptionIdFromClient;
    assert_eq!(refused(client(Version::V5), bytes), (violation, 6));
    let packet = read(server(Version::V5), bytes);
    assert_eq!(not_written(client(Version::V5), packet), violation);
    let list = [Property::SubscriptionIdentifier(SubscriptionId::new(1).unwrap())];
    let properties = Properties::from(&list[..]);
    let packet = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce) });
    assert_eq!(not_written(client(Version::V5), packet), violation);
    written(server(Version::V5), packet);
}

/// Section 3.3.2.3.2: a receiver may check it, on both ways alike.
#[test]
fn a_payload_that_is_not_the_text_it_is_said_to_be_is_refused_by_policy() {
    let bytes = b"\x30\x07\0\x01a\x02\x01\x01\xFF";
    let packet = read(client(Version::V5), bytes);
    let mut strict = client(Version::V5);
    strict.policy.check_payload_format = true;
    assert_eq!(refused(strict, bytes), (Violation::PayloadNotUtf8, 8));
    assert_eq!(not_written(strict, packet), Violation::PayloadNotUtf8);
    read(strict, b"\x30\x07\0\x01a\x02\x01\0\xFF");
}
