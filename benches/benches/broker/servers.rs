//! Brokers as processes, and the processor time they have used.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A broker; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    config: Option<std::path::PathBuf>,
}

impl Server {
    /// The example `broker` of this repository, built with `--release`.
    pub(crate) fn motewire(program: Option<&str>) -> Option<Self> {
        let program = program.unwrap_or("target/release/examples/broker");
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| eprintln!("{program}: {error}"))
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        let address = line.split_whitespace().last()?.parse().ok()?;
        Some(Self { child, address, config: None })
    }

    /// Debian's mosquitto, allowed everything.
    pub(crate) fn mosquitto(_: Option<&str>) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        let config = std::env::temp_dir().join(format!("mosquitto-{}.conf", address.port()));
        let lines = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
             max_queued_messages 0\nmax_inflight_messages 0\nlog_type none\n",
            address.port()
        );
        fs::write(&config, lines).ok()?;
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .or_else(|_| Command::new("/usr/sbin/mosquitto").arg("-c").arg(&config).spawn())
            .map_err(|error| eprintln!("mosquitto: {error}"))
            .ok()?;
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, address, config: Some(config) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
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
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(config) = &self.config {
            let _ = fs::remove_file(config);
        }
    }
}
