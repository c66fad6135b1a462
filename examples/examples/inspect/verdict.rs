//! The library's verdict on a packet as a JSON object.

use mqtt_codec::{DecodeError, Sender, sn};
use serde_json::{Map, Value};

/// What is told of a packet, good or bad.
pub(crate) enum Verdict {
    Good(Value),
    Bad { error: String, why: String, reference: String, offset: Option<u32> },
}

impl Verdict {
    /// Not all of the packet is there.
    pub(crate) fn incomplete() -> Self {
        Self::Bad {
            error: "incomplete".into(),
            why: "more bytes are needed".into(),
            reference: String::new(),
            offset: None,
        }
    }

    /// Where the fault is, in bytes from the start of the packet.
    pub(crate) fn offset(&self) -> Option<u32> {
        match self {
            Self::Good(_) => None,
            Self::Bad { offset, .. } => *offset,
        }
    }

    /// Adds it to an object under the names that test vectors use.
    pub(crate) fn insert_into(self, object: &mut Map<String, Value>) {
        match self {
            Self::Good(packet) => {
                object.insert("valid".into(), true.into());
                object.insert("packet".into(), packet);
            }
            Self::Bad { error, why, reference, .. } => {
                object.insert("valid".into(), false.into());
                object.insert("error".into(), error.into());
                object.insert("why".into(), why.into());
                object.insert("ref".into(), reference.into());
            }
        }
    }
}

impl From<DecodeError> for Verdict {
    fn from(error: DecodeError) -> Self {
        Self::Bad {
            error: error.violation.class().to_string(),
            why: error.violation.text().into(),
            reference: error.statement().into(),
            offset: Some(error.offset),
        }
    }
}

impl From<sn::DecodeError> for Verdict {
    fn from(error: sn::DecodeError) -> Self {
        Self::Bad {
            error: error.violation.class().to_string(),
            why: error.violation.text().into(),
            reference: format!("SN1.2 §{}", error.violation.section()),
            offset: Some(error.offset.into()),
        }
    }
}

/// One object for `--json`: the packet's bytes and what is told of them.
pub(crate) fn object(version: &str, sender: Sender, bytes: &[u8], verdict: Verdict) -> Value {
    let direction = match sender {
        Sender::Client => "c2s",
        Sender::Server => "s2c",
        Sender::Either => "both",
    };
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut object = Map::new();
    object.insert("version".into(), version.into());
    object.insert("direction".into(), direction.into());
    object.insert("hex".into(), hex.into());
    if let Some(offset) = verdict.offset() {
        object.insert("offset".into(), offset.into());
    }
    verdict.insert_into(&mut object);
    object.into()
}
