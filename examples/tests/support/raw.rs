//! Bytes on a socket, for what no client would send.

use core::net::SocketAddr;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::{PATIENCE, Version};

/// A connection without a protocol.
#[derive(Debug)]
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Opens the connection and sends nothing.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Self(stream)
    }

    /// Opens it and sends a CONNECT with a clean session and no keep-alive; the CONNACK is read.
    pub(crate) fn connected(address: SocketAddr, version: Version, client_id: &str) -> Self {
        let mut raw = Self::open(address);
        raw.send(&connect(version, client_id));
        let answer = raw.packet().expect("a CONNACK");
        assert_eq!((answer[0], answer[3]), (0x20, 0), "CONNACK, accepted: {answer:02x?}");
        raw
    }

    /// Sends `bytes` as they are. A connection that is closed already is no error: what the
    /// broker says of it is read by the caller.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.0.write_all(bytes) {
            let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(closed.contains(&error.kind()), "{error}");
        }
    }

    /// The next packet, whole; `None` when the broker has closed the connection.
    ///
    /// # Panics
    ///
    /// When nothing happens, or the connection ends within a packet.
    pub(crate) fn packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![self.byte()?];
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte().expect("a whole packet");
            packet.push(byte);
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let start = packet.len();
        packet.resize(start + length, 0);
        self.0.read_exact(&mut packet[start..]).expect("a whole packet");
        Some(packet)
    }

    /// Waits until the broker closes the connection; the last packet that came before.
    pub(crate) fn until_closed(&mut self) -> Option<Vec<u8>> {
        core::iter::from_fn(|| self.packet()).last()
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.0.read(&mut byte) {
            Ok(0) => None,
            Ok(_) => Some(byte[0]),
            // What it had not read yet makes a close a reset.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("neither a packet nor a close: {error}"),
        }
    }
}

/// A CONNECT with a clean session and no keep-alive.
pub(crate) fn connect(version: Version, client_id: &str) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT".to_vec();
    body.extend([version.level(), 0x02, 0, 0]);
    if version == Version::V5 {
        body.push(0); // no properties
    }
    let length = u16::try_from(client_id.len()).expect("a short client identifier");
    body.extend(length.to_be_bytes());
    body.extend(client_id.as_bytes());
    packet(0x10, &body)
}

/// A packet with a correct Remaining Length, of a body below 128 bytes.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 0x80);
    let mut packet = vec![first, length.expect("a short body")];
    packet.extend(body);
    packet
}
