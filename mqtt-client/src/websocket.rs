//! WebSocket (RFC 6455), on whatever the runtime connects: `ws://` and, with TLS, `wss://`.
//!
//! Packets go in binary frames of the subprotocol `mqtt` (section 6), and may begin and end anywhere in
//! them. What the request says besides is up to [`Options::websocket_headers`] and, where it has to be
//! made anew for each connection, a [`RequestHook`]:
//!
//! ```
//! use mqtt_client::Options;
//! use mqtt_client::websocket::RequestHook;
//!
//! async fn token() -> std::io::Result<String> {
//!     Ok("of this hour".into())
//! }
//!
//! let mut options = Options::from_url("wss://broker.example/mqtt")?;
//! options.websocket_headers.push(("X-Site".into(), "kitchen".into()));
//! options.websocket_hook = Some(RequestHook::new(|mut request| async move {
//!     request.headers.push(("Authorization".into(), format!("Bearer {}", token().await?)));
//!     Ok(request)
//! }));
//! # Ok::<(), mqtt_client::Error>(())
//! ```
//!
//! [`Options::websocket_headers`]: crate::Options::websocket_headers

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::client::ClientRequestBuilder;
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use async_tungstenite::tungstenite::{self, Message};
use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite, Sink, Stream};

use crate::{Options, Server, Transport};

/// How many bytes go into a frame at most.
const FRAME: usize = 64 * 1024;

/// How much a frame may hold besides one packet of the largest size: servers gather packets, too.
const GATHERED: usize = 1024 * 1024;

/// How much is read at once.
const READ: usize = 16 * 1024;

/// How many frames that say nothing are looked at before others get their turn.
const ROUNDS: usize = 32;

/// The request that opens a WebSocket.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// To which server.
    pub server: Server,
    /// What is asked for, with what may follow a `?`: as in the URL, `/` if it said nothing.
    pub path: String,
    /// Header fields besides those that every WebSocket needs, by name and value.
    pub headers: Vec<(String, String)>,
}

/// Values may be secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("server", &self.server).finish_non_exhaustive()
    }
}

type Hook = dyn Fn(Request) -> BoxFuture<'static, io::Result<Request>> + Send + Sync;

/// Has the last word about the request of each connection, such as for a signed URL or a token that
/// expires.
#[derive(Clone)]
pub struct RequestHook(Arc<Hook>);

impl RequestHook {
    /// A hook that is called for each connection. Its time counts against
    /// [`Options::response_timeout`], its errors are those of the connection.
    pub fn new<F, R>(hook: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Request>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(hook(request))))
    }
}

impl fmt::Debug for RequestHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestHook")
    }
}

/// All there is to know before there is a connection.
pub(crate) struct Opening {
    request: Request,
    hook: Option<RequestHook>,
    max_frame: usize,
}

impl Opening {
    pub(crate) fn new(server: &Server, options: &Options) -> Self {
        let path = if server.path.is_empty() { "/".to_owned() } else { server.path.clone() };
        let headers = options.websocket_headers.clone();
        let max_packet = usize::try_from(options.max_packet_size).unwrap_or(usize::MAX);
        Self {
            request: Request { server: server.clone(), path, headers },
            hook: options.websocket_hook.clone(),
            max_frame: max_packet.saturating_add(GATHERED),
        }
    }

    /// Asks for a WebSocket.
    pub(crate) async fn open(self, transport: Transport) -> io::Result<Transport> {
        let Self { mut request, hook, max_frame } = self;
        if let Some(RequestHook(hook)) = hook {
            request = hook(request).await?;
        }
        let Request { server, path, headers } = request;
        let url = Server { path, ..server }.to_string();
        let url = url.parse().map_err(|error| invalid(&error))?;
        // [MQTT-6.0.0-3]: the client asks for "mqtt", and a server that does not say so is left.
        let mut builder = ClientRequestBuilder::new(url).with_sub_protocol("mqtt");
        for (name, value) in headers {
            builder = builder.with_header(name, value);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(max_frame))
            .max_frame_size(Some(max_frame));
        let opened =
            async_tungstenite::client_async_with_config(builder, transport, Some(config)).await;
        let (stream, _) = opened.map_err(other)?;
        Ok(Box::new(Frames { stream, received: Bytes::new() }))
    }
}

fn invalid(error: &dyn fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}

/// An error of tungstenite as one of the system.
fn other(error: tungstenite::Error) -> io::Error {
    use tungstenite::Error as E;
    match error {
        E::Io(error) => error,
        E::HttpFormat(error) => invalid(&error),
        E::Http(response) => {
            let status = response.status();
            let kind = match status.as_u16() {
                401 | 403 => io::ErrorKind::PermissionDenied,
                404 => io::ErrorKind::NotFound,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, alloc::format!("no WebSocket: {status}"))
        }
        E::ConnectionClosed | E::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

/// The frames of a WebSocket as bytes.
struct Frames {
    stream: WebSocketStream<Transport>,
    /// What is left of the frame that was received last.
    received: Bytes,
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..ROUNDS {
            if !self.received.is_empty() {
                let taken = self.received.len().min(room.len());
                if let Some(room) = room.get_mut(..taken) {
                    self.received.copy_to_slice(room);
                }
                if self.received.is_empty() {
                    self.received = Bytes::new(); // the frame's memory
                }
                return Poll::Ready(Ok(taken));
            }
            match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.received = bytes,
                // [MQTT-6.0.0-1]: whoever gets any other data closes the connection.
                Some(Ok(Message::Text(_))) => {
                    let text = "a text frame, which holds no packets";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                // A ping is answered by tungstenite; after a close frame comes the end.
                Some(Ok(_)) => {}
                Some(Err(tungstenite::Error::ConnectionClosed)) | None => {
                    return Poll::Ready(Ok(0));
                }
                Some(Err(error)) => return Poll::Ready(Err(other(error))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for Frames {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.stream).poll_ready(cx)).map_err(other)?;
        let bytes = bytes.get(..FRAME).unwrap_or(bytes);
        let frame = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.stream).start_send(frame).map_err(other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(other)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx).map_err(other)
    }
}
