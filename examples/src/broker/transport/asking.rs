//! The HTTP request for a WebSocket, and what may answer it (RFC 6455, section 4.1; section 6 of MQTT).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tungstenite::handshake::client::Response;
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;

use super::websocket::End;

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the answer must have.
    accept: String,
}

/// The request, made with these random bytes.
pub(super) fn request(host: &str, path: &str, random: &[u8; 16]) -> (Asked, Vec<u8>) {
    let key = STANDARD.encode(random);
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    );
    (Asked { accept: derive_accept_key(key.as_bytes()) }, text.into_bytes())
}

impl Asked {
    /// Whether the answer, which is whole, is the one that was asked for.
    pub(super) fn check(&self, answer: &[u8]) -> Result<(), End> {
        let Ok(Some((_, response))) = Response::try_parse(answer) else {
            return Err(End::Wrong("what answers the request is not HTTP"));
        };
        let status = response.status().as_u16();
        if status != 101 {
            return Err(End::Refused(status));
        }
        let has = |name: &str, word: &str| {
            response.headers().get_all(name).iter().any(|value| {
                let text = value.to_str().unwrap_or_default();
                text.split(',').any(|one| one.trim().eq_ignore_ascii_case(word))
            })
        };
        let key = response.headers().get("Sec-WebSocket-Accept");
        if !has("Upgrade", "websocket")
            || !has("Connection", "upgrade")
            || key.is_none_or(|key| key.as_bytes() != self.accept.as_bytes())
        {
            return Err(End::Wrong("what answers the request is no WebSocket"));
        }
        if response.headers().contains_key("Sec-WebSocket-Extensions") {
            return Err(End::Wrong("an extension that was not asked for"));
        }
        // [MQTT-6.0.0-4]
        if !has("Sec-WebSocket-Protocol", "mqtt") {
            return Err(End::Wrong("the server does not speak MQTT there [MQTT-6.0.0-4]"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::request;

    // RFC 6455, section 1.3: the key and its answer.
    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

    #[test]
    fn only_the_answer_to_what_was_asked_opens_a_websocket() {
        let (asked, bytes) = request("h:1", "/mqtt?a=b", b"the sample nonce");
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("GET /mqtt?a=b HTTP/1.1\r\nHost: h:1\r\n"), "{text}");
        assert!(text.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{text}");
        assert!(asked.check(ANSWER.as_bytes()).is_ok());
        for (old, new) in [
            ("101 Switching Protocols", "404 Not Found"),
            ("101 Switching Protocols", "200 OK"),
            ("HTTP/1.1 101", "SSH-2.0 x"),
            ("s3pP", "s3pQ"),
            ("WebSocket\r", "h2c\r"),
            (", upgrade", ""),
            ("Protocol: mqtt", "Protocol: mqttv3.1"),
            ("Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Extensions: permessage-deflate"),
            ("Sec-WebSocket-Protocol: mqtt\r\n", ""),
        ] {
            let wrong = ANSWER.replace(old, new);
            assert!(asked.check(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
