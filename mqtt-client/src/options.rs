//! How a client behaves.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use mqtt_codec::{Connect, Properties, Property, Text, Version};

use crate::TopicAliases;
use crate::message::{user_properties, whole_seconds};
use crate::server::Url;
use crate::{Error, Message, Server, UrlError};

/// How many messages of QoS 1 and 2 a server takes or sends that does not tell its limit: mosquitto does
/// with so many.
const USUAL_IN_FLIGHT: u16 = 20;

/// How a client connects and behaves. Start from [`Options::new`] or from a URL, and assign.
///
/// ```
/// use core::time::Duration;
/// use mqtt_client::{Options, Version};
/// let mut options = Options::from_url("mqtt://user:secret@localhost?version=3.1.1")?;
/// options.client_id = "sensor-7".into();
/// options.keep_alive = Duration::from_secs(20);
/// assert_eq!(options.version, Version::V311);
/// assert_eq!(options.user_name.as_deref(), Some("user"));
/// # Ok::<(), mqtt_client::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where to connect: each attempt takes the next one, and the first again after the last.
    pub servers: Vec<Server>,
    /// Version of the protocol. Default: 5.
    pub version: Version,
    /// Client Identifier. Default: empty, the server chooses one.
    pub client_id: String,
    /// Clean Start: whether to begin without what the server has kept of an earlier run. Default:
    /// true. In version 5 it is asked for in the first connection only, so that with a
    /// [`session_expiry`](Self::session_expiry) reconnecting goes on where it was; in 3.1.1 (Clean
    /// Session) also the end of each connection ends the session.
    pub clean_start: bool,
    /// Session Expiry Interval (version 5): for how long the server keeps the session when the
    /// connection is gone, in whole seconds; [`Duration::MAX`] for ever. Default: zero.
    pub session_expiry: Duration,
    /// Keep Alive, in whole seconds; zero turns it off. Default: 60 s.
    pub keep_alive: Duration,
    /// User Name. Default: none.
    pub user_name: Option<String>,
    /// Password. Default: none.
    pub password: Option<Bytes>,
    /// Enhanced authentication (version 5). Default: none.
    pub authentication: Option<crate::Authentication>,
    /// What the server publishes should this client vanish. Default: nothing.
    pub will: Option<Will>,
    /// User Properties of CONNECT (version 5), in order.
    pub user_properties: Vec<(String, String)>,
    /// Receive Maximum (version 5): how many QoS 1 and 2 messages the server may send that are not
    /// acknowledged, at least 1. Default: 256.
    pub receive_maximum: u16,
    /// Maximum Packet Size: the largest packet to receive, in bytes. A server of version 5 knows of it and
    /// sends nothing larger; if it does, the connection ends with [`Error::PacketTooLarge`]. Before
    /// version 5 a message that is larger is acknowledged and passed over, which
    /// [`ConnectionEvent::Oversized`](crate::ConnectionEvent::Oversized) tells of. Default: 1,048,576.
    pub max_packet_size: u32,
    /// How many QoS 1 and 2 messages may be sent and not acknowledged, at least 1; a server of version
    /// 5 may set less. Default: 256, and before version 5, where a server cannot say how many it
    /// takes, 20: with more of QoS 2 mosquitto closes the connection.
    pub max_in_flight: Option<u16>,
    /// How topics are replaced by Topic Aliases in what is published (version 5), which saves bytes where
    /// few topics are long. The server says how many it takes; they are chosen anew on each
    /// connection. Default: off.
    pub topic_aliases: TopicAliases,
    /// Topic Alias Maximum (version 5): how many Topic Aliases the server may use, each of which takes
    /// as much memory as its topic is long. Default: 0.
    pub topic_alias_maximum: u16,
    /// What is asked for the Trace Context of each message that is published and has none (version 5).
    /// Default: none.
    pub trace_context: Option<fn() -> Option<crate::TraceContext>>,
    /// How long a connection attempt may take, until the server has accepted it, and how long
    /// PINGRESP may. Default: 10 s.
    pub response_timeout: Duration,
    /// How long the server may take for the next acknowledgement: PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK
    /// or AUTH for what it was sent first of all that it has not answered. When none comes, the
    /// connection ends with [`Error::NotAcknowledged`], and on the next one all that is sent again or asked
    /// for again, as after every loss: on the same connection nothing may be sent twice
    /// \[MQTT-4.4.0-1]. [`Duration::MAX`]: for ever, where the server may itself have to wait for
    /// something. Default: 60 s.
    pub acknowledgement_timeout: Duration,
    /// When and how to connect again.
    pub reconnect: Reconnect,
    /// Whether to go to the server that a server names which has moved or sends its clients to another
    /// one (version 5, section 4.11). Should that fail, the [`servers`](Self::servers) are tried
    /// again. Never from TLS to a server without, and never to a Unix socket. Default: true.
    pub follow_server_reference: bool,
    /// How many messages may wait to be sent or acknowledged, at least 1. Default: 4,096.
    pub outbox_messages: u16,
    /// How many bytes topics, payloads and properties of these may take, and so how large a message
    /// can be. Twice as much memory may be taken. Default: 16 MiB.
    pub outbox_bytes: u32,
    /// Where messages of QoS 1 and 2 on their way and the session are kept, so that a program that is
    /// killed goes on where it was when it runs again: each change is stored before what depends on
    /// it is sent. See [`Client::stored`](crate::Client::stored) for when a message is safe, and
    /// [`Client::resumed`](crate::Client::resumed) for what became of those of an earlier run. One store is one
    /// client's, and wants `clean_start` false and a [`session_expiry`](Self::session_expiry).
    /// Default: none.
    pub store: Option<alloc::sync::Arc<dyn crate::Store>>,
    /// What to do with a message that finds the outbox full. Default: wait.
    pub overflow: Overflow,
    /// Whether the application acknowledges each message itself by
    /// [`Message::acknowledge`]. Default: false, a message is acknowledged once it has its place in
    /// the stream of its subscription.
    pub manual_acknowledge: bool,
    /// How `mqtts://` servers are connected to: roots, client certificate, ALPN, verifier. Default:
    /// none, the system's roots and nothing else.
    #[cfg(feature = "tls")]
    pub tls: Option<alloc::sync::Arc<crate::tls::ClientConfig>>,
    /// The proxy through which all servers but `unix://` are reached. Default: none.
    #[cfg(feature = "proxy")]
    pub proxy: Option<crate::Proxy>,
    /// Header fields of the request for a WebSocket, by name and value. Default: none but those that
    /// it needs.
    #[cfg(feature = "websocket")]
    pub websocket_headers: Vec<(String, String)>,
    /// What has the last word about each request for a WebSocket. Default: nothing.
    #[cfg(feature = "websocket")]
    pub websocket_hook: Option<crate::websocket::RequestHook>,
    /// How many messages that belong to no subscription are kept until there is one: with a session
    /// that the server has kept, messages may come before the program has subscribed, or for a filter
    /// that it subscribes to no more. Beyond that the oldest makes way, and is acknowledged, but not before
    /// [`unrouted_patience`](Self::unrouted_patience) ends. With
    /// [`manual_acknowledge`](Self::manual_acknowledge) they are not acknowledged while they are kept,
    /// nor is what came behind them. So that this does not end with a server that sends nothing more,
    /// once the program has subscribed to something the oldest make way for more than 10 of them, and all
    /// for 10 messages behind them, or for half of [`receive_maximum`](Self::receive_maximum), if that is
    /// less. Default: 256.
    pub unrouted_messages: usize,
    /// How many bytes topics, payloads and properties of these take before the oldest makes way, and one
    /// message more. Default: 16 MiB.
    pub unrouted_bytes: usize,
    /// For how long, once a server has gone on with its session, nothing is given up that belongs to no
    /// subscription, whatever [`unrouted_messages`](Self::unrouted_messages) says: what is beyond that is
    /// not acknowledged, so that the server waits, but with QoS 0, which is dropped. A program that
    /// subscribes to all it wants within this time loses none of what the server has kept for it. For
    /// so long, too, messages for filters that it does not subscribe to any more may hold up the others.
    /// Default: 10 s.
    pub unrouted_patience: Duration,
}

/// The Will Message (section 3.1.2.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Will {
    /// What is published.
    pub message: Message,
    /// Will Delay Interval (version 5): how long the server waits for the client to come back, in
    /// whole seconds. Default: zero.
    pub delay: Duration,
}

impl From<Message> for Will {
    fn from(message: Message) -> Self {
        Self { message, delay: Duration::ZERO }
    }
}

/// When and how to connect again: exponential back-off with full jitter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reconnect {
    /// Whether to connect again at all. Default: true.
    pub enabled: bool,
    /// Whether the first connection of all is tried again too. Default: true.
    pub first: bool,
    /// The ceiling of the first wait; each failure doubles it. Default: 250 ms.
    pub min: Duration,
    /// The ceiling of all waits. Default: 30 s.
    pub max: Duration,
    /// A connection that has held for this long starts the waits anew. Default: 10 s.
    pub stable_after: Duration,
    /// How many attempts in a row may fail. Default: any number.
    pub max_attempts: Option<u32>,
    /// For which errors trying again is of no use. A client with several servers gives up when each
    /// of them in turn has failed so, and at once if its connection was accepted and ended so.
    /// Default: [`Error::is_permanent`].
    ///
    /// ```
    /// use mqtt_client::{Error, Options};
    /// let mut options = Options::from_url("mqtts://broker.example?version=3.1.1")?;
    /// options.reconnect.give_up = |error| {
    ///     error.is_permanent() || matches!(error, Error::PacketTooLarge { .. })
    /// };
    /// # Ok::<(), Error>(())
    /// ```
    pub give_up: fn(&Error) -> bool,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            enabled: true,
            first: true,
            min: Duration::from_millis(250),
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
            max_attempts: None,
            give_up: Error::is_permanent,
        }
    }
}

/// What to do with a message that finds the outbox full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Wait until there is room; `try_publish` fails.
    #[default]
    Wait,
    /// Fail with [`PublishError::Full`](crate::PublishError::Full).
    Reject,
    /// Drop the oldest messages that were not sent yet. Where there is none, as [`Overflow::Wait`].
    DropOldest,
}

/// What to do with a QoS 0 message that finds the stream of its subscription full, although the
/// application was given its turn to take some. Messages of QoS 1 and 2 are never dropped: they are
/// not acknowledged, until the server sends no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lag {
    /// Drop it.
    #[default]
    DropNewest,
    /// Drop the oldest QoS 0 message that waits, in its favour.
    DropOldest,
    /// Read nothing from the server until the application has taken half of the stream, so that TCP
    /// slows the server down; after this time, drop messages until it has taken one. All that comes
    /// on the connection waits with it, acknowledgements of what this client publishes too: far less
    /// than [`Options::response_timeout`] is right.
    Pause(Duration),
}

impl Options {
    /// The defaults, for this server.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self {
            servers: alloc::vec![server],
            version: Version::V5,
            client_id: String::new(),
            clean_start: true,
            session_expiry: Duration::ZERO,
            keep_alive: Duration::from_secs(60),
            user_name: None,
            password: None,
            authentication: None,
            will: None,
            user_properties: Vec::new(),
            receive_maximum: 256,
            max_packet_size: 1_048_576,
            max_in_flight: None,
            topic_aliases: TopicAliases::Off,
            topic_alias_maximum: 0,
            trace_context: None,
            response_timeout: Duration::from_secs(10),
            acknowledgement_timeout: Duration::from_secs(60),
            reconnect: Reconnect::default(),
            follow_server_reference: true,
            outbox_messages: 4_096,
            outbox_bytes: 16 * 1_048_576,
            store: None,
            overflow: Overflow::Wait,
            manual_acknowledge: false,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "proxy")]
            proxy: None,
            #[cfg(feature = "websocket")]
            websocket_headers: Vec::new(),
            #[cfg(feature = "websocket")]
            websocket_hook: None,
            unrouted_messages: 256,
            unrouted_bytes: 16 * 1_048_576,
            unrouted_patience: Duration::from_secs(10),
        }
    }

    /// The defaults and what a URL says: `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][?PARAMETERS]`. Its
    /// parameters are `version` (`3.1`, `3.1.1` or `5`), `client_id`, `clean_start` (`true` or
    /// `false`), `keep_alive` and `session_expiry` (seconds), joined by `&`. A WebSocket's URL may
    /// have others: they are part of what the server is asked for.
    ///
    /// # Errors
    /// [`Error::Url`] if it is none or has other parameters.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url)?;
        let mut options = Self::new(url.server.clone());
        options.user_name = url.user_name;
        options.password = url.password.map(Bytes::from);
        let mut server = url.server;
        for parameter in url.query {
            let own = options.set(&parameter.name, &parameter.value).ok_or(UrlError::Parameter)?;
            if !own && !server.ask(&parameter) {
                return Err(UrlError::Parameter.into());
            }
        }
        options.servers = alloc::vec![server];
        Ok(options)
    }

    /// Whether there is such a parameter; `None`: it has no such value.
    fn set(&mut self, name: &str, value: &str) -> Option<bool> {
        let seconds = || value.parse::<u32>().ok().map(|s| Duration::from_secs(s.into()));
        match name {
            "version" => {
                self.version = match value {
                    "3.1" | "31" => Version::V31,
                    "3.1.1" | "311" | "4" => Version::V311,
                    "5" | "5.0" => Version::V5,
                    _ => return None,
                };
            }
            "client_id" => self.client_id = value.to_string(),
            "clean_start" => self.clean_start = value.parse().ok()?,
            "keep_alive" => self.keep_alive = seconds()?,
            "session_expiry" => self.session_expiry = seconds()?,
            _ => return Some(false),
        }
        Some(true)
    }

    /// Whether the server is asked to keep the session when the connection is gone.
    pub(crate) const fn is_persistent(&self) -> bool {
        if self.version.has_properties() {
            !self.session_expiry.is_zero()
        } else {
            !self.clean_start
        }
    }

    /// How many messages may be in flight.
    pub(crate) fn in_flight_limit(&self) -> u16 {
        let default = if self.version.has_properties() { 256 } else { USUAL_IN_FLIGHT };
        self.max_in_flight.unwrap_or(default).max(1)
    }

    /// How many messages that belong to no subscription are kept beside subscriptions.
    pub(crate) fn unrouted_limit(&self) -> usize {
        // Whatever it is told, a server may have a limit of its own.
        let half = usize::from(self.receive_maximum.min(USUAL_IN_FLIGHT) / 2);
        let limit = if self.manual_acknowledge { half } else { usize::MAX };
        self.unrouted_messages.min(limit)
    }

    /// Makes CONNECT of it, and lends that out.
    pub(crate) fn with_connect<R>(
        &self,
        client_id: &str,
        clean_start: bool,
        authentication: &[Property<'_>],
        then: impl FnOnce(&Connect<'_>) -> Result<R, mqtt_session::Error>,
    ) -> Result<R, mqtt_session::Error> {
        let invalid =
            |violation| mqtt_session::Error::Encode(mqtt_codec::EncodeError::from(violation));
        let mut list = Vec::new();
        if !self.session_expiry.is_zero() {
            list.push(Property::SessionExpiryInterval(whole_seconds(self.session_expiry)));
        }
        if let Some(max) = core::num::NonZeroU16::new(self.receive_maximum.max(1)) {
            list.push(Property::ReceiveMaximum(max));
        }
        if let Some(max) = core::num::NonZeroU32::new(self.max_packet_size.max(1)) {
            list.push(Property::MaximumPacketSize(max));
        }
        if self.topic_alias_maximum > 0 {
            list.push(Property::TopicAliasMaximum(self.topic_alias_maximum));
        }
        list.extend(user_properties(&self.user_properties));
        list.extend_from_slice(authentication);

        let mut will_list = Vec::new();
        let will = match &self.will {
            None => None,
            Some(Will { message, delay }) => {
                will_list = message.properties.list().map_err(invalid)?;
                if !delay.is_zero() {
                    will_list.push(Property::WillDelayInterval(whole_seconds(*delay)));
                }
                let topic = mqtt_codec::TopicName::new(&message.topic).map_err(invalid)?;
                let (qos, retain) = (message.qos, message.retain);
                Some(mqtt_codec::Will {
                    qos,
                    retain,
                    ..mqtt_codec::Will::new(topic, &message.payload)
                })
            }
        };
        let keep_alive = u16::try_from(whole_seconds(self.keep_alive)).unwrap_or(u16::MAX);
        then(&Connect {
            clean_start,
            keep_alive,
            properties: Properties::from(&list[..]),
            will: will.map(|will| mqtt_codec::Will {
                properties: Properties::from(&will_list[..]),
                ..will
            }),
            user_name: self.user_name.as_deref().map(Text::new),
            password: self.password.as_deref(),
            ..Connect::new(self.version, client_id)
        })
    }
}
