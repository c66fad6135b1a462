//! Every client over every transport in every version.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use rumqttc::{Client, Event, Incoming, MqttOptions, QoS, Transport};

use super::program::Broker;
use crate::support::program::{Program, complete};
use crate::support::{PATIENCE, peer};

const FILES: [&str; 3] = ["ca.pem", "device.pem", "device.key"];
const HEARD: &str = "echo/0 0 hello\necho/1 1 hello\necho/2 2 hello\n";

fn script(name: &str) -> String {
    format!("{}/tests/peers/transports/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client that says a message of each QoS to itself, by these URLs and in all versions.
fn echoes(broker: &Broker, client: impl Fn() -> Command, schemes: &[&str]) {
    for scheme in schemes {
        let url = broker.url(scheme);
        for version in ["3", "4", "5"] {
            let mut command = client();
            command.current_dir(broker.folder()).args([&url, version]).args(FILES);
            let output = complete(command, "");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{url}, version {version}: {told}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), HEARD, "{url}, version {version}");
        }
    }
}

/// [MQTT-6.0.0-2], [MQTT-6.0.0-3], [MQTT-6.0.0-4] with others at the other end.
#[test]
fn mqtt_js_speaks_over_every_transport() {
    let Some(mut node) = peer("npm:mqtt") else { return };
    node.arg(script("mqttjs_echo.js"));
    echoes(&Broker::everywhere(&[]), || again(&node), &["tcp", "ssl", "ws", "wss"]);
}

#[test]
fn pahos_python_client_speaks_over_every_transport() {
    let Some(mut python) = peer("paho-mqtt") else { return };
    python.arg(script("paho_echo.py"));
    echoes(&Broker::everywhere(&[]), || again(&python), &["tcp", "ssl", "ws", "wss", "unix"]);
}

#[test]
fn pahos_c_library_speaks_over_every_transport() {
    let Some(mut compiler) = peer("libpaho-mqtt3cs") else { return };
    let broker = Broker::everywhere(&[]);
    let program = broker.file("paho_echo");
    compiler.arg("-o").arg(&program).arg(script("paho_echo.c")).arg("-lpaho-mqtt3cs");
    let output = complete(compiler, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    echoes(&broker, || Command::new(&program), &["tcp", "ssl", "ws", "wss"]);
}

/// The same program with the same first arguments.
fn again(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            copy.env(name, value);
        }
    }
    copy
}

/// Arguments of mosquitto's clients.
fn connection(broker: &Broker, scheme: &str, version: &str) -> Vec<String> {
    let file = |name| broker.file(name).display().to_string();
    let mut all = vec!["-V".to_owned(), version.to_owned()];
    match scheme {
        "unix" => all.extend(["--unix".to_owned(), file("socket")]),
        _ => {
            let port = broker.port("mqtts://").to_owned();
            all.extend(["-h", "localhost", "-p"].map(str::to_owned));
            all.extend([port, "--cafile".to_owned(), file("ca.pem")]);
        }
    }
    all
}

#[test]
fn mosquittos_clients_speak_over_tls_and_unix_sockets() {
    let (Some(publish), Some(subscribe), Some(line)) =
        (peer("mosquitto_pub"), peer("mosquitto_sub"), peer("stdbuf"))
    else {
        return;
    };
    let broker = Broker::everywhere(&[]);
    for scheme in ["unix", "mqtts"] {
        for version in ["mqttv31", "mqttv311", "mqttv5"] {
            let to = connection(&broker, scheme, version);
            let mut command = again(&line);
            command.arg("-oL").arg(subscribe.get_program()).args(&to);
            command.args(["-t", "a/#", "-q", "2", "-v", "-C", "3", "-d"]);
            let subscriber = Program::start(command);
            let heard = || {
                let lines = core::iter::from_fn(|| subscriber.line(PATIENCE));
                lines
                    .into_iter()
                    .find(|line| line.starts_with("Subscribed") || line.starts_with("a/"))
            };
            assert!(heard().is_some_and(|line| line.starts_with("Subscribed")));
            for qos in ["0", "1", "2"] {
                let mut command = again(&publish);
                command.args(&to).args(["-t", &format!("a/{qos}"), "-m", "hello", "-q", qos]);
                assert!(complete(command, "").status.success());
                assert_eq!(heard(), Some(format!("a/{qos} hello")), "{scheme} {version}");
            }
        }
    }
}

#[test]
fn rumqttc_speaks_over_a_unix_socket() {
    let broker = Broker::everywhere(&[]);
    let socket = broker.file("socket").display().to_string();
    let mut options = MqttOptions::new("rumqttc", socket, 1883);
    options.set_transport(Transport::Unix);
    let (client, mut connection) = Client::new(options, 10);
    client.subscribe("u", QoS::ExactlyOnce).expect("room");
    let (sender, told) = channel();
    thread::spawn(move || {
        for event in connection.iter().map_while(Result::ok) {
            match event {
                Event::Incoming(Incoming::SubAck(_)) => {
                    client.publish("u", QoS::ExactlyOnce, false, "hello").expect("room");
                }
                Event::Incoming(Incoming::Publish(publish)) => {
                    let _ = sender.send(publish.payload);
                    return;
                }
                _ => {}
            }
        }
    });
    assert_eq!(&told.recv_timeout(PATIENCE).expect("it comes back")[..], b"hello");
}

/// Section 5.4.2: the name in the certificate is the user name, whatever CONNECT says.
#[test]
fn a_client_certificate_says_who_the_client_is() {
    let Some(publish) = peer("mosquitto_pub") else { return };
    let folder = super::program::folder();
    std::fs::write(folder.path().join("acl"), "user device\ntopic write own/#\n")
        .expect("writable");
    let arguments =
        ["--tls-listen", "127.0.0.1:0", "--tls-cert", "server.pem", "--tls-key", "server.key"];
    let more = ["--tls-client-ca", "ca.pem", "--acl", "acl"];
    let broker = Broker::start(folder, &[&arguments[..], &more].concat());
    let try_as = |name: Option<&str>, claimed: &str| {
        let mut command = again(&publish);
        command.args(connection(&broker, "mqtts", "mqttv5")).args(["-u", claimed]);
        command.args(["-t", "own/a", "-m", "x", "-q", "1"]);
        if let Some(name) = name {
            let file = |ending: &str| broker.file(&format!("{name}.{ending}"));
            command.arg("--cert").arg(file("pem")).arg("--key").arg(file("key"));
        }
        let output = complete(command, "");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success() && !told.to_lowercase().contains("not authorized")
    };
    assert!(try_as(Some("device"), "other"));
    assert!(!try_as(Some("other"), "device"));
    // Without a file of users everybody is who they say they are.
    assert!(try_as(None, "device"));
    assert!(!try_as(None, "other"));
}

/// A certificate of somebody else's authority, or none where one is required.
#[test]
fn a_client_without_the_right_certificate_is_turned_away() {
    let Some(publish) = peer("mosquitto_pub") else { return };
    let folder = super::program::folder();
    let foreign = super::program::folder();
    let arguments =
        ["--tls-listen", "127.0.0.1:0", "--tls-cert", "server.pem", "--tls-key", "server.key"];
    let more = ["--tls-client-ca", "ca.pem", "--tls-require-client-cert"];
    let broker = Broker::start(folder, &[&arguments[..], &more].concat());
    let try_with = |folder: Option<&Path>| {
        let mut command = again(&publish);
        command.args(connection(&broker, "mqtts", "mqttv311")).args(["-t", "a", "-m", "x"]);
        if let Some(folder) = folder {
            command.arg("--cert").arg(folder.join("device.pem"));
            command.arg("--key").arg(folder.join("device.key"));
        }
        complete(command, "").status.success()
    };
    assert!(try_with(Some(broker.folder())));
    assert!(!try_with(Some(foreign.path())));
    assert!(!try_with(None));
    broker.logs("turned away", 2);
}
