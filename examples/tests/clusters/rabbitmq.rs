//! Three nodes of RabbitMQ 3.10: version 3.1.1, QoS 0 and 1, queues mirrored on all.

use mqtt_client::{QoS, Version};

use crate::cluster::Cluster;
use crate::rabbitmq_nodes::Nodes;
use crate::scenarios;

const NODES: usize = 3;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Version::V311, QoS::AtLeastOnce);
    let nodes = Nodes::new(cluster.folder(), NODES);
    cluster.help(nodes.mapper());
    for n in 0..NODES {
        let (mqtt, command) = nodes.node(n);
        cluster.add(&format!("r{n}"), mqtt, command);
        // Nodes that start together at times wait for each other for ever. If this one does not
        // start, that is found out later.
        cluster.wait_for_last();
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
