//! WebSocket, with a server that cuts packets into frames as it likes.

use core::net::SocketAddr;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use async_tungstenite::tungstenite::handshake::server::{Request, Response};
use async_tungstenite::tungstenite::http::HeaderValue;
use async_tungstenite::tungstenite::{self, Bytes, Message, WebSocket};
use mqtt_client::websocket::RequestHook;
use mqtt_client::{Error, Options, blocking};

use super::{on_async_io, options, serve, talk, talk_blocking};

const PROTOCOL: &str = "Sec-WebSocket-Protocol";

/// The bytes in the frames of a server's connection: packets lie in binary frames, which begin and end
/// anywhere in them [MQTT-6.0.0-1 of 3.1.1], [MQTT-6.0.0-2 of 3.1.1].
struct Frames<S> {
    stream: WebSocket<S>,
    received: Bytes,
}

impl<S: Read + Write> Read for Frames<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.received.is_empty() {
            match self.stream.read() {
                Ok(Message::Binary(bytes)) => self.received = bytes,
                Ok(Message::Text(_)) => panic!("[MQTT-6.0.0-1] packets are sent in binary frames"),
                Ok(_) => {}
                Err(_) => return Ok(0),
            }
        }
        let taken = self.received.len().min(room.len());
        room[..taken].copy_from_slice(&self.received.split_to(taken));
        Ok(taken)
    }
}

impl<S: Read + Write> Write for Frames<S> {
    /// Packets begin and end anywhere in frames; some of these are empty, and pings lie between them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (first, rest) = bytes.split_at(bytes.len().min(60));
        for part in first.chunks(3).chain([&[][..]]).chain(rest.chunks(1000)) {
            self.stream
                .write(Message::Binary(Bytes::copy_from_slice(part)))
                .map_err(io::Error::other)?;
        }
        let ping = Message::Ping(Bytes::from_static(b"?"));
        self.stream.write(ping).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().map_err(io::Error::other)
    }
}

/// Writes at once what `serve` writes.
struct Flushing<S>(Frames<S>);

impl<S: Read + Write> Read for Flushing<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl<S: Read + Write> Write for Flushing<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Accepts a WebSocket whose request is `right`, and breaks the first one.
pub(super) fn accept(stream: impl Read + Write, right: fn(&Request) -> bool, breaks: bool) {
    #[expect(clippy::result_large_err, reason = "it is what the callback of tungstenite returns")]
    let answer = |request: &Request, mut response: Response| {
        // [MQTT-6.0.0-3], [MQTT-6.0.0-4], [MQTT-6.0.0-3 of 3.1.1], [MQTT-6.0.0-4 of 3.1.1]
        assert_eq!(request.headers().get(PROTOCOL), Some(&HeaderValue::from_static("mqtt")));
        if !right(request) {
            let refusal = tungstenite::http::Response::builder().status(403).body(None);
            return Err(refusal.expect("a status"));
        }
        response.headers_mut().insert(PROTOCOL, HeaderValue::from_static("mqtt"));
        Ok(response)
    };
    if let Ok(stream) = tungstenite::accept_hdr(stream, answer) {
        serve(Flushing(Frames { stream, received: Bytes::new() }), breaks);
    }
}

/// Where a thread does this to each connection, which is told their number.
fn listen(mut run: impl FnMut(usize, TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            run(n, stream);
        }
    });
    address
}

fn server(right: fn(&Request) -> bool) -> SocketAddr {
    listen(move |n, stream| drop(thread::spawn(move || accept(stream, right, n == 0))))
}

#[test]
fn threads_over_a_websocket() {
    let address = server(|request| request.uri() == "/mqtt");
    talk_blocking(options(&format!("ws://{address}/mqtt?version=5")));
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tokio_over_a_websocket() {
    let address = server(|request| request.uri() == "/");
    let options = options(&format!("ws://{address}"));
    talk(mqtt_client::tokio::connect(options).await.expect("accepted")).await;
}

#[cfg(feature = "async-io")]
#[test]
fn async_io_over_a_websocket() {
    let address = server(|request| request.uri() == "/a/b?x=%20y");
    on_async_io(options(&format!("ws://{address}/a/b?x=%20y&client_id=me")));
}

/// The header field `X-Token` of a request.
fn token(request: &Request) -> Option<&str> {
    request.headers().get("X-Token")?.to_str().ok()
}

#[test]
fn a_request_is_made_anew_for_each_connection() {
    let right = |request: &Request| {
        let number = request.uri().query().and_then(|query| query.strip_prefix("signature="));
        number.is_some() && number == token(request) && request.headers().contains_key("X-Fixed")
    };
    let mut options = options(&format!("ws://{}/mqtt", server(right)));
    options.websocket_headers.push(("X-Fixed".into(), "yes".into()));
    let number = alloc::sync::Arc::new(core::sync::atomic::AtomicUsize::new(0));
    let count = alloc::sync::Arc::clone(&number);
    options.websocket_hook = Some(RequestHook::new(move |mut request| {
        let number = count.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        request.path.push_str(&format!("?signature={number}"));
        request.headers.push(("X-Token".into(), number.to_string()));
        core::future::ready(Ok(request))
    }));
    talk_blocking(options);
    assert!(number.load(core::sync::atomic::Ordering::Relaxed) >= 2, "the first connection broke");
}

/// What the client says of a server, at its first attempt.
fn complaint(mut options: Options) -> io::Error {
    options.reconnect.enabled = false;
    match blocking::Client::connect_with(options).expect_err("no connection") {
        Error::Io { source, .. } => io::Error::new(source.kind(), source.to_string()),
        error => panic!("{error}"),
    }
}

#[test]
fn what_goes_wrong_in_opening_a_websocket_is_told() {
    let refusing = server(|_| false);
    let error = complaint(options(&format!("ws://{refusing}")));
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("403"), "{error}");

    let mut injecting = options(&format!("ws://{refusing}"));
    injecting.websocket_headers.push(("X".into(), "a\r\nY: b".into()));
    assert_eq!(complaint(injecting).kind(), io::ErrorKind::InvalidInput);

    let mut failing = options(&format!("ws://{refusing}"));
    failing.websocket_hook =
        Some(RequestHook::new(|_| async { Err(io::Error::other("no token")) }));
    assert_eq!(complaint(failing).to_string(), "no token");

    // [MQTT-6.0.0-4]: a server that does not choose "mqtt" speaks something else.
    let other = listen(|_, stream| drop(tungstenite::accept(stream)));
    assert_eq!(complaint(options(&format!("ws://{other}"))).kind(), io::ErrorKind::InvalidData);
}

/// A server that answers CONNECT with these frames.
fn answering(frames: impl Fn() -> Vec<Message> + Send + 'static) -> String {
    let address = listen(move |_, stream| {
        #[expect(
            clippy::result_large_err,
            reason = "it is what the callback of tungstenite returns"
        )]
        let answer = |_: &Request, mut response: Response| {
            response.headers_mut().insert(PROTOCOL, HeaderValue::from_static("mqtt"));
            Ok(response)
        };
        let Ok(mut stream) = tungstenite::accept_hdr(stream, answer) else { return };
        let _ = stream.read();
        for frame in frames() {
            // The client may be gone.
            let _ = stream.send(frame);
        }
        let _ = stream.read();
    });
    format!("ws://{address}")
}

#[test]
fn a_text_frame_ends_the_connection_mqtt_6_0_0_1() {
    let error = complaint(options(&answering(|| vec![Message::text(" \u{2}\0\0")])));
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_frame_that_is_larger_than_packets_can_make_it_ends_the_connection() {
    let mut options = options(&answering(|| vec![Message::binary(vec![0; 3_000_000])]));
    options.max_packet_size = 1000;
    assert_eq!(complaint(options).kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_server_that_closes_in_the_middle_is_gone() {
    let options = options(&answering(|| vec![Message::binary(vec![0x20]), Message::Close(None)]));
    assert_eq!(complaint(options).kind(), io::ErrorKind::UnexpectedEof);
}
