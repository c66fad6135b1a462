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
    /// The server has lost the session, and with it the state of this message. One that waits for
    /// PUBACK or PUBREC may be published anew, at the risk of a duplicate; one that waits for PUBCOMP
    /// has arrived.
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
}

impl AckToken {
    /// The Packet Identifier of the message.
    #[must_use]
    pub const fn packet_id(&self) -> PacketId {
        self.id
    }
}

/// The smallest change of a session that must survive a crash. Store it before what is in `tx` is
/// sent, and [`restore`](crate::client::Session::restore) a session from all of them after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}

impl Event<'_> {
    /// What must be stored because of it.
    #[must_use]
    pub fn delta(&self) -> Option<Delta> {
        match self {
            Self::Message(Message { publish, .. }) if publish.qos == QoS::ExactlyOnce => {
                publish.packet_id.map(Delta::Inbound)
            }
            Self::Received { id } => Some(Delta::Outbound(*id, Stage::PubComp)),
            Self::Acknowledged { id, .. } | Self::Lost { id, .. } => Some(Delta::OutboundDone(*id)),
            Self::Released { id } => Some(Delta::InboundDone(*id)),
            _ => None,
        }
    }
}
