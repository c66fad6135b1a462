//! What can go wrong.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use std::io;

use mqtt_codec::{DecodeError, PacketType, ReasonCode, Version, Violation};

use crate::{Scheme, Server};

/// Why there is no connection, or why something was not done. `Debug` says what `Display` does: it is
/// what a program ends with whose `main` returns an error.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is none, or says what is not understood.
    #[error("not a server's URL: {0}")]
    Url(#[from] UrlError),
    /// The options cannot be said in CONNECT.
    #[error("the options do not fit: {0}")]
    Options(mqtt_session::Error),
    /// The server cannot be reached, or the connection to it broke.
    #[error("{server}: {source}")]
    Io {
        /// Which server.
        server: Box<Server>,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The server closed the connection instead of answering CONNECT. So do some that do not speak the
    /// version ([`Options::version`](crate::Options::version)), RabbitMQ 3.10 for one, although there
    /// is an answer for that \[MQTT-3.1.2-2].
    #[error(
        "{server}: closed the connection instead of answering CONNECT: does it speak MQTT {version}?"
    )]
    NotAccepted {
        /// Which server.
        server: Box<Server>,
        /// The version that was asked for.
        version: Version,
    },
    /// What answers at this port does not speak MQTT.
    #[error(
        "{server}: {protocol} is spoken there, not MQTT: should the URL begin with {scheme}://?"
    )]
    NotMqtt {
        /// Which server.
        server: Box<Server>,
        /// What it speaks: `TLS` or `HTTP`.
        protocol: &'static str,
        /// What a URL begins with that means MQTT over that.
        scheme: &'static str,
    },
    /// TLS failed: a certificate is not trusted, or the two have no version or cipher in common.
    #[cfg(feature = "tls")]
    #[error("{server}: {source}")]
    Tls {
        /// Which server.
        server: Box<Server>,
        /// What exactly, on our side, or on the server's by an alert.
        source: Arc<crate::tls::rustls::Error>,
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
    /// The server sent a packet that is larger than
    /// [`Options::max_packet_size`](crate::Options::max_packet_size) although it knows of that limit, or
    /// that is no message: see
    /// [`ConnectionEvent::Oversized`](crate::ConnectionEvent::Oversized).
    #[error("the server sent a packet of {size} bytes, and no more than {limit} are taken")]
    PacketTooLarge {
        /// How long it would have been.
        size: u64,
        /// The limit.
        limit: u32,
    },
    /// Enhanced authentication ended on this side: the mechanism did not like what the server said, or
    /// there is none.
    #[error("the authentication failed on our side: {0}")]
    Authentication(ReasonCode),
    /// The server did not take the subscription, or did not end it.
    #[error("the server refused: {0}")]
    Rejected(ReasonCode),
    /// A topic, filter or property is not valid.
    #[error(transparent)]
    Invalid(#[from] Violation),
    /// This reason code has no place there.
    #[error("this cannot be said to the server: {0}")]
    ReasonCode(ReasonCode),
    /// What must survive the process cannot be stored or read: [`Options::store`](crate::Options::store).
    #[error("the store: {0}")]
    Store(Arc<io::Error>),
    /// The server did not answer a packet within
    /// [`Options::acknowledgement_timeout`](crate::Options::acknowledgement_timeout).
    #[error("the server did not send {packet} within {within:?}", packet = .packet.name())]
    NotAcknowledged {
        /// What should have come.
        packet: PacketType,
        /// Within this time.
        within: core::time::Duration,
    },
    /// The handler of a subscription panicked, and is called no more: what the panic says. The subscription
    /// has ended, and nothing else.
    #[error("the handler of a subscription panicked: {0}")]
    Panicked(String),
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

impl Error {
    /// Whether trying again is of no use as long as nobody changes something: the server refuses the
    /// credentials, another client has taken over the session, a certificate is not trusted, the
    /// server does not prove that it knows the password, another protocol is spoken at its port, a
    /// transport is not compiled in. What time can heal is not: an expired certificate is renewed, a
    /// clock is set. The default of [`Reconnect::give_up`](crate::Reconnect::give_up).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        use ReasonCode as R;
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
            }
            #[cfg(feature = "tls")]
            Self::Tls { source, .. } => crate::tls::is_permanent(source),
            Self::Authentication(_) | Self::NotMqtt { .. } => true,
            Self::Refused { reason, .. } | Self::Disconnected { reason, .. } => matches!(
                reason,
                R::UnsupportedProtocolVersion
                    | R::ClientIdentifierNotValid
                    | R::BadUserNameOrPassword
                    | R::NotAuthorized
                    | R::Banned
                    | R::BadAuthenticationMethod
                    | R::SessionTakenOver
                    | R::TopicNameInvalid
                    | R::PayloadFormatInvalid
                    | R::RetainNotSupported
                    | R::QoSNotSupported
            ),
            _ => false,
        }
    }

    /// What the session says of the packet that begins here.
    pub(crate) fn protocol(error: mqtt_session::Error, bytes: &[u8], limit: u32) -> Self {
        use mqtt_session::{Error as E, Fault};
        match error {
            E::Peer(Fault::Packet(DecodeError {
                violation: Violation::PacketTooLarge, ..
            })) => Self::PacketTooLarge { size: packet_len(bytes), limit },
            error => Self::Protocol(error),
        }
    }

    /// What begins so in place of CONNACK, if it is known: what a server of TLS says to who does not begin
    /// with a handshake (an alert, RFC 8446, section 6), or what one of HTTP says.
    pub(crate) fn not_mqtt(server: &Server, bytes: &[u8]) -> Option<Self> {
        let (protocol, scheme) = match bytes {
            [0x15, 3, 0..=4, ..] => ("TLS", "mqtts"),
            [b'H', b'T', b'T', b'P', b'/', ..] if server.scheme == Scheme::Tls => ("HTTP", "wss"),
            [b'H', b'T', b'T', b'P', b'/', ..] => ("HTTP", "ws"),
            _ => return None,
        };
        Some(Self::NotMqtt { server: Box::new(server.clone()), protocol, scheme })
    }

    /// What was wrong with the connection to this server.
    pub(crate) fn io(server: Server, source: io::Error) -> Self {
        let server = Box::new(server);
        #[cfg(feature = "tls")]
        if let Some(source) = source.get_ref().and_then(|inner| inner.downcast_ref()) {
            let source = crate::tls::rustls::Error::clone(source);
            return Self::Tls { server, source: Arc::new(source) };
        }
        Self::Io { server, source: Arc::new(source) }
    }
}

/// How long the packet that begins here is, by its Remaining Length (section 2.1.4).
fn packet_len(bytes: &[u8]) -> u64 {
    let mut remaining = 0;
    let mut len = 1;
    for byte in bytes.iter().skip(1).take(4) {
        remaining |= u64::from(byte & 0x7F) << (7 * (len - 1));
        len += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    len + remaining
}

/// What the server says, for people to read: its control characters are not for their terminals, nor its
/// line ends for their logs.
fn told(text: &Option<String>) -> String {
    const MAX: usize = 200;
    let Some(text) = text else { return String::new() };
    let mut told = String::from(" (");
    for char in text.chars().take(MAX) {
        match char {
            '"' | '\'' | '\\' => told.push(char),
            char => told.extend(char.escape_debug()),
        }
    }
    told.push_str(if text.chars().nth(MAX).is_some() { "…)" } else { ")" });
    told
}

/// Why a message was not delivered, or why that is not known. `Debug` says what `Display` does.
#[derive(Clone, thiserror::Error)]
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
    /// The server acknowledged it as one of another QoS, as RabbitMQ 3.10 answers QoS 2 with PUBACK: it
    /// may or may not have arrived. To send it again would end each connection in the same way.
    #[error(
        "the server answered with {}, which this QoS does not know: it is not known whether the \
         message was delivered",
        .0.name()
    )]
    Misanswered(PacketType),
    /// The client was closed before it was sent: it has not arrived.
    #[error("the client was closed before the message was sent")]
    Closed,
}

/// What is wrong with a URL. `Debug` says what `Display` does.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// A parameter behind `?` that is unknown or has no such value:
    /// [`Options::from_url`](crate::Options::from_url).
    #[error(
        "behind ? it may say version=5, 3.1.1 or 3.1, client_id=NAME, clean_start=true or false, \
         keep_alive=SECONDS and session_expiry=SECONDS, joined by &"
    )]
    Parameter,
}

/// For programs that end with an error, and so for people.
macro_rules! debug_is_display {
    ($($error:ty),*) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })*
    };
}

debug_is_display!(Error, PublishError, crate::RequestError, UrlError);
