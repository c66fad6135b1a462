//! Futures that are dropped at random moments.

use core::time::Duration;

use mqtt_client::{Message, QoS, Version};

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
