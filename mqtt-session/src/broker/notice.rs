//! What becomes of connections, for a log.

use core::fmt;

use mqtt_codec::{ReasonCode, Version};

use super::policy::Client;
use super::{Broker, ConnectionId, Outputs};
use crate::{Error, Fault};

/// What has become of a connection: see [`Outputs::notice`]. What a peer can cause at will is told as
/// often as it causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The client is let in.
    Connected {
        /// Who it is.
        client: Client<'a>,
        /// The version that it speaks.
        version: Version,
        /// Whether it found its session.
        session_present: bool,
    },
    /// The client is not let in.
    Refused {
        /// The client identifier of CONNECT.
        client_id: &'a str,
        /// Why. Where its version has no such code, the client was not told.
        reason: ReasonCode,
    },
    /// The connection ends.
    Ended {
        /// Who it was, if it was let in.
        client: Option<Client<'a>>,
        /// Why.
        cause: Cause,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The client sent DISCONNECT with this code.
    Client(ReasonCode),
    /// The broker ended it, and said so with this code where the version has one.
    Broker(ReasonCode),
    /// The client broke the protocol, or was silent for too long.
    Fault(Fault),
    /// The client did not take what was sent to it.
    Stuck,
    /// The transport was closed.
    Transport,
}

impl Cause {
    /// The end that follows from what a session returned.
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::Peer(fault) => Self::Fault(*fault),
            _ => Self::Stuck,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(ReasonCode::NORMAL_DISCONNECTION) => {
                f.write_str("the client said goodbye")
            }
            Self::Client(reason) => write!(f, "the client said: {reason}"),
            Self::Broker(reason) => write!(f, "the broker said: {reason}"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Stuck => f.write_str("the client does not take what is sent to it"),
            Self::Transport => f.write_str("the transport was closed without DISCONNECT"),
        }
    }
}

impl Broker {
    /// Tells that a connection is about to end.
    pub(super) fn tell_end(&self, id: ConnectionId, cause: Cause, out: &mut dyn Outputs) {
        let Some(connection) = self.connections.get(id.0) else { return };
        let session = connection.session.and_then(|key| self.sessions.get(key));
        let client = session.map(|session| session.client(self.ticket(id)));
        out.notice(id, &Notice::Ended { client, cause });
    }
}
