//! rumqttc, 3.1.1.

use alloc::sync::Arc;
use core::any::Any;
use core::time::Duration;
use std::time::Instant;

use rumqttc::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions, NetworkOptions, Outgoing, QoS,
};
use tokio::sync::Notify;

use crate::case::{AHEAD, Case, IN_FLIGHT, ROUND_TRIPS, Way};

fn connect(port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("bench", "127.0.0.1", port);
    options.set_inflight(IN_FLIGHT).set_keep_alive(Duration::from_secs(60));
    let (client, mut connection) = AsyncClient::new(options, AHEAD);
    let mut network = NetworkOptions::new();
    // Otherwise what it sends waits for acknowledgements of TCP that come late.
    network.set_tcp_nodelay(true);
    connection.set_network_options(network);
    (client, connection)
}

pub(crate) async fn connect_idle(port: u16) -> Box<dyn Any> {
    let mut options = MqttOptions::new(format!("{:?}", Instant::now()), "127.0.0.1", port);
    options.set_inflight(IN_FLIGHT);
    let (client, mut connection) = AsyncClient::new(options, 10);
    connection.poll().await.expect("accepted");
    let connection = tokio::spawn(async move { while connection.poll().await.is_ok() {} });
    Box::new((client, connection))
}

pub(crate) async fn round_trips(port: u16) -> Vec<Duration> {
    let (client, mut connection) = connect(port);
    connection.poll().await.expect("accepted");
    let acknowledged = Arc::new(Notify::new());
    let told = Arc::clone(&acknowledged);
    tokio::spawn(async move {
        while let Ok(event) = connection.poll().await {
            if let Event::Incoming(Incoming::PubAck(_)) = event {
                told.notify_one();
            }
        }
    });
    let one = async move {
        let mut times = Vec::new();
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            client.publish("a/b", QoS::AtLeastOnce, false, "21.5").await.expect("there is room");
            acknowledged.notified().await;
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    };
    tokio::spawn(one).await.expect("it does not panic")
}

pub(crate) async fn run(case: Case, port: u16) {
    let (client, connection) = connect(port);
    tokio::spawn(drive(case, client, connection)).await.expect("it does not panic");
}

async fn drive(case: Case, client: AsyncClient, mut connection: EventLoop) {
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos)];
    if case.way != Way::Publish {
        client.subscribe(case.filter(), qos).await.expect("there is room");
        while !matches!(connection.poll().await, Ok(Event::Incoming(Incoming::SubAck(_)))) {}
    }
    if case.way != Way::Receive {
        tokio::spawn(async move {
            let payload = bytes::Bytes::from(case.payload());
            for _ in 0..case.count {
                let (topic, payload) = (case.topic(), payload.clone());
                let sent = client.publish_bytes(topic, qos, false, payload).await;
                sent.expect("there is room");
            }
            // The connection ends with the last handle.
            core::future::pending::<()>().await;
        });
    }
    let mut left = case.count;
    while left > 0 {
        let done = match connection.poll().await.expect("the server goes on") {
            Event::Incoming(Incoming::Publish(_)) => case.way != Way::Publish,
            Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_)) => case.way == Way::Publish,
            Event::Outgoing(Outgoing::Publish(_)) => case.way == Way::Publish && case.qos == 0,
            _ => false,
        };
        left -= usize::from(done);
    }
}
