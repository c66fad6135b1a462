//! Every front over real sockets, with a server that sends back what it gets and breaks its first
//! connection.

extern crate alloc;

#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use mqtt_client::{
    Client, Clock, Error, Filter, Message, MessageRef, Options, QoS, RequestError,
    RequesterOptions, Runtime, Server, Transport, Version, blocking,
};
use mqtt_codec::{ConnAck, List, Properties, Publish, ReasonCode, SubAck, UnsubAck};
use mqtt_session::client::Slots;
use mqtt_session::server::{Config, Session};
use mqtt_session::{Event, Instant, Queue, QueueConfig};

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Serves a connection to its end, or until its client is accepted.
fn serve(mut stream: impl Read + Write, breaks: bool) {
    let now = Instant::default();
    let mut session = Session::new(now, Config::default(), Slots::heap(16));
    let mut config = QueueConfig::default();
    config.max_bytes = 32 << 20;
    let mut queue = Queue::heap(config);
    let (mut rx, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let Ok(read @ 1..) = stream.read(&mut chunk) else { return };
        rx.extend_from_slice(&chunk[..read]);
        let (mut bytes, mut tx) = (&rx[..], Vec::new());
        while let Some(event) =
            session.receive(now, &mut bytes, &mut tx).expect("the client is right")
        {
            queue.on_event(&event, &mut |_, _| {});
            match event {
                Event::Connect(_) => {
                    session
                        .accept(now, &ConnAck::new(ReasonCode::Success), &mut tx)
                        .expect("accepted");
                }
                Event::Subscribe(subscribe) => {
                    let suback = SubAck {
                        packet_id: subscribe.packet_id,
                        properties: Properties::EMPTY,
                        reasons: List::from(&[ReasonCode::GrantedQoS2][..]),
                    };
                    session.suback(&suback, &mut tx).expect("answered");
                }
                Event::Unsubscribe(unsubscribe) => {
                    let unsuback = UnsubAck {
                        packet_id: unsubscribe.packet_id,
                        properties: Properties::EMPTY,
                        reasons: List::from(&[ReasonCode::Success][..]),
                    };
                    session.unsuback(&unsuback, &mut tx).expect("answered");
                }
                Event::Message(message) => {
                    let back = Publish { packet_id: None, ..message.publish };
                    queue.submit(now, &back, &mut |_, _| {}).expect("there is room");
                }
                _ => {}
            }
        }
        let rest = bytes.len();
        rx.drain(..rx.len() - rest);
        if session.is_connected() {
            queue.send(now, &mut session, &mut tx, &mut |_, _| {}).expect("a Vec has room");
        }
        if stream.write_all(&tx).is_err() || breaks {
            return;
        }
    }
}

/// The URL of a server on TCP.
fn tcp() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("mqtt://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            thread::spawn(move || serve(stream, n == 0));
        }
    });
    url
}

/// The URL of a server on a Unix socket in this folder.
#[cfg(unix)]
fn unix(folder: &std::path::Path) -> String {
    let path = folder.join("mqtt.sock");
    let url = format!("unix://{}", path.display());
    let listener = std::os::unix::net::UnixListener::bind(path).expect("a new socket");
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            thread::spawn(move || serve(stream, n == 0));
        }
    });
    url
}

/// Options for that server, with a short first wait.
fn options(url: &str) -> Options {
    let mut options = Options::from_url(url).expect("a URL");
    options.reconnect.min = Duration::from_millis(10);
    options
}

/// What every front has to do.
async fn talk(client: Client) {
    let mut subscription = client.subscribe("a/#", QoS::ExactlyOnce).await.expect("granted");
    for qos in ALL {
        for size in [0, 10, 300_000] {
            let payload = vec![b'x'; size];
            client.publish("a/b", payload.clone(), qos).await.expect("delivered");
            let message = subscription.next().await.expect("it goes on");
            assert_eq!((message.qos, message.payload.len()), (qos, size));
            assert!(message.payload == payload);
        }
    }
    // Where it is read, and what is answered there.
    let (lengths, mut handled) = futures::channel::mpsc::unbounded();
    let within = client.clone();
    let handler = move |message: &MessageRef<'_>| {
        lengths.unbounded_send((message.qos, message.payload.len())).expect("it is waited for");
        let answer = Message::new("a/c", message.topic.to_owned(), QoS::AtLeastOnce);
        drop(within.try_publish(&answer).expect("there is room"));
    };
    let handler = client.subscribe_handler(Filter::new("h/#", QoS::ExactlyOnce), handler);
    let handler = handler.await.expect("granted");
    for qos in ALL {
        for size in [0, 10, 300_000] {
            client.publish("h/1", vec![b'x'; size], qos).await.expect("delivered");
            assert_eq!(handled.next().await, Some((qos, size)));
            let answer = subscription.next().await.expect("it goes on");
            assert_eq!((&*answer.topic, answer.text()), ("a/c", Some("h/1")));
        }
    }
    handler.detach();
    assert!(client.disconnect().await.is_empty());
    assert_eq!(handled.next().await, None);
}

fn talk_blocking(options: Options) {
    let client = blocking::Client::connect_with(options).expect("accepted");
    let mut subscription = client.subscribe("a/#", QoS::ExactlyOnce).expect("granted");
    assert!(subscription.next_within(Duration::from_millis(1)).is_none());
    assert_eq!(subscription.granted(), QoS::ExactlyOnce);
    for qos in ALL {
        for size in [0, 10, 300_000] {
            let payload = vec![b'x'; size];
            client.publish("a/b", payload.clone(), qos).expect("delivered");
            let message = subscription.next().expect("it goes on");
            assert_eq!((message.qos, message.payload.len()), (qos, size));
            assert!(message.payload == payload);
        }
    }
    // Without end, and not at an hour that no clock knows.
    client.publish("a/b", "last", QoS::AtLeastOnce).expect("delivered");
    let message = subscription.next_within(Duration::MAX).expect("it goes on");
    assert_eq!(message.text(), Some("last"));
    assert_eq!(client.undelivered(), 0);
    assert!(client.statistics().delivered >= 10);
    let (lengths, handled) = mpsc::channel();
    let within = client.clone();
    let handler = move |message: &MessageRef<'_>| {
        lengths.send(message.payload.len()).expect("it is waited for");
        if message.payload.is_empty() {
            // Here nobody would deliver it.
            drop(within.publish("a/b", "x", QoS::AtLeastOnce));
        }
    };
    let handler = client.subscribe_handler(Filter::new("h/#", QoS::ExactlyOnce), handler);
    let mut handler = handler.expect("granted");
    for size in [10, 300_000, 0] {
        client.publish("h/1", vec![b'x'; size], QoS::ExactlyOnce).expect("delivered");
        assert_eq!(handled.recv(), Ok(size));
    }
    assert!(matches!(handler.ended(), Error::Panicked(_)));
    let counting = |_: &MessageRef<'_>| ();
    let counting = client.subscribe_handler(Filter::new("h/#", QoS::AtMostOnce), counting);
    counting.expect("granted").detach();
    assert!(client.disconnect().is_empty());
    assert!(subscription.next().is_none());
}

/// Many threads ask at once, and each gets its own response: from a thread that is asked by the same
/// server, in either version (section 4.10).
#[test]
fn threads_ask_at_once_and_each_gets_its_response() {
    for version in [Version::V311, Version::V5] {
        let mut options = options(&tcp());
        options.version = version;
        let client = blocking::Client::connect_with(options).expect("accepted");
        let mut requests = client.subscribe("double/#", QoS::AtLeastOnce).expect("granted");
        let requester = client.requester("answers/me").expect("granted");
        thread::scope(|scope| {
            for n in 0..10_u32 {
                let requester = &requester;
                scope.spawn(move || {
                    let request = Message::new("double", n.to_string(), QoS::AtLeastOnce);
                    let response = requester.request(request).expect("a response");
                    assert_eq!(response.text(), Some(&*(2 * n).to_string()));
                });
            }
            for _ in 0..10 {
                let request = requests.next().expect("a request");
                let n: u32 = request.text().expect("text").parse().expect("a number");
                let response = request.response((2 * n).to_string()).expect("it is a request");
                client.send(response).expect("delivered");
            }
        });
        let mut options = RequesterOptions::new("answers/other");
        options.timeout = Duration::from_millis(20);
        let requester = client.requester_with(options).expect("granted");
        let late = requester.request(Message::new("double", "1", QoS::AtLeastOnce));
        assert!(matches!(late, Err(RequestError::TimedOut)), "{late:?}");
        client.disconnect();
    }
}

/// [MQTT-4.2.0-1], [MQTT-7.1.2-1 of 3.1.1].
#[test]
fn threads_over_tcp() {
    talk_blocking(options(&tcp()));
}

/// More is on its way in both directions than sockets hold, and the server reads nothing while it writes.
#[test]
fn threads_go_on_reading_while_the_server_takes_nothing() {
    const COUNT: usize = 40;
    for qos in ALL {
        let client = blocking::Client::connect_with(options(&tcp())).expect("accepted");
        let mut filter = Filter::new("a/#", qos);
        filter.capacity = COUNT;
        let mut subscription = client.subscribe_with(filter).expect("granted");
        // From here on it is the second connection, which holds.
        client.publish("b", "x", QoS::AtLeastOnce).expect("delivered");
        let deliveries: Vec<_> = (0..COUNT)
            .map(|n| {
                let message = Message::new("a/b", vec![n as u8; 300_000], qos);
                client.enqueue(message).expect("there is room")
            })
            .collect();
        for n in 0..COUNT {
            let message = subscription.next_within(Duration::from_secs(20)).expect("it goes on");
            assert!(message.payload == vec![n as u8; 300_000], "{n} {qos:?}");
        }
        for delivery in deliveries {
            blocking::wait(delivery).expect("delivered");
        }
    }
}

/// Threads that publish and wait take the driver's turns in place of its thread: none is left out.
#[test]
fn threads_that_publish_at_once_all_hear_of_their_messages() {
    let client = blocking::Client::connect_with(options(&tcp())).expect("accepted");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..500 {
                    client.publish("b", "x", ALL[n % 3]).expect("delivered");
                }
            });
        }
    });
    assert_eq!(client.statistics().delivered, 4000);
}

/// Connections of threads, and a clock that counts how often it is looked at.
struct Counting(blocking::ThreadRuntime, Arc<AtomicUsize>);

impl Runtime for Counting {
    fn connect(&mut self, server: &Server) -> BoxFuture<'static, io::Result<Transport>> {
        self.0.connect(server)
    }

    fn sleep(&mut self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }

    fn clock(&self) -> Clock {
        let (clock, looked) = (self.0.clock(), Arc::clone(&self.1));
        Box::new(move || {
            looked.fetch_add(1, Ordering::Relaxed);
            clock()
        })
    }
}

/// Without Keep Alive, nothing is due once the time has passed within which the server had to accept.
#[test]
fn the_thread_of_a_driver_for_which_nothing_is_due_sleeps_mqtt_3_1_2_10() {
    let mut options = options(&tcp());
    options.keep_alive = Duration::ZERO;
    options.response_timeout = Duration::from_millis(500);
    let looked = Arc::<AtomicUsize>::default();
    let threads = blocking::ThreadRuntime::default();
    let runtime = Counting(threads.clone(), Arc::clone(&looked));
    let (client, driver) = Client::with_runtime(options, runtime).expect("good options");
    thread::spawn(|| threads.run(driver));
    // It is the second connection that stays.
    blocking::wait(client.publish("a", "x", QoS::AtLeastOnce)).expect("delivered");
    thread::sleep(Duration::from_millis(700));
    let before = looked.load(Ordering::Relaxed);
    thread::sleep(Duration::from_millis(300));
    let turns = looked.load(Ordering::Relaxed) - before;
    assert!(turns < 10, "{turns}");
    blocking::wait(client.publish("a", "x", QoS::AtLeastOnce)).expect("delivered");
}

#[cfg(unix)]
#[test]
fn threads_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    talk_blocking(options(&unix(folder.path())));
}

/// When the client ends, so do its threads, whatever the server does.
#[cfg(target_os = "linux")]
#[test]
fn threads_end_with_the_client() {
    let mine = |name: &str| {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists threads");
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|comm| comm.trim() == name)
            .count()
    };
    // In a program of its own there would be none; other tests may have some.
    let client = blocking::Client::connect_with(options(&tcp())).expect("accepted");
    client.publish("a", "x", QoS::AtLeastOnce).expect("delivered");
    assert!(mine("mqtt-read") >= 1);
    client.disconnect();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while mine("mqtt-read") + mine("mqtt-write") + mine("mqtt") > 0 {
        assert!(std::time::Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tokio_over_tcp() {
    talk(mqtt_client::tokio::connect(options(&tcp())).await.expect("accepted")).await;
}

#[cfg(all(feature = "tokio", unix))]
#[tokio::test]
async fn tokio_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    talk(mqtt_client::tokio::connect(options(&unix(folder.path()))).await.expect("accepted")).await;
}

#[cfg(feature = "async-io")]
fn on_async_io(options: Options) {
    async_io::block_on(async {
        let spawn = |driver| drop(thread::spawn(|| async_io::block_on(driver)));
        talk(mqtt_client::async_io::connect(options, spawn).await.expect("accepted")).await;
    });
}

#[cfg(feature = "async-io")]
#[test]
fn async_io_over_tcp() {
    on_async_io(options(&tcp()));
}

#[cfg(all(feature = "async-io", unix))]
#[test]
fn async_io_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    on_async_io(options(&unix(folder.path())));
}
