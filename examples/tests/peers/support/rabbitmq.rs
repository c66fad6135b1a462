//! Nodes of RabbitMQ with its plug-in for MQTT.

use core::net::SocketAddr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::program::free_address;

/// What nodes of one cluster have in common: files in a folder, and where they find each other.
#[derive(Debug)]
pub(crate) struct Nodes {
    folder: PathBuf,
    names: Vec<String>,
    epmd: SocketAddr,
    definitions: PathBuf,
    plugins: PathBuf,
}

impl Nodes {
    /// So many nodes with their files in this folder.
    pub(crate) fn new(folder: &Path, count: usize) -> Self {
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).expect("the folder can be written");
            file
        };
        let definitions = json!({
            "vhosts": [{"name": "/"}],
            "users": [{"name": "guest", "password": "guest", "tags": ""}],
            "permissions":
                [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
            "policies": [{
                "vhost": "/", "name": "mirror", "pattern": "^mqtt-", "apply-to": "queues",
                "priority": 0, "definition": {"ha-mode": "all", "ha-sync-mode": "automatic"},
            }],
        });
        Self {
            names: (0..count).map(|n| format!("r{n}@localhost")).collect(),
            epmd: free_address(),
            definitions: write("definitions.json", &definitions.to_string()),
            plugins: write("plugins", "[rabbitmq_mqtt]."),
            folder: folder.to_owned(),
        }
    }

    /// The command for what nodes are found by, which must run first.
    pub(crate) fn mapper(&self) -> Command {
        let mut mapper = Command::new("epmd");
        let (ip, port) = (self.epmd.ip().to_string(), self.epmd.port().to_string());
        mapper.args(["-address", &ip, "-port", &port]);
        mapper
    }

    /// Where a node serves MQTT, and the command for it: 3.1.1, anyone may do anything.
    pub(crate) fn node(&self, n: usize) -> (SocketAddr, Command) {
        let (mqtt, nodes) = (free_address(), free_address());
        let peers = self.names.iter().enumerate().map(|(n, name)| {
            format!("cluster_formation.classic_config.nodes.{} = {name}\n", n + 1)
        });
        let config = format!(
            "listeners.tcp = none\n\
             mqtt.listeners.tcp.1 = {mqtt}\n\
             mqtt.allow_anonymous = true\n\
             mqtt.default_user = guest\n\
             mqtt.default_pass = guest\n\
             mqtt.subscription_ttl = 600000\n\
             load_definitions = {}\n\
             cluster_formation.peer_discovery_backend = classic_config\n\
             {}\
             log.console = true\n\
             log.file = false\n",
            self.definitions.display(),
            peers.collect::<String>(),
        );
        let own = self.folder.join(format!("r{n}"));
        fs::create_dir(&own).expect("the folder can be written");
        let file = own.join("node.conf");
        fs::write(&file, config).expect("the folder can be written");
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        command
            .env("HOME", &self.folder) // the cookie is there
            .env("ERL_EPMD_ADDRESS", self.epmd.ip().to_string())
            .env("ERL_EPMD_PORT", self.epmd.port().to_string())
            .env("RABBITMQ_NODENAME", &self.names[n])
            .env("RABBITMQ_DIST_PORT", nodes.port().to_string())
            .env("RABBITMQ_MNESIA_BASE", &own)
            .env("RABBITMQ_LOG_BASE", &own)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", &self.plugins)
            .env("RABBITMQ_CONFIG_FILE", file)
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} -setcookie lab",
            )
            // The script makes way for the node, which then is the process to kill.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .arg("-noinput");
        (mqtt, command)
    }
}
