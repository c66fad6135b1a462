//! The support itself: what is found, started and killed.

use crate::support::{PATIENCE, Server, Version, mosquitto_cli, peer, program::Program};

#[test]
fn mosquitto_pub_reaches_mosquitto_sub_through_a_started_mosquitto() {
    let Some(server) = Server::mosquitto() else { return };
    for version in Version::BOTH {
        let sub = mosquitto_cli::Subscriber::start(server.address(), version, "self/+", 1, &[]);
        let Some(sub) = sub else { return };
        let done = mosquitto_cli::publish(server.address(), version, "self/test", "hello", 1, &[]);
        if done.is_some() {
            assert_eq!(sub.message().told(), ("self/test", "hello", 1, false));
        }
    }
}

#[test]
fn a_dropped_server_no_longer_listens() {
    let Some(server) = Server::mosquitto() else { return };
    let address = server.address();
    assert!(std::net::TcpStream::connect(address).is_ok());
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn the_node_packages_that_ci_installs_can_be_required() {
    for package in ["mqtt", "lora-packet"] {
        let Some(mut node) = peer(&format!("npm:{package}")) else { continue };
        node.args(["-e", &format!("console.log(typeof require({package:?}))")]);
        assert_eq!(Program::start(node).line(PATIENCE).as_deref(), Some("object"));
    }
}
