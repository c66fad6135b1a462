//! Bridges of the program `broker` to mosquitto and to another one of itself, which are stopped and killed
//! while messages pass.

pub(crate) mod others;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::fs;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use mqtt_client::blocking::{Client, Subscription, wait};
use mqtt_client::{Filter, Message, Options, QoS, Server, Version};

use crate::support::program::{Program, free_address, until};
use crate::support::{PATIENCE, example, peer};

/// Who is behind the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mosquitto,
    Motewire,
}

/// A broker with files and an address of its own, running or not.
#[derive(Debug)]
struct Station {
    kind: Kind,
    address: SocketAddr,
    folder: tempfile::TempDir,
    /// What its configuration says besides.
    more: String,
    program: Option<Program>,
}

impl Station {
    fn new(kind: Kind, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut this =
            Self { kind, address: free_address(), folder, more: more.to_owned(), program: None };
        this.start();
        this
    }

    fn start(&mut self) {
        let folder = self.folder.path();
        let log = fs::File::options().create(true).append(true).open(folder.join("log"));
        let log = Stdio::from(log.expect("the folder can be written"));
        let file = folder.join("config");
        let (config, mut command) = match self.kind {
            Kind::Motewire => (
                format!(
                    "persistence = \"data\"\n[[listener]]\naddress = \"{}\"\n{}",
                    self.address, self.more
                ),
                example("broker"),
            ),
            Kind::Mosquitto => (
                format!(
                    "listener {} {}\nallow_anonymous true\npersistence false\n\
                     max_queued_messages 0\n{}",
                    self.address.port(),
                    self.address.ip(),
                    self.more,
                ),
                peer("mosquitto").expect("it was found before"),
            ),
        };
        fs::write(&file, config).expect("the folder can be written");
        let option = if self.kind == Kind::Motewire { "--config" } else { "-c" };
        command.arg(option).arg(&file).stderr(log);
        let program = Program::start(command);
        let id = program.id();
        self.program = Some(program);
        assert!(until(|| TcpStream::connect(self.address).is_ok()), "{id}: {}", self.log());
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.program = None;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn client(&self, name: &str, version: Version) -> Client {
        let server = Server::tcp(&self.address.ip().to_string(), self.address.port());
        let mut options = Options::new(server);
        options.version = version;
        options.client_id = name.to_owned();
        options.clean_start = false;
        options.session_expiry = Duration::from_secs(3600);
        options.reconnect.min = Duration::from_millis(50);
        options.reconnect.max = Duration::from_millis(200);
        Client::connect_with(options).expect("a connection")
    }
}

/// What stands between two brokers, open or shut.
#[derive(Debug)]
struct Gate {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (is_open, streams) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<_>>>::default());
        let (opened, kept) = (Arc::clone(&is_open), Arc::clone(&streams));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(other) = opened
                    .load(Ordering::SeqCst)
                    .then(|| TcpStream::connect(target).ok())
                    .flatten()
                else {
                    continue;
                };
                let ends = [(&stream, &other), (&other, &stream)];
                for (from, to) in ends {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                kept.lock().unwrap().extend([stream, other]);
            }
        });
        Self { address, is_open, streams }
    }

    fn set(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::SeqCst);
        if !is_open {
            for stream in self.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A bridge to this address.
fn bridge(to: impl core::fmt::Display, version: &str, topics: &str) -> String {
    format!(
        "[[bridge]]\nname = \"up\"\naddresses = [\"127.0.0.1:1\", \"{}\"]\nversion = \"{version}\"\n\
         client_id = \"bridge\"\nmax_retry = 1\nkeep_alive = 5\n{topics}",
        to
    )
}

fn topic(direction: &str, pattern: &str, local: &str, remote: &str) -> String {
    format!(
        "[[bridge.topic]]\ndirection = \"{direction}\"\npattern = \"{pattern}\"\nqos = 2\n\
         local_prefix = \"{local}\"\nremote_prefix = \"{remote}\"\n"
    )
}

fn upstreams() -> Vec<Kind> {
    match peer("mosquitto") {
        Some(_) => vec![Kind::Motewire, Kind::Mosquitto],
        None => vec![Kind::Motewire],
    }
}

fn subscribe(client: &Client, filter: &str) -> Subscription {
    let mut filter = Filter::new(filter, QoS::ExactlyOnce);
    filter.capacity = 100_000;
    client.subscribe_with(filter).expect("a subscription")
}

/// Waits until a message that is published on one side arrives on the other.
fn joined(from: &Client, topic: &str, to: &mut Subscription) {
    let message = Message::new(topic, "are you there", QoS::AtMostOnce);
    assert!(until(|| {
        from.send(message.clone()).expect("sent");
        to.next_within(Duration::from_millis(100)).is_some()
    }));
    while to.next_within(Duration::from_millis(300)).is_some() {}
}

#[test]
fn messages_go_both_ways_under_other_names_with_all_they_have() {
    for kind in upstreams() {
        for (text, version) in [("3.1.1", Version::V311), ("5", Version::V5)] {
            let far = Station::new(kind, "");
            let topics = [topic("out", "#", "out/", "site/"), topic("in", "#", "in/", "to/")];
            let near = Station::new(Kind::Motewire, &bridge(far.address, text, &topics.concat()));
            let (here, there) = (near.client("here", version), far.client("there", version));
            let mut to_there = subscribe(&there, "site/#");
            let mut to_here = subscribe(&here, "in/#");
            joined(&here, "out/join", &mut to_there);
            joined(&there, "to/join", &mut to_here);
            let both = [
                (&here, "out/a/b", &mut to_there, "site/a/b"),
                (&there, "to/a/b", &mut to_here, "in/a/b"),
            ];
            for (from, topic, to, name) in both {
                for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    let mut message = Message::new(topic, format!("{qos:?}"), qos);
                    message.properties.content_type = Some("text".into());
                    message.properties.user = vec![("a".into(), "b".into())];
                    let properties = message.properties.clone();
                    from.send(message).expect("delivered");
                    let got = to.next_within(PATIENCE).expect("a message");
                    assert_eq!((&*got.topic, got.qos), (name, qos), "{kind:?} {text}");
                    assert_eq!(got.text(), Some(&*format!("{qos:?}")));
                    if version == Version::V5 {
                        // And by which bridge it has come.
                        let (mark, others) = got.properties.user.split_last().expect("one");
                        assert_eq!((others, &*mark.0), (&*properties.user, "bridged-by"));
                        assert_eq!(got.properties.content_type, properties.content_type);
                    }
                }
            }
            // What is retained here is retained there.
            let retained = Message::new("out/kept", "kept", QoS::AtLeastOnce);
            here.send(Message { retain: true, ..retained }).expect("delivered");
            assert!(to_there.next_within(PATIENCE).is_some());
            let mut late = subscribe(&far.client("late", version), "site/kept");
            let got = late.next_within(PATIENCE).expect("what is retained");
            assert!(got.retain && got.text() == Some("kept"), "{kind:?} {text}");
        }
    }
}

#[test]
fn what_goes_both_ways_does_not_come_back() {
    for kind in upstreams() {
        for (text, version) in [("3.1.1", Version::V311), ("5", Version::V5)] {
            let far = Station::new(kind, "");
            let near = Station::new(
                Kind::Motewire,
                &bridge(far.address, text, &topic("both", "#", "", "")),
            );
            let (here, there) = (near.client("here", version), far.client("there", version));
            let mut on_here = subscribe(&here, "#");
            let mut on_there = subscribe(&there, "#");
            joined(&here, "join", &mut on_there);
            joined(&there, "join", &mut on_here);
            while on_there.next_within(Duration::from_millis(300)).is_some() {}
            for n in 0..50 {
                let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
                here.send(Message::new("a", format!("here {n}"), qos)).expect("delivered");
                there.send(Message::new("a", format!("there {n}"), qos)).expect("delivered");
            }
            for on in [&mut on_here, &mut on_there] {
                let mut counts: HashMap<String, usize> = HashMap::new();
                while counts.values().sum::<usize>() < 100 {
                    let got = on.next_within(PATIENCE).expect("a message");
                    *counts.entry(got.text().unwrap().to_owned()).or_default() += 1;
                }
                let more = on.next_within(Duration::from_millis(500));
                assert_eq!(more.map(|m| m.text().map(str::to_owned)), None, "{kind:?} {text}");
                assert_eq!(counts.len(), 100, "{kind:?} {text}: {counts:?}");
            }
        }
    }
}

/// Publishes so many messages of QoS 1 and 2 on one side; they arrive on the other while `trouble` goes on.
fn carries_all(
    from: &Client,
    from_topic: &str,
    to: &mut Subscription,
    count: usize,
    mut trouble: impl FnMut(usize),
) {
    let mut deliveries = Vec::new();
    for n in 0..count {
        let qos = if n % 2 == 1 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        let message = Message::new(from_topic, n.to_string(), qos);
        deliveries.push(from.enqueue(message).expect("room"));
        trouble(n);
    }
    for delivery in deliveries {
        wait(delivery).expect("delivered");
    }
    let mut counts = vec![0; count];
    while counts.contains(&0) {
        let missing = counts.iter().filter(|count| **count == 0).count();
        let got = to.next_within(PATIENCE);
        let first = counts.iter().position(|count| *count == 0);
        let got = got.unwrap_or_else(|| panic!("{missing} of {count} are missing: {first:?}"));
        if let Some(n) = got.text().and_then(|text| text.parse::<usize>().ok()) {
            counts[n] += 1;
        }
    }
    while let Some(got) = to.next_within(Duration::from_millis(500)) {
        if let Some(n) = got.text().and_then(|text| text.parse::<usize>().ok()) {
            counts[n] += 1;
        }
    }
    let twice: Vec<usize> = (0..count).filter(|n| counts[*n] > 1 && n % 2 == 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
}

#[test]
fn nothing_is_lost_nor_doubled_while_the_other_broker_cannot_be_reached() {
    for kind in upstreams() {
        for (text, version) in [("3.1.1", Version::V311), ("5", Version::V5)] {
            let far = Station::new(kind, "");
            let gate = Gate::to(far.address);
            let topics = [topic("out", "#", "out/", "site/"), topic("in", "#", "in/", "to/")];
            let config = bridge(gate.address, text, &topics.concat());
            let near = Station::new(Kind::Motewire, &config);
            let (here, there) = (near.client("here", version), far.client("there", version));
            let mut to_there = subscribe(&there, "site/#");
            let mut to_here = subscribe(&here, "in/#");
            joined(&here, "out/join", &mut to_there);
            joined(&there, "to/join", &mut to_here);
            let trouble = |n: usize| {
                thread::sleep(Duration::from_millis(1));
                match n % 300 {
                    100 => gate.set(false),
                    250 => gate.set(true),
                    _ => {}
                }
            };
            carries_all(&here, "out/a", &mut to_there, 600, trouble);
            carries_all(&there, "to/a", &mut to_here, 600, trouble);
        }
    }
}

#[test]
fn nothing_is_lost_nor_doubled_though_both_brokers_are_killed() {
    let mut far = Station::new(Kind::Motewire, "");
    let topics = [topic("out", "#", "out/", "site/"), topic("in", "#", "in/", "to/")];
    let mut near = Station::new(Kind::Motewire, &bridge(far.address, "5", &topics.concat()));
    let (here, there) = (near.client("here", Version::V5), far.client("there", Version::V5));
    let mut to_there = subscribe(&there, "site/#");
    let mut to_here = subscribe(&here, "in/#");
    joined(&here, "out/join", &mut to_there);
    joined(&there, "to/join", &mut to_here);
    let mut trouble = |n: usize| {
        thread::sleep(Duration::from_millis(1));
        if n % 400 == 200 {
            near.kill();
            near.start();
        }
        if n % 400 == 300 {
            far.kill();
            far.start();
        }
    };
    carries_all(&here, "out/a", &mut to_there, 2000, &mut trouble);
    carries_all(&there, "to/a", &mut to_here, 2000, &mut trouble);
}

#[test]
fn what_is_wrong_with_a_bridge_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config");
    let says = |text: &str| {
        fs::write(&file, text).expect("the folder can be written");
        let config: &Path = &file;
        let mut command = example("broker");
        command.arg("--check-config").arg("--config").arg(config);
        let output = command.output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let good = "[[bridge]]\nname = \"a\"\naddresses = [\"h:1\"]\nclient_id = \"b\"\n\
                [[bridge.topic]]\ndirection = \"in\"\npattern = \"#\"\n";
    let (is_good, said) = says(good);
    assert!(is_good, "{said}");
    for (old, new, line, word) in [
        ("\"a\"", "\"a b\"", 2, "bridge.name"),
        ("[\"h:1\"]", "[\"h\"]", 3, "bridge.addresses"),
        ("[\"h:1\"]", "[]", 3, "bridge.addresses"),
        ("client_id = \"b\"", "client_id = \"\"", 4, "bridge.client_id"),
        ("client_id = \"b\"\n", "", 1, "client_id"),
        ("\"#\"", "\"a#\"", 5, "bridge.topic"),
        ("\"in\"", "\"into\"", 6, "direction"),
        ("[[bridge.topic]]", "retries = 1\n[[bridge.topic]]", 5, "retries"),
        ("\"b\"\n", "\"b\"\nversion = \"3.1.1\"\npassword = \"x\"\n", 6, "bridge.password"),
        ("\"b\"\n", "\"b\"\ntls = { ca = \"missing.pem\" }\n", 0, "missing.pem"),
    ] {
        let (is_good, said) = says(&good.replace(old, new));
        assert!(!is_good && said.contains(word), "{new}: {said}");
        assert!(line == 0 || said.contains(&format!("line {line}")), "{new}: {said}");
    }
    let twice = [good, good].concat();
    assert!(says(&twice).1.contains("two by the name"), "{}", says(&twice).1);
}
