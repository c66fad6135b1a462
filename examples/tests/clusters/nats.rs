//! Three nodes of nats-server: version 3.1.1, QoS 0 and 1, sessions and messages in JetStream.

use std::fs;
use std::process::Command;

use mqtt_client::{QoS, Version};

use crate::cluster::Cluster;
use crate::program::free_address;
use crate::scenarios;

const NODES: usize = 3;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Version::V311, QoS::AtLeastOnce);
    let routes: Vec<_> = (0..NODES).map(|_| free_address()).collect();
    let urls: Vec<_> = routes.iter().map(|route| format!("nats-route://{route}")).collect();
    for (n, route) in routes.iter().enumerate() {
        let name = format!("n{n}");
        let (client, mqtt) = (free_address(), free_address());
        let folder = cluster.folder().join(&name);
        let config = cluster.folder().join(format!("{name}.conf"));
        let lines = format!(
            "server_name: {name}\n\
             listen: \"{client}\"\n\
             jetstream {{ store_dir: {folder:?}, max_file_store: 512MB, max_memory_store: 64MB }}\n\
             cluster {{ name: lab, listen: \"{route}\", routes: {urls:?} }}\n\
             mqtt {{ listen: \"{mqtt}\", stream_replicas: {NODES} }}\n"
        );
        fs::write(&config, lines).expect("the folder can be written");
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(config);
        cluster.add(&name, mqtt, command);
    }
    cluster
}

#[test]
fn what_one_node_of_nats_takes_every_other_delivers() {
    scenarios::run(cluster, async |cluster| {
        scenarios::crosses_nodes(cluster).await;
        scenarios::session_moves(cluster).await;
        assert!(scenarios::retained_crosses(cluster).await, "so the table in CLUSTERS.md says");
    });
}

#[test]
fn a_node_of_nats_that_is_killed_takes_nothing_with_it_that_was_acknowledged() {
    for killed in [0, 1] {
        scenarios::run(cluster, async move |cluster| {
            let outcome = scenarios::kill_under_load(cluster, 0, 1, killed).await;
            assert!(
                outcome.lost == 0 && outcome.failed.is_empty() && outcome.resumed,
                "{outcome:?}"
            );
        });
    }
}
