//! Between client and broker something breaks: a proxy resets the connection or closes half of it, or the
//! broker is killed and starts again.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use mqtt_client::{Client, Filter, Message, Options, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::{connect, in_time, next, options, with_brokers};
use crate::support::program::{Program, free_address};
use crate::support::{PATIENCE, Version, example};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// RST to both sides.
    Resets,
    /// FIN in this direction, while the other goes on.
    HalfCloses,
}

/// What befalls the next connection, in which direction after how many bytes.
#[derive(Clone, Copy, Debug)]
struct Fault {
    how: How,
    up: bool,
    at: usize,
}

/// Passes bytes on, until a fault.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    next: Rc<Cell<Option<Fault>>>,
    /// How many bytes passed on the last connection, from the client and to it.
    passed: Rc<[Cell<usize>; 2]>,
}

impl Proxy {
    async fn start(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let proxy = Self { address, next: Rc::default(), passed: Rc::default() };
        let accepting = proxy.clone();
        spawn_local(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(broker) = TcpStream::connect(broker).await else { continue };
                spawn_local(accepting.clone().pass(client, broker));
            }
        });
        proxy
    }

    async fn pass(self, client: TcpStream, broker: TcpStream) {
        let fault = self.next.take();
        for stream in [&client, &broker] {
            stream.set_nodelay(true).expect("a connection");
            if fault.is_some_and(|fault| fault.how == How::Resets) {
                stream.set_zero_linger().expect("a connection");
            }
        }
        let (from_client, to_client) = client.into_split();
        let (from_broker, to_broker) = broker.into_split();
        let limit = |up| fault.filter(|fault| fault.up == up).map(|fault| fault.at);
        let up = copy(from_client, to_broker, limit(true), &self.passed[0]);
        let down = copy(from_broker, to_client, limit(false), &self.passed[1]);
        if fault.is_some_and(|fault| fault.how == How::Resets) {
            // Whichever it is: both are gone.
            tokio::select! { _ = up => {} _ = down => {} }
        } else {
            tokio::join!(up, down);
        }
    }
}

/// Passes on what comes in one direction. Returns the ends, which stay open until they are dropped.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    limit: Option<usize>,
    passed: &Cell<usize>,
) -> (OwnedReadHalf, OwnedWriteHalf) {
    passed.set(0);
    let mut buffer = [0; 4096];
    loop {
        let left = limit.map_or(buffer.len(), |limit| limit - passed.get()).min(buffer.len());
        let read = if left == 0 { 0 } else { from.read(&mut buffer[..left]).await.unwrap_or(0) };
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            // The other side may have closed already.
            let _ = to.shutdown().await;
            return (from, to);
        }
        passed.set(passed.get() + read);
    }
}

/// Options for a client whose session outlives connections, and that comes again soon.
fn persistent(address: SocketAddr, version: Version, client_id: &str) -> Options {
    let mut options = options(address, version, client_id);
    options.clean_start = false;
    options.session_expiry = Duration::from_secs(600);
    options.reconnect.min = Duration::from_millis(1);
    options.reconnect.max = Duration::from_millis(20);
    options
}

#[test]
fn a_message_arrives_exactly_once_wherever_the_connection_is_reset_or_half_closed_mqtt_4_3_3() {
    with_brokers(async |address, version| {
        let all = tokio::task::LocalSet::new();
        all.run_until(async {
            let listener = connect(address, version, "listener").await;
            let mut filter = Filter::new("faults", QoS::ExactlyOnce);
            filter.capacity = 10_000;
            let mut arriving = in_time(listener.subscribe_with(filter)).await.expect("granted");
            let proxy = Proxy::start(address).await;
            let publish = async |fault: Option<Fault>, text: &str| {
                proxy.next.set(fault);
                let options = persistent(proxy.address, version, &format!("f{text}"));
                let client = mqtt_client::tokio::start(options).expect("good options");
                let outcome = in_time(client.publish("faults", text.to_owned(), QoS::ExactlyOnce));
                outcome.await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
                assert!(in_time(client.disconnect()).await.is_empty());
            };
            publish(None, "0").await;
            let (up, down) = (proxy.passed[0].get(), proxy.passed[1].get());
            assert!(up > 30 && down > 10, "{up} {down}");
            let mut faults = Vec::new();
            for how in [How::Resets, How::HalfCloses] {
                // The last two bytes are the goodbye.
                faults.extend((0..up - 2).map(|at| Fault { how, up: true, at }));
                faults.extend((0..down).map(|at| Fault { how, up: false, at }));
            }
            for (n, fault) in faults.iter().enumerate() {
                publish(Some(*fault), &(n + 1).to_string()).await;
            }
            for n in 0..=faults.len() {
                let message = next(&mut arriving).await;
                let fault = n.checked_sub(1).map(|n| faults[n]);
                assert_eq!(message.text(), Some(&*n.to_string()), "{fault:?} {version:?}");
            }
            in_time(listener.disconnect()).await;
        })
        .await;
        Some(())
    });
}

#[test]
fn a_message_is_received_exactly_once_wherever_the_connection_is_reset_or_half_closed() {
    with_brokers(async |address, version| {
        let all = tokio::task::LocalSet::new();
        all.run_until(async {
            let speaker = connect(address, version, "speaker").await;
            let proxy = Proxy::start(address).await;
            let receive = async |fault: Option<Fault>, n: usize| {
                let (name, topic) = (format!("r{n}"), format!("faults/{n}"));
                // The session and its subscription are there before the fault.
                let options = persistent(proxy.address, version, &name);
                let first = in_time(mqtt_client::tokio::connect(options.clone())).await;
                let first = first.expect("accepted");
                drop(in_time(first.subscribe(&topic, QoS::ExactlyOnce)).await.expect("granted"));
                in_time(first.disconnect()).await;
                for text in ["1", "2"] {
                    let sent = speaker.publish(topic.as_str(), text, QoS::ExactlyOnce);
                    in_time(sent).await.expect("delivered");
                }
                proxy.next.set(fault);
                let client = mqtt_client::tokio::start(options).expect("good options");
                let subscription = in_time(client.subscribe(&topic, QoS::ExactlyOnce)).await;
                let mut subscription = subscription.expect("granted");
                for text in ["1", "2"] {
                    let message = next(&mut subscription).await;
                    assert_eq!(message.text(), Some(text), "{fault:?} {version:?}");
                }
                // A third one comes behind all that could come again.
                let sent = speaker.publish(topic.as_str(), "3", QoS::ExactlyOnce);
                in_time(sent).await.expect("delivered");
                assert_eq!(next(&mut subscription).await.text(), Some("3"), "{fault:?}");
                in_time(client.disconnect()).await;
            };
            receive(None, 0).await;
            let (up, down) = (proxy.passed[0].get(), proxy.passed[1].get());
            assert!(up > 30 && down > 30, "{up} {down}");
            let mut n = 0;
            for how in [How::Resets, How::HalfCloses] {
                for (up, end) in [(true, up - 2), (false, down)] {
                    for at in 0..end {
                        n += 1;
                        receive(Some(Fault { how, up, at }), n).await;
                    }
                }
            }
            in_time(speaker.disconnect()).await;
        })
        .await;
        Some(())
    });
}

/// The broker of this repository, with what must survive in a folder.
fn broker(address: SocketAddr, folder: &std::path::Path) -> Program {
    let mut command = example("broker");
    command.args(["--listen", &address.to_string(), "--persistence"]).arg(folder);
    command.stderr(std::process::Stdio::null());
    let broker = Program::start(command);
    broker.line(PATIENCE).expect("a line when it is ready");
    broker
}

#[test]
fn a_broker_that_is_killed_and_starts_again_costs_the_client_no_message() {
    const MESSAGES: usize = 1500;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    for version in Version::BOTH {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let mut running = broker(address, folder.path());
        runtime.block_on(async {
            let client = async |name| -> Client {
                in_time(mqtt_client::tokio::connect(persistent(address, version, name)))
                    .await
                    .expect("accepted")
            };
            let (publisher, subscriber) = (client("publisher").await, client("subscriber").await);
            let mut filter = Filter::new("restarts", QoS::ExactlyOnce);
            filter.capacity = MESSAGES;
            let mut arriving = in_time(subscriber.subscribe_with(filter)).await.expect("granted");
            let mut deliveries = Vec::new();
            for n in 0..MESSAGES {
                let qos = if n % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                let message = Message::new("restarts", n.to_string(), qos);
                deliveries.push(in_time(publisher.enqueue(message)).await.expect("room"));
                if n % 300 == 150 {
                    // Some are on their way, at each stage.
                    in_time(deliveries.swap_remove(deliveries.len() / 2)).await.expect("delivered");
                    running.kill();
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    running = broker(address, folder.path());
                }
            }
            for delivery in deliveries {
                in_time(delivery).await.expect("delivered");
            }
            in_time(publisher.publish("restarts", "end", QoS::ExactlyOnce))
                .await
                .expect("delivered");
            let mut counts = BTreeMap::<usize, usize>::new();
            loop {
                let message = next(&mut arriving).await;
                match message.text().and_then(|text| text.parse().ok()) {
                    Some(n) => *counts.entry(n).or_default() += 1,
                    None => break,
                }
            }
            for n in 0..MESSAGES {
                let count = counts.get(&n).copied().unwrap_or(0);
                let right = if n % 2 == 0 { count >= 1 } else { count == 1 };
                assert!(right, "{version:?}: message {n} came {count} times");
            }
            in_time(publisher.disconnect()).await;
            in_time(subscriber.disconnect()).await;
        });
    }
}
