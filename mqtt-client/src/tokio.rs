//! On tokio: TCP, timers, and a task for the driver.
//!
//! The driver runs next to the task that publishes, on the same thread. What `block_on` runs, as `main` does
//! under `#[tokio::main]`, is no task: on a runtime with threads it has a thread of its own, and to wait for an
//! outcome there takes two wake-ups of threads more. Where that counts, spawn a task.

use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;

use ::tokio::io::ReadBuf;
use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite};

use crate::runtime::unsupported;
use crate::{Client, Clock, Error, Instant, Options, Runtime, Scheme, Server, Transport};

/// Connections and timers of tokio.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioRuntime;

impl Runtime for TokioRuntime {
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        let server = server.clone();
        Box::pin(async move {
            match server.scheme {
                Scheme::Tcp => {
                    let address = (server.host.as_str(), server.port);
                    let stream = ::tokio::net::TcpStream::connect(address).await?;
                    // Packets are gathered here; a small one that is alone must not wait for more.
                    stream.set_nodelay(true)?;
                    Ok(Box::new(Compat(stream)) as Transport)
                }
                #[cfg(unix)]
                Scheme::Unix => {
                    let stream = ::tokio::net::UnixStream::connect(&server.path).await?;
                    Ok(Box::new(Compat(stream)) as Transport)
                }
                _ => Err(unsupported(&server)),
            }
        })
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(::tokio::time::sleep(duration))
    }

    fn clock(&self) -> Clock {
        // Where tokio's time is paused, in tests, so is this.
        let start = ::tokio::time::Instant::now();
        Box::new(move || Instant::default() + start.elapsed())
    }
}

/// Makes the reads and writes of tokio those of `futures`.
#[derive(Clone, Copy, Debug)]
pub struct Compat<S>(pub S);

impl<S: ::tokio::io::AsyncRead + Unpin> AsyncRead for Compat<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<S: ::tokio::io::AsyncWrite + Unpin> AsyncWrite for Compat<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Starts a client whose driver is a task of its own, and does not wait for the connection.
///
/// # Errors
/// [`Error::Options`] if CONNECT cannot be made of the options.
///
/// # Panics
/// Outside of a tokio runtime, as [`tokio::spawn`] does.
pub fn start(options: Options) -> Result<Client, Error> {
    let (client, driver) = Client::with_runtime(options, TokioRuntime)?;
    ::tokio::spawn(driver);
    Ok(client)
}

/// Starts a client and waits until a server has accepted it, for as long as
/// [`Options::reconnect`] says. Cancel safe: dropped before that, there is no client.
///
/// # Errors
/// [`Error::Options`], and where the policy is to give up, why there is no connection.
///
/// # Panics
/// Outside of a tokio runtime, as [`tokio::spawn`] does.
pub async fn connect(options: Options) -> Result<Client, Error> {
    let (client, mut driver) = Client::with_runtime(options, TokioRuntime)?;
    let connected = driver.connected();
    ::tokio::spawn(driver);
    connected.await?;
    Ok(client)
}

impl Client {
    /// Connects on tokio to the server that a URL names, as [`Options::from_url`] reads it, and waits
    /// until it has accepted: see [`tokio::connect`](connect). While the server cannot be reached, this
    /// goes on trying, and says so to nobody but those who ask: with the feature `tracing`, or by
    /// [`start`] and [`Client::connection_events`]. With
    /// [`Reconnect::first`](crate::Reconnect::first) false it is an error instead.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Options`], and for bad credentials and the like
    /// [`Error::Refused`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        connect(Options::from_url(url)?).await
    }
}
