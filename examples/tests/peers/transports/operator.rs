//! What an operator does: configure, look, reload, stop.

use core::net::SocketAddr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::json;
use tempfile::TempDir;

use super::certificates;
use super::program::{Broker, folder};
use crate::support::paho::Paho;
use crate::support::program::{Program, complete, until};
use crate::support::raw::Raw;
use crate::support::{PATIENCE, Version, example, peer};

/// What `broker` says with these arguments, in this folder, when it ends by itself.
fn told(folder: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = example("broker");
    command.current_dir(folder.path()).args(arguments);
    let Output { status, stdout, stderr } = complete(command, "");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_configuration_is_checked_without_listening() {
    let folder = folder();
    let config = "
        [[listener]]
        address = '127.0.0.1:1'
        [[listener]]
        address = '0.0.0.0:2'
        tls = true
        [tls]
        certificate = 'server.pem'
        key = 'server.key'
        client_ca = 'ca.pem'
        [access]
        users = 'users'
        acl = 'acl'
        [limits]
        max_packet_size = 1000
        overlap = 'copy-each'
    ";
    fs::write(folder.path().join("good.toml"), config).expect("writable");
    fs::write(folder.path().join("users"), "").expect("writable");
    fs::write(folder.path().join("acl"), "topic read a\n").expect("writable");
    let (status, out, error) = told(&folder, &["--config", "good.toml", "--check-config"]);
    assert_eq!((status, error.as_str()), (Some(0), ""), "ports 1 and 2 are not for everybody");
    assert!(out.contains("good"), "{out}");
}

#[test]
fn a_wrong_configuration_is_told_by_file_key_and_line() {
    let folder = folder();
    fs::write(folder.path().join("bad users"), "name without hash\n").expect("writable");
    fs::write(folder.path().join("bad acl"), "topic read a\ntopc read b\n").expect("writable");
    let tls = "[tls]\ncertificate = 'server.pem'\nkey = 'server.key'\n";
    let wrong = [
        ("[limits]\nmax_conections = 1", &["wrong.toml", "line 2", "max_conections"][..]),
        ("[[listener]]\naddress = '0.0.0.0:0'", &["0.0.0.0:0", "allow_anonymous_beyond_loopback"]),
        ("[[listener]]\naddress = '127.0.0.1:0'\ntls = true", &["wrong.toml", "line 1", "[tls]"]),
        ("[access]\nusers = 'bad users'", &["bad users", "line 1"]),
        ("[access]\nacl = 'bad acl'", &["bad acl", "line 2"]),
        ("[access]\nacl = 'no such file'", &["no such file"]),
        ("[tls]\ncertificate = 'ca.pem'\nkey = 'server.key'", &["server.key"]),
        (
            "[tls]\ncertificate = 'server.key'\nkey = 'server.key'",
            &["server.key", "no certificate"],
        ),
        (&format!("{tls}client_ca = 'acl'"), &["acl"]),
        (&format!("{tls}require_client_certificate = true"), &["client_ca"]),
        ("[metrics]\naddress = '0.0.0.0:0'", &["metrics", "loopback"]),
    ];
    for (text, expected) in wrong {
        fs::write(folder.path().join("wrong.toml"), text).expect("writable");
        for arguments in [&["--check-config"][..], &[]] {
            let all = [&["--config", "wrong.toml"], arguments].concat();
            let (status, out, error) = told(&folder, &all);
            assert_eq!((status, out.as_str()), (Some(1), ""), "{text}: {error}");
            for part in expected {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }
    let (status, _, error) = told(&folder, &["--config", "missing.toml"]);
    assert_eq!(status, Some(1));
    assert!(error.contains("missing.toml"), "{error}");
}

#[test]
fn the_broker_opens_to_other_machines_only_when_it_is_told_twice() {
    let folder = folder();
    let (status, _, error) = told(&folder, &["--listen", "0.0.0.0:0"]);
    assert_eq!(status, Some(1));
    assert!(
        error.contains("anybody") && error.contains("allow_anonymous_beyond_loopback"),
        "{error}"
    );
    let allowed = ["--listen", "0.0.0.0:0", "--allow-anonymous-beyond-loopback", "--check-config"];
    assert_eq!(told(&folder, &allowed).0, Some(0));
}

#[test]
fn limits_of_the_file_are_those_of_the_broker() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[[listener]]\naddress = '127.0.0.1:0'\n[limits]\nmax_packet_size = 100\n\
                  receive_maximum = 7\nmaximum_qos = 1\nretain_available = false\nmax_keep_alive = 5";
    fs::write(folder.path().join("limits.toml"), config).expect("writable");
    let broker = Broker::start(folder, &["--config", "limits.toml"]);
    let address = broker.endpoint("127.0.0.1:").parse().expect("an address");
    let Some(mut client) = Paho::start(address, Version::V5, "limited") else { return };
    let connected = client.connect(&json!({}));
    let properties = &connected["properties"];
    assert_eq!(properties["MaximumPacketSize"], 100, "{connected}");
    assert_eq!(properties["ReceiveMaximum"], 7);
    assert_eq!(properties["MaximumQoS"], 1);
    assert_eq!(properties["RetainAvailable"], 0);
    assert_eq!(properties["ServerKeepAlive"], 5);
}

/// What is answered to a GET of this path.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().expect("a status").to_owned(), body.to_owned())
}

#[test]
fn prometheus_understands_the_metrics() {
    let Some(mut promtool) = peer("promtool") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Broker::start(folder, &["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let metrics = broker.endpoint("http://").trim_start_matches("http://");
    let metrics = metrics.trim_end_matches("/metrics");
    let address: SocketAddr = broker.endpoint("127.0.0.1:").parse().expect("an address");
    let mut client = Raw::connected(address, Version::V311, "a");
    client.subscribe("a", 0);
    // Somebody who asks and never ends holds up nobody for long.
    let mut slow = TcpStream::connect(metrics).expect("it listens");
    slow.write_all(b"GET /metrics HT").expect("it reads");

    let (status, text) = get(metrics, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in [
        "motewire_connections 1",
        "motewire_subscriptions 1",
        "motewire_connects_accepted_total 1",
        "motewire_packets_received_total{type=\"SUBSCRIBE\"} 1",
        "motewire_packets_sent_total{type=\"SUBACK\"} 1",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
    }
    promtool.args(["check", "metrics"]);
    let output = complete(promtool, &text);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}\n{text}");
    assert_eq!(complaints, "");
    assert_eq!(get(metrics, "/healthz"), ("HTTP/1.1 200 OK".into(), "ok\n".into()));
    assert_eq!(get(metrics, "/").0, "HTTP/1.1 404 Not Found");
}

/// Whether the server's certificate at this port is from the authority in this file.
fn is_certified_by(port: &str, ca: &std::path::Path) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a good configuration");
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    tls.complete_io(&mut stream).is_ok() && !tls.is_handshaking()
}

#[test]
fn sighup_reads_certificates_users_and_rules_again_and_keeps_them_when_they_are_wrong() {
    let Some(publish) = peer("mosquitto_pub") else { return };
    let folder = folder();
    let put = |path: &std::path::Path, text: &str| fs::write(path, text).expect("writable");
    put(&folder.path().join("acl"), "topic write old\ntopic read old\n");
    let arguments = ["--tls-listen", "127.0.0.1:0", "--tls-cert", "server.pem", "--tls-key"];
    let more = ["server.key", "--acl", "acl", "--listen", "127.0.0.1:0"];
    let broker = Broker::start(folder, &[&arguments[..], &more].concat());
    let first = broker.file("first.pem");
    fs::copy(broker.file("ca.pem"), &first).expect("writable");
    let port = broker.port("mqtts://");
    let may_publish = |topic: &str| {
        let mut command = std::process::Command::new(publish.get_program());
        let address: SocketAddr = broker.endpoint("127.0.0.1:").parse().expect("an address");
        command.args([
            "-p",
            &address.port().to_string(),
            "-V",
            "5",
            "-q",
            "1",
            "-m",
            "x",
            "-t",
            topic,
        ]);
        let output = complete(command, "");
        !String::from_utf8_lossy(&output.stderr).to_lowercase().contains("not authorized")
    };
    assert!(is_certified_by(port, &first));
    assert!(may_publish("old") && !may_publish("new"));
    // Who has subscribed to what nobody may read any more.
    let mut subscriber = TcpStream::connect(broker.endpoint("127.0.0.1:")).expect("it listens");
    let packets = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01s\x82\x08\x00\x01\x00\x03old\x00";
    subscriber.write_all(packets).expect("it reads");
    let mut answers = [0; 9];
    subscriber.read_exact(&mut answers).expect("it answers");
    assert_eq!(answers, [0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]);

    certificates::write(broker.folder(), &["server"]);
    put(&broker.file("acl"), "topic write new\n");
    broker.signal("-HUP");
    broker.logs("hold as they are now", 1);
    let second = broker.file("second.pem");
    fs::copy(broker.file("ca.pem"), &second).expect("writable");
    assert!(until(|| is_certified_by(port, &second)));
    assert!(!is_certified_by(port, &first));
    assert!(may_publish("new") && !may_publish("old"));
    broker.logs("ended, as rules have changed connections=0 subscriptions=1", 1);

    put(&broker.file("server.pem"), "nothing");
    put(&broker.file("acl"), "nothing");
    broker.signal("-HUP");
    broker.logs("stay as they were", 2);
    let log = broker.log();
    assert!(log.contains("server.pem") && log.contains("acl: line 1"), "{log}");
    assert!(is_certified_by(port, &second));
    assert!(may_publish("new") && !may_publish("old"));
}

/// Connects to all of the URLs and prints what code the server's DISCONNECT has.
const WAIT_FOR_THE_END: &str = "
const mqtt = require('mqtt'), ca = require('fs').readFileSync('ca.pem');
const urls = process.argv.slice(1);
let connected = 0;
for (const url of urls) {
    const secure = /^(ssl|wss):/.test(url);
    const client = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 0, ...(secure && { ca }) });
    client.on('connect', () => { if (++connected === urls.length) console.log('ready'); });
    client.on('disconnect', ({ reasonCode }) => console.log(url.split(':')[0], reasonCode));
    client.on('error', (error) => console.log(url, error.message));
}";

/// Section 4.13.1 [MQTT-3.14.0-1], and the reason code 0x8B of table 2-6.
#[test]
fn a_broker_that_is_stopped_says_so_over_every_transport() {
    let Some(mut node) = peer("npm:mqtt") else { return };
    let broker = Broker::everywhere(&[]);
    let schemes = ["ssl", "tcp", "ws", "wss"];
    node.current_dir(broker.folder()).args(["-e", WAIT_FOR_THE_END, "--"]);
    node.args(schemes.map(|scheme| broker.url(scheme)));
    let clients = Program::start(node);
    let line = || clients.line(PATIENCE);
    assert_eq!(line().as_deref(), Some("ready"));
    broker.signal("-TERM");
    let mut told: Vec<String> = schemes.iter().filter_map(|_| line()).collect();
    told.sort();
    assert_eq!(told, schemes.map(|scheme| format!("{scheme} {}", 0x8B)));
    let socket = broker.file("socket");
    assert!(until(|| !socket.exists()), "it takes its socket away");
    assert_eq!(broker.status(), Some(0));
}
