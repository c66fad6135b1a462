//! Packets that others made, good and bad: `data/README.md` says where they come from.

use mqtt_codec::{ErrorClass, Rules, Sender, Version};
use serde_json::Value;

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn rules(vector: &Value) -> Option<Rules> {
    let version = match vector["version"].as_str().unwrap() {
        "3.1.1" => Version::V311,
        "5" => Version::V5,
        _ => return None,
    };
    let sender = match vector["direction"].as_str().unwrap() {
        "c2s" => Sender::Client,
        "s2c" => Sender::Server,
        _ => Sender::Either,
    };
    Some(Rules::new(version, sender))
}

#[test]
fn each_packet_is_taken_or_refused_for_its_reason() {
    let mut wrong = Vec::new();
    for vector in lines(include_str!("data/dev.jsonl")) {
        let Some(rules) = rules(&vector) else { continue };
        let bytes = hex(vector["hex"].as_str().unwrap());
        let verdict = match rules.decode(&mut &bytes[..]) {
            Ok(Some(_)) => "valid",
            Ok(None) => "incomplete",
            Err(error) => match error.violation.class() {
                ErrorClass::Malformed => "malformed",
                ErrorClass::ProtocolError => "protocol_error",
                ErrorClass::Topic => "topic",
                ErrorClass::Direction => "direction",
                ErrorClass::UnsupportedProtocol => "unsupported_protocol",
            },
        };
        let expected = vector["error"].as_str().unwrap_or("valid");
        if verdict != expected {
            wrong.push(format!(
                "{}: {verdict}, not {expected}: {} {:?}",
                vector["id"], vector["why"], vector["hex"]
            ));
        }
        if verdict == "valid" {
            // What comes out is the same bytes, or where those were longer than need be, fewer.
            let packet = rules.decode(&mut &bytes[..]).unwrap().unwrap();
            let mut out = vec![0; bytes.len()];
            let len = rules.encode(&packet, &mut out).unwrap();
            if len == bytes.len() {
                assert_eq!(out, bytes);
            }
            assert_eq!(rules.decode(&mut &out[..len]), Ok(Some(packet)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
