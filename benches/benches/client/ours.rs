//! The client that is measured, on tokio and on threads.

use alloc::collections::VecDeque;
use core::any::Any;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use mqtt_client::{
    Client, Filter, Lag, Message, MessageRef, Options, QoS, Server, Version, blocking,
};
use tokio::sync::oneshot;

use crate::case::{AHEAD, Case, IN_FLIGHT, ROUND_TRIPS, Way};

fn options(port: u16) -> Options {
    let mut options = Options::new(Server::tcp("127.0.0.1", port));
    options.version = Version::V311;
    options.max_in_flight = Some(IN_FLIGHT);
    options
}

fn qos(case: Case) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos)]
}

fn filter(case: Case) -> Filter {
    let mut filter = Filter::new(case.filter(), qos(case));
    filter.capacity = 1024;
    // None may be lost.
    filter.lag = Lag::Pause(Duration::from_secs(5));
    filter
}

fn message(case: Case) -> Message {
    Message::new(case.topic(), case.payload(), qos(case))
}

async fn connect(port: u16) -> Client {
    mqtt_client::tokio::connect(options(port)).await.expect("accepted")
}

pub(crate) async fn run(case: Case, port: u16) {
    let client = connect(port).await;
    if case.way == Way::Publish {
        // As an application does: on a task, with the outcome of every message.
        return tokio::spawn(publish(case, client)).await.expect("it does not panic");
    }
    let mut subscription = client.subscribe_with(filter(case)).await.expect("granted");
    let publisher = (case.way == Way::Echo).then(|| tokio::spawn(publish(case, client.clone())));
    tokio::spawn(async move {
        for _ in 0..case.count {
            subscription.next().await.expect("it goes on");
        }
    })
    .await
    .expect("it does not panic");
    if let Some(publisher) = publisher {
        publisher.await.expect("it does not panic");
    }
}

/// As [`run`], with a handler in place of a stream.
pub(crate) async fn run_handler(case: Case, port: u16) {
    let client = connect(port).await;
    let (done, all) = oneshot::channel();
    let (mut done, mut left) = (Some(done), case.count);
    let handler = move |_: &MessageRef<'_>| {
        left -= 1;
        if left == 0 {
            done.take().expect("it is the last one").send(()).expect("it is waited for");
        }
    };
    let subscription = client.subscribe_handler(filter(case), handler).await.expect("granted");
    let publisher = (case.way == Way::Echo).then(|| tokio::spawn(publish(case, client.clone())));
    all.await.expect("it goes on");
    if let Some(publisher) = publisher {
        publisher.await.expect("it does not panic");
    }
    drop(subscription);
}

async fn publish(case: Case, client: Client) {
    let message = message(case);
    let mut deliveries = VecDeque::new();
    for _ in 0..case.count {
        deliveries.push_back(client.enqueue(message.clone()).await.expect("there is room"));
        if deliveries.len() >= AHEAD {
            deliveries.pop_front().expect("there are some").await.expect("delivered");
        }
    }
    for delivery in deliveries {
        delivery.await.expect("delivered");
    }
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
            client.publish("a/b", "21.5", QoS::AtLeastOnce).await.expect("delivered");
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    };
    tokio::spawn(one).await.expect("it does not panic")
}

pub(crate) fn run_blocking(case: Case, port: u16) {
    let client = blocking::Client::connect_with(options(port)).expect("accepted");
    if case.way == Way::Publish {
        return publish_blocking(case, &client);
    }
    let publisher = (case.way == Way::Echo).then(|| client.clone());
    let subscription = client.subscribe_with(filter(case)).expect("granted");
    let publisher = publisher.map(|client| thread::spawn(move || publish_blocking(case, &client)));
    assert_eq!(subscription.take(case.count).count(), case.count);
    publisher.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
}

fn publish_blocking(case: Case, client: &blocking::Client) {
    let message = message(case);
    let mut deliveries = VecDeque::new();
    for _ in 0..case.count {
        deliveries.push_back(client.enqueue(message.clone()).expect("there is room"));
        if deliveries.len() >= AHEAD {
            blocking::wait(deliveries.pop_front().expect("there are some")).expect("delivered");
        }
    }
    for delivery in deliveries {
        blocking::wait(delivery).expect("delivered");
    }
}

pub(crate) fn round_trips_blocking(port: u16) -> Vec<Duration> {
    let client = blocking::Client::connect_with(options(port)).expect("accepted");
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        client.publish("a/b", "21.5", QoS::AtLeastOnce).expect("delivered");
        times.push(start.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    times
}

pub(crate) fn connect_idle_blocking(port: u16) -> Box<dyn Any> {
    Box::new(blocking::Client::connect_with(options(port)).expect("accepted"))
}
