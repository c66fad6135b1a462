//! What a session tells its caller.

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, PacketId, Publish, QoS, ReasonCode, SubAck, Subscribe,
    UnsubAck, Unsubscribe,
};

use crate::Stage;

/// Something happened. It borrows from the received bytes, never from the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'rx> {
    /// To a server: the client wants to connect. Answer with
    /// [`accept`](crate::server::Session::accept) or [`reject`](crate::server::Session::reject);
    /// what the client sends meanwhile waits.
    Connect(Connect<'rx>),
    /// To a client: the server has accepted. Call [`resume`](crate::client::Session::resume) next.
    Connected(ConnAck<'rx>),
    /// To a client: the server has refused. Close the connection.
    Refused(ConnAck<'rx>),
    /// A message. One of QoS 2 comes once.
    Message(Message<'rx>),
    /// The message that was sent with this identifier is done with: the outbox can drop it. A code of
    /// 0x80 and above says that the peer did not take it.
    Acknowledged {
        /// Its Packet Identifier, which is free again.
        id: PacketId,
        /// The peer's answer, in 3.1.1 always success.
        reason: ReasonCode,
    },
    /// The message of QoS 2 that was sent with this identifier is now the peer's: it will not be sent
    /// again and the outbox can drop it, while the identifier stays in use.
    Received {
        /// Its Packet Identifier.
        id: PacketId,
    },
    /// The message of QoS 2 that came with this identifier is done with: the next one with it is new.
    Released {
        /// Its Packet Identifier.
        id: PacketId,
    },
    /// This message is given up: the peer has lost the session and with it the state of the message,
    /// or the message cannot be sent again, as the outbox has lost it or the new connection does not
    /// allow it. One that waits for PUBACK or PUBREC may have arrived or not; one that waits for
    /// PUBCOMP has.
    Lost {
        /// Its Packet Identifier, which is free again.
        id: PacketId,
        /// What it waited for.
        stage: Stage,
    },
    /// To a server: answer with [`suback`](crate::server::Session::suback).
    Subscribe(Subscribe<'rx>),
    /// To a server: answer with [`unsuback`](crate::server::Session::unsuback).
    Unsubscribe(Unsubscribe<'rx>),
    /// To a client: the answer to SUBSCRIBE, a code per filter.
    Subscribed(SubAck<'rx>),
    /// To a client: the answer to UNSUBSCRIBE, in version 5 a code per filter.
    Unsubscribed(UnsubAck<'rx>),
    /// A step of the enhanced authentication (section 4.12). Answer with `auth`, or a server with
    /// `accept` or `reject`.
    Auth(Auth<'rx>),
    /// The peer has said goodbye. Close the connection.
    Disconnected(Disconnect<'rx>),
}

/// A message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'rx> {
    /// The PUBLISH. Its topic is empty where a Topic Alias stands for it: the session's `topic`
    /// tells the name in any case.
    pub publish: Publish<'rx>,
    /// What to hand to the session's `acknowledge` once the message is dealt with, where
    /// acknowledgement is manual and the QoS is 1 or 2.
    pub token: Option<AckToken>,
}

/// The right and the duty to acknowledge a message, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckToken {
    pub(crate) id: PacketId,
    pub(crate) qos: QoS,
    /// Whether the version has a code for that: 3.1.1 has not.
    pub(crate) refusable: bool,
    pub(crate) connection: u16,
}

impl AckToken {
    /// The Packet Identifier of the message.
    #[must_use]
    pub const fn packet_id(&self) -> PacketId {
        self.id
    }

    /// QoS of the message, 1 or 2.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// What must be stored because the message is acknowledged with this code, before what is in
    /// `tx` then is sent: that it was taken, where its like would be duplicates. In 3.1.1 that is so
    /// with any code, as nothing can be refused.
    #[must_use]
    pub const fn delta(&self, reason: ReasonCode) -> Option<Delta> {
        match self.qos {
            QoS::ExactlyOnce if !self.answer(reason).is_failure() => Some(Delta::Inbound(self.id)),
            _ => None,
        }
    }

    /// What the peer understands where this code is meant.
    pub(crate) const fn answer(&self, reason: ReasonCode) -> ReasonCode {
        if self.refusable { reason } else { ReasonCode::Success }
    }
}

/// The smallest change of a session that must survive a crash. Store it before what is in `tx` is
/// sent, and [`restore`](crate::client::Session::restore) a session from all of them after a crash.
///
/// ```
/// use mqtt_codec::{PacketId, QoS};
/// use mqtt_session::{Delta, Stage};
/// let delta = Delta::published(PacketId::MIN, QoS::AtLeastOnce);
/// assert_eq!(delta, Some(Delta::Outbound(PacketId::MIN, Stage::PubAck)));
/// assert_eq!(Delta::from_bytes(delta.unwrap().to_bytes()), delta);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delta {
    /// This identifier is in use for a message we send, which waits for that. The message itself is
    /// in the outbox.
    Outbound(PacketId, Stage),
    /// This identifier is free again.
    OutboundDone(PacketId),
    /// A message of QoS 2 with this identifier was received.
    Inbound(PacketId),
    /// The next message with this identifier is a new one.
    InboundDone(PacketId),
    /// The peer has begun a new session: no message has been received in it.
    InboundReset,
}

impl Delta {
    /// What must be stored, together with the message itself, because it was published with this
    /// identifier; `None` for QoS 0.
    #[must_use]
    pub const fn published(id: PacketId, qos: QoS) -> Option<Self> {
        match Stage::of(qos) {
            Some(stage) => Some(Self::Outbound(id, stage)),
            None => None,
        }
    }

    /// Three bytes to store, with the identifier in the last two, most significant byte first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let (kind, id) = match self {
            Self::Outbound(id, Stage::PubAck) => (1, id.get()),
            Self::Outbound(id, Stage::PubRec) => (2, id.get()),
            Self::Outbound(id, Stage::PubComp) => (3, id.get()),
            Self::Outbound(id, Stage::SubAck) => (4, id.get()),
            Self::Outbound(id, Stage::UnsubAck) => (5, id.get()),
            Self::OutboundDone(id) => (6, id.get()),
            Self::Inbound(id) => (7, id.get()),
            Self::InboundDone(id) => (8, id.get()),
            Self::InboundReset => (9, 0),
        };
        let [high, low] = id.to_be_bytes();
        [kind, high, low]
    }

    /// The delta that these bytes stand for; `None` if they stand for none.
    #[must_use]
    pub const fn from_bytes([kind, high, low]: [u8; 3]) -> Option<Self> {
        let id = PacketId::new(u16::from_be_bytes([high, low]));
        Some(match (kind, id) {
            (1, Some(id)) => Self::Outbound(id, Stage::PubAck),
            (2, Some(id)) => Self::Outbound(id, Stage::PubRec),
            (3, Some(id)) => Self::Outbound(id, Stage::PubComp),
            (4, Some(id)) => Self::Outbound(id, Stage::SubAck),
            (5, Some(id)) => Self::Outbound(id, Stage::UnsubAck),
            (6, Some(id)) => Self::OutboundDone(id),
            (7, Some(id)) => Self::Inbound(id),
            (8, Some(id)) => Self::InboundDone(id),
            (9, None) => Self::InboundReset,
            _ => return None,
        })
    }
}

impl Event<'_> {
    /// What must be stored because of it, before what is in `tx` is sent. A message that is
    /// acknowledged by hand is stored then: see [`AckToken::delta`].
    #[must_use]
    pub fn delta(&self) -> Option<Delta> {
        match self {
            Self::Message(Message { publish, token: None }) if publish.qos == QoS::ExactlyOnce => {
                publish.packet_id.map(Delta::Inbound)
            }
            Self::Connected(connack) if !connack.session_present => Some(Delta::InboundReset),
            Self::Received { id } => Some(Delta::Outbound(*id, Stage::PubComp)),
            Self::Acknowledged { id, .. } | Self::Lost { id, .. } => Some(Delta::OutboundDone(*id)),
            Self::Released { id } => Some(Delta::InboundDone(*id)),
            _ => None,
        }
    }
}
