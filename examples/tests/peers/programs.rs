//! The example programs, as somebody uses them from a shell.

use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use crate::support::program::{Program, complete};
use crate::support::{PATIENCE, Server, Version, example, mosquitto_cli};

fn run(name: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = example(name);
    command.args(arguments);
    complete(command, input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn quickstart_ends_by_itself_with_everything_it_promises() {
    let from = Instant::now();
    let output = run("quickstart", &[], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(from.elapsed() < Duration::from_secs(15), "5 s on a machine with nothing else to do");
    assert!(text(&output.stdout).contains("residence/"), "{}", text(&output.stdout));
}

#[test]
fn quickstart_keeps_its_promises_at_a_pace_that_people_can_read() {
    // Longer than other programs may take; it gives up by itself.
    let output = example("quickstart").arg("--slow").output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn wrong_arguments_give_a_usage_line_and_status_2() {
    let wrong: [(&str, &[&str]); 10] = [
        ("quickstart", &["--no-such-option"]),
        ("broker", &["--no-such-option"]),
        ("broker", &["--listen"]),
        ("broker", &["--listen", "not an address"]),
        ("mqtt", &[]),
        ("mqtt", &["pub"]),
        ("mqtt", &["pub", "-t", "a"]),
        ("mqtt", &["pub", "-t", "a", "-m", "x", "-q", "3"]),
        ("mqtt", &["sub", "-t", "a", "-V", "6"]),
        ("mqtt", &["sub", "-t", "a", "-c"]),
    ];
    for (name, arguments) in wrong {
        let output = run(name, arguments, "");
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
        let told = text(&output.stderr).to_lowercase();
        assert!(told.contains("usage"), "{name} {arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{name} {arguments:?}: errors go to standard error");
    }
}

#[test]
fn a_broker_says_that_its_port_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = run("broker", &["--listen", &address], "");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains(&address) && told.to_lowercase().contains("in use"), "{told}");
}

#[test]
fn a_broker_stops_cleanly_when_it_is_told_to() {
    for signal in ["-TERM", "-INT"] {
        let mut command = example("broker");
        command.args(["--listen", "127.0.0.1:0"]);
        let broker = Program::start(command);
        let ready = broker.line(PATIENCE).expect("a line when it is ready");
        let address = ready.split_whitespace().find_map(|word| word.parse().ok());
        let _client = TcpStream::connect::<core::net::SocketAddr>(address.expect("an address"));
        let kill = Command::new("kill").args([signal, &broker.id().to_string()]).status();
        assert!(kill.expect("kill is everywhere").success());
        assert_eq!(broker.status(), Some(0), "{signal}");
    }
}

#[test]
fn mqtt_pub_and_sub_work_as_those_of_mosquitto() {
    let Some(server) = Server::mosquitto() else { return };
    let port = server.address().port().to_string();
    for (version, qos) in [("311", "0"), ("311", "2"), ("5", "1"), ("5", "2")] {
        // What is retained tells the subscriber that it has subscribed.
        let connection = ["-h", "127.0.0.1", "-p", &port, "-V", version, "-q", qos];
        let publish = |arguments: &[&str], input: &str| {
            let all = [&["pub"], &connection[..], &["-t", "a/b"], arguments].concat();
            let output = run("mqtt", &all, input);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        };
        publish(&["-m", "ready", "-r"], "");
        let mut command = example("mqtt");
        command.arg("sub").args(connection).args(["-t", "a/#", "-v", "-C", "4"]);
        let subscriber = Program::start(command);
        assert_eq!(subscriber.line(PATIENCE).as_deref(), Some("a/b ready"));
        publish(&["-l"], "one\ntwo\n");
        publish(&["-n"], "");
        for line in ["a/b one", "a/b two", "a/b "] {
            assert_eq!(subscriber.line(PATIENCE).as_deref(), Some(line));
        }
        assert_eq!(subscriber.status(), Some(0));
    }
}

#[test]
fn mqtt_says_that_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("it is bound").port().to_string();
    drop(free);
    let output = run("mqtt", &["pub", "-h", "127.0.0.1", "-p", &port, "-t", "a", "-m", "x"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).to_lowercase().contains("refused"));
}

/// What `main` returns is shown by `Debug`, which is in words for that.
#[test]
fn the_short_examples_say_in_words_what_is_wrong() {
    for name in ["publish", "subscribe", "blocking", "reconnect", "tls", "websocket"] {
        for (url, says) in [
            ("localhost", "it must begin with mqtt://"),
            ("mqtt://localhost:port", "its port is no number"),
            ("mqtt://localhost?versoin=5", "version=5, 3.1.1 or 3.1"),
        ] {
            let output = run(name, &[url], "");
            assert_eq!(output.status.code(), Some(1), "{name}");
            let told = text(&output.stderr);
            assert!(told.contains(says) && !told.contains("Url("), "{name}: {told}");
        }
    }
}

#[test]
fn the_short_examples_say_that_they_wait_for_their_server() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("mqtt://{}", free.local_addr().expect("it is bound"));
    drop(free);
    for name in ["publish", "subscribe", "blocking", "handler", "manual_ack", "request_response"] {
        let mut command = example(name);
        let mut waiting = command.arg(&url).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        let stderr = waiting.stderr.take().expect("it is piped");
        let read = BufReader::new(stderr).read_line(&mut line);
        waiting.kill().expect("it still waits");
        waiting.wait().expect("it was killed");
        read.expect("text");
        assert!(line.contains("no connection") && line.contains("refused"), "{name}: {line}");
    }
}

/// A server of 3.1.1 cannot say that a message is too large for it: it hangs up, whenever it comes.
#[test]
fn mqtt_pub_gives_up_a_message_that_the_server_does_not_take() {
    let Some(server) = Server::motewire() else { return };
    let port = server.address().port().to_string();
    let large = "x".repeat(2_000_000);
    let connection = ["pub", "-h", "127.0.0.1", "-p", &port, "-t", "a", "-q", "1", "-s"];
    let output = run("mqtt", &connection, &large);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("no connection") && told.contains("it is not known"), "{told}");
    let output = run("mqtt", &[&connection[..], &["-V", "5"]].concat(), &large);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("larger than the limit"), "{}", text(&output.stderr));
}

#[test]
fn mqtt_sub_ends_cleanly_when_it_is_interrupted() {
    let Some(server) = Server::mosquitto() else { return };
    let port = server.address().port().to_string();
    let arguments = ["-h", "127.0.0.1", "-p", &port, "-t", "a"];
    let output = run("mqtt", &[&["pub"], &arguments[..], &["-m", "ready", "-r"]].concat(), "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut command = example("mqtt");
    command.arg("sub").args(arguments);
    let subscriber = Program::start(command);
    assert_eq!(subscriber.line(PATIENCE).as_deref(), Some("ready"));
    let kill = Command::new("kill").args(["-INT", &subscriber.id().to_string()]).status();
    assert!(kill.expect("kill is everywhere").success());
    assert_eq!(subscriber.status(), Some(0));
}

/// What one of the two prints, the other printed: against both brokers, in both versions.
#[test]
fn mqtt_pub_and_sub_are_understood_by_mosquittos_and_understand_them() {
    for server in [Server::motewire(), Server::mosquitto()].into_iter().flatten() {
        let address = server.address();
        let port = address.port().to_string();
        for (version, number) in [(Version::V311, "311"), (Version::V5, "5")] {
            for qos in 0..=2 {
                let to = ["-h", "127.0.0.1", "-p", &port, "-V", number, "-q", &qos.to_string()];

                let topic = format!("theirs/{number}/{qos}");
                let sent =
                    mosquitto_cli::publish(address, version, &topic, "from them", qos, &["-r"]);
                if sent.is_none() {
                    return;
                }
                let output = run(
                    "mqtt",
                    &[&["sub"], &to[..], &["-t", &topic, "-C", "1", "-v"]].concat(),
                    "",
                );
                assert!(output.status.success(), "{}", text(&output.stderr));
                assert_eq!(text(&output.stdout), format!("{topic} from them\n"));

                let sub = mosquitto_cli::Subscriber::start(address, version, "ours/#", qos, &[]);
                let Some(sub) = sub else { return };
                let message = ["-t", "ours/one", "-m", "from us"];
                let output = run("mqtt", &[&["pub"], &to[..], &message].concat(), "");
                assert!(output.status.success(), "{}", text(&output.stderr));
                assert_eq!(sub.message().told(), ("ours/one", "from us", qos, false));

                let lines = ["-t", "ours/lines", "-l"];
                let output = run("mqtt", &[&["pub"], &to[..], &lines].concat(), "a\nb b\n\nc\n");
                assert!(output.status.success(), "{}", text(&output.stderr));
                for line in ["a", "b b", "", "c"] {
                    assert_eq!(sub.message().told(), ("ours/lines", line, qos, false));
                }
            }
        }
    }
}

/// Every property that can be said, and what another client sees of it.
#[test]
fn mqtt_pub_says_properties_as_that_of_mosquitto_does() {
    let Some(server) = Server::mosquitto() else { return };
    let Some(sub) = mosquitto_cli::Subscriber::start(server.address(), Version::V5, "p", 1, &[])
    else {
        return;
    };
    let port = server.address().port().to_string();
    let connection = ["pub", "-h", "127.0.0.1", "-p", &port, "-V", "5", "-q", "1"];
    let said = [
        "publish payload-format-indicator 1",
        "publish message-expiry-interval 100",
        "publish content-type text/plain",
        "publish response-topic r",
        "publish correlation-data c",
        "publish user-property k v",
        "connect user-property client says",
        "connect session-expiry-interval 1",
    ];
    let mut arguments = Vec::from(connection);
    arguments.extend(["-t", "p", "-m", "x"]);
    for property in said {
        arguments.push("-D");
        arguments.extend(property.split(' '));
    }
    let output = run("mqtt", &arguments, "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let properties = sub.message().properties;
    assert_eq!(properties["payload-format-indicator"], 1, "{properties}");
    assert_eq!(properties["content-type"], "text/plain");
    assert_eq!(properties["response-topic"], "r");
    assert_eq!(properties["correlation-data"], "c");
    assert_eq!(properties["user-properties"]["k"], "v", "{properties}");

    for wrong in ["publish no-such-property 1", "will content-type x", "publish user-property k"] {
        let mut arguments = Vec::from(connection);
        arguments.extend(["-t", "p", "-m", "x", "-D"]);
        arguments.extend(wrong.split(' '));
        let output = run("mqtt", &arguments, "");
        assert!(!output.status.success() && !output.stderr.is_empty(), "{wrong}");
    }
}

#[test]
fn consumers_share_what_there_is_to_do() {
    let Some(server) = Server::motewire() else { return };
    let url = format!("mqtt://{}", server.address());
    let output = run("shared_consumers", &[&url, &url], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for n in 0..12 {
        let done = told.lines().filter(|line| line.ends_with(&format!("did job {n}"))).count();
        assert_eq!(done, 1, "{told}");
    }
    for consumer in 0..3 {
        assert!(told.contains(&format!("consumer {consumer} did")), "{told}");
    }
}

#[test]
fn a_request_gets_its_response_in_both_versions() {
    let Some(server) = Server::motewire() else { return };
    for (version, asked) in [("5", "asked at residence/window\n"), ("3.1.1", "/@/answers/example/")]
    {
        let url = format!("mqtt://{}?version={version}", server.address());
        let output = run("request_response", &[&url], "");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told = text(&output.stdout);
        assert!(told.contains(asked) && told.ends_with("answered: closed\n"), "{told}");
    }
}

/// For 20 seconds; `soak` itself looks for what is lost or comes twice, and for memory that grows.
#[test]
fn soak_finds_nothing_lost_nothing_twice_and_memory_flat() {
    let Some(server) = Server::motewire() else { return };
    for version in ["3.1.1", "5"] {
        let url = format!("mqtt://{}?version={version}", server.address());
        let output = example("soak").args([&url, "10"]).output().expect("it runs");
        let told = text(&output.stdout);
        assert!(output.status.success(), "{told}{}", text(&output.stderr));
        let last = told.lines().last().unwrap_or_default();
        let numbers: Vec<u64> =
            last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [messages, requests, connections] = numbers[..] else { panic!("{told}") };
        assert!(messages > 500 && requests > 5 && connections > 5, "{told}");
    }
}
