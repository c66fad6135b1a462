//! What MQTT-SN 1.2 says of each message, on both ways. Sections are those of its text.
#![cfg(feature = "alloc")]

use mqtt_codec::sn::{
    Connect, Datagram, DecodeError, Encapsulation, EncodeError, MsgType, Packet, Publish,
    PublishQoS, Register, ReturnCode, Rules, ShortTopic, SubAck, Subscribe, Topic, TopicAck,
    TopicId, Unsubscribe, Violation, WillTopic,
};
use mqtt_codec::{QoS, Sender, TopicFilter, TopicName};

fn client() -> Rules {
    Rules::new(Sender::Client)
}

fn gateway() -> Rules {
    Rules::new(Sender::Server)
}

fn refused(rules: Rules, octets: &[u8]) -> (Violation, u16) {
    let DecodeError { violation, offset } = rules.decode(octets).unwrap_err();
    (violation, offset)
}

fn not_written(rules: Rules, packet: Packet<'_>) -> Violation {
    let mut buffer = [0xAA; 300];
    match rules.encode(&packet.into(), &mut buffer) {
        Err(EncodeError::Refused(violation)) => {
            assert_eq!(buffer, [0xAA; 300], "nothing has been written");
            violation
        }
        other => panic!("{other:?}"),
    }
}

const PUBLISH: Publish<'_> = Publish {
    dup: false,
    qos: PublishQoS::AtMostOnce,
    retain: false,
    topic: TopicId::Normal(1),
    msg_id: 0,
    data: b"x",
};

/// One of each type.
fn one_of_each() -> Vec<(Sender, Packet<'static>)> {
    let will = Some(WillTopic {
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: TopicName::new("w").unwrap(),
    });
    let ack = TopicAck { topic_id: 1, msg_id: 2, return_code: ReturnCode::CONGESTION };
    let filter = Topic::Name(TopicFilter::new("a/+/#").unwrap());
    let client_id = "0123456789abcdefghijklm";
    vec![
        (Sender::Server, Packet::Advertise { gw_id: 1, duration: 900 }),
        (Sender::Client, Packet::SearchGw { radius: 0 }),
        (Sender::Either, Packet::GwInfo { gw_id: 1, gw_add: b"\x0a\0\0\x01" }),
        (
            Sender::Client,
            Packet::Connect(Connect { will: true, clean_session: false, duration: 30, client_id }),
        ),
        (Sender::Server, Packet::ConnAck(ReturnCode::ACCEPTED)),
        (Sender::Server, Packet::WillTopicReq),
        (Sender::Client, Packet::WillTopic(will)),
        (Sender::Server, Packet::WillMsgReq),
        (Sender::Client, Packet::WillMsg(b"gone")),
        (
            Sender::Either,
            Packet::Register(Register {
                topic_id: 0,
                msg_id: 1,
                topic_name: TopicName::new("a/b").unwrap(),
            }),
        ),
        (Sender::Either, Packet::RegAck(ack)),
        (Sender::Either, Packet::Publish(PUBLISH)),
        (Sender::Either, Packet::PubAck(ack)),
        (Sender::Either, Packet::PubComp(1)),
        (Sender::Either, Packet::PubRec(1)),
        (Sender::Either, Packet::PubRel(1)),
        (
            Sender::Client,
            Packet::Subscribe(Subscribe {
                dup: true,
                qos: QoS::ExactlyOnce,
                msg_id: 1,
                topic: filter,
            }),
        ),
        (
            Sender::Server,
            Packet::SubAck(SubAck {
                qos: QoS::AtLeastOnce,
                topic_id: 0,
                msg_id: 1,
                return_code: ReturnCode::NOT_SUPPORTED,
            }),
        ),
        (
            Sender::Client,
            Packet::Unsubscribe(Unsubscribe { msg_id: 1, topic: Topic::Predefined(7) }),
        ),
        (Sender::Server, Packet::UnsubAck(1)),
        (Sender::Either, Packet::PingReq(Some(client_id))),
        (Sender::Either, Packet::PingResp),
        (Sender::Either, Packet::Disconnect(Some(3600))),
        (Sender::Client, Packet::WillTopicUpd(None)),
        (Sender::Server, Packet::WillTopicResp(ReturnCode::ACCEPTED)),
        (Sender::Client, Packet::WillMsgUpd(b"")),
        (Sender::Server, Packet::WillMsgResp(ReturnCode::INVALID_TOPIC_ID)),
    ]
}

/// Section 5.2.2 and the sections of the messages.
#[test]
fn each_message_is_read_as_it_was_written_and_only_from_its_sender() {
    let all = one_of_each();
    assert!(all.iter().map(|(_, packet)| packet.msg_type()).eq(MsgType::ALL));
    for (sender, packet) in all {
        let mut buffer = [0; 64];
        let len = Rules::new(sender).encode(&packet.into(), &mut buffer).unwrap();
        assert_eq!(usize::from(buffer[0]), len);
        for rules in [client(), gateway()] {
            let may = sender == Sender::Either || sender == rules.sender;
            match rules.decode(&buffer[..len]) {
                Ok(datagram) => assert!(may && datagram.message == packet, "{packet:?}"),
                Err(error) => {
                    assert_eq!((may, error.violation), (false, Violation::WrongDirection));
                    assert_eq!(not_written(rules, packet), Violation::WrongDirection);
                }
            }
        }
    }
}

/// Section 5.2.1: one octet up to 255, three from 256 on; a receiver takes both for short ones.
#[test]
fn the_length_has_one_octet_up_to_255_and_three_from_256_on() {
    let data = [0x64; 300];
    for size in [254, 255] {
        let packet = Packet::Publish(Publish { data: &data[..size - 7], ..PUBLISH });
        let mut buffer = [0; 400];
        assert_eq!(client().encode(&packet.into(), &mut buffer), Ok(size));
        assert_eq!(usize::from(buffer[0]), size);
        assert_eq!(client().decode(&buffer[..size]).unwrap().message, packet);
    }
    for size in [258, 259] {
        let packet = Packet::Publish(Publish { data: &data[..size - 9], ..PUBLISH });
        let mut buffer = [0; 400];
        assert_eq!(client().encode(&packet.into(), &mut buffer), Ok(size));
        assert_eq!(buffer[..3], [1, 1, size as u8]);
        assert_eq!(client().decode(&buffer[..size]).unwrap().message, packet);
    }
    assert_eq!(client().decode(&[1, 0, 4, 0x17]).unwrap().message, Packet::PingResp);
}

/// Section 5.2.1.
#[test]
fn a_length_that_disagrees_with_the_datagram_is_refused() {
    assert_eq!(refused(client(), &[3, 0x17]), (Violation::Length, 0));
    assert_eq!(refused(client(), &[2, 0x17, 0]), (Violation::Length, 0));
    assert_eq!(refused(client(), &[1, 0, 5, 0x17]), (Violation::Length, 0));
    for short in
        [&[][..], &[0], &[0, 0x17], &[1], &[1, 0], &[1, 0, 3], &[1, 0, 2, 0x17], &[1, 0x17]]
    {
        assert_eq!(refused(client(), short), (Violation::LengthTooShort, 0), "{short:?}");
    }
}

/// Section 5.2.1: the length has 16 bits; section 7.4: a network may carry less.
#[test]
fn a_message_larger_than_the_limit_is_refused_on_both_ways() {
    let data = vec![0; 65_535];
    let fits = Packet::Publish(Publish { data: &data[..65_535 - 9], ..PUBLISH });
    let mut buffer = Vec::new();
    assert_eq!(client().encode_to_vec(&fits.into(), &mut buffer), Ok(65_535));
    assert_eq!(client().decode(&buffer).unwrap().message, fits);
    let large = Packet::Publish(Publish { data: &data[..65_535 - 8], ..PUBLISH });
    let error = client().encoded_len(&large.into());
    assert_eq!(error, Err(EncodeError::TooLarge { size: 65_536, limit: 65_535 }));

    let zigbee = Rules { max_message_size: 60, ..client() };
    let large = Packet::Publish(Publish { data: &data[..54], ..PUBLISH });
    let error = zigbee.encoded_len(&large.into());
    assert_eq!(error, Err(EncodeError::TooLarge { size: 61, limit: 60 }));
    let len = client().encode_to_vec(&large.into(), &mut { Vec::new() }).unwrap();
    assert_eq!(len, 61);
    let mut octets = vec![61, 0x0C];
    octets.resize(61, 0);
    assert_eq!(refused(zigbee, &octets), (Violation::MessageTooLarge, 0));
}

/// Section 5.2.2.
#[test]
fn every_reserved_message_type_is_refused() {
    for kind in 0..=0xFF {
        if MsgType::from_value(kind).is_none() && kind != 0xFE {
            assert_eq!(refused(client(), &[2, kind]), (Violation::ReservedType, 1), "{kind:#x}");
        }
    }
}

/// Section 5.4: every field has its place and nothing follows the last one.
#[test]
fn a_message_that_is_a_part_of_one_or_longer_is_refused() {
    for (sender, packet) in one_of_each() {
        let rules = Rules::new(sender);
        let mut octets = Vec::new();
        let len = rules.encode_to_vec(&packet.into(), &mut octets).unwrap();
        for cut in 2..len {
            octets[0] = cut as u8;
            if let Ok(shorter) = rules.decode(&octets[..cut]) {
                // Only what may be of any length is shorter and still good.
                let mut again = Vec::new();
                rules.encode_to_vec(&shorter, &mut again).unwrap();
                assert_eq!(again, octets[..cut]);
            }
        }
        octets[0] = len as u8 + 1;
        octets.push(0xFF);
        let open = matches!(
            packet.msg_type(),
            MsgType::GwInfo | MsgType::WillMsg | MsgType::Publish | MsgType::WillMsgUpd
        );
        assert_eq!(rules.decode(&octets).is_ok(), open, "{packet:?}");
    }
    assert_eq!(refused(client(), &[4, 0x17, 0, 0]), (Violation::TrailingOctets, 2));
    assert_eq!(refused(client(), &[6, 0x0D, 0, 7, 0, 9]), (Violation::Truncated, 6));
}

/// Section 5.3.4: QoS -1 is for PUBLISH from clients, section 6.8: with two kinds of topic id.
#[test]
fn qos_minus_one_needs_a_client_and_a_topic_that_needs_no_connection() {
    let publish = |topic| Packet::Publish(Publish { qos: PublishQoS::MinusOne, topic, ..PUBLISH });
    for topic in [TopicId::Predefined(1), TopicId::Short(ShortTopic::new("tt").unwrap())] {
        let mut buffer = [0; 16];
        let len = client().encode(&publish(topic).into(), &mut buffer).unwrap();
        assert_eq!(buffer[2] & 0x60, 0x60);
        assert_eq!(client().decode(&buffer[..len]).unwrap().message, publish(topic));
        let violation = Violation::QosMinusOneFromGateway;
        assert_eq!(refused(gateway(), &buffer[..len]), (violation, 2));
        assert_eq!(not_written(gateway(), publish(topic)), violation);
    }
    let violation = Violation::QosMinusOneTopicId;
    assert_eq!(refused(client(), &[8, 0x0C, 0x60, 0, 1, 0, 0, 0x78]), (violation, 2));
    assert_eq!(not_written(client(), publish(TopicId::Normal(1))), violation);
    // In other messages the two bits mean nothing.
    assert_eq!(refused(client(), &[6, 0x12, 0x60, 0, 1, b'a']), (Violation::QosMinusOne, 2));
    assert_eq!(refused(gateway(), &[8, 0x13, 0x60, 0, 1, 0, 1, 0]), (Violation::QosMinusOne, 2));
    assert_eq!(refused(client(), &[4, 0x07, 0x60, b'a']), (Violation::QosMinusOne, 2));
}

/// Section 5.3.4.
#[test]
fn topic_id_type_0b11_is_refused() {
    let violation = Violation::TopicIdTypeReserved;
    assert_eq!(refused(client(), &[7, 0x0C, 3, 0, 1, 0, 0]), (violation, 2));
    assert_eq!(refused(client(), &[7, 0x12, 3, 0, 1, 0, 1]), (violation, 2));
    assert_eq!(refused(client(), &[7, 0x14, 3, 0, 1, 0, 1]), (violation, 2));
}

/// Section 5.3.8.
#[test]
fn a_protocol_id_other_than_1_is_refused() {
    for id in (0..=0xFF).filter(|&id| id != 1) {
        assert_eq!(refused(client(), &[7, 4, 4, id, 0, 60, b'c']), (Violation::ProtocolId, 3));
    }
}

/// Section 5.3.1: 1 to 23 characters, by whatever number of octets.
#[test]
fn a_client_id_has_1_to_23_characters() {
    let connect = |client_id| {
        Packet::Connect(Connect { will: false, clean_session: true, duration: 0, client_id })
    };
    let long = "é".repeat(24);
    let fits = &long[..46];
    assert!(client().encoded_len(&connect(fits).into()).is_ok());
    for (client_id, violation) in [
        ("", Violation::ClientIdEmpty),
        (&long, Violation::ClientIdTooLong),
        ("a\0", Violation::StringHasNul),
    ] {
        assert_eq!(not_written(client(), connect(client_id)), violation);
        let mut octets = vec![6 + client_id.len() as u8, 4, 4, 1, 0, 0];
        octets.extend_from_slice(client_id.as_bytes());
        assert_eq!(refused(client(), &octets), (violation, 6));
    }
    let mut lax = client();
    lax.policy.long_client_ids = true;
    assert!(lax.encoded_len(&connect(&long).into()).is_ok());
    assert_eq!(not_written(client(), Packet::PingReq(Some(""))), Violation::ClientIdEmpty);
    assert_eq!(not_written(client(), Packet::PingReq(Some(&long))), Violation::ClientIdTooLong);
    assert_eq!(refused(client(), &[3, 0x16, 0xFF]), (Violation::StringNotUtf8, 2));
}

/// Sections 6.5 and 6.9: names have no wildcards, filters have them where MQTT has them.
#[test]
fn topic_names_and_filters_follow_the_syntax_of_mqtt() {
    let violation = Violation::TopicNameWildcard;
    assert_eq!(refused(client(), &[7, 0x0A, 0, 0, 0, 1, b'#']), (violation, 6));
    assert_eq!(refused(client(), b"\x04\x07\x00+"), (violation, 3));
    assert_eq!(refused(client(), b"\x07\x0C\x02+a\0\0"), (violation, 3));
    let short = TopicId::Short(ShortTopic::new("a#").unwrap());
    assert_eq!(
        not_written(client(), Packet::Publish(Publish { topic: short, ..PUBLISH })),
        violation
    );
    assert_eq!(refused(client(), &[6, 0x0A, 0, 0, 0, 1]), (Violation::TopicNameEmpty, 6));
    let empty = Register { topic_id: 0, msg_id: 1, topic_name: TopicName::ALIASED };
    assert_eq!(not_written(client(), Packet::Register(empty)), Violation::TopicNameEmpty);
    assert_eq!(refused(client(), b"\x07\x12\0\0\x01a#"), (Violation::TopicFilter, 5));
    assert_eq!(refused(client(), b"\x08\x14\0\0\x01#/a"), (Violation::TopicFilter, 5));
    assert!(client().decode(b"\x08\x12\0\0\x01+/#").is_ok());
    assert_eq!(refused(client(), b"\x07\x12\0\0\x01a\0"), (Violation::StringHasNul, 5));
    assert_eq!(refused(client(), b"\x07\x12\0\0\x01a\xFF"), (Violation::StringNotUtf8, 5));
    assert_eq!(refused(client(), b"\x07\x0A\0\0\0\x01\xFF"), (Violation::StringNotUtf8, 6));
}

/// Section 5.4.15 and section 3.4: topic ids and short names have two octets.
#[test]
fn a_topic_that_is_missing_or_of_the_wrong_length_is_refused() {
    for kind in [0x12, 0x14] {
        assert_eq!(refused(client(), &[5, kind, 0, 0, 2]), (Violation::TopicMissing, 5));
        for flags in [1, 2] {
            assert_eq!(refused(client(), &[5, kind, flags, 0, 2]), (Violation::TopicMissing, 5));
            let long = [8, kind, flags, 0, 2, b'a', b'b', b'c'];
            assert_eq!(refused(client(), &long), (Violation::ShortTopicLength, 5));
            let short = [6, kind, flags, 0, 2, b'a'];
            assert_eq!(refused(client(), &short), (Violation::ShortTopicLength, 5));
        }
    }
    assert_eq!(ShortTopic::new("abc"), None);
    assert_eq!(ShortTopic::new("a\0"), None);
    assert_eq!(ShortTopic::new("é").map(ShortTopic::as_str), Some("é"));
}

/// Section 5.5: the length covers the header alone, the message follows with its own.
#[test]
fn an_encapsulated_message_is_read_with_its_forwarder_header() {
    let datagram = Datagram {
        encapsulation: Some(Encapsulation { radius: 2, wireless_node_id: b"\x01\x02" }),
        message: Packet::PingResp,
    };
    let mut buffer = [0; 16];
    assert_eq!(client().encode(&datagram, &mut buffer), Ok(7));
    assert_eq!(buffer[..7], [5, 0xFE, 2, 1, 2, 2, 0x17]);
    assert_eq!(client().decode(&buffer[..7]), Ok(datagram));
    // A node id may be empty, and a message in it may be long.
    assert!(client().decode(&[3, 0xFE, 0, 1, 0, 4, 0x17]).is_ok());
    assert_eq!(refused(client(), &[2, 0xFE]), (Violation::LengthTooShort, 0));
    assert_eq!(refused(client(), &[0, 0xFE, 0]), (Violation::LengthTooShort, 0));
    assert_eq!(refused(client(), &[9, 0xFE, 0, 2, 0x17]), (Violation::Length, 0));
    assert_eq!(refused(client(), &[3, 0xFE, 0, 3, 0x17]), (Violation::Length, 3));
    assert_eq!(refused(client(), &[3, 0xFE, 0]), (Violation::LengthTooShort, 3));
    assert_eq!(refused(client(), &[3, 0xFE, 0, 2, 0x41]), (Violation::ReservedType, 4));
    let nested = [3, 0xFE, 0, 3, 0xFE, 0, 2, 0x17];
    assert_eq!(refused(client(), &nested), (Violation::NestedEncapsulation, 3));

    let long = [0; 253];
    let wrong = |radius, wireless_node_id| Datagram {
        encapsulation: Some(Encapsulation { radius, wireless_node_id }),
        message: Packet::PingResp,
    };
    let error = |datagram| client().encoded_len(&datagram);
    assert_eq!(error(wrong(4, &[])), Err(Violation::RadiusTooLarge.into()));
    assert_eq!(error(wrong(0, &long)), Err(Violation::NodeIdTooLong.into()));
    assert_eq!(error(wrong(0, &long[1..])), Ok(257));
}

/// A message of three octets of length whose second one is 0xFE is no encapsulation.
#[test]
fn a_long_message_is_not_mistaken_for_an_encapsulation() {
    let data = vec![0; 0xFE00];
    let packet = Packet::Publish(Publish { data: &data, ..PUBLISH });
    let mut octets = Vec::new();
    client().encode_to_vec(&packet.into(), &mut octets).unwrap();
    assert_eq!(octets[..2], [1, 0xFE]);
    assert_eq!(client().decode(&octets).unwrap().message, packet);
}

/// Where the text only says "not used", "reserved" or nothing: taken, or refused by the policy.
#[test]
fn the_policy_refuses_on_both_ways_what_the_text_leaves_open() {
    let mut rules = gateway();
    rules.policy.refuse_reserved_return_codes = true;
    assert_eq!(refused(rules, &[3, 5, 4]), (Violation::ReturnCodeReserved, 2));
    assert_eq!(not_written(rules, Packet::ConnAck(ReturnCode(4))), Violation::ReturnCodeReserved);
    assert!(gateway().decode(&[3, 5, 4]).is_ok());

    let mut rules = client();
    rules.policy.refuse_unused_flags = true;
    let dup = Packet::Publish(Publish { dup: true, ..PUBLISH });
    assert_eq!(not_written(rules, dup), Violation::UnusedFlags);
    assert_eq!(refused(rules, &[8, 0x0C, 0x80, 0, 1, 0, 0, 0]), (Violation::UnusedFlags, 2));
    assert_eq!(refused(rules, &[8, 0x0C, 0x08, 0, 1, 0, 0, 0]), (Violation::UnusedFlags, 2));
    assert_eq!(refused(rules, &[3, 0xFE, 4, 2, 0x17]), (Violation::UnusedFlags, 2));
    assert!(client().decode(&[3, 0xFE, 4, 2, 0x17]).is_ok());

    let mut rules = client();
    rules.policy.refuse_reserved_topic_ids = true;
    for id in [0, u16::MAX] {
        let publish = Packet::Publish(Publish { topic: TopicId::Predefined(id), ..PUBLISH });
        assert_eq!(not_written(rules, publish), Violation::TopicIdReserved);
        assert!(client().encoded_len(&publish.into()).is_ok());
        let topic = Topic::Predefined(id);
        let unsubscribe = Packet::Unsubscribe(Unsubscribe { msg_id: 1, topic });
        assert_eq!(not_written(rules, unsubscribe), Violation::TopicIdReserved);
    }
    assert_eq!(refused(rules, &[7, 0x0C, 0, 0, 0, 0, 0]), (Violation::TopicIdReserved, 3));

    let mut rules = client();
    rules.policy.check_msg_id = true;
    let wanted = Packet::Publish(Publish { qos: PublishQoS::AtLeastOnce, ..PUBLISH });
    assert_eq!(not_written(rules, wanted), Violation::MsgIdZero);
    let unwanted = Packet::Publish(Publish { msg_id: 1, ..PUBLISH });
    assert_eq!(not_written(rules, unwanted), Violation::MsgIdUnwanted);
    assert_eq!(refused(rules, &[6, 0x12, 0, 0, 0, b'a']), (Violation::MsgIdZero, 3));
    assert!(client().decode(&[6, 0x12, 0, 0, 0, b'a']).is_ok());

    let mut rules = gateway();
    rules.policy.refuse_client_fields_from_gateway = true;
    for packet in [
        Packet::Disconnect(Some(1)),
        Packet::PingReq(Some("a")),
        Packet::GwInfo { gw_id: 1, gw_add: b"a" },
    ] {
        assert_eq!(not_written(rules, packet), Violation::ClientFieldFromGateway);
        assert!(gateway().encoded_len(&packet.into()).is_ok());
    }
    assert_eq!(refused(rules, &[4, 0x18, 0, 1]), (Violation::ClientFieldFromGateway, 2));

    let mut rules = client();
    rules.policy.refuse_empty_will_topic = true;
    assert_eq!(refused(rules, &[3, 7, 0]), (Violation::WillTopicEmpty, 3));
    let empty = WillTopic { qos: QoS::AtMostOnce, retain: false, topic: TopicName::ALIASED };
    assert_eq!(not_written(rules, Packet::WillTopic(Some(empty))), Violation::WillTopicEmpty);
    assert!(client().decode(&[3, 7, 0]).is_ok());
}

#[test]
fn a_buffer_that_is_too_short_is_left_as_it_was() {
    let mut buffer = [0xAA; 1];
    let error = client().encode(&Packet::PingResp.into(), &mut buffer);
    assert_eq!(error, Err(EncodeError::NoRoom { needed: 2 }));
    assert_eq!(buffer, [0xAA]);
}
