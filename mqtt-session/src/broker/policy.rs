//! Who may do what.

use alloc::boxed::Box;

use mqtt_codec::{Connect, Publish, QoS, ReasonCode, Subscription, TopicFilter};

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
}

/// Whether a client may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It may.
    Allow,
    /// It may not: the code for CONNACK, such as [`ReasonCode::BadUserNameOrPassword`].
    Refuse(ReasonCode),
    /// It is told later, by [`Broker::decide`](super::Broker::decide).
    Later,
}

/// What the embedder of a broker decides. As it stands, everybody may do everything.
pub trait Policy {
    /// Whether this client may connect. `client` is who it would be.
    fn connect(&mut self, client: Client<'_>, connect: &Connect<'_>) -> Admission {
        let _ = (client, connect);
        Admission::Allow
    }

    /// A mechanism for an exchange of enhanced authentication by this method (section 4.12): when the
    /// client connects, after [`Policy::connect`], and each time that it re-authenticates. `None` if
    /// there is none, which refuses the client.
    fn mechanism(&mut self, client: Client<'_>, method: &str) -> Option<Box<dyn Mechanism + Send>> {
        let _ = (client, method);
        None
    }

    /// Whether this client may publish this message, which may be its will. The topic is complete.
    ///
    /// # Errors
    /// The code that PUBACK or PUBREC refuses it with, such as [`ReasonCode::NotAuthorized`]. To a
    /// client that has no way to be told, the message counts as taken (3.1.1 \[MQTT-3.3.5-2]).
    fn publish(&mut self, client: Client<'_>, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        let _ = (client, publish);
        Ok(())
    }

    /// Whether this client may subscribe, and with which Maximum QoS.
    ///
    /// # Errors
    /// The code that SUBACK refuses it with, such as [`ReasonCode::NotAuthorized`].
    fn subscribe(
        &mut self,
        client: Client<'_>,
        subscription: &Subscription<'_>,
    ) -> Result<QoS, ReasonCode> {
        let _ = client;
        Ok(subscription.qos)
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
