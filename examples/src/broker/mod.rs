//! Sockets for [`mqtt_session::broker`]: one thread that waits for all of them at once.
//!
//! Each turn of the loop reads what has come, lets the broker act on it, and then writes all that is
//! to go out: one system call for each connection, however many packets. Nothing waits for a turn to
//! fill up. Memory for buffers belongs to connections that have something in them.

mod connection;
mod event_loop;
mod lingering;

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::net::ToSocketAddrs;
use std::thread::{self, JoinHandle};

use mio::Waker;
use mqtt_session::broker::{Broker, Config};

use event_loop::EventLoop;

/// A broker with a listening socket.
///
/// ```
/// use motewire_examples::broker::BrokerServer;
/// use mqtt_session::broker::Config;
///
/// let running = BrokerServer::bind("127.0.0.1:0", Config::default())?.spawn()?;
/// let client = std::net::TcpStream::connect(running.local_addr())?;
/// running.stop()?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct BrokerServer {
    event_loop: EventLoop,
    address: SocketAddr,
    stopper: Stopper,
}

/// Stops a [`BrokerServer`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    wanted: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

/// A [`BrokerServer`] on a thread of its own; stopped when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl BrokerServer {
    /// Listens on this address; port 0 takes any free one.
    ///
    /// # Errors
    /// Those of the operating system, such as [`io::ErrorKind::AddrInUse`].
    pub fn bind(address: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        Self::with_broker(address, Broker::new(config))
    }

    /// As [`BrokerServer::bind`], with a broker that was made elsewhere.
    ///
    /// # Errors
    /// As [`BrokerServer::bind`].
    pub fn with_broker(address: impl ToSocketAddrs, broker: Broker) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let wanted = Arc::new(AtomicBool::new(false));
        let (event_loop, waker) = EventLoop::new(listener, broker, Arc::clone(&wanted))?;
        let stopper = Stopper { wanted, waker: Arc::new(waker) };
        Ok(Self { event_loop, address, stopper })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// Those of the operating system that leave no way to go on.
    pub fn run(self) -> io::Result<()> {
        self.event_loop.run()
    }

    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn spawn(self) -> io::Result<Running> {
        let (address, stopper) = (self.address, self.stopper());
        let thread = thread::Builder::new().name("broker".into()).spawn(|| self.run())?;
        Ok(Running { address, stopper, thread: Some(thread) })
    }
}

impl Stopper {
    /// Has the broker say goodbye to its clients and end.
    ///
    /// # Errors
    /// If the operating system cannot wake the broker's thread.
    pub fn stop(&self) -> io::Result<()> {
        self.wanted.store(true, Ordering::Release);
        self.waker.wake()
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Has the broker say goodbye to its clients, and waits until it has.
    ///
    /// # Errors
    /// As [`BrokerServer::run`].
    pub fn stop(mut self) -> io::Result<()> {
        self.stopper.stop()?;
        self.join()
    }

    /// Waits until the broker ends.
    ///
    /// # Errors
    /// As [`BrokerServer::run`].
    pub fn wait(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the broker's thread panicked")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() && self.stopper.stop().is_ok() {
            // Whoever wants to know calls `stop`.
            let _ = self.join();
        }
    }
}
