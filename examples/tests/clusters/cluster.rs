//! Servers that are one to their clients.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use mqtt_client::{Client, Options, QoS, Server, Version};
use tempfile::TempDir;

use crate::program::Program;
use crate::scenarios;

/// How long a node may take to start.
const START: Duration = Duration::from_secs(120);

/// Nodes of a cluster, each a process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    /// What the nodes need besides, which outlives them.
    helpers: Vec<Program>,
    folder: TempDir,
    /// Who clients say they are.
    pub(crate) user: Option<&'static str>,
    /// What the engine speaks and does.
    pub(crate) version: Version,
    pub(crate) max_qos: QoS,
}

#[derive(Debug)]
struct Node {
    name: String,
    mqtt: SocketAddr,
    program: Option<Program>,
}

impl Node {
    fn runs(&mut self) -> bool {
        self.program.as_mut().is_some_and(Program::runs)
    }
}

impl Cluster {
    /// None yet, with a folder for their files.
    pub(crate) fn new(version: Version, max_qos: QoS) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { nodes: Vec::new(), helpers: Vec::new(), folder, user: None, version, max_qos }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts what the nodes need.
    pub(crate) fn help(&mut self, command: Command) {
        self.helpers.push(self.start("helper", command));
    }

    /// Starts a node that will serve MQTT there.
    pub(crate) fn add(&mut self, name: &str, mqtt: SocketAddr, command: Command) {
        let program = Some(self.start(name, command));
        self.nodes.push(Node { name: name.to_owned(), mqtt, program });
    }

    fn start(&self, name: &str, mut command: Command) -> Program {
        let log = File::create(self.log(name)).expect("the folder can be written");
        command.stderr(Stdio::from(log));
        Program::start(command)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.stderr"))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Waits until the last node listens. If it does not, [`Cluster::ready`] finds that out.
    pub(crate) fn wait_for_last(&mut self) {
        let start = Instant::now();
        let Some(node) = self.nodes.last_mut() else { return };
        while node.runs() && TcpStream::connect(node.mqtt).is_err() && start.elapsed() < START {
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until every node accepts clients, and they are one cluster: nodes that were too slow in
    /// finding each other at their start may go on each by itself.
    ///
    /// # Errors
    /// One does not; with what it has told.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let mut probes = Vec::new();
        for n in 0..self.len() {
            let mut options = self.options(&format!("probe{n}"), n);
            options.servers.truncate(1);
            options.clean_start = true;
            options.session_expiry = Duration::ZERO;
            // A node may listen before it knows its users.
            options.reconnect.give_up = |_| false;
            let connecting = tokio::time::timeout(START, mqtt_client::tokio::connect(options));
            let mut connecting = core::pin::pin!(connecting);
            let outcome = loop {
                match tokio::time::timeout(Duration::from_millis(500), &mut connecting).await {
                    Ok(outcome) => break Some(outcome),
                    Err(_) if self.nodes[n].runs() => {}
                    Err(_) => break None,
                }
            };
            match outcome {
                Some(Ok(Ok(probe))) => probes.push(probe),
                other => {
                    let name = &self.nodes[n].name;
                    let log = fs::read_to_string(self.log(name)).unwrap_or_default();
                    return Err(format!("{name} does not start: {other:?}\n{log}"));
                }
            }
        }
        for (from, to) in (1..self.len()).flat_map(|n| [(0, n), (n, 0)]) {
            let topic = format!("probe/{from}/{to}");
            let routed = scenarios::routes(&probes[from], &probes[to], &topic);
            if tokio::time::timeout(START, routed).await.is_err() {
                return Err(format!("node {to} does not hear of what node {from} takes"));
            }
        }
        for probe in probes {
            probe.disconnect().await;
        }
        Ok(())
    }

    /// SIGKILL, as a power cut would be.
    pub(crate) fn kill(&mut self, node: usize) {
        drop(self.nodes[node].program.take());
    }

    /// Options for a client whose session outlives connections, and that goes to this node first.
    pub(crate) fn options(&self, client_id: &str, first: usize) -> Options {
        let mut servers = self
            .nodes
            .iter()
            .map(|node| Server::tcp(&node.mqtt.ip().to_string(), node.mqtt.port()))
            .collect::<Vec<_>>();
        servers.rotate_left(first);
        let mut options = Options::new(servers[0].clone());
        options.servers = servers;
        options.user_name = self.user.map(Into::into);
        options.password = self.user.map(|_| "secret".into());
        options.version = self.version;
        options.client_id = client_id.into();
        options.clean_start = false;
        options.session_expiry = Duration::from_secs(600);
        options.response_timeout = Duration::from_secs(5);
        options.reconnect.min = Duration::from_millis(100);
        options.reconnect.max = Duration::from_secs(1);
        options
    }

    pub(crate) async fn connect(&self, client_id: &str, first: usize) -> Client {
        let connecting = mqtt_client::tokio::connect(self.options(client_id, first));
        scenarios::in_time(connecting).await.expect("a node accepts")
    }
}
