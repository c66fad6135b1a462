//! Sections 3.4 to 3.7, 3.14 and 3.15: acknowledgements, DISCONNECT, AUTH.

use mqtt_codec::{
    Auth, ConnAck, Disconnect, List, Packet, PacketType, Properties, Property, ReasonCode, SubAck,
    UnsubAck, Version, Violation,
};

use super::*;

/// [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1].
#[test]
fn an_acknowledgement_carries_only_the_codes_that_are_listed_for_it() {
    for (kind, first, violation) in [
        (0, 0x40, Violation::PubAckReason),
        (1, 0x50, Violation::PubRecReason),
        (2, 0x62, Violation::PubRelReason),
        (3, 0x70, Violation::PubCompReason),
    ] {
        for rules in [client(Version::V5), server(Version::V5)] {
            for value in 0..=0xFF {
                let code = ReasonCode::from_value(value);
                let bytes = [first, 3, 0, 1, value];
                let packet =
                    code.map(|reason| acknowledgement(kind, Ack { reason, ..Ack::new(id(1)) }));
                let may = |sender| {
                    code.is_some_and(|c| {
                        c.is_allowed(acknowledgement(kind, Ack::new(id(1))).packet_type(), sender)
                    })
                };
                let broken =
                    if may(Sender::Either) { Violation::ReasonDirection } else { violation };
                if may(rules.sender) {
                    assert_eq!(read(rules, &bytes), packet.unwrap());
                    written(rules, packet.unwrap());
                } else {
                    assert_eq!(refused(rules, &bytes), (broken, 4), "{value:x}");
                    if let Some(packet) = packet {
                        assert_eq!(not_written(rules, packet), broken, "{value:x}");
                    }
                }
            }
        }
    }
}

/// [MQTT-3.14.2-1]; table 2-6 tells which side sends which code.
#[test]
fn disconnect_carries_only_the_codes_that_are_listed_for_its_sender() {
    for rules in [client(Version::V5), server(Version::V5)] {
        for value in 0..=0xFF {
            let code = ReasonCode::from_value(value);
            let may = |s| code.is_some_and(|c| c.is_allowed(PacketType::Disconnect, s));
            let broken = if may(Sender::Either) {
                Violation::ReasonDirection
            } else {
                Violation::DisconnectReason
            };
            if may(rules.sender) {
                written(rules, read(rules, &[0xE0, 1, value]));
            } else {
                assert_eq!(refused(rules, &[0xE0, 1, value]), (broken, 2), "{value:x}");
                if let Some(code) = code {
                    let packet = Packet::Disconnect(Disconnect::new(code));
                    assert_eq!(not_written(rules, packet), broken);
                }
            }
        }
    }
    let from_client = ReasonCode::DisconnectWithWill;
    assert!(from_client.is_allowed(PacketType::Disconnect, Sender::Client));
    assert!(!from_client.is_allowed(PacketType::Disconnect, Sender::Server));
    assert!(!ReasonCode::ServerShuttingDown.is_allowed(PacketType::Disconnect, Sender::Client));
}

/// [MQTT-3.14.2-2].
#[test]
fn a_server_sends_no_session_expiry_interval_in_disconnect() {
    let bytes = b"\xE0\x07\0\x05\x11\0\0\0\x01";
    let violation = Violation::SessionExpiryFromServer;
    let packet = read(client(Version::V5), bytes);
    assert_eq!(refused(server(Version::V5), bytes), (violation, 4));
    assert_eq!(not_written(server(Version::V5), packet), violation);
    let list = [Property::SessionExpiryInterval(1)];
    let properties = Properties::from(&list[..]);
    let packet = Packet::Disconnect(Disconnect { reason: ReasonCode::Success, properties });
    assert_eq!(not_written(server(Version::V5), packet), violation);
    assert_eq!(written(client(Version::V5), packet), bytes);
}

/// [MQTT-3.15.2-1]; sections 3.15.2.1 and 3.15.2.2.2.
#[test]
fn auth_carries_its_three_codes_and_a_method() {
    let list = [Property::AuthenticationMethod("m")];
    let properties = Properties::from(&list[..]);
    for value in 0..=0xFF {
        let bytes = [0xF0, 6, value, 4, 0x15, 0, 1, b'm'];
        let code = ReasonCode::from_value(value);
        let senders: &[Sender] = match value {
            0x00 => &[Sender::Server],
            0x18 => &[Sender::Client, Sender::Server],
            0x19 => &[Sender::Client],
            _ => &[],
        };
        for sender in [Sender::Client, Sender::Server] {
            let rules = Rules::new(Version::V5, sender);
            if senders.contains(&sender) {
                let packet = Packet::Auth(Auth { reason: code.unwrap(), properties });
                assert_eq!(written(rules, packet), bytes);
            } else {
                let broken = if senders.is_empty() {
                    Violation::AuthReason
                } else {
                    Violation::ReasonDirection
                };
                assert_eq!(refused(rules, &bytes), (broken, 2), "{value:x}");
                if let Some(reason) = code {
                    assert_eq!(
                        not_written(rules, Packet::Auth(Auth { reason, properties })),
                        broken
                    );
                }
            }
        }
    }
    let missing = Violation::AuthMethodMissing;
    assert_eq!(refused(client(Version::V5), b"\xF0\x02\x18\0").0, missing);
    assert_eq!(refused(client(Version::V5), b"\xF0\x01\x18").0, missing);
    let reason = ReasonCode::ContinueAuthentication;
    let bare = Packet::Auth(Auth { reason, properties: Properties::EMPTY });
    assert_eq!(not_written(client(Version::V5), bare), missing);
}

/// [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2],
/// [MQTT-3.5.2-3], [MQTT-3.6.2-2], [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3], [MQTT-3.9.2-1],
/// [MQTT-3.9.2-2], [MQTT-3.11.2-1], [MQTT-3.11.2-2], [MQTT-3.14.2-3], [MQTT-3.14.2-4],
/// [MQTT-3.15.2-2], [MQTT-3.15.2-3].
#[test]
fn reason_string_and_user_properties_are_left_out_when_the_packet_would_be_too_large() {
    let method = Property::AuthenticationMethod("m");
    let list = [
        Property::ReasonString("because of a reason"),
        Property::UserProperty(("name", "value")),
        Property::UserProperty(("name", "another")),
    ];
    let auth_list = [method, list[0], list[1], list[2]];
    let codes = [ReasonCode::Success];
    let packet_id = id(1);
    let make = |kind: usize, properties| match kind {
        0..=3 => acknowledgement(kind, Ack { properties, ..Ack::new(packet_id) }),
        4 => Packet::ConnAck(ConnAck { properties, ..ConnAck::new(ReasonCode::Success) }),
        5 => Packet::SubAck(SubAck { packet_id, properties, reasons: List::from(&codes[..]) }),
        6 => Packet::UnsubAck(UnsubAck { packet_id, properties, reasons: List::from(&codes[..]) }),
        7 => Packet::Disconnect(Disconnect { reason: ReasonCode::Success, properties }),
        _ => Packet::Auth(Auth { reason: ReasonCode::Success, properties }),
    };
    for kind in 0..=8 {
        let skip = if kind == 8 { 0 } else { 1 };
        let with = |count: usize| make(kind, Properties::from(&auth_list[skip..1 + count]));
        let mut rules = server(Version::V5);
        let sizes = [0, 1, 3].map(|count| rules.encoded_len(&with(count)).unwrap());
        let limits =
            [(sizes[2], 3), (sizes[2] - 1, 1), (sizes[1], 1), (sizes[1] - 1, 0), (sizes[0], 0)];
        for (limit, kept) in limits {
            rules.max_packet_size = limit as u32;
            let mut buffer = vec![0; limit];
            let len = rules.encode(&with(3), &mut buffer).unwrap();
            assert!(len <= limit);
            assert_eq!(read(rules, &buffer[..len]), with(kept), "{kind}, at most {limit} bytes");
            // The same of properties that were received and are passed on.
            let received = written(server(Version::V5), with(3));
            let packet = read(server(Version::V5), &received);
            let len = rules.encode(&packet, &mut buffer).unwrap();
            assert_eq!(read(rules, &buffer[..len]), with(kept), "{kind}, at most {limit} bytes");
        }
        rules.max_packet_size = sizes[0] as u32 - 1;
        let error = rules.encoded_len(&with(3));
        assert_eq!(
            error,
            Err(EncodeError::TooLarge { size: sizes[0] as u64, limit: sizes[0] as u32 - 1 })
        );
    }
}

/// The User Properties of a message are its own: it is too large as a whole.
#[test]
fn nothing_of_a_message_is_left_out() {
    let list = [Property::UserProperty(("name", "value"))];
    let properties = Properties::from(&list[..]);
    let packet = Packet::Publish(Publish { properties, ..publish(QoS::AtMostOnce) });
    let size = client(Version::V5).encoded_len(&packet).unwrap();
    let rules = Rules { max_packet_size: size as u32 - 1, ..client(Version::V5) };
    let error = rules.encoded_len(&packet);
    assert_eq!(error, Err(EncodeError::TooLarge { size: size as u64, limit: size as u32 - 1 }));
}
