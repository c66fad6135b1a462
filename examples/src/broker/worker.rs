//! Threads that have the sockets of TLS connections, so that the broker's thread neither encrypts nor
//! waits for who does.
//!
//! A worker and the broker's thread share a [`Pipe`] for each connection and call each other by
//! [`Bell`]s, once for all that has happened meanwhile.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::time::Duration;
use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, Waker};
use mqtt_session::broker::ConnectionId;

use super::bell::Bell;
use super::transport::{Ended, Served, Socket, Tls};

const WAKER: Token = Token(usize::MAX);

/// How much is read at once.
const READ_SIZE: usize = 64 * 1024;

/// How long a peer may take to notice that its connection ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many peers may be waited for.
const MAX_CLOSING: usize = 4096;

/// How long all may take to notice when the broker stops.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// What a worker is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Serve a connection.
    Serve(Socket, Box<Tls>, Served),
    /// Look what the broker has for the connection of this number.
    Look(usize),
    /// Send what is left, and end.
    Stop,
}

/// The broker's end of a worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) bell: Arc<Bell<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts one, which tells the broker by this bell.
    pub(super) fn start(broker: Arc<Bell<ConnectionId>>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let bell = Arc::new(Bell::new(Arc::new(Waker::new(poll.registry(), WAKER)?)));
        let this = Loop {
            poll,
            bell: Arc::clone(&bell),
            broker,
            connections: BTreeMap::new(),
            ready: VecDeque::new(),
            closing: VecDeque::new(),
            buffer: vec![0; READ_SIZE],
            ends_at: None,
        };
        let thread = thread::Builder::new().name("tls".into()).spawn(|| this.run())?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.bell.ring(Task::Stop);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

/// A connection of a worker.
#[derive(Debug)]
struct Connection {
    socket: Socket,
    tls: Box<Tls>,
    served: Served,
    /// What is being sent, and how much of it is.
    sending: Vec<u8>,
    sent: usize,
    /// Whether there may be more to read.
    is_readable: bool,
    /// Whether the socket takes no more for now.
    is_full: bool,
    /// Whether the peer sends no more, or cannot be sent to.
    has_ended: bool,
    is_broken: bool,
    /// Whether all is sent, and only the peer's end is waited for.
    is_shut: bool,
    /// Whether it is known until when the peer is waited for.
    is_closing: bool,
}

/// All that one worker's thread works on.
struct Loop {
    poll: Poll,
    bell: Arc<Bell<Task>>,
    broker: Arc<Bell<ConnectionId>>,
    connections: BTreeMap<usize, Connection>,
    /// Connections that have more to read.
    ready: VecDeque<usize>,
    /// Until when the peers of connections are waited for with which the broker has done, whether they
    /// take what is left or not: the first one first.
    closing: VecDeque<(Instant, usize)>,
    buffer: Vec<u8>,
    ends_at: Option<Instant>,
}

impl Loop {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            if self.poll.poll(&mut events, self.timeout()).is_err() {
                // Interrupted, or nothing that waiting would help against.
                thread::yield_now();
            }
            for event in &events {
                let Token(number) = event.token();
                let Some(connection) = self.connections.get_mut(&number) else { continue };
                connection.is_readable |=
                    event.is_readable() || event.is_read_closed() || event.is_error();
                connection.is_full &= !event.is_writable();
                self.step(number);
            }
            for _ in 0..self.ready.len() {
                let Some(number) = self.ready.pop_front() else { break };
                self.step(number);
            }
            for task in self.bell.answer() {
                match task {
                    Task::Serve(socket, tls, served) => self.serve(socket, tls, served),
                    Task::Look(number) => self.step(number),
                    Task::Stop => self.ends_at = Some(Instant::now() + STOP_PATIENCE),
                }
            }
            let now = Instant::now();
            while self.closing.front().is_some_and(|(until, _)| *until <= now) {
                if let Some((_, number)) = self.closing.pop_front() {
                    self.connections.remove(&number);
                }
            }
            if self.ends_at.is_some_and(|at| at <= now || self.connections.is_empty()) {
                return;
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let until = self.closing.front().map(|(until, _)| *until);
        let next = until.into_iter().chain(self.ends_at).min()?;
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn serve(&mut self, mut socket: Socket, tls: Box<Tls>, served: Served) {
        let number = served.number;
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = socket.register(self.poll.registry(), Token(number), interest) {
            if served.pipe.end(Ended::Io(error)) {
                self.broker.ring(served.id);
            }
            return;
        }
        let connection = Connection {
            socket,
            tls,
            served,
            sending: Vec::new(),
            sent: 0,
            is_readable: true,
            is_full: false,
            has_ended: false,
            is_broken: false,
            is_shut: false,
            is_closing: false,
        };
        self.connections.insert(number, connection);
        self.step(number);
    }

    /// Goes on with a connection as far as possible.
    fn step(&mut self, number: usize) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.is_shut {
            if connection.is_gone(&mut self.buffer) {
                self.connections.remove(&number);
            }
            return;
        }
        let mut tell = connection.receive(&mut self.buffer);
        let (is_done, told) = connection.send();
        tell |= told;
        if tell {
            self.broker.ring(connection.served.id);
        }
        let is_gone = is_done && (connection.is_broken || connection.is_gone(&mut self.buffer));
        let begins_to_close =
            !connection.is_closing && (is_done || connection.served.pipe.is_finished());
        if is_gone || (begins_to_close && self.closing.len() >= MAX_CLOSING) {
            self.connections.remove(&number);
            return;
        }
        if begins_to_close {
            connection.is_closing = true;
            self.closing.push_back((Instant::now() + PATIENCE, number));
        }
        if !is_done
            && connection.is_readable
            && !connection.has_ended
            && connection.served.pipe.has_room()
        {
            // Who has no room rings when there is.
            self.ready.push_back(number);
        }
    }
}

impl Connection {
    /// Takes what has come, if the broker takes it. Whether that is to be told.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        if !self.is_readable || self.has_ended || !self.served.pipe.has_room() {
            return false;
        }
        match self.tls.read(&mut self.socket, buffer) {
            Ok(input) => {
                self.is_readable = input.more;
                let identity = self.tls.identity();
                let bytes = buffer.get(..input.len).unwrap_or_default();
                (!bytes.is_empty() || identity.is_some()) && self.served.pipe.put(bytes, identity)
            }
            Err(ended) => {
                self.has_ended = true;
                self.served.pipe.end(ended)
            }
        }
    }

    /// Sends what there is. Whether the broker has done with the connection and all is sent, and whether
    /// something is to be told.
    fn send(&mut self) -> (bool, bool) {
        let mut tell = false;
        let mut is_finished;
        loop {
            is_finished = false;
            // What cannot be sent must not hide that the broker has done with the connection.
            if self.is_broken || self.sent == self.sending.len() {
                let wanted = self.served.pipe.wanted();
                tell |= wanted.tell;
                is_finished = wanted.is_finished;
                self.sending = wanted.outbound;
                self.sent = 0;
            }
            let rest = self.sending.get(self.sent..).unwrap_or_default();
            if self.is_broken || self.is_full || (rest.is_empty() && !self.tls.has_pending()) {
                break;
            }
            let parts = [IoSlice::new(rest)];
            let parts = if rest.is_empty() { &[] } else { &parts[..] };
            match self.tls.write(&mut self.socket, parts) {
                Ok(len) => self.sent += len,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_full = true,
                    io::ErrorKind::Interrupted => {}
                    _ => {
                        self.is_broken = true;
                        self.sending = Vec::new();
                        self.sent = 0;
                        tell |= self.served.pipe.end(Ended::Io(error));
                    }
                },
            }
        }
        let is_all = self.sent == self.sending.len() && !self.tls.has_pending();
        if is_finished && !self.is_broken && is_all && self.tls.close() {
            // Its last word is written like all the others.
            return self.send_last(tell);
        }
        (is_finished && (is_all || self.is_broken), tell)
    }

    /// Sends what TLS says at the end.
    fn send_last(&mut self, tell: bool) -> (bool, bool) {
        match self.tls.write(&mut self.socket, &[]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_full = true;
                (false, tell)
            }
            Err(_) => {
                self.is_broken = true;
                (true, tell)
            }
            Ok(_) => (true, tell),
        }
    }

    /// All is sent: whether the peer has noticed, and closed too. A socket that is closed while bytes
    /// from its peer wait unread takes back what it has sent.
    fn is_gone(&mut self, sink: &mut [u8]) -> bool {
        if !self.is_shut {
            self.is_shut = true;
            if self.socket.shutdown(Shutdown::Write).is_err() {
                return true;
            }
        }
        // More than any peer that speaks the protocol would have on the way.
        for _ in 0..16 {
            match self.socket.read(sink) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}

#[cfg(all(test, unix))]
mod tests {
    use alloc::sync::Arc;
    use std::io::IoSlice;

    use mio::net::UnixStream;
    use mio::{Poll, Waker};
    use mqtt_session::Instant;
    use mqtt_session::broker::{Broker, Config};
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::{Bell, Connection, Served, Socket, Tls, WAKER};
    use crate::broker::transport::{Pipe, Remote, Transport};

    #[test]
    fn a_connection_that_breaks_with_something_to_send_ends_when_the_broker_has_done_with_it() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.key_pair.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let poll = Poll::new().unwrap();
        let bell = Arc::new(Bell::new(Arc::new(Waker::new(poll.registry(), WAKER).unwrap())));
        let id = Broker::new(Config::default()).open(Instant::from_millis(0)).unwrap();
        let pipe = Arc::new(Pipe::default());
        let (socket, _peer) = UnixStream::pair().unwrap();
        let mut connection = Connection {
            socket: Socket::Unix(socket),
            tls: Box::new(Tls::new(&Arc::new(config)).unwrap()),
            served: Served { pipe: Arc::clone(&pipe), number: 0, id },
            sending: Vec::new(),
            sent: 0,
            is_readable: false,
            is_full: false,
            has_ended: false,
            is_broken: true,
            is_shut: false,
            is_closing: false,
        };
        let mut broker = Transport::remote(Remote::new(pipe, 0, bell), false);
        // The broker goes on sending until it has read that the connection is broken.
        for _ in 0..2 {
            broker.write(&[IoSlice::new(b"message")]).unwrap();
            assert_eq!(connection.send(), (false, false));
        }
        broker.shutdown().unwrap();
        assert_eq!(connection.send(), (true, false));
    }
}
