//! Bytes on a socket, for what no client would send, and for what none would show.

use core::net::SocketAddr;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::{PATIENCE, Version};

/// A connection without a protocol.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    version: Version,
}

/// What a CONNECT says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    /// Without it, the session is kept for 300 seconds where the version lets a client choose.
    pub(crate) clean: bool,
    /// In seconds; 0 is none.
    pub(crate) keep_alive: u8,
    /// As they are on the wire, in 5.0.
    pub(crate) properties: &'a [u8],
}

impl<'a> Connect<'a> {
    /// A clean session and no keep-alive.
    pub(crate) fn new(version: Version, client_id: &'a str) -> Self {
        Self { version, client_id, clean: true, keep_alive: 0, properties: &[] }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = b"\x00\x04MQTT".to_vec();
        body.extend([self.version.level(), u8::from(self.clean) << 1, 0, self.keep_alive]);
        if self.version == Version::V5 {
            let expiry: &[u8] = if self.clean { &[] } else { &[0x11, 0, 0, 1, 44] };
            let properties = [expiry, self.properties].concat();
            body.push(u8::try_from(properties.len()).expect("few properties"));
            body.extend(properties);
        }
        string(&mut body, self.client_id);
        packet(0x10, &body)
    }
}

/// A PUBLISH that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    /// 0 with QoS 0.
    pub(crate) id: u16,
    pub(crate) topic: String,
    pub(crate) payload: String,
}

impl Raw {
    /// Opens the connection and sends nothing.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, version: Version::V311 }
    }

    /// Opens it, sends a CONNECT and expects a CONNACK that accepts; its Session Present flag.
    pub(crate) fn connect(address: SocketAddr, connect: Connect<'_>) -> (Self, bool) {
        let mut raw = Self::open(address);
        raw.version = connect.version;
        raw.send(&connect.bytes());
        let answer = raw.packet().expect("a CONNACK");
        assert_eq!((answer[0], answer[3]), (0x20, 0), "CONNACK, accepted: {answer:02x?}");
        (raw, answer[2] == 1)
    }

    /// The same with a clean session and no keep-alive.
    pub(crate) fn connected(address: SocketAddr, version: Version, client_id: &str) -> Self {
        Self::connect(address, Connect::new(version, client_id)).0
    }

    /// Subscribes to one filter and waits for the SUBACK.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 1];
        self.no_properties(&mut body);
        string(&mut body, filter);
        body.push(qos);
        self.send(&packet(0x82, &body));
        let answer = self.packet().expect("a SUBACK");
        assert_eq!((answer[0], answer.last()), (0x90, Some(&qos)), "{answer:02x?}");
    }

    /// Sends a PUBLISH and waits for nothing.
    pub(crate) fn publish(&mut self, publish: &Publish) {
        let mut body = Vec::new();
        string(&mut body, &publish.topic);
        if publish.qos > 0 {
            body.extend(publish.id.to_be_bytes());
        }
        self.no_properties(&mut body);
        body.extend(publish.payload.as_bytes());
        self.send(&packet(0x30 | u8::from(publish.dup) << 3 | publish.qos << 1, &body));
    }

    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP, told by its first byte.
    pub(crate) fn acknowledge(&mut self, first: u8, id: u16) {
        self.send(&packet(first, &id.to_be_bytes()));
    }

    /// Expects such an acknowledgement, with success, as the next packet.
    pub(crate) fn acknowledged(&mut self, first: u8, id: u16) {
        let answer = self.packet().expect("an acknowledgement");
        assert_eq!((answer[0], &answer[2..4]), (first, &id.to_be_bytes()[..]), "{answer:02x?}");
        assert!(answer.get(4).is_none_or(|reason| *reason < 0x80), "{answer:02x?}");
    }

    /// Expects a PUBLISH as the next packet.
    pub(crate) fn published(&mut self) -> Publish {
        let answer = self.packet().expect("a PUBLISH");
        assert_eq!(answer[0] >> 4, 3, "a PUBLISH, not {answer:02x?}");
        let number = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let qos = answer[0] >> 1 & 3;
        let mut at = 4 + usize::from(number(2));
        let topic = text(&answer[4..at]);
        let mut id = 0;
        if qos > 0 {
            id = number(at);
            at += 2;
        }
        if self.version == Version::V5 {
            at += 1 + usize::from(answer[at]); // properties, of less than 128 bytes
        }
        Publish { dup: answer[0] & 8 != 0, qos, id, topic, payload: text(&answer[at..]) }
    }

    /// Sends `bytes` as they are. A connection that is closed already is no error: what the
    /// broker says of it is read by the caller.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(closed.contains(&error.kind()), "{error}");
        }
    }

    /// The next packet, whole, of at most 127 bytes after its Remaining Length; `None` when the
    /// broker has closed the connection.
    ///
    /// # Panics
    ///
    /// When nothing happens, or the connection ends within a packet.
    pub(crate) fn packet(&mut self) -> Option<Vec<u8>> {
        let first = self.byte()?;
        let length = self.byte().expect("a whole packet");
        assert!(length < 0x80, "a packet longer than any that is expected here");
        let mut packet = vec![0; 2 + usize::from(length)];
        packet[..2].copy_from_slice(&[first, length]);
        self.stream.read_exact(&mut packet[2..]).expect("a whole packet");
        Some(packet)
    }

    /// Waits until the broker closes the connection; the last packet that came before.
    pub(crate) fn until_closed(&mut self) -> Option<Vec<u8>> {
        core::iter::from_fn(|| self.packet()).last()
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => None,
            Ok(_) => Some(byte[0]),
            // What it had not read yet makes a close a reset.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("neither a packet nor a close: {error}"),
        }
    }

    fn no_properties(&self, body: &mut Vec<u8>) {
        if self.version == Version::V5 {
            body.push(0);
        }
    }
}

/// A length and then the bytes of `text`.
fn string(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).expect("a short string").to_be_bytes());
    body.extend(text.as_bytes());
}

/// A packet with a correct Remaining Length, of a body below 128 bytes.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 0x80);
    let mut packet = vec![first, length.expect("a short body")];
    packet.extend(body);
    packet
}
