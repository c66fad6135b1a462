//! Properties on the command line, as mosquitto's clients take them: `-D COMMAND NAME [KEY] VALUE`.

use core::time::Duration;

use mqtt_client::{Message, Options, PropertyFields};

use crate::Result;

/// Goes through all that was said with `-D`, one property after the other.
fn each<'a>(
    said: &'a [String],
    mut take: impl FnMut(&'a str, &'a str, &'a str, &'a str) -> Result<bool>,
) -> Result {
    let mut words = said.iter().map(String::as_str);
    while let Some(command) = words.next() {
        let missing =
            || format!("-D {command}: COMMAND NAME VALUE, or COMMAND user-property KEY VALUE");
        let name = words.next().ok_or_else(missing)?;
        let key = if name == "user-property" { words.next().ok_or_else(missing)? } else { "" };
        let value = words.next().ok_or_else(missing)?;
        if !take(command, name, key, value)? {
            return Err(format!("-D {command} {name}: there is none, or not here").into());
        }
    }
    Ok(())
}

fn seconds(value: &str) -> Result<Duration> {
    Ok(Duration::from_secs(value.parse::<u32>()?.into()))
}

/// A property of a message; whether there is one of that name.
fn of_message(fields: &mut PropertyFields, name: &str, key: &str, value: &str) -> Result<bool> {
    match name {
        "payload-format-indicator" => fields.is_text = value == "1",
        "message-expiry-interval" => fields.expiry = Some(seconds(value)?),
        "content-type" => fields.content_type = Some(value.into()),
        "response-topic" => fields.response_topic = Some(value.into()),
        "correlation-data" => fields.correlation_data = Some(value.to_owned().into()),
        "user-property" => fields.user.push((key.into(), value.into())),
        _ => return Ok(false),
    }
    Ok(true)
}

/// What is said of CONNECT and of the will.
pub(crate) fn connect(said: &[String], options: &mut Options) -> Result {
    each(said, |command, name, key, value| {
        match (command, name) {
            ("connect", "session-expiry-interval") => options.session_expiry = seconds(value)?,
            ("connect", "receive-maximum") => options.receive_maximum = value.parse()?,
            ("connect", "maximum-packet-size") => options.max_packet_size = value.parse()?,
            ("connect", "user-property") => {
                options.user_properties.push((key.into(), value.into()));
            }
            ("will", _) => {
                let will = options.will.as_mut().ok_or("-D will: there is no --will-topic")?;
                if name != "will-delay-interval" {
                    return of_message(&mut will.message.properties, name, key, value);
                }
                will.delay = seconds(value)?;
            }
            _ => return Ok(command == "publish"),
        }
        Ok(true)
    })
}

/// What is said of PUBLISH.
pub(crate) fn publish(said: &[String], message: &mut Message) -> Result {
    each(said, |command, name, key, value| match command {
        "publish" => of_message(&mut message.properties, name, key, value),
        _ => Ok(true), // CONNECT's
    })
}
