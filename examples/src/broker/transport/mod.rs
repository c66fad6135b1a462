//! What lies between a socket and MQTT: nothing, TLS, WebSocket, or one in the other.
//!
//! Whatever it is, bytes are read into one buffer and decoded in place, and what is written is
//! gathered from where it lies.

mod asking;
mod pipe;
mod socket;
mod tls;
mod upgrade;
mod websocket;

use alloc::sync::Arc;
use core::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;

pub(super) use pipe::{Pipe, Remote, Served};
pub(super) use socket::{Peer, Socket};
pub use tls::TlsFiles;
pub(super) use tls::{Tls, certificates, in_file};
use websocket::WebSocket;

/// A connection as far as it is not MQTT.
#[derive(Debug)]
pub(super) struct Transport {
    wire: Wire,
    tls: Option<Box<Tls>>,
    websocket: Option<Box<WebSocket>>,
}

/// Where a connection goes to.
#[derive(Debug)]
enum Wire {
    Socket(Socket),
    /// To a thread that has the socket and its TLS.
    Remote(Remote),
}

/// What was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    /// So many bytes of MQTT.
    pub(super) len: usize,
    /// Whether there may be more at once.
    pub(super) more: bool,
}

/// Why there will be no more to read.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer has said all.
    Closed,
    /// The socket is broken.
    Io(io::Error),
    /// What came is not TLS as it should be.
    Tls(rustls::Error),
    /// What came is not WebSocket as it should be.
    WebSocket(&'static str),
    /// An HTTP request that is not answered with a WebSocket.
    Refused(u16),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the peer"),
            Self::Io(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::WebSocket(what) => write!(f, "WebSocket: {what}"),
            Self::Refused(status) => write!(f, "HTTP request refused with {status}"),
        }
    }
}

impl Transport {
    pub(super) fn new(socket: Socket, tls: Option<Box<Tls>>, websocket: bool) -> Self {
        let wire = Wire::Socket(socket);
        Self { wire, tls, websocket: websocket.then(Default::default) }
    }

    /// A connection whose socket and TLS are another thread's.
    pub(super) fn remote(remote: Remote, websocket: bool) -> Self {
        let wire = Wire::Remote(remote);
        Self { wire, tls: None, websocket: websocket.then(Default::default) }
    }

    /// A connection to a server of WebSockets: for this path of this host.
    pub(super) fn asking(socket: Socket, tls: Option<Box<Tls>>, host: &str, path: &str) -> Self {
        let wire = Wire::Socket(socket);
        Self { wire, tls, websocket: Some(Box::new(WebSocket::to(host, path))) }
    }

    /// Lets pages of these origins ask for a WebSocket and no others; `None`: all.
    pub(super) fn restrict(&mut self, origins: Option<&Arc<[String]>>) {
        if let Some(websocket) = &mut self.websocket {
            websocket.origins = origins.cloned();
        }
    }

    /// The socket, to be watched, if it is one of this thread.
    pub(super) fn source(&mut self) -> Option<&mut impl Source> {
        match &mut self.wire {
            Wire::Socket(socket) => Some(socket),
            Wire::Remote(_) => None,
        }
    }

    /// Reads at most once what the socket has, as much as the buffer holds.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Input, Ended> {
        let mut input = match (&mut self.wire, &mut self.tls) {
            (Wire::Socket(socket), None) => read_plain(socket, buffer)?,
            (Wire::Socket(socket), Some(tls)) => tls.read(socket, buffer)?,
            (Wire::Remote(remote), _) => remote.read(buffer)?,
        };
        if let Some(websocket) = &mut self.websocket {
            let (len, ended) = websocket.decode(buffer.get_mut(..input.len).unwrap_or_default())?;
            // The end is told when all before it is taken.
            input = Input { len, more: input.more || ended };
        }
        Ok(input)
    }

    /// The name that a client's certificate has, once, as soon as it is known.
    pub(super) fn identity(&mut self) -> Option<String> {
        match &mut self.wire {
            Wire::Socket(_) => self.tls.as_mut()?.identity(),
            Wire::Remote(remote) => remote.identity(),
        }
    }

    /// What goes before a packet of so many bytes.
    pub(super) fn frame(&self, len: usize, tx: &mut Vec<u8>) {
        if self.websocket.is_some() {
            WebSocket::frame(len, tx);
        }
    }

    /// Puts the packets that are at the end, behind so many bytes, into frames, if frames there are; and before
    /// them what the layers below have to say. How many bytes are ready to be written then.
    pub(super) fn wrap(&mut self, tx: &mut Vec<u8>, ready: usize) -> usize {
        let Some(websocket) = &mut self.websocket else { return tx.len() };
        if ready == tx.len() && !websocket.has_words() {
            return ready;
        }
        let packets = tx.split_off(ready.min(tx.len()));
        websocket.say(tx);
        if websocket.is_open() {
            websocket.put_packets(&packets, tx);
            return tx.len();
        }
        let ready = tx.len();
        tx.extend_from_slice(&packets);
        ready
    }

    /// Whether the layers below have something to say, between two packets.
    pub(super) fn has_words(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.has_words())
    }

    /// Says it.
    pub(super) fn say(&mut self, tx: &mut Vec<u8>) {
        if let Some(websocket) = &mut self.websocket {
            websocket.say(tx);
        }
    }

    /// Writes some of these parts, and what was taken before. `Ok(0)`: only of that.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = match &mut self.wire {
            Wire::Socket(socket) => socket,
            Wire::Remote(remote) => return remote.write(parts),
        };
        if let Some(tls) = &mut self.tls {
            return tls.write(socket, parts);
        }
        let len = match parts {
            [] => return Ok(0),
            [one] => socket.write(one)?,
            _ => socket.write_vectored(parts)?,
        };
        if len == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(len) }
    }

    /// The socket, if there is nothing between MQTT and it.
    pub(super) const fn plain(&self) -> Option<&Socket> {
        match &self.wire {
            Wire::Socket(socket) if self.is_plain() => Some(socket),
            _ => None,
        }
    }

    /// Whether there is nothing between MQTT and the socket.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.wire, Wire::Socket(_)) && self.tls.is_none() && self.websocket.is_none()
    }

    /// Whether something that was taken is not written yet.
    pub(super) fn has_pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_pending())
    }

    /// Nothing more will be written but what waits now.
    pub(super) const fn hurry(&mut self) {
        if let Wire::Remote(remote) = &mut self.wire {
            remote.hurry();
        }
    }

    /// The layers have their last words: to be called until it returns `false`, each time when all is
    /// written.
    pub(super) fn say_goodbye(&mut self) -> bool {
        // Nothing of WebSocket may come behind the last of TLS.
        self.websocket.as_mut().is_some_and(|websocket| websocket.close())
            || self.tls.as_mut().is_some_and(|tls| tls.close())
    }

    /// Writes no more.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        match &self.wire {
            Wire::Socket(socket) => socket.shutdown(Shutdown::Write),
            Wire::Remote(remote) => {
                remote.finish();
                Ok(())
            }
        }
    }

    /// Reads from the socket what nobody wants; the other thread does that itself.
    pub(super) fn discard(&mut self, sink: &mut [u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Socket(socket) => socket.read(sink),
            Wire::Remote(_) => Ok(0),
        }
    }
}

fn read_plain(socket: &mut Socket, buffer: &mut [u8]) -> Result<Input, Ended> {
    match socket.read(buffer) {
        Ok(0) => Err(Ended::Closed),
        // A read that does not fill the buffer has emptied the socket; the next byte to come is told.
        Ok(len) => Ok(Input { len, more: len == buffer.len() }),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(Input { len: 0, more: false }),
            io::ErrorKind::Interrupted => Ok(Input { len: 0, more: true }),
            _ => Err(Ended::Io(error)),
        },
    }
}
