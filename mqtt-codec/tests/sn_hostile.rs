//! Messages of MQTT-SN 1.2 that are wrong in one way each, and those beside them that are right:
//! `data/sn-hostile.tsv`.

mod common;

use common::{SN_HOSTILE, hex};
use mqtt_codec::Sender;
use mqtt_codec::sn::{EncodeError, MsgType, Policy, Rules, Violation};

/// A line of the file.
struct Case {
    rules: Rules,
    octets: Vec<u8>,
    /// The rule that it breaks, and where.
    refused: Option<(Violation, u16)>,
    section: &'static str,
    what: &'static str,
}

fn cases() -> impl Iterator<Item = Case> {
    SN_HOSTILE.lines().skip(1).map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        let [direction, policy, octets, rule, offset, section, what] = columns[..] else {
            panic!("{line}");
        };
        let refused = (rule != "-").then(|| {
            let named = |violation: &&Violation| format!("{violation:?}") == rule;
            (*Violation::ALL.iter().find(named).expect(rule), offset.parse().unwrap())
        });
        let rules = Rules { policy: strict(policy), ..Rules::new(sender(direction)) };
        Case { rules, octets: hex(octets), refused, section, what }
    })
}

fn sender(direction: &str) -> Sender {
    match direction {
        "c2s" => Sender::Client,
        "s2c" => Sender::Server,
        _ => Sender::Either,
    }
}

fn strict(field: &str) -> Policy {
    let mut policy = Policy::default();
    match field {
        "-" => {}
        "refuse_unused_flags" => policy.refuse_unused_flags = true,
        "refuse_reserved_return_codes" => policy.refuse_reserved_return_codes = true,
        "refuse_reserved_topic_ids" => policy.refuse_reserved_topic_ids = true,
        "check_msg_id" => policy.check_msg_id = true,
        "refuse_client_fields_from_gateway" => policy.refuse_client_fields_from_gateway = true,
        "refuse_empty_will_topic" => policy.refuse_empty_will_topic = true,
        other => panic!("{other}"),
    }
    policy
}

/// Sections 5.2 to 5.5, 6.5, 6.8 and 6.9.
#[test]
fn each_hostile_message_is_refused_by_its_rule_at_its_octet() {
    for Case { rules, octets, refused, section, what } in cases() {
        match (rules.decode(&octets), refused) {
            (Ok(_), None) => {}
            (Err(error), Some(refused)) => {
                assert_eq!((error.violation, error.offset), refused, "{what}");
                assert_eq!(error.violation.section(), section, "{what}");
            }
            (read, _) => panic!("{what}: {read:?}"),
        }
    }
}

/// What another side or another policy may read is not written by these rules either.
#[test]
fn what_is_refused_in_reading_is_refused_in_writing() {
    let mut written = 0;
    for Case { rules, octets, refused, what, .. } in cases() {
        let Some((violation, _)) = refused else { continue };
        let lax = [Sender::Either, Sender::Client, Sender::Server].map(Rules::new);
        let Some(datagram) = lax.into_iter().find_map(|lax| lax.decode(&octets).ok()) else {
            continue;
        };
        // Bits that a message does not have cannot be set in writing.
        let cleared = violation == Violation::UnusedFlags;
        match rules.encode(&datagram, &mut [0; 64]) {
            Err(EncodeError::Refused(refused)) => assert_eq!(refused, violation, "{what}"),
            Ok(len) if cleared => {
                let mut again = [0; 64];
                assert_eq!(rules.encode(&datagram, &mut again), Ok(len));
                assert_eq!(rules.decode(&again[..len]), Ok(datagram), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        written += 1;
    }
    assert!(written > 50, "{written}");
}

/// Those that are right are written as they were read, with the shortest length and no unused flags.
#[test]
fn what_is_accepted_is_written_so_that_it_is_read_as_the_same() {
    for Case { rules, octets, refused, what, .. } in cases() {
        if refused.is_some() {
            continue;
        }
        let datagram = rules.decode(&octets).expect(what);
        let mut buffer = [0; 64];
        let len = rules.encode(&datagram, &mut buffer).expect(what);
        assert!(len <= octets.len(), "{what}");
        assert_eq!(rules.decode(&buffer[..len]), Ok(datagram), "{what}");
    }
}

#[test]
fn the_file_has_every_message_type_and_every_rule_that_octets_can_break() {
    let all: Vec<_> = cases().filter(|case| case.refused.is_some()).collect();
    for kind in MsgType::ALL {
        let has = |case: &Case| matches!(case.octets[..], [_, octet, ..] if octet == kind as u8);
        assert!(all.iter().any(has), "{kind:?}");
    }
    for violation in Violation::ALL {
        // Two fields of an encapsulation have no more bits than they may, and a limit is the caller's.
        let unreadable =
            [Violation::NodeIdTooLong, Violation::RadiusTooLarge, Violation::MessageTooLarge];
        let has = all.iter().any(|case| case.refused.is_some_and(|(rule, _)| rule == *violation));
        assert!(has != unreadable.contains(violation), "{violation:?}");
    }
}
