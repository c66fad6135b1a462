//! Sections 3.1 and 3.2: CONNECT and CONNACK.

use mqtt_codec::{
    ConnAck, Connect, Packet, PacketType, ReasonCode, Text, Version, Violation, Will,
};

use super::*;

/// A CONNECT with these flags and this payload.
fn bytes(version: Version, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x10\0\0\x04MQTT".to_vec();
    bytes.extend_from_slice(&[version.level(), flags, 0, 60]);
    if version == Version::V5 {
        bytes.push(0);
    }
    bytes.extend_from_slice(payload);
    bytes[1] = bytes.len() as u8 - 2;
    bytes
}

/// The end of its variable header.
fn payload_at(version: Version) -> u32 {
    if version == Version::V5 { 13 } else { 12 }
}

/// [MQTT-3.1.2-1], [MQTT-3.1.2-2], [MQTT-3.1.2-1 of 3.1.1], [MQTT-3.1.2-2 of 3.1.1].
#[test]
fn a_protocol_name_and_a_level_that_are_not_ours_are_refused() {
    for version in BOTH {
        let good = bytes(version, 2, b"\0\0");
        for (at, value, violation, offset) in [
            (4, b'm', Violation::ProtocolName, 2),
            (7, b'X', Violation::ProtocolName, 2),
            (8, 0, Violation::ProtocolLevel, 8),
            (8, 3, Violation::ProtocolLevel, 8),
            (8, 6, Violation::ProtocolLevel, 8),
            (8, 0x84, Violation::ProtocolLevel, 8),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(refused(client(version), &bad), (violation, offset));
        }
    }
    let mqisdp = b"\x10\x0E\0\x06MQIsdp\x03\x02\0\0\0\0";
    let Packet::Connect(read) = read(client(Version::V311), mqisdp) else { panic!() };
    assert_eq!(read.version, Version::V31);
    assert_eq!(written(client(Version::V311), Packet::Connect(read)), mqisdp);
}

/// [MQTT-3.1.2-3], [MQTT-3.1.2-3 of 3.1.1]. There is no field that would set it.
#[test]
fn the_reserved_connect_flag_is_0() {
    for version in BOTH {
        let error = refused(client(version), &bytes(version, 0x03, b"\0\0"));
        assert_eq!(error, (Violation::ConnectReserved, 9));
        assert_eq!(written(client(version), Packet::Connect(connect(version)))[9] & 1, 0);
    }
}

/// [MQTT-3.1.2-9], [MQTT-3.1.2-9 of 3.1.1].
#[test]
fn with_the_will_flag_the_fields_of_the_will_are_in_the_payload() {
    for version in BOTH {
        let will = Will { qos: QoS::AtLeastOnce, retain: true, ..Will::new(topic("w"), b"gone") };
        let packet = Packet::Connect(Connect { will: Some(will), ..connect(version) });
        let out = written(client(version), packet);
        assert_eq!(out[9], 0x2E);
        let behind = payload_at(version) as usize + 8;
        let fields: &[u8] = match version {
            Version::V5 => b"\0\0\x01w\0\x04gone",
            _ => b"\0\x01w\0\x04gone",
        };
        assert_eq!(out[behind..], *fields);
        for missing in 1..fields.len() {
            let mut cut = out[..out.len() - missing].to_vec();
            cut[1] -= missing as u8;
            assert_eq!(refused(client(version), &cut).0, Violation::Truncated, "{missing}");
        }
        let error = refused(client(version), &bytes(version, 0x06, b"\0\0"));
        assert_eq!(error, (Violation::Truncated, payload_at(version) + 2));
    }
}

/// [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-11 of 3.1.1], [MQTT-3.1.2-13 of 3.1.1],
/// [MQTT-3.1.2-15 of 3.1.1]. `Connect` has QoS and retain only together with a will.
#[test]
fn without_a_will_its_qos_and_retain_are_0_and_its_fields_are_absent() {
    for version in BOTH {
        for flags in [0x0A, 0x12, 0x1A] {
            let error = refused(client(version), &bytes(version, flags, b"\0\0"));
            assert_eq!(error, (Violation::WillQosWithoutWill, 9));
        }
        let error = refused(client(version), &bytes(version, 0x22, b"\0\0"));
        assert_eq!(error, (Violation::WillRetainWithoutWill, 9));
        let error = refused(client(version), &bytes(version, 0x02, b"\0\0\0\x01w\0\0"));
        assert_eq!(error, (Violation::TrailingBytes, payload_at(version) + 2));
        assert_eq!(written(client(version), Packet::Connect(connect(version)))[9], 0x02);
    }
}

/// [MQTT-3.1.2-12], [MQTT-3.1.2-14 of 3.1.1]. `QoS` has no 3.
#[test]
fn will_qos_3_is_refused() {
    assert_eq!(QoS::from_bits(3), None);
    for version in BOTH {
        let error = refused(client(version), &bytes(version, 0x1E, b"\0\0\0\x01w\0\0"));
        assert_eq!(error, (Violation::WillQos3, 9));
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let will = Some(Will { qos, ..Will::new(topic("w"), b"") });
            let out =
                written(client(version), Packet::Connect(Connect { will, ..connect(version) }));
            assert_eq!(out[9], 0x06 | qos.bits() << 3);
        }
    }
}

/// [MQTT-3.1.2-16] to [MQTT-3.1.2-19], each by its flag: [MQTT-3.1.2-17], [MQTT-3.1.2-18],
/// [MQTT-3.1.2-18 of 3.1.1], [MQTT-3.1.2-19 of 3.1.1], [MQTT-3.1.2-20 of 3.1.1],
/// [MQTT-3.1.2-21 of 3.1.1].
#[test]
fn user_name_and_password_are_there_exactly_when_their_flags_are_set() {
    for version in BOTH {
        let at = payload_at(version) + 2;
        // Flag but no field.
        assert_eq!(
            refused(client(version), &bytes(version, 0x82, b"\0\0")),
            (Violation::Truncated, at)
        );
        let error = refused(client(version), &bytes(version, 0xC2, b"\0\0\0\x01u"));
        assert_eq!(error, (Violation::Truncated, at + 3));
        // Field but no flag.
        let error = refused(client(version), &bytes(version, 0x02, b"\0\0\0\x01u"));
        assert_eq!(error, (Violation::TrailingBytes, at));
        let error = refused(client(version), &bytes(version, 0x82, b"\0\0\0\x01u\0\x01p"));
        assert_eq!(error, (Violation::TrailingBytes, at + 3));
        // Written, flag and field go together.
        let u = Text::new("u");
        for (user_name, password, flags) in
            [(None, None, 0x02), (Some(u), None, 0x82), (Some(u), Some(&b"p"[..]), 0xC2)]
        {
            let packet = Packet::Connect(Connect { user_name, password, ..connect(version) });
            assert_eq!(written(client(version), packet)[9], flags);
        }
    }
}

/// [MQTT-3.1.2-22 of 3.1.1]; version 5 allows it (section 3.1.2.9).
#[test]
fn before_version_5_a_password_needs_a_user_name() {
    let packet = |version| Packet::Connect(Connect { password: Some(b"p"), ..connect(version) });
    let error = refused(client(Version::V311), &bytes(Version::V311, 0x42, b"\0\0\0\x01p"));
    assert_eq!(error, (Violation::PasswordWithoutUserName, 9));
    let violation = not_written(client(Version::V311), packet(Version::V311));
    assert_eq!(violation, Violation::PasswordWithoutUserName);
    assert_eq!(written(client(Version::V5), packet(Version::V5))[9], 0x42);
}

/// [MQTT-3.1.3-1], [MQTT-3.1.3-3], [MQTT-3.1.3-1 of 3.1.1], [MQTT-3.1.3-3 of 3.1.1].
#[test]
fn the_fields_of_the_payload_are_in_order_and_the_client_id_comes_first() {
    for version in BOTH {
        let packet = Packet::Connect(Connect {
            will: Some(Will::new(topic("WT"), b"WP")),
            user_name: Some("UN".into()),
            password: Some(b"PW"),
            ..Connect::new(version, "ID")
        });
        let out = written(client(version), packet);
        let expected: &[u8] = match version {
            Version::V5 => b"\0\x02ID\0\0\x02WT\0\x02WP\0\x02UN\0\x02PW",
            _ => b"\0\x02ID\0\x02WT\0\x02WP\0\x02UN\0\x02PW",
        };
        assert_eq!(out[payload_at(version) as usize..], *expected);
        let error = refused(client(version), &bytes(version, 0x02, b""));
        assert_eq!(error, (Violation::Truncated, payload_at(version)));
    }
}

/// [MQTT-3.1.3-4], [MQTT-3.1.3-11], [MQTT-3.1.3-12], [MQTT-3.1.3-4 of 3.1.1],
/// [MQTT-3.1.3-10 of 3.1.1], [MQTT-3.1.3-11 of 3.1.1]. What is written
/// was a `&str`.
#[test]
fn client_id_will_topic_and_user_name_are_strings() {
    for version in BOTH {
        let properties: &[u8] = if version == Version::V5 { b"\0" } else { b"" };
        let will = |name: &[u8]| [b"\0\0", properties, b"\0\x01", name, b"\0\0"].concat();
        for (flags, payload) in [
            (0x02, b"\0\x01\xFF".to_vec()),
            (0x06, will(b"\xFF")),
            (0x82, b"\0\0\0\x01\xFF".to_vec()),
        ] {
            let error = refused(client(version), &bytes(version, flags, &payload));
            assert_eq!(error.0, Violation::StringNotUtf8);
        }
        let error = refused(client(version), &bytes(version, 0x06, &will(b"\0")));
        assert_eq!(error.0, Violation::StringHasNul);
        let packet = Packet::Connect(Connect { user_name: Some("u\0".into()), ..connect(version) });
        assert_eq!(not_written(client(version), packet), Violation::StringHasNul);
    }
}

/// [MQTT-3.2.2-1]; in 3.1.1 section 3.2.2.1.
#[test]
fn the_reserved_bits_of_the_connack_flags_are_0() {
    for flags in 2..=0xFF {
        let error = refused(server(Version::V5), &[0x20, 3, flags, 0, 0]);
        assert_eq!(error, (Violation::ConnAckFlags, 2));
        let error = refused(server(Version::V311), &[0x20, 2, flags, 0]);
        assert_eq!(error, (Violation::ConnAckFlags, 2));
    }
}

/// [MQTT-3.2.2-6], [MQTT-3.2.2-4 of 3.1.1].
#[test]
fn a_connack_that_refuses_has_no_session() {
    let violation = Violation::SessionPresentOnFailure;
    assert_eq!(refused(server(Version::V5), &[0x20, 3, 1, 0x87, 0]), (violation, 2));
    assert_eq!(refused(server(Version::V311), &[0x20, 2, 1, 5]), (violation, 2));
    for version in BOTH {
        let connack = ConnAck { session_present: true, ..ConnAck::new(ReasonCode::NotAuthorized) };
        assert_eq!(not_written(server(version), Packet::ConnAck(connack)), violation);
        let connack = ConnAck { session_present: true, ..ConnAck::new(ReasonCode::Success) };
        assert_eq!(written(server(version), Packet::ConnAck(connack))[2], 1);
    }
}

/// [MQTT-3.2.2-8]; in 3.1.1 section 3.2.2.3.
#[test]
fn connack_carries_only_the_codes_that_are_listed_for_it() {
    for value in 0..=0xFF {
        let code = ReasonCode::from_value(value);
        let listed = code.is_some_and(|code| code.is_allowed(PacketType::ConnAck, Sender::Server));
        let bytes = [0x20, 3, 0, value, 0];
        if listed {
            let out = written(server(Version::V5), read(server(Version::V5), &bytes));
            assert_eq!(out, bytes);
        } else {
            assert_eq!(refused(server(Version::V5), &bytes), (Violation::ConnAckReason, 3));
            if let Some(code) = code {
                let packet = Packet::ConnAck(ConnAck::new(code));
                assert_eq!(not_written(server(Version::V5), packet), Violation::ConnAckReason);
            }
        }
        let bytes = [0x20, 2, 0, value];
        if value <= 5 {
            assert_eq!(written(server(Version::V311), read(server(Version::V311), &bytes)), bytes);
        } else {
            assert_eq!(refused(server(Version::V311), &bytes), (Violation::ConnAckReason, 3));
        }
    }
    let packet = Packet::ConnAck(ConnAck::new(ReasonCode::PacketTooLarge));
    let error = server(Version::V311).encoded_len(&packet);
    assert_eq!(error, Err(EncodeError::NoReturnCode(ReasonCode::PacketTooLarge)));
}
