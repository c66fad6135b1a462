//! MQTT-SN 1.2: the input is one datagram.

use std::io::{self, Write};

use mqtt_codec::{Sender, sn};

use crate::Format;
use crate::verdict::{Verdict, object};

pub(crate) fn is_good(bytes: &[u8], sender: Sender) -> bool {
    sn::Rules::new(sender).decode(bytes).is_ok()
}

pub(crate) fn show(
    bytes: &[u8],
    sender: Sender,
    format: Format,
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Tree => writeln!(out, "MQTT-SN 1.2: {}", sn::Rules::new(sender).tree(bytes)),
        Format::Json => {
            writeln!(out, "{}", object("sn1.2", sender, bytes, verdict(bytes, sender)))
        }
    }
}

pub(crate) fn verdict(bytes: &[u8], sender: Sender) -> Verdict {
    match sn::Rules::new(sender).decode(bytes) {
        Ok(datagram) => Verdict::Good(serde_json::to_value(datagram).unwrap_or_default()),
        Err(error) => error.into(),
    }
}
