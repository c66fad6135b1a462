//! The fields of an MQTT packet.

use super::{Value, Walk, text};
use crate::property::ValueKind;
use crate::wire::Variable;
use crate::{PacketType, PropertyId, ReasonCode, Scope, Version};

/// Where things are described: section of version 5, section of 3.1.1.
struct Sections {
    v5: bool,
}

impl Sections {
    const fn pick(&self, v5: &'static str, v311: &'static str) -> &'static str {
        if self.v5 { v5 } else { v311 }
    }
}

/// The length of the packet by its fixed header; without end where that cannot be read.
pub(super) fn packet_len(bytes: &[u8]) -> usize {
    match Variable::parse(bytes.get(1..).unwrap_or_default()) {
        Variable::Value(remaining, len) => 1 + len + remaining as usize,
        Variable::Incomplete | Variable::TooLong => usize::MAX,
    }
}

pub(super) fn walk(w: &mut Walk<'_, '_>, version: Version) -> Option<()> {
    let kind = PacketType::from_value(w.peek(0)? >> 4);
    let version = match kind {
        Some(PacketType::Connect) => version_of_connect(w.all).unwrap_or(version),
        _ => version,
    };
    let sections = Sections { v5: version.has_properties() };
    fixed_header(w, kind, &sections)?;
    let s = &sections;
    let kind = kind?;
    match kind {
        PacketType::Connect => connect(w, s),
        PacketType::ConnAck => {
            let flags = w.u8("Connect Acknowledge Flags", "3.2.2.1", |_| Value::None)?;
            w.flag(flags, 0x01, "Session Present", "3.2.2.1.1");
            if s.v5 {
                reason(w, "Connect Reason Code", "3.2.2.2")?;
                properties(w, Scope::ConnAck, "3.2.2.3")
            } else {
                w.u8("Connect Return code", "3.2.2.3", |code| {
                    let name = ReasonCode::from_return_code(code).map_or("reserved", |reason| {
                        if code == 0 { "Connection accepted" } else { reason.text() }
                    });
                    Value::Named(code.into(), name)
                })
                .map(drop)
            }
        }
        PacketType::Publish => {
            let qos = w.all.first().map_or(0, |first| first >> 1 & 3);
            string(w, "Topic Name", "3.3.2.1")?;
            if qos != 0 {
                w.u16("Packet Identifier", s.pick("3.3.2.2", "3.3.2.2"))?;
            }
            if s.v5 {
                properties(w, Scope::Publish, "3.3.2.3")?;
            }
            w.bytes_to_end("Payload", "3.3.3");
            Some(())
        }
        PacketType::PubAck => ack(w, s, Scope::PubAck, "3.4.2.1", "3.4.2.2"),
        PacketType::PubRec => ack(w, s, Scope::PubRec, "3.5.2.1", "3.5.2.2"),
        PacketType::PubRel => ack(w, s, Scope::PubRel, "3.6.2.1", "3.6.2.2"),
        PacketType::PubComp => ack(w, s, Scope::PubComp, "3.7.2.1", "3.7.2.2"),
        PacketType::Subscribe => {
            packet_id(w, s)?;
            if s.v5 {
                properties(w, Scope::Subscribe, "3.8.2.1")?;
            }
            while !w.rest().is_empty() {
                string(w, "Topic Filter", "3.8.3")?;
                subscription_options(w, s)?;
            }
            Some(())
        }
        PacketType::SubAck | PacketType::UnsubAck => {
            packet_id(w, s)?;
            let subscribe = kind == PacketType::SubAck;
            if s.v5 {
                let (scope, section) = if subscribe {
                    (Scope::SubAck, "3.9.2.1")
                } else {
                    (Scope::UnsubAck, "3.11.2.1")
                };
                properties(w, scope, section)?;
            }
            while !w.rest().is_empty() {
                let name = s.pick("Reason Code", "Return Code");
                reason(w, name, if subscribe { "3.9.3" } else { "3.11.3" })?;
            }
            Some(())
        }
        PacketType::Unsubscribe => {
            packet_id(w, s)?;
            if s.v5 {
                properties(w, Scope::Unsubscribe, "3.10.2.1")?;
            }
            while !w.rest().is_empty() {
                string(w, "Topic Filter", "3.10.3")?;
            }
            Some(())
        }
        PacketType::PingReq | PacketType::PingResp => Some(()),
        PacketType::Disconnect | PacketType::Auth if !s.v5 || w.rest().is_empty() => Some(()),
        PacketType::Disconnect => {
            reason(w, "Disconnect Reason Code", "3.14.2.1")?;
            properties_if_any(w, Scope::Disconnect, "3.14.2.2")
        }
        PacketType::Auth => {
            reason(w, "Authenticate Reason Code", "3.15.2.1")?;
            properties_if_any(w, Scope::Auth, "3.15.2.2")
        }
    }
}

/// The version that a CONNECT names.
fn version_of_connect(packet: &[u8]) -> Option<Version> {
    let Variable::Value(_, len) = Variable::parse(packet.get(1..)?) else { return None };
    let body = packet.get(1 + len..)?;
    let (len, rest) = body.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Version::of(name, *rest.first()?)
}

fn fixed_header(w: &mut Walk<'_, '_>, kind: Option<PacketType>, s: &Sections) -> Option<()> {
    let section = s.pick("2.1.1", "2.2");
    let first = w.u8("Type and flags", section, |_| Value::None)?;
    let name = kind.map_or("reserved", PacketType::name);
    let value = Value::Named(u32::from(first >> 4), name);
    w.bits(0xF0, "Packet type", s.pick("2.1.2", "2.2.1"), value);
    if kind == Some(PacketType::Publish) {
        w.flag(first, 0x08, "DUP", "3.3.1.1");
        let qos = qos(first >> 1 & 3);
        w.bits(0x06, "QoS", "3.3.1.2", qos);
        w.flag(first, 0x01, "RETAIN", "3.3.1.3");
    } else {
        let value = Value::Number(u32::from(first & 0x0F));
        w.bits(0x0F, "Reserved", s.pick("2.1.3", "2.2.2"), value);
    }
    variable(w, "Remaining Length", s.pick("2.1.4", "2.2.3")).map(drop)
}

fn qos(bits: u8) -> Value<'static> {
    let name = match bits {
        0 => "at most once",
        1 => "at least once",
        2 => "exactly once",
        _ => "reserved",
    };
    Value::Named(bits.into(), name)
}

fn connect(w: &mut Walk<'_, '_>, s: &Sections) -> Option<()> {
    string(w, "Protocol Name", "3.1.2.1")?;
    w.u8("Protocol Version", "3.1.2.2", |level| {
        let name = match level {
            3 => "MQTT 3.1",
            4 => "MQTT 3.1.1",
            5 => "MQTT 5.0",
            _ => "unknown",
        };
        Value::Named(level.into(), name)
    })?;
    let flags = w.u8("Connect Flags", "3.1.2.3", |_| Value::None)?;
    w.flag(flags, 0x80, "User Name Flag", s.pick("3.1.2.8", "3.1.2.8"));
    w.flag(flags, 0x40, "Password Flag", "3.1.2.9");
    w.flag(flags, 0x20, "Will Retain", "3.1.2.7");
    w.bits(0x18, "Will QoS", "3.1.2.6", qos(flags >> 3 & 3));
    w.flag(flags, 0x04, "Will Flag", "3.1.2.5");
    w.flag(flags, 0x02, s.pick("Clean Start", "Clean Session"), "3.1.2.4");
    w.flag(flags, 0x01, "Reserved", "3.1.2.3");
    w.fixed(2, "Keep Alive", "3.1.2.10", Value::Seconds)?;
    if s.v5 {
        properties(w, Scope::Connect, "3.1.2.11")?;
    }
    string(w, "Client Identifier", "3.1.3.1")?;
    if flags & 0x04 != 0 {
        if s.v5 {
            properties(w, Scope::Will, "3.1.3.2")?;
        }
        string(w, "Will Topic", s.pick("3.1.3.3", "3.1.3.2"))?;
        binary(w, "Will Payload", s.pick("3.1.3.4", "3.1.3.3"))?;
    }
    if flags & 0x80 != 0 {
        string(w, "User Name", s.pick("3.1.3.5", "3.1.3.4"))?;
    }
    if flags & 0x40 != 0 {
        binary(w, "Password", s.pick("3.1.3.6", "3.1.3.5"))?;
    }
    Some(())
}

fn packet_id(w: &mut Walk<'_, '_>, s: &Sections) -> Option<()> {
    w.u16("Packet Identifier", s.pick("2.2.1", "2.3.1")).map(drop)
}

fn ack(
    w: &mut Walk<'_, '_>,
    s: &Sections,
    scope: Scope,
    reason_section: &'static str,
    properties_section: &'static str,
) -> Option<()> {
    packet_id(w, s)?;
    if !s.v5 || w.rest().is_empty() {
        return Some(());
    }
    reason(w, "Reason Code", reason_section)?;
    properties_if_any(w, scope, properties_section)
}

fn subscription_options(w: &mut Walk<'_, '_>, s: &Sections) -> Option<()> {
    let name = s.pick("Subscription Options", "Requested QoS");
    let section = s.pick("3.8.3.1", "3.8.3");
    let options = w.u8(name, section, |_| Value::None)?;
    if s.v5 {
        w.bits(0xC0, "Reserved", section, Value::Number(u32::from(options >> 6)));
        let handling = match options >> 4 & 3 {
            0 => "send retained messages",
            1 => "send them if the subscription is new",
            2 => "do not send them",
            _ => "reserved",
        };
        let value = Value::Named(u32::from(options >> 4 & 3), handling);
        w.bits(0x30, "Retain Handling", section, value);
        w.flag(options, 0x08, "Retain As Published", section);
        w.flag(options, 0x04, "No Local", section);
        w.bits(0x03, "Maximum QoS", section, qos(options & 3));
    } else {
        w.bits(0xFC, "Reserved", section, Value::Number(u32::from(options >> 2)));
        w.bits(0x03, "QoS", section, qos(options & 3));
    }
    Some(())
}

fn reason(w: &mut Walk<'_, '_>, name: &'static str, section: &'static str) -> Option<()> {
    w.u8(name, section, |code| {
        let name = match ReasonCode::from_value(code) {
            Some(ReasonCode::Success) if section == "3.9.3" => "Granted QoS 0",
            Some(ReasonCode::Success) if section == "3.14.2.1" => "Normal disconnection",
            Some(reason) => reason.text(),
            None => "not defined",
        };
        Value::Named(code.into(), name)
    })
    .map(drop)
}

/// A Variable Byte Integer.
fn variable(w: &mut Walk<'_, '_>, name: &'static str, section: &'static str) -> Option<u32> {
    let rest = w.rest();
    let (value, bytes) = match Variable::parse(rest) {
        Variable::Value(value, len) => (Some(value), rest.get(..len)?),
        Variable::Incomplete => (None, rest),
        Variable::TooLong => (None, rest.get(..4)?),
    };
    if bytes.is_empty() {
        return None;
    }
    w.show(bytes, name, value.map_or(Value::Bytes(bytes), Value::Number), section);
    value
}

/// Binary Data or a string, by how its content is shown.
fn prefixed<'a>(
    w: &mut Walk<'a, '_>,
    name: &'static str,
    section: &'static str,
    value: impl FnOnce(&'a [u8]) -> Value<'a>,
) -> Option<()> {
    let rest = w.rest();
    let whole = rest.split_first_chunk().and_then(|(len, behind)| {
        let len = usize::from(u16::from_be_bytes(*len));
        Some((rest.get(..2 + len)?, behind.get(..len)?))
    });
    match whole {
        Some((bytes, content)) => {
            w.show(bytes, name, value(content), section);
            Some(())
        }
        None => {
            if !rest.is_empty() {
                w.show(rest, name, Value::Bytes(rest), section);
            }
            None
        }
    }
}

fn string(w: &mut Walk<'_, '_>, name: &'static str, section: &'static str) -> Option<()> {
    prefixed(w, name, section, text)
}

fn binary(w: &mut Walk<'_, '_>, name: &'static str, section: &'static str) -> Option<()> {
    prefixed(w, name, section, Value::Bytes)
}

fn properties_if_any(w: &mut Walk<'_, '_>, scope: Scope, section: &'static str) -> Option<()> {
    if w.rest().is_empty() { Some(()) } else { properties(w, scope, section) }
}

/// Property Length and properties, one level deeper.
fn properties(w: &mut Walk<'_, '_>, scope: Scope, section: &'static str) -> Option<()> {
    let name = if scope == Scope::Will { "Will Property Length" } else { "Property Length" };
    let len = variable(w, name, section)? as usize;
    let end = w.at.checked_add(len).filter(|&end| end <= w.all.len())?;
    w.depth += 1;
    while w.at < end {
        let Variable::Value(id, _) = Variable::parse(w.rest()) else { return None };
        let Some(id) = PropertyId::from_value(id) else {
            variable(w, "Property of no known identifier", "2.2.2.2");
            return None;
        };
        variable(w, "Property Identifier", "2.2.2.2")?;
        w.depth += 1;
        property_value(w, id, section)?;
        w.depth -= 1;
    }
    w.depth -= 1;
    (w.at == end).then_some(())
}

fn property_value(w: &mut Walk<'_, '_>, id: PropertyId, section: &'static str) -> Option<()> {
    let name = id.title();
    match id.kind() {
        ValueKind::Byte => w.u8(name, section, |v| Value::Number(v.into())).map(drop),
        ValueKind::TwoBytes if id == PropertyId::ServerKeepAlive => {
            w.fixed(2, name, section, Value::Seconds).map(drop)
        }
        ValueKind::TwoBytes => w.u16(name, section).map(drop),
        ValueKind::FourBytes if id == PropertyId::MaximumPacketSize => {
            w.fixed(4, name, section, Value::Number).map(drop)
        }
        ValueKind::FourBytes => w.fixed(4, name, section, Value::Seconds).map(drop),
        ValueKind::Variable => variable(w, name, section).map(drop),
        ValueKind::String => string(w, name, section),
        ValueKind::Binary => binary(w, name, section),
        ValueKind::Pair => {
            string(w, name, section)?;
            string(w, "its value", section)
        }
    }
}
