//! Verdicts on lines of JSON: `{"id", "valid": true, "packet"}` or `{"id", "valid": false, "error",
//! "why", "ref"}`, where `error` is the class of the violation, `incomplete`, or `unreadable` if the
//! line itself is at fault. On `{"kind": "utf8", "hex"}`, a string alone, `packet` is the text.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::verdict::Verdict;
use crate::{Args, Protocol, input, lorawan, mqtt, mqtt_sn, sender, version};

/// Prints a line for each line, in order. Lines that are not of the form are told of on the line
/// itself, and the first of them is returned.
pub(crate) fn run(text: &[u8], args: &Args, out: &mut impl Write) -> io::Result<Option<String>> {
    let mut bad = None;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let (line, parsed) = match object(line) {
            Ok(object) => (object, Ok(())),
            Err(why) => (Value::Null, Err(why)),
        };
        let (answer, why) = if matches!(args.protocol, Protocol::Lorawan | Protocol::Gwmp) {
            lorawan::answer(&line, parsed)
        } else {
            mqtt_answer(&line, parsed.and_then(|()| verdict(&line, args)))
        };
        if let Some(why) = why {
            bad.get_or_insert(format!("line {}: {why}", number + 1));
        }
        writeln!(out, "{answer}")?;
    }
    Ok(bad)
}

fn object(line: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(line) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("not a JSON object".into()),
        // It was given one line, of which nobody needs the number.
        Err(why) => Err(format!("not JSON: {}", why.to_string().replace("line 1 ", ""))),
    }
}

fn mqtt_answer(line: &Value, verdict: Result<Verdict, String>) -> (Value, Option<String>) {
    let mut object = Map::new();
    object.insert("id".into(), line["id"].clone());
    let bad = match verdict {
        Ok(verdict) => {
            verdict.insert_into(&mut object);
            None
        }
        Err(why) => {
            object.insert("valid".into(), false.into());
            object.insert("error".into(), "unreadable".into());
            object.insert("why".into(), why.clone().into());
            Some(why)
        }
    };
    (object.into(), bad)
}

fn verdict(line: &Value, args: &Args) -> Result<Verdict, String> {
    let text = |name: &str| match &line[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_str())),
        other => Err(format!("{name} is no text: {other}")),
    };
    let wrong = |name: &'static str| move |why: String| format!("{name}: {why}");
    let bytes = input::hex(text("hex")?.ok_or("no \"hex\"")?).map_err(wrong("hex"))?;
    if text("kind")? == Some("utf8") {
        return Ok(mqtt::string(&bytes));
    }
    let sender =
        text("direction")?.map_or(Ok(args.direction), sender).map_err(wrong("direction"))?;
    match text("version")? {
        Some("sn1.2") => Ok(mqtt_sn::verdict(&bytes, sender)),
        None if args.protocol == Protocol::MqttSn => Ok(mqtt_sn::verdict(&bytes, sender)),
        named => {
            let version = match named {
                Some(name) => version(name).map_err(|why| format!("version: {why}, sn1.2"))?,
                None => args.version.ok_or("no \"version\"")?,
            };
            Ok(mqtt::verdict(&bytes, version, sender))
        }
    }
}
