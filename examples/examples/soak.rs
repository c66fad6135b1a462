//! Does what the client can do, all the time and all at once, over connections that break all the time,
//! and fails if a message is lost, comes twice with QoS 2, or the memory grows.
//!
//! ```text
//! cargo run --release --example soak mqtt://localhost 600
//! ```

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::Cell;
use core::hash::BuildHasher;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::hash::RandomState;
use std::time::Instant;
use std::{fs, io};

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite, FutureExt};
use mqtt_client::tokio::TokioRuntime;
use mqtt_client::{
    Client, Clock, Error, Message, Options, QoS, RequesterOptions, Runtime, Server, Subscription,
    Transport,
};

type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;

/// How many messages are on their way at once.
const AT_ONCE: usize = 100;

/// How much more memory may be taken at the end than once all had begun: what the allocator and the
/// time of day make of it.
const TOLERANCE: u64 = 2 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    motewire_examples::help("soak [URL [SECONDS]]");
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "mqtt://localhost".into());
    let seconds: u64 = arguments.next().map_or(Ok(600), |seconds| {
        seconds.parse().map_err(|error| format!("{seconds} is no number of seconds: {error}"))
    })?;
    let mut options = Options::from_url(&url)?;
    options.client_id = format!("soak-{}", std::process::id());
    options.clean_start = false;
    options.session_expiry = Duration::from_secs(60);
    options.reconnect.min = Duration::from_millis(5);
    options.reconnect.max = Duration::from_millis(200);
    let life = Duration::from_millis((seconds * 25).clamp(200, 5000));
    let (client, mut driver) = Client::with_runtime(options, Breaking { life })?;
    let connected = driver.connected();
    tokio::spawn(driver);
    connected.await?;

    let arriving = client.subscribe("soak/#", QoS::ExactlyOnce).await?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let done = Rc::new(Cell::new(false));
    let published = async {
        let last = publish(&client, end).await;
        done.set(true);
        last
    };
    let ((), received, asked, (), flat) = futures::try_join!(
        published,
        receive(arriving, &done),
        ask(&client, end),
        change(&client, end),
        meter(&client, end),
    )?;
    let undelivered = client.disconnect().await.len();
    let statistics = client.statistics();
    println!("{received} messages, {asked} requests, {} connections", statistics.connections);
    if undelivered > 0 || !flat {
        return Err(format!("{undelivered} undelivered; memory is flat: {flat}").into());
    }
    Ok(())
}

/// Publishes with each QoS in turn, of any size up to 4 KiB.
async fn publish(client: &Client, end: Instant) -> Result<()> {
    let mut deliveries = VecDeque::new();
    let text = vec![b'.'; 4096];
    for n in 0_usize.. {
        let over = Instant::now() >= end;
        // The last ones tell who receives that there will be none.
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
        let head = if over { "end ".into() } else { format!("{n} ") };
        let payload = [head.as_bytes(), &text[..random(4096)]].concat();
        let message = Message::new(format!("soak/{}", n % 100), payload, qos);
        deliveries.push_back((client.enqueue(message).await?, qos));
        if over && qos == QoS::ExactlyOnce {
            break;
        }
        if deliveries.len() >= AT_ONCE {
            settle(deliveries.pop_front()).await?;
        }
    }
    while !deliveries.is_empty() {
        settle(deliveries.pop_front()).await?;
    }
    Ok(())
}

/// Waits for the outcome, which for QoS 0 may be that nobody knows.
async fn settle(delivery: Option<(mqtt_client::Delivery, QoS)>) -> Result<()> {
    if let Some((delivery, qos)) = delivery {
        let outcome = delivery.await;
        if qos != QoS::AtMostOnce {
            outcome?;
        }
    }
    Ok(())
}

/// Looks at what comes: of QoS 1 nothing is missing, of QoS 2 nothing is missing or there twice.
async fn receive(mut arriving: Subscription, done: &Cell<bool>) -> Result<u64> {
    let (mut next, mut count) = ([0, 1, 2], 0);
    while let Some(message) = arriving.next().await {
        count += 1;
        let text = String::from_utf8_lossy(&message.payload);
        let qos = usize::from(message.qos.bits());
        let Some((number, _)) = text.split_once(' ') else { return Err("no message".into()) };
        let Ok(number) = number.parse::<usize>() else {
            if message.qos == QoS::ExactlyOnce {
                return Ok(count);
            }
            continue;
        };
        let is_right = match message.qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => number <= next[qos],
            QoS::ExactlyOnce => number == next[qos],
        };
        if !is_right {
            return Err(format!("{number} with QoS {qos} instead of {}", next[qos]).into());
        }
        next[qos] = next[qos].max(number + 3);
    }
    Err(format!("the client has ended, when all was published: {}", done.get()).into())
}

/// Asks, and answers itself; some are not waited for.
async fn ask(client: &Client, end: Instant) -> Result<u64> {
    let mut options = RequesterOptions::new("soak-answers");
    options.timeout = Duration::from_secs(5);
    let requester = client.requester_with(options).await?;
    let mut requests = client.subscribe("soak-requests/#", QoS::AtLeastOnce).await?;
    let mut answered = 0;
    let asking = async {
        while Instant::now() < end {
            let request = || Message::new("soak-requests", "?", QoS::AtLeastOnce);
            // One that comes while the connection breaks may be lost with QoS 1 to neither side, but
            // come too late.
            answered += u64::from(requester.request(request()).await.is_ok());
            let hasty = Duration::from_millis(random(20) as u64);
            let _ = tokio::time::timeout(hasty, requester.request(request())).await;
        }
        Ok(())
    };
    let answering = async {
        while let Some(request) = requests.next().await {
            if let Some(response) = request.response("!") {
                drop(client.enqueue(response).await?);
            }
        }
        Result::Ok(())
    };
    tokio::select! {
        result = asking => result,
        result = answering => result,
    }?;
    Ok(answered)
}

/// Subscribes and unsubscribes, and gives both up in between.
async fn change(client: &Client, end: Instant) -> Result<()> {
    for n in 0_usize.. {
        if Instant::now() >= end {
            break;
        }
        let filter = format!("soak-change/{}/+", n % 50);
        let hasty = Duration::from_millis(random(30) as u64);
        let subscribing = client.subscribe(&filter, QoS::AtLeastOnce);
        if let Ok(subscription) = tokio::time::timeout(hasty, subscribing).await {
            let unsubscribing = subscription?.unsubscribe();
            match tokio::time::timeout(hasty, unsubscribing).await {
                Ok(Err(error @ Error::Closed)) => return Err(error.into()),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
    Ok(())
}

/// Tells how it goes, and whether the memory of the second half is that of the second quarter.
async fn meter(client: &Client, end: Instant) -> Result<bool> {
    const PARTS: u32 = 20;
    let part = end.saturating_duration_since(Instant::now()) / PARTS;
    let (mut early, mut late) = (0, 0);
    let mut before = client.statistics();
    for n in 1..=PARTS {
        tokio::time::sleep(part).await;
        let now = client.statistics();
        let resident = resident()?;
        println!(
            "{:3} %: {resident} KiB, {:.0} messages/s in, {} connections",
            n * 100 / PARTS,
            (now.received - before.received) as f64 / part.as_secs_f64(),
            now.connections - before.connections,
        );
        before = now;
        match n {
            0..=5 => {}
            6..=10 => early = early.max(resident),
            _ => late = late.max(resident),
        }
    }
    Ok(late <= early + early / 20 + TOLERANCE)
}

/// How much memory this process has, in KiB; 0 where the system does not tell.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).map_or(Ok(0), str::parse)?)
}

/// A number below this one.
fn random(bound: usize) -> usize {
    RandomState::new().hash_one(()) as usize % bound
}

/// Tokio, with connections that do not last.
struct Breaking {
    /// How long at most.
    life: Duration,
}

impl Runtime for Breaking {
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        let life = Duration::from_millis(1 + random(self.life.as_millis() as usize) as u64);
        let connecting = TokioRuntime.connect(server);
        let broken = move |transport| {
            let until = Box::pin(tokio::time::sleep(life));
            Box::new(Mortal { transport, until }) as Transport
        };
        connecting.map(move |transport| transport.map(broken)).boxed()
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        TokioRuntime.sleep(duration)
    }

    fn clock(&self) -> Clock {
        TokioRuntime.clock()
    }
}

struct Mortal {
    transport: Transport,
    until: Pin<Box<tokio::time::Sleep>>,
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.transport).poll_read(cx, bytes)
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_close(cx)
    }
}
