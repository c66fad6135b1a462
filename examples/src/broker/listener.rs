//! Sockets that connections come from.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;

use super::transport::{Peer, Socket};

/// Where to listen, and what is spoken there: MQTT in all its versions, as it is or in something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub place: Place,
    /// Whether in TLS.
    pub tls: bool,
    /// Whether in WebSocket, at the path `/mqtt`.
    pub websocket: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// TCP; port 0 takes any free one.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl Endpoint {
    /// MQTT over TCP as it is.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { place: Place::Tcp(address), tls: false, websocket: false }
    }

    /// Whether only this machine can get there.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match &self.place {
            Place::Tcp(address) => address.ip().is_loopback(),
            Place::Unix(_) => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.tls, self.websocket) {
            (Place::Unix(path), ..) => write!(f, "unix:{}", path.display()),
            (Place::Tcp(address), false, false) => address.fmt(f),
            (Place::Tcp(address), true, false) => write!(f, "mqtts://{address}"),
            (Place::Tcp(address), false, true) => write!(f, "ws://{address}/mqtt"),
            (Place::Tcp(address), true, true) => write!(f, "wss://{address}/mqtt"),
        }
    }
}

/// A socket that connections come from.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Listening,
    pub(super) endpoint: Endpoint,
    /// When to accept, if connections may wait.
    pub(super) accept_at: Option<Instant>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    pub(super) fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        let mut endpoint = endpoint.clone();
        let socket = match &mut endpoint.place {
            Place::Tcp(address) => {
                // With SO_REUSEADDR where that means no more than not to wait for old connections.
                let listener = TcpListener::bind(*address)?;
                *address = listener.local_addr()?;
                #[cfg(target_os = "linux")]
                if address.ip().is_loopback() {
                    do_not_pace(&listener);
                }
                Listening::Tcp(listener)
            }
            Place::Unix(path) => bind_unix(path)?,
        };
        Ok(Self { socket, endpoint, accept_at: None })
    }

    pub(super) fn source(&mut self) -> &mut dyn Source {
        match &mut self.socket {
            Listening::Tcp(listener) => listener,
            #[cfg(unix)]
            Listening::Unix(listener) => listener,
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // Packets are gathered here already; without it they only come later.
                let _ = stream.set_nodelay(true);
                Ok((Socket::Tcp(stream), Peer::Address(address)))
            }
            #[cfg(unix)]
            Listening::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Socket::Unix(stream), Peer::Local))
            }
        }
    }
}

/// What this machine sends to itself crosses no network. What paces it for one, as BBR does where that is the
/// system's choice, costs a timer for each segment. Connections inherit it.
#[cfg(target_os = "linux")]
fn do_not_pace(listener: &TcpListener) {
    // Where there is no Reno it stays as it is.
    let _ = rustix::net::sockopt::set_tcp_congestion(listener, "reno");
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Place::Unix(path) = &self.endpoint.place {
            // Somebody may have taken it away.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A Unix socket that its owner and its group may use. What an earlier broker left there is replaced,
/// if nobody listens on it any more.
#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<Listening> {
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
    if let Ok(data) = std::fs::symlink_metadata(path) {
        if !data.file_type().is_socket() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            // What is renamed to it takes its place.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    // Nobody gets at it before its mode is set: until then it is in a folder of its own.
    let mut hidden = path.to_owned();
    hidden.set_file_name(format!(".{}", std::process::id()));
    // What a process of this number has left that was killed just then.
    let _ = std::fs::remove_dir_all(&hidden);
    std::fs::DirBuilder::new().mode(0o700).create(&hidden)?;
    let bound = bind_in(&hidden, path);
    let removed = std::fs::remove_dir_all(&hidden);
    let listener = bound?;
    removed?;
    Ok(Listening::Unix(listener))
}

#[cfg(unix)]
fn bind_in(hidden: &Path, path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let socket = hidden.join("s");
    let listener = UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660))?;
    std::fs::rename(&socket, path)?;
    Ok(listener)
}

#[cfg(not(unix))]
fn bind_unix(_: &Path) -> io::Result<Listening> {
    Err(io::ErrorKind::Unsupported.into())
}
