//! Clients against a server that acknowledges at once, so that the client is what is measured: CPU
//! seconds of the client's process per million messages, and messages per second.
//!
//! ```text
//! cargo bench -p motewire-benches --bench client [CLIENT...]
//! ```
//!
//! Each client runs in a process of its own, and so does the server.

extern crate alloc;

use core::time::Duration;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use mqtt_codec::QoS;

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    receive: bool,
    qos: QoS,
    size: usize,
    count: usize,
}

const fn case(receive: bool, qos: QoS, size: usize, count: usize) -> Case {
    Case { receive, qos, size, count }
}

const CASES: [Case; 8] = [
    case(false, QoS::AtMostOnce, 64, 1_000_000),
    case(false, QoS::AtLeastOnce, 64, 1_000_000),
    case(false, QoS::ExactlyOnce, 64, 500_000),
    case(false, QoS::AtMostOnce, 1024, 1_000_000),
    case(false, QoS::AtLeastOnce, 1024, 500_000),
    case(true, QoS::AtMostOnce, 64, 1_000_000),
    case(true, QoS::AtLeastOnce, 64, 500_000),
    case(true, QoS::AtMostOnce, 1024, 1_000_000),
];

const CLIENTS: &[&str] = &[
    "motewire",
    "motewire-blocking",
    #[cfg(feature = "client-peers")]
    "rumqttc",
];

/// How many messages may be on their way, for every client.
const IN_FLIGHT: u16 = 100;

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
        ref wanted => compare(wanted),
    }
}

fn compare(wanted: &[&str]) {
    let program = env::current_exe().expect("a running program has a file");
    let mut server =
        Command::new(&program).arg("server").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut port = String::new();
    let output = server.stdout.take().expect("stdout is piped");
    BufReader::new(output).read_line(&mut port).expect("the server tells its port");
    println!(
        "{:<8} {:>3} {:>6}  {:<18} {:>12} {:>12}",
        "", "QoS", "bytes", "client", "CPU s / 10^6", "messages / s"
    );
    for (index, case) in CASES.iter().enumerate() {
        for client in CLIENTS.iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
            let output = Command::new(&program)
                .args(["run", client, &index.to_string(), port.trim()])
                .stderr(Stdio::inherit())
                .output()
                .expect("it starts");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let word = if case.receive { "receive" } else { "publish" };
            println!(
                "{word:<8} {:>3} {:>6}  {client:<18} {}",
                case.qos.bits(),
                case.size,
                told.trim()
            );
        }
    }
    // It has nothing to lose.
    let _ = server.kill();
    let _ = server.wait();
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

mod ours {
    use alloc::collections::VecDeque;

    use mqtt_client::{Client, Filter, Lag, Message, Options, Server, Version, blocking};

    use super::{Case, Duration, IN_FLIGHT};

    fn options(port: u16) -> Options {
        let mut options = Options::new(Server::tcp("127.0.0.1", port));
        options.version = Version::V311;
        options.max_in_flight = Some(IN_FLIGHT);
        options
    }

    fn filter(case: Case) -> Filter {
        let mut filter = Filter::new(format!("{}/{}", case.count, case.size), case.qos);
        filter.capacity = 1024;
        // None may be lost.
        filter.lag = Lag::Pause(Duration::from_secs(5));
        filter
    }

    fn message(case: Case) -> Message {
        Message::new("residence/kitchen/temperature", vec![b'x'; case.size], case.qos)
    }

    pub(super) async fn run(case: Case, port: u16) {
        let client = mqtt_client::tokio::connect(options(port)).await.expect("accepted");
        if case.receive {
            let mut subscription = client.subscribe_with(filter(case)).await.expect("granted");
            for _ in 0..case.count {
                subscription.next().await.expect("it goes on");
            }
            return;
        }
        // As an application does: on a task, with the outcome of every message.
        tokio::spawn(publish(case, client)).await.expect("it does not panic");
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
        if case.receive {
            let subscription = client.subscribe_with(filter(case)).expect("granted");
            assert_eq!(subscription.take(case.count).count(), case.count);
            return;
        }
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
    use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, Outgoing, QoS};

    use super::{Case, Duration, IN_FLIGHT};

    pub(super) async fn run(case: Case, port: u16) {
        let mut options = MqttOptions::new("bench", "127.0.0.1", port);
        options.set_inflight(IN_FLIGHT).set_keep_alive(Duration::from_secs(60));
        let (client, mut connection) = AsyncClient::new(options, 1000);
        let qos =
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos.bits())];
        if case.receive {
            client
                .subscribe(format!("{}/{}", case.count, case.size), qos)
                .await
                .expect("there is room");
        } else {
            tokio::spawn(async move {
                let payload = bytes::Bytes::from(vec![b'x'; case.size]);
                for _ in 0..case.count {
                    let topic = "residence/kitchen/temperature";
                    client
                        .publish_bytes(topic, qos, false, payload.clone())
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
                Event::Incoming(Incoming::Publish(_)) => case.receive,
                Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_)) => !case.receive,
                Event::Outgoing(Outgoing::Publish(_)) => !case.receive && qos == QoS::AtMostOnce,
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
/// that size.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut rx = vec![0; 256 * 1024];
    let (mut filled, mut tx) = (0, Vec::new());
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
                3 if packet[0] & 6 != 0 => {
                    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let id = [body[2 + topic], body[3 + topic]];
                    tx.extend([if packet[0] & 6 == 2 { 0x40 } else { 0x50 }, 2, id[0], id[1]]);
                }
                6 => tx.extend([0x70, 2, body[0], body[1]]),
                8 => {
                    tx.extend([0x90, 3, body[0], body[1], body[body.len() - 1]]);
                    stream.write_all(&tx)?;
                    tx.clear();
                    let filter = String::from_utf8_lossy(&body[4..body.len() - 1]).into_owned();
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
