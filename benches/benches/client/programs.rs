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

use rustix::process::{Pid, Signal, kill_process};

/// A client that takes longer for a run has stopped, and is cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many seconds a run should take, and how many messages it has to begin with and at most.
const ENOUGH: f64 = 0.3;
const FIRST: usize = 1_000;
const MOST: usize = 2_000_000;

/// A client: what it is called, and the program that it is in.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) name: String,
    program: PathBuf,
    /// It gets one of so many messages that others get, where they are not counted by time.
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
    for name in ["motewire", "motewire-handler", "motewire-blocking"] {
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
            let share = if name == "ntex-mqtt" { 1 } else { 4 };
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
            clients.push(client(name, &program, 10));
        } else {
            eprintln!("without {name}: it needs cc and the headers of lib{library}");
        }
    }
    clients.push(client("limit", &own_program(), 1));
    clients
}

/// What a client has told of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Figures<F> {
    Measured(F),
    /// It was cut off.
    Stopped,
    /// It cannot do it.
    Nothing,
}

impl<F> Figures<F> {
    pub(crate) fn map<G>(self, map: impl FnOnce(F) -> G) -> Figures<G> {
        match self {
            Self::Measured(figures) => Figures::Measured(map(figures)),
            Self::Stopped => Figures::Stopped,
            Self::Nothing => Figures::Nothing,
        }
    }
}

impl Client {
    /// How many messages take long enough, which runs of fewer find out.
    fn enough(&self, port: u16, arguments: impl Fn(usize) -> String) -> Figures<usize> {
        let mut count = FIRST;
        loop {
            let first = self.measure_once("run", port, &arguments(count));
            let Figures::Measured((_, rate)) = first else { return first.map(|_| count) };
            let wanted = rate * ENOUGH;
            if count as f64 > wanted / 2.0 || count == MOST {
                return Figures::Measured(count);
            }
            // The first run is mostly connecting, or filling the buffers of a socket.
            count = MOST.min(wanted as usize).min(20 * count);
        }
    }

    /// Two figures that it prints.
    pub(crate) fn measure_once(
        &self,
        what: &str,
        port: u16,
        arguments: &str,
    ) -> Figures<(f64, f64)> {
        let mut command = Command::new(&self.program);
        // Many connections are made one after the other.
        let patience = if what == "idle" { 4 * PATIENCE } else { PATIENCE };
        told(self.arguments(&mut command, what, port, arguments), patience)
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

    /// How many system calls a run takes, as `strace` counts them, if it is installed.
    pub(crate) fn system_calls(&self, port: u16, arguments: &str) -> Figures<f64> {
        let counts = own_program().with_extension("strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-qq", "-U", "calls,name", "-o"]).arg(&counts).arg(&self.program);
        let figures = told(self.arguments(&mut command, "run", port, arguments), PATIENCE);
        let Figures::Measured(_) = figures else { return figures.map(|(cpu, _)| cpu) };
        let counts = fs::read_to_string(counts).unwrap_or_default();
        let total = counts.lines().find_map(|line| line.trim().strip_suffix("total"));
        let total = total.and_then(|count| count.trim().parse().ok());
        total.map_or(Figures::Nothing, Figures::Measured)
    }
}

/// CPU seconds per million messages, and messages per second, of each client.
pub(crate) fn run(
    clients: &[Client],
    port: u16,
    arguments: impl Fn(usize) -> String,
) -> Vec<Figures<(f64, f64)>> {
    let counts: Vec<_> = clients.iter().map(|client| client.enough(port, &arguments)).collect();
    in_turns(clients, |client, place| match counts[place] {
        Figures::Measured(count) => client.measure_once("run", port, &arguments(count)),
        other => other.map(|_| (0.0, 0.0)),
    })
}

/// The lower median of some runs of each client. They take turns, so that what else the machine has to do
/// at a time is not one client's alone.
pub(crate) fn in_turns(
    clients: &[Client],
    measure: impl Fn(&Client, usize) -> Figures<(f64, f64)>,
) -> Vec<Figures<(f64, f64)>> {
    let runs: usize = env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1);
    let mut all = vec![Ok(Vec::new()); clients.len()];
    for _ in 0..runs.max(1) {
        for (place, (client, all)) in clients.iter().zip(&mut all).enumerate() {
            let Ok(measured) = all else { continue };
            match measure(client, place) {
                Figures::Measured(figures) => measured.push(figures),
                other => *all = Err(other),
            }
        }
    }
    let median = |mut measured: Vec<(f64, f64)>| {
        measured.sort_by(|one, other| one.0.total_cmp(&other.0));
        Figures::Measured(measured[(measured.len() - 1) / 2])
    };
    all.into_iter().map(|all| all.map_or_else(|failed| failed, median)).collect()
}

/// Two figures that a program prints before it ends, if it does in time.
fn told(command: &mut Command, patience: Duration) -> Figures<(f64, f64)> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return Figures::Nothing };
    let start = Instant::now();
    let mut stopped = false;
    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
        if start.elapsed() > patience * (1 + u32::from(stopped)) {
            // First in a way that strace hands on to what it runs.
            let signal = if stopped { Signal::KILL } else { Signal::TERM };
            stopped = true;
            // It runs, or has just ended.
            let _ = kill_process(Pid::from_child(&child), signal);
        }
        thread::sleep(Duration::from_millis(2));
    }
    if stopped {
        return Figures::Stopped;
    }
    let mut told = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output).read_to_string(&mut told).expect("it is text");
    let told: Vec<f64> = told.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    match told[..] {
        [first, second] if first.is_finite() => Figures::Measured((first, second)),
        _ => Figures::Nothing,
    }
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
