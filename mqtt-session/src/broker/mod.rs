//! Everything that makes a broker except sockets.
//!
//! A [`Broker`] puts many [`server::Session`]s together: subscriptions,
//! retained messages, wills, and sessions that outlive their connections. Connections are
//! [`ConnectionId`]s; what is to be sent on them goes into the [`Transmit`]s of the caller's
//! [`Outputs`], time comes as an argument, and nothing waits for anything.

mod acl;
mod admission;
mod bridge;
mod config;
mod connect;
mod deferred;
mod deliver;
mod few;
mod journal;
mod message;
mod notice;
mod patterns;
mod policy;
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
use mqtt_codec::{PacketId, Properties, ReasonCode, SubAck, UnsubAck};

pub use acl::{Acl, AclError};
pub use bridge::{Bridge, QueueBounds, Waiting};
pub use config::{Config, DollarTopics, Overflow, Overlap};
pub use deferred::Ticket;
pub use journal::Change;
pub use notice::{Cause, Notice};
pub use policy::{Admission, AllowAll, Client, Policy};
pub use restore::Restore;
pub use statistics::{Dropped, Statistics, Traffic};

use crate::client::Slots;
use crate::{AckToken, Delta, Error, Event, Instant, Transmit, server};
use admission::{Authentication, Pending};
use deferred::Deferred;
use journal::{Journal, Log};
use session::{Held, Session};
use slab::{Key, Slab};
use subscriptions::{Bounds, Subscriber, Subscriptions};
use timers::{Timer, Timers};
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

/// An answer that is yet to be sent.
#[derive(Debug)]
enum Owed {
    Message(AckToken, ReasonCode),
    Subscribe(PacketId, Vec<ReasonCode>),
    Unsubscribe(PacketId, Vec<ReasonCode>),
}

impl Owed {
    /// Sends it; `false` if there is no room.
    fn send(&self, link: &mut server::Session<'static>, tx: &mut dyn Transmit) -> bool {
        let properties = Properties::EMPTY;
        let sent = match self {
            Self::Message(token, reason) => link.acknowledge(*token, *reason, tx),
            Self::Subscribe(packet_id, reasons) => {
                let (packet_id, reasons) = (*packet_id, reasons[..].into());
                link.suback(&SubAck { packet_id, properties, reasons }, tx)
            }
            Self::Unsubscribe(packet_id, reasons) => {
                let (packet_id, reasons) = (*packet_id, reasons[..].into());
                link.unsuback(&UnsubAck { packet_id, properties, reasons }, tx)
            }
        };
        sent != Err(Error::TransmitFull)
    }
}

#[derive(Debug)]
struct Connection {
    link: server::Session<'static>,
    /// The session, once the client is let in.
    session: Option<Key>,
    /// When its timer is set to.
    timer: Option<Instant>,
    /// Whether what the client sends waits for room. Messages to it leave the room to the answers: it
    /// must be heard however much there is for it.
    blocked: bool,
    /// How many answers of the policy it has waited for.
    asked: u32,
    /// Whether the transport has proved a user name.
    is_proven: bool,
    /// Whether it is a bridge's.
    is_bridge: bool,
    /// What few connections have, and none for long.
    rare: Option<Box<Rare>>,
}

/// What waits on a connection, or goes with it, but seldom.
#[derive(Debug, Default)]
struct Rare {
    /// An answer for which there was no room. Nothing is taken until there is.
    owed: Option<Owed>,
    /// Until the client is let in.
    pending: Option<Pending>,
    /// What the policy has not answered. Nothing is taken until it has.
    deferred: Option<Deferred>,
    /// The user name that the transport has proved, until CONNECT comes.
    identity: Option<Box<str>>,
    authentication: Option<Authentication>,
}

impl Connection {
    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn owed(&self) -> Option<&Owed> {
        self.rare.as_ref()?.owed.as_ref()
    }

    fn pending(&self) -> Option<&Pending> {
        self.rare.as_ref()?.pending.as_ref()
    }

    fn deferred(&self) -> Option<&Deferred> {
        self.rare.as_ref()?.deferred.as_ref()
    }

    fn authentication_mut(&mut self) -> Option<&mut Authentication> {
        self.rare.as_mut()?.authentication.as_mut()
    }

    /// Takes something out, and gives back the memory if nothing is left.
    fn take_rare<T>(&mut self, take: impl FnOnce(&mut Rare) -> Option<T>) -> Option<T> {
        let rare = self.rare.as_mut()?;
        let taken = take(rare);
        if let Rare {
            owed: None,
            pending: None,
            deferred: None,
            identity: None,
            authentication: None,
        } = **rare
        {
            self.rare = None;
        }
        taken
    }
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

    /// A new connection, on which CONNECT is waited for. `None` if there are too many.
    pub fn open(&mut self, now: Instant) -> Option<ConnectionId> {
        if self.connections.len() >= self.config.max_connections {
            self.statistics.connections_refused += 1;
            return None;
        }
        self.open_connection(now, false)
    }

    fn open_connection(&mut self, now: Instant, is_bridge: bool) -> Option<ConnectionId> {
        let config = server::Config {
            manual_acknowledge: true,
            connect_timeout: self.config.connect_timeout,
            max_connect_size: self.config.max_connect_size,
            max_packet_size: self.config.max_packet_size,
            topic_aliases: self.config.topic_aliases,
        };
        let mut slots = Slots::heap(u16::MAX);
        slots.outbound = crate::Ring::heap(self.config.max_in_flight.max(1));
        let key = self.connections.insert(Connection {
            link: server::Session::new(now, config, slots),
            session: None,
            timer: None,
            blocked: false,
            asked: 0,
            is_proven: false,
            is_bridge,
            rare: None,
        })?;
        self.statistics.connections_opened += 1;
        self.begin_status(now);
        self.set_timer(key);
        Some(ConnectionId(key))
    }

    /// The transport of this connection has proved who its client is, as by a certificate: this user
    /// name takes the place of the one in CONNECT, and [`Client::is_proven`] says so to the policy. To
    /// be called before CONNECT is received; later calls have no effect.
    pub fn identify(&mut self, id: ConnectionId, user_name: &str) {
        let connection = self.connections.get_mut(id.0);
        let Some(connection) = connection.filter(|c| c.session.is_none() && c.pending().is_none())
        else {
            return;
        };
        connection.rare_mut().identity = Some(user_name.into());
        connection.is_proven = true;
    }

    /// Takes packets off the front of `rx` and does what they ask for.
    pub fn receive(
        &mut self,
        now: Instant,
        id: ConnectionId,
        rx: &mut &[u8],
        out: &mut dyn Outputs,
    ) -> Received {
        loop {
            let paid = self.pay(id, out);
            let Some(connection) = self.connections.get_mut(id.0) else {
                return Received::Closed;
            };
            if !paid {
                connection.blocked = true;
                return Received::Blocked;
            }
            if connection.deferred().is_some() {
                return Received::Waiting;
            }
            let before = *rx;
            let mut tx = self.statistics.sent.counting(out.transmit(id));
            let received = connection.link.receive(now, rx, &mut tx);
            let taken = before.len() - rx.len();
            self.statistics.received.count_taken(before.get(..taken).unwrap_or_default());
            match received {
                Ok(Some(event)) => self.on_event(now, id, &event, out),
                Ok(None) => {
                    if connection.pending().is_some_and(Pending::is_undecided) {
                        return Received::Waiting;
                    }
                    if core::mem::take(&mut connection.blocked) {
                        if let Some(session) = connection.session {
                            self.pump(now, session, out);
                        }
                    }
                    return Received::All;
                }
                Err(Error::TransmitFull) => {
                    connection.blocked = true;
                    return Received::Blocked;
                }
                Err(error) => {
                    self.tell_end(id, Cause::of(&error), out);
                    self.end(now, id.0, true, out);
                    return Received::Closed;
                }
            }
        }
    }

    fn on_event(
        &mut self,
        now: Instant,
        id: ConnectionId,
        event: &Event<'_>,
        out: &mut dyn Outputs,
    ) {
        match event {
            Event::Message(message) => self.on_message(now, id, message, out),
            Event::Acknowledged { id: packet, .. } | Event::Lost { id: packet, .. } => {
                self.on_acknowledged(now, id, *packet, false, out);
            }
            Event::Received { id: packet } => self.on_acknowledged(now, id, *packet, true, out),
            Event::Released { id: packet } => self.on_released(id, *packet),
            Event::Connect(connect) => self.on_connect(now, id, connect, out),
            Event::Auth(auth) => self.on_auth(now, id, auth, out),
            Event::Subscribe(subscribe) => {
                self.subscribe_all(now, id, subscribe, Vec::new(), None, out);
            }
            Event::Unsubscribe(unsubscribe) => self.on_unsubscribe(id, unsubscribe, out),
            Event::Disconnected(disconnect) => self.on_disconnect(now, id, disconnect, out),
            _ => {}
        }
    }

    /// What the policy answers with if it answers what this connection asks now.
    fn ticket(&self, id: ConnectionId) -> Ticket {
        let number = self.connections.get(id.0).map_or(0, |connection| connection.asked);
        Ticket { connection: id, number }
    }

    /// A message of QoS 2 is done with.
    fn on_released(&mut self, id: ConnectionId, packet: PacketId) {
        if self.journal.is_none() {
            return;
        }
        let session = self.connections.get(id.0).and_then(|connection| connection.session);
        let stored = session.and_then(|key| self.sessions.get(key)?.stored);
        if let Some(mut log) = Log::of(&mut self.journal, stored) {
            log.forgotten(packet);
        }
    }

    /// Sends an answer, or keeps it until there is room.
    fn answer(&mut self, id: ConnectionId, owed: Owed, out: &mut dyn Outputs) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if let (Owed::Message(token, reason), true) = (&owed, self.journal.is_some()) {
            let stored = connection.session.and_then(|key| self.sessions.get(key)?.stored);
            if let (Some(mut log), Some(Delta::Inbound(packet))) =
                (Log::of(&mut self.journal, stored), token.delta(*reason))
            {
                log.taken(packet);
            }
        }
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        if !owed.send(&mut connection.link, &mut tx) {
            connection.rare_mut().owed = Some(owed);
        }
    }

    /// Sends the answer for which there was no room; `false` if there still is none.
    fn pay(&mut self, id: ConnectionId, out: &mut dyn Outputs) -> bool {
        let Some(connection) = self.connections.get_mut(id.0) else { return true };
        let Connection { link, rare, .. } = connection;
        let Some(owed) = rare.as_ref().and_then(|rare| rare.owed.as_ref()) else { return true };
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        let sent = owed.send(link, &mut tx);
        if sent {
            connection.take_rare(|rare| rare.owed.take());
        }
        sent
    }

    /// The buffer of this connection had no room and has some now.
    pub fn writable(&mut self, now: Instant, id: ConnectionId, out: &mut dyn Outputs) {
        if !self.pay(id, out) {
            return;
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let session = connection.session;
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        match connection.link.handle_timeout(now, &mut tx) {
            Ok(()) => {
                if let Some(session) = session {
                    self.pump(now, session, out);
                }
            }
            Err(Error::Peer(fault)) => {
                self.tell_end(id, Cause::Fault(fault), out);
                self.end(now, id.0, true, out);
            }
            Err(_) => {}
        }
    }

    /// The transport of this connection is closed, and not because of [`Outputs::close`].
    pub fn closed(&mut self, now: Instant, id: ConnectionId, out: &mut dyn Outputs) {
        self.tell_end(id, Cause::Transport, out);
        self.forget(now, id.0, true, out);
    }

    /// Says goodbye to all clients and closes their connections. Their wills are published to those
    /// that are still there, as section 3.1.2.5 has it.
    pub fn shut_down(&mut self, now: Instant, out: &mut dyn Outputs) {
        let all: Vec<Key> = self.connections.keys().collect();
        for key in all {
            self.disconnect(now, ConnectionId(key), ReasonCode::ServerShuttingDown, out);
        }
    }

    /// When to call [`Broker::handle_timeout`]; `None`: never. Earlier calls do no harm.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outputs) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Connection(key) => self.on_connection_timer(now, key, out),
                Timer::Session(key) => {
                    let session = self.sessions.get(key);
                    if session.and_then(|session| session.expires).is_some_and(|at| at <= now) {
                        self.statistics.sessions_expired += 1;
                        self.discard(now, key, out);
                    }
                }
                Timer::Will(key) => {
                    let session = self.sessions.get(key);
                    if session.and_then(Session::will_due).is_some_and(|at| at <= now) {
                        self.publish_will(now, key, out);
                        self.store_session(key);
                    }
                }
                Timer::Replay(key) => self.pump(now, key, out),
                Timer::Deferred(key) => self.on_deferred_timer(now, key, out),
                Timer::Status => self.publish_status(now, out),
                Timer::Retained(node) => self.expire_retained(now, node),
            }
        }
    }

    fn on_connection_timer(&mut self, now: Instant, key: Key, out: &mut dyn Outputs) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.timer = None;
        let mut tx = self.statistics.sent.counting(out.transmit(ConnectionId(key)));
        match connection.link.handle_timeout(now, &mut tx) {
            Err(Error::Peer(fault)) => {
                self.statistics.timeouts += 1;
                self.tell_end(ConnectionId(key), Cause::Fault(fault), out);
                self.end(now, key, true, out);
            }
            // The client does not even take its answers.
            Err(_) if connection.link.next_timeout().is_some_and(|due| due <= now) => {
                self.statistics.timeouts += 1;
                self.tell_end(ConnectionId(key), Cause::Stuck, out);
                self.end(now, key, true, out);
            }
            _ => self.set_timer(key),
        }
    }

    /// Sets the timer of a connection if it is not set to a time before.
    fn set_timer(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(due) = connection.link.next_timeout() else { return };
        if connection.timer.is_some_and(|timer| timer <= due) {
            return;
        }
        if let Some(timer) = connection.timer.replace(due) {
            self.timers.cancel(timer, Timer::Connection(key));
        }
        self.timers.set(due, Timer::Connection(key));
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
