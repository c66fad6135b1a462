//! The fields of an MQTT-SN datagram.

use super::{Value, Walk, text};
use crate::sn::MsgType;

const ENCAPSULATED: u8 = 0xFE;

/// What to call the datagram.
pub(super) fn name(datagram: &[u8]) -> &'static str {
    let kind = match *datagram {
        [0x01, _, _, kind, ..] => kind,
        [0 | 2.., ENCAPSULATED, ..] => return "encapsulated message",
        [_, kind, ..] => kind,
        _ => return "datagram",
    };
    MsgType::from_value(kind).map_or("message of reserved type", MsgType::name)
}

pub(super) fn datagram(w: &mut Walk<'_, '_>) -> Option<()> {
    if matches!(w.all, [0 | 2.., ENCAPSULATED, ..]) {
        let len = w.u8("Length of the encapsulation", "5.5", |v| Value::Number(v.into()))?;
        w.u8("MsgType", "5.5", |v| Value::Named(v.into(), "encapsulated message"))?;
        let control = w.u8("Ctrl", "5.5", |_| Value::None)?;
        w.bits(0xFC, "Reserved", "5.5", Value::Number(u32::from(control >> 2)));
        w.bits(0x03, "Radius", "5.5", Value::Number(u32::from(control & 3)));
        let node_id = w.rest().get(..usize::from(len).checked_sub(3)?)?;
        w.show(node_id, "WirelessNodeId", Value::Bytes(node_id), "5.5");
        w.depth += 1;
    }
    message(w)
}

fn message(w: &mut Walk<'_, '_>) -> Option<()> {
    if w.peek(0)? == 0x01 {
        w.fixed(3, "Length", "5.2.1", |v| Value::Number(v & 0xFFFF))?;
    } else {
        w.u8("Length", "5.2.1", |v| Value::Number(v.into()))?;
    }
    let kind = MsgType::from_value(w.peek(0)?);
    w.u8("MsgType", "5.2.2", |v| Value::Named(v.into(), kind.map_or("reserved", MsgType::name)))?;
    match kind? {
        MsgType::Advertise => {
            number(w, "GwId", "5.3.5")?;
            seconds(w)
        }
        MsgType::SearchGw => number(w, "Radius", "5.3.9"),
        MsgType::GwInfo => {
            number(w, "GwId", "5.3.5")?;
            if !w.rest().is_empty() {
                w.bytes_to_end("GwAdd", "5.3.6");
            }
            Some(())
        }
        MsgType::Connect => {
            let flags = flags(w)?;
            w.flag(flags, 0x08, "Will", "5.3.4");
            w.flag(flags, 0x04, "CleanSession", "5.3.4");
            number(w, "ProtocolId", "5.3.8")?;
            seconds(w)?;
            w.text_to_end("ClientId", "5.3.1");
            Some(())
        }
        MsgType::ConnAck | MsgType::WillTopicResp | MsgType::WillMsgResp => return_code(w),
        MsgType::WillTopicReq | MsgType::WillMsgReq | MsgType::PingResp => Some(()),
        MsgType::WillTopic | MsgType::WillTopicUpd => {
            if !w.rest().is_empty() {
                let flags = flags(w)?;
                qos(w, flags);
                w.flag(flags, 0x10, "Retain", "5.3.4");
                w.text_to_end("WillTopic", "5.3.14");
            }
            Some(())
        }
        MsgType::WillMsg | MsgType::WillMsgUpd => {
            w.bytes_to_end("WillMsg", "5.3.13");
            Some(())
        }
        MsgType::Register => {
            w.u16("TopicId", "5.3.11")?;
            w.u16("MsgId", "5.3.7")?;
            w.text_to_end("TopicName", "5.3.12");
            Some(())
        }
        MsgType::RegAck | MsgType::PubAck => {
            w.u16("TopicId", "5.3.11")?;
            w.u16("MsgId", "5.3.7")?;
            return_code(w)
        }
        MsgType::Publish => {
            let flags = flags(w)?;
            w.flag(flags, 0x80, "DUP", "5.3.4");
            qos(w, flags);
            w.flag(flags, 0x10, "Retain", "5.3.4");
            topic_id_type(w, flags, "normal topic id");
            topic_id(w, flags)?;
            w.u16("MsgId", "5.3.7")?;
            w.bytes_to_end("Data", "5.3.2");
            Some(())
        }
        MsgType::PubComp | MsgType::PubRec | MsgType::PubRel | MsgType::UnsubAck => {
            w.u16("MsgId", "5.3.7").map(drop)
        }
        kind @ (MsgType::Subscribe | MsgType::Unsubscribe) => {
            let flags = flags(w)?;
            if kind == MsgType::Subscribe {
                w.flag(flags, 0x80, "DUP", "5.3.4");
                qos(w, flags);
            }
            topic_id_type(w, flags, "topic name");
            w.u16("MsgId", "5.3.7")?;
            if flags & 3 == 0 {
                w.text_to_end("TopicName", "5.3.12");
                Some(())
            } else {
                topic_id(w, flags)
            }
        }
        MsgType::SubAck => {
            let flags = flags(w)?;
            qos(w, flags);
            w.u16("TopicId", "5.3.11")?;
            w.u16("MsgId", "5.3.7")?;
            return_code(w)
        }
        MsgType::PingReq => {
            if !w.rest().is_empty() {
                w.text_to_end("ClientId", "5.3.1");
            }
            Some(())
        }
        MsgType::Disconnect if w.rest().is_empty() => Some(()),
        MsgType::Disconnect => seconds(w),
    }
}

fn number(w: &mut Walk<'_, '_>, name: &'static str, section: &'static str) -> Option<()> {
    w.u8(name, section, |v| Value::Number(v.into())).map(drop)
}

fn seconds(w: &mut Walk<'_, '_>) -> Option<()> {
    w.fixed(2, "Duration", "5.3.3", Value::Seconds).map(drop)
}

fn flags(w: &mut Walk<'_, '_>) -> Option<u8> {
    w.u8("Flags", "5.3.4", |_| Value::None)
}

fn qos(w: &mut Walk<'_, '_>, flags: u8) {
    let bits = flags >> 5 & 3;
    let name = match bits {
        0 => "QoS 0",
        1 => "QoS 1",
        2 => "QoS 2",
        _ => "QoS -1",
    };
    w.bits(0x60, "QoS", "5.3.4", Value::Named(bits.into(), name));
}

fn topic_id_type(w: &mut Walk<'_, '_>, flags: u8, normal: &'static str) {
    let name = match flags & 3 {
        0 => normal,
        1 => "pre-defined topic id",
        2 => "short topic name",
        _ => "reserved",
    };
    w.bits(0x03, "TopicIdType", "5.3.4", Value::Named(u32::from(flags & 3), name));
}

fn topic_id(w: &mut Walk<'_, '_>, flags: u8) -> Option<()> {
    if flags & 3 == 2 {
        let name = w.rest().get(..2)?;
        w.show(name, "Short Topic Name", text(name), "5.3.11");
        Some(())
    } else {
        w.u16("TopicId", "5.3.11").map(drop)
    }
}

fn return_code(w: &mut Walk<'_, '_>) -> Option<()> {
    w.u8("ReturnCode", "5.3.10", |code| {
        let name = match code {
            0 => "Accepted",
            1 => "Rejected: congestion",
            2 => "Rejected: invalid topic ID",
            3 => "Rejected: not supported",
            _ => "reserved",
        };
        Value::Named(code.into(), name)
    })
    .map(drop)
}
