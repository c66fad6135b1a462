//! What a message may say: the rules that hold on both ways. The layout is checked in `read`.

use super::{MsgType, Packet, PublishQoS, ReturnCode, Rules, Topic, TopicId, Violation, WillTopic};
use crate::Sender;

/// A rule that is broken, and where, in octets behind the message type.
pub(super) type Fault = (u16, Violation);

/// Longest ClientId in characters (section 5.3.1).
const CLIENT_ID_MAX: usize = 23;

/// Who may send it (section 5.2.2).
pub(super) const fn sender(kind: MsgType) -> Sender {
    match kind {
        MsgType::Advertise
        | MsgType::ConnAck
        | MsgType::WillTopicReq
        | MsgType::WillMsgReq
        | MsgType::SubAck
        | MsgType::UnsubAck
        | MsgType::WillTopicResp
        | MsgType::WillMsgResp => Sender::Server,
        MsgType::SearchGw
        | MsgType::Connect
        | MsgType::WillTopic
        | MsgType::WillMsg
        | MsgType::Subscribe
        | MsgType::Unsubscribe
        | MsgType::WillTopicUpd
        | MsgType::WillMsgUpd => Sender::Client,
        _ => Sender::Either,
    }
}

impl Rules {
    /// Refuses a message that says what it must not.
    pub(super) fn check(&self, message: &Packet<'_>) -> Result<(), Fault> {
        match *message {
            Packet::GwInfo { gw_add, .. } => self.client_field(1, !gw_add.is_empty()),
            Packet::Connect(connect) => self.client_id(4, connect.client_id),
            Packet::ConnAck(code) | Packet::WillTopicResp(code) | Packet::WillMsgResp(code) => {
                self.return_code(0, code)
            }
            Packet::WillTopic(will) | Packet::WillTopicUpd(will) => self.will_topic(will),
            Packet::Register(register) => {
                self.msg_id(2, register.msg_id, true)?;
                refuse(register.topic_name.is_empty(), 4, Violation::TopicNameEmpty)
            }
            Packet::RegAck(ack) | Packet::PubAck(ack) => self.return_code(4, ack.return_code),
            Packet::Publish(publish) => {
                let minus_one = publish.qos == PublishQoS::MinusOne;
                refuse(
                    minus_one && self.sender == Sender::Server,
                    0,
                    Violation::QosMinusOneFromGateway,
                )?;
                let normal = matches!(publish.topic, TopicId::Normal(_));
                refuse(minus_one && normal, 0, Violation::QosMinusOneTopicId)?;
                let answered = publish.qos.is_answered();
                let unused = self.policy.refuse_unused_flags;
                refuse(unused && publish.dup && !answered, 0, Violation::UnusedFlags)?;
                match publish.topic {
                    TopicId::Normal(id) | TopicId::Predefined(id) => self.topic_id(1, id)?,
                    TopicId::Short(name) => {
                        let wildcard = name.as_str().contains(['+', '#']);
                        refuse(wildcard, 1, Violation::TopicNameWildcard)?;
                    }
                }
                self.msg_id(3, publish.msg_id, answered)
            }
            Packet::Subscribe(subscribe) => self.topic(subscribe.msg_id, subscribe.topic),
            Packet::Unsubscribe(unsubscribe) => self.topic(unsubscribe.msg_id, unsubscribe.topic),
            Packet::SubAck(ack) => self.return_code(5, ack.return_code),
            Packet::PingReq(Some(client_id)) => {
                self.client_field(0, true)?;
                self.client_id(0, client_id)
            }
            Packet::Disconnect(duration) => self.client_field(0, duration.is_some()),
            Packet::Advertise { .. }
            | Packet::SearchGw { .. }
            | Packet::WillTopicReq
            | Packet::WillMsgReq
            | Packet::WillMsg(_)
            | Packet::PubComp(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq(None)
            | Packet::PingResp
            | Packet::WillMsgUpd(_) => Ok(()),
        }
    }

    fn client_field(&self, at: u16, given: bool) -> Result<(), Fault> {
        let refused = self.policy.refuse_client_fields_from_gateway;
        refuse(
            given && refused && self.sender == Sender::Server,
            at,
            Violation::ClientFieldFromGateway,
        )
    }

    fn client_id(&self, at: u16, client_id: &str) -> Result<(), Fault> {
        refuse(client_id.is_empty(), at, Violation::ClientIdEmpty)?;
        refuse(client_id.contains('\0'), at, Violation::StringHasNul)?;
        let long = client_id.chars().nth(CLIENT_ID_MAX).is_some();
        refuse(long && !self.policy.long_client_ids, at, Violation::ClientIdTooLong)
    }

    fn return_code(&self, at: u16, code: ReturnCode) -> Result<(), Fault> {
        let reserved = code > ReturnCode::NOT_SUPPORTED;
        refuse(
            reserved && self.policy.refuse_reserved_return_codes,
            at,
            Violation::ReturnCodeReserved,
        )
    }

    fn will_topic(&self, will: Option<WillTopic<'_>>) -> Result<(), Fault> {
        let empty = will.is_some_and(|will| will.topic.is_empty());
        refuse(empty && self.policy.refuse_empty_will_topic, 1, Violation::WillTopicEmpty)
    }

    fn topic(&self, msg_id: u16, topic: Topic<'_>) -> Result<(), Fault> {
        self.msg_id(1, msg_id, true)?;
        match topic {
            Topic::Predefined(id) => self.topic_id(3, id),
            Topic::Name(_) | Topic::Short(_) => Ok(()),
        }
    }

    fn topic_id(&self, at: u16, id: u16) -> Result<(), Fault> {
        let reserved = matches!(id, 0 | u16::MAX);
        refuse(reserved && self.policy.refuse_reserved_topic_ids, at, Violation::TopicIdReserved)
    }

    fn msg_id(&self, at: u16, msg_id: u16, answered: bool) -> Result<(), Fault> {
        let check = self.policy.check_msg_id;
        refuse(check && answered && msg_id == 0, at, Violation::MsgIdZero)?;
        refuse(check && !answered && msg_id != 0, at, Violation::MsgIdUnwanted)
    }
}

fn refuse(wrong: bool, at: u16, violation: Violation) -> Result<(), Fault> {
    if wrong { Err((at, violation)) } else { Ok(()) }
}
