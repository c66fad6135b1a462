//! The support itself: what is found, started and killed; and tests that documents name.

use std::fs;
use std::path::Path;

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

/// All source files of this repository.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder").map_while(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "corpus" {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn every_test_and_example_that_demands_md_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let demands = fs::read_to_string(root.join("mqtt-client/DEMANDS.md")).expect("it is there");
    let mut text = String::new();
    for folder in ["mqtt-client", "mqtt-session", "mqtt-codec", "examples"] {
        sources(&root.join(folder), &mut text);
    }
    let rows: Vec<_> = demands.lines().filter(|line| line.starts_with("| ")).collect();
    for n in 1..=25 {
        let row = rows.iter().find(|row| row.starts_with(&format!("| {n} |")));
        let shown_by = row.and_then(|row| row.split('|').nth(4)).expect("a row for each demand");
        let mut named = 0;
        for (before, name) in shown_by.split('`').collect::<Vec<_>>().chunks(2).filter_map(|pair| {
            let [before, name] = pair else { return None };
            Some((before, name))
        }) {
            let example = root.join("examples/examples");
            let exists = if before.ends_with("example ") {
                example.join(format!("{name}.rs")).is_file() || example.join(name).is_dir()
            } else if name.matches('_').count() > 1 {
                text.contains(&format!("fn {name}(")) || {
                    root.join("fuzz/fuzz_targets").join(format!("{name}.rs")).is_file()
                }
            } else {
                continue;
            };
            assert!(exists, "demand {n} is shown by {name}, which is not there");
            named += 1;
        }
        assert!(named > 0, "demand {n} is shown by nothing: {shown_by}");
    }
}
