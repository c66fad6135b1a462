//! Where another broker is.

use core::fmt;

/// Where another broker is, and what lies between its socket and MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// `host:port`.
    pub address: String,
    /// Whether TLS is spoken there, with what [`super::BridgeSettings::tls`] says.
    pub is_secure: bool,
    /// The path for WebSocket, if that is spoken there.
    pub websocket: Option<String>,
}

impl Upstream {
    /// Reads `host:port`, which is TLS if `has_tls`, or one of `mqtt://host:port`, `mqtts://host:port`,
    /// `ws://host:port/path` and `wss://host:port/path`; the path is `/mqtt` if it is left out, and the port
    /// the one that is usual for it.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &str, has_tls: bool) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::at(text, None, has_tls, None);
        };
        let (address, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (port, is_secure, is_websocket) = match scheme {
            "mqtt" => (1883, false, false),
            "mqtts" => (8883, true, false),
            "ws" => (80, false, true),
            "wss" => (443, true, true),
            _ => return Err("one of mqtt://, mqtts://, ws:// and wss://"),
        };
        if is_secure && !has_tls {
            return Err("what is spoken over TLS needs a table tls with a ca");
        }
        if !is_websocket && !matches!(path, "" | "/") {
            return Err("only ws:// and wss:// have a path");
        }
        // Else it would be more than one line of a request.
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err("a path of visible ASCII, other characters as %XX");
        }
        let path = if path.is_empty() { "/mqtt" } else { path };
        Self::at(address, Some(port), is_secure, is_websocket.then_some(path))
    }

    fn at(
        address: &str,
        usual_port: Option<u16>,
        is_secure: bool,
        websocket: Option<&str>,
    ) -> Result<Self, &'static str> {
        const WRONG: &str = "each as \"host:port\" or a URL";
        let (host, port) = match (address.rsplit_once(':'), usual_port) {
            // The colons of an IPv6 address are within brackets.
            (Some((host, port)), _) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| WRONG)?)
            }
            (_, Some(port)) => (address, port),
            (_, None) => return Err(WRONG),
        };
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@".contains(&byte);
        if host.is_empty() || port == 0 || !host.bytes().all(is_plain) {
            return Err(WRONG);
        }
        let address = format!("{host}:{port}");
        Ok(Self { address, is_secure, websocket: websocket.map(str::to_owned) })
    }

    /// Its host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (&self.websocket, self.is_secure) {
            (None, false) => "mqtt",
            (None, true) => "mqtts",
            (Some(_), false) => "ws",
            (Some(_), true) => "wss",
        };
        let path = self.websocket.as_deref().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::Upstream;

    #[test]
    fn an_address_is_a_host_and_a_port_or_a_url() {
        for (text, has_tls, expected) in [
            ("h:1", false, "mqtt://h:1"),
            ("h:1", true, "mqtts://h:1"),
            ("[::1]:1", false, "mqtt://[::1]:1"),
            ("mqtt://h", true, "mqtt://h:1883"),
            ("mqtts://[::1]", true, "mqtts://[::1]:8883"),
            ("mqtt://h:1/", false, "mqtt://h:1"),
            ("ws://h", false, "ws://h:80/mqtt"),
            ("ws://h:8080/", false, "ws://h:8080/"),
            ("wss://h/a/b?c=d", true, "wss://h:443/a/b?c=d"),
        ] {
            let upstream = Upstream::parse(text, has_tls);
            assert_eq!(upstream.map(|u| u.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "h",
            ":1",
            "h:0",
            "h:70000",
            "h:x",
            "mqtts://h",
            "wss://h",
            "http://h",
            "mqtt://h/a",
            "ws://",
            "ws://h/a b",
            "ws://h/\r\nX: y",
            "ws://u@h/",
            "ws://h?a",
            "a b:1",
        ] {
            assert!(Upstream::parse(text, false).is_err(), "{text}");
        }
        assert_eq!(Upstream::parse("[::1]:1", false).unwrap().host(), "::1");
    }
}
