//! Sockets for [`mqtt_session::broker`]: one thread that waits for all of them at once, and others for TLS.
//!
//! Each turn of the loop reads what has come, lets the broker act on it, and then writes all that is
//! to go out: one system call for each connection, however many packets. Nothing waits for a turn to
//! fill up. Memory for buffers belongs to connections that have something in them.

mod access;
mod bell;
mod bridge;
mod command;
mod connection;
mod event_loop;
mod lingering;
mod listener;
mod log;
pub mod metrics;
#[cfg_attr(not(target_os = "linux"), path = "no_pages.rs")]
mod pages;
mod partials;
mod settings;
mod store;
mod transport;
mod users;
mod worker;

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use mio::Waker;
use mqtt_session::broker::{Admission, Broker, Config, Statistics, Ticket};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ServerConfig;

pub use access::{Access, AccessHandle, Rules};
pub use bridge::{BridgeSettings, BridgeStatus, Direction, TopicRule, Upstream, UpstreamTls};
use command::Command;
use event_loop::EventLoop;
pub use listener::{Endpoint, Place};
pub use settings::{AccessFiles, Settings};
use store::Store;
pub use transport::TlsFiles;
pub use users::{Users, UsersError};

/// A broker with its listening sockets.
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
    /// The first one of TCP.
    address: Option<SocketAddr>,
    control: Control,
}

/// Asks something of a [`BrokerServer`] from another thread.
#[derive(Clone, Debug)]
pub struct Control {
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

/// How a broker is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Its numbers.
    pub statistics: Statistics,
    /// How many bytes of packets that are not all there it holds, in buffers that are not small.
    pub partial_bytes: usize,
    /// Its bridges.
    pub bridges: Vec<BridgeStatus>,
}

/// A [`BrokerServer`] on a thread of its own; stopped when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    control: Control,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl BrokerServer {
    /// Listens on this address; port 0 takes any free one.
    ///
    /// # Errors
    /// Those of the operating system, such as [`io::ErrorKind::AddrInUse`].
    pub fn bind(address: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        let mut server = Self::new(Broker::new(config))?;
        let mut result = Err(io::Error::other("no address"));
        for address in address.to_socket_addrs()? {
            result = server.listen(&Endpoint::tcp(address)).map(|_| ());
            if result.is_ok() {
                break;
            }
        }
        result.map(|()| server)
    }

    /// A broker that listens nowhere yet.
    ///
    /// # Errors
    /// If the operating system has no way to wait for sockets, or no random numbers.
    pub fn new(broker: Broker) -> io::Result<Self> {
        Self::with(|_| broker)
    }

    /// As [`BrokerServer::new`], for a broker with a policy that answers later, by
    /// [`Control::resolve`].
    ///
    /// # Errors
    /// As [`BrokerServer::new`].
    pub fn with(make: impl FnOnce(&Control) -> Broker) -> io::Result<Self> {
        let (commands, receiver) = channel();
        let (poll, waker) = event_loop::poll()?;
        let control = Control { commands, waker: Arc::new(waker) };
        let mut broker = make(&control);
        let mut random = [0; 16];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| io::Error::other("no random numbers"))?;
        broker.seed(random);
        let waker = Arc::clone(&control.waker);
        let event_loop = EventLoop::new(poll, waker, broker, receiver);
        Ok(Self { event_loop, address: None, control })
    }

    /// Listens there too; where that is exactly.
    ///
    /// # Errors
    /// As [`BrokerServer::bind`], and if it is to be TLS and there is no certificate.
    pub fn listen(&mut self, endpoint: &Endpoint) -> io::Result<Endpoint> {
        let bound = self.event_loop.listen(endpoint)?.clone();
        if let (Place::Tcp(address), None) = (&bound.place, self.address) {
            self.address = Some(*address);
        }
        Ok(bound)
    }

    /// Has the broker be as it was stored in this folder, and stores there what it does, so that nothing
    /// is lost that was acknowledged. The broker must be new and its configuration durable; the
    /// folder is made if there is none, and no other broker may use it at the same time.
    ///
    /// # Errors
    /// Those of the operating system; and if what is stored cannot be read.
    pub fn persist(&mut self, folder: &Path) -> io::Result<()> {
        self.event_loop.persist(Store::open(folder)?)
    }

    /// Carries messages to and from these other brokers, and to and from no others. To be called after
    /// [`BrokerServer::persist`], even without any: what waits for bridges of before is then dropped.
    ///
    /// # Errors
    /// If a file of one cannot be read, or the operating system has no thread for it.
    pub fn set_bridges(&mut self, bridges: &[BridgeSettings]) -> io::Result<()> {
        self.event_loop.set_bridges(bridges, &self.control)
    }

    /// Works on so many threads: one for the broker, and the others for TLS. Without this it is one.
    ///
    /// # Errors
    /// If there are no threads to be had.
    pub fn set_threads(&mut self, threads: usize) -> io::Result<()> {
        self.event_loop.start_workers(threads.saturating_sub(1))
    }

    /// What connections in TLS are made with: to be set before one listens for them.
    pub fn set_tls(&mut self, tls: Arc<ServerConfig>) {
        self.event_loop.set_tls(tls);
    }

    /// Lets only pages of these origins, such as `https://app.example`, ask for a WebSocket. Without this all may;
    /// clients that are no browsers tell no origin, and are not asked for one.
    pub fn set_websocket_origins(&mut self, origins: Vec<String>) {
        self.event_loop.origins = Some(origins.into());
    }

    /// Lets all connections together hold so many bytes of packets that are not all there, or that wait for an
    /// answer to one before; buffers of 1 KiB and less are not counted. Above that, the client whose packet
    /// began longest ago is told 0x97 (Quota exceeded) and disconnected. There is always room for one
    /// packet as large as the broker takes. Default: 64 MiB.
    pub fn set_max_partial_bytes(&mut self, max: usize) {
        self.event_loop.set_max_partial_bytes(max);
    }

    /// What other threads ask it with.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
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
    /// If there is no thread to be had, or it does not listen on TCP.
    pub fn spawn(self) -> io::Result<Running> {
        let address = self.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let control = self.control();
        let thread = thread::Builder::new().name("broker".into()).spawn(|| self.run())?;
        Ok(Running { address, control, thread: Some(thread) })
    }
}

impl Control {
    /// Has the broker say goodbye to its clients and end.
    ///
    /// # Errors
    /// If it has ended, or the operating system cannot wake its thread.
    pub fn stop(&self) -> io::Result<()> {
        self.send(Command::Stop)
    }

    /// Has new connections in TLS be made with this.
    ///
    /// # Errors
    /// As [`Control::stop`].
    pub fn set_tls(&self, tls: Arc<ServerConfig>) -> io::Result<()> {
        self.send(Command::Tls(tls))
    }

    /// The policy has other rules than before: what it forbids now ends, as
    /// [`Broker::reconsider`] says.
    ///
    /// # Errors
    /// As [`Control::stop`].
    pub fn reconsider(&self) -> io::Result<()> {
        self.send(Command::Reconsider)
    }

    /// The answer of a policy that had said [`Admission::Later`].
    ///
    /// # Errors
    /// As [`Control::stop`].
    pub fn resolve(&self, ticket: Ticket, answer: Admission) -> io::Result<()> {
        self.send(Command::Resolve(ticket, answer))
    }

    /// Asks for the broker's numbers.
    ///
    /// # Errors
    /// As [`Control::report`].
    pub fn statistics(&self, patience: Duration) -> io::Result<Statistics> {
        self.report(patience).map(|report| report.statistics)
    }

    /// Asks how the broker and its bridges are. An answer shows that it is not stuck.
    ///
    /// # Errors
    /// As [`Control::stop`], and if none comes within this time.
    pub fn report(&self, patience: Duration) -> io::Result<Report> {
        let (sender, receiver) = sync_channel(1);
        self.send(Command::Report(sender))?;
        receiver.recv_timeout(patience).map_err(|_| io::ErrorKind::TimedOut.into())
    }

    fn send(&self, command: Command) -> io::Result<()> {
        self.commands.send(command).map_err(|_| io::ErrorKind::NotConnected)?;
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
        self.control.stop()?;
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
        if self.thread.is_some() && self.control.stop().is_ok() {
            // Whoever wants to know calls `stop`.
            let _ = self.join();
        }
    }
}

#[cfg(test)]
mod tests;
