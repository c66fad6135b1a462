//! Three nodes of RabbitMQ with its MQTT plug-in: version 3.1.1, QoS 0 and 1, queues mirrored on all.

use core::time::Duration;
use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use mqtt_client::{QoS, Version};
use serde_json::json;

use crate::cluster::Cluster;
use crate::program::free_address;
use crate::scenarios;

const NODES: usize = 3;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Version::V311, QoS::AtLeastOnce);
    let folder = cluster.folder().to_owned();
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
    let definitions = write("definitions.json", &definitions.to_string());
    let plugins = write("plugins", "[rabbitmq_mqtt].");
    let peers: String = (0..NODES)
        .map(|n| format!("cluster_formation.classic_config.nodes.{} = r{n}@localhost\n", n + 1))
        .collect();

    let epmd = free_address();
    let mut mapper = Command::new("epmd");
    mapper.args(["-address", &epmd.ip().to_string(), "-port", &epmd.port().to_string()]);
    cluster.help(mapper);
    for n in 0..NODES {
        let name = format!("r{n}");
        let (amqp, mqtt, nodes) = (free_address(), free_address(), free_address());
        let config = format!(
            "listeners.tcp.1 = {amqp}\n\
             mqtt.listeners.tcp.1 = {mqtt}\n\
             mqtt.allow_anonymous = true\n\
             mqtt.default_user = guest\n\
             mqtt.default_pass = guest\n\
             mqtt.subscription_ttl = 600000\n\
             load_definitions = {}\n\
             cluster_formation.peer_discovery_backend = classic_config\n\
             {peers}\
             log.console = true\n\
             log.file = false\n",
            definitions.display()
        );
        let config = write(&format!("{name}.conf"), &config);
        let own = folder.join(&name);
        fs::create_dir(&own).expect("the folder can be written");
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        command
            .env("HOME", &folder) // the cookie is there
            .env("ERL_EPMD_ADDRESS", epmd.ip().to_string())
            .env("ERL_EPMD_PORT", epmd.port().to_string())
            .env("RABBITMQ_NODENAME", format!("{name}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", amqp.ip().to_string())
            .env("RABBITMQ_NODE_PORT", amqp.port().to_string())
            .env("RABBITMQ_DIST_PORT", nodes.port().to_string())
            .env("RABBITMQ_MNESIA_BASE", &own)
            .env("RABBITMQ_LOG_BASE", &own)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
            .env("RABBITMQ_CONFIG_FILE", config)
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} -setcookie lab",
            )
            // The script makes way for the node, which then is the process to kill.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .arg("-noinput");
        cluster.add(&name, mqtt, command);
        // Nodes that start together at times wait for each other for ever. If this one does not
        // start, that is found out later.
        for _ in 0..300 {
            if TcpStream::connect(mqtt).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
    cluster
}

#[test]
fn what_one_node_of_rabbitmq_takes_every_other_delivers() {
    scenarios::run(cluster, async |cluster| {
        scenarios::crosses_nodes(cluster).await;
        scenarios::session_moves(cluster).await;
        assert!(!scenarios::retained_crosses(cluster).await, "so the table in CLUSTERS.md says");
    });
}

#[test]
fn a_node_of_rabbitmq_that_is_killed_takes_nothing_with_it_that_was_acknowledged() {
    for killed in [0, 1] {
        scenarios::run(cluster, async move |cluster| {
            let outcome = scenarios::kill_under_load(cluster, 0, 1, killed).await;
            assert!(outcome.lost == 0 && outcome.failed.is_empty(), "{outcome:?}");
            // A session is a queue there, and who only publishes has none.
            assert!(outcome.resumed || killed == 0, "{outcome:?}");
        });
    }
}
