//! Single connections that wait: who is idle, who comes and goes, and who measures how long a message takes.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::load::{self, packet, text};
use crate::servers::Server;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long messages are sent of which the latency is not taken yet.
const WARM_UP: Duration = Duration::from_millis(200);

/// How long latencies are taken.
const LATENCY_TIME: Duration = Duration::from_secs(1);

const PAYLOAD: usize = 64;

/// A connection on which CONNECT is sent; [`connected`] waits for the answer.
fn dial(address: SocketAddr, name: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let connect = packet(0x10, &[b"\x00\x04MQTT\x04\x02\xFF\xFF", &text(name)]);
    stream.write_all(&connect).ok()?;
    Some(stream)
}

fn connected(mut stream: TcpStream) -> Option<TcpStream> {
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).ok()?;
    (connack == [0x20, 2, 0, 0]).then_some(stream)
}

/// A connected client.
pub(crate) fn connect(address: SocketAddr, name: &str) -> Option<TcpStream> {
    connected(dial(address, name)?)
}

/// Subscribes with QoS 0.
pub(crate) fn subscribe(stream: &mut TcpStream, filter: &str) -> Option<()> {
    stream.write_all(&load::subscribe(&[filter.to_owned()], 0)).ok()?;
    stream.read_exact(&mut [0; 5]).ok()
}

/// So many clients connect, say goodbye, and wait until the broker has closed, 32 at a time. How many
/// have, in what time.
pub(crate) fn churn(server: &Server, count: u64, patience: Duration) -> Option<(u64, f64)> {
    let start = Instant::now();
    let mut done = 0;
    while done < count && start.elapsed() < patience {
        let streams: Option<Vec<TcpStream>> =
            (0..32).map(|n| dial(server.address(), &format!("churn-{n}"))).collect();
        let streams: Option<Vec<TcpStream>> = streams?.into_iter().map(connected).collect();
        let mut streams = streams?;
        for stream in &mut streams {
            stream.write_all(&[0xE0, 0]).ok()?;
        }
        for stream in &mut streams {
            if stream.read(&mut [0; 16]).ok()? != 0 {
                return None;
            }
        }
        done += streams.len() as u64;
    }
    Some((done, start.elapsed().as_secs_f64()))
}

/// Microseconds from the call that sends a message to the one that receives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) median: f64,
    /// What 99 % do not exceed.
    pub(crate) most: f64,
}

/// Sends so many messages per second, one by one at their times.
pub(crate) fn latency(server: &Server, rate: u32) -> Option<Latency> {
    let mut subscriber = connect(server.address(), "latency-to")?;
    let topic = "bench/latency";
    subscribe(&mut subscriber, topic)?;
    let topic = text(topic);
    let mut publisher = connect(server.address(), "latency-from")?;
    let mut message = packet(0x30, &[&topic, &[0; PAYLOAD]]);
    let stamp = message.len() - PAYLOAD;
    let interval = Duration::from_secs(1) / rate;
    let total = WARM_UP + LATENCY_TIME;
    let count = u64::try_from(total.as_nanos() / interval.as_nanos()).ok()?;
    subscriber.set_nonblocking(true).ok()?;
    let mut buffer = vec![0; 256 * 1024];
    let (mut filled, mut sent) = (0, 0);
    let mut times = Vec::new();
    let start = Instant::now();
    while (times.len() as u64) < count {
        if start.elapsed() > total + PATIENCE {
            return None;
        }
        let now = start.elapsed();
        if sent < count && now >= interval * u32::try_from(sent).ok()? {
            let nanos = u64::try_from(now.as_nanos()).ok()?;
            message[stamp..stamp + 8].copy_from_slice(&nanos.to_be_bytes());
            publisher.write_all(&message).ok()?;
            sent += 1;
        }
        match subscriber.read(&mut buffer[filled..]) {
            Ok(0) => return None,
            Ok(len) => filled += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return None,
        }
        let now = u64::try_from(start.elapsed().as_nanos()).ok()?;
        // What comes is what was sent, byte for byte.
        let whole = filled - filled % message.len();
        for received in buffer[..whole].chunks_exact(message.len()) {
            let nanos = u64::from_be_bytes(received[stamp..stamp + 8].try_into().ok()?);
            times.push(now - nanos);
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
    let warm_up = WARM_UP.as_nanos() / interval.as_nanos();
    let times = times.get_mut(usize::try_from(warm_up).ok()?..)?;
    times.sort_unstable();
    let at = |part: usize| Some(*times.get(times.len() * part / 100)? as f64 / 1000.0);
    Some(Latency { median: at(50)?, most: at(99)? })
}
