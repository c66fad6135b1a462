//! On async-io: TCP, Unix sockets and timers for smol and any other executor.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::thread;

use ::async_io::{Async, Timer};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite};

use crate::runtime::unsupported;
use crate::socket::Socket;
use crate::{Client, Driver, Error, Options, Runtime, Scheme, Server, Transport};

/// Connections and timers of async-io.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncIoRuntime;

impl Runtime for AsyncIoRuntime {
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        let server = server.clone();
        Box::pin(async move {
            match server.scheme {
                Scheme::Tcp => tcp(server).await,
                #[cfg(unix)]
                Scheme::Unix => {
                    let connect = Async::<std::os::unix::net::UnixStream>::connect(&server.path);
                    Ok(Box::new(Closing(connect.await?)) as Transport)
                }
                _ => Err(unsupported(&server)),
            }
        })
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            Timer::after(duration).await;
        })
    }
}

/// A socket that is closed when it is said to be, which otherwise it would only be in the end.
#[derive(Debug)]
struct Closing<S>(Async<S>);

impl<S> AsyncRead for Closing<S>
where
    Async<S>: AsyncRead + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, bytes)
    }
}

impl<S: Socket> AsyncWrite for Closing<S>
where
    Async<S>: AsyncWrite + Unpin,
{
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

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.get_ref().close(Shutdown::Write))
    }
}

/// The first of the host's addresses that can be connected to.
async fn tcp(server: Server) -> io::Result<Transport> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in resolve(server).await? {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => {
                // Packets are gathered here; a small one that is alone must not wait for more.
                stream.get_ref().set_nodelay(true)?;
                return Ok(Box::new(Closing(stream)));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Asks the system for the addresses of a name, which blocks, on a thread that ends with it.
async fn resolve(server: Server) -> io::Result<Vec<SocketAddr>> {
    let (done, addresses) = oneshot::channel();
    thread::Builder::new().name("mqtt-resolve".into()).spawn(move || {
        let addresses = (server.host.as_str(), server.port).to_socket_addrs();
        // Nobody may want to know any more.
        let _ = done.send(addresses.map(Iterator::collect));
    })?;
    addresses.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
}

/// Starts a client whose driver is handed to `spawn`, and waits until a server has accepted it, for as
/// long as [`Options::reconnect`] says. Cancel safe: dropped before that, there is no client.
///
/// ```
/// use mqtt_client::{Client, Error, Options};
///
/// async fn connect() -> Result<Client, Error> {
///     let options = Options::from_url("mqtt://localhost")?;
///     // With smol: |driver| smol::spawn(driver).detach()
///     mqtt_client::async_io::connect(options, |driver| {
///         std::thread::spawn(|| async_io::block_on(driver));
///     })
///     .await
/// }
/// ```
///
/// # Errors
/// [`Error::Options`], and where the policy is to give up, why there is no connection.
pub async fn connect(options: Options, spawn: impl FnOnce(Driver)) -> Result<Client, Error> {
    let (client, mut driver) = Client::with_runtime(options, AsyncIoRuntime)?;
    let connected = driver.connected();
    spawn(driver);
    connected.await?;
    Ok(client)
}
