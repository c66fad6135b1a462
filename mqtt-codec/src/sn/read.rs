//! Reading a datagram: lengths and layouts.

use super::check::{Fault, sender};
use super::{
    CLEAN_SESSION, Connect, DUP, Datagram, DecodeError, ENCAPSULATED, Encapsulation, MsgType,
    Packet, Publish, PublishQoS, QOS, RETAIN, Register, ReturnCode, Rules, ShortTopic, SubAck,
    Subscribe, TOPIC_ID_TYPE, Topic, TopicAck, TopicId, Unsubscribe, Violation, WILL, WillTopic,
};
use crate::{QoS, TopicFilter, TopicName, Version};

const fn fail(offset: u16, violation: Violation) -> DecodeError {
    DecodeError { violation, offset }
}

pub(super) fn datagram<'a>(octets: &'a [u8], rules: &Rules) -> Result<Datagram<'a>, DecodeError> {
    // 0x01 announces a length of three octets, of which 0xFE may be one.
    let [length @ (0 | 2..), ENCAPSULATED, ..] = octets else {
        return Ok(message(octets, 0, rules)?.into());
    };
    // The length of an encapsulation has one octet and ends before the message (section 5.5).
    let (header, inner) =
        octets.split_at_checked(usize::from(*length)).ok_or(fail(0, Violation::Length))?;
    let [_, _, control, wireless_node_id @ ..] = header else {
        return Err(fail(0, Violation::LengthTooShort));
    };
    if rules.policy.refuse_unused_flags && control & !3 != 0 {
        return Err(fail(2, Violation::UnusedFlags));
    }
    if matches!(inner, [0 | 2.., ENCAPSULATED, ..]) {
        return Err(fail(u16::from(*length), Violation::NestedEncapsulation));
    }
    let message = message(inner, u16::from(*length), rules)?;
    let encapsulation = Encapsulation { radius: control & 3, wireless_node_id };
    Ok(Datagram { encapsulation: Some(encapsulation), message })
}

/// One message that begins at offset `start` of the datagram.
fn message<'a>(octets: &'a [u8], start: u16, rules: &Rules) -> Result<Packet<'a>, DecodeError> {
    let (length, header) = match *octets {
        [0x01, high, low, ..] => (u16::from_be_bytes([high, low]), 3),
        [0x01, ..] => return Err(fail(start, Violation::LengthTooShort)),
        [length, ..] => (u16::from(length), 1),
        [] => return Err(fail(start, Violation::LengthTooShort)),
    };
    if length <= header {
        return Err(fail(start, Violation::LengthTooShort));
    }
    if usize::from(length) != octets.len() {
        return Err(fail(start, Violation::Length));
    }
    if length > rules.max_message_size {
        return Err(fail(start, Violation::MessageTooLarge));
    }
    let Some((&kind, body)) = octets.get(usize::from(header)..).and_then(<[u8]>::split_first)
    else {
        return Err(fail(start, Violation::LengthTooShort));
    };
    let kind_at = start.saturating_add(header);
    let kind = MsgType::from_value(kind).ok_or(fail(kind_at, Violation::ReservedType))?;
    if !rules.sender.may_be(sender(kind)) {
        return Err(fail(kind_at, Violation::WrongDirection));
    }
    let mut reader = Reader { all: body.len(), rest: body, rules };
    let message = body_of(kind, &mut reader)
        .and_then(|message| reader.finish().map(|()| message))
        .and_then(|message| rules.check(&message).map(|()| message));
    message.map_err(|(at, violation)| fail(kind_at.saturating_add(1).saturating_add(at), violation))
}

fn body_of<'a>(kind: MsgType, reader: &mut Reader<'a, '_>) -> Result<Packet<'a>, Fault> {
    Ok(match kind {
        MsgType::Advertise => Packet::Advertise { gw_id: reader.u8()?, duration: reader.u16()? },
        MsgType::SearchGw => Packet::SearchGw { radius: reader.u8()? },
        MsgType::GwInfo => Packet::GwInfo { gw_id: reader.u8()?, gw_add: reader.rest() },
        MsgType::Connect => {
            let flags = reader.flags(WILL | CLEAN_SESSION)?;
            if reader.u8()? != super::write::PROTOCOL_ID {
                return Err((1, Violation::ProtocolId));
            }
            Packet::Connect(Connect {
                will: flags & WILL != 0,
                clean_session: flags & CLEAN_SESSION != 0,
                duration: reader.u16()?,
                client_id: reader.text()?,
            })
        }
        MsgType::ConnAck => Packet::ConnAck(reader.return_code()?),
        MsgType::WillTopicReq => Packet::WillTopicReq,
        MsgType::WillTopic => Packet::WillTopic(reader.will_topic()?),
        MsgType::WillMsgReq => Packet::WillMsgReq,
        MsgType::WillMsg => Packet::WillMsg(reader.rest()),
        MsgType::Register => Packet::Register(Register {
            topic_id: reader.u16()?,
            msg_id: reader.u16()?,
            topic_name: reader.topic_name()?,
        }),
        MsgType::RegAck => Packet::RegAck(reader.topic_ack()?),
        MsgType::Publish => {
            let flags = reader.flags(DUP | QOS | RETAIN | TOPIC_ID_TYPE)?;
            Packet::Publish(Publish {
                dup: flags & DUP != 0,
                qos: PublishQoS::from_bits(flags >> 5),
                retain: flags & RETAIN != 0,
                topic: match flags & TOPIC_ID_TYPE {
                    0 => TopicId::Normal(reader.u16()?),
                    1 => TopicId::Predefined(reader.u16()?),
                    2 => TopicId::Short(reader.short_topic()?),
                    _ => return Err((0, Violation::TopicIdTypeReserved)),
                },
                msg_id: reader.u16()?,
                data: reader.rest(),
            })
        }
        MsgType::PubAck => Packet::PubAck(reader.topic_ack()?),
        MsgType::PubComp => Packet::PubComp(reader.u16()?),
        MsgType::PubRec => Packet::PubRec(reader.u16()?),
        MsgType::PubRel => Packet::PubRel(reader.u16()?),
        MsgType::Subscribe => {
            let flags = reader.flags(DUP | QOS | TOPIC_ID_TYPE)?;
            Packet::Subscribe(Subscribe {
                dup: flags & DUP != 0,
                qos: qos(flags)?,
                msg_id: reader.u16()?,
                topic: reader.topic(flags)?,
            })
        }
        MsgType::SubAck => {
            let flags = reader.flags(QOS)?;
            Packet::SubAck(SubAck {
                qos: qos(flags)?,
                topic_id: reader.u16()?,
                msg_id: reader.u16()?,
                return_code: reader.return_code()?,
            })
        }
        MsgType::Unsubscribe => {
            let flags = reader.flags(TOPIC_ID_TYPE)?;
            Packet::Unsubscribe(Unsubscribe { msg_id: reader.u16()?, topic: reader.topic(flags)? })
        }
        MsgType::UnsubAck => Packet::UnsubAck(reader.u16()?),
        MsgType::PingReq if reader.rest.is_empty() => Packet::PingReq(None),
        MsgType::PingReq => Packet::PingReq(Some(reader.text()?)),
        MsgType::PingResp => Packet::PingResp,
        MsgType::Disconnect if reader.rest.is_empty() => Packet::Disconnect(None),
        MsgType::Disconnect => Packet::Disconnect(Some(reader.u16()?)),
        MsgType::WillTopicUpd => Packet::WillTopicUpd(reader.will_topic()?),
        MsgType::WillTopicResp => Packet::WillTopicResp(reader.return_code()?),
        MsgType::WillMsgUpd => Packet::WillMsgUpd(reader.rest()),
        MsgType::WillMsgResp => Packet::WillMsgResp(reader.return_code()?),
    })
}

/// The QoS of these flags in a message that has no QoS -1 (section 5.3.4).
fn qos(flags: u8) -> Result<QoS, Fault> {
    QoS::from_bits(flags >> 5 & 3).ok_or((0, Violation::QosMinusOne))
}

/// Reads the fields behind the message type. Offsets count from there.
struct Reader<'a, 'r> {
    all: usize,
    rest: &'a [u8],
    rules: &'r Rules,
}

impl<'a> Reader<'a, '_> {
    /// Where the next octet is. A message has at most 65,535.
    fn position(&self) -> u16 {
        (self.all - self.rest.len()) as u16
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((octets, rest)) = self.rest.split_first_chunk() else {
            return Err((self.position(), Violation::Truncated));
        };
        self.rest = rest;
        Ok(*octets)
    }

    fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(|[octet]| octet)
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    fn finish(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err((self.position(), Violation::TrailingOctets))
        }
    }

    /// The flags, of which the message uses these.
    fn flags(&mut self, used: u8) -> Result<u8, Fault> {
        let flags = self.u8()?;
        if self.rules.policy.refuse_unused_flags && flags & !used != 0 {
            return Err((0, Violation::UnusedFlags));
        }
        Ok(flags)
    }

    fn return_code(&mut self) -> Result<ReturnCode, Fault> {
        self.u8().map(ReturnCode)
    }

    fn topic_ack(&mut self) -> Result<TopicAck, Fault> {
        Ok(TopicAck {
            topic_id: self.u16()?,
            msg_id: self.u16()?,
            return_code: self.return_code()?,
        })
    }

    /// A string that runs to the end of the message.
    fn text(&mut self) -> Result<&'a str, Fault> {
        let at = self.position();
        core::str::from_utf8(self.rest()).map_err(|_| (at, Violation::StringNotUtf8))
    }

    /// A topic name that runs to the end of the message; it may be empty.
    fn topic_name(&mut self) -> Result<TopicName<'a>, Fault> {
        let at = self.position();
        let text = self.text()?;
        if text.is_empty() {
            return Ok(TopicName::ALIASED);
        }
        TopicName::new(text).map_err(|violation| match violation {
            crate::Violation::StringHasNul => (at, Violation::StringHasNul),
            _ => (at, Violation::TopicNameWildcard),
        })
    }

    fn will_topic(&mut self) -> Result<Option<WillTopic<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let flags = self.flags(QOS | RETAIN)?;
        let topic = self.topic_name()?;
        Ok(Some(WillTopic { qos: qos(flags)?, retain: flags & RETAIN != 0, topic }))
    }

    fn short_topic(&mut self) -> Result<ShortTopic<'a>, Fault> {
        let at = self.position();
        let Some((octets, rest)) = self.rest.split_at_checked(2) else {
            return Err((at, Violation::Truncated));
        };
        self.rest = rest;
        let text = core::str::from_utf8(octets).map_err(|_| (at, Violation::StringNotUtf8))?;
        ShortTopic::new(text).ok_or((at, Violation::StringHasNul))
    }

    /// The topic of SUBSCRIBE and UNSUBSCRIBE, which ends the message.
    fn topic(&mut self, flags: u8) -> Result<Topic<'a>, Fault> {
        let at = self.position();
        let kind = flags & TOPIC_ID_TYPE;
        if kind == 3 {
            return Err((0, Violation::TopicIdTypeReserved));
        }
        if self.rest.is_empty() {
            return Err((at, Violation::TopicMissing));
        }
        if kind == 0 {
            let text = self.text()?;
            return TopicFilter::for_version(text, Version::V311).map(Topic::Name).map_err(
                |violation| match violation {
                    crate::Violation::StringHasNul => (at, Violation::StringHasNul),
                    _ => (at, Violation::TopicFilter),
                },
            );
        }
        if self.rest.len() != 2 {
            return Err((at, Violation::ShortTopicLength));
        }
        Ok(match kind {
            1 => Topic::Predefined(self.u16()?),
            _ => Topic::Short(self.short_topic()?),
        })
    }
}
