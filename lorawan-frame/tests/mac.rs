//! MAC commands against vectors from other implementations, and the rules of parsing.

mod common;

use common::{Vector, hex, vectors};
use lorawan_frame::{
    CommandInfo, Dialect, Direction, Error, ErrorKind, FieldValue, FilterEui, Frequency,
    MAC_COMMANDS, MacCommand, MacCommandList, MacCommands,
};
use serde_json::{Map, Value, json};

const FILE: &str = "frames.jsonl";

/// Has bit 7 of DLSettings set: ignored on reading, 0 on writing (section 5.5).
const RESERVED_BIT_SET: &str = "d-147";

fn direction(v: &Vector) -> Direction {
    if v.input("uplink") == true { Direction::Up } else { Direction::Down }
}

/// The command in the field names of the vector file: those of the table, frequencies in hertz.
fn to_json(command: &MacCommand<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("cid".into(), command.cid().into());
    out.insert("name".into(), command.name().into());
    command.fields(&mut |name, value| {
        let (name, value) = match value {
            FieldValue::Unsigned(n) => (name.into(), json!(n)),
            FieldValue::Signed(n) => (name.into(), json!(n)),
            FieldValue::Bool(b) => (name.into(), json!(b)),
            FieldValue::Frequency(f) => (format!("{name}_hz"), json!(f.hz())),
            FieldValue::DevAddr(addr) => (name.into(), json!(addr.to_string())),
            FieldValue::Key(key) => (name.into(), json!(hex(key.expose()))),
            FieldValue::Bytes(bytes) => (name.into(), json!(hex(bytes))),
            other => panic!("{other:?}"),
        };
        out.insert(name, value);
    });
    out
}

fn check(v: &Vector, expected: &Value, found: &[MacCommand<'_>]) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{}", v.id());
    for (expected, found) in expected.iter().zip(found) {
        let found = to_json(found);
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(found.get(name), Some(value), "{}: {name}", v.id());
        }
    }
}

#[test]
fn commands_parse_to_the_fields_and_build_again_to_the_same_bytes_sections_5_14_ts011_10() {
    for v in vectors(FILE, "mac_command") {
        let bytes = v.bytes();
        let commands: Result<Vec<_>, Error> = MacCommands::new(direction(&v), &bytes).collect();
        let commands = commands.unwrap_or_else(|e| panic!("{}: {e}", v.id()));
        check(&v, v.expected("commands"), &commands);

        let mut buf = [0; 64];
        let mut list = MacCommandList::new(&mut buf);
        for command in &commands {
            list.push(command).unwrap();
        }
        let rebuilt = list.into_bytes();
        let reserved = v.id() == RESERVED_BIT_SET;
        assert_eq!(rebuilt != bytes, reserved, "{}", v.id());
        let again: Result<Vec<_>, Error> = MacCommands::new(direction(&v), rebuilt).collect();
        assert_eq!(again.as_ref(), Ok(&commands), "{}", v.id());
    }
}

#[test]
fn an_unknown_command_ends_the_list_section_5() {
    for v in vectors(FILE, "mac_payload") {
        let Some(expected) = v.expected("commands").as_array() else { continue };
        let bytes = v.bytes();
        // DevAddr, FCtrl, FCnt and FPort come before the payload.
        let mut commands = MacCommands::new(direction(&v), &bytes[8..]);
        for expected in expected {
            let command = commands.next().unwrap();
            match expected["error"].as_str() {
                None => check(&v, &json!([expected]), &[command.unwrap()]),
                Some(_) => {
                    let cid = expected["cid"].as_u64().unwrap() as u8;
                    assert_eq!(command.unwrap_err().kind(), ErrorKind::UnknownCid(cid));
                    assert_eq!(hex(commands.rest()), expected["rest"]);
                }
            }
        }
        assert!(commands.next().is_none(), "{}", v.id());
    }
}

#[test]
fn a_command_is_known_in_its_own_direction_only_section_5() {
    for info in MAC_COMMANDS {
        let other = match info.direction {
            Direction::Up => Direction::Down,
            Direction::Down => Direction::Up,
        };
        let both = MAC_COMMANDS.iter().any(|i| i.cid == info.cid && i.direction == other);
        let bytes = [&[info.cid][..], &vec![0; info.payload_len.into()]].concat();
        let parsed = MacCommands::new(info.direction, &bytes).next().unwrap().unwrap();
        assert_eq!((parsed.info(), parsed.name()), (Some(info), info.name));
        if !both {
            let error = MacCommands::new(other, &bytes).next().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownCid(info.cid));
        }
    }
}

#[test]
fn every_split_inside_a_command_is_reported_as_truncated_section_5() {
    for &CommandInfo { cid, direction, payload_len, .. } in MAC_COMMANDS {
        for present in 0..payload_len {
            let bytes = [&[cid][..], &vec![0; present.into()]].concat();
            let mut commands = MacCommands::new(direction, &bytes);
            let error = commands.next().unwrap().unwrap_err();
            let needed = payload_len - present;
            assert_eq!(error.kind(), ErrorKind::CommandTruncated { cid, needed });
            assert_eq!(commands.rest(), bytes);
        }
    }
}

#[test]
fn proprietary_commands_take_the_rest_unless_their_length_is_told_section_5() {
    let bytes = [0x80, 1, 2, 0x02];
    let mut all = MacCommands::new(Direction::Up, &bytes);
    let payload = &bytes[1..];
    assert_eq!(all.next(), Some(Ok(MacCommand::Proprietary { cid: 0x80, payload })));
    assert_eq!(all.next(), None);

    let mut dialect = Dialect::default();
    dialect.proprietary_len = Some(|_| Some(2));
    let mut told = MacCommands::with_dialect(Direction::Up, &bytes, dialect);
    assert_eq!(told.next(), Some(Ok(MacCommand::Proprietary { cid: 0x80, payload: &[1, 2] })));
    assert_eq!(told.next(), Some(Ok(MacCommand::LinkCheckReq)));

    let mut buf = [0; 4];
    let refused = MacCommand::Proprietary { cid: 0x7f, payload: &[] }.build_into(&mut buf);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::UnknownCid(0x7f));
}

#[test]
fn force_rejoin_req_is_little_endian_unless_the_dialect_says_otherwise_section_5_13() {
    let command = MacCommand::ForceRejoinReq { period: 5, max_retries: 3, rejoin_type: 2, dr: 4 };
    let mut dialect = Dialect::default();
    let mut buf = [0; 3];
    assert_eq!(command.build_with(dialect, &mut buf).unwrap(), [0x0e, 0x24, 0x2b]);
    dialect.force_rejoin_big_endian = true;
    let bytes = command.build_with(dialect, &mut buf).unwrap();
    assert_eq!(bytes, [0x0e, 0x2b, 0x24]);
    let read = MacCommands::with_dialect(Direction::Down, bytes, dialect).next();
    assert_eq!(read, Some(Ok(command)));
}

#[test]
fn ping_slot_info_req_of_1_0_2_has_the_data_rate_where_later_versions_have_the_period_section_14_1()
{
    let old = MacCommand::PingSlotInfoReqV1_0_2 { periodicity: 5, dr: 3 };
    let mut buf = [0; 2];
    let bytes = old.build_into(&mut buf).unwrap();
    assert_eq!(bytes, [0x10, 0x53]);
    assert_eq!((old.name(), old.cid(), old.wire_len()), ("PingSlotInfoReq", 0x10, 2));
    let mut dialect = Dialect::default();
    dialect.ping_slot_info_v1_0_2 = true;
    let mut with_rfu = MacCommands::with_dialect(Direction::Up, &[0x10, 0xd3, 0x02], dialect);
    assert_eq!(with_rfu.next(), Some(Ok(old)));
    assert_eq!(with_rfu.next(), Some(Ok(MacCommand::LinkCheckReq)));
    // The answer is the same in every version, and later versions are read by default.
    let answer = MacCommands::with_dialect(Direction::Down, &[0x10], dialect).next();
    assert_eq!(answer, Some(Ok(MacCommand::PingSlotInfoAns)));
    let later = MacCommands::new(Direction::Up, bytes).next();
    assert_eq!(later, Some(Ok(MacCommand::PingSlotInfoReq { periodicity: 3 })));
    for (periodicity, dr, max) in [(8, 0, 7), (0, 16, 15)] {
        let refused = MacCommand::PingSlotInfoReqV1_0_2 { periodicity, dr }.build_into(&mut buf);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::OutOfRange { max });
    }
}

#[test]
fn the_margin_of_dev_status_ans_is_six_bits_of_twos_complement_section_5_6() {
    for margin in -32..=31 {
        let mut buf = [0; 3];
        let command = MacCommand::DevStatusAns { battery: 66, margin };
        let bytes = command.build_into(&mut buf).unwrap();
        assert_eq!(bytes[2], margin as u8 & 0x3f);
        assert_eq!(MacCommands::new(Direction::Up, bytes).next(), Some(Ok(command)));
    }
    for margin in [-33, 32] {
        let mut buf = [0; 3];
        let refused = MacCommand::DevStatusAns { battery: 0, margin }.build_into(&mut buf);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::OutOfRange { max: 31 });
    }
}

#[test]
fn values_that_do_not_fit_are_refused_by_name_and_the_list_stays_as_it_was_section_5() {
    let mut buf = [0; 15];
    let mut list = MacCommandList::new(&mut buf);
    list.push(&MacCommand::LinkCheckReq).unwrap();
    let freq = Frequency::from_hz(868_100_000).unwrap();
    let wrong = MacCommand::NewChannelReq { ch_index: 3, freq, max_dr: 16, min_dr: 0 };
    let error = list.push(&wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange { max: 15 });
    assert_eq!((error.field(), error.section()), ("NewChannelReq max_dr", "5.7"));
    // 1 byte of LinkCheckReq, then CID, index and three bytes of frequency.
    assert_eq!(error.offset(), 6);
    assert_eq!(list.as_bytes(), [0x02]);
}

#[test]
fn a_list_takes_whole_commands_only_section_4_3_1_6() {
    let mut buf = [0; 4];
    let mut list = MacCommandList::new(&mut buf);
    let status = MacCommand::DevStatusAns { battery: 1, margin: 0 };
    list.push(&status).unwrap();
    let error = list.push(&status).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferTooSmall { needed: 3 });
    list.push(&MacCommand::LinkCheckReq).unwrap();
    assert_eq!(list.into_bytes(), [0x06, 1, 0, 0x02]);
}

#[test]
fn filter_rules_of_every_length_are_reversed_as_one_string_ts011_10_3() {
    let eui: Vec<u8> = (1..=16).collect();
    for len in 0..=16 {
        let command = MacCommand::FilterListReq {
            idx: 9,
            action: 2,
            eui: FilterEui::new(&eui[..len]).unwrap(),
        };
        let mut buf = [0; 19];
        let bytes = command.build_into(&mut buf).unwrap();
        let reversed: Vec<u8> = eui[..len].iter().rev().copied().collect();
        assert_eq!(bytes[3..], reversed);
        assert_eq!(MacCommands::new(Direction::Down, bytes).next(), Some(Ok(command)));
    }
    assert_eq!(FilterEui::new(&[0; 17]), None);
    let mut too_long = [0; 20];
    too_long[..2].copy_from_slice(&[0x42, 17]);
    let mut commands = MacCommands::new(Direction::Down, &too_long);
    let error = commands.next().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLong { max: 16, .. }), "{error}");
    assert_eq!(commands.rest(), too_long);
}
