//! Futures that are dropped at random moments.

use core::time::Duration;

use mqtt_client::{Client, ConnectionEvent, Message, QoS, Version};

use crate::network::Network;
use crate::{in_time, options, persistent, start};

/// Numbers that look random and are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Polls the future so many times, lets the rest of the program run in between, and drops it.
pub(crate) async fn poll_times<T>(future: impl Future<Output = T>, times: u64) -> Option<T> {
    let mut future = core::pin::pin!(future);
    for _ in 0..times {
        if let Some(output) = futures::FutureExt::now_or_never(&mut future) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_thousand_cancelled_publishers_leave_no_trace_but_their_messages() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let network = Network::new();
        let mut options = persistent(Version::V5);
        options.outbox_messages = 3;
        let client = start(options, &network);
        for n in 0..1000 {
            if random.below(50) == 0 {
                network.hang_up(None);
            }
            let message = Message::new("a", n.to_string(), QoS::ExactlyOnce);
            poll_times(client.send(message), random.below(6)).await;
        }
        // All of it still works, and nobody holds a place in the outbox.
        for text in ["x", "y", "z", "end"] {
            in_time(client.publish("a", text, QoS::ExactlyOnce)).await.expect("delivered");
        }
        assert_eq!(client.undelivered(), 0);
        let messages = network.lock().messages.clone();
        let numbers: Vec<u32> = messages.iter().filter_map(|text| text.parse().ok()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "each once, and in order");
        assert_eq!(messages[numbers.len()..], ["x", "y", "z", "end"]);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_subscribers_leave_no_subscription() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let network = Network::new();
        let client = start(options(Version::V311), &network);
        for n in 0..200 {
            if random.below(20) == 0 {
                network.hang_up(None);
            }
            let filter = format!("f/{n}");
            drop(poll_times(client.subscribe(&filter, QoS::AtLeastOnce), random.below(5)).await);
        }
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let log = network.lock().log.clone();
        let mut subscribed = std::collections::BTreeSet::new();
        for line in &log {
            match line.split_once(' ') {
                Some(("subscribe", filter)) => drop(subscribed.insert(filter)),
                Some(("unsubscribe", filter)) => drop(subscribed.remove(filter)),
                _ if line == "session new" => subscribed.clear(),
                _ => {}
            }
        }
        assert!(subscribed.is_empty(), "{subscribed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_receivers_lose_no_message() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let network = Network::new();
        let client = start(persistent(Version::V5), &network);
        let mut subscription =
            in_time(client.subscribe("in", QoS::ExactlyOnce)).await.expect("granted");
        let mut received = Vec::new();
        for n in 0..500 {
            network.publish("in", &n.to_string(), QoS::ExactlyOnce);
            if random.below(50) == 0 {
                network.hang_up(None);
            }
            if let Some(message) = poll_times(subscription.next(), random.below(4)).await {
                received.push(message.expect("the client goes on"));
            }
        }
        while received.len() < 500 {
            received.push(in_time(subscription.next()).await.expect("the client goes on"));
        }
        for (n, message) in received.iter().enumerate() {
            assert_eq!(message.payload, n.to_string());
        }
    }
}

/// All the others: those that wait for the store, for an outcome, for events, for the end.
#[tokio::test(start_paused = true)]
async fn whatever_future_is_dropped_all_goes_on() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let network = Network::new();
        let client = start(persistent(Version::V5), &network);
        let mut events = client.connection_events();
        let (mut connected, mut hung_up) = (0, 0);
        for n in 0..200 {
            if random.below(30) == 0 {
                network.hang_up(None);
                hung_up += 1;
                tokio::time::sleep(Duration::from_millis(random.below(200))).await;
            }
            let times = random.below(5);
            match random.below(5) {
                0 => drop(poll_times(client.stored(), times).await),
                1 => {
                    let message = Message::new("a", n.to_string(), QoS::ExactlyOnce);
                    let delivery = in_time(client.enqueue(message)).await.expect("there is room");
                    let _ = poll_times(delivery, times).await;
                }
                2 => {
                    let event = poll_times(events.next(), times).await;
                    let is_connected =
                        |event: &_| matches!(event, Some(ConnectionEvent::Connected { .. }));
                    connected += u32::from(event.as_ref().is_some_and(is_connected));
                }
                3 => {
                    let filter = format!("f/{n}");
                    let subscription = in_time(client.subscribe(&filter, QoS::AtLeastOnce)).await;
                    drop(poll_times(subscription.expect("granted").unsubscribe(), times).await);
                }
                _ => drop(poll_times(client.requester("r"), times).await),
            }
        }
        in_time(client.publish("a", "end", QoS::ExactlyOnce)).await.expect("delivered");
        in_time(client.stored()).await.expect("nothing to wait for");
        tokio::time::sleep(Duration::from_secs(60)).await;
        while let Some(Some(
            ConnectionEvent::Connected { .. } | ConnectionEvent::Disconnected { .. },
        )) = poll_times(events.next(), 1).await
        {
            connected += 1; // an event at any rate, of which there are no more than two for each
        }
        assert!(connected <= 2 * (hung_up + 1) && client.undelivered() == 0);
        let messages = network.lock().messages.clone();
        let numbers: Vec<u32> = messages.iter().filter_map(|text| text.parse().ok()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "each once, and in order");

        // However the end is waited for, it is the end.
        drop(client.enqueue(Message::new("a", "last", QoS::ExactlyOnce)).await.expect("room"));
        let times = 1 + random.below(3);
        if seed % 2 == 0 {
            drop(poll_times(client.disconnect(), times).await);
        } else {
            drop(poll_times(client.abort(), times).await);
        }
        while in_time(events.next()).await.is_some() {}
        assert!(client.publish("a", "x", QoS::AtMostOnce).await.is_err());
        let arrived = network.lock().messages.last().is_some_and(|text| text == "last");
        assert!(arrived || seed % 2 == 1, "only an abort leaves what waits");
    }
}

/// Dropped while it connects, there is no client.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_waited_for_does_not_stay() {
    for times in 0..30 {
        let network = Network::new();
        let connecting = async {
            let (client, mut driver) =
                Client::with_runtime(options(Version::V5), network.clone()).expect("good options");
            let connected = driver.connected();
            tokio::spawn(driver);
            connected.await.map(|()| client)
        };
        drop(poll_times(connecting, times).await);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let state = network.lock();
        let (accepted, left) = (
            state.log.iter().filter(|line| line.starts_with("session")).count(),
            state.log.iter().filter(|line| line.starts_with("goodbye")).count(),
        );
        assert_eq!(accepted, left, "{:?}", state.log);
    }
}
