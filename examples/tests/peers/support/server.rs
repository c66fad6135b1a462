//! A broker under test.

use core::net::{Ipv4Addr, SocketAddr};
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use motewire_examples::broker::{BrokerServer, Running};
use mqtt_session::broker::Config;
use tempfile::TempDir;

use super::peer;
use super::program::{Program, free_address, until};

/// A broker on a loopback port of its own; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    _program: Option<Program>,
    _running: Option<Running>,
    _folder: Option<TempDir>,
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The broker of this repository, on a thread of this process.
    pub(crate) fn motewire() -> Option<Self> {
        let server = BrokerServer::bind((Ipv4Addr::LOCALHOST, 0), Config::default());
        let running = server.and_then(BrokerServer::spawn).expect("a free port and a thread");
        let address = running.local_addr();
        Some(Self { address, _program: None, _running: Some(running), _folder: None })
    }

    /// Debian's mosquitto, both versions on one port, everything allowed, nothing kept on disk.
    pub(crate) fn mosquitto() -> Option<Self> {
        // Mosquitto cannot choose a port by itself, so someone else may take the one chosen.
        (0..5).find_map(|_| match Self::try_mosquitto(peer("mosquitto")?) {
            Ok(server) => Some(Some(server)),
            Err(log) => {
                eprintln!("mosquitto did not start, trying again:\n{log}");
                None
            }
        })?
    }

    fn try_mosquitto(mut command: Command) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let config = folder.path().join("mosquitto.conf");
        let log = folder.path().join("log");
        let lines = format!(
            "listener {} {}\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nset_tcp_nodelay true\n",
            address.port(),
            address.ip()
        );
        fs::write(&config, lines).expect("the temporary folder can be written");
        let errors = fs::File::create(&log).expect("the temporary folder can be written");
        command.arg("-c").arg(config).stderr(Stdio::from(errors));
        let mut program = Program::start(command);
        if until(|| TcpStream::connect(address).is_ok() || !program.runs()) && program.runs() {
            return Ok(Self {
                address,
                _program: Some(program),
                _running: None,
                _folder: Some(folder),
            });
        }
        Err(fs::read_to_string(log).unwrap_or_default())
    }
}
