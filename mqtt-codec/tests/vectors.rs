//! Packets that others made, good and bad: `data/README.md` says where they come from.

mod common;

use common::{AMBIGUOUS, DEV, TOPIC_MATCH, UTF8, bytes, lines, rules, sender};
use mqtt_codec::{
    BareAck, Packet, PacketType, Policy, Properties, ReasonCode, Rules, Sender, TopicFilter,
    TopicName, Version, sn,
};
use serde_json::Value;

/// `valid`, `incomplete` or the class of the error.
fn verdict(vector: &Value, bytes: &[u8]) -> String {
    match rules(vector) {
        Some(rules) => match rules.decode(&mut &*bytes) {
            Ok(Some(_)) => "valid".into(),
            Ok(None) => "incomplete".into(),
            Err(error) => error.violation.class().to_string(),
        },
        None => match sn::Rules::new(sender(vector)).decode(bytes) {
            Ok(_) => "valid".into(),
            Err(error) => error.violation.class().to_string(),
        },
    }
}

#[test]
fn each_packet_is_taken_or_refused_for_its_reason() {
    let mut wrong = Vec::new();
    for vector in lines(DEV) {
        let found = verdict(&vector, &bytes(&vector));
        let expected = vector["error"].as_str().unwrap_or("valid");
        if found != expected {
            wrong.push(format!(
                "{}: {found}, not {expected}: {} {}",
                vector["id"], vector["why"], vector["hex"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_bare_acknowledgement_is_what_decodes_and_encodes_as_one() {
    for version in [Version::V31, Version::V311, Version::V5] {
        for (first, id) in
            (0..=u8::MAX).flat_map(|first| [0, 1, 0x0207, 65_535].map(|id| (first, id)))
        {
            for max_packet_size in [3, 4, 5] {
                let rules = Rules { max_packet_size, ..Rules::new(version, Sender::Either) };
                let [high, low] = u16::to_be_bytes(id);
                let received = [first, 2, high, low, 0x40];
                let mut rest = &received[..];
                let taken = rules.take_bare_ack(&mut rest);
                assert_eq!(rest.len(), if taken.is_some() { 1 } else { 5 });
                let decoded = rules.decode(&mut &received[..]).ok().flatten();
                let expected = decoded.and_then(|packet| match packet {
                    Packet::PubAck(ack) => Some(BareAck::puback(ack.packet_id)),
                    Packet::PubRec(ack) => Some(BareAck::pubrec(ack.packet_id)),
                    Packet::PubRel(ack) => Some(BareAck::pubrel(ack.packet_id)),
                    Packet::PubComp(ack) => Some(BareAck::pubcomp(ack.packet_id)),
                    _ => None,
                });
                // In 3.1 a PUBREL that is sent again says so.
                if taken.is_some() || (version, first) != (Version::V31, 0x6A) {
                    assert_eq!(taken, expected, "{received:?} of {version}");
                }
                if let (Some(ack), Some(packet)) = (taken, decoded) {
                    assert_eq!(
                        (ack.packet_type(), ack.packet_id().get()),
                        (packet.packet_type(), id)
                    );
                    let mut written = [0; 4];
                    assert_eq!(rules.encode(&packet, &mut written), Ok(4));
                    assert_eq!(ack.to_bytes(), written);
                }
            }
        }
    }
    let rules = Rules::new(Version::V5, Sender::Either);
    assert_eq!(rules.take_bare_ack(&mut &[0x40, 2, 0][..]), None);
    assert_eq!(rules.take_bare_ack(&mut &[0x40, 3, 0, 1, 0x10][..]), None);
}

#[test]
fn a_packet_that_is_taken_unread_reads_as_it_decodes() {
    for vector in lines(DEV) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        let mut rest = &bytes[..];
        let Ok(Some(unread)) = rules.take(&mut rest) else {
            assert_eq!(rest, bytes, "{}", vector["id"]);
            continue;
        };
        let kind = unread.packet_type();
        let read = match rules.decode(&mut &bytes[..]) {
            Ok(packet) => packet,
            Err(error) => {
                let refused = unread.publish().err().or(unread.ack().err());
                let apart = unread.publish() != Ok(None) || unread.ack() != Ok(None);
                assert_eq!(refused, apart.then_some(error), "{}", vector["id"]);
                continue;
            }
        };
        let publish = unread.publish().unwrap().map(Packet::Publish);
        let ack = unread.ack().unwrap().map(|ack| match kind {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        });
        let apart = publish.or(ack);
        assert_eq!(apart, read.filter(|_| apart.is_some()), "{}", vector["id"]);
        assert_eq!(read.map(|packet| packet.packet_type()), Some(kind), "{}", vector["id"]);
    }
}

#[cfg(feature = "serde")]
#[test]
fn each_good_packet_has_exactly_the_fields_that_its_author_says() {
    let mut wrong = Vec::new();
    for vector in lines(DEV).filter(|v| v["valid"] == true) {
        let bytes = bytes(&vector);
        let found = match rules(&vector) {
            Some(rules) => {
                let packet = rules.decode(&mut &bytes[..]).unwrap().unwrap();
                serde_json::to_value(mqtt_codec::Fields::new(&packet, rules.version)).unwrap()
            }
            None => serde_json::to_value(sn::Rules::new(sender(&vector)).decode(&bytes).unwrap())
                .unwrap(),
        };
        if found != vector["packet"] {
            wrong.push(format!("{}:\n  {found}\n  {}", vector["id"], vector["packet"]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether the packet is written with more bytes than it needs, which a writer may leave out:
/// a Remaining Length that is not minimal (legal in 3.1.1), a reason code 0x00 or an empty property
/// list that need not be there (for example section 3.4.2.1).
fn is_wordy(packet: &Packet<'_>, bytes: &[u8], rules: &Rules) -> bool {
    let header = rules.fixed_header(bytes).unwrap().unwrap();
    let minimal = match header.remaining_len() {
        0..=0x7F => 2,
        0x80..=0x3FFF => 3,
        _ => 4,
    };
    let spare = |reason, properties: &Properties<'_>, short| {
        properties.is_empty()
            && bytes.len() > if reason == ReasonCode::Success { short } else { short + 1 }
    };
    header.len() != minimal
        || match packet {
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => spare(ack.reason, &ack.properties, 4),
            Packet::Disconnect(disconnect) => spare(disconnect.reason, &disconnect.properties, 2),
            _ => false,
        }
}

#[test]
fn each_good_packet_is_written_as_it_was_read() {
    let mut wordy = 0;
    for vector in lines(DEV).filter(|v| v["valid"] == true) {
        let bytes = bytes(&vector);
        let mut out = vec![0; bytes.len()];
        match rules(&vector) {
            Some(rules) => {
                let packet = rules.decode(&mut &bytes[..]).unwrap().unwrap();
                let len = rules.encode(&packet, &mut out).unwrap();
                assert_eq!(rules.encoded_len(&packet), Ok(len), "{vector}");
                if is_wordy(&packet, &bytes, &rules) {
                    wordy += 1;
                    assert!(len < bytes.len(), "{vector}");
                } else {
                    assert_eq!(out[..len], bytes, "{vector}");
                }
                assert_eq!(rules.decode(&mut &out[..len]), Ok(Some(packet)), "{vector}");
            }
            None => {
                let rules = sn::Rules::new(sender(&vector));
                let datagram = rules.decode(&bytes).unwrap();
                let mut bytes = bytes.clone();
                if let sn::Packet::SubAck(_) = datagram.message {
                    bytes[2] &= 0x60; // What is not used is 0 when we write it.
                }
                let len = rules.encode(&datagram, &mut out).unwrap();
                assert_eq!(rules.encoded_len(&datagram), Ok(len), "{vector}");
                if bytes[0] == 1 && bytes.len() < 258 {
                    wordy += 1;
                    assert_eq!(len, bytes.len() - 2, "{vector}");
                } else {
                    assert_eq!(out[..len], bytes, "{vector}");
                }
                assert_eq!(rules.decode(&out[..len]), Ok(datagram), "{vector}");
            }
        }
    }
    assert!(wordy > 0, "there are such packets among the vectors");
}

#[test]
fn a_part_of_a_good_packet_is_never_an_error() {
    for vector in lines(DEV).filter(|v| v["valid"] == true) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        for split in 0..bytes.len() {
            let mut part = &bytes[..split];
            assert_eq!(rules.decode(&mut part), Ok(None), "{split} bytes of {vector}");
            assert_eq!(part.len(), split);
        }
        let mut more = bytes.clone();
        more.extend_from_slice(b"\xFF\xFF");
        let mut rest = &more[..];
        assert!(rules.decode(&mut rest).unwrap().is_some());
        assert_eq!(rest, b"\xFF\xFF", "no more is taken than the packet");
    }
}

#[test]
fn no_part_of_a_bad_packet_is_taken_for_a_good_one() {
    for vector in lines(DEV).filter(|v| v["valid"] == false) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = bytes(&vector);
        for split in 0..bytes.len() {
            let part = rules.decode(&mut &bytes[..split]);
            assert!(!matches!(part, Ok(Some(_))), "{split} bytes of {vector}");
        }
    }
}

/// Strings that every receiver must refuse [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-1.5.3-1 of 3.1.1],
/// [MQTT-1.5.3-2 of 3.1.1], and those that it may refuse: taken by default, refused by the policy.
#[test]
fn each_string_is_taken_or_refused_wherever_it_stands() {
    let mut strict = Policy::default();
    strict.refuse_control_characters = true;
    strict.refuse_noncharacters = true;
    let mut seen = [0; 3];
    for vector in lines(UTF8) {
        let string = bytes(&vector);
        let must = vector["must_reject"] == true;
        let may = vector["may_reject"] == true;
        seen[if must {
            0
        } else if may {
            1
        } else {
            2
        }] += 1;
        let mut field = u16::try_from(string.len()).unwrap().to_be_bytes().to_vec();
        field.extend_from_slice(&string);
        for version in [Version::V311, Version::V5] {
            // In a client identifier.
            let mut body = b"\x00\x04MQTT".to_vec();
            body.extend_from_slice(&[version.level(), 2, 0, 0]);
            if version == Version::V5 {
                body.push(0);
            }
            body.extend_from_slice(&field);
            let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
            packet.extend_from_slice(&body);
            let mut rules = Rules::new(version, Sender::Client);
            let taken = |rules: Rules| rules.decode(&mut &packet[..]).is_ok();
            assert_eq!(taken(rules), !must, "{vector}");
            rules.policy = strict;
            assert_eq!(taken(rules), !must && !may, "strict, {vector}");
            // The same on the way out.
            if let Ok(text) = core::str::from_utf8(&string) {
                let connect = Packet::Connect(mqtt_codec::Connect {
                    keep_alive: 0,
                    ..mqtt_codec::Connect::new(version, text)
                });
                assert_eq!(rules.encoded_len(&connect).is_ok(), !must && !may, "strict, {vector}");
                rules.policy = Policy::default();
                assert_eq!(rules.encoded_len(&connect).is_ok(), !must, "{vector}");
            }
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

/// What the texts leave open. The default takes all of it, with the fields that its author reads,
/// but for an empty Response Topic, which is no topic name [MQTT-4.7.3-1], and an AUTH without reason
/// code from a client: that is one of success, which only a server sends (section 3.15.2.1).
#[test]
fn what_the_texts_leave_open_is_taken_by_default() {
    for vector in lines(AMBIGUOUS) {
        let found = verdict(&vector, &bytes(&vector));
        let why = vector["why"].as_str().unwrap();
        let expected = match why {
            "empty response_topic" => "topic",
            _ if vector["hex"] == "f000" && vector["direction"] == "c2s" => "direction",
            _ => "valid",
        };
        assert_eq!(found, expected, "{vector}");
    }
}

/// And a switch of the policy refuses each thing of those that may be refused.
#[test]
fn what_the_texts_leave_open_can_be_refused() {
    let mut policy = Policy::default();
    policy.refuse_control_characters = true;
    policy.refuse_noncharacters = true;
    policy.check_payload_format = true;
    policy.refuse_empty_auth = true;
    let mut sn_policy = sn::Policy::default();
    sn_policy.refuse_unused_flags = true;
    sn_policy.refuse_reserved_return_codes = true;
    sn_policy.refuse_empty_will_topic = true;
    sn_policy.check_msg_id = true;
    let mut taken = Vec::new();
    for vector in lines(AMBIGUOUS) {
        let bytes = bytes(&vector);
        let ok = match rules(&vector) {
            Some(rules) => Rules { policy, ..rules }.decode(&mut &bytes[..]).is_ok(),
            None => {
                let rules = sn::Rules::new(sender(&vector));
                sn::Rules { policy: sn_policy, ..rules }.decode(&bytes).is_ok()
            }
        };
        if ok {
            taken.push(vector["why"].as_str().unwrap().to_owned());
        }
    }
    // These two are not the codec's to judge: a server answers the first with return code 2, and
    // section 3.14.2.2.5 only says what a server reference is for.
    for why in &taken {
        let known = why.starts_with("zero-byte ClientId") || why.contains("server reference");
        assert!(known, "{why}");
    }
    assert!(!taken.is_empty());
}

/// Names and filters: their syntax [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2],
/// [MQTT-4.8.2-1], [MQTT-4.8.2-2], and who matches whom [MQTT-4.7.2-1], [MQTT-4.7.3-4]; also
/// [MQTT-4.7.1-2 of 3.1.1], [MQTT-4.7.1-3 of 3.1.1], [MQTT-4.7.2-1 of 3.1.1],
/// [MQTT-4.7.3-1 of 3.1.1], [MQTT-4.7.3-2 of 3.1.1], [MQTT-4.7.3-4 of 3.1.1].
#[test]
fn filters_match_names_as_the_table_says() {
    let mut rows = 0;
    for row in TOPIC_MATCH.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [filter, name, matches, filter_valid, name_valid, versions, ..] = columns[..] else {
            panic!("{row}")
        };
        let (filter, name) = (unescape(filter), unescape(name));
        let versions: &[Version] = match versions {
            "both" => &[Version::V311, Version::V5],
            "3.1.1" => &[Version::V311],
            "5" => &[Version::V5],
            other => panic!("{other}"),
        };
        for &version in versions {
            rows += 1;
            let parsed = TopicFilter::for_version(&filter, version);
            assert_eq!(parsed.is_ok(), filter_valid == "true", "{version}: {row}");
            let topic = TopicName::new(&name);
            assert_eq!(topic.is_ok(), name_valid == "true", "{version}: {row}");
            let (Ok(parsed), Ok(topic)) = (parsed, topic) else { continue };
            let inner = match (version, parsed.shared()) {
                (Version::V5, Some(shared)) => shared.filter,
                _ => parsed,
            };
            assert_eq!(inner.matches(topic), matches == "true", "{version}: {row}");
        }
    }
    assert!(rows > 300, "{rows}");
}

/// The table writes U+0000 as an escape, as it is a text file.
fn unescape(text: &str) -> String {
    text.replace("\\u0000", "\0").replace("\\0", "\0")
}
