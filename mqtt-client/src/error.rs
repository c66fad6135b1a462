//! What can go wrong.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use std::io;

use mqtt_codec::{ReasonCode, Violation};

use crate::Server;

/// Why there is no connection, or why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is none, or says what is not understood.
    #[error("not a server's URL: {0}")]
    Url(#[from] UrlError),
    /// The options cannot be said in CONNECT.
    #[error("the options are not valid: {0}")]
    Options(mqtt_session::Error),
    /// The server cannot be reached, or the connection to it broke.
    #[error("{server}: {source}")]
    Io {
        /// Which server.
        server: Box<Server>,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The server did not accept the connection.
    #[error("the server refused the connection: {reason}{}", told(.text))]
    Refused {
        /// Why.
        reason: ReasonCode,
        /// Reason String: why, in the server's words. Only in version 5.
        text: Option<String>,
    },
    /// The server ended the connection (version 5 only).
    #[error("the server ended the connection: {reason}{}", told(.text))]
    Disconnected {
        /// Why.
        reason: ReasonCode,
        /// Reason String: why, in the server's words.
        text: Option<String>,
    },
    /// The server broke the protocol, or was silent for too long.
    #[error(transparent)]
    Protocol(mqtt_session::Error),
    /// The server did not take the subscription, or did not end it.
    #[error("the server refused: {0}")]
    Rejected(ReasonCode),
    /// A topic, filter or property is not valid.
    #[error(transparent)]
    Invalid(#[from] Violation),
    /// This reason code has no place there.
    #[error("this cannot be said to the server: {0}")]
    ReasonCode(ReasonCode),
    /// The connection broke before the server answered.
    #[error("the connection broke before the server answered")]
    Unanswered,
    /// Too many requests wait for a connection.
    #[error("too many requests wait for a connection")]
    Full,
    /// The client was disconnected, or its driver has ended.
    #[error("the client is closed")]
    Closed,
}

fn told(text: &Option<String>) -> String {
    text.as_deref().map_or_else(String::new, |text| alloc::format!(" ({text})"))
}

/// Why a message was not delivered, or why that is not known.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Topic, payload or properties break a rule of the protocol: never sent.
    #[error("the message is not valid: {0}")]
    Invalid(mqtt_session::Error),
    /// The server did not take it.
    #[error("the server refused the message: {0}")]
    Rejected(ReasonCode),
    /// It was of no use any more before it could be sent.
    #[error("the message expired before it could be sent")]
    Expired,
    /// It made way for a newer one: [`Overflow::DropOldest`](crate::Overflow::DropOldest).
    #[error("the message was dropped in favour of a newer one")]
    Dropped,
    /// There was no room for it: never sent.
    #[error("the outbox is full")]
    Full,
    /// It was sent, and then the server lost the session or the client was closed before it was
    /// acknowledged: it may or may not have arrived.
    #[error("it is not known whether the message was delivered")]
    InDoubt,
    /// The client was closed before it was sent: it has not arrived.
    #[error("the client was closed before the message was sent")]
    Closed,
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It begins with none of `mqtt://`, `mqtts://`, `ws://`, `wss://` and `unix://`.
    #[error("it must begin with mqtt://, mqtts://, ws://, wss:// or unix://")]
    Scheme,
    /// No host, or for `unix://` no path.
    #[error("it names no server")]
    Host,
    /// The port is no number from 0 to 65535.
    #[error("its port is no number from 0 to 65535")]
    Port,
    /// `%` without two hexadecimal digits, or bytes that are no UTF-8 text.
    #[error("its percent-encoding is broken")]
    Escape,
    /// A parameter behind `?` that is unknown or has no such value.
    #[error("a parameter behind ? is unknown, or its value is not valid")]
    Parameter,
}
