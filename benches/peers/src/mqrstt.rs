//! mqrstt, which speaks version 5 only, on tokio.

use alloc::sync::Arc;
use core::any::Any;
use core::time::Duration;
use std::time::Instant;

use mqrstt::packets::{Packet, QoS};
use mqrstt::tokio::Network;
use mqrstt::{AsyncEventHandler, ConnectOptions, MqttClient, NetworkBuilder};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::case::{Case, IN_FLIGHT, ROUND_TRIPS, Way};

/// Tells when so many packets came of a kind that counts.
struct Counter {
    counts: fn(&Packet) -> bool,
    every: usize,
    left: usize,
    done: Arc<Notify>,
}

impl AsyncEventHandler for Counter {
    async fn handle(&mut self, packet: Packet) {
        if (self.counts)(&packet) {
            self.left -= 1;
            if self.left == 0 {
                self.left = self.every;
                self.done.notify_one();
            }
        }
    }
}

async fn connect(
    port: u16,
    counts: fn(&Packet) -> bool,
    every: usize,
) -> (MqttClient, Arc<Notify>, Network<Counter, BufStream<TcpStream>>, Counter) {
    let mut options = ConnectOptions::new("bench");
    options.set_send_maximum(IN_FLIGHT);
    let builder = NetworkBuilder::new_from_options(options);
    let (mut network, client) = builder.tokio_network();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a server");
    stream.set_nodelay(true).expect("TCP");
    let done = Arc::new(Notify::new());
    let mut counter = Counter { counts, every, left: every, done: Arc::clone(&done) };
    network.connect(BufStream::new(stream), &mut counter).await.expect("accepted");
    (client, done, network, counter)
}

fn is_end_of_publish(packet: &Packet) -> bool {
    matches!(packet, Packet::PubAck(_) | Packet::PubComp(_))
}

pub(crate) async fn connect_idle(port: u16) -> Box<dyn Any> {
    let (client, _, mut network, mut counter) = connect(port, is_end_of_publish, 1).await;
    let task = tokio::spawn(async move { drop(network.run(&mut counter).await) });
    Box::new((client, task))
}

pub(crate) async fn round_trips(port: u16) -> Vec<Duration> {
    let (client, done, mut network, mut counter) = connect(port, is_end_of_publish, 1).await;
    tokio::spawn(async move { drop(network.run(&mut counter).await) });
    let one = async move {
        let mut times = Vec::new();
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            let sent = client.publish("a/b", QoS::AtLeastOnce, false, "21.5").await;
            sent.expect("there is room");
            done.notified().await;
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    };
    tokio::spawn(one).await.expect("it does not panic")
}

pub(crate) async fn run(case: Case, port: u16) {
    let counts: fn(&Packet) -> bool = match case.way {
        Way::Publish => is_end_of_publish,
        _ => |packet| matches!(packet, Packet::Publish(_)),
    };
    let (client, done, mut network, mut counter) = connect(port, counts, case.count).await;
    let task = tokio::spawn(async move { drop(network.run(&mut counter).await) });
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos)];
    if case.way != Way::Publish {
        client.subscribe((case.filter().as_str(), qos)).await.expect("there is room");
    }
    if case.way != Way::Receive {
        let payload = case.payload();
        let own = client.clone();
        let publisher = tokio::spawn(async move {
            for _ in 0..case.count {
                let sent = own.publish(case.topic(), qos, false, payload.clone()).await;
                sent.expect("there is room");
            }
        });
        publisher.await.expect("it does not panic");
    }
    if case.way == Way::Publish && case.qos == 0 {
        // It says nothing of what was sent: DISCONNECT comes last.
        client.disconnect().await.expect("there is room");
        return task.await.expect("it does not panic");
    }
    done.notified().await;
}
