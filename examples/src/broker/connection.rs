//! One socket and its buffers.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use mqtt_session::Transmit;
use mqtt_session::broker::{ConnectionId, Outputs};

/// From how many bytes on output is written before more is taken.
const TX_LIMIT: usize = 128 * 1024;

/// Buffers above this size are not kept for the next one who needs one.
const KEPT_SIZE: usize = 256 * 1024;

/// How many empty buffers are kept.
const KEPT_COUNT: usize = 64;

/// Bytes on their way to a socket.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) stream: TcpStream,
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Whether the socket has taken all that it takes for now.
    is_full: bool,
    /// Whether a packet was refused since the last time that all was written.
    refused: bool,
    /// Whether the peer takes nothing any more.
    broken: bool,
}

impl Tx {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            written: 0,
            is_full: false,
            refused: false,
            broken: false,
        }
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self) {
        while !self.is_full && !self.broken && self.written < self.bytes.len() {
            match self.stream.write(self.bytes.get(self.written..).unwrap_or_default()) {
                Ok(0) => self.broken = true,
                Ok(len) => self.written += len,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_full = true,
                    io::ErrorKind::Interrupted => {}
                    _ => self.broken = true,
                },
            }
        }
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
        }
    }

    /// Whether all is written, or never will be.
    pub(super) fn is_empty(&self) -> bool {
        self.written == self.bytes.len() || self.broken
    }

    /// The socket takes more.
    pub(super) fn writable(&mut self) {
        self.is_full = false;
    }
}

impl Transmit for Tx {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.bytes.len() + len > TX_LIMIT {
            self.flush();
            let (done, _) = self.bytes.split_at(self.written);
            let done = done.len();
            self.bytes.drain(..done);
            self.written = 0;
            // A packet that is larger than the limit goes alone.
            if !self.bytes.is_empty() && self.bytes.len() + len > TX_LIMIT {
                self.refused = true;
                return None;
            }
        }
        self.bytes.packet(len)
    }
}

/// A connection that the broker knows.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) tx: Tx,
    /// The beginning of a packet, or what the broker could not take yet.
    pub(super) rx: Vec<u8>,
    /// Whether there may be more to read.
    pub(super) readable: bool,
    /// Whether the peer sends no more, which is told once: behind what it has sent is the end.
    pub(super) read_closed: bool,
    /// Whether the broker waits for room before it takes more.
    pub(super) blocked: bool,
    is_dirty: bool,
    pub(super) is_ready: bool,
}

impl Connection {
    /// Reads once; `None` when the peer sends no more.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self.tx.stream.read(buffer) {
            Ok(0) => None,
            Ok(len) => {
                // A read that does not fill the buffer has emptied the socket; the next byte to come
                // is told. The end is not told again.
                self.readable = len == buffer.len() || self.read_closed;
                Some(len)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    Some(0)
                }
                io::ErrorKind::Interrupted => Some(0),
                _ => None,
            },
        }
    }
}

/// All connections, by the index of their ids.
#[derive(Debug, Default)]
pub(super) struct Connections {
    places: Vec<Option<Box<Connection>>>,
    /// Those that have something to write.
    dirty: Vec<ConnectionId>,
    /// Those that the broker has done with.
    closed: Vec<Connection>,
    /// Buffers that nobody uses.
    buffers: Vec<Vec<u8>>,
    nowhere: Nowhere,
}

/// The buffer of a connection that there is not.
#[derive(Debug, Default)]
struct Nowhere;

impl Transmit for Nowhere {
    fn packet(&mut self, _: usize) -> Option<&mut [u8]> {
        None
    }
}

impl Connections {
    pub(super) fn insert(&mut self, id: ConnectionId, stream: TcpStream) {
        let connection = Connection {
            id,
            tx: Tx::new(stream),
            rx: Vec::new(),
            readable: false,
            read_closed: false,
            blocked: false,
            is_dirty: false,
            is_ready: false,
        };
        if self.places.len() <= id.index() {
            self.places.resize_with(id.index() + 1, || None);
        }
        if let Some(place) = self.places.get_mut(id.index()) {
            *place = Some(Box::new(connection));
        }
    }

    pub(super) fn at(&mut self, index: usize) -> Option<&mut Connection> {
        self.places.get_mut(index)?.as_deref_mut()
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.at(id.index()).filter(|connection| connection.id == id)
    }

    /// The connection is no more.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Connection>> {
        self.places.get_mut(id.index())?.take_if(|connection| connection.id == id)
    }

    /// One of those that the broker has done with.
    pub(super) fn next_closed(&mut self) -> Option<Connection> {
        self.closed.pop()
    }

    /// One of those that have something to write.
    pub(super) fn next_dirty(&mut self) -> Option<ConnectionId> {
        let id = self.dirty.pop()?;
        if let Some(connection) = self.get(id) {
            connection.is_dirty = false;
        }
        Some(id)
    }

    /// Writes what there is for this connection. Whether the broker is to be told that it has room.
    pub(super) fn flush(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.places.get_mut(id.index()).and_then(Option::as_deref_mut)
        else {
            return false;
        };
        let tx = &mut connection.tx;
        tx.flush();
        if !tx.is_empty() {
            return false;
        }
        if tx.bytes.capacity() > 0 {
            let buffer = core::mem::take(&mut tx.bytes);
            if buffer.capacity() <= KEPT_SIZE && self.buffers.len() < KEPT_COUNT {
                self.buffers.push(buffer);
            }
        }
        core::mem::take(&mut tx.refused)
    }
}

impl Outputs for Connections {
    fn transmit(&mut self, id: ConnectionId) -> &mut dyn Transmit {
        let connection = self.places.get_mut(id.index()).and_then(Option::as_deref_mut);
        let Some(connection) = connection.filter(|connection| connection.id == id) else {
            return &mut self.nowhere;
        };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(id);
            if connection.tx.bytes.capacity() == 0 {
                connection.tx.bytes = self.buffers.pop().unwrap_or_default();
                connection.tx.bytes.clear();
            }
        }
        &mut connection.tx
    }

    fn close(&mut self, id: ConnectionId) {
        let removed = self.remove(id);
        self.closed.extend(removed.map(|connection| *connection));
    }
}
