//! One socket and its buffers.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use std::io::{self, IoSlice};

use mqtt_session::Transmit;
use mqtt_session::broker::{Cause, ConnectionId, Notice, Outputs};

use super::log::Log;
use super::pages::Pages;
use super::partials::{Partials, Place, SMALL};
use super::transport::{Ended, Peer, Transport};

/// From how many bytes on output is written before more is taken: two messages of 64 KiB still go at
/// once.
const TX_LIMIT: usize = 132 * 1024;

/// Buffers above this size are not kept for the next one who needs one.
const KEPT_SIZE: usize = 256 * 1024;

/// How many empty buffers are kept.
const KEPT_COUNT: usize = 64;

/// Most parts that one system call writes.
const PARTS: usize = 64;

/// Bytes on their way to a socket.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) transport: Transport,
    /// What large shared bytes go by.
    pages: Pages,
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// What goes between them, and is shared with others.
    inserts: VecDeque<Insert>,
    /// How many bytes are still to be written.
    waiting: usize,
    /// Whether the socket has taken all that it takes for now.
    is_full: bool,
    /// Whether nothing is written but by turns.
    is_held: bool,
    /// Whether a packet was refused since the last time that all was written.
    refused: bool,
    /// Whether the peer takes nothing any more.
    broken: bool,
    /// Whether the peer has said all that it will, and it was read.
    pub(super) is_done: bool,
}

/// Shared bytes that are written when so many of the own ones are.
#[derive(Debug)]
struct Insert {
    at: usize,
    shared: Arc<[u8]>,
    start: usize,
}

impl Tx {
    fn new(transport: Transport, pages: Pages, is_held: bool) -> Self {
        Self {
            transport,
            pages,
            is_held,
            bytes: Vec::new(),
            written: 0,
            inserts: VecDeque::new(),
            waiting: 0,
            is_full: false,
            refused: false,
            broken: false,
            is_done: false,
        }
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self) {
        while !self.is_full && !self.is_empty() {
            self.interject();
            let own = self.bytes.get(self.written..).unwrap_or_default();
            let written = if self.waiting == 0 {
                self.transport.write(&[])
            } else if self.inserts.is_empty() {
                self.transport.write(&[IoSlice::new(own)])
            } else if let Some(written) = self.share() {
                written
            } else {
                let mut parts = [IoSlice::new(&[]); PARTS];
                let count = gather(&self.bytes, self.written, &self.inserts, &mut parts);
                self.transport.write(parts.get(..count).unwrap_or_default())
            };
            match written {
                Ok(len) => self.advance(len),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_full = true,
                    io::ErrorKind::Interrupted => {}
                    _ => self.broken = true,
                },
            }
        }
        if self.is_empty() {
            self.bytes.clear();
            self.inserts.clear();
            self.written = 0;
            self.waiting = 0;
        }
    }

    /// Has the socket refer to the first shared bytes, if it may and that is worth it.
    fn share(&self) -> Option<io::Result<usize>> {
        let insert = self.inserts.front()?;
        let head = self.bytes.get(self.written..insert.at).filter(|head| !head.is_empty())?;
        let socket = self.transport.plain()?;
        self.pages.send(socket, head, &insert.shared, insert.start)
    }

    /// So many bytes are written.
    fn advance(&mut self, mut len: usize) {
        self.waiting = self.waiting.saturating_sub(len);
        while let Some(insert) = self.inserts.front_mut() {
            let own = len.min(insert.at - self.written);
            self.written += own;
            len -= own;
            let shared = len.min(insert.shared.len() - insert.start);
            insert.start += shared;
            len -= shared;
            if self.written < insert.at || insert.start < insert.shared.len() {
                return;
            }
            self.inserts.pop_front();
        }
        self.written += len;
    }

    /// Whether there is room for so many bytes, if need be by writing.
    fn make_room(&mut self, len: usize) -> bool {
        if self.waiting + len > TX_LIMIT || self.bytes.len() + len > 2 * TX_LIMIT {
            if !self.is_held {
                self.flush();
            }
            self.forget_written();
            // A packet that is larger than the limit goes alone.
            if self.waiting > 0 && self.waiting + len > TX_LIMIT {
                self.refused = true;
                return false;
            }
        }
        self.waiting += len;
        true
    }

    /// Gives back the room of what is written, of a buffer that is never quite empty.
    fn forget_written(&mut self) {
        self.bytes.drain(..self.written);
        for insert in &mut self.inserts {
            insert.at -= self.written;
        }
        self.written = 0;
    }

    /// Whether all is written, or never will be.
    pub(super) fn is_empty(&self) -> bool {
        self.broken
            || (self.waiting == 0 && !self.transport.has_pending() && !self.transport.has_words())
    }

    /// Whether the peer takes nothing any more.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// The layers below MQTT say what they have to say between two packets.
    pub(super) fn interject(&mut self) {
        if self.transport.has_words() && self.waiting < TX_LIMIT {
            if self.bytes.len() > 2 * TX_LIMIT {
                self.forget_written();
            }
            let before = self.bytes.len();
            self.transport.say(&mut self.bytes);
            self.waiting += self.bytes.len() - before;
        }
    }

    /// As [`Tx::make_room`], and what goes before a packet is there.
    fn begin(&mut self, len: usize) -> bool {
        if !self.make_room(len) {
            return false;
        }
        let before = self.bytes.len();
        self.transport.frame(len, &mut self.bytes);
        self.waiting += self.bytes.len() - before;
        true
    }

    /// The socket takes more.
    pub(super) const fn writable(&mut self) {
        self.is_full = false;
    }
}

/// Gathers what is still to be written; how many parts it is in.
fn gather<'a>(
    bytes: &'a [u8],
    mut at: usize,
    inserts: &'a VecDeque<Insert>,
    parts: &mut [IoSlice<'a>; PARTS],
) -> usize {
    let mut count = 0;
    let mut add = |bytes: &'a [u8]| {
        if let Some(part) = parts.get_mut(count).filter(|_| !bytes.is_empty()) {
            *part = IoSlice::new(bytes);
            count += 1;
        }
        count < PARTS
    };
    for insert in inserts {
        if !add(bytes.get(at..insert.at).unwrap_or_default())
            || !add(insert.shared.get(insert.start..).unwrap_or_default())
        {
            return count;
        }
        at = insert.at;
    }
    add(bytes.get(at..).unwrap_or_default());
    count
}

impl Transmit for Tx {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.begin(len) { self.bytes.packet(len) } else { None }
    }

    fn packet_with(&mut self, head: usize, payload: &[u8]) -> Option<&mut [u8]> {
        if self.begin(head + payload.len()) { self.bytes.packet_with(head, payload) } else { None }
    }

    fn packet_shared(
        &mut self,
        head: usize,
        shared: &Arc<[u8]>,
        start: usize,
    ) -> Option<&mut [u8]> {
        let len = shared.len().checked_sub(start)?;
        if !self.begin(head + len) {
            return None;
        }
        let at = self.bytes.len() + head;
        self.inserts.push_back(Insert { at, shared: Arc::clone(shared), start });
        self.bytes.packet(head)
    }
}

/// A connection that the broker knows.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) peer: Peer,
    pub(super) tx: Tx,
    /// The beginning of a packet, or what the broker could not take yet.
    pub(super) rx: Vec<u8>,
    /// Whether there may be more to read.
    pub(super) readable: bool,
    /// Whether all was read that was there.
    is_drained: bool,
    /// Whether the peer sends no more, which is told once: behind what it has sent is the end.
    pub(super) read_closed: bool,
    /// Whether the broker waits for room, or for its policy, before it takes more.
    pub(super) blocked: bool,
    is_dirty: bool,
    pub(super) is_ready: bool,
    /// Where its `rx` is counted.
    place: Place,
}

impl Connection {
    /// Whether what it holds is, or is to be, counted.
    pub(super) fn is_counted(&self) -> bool {
        self.rx.capacity() > SMALL || self.place.is_some()
    }

    /// Reads once: how many bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Ended> {
        let input = self.tx.transport.read(buffer)?;
        // The end is not told again.
        self.readable = input.more || self.read_closed;
        self.is_drained = !input.more;
        Ok(input.len)
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
    pages: Pages,
    /// Whether nothing is written but by turns.
    is_held: bool,
    pub(super) log: Log,
    pub(super) partials: Partials,
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
    pub(super) fn insert(&mut self, id: ConnectionId, peer: Peer, transport: Transport) {
        let tx = Tx::new(transport, self.pages.clone(), self.is_held);
        let connection = Connection {
            id,
            peer,
            tx,
            rx: Vec::new(),
            readable: false,
            is_drained: false,
            read_closed: false,
            blocked: false,
            is_dirty: false,
            is_ready: false,
            place: None,
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

    /// Counts what this connection holds in `rx`; `is_new`: all of it was read just now.
    pub(super) fn count(&mut self, id: ConnectionId, is_new: bool) {
        let place = self.places.get_mut(id.index()).and_then(Option::as_deref_mut);
        let Some(connection) = place.filter(|connection| connection.id == id) else { return };
        // Bridges are few, and the operator's own.
        if matches!(connection.peer, Peer::Bridge) {
            return;
        }
        // Or a large packet that has passed would go on taking up its room.
        if connection.rx.capacity() / 2 > connection.rx.len().max(SMALL / 2) {
            connection.rx.shrink_to_fit();
        }
        self.partials.set(&mut connection.place, id, connection.rx.capacity(), is_new);
    }

    /// Takes out a connection, with what it holds.
    fn take(&mut self, id: ConnectionId) -> Option<Box<Connection>> {
        let mut connection = self.places.get_mut(id.index())?.take_if(|it| it.id == id)?;
        self.partials.remove(&mut connection.place);
        connection.rx = Vec::new();
        Some(connection)
    }

    /// The connection is no more, but for what is left to say below MQTT.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        let Some(connection) = self.take(id) else { return };
        let transport = &connection.tx.transport;
        if transport.has_words() || transport.has_pending() {
            self.closed.push(*connection);
        }
    }

    /// From now on new connections have nothing written but by [`Connections::flush`].
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Has nothing be sent of what waits for this connection, and closes it; whether there is one.
    pub(super) fn abandon(&mut self, id: ConnectionId) -> bool {
        self.take(id).is_some()
    }

    /// Has nothing be sent to those that the broker has done with.
    pub(super) fn drop_closed(&mut self) {
        self.closed.clear();
    }

    /// A turn of writing is over: what is still to be written to somebody goes by itself.
    pub(super) fn end_turn(&self) {
        self.pages.clear();
    }

    /// There is something to write.
    pub(super) fn set_dirty(&mut self, id: ConnectionId) {
        let Some(connection) = self.places.get_mut(id.index()).and_then(Option::as_deref_mut)
        else {
            return;
        };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(id);
        }
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
        let removed = self.take(id);
        self.closed.extend(removed.map(|connection| *connection));
    }

    fn notice(&mut self, id: ConnectionId, notice: &Notice<'_>) {
        let connection = self.at(id.index());
        let peer = connection.as_ref().map(|connection| connection.peer);
        if let (Some(connection), Notice::Ended { cause: Cause::Client(_), .. }) =
            (connection, notice)
        {
            connection.tx.is_done = connection.is_drained;
        }
        self.log.notice(peer, notice);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use alloc::sync::Arc;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;

    use mio::net::{TcpStream, UnixStream};
    use mqtt_session::Transmit;

    use super::super::transport::{Socket, Transport};
    use super::{Pages, TX_LIMIT, Tx};

    /// A client that reads what an output writes.
    struct Reader {
        tx: Tx,
        peer: Socket,
        expected: Vec<u8>,
        received: Vec<u8>,
    }

    impl Reader {
        fn new(socket: Socket, peer: Socket, pages: &Pages) -> Self {
            let tx = Tx::new(Transport::new(socket, None, false), pages.clone(), false);
            Self { tx, peer, expected: Vec::new(), received: Vec::new() }
        }

        fn tcp(pages: &Pages) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            Self::new(Socket::Tcp(TcpStream::from_std(socket)), Socket::Tcp(peer), pages)
        }

        fn unix(pages: &Pages) -> Self {
            let (socket, peer) = UnixStream::pair().unwrap();
            Self::new(Socket::Unix(socket), Socket::Unix(peer), pages)
        }

        /// Whether there was room for it.
        fn give(&mut self, head: u8, shared: &Arc<[u8]>, start: usize) -> bool {
            let Some(room) = self.tx.packet_shared(2, shared, start) else { return false };
            room.copy_from_slice(&[0x30, head]);
            self.expected.extend_from_slice(&[0x30, head]);
            self.expected.extend_from_slice(&shared[start..]);
            true
        }

        fn read(&mut self) {
            let mut buffer = [0; 30_000];
            loop {
                match self.peer.read(&mut buffer) {
                    Ok(len) => self.received.extend_from_slice(&buffer[..len]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            self.tx.writable();
            self.tx.flush();
        }

        fn read_all(&mut self) {
            for _ in 0..100_000 {
                if self.received.len() >= self.expected.len() {
                    break;
                }
                self.read();
            }
            assert!(self.received == self.expected);
            assert!(self.tx.is_empty());
        }
    }

    #[test]
    fn a_large_message_for_many_arrives_whole_at_all_of_them_however_late_they_read() {
        let pages = Pages::default();
        let tcp = (0..4).map(|_| Reader::tcp(&pages));
        let mut readers: Vec<Reader> = tcp.chain((0..4).map(|_| Reader::unix(&pages))).collect();
        let mut refused = 0;
        for n in 0..300_u32 {
            let len = 40_000 + 101 * n;
            let shared: Arc<[u8]> = (0..len).map(|i| ((i / 256) ^ i ^ n) as u8).collect();
            for (index, reader) in readers.iter_mut().enumerate() {
                // Some of them have properties before it that the others do not know.
                refused += usize::from(!reader.give(n as u8, &shared, index % 2 * 7));
            }
            for (index, reader) in readers.iter_mut().enumerate() {
                reader.tx.flush();
                // One of each kind only reads at the end.
                if index % 4 != 0 {
                    reader.read();
                }
            }
            if n % 3 == 0 {
                pages.clear();
            }
        }
        assert!(refused > 0);
        readers.iter_mut().for_each(Reader::read_all);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_what_is_large_and_for_many_is_held_in_pages_and_only_for_a_turn() {
        for (len, count, is_held) in [(20_000, 4, true), (20_000, 1, false), (200, 4, false)] {
            let pages = Pages::default();
            let mut readers: Vec<Reader> = (0..count).map(|_| Reader::tcp(&pages)).collect();
            let shared: Arc<[u8]> = vec![7; len].into();
            for reader in &mut readers {
                assert!(reader.give(1, &shared, 0));
            }
            readers.iter_mut().for_each(|reader| reader.tx.flush());
            assert_eq!(Arc::strong_count(&shared), 1 + usize::from(is_held));
            pages.clear();
            assert_eq!(Arc::strong_count(&shared), 1);
            readers.iter_mut().for_each(Reader::read_all);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_too_long_for_pages_is_written() {
        let pages = Pages::default();
        let mut readers: Vec<Reader> = (0..4).map(|_| Reader::tcp(&pages)).collect();
        let shared: Arc<[u8]> = vec![7; 3_000_000].into();
        for reader in &mut readers {
            assert!(reader.give(1, &shared, 0));
        }
        readers.iter_mut().for_each(Reader::read_all);
    }

    #[test]
    fn who_pings_as_fast_as_it_reads_gathers_no_answers() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut tx =
            Tx::new(Transport::new(Socket::Unix(socket), None, true), Pages::default(), false);
        let mut buffer = [0; 1024];
        peer.write_all(
            b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Protocol: mqtt\r\n\r\n",
        )
        .unwrap();
        tx.transport.read(&mut buffer).unwrap();
        tx.interject();
        let mut ping = [0; 6 + 125];
        ping[..2].copy_from_slice(&[0x89, 0x80 | 125]);
        for _ in 0..10_000 {
            peer.write_all(&ping).unwrap();
            tx.transport.read(&mut buffer).unwrap();
            tx.interject();
            // The socket takes a PONG, but never all that there is.
            tx.advance(2 + 125);
            assert!(tx.waiting > 0 && tx.bytes.len() <= 3 * TX_LIMIT, "{}", tx.bytes.len());
        }
    }
}
