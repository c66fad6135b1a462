//! The command line, which adds to the configuration file.

use core::net::SocketAddr;
use core::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use motewire_examples::broker::{Endpoint, Place, Settings, TlsFiles};
use tracing::level_filters::LevelFilter;

/// An MQTT broker: 3.1, 3.1.1 and 5.0 on every port.
///
/// Without any place to listen it takes 127.0.0.1:1883. What is said here counts more than what the file
/// says; places to listen are added to those of the file.
#[derive(Debug, Parser)]
#[command(name = "broker")]
pub(crate) struct Options {
    /// Where to listen for TCP; port 0 takes any free one, here and below.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<SocketAddr>,
    /// Where to listen for WebSocket, at the path /mqtt.
    #[arg(long, value_name = "HOST:PORT")]
    ws_listen: Vec<SocketAddr>,
    /// Where to listen for TLS.
    #[arg(long, value_name = "HOST:PORT")]
    tls_listen: Vec<SocketAddr>,
    /// Where to listen for WebSocket in TLS.
    #[arg(long, value_name = "HOST:PORT")]
    wss_listen: Vec<SocketAddr>,
    /// Where to listen for Unix sockets.
    #[arg(long, value_name = "PATH")]
    unix: Vec<PathBuf>,
    /// The certificate for TLS and those up to the root, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Roots for certificates of clients, PEM. The common name is then the user name.
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Turn away clients without a certificate, where TLS is spoken.
    #[arg(long)]
    tls_require_client_cert: bool,
    /// Users and their passwords, as mosquitto_passwd writes them.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Who may use which topics, as in mosquitto's acl_file.
    #[arg(long, value_name = "FILE")]
    acl: Option<PathBuf>,
    /// Where to tell /metrics and /healthz by HTTP, on loopback.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,
    /// The folder in which to keep what must survive; without it all is lost with the process.
    #[arg(long, value_name = "FOLDER")]
    persistence: Option<PathBuf>,
    /// Listen even where other machines can reach it and anybody is let in.
    #[arg(long)]
    allow_anonymous_beyond_loopback: bool,
    /// How many threads to work on: one for MQTT, the others for TLS [default: one for each core].
    #[arg(long, value_name = "NUMBER")]
    threads: Option<NonZeroUsize>,
    /// off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log: Option<LevelFilter>,
    /// All of this and more, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only say whether the configuration and the files it names are good.
    #[arg(long)]
    pub(crate) check_config: bool,
}

impl Options {
    /// All that is set, here and in the file.
    pub(crate) fn settings(self) -> Result<Settings, String> {
        let mut settings = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let tcp = [
            (self.listen, false, false),
            (self.ws_listen, false, true),
            (self.tls_listen, true, false),
            (self.wss_listen, true, true),
        ];
        for (addresses, tls, websocket) in tcp {
            let endpoints = addresses.into_iter().map(|address| Endpoint {
                place: Place::Tcp(address),
                tls,
                websocket,
            });
            settings.listeners.extend(endpoints);
        }
        let unix = self.unix.into_iter();
        settings.listeners.extend(unix.map(|path| Endpoint {
            place: Place::Unix(path),
            tls: false,
            websocket: false,
        }));
        if settings.listeners.is_empty() {
            settings.listeners.push(Endpoint::tcp(SocketAddr::from(([127, 0, 0, 1], 1883))));
        }
        if let (Some(certificate), Some(key)) = (self.tls_cert, self.tls_key) {
            let earlier = settings.tls.take().unwrap_or_default();
            settings.tls = Some(TlsFiles { certificate, key, ..earlier });
        }
        if self.tls_client_ca.is_some() || self.tls_require_client_cert {
            let Some(tls) = &mut settings.tls else {
                return Err("certificates of clients need --tls-cert and --tls-key".into());
            };
            tls.require_client_certificate |= self.tls_require_client_cert;
            tls.client_ca = self.tls_client_ca.or(tls.client_ca.take());
        }
        let access = &mut settings.access;
        access.users = self.users.or(access.users.take());
        access.acl = self.acl.or(access.acl.take());
        settings.metrics = self.metrics.or(settings.metrics);
        settings.persistence = self.persistence.or(settings.persistence);
        settings.allow_anonymous_beyond_loopback |= self.allow_anonymous_beyond_loopback;
        settings.threads = self.threads.or(settings.threads);
        settings.log_level = self.log.unwrap_or(settings.log_level);
        Ok(settings)
    }
}
