//! Everything that makes a broker except sockets.
//!
//! A [`Broker`] puts many [`Session`](crate::server::Session)s together: subscriptions,
//! retained messages, wills, and sessions that outlive their connections. Connections are
//! [`ConnectionId`]s; what is to be sent on them goes into the [`Transmit`]s of the caller's
//! [`Outputs`], time comes as an argument, and nothing waits for anything.

mod acl;
mod admission;
mod asks_as_bridge;
mod bridge;
mod clock;
mod config;
mod connect;
mod connection;
mod deferred;
mod deliver;
mod few;
mod journal;
mod message;
mod notice;
mod patterns;
mod policy;
mod receive;
mod reconsider;
mod restore;
mod retained;
mod session;
mod shapes;
mod shared;
mod slab;
mod statistics;
mod status;
mod subscribe;
mod subscriptions;
mod text;
mod timers;
mod tree;

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::{DefaultHashBuilder, HashTable};

pub use acl::{Acl, AclError};
pub use bridge::{Bridge, QueueBounds, Waiting};
pub use config::{Config, DollarTopics, Overflow, Overlap};
pub use deferred::Ticket;
pub use journal::Change;
pub use notice::{Cause, Notice};
pub use policy::{Admission, AllowAll, Client, Policy};
pub use reconsider::Reconsidered;
pub use restore::Restore;
pub use statistics::{Dropped, Statistics, Traffic};

use crate::Transmit;
use connection::Connection;
use journal::Journal;
use session::{Held, Session};
use slab::{Key, Slab};
use subscriptions::{Bounds, Subscriber, Subscriptions};
use timers::Timers;
use tree::NodeId;

/// A connection, from [`Broker::open`] until [`Outputs::close`] or [`Broker::closed`]. No later one is
/// equal to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(Key);

impl ConnectionId {
    /// A small number that no other open connection has, to keep connections in a list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index as usize
    }
}

/// Where the consequences of a call go, on whatever connections they are.
pub trait Outputs {
    /// The buffer of an open connection. If it has no room now, call [`Broker::writable`] once it has.
    fn transmit(&mut self, connection: ConnectionId) -> &mut dyn Transmit;

    /// The broker has done with this connection: send what is in its buffer and close it.
    fn close(&mut self, connection: ConnectionId);

    /// What has become of this connection, for a log; told before [`Outputs::close`]. As it stands,
    /// nothing is done with it.
    fn notice(&mut self, connection: ConnectionId, notice: &Notice<'_>) {
        let _ = (connection, notice);
    }
}

/// How far [`Broker::receive`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// All whole packets are taken. What is left begins one that is not all there.
    All,
    /// There is no room for answers. Call [`Broker::writable`] when there is, and then
    /// [`Broker::receive`] with what is left; do not read more meanwhile.
    Blocked,
    /// The policy has not answered. Call [`Broker::receive`] with what is left after
    /// [`Broker::resolve`]; do not read more meanwhile.
    Waiting,
    /// The connection is closed.
    Closed,
}

/// Many connections, the sessions of their clients, and the messages between them.
///
/// ```
/// use mqtt_session::broker::{Broker, Config, ConnectionId, Outputs, Received};
/// use mqtt_session::{Instant, Transmit};
///
/// /// The buffer of the only connection.
/// struct One(Vec<u8>);
///
/// impl Outputs for One {
///     fn transmit(&mut self, _: ConnectionId) -> &mut dyn Transmit {
///         &mut self.0
///     }
///     fn close(&mut self, _: ConnectionId) {}
/// }
///
/// let now = Instant::from_millis(0);
/// let mut broker = Broker::new(Config::default());
/// let mut tx = One(Vec::new());
/// let connection = broker.open(now).unwrap();
/// let mut rx = &b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01a\xC0\x00"[..];
/// assert_eq!(broker.receive(now, connection, &mut rx, &mut tx), Received::All);
/// assert_eq!(tx.0, [0x20, 2, 0, 0, 0xD0, 0]);
/// ```
pub struct Broker {
    config: Config,
    policy: Box<dyn Policy + Send>,
    connections: Slab<Connection>,
    sessions: Slab<Session>,
    /// Indices of sessions by client identifier.
    clients: HashTable<u32>,
    hasher: DefaultHashBuilder,
    subscriptions: Subscriptions,
    retained: retained::Store,
    timers: Timers,
    statistics: Statistics,
    status: status::Status,
    /// In the queues of all sessions, and in flight.
    held: Held,
    /// Of what waits for the policy.
    deferred_bytes: usize,
    /// For client identifiers that are assigned: how many there were, and what is not to be guessed.
    assigned: u64,
    seed: [u64; 2],
    matching: Vec<Subscriber>,
    groups: Vec<NodeId>,
    scratch: Vec<u8>,
    shapes: shapes::Shapes,
    /// What is to be stored, where anything is.
    journal: Option<Journal>,
    /// Whether it cannot be stored now.
    refuses: bool,
}

impl core::fmt::Debug for Broker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Broker").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker without connections, where everybody may do everything.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_policy(config, Box::new(AllowAll))
    }

    /// A broker without connections, where `policy` decides who may do what.
    #[must_use]
    pub fn with_policy(config: Config, policy: Box<dyn Policy + Send>) -> Self {
        let bounds = Bounds {
            max: config.max_subscriptions,
            max_per_session: config.max_subscriptions_per_session,
            max_nodes: config.max_filter_levels,
            max_bytes: config.max_filter_bytes,
            max_pattern_levels: config.max_pattern_levels,
            max_pattern_levels_per_session: config.max_pattern_levels_per_session,
            max_shared_per_session: config.max_shared_subscriptions_per_session,
        };
        Self {
            policy,
            connections: Slab::new(),
            sessions: Slab::new(),
            clients: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            subscriptions: Subscriptions::new(bounds),
            retained: retained::Store::new(&config),
            timers: Timers::new(),
            statistics: Statistics::default(),
            status: status::Status::default(),
            held: Held::default(),
            deferred_bytes: 0,
            assigned: 0,
            seed: [0; 2],
            matching: Vec::new(),
            groups: Vec::new(),
            scratch: Vec::new(),
            shapes: shapes::Shapes::default(),
            journal: config.durable.then(|| Journal::new(!config.sys_interval.is_zero())),
            refuses: false,
            config,
        }
    }

    /// Hands over random bytes, from which come the client identifiers that the broker assigns: who knows
    /// one may take over its session. Without this they can be guessed.
    pub fn seed(&mut self, random: [u8; 16]) {
        let (low, high) = random.split_at(8);
        self.seed = [low, high].map(|half| half.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
    }

    /// Its numbers.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            connections: self.connections.len(),
            sessions: self.sessions.len(),
            subscriptions: self.subscriptions.len(),
            shared_subscriptions: self.subscriptions.shared_len(),
            retained_messages: self.retained.len(),
            retained_bytes: self.retained.bytes(),
            ..self.statistics.with_held(self.held)
        }
    }

    /// The configuration that it was made with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }
}
