//! Messages to and from another broker, through its outages and one's own.
//!
//! A bridge is a client of both brokers on a thread of its own. While the other one cannot be reached,
//! messages wait for it as they do for any client with a session: within bounds, and in the store if there
//! is one. While this one is down, the other one keeps what is for it. See [`relay`] for what goes between.

mod echoes;
mod relay;
mod runner;
mod topics;
mod trail;
mod upstream;

use alloc::sync::Arc;
use core::num::{NonZeroU8, NonZeroU16};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use mio::{Poll, Waker};
use mqtt_codec::{PacketId, QoS, Version};
use mqtt_session::broker::{Broker, Config, ConnectionId, Outputs, QueueBounds, Waiting};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::Control;
use super::bell::Bell;
use super::transport::{Pipe, certificates, in_file};
use super::worker::Task;
use relay::Relay;
use runner::Runner;
pub use topics::{Direction, TopicRule};
use topics::{Side, Way};
pub use upstream::Upstream;

/// How long a bridge may take to say goodbye.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often at most it is told that messages do not go on.
const COMPLAINTS: Duration = Duration::from_secs(10);

/// Another broker, and which messages go to it and come from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeSettings {
    /// What it is called here.
    pub name: String,
    /// Where the other broker is; the second and those behind it when the first cannot be reached.
    pub addresses: Vec<Upstream>,
    /// Which version is spoken there: 3.1.1 or 5.
    pub version: Version,
    /// The bridge's client identifier there.
    pub client_id: String,
    /// Its user name there.
    pub user_name: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// How it is known where TLS is spoken.
    pub tls: Option<UpstreamTls>,
    /// Whether the other broker forgets the bridge with each connection.
    pub clean_start: bool,
    /// For how many seconds the other broker keeps messages for the bridge, in version 5.
    pub session_expiry: u32,
    /// Keep Alive in seconds.
    pub keep_alive: NonZeroU16,
    /// Most messages of QoS 1 and 2 on their way at once, each way.
    pub max_in_flight: NonZeroU16,
    /// The highest QoS of messages, each way.
    pub max_qos: QoS,
    /// Over how many bridges a message may go that goes over this one, this one included, as far as they
    /// are bridges of this program and version 5 is spoken between them.
    pub max_hops: NonZeroU8,
    /// How much waits for the other broker here.
    pub queue: QueueBounds,
    /// How long to wait before the first further attempt to connect, at most.
    pub min_retry: Duration,
    /// How long to wait before any attempt, at most.
    pub max_retry: Duration,
    /// Which messages go.
    pub topics: Vec<TopicRule>,
}

/// How the other broker is known in TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The roots that its certificate is checked against, PEM.
    pub ca: PathBuf,
    /// The bridge's own certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// The name in the other broker's certificate, if it is not the host of its address.
    pub server_name: Option<String>,
}

impl UpstreamTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Says which file is wrong, and how.
    pub fn load(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(name) = &self.server_name {
            ServerName::try_from(name.as_str()).map_err(|error| format!("server_name: {error}"))?;
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(|error| in_file(&self.ca, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let secret =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, &error))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| in_file(key, &error))?
            }
            _ => return Err("a certificate needs its key, and a key its certificate".into()),
        };
        Ok(Arc::new(config))
    }
}

/// What has become of messages.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    is_connected: AtomicBool,
    connects: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    complaints: Mutex<(u64, Option<Instant>)>,
}

impl Numbers {
    fn add(number: &AtomicU64) {
        number.fetch_add(1, Ordering::Relaxed);
    }

    /// Has something told of how often it has happened since the last time, but not too often.
    fn complain(&self, tell: impl FnOnce(u64)) {
        // A number and a time, whole after each step.
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.0 += 1;
        let now = Instant::now();
        if complaints.1.is_none_or(|last| now.saturating_duration_since(last) >= COMPLAINTS) {
            tell(complaints.0);
            *complaints = (0, Some(now));
        }
    }
}

/// How a bridge is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeStatus {
    /// Its name.
    pub name: String,
    /// Whether the other broker has let it in.
    pub is_connected: bool,
    /// How often it has.
    pub connects: u64,
    /// Messages that went to the other broker.
    pub sent: u64,
    /// Messages that came from there.
    pub received: u64,
    /// Messages that did not go on, as no rule is for them or they are too large.
    pub dropped: u64,
    /// Messages that the other broker has refused.
    pub refused: u64,
    /// What waits for the other broker.
    pub waiting: Waiting,
}

/// A bridge that was let in there wants a connection here.
#[derive(Debug)]
pub(super) struct Attach {
    pub(super) bridge: String,
    /// Whether the other broker has lost its session.
    pub(super) is_new: bool,
    pub(super) pipe: Arc<Pipe>,
    pub(super) bell: Arc<Bell<Task>>,
    pub(super) answer: SyncSender<Attached>,
}

/// The connection.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) id: ConnectionId,
    /// For a packet to the other broker.
    pub(super) packet_id: PacketId,
}

/// A bridge at work; ended when dropped.
#[derive(Debug)]
pub(super) struct Bridge {
    name: String,
    numbers: Arc<Numbers>,
    bell: Arc<Bell<Task>>,
    ended: Receiver<()>,
}

/// What all bridges of a broker have in common.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub(super) control: &'a Control,
    /// How the broker is told of connections.
    pub(super) bell: &'a Arc<Bell<ConnectionId>>,
    pub(super) config: &'a Config,
}

impl Bridge {
    /// Starts it. `is_new`: this broker knew nothing of it.
    pub(super) fn start(
        settings: &BridgeSettings,
        is_new: bool,
        common: &Common<'_>,
    ) -> io::Result<Self> {
        let in_it = |error: String| {
            let name = &settings.name;
            io::Error::other(format!("bridge {name}: {error}"))
        };
        let tls = settings.tls.as_ref().map(UpstreamTls::load).transpose().map_err(in_it)?;
        let poll = Poll::new()?;
        let bell = Arc::new(Bell::new(Arc::new(Waker::new(poll.registry(), runner::WAKER)?)));
        let numbers = Arc::new(Numbers::default());
        let (end, ended) = sync_channel(1);
        let settings = Arc::new(settings.clone());
        let relay = Relay::new(
            Arc::clone(&settings),
            Arc::clone(&numbers),
            common.config.max_packet_size,
            common.config.maximum_qos,
        );
        let runner = Runner::new(runner::Parts {
            settings: Arc::clone(&settings),
            tls,
            relay,
            numbers: Arc::clone(&numbers),
            poll,
            bell: Arc::clone(&bell),
            broker: Arc::clone(common.bell),
            control: common.control.clone(),
            is_new,
        });
        thread::Builder::new().name("bridge".into()).spawn(move || {
            runner.run();
            // Nobody waits for a bridge that ends late.
            let _ = end.send(());
        })?;
        Ok(Self { name: settings.name.clone(), numbers, bell, ended })
    }

    pub(super) fn status(&self, broker: &Broker) -> BridgeStatus {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        BridgeStatus {
            name: self.name.clone(),
            is_connected: self.numbers.is_connected.load(Ordering::Relaxed),
            connects: read(&self.numbers.connects),
            sent: read(&self.numbers.sent),
            received: read(&self.numbers.received),
            dropped: read(&self.numbers.dropped),
            refused: read(&self.numbers.refused),
            waiting: broker.waiting(&self.name).unwrap_or_default(),
        }
    }

    /// Has it say goodbye and end.
    pub(super) fn stop(&self) {
        self.bell.ring(Task::Stop);
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop();
        // One that just looks up a name ends with the process.
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

/// Has a broker keep for these bridges what they are to carry.
pub(super) fn set(
    broker: &mut Broker,
    now: mqtt_session::Instant,
    bridges: &[BridgeSettings],
    out: &mut dyn Outputs,
) -> io::Result<()> {
    let ways: Vec<Way> =
        bridges.iter().map(|bridge| Way::new(&bridge.topics, Side::Remote)).collect();
    let subscriptions: Vec<_> =
        ways.iter().zip(bridges).map(|(way, bridge)| way.subscriptions(bridge.max_qos)).collect();
    let all: Vec<_> = bridges
        .iter()
        .zip(&subscriptions)
        .map(|(bridge, subscriptions)| mqtt_session::broker::Bridge {
            name: &bridge.name,
            subscriptions,
            queue: bridge.queue,
        })
        .collect();
    let set = broker.set_bridges(now, &all, out);
    set.map_err(|reason| io::Error::other(format!("no room for the bridges: {reason}")))
}
