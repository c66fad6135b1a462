//! Proxies on the way to the server: HTTP CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, with
//! user and password of RFC 1929). Names of servers are left to the proxy to look up.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use std::io;

use data_encoding::BASE64;
use futures::{AsyncReadExt, AsyncWriteExt};

use crate::server::Authority;
use crate::{Server, Transport, UrlError};

/// How many bytes a proxy's answer may have.
const MAX_ANSWER: usize = 16 * 1024;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyKind {
    /// `http://`: CONNECT, by default port 80.
    Http,
    /// `socks5://` or `socks5h://`: SOCKS5, by default port 1080.
    Socks5,
}

/// A proxy: [`Options::proxy`](crate::Options::proxy).
///
/// ```
/// use mqtt_client::{Options, Proxy};
/// let mut options = Options::from_url("mqtts://broker.example")?;
/// options.proxy = Some("socks5://user:secret@gate.example".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User and password, if it wants them: for SOCKS5 each of 1 to 255 bytes, for HTTP the user
    /// without a colon.
    pub credentials: Option<(String, String)>,
}

/// Without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, host, port, .. } = self;
        write!(f, "Proxy({kind:?}, {host}, {port})")
    }
}

impl core::str::FromStr for Proxy {
    type Err = UrlError;

    /// Reads `http://` or `socks5://`, and `[USER[:PASSWORD]@]HOST[:PORT]`.
    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let (kind, port) = match scheme {
            "http" => (ProxyKind::Http, 80),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let Authority { user_name, password, host, port } = Authority::parse(rest, port)?;
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let password = String::from_utf8(password.unwrap_or_default());
        let password = password.map_err(|_| UrlError::Escape)?;
        Ok(Self { kind, host, port, credentials: user_name.map(|user| (user, password)) })
    }
}

impl Proxy {
    /// Where it is.
    pub(crate) fn server(&self) -> Server {
        Server::tcp(&self.host, self.port)
    }

    /// Asks for a connection to this host and port, over one to the proxy.
    pub(crate) async fn tunnel(
        &self,
        mut transport: Transport,
        host: &str,
        port: u16,
    ) -> io::Result<Transport> {
        match self.kind {
            ProxyKind::Http => self.connect(&mut transport, host, port).await?,
            ProxyKind::Socks5 => self.socks5(&mut transport, host, port).await?,
        }
        Ok(transport)
    }

    async fn connect(&self, transport: &mut Transport, host: &str, port: u16) -> io::Result<()> {
        // Nothing in a URL may end a line of the request, and begin another.
        if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("the host's name cannot be said to the proxy"));
        }
        let target = match host.contains(':') {
            true => alloc::format!("[{host}]:{port}"),
            false => alloc::format!("{host}:{port}"),
        };
        let mut request = alloc::format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some((user, password)) = &self.credentials {
            if user.contains(':') {
                return Err(invalid("the user of an HTTP proxy has no colon"));
            }
            let credentials = BASE64.encode(alloc::format!("{user}:{password}").as_bytes());
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&credentials);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        send(transport, request.as_bytes()).await?;

        let mut head = Vec::new();
        // What follows the head is the server's, so it is read to its end and no further.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == MAX_ANSWER {
                return Err(broken("its answer is too long"));
            }
            let [byte] = read(transport).await?;
            head.push(byte);
        }
        let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| match rest {
            [b'0' | b'1', b' ', digits @ ..] => digits.get(..3),
            _ => None,
        });
        match status {
            Some([b'2', ..]) => Ok(()),
            Some(status) => {
                let kind = match status {
                    b"401" | b"403" | b"407" => io::ErrorKind::PermissionDenied,
                    _ => io::ErrorKind::ConnectionRefused,
                };
                let status = String::from_utf8_lossy(status);
                Err(io::Error::new(kind, alloc::format!("the proxy answers {status}")))
            }
            None => Err(broken("it does not speak HTTP/1")),
        }
    }

    async fn socks5(&self, transport: &mut Transport, host: &str, port: u16) -> io::Result<()> {
        let greeting: &[u8] = if self.credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        send(transport, greeting).await?;
        match (read(transport).await?, &self.credentials) {
            ([5, 0], _) => {}
            ([5, 2], Some((user, password))) => {
                let mut request = alloc::vec![1];
                counted(&mut request, user)?;
                counted(&mut request, password)?;
                send(transport, &request).await?;
                match read(transport).await? {
                    [1, 0] => {}
                    [1, _] => return Err(denied("the proxy refuses user and password")),
                    _ => return Err(broken("it does not speak SOCKS5")),
                }
            }
            ([5, 0xFF], _) => return Err(denied("the proxy wants another authentication")),
            _ => return Err(broken("it does not speak SOCKS5")),
        }
        let mut request = alloc::vec![5, 1, 0];
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(1);
                request.extend(address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(4);
                request.extend(address.octets());
            }
            Err(_) => {
                request.push(3);
                counted(&mut request, host)?;
            }
        }
        request.extend(port.to_be_bytes());
        send(transport, &request).await?;
        let [5, reply, 0, kind] = read(transport).await? else {
            return Err(broken("it does not speak SOCKS5"));
        };
        if reply != 0 {
            let kind = match reply {
                2 => io::ErrorKind::PermissionDenied,
                3 => io::ErrorKind::NetworkUnreachable,
                4 => io::ErrorKind::HostUnreachable,
                _ => io::ErrorKind::ConnectionRefused,
            };
            return Err(io::Error::new(kind, alloc::format!("the proxy answers {reply}")));
        }
        // The address that the proxy uses for it, which is of no use here, and a port.
        let len = match kind {
            1 => 4,
            4 => 16,
            3 => usize::from(read::<1>(transport).await?[0]),
            _ => return Err(broken("it does not speak SOCKS5")),
        };
        for _ in 0..len + 2 {
            read::<1>(transport).await?;
        }
        Ok(())
    }
}

/// Adds a text behind a byte that says how long it is.
fn counted(request: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let len = u8::try_from(text.len()).ok().filter(|len| *len > 0);
    request.push(len.ok_or_else(|| invalid("SOCKS5 takes names of 1 to 255 bytes"))?);
    request.extend(text.as_bytes());
    Ok(())
}

async fn send(transport: &mut Transport, bytes: &[u8]) -> io::Result<()> {
    transport.write_all(bytes).await?;
    transport.flush().await
}

async fn read<const N: usize>(transport: &mut Transport) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    transport.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn denied(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, alloc::format!("no proxy: {text}"))
}
