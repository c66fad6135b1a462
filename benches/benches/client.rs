//! Clients against a server that acknowledges at once, so that the client is what is measured: CPU
//! seconds of the client's process per million messages, and messages per second.
//!
//! ```text
//! cargo bench -p motewire-benches --bench client [CLIENT...]
//! cargo bench -p motewire-benches --bench client results
//! ```
//!
//! Each client runs in a process of its own, and so does the server. `results` writes what it measures to
//! `RESULTS-client.md`; set `RUNS` for the median of so many runs. Besides rates: the time from
//! publishing at QoS 1 to the acknowledgement, a thousand times a second, and what a connected client
//! takes that does nothing.

extern crate alloc;

use core::time::Duration;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use mqtt_codec::QoS;

/// Which way messages go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Publish,
    Receive,
    /// What is published comes back.
    Echo,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    way: Way,
    qos: QoS,
    size: usize,
    count: usize,
}

const fn case(way: Way, qos: QoS, size: usize, count: usize) -> Case {
    Case { way, qos, size, count }
}

impl Way {
    const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Receive => "receive",
            Self::Echo => "echo",
        }
    }
}

const CASES: [Case; 12] = [
    case(Way::Publish, QoS::AtMostOnce, 64, 1_000_000),
    case(Way::Publish, QoS::AtLeastOnce, 64, 1_000_000),
    case(Way::Publish, QoS::ExactlyOnce, 64, 500_000),
    case(Way::Publish, QoS::AtMostOnce, 1024, 1_000_000),
    case(Way::Publish, QoS::AtLeastOnce, 1024, 500_000),
    case(Way::Publish, QoS::ExactlyOnce, 1024, 300_000),
    case(Way::Receive, QoS::AtMostOnce, 64, 1_000_000),
    case(Way::Receive, QoS::AtLeastOnce, 64, 500_000),
    case(Way::Receive, QoS::AtMostOnce, 1024, 1_000_000),
    case(Way::Receive, QoS::AtLeastOnce, 1024, 500_000),
    case(Way::Echo, QoS::AtMostOnce, 64, 500_000),
    case(Way::Echo, QoS::AtLeastOnce, 64, 500_000),
];

const CLIENTS: &[&str] = &[
    "motewire",
    "motewire-blocking",
    #[cfg(feature = "client-peers")]
    "rumqttc",
];

/// How many messages may be on their way, for every client.
const IN_FLIGHT: u16 = 100;

/// A client that takes longer for a case has stopped: its figures are `NaN`.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many idle clients memory is taken of.
const IDLE: usize = 50;

/// How many times the round trip is taken.
const ROUND_TRIPS: usize = 3000;

fn main() {
    // cargo bench adds --bench.
    let arguments: Vec<String> = env::args().skip(1).filter(|text| text != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => server(),
        ["run", client, case, port] => {
            run(
                client,
                CASES[case.parse::<usize>().expect("a number")],
                port.parse().expect("a port"),
            );
        }
        ["idle", client, port] => runtime().block_on(idle(client, port.parse().expect("a port"))),
        ["round-trip", client, port] => {
            runtime().block_on(round_trip(client, port.parse().expect("a port")));
        }
        ["results"] => {
            let table = compare(&[]);
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS-client.md");
            std::fs::write(file, table).expect("the file can be written");
        }
        ref wanted => drop(compare(wanted)),
    }
}

/// The median of some runs of a measurement, each of which prints two figures.
fn measure(arguments: &[&str]) -> (f64, f64) {
    let program = env::current_exe().expect("a running program has a file");
    let runs: usize = env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1);
    let mut figures: Vec<(f64, f64)> = (0..runs.max(1))
        .map(|_| {
            let mut child = Command::new(&program)
                .args(arguments)
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let start = Instant::now();
            while child.try_wait().is_ok_and(|ended| ended.is_none()) {
                if start.elapsed() > PATIENCE {
                    child.kill().expect("it runs, or has just ended");
                }
                thread::sleep(Duration::from_millis(10));
            }
            let mut told = String::new();
            let output = child.stdout.take().expect("it is piped");
            BufReader::new(output).read_to_string(&mut told).expect("it is text");
            let mut told = told.split_whitespace().map(|text| text.parse().unwrap_or(f64::NAN));
            (told.next().unwrap_or(f64::NAN), told.next().unwrap_or(f64::NAN))
        })
        .collect();
    figures.sort_by(|one, other| one.0.total_cmp(&other.0));
    figures[figures.len() / 2]
}

/// Prints the table, and returns it.
fn compare(wanted: &[&str]) -> String {
    let program = env::current_exe().expect("a running program has a file");
    let mut server =
        Command::new(&program).arg("server").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut port = String::new();
    let output = server.stdout.take().expect("stdout is piped");
    BufReader::new(output).read_line(&mut port).expect("the server tells its port");
    let port = port.trim();
    let clients: Vec<&str> =
        CLIENTS.iter().copied().filter(|c| wanted.is_empty() || wanted.contains(c)).collect();
    let mut table = String::from(HEAD);
    let mut line = |line: String| {
        println!("{line}");
        table.push_str(&line);
        table.push('\n');
    };
    line("| | QoS | bytes | client | CPU s / 10^6 | messages / s |".into());
    line("|---|---|---|---|---|---|".into());
    for (index, case) in CASES.iter().enumerate() {
        for client in &clients {
            let (cpu, rate) = measure(&["run", client, &index.to_string(), port]);
            let (word, qos, size) = (case.way.word(), case.qos.bits(), case.size);
            line(format!("| {word} | {qos} | {size} | {client} | {cpu:.2} | {rate:.0} |"));
        }
    }
    line(String::new());
    line(
        "| client | round trip, p50, us | p99, us | memory of one more, KiB | wake-ups / s |"
            .into(),
    );
    line("|---|---|---|---|---|".into());
    for client in clients.iter().filter(|client| !client.ends_with("blocking")) {
        let (p50, p99) = measure(&["round-trip", client, port]);
        let (memory, wakes) = measure(&["idle", client, port]);
        line(format!("| {client} | {p50:.0} | {p99:.0} | {memory:.1} | {wakes:.2} |"));
    }
    // It has nothing to lose.
    let _ = server.kill();
    let _ = server.wait();
    table
}

const HEAD: &str = "# Clients, measured

Against a server on the same machine that acknowledges at once, over TCP on loopback, so that the client
is what is measured. CPU seconds are those of the client's process. 100 messages may be in flight. Each
figure is the median of `RUNS` runs.

```text
RUNS=3 cargo bench -p motewire-benches --no-default-features --features client-peers --bench client results
```

";

/// A line of `/proc/self/status`, as a number.
fn status(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}

/// Memory that one more idle client takes, in KiB, and how often all of them wake up in a second.
async fn idle(client: &str, port: u16) {
    let mut all = Vec::new();
    let mut memory = 0.0;
    for n in 0..=IDLE {
        all.push(match client {
            #[cfg(feature = "client-peers")]
            "rumqttc" => rumqtt::connect_idle(port).await,
            _ => ours::connect_idle(port).await,
        });
        if n == 0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            memory = status("VmRSS");
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let memory = (status("VmRSS") - memory) / IDLE as f64;
    let before = wake_ups();
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("{memory} {}", (wake_ups() - before) / 3.0);
    drop(all);
}

/// How often the threads of this process have given up the processor.
fn wake_ups() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let status = threads.map(|thread| std::fs::read_to_string(thread.path().join("status")));
    let lines = status.flatten().filter_map(|status| {
        let line = status.lines().find(|line| line.starts_with("voluntary"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    });
    lines.sum()
}

/// p50 and p99, in microseconds, of publishing at QoS 1 until the acknowledgement.
async fn round_trip(client: &str, port: u16) {
    let mut times = match client {
        #[cfg(feature = "client-peers")]
        "rumqttc" => rumqtt::round_trips(port).await,
        _ => ours::round_trips(port).await,
    };
    times.sort_unstable();
    let percent = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    println!("{} {}", percent(50), percent(99));
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    // In ticks of 10 ms on every Linux there is.
    (ticks(11) + ticks(12)) / 100.0
}

fn run(client: &str, case: Case, port: u16) {
    let (cpu, start) = (cpu_seconds(), Instant::now());
    match client {
        "motewire" => runtime().block_on(ours::run(case, port)),
        "motewire-blocking" => ours::run_blocking(case, port),
        #[cfg(feature = "client-peers")]
        "rumqttc" => runtime().block_on(rumqtt::run(case, port)),
        _ => panic!("no such client"),
    }
    let (cpu, took) = (cpu_seconds() - cpu, start.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let count = case.count as f64;
    println!("{:>12.2} {:>12.0}", cpu / count * 1e6, count / took);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio")
}

/// What to subscribe to.
fn filter(case: Case) -> String {
    match case.way {
        Way::Echo => topic(case).into(),
        _ => format!("{}/{}", case.count, case.size),
    }
}

/// What to publish to.
const fn topic(case: Case) -> &'static str {
    match case.way {
        Way::Echo => "echo",
        _ => "residence/kitchen/temperature",
    }
}

mod ours {
    use alloc::collections::VecDeque;

    use mqtt_client::{Client, Filter, Lag, Message, Options, Server, Version, blocking};

    use super::{Case, Duration, IN_FLIGHT, Instant, QoS, ROUND_TRIPS, Way, thread};

    fn options(port: u16) -> Options {
        let mut options = Options::new(Server::tcp("127.0.0.1", port));
        options.version = Version::V311;
        options.max_in_flight = Some(IN_FLIGHT);
        options
    }

    fn filter(case: Case) -> Filter {
        let mut filter = Filter::new(super::filter(case), case.qos);
        filter.capacity = 1024;
        // None may be lost.
        filter.lag = Lag::Pause(Duration::from_secs(5));
        filter
    }

    fn message(case: Case) -> Message {
        Message::new(super::topic(case), vec![b'x'; case.size], case.qos)
    }

    pub(super) async fn run(case: Case, port: u16) {
        let client = mqtt_client::tokio::connect(options(port)).await.expect("accepted");
        if case.way != Way::Publish {
            let mut subscription = client.subscribe_with(filter(case)).await.expect("granted");
            let publisher =
                (case.way == Way::Echo).then(|| tokio::spawn(publish(case, client.clone())));
            for _ in 0..case.count {
                subscription.next().await.expect("it goes on");
            }
            if let Some(publisher) = publisher {
                publisher.await.expect("it does not panic");
            }
            return;
        }
        // As an application does: on a task, with the outcome of every message.
        tokio::spawn(publish(case, client)).await.expect("it does not panic");
    }

    pub(super) async fn connect_idle(port: u16) -> Box<dyn core::any::Any> {
        Box::new(mqtt_client::tokio::connect(options(port)).await.expect("accepted"))
    }

    pub(super) async fn round_trips(port: u16) -> Vec<Duration> {
        let client = mqtt_client::tokio::connect(options(port)).await.expect("accepted");
        let one = || async {
            let mut times = Vec::new();
            for _ in 0..ROUND_TRIPS {
                let start = Instant::now();
                client.publish("a/b", "21.5", QoS::AtLeastOnce).await.expect("delivered");
                times.push(start.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times
        };
        one().await
    }

    async fn publish(case: Case, client: Client) {
        let message = message(case);
        let mut deliveries = VecDeque::new();
        for _ in 0..case.count {
            deliveries.push_back(client.enqueue(message.clone()).await.expect("there is room"));
            if deliveries.len() >= 1000 {
                deliveries.pop_front().expect("there are some").await.expect("delivered");
            }
        }
        for delivery in deliveries {
            delivery.await.expect("delivered");
        }
    }

    pub(super) fn run_blocking(case: Case, port: u16) {
        let client = blocking::Client::connect_with(options(port)).expect("accepted");
        if case.way != Way::Publish {
            let publisher = (case.way == Way::Echo).then(|| client.clone());
            let subscription = client.subscribe_with(filter(case)).expect("granted");
            let publisher =
                publisher.map(|client| thread::spawn(move || publish_blocking(case, &client)));
            assert_eq!(subscription.take(case.count).count(), case.count);
            publisher.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
            return;
        }
        publish_blocking(case, &client);
    }

    fn publish_blocking(case: Case, client: &blocking::Client) {
        let message = message(case);
        let mut deliveries = VecDeque::new();
        for _ in 0..case.count {
            deliveries.push_back(client.enqueue(message.clone()).expect("there is room"));
            if deliveries.len() >= 1000 {
                blocking::wait(deliveries.pop_front().expect("there are some")).expect("delivered");
            }
        }
        for delivery in deliveries {
            blocking::wait(delivery).expect("delivered");
        }
    }
}

#[cfg(feature = "client-peers")]
mod rumqtt {
    use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Outgoing, QoS};

    use super::{Case, Duration, IN_FLIGHT, Instant, ROUND_TRIPS, Way};

    fn connect(port: u16) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new("bench", "127.0.0.1", port);
        options.set_inflight(IN_FLIGHT).set_keep_alive(Duration::from_secs(60));
        AsyncClient::new(options, 1000)
    }

    pub(super) async fn connect_idle(port: u16) -> Box<dyn core::any::Any> {
        let (client, mut connection) = connect(port);
        connection.poll().await.expect("accepted");
        let connection = tokio::spawn(async move { while connection.poll().await.is_ok() {} });
        Box::new((client, connection))
    }

    pub(super) async fn round_trips(port: u16) -> Vec<Duration> {
        let (client, mut connection) = connect(port);
        connection.poll().await.expect("accepted");
        let acknowledged = alloc::sync::Arc::new(tokio::sync::Notify::new());
        let told = alloc::sync::Arc::clone(&acknowledged);
        tokio::spawn(async move {
            while let Ok(event) = connection.poll().await {
                if let Event::Incoming(Incoming::PubAck(_)) = event {
                    told.notify_one();
                }
            }
        });
        let mut times = Vec::new();
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            client.publish("a/b", QoS::AtLeastOnce, false, "21.5").await.expect("there is room");
            acknowledged.notified().await;
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    }

    pub(super) async fn run(case: Case, port: u16) {
        let (client, mut connection) = connect(port);
        let qos =
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos.bits())];
        if case.way != Way::Publish {
            client.subscribe(super::filter(case), qos).await.expect("there is room");
        }
        if case.way != Way::Receive {
            tokio::spawn(async move {
                let payload = bytes::Bytes::from(vec![b'x'; case.size]);
                for _ in 0..case.count {
                    client
                        .publish_bytes(super::topic(case), qos, false, payload.clone())
                        .await
                        .expect("there is room");
                }
                // The connection ends with the last handle.
                core::future::pending::<()>().await;
            });
        }
        let mut left = case.count;
        while left > 0 {
            let done = match connection.poll().await.expect("the server goes on") {
                Event::Incoming(Incoming::Publish(_)) => case.way != Way::Publish,
                Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_)) => {
                    case.way == Way::Publish
                }
                Event::Outgoing(Outgoing::Publish(_)) => {
                    case.way == Way::Publish && qos == QoS::AtMostOnce
                }
                _ => false,
            };
            left -= usize::from(done);
        }
    }
}

/// Serves on a free port, which it prints.
fn server() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("it is bound").port());
    for stream in listener.incoming().flatten() {
        thread::spawn(move || drop(serve(stream)));
    }
}

/// Acknowledges what comes without a look at it. The filter `COUNT/SIZE` asks for so many messages of
/// that size, and `echo` to have all back.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut rx = vec![0; 256 * 1024];
    let (mut filled, mut tx) = (0, Vec::new());
    let mut echoes = false;
    // What is echoed must not wait for a client that writes before it reads.
    let (echo, echoed) = mpsc::channel::<Vec<u8>>();
    let mut writer = stream.try_clone()?;
    thread::spawn(move || echoed.into_iter().all(|bytes| writer.write_all(&bytes).is_ok()));
    loop {
        let read = stream.read(&mut rx[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut start = 0;
        while let Some((header, len)) = frame(&rx[start..filled]) {
            let packet = &rx[start..start + len];
            let body = &packet[header..];
            start += len;
            match packet[0] >> 4 {
                1 => tx.extend([0x20, 2, 0, 0]),
                3 if packet[0] & 6 == 0 && echoes => tx.extend(packet),
                3 if packet[0] & 6 == 0 => {}
                3 => {
                    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let id = [body[2 + topic], body[3 + topic]];
                    tx.extend([if packet[0] & 6 == 2 { 0x40 } else { 0x50 }, 2, id[0], id[1]]);
                    if echoes {
                        tx.extend(packet);
                    }
                }
                6 => tx.extend([0x70, 2, body[0], body[1]]),
                8 => {
                    tx.extend([0x90, 3, body[0], body[1], body[body.len() - 1]]);
                    stream.write_all(&tx)?;
                    tx.clear();
                    let filter = String::from_utf8_lossy(&body[4..body.len() - 1]).into_owned();
                    if filter == "echo" {
                        echoes = true;
                        continue;
                    }
                    let numbers = filter
                        .split_once('/')
                        .and_then(|(count, size)| Some((count.parse().ok()?, size.parse().ok()?)));
                    let writer = stream.try_clone()?;
                    let (count, size) = numbers.expect("COUNT/SIZE");
                    let qos = body[body.len() - 1];
                    thread::spawn(move || drop(flood(writer, &filter, count, size, qos)));
                }
                12 => tx.extend([0xD0, 0]),
                _ => {}
            }
        }
        rx.copy_within(start..filled, 0);
        filled -= start;
        if echoes {
            if echo.send(core::mem::take(&mut tx)).is_err() {
                return Ok(());
            }
            continue;
        }
        stream.write_all(&tx)?;
        tx.clear();
    }
}

/// Length of header and packet, if the packet is all there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut remaining = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let header = index + 2;
            return (bytes.len() >= header + remaining).then_some((header, header + remaining));
        }
    }
    None
}

fn flood(
    mut stream: TcpStream,
    topic: &str,
    count: usize,
    size: usize,
    qos: u8,
) -> std::io::Result<()> {
    let (mut tx, mut id) = (Vec::new(), 0_u16);
    for n in 0..count {
        let mut remaining = 2 + topic.len() + size + if qos > 0 { 2 } else { 0 };
        tx.push(0x30 | qos << 1);
        while remaining > 127 {
            tx.push((remaining % 128) as u8 | 0x80);
            remaining /= 128;
        }
        tx.push(remaining as u8);
        tx.extend((topic.len() as u16).to_be_bytes());
        tx.extend(topic.as_bytes());
        if qos > 0 {
            // The acknowledgements are not waited for: ids come round after all others.
            id = id.checked_add(1).unwrap_or(1);
            tx.extend(id.to_be_bytes());
        }
        tx.resize(tx.len() + size, b'x');
        if tx.len() > 64 * 1024 || n + 1 == count {
            stream.write_all(&tx)?;
            tx.clear();
        }
    }
    Ok(())
}
