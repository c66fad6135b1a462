//! What lies below MQTT, with servers and proxies of others: WebSocket, proxies, TLS.

use core::net::{Ipv4Addr, SocketAddr};
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Output};

use motewire_examples::broker::{BrokerServer, Endpoint, Running};
use mqtt_client::{Options, Proxy, QoS, Version};
use mqtt_session::broker::{Broker, Config};
use tempfile::TempDir;

use super::{in_time, next};
use crate::support::program::{Program, complete, free_address, until};
use crate::support::{PATIENCE, Server, example, peer};

/// Publishes and receives as the options say.
fn echo(options: Options) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    runtime.block_on(async {
        let client = in_time(mqtt_client::tokio::connect(options)).await.expect("accepted");
        let mut subscription =
            in_time(client.subscribe("echo/#", QoS::ExactlyOnce)).await.expect("granted");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for size in [0, 100, 200_000] {
                let payload = vec![b'x'; size];
                in_time(client.publish("echo/a", payload.clone(), qos)).await.expect("delivered");
                let message = next(&mut subscription).await;
                assert!(message.qos == qos && message.payload == payload, "{qos:?} {size}");
            }
        }
        assert!(in_time(client.disconnect()).await.is_empty());
    });
}

fn options(url: &str) -> Options {
    let mut options = Options::from_url(url).expect("a URL");
    options.reconnect.first = false;
    options
}

/// A broker of this repository in WebSocket, and its URL.
fn motewire_websocket() -> (Running, String) {
    let mut server = BrokerServer::new(Broker::new(Config::default())).expect("a broker");
    let mut endpoint = Endpoint::tcp((Ipv4Addr::LOCALHOST, 0).into());
    endpoint.websocket = true;
    let url = server.listen(&endpoint).expect("a free port").to_string();
    (server.spawn().expect("a thread"), url)
}

/// aedes in WebSocket, and its URL.
fn aedes() -> Option<(Program, String)> {
    peer("npm:ws")?;
    let mut command = peer("npm:aedes")?;
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/aedes.js"));
    let program = Program::start(command);
    let port = program.line(PATIENCE).expect("its port");
    Some((program, format!("ws://127.0.0.1:{port}/mqtt")))
}

#[test]
fn a_websocket_to_the_broker_of_this_repository() {
    let (_running, url) = motewire_websocket();
    for version in ["3.1.1", "5"] {
        echo(options(&format!("{url}?version={version}")));
    }
}

#[test]
fn a_websocket_to_aedes() {
    let Some((_program, url)) = aedes() else { return };
    let mut options = options(&format!("{url}?version=3.1.1"));
    options.websocket_headers.push(("X-Site".into(), "residence".into()));
    echo(options);
}

#[test]
fn the_websocket_example_publishes_and_receives() {
    let Some((_program, theirs)) = aedes() else { return };
    let (_running, ours) = motewire_websocket();
    for url in [format!("{theirs}?version=3.1.1"), ours] {
        let mut command = example("websocket");
        command.args([url.as_str(), "a-token"]);
        let output = complete(command, "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"residence/kitchen/temperature: 21.5\n");
    }
}

/// Waits until something listens there.
fn listening(program: &mut Program, address: SocketAddr) {
    assert!(until(|| TcpStream::connect(address).is_ok() || !program.runs()) && program.runs());
}

/// tinyproxy, with user and password, and its URL. With it a folder that must stay.
fn tinyproxy() -> Option<(Program, TempDir, String)> {
    let mut command = peer("tinyproxy")?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let config = folder.path().join("tinyproxy.conf");
    let lines = format!(
        "Port {}\nListen {}\nTimeout 60\nMaxClients 10\nAllow 127.0.0.1\nLogLevel Error\n\
         BasicAuth user secret\n",
        address.port(),
        address.ip()
    );
    fs::write(&config, lines).expect("the temporary folder can be written");
    command.arg("-d").arg("-c").arg(config);
    let mut program = Program::start(command);
    listening(&mut program, address);
    Some((program, folder, format!("http://user:secret@{address}")))
}

/// microsocks, with user and password, and its URL.
fn microsocks() -> Option<(Program, String)> {
    let address = free_address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut command = peer("microsocks")?;
    command.args(["-i", &ip, "-p", &port, "-u", "user", "-P", "secret"]);
    let mut program = Program::start(command);
    listening(&mut program, address);
    Some((program, format!("socks5://user:secret@{address}")))
}

#[test]
fn mosquitto_is_reached_through_proxies_of_both_kinds() {
    let Some(server) = Server::mosquitto() else { return };
    let Some((_tinyproxy, _folder, http)) = tinyproxy() else { return };
    let Some((_microsocks, socks5)) = microsocks() else { return };
    for proxy in [http, socks5] {
        let through = |proxy: &str| {
            // The name is for the proxy to look up.
            let mut options = options(&format!("mqtt://localhost:{}", server.address().port()));
            options.proxy = Some(proxy.parse::<Proxy>().expect("a proxy"));
            options
        };
        echo(through(&proxy));
        let mut options = through(&proxy.replace("secret", "wrong"));
        options.version = Version::V311;
        let error = mqtt_client::blocking::Client::connect_with(options).expect_err("refused");
        let mqtt_client::Error::Io { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied, "{source}");
    }
}

/// A mosquitto in TLS that asks for client certificates, its port, and the folder of the certificates.
fn mosquitto_in_tls() -> Option<(Program, u16, TempDir)> {
    let mut command = peer("mosquitto")?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: String| {
        fs::write(folder.path().join(name), text).expect("the temporary folder can be written");
    };
    let authority = rcgen::KeyPair::generate().expect("a key");
    let parameters = |name: &str| {
        let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        // Who signed what is found out by this one.
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters
    };
    let mut root = parameters("authority");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = root.self_signed(&authority).expect("a root");
    write("ca.pem", root.pem());
    for name in ["localhost", "client"] {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters(name).signed_by(&key, &root, &authority);
        let certificate = certificate.expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    let address = free_address();
    let lines = format!(
        "user root\nlistener {} {}\nallow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\n",
        address.port(),
        address.ip(),
        path("ca.pem"),
        path("localhost.pem"),
        path("localhost.key"),
    );
    write("anyone.conf", lines.clone());
    write("mosquitto.conf", format!("{lines}require_certificate true\n"));
    command.arg("-c").arg(folder.path().join("mosquitto.conf"));
    let mut program = Program::start(command);
    listening(&mut program, address);
    Some((program, address.port(), folder))
}

fn tls_example(folder: &TempDir, port: u16, files: &[&str]) -> Command {
    let mut command = example("tls");
    command.arg(format!("mqtts://localhost:{port}")).args(files).current_dir(folder.path());
    command
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"delivered\n");
}

#[test]
fn the_tls_example_shows_mosquitto_a_client_certificate_or_is_told_that_it_must() {
    let Some((_program, port, folder)) = mosquitto_in_tls() else { return };
    let files = ["ca.pem", "client.pem", "client.key"];
    succeeds(&complete(tls_example(&folder, port, &files), ""));
    let output = complete(tls_example(&folder, port, &["ca.pem"]), "");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("CertificateRequired") || told.contains("HandshakeFailure"), "{told}");
}

/// Without roots of its own the client takes the system's, which here are in a file.
#[test]
fn the_systems_roots_are_trusted_and_no_others() {
    let Some((program, port, folder)) = mosquitto_in_tls() else { return };
    program.kill();
    let Some(mut command) = peer("mosquitto") else { return };
    command.arg("-c").arg(folder.path().join("anyone.conf"));
    let mut program = Program::start(command);
    listening(&mut program, (Ipv4Addr::LOCALHOST, port).into());
    let with_roots = |file: &str| {
        let mut command = tls_example(&folder, port, &[]);
        command.env("SSL_CERT_FILE", folder.path().join(file)).env_remove("SSL_CERT_DIR");
        complete(command, "")
    };
    succeeds(&with_roots("ca.pem"));
    let output = with_roots("client.pem");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("UnknownIssuer"), "{told}");
}
