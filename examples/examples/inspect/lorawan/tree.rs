//! One frame as a tree of its fields: PHYPayload = MHDR | MACPayload | MIC.

use std::io::{self, Write};

use lorawan_frame::{
    Data, DataFrame, Direction, Error, FType, MacCommand, MacCommands, PhyPayload, Rejoin,
};
use serde_json::{Map, Value, json};

use super::line::{Line, Problem, hex};
use super::{frames, radio};
use crate::Format;

/// A field: where it lies, its bytes as sent, what they mean, what it is made of.
struct Node {
    name: String,
    start: usize,
    bytes: Vec<u8>,
    text: String,
    parts: Vec<Self>,
}

impl Node {
    fn new(name: &str, start: usize, bytes: &[u8], text: impl Into<String>) -> Self {
        let (name, bytes, text) = (name.into(), bytes.into(), text.into());
        Self { name, start, bytes, text, parts: Vec::new() }
    }

    fn of(mut self, parts: Vec<Self>) -> Self {
        self.parts = parts;
        self
    }

    fn print(&self, branch: &str, indent: &str, out: &mut impl Write) -> io::Result<()> {
        let end = self.start + self.bytes.len();
        let place = match self.bytes.len() {
            0 => String::new(),
            1 => format!("[{}]", self.start),
            _ => format!("[{}..{end}]", self.start),
        };
        let label = format!("{indent}{branch}{}", self.name);
        // A field made of others is shown by them.
        let bytes = if self.parts.is_empty() { hex(&self.bytes) } else { String::new() };
        let line = format!("{label:<28} {place:<10} {bytes:<18} {}", self.text);
        writeln!(out, "{}", line.trim_end())?;
        let below = match branch {
            "" => String::new(),
            "└─ " => format!("{indent}   "),
            _ => format!("{indent}│  "),
        };
        for (i, part) in self.parts.iter().enumerate() {
            let branch = if i + 1 == self.parts.len() { "└─ " } else { "├─ " };
            part.print(branch, &below, out)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".into(), self.name.clone().into());
        object.insert("offset".into(), self.start.into());
        object.insert("hex".into(), hex(&self.bytes).into());
        object.insert("text".into(), self.text.clone().into());
        if !self.parts.is_empty() {
            let parts: Vec<_> = self.parts.iter().map(Self::json).collect();
            object.insert("fields".into(), parts.into());
        }
        object.into()
    }
}

/// Shows a frame. `question` has the keys and counters, in the form of a line of a vector file.
pub(crate) fn show(
    bytes: &[u8],
    question: &Value,
    format: Format,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match phy_payload(bytes, question) {
        Ok(node) => print(&node, format, out)?,
        Err(Refusal::Frame(error)) => refused(bytes, &error.to_string(), format, out)?,
        Err(Refusal::Question(why)) => return Err(Failure::Question(why)),
    }
    Ok(())
}

/// Shows a datagram of a gateway, and the frames in it.
pub(crate) fn show_gwmp(
    bytes: &[u8],
    question: &Value,
    format: Format,
    out: &mut impl Write,
) -> Result<(), Failure> {
    use lorawan_frame::gwmp::{Body, Datagram};
    let datagram = match Datagram::parse(bytes) {
        Ok(datagram) => datagram,
        Err(error) => return Ok(refused(bytes, &error.to_string(), format, out)?),
    };
    let fields = match radio::datagram_fields(&datagram) {
        Ok(fields) => fields,
        Err(Problem::Refused(why) | Problem::Line(why)) => {
            return Ok(refused(bytes, &why, format, out)?);
        }
    };
    match format {
        Format::Json => writeln!(out, "{fields}")?,
        Format::Tree => {
            writeln!(out, "Semtech UDP {} ({} bytes)", datagram.identifier().name(), bytes.len())?;
            writeln!(out, "{fields:#}")?;
        }
    }
    let frames: Vec<&[u8]> = match &datagram.body {
        Body::PushData { content, .. } => content.rxpk.iter().map(|p| &p.data[..]).collect(),
        Body::PullResp { txpk } => vec![&txpk.data],
        _ => vec![],
    };
    for frame in frames {
        show(frame, question, format, out)?;
    }
    Ok(())
}

/// What keeps a frame from being shown. One that is refused is no failure: it is shown.
pub(crate) enum Failure {
    /// A key or counter is not one.
    Question(String),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

enum Refusal {
    Frame(Error),
    Question(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Frame(error)
    }
}

fn print(node: &Node, format: Format, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Tree => node.print("", "", out),
        Format::Json => writeln!(out, "{}", node.json()),
    }
}

fn refused(bytes: &[u8], why: &str, format: Format, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Tree => writeln!(out, "refused: {why}\n  {}", hex(bytes)),
        Format::Json => writeln!(out, "{}", json!({ "hex": hex(bytes), "error": why })),
    }
}

/// The answer that the line `question` would get for these bytes.
fn answer(bytes: &[u8], question: &Value) -> Result<Value, Refusal> {
    let mut line = question.clone();
    line["phy_hex"] = hex(bytes).into();
    frames::phy_payload(&Line(&line)).map_err(|problem| match problem {
        Problem::Refused(why) | Problem::Line(why) => Refusal::Question(why),
    })
}

fn phy_payload(bytes: &[u8], question: &Value) -> Result<Node, Refusal> {
    let phy = PhyPayload::parse(bytes)?;
    let answer = answer(bytes, question)?;
    let ftype = FType::from_mhdr(bytes[0]);
    let reserved = if bytes[0] & 0x1c == 0 { "" } else { "; reserved bits set, ignored" };
    let mhdr = Node::new(
        "MHDR",
        0,
        &bytes[..1],
        format!(
            "FType {} ({}), Major 0 = LoRaWAN R1{reserved} (4.2)",
            ftype as u8,
            frames::mtype(ftype)
        ),
    );
    let mut parts = vec![mhdr];
    match phy {
        PhyPayload::JoinRequest(_) => parts.push(join_request(bytes)),
        PhyPayload::Rejoin(rejoin) => parts.push(rejoin_request(bytes, &rejoin.content)),
        PhyPayload::JoinAccept(_) => {
            parts.push(join_accept(bytes, &answer));
            let text =
                format!("Join-Accept, {} bytes: all after the MHDR is encrypted", bytes.len());
            return Ok(Node::new("PHYPayload", 0, bytes, text).of(parts));
        }
        PhyPayload::Data(frame) => parts.push(mac_payload(bytes, &frame, &answer)),
        PhyPayload::Proprietary(payload) => {
            parts.push(Node::new("payload", 1, payload, "layout and MIC are the vendor's own"));
            return Ok(Node::new("PHYPayload", 0, bytes, "").of(parts));
        }
    }
    let at = bytes.len() - 4;
    parts.push(Node::new("MIC", at, &bytes[at..], mic_text(&answer)));
    let text = format!("{} bytes = MHDR | {} | MIC", bytes.len(), parts[1].name);
    Ok(Node::new("PHYPayload", 0, bytes, text).of(parts))
}

fn mic_text(answer: &Value) -> String {
    let computed = answer["computed_mic"].as_str().unwrap_or("another one");
    match answer["mic_valid"].as_bool() {
        Some(true) => "right; not reversed: a MIC is a byte string (4.4)".into(),
        Some(false) => format!("WRONG: these keys and this counter give {computed} (4.4)"),
        None => "not checked: give the key (4.4)".into(),
    }
}

/// Text for identifiers and numbers: what students see reversed on the wire.
fn reversed(value: &str) -> String {
    format!("{value} (sent least significant byte first)")
}

fn field<const N: usize>(name: &str, start: usize, bytes: &[u8], section: &str) -> Node {
    let bytes = &bytes[start..start + N];
    let value: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    Node::new(name, start, bytes, format!("{} ({section})", reversed(&value)))
}

fn counter(name: &str, start: usize, bytes: &[u8], text: &str) -> Node {
    let value = u16::from_le_bytes([bytes[start], bytes[start + 1]]);
    Node::new(
        name,
        start,
        &bytes[start..start + 2],
        format!("{} {text}", reversed(&value.to_string())),
    )
}

fn join_request(bytes: &[u8]) -> Node {
    Node::new("Join-Request", 1, &bytes[1..19], "sent in clear (6.2.2)").of(vec![
        field::<8>("JoinEUI", 1, bytes, "AppEUI in 1.0, 6.1.1.1"),
        field::<8>("DevEUI", 9, bytes, "6.1.1.2"),
        counter("DevNonce", 17, bytes, "never used twice"),
    ])
}

fn rejoin_request(bytes: &[u8], rejoin: &Rejoin) -> Node {
    let end = bytes.len() - 4;
    let kind = Node::new("Rejoin Type", 1, &bytes[1..2], rejoin.rejoin_type().to_string());
    let (first, at) = match rejoin {
        Rejoin::Network { .. } => (field::<3>("NetID", 2, bytes, "6.2.4.1"), 5),
        Rejoin::JoinServer { .. } => (field::<8>("JoinEUI", 2, bytes, "6.2.4.2"), 10),
    };
    Node::new("Rejoin-Request", 1, &bytes[1..end], "sent in clear (6.2.4)").of(vec![
        kind,
        first,
        field::<8>("DevEUI", at, bytes, "6.1.1.2"),
        counter("RJcount", at + 8, bytes, "never repeats"),
    ])
}

fn join_accept(bytes: &[u8], answer: &Value) -> Node {
    let encrypted = &bytes[1..];
    let Some(plain) = answer["plain_hex"].as_str().and_then(|text| crate::input::hex(text).ok())
    else {
        let text = "give the AppKey (1.0) or NwkKey (1.1) to decrypt (6.2.3)";
        return Node::new("encrypted", 1, encrypted, text);
    };
    let at = plain.len() - 4;
    let text = |names: &[&str]| {
        let parts: Vec<_> = names.iter().map(|name| format!("{name} {}", answer[name])).collect();
        parts.join(", ")
    };
    let mut parts = vec![
        field::<3>("JoinNonce", 1, &plain, "AppNonce in 1.0"),
        field::<3>("NetID", 4, &plain, "6.2.3"),
        field::<4>("DevAddr", 7, &plain, "6.1.2.1"),
        Node::new("DLSettings", 11, &plain[11..12], text(&["opt_neg", "rx1_dr_offset", "rx2_dr"])),
        Node::new(
            "RxDelay",
            12,
            &plain[12..13],
            format!("RX1 after {} s, 0 means 1", answer["rx_delay"]),
        ),
    ];
    if at > 13 {
        let list = answer["cflist_decoded"].to_string();
        parts.push(Node::new("CFList", 13, &plain[13..at], list));
    }
    parts.push(Node::new("MIC", at, &plain[at..], mic_text(answer)));
    Node::new("decrypted", 1, &plain[1..], "made with AES-decrypt, read with AES-encrypt (6.2.3)")
        .of(parts)
}

fn mac_payload(bytes: &[u8], frame: &DataFrame<'_>, answer: &Value) -> Node {
    let end = bytes.len() - 4;
    let body = 8 + frame.fopts.len();
    let mut header = vec![
        field::<4>("DevAddr", 1, bytes, "4.3.1"),
        Node::new("FCtrl", 5, &bytes[5..6], fctrl_text(frame)),
        counter("FCnt", 6, bytes, "the low 16 of 32 bits (4.3.1.5)"),
    ];
    if !frame.fopts.is_empty() {
        let plain = answer["fopts_plain"].as_str();
        header.push(command_node("FOpts", 8, frame.fopts, plain, frame.direction));
    }
    let fhdr = Node::new("FHDR", 1, &bytes[1..body], "").of(header);
    let mut parts = vec![fhdr];
    if let Some(port) = frame.fport {
        let meaning = match port {
            0 => "MAC commands in FRMPayload",
            1..=223 => "application",
            224 => "certification (TS009)",
            226 => "relay (TS011)",
            _ => "reserved for protocols",
        };
        parts.push(Node::new(
            "FPort",
            body,
            &bytes[body..=body],
            format!("{port}: {meaning} (4.3.2)"),
        ));
        parts.push(payload_node(body + 1, frame, answer));
    }
    Node::new("MACPayload", 1, &bytes[1..end], "FHDR | FPort | FRMPayload").of(parts)
}

fn payload_node(start: usize, frame: &DataFrame<'_>, answer: &Value) -> Node {
    let plain = answer["frm_payload_plain"].as_str();
    if frame.fport == Some(0) {
        return command_node("FRMPayload", start, frame.frm_payload, plain, frame.direction);
    }
    let text = match plain {
        _ if frame.frm_payload.is_empty() => "empty".into(),
        Some(clear) => {
            let bytes = crate::input::hex(clear).unwrap_or_default();
            match core::str::from_utf8(&bytes) {
                Ok(text) if !text.chars().any(char::is_control) => {
                    format!("clear: {clear} {text:?}")
                }
                _ => format!("clear: {clear}"),
            }
        }
        None if answer["mic_valid"] == false => {
            "encrypted; not decrypted as the MIC is wrong".into()
        }
        None => "encrypted: give the key (4.3.3)".into(),
    };
    Node::new("FRMPayload", start, frame.frm_payload, text)
}

fn fctrl_text(frame: &DataFrame<'_>) -> String {
    let flags = [
        (frame.fctrl.adr, "ADR"),
        (frame.fctrl.adr_ack_req, "ADRACKReq"),
        (frame.fctrl.ack, "ACK"),
        (frame.fctrl.class_b, "ClassB"),
        (frame.fctrl.f_pending, "FPending"),
    ];
    let set: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let set = if set.is_empty() { "no flags".into() } else { set.join(" ") };
    format!("{set}; FOptsLen {} of {} (4.3.1)", frame.fopts.len(), Data::MAX_FOPTS)
}

/// A list of MAC commands; `plain` is missing when it could not be decrypted.
fn command_node(
    name: &str,
    start: usize,
    bytes: &[u8],
    plain: Option<&str>,
    direction: Direction,
) -> Node {
    let Some(plain) = plain.and_then(|text| crate::input::hex(text).ok()) else {
        return Node::new(name, start, bytes, "MAC commands, encrypted: give the key");
    };
    let mut parts = Vec::new();
    let mut commands = MacCommands::new(direction, &plain);
    loop {
        let at = plain.len() - commands.rest().len();
        let Some(command) = commands.next() else { break };
        let end = plain.len() - commands.rest().len();
        match command {
            Ok(command) => parts.push(command_part(&command, start + at, &plain[at..end])),
            Err(error) => {
                parts.push(Node::new("unreadable", start + at, &plain[at..], error.to_string()));
            }
        }
    }
    let encrypted = if plain == bytes { "in clear" } else { "decrypted" };
    Node::new(name, start, bytes, format!("MAC commands, {encrypted} (5)")).of(parts)
}

fn command_part(command: &MacCommand<'_>, start: usize, bytes: &[u8]) -> Node {
    let mut text = Vec::new();
    command.fields(&mut |name, value| {
        use lorawan_frame::FieldValue as V;
        text.push(match value {
            V::Unsigned(number) => format!("{name} {number}"),
            V::Signed(number) => format!("{name} {number}"),
            V::Bool(flag) => format!("{name} {}", if flag { "yes" } else { "no" }),
            V::Frequency(frequency) => format!("{name} {} Hz", frequency.hz()),
            V::DevAddr(addr) => format!("{name} {addr}"),
            // Shown by whoever holds the session keys.
            V::Key(key) => format!("{name} {}", hex(key.expose())),
            V::Bytes(bytes) => format!("{name} {}", hex(bytes)),
            _ => name.into(),
        });
    });
    let section = command.info().map_or("5", |info| info.section);
    Node::new(command.name(), start, bytes, format!("{} ({section})", text.join(", ")))
}
