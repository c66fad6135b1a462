//! Waits for all sockets at once, and lets the broker act.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::Instant as StdInstant;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, Waker};
use mqtt_codec::ReasonCode;
use mqtt_session::broker::{Admission, Broker, ConnectionId, Received, Ticket};
use mqtt_session::{Clock, Instant};
use rustls::ServerConfig;

use super::bell::Bell;
use super::bridge::{self, Attach, Attached, Bridge, BridgeSettings, Common};
use super::command::Command;
use super::connection::Connections;
use super::lingering::Lingerers;
use super::listener::{Endpoint, Listener};
use super::partials;
use super::store::Store;
use super::transport::{Peer, Pipe, Remote, Served, Socket, Tls, Transport};
use super::worker::{Task, Worker};
use super::{Control, Report};

const WAKER: Token = Token(0);

/// Most listeners.
const MAX_LISTENERS: usize = 255;

/// The first token that is no listener's.
const FIRST: usize = 1 + MAX_LISTENERS;

/// How much is read at once, and from one connection in one turn.
const READ_SIZE: usize = 128 * 1024;

/// How much is read in one turn. Those who receive get their turn before more is read.
const MAX_READ: usize = 1024 * 1024;

/// How many connections are accepted in one turn.
const MAX_ACCEPTED: usize = 256;

/// How long to wait when the system has no file for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long clients may take to notice that the broker stops.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// What a loop waits with, and what wakes it when a command was sent.
pub(super) fn poll() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    Ok((poll, waker))
}

/// All that the broker's thread works on.
#[derive(Debug)]
pub(super) struct EventLoop {
    poll: Poll,
    listeners: Vec<Listener>,
    tls: Option<Arc<ServerConfig>>,
    /// Of which origins pages may ask for a WebSocket, if not all.
    pub(super) origins: Option<Arc<[String]>>,
    workers: Vec<Worker>,
    /// How the workers tell of connections.
    bell: Arc<Bell<ConnectionId>>,
    /// How many connections the workers were given.
    given: usize,
    broker: Broker,
    store: Option<Store>,
    clock: Clock,
    connections: Connections,
    lingerers: Lingerers,
    /// Connections that may have something to read.
    ready: VecDeque<ConnectionId>,
    buffer: Vec<u8>,
    commands: Receiver<Command>,
    bridges: Vec<Bridge>,
    is_stopping: bool,
    /// When it ends, whoever still lingers.
    ends_at: Option<StdInstant>,
}

impl EventLoop {
    /// A loop without listeners.
    pub(super) fn new(
        poll: Poll,
        waker: Arc<Waker>,
        broker: Broker,
        commands: Receiver<Command>,
    ) -> Self {
        let mut event_loop = Self {
            poll,
            listeners: Vec::new(),
            tls: None,
            origins: None,
            workers: Vec::new(),
            bell: Arc::new(Bell::new(waker)),
            given: 0,
            broker,
            store: None,
            clock: Clock::unix(),
            connections: Connections::default(),
            lingerers: Lingerers::default(),
            ready: VecDeque::new(),
            buffer: vec![0; 2 * READ_SIZE],
            commands,
            bridges: Vec::new(),
            is_stopping: false,
            ends_at: None,
        };
        event_loop.set_max_partial_bytes(partials::DEFAULT_MAX);
        event_loop
    }

    /// Lets all connections together hold so many bytes of packets that are not all there; in any case
    /// enough for one that is as large as allowed, with what is read behind it and as its buffer grows.
    pub(super) fn set_max_partial_bytes(&mut self, max: usize) {
        let config = self.broker.config();
        let largest = config.max_packet_size.max(config.max_connect_size) as usize;
        self.connections.partials.max =
            max.max(largest.saturating_add(READ_SIZE).saturating_mul(2));
    }

    /// Listens there too; where that is exactly.
    pub(super) fn listen(&mut self, endpoint: &Endpoint) -> io::Result<&Endpoint> {
        if self.listeners.len() >= MAX_LISTENERS {
            return Err(io::Error::other("too many listeners"));
        }
        if endpoint.tls && self.tls.is_none() {
            return Err(io::Error::other("TLS without a certificate"));
        }
        let mut listener = Listener::bind(endpoint)?;
        let token = Token(1 + self.listeners.len());
        listener.source().register(self.poll.registry(), token, Interest::READABLE)?;
        self.listeners.push(listener);
        self.listeners
            .last()
            .map(|listener| &listener.endpoint)
            .ok_or_else(|| io::Error::other("no listener"))
    }

    /// Has the broker, which is new, be as it was stored, and store what it does.
    pub(super) fn persist(&mut self, mut store: Store) -> io::Result<()> {
        if !self.broker.config().durable {
            return Err(io::Error::other("the broker is not durable: it tells nothing to store"));
        }
        store.restore(&mut self.broker, self.clock.now())?;
        self.store = Some(store);
        self.connections.hold();
        Ok(())
    }

    /// Carries messages to and from these other brokers.
    pub(super) fn set_bridges(
        &mut self,
        bridges: &[BridgeSettings],
        control: &Control,
    ) -> io::Result<()> {
        let is_new = |bridge: &BridgeSettings| self.broker.waiting(&bridge.name).is_none();
        let new: Vec<bool> = bridges.iter().map(is_new).collect();
        bridge::set(&mut self.broker, self.clock.now(), bridges, &mut self.connections)?;
        let config = self.broker.config();
        let common = Common { control, bell: &self.bell, config };
        let started = bridges.iter().zip(new);
        let started = started.map(|(settings, is_new)| Bridge::start(settings, is_new, &common));
        self.bridges = started.collect::<io::Result<_>>()?;
        Ok(())
    }

    /// A bridge that was let in by the other broker gets its connection to this one.
    fn attach(&mut self, attach: Attach) {
        let now = self.clock.now();
        if attach.is_new {
            self.broker.forget_received(now, &attach.bridge, &mut self.connections);
        }
        let packet_id = self.broker.unused_packet_id(&attach.bridge);
        let Some(id) = self.broker.open_bridge(now) else { return };
        let remote = Remote::new(attach.pipe, 0, attach.bell);
        self.connections.insert(id, Peer::Bridge, Transport::remote(remote, false));
        // A bridge that does not wait for it any more has not used the pipe, and never will.
        if attach.answer.send(Attached { id, packet_id }).is_err() {
            self.broker.closed(now, id, &mut self.connections);
            self.connections.remove(id);
        }
    }

    /// Gives connections in TLS to so many other threads.
    pub(super) fn start_workers(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.workers.push(Worker::start(Arc::clone(&self.bell))?);
        }
        Ok(())
    }

    /// What new connections in TLS are made with.
    pub(super) fn set_tls(&mut self, tls: Arc<ServerConfig>) {
        self.tls = Some(tls);
    }

    /// Serves until it is told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.is_stopping {
            self.turn(&mut events)?;
        }
        // Whoever comes now is refused.
        self.listeners.clear();
        self.bridges.iter().for_each(Bridge::stop);
        let now = self.clock.now();
        self.broker.shut_down(now, &mut self.connections);
        let until = StdInstant::now() + STOP_PATIENCE;
        self.ends_at = Some(until);
        self.write_all(now)?;
        while !self.lingerers.is_empty() && StdInstant::now() < until {
            self.turn(&mut events)?;
        }
        if let Some(store) = &mut self.store {
            store.commit(&mut self.broker);
        }
        Ok(())
    }

    /// Waits for something to happen and does all that follows from it.
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        match self.poll.poll(events, self.timeout()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &*events {
            match event.token() {
                WAKER => {}
                Token(token) if token < FIRST => {
                    if let Some(listener) = self.listeners.get_mut(token - 1) {
                        listener.accept_at = Some(StdInstant::now());
                    }
                }
                Token(token) => {
                    let index = (token - FIRST) / 2;
                    if token % 2 == 1 {
                        self.lingerers.on_event(index, event.is_writable());
                        continue;
                    }
                    let closed = event.is_read_closed() || event.is_error();
                    self.on_event(index, event.is_readable(), closed, event.is_writable());
                }
            }
        }
        self.obey();
        for id in self.bell.answer() {
            if self.connections.get(id).is_some() {
                self.on_event(id.index(), true, false, true);
            }
        }
        let now = self.clock.now();
        let mut left = MAX_READ;
        // Those that have more to read go to the end of the queue.
        for _ in 0..self.ready.len() {
            if left == 0 {
                break;
            }
            let Some(id) = self.ready.pop_front() else { break };
            left = left.saturating_sub(self.read(now, id));
        }
        self.broker.handle_timeout(now, &mut self.connections);
        self.accept_all(now);
        self.write_all(now)?;
        self.lingerers.handle_timeout(StdInstant::now());
        Ok(())
    }

    /// Does what others have asked for.
    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Stop => self.is_stopping = true,
                Command::Tls(tls) => self.tls = Some(tls),
                Command::Reconsider => {
                    let ended = self.broker.reconsider(self.clock.now(), &mut self.connections);
                    let (connections, subscriptions) = (ended.connections, ended.subscriptions);
                    if connections + subscriptions > 0 {
                        tracing::info!(connections, subscriptions, "ended, as rules have changed");
                    }
                }
                Command::Resolve(ticket, admission) => self.resolve(ticket, admission),
                // Who stores nothing is not well, and says nothing.
                Command::Report(_) if self.store.as_ref().is_some_and(Store::has_failed) => {}
                Command::Attach(attach) => self.attach(attach),
                Command::Report(answer) => {
                    // Who does not wait any more has had no answer for too long.
                    let bridges = self.bridges.iter().map(|bridge| bridge.status(&self.broker));
                    let statistics = self.broker.statistics();
                    let partial_bytes = self.connections.partials.bytes();
                    let bridges = bridges.collect();
                    let _ = answer.send(Report { statistics, partial_bytes, bridges });
                }
            }
        }
    }

    /// The policy has answered: what has come on that connection meanwhile is taken.
    fn resolve(&mut self, ticket: Ticket, admission: Admission) {
        let now = self.clock.now();
        self.broker.resolve(now, ticket, admission, &mut self.connections);
        self.go_on(now, ticket.connection());
    }

    /// How long to wait at most.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let broker = self.broker.next_timeout().map(|at| self.clock.deadline(at));
        let accept = self.listeners.iter().filter_map(|listener| listener.accept_at).min();
        let store = self.store.as_ref().and_then(Store::due);
        let times = [broker, accept, store, self.lingerers.next_timeout(), self.ends_at];
        let next = times.into_iter().flatten().min();
        // A timer that is due in a part of a millisecond must not be polled for.
        let wait = next.map(|at| at.saturating_duration_since(StdInstant::now()));
        wait.map(|wait| if wait.is_zero() { wait } else { wait + Duration::from_millis(1) })
    }

    fn on_event(&mut self, index: usize, readable: bool, closed: bool, writable: bool) {
        let Some(connection) = self.connections.at(index) else { return };
        let id = connection.id;
        if writable {
            connection.tx.writable();
        }
        connection.read_closed |= closed;
        if readable || closed {
            connection.readable = true;
            if !connection.is_ready {
                connection.is_ready = true;
                self.ready.push_back(id);
            }
        }
        if writable {
            self.connections.set_dirty(id);
        }
    }

    /// Reads what has come on this connection and has the broker act on it. How many bytes it was.
    fn read(&mut self, now: Instant, id: ConnectionId) -> usize {
        let Some(connection) = self.connections.get(id) else { return 0 };
        connection.is_ready = false;
        if connection.blocked || !connection.readable {
            return 0;
        }
        // What began a packet goes before what is read; of one that is long, that would be copied often.
        let before = Some(connection.rx.len()).filter(|len| *len <= READ_SIZE).unwrap_or(0);
        let (earlier, room) = self.buffer.split_at_mut(before);
        earlier.copy_from_slice(connection.rx.get(..before).unwrap_or_default());
        let room = room.get_mut(..READ_SIZE).unwrap_or_default();
        let len = match connection.read(room) {
            Ok(len) => len,
            Err(ended) => {
                let peer = connection.peer;
                self.connections.log.ended(peer, &ended);
                self.broker.closed(now, id, &mut self.connections);
                self.connections.remove(id);
                return 0;
            }
        };
        if let Some(name) = connection.tx.transport.identity() {
            self.broker.identify(id, &name);
        }
        connection.tx.interject();
        if !connection.tx.is_empty() {
            self.connections.set_dirty(id);
        }
        let Some(connection) = self.connections.get(id) else { return len };
        let mut earlier = core::mem::take(&mut connection.rx);
        let is_long = before < earlier.len();
        let read = self.buffer.get(..before + len).unwrap_or_default();
        if is_long {
            earlier.extend_from_slice(read);
        }
        let all = if is_long { &earlier } else { read };
        let mut rx = all;
        let received = self.broker.receive(now, id, &mut rx, &mut self.connections);
        let left = rx.len();
        let taken = all.len() - left;
        let Some(connection) = self.connections.get(id) else { return len };
        connection.blocked = received != Received::All;
        if is_long {
            earlier.drain(..taken);
        } else {
            earlier.clear();
            earlier.extend_from_slice(read.get(taken..).unwrap_or_default());
        }
        connection.rx = if left == 0 { Vec::new() } else { earlier };
        if connection.readable && !connection.blocked && !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_back(id);
        }
        if !connection.is_counted() {
            return len;
        }
        // Where anything is taken, what began the packet is: what is left was read now.
        self.connections.count(id, taken > 0);
        while let Some(id) = self.connections.partials.in_the_way() {
            self.broker.disconnect(now, id, ReasonCode::QuotaExceeded, &mut self.connections);
            self.connections.remove(id);
        }
        len
    }

    /// The broker may take what it could not take before.
    fn go_on(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        if !core::mem::take(&mut connection.blocked) {
            return;
        }
        let earlier = core::mem::take(&mut connection.rx);
        let mut rx = &earlier[..];
        let received = self.broker.receive(now, id, &mut rx, &mut self.connections);
        let Some(connection) = self.connections.get(id) else { return };
        connection.blocked = received != Received::All;
        connection.rx = rx.to_vec();
        if connection.readable && !connection.blocked && !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_back(id);
        }
        if connection.is_counted() {
            self.connections.count(id, false);
        }
    }

    /// Writes all that is to go out. Where all is written, the broker may go on if it was blocked.
    fn write_all(&mut self, now: Instant) -> io::Result<()> {
        let mut written = Vec::new();
        loop {
            self.settle(now);
            while let Some(id) = self.connections.next_dirty() {
                if self.connections.flush(id) {
                    written.push(id);
                }
            }
            while let Some(connection) = self.connections.next_closed() {
                let Some(index) = self.lingerers.add(connection.tx) else { continue };
                if let Some(tx) = self.lingerers.tx(index) {
                    let token = Token(FIRST + 2 * index + 1);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if let Some(source) = tx.transport.source() {
                        // If that fails, nothing is heard of it until its time is over.
                        let _ = source.reregister(self.poll.registry(), token, interest);
                    }
                }
            }
            if written.is_empty() {
                self.connections.end_turn();
                return Ok(());
            }
            for id in written.drain(..) {
                self.broker.writable(now, id, &mut self.connections);
                self.go_on(now, id);
            }
        }
    }

    /// Stores what has changed, before anything is sent that depends on it. If that fails, those end
    /// to whom something was to be sent: it may be an acknowledgement of what is not stored, and it is
    /// never sent.
    fn settle(&mut self, now: Instant) {
        let Some(store) = &mut self.store else { return };
        while !store.settle(&mut self.broker) {
            self.connections.drop_closed();
            while let Some(id) = self.connections.next_dirty() {
                if self.connections.abandon(id) {
                    self.broker.closed(now, id, &mut self.connections);
                }
            }
        }
    }

    /// Takes connections from the listeners that have some.
    fn accept_all(&mut self, now: Instant) {
        for index in 0..self.listeners.len() {
            let Some(listener) = self.listeners.get_mut(index) else { return };
            if listener.accept_at.take_if(|at| *at <= StdInstant::now()).is_some() {
                let again = self.accept(now, index);
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.accept_at = again;
                }
            }
        }
    }

    /// Takes connections from this listener; when to do it again, if not when there are more.
    fn accept(&mut self, now: Instant, index: usize) -> Option<StdInstant> {
        for _ in 0..MAX_ACCEPTED {
            match self.listeners.get(index)?.accept() {
                Ok((socket, peer)) => self.open(now, index, socket, peer),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return None,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // No file or no memory for it: others must close first.
                    _ => return Some(StdInstant::now() + ACCEPT_PAUSE),
                },
            }
        }
        Some(StdInstant::now())
    }

    /// A connection has come from this listener.
    fn open(&mut self, now: Instant, listener: usize, socket: Socket, peer: Peer) {
        let Some(endpoint) = self.listeners.get(listener).map(|listener| &listener.endpoint) else {
            return;
        };
        let websocket = endpoint.websocket;
        let tls = if endpoint.tls {
            // Never without it where it was asked for.
            let Some(tls) = &self.tls else { return };
            Some(Arc::clone(tls))
        } else {
            None
        };
        let Some(id) = self.broker.open(now) else {
            self.connections.log.too_many(peer);
            return;
        };
        match self.transport(id, socket, tls, websocket) {
            Some(mut transport) => {
                transport.restrict(self.origins.as_ref());
                self.connections.insert(id, peer, transport);
            }
            None => self.broker.closed(now, id, &mut self.connections),
        }
    }

    /// Has somebody watch the socket; `None` if the system watches no more of them: this one goes, those
    /// that are there stay.
    fn transport(
        &mut self,
        id: ConnectionId,
        mut socket: Socket,
        tls: Option<Arc<ServerConfig>>,
        websocket: bool,
    ) -> Option<Transport> {
        let tls = match tls {
            Some(config) => Some(Box::new(Tls::new(&config).ok()?)),
            None => None,
        };
        let number = self.given;
        match (tls, self.workers.get(number % self.workers.len().max(1))) {
            (Some(tls), Some(worker)) => {
                self.given += 1;
                let pipe = Arc::new(Pipe::default());
                let remote = Remote::new(Arc::clone(&pipe), number, Arc::clone(&worker.bell));
                worker.bell.ring(Task::Serve(socket, tls, Served { pipe, number, id }));
                Some(Transport::remote(remote, websocket))
            }
            (tls, _) => {
                let token = Token(FIRST + 2 * id.index());
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut socket, token, interest).ok()?;
                Some(Transport::new(socket, tls, websocket))
            }
        }
    }
}
