//! What goes the way of a broker's messages without checking anything: it reads, finds who has
//! subscribed, gives out identifiers, and writes once per connection and turn.
//!
//! It knows no versions, no bounds, no retained messages, and of wildcards only that what stands before the
//! first one is compared. What it costs is what system calls and copying cost.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::load::{header, packet};
#[cfg(target_os = "linux")]
use crate::pages::Pages;

/// The first argument of the program that is this.
pub(crate) const ARGUMENT: &str = "limit-server";

/// From how many bytes on a message is written from where it was read.
const LARGE: usize = 8192;

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    rx: Vec<u8>,
    tx: Vec<u8>,
    is_dirty: bool,
    next_id: u16,
}

#[derive(Default)]
struct Relay {
    connections: Vec<Option<Connection>>,
    /// By topic: connections and the QoS they have asked for.
    exact: HashMap<Vec<u8>, Vec<(usize, u8)>>,
    prefixes: Vec<(Vec<u8>, usize, u8)>,
    dirty: Vec<usize>,
    #[cfg(target_os = "linux")]
    pages: Option<Pages>,
}

/// Serves until it is killed.
pub(crate) fn run(address: SocketAddr) {
    let mut poll = Poll::new().expect("a poll");
    let mut listener = TcpListener::bind(address).expect("an address");
    // What is on its way to this machine itself needs no timer for each segment.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_congestion(&listener, "reno");
    let registry = poll.registry().try_clone().expect("a registry");
    registry.register(&mut listener, LISTENER, Interest::READABLE).expect("a registration");
    let mut events = Events::with_capacity(1024);
    let mut relay = Relay::default();
    #[cfg(target_os = "linux")]
    {
        relay.pages = Pages::new();
    }
    let mut buffer = vec![0; 128 * 1024];
    loop {
        poll.poll(&mut events, None).expect("events");
        let mut again: Vec<usize> = Vec::new();
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let _ = stream.set_nodelay(true);
                    let token = Token(relay.connections.len());
                    let both = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, token, both).expect("a registration");
                    let (rx, tx) = (Vec::new(), Vec::new());
                    let connection = Connection { stream, rx, tx, is_dirty: false, next_id: 1 };
                    relay.connections.push(Some(connection));
                }
                continue;
            }
            let Token(index) = event.token();
            if event.is_writable() {
                relay.set_dirty(index);
            }
            if event.is_readable() {
                again.push(index);
            }
        }
        while !again.is_empty() {
            again.retain(|index| relay.read(*index, &mut buffer));
            relay.flush();
        }
        relay.flush();
    }
}

impl Relay {
    /// Reads once; whether there is more.
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> bool {
        let Some(connection) = &mut self.connections[index] else { return false };
        let len = match connection.stream.read(buffer) {
            Ok(len) if len > 0 => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            _ => {
                self.connections[index] = None;
                return false;
            }
        };
        let mut earlier = core::mem::take(&mut connection.rx);
        let mut rest = &buffer[..len];
        if !earlier.is_empty() {
            earlier.extend_from_slice(rest);
            rest = &earlier;
        }
        while let Some((head, body)) = header(rest).filter(|(head, body)| rest.len() >= head + body)
        {
            let (this, behind) = rest.split_at(alike(rest, head, head + body));
            self.packet(index, this, head);
            rest = behind;
        }
        if let Some(connection) = &mut self.connections[index] {
            connection.rx = rest.to_vec();
        }
        len == buffer.len()
    }

    fn packet(&mut self, index: usize, packet: &[u8], head: usize) {
        let body = &packet[head..];
        match packet[0] >> 4 {
            1 => self.answer(index, &[0x20, 2, 0, 0]),
            3 => self.publish(index, packet, body),
            5 => self.answer(index, &[0x62, 2, body[0], body[1]]),
            6 => self.answer(index, &[0x70, 2, body[0], body[1]]),
            8 => self.subscribe(index, body),
            14 => self.connections[index] = None,
            _ => {}
        }
    }

    fn subscribe(&mut self, index: usize, body: &[u8]) {
        let mut rest = &body[2..];
        let mut granted = Vec::new();
        while let [high, low, behind @ ..] = rest {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (filter, qos) = (&behind[..len], behind[len]);
            match filter.iter().position(|byte| matches!(byte, b'+' | b'#')) {
                Some(end) => self.prefixes.push((filter[..end].to_vec(), index, qos)),
                None => self.exact.entry(filter.to_vec()).or_default().push((index, qos)),
            }
            granted.push(qos);
            rest = &behind[len + 1..];
        }
        let suback = packet(0x90, &[&body[..2], &granted]);
        self.answer(index, &suback);
    }

    fn publish(&mut self, from: usize, packet: &[u8], body: &[u8]) {
        let qos = packet[0] >> 1 & 3;
        let len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = &body[2..2 + len];
        let id_at = packet.len() - body.len() + 2 + len;
        let exact = self.exact.get(topic).map_or(&[][..], |list| list);
        #[cfg(target_os = "linux")]
        if let Some(pages) = self.pages.as_ref().filter(|_| packet.len() >= LARGE && qos == 0) {
            if exact.len() > 1 && self.prefixes.is_empty() && pages.take(packet) {
                for (to, _) in exact {
                    let write = |stream: &TcpStream| pages.send(stream, packet.len());
                    send_large(&mut self.connections[*to], &mut self.dirty, *to, packet, write);
                }
                return pages.clear(packet.len());
            }
        }
        for (to, _) in exact {
            send(&mut self.connections[*to], &mut self.dirty, *to, packet, qos, id_at);
        }
        for (prefix, to, _) in &self.prefixes {
            if topic.starts_with(prefix) {
                send(&mut self.connections[*to], &mut self.dirty, *to, packet, qos, id_at);
            }
        }
        match qos {
            1 => self.answer(from, &[0x40, 2, packet[id_at], packet[id_at + 1]]),
            2 => self.answer(from, &[0x50, 2, packet[id_at], packet[id_at + 1]]),
            _ => {}
        }
    }

    fn answer(&mut self, index: usize, bytes: &[u8]) {
        if let Some(connection) = &mut self.connections[index] {
            connection.tx.extend_from_slice(bytes);
        }
        self.set_dirty(index);
    }

    fn set_dirty(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].as_mut().filter(|c| !c.is_dirty) {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }

    fn flush(&mut self) {
        while let Some(index) = self.dirty.pop() {
            if let Some(connection) = &mut self.connections[index] {
                connection.is_dirty = false;
                connection.flush();
            }
        }
    }
}

/// How many bytes there are of packets that go where this one goes and need no change: large ones of QoS 0
/// that are alike up to their topic.
fn alike(bytes: &[u8], head: usize, len: usize) -> usize {
    if len < LARGE || bytes[0] != 0x30 {
        return len;
    }
    let topic = usize::from(u16::from_be_bytes([bytes[head], bytes[head + 1]]));
    let is_alike =
        |at: usize| bytes.len() >= at + len && bytes[at..].starts_with(&bytes[..head + 2 + topic]);
    (len..).step_by(len).find(|at| !is_alike(*at)).unwrap_or(len)
}

fn send(
    to: &mut Option<Connection>,
    dirty: &mut Vec<usize>,
    index: usize,
    packet: &[u8],
    qos: u8,
    id_at: usize,
) {
    if packet.len() >= LARGE && qos == 0 {
        let write = |mut stream: &TcpStream| stream.write(packet).unwrap_or(0);
        return send_large(to, dirty, index, packet, write);
    }
    let Some(connection) = to else { return };
    let start = connection.tx.len();
    connection.tx.extend_from_slice(packet);
    if qos > 0 {
        let id = connection.next_id.to_be_bytes();
        connection.tx[start + id_at..start + id_at + 2].copy_from_slice(&id);
        connection.next_id = connection.next_id.checked_add(1).unwrap_or(1);
    }
    connection.has_more(dirty, index);
}

/// Writes from where it was read, if nothing is before it.
fn send_large(
    to: &mut Option<Connection>,
    dirty: &mut Vec<usize>,
    index: usize,
    packet: &[u8],
    write: impl FnOnce(&TcpStream) -> usize,
) {
    let Some(connection) = to else { return };
    let written = if connection.tx.is_empty() { write(&connection.stream) } else { 0 };
    connection.tx.extend_from_slice(&packet[written..]);
    connection.has_more(dirty, index);
}

impl Connection {
    fn has_more(&mut self, dirty: &mut Vec<usize>, index: usize) {
        if !self.is_dirty && !self.tx.is_empty() {
            self.is_dirty = true;
            dirty.push(index);
        }
    }

    fn flush(&mut self) {
        let mut written = 0;
        while written < self.tx.len() {
            match self.stream.write(&self.tx[written..]) {
                Ok(len) => written += len,
                // When it takes more, that is told.
                Err(_) => break,
            }
        }
        self.tx.drain(..written);
    }
}
