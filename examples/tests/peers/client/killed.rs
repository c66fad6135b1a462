//! A program of this client that is killed by `kill -9` again and again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use core::net::SocketAddr;
use core::time::Duration;
use mqtt_client::{Filter, QoS};

use super::{in_time, next, options, with_brokers};
use crate::support::{PATIENCE, Version, example};

/// What a life has printed so far.
type Lines = Arc<Mutex<Vec<String>>>;

struct Life {
    program: Child,
    reader: Option<thread::JoinHandle<()>>,
    lines: Lines,
}

impl Life {
    fn start(mut command: Command, input: impl Iterator<Item = u32> + Send + 'static) -> Self {
        let mut program = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example can be started");
        let mut stdin = program.stdin.take().expect("it is piped");
        // It ends with the program.
        thread::spawn(move || {
            for n in input {
                if writeln!(stdin, "{n}").is_err() {
                    return;
                }
            }
        });
        let stdout = program.stdout.take().expect("it is piped");
        let lines = Lines::default();
        let reader = thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    lines.lock().expect("no panic").push(line);
                }
            }
        });
        Self { program, reader: Some(reader), lines }
    }

    fn count(&self) -> usize {
        self.lines.lock().expect("no panic").len()
    }

    /// Kills it once it has printed so many lines, or has had time for that, and some time later.
    fn kill(mut self, after: usize, later: Duration) -> Vec<String> {
        let start = Instant::now();
        while self.count() < after && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(later);
        self.program.kill().expect("it runs, or has run");
        self.end()
    }

    /// Waits for its end.
    fn end(&mut self) -> Vec<String> {
        self.program.wait().expect("it was started");
        self.reader.take().expect("it ends once").join().expect("no panic");
        self.lines.lock().expect("no panic").clone()
    }
}

fn program(mode: &str, address: SocketAddr, version: Version, file: &Path, qos: QoS) -> Command {
    let version = match version {
        Version::V311 => "3.1.1",
        Version::V5 => "5",
    };
    let url = format!("mqtt://{address}?version={version}&client_id=killed");
    let mut command = example("durable");
    command.args([mode, &url]).arg(file).arg("ledger");
    if qos == QoS::AtLeastOnce {
        command.arg("1");
    }
    command
}

#[test]
fn a_publisher_that_is_killed_loses_nothing_it_has_confirmed_and_repeats_nothing_mqtt_4_3_3() {
    a_publisher_is_killed(QoS::ExactlyOnce);
}

#[test]
fn a_publisher_of_qos_1_that_is_killed_loses_nothing_it_has_confirmed_mqtt_4_3_2() {
    a_publisher_is_killed(QoS::AtLeastOnce);
}

fn a_publisher_is_killed(qos: QoS) {
    with_brokers(async |address, version| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("store");
        let listener = super::connect(address, version, "listener").await;
        let mut filter = Filter::new("ledger", qos);
        filter.capacity = 100_000;
        let mut arriving = in_time(listener.subscribe_with(filter)).await.expect("granted");
        let mut confirmed = BTreeSet::new();
        for life in 0..12_u32 {
            let command = program("pub", address, version, &file, qos);
            let life_time = Life::start(command, (0..).map(move |n| life * 100_000 + n));
            // From before the first message to some way into them, at any moment.
            let (lines, later) = ((life as usize * 7) % 30, u64::from(life * 5 % 11));
            let lines = life_time.kill(lines, Duration::from_millis(later));
            confirmed.extend(
                lines.iter().filter_map(|line| line.strip_prefix("stored ").map(str::to_owned)),
            );
        }
        let mut last =
            Life::start(program("pub", address, version, &file, qos), 9_999_999..10_000_000);
        assert_eq!(last.end(), ["stored 9999999"]);
        let mut arrived = Vec::new();
        while arrived.last().is_none_or(|text| text != "9999999") {
            arrived.push(next(&mut arriving).await.text().expect("text").to_owned());
        }
        let distinct: BTreeSet<String> = arrived.iter().cloned().collect();
        let mut seen = BTreeSet::new();
        let again: Vec<_> = arrived.iter().filter(|text| !seen.insert(*text)).collect();
        let once = again.is_empty() || qos == QoS::AtLeastOnce;
        assert!(once, "each once: {again:?} {version:?}");
        // The first of each is in the order of publishing.
        let mut seen = BTreeSet::new();
        let firsts = arrived.iter().filter(|text| seen.insert(*text));
        assert!(firsts.map(|text| text.parse::<u32>().expect("a number")).is_sorted());
        assert!(confirmed.len() > 50, "{}", confirmed.len());
        let lost: Vec<_> = confirmed.difference(&distinct).collect();
        assert!(lost.is_empty(), "{lost:?}");
        in_time(listener.disconnect()).await;
        Some(())
    });
}

#[test]
fn a_subscriber_that_is_killed_misses_nothing_and_gets_nothing_again_that_it_is_done_with() {
    a_subscriber_is_killed(QoS::ExactlyOnce);
}

#[test]
fn a_subscriber_of_qos_1_that_is_killed_misses_nothing_mqtt_4_3_2() {
    a_subscriber_is_killed(QoS::AtLeastOnce);
}

fn a_subscriber_is_killed(qos: QoS) {
    with_brokers(async |address, version| {
        const MESSAGES: usize = 80;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("store");
        // The subscription is there before the first message.
        let mut lives = vec![Life::start(program("sub", address, version, &file, qos), 0..0)];
        let start = Instant::now();
        while lives[0].count() == 0 && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let mut speaker = options(address, version, "speaker");
        speaker.outbox_messages = 1000;
        let speaker = in_time(mqtt_client::tokio::connect(speaker)).await.expect("accepted");
        for n in 0..MESSAGES {
            let message = mqtt_client::Message::new("ledger", n.to_string(), qos);
            drop(speaker.enqueue(message).await.expect("there is room"));
        }
        assert!(in_time(speaker.disconnect()).await.is_empty());
        let (mut seen, mut done) = (BTreeSet::new(), BTreeSet::new());
        let start = Instant::now();
        for life in 0.. {
            let running = lives
                .pop()
                .unwrap_or_else(|| Life::start(program("sub", address, version, &file, qos), 0..0));
            let later = Duration::from_millis(life * 3 % 10);
            // A message is two lines.
            for line in running.kill(8 + (life as usize * 13) % 30, later) {
                match line.strip_prefix("done ") {
                    Some(text) => drop(done.insert(text.to_owned())),
                    None if line == "subscribed" => {}
                    None => {
                        let again = qos == QoS::ExactlyOnce && done.contains(&line);
                        assert!(!again, "{line} came again");
                        seen.insert(line);
                    }
                }
            }
            // Of the last one of a life it may not be known whether it was done with.
            if seen.len() == MESSAGES || start.elapsed() > 3 * PATIENCE {
                break;
            }
        }
        assert_eq!(seen.len(), MESSAGES);
        Some(())
    });
}
