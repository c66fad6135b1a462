//! Who may do what.

use alloc::boxed::Box;

use mqtt_codec::{Connect, Publish, QoS, ReasonCode, Subscription, TopicFilter};

use super::ConnectionId;
use super::deferred::Ticket;
use crate::Mechanism;

/// A client that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client<'a> {
    /// Its client identifier, the assigned one if it came without.
    pub id: &'a str,
    /// Its user name.
    pub user_name: Option<&'a str>,
    /// Whether the transport has proved the user name, see
    /// [`Broker::identify`](super::Broker::identify): then there need not be a password.
    pub is_proven: bool,
    /// Whether it is one of the embedder's own [`Bridge`](super::Bridge)s: what it may do was decided by
    /// who set it up.
    pub is_bridge: bool,
    /// What to hand to [`Broker::resolve`](super::Broker::resolve) if the answer is
    /// [`Admission::Later`].
    pub ticket: Ticket,
}

/// Whether a client may do what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It may.
    Allow,
    /// It may subscribe with this Maximum QoS; what is no subscription it may do.
    AllowUpTo(QoS),
    /// It may not: the code that it is told, such as [`ReasonCode::NotAuthorized`].
    Refuse(ReasonCode),
    /// It is told later, by [`Broker::resolve`](super::Broker::resolve) with [`Client::ticket`]. Until
    /// then nothing more is taken from the client, so that the order of what it asks for is kept.
    Later,
}

impl Admission {
    /// The code of a refusal.
    pub(super) const fn refused(self) -> Option<ReasonCode> {
        match self {
            Self::Refuse(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What the embedder of a broker decides. As it stands, everybody may do everything.
pub trait Policy {
    /// Whether this client may connect. `client` is who it would be. Refused with codes such as
    /// [`ReasonCode::BadUserNameOrPassword`].
    fn connect(&mut self, client: Client<'_>, connect: &Connect<'_>) -> Admission {
        let _ = (client, connect);
        Admission::Allow
    }

    /// Whether this client, which is let in otherwise, may have what there is of its client identifier: a
    /// session that `owner`, the user name that it began or last went on with, has left or uses now. If
    /// not, it is refused with [`ReasonCode::NotAuthorized`], and the session stays as it is. As it
    /// stands, whoever knows a client identifier gets what its session has subscribed to.
    fn take_over(&mut self, client: Client<'_>, owner: Option<&str>) -> bool {
        let _ = (client, owner);
        true
    }

    /// A mechanism for an exchange of enhanced authentication by this method (section 4.12): when the
    /// client connects, after [`Policy::connect`], and each time that it re-authenticates. `None` if
    /// there is none, which refuses the client.
    fn mechanism(&mut self, client: Client<'_>, method: &str) -> Option<Box<dyn Mechanism + Send>> {
        let _ = (client, method);
        None
    }

    /// Whether this client may publish this message. The topic is complete. To a client that has no way
    /// to be told of a refusal, the message counts as taken (3.1.1 \[MQTT-3.3.5-2]).
    ///
    /// It may be the will of a client that connects: [`Admission::Later`] then has the client wait as
    /// [`Policy::connect`] does, and one answer is for both.
    fn publish(&mut self, client: Client<'_>, publish: &Publish<'_>) -> Admission {
        let _ = (client, publish);
        Admission::Allow
    }

    /// Whether this client may subscribe. Asked for each filter of a SUBSCRIBE, in their order.
    fn subscribe(&mut self, client: Client<'_>, subscription: &Subscription<'_>) -> Admission {
        let _ = (client, subscription);
        Admission::Allow
    }

    /// Whether this client, which was let in, may stay connected. Asked by
    /// [`Broker::reconsider`](super::Broker::reconsider) alone.
    fn may_stay(&mut self, client: Client<'_>) -> bool {
        let _ = client;
        true
    }

    /// The connection has ended before an answer that it waited for: it is of no use any more.
    fn abandoned(&mut self, connection: ConnectionId) {
        let _ = connection;
    }

    /// Whether this client may end this subscription.
    ///
    /// # Errors
    /// The code that UNSUBACK refuses it with.
    fn unsubscribe(
        &mut self,
        client: Client<'_>,
        filter: TopicFilter<'_>,
    ) -> Result<(), ReasonCode> {
        let _ = (client, filter);
        Ok(())
    }
}

/// Everybody may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {}
