//! Clients: packets that were prepared before, and as little work as possible with what comes.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// A client of 3.1.1 with a clean session.
pub(crate) struct Client {
    stream: TcpStream,
    rx: Vec<u8>,
    tx: Vec<u8>,
    writable: bool,
    /// Messages that came.
    pub(crate) received: u64,
    /// Acknowledgements that ended a message of ours: PUBACK, PUBCOMP; and SUBACKs.
    pub(crate) acknowledged: u64,
    /// What it publishes.
    plan: Option<Plan>,
    started: bool,
    closed: bool,
}

struct Plan {
    /// The PUBLISH; with QoS above 0 its identifier is set for each message.
    packet: Vec<u8>,
    id_at: usize,
    qos: u8,
    left: u64,
    sent: u64,
    next_id: u16,
}

/// The messages of a client.
#[derive(Clone, Copy)]
pub(crate) struct What {
    /// Bytes of payload.
    pub(crate) payload: usize,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// How many messages of a client are unacknowledged at most.
const WINDOW: u64 = 100;

/// After how long without progress no more is waited for.
const STUCK: Duration = Duration::from_secs(3);

/// All clients of a scenario.
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    pub(crate) clients: Vec<Client>,
    buffer: Vec<u8>,
    /// When nothing is waited for any more.
    deadline: Instant,
}

/// How waiting for something has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has come.
    Done,
    /// Time was over.
    Late,
    /// Nothing came any more, or the broker closed a connection.
    Stuck,
}

/// The bytes of a packet behind its first byte: Remaining Length and the rest.
pub(crate) fn packet(first: u8, rest: &[&[u8]]) -> Vec<u8> {
    let mut len: usize = rest.iter().map(|part| part.len()).sum();
    let mut bytes = vec![first];
    loop {
        let byte = (len % 128) as u8;
        len /= 128;
        bytes.push(if len > 0 { byte | 0x80 } else { byte });
        if len == 0 {
            break;
        }
    }
    rest.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

pub(crate) fn subscribe(filters: &[String], qos: u8) -> Vec<u8> {
    let list: Vec<u8> = filters.iter().flat_map(|f| [text(f), vec![qos]].concat()).collect();
    packet(0x82, &[&[0, 1], &list])
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

impl Load {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            poll: Poll::new().expect("a poll"),
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            buffer: vec![0; 256 * 1024],
            deadline: Instant::now() + patience,
        }
    }

    /// From now on so long.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
    }

    /// Connects a client and returns its index. `None` if that fails.
    pub(crate) fn connect(&mut self, address: SocketAddr) -> Option<usize> {
        let mut stream = TcpStream::connect(address).ok()?;
        let index = self.clients.len();
        self.poll
            .registry()
            .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
            .expect("a registration");
        let name = text(&format!("load-{index}"));
        let tx = packet(0x10, &[b"\x00\x04MQTT\x04\x02\xFF\xFF", &name]);
        self.clients.push(Client {
            stream,
            rx: Vec::new(),
            tx,
            writable: false,
            received: 0,
            acknowledged: 0,
            plan: None,
            started: false,
            closed: false,
        });
        if self.until(|load| load.clients[index].acknowledged == 1).0 != Ended::Done {
            return None;
        }
        let _ = self.clients[index].stream.set_nodelay(true);
        self.clients[index].acknowledged = 0;
        Some(index)
    }

    /// Sends something.
    pub(crate) fn send(&mut self, client: usize, bytes: &[u8]) {
        self.clients[client].tx.extend_from_slice(bytes);
    }

    /// Subscribes; `None` if the broker does not answer in time.
    pub(crate) fn subscribe(&mut self, client: usize, filters: &[String], qos: u8) -> Option<()> {
        for some in filters.chunks(1000) {
            let before = self.clients[client].acknowledged;
            self.send(client, &subscribe(some, qos));
            if self.until(|load| load.clients[client].acknowledged > before).0 != Ended::Done {
                return None;
            }
        }
        self.clients[client].acknowledged = 0;
        Some(())
    }

    /// This client publishes so many messages once [`Load::start`] is called, of QoS 1 and 2 at most
    /// 100 unacknowledged ones.
    pub(crate) fn publish(&mut self, client: usize, topic: &str, what: What, count: u64) {
        let What { payload, qos, retain } = what;
        let topic = text(topic);
        let id: &[u8] = if qos > 0 { &[0, 1] } else { &[] };
        let packet =
            packet(0x30 | qos << 1 | u8::from(retain), &[&topic, id, &vec![b'x'; payload]]);
        let id_at = packet.len() - payload - id.len();
        let client = &mut self.clients[client];
        client.acknowledged = 0;
        client.plan = Some(Plan { packet, id_at, qos, left: count, sent: 0, next_id: 1 });
    }

    /// From now on the clients publish.
    pub(crate) fn start(&mut self) {
        self.clients.iter_mut().for_each(|client| client.started = true);
    }

    /// Runs until it is done or cannot be; how that ended, and the seconds until the last progress.
    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) -> (Ended, f64) {
        let start = Instant::now();
        let mut progress = (0, start);
        let ended = loop {
            if done(self) {
                progress.1 = Instant::now();
                break Ended::Done;
            }
            // Nobody writes twice before all have read.
            let busy = self.clients.iter().any(|client| client.writable && client.has_more());
            let wait = if busy { Duration::ZERO } else { Duration::from_millis(500) };
            self.poll.poll(&mut self.events, Some(wait)).expect("events");
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                client.writable |= event.is_writable();
                if event.is_readable() {
                    client.read(&mut self.buffer);
                }
            }
            self.clients.iter_mut().for_each(Client::write);
            let now: u64 = self.clients.iter().map(|c| c.received + c.acknowledged).sum();
            if now != progress.0 {
                progress = (now, Instant::now());
            }
            if progress.1.elapsed() > STUCK || self.clients.iter().any(|client| client.closed) {
                break Ended::Stuck;
            }
            if Instant::now() > self.deadline {
                break Ended::Late;
            }
        };
        (ended, (progress.1 - start).as_secs_f64())
    }

    pub(crate) fn received(&self) -> u64 {
        self.clients.iter().map(|client| client.received).sum()
    }
}

impl Client {
    fn read(&mut self, buffer: &mut [u8]) {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.closed = true;
                    return;
                }
                Ok(len) => {
                    self.take(&buffer[..len]);
                    if len < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    /// Writes once.
    fn write(&mut self) {
        self.fill();
        if self.tx.is_empty() || !self.writable {
            return;
        }
        match self.stream.write(&self.tx) {
            Ok(len) => drop(self.tx.drain(..len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
            Err(_) => self.closed = true,
        }
    }

    /// Whether there is something to write.
    fn has_more(&self) -> bool {
        !self.tx.is_empty()
            || self.plan.as_ref().is_some_and(|plan| {
                self.started
                    && plan.left > 0
                    && (plan.qos == 0 || plan.sent - self.acknowledged < WINDOW)
            })
    }

    /// Prepares messages as far as the plan allows.
    fn fill(&mut self) {
        let Some(plan) = self.plan.as_mut().filter(|_| self.started) else { return };
        while plan.left > 0
            && self.tx.len() < 64 * 1024
            && (plan.qos == 0 || plan.sent - self.acknowledged < WINDOW)
        {
            if plan.qos > 0 {
                plan.packet[plan.id_at..plan.id_at + 2]
                    .copy_from_slice(&plan.next_id.to_be_bytes());
                plan.next_id = plan.next_id.checked_add(1).unwrap_or(1);
            }
            self.tx.extend_from_slice(&plan.packet);
            plan.left -= 1;
            plan.sent += 1;
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut rx = core::mem::take(&mut self.rx);
        let mut rest = bytes;
        if !rx.is_empty() {
            rx.extend_from_slice(bytes);
            rest = &rx;
        }
        while let Some((head, len)) = header(rest) {
            if rest.len() < head + len {
                break;
            }
            let (this, behind) = rest.split_at(head + len);
            self.packet(this[0], &this[head..]);
            rest = behind;
        }
        self.rx = rest.to_vec();
    }

    fn packet(&mut self, first: u8, body: &[u8]) {
        match first >> 4 {
            3 => {
                self.received += 1;
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let id = body.get(2 + topic..4 + topic).unwrap_or_default();
                match first >> 1 & 3 {
                    1 => self.tx.extend_from_slice(&[0x40, 2, id[0], id[1]]),
                    2 => self.tx.extend_from_slice(&[0x50, 2, id[0], id[1]]),
                    _ => {}
                }
            }
            5 => self.tx.extend_from_slice(&[0x62, 2, body[0], body[1]]),
            6 => self.tx.extend_from_slice(&[0x70, 2, body[0], body[1]]),
            2 | 4 | 7 | 9 => self.acknowledged += 1,
            _ => {}
        }
    }
}

/// The lengths of the fixed header and of what follows it.
pub(crate) fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (i, byte) in bytes.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((i + 2, len));
        }
    }
    None
}
