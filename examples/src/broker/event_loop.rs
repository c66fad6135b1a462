//! Waits for all sockets at once, and lets the broker act.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::net::TcpListener as StdListener;
use std::time::Instant as StdInstant;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use mqtt_session::broker::{Broker, ConnectionId, Received};
use mqtt_session::{Clock, Instant};

use super::connection::Connections;
use super::lingering::Lingerers;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;

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

/// All that the broker's thread works on.
#[derive(Debug)]
pub(super) struct EventLoop {
    poll: Poll,
    listener: Option<TcpListener>,
    /// When to accept, if connections may wait.
    accept_at: Option<StdInstant>,
    broker: Broker,
    clock: Clock,
    connections: Connections,
    lingerers: Lingerers,
    /// Connections that may have something to read.
    ready: VecDeque<ConnectionId>,
    buffer: Vec<u8>,
    stop: Arc<AtomicBool>,
    /// When it ends, whoever still lingers.
    ends_at: Option<StdInstant>,
}

impl EventLoop {
    pub(super) fn new(
        listener: StdListener,
        broker: Broker,
        stop: Arc<AtomicBool>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let this = Self {
            poll,
            listener: Some(listener),
            accept_at: None,
            broker,
            clock: Clock::start(),
            connections: Connections::default(),
            lingerers: Lingerers::default(),
            ready: VecDeque::new(),
            buffer: vec![0; READ_SIZE],
            stop,
            ends_at: None,
        };
        Ok((this, waker))
    }

    /// Serves until it is told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.stop.load(Ordering::Acquire) {
            self.turn(&mut events)?;
        }
        // Whoever comes now is refused.
        self.listener = None;
        let now = self.clock.now();
        self.broker.shut_down(now, &mut self.connections);
        let until = StdInstant::now() + STOP_PATIENCE;
        self.ends_at = Some(until);
        self.write_all(now)?;
        while !self.lingerers.is_empty() && StdInstant::now() < until {
            self.turn(&mut events)?;
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
                LISTENER => self.accept_at = Some(StdInstant::now()),
                WAKER => {}
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
        self.accept(now);
        self.write_all(now)?;
        self.lingerers.handle_timeout(StdInstant::now());
        Ok(())
    }

    /// How long to wait at most.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let broker = self.broker.next_timeout().map(|at| self.clock.deadline(at));
        let times = [broker, self.accept_at, self.lingerers.next_timeout(), self.ends_at];
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
            self.write(self.clock.now(), id);
        }
    }

    /// Reads what has come on this connection and has the broker act on it. How many bytes it was.
    fn read(&mut self, now: Instant, id: ConnectionId) -> usize {
        let Some(connection) = self.connections.get(id) else { return 0 };
        connection.is_ready = false;
        if connection.blocked || !connection.readable {
            return 0;
        }
        let Some(len) = connection.read(&mut self.buffer) else {
            self.connections.remove(id);
            self.broker.closed(now, id, &mut self.connections);
            return 0;
        };
        let mut earlier = core::mem::take(&mut connection.rx);
        let read = self.buffer.get(..len).unwrap_or_default();
        let mut rx = read;
        if !earlier.is_empty() {
            earlier.extend_from_slice(read);
            rx = &earlier;
        }
        let received = self.broker.receive(now, id, &mut rx, &mut self.connections);
        let Some(connection) = self.connections.get(id) else { return len };
        connection.blocked = received != Received::All;
        if earlier.is_empty() {
            connection.rx = rx.to_vec();
        } else {
            let taken = earlier.len() - rx.len();
            earlier.drain(..taken);
            connection.rx = earlier;
        }
        if connection.rx.is_empty() {
            connection.rx = Vec::new();
        }
        if connection.readable && !connection.blocked && !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_back(id);
        }
        len
    }

    /// Writes to this connection. Once all is written, the broker may go on where it was blocked.
    fn write(&mut self, now: Instant, id: ConnectionId) {
        if self.connections.get(id).is_none() || !self.connections.flush(id) {
            return;
        }
        self.broker.writable(now, id, &mut self.connections);
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
    }

    /// Writes all that is to go out.
    fn write_all(&mut self, now: Instant) -> io::Result<()> {
        loop {
            if let Some(id) = self.connections.next_dirty() {
                self.write(now, id);
            } else if let Some(connection) = self.connections.next_closed() {
                let Some(index) = self.lingerers.add(connection.tx) else { continue };
                if let Some(tx) = self.lingerers.tx(index) {
                    let token = Token(FIRST + 2 * index + 1);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().reregister(&mut tx.stream, token, interest)?;
                }
            } else {
                return Ok(());
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        if self.accept_at.is_none_or(|at| at > StdInstant::now()) {
            return;
        }
        self.accept_at = None;
        let Some(listener) = &self.listener else { return };
        for _ in 0..MAX_ACCEPTED {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    // No file or no memory for it: others must close first.
                    _ => {
                        self.accept_at = Some(StdInstant::now() + ACCEPT_PAUSE);
                        return;
                    }
                },
            };
            let Some(id) = self.broker.open(now) else { continue };
            // Packets are gathered here already; without it they only come later.
            let _ = stream.set_nodelay(true);
            let token = Token(FIRST + 2 * id.index());
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, token, interest).is_err() {
                // The system watches no more sockets: this one goes, those that are there stay.
                self.broker.closed(now, id, &mut self.connections);
                continue;
            }
            self.connections.insert(id, stream);
        }
        self.accept_at = Some(StdInstant::now());
    }
}
