//! The client with clusters of servers that nobody here wrote, on loopback: what one node takes another
//! delivers, and a node may be killed under load. `.ci/clusters` installs the servers and runs this.

#![expect(clippy::std_instead_of_alloc, reason = "where there are processes, there is std")]

mod cluster;
mod ejabberd;
mod nats;
#[path = "../peers/support/program.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod program;
mod rabbitmq;
#[path = "../peers/support/rabbitmq.rs"]
mod rabbitmq_nodes;
mod scenarios;

use core::time::Duration;

/// How long anything may take that must happen: far above what it takes, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
