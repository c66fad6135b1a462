//! MQTT 3.1, 3.1.1 and 5.0.

use std::io::{self, Write};

use mqtt_codec::{DecodeError, Fields, Packet, Rules, Sender, Version, Violation};

use crate::Format;
use crate::verdict::{Verdict, object};

/// Whether these bytes are good packets in some version, the last of them perhaps cut off.
pub(crate) fn is_good(bytes: &[u8], sender: Sender) -> bool {
    fits(bytes, Version::V5, sender) || fits(bytes, Version::V311, sender)
}

fn fits(mut bytes: &[u8], version: Version, sender: Sender) -> bool {
    let mut rules = Rules::new(version, sender);
    let mut any = false;
    loop {
        match rules.decode(&mut bytes) {
            Ok(Some(packet)) => {
                follow(&packet, &mut rules);
                any = true;
            }
            Ok(None) => return any && bytes.is_empty(),
            Err(_) => return false,
        }
    }
}

/// What comes behind a CONNECT is in the version it names.
fn follow(packet: &Packet<'_>, rules: &mut Rules) {
    if let Packet::Connect(connect) = packet {
        rules.version = connect.version;
    }
}

/// Shows every packet. Behind one that is refused it goes on if its length is known.
pub(crate) fn show(
    bytes: &[u8],
    version: Option<Version>,
    sender: Sender,
    format: Format,
    out: &mut impl Write,
) -> io::Result<()> {
    let likely = if fits(bytes, Version::V5, sender) || !fits(bytes, Version::V311, sender) {
        Version::V5
    } else {
        Version::V311
    };
    let mut rules = Rules::new(version.unwrap_or(likely), sender);
    let mut rest = bytes;
    loop {
        let tree = rules.tree(rest);
        let start = bytes.len() - rest.len();
        let decoded = rules.decode(&mut &*rest);
        match format {
            Format::Tree => {
                writeln!(out, "byte {start}, MQTT {}: {tree}", version_of(&decoded, &rules))?;
            }
            Format::Json => {
                let version = match version_of(&decoded, &rules) {
                    Version::V5 => "5".into(),
                    earlier => earlier.to_string(),
                };
                let verdict = verdict_of(&decoded, &rules);
                writeln!(out, "{}", object(&version, sender, tree.bytes(), verdict))?;
            }
        }
        if let (Ok(Some(packet)), None) = (&decoded, version) {
            follow(packet, &mut rules);
        }
        rest = &rest[tree.bytes().len()..];
        if rest.is_empty() {
            return Ok(());
        }
    }
}

type Decoded<'a> = Result<Option<Packet<'a>>, DecodeError>;

fn version_of(decoded: &Decoded<'_>, rules: &Rules) -> Version {
    match decoded {
        Ok(Some(Packet::Connect(connect))) => connect.version,
        Ok(_) => rules.version,
        Err(error) => error.version,
    }
}

fn verdict_of(decoded: &Decoded<'_>, rules: &Rules) -> Verdict {
    match decoded {
        Ok(Some(packet)) => {
            let fields = serde_json::to_value(Fields::new(packet, rules.version));
            Verdict::Good(fields.unwrap_or_default())
        }
        Ok(None) => Verdict::incomplete(),
        Err(error) => (*error).into(),
    }
}

/// The verdict on bytes that are to be one packet of this version, which a CONNECT names itself. Are
/// there more, they must be packets too, as on any connection.
pub(crate) fn verdict(bytes: &[u8], version: Version, sender: Sender) -> Verdict {
    let rules = Rules::new(version, sender);
    let mut rest = bytes;
    let first = rules.decode(&mut rest);
    let spoken = version_of(&first, &rules);
    if spoken != version {
        let violation = Violation::ProtocolLevel;
        return Verdict::Bad {
            error: violation.class().to_string(),
            why: format!("CONNECT of version {spoken} where {version} is spoken"),
            reference: violation.statement(version).into(),
            offset: None,
        };
    }
    let verdict = verdict_of(&first, &rules);
    if let Ok(Some(_)) = first {
        while !rest.is_empty() {
            match rules.decode(&mut rest) {
                Ok(Some(_)) => {}
                other => return verdict_of(&other, &rules),
            }
        }
    }
    verdict
}

/// The verdict on the bytes of a UTF-8 Encoded String behind its length (section 1.5.4), which is read
/// as the Client Identifier of a CONNECT.
pub(crate) fn string(bytes: &[u8]) -> Verdict {
    let rules = Rules::new(Version::V5, Sender::Client);
    let long = Violation::StringTooLong;
    let Ok(len) = u16::try_from(bytes.len()) else {
        return DecodeError { violation: long, version: rules.version, offset: 0 }.into();
    };
    let rest = [b"\0\x04MQTT\x05\x02\0\0\0", &len.to_be_bytes()[..], bytes].concat();
    let mut packet = vec![0x10];
    let mut remaining = rest.len();
    while remaining > 0x7f {
        packet.push(remaining as u8 | 0x80);
        remaining >>= 7;
    }
    packet.push(remaining as u8);
    packet.extend(rest);
    match rules.decode(&mut &packet[..]) {
        Ok(Some(Packet::Connect(connect))) => Verdict::Good(connect.client_id.as_str().into()),
        other => verdict_of(&other, &rules),
    }
}
