//! Numbers for Prometheus and health for whoever restarts the broker, by HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the numbers, in Prometheus' text format |
//! | `/healthz` | 200 if the broker's loop answers within a second and can store what it must, else 503 |
//!
//! One thread answers one request after the other, and gives nobody longer than two seconds.

use core::fmt::Write as _;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mqtt_codec::PacketType;
use mqtt_session::broker::{Statistics, Traffic};

use super::bridge::BridgeStatus;
use super::{Control, Report};

/// How long a request may take to come, and its answer to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the broker may take to answer.
const HEALTHY: Duration = Duration::from_secs(1);

/// Largest request.
const MAX_REQUEST: usize = 8 * 1024;

/// How a number is read.
type Reader = fn(&Statistics) -> u64;

/// A number, what it is, and how it is read.
type Number = (&'static str, &'static str, Reader);

/// What there is now.
const GAUGES: &[Number] = &[
    ("connections", "Open connections.", |s| s.connections as u64),
    ("sessions", "Sessions, with and without a connection.", |s| s.sessions as u64),
    ("sessions_connected", "Sessions with a connection.", |s| s.sessions_connected as u64),
    ("subscriptions", "Subscriptions, shared ones included.", |s| s.subscriptions as u64),
    ("shared_subscriptions", "Shared subscriptions.", |s| s.shared_subscriptions as u64),
    ("retained_messages", "Retained messages.", |s| s.retained_messages as u64),
    ("retained_bytes", "Bytes of retained messages.", |s| s.retained_bytes as u64),
    ("queued_messages", "Messages that wait to be sent.", |s| s.queued_messages as u64),
    ("queued_bytes", "Bytes of messages that wait to be sent.", |s| s.queued_bytes as u64),
    ("in_flight_messages", "Messages sent and not acknowledged.", |s| s.in_flight_messages as u64),
    ("in_flight_bytes", "Bytes of messages sent and not acknowledged.", |s| {
        s.in_flight_bytes as u64
    }),
];

/// What has happened.
const COUNTERS: &[Number] = &[
    ("connections_opened_total", "Connections opened.", |s| s.connections_opened),
    ("connections_refused_total", "Connections without room.", |s| s.connections_refused),
    ("connects_accepted_total", "Clients let in.", |s| s.connects_accepted),
    ("connects_refused_total", "Clients refused.", |s| s.connects_refused),
    ("sessions_taken_over_total", "Connections ended by a later one.", |s| s.taken_over),
    ("timeouts_total", "Connections ended by silence.", |s| s.timeouts),
    ("sessions_expired_total", "Sessions that expired.", |s| s.sessions_expired),
    ("received_bytes_total", "Bytes of packets received.", |s| s.received.bytes()),
    ("sent_bytes_total", "Bytes of packets sent.", |s| s.sent.bytes()),
    ("messages_received_total", "Messages published by clients.", |s| s.messages_received),
    ("messages_sent_total", "Messages sent to clients.", |s| s.messages_sent),
    ("payload_received_bytes_total", "Bytes of their payloads.", |s| s.payload_bytes_received),
    ("payload_sent_bytes_total", "Bytes of their payloads.", |s| s.payload_bytes_sent),
    ("publishes_refused_total", "Messages of clients refused.", |s| s.publishes_refused),
    ("subscriptions_refused_total", "Subscriptions refused.", |s| s.subscriptions_refused),
];

/// Why messages were dropped.
const DROPPED: &[(&str, Reader)] = &[
    ("queue_full", |s| s.dropped.queue_full),
    ("retained_full", |s| s.dropped.retained_full),
    ("expired", |s| s.dropped.expired),
    ("too_large", |s| s.dropped.too_large),
    ("offline", |s| s.dropped.offline),
];

/// Of each bridge: name, kind, what it is, and how it is read.
#[expect(clippy::type_complexity, reason = "one table")]
const BRIDGES: &[(&str, &str, &str, fn(&BridgeStatus) -> u64)] = &[
    ("bridge_connected", "gauge", "Whether the other broker has let the bridge in.", |b| {
        b.is_connected.into()
    }),
    ("bridge_queued_messages", "gauge", "Messages that wait for the other broker.", |b| {
        b.waiting.messages as u64
    }),
    ("bridge_queued_bytes", "gauge", "Bytes of messages that wait for the other broker.", |b| {
        b.waiting.bytes as u64
    }),
    ("bridge_in_flight_messages", "gauge", "Messages sent there and not acknowledged.", |b| {
        b.waiting.in_flight as u64
    }),
    ("bridge_connects_total", "counter", "How often it was let in.", |b| b.connects),
    ("bridge_sent_total", "counter", "Messages sent to the other broker.", |b| b.sent),
    ("bridge_received_total", "counter", "Messages that came from there.", |b| b.received),
    ("bridge_dropped_total", "counter", "Messages without a rule, or too large.", |b| b.dropped),
    ("bridge_refused_total", "counter", "Messages that the other broker refused.", |b| b.refused),
];

/// The numbers in Prometheus' text format, version 0.0.4.
fn exposition(Report { statistics, partial_bytes, bridges }: &Report) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
        // Into a string, which does not fail.
        let _ = writeln!(text, "# HELP motewire_{name} {help}\n# TYPE motewire_{name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "motewire_{name}{labels} {value}");
        }
    };
    for (name, help, read) in GAUGES {
        family(name, "gauge", help, &[(String::new(), read(statistics))]);
    }
    let partial = [(String::new(), *partial_bytes as u64)];
    family("partial_bytes", "gauge", "Held of packets that are not all there.", &partial);
    for (name, help, read) in COUNTERS {
        family(name, "counter", help, &[(String::new(), read(statistics))]);
    }
    let dropped = DROPPED
        .iter()
        .map(|(reason, read)| (format!("{{reason=\"{reason}\"}}"), read(statistics)))
        .collect::<Vec<_>>();
    family("messages_dropped_total", "counter", "Messages not sent or not retained.", &dropped);
    let by_type = |traffic: &Traffic| {
        PacketType::ALL
            .map(|packet| (format!("{{type=\"{}\"}}", packet.name()), traffic.of(packet)))
    };
    let (received, sent) = (by_type(&statistics.received), by_type(&statistics.sent));
    family("packets_received_total", "counter", "Packets received.", &received);
    family("packets_sent_total", "counter", "Packets sent.", &sent);
    for (name, kind, help, read) in BRIDGES.iter().filter(|_| !bridges.is_empty()) {
        let rows = bridges.iter().map(|b| (format!("{{bridge=\"{}\"}}", b.name), read(b)));
        family(name, kind, help, &rows.collect::<Vec<_>>());
    }
    if let Some(bytes) = resident_bytes() {
        let name = "process_resident_memory_bytes";
        let _ =
            writeln!(text, "# HELP {name} Resident memory.\n# TYPE {name} gauge\n{name} {bytes}");
    }
    text
}

/// The memory of this process, where the system tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Answers on a thread of its own until the process ends.
///
/// # Errors
/// If there is no thread to be had.
pub fn serve(listener: TcpListener, control: Control) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("metrics".into()).spawn(move || {
        for stream in listener.incoming() {
            match stream {
                // Who does not take its answer does without.
                Ok(stream) => drop(answer(stream, &control)),
                // No file for it: others must close first.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    })
}

/// Answers one request.
fn answer(mut stream: TcpStream, control: &Control) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") && request.len() < MAX_REQUEST {
        let left = until.saturating_duration_since(Instant::now());
        // An error once no time is left.
        stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 1024];
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            len => request.extend_from_slice(piece.get(..len).unwrap_or_default()),
        }
    }
    let (status, body) = if request.len() >= MAX_REQUEST {
        ("431 Request Header Fields Too Large", String::new())
    } else {
        respond(&request, || control.report(HEALTHY))
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes())
}

/// Status and body.
fn respond(request: &[u8], report: impl FnOnce() -> io::Result<Report>) -> (&'static str, String) {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path, version) = (words.next(), words.next(), words.next());
    let is_http = version.is_some_and(|version| version.starts_with(b"HTTP/1."));
    match (method, path) {
        _ if !is_http => ("400 Bad Request", String::new()),
        (Some(b"GET"), Some(b"/metrics")) => match report() {
            Ok(report) => ("200 OK", exposition(&report)),
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
        (Some(b"GET"), Some(b"/healthz")) => match report() {
            Ok(_) => ("200 OK", "ok\n".into()),
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
        (Some(b"GET"), _) => ("404 Not Found", String::new()),
        _ => ("405 Method Not Allowed", String::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Report, respond};

    #[test]
    fn requests_are_told_apart() {
        let status = |request: &str, works: bool| {
            let report = || {
                if works { Ok(Report::default()) } else { Err(io::ErrorKind::TimedOut.into()) }
            };
            respond(request.as_bytes(), report).0
        };
        assert_eq!(status("GET /metrics HTTP/1.1\r\n\r\n", true), "200 OK");
        assert_eq!(status("GET /healthz HTTP/1.0\r\n\r\n", true), "200 OK");
        for path in ["/metrics", "/healthz"] {
            let status = status(&format!("GET {path} HTTP/1.1\r\n\r\n"), false);
            assert_eq!(status, "503 Service Unavailable", "{path}");
        }
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n", true), "404 Not Found");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n", true), "405 Method Not Allowed");
        for request in ["GET /metrics\r\n\r\n", "\r\n\r\n", "GET /metrics SSH-2\r\n\r\n"] {
            assert_eq!(status(request, true), "400 Bad Request", "{request:?}");
        }
    }
}
