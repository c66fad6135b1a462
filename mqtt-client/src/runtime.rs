//! What a runtime has to give: connections and time.

use alloc::boxed::Box;
use core::time::Duration;
use std::io;

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite};
use mqtt_session::Instant;

use crate::Server;

/// Bytes both ways. Everything that reads and writes is one.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is ready for CONNECT.
pub type Transport = Box<dyn Stream>;

/// Where connections and time come from. One is made of a runtime, such as
/// [`TokioRuntime`](crate::tokio::TokioRuntime); implement it for a transport of your own.
pub trait Runtime: Send + 'static {
    /// Opens a connection. What it costs in time counts against
    /// [`Options::response_timeout`](crate::Options::response_timeout).
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>>;

    /// Waits.
    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()>;

    /// What tells the time, counted from now. Default: the system's monotonic clock.
    fn clock(&self) -> Clock {
        let clock = mqtt_session::Clock::start();
        Box::new(move || clock.now())
    }
}

/// What tells the time.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// The answer to a server whose scheme this runtime does not know.
pub(crate) fn unsupported(server: &Server) -> io::Error {
    let text = alloc::format!("no transport for {server} is compiled in");
    io::Error::new(io::ErrorKind::Unsupported, text)
}
