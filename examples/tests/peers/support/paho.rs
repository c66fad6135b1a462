//! Python's paho-mqtt, through `paho_client.py`.

use core::net::SocketAddr;
use std::collections::VecDeque;

use serde_json::{Value, json};

use super::program::Program;
use super::{Message, PATIENCE, Version, peer};

/// One client, in a process of its own.
#[derive(Debug)]
pub(crate) struct Paho {
    program: Program,
    messages: VecDeque<Message>,
}

impl Paho {
    /// Starts the process; nothing is connected yet. `None`: there is no paho-mqtt.
    pub(crate) fn start(address: SocketAddr, version: Version, client_id: &str) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/paho_client.py");
        let mut command = peer("paho-mqtt")?;
        command.args([script, &address.ip().to_string(), &address.port().to_string()]);
        command.args([&version.level().to_string(), client_id]);
        Some(Self { program: Program::start(command), messages: VecDeque::new() })
    }

    /// Starts it and connects with a clean session.
    pub(crate) fn connected(
        address: SocketAddr,
        version: Version,
        client_id: &str,
    ) -> Option<Self> {
        let mut client = Self::start(address, version, client_id)?;
        let connected = client.connect(&json!({}));
        assert_eq!(connected["reason"], 0, "{connected}");
        Some(client)
    }

    /// Connects with the arguments that the script's `connect` takes; its `connected` event.
    pub(crate) fn connect(&mut self, arguments: &Value) -> Value {
        self.act("connect", arguments, "connected")
    }

    /// Connects again, as the same client object with the same session.
    pub(crate) fn reconnect(&mut self) -> Value {
        self.act("reconnect", &json!({}), "connected")
    }

    /// Subscribes to one filter and returns the reason code granted.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) -> u64 {
        self.subscribe_with(&json!({"filter": filter, "qos": qos}))
    }

    /// The same with all the arguments that the script's `subscribe` takes.
    pub(crate) fn subscribe_with(&mut self, arguments: &Value) -> u64 {
        let answer = self.act("subscribe", arguments, "subscribed");
        answer["reasons"][0].as_u64().expect("a reason code")
    }

    /// Unsubscribes and waits for the UNSUBACK.
    pub(crate) fn unsubscribe(&mut self, filter: &str) {
        self.act("unsubscribe", &json!({"filter": filter}), "unsubscribed");
    }

    /// Publishes and waits until the QoS is fulfilled.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        let arguments = json!({"topic": topic, "payload": payload, "qos": qos, "retain": retain});
        self.publish_with(&arguments);
    }

    /// The same with all the arguments that the script's `publish` takes.
    pub(crate) fn publish_with(&mut self, arguments: &Value) {
        self.act("publish", arguments, "published");
    }

    /// Sends DISCONNECT and waits until the connection is closed.
    pub(crate) fn disconnect(&mut self) {
        self.act("disconnect", &json!({}), "disconnected");
    }

    /// Ends the process, and with it the connection, without a DISCONNECT.
    pub(crate) fn kill(self) {
        self.program.kill();
    }

    /// The next message that arrives, or arrived and was not asked for yet.
    pub(crate) fn message(&mut self) -> Message {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return message;
            }
            let event = self.event();
            assert_eq!(event["event"], "message", "{event}");
            self.keep(&event);
        }
    }

    fn act(&mut self, action: &str, arguments: &Value, answer: &str) -> Value {
        let mut command = arguments.clone();
        command["do"] = json!(action);
        self.program.send(&command.to_string());
        self.wait_for(answer)
    }

    fn wait_for(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
            assert_eq!(event["event"], "message", "waiting for {name}: {event}");
            self.keep(&event);
        }
    }

    fn event(&self) -> Value {
        let line = self.program.line(PATIENCE).expect("the Paho client goes on");
        serde_json::from_str(&line).expect("it prints JSON")
    }

    fn keep(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().expect("a string").to_owned();
        self.messages.push_back(Message {
            topic: text("topic"),
            payload: text("payload"),
            qos: event["qos"].as_u64().and_then(|qos| u8::try_from(qos).ok()).expect("a QoS"),
            retain: event["retain"] == true,
            properties: event["properties"].clone(),
        });
    }
}
