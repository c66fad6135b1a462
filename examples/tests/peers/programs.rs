//! The example programs, as somebody uses them from a shell.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

use crate::support::program::{Program, complete};
use crate::support::{PATIENCE, example};

fn run(name: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = example(name);
    command.args(arguments);
    complete(command, input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn wrong_arguments_give_a_usage_line_and_status_2() {
    let wrong: [(&str, &[&str]); 3] = [
        ("broker", &["--no-such-option"]),
        ("broker", &["--listen"]),
        ("broker", &["--listen", "not an address"]),
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
