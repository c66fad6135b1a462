//! Verdicts on lines of JSON.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::verdict::Verdict;
use crate::{Args, Protocol, input, lorawan, mqtt, mqtt_sn, sender, version};

/// Prints a line for each line, in order. Lines that are not of the form are told of on the line
/// itself, and the first of them is returned.
pub(crate) fn run(text: &str, args: &Args, out: &mut impl Write) -> io::Result<Option<String>> {
    let mut bad = None;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        if matches!(args.protocol, Protocol::Lorawan | Protocol::Gwmp) {
            let (answer, why) = lorawan::answer(parsed);
            if let Some(why) = why {
                bad.get_or_insert(format!("line {}: {why}", number + 1));
            }
            writeln!(out, "{answer}")?;
            continue;
        }
        let parsed = parsed.unwrap_or_default();
        let mut object = Map::new();
        object.insert("id".into(), parsed["id"].clone());
        match verdict(&parsed, args) {
            Ok(verdict) => verdict.insert_into(&mut object),
            Err(why) => {
                object.insert("valid".into(), false.into());
                object.insert("error".into(), "unreadable".into());
                object.insert("why".into(), why.clone().into());
                bad.get_or_insert(format!("line {}: {why}", number + 1));
            }
        }
        writeln!(out, "{}", Value::from(object))?;
    }
    Ok(bad)
}

fn verdict(line: &Value, args: &Args) -> Result<Verdict, String> {
    let text = |name: &str| line[name].as_str();
    let bytes = input::hex(text("hex").ok_or("no \"hex\"")?)?;
    let sender = text("direction").map_or(Ok(args.direction), sender)?;
    match text("version") {
        Some("sn1.2") => Ok(mqtt_sn::verdict(&bytes, sender)),
        None if args.protocol == Protocol::MqttSn => Ok(mqtt_sn::verdict(&bytes, sender)),
        named => {
            let version = match named {
                Some(name) => version(name)?,
                None => args.version.ok_or("no \"version\"")?,
            };
            Ok(mqtt::verdict(&bytes, version, sender))
        }
    }
}
