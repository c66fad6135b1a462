//! The thread of a bridge: the socket to the other broker, and when to connect again.

use alloc::sync::Arc;
use core::hash::{BuildHasher, Hasher};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::io::{self, IoSlice};
use std::net::ToSocketAddrs;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use mqtt_session::broker::ConnectionId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tracing::{info, warn};

use super::relay::{Relay, Told};
use super::{Attach, Attached, BridgeSettings, Numbers, Upstream};
use crate::broker::Control;
use crate::broker::bell::Bell;
use crate::broker::command::Command;
use crate::broker::transport::{Ended, Pipe, Socket, Tls, Transport};
use crate::broker::worker::Task;

pub(super) const WAKER: Token = Token(0);
const SOCKET: Token = Token(1);

/// How long the other broker may take until messages go.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection that has held that long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How much is read at once.
const READ_SIZE: usize = 64 * 1024;

/// From how many bytes on that wait for the other broker no more are taken from this one.
const MAX_WAITING: usize = 128 * 1024;

/// From how many bytes of answers on that the other broker does not take nothing more is read from it.
/// A broker that keeps to its packet identifiers is never owed so many.
const MAX_OWED: usize = 512 * 1024;

/// What a bridge is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) settings: Arc<BridgeSettings>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) relay: Relay,
    pub(super) numbers: Arc<Numbers>,
    pub(super) poll: Poll,
    pub(super) bell: Arc<Bell<Task>>,
    /// How this broker is told of the connection.
    pub(super) broker: Arc<Bell<ConnectionId>>,
    pub(super) control: Control,
    /// Whether this broker has no session of the bridge from before.
    pub(super) is_new: bool,
}

/// All that the thread works on.
#[derive(Debug)]
pub(super) struct Runner {
    parts: Parts,
    buffer: Vec<u8>,
    /// Attempts to connect that went wrong, one after the other.
    failures: u32,
    /// Whether to connect again at once.
    is_again: bool,
    is_stopping: bool,
}

/// A connection to the other broker.
#[derive(Debug)]
struct Link {
    transport: Transport,
    /// Whether there may be more to read.
    is_readable: bool,
    /// Whether the other broker sends no more: what it has sent is still to be read.
    is_closed: bool,
    /// Whether the socket takes no more for now.
    is_full: bool,
    /// The beginning of a packet.
    rx: Vec<u8>,
    /// What is being sent, and how much of it is.
    up: Vec<u8>,
    sent: usize,
    /// How much of it is as it goes over the wire.
    ready: usize,
    /// How much was added to that by reading, since it was empty last.
    owed: usize,
    /// The connection to this broker, once there is one.
    local: Option<Local>,
    /// Whether messages go.
    is_up: bool,
    began: Instant,
    last_sent: Instant,
    last_received: Instant,
    pinged: Option<Instant>,
}

/// What has happened to the socket.
#[derive(Clone, Copy, Debug, Default)]
struct Woken {
    is_readable: bool,
    is_writable: bool,
    is_closed: bool,
}

/// A connection to this broker.
#[derive(Debug)]
struct Local {
    pipe: Arc<Pipe>,
    id: ConnectionId,
    rx: Vec<u8>,
}

impl Runner {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts, buffer: vec![0; READ_SIZE], failures: 0, is_again: false, is_stopping: false }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let settings = Arc::clone(&self.parts.settings);
        while !self.is_stopping {
            for address in &settings.addresses {
                let began = Instant::now();
                let mut was_up = self.serve(address);
                while core::mem::take(&mut self.is_again) && !self.is_stopping {
                    was_up = self.serve(address);
                }
                if self.is_stopping {
                    break;
                }
                if was_up {
                    if began.elapsed() >= GOOD {
                        self.failures = 0;
                    }
                    // The first address is the one that is meant.
                    break;
                }
            }
            self.pause();
        }
    }

    /// Waits before the next attempt: a random time, so that not all come back at once, which grows up to
    /// a bound.
    fn pause(&mut self) {
        let settings = &self.parts.settings;
        let longest = settings.min_retry.saturating_mul(1 << self.failures.min(16));
        let longest = longest.min(settings.max_retry).as_millis();
        self.failures = self.failures.saturating_add(1);
        let random = u128::from(RandomState::new().build_hasher().finish());
        let wait = u64::try_from(random % (longest + 1)).unwrap_or(0);
        let until = Instant::now() + Duration::from_millis(wait);
        while !self.is_stopping && Instant::now() < until {
            self.wait(Some(until));
        }
    }

    /// Waits for something to happen. What has happened to the socket: readable, writable.
    fn wait(&mut self, until: Option<Instant>) -> Woken {
        let mut events = Events::with_capacity(8);
        // A part of a millisecond must not be polled for.
        let timeout = until.map(|until| {
            until.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
        });
        if self.parts.poll.poll(&mut events, timeout).is_err() {
            // Interrupted, or nothing that waiting would help against.
            std::thread::yield_now();
        }
        let mut woken = Woken::default();
        for event in &events {
            if event.token() == SOCKET {
                let closed = event.is_read_closed() || event.is_error();
                woken.is_readable |= event.is_readable() || closed;
                woken.is_writable |= event.is_writable() || closed;
                woken.is_closed |= closed;
            }
        }
        for task in self.parts.bell.answer() {
            if matches!(task, Task::Stop) {
                self.is_stopping = true;
            }
        }
        woken
    }

    /// Works on one connection until it ends. Whether messages went.
    fn serve(&mut self, address: &Upstream) -> bool {
        let bridge = Arc::clone(&self.parts.settings);
        let bridge = &bridge.name;
        let transport = match self.dial(address) {
            Ok(transport) => transport,
            Err(_) if self.is_stopping => return false,
            Err(reason) => {
                warn!(bridge, %address, %reason, "the other broker cannot be reached: messages wait");
                return false;
            }
        };
        let mut link = Link::new(transport);
        let clean_start = self.begins_anew();
        self.parts.relay.connect(clean_start, &mut link.up);
        let ended = self.work(&mut link);
        if link.is_up && link.is_closed {
            self.parts.relay.on_hang_up();
        }
        self.parts.numbers.is_connected.store(false, Ordering::Relaxed);
        match ended {
            Err(_) if self.is_stopping || self.is_again => {}
            Err(reason) if link.is_up => {
                warn!(bridge, %address, %reason, "the connection to the other broker ended: messages wait");
            }
            Err(reason) => {
                warn!(bridge, %address, %reason, "no connection to the other broker: messages wait");
            }
            Ok(()) => info!(bridge, "the bridge ends"),
        }
        self.parts.relay.goodbye(&mut link.up);
        // Whether it arrives makes no difference.
        let _ = link.write();
        while link.transport.say_goodbye() {
            if link.write().is_err() || link.is_full {
                break;
            }
        }
        let _ = link.transport.shutdown();
        if let Some(local) = link.local {
            if local.pipe.end(Ended::Closed) {
                self.parts.broker.ring(local.id);
            }
        }
        link.is_up
    }

    /// Whether the other broker must forget an earlier session of the bridge: without what this broker
    /// knew of it, an identifier of QoS 2 would stand for two messages.
    fn begins_anew(&self) -> bool {
        self.parts.is_new && self.parts.relay.sends_exactly_once()
    }

    /// Connects to this address.
    fn dial(&mut self, upstream: &Upstream) -> Result<Transport, String> {
        let until = Instant::now() + PATIENCE;
        let mut reason = String::from("the name has no address");
        let all = upstream.address.to_socket_addrs().map_err(|error| error.to_string())?;
        for one in all.take(8) {
            match self.dial_one(one, until) {
                Ok(stream) => {
                    // Packets are gathered here already.
                    let _ = stream.set_nodelay(true);
                    let tls = self.tls(upstream)?;
                    let socket = Socket::Tcp(stream);
                    return Ok(match &upstream.websocket {
                        Some(path) => Transport::asking(socket, tls, &upstream.address, path),
                        None => Transport::new(socket, tls, false),
                    });
                }
                Err(error) => reason = error.to_string(),
            }
            if self.is_stopping {
                break;
            }
        }
        Err(reason)
    }

    fn dial_one(&mut self, address: SocketAddr, until: Instant) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        stream.register(self.parts.poll.registry(), SOCKET, interest)?;
        loop {
            if self.wait(Some(until)).is_writable {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                if stream.peer_addr().is_ok() {
                    return Ok(stream);
                }
            }
            if self.is_stopping || Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn tls(&self, upstream: &Upstream) -> Result<Option<Box<Tls>>, String> {
        let config = self.parts.tls.as_ref().filter(|_| upstream.is_secure);
        let Some(config) = config else { return Ok(None) };
        let given = self.parts.settings.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let name = ServerName::try_from(given.unwrap_or(upstream.host()).to_owned());
        let name = name.map_err(|error| error.to_string())?;
        Tls::to(config, name).map(|tls| Some(Box::new(tls))).map_err(|error| error.to_string())
    }

    /// Carries messages until the connection ends, or the bridge is to stop.
    fn work(&mut self, link: &mut Link) -> Result<(), String> {
        loop {
            while self.step(link)? {}
            if self.is_stopping && !link.is_up {
                return Ok(());
            }
            let until = self.keep_alive(link)?;
            link.write().map_err(|error| error.to_string())?;
            let woken = self.wait(until);
            link.is_readable |= woken.is_readable;
            link.is_closed |= woken.is_closed;
            link.is_full &= !woken.is_writable;
        }
    }

    /// Goes on as far as possible; whether there may be more to do.
    fn step(&mut self, link: &mut Link) -> Result<bool, String> {
        let mut went_on = false;
        let mut down = Vec::new();
        // Of room that this makes, nobody tells later.
        link.write().map_err(|error| error.to_string())?;
        let has_room = link.local.as_ref().is_none_or(|local| local.pipe.has_room());
        if link.is_readable && has_room && link.owed < MAX_OWED {
            let input = link.transport.read(&mut self.buffer).map_err(|why| {
                link.is_closed = true;
                why.to_string()
            })?;
            link.is_readable = input.more || link.is_closed;
            // TLS may have waited for that.
            link.is_full = false;
            if input.len > 0 {
                went_on = true;
                link.last_received = Instant::now();
                link.rx.extend_from_slice(self.buffer.get(..input.len).unwrap_or_default());
                let before = link.up.len();
                self.take_remote(link, &mut down)?;
                link.owed += link.up.len() - before;
            }
        }
        let mut is_finished = false;
        let waiting = link.up.len() - link.sent;
        let mut told = false;
        let takes = link.is_up && waiting < MAX_WAITING && link.owed < MAX_OWED;
        if let Some(local) = link.local.as_mut().filter(|_| takes) {
            let wanted = local.pipe.wanted();
            told = wanted.tell;
            is_finished = wanted.is_finished;
            went_on |= !wanted.outbound.is_empty();
            local.rx.extend_from_slice(&wanted.outbound);
            let mut rx = &local.rx[..];
            let relay = &mut self.parts.relay;
            while relay.take_local(&mut rx, &mut link.up, &mut down).map_err(|e| e.to_string())? {}
            let taken = local.rx.len() - rx.len();
            local.rx.drain(..taken);
        }
        if let Some(local) = &link.local {
            told |= !down.is_empty() && local.pipe.put(&down, None);
            if told {
                self.parts.broker.ring(local.id);
            }
        }
        if self.parts.relay.wants_another() {
            self.is_again = true;
            return Err("messages go together again".into());
        }
        if is_finished {
            return Err("this broker has ended the connection".into());
        }
        link.write().map_err(|error| error.to_string())?;
        Ok(went_on)
    }

    /// Takes what has come from the other broker.
    fn take_remote(&mut self, link: &mut Link, down: &mut Vec<u8>) -> Result<(), String> {
        let mut all = core::mem::take(&mut link.rx);
        let mut rx = &all[..];
        loop {
            let relay = &mut self.parts.relay;
            let taken =
                relay.take_remote(&mut rx, &mut link.up, down).map_err(|e| e.to_string())?;
            match taken {
                None => break,
                Some(None) => {}
                Some(Some(Told::LetIn { .. }))
                    if self.begins_anew()
                        && !self.parts.settings.clean_start
                        && !self.parts.settings.version.has_properties() =>
                {
                    // In 3.1.1 a session that began clean ends with its connection.
                    self.parts.is_new = false;
                    self.is_again = true;
                    return Err("its session there is cleared".into());
                }
                Some(Some(Told::LetIn { session_present })) => {
                    self.attach(link, session_present, down)?;
                }
                Some(Some(Told::Subscribed)) => self.up(link),
            }
        }
        // What begins a packet is not moved for each part of it that comes.
        let taken = all.len() - rx.len();
        all.drain(..taken);
        if all.is_empty() {
            all = Vec::new();
        }
        link.rx = all;
        Ok(())
    }

    /// The other broker lets the bridge in, and now this one is to.
    fn attach(
        &mut self,
        link: &mut Link,
        session_present: bool,
        down: &mut Vec<u8>,
    ) -> Result<(), String> {
        let pipe = Arc::new(Pipe::default());
        let (answer, answered) = sync_channel(1);
        let attach = Attach {
            bridge: self.parts.settings.name.clone(),
            is_new: !session_present,
            pipe: Arc::clone(&pipe),
            bell: Arc::clone(&self.parts.bell),
            answer,
        };
        let gone = |_| String::from("this broker has no room for the connection");
        self.parts.control.send(Command::Attach(attach)).map_err(|error| error.to_string())?;
        let Attached { id, packet_id } = answered.recv_timeout(PATIENCE).map_err(gone)?;
        self.parts.is_new = false;
        let relay = &mut self.parts.relay;
        let subscribes = relay.attach(session_present, packet_id, &mut link.up, down);
        link.local = Some(Local { pipe, id, rx: Vec::new() });
        if !subscribes {
            self.up(link);
        }
        Ok(())
    }

    /// From now on messages go.
    fn up(&self, link: &mut Link) {
        link.is_up = true;
        self.parts.numbers.is_connected.store(true, Ordering::Relaxed);
        Numbers::add(&self.parts.numbers.connects);
    }

    /// Lets the other broker hear of the bridge, and looks whether it is there; when to do so again.
    fn keep_alive(&self, link: &mut Link) -> Result<Option<Instant>, String> {
        let now = Instant::now();
        if !link.is_up {
            let until = link.began + PATIENCE;
            return match now < until {
                true => Ok(Some(until)),
                false => Err("it does not answer".into()),
            };
        }
        let keep_alive = u64::from(self.parts.relay.keep_alive());
        if keep_alive == 0 {
            return Ok(None);
        }
        if link.is_full {
            // A PINGREQ would only wait behind the rest.
            let until = link.last_sent + Duration::from_millis(keep_alive * 1500);
            return match now < until {
                true => Ok(Some(until)),
                false => Err("it takes nothing".into()),
            };
        }
        if let Some(pinged) = link.pinged.filter(|pinged| link.last_received < *pinged) {
            let until = pinged + Duration::from_secs(keep_alive.clamp(5, 30));
            return match now < until {
                true => Ok(Some(until)),
                false => Err("it does not answer a PINGREQ".into()),
            };
        }
        let due = link.last_sent.min(link.last_received) + Duration::from_millis(keep_alive * 750);
        if now < due {
            return Ok(Some(due));
        }
        link.pinged = Some(now);
        self.parts.relay.ping(&mut link.up);
        Ok(Some(now + Duration::from_secs(keep_alive.clamp(5, 30))))
    }
}

impl Link {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        Self {
            transport,
            is_readable: true,
            is_closed: false,
            is_full: false,
            rx: Vec::new(),
            up: Vec::new(),
            sent: 0,
            ready: 0,
            owed: 0,
            local: None,
            is_up: false,
            began: now,
            last_sent: now,
            last_received: now,
            pinged: None,
        }
    }

    /// Writes as much as the socket takes.
    fn write(&mut self) -> io::Result<()> {
        while !self.is_full {
            // Who pings and takes no answers must not have them gathered.
            if self.ready - self.sent < MAX_WAITING {
                self.ready = self.transport.wrap(&mut self.up, self.ready);
            }
            let rest = self.up.get(self.sent..self.ready).unwrap_or_default();
            if rest.is_empty() && !self.transport.has_pending() {
                break;
            }
            let parts = [IoSlice::new(rest)];
            let parts = if rest.is_empty() { &[] } else { &parts[..] };
            match self.transport.write(parts) {
                Ok(len) => {
                    self.sent += len;
                    self.last_sent = Instant::now();
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_full = true,
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        if self.sent == self.up.len() {
            self.up.clear();
            (self.sent, self.ready) = (0, 0);
            self.owed = 0;
        } else if self.sent >= MAX_WAITING {
            self.up.drain(..self.sent);
            self.ready -= self.sent;
            self.sent = 0;
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read, Write};

    use mio::net::UnixStream;
    use tungstenite::handshake::derive_accept_key;

    use super::{Link, MAX_WAITING};
    use crate::broker::transport::{Socket, Transport};

    /// RFC 6455, section 5.5.3: of many PINGs it is enough to answer the last.
    #[test]
    fn a_server_that_pings_and_reads_nothing_has_few_answers_gathered() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut link = Link::new(Transport::asking(Socket::Unix(socket), None, "h:1", "/mqtt"));
        // As CONNECT, which waits for the WebSocket.
        link.up.extend_from_slice(&[0x10; 100]);
        link.write().unwrap();
        let mut request = [0; 1024];
        let len = peer.read(&mut request).unwrap();
        let request = core::str::from_utf8(&request[..len]).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        peer.write_all(answer.as_bytes()).unwrap();
        let mut buffer = [0; 1024];
        let mut ping = [0; 2 + 125];
        ping[..2].copy_from_slice(&[0x89, 125]);
        for _ in 0..20_000 {
            peer.write_all(&ping).unwrap();
            link.transport.read(&mut buffer).unwrap();
            link.is_full = false;
            link.write().unwrap();
            assert!(link.up.len() < 2 * MAX_WAITING + 1024, "{}", link.up.len());
        }
        assert!(link.is_full);
        // Once it reads, it gets what is owed and the last answer.
        let mut taken = vec![0; 1 << 20];
        let mut all = 0;
        while all == 0 || link.sent < link.up.len() {
            all += peer.read(&mut taken).unwrap();
            link.is_full = false;
            link.write().unwrap();
        }
        assert!(link.up.is_empty() && !link.transport.has_words());
    }
}
