//! Where a server is, as a URL says it.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::UrlError;

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `mqtt://` or `tcp://`: TCP, by default port 1883.
    Tcp,
    /// `mqtts://` or `ssl://`: TLS over TCP, by default port 8883.
    Tls,
    /// `ws://`: WebSocket, by default port 80.
    Ws,
    /// `wss://`: WebSocket over TLS, by default port 443.
    Wss,
    /// `unix://`: a socket in the file system, whose path is what follows.
    Unix,
}

impl Scheme {
    const NAMES: [(&'static str, Self); 7] = [
        ("mqtt", Self::Tcp),
        ("tcp", Self::Tcp),
        ("mqtts", Self::Tls),
        ("ssl", Self::Tls),
        ("ws", Self::Ws),
        ("wss", Self::Wss),
        ("unix", Self::Unix),
    ];

    /// The port where none is said; 0 where there are no ports.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Unix => 0,
        }
    }

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, scheme)| *scheme == self).map_or("mqtt", |(name, _)| name)
    }
}

/// One server to connect to.
///
/// ```
/// use mqtt_client::{Scheme, Server};
/// let server: Server = "mqtts://broker.example".parse()?;
/// assert_eq!((server.scheme, server.port), (Scheme::Tls, 8883));
/// assert_eq!(server.to_string(), "mqtts://broker.example:8883");
/// # Ok::<(), mqtt_client::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Server {
    /// How it is reached.
    pub scheme: Scheme,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The path in the file system for [`Scheme::Unix`]; what is asked for to open a WebSocket, with
    /// what may follow a `?`.
    pub path: String,
}

impl Server {
    /// A server reached by TCP.
    #[must_use]
    pub fn tcp(host: &str, port: u16) -> Self {
        Self { scheme: Scheme::Tcp, host: host.to_owned(), port, path: String::new() }
    }

    /// Makes a parameter of the URL one of what is asked for where a WebSocket is opened; whether one
    /// is.
    pub(crate) fn ask(&mut self, parameter: &Parameter) -> bool {
        if !matches!(self.scheme, Scheme::Ws | Scheme::Wss) {
            return false;
        }
        if self.path.is_empty() {
            self.path.push('/');
        }
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(&parameter.written);
        true
    }

    /// The first server of a Server Reference (section 4.11), reached as this one: `HOST`,
    /// `HOST:PORT`, `[ADDRESS]:PORT`, or a URL, several of them separated by blanks.
    pub(crate) fn referred_to(&self, reference: &str) -> Option<Self> {
        let first = reference.split_whitespace().next()?;
        if first.contains("://") {
            return first.parse().ok().filter(|server| self.may_send_to(server));
        }
        let url = Url::parse(&alloc::format!("{}://{first}", self.scheme.name())).ok()?;
        Some(Self { path: self.path.clone(), ..url.server })
    }
}

impl Server {
    /// Whether a client of this server may follow its reference to that one: not out of TLS, where the
    /// password would be read on the way, and not to a socket of the client's own machine.
    fn may_send_to(&self, other: &Self) -> bool {
        let is_encrypted = |scheme| matches!(scheme, Scheme::Tls | Scheme::Wss);
        (is_encrypted(other.scheme) || !is_encrypted(self.scheme)) && other.scheme != Scheme::Unix
    }
}

impl core::str::FromStr for Server {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let Url { mut server, query, .. } = Url::parse(url)?;
        for parameter in query {
            server.ask(&parameter); // elsewhere it is for nobody
        }
        Ok(server)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.name();
        match self.scheme {
            Scheme::Unix => write!(f, "{scheme}://{}", self.path),
            _ if self.host.contains(':') => {
                write!(f, "{scheme}://[{}]:{}{}", self.host, self.port, self.path)
            }
            _ => write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path),
        }
    }
}

/// A URL in its parts, percent-decoded.
#[derive(Debug)]
pub(crate) struct Url {
    pub(crate) server: Server,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// What follows `?`, parameter by parameter.
    pub(crate) query: Vec<Parameter>,
}

/// A parameter of a URL.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Both as they are written.
    pub(crate) written: String,
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = Scheme::NAMES
            .iter()
            .find(|(name, _)| scheme.eq_ignore_ascii_case(name))
            .map(|(_, scheme)| *scheme)
            .ok_or(UrlError::Scheme)?;
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok(Parameter { name: text(name)?, value: text(value)?, written: pair.to_owned() })
        });
        let query = query.collect::<Result<_, UrlError>>()?;
        let authority_end =
            if scheme == Scheme::Unix { 0 } else { rest.find('/').unwrap_or(rest.len()) };
        let (authority, path) = rest.split_at(authority_end);
        let Authority { user_name, password, host, port } =
            Authority::parse(authority, scheme.default_port())?;
        if if scheme == Scheme::Unix { path.is_empty() } else { host.is_empty() } {
            return Err(UrlError::Host);
        }
        let path = if scheme == Scheme::Unix { text(path)? } else { path.to_owned() };
        let server = Server { scheme, host, port, path };
        Ok(Self { server, user_name, password, query })
    }
}

/// `[USER[:PASSWORD]@]HOST[:PORT]`, percent-decoded.
pub(crate) struct Authority {
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// Perhaps empty.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Authority {
    pub(crate) fn parse(authority: &str, default_port: u16) -> Result<Self, UrlError> {
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (user_name, password) = match user.map(|user| user.split_once(':').ok_or(user)) {
            None => (None, None),
            Some(Err(user)) => (Some(text(user)?), None),
            Some(Ok((user, password))) => (Some(text(user)?), Some(bytes(password)?)),
        };
        let (host, port) = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, rest))) => {
                (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
            }
            Some(None) => return Err(UrlError::Host),
            None => {
                let (host, port) = address.split_once(':').unwrap_or((address, ""));
                (host, Some(port))
            }
        };
        let port = match port.ok_or(UrlError::Port)? {
            "" => default_port,
            port => port.parse().map_err(|_| UrlError::Port)?,
        };
        Ok(Self { user_name, password, host: text(host)?, port })
    }
}

fn text(part: &str) -> Result<String, UrlError> {
    String::from_utf8(bytes(part)?).map_err(|_| UrlError::Escape)
}

/// Undoes percent-encoding.
fn bytes(part: &str) -> Result<Vec<u8>, UrlError> {
    let mut decoded = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(UrlError::Escape) };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(UrlError::Escape);
        let byte = digit(high)? * 16 + digit(low)?;
        decoded.push(u8::try_from(byte).map_err(|_| UrlError::Escape)?);
        rest = after;
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("mqtt://al:p%40ss@[::1]:1884/x?version=5&client_id=a%20b#f").unwrap();
        assert_eq!(url.server.to_string(), "mqtt://[::1]:1884/x");
        assert_eq!(url.user_name.as_deref(), Some("al"));
        assert_eq!(url.password.as_deref(), Some(&b"p@ss"[..]));
        assert_eq!((&*url.query[1].name, &*url.query[1].value), ("client_id", "a b"));
        let signed: Server = "wss://h?a=%2F&b".parse().unwrap();
        assert_eq!(signed.to_string(), "wss://h:443/?a=%2F&b");
        let unix: Server = "unix:///run/mqtt%20sock".parse().unwrap();
        assert_eq!(unix.path, "/run/mqtt sock");
    }

    #[test]
    fn a_server_reference_names_another_server_section_4_11() {
        let server: Server = "mqtts://old".parse().unwrap();
        for (reference, url) in [
            ("new", "mqtts://new:8883"),
            ("new:1 other:2", "mqtts://new:1"),
            ("[fe80::1]:3", "mqtts://[fe80::1]:3"),
            ("wss://new/mqtt", "wss://new:443/mqtt"),
        ] {
            assert_eq!(server.referred_to(reference).unwrap().to_string(), url);
        }
        let plain: Server = "mqtt://old".parse().unwrap();
        assert_eq!(plain.referred_to("mqtts://new").unwrap().to_string(), "mqtts://new:8883");
        assert_eq!(plain.referred_to("ws://new").unwrap().to_string(), "ws://new:80");
        // A password must not leave TLS, and the sockets of this machine are no server's business.
        for reference in ["mqtt://plain", "ws://plain", "unix:///run/docker.sock"] {
            assert_eq!(server.referred_to(reference), None);
        }
        assert_eq!(plain.referred_to("unix:///run/docker.sock"), None);
        assert_eq!(server.referred_to(""), None);
        assert_eq!(server.referred_to("new:port"), None);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for (url, error) in [
            ("localhost:1883", UrlError::Scheme),
            ("http://localhost", UrlError::Scheme),
            ("mqtt://", UrlError::Host),
            ("mqtt://:1883", UrlError::Host),
            ("mqtt://[::1", UrlError::Host),
            ("mqtt://[::1]x", UrlError::Port),
            ("mqtt://h:65536", UrlError::Port),
            ("mqtt://h:x", UrlError::Port),
            ("mqtt://%4:1", UrlError::Escape),
            ("mqtt://%g0", UrlError::Escape),
            ("mqtt://%ff", UrlError::Escape),
            ("unix://", UrlError::Host),
        ] {
            assert_eq!(url.parse::<Server>(), Err(error), "{url}");
        }
    }
}
