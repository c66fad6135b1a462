//! Writing a datagram, whose size is measured first.

use super::check::sender;
use super::{
    CLEAN_SESSION, DUP, Datagram, ENCAPSULATED, EncodeError, Packet, RETAIN, Rules, Topic,
    TopicAck, TopicId, Violation, WILL, WillTopic,
};

/// The one ProtocolId (section 5.3.8).
pub(super) const PROTOCOL_ID: u8 = 0x01;
/// The longest WirelessNodeId that the octet for the length leaves room for.
const NODE_ID_MAX: usize = 252;

/// Sizes in octets.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) datagram: usize,
    message: usize,
}

/// Checks the datagram and finds its size.
pub(super) fn measure(datagram: &Datagram<'_>, rules: &Rules) -> Result<Size, EncodeError> {
    let message = &datagram.message;
    if !rules.sender.may_be(sender(message.msg_type())) {
        return Err(Violation::WrongDirection.into());
    }
    rules.check(message).map_err(|(_, violation)| violation)?;
    let mut count = Count(0);
    put(message, &mut count);
    let size = match count.0 + 2 {
        short @ ..=0xFF => short,
        long => long + 2,
    };
    if size > usize::from(rules.max_message_size) {
        return Err(EncodeError::TooLarge { size, limit: rules.max_message_size });
    }
    let encapsulation = match datagram.encapsulation {
        Some(outer) if outer.radius > 3 => return Err(Violation::RadiusTooLarge.into()),
        Some(outer) if outer.wireless_node_id.len() > NODE_ID_MAX => {
            return Err(Violation::NodeIdTooLong.into());
        }
        Some(outer) => 3 + outer.wireless_node_id.len(),
        None => 0,
    };
    Ok(Size { datagram: encapsulation + size, message: size })
}

/// Writes what was measured; `room` is as long as it is.
pub(super) fn datagram(datagram: &Datagram<'_>, size: Size, room: &mut [u8]) {
    let mut fill = Fill(room);
    if let Some(outer) = datagram.encapsulation {
        fill.u8(3 + outer.wireless_node_id.len() as u8);
        fill.u8(ENCAPSULATED);
        fill.u8(outer.radius);
        fill.octets(outer.wireless_node_id);
    }
    match u8::try_from(size.message) {
        Ok(short) => fill.u8(short),
        Err(_) => {
            fill.u8(0x01);
            fill.u16(size.message as u16);
        }
    }
    fill.u8(datagram.message.msg_type() as u8);
    put(&datagram.message, &mut fill);
}

/// Where the octets behind the message type are put: counted first, then written.
trait Sink {
    fn octets(&mut self, octets: &[u8]);

    fn u8(&mut self, value: u8) {
        self.octets(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.octets(&value.to_be_bytes());
    }
}

struct Count(usize);

impl Sink for Count {
    fn octets(&mut self, octets: &[u8]) {
        self.0 = self.0.saturating_add(octets.len());
    }
}

/// Should the room be too short, which would be a mistake in this crate, the rest is dropped.
struct Fill<'b>(&'b mut [u8]);

impl Sink for Fill<'_> {
    fn octets(&mut self, octets: &[u8]) {
        let rest = core::mem::take(&mut self.0);
        match rest.split_at_mut_checked(octets.len()) {
            Some((room, rest)) => {
                room.copy_from_slice(octets);
                self.0 = rest;
            }
            None => debug_assert!(false, "a message was measured shorter than it is"),
        }
    }
}

fn flag(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}

fn put(message: &Packet<'_>, sink: &mut impl Sink) {
    match *message {
        Packet::Advertise { gw_id, duration } => {
            sink.u8(gw_id);
            sink.u16(duration);
        }
        Packet::SearchGw { radius } => sink.u8(radius),
        Packet::GwInfo { gw_id, gw_add } => {
            sink.u8(gw_id);
            sink.octets(gw_add);
        }
        Packet::Connect(connect) => {
            sink.u8(flag(connect.will, WILL) | flag(connect.clean_session, CLEAN_SESSION));
            sink.u8(PROTOCOL_ID);
            sink.u16(connect.duration);
            sink.octets(connect.client_id.as_bytes());
        }
        Packet::ConnAck(code) | Packet::WillTopicResp(code) | Packet::WillMsgResp(code) => {
            sink.u8(code.0);
        }
        Packet::WillTopicReq
        | Packet::WillMsgReq
        | Packet::PingReq(None)
        | Packet::PingResp
        | Packet::Disconnect(None)
        | Packet::WillTopic(None)
        | Packet::WillTopicUpd(None) => {}
        Packet::WillTopic(Some(will)) | Packet::WillTopicUpd(Some(will)) => put_will(will, sink),
        Packet::WillMsg(data) | Packet::WillMsgUpd(data) => sink.octets(data),
        Packet::Register(register) => {
            sink.u16(register.topic_id);
            sink.u16(register.msg_id);
            sink.octets(register.topic_name.as_bytes());
        }
        Packet::RegAck(TopicAck { topic_id, msg_id, return_code })
        | Packet::PubAck(TopicAck { topic_id, msg_id, return_code }) => {
            sink.u16(topic_id);
            sink.u16(msg_id);
            sink.u8(return_code.0);
        }
        Packet::Publish(publish) => {
            let flags =
                flag(publish.dup, DUP) | publish.qos.bits() << 5 | flag(publish.retain, RETAIN);
            match publish.topic {
                TopicId::Normal(id) => {
                    sink.u8(flags);
                    sink.u16(id);
                }
                TopicId::Predefined(id) => {
                    sink.u8(flags | 1);
                    sink.u16(id);
                }
                TopicId::Short(name) => {
                    sink.u8(flags | 2);
                    sink.octets(name.as_str().as_bytes());
                }
            }
            sink.u16(publish.msg_id);
            sink.octets(publish.data);
        }
        Packet::PubComp(msg_id)
        | Packet::PubRec(msg_id)
        | Packet::PubRel(msg_id)
        | Packet::UnsubAck(msg_id) => sink.u16(msg_id),
        Packet::Subscribe(subscribe) => {
            let flags = flag(subscribe.dup, DUP) | subscribe.qos.bits() << 5;
            put_topic(flags, subscribe.msg_id, subscribe.topic, sink);
        }
        Packet::SubAck(ack) => {
            sink.u8(ack.qos.bits() << 5);
            sink.u16(ack.topic_id);
            sink.u16(ack.msg_id);
            sink.u8(ack.return_code.0);
        }
        Packet::Unsubscribe(unsubscribe) => {
            put_topic(0, unsubscribe.msg_id, unsubscribe.topic, sink);
        }
        Packet::PingReq(Some(client_id)) => sink.octets(client_id.as_bytes()),
        Packet::Disconnect(Some(duration)) => sink.u16(duration),
    }
}

fn put_will(will: WillTopic<'_>, sink: &mut impl Sink) {
    sink.u8(will.qos.bits() << 5 | flag(will.retain, RETAIN));
    sink.octets(will.topic.as_bytes());
}

fn put_topic(flags: u8, msg_id: u16, topic: Topic<'_>, sink: &mut impl Sink) {
    let id;
    let (kind, octets) = match topic {
        Topic::Name(filter) => (0, filter.as_bytes()),
        Topic::Predefined(value) => {
            id = value.to_be_bytes();
            (1, &id[..])
        }
        Topic::Short(name) => (2, name.as_str().as_bytes()),
    };
    sink.u8(flags | kind);
    sink.u16(msg_id);
    sink.octets(octets);
}
