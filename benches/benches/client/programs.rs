//! The programs that are measured, and the servers that they talk to.

use core::time::Duration;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// A client that takes longer for a measurement has stopped: its figures are `NaN`.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client: what it is called, and the program that it is in.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) name: String,
    program: PathBuf,
    /// It gets one of so many messages that others get: it takes that much longer for one.
    pub(crate) share: usize,
}

fn own_program() -> PathBuf {
    env::current_exe().expect("a running program has a file")
}

/// All clients that there are.
pub(crate) fn clients() -> Vec<Client> {
    let client = |name: &str, program: &Path, share| Client {
        name: name.into(),
        program: program.into(),
        share,
    };
    let mut clients = Vec::new();
    for name in ["motewire", "motewire-blocking"] {
        clients.push(client(name, &own_program(), 1));
    }
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let target = peers.join("target/release");
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(peers.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(peers.join("target"))
        .status();
    if built.is_ok_and(|status| status.success()) {
        for name in ["ntex-mqtt", "rumqttc", "mqrstt", "mqtt5", "endpoint-tokio"] {
            let share = if name == "ntex-mqtt" { 1 } else { 10 };
            clients.push(client(name, &target.join("client-peers"), share));
        }
    } else {
        eprintln!("without the peers in Rust: they cannot be built");
    }
    for (name, library) in [("libmosquitto", "mosquitto"), ("paho", "paho-mqtt3a")] {
        let program = target.join(name);
        let built = fs::create_dir_all(&target).and_then(|()| {
            Command::new("cc")
                .args(["-O2", "-o"])
                .arg(&program)
                .arg(peers.join(format!("c/{name}.c")))
                .args([&format!("-l{library}"), "-lpthread"])
                .status()
        });
        if built.is_ok_and(|status| status.success()) {
            clients.push(client(name, &program, 50));
        } else {
            eprintln!("without {name}: it needs cc and the headers of lib{library}");
        }
    }
    clients.push(client("limit", &own_program(), 1));
    clients
}

impl Client {
    /// Two figures that it prints; the median of some runs.
    pub(crate) fn measure(&self, what: &str, port: u16, arguments: &str) -> (f64, f64) {
        let runs: usize = env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1);
        let mut figures: Vec<(f64, f64)> = (0..runs.max(1))
            .map(|_| {
                let mut command = Command::new(&self.program);
                let told = told(self.arguments(&mut command, what, port, arguments));
                let mut told = told.split_whitespace().map(|text| text.parse().unwrap_or(f64::NAN));
                (told.next().unwrap_or(f64::NAN), told.next().unwrap_or(f64::NAN))
            })
            .collect();
        figures.sort_by(|one, other| one.0.total_cmp(&other.0));
        figures[figures.len() / 2]
    }

    fn arguments<'c>(
        &self,
        command: &'c mut Command,
        what: &str,
        port: u16,
        arguments: &str,
    ) -> &'c mut Command {
        command.args([what, &self.name, &port.to_string()]).args(arguments.split_whitespace())
    }

    /// How many system calls a run takes, as `strace` counts them; `NaN` without it.
    pub(crate) fn system_calls(&self, port: u16, arguments: &str) -> f64 {
        let counts = own_program().with_extension("strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-qq", "-U", "calls,name", "-o"]).arg(&counts).arg(&self.program);
        if told(self.arguments(&mut command, "run", port, arguments)).is_empty() {
            return f64::NAN;
        }
        let counts = fs::read_to_string(counts).unwrap_or_default();
        let total = counts.lines().find_map(|line| line.trim().strip_suffix("total"));
        total.and_then(|count| count.trim().parse().ok()).unwrap_or(f64::NAN)
    }
}

/// What a program prints before it ends, if it does in time.
fn told(command: &mut Command) -> String {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return String::new() };
    let start = Instant::now();
    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
        if start.elapsed() > PATIENCE {
            // It runs, or has just ended.
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut told = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output).read_to_string(&mut told).expect("it is text");
    told
}

/// A server, as long as this lives.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// The one that acknowledges at once.
    pub(crate) fn sink() -> Self {
        let mut process = Command::new(own_program())
            .arg("server")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut port = String::new();
        let output = process.stdout.take().expect("stdout is piped");
        BufReader::new(output).read_line(&mut port).expect("the server tells its port");
        Self { process, port: port.trim().parse().expect("a port") }
    }

    /// mosquitto, with what would make it slower or drop messages turned off, if it is installed.
    pub(crate) fn mosquitto() -> Option<Self> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        let port = free.local_addr().ok()?.port();
        drop(free);
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
             max_inflight_messages 0\nmax_queued_messages 0\nlog_type none\n"
        );
        let file = own_program().with_extension("mosquitto.conf");
        fs::write(&file, settings).ok()?;
        let quiet = Stdio::null;
        let process = ["mosquitto", "/usr/sbin/mosquitto"].iter().find_map(|program| {
            Command::new(program).arg("-c").arg(&file).stdout(quiet()).stderr(quiet()).spawn().ok()
        })?;
        let server = Self { process, port };
        (0..100)
            .any(|_| {
                thread::sleep(Duration::from_millis(20));
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            })
            .then_some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
