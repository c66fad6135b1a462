//! Brokers as processes, and what they have used.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The example `broker` of this repository, built with `--release`.
    Motewire,
    /// Debian's.
    Mosquitto,
    /// The crate `rumqttd`.
    Rumqttd,
    /// The crate `mqtt5`, by its program `mqttv5`.
    Mqtt5,
    /// The crate `rmqtt`, in the program `peers/rmqtt`.
    Rmqtt,
    /// What goes the same way without checking anything: see `limit.rs`.
    Limit,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Motewire, Self::Mosquitto, Self::Rumqttd, Self::Mqtt5, Self::Rmqtt, Self::Limit];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Motewire => "motewire",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
            Self::Mqtt5 => "mqtt5",
            Self::Rmqtt => "rmqtt",
            Self::Limit => "limit",
        }
    }
}

/// A broker; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// Where it keeps its files.
    folder: PathBuf,
}

impl Server {
    /// Starts a broker that everybody may use, which with `is_stored` keeps on disk what must survive.
    /// `None` if there is none.
    pub(crate) fn start(kind: Kind, program: &str, is_stored: bool) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        let folder = std::env::temp_dir().join(format!("bench-broker-{}", address.port()));
        fs::create_dir_all(&folder).ok()?;
        let mut command = match kind {
            Kind::Motewire => motewire(program, address, is_stored.then_some(&folder)),
            Kind::Mosquitto => mosquitto(address, &folder, is_stored)?,
            Kind::Rumqttd => rumqttd(address, &folder)?,
            Kind::Mqtt5 => mqtt5(address),
            Kind::Rmqtt => rmqtt(address),
            Kind::Limit => limit(address)?,
        };
        let child = command
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!("{}: {error}", kind.name());
                let _ = fs::remove_dir_all(&folder);
                return None;
            }
        };
        let mut server = Self { child, address, folder };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > Duration::from_secs(10) || server.has_ended() {
                eprintln!("{} does not listen", kind.name());
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Seconds of processor time so far, in hundredths.
    pub(crate) fn cpu(&self) -> f64 {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |field: usize| {
            behind_name.split_whitespace().nth(field).and_then(|n| n.parse::<f64>().ok())
        };
        (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
    }

    /// Bytes of resident memory.
    pub(crate) fn resident(&self) -> f64 {
        let file = fs::File::open(format!("/proc/{}/status", self.child.id()));
        let lines = file.map(|file| BufReader::new(file).lines().map_while(Result::ok));
        let line = lines.ok().and_then(|mut lines| lines.find(|line| line.starts_with("VmRSS:")));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) * 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn motewire(program: &str, address: SocketAddr, store: Option<&PathBuf>) -> Command {
    let mut command = Command::new(fs::canonicalize(program).unwrap_or_else(|_| program.into()));
    command.arg("--listen").arg(address.to_string());
    if let Some(folder) = store {
        command.arg("--persistence").arg(folder.join("store"));
    }
    command
}

fn mosquitto(address: SocketAddr, folder: &Path, is_stored: bool) -> Option<Command> {
    let config = folder.join("mosquitto.conf");
    let lines = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\npersistence {is_stored}\n\
         persistence_location {}/\nset_tcp_nodelay true\nmax_queued_messages 0\n\
         max_inflight_messages 0\nlog_type none\n",
        address.port(),
        folder.display()
    );
    fs::write(&config, lines).ok()?;
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("mosquitto");
    let mut command = Command::new(program);
    command.arg("-c").arg(config);
    Some(command)
}

/// A program that `cargo install --root` has put there.
fn installed(name: &str) -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = || Some(variable("XDG_CACHE_HOME").unwrap_or(variable("HOME")?.join(".cache")));
    let root = variable("MOTEWIRE_PEERS").or_else(|| Some(cache()?.join("motewire-peers")));
    root.unwrap_or_default().join("bin").join(name)
}

fn rumqttd(address: SocketAddr, folder: &Path) -> Option<Command> {
    let config = folder.join("rumqttd.toml");
    let lines = format!(
        "id = 0\n\n[router]\nid = 0\nmax_connections = 20000\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 10\n\n[v4.1]\nname = \"v4-1\"\n\
         listen = \"{address}\"\nnext_connection_delay_ms = 0\n\n[v4.1.connections]\n\
         connection_timeout_ms = 60000\nmax_payload_size = 1048576\nmax_inflight_count = 500\n\
         dynamic_filters = true\n",
    );
    fs::write(&config, lines).ok()?;
    let mut command = Command::new(installed("rumqttd"));
    command.arg("-q").arg("-c").arg(config);
    Some(command)
}

fn mqtt5(address: SocketAddr) -> Command {
    let mut command = Command::new(installed("mqttv5"));
    command
        .args(["broker", "--allow-anonymous", "true", "--max-clients", "20000"])
        .args(["--no-persistence", "--non-interactive", "--host"])
        .arg(address.to_string())
        .env("RUST_LOG", "off");
    command
}

fn rmqtt(address: SocketAddr) -> Command {
    let mut command = Command::new(installed("rmqtt-broker"));
    command.arg(address.to_string());
    command
}

fn limit(address: SocketAddr) -> Option<Command> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.arg(crate::limit::ARGUMENT).arg(address.to_string());
    Some(command)
}
