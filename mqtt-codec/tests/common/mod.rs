//! Reading the test data.
#![allow(dead_code, reason = "each test uses a part of it")]

use mqtt_codec::{Rules, Sender, Version};
use serde_json::Value;

/// The lines of a file of JSON objects. Miri, which would take an hour for all, gets a few of them.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Value> {
    let lines = text.lines().step_by(if cfg!(miri) { 53 } else { 1 });
    lines.map(|line| serde_json::from_str(line).unwrap())
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

pub(crate) fn bytes(vector: &Value) -> Vec<u8> {
    hex(vector["hex"].as_str().unwrap())
}

pub(crate) fn sender(vector: &Value) -> Sender {
    match vector["direction"].as_str().unwrap() {
        "c2s" => Sender::Client,
        "s2c" => Sender::Server,
        "both" => Sender::Either,
        other => panic!("direction {other}"),
    }
}

/// The rules for a vector of MQTT; `None` for one of MQTT-SN.
pub(crate) fn rules(vector: &Value) -> Option<Rules> {
    let version = match vector["version"].as_str().unwrap() {
        "3.1.1" => Version::V311,
        "5" => Version::V5,
        "sn1.2" => return None,
        other => panic!("version {other}"),
    };
    Some(Rules::new(version, sender(vector)))
}

pub(crate) const DEV: &str = include_str!("../data/dev.jsonl");
pub(crate) const AMBIGUOUS: &str = include_str!("../data/ambiguous.jsonl");
pub(crate) const UTF8: &str = include_str!("../data/utf8.jsonl");
pub(crate) const SN_HOSTILE: &str = include_str!("../data/sn-hostile.tsv");
pub(crate) const TOPIC_MATCH: &str = include_str!("../data/topic-match.tsv");
