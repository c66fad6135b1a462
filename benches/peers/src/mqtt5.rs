//! mqtt5, 3.1.1. Its `publish` waits for the outcome: as many tasks publish as messages may be in
//! flight.

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::time::Instant;

use mqtt5::{ConnectOptions, MqttClient, ProtocolVersion, QoS, SubscribeOptions};
use tokio::sync::Notify;

use crate::case::{Case, IN_FLIGHT, ROUND_TRIPS, Way};

async fn connect(port: u16) -> MqttClient {
    let options = ConnectOptions::new("bench").with_protocol_version(ProtocolVersion::V311);
    let client = MqttClient::with_options(options);
    client.connect(&format!("mqtt://127.0.0.1:{port}")).await.expect("accepted");
    client
}

pub(crate) async fn connect_idle(port: u16) -> Box<dyn Any> {
    Box::new(connect(port).await)
}

pub(crate) async fn round_trips(port: u16) -> Vec<Duration> {
    let client = connect(port).await;
    let one = async move {
        let mut times = Vec::new();
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            client.publish_qos1("a/b", "21.5").await.expect("acknowledged");
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    };
    tokio::spawn(one).await.expect("it does not panic")
}

pub(crate) async fn run(case: Case, port: u16) {
    let client = connect(port).await;
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos)];
    let (done, left) = (Arc::new(Notify::new()), AtomicUsize::new(case.count));
    if case.way != Way::Publish {
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        let told = Arc::clone(&done);
        let received = move |_| {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                told.notify_one();
            }
        };
        client.subscribe_with_options(case.filter(), options, received).await.expect("granted");
    }
    if case.way != Way::Receive {
        let tasks = if case.qos == 0 { 1 } else { usize::from(IN_FLIGHT) };
        let publishers: Vec<_> = (0..tasks)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move {
                    for _ in (n..case.count).step_by(tasks) {
                        let sent = client.publish_qos(case.topic(), case.payload(), qos).await;
                        sent.expect("delivered");
                    }
                })
            })
            .collect();
        for publisher in publishers {
            publisher.await.expect("it does not panic");
        }
    }
    if case.way != Way::Publish {
        done.notified().await;
    }
}
