//! The HTTP request that becomes a WebSocket (RFC 6455, section 4.2; section 6 of MQTT).

use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderValue;

/// Where MQTT is.
const PATH: &str = "/mqtt";

/// What to answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// These bytes, and frames from then on.
    Accept(Vec<u8>),
    /// This status with these further header lines, and the end.
    Refuse(u16, &'static str),
}

/// The answer to a whole request. `origins` are those of pages that may ask, if not all may.
pub(super) fn answer(bytes: &[u8], origins: Option<&[String]>) -> Answer {
    let request = match Request::try_parse(bytes) {
        Ok(Some((_, request))) => request,
        Err(Error::Protocol(ProtocolError::WrongHttpVersion)) => return Answer::Refuse(505, ""),
        _ => return Answer::Refuse(400, ""),
    };
    if request.uri().path() != PATH {
        return Answer::Refuse(404, "");
    }
    // RFC 6455, section 10.2: only browsers tell the origin, and for them it is told truly.
    let is_other = |value: &HeaderValue| {
        origins.is_some_and(|all| !all.iter().any(|origin| value.as_bytes() == origin.as_bytes()))
    };
    if request.headers().get_all("Origin").iter().any(is_other) {
        return Answer::Refuse(403, "");
    }
    let mut response = match create_response(&request) {
        Ok(response) => response,
        // What would be one if it asked for it.
        Err(Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        )) => {
            let more = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
            return Answer::Refuse(426, more);
        }
        Err(_) => return Answer::Refuse(400, ""),
    };
    // [MQTT-6.0.0-3], [MQTT-6.0.0-4]; clients of 3.1 had a name of their own.
    let offers = |name: &str| {
        request.headers().get_all("Sec-WebSocket-Protocol").iter().any(|value| {
            value.to_str().is_ok_and(|list| list.split(',').any(|offer| offer.trim() == name))
        })
    };
    let Some(name) = ["mqtt", "mqttv3.1"].into_iter().find(|name| offers(name)) else {
        return Answer::Refuse(400, "");
    };
    response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(name));
    let mut bytes = Vec::new();
    match write_response(&mut bytes, &response) {
        Ok(()) => Answer::Accept(bytes),
        Err(_) => Answer::Refuse(500, ""),
    }
}

/// The answer that refuses a request.
pub(super) fn refusal(status: u16, more: &str) -> Vec<u8> {
    let text = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    };
    let more = if more.is_empty() { "Connection: close\r\n" } else { more };
    format!("HTTP/1.1 {status} {text}\r\n{more}Content-Length: 0\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Answer, answer};

    #[test]
    fn pages_of_other_origins_are_refused_where_origins_are_named() {
        let status = |origin: &str, origins: Option<&[String]>| {
            let request = format!(
                "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Protocol: mqtt\r\n{origin}\r\n"
            );
            match answer(request.as_bytes(), origins) {
                Answer::Accept(_) => 101,
                Answer::Refuse(status, _) => status,
            }
        };
        let own = [String::from("https://a.example")];
        let (good, bad) = ("Origin: https://a.example\r\n", "Origin: https://b.example\r\n");
        assert_eq!(status(bad, None), 101);
        assert_eq!(status(good, Some(&own)), 101);
        assert_eq!(status(bad, Some(&own)), 403);
        assert_eq!(status(&[good, bad].concat(), Some(&own)), 403);
        assert_eq!(status("", Some(&own)), 101, "no browser");
        assert_eq!(status(good, Some(&[])), 403);
    }

    #[test]
    fn only_a_request_for_mqtt_is_accepted_and_the_others_are_told_why() {
        let right = [
            "GET /mqtt HTTP/1.1",
            "Host: a",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: mqtt",
        ];
        let status =
            |lines: &[&str]| match answer((lines.join("\r\n") + "\r\n\r\n").as_bytes(), None) {
                Answer::Accept(_) => 101,
                Answer::Refuse(status, _) => status,
            };
        assert_eq!(status(&right), 101);
        let changes = [
            (0, "GET / HTTP/1.1", 404),
            (0, "GET /mqtt/ HTTP/1.1", 404),
            (0, "GET /mqtt?session=1 HTTP/1.1", 101),
            (0, "GET /mqtt HTTP/1.0", 505),
            (0, "POST /mqtt HTTP/1.1", 400),
            (0, "GET /mqtt", 400),
            (2, "Upgrade: h2c", 426),
            (3, "Connection: close", 426),
            (4, "Sec-WebSocket-Key: short", 400),
            (5, "Sec-WebSocket-Version: 8", 426),
            (6, "Sec-WebSocket-Protocol: wamp", 400),
            (6, "Sec-WebSocket-Protocol: mqtts, mqtt2", 400),
            (6, "Sec-WebSocket-Protocol: a,mqtt", 101),
            (6, "Sec-WebSocket-Protocol: mqttv3.1", 101),
            (6, "X: no protocol", 400),
            (1, "a header without colon", 400),
        ];
        for (line, text, expected) in changes {
            let mut lines = right;
            lines[line] = text;
            assert_eq!(status(&lines), expected, "{text}");
        }
        // More headers than are looked at.
        let mut lines = right.to_vec();
        lines.extend(["A: b"; 200]);
        assert_eq!(status(&lines), 400);
    }
}
