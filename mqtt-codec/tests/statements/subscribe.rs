//! Sections 3.8 to 3.11: SUBSCRIBE, UNSUBSCRIBE and their answers.

use mqtt_codec::{
    List, Packet, PacketType, Properties, ReasonCode, RetainHandling, SubAck, Subscribe,
    Subscription, TopicFilter, UnsubAck, Unsubscribe, Version, Violation,
};

use super::*;

fn subscribe<'a>(subscriptions: &'a [Subscription<'a>]) -> Packet<'a> {
    let subscriptions = List::from(subscriptions);
    Packet::Subscribe(Subscribe { packet_id: id(1), properties: Properties::EMPTY, subscriptions })
}

fn unsubscribe<'a>(filters: &'a [TopicFilter<'a>]) -> Packet<'a> {
    let filters = List::from(filters);
    Packet::Unsubscribe(Unsubscribe { packet_id: id(1), properties: Properties::EMPTY, filters })
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

/// Type, length, Packet Identifier 1, no properties, and this.
fn bytes(version: Version, first: u8, payload: &[u8]) -> Vec<u8> {
    let properties: &[u8] = if version == Version::V5 { b"\0" } else { b"" };
    let mut bytes = [&[first, 0, 0, 1], properties, payload].concat();
    bytes[1] = bytes.len() as u8 - 2;
    bytes
}

fn payload_at(version: Version) -> u32 {
    if version == Version::V5 { 5 } else { 4 }
}

/// [MQTT-3.8.3-1], [MQTT-3.10.3-1], [MQTT-3.8.3-1 of 3.1.1], [MQTT-3.10.3-1 of 3.1.1].
#[test]
fn topic_filters_are_strings_one_behind_the_other() {
    for version in BOTH {
        let at = payload_at(version);
        let error = refused(client(version), &bytes(version, 0x82, b"\0\x01\xFF\0"));
        assert_eq!(error, (Violation::StringNotUtf8, at));
        let error = refused(client(version), &bytes(version, 0xA2, b"\0\x01a\0\x01\xFF"));
        assert_eq!(error, (Violation::StringNotUtf8, at + 3));
        let filters = [filter("a/+"), filter("#")];
        let out = written(client(version), unsubscribe(&filters));
        assert_eq!(out[at as usize..], *b"\0\x03a/+\0\x01#");
        let subscriptions = filters.map(|f| Subscription::new(f, QoS::AtLeastOnce));
        let out = written(client(version), subscribe(&subscriptions));
        assert_eq!(out[at as usize..], *b"\0\x03a/+\x01\0\x01#\x01");
    }
}

/// [MQTT-3.8.3-2], [MQTT-3.8.3-3 of 3.1.1], [MQTT-3.10.3-2], [MQTT-3.10.3-2 of 3.1.1].
#[test]
fn there_is_at_least_one_filter() {
    for version in BOTH {
        let at = payload_at(version);
        let error = refused(client(version), &bytes(version, 0x82, b""));
        assert_eq!(error, (Violation::SubscribeEmpty, at));
        assert_eq!(not_written(client(version), subscribe(&[])), Violation::SubscribeEmpty);
        let error = refused(client(version), &bytes(version, 0xA2, b""));
        assert_eq!(error, (Violation::UnsubscribeEmpty, at));
        assert_eq!(not_written(client(version), unsubscribe(&[])), Violation::UnsubscribeEmpty);
    }
}

/// [MQTT-3.8.3-4].
#[test]
fn no_local_on_a_shared_subscription_is_refused() {
    let violation = Violation::NoLocalOnShared;
    let payload = b"\0\x0A$share/g/a\x04";
    assert_eq!(refused(client(Version::V5), &bytes(Version::V5, 0x82, payload)), (violation, 17));
    let shared =
        Subscription { no_local: true, ..Subscription::new(filter("$share/g/a"), QoS::AtMostOnce) };
    assert_eq!(not_written(client(Version::V5), subscribe(&[shared])), violation);
    let plain = Subscription { filter: filter("a"), ..shared };
    written(client(Version::V5), subscribe(&[plain]));
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2]: a filter that was good before version 5 is looked at again when
/// it is written in it.
#[test]
fn a_filter_of_3_1_1_that_is_no_shared_subscription_is_not_written_in_version_5() {
    for (text, violation) in [
        ("$share/", Violation::ShareNameEmpty),
        ("$share//a", Violation::ShareNameEmpty),
        ("$share/g", Violation::ShareFilterMissing),
        ("$share/g/", Violation::ShareFilterMissing),
        ("$share/+/a", Violation::ShareNameWildcard),
    ] {
        let filters = [TopicFilter::for_version(text, Version::V311).unwrap()];
        let subscriptions = [Subscription::new(filters[0], QoS::AtMostOnce)];
        for packet in [subscribe(&subscriptions), unsubscribe(&filters)] {
            let received = written(client(Version::V311), packet);
            for packet in [packet, read(client(Version::V311), &received)] {
                assert_eq!(not_written(client(Version::V5), packet), violation, "{text}");
            }
        }
    }
    let filters = [TopicFilter::for_version("$share/g/a/#", Version::V311).unwrap()];
    written(client(Version::V5), unsubscribe(&filters));
}

/// [MQTT-3.8.3-5], [MQTT-3.8.3-4 of 3.1.1]; section 3.8.3.1. `Subscription` has no more.
#[test]
fn subscription_options_use_the_bits_that_are_defined() {
    for options in 0..=0xFF {
        let payload = [0, 1, b'a', options];
        for version in BOTH {
            let expected = match version {
                Version::V5 if options & 0xC0 != 0 => Some(Violation::SubscribeReserved),
                Version::V5 if options & 3 == 3 => Some(Violation::SubscribeQos3),
                Version::V5 if options & 0x30 == 0x30 => Some(Violation::RetainHandling3),
                Version::V5 => None,
                _ if options & 0xFC != 0 => Some(Violation::SubscribeReserved),
                _ if options & 3 == 3 => Some(Violation::RequestedQos3),
                _ => None,
            };
            let bytes = bytes(version, 0x82, &payload);
            match expected {
                Some(violation) => {
                    assert_eq!(
                        refused(client(version), &bytes),
                        (violation, payload_at(version) + 3)
                    );
                }
                None => assert_eq!(written(client(version), read(client(version), &bytes)), bytes),
            }
        }
    }
    let all = Subscription {
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
        ..Subscription::new(filter("a"), QoS::ExactlyOnce)
    };
    assert_eq!(written(client(Version::V5), subscribe(&[all]))[8], 0x2E);
    // What 3.1.1 has no bits for is left out.
    let mut buffer = [0; 16];
    let len = client(Version::V311).encode(&subscribe(&[all]), &mut buffer).unwrap();
    assert_eq!(buffer[len - 1], 0x02);
}

/// [MQTT-3.9.3-2], [MQTT-3.9.3-2 of 3.1.1].
#[test]
fn suback_carries_only_the_codes_that_are_listed_for_it() {
    for value in 0..=0xFF {
        for version in BOTH {
            let bytes = bytes(version, 0x90, &[value]);
            let code = ReasonCode::from_value(value);
            let listed = match version {
                Version::V5 => {
                    code.is_some_and(|c| c.is_allowed(PacketType::SubAck, Sender::Server))
                }
                _ => matches!(value, 0 | 1 | 2 | 0x80),
            };
            if listed {
                assert_eq!(written(server(version), read(server(version), &bytes)), bytes);
            } else {
                let error = refused(server(version), &bytes);
                assert_eq!(error, (Violation::SubAckReason, payload_at(version)));
            }
        }
        let Some(code) = ReasonCode::from_value(value) else { continue };
        let codes = [code];
        let (packet_id, reasons) = (id(1), List::from(&codes[..]));
        let packet = Packet::SubAck(SubAck { packet_id, properties: Properties::EMPTY, reasons });
        if !code.is_allowed(PacketType::SubAck, Sender::Server) {
            assert_eq!(not_written(server(Version::V5), packet), Violation::SubAckReason);
        }
    }
    assert_eq!(
        refused(server(Version::V5), &bytes(Version::V5, 0x90, b"")).0,
        Violation::SubAckEmpty
    );
    assert_eq!(
        refused(server(Version::V311), &bytes(Version::V311, 0x90, b"")).0,
        Violation::SubAckEmpty
    );
}

/// [MQTT-3.11.3-2]; in 3.1.1 UNSUBACK has none (3.1.1 section 3.11).
#[test]
fn unsuback_carries_only_the_codes_that_are_listed_for_it() {
    let listed = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    for value in 0..=0xFF {
        let bytes = bytes(Version::V5, 0xB0, &[value]);
        if listed.contains(&value) {
            assert_eq!(written(server(Version::V5), read(server(Version::V5), &bytes)), bytes);
            continue;
        }
        assert_eq!(refused(server(Version::V5), &bytes), (Violation::UnsubAckReason, 5));
        let Some(code) = ReasonCode::from_value(value) else { continue };
        let codes = [code];
        let (packet_id, reasons) = (id(1), List::from(&codes[..]));
        let packet =
            Packet::UnsubAck(UnsubAck { packet_id, properties: Properties::EMPTY, reasons });
        assert_eq!(not_written(server(Version::V5), packet), Violation::UnsubAckReason);
    }
    assert_eq!(
        refused(server(Version::V5), &bytes(Version::V5, 0xB0, b"")).0,
        Violation::UnsubAckEmpty
    );
    assert_eq!(refused(server(Version::V311), &[0xB0, 3, 0, 1, 0]), (Violation::TrailingBytes, 4));
}
