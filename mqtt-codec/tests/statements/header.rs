//! Section 2: fixed header, Packet Identifier, properties.

use mqtt_codec::{
    ConnAck, DecodeError, Disconnect, Packet, PacketType, Properties, Property, PropertyId,
    ReasonCode, Scope, Version, Violation,
};

use super::*;

/// [MQTT-2.1.3-1], [MQTT-2.2.2-1 of 3.1.1], [MQTT-2.2.2-2 of 3.1.1], [MQTT-3.6.1-1],
/// [MQTT-3.6.1-1 of 3.1.1], [MQTT-3.8.1-1], [MQTT-3.8.1-1 of 3.1.1], [MQTT-3.10.1-1],
/// [MQTT-3.10.1-1 of 3.1.1], [MQTT-3.14.1-1], [MQTT-3.14.1-1 of 3.1.1], [MQTT-3.15.1-1].
#[test]
fn reserved_flags_have_exactly_the_value_that_is_listed() {
    for version in BOTH {
        let rules = Rules::new(version, Sender::Either);
        for kind in PacketType::ALL {
            if kind == PacketType::Publish || !kind.exists_in(version) {
                continue;
            }
            let listed = match kind {
                PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 2,
                _ => 0,
            };
            let violation = match kind {
                PacketType::PubRel => Violation::PubRelFlags,
                PacketType::Subscribe => Violation::SubscribeFlags,
                PacketType::Unsubscribe => Violation::UnsubscribeFlags,
                PacketType::Disconnect => Violation::DisconnectFlags,
                PacketType::Auth => Violation::AuthFlags,
                _ => Violation::ReservedFlags,
            };
            for flags in 0..16 {
                let first = (kind as u8) << 4 | flags;
                // Seen in the first byte already, whatever follows.
                let header = rules.fixed_header(&[first]);
                if flags == listed {
                    assert_eq!(header, Ok(None));
                    continue;
                }
                assert_eq!(header, Err(DecodeError { violation, version, offset: 0 }), "{first:x}");
                assert_eq!(violation.reason_code(), ReasonCode::MalformedPacket);
            }
        }
    }
    // Written, they have the listed value: a packet has no other.
    assert_eq!(written(client(Version::V5), Packet::PubRel(Ack::new(id(1))))[0], 0x62);
    assert_eq!(written(client(Version::V5), Packet::PingReq)[0], 0xC0);
}

/// Section 2.1.2, and section 2.2.1 of 3.1.1: types 0, and before version 5 type 15.
#[test]
fn reserved_packet_types_are_refused_in_their_first_byte() {
    for version in BOTH {
        for flags in 0..16 {
            assert_eq!(refused(client(version), &[flags]), (Violation::ForbiddenType, 0));
        }
    }
    assert_eq!(refused(client(Version::V311), &[0xF0]), (Violation::ForbiddenType, 0));
    let auth = Packet::Auth(mqtt_codec::Auth {
        reason: ReasonCode::ContinueAuthentication,
        properties: Properties::EMPTY,
    });
    assert_eq!(not_written(client(Version::V311), auth), Violation::ForbiddenType);
}

/// Section 2.1.2, and section 2.2.1 of 3.1.1.
#[test]
fn a_packet_from_the_wrong_side_is_refused() {
    for version in BOTH {
        for kind in PacketType::ALL.into_iter().filter(|kind| kind.exists_in(version)) {
            let flags = match kind {
                PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 2,
                _ => 0,
            };
            let first = [(kind as u8) << 4 | flags];
            for rules in [client(version), server(version)] {
                let may = [rules.sender, Sender::Either].contains(&kind.sender(version));
                let header = rules.fixed_header(&first).map_err(|error| error.violation);
                assert_eq!(header, if may { Ok(None) } else { Err(Violation::WrongDirection) });
            }
        }
        assert_eq!(not_written(server(version), Packet::PingReq), Violation::WrongDirection);
        assert_eq!(not_written(client(version), Packet::PingResp), Violation::WrongDirection);
    }
    let disconnect = Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    assert_eq!(not_written(server(Version::V311), disconnect), Violation::WrongDirection);
    assert_eq!(written(server(Version::V5), disconnect), b"\xE0\0");
}

/// [MQTT-2.2.1-2], [MQTT-2.3.1-5 of 3.1.1].
#[test]
fn a_publish_of_qos_0_has_no_packet_id() {
    for version in BOTH {
        let packet =
            Packet::Publish(Publish { packet_id: Some(id(1)), ..publish(QoS::AtMostOnce) });
        assert_eq!(not_written(client(version), packet), Violation::PacketIdUnwanted);
        // What stands where it would be is payload.
        let bytes: &[u8] = match version {
            Version::V5 => b"\x30\x06\0\x01a\0\0\x01",
            _ => b"\x30\x05\0\x01a\0\x01",
        };
        let Packet::Publish(read) = read(client(version), bytes) else { panic!() };
        assert_eq!((read.packet_id, read.payload), (None, &b"\0\x01"[..]));
    }
}

/// [MQTT-2.2.1-3], [MQTT-2.3.1-1 of 3.1.1]. `PacketId` has no 0 that could be written.
#[test]
fn packet_id_0_is_refused_in_every_packet_that_has_one() {
    assert_eq!(PacketId::new(0), None);
    for version in BOTH {
        let rules = Rules::new(version, Sender::Either);
        for first in [0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0] {
            assert_eq!(
                refused(rules, &[first, 2, 0, 0]),
                (Violation::PacketIdZero, 2),
                "{first:x}"
            );
        }
        for first in [0x32, 0x34] {
            let bytes = [first, 5, 0, 1, b'a', 0, 0];
            assert_eq!(refused(rules, &bytes), (Violation::PacketIdZero, 5));
        }
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let packet = Packet::Publish(Publish { packet_id: None, ..publish(qos) });
            assert_eq!(not_written(client(version), packet), Violation::PacketIdMissing);
        }
    }
}

/// [MQTT-2.2.2-1].
#[test]
fn no_properties_are_a_property_length_of_0() {
    let bytes = written(client(Version::V5), Packet::Publish(publish(QoS::AtMostOnce)));
    assert_eq!(bytes, b"\x30\x0D\0\x03a/b\0payload");
    assert_eq!(refused(client(Version::V5), b"\x30\x03\0\x01a").0, Violation::Truncated);
    let bytes = written(client(Version::V311), Packet::Publish(publish(QoS::AtMostOnce)));
    assert_eq!(bytes, b"\x30\x0C\0\x03a/bpayload");
}

/// Section 2.2.2.2, table 2-4: which property may stand where, and how often.
#[test]
fn each_property_stands_only_where_it_belongs_and_mostly_once() {
    let rules = Rules::new(Version::V5, Sender::Either);
    for &property in PropertyId::ALL {
        let value = sample(property);
        for (scope, head, tail) in SCOPES {
            if scope == Scope::Auth && property == PropertyId::AuthenticationMethod {
                continue; // It is in the head of this sample.
            }
            let method: &[u8] = match (scope, property) {
                (Scope::Auth, _) => b"\x15\0\x01m",
                (Scope::Connect | Scope::ConnAck, PropertyId::AuthenticationData) => b"\x15\0\x01m",
                _ => b"",
            };
            for times in 1..=2 {
                let list = [method, &value.repeat(times)].concat();
                let mut bytes = [head, &[list.len() as u8], &list, tail].concat();
                bytes[1] = bytes.len() as u8 - 2;
                let found = rules.decode(&mut &bytes[..]);
                let expected = match (property.is_allowed(scope), times) {
                    (false, _) => Some(Violation::PropertyNotAllowed),
                    (true, 2) if !property.may_repeat(scope) => Some(Violation::PropertyTwice),
                    _ => None,
                };
                let what = format!("{property:?} in {scope:?}, {times} times");
                assert_eq!(found.as_ref().err().map(|error| error.violation), expected, "{what}");
                assert!(found != Ok(None), "{what}");
                if let Ok(Some(packet)) = found {
                    assert_eq!(written(rules, packet), bytes, "{what}");
                }
            }
        }
    }
}

/// Each place for properties: the bytes up to Property Length, and those behind the properties.
const SCOPES: [(Scope, &[u8], &[u8]); 14] = [
    (Scope::Will, b"\x10\0\0\x04MQTT\x05\x06\0\0\0\0\0", b"\0\x01t\0\0"),
    (Scope::Connect, b"\x10\0\0\x04MQTT\x05\x02\0\0", b"\0\0"),
    (Scope::ConnAck, b"\x20\0\0\0", b""),
    (Scope::Publish, b"\x30\0\0\x01a", b""),
    (Scope::PubAck, b"\x40\0\0\x01\0", b""),
    (Scope::PubRec, b"\x50\0\0\x01\0", b""),
    (Scope::PubRel, b"\x62\0\0\x01\0", b""),
    (Scope::PubComp, b"\x70\0\0\x01\0", b""),
    (Scope::Subscribe, b"\x82\0\0\x01", b"\0\x01a\0"),
    (Scope::SubAck, b"\x90\0\0\x01", b"\0"),
    (Scope::Unsubscribe, b"\xA2\0\0\x01", b"\0\x01a"),
    (Scope::UnsubAck, b"\xB0\0\0\x01", b"\0"),
    (Scope::Disconnect, b"\xE0\0\0", b""),
    (Scope::Auth, b"\xF0\0\x18", b""),
];

/// Identifier and a good value.
fn sample(property: PropertyId) -> Vec<u8> {
    use PropertyId as P;
    let value: &[u8] = match property {
        P::PayloadFormatIndicator
        | P::RequestProblemInformation
        | P::RequestResponseInformation
        | P::MaximumQoS
        | P::RetainAvailable
        | P::WildcardSubscriptionAvailable
        | P::SubscriptionIdentifierAvailable
        | P::SharedSubscriptionAvailable
        | P::SubscriptionIdentifier => b"\x01",
        P::ServerKeepAlive | P::ReceiveMaximum | P::TopicAliasMaximum | P::TopicAlias => b"\0\x01",
        P::MessageExpiryInterval
        | P::SessionExpiryInterval
        | P::WillDelayInterval
        | P::MaximumPacketSize => b"\0\0\0\x01",
        P::UserProperty => b"\0\x01n\0\x01v",
        _ => b"\0\x01s",
    };
    [&[property as u8], value].concat()
}

/// Section 2.2.2.2 and the sections of the properties: flags are 0 or 1, some numbers not 0.
#[test]
fn property_values_keep_to_their_ranges() {
    let rules = Rules::new(Version::V5, Sender::Either);
    for (bytes, violation) in [
        (&b"\x30\x06\0\x01a\x02\x01\x02"[..], Violation::PropertyNotBoolean),
        (b"\x20\x05\0\0\x02\x24\x02", Violation::PropertyNotBoolean),
        (b"\x20\x05\0\0\x02\x25\x02", Violation::PropertyNotBoolean),
        (b"\x20\x05\0\0\x02\x28\xFF", Violation::PropertyNotBoolean),
        (b"\x20\x06\0\0\x03\x21\0\0", Violation::PropertyZero),
        (b"\x20\x08\0\0\x05\x27\0\0\0\0", Violation::PropertyZero),
        (b"\x30\x07\0\x01a\x03\x23\0\0", Violation::TopicAliasZero),
        (b"\x30\x06\0\x01a\x02\x0B\0", Violation::PropertyZero),
        (b"\x20\x06\0\0\x03\x12\0\0", Violation::AssignedClientIdEmpty),
    ] {
        assert_eq!(refused(rules, bytes).0, violation, "{bytes:x?}");
    }
    for (property, violation) in [
        (Property::MaximumQoS(QoS::ExactlyOnce), Violation::PropertyNotBoolean),
        (Property::AssignedClientIdentifier(""), Violation::AssignedClientIdEmpty),
        (Property::TopicAlias(core::num::NonZeroU16::MIN), Violation::PropertyNotAllowed),
    ] {
        let list = [property];
        let packet = Packet::ConnAck(ConnAck {
            properties: Properties::from(&list[..]),
            ..ConnAck::new(ReasonCode::Success)
        });
        assert_eq!(not_written(server(Version::V5), packet), violation);
    }
    // Section 3.1.2.11.10 says so of CONNECT, section 3.2.2.3.18 does not of CONNACK.
    let data = [Property::AuthenticationData(b"p")];
    let properties = Properties::from(&data[..]);
    let packet = Packet::Connect(Connect { properties, ..connect(Version::V5) });
    assert_eq!(not_written(client(Version::V5), packet), Violation::AuthDataWithoutMethod);
    let packet = Packet::ConnAck(ConnAck { properties, ..ConnAck::new(ReasonCode::NotAuthorized) });
    let mut buffer = [0; 16];
    let len = server(Version::V5).encode(&packet, &mut buffer).unwrap();
    assert_eq!(buffer[..len], *b"\x20\x07\0\x87\x04\x16\0\x01p");
    assert_eq!(server(Version::V5).decode(&mut &buffer[..len]), Ok(Some(packet)));
    let twice = [Property::ReceiveMaximum(core::num::NonZeroU16::MIN); 2];
    let properties = Properties::from(&twice[..]);
    let packet = Packet::Connect(Connect { properties, ..connect(Version::V5) });
    assert_eq!(not_written(client(Version::V5), packet), Violation::PropertyTwice);
}

/// Section 3.1.2.11.4: seen in the header, before the packet is there.
#[test]
fn a_packet_larger_than_the_maximum_packet_size_is_refused_by_its_header() {
    let rules = Rules { max_packet_size: 100, ..client(Version::V5) };
    assert!(
        matches!(rules.fixed_header(b"\x30\x62"), Ok(Some(header)) if header.packet_len() == 100)
    );
    assert_eq!(refused(rules, b"\x30\x63"), (Violation::PacketTooLarge, 1));
    let payload = [0; 100];
    let packet = Packet::Publish(Publish::new(topic("a"), &payload));
    let error = rules.encoded_len(&packet).unwrap_err();
    assert_eq!(error, EncodeError::TooLarge { size: 106, limit: 100 });
}
