//! `mosquitto_pub` and `mosquitto_sub`.

use core::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::program::Program;
use super::{Message, PATIENCE, Version, peer};

fn connection(command: &mut Command, address: SocketAddr, version: Version) {
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string()]);
    command.args(["-V", if version == Version::V5 { "5" } else { "311" }]);
}

/// Publishes one message with `mosquitto_pub` and waits until it says that it is done.
/// `None`: there is no `mosquitto_pub`.
pub(crate) fn publish(
    address: SocketAddr,
    version: Version,
    topic: &str,
    payload: &str,
    qos: u8,
    more: &[&str],
) -> Option<()> {
    let mut command = peer("mosquitto_pub")?;
    connection(&mut command, address, version);
    command.args(["-t", topic, "-m", payload, "-q", &qos.to_string()]).args(more);
    let output = command.stdin(Stdio::null()).output().expect("mosquitto_pub can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// A running `mosquitto_sub`.
#[derive(Debug)]
pub(crate) struct Subscriber(Program);

impl Subscriber {
    /// Subscribes, and waits for the SUBACK. `None`: there is no `mosquitto_sub`.
    pub(crate) fn start(
        address: SocketAddr,
        version: Version,
        filter: &str,
        qos: u8,
        more: &[&str],
    ) -> Option<Self> {
        let sub = peer("mosquitto_sub")?;
        // Into a pipe it would keep what it says of the SUBACK until a message comes.
        let mut command = peer("stdbuf")?;
        command.arg("-oL").arg(sub.get_program());
        connection(&mut command, address, version);
        command.args(["-t", filter, "-q", &qos.to_string(), "-d", "-F", "%j"]).args(more);
        let program = Program::start(command);
        loop {
            let line = program.line(PATIENCE).expect("mosquitto_sub goes on");
            if line.starts_with("Subscribed") {
                return Some(Self(program));
            }
        }
    }

    /// The next message that arrives.
    pub(crate) fn message(&self) -> Message {
        loop {
            let line = self.0.line(PATIENCE).expect("mosquitto_sub goes on");
            if !line.starts_with('{') {
                continue; // what -d prints besides
            }
            let told: Value = serde_json::from_str(&line).expect("-F %j prints JSON");
            return Message {
                topic: told["topic"].as_str().expect("a topic").to_owned(),
                payload: told["payload"].as_str().unwrap_or_default().to_owned(),
                qos: told["qos"].as_u64().and_then(|qos| u8::try_from(qos).ok()).expect("a QoS"),
                retain: told["retain"] == 1,
                properties: told["properties"].clone(),
            };
        }
    }
}
