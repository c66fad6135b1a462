//! Section 1.5: data types.

use mqtt_codec::{Connect, Packet, Properties, Property, SubscriptionId, Text, Version, Violation};

use super::*;

/// A CONNECT whose client identifier is these bytes.
fn with_client_id(version: Version, text: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x10\0\0\x04MQTT".to_vec();
    bytes.extend_from_slice(&[version.level(), 2, 0, 60]);
    if version == Version::V5 {
        bytes.push(0);
    }
    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
    bytes.extend_from_slice(text);
    bytes[1] = bytes.len() as u8 - 2;
    bytes
}

/// [MQTT-1.5.4-1], [MQTT-1.5.3-1 of 3.1.1]. A `&str` cannot hold anything else when writing.
#[test]
fn a_string_that_is_not_utf8_is_refused() {
    let ill_formed: [&[u8]; 9] = [
        b"\xED\xA0\x80",             // U+D800
        b"\xED\xBF\xBF",             // U+DFFF
        b"\xED\xA0\x80\xED\xB0\x80", // a pair of surrogates
        b"\xC0\x80",                 // U+0000, too long
        b"\xE0\x80\xAF",
        b"\xF4\x90\x80\x80", // above U+10FFFF
        b"\xFF",
        b"ab\x80",
        b"ab\xC3",
    ];
    for version in BOTH {
        for text in ill_formed {
            let at = if version == Version::V5 { 13 } else { 12 };
            let error = refused(client(version), &with_client_id(version, text));
            assert_eq!(error, (Violation::StringNotUtf8, at), "{text:x?}");
        }
    }
}

/// [MQTT-1.5.4-2], [MQTT-1.5.3-2 of 3.1.1].
#[test]
fn a_string_with_u_0000_is_refused() {
    for version in BOTH {
        for text in ["\0", "a\0", "\0a", "abcdefgh\0ijklmnop"] {
            let bytes = with_client_id(version, text.as_bytes());
            assert_eq!(refused(client(version), &bytes).0, Violation::StringHasNul);
            let packet = Packet::Connect(Connect { client_id: text.into(), ..connect(version) });
            assert_eq!(not_written(client(version), packet), Violation::StringHasNul);
        }
    }
}

/// [MQTT-1.5.4-3], [MQTT-1.5.3-3 of 3.1.1].
#[test]
fn ef_bb_bf_is_u_feff_wherever_it_stands_and_stays_where_it_is() {
    for version in BOTH {
        for text in ["\u{FEFF}", "\u{FEFF}a", "a\u{FEFF}b"] {
            let packet = Packet::Connect(Connect { client_id: text.into(), ..connect(version) });
            let bytes = written(client(version), packet);
            assert!(bytes.windows(3).any(|three| three == b"\xEF\xBB\xBF"));
            let Packet::Connect(read) = read(client(version), &bytes) else { panic!() };
            assert_eq!((read.client_id.as_str(), read.client_id), (text, text.into()));
        }
    }
}

/// [MQTT-1.5.5-1]: in Remaining Length, in Property Length and in a property.
#[test]
fn a_variable_byte_integer_takes_no_more_bytes_than_it_needs() {
    let rules = client(Version::V5);
    for bytes in [&b"\xC0\x80\x00"[..], b"\xC0\x80\x80\x00", b"\xC0\x80\x80\x80\x00"] {
        assert_eq!(refused(rules, bytes), (Violation::RemainingLengthNotMinimal, 1));
    }
    let violation = Violation::VariableByteIntegerNotMinimal;
    assert_eq!(refused(rules, b"\x30\x05\0\x01a\x80\0"), (violation, 5));
    assert_eq!(refused(server(Version::V5), b"\x30\x07\0\x01a\x03\x0B\x81\0"), (violation, 7));

    // Written with as many as it needs, at each border.
    for (value, bytes) in [
        (1, &b"\x01"[..]),
        (0x7F, b"\x7F"),
        (0x80, b"\x80\x01"),
        (0x3FFF, b"\xFF\x7F"),
        (0x4000, b"\x80\x80\x01"),
        (0x1F_FFFF, b"\xFF\xFF\x7F"),
        (0x20_0000, b"\x80\x80\x80\x01"),
        (268_435_455, b"\xFF\xFF\xFF\x7F"),
    ] {
        let list = [Property::SubscriptionIdentifier(SubscriptionId::new(value).unwrap())];
        let properties = Properties::from(&list[..]);
        let packet = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce) });
        let out = written(server(Version::V5), packet);
        assert_eq!(out[9..9 + bytes.len()], *bytes);
    }
    assert_eq!(SubscriptionId::new(268_435_456), None);
    assert_eq!(refused(rules, b"\x30\x80\x80\x80\x80\x01").0, Violation::RemainingLengthTooLong);
}

/// In 3.1.1 a Remaining Length may take more bytes than it needs (3.1.1 section 2.2.3).
#[test]
fn in_3_1_1_remaining_length_may_take_more_bytes() {
    let packet = read(client(Version::V311), b"\xC0\x80\x80\x80\x00");
    assert_eq!(packet, Packet::PingReq);
    assert_eq!(written(client(Version::V311), packet), b"\xC0\0");
    // But for a CONNECT of version 5, whoever reads it.
    let error = refused(client(Version::V311), b"\x10\x8D\0\0\x04MQTT\x05\x02\0\0\0\0\0");
    assert_eq!(error, (Violation::RemainingLengthNotMinimal, 1));
}

/// [MQTT-1.5.7-1].
#[test]
fn both_halves_of_a_user_property_are_strings() {
    let rules = client(Version::V5);
    let nul = Violation::StringHasNul;
    let ill_formed = Violation::StringNotUtf8;
    assert_eq!(refused(rules, b"\x30\x0B\0\x01a\x07\x26\0\x01\xFF\0\x01v"), (ill_formed, 7));
    assert_eq!(refused(rules, b"\x30\x0B\0\x01a\x07\x26\0\x01n\0\x01\xFF"), (ill_formed, 10));
    assert_eq!(refused(rules, b"\x30\x0B\0\x01a\x07\x26\0\x01\0\0\x01v"), (nul, 7));
    for pair in [("\0", "v"), ("n", "\0")] {
        let list = [Property::UserProperty(pair)];
        let properties = Properties::from(&list[..]);
        let packet = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce) });
        assert_eq!(not_written(rules, packet), nul);
    }
}

/// Section 1.5.4: the length of a string has two bytes; so has that of Binary Data.
#[test]
fn a_string_of_more_than_65535_bytes_cannot_be_written() {
    let long = "x".repeat(65_536);
    for version in BOTH {
        let fits = Connect { client_id: long[1..].into(), ..connect(version) };
        assert!(client(version).encoded_len(&Packet::Connect(fits)).is_ok());
        let packet = Packet::Connect(Connect { client_id: Text::new(&long), ..connect(version) });
        assert_eq!(not_written(client(version), packet), Violation::StringTooLong);
        let packet = Packet::Connect(Connect {
            user_name: Some("u".into()),
            password: Some(long.as_bytes()),
            ..connect(version)
        });
        assert_eq!(not_written(client(version), packet), Violation::StringTooLong);
    }
}

/// Section 1.5.4: what the policy refuses to read, it refuses to write, in topics as in other text.
#[test]
fn the_policy_for_strings_holds_for_topics_on_both_ways() {
    use mqtt_codec::{List, Subscribe, Subscription, TopicFilter, Unsubscribe, Will};
    for (text, violation) in
        [("a\u{3}", Violation::StringHasControl), ("a\u{FFFE}", Violation::StringHasNonCharacter)]
    {
        let filters = [TopicFilter::new(text).unwrap()];
        let subscriptions = filters.map(|f| Subscription::new(f, QoS::AtMostOnce));
        let response = [Property::ResponseTopic(topic(text))];
        let properties = Properties::EMPTY;
        let packet_id = id(1);
        for packet in [
            Packet::Publish(Publish::new(topic(text), b"")),
            Packet::Publish(Publish {
                properties: Properties::from(&response[..]),
                ..publish(QoS::AtMostOnce)
            }),
            Packet::Connect(Connect {
                will: Some(Will::new(topic(text), b"")),
                ..connect(Version::V5)
            }),
            Packet::Subscribe(Subscribe {
                packet_id,
                properties,
                subscriptions: List::from(&subscriptions[..]),
            }),
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters: List::from(&filters[..]),
            }),
        ] {
            let bytes = written(client(Version::V5), packet);
            let mut strict = client(Version::V5);
            strict.policy.refuse_control_characters = true;
            strict.policy.refuse_noncharacters = true;
            assert_eq!(refused(strict, &bytes).0, violation, "{packet:?}");
            assert_eq!(not_written(strict, packet), violation, "{packet:?}");
        }
    }
}
