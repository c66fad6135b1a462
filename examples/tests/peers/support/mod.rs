//! Programs nobody here wrote, started on loopback and driven by tests.
//!
//! [`peer`] finds one, [`Server`] is a broker under test, and the other modules are clients:
//! Debian's `mosquitto_pub` and `mosquitto_sub`, Python's paho-mqtt, and rumqttc.

pub(crate) mod example;
pub(crate) mod find;
pub(crate) mod mosquitto_cli;
pub(crate) mod paho;
pub(crate) mod program;
pub(crate) mod rabbitmq;
pub(crate) mod raw;
pub(crate) mod rumqtt;
pub(crate) mod server;

use core::time::Duration;

use serde_json::Value;

pub(crate) use example::example;
pub(crate) use find::peer;
pub(crate) use server::Server;

/// How long anything that must happen may take before a test gives up: far above what it takes
/// on a busy machine, because it is only ever waited out by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The protocol version that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V311,
    V5,
}

impl Version {
    pub(crate) const BOTH: [Self; 2] = [Self::V311, Self::V5];

    /// The protocol level byte of CONNECT.
    pub(crate) fn level(self) -> u8 {
        match self {
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }
}

/// A message as a subscriber saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// By name, in the spelling of the client that received it; `Null` where it tells none.
    pub(crate) properties: Value,
}

impl Message {
    /// What most tests compare: topic, payload, QoS and RETAIN.
    pub(crate) fn told(&self) -> (&str, &str, u8, bool) {
        (&self.topic, &self.payload, self.qos, self.retain)
    }
}
