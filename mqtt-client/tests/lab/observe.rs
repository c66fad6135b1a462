//! What can be seen of a client from outside.

use core::time::Duration;

use mqtt_client::{Message, QoS, TraceContext, Version};

use crate::network::Network;
use crate::{BOTH, in_time, options, start};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn context() -> Option<TraceContext> {
    TraceContext::parse(PARENT, "congo=t61rcWkgMzE")
}

#[tokio::test(start_paused = true)]
async fn trace_context_is_put_into_what_has_none_and_only_where_there_are_properties() {
    for version in BOTH {
        let network = Network::new();
        network.lock().up = false;
        let mut options = options(version);
        options.trace_context = Some(context);
        let client = start(options, &network);
        let plain = Message::new("a", "1", QoS::AtLeastOnce);
        let mut own = Message::new("a", "2", QoS::AtLeastOnce);
        let other = PARENT.replace("00f0", "11f0");
        TraceContext::parse(&other, "").expect("valid").put_into(&mut own);
        drop(client.try_publish(&plain).expect("there is room"));
        drop(client.enqueue(plain).await.expect("there is room"));
        drop(client.enqueue(own).await.expect("there is room"));
        let disconnect = client.disconnect_with({
            let mut disconnect = mqtt_client::Disconnect::default();
            disconnect.flush = Duration::from_secs(1);
            disconnect
        });
        let undelivered = in_time(disconnect).await;
        let parents: Vec<_> = undelivered
            .iter()
            .map(|message| TraceContext::of(message).map(|context| context.parent()))
            .collect();
        let added = (version == Version::V5).then(|| PARENT.to_owned());
        assert_eq!(parents, [added.clone(), added, Some(other)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_happened_is_counted() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut subscription = in_time(client.subscribe("in", QoS::AtMostOnce)).await.expect("granted");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        in_time(client.publish("a", "x", qos)).await.expect("delivered");
    }
    for _ in 0..5 {
        network.publish("in", "x", QoS::AtMostOnce);
    }
    for _ in 0..5 {
        in_time(subscription.next()).await.expect("it goes on");
    }
    network.hang_up(None);
    network.until(|state| state.attempts.len() == 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = client.statistics();
    assert_eq!((told.connections, told.failures), (2, 1));
    assert_eq!((told.received, told.delivered, told.undelivered), (5, 3, 0));
    assert!(told.bytes_sent > 50 && told.bytes_received > 50, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn dropped_waits_for_the_store_and_for_the_end_change_nothing() {
    for polls in 0..4 {
        let network = Network::new();
        let client = start(options(Version::V5), &network);
        let poll = async |future: core::pin::Pin<Box<dyn Future<Output = ()>>>| {
            let mut future = future;
            for _ in 0..polls {
                if futures::FutureExt::now_or_never(&mut future).is_some() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut deliveries = Vec::new();
        for n in 0..50 {
            let message = Message::new("a", n.to_string(), QoS::ExactlyOnce);
            deliveries.push(client.enqueue(message).await.expect("there is room"));
            let waiting = client.clone();
            poll(Box::pin(async move { drop(waiting.stored().await) })).await;
        }
        let ending = client.clone();
        poll(Box::pin(async move { drop(ending.disconnect().await) })).await;
        for delivery in deliveries {
            in_time(delivery).await.expect("delivered");
        }
        if polls > 0 {
            in_time(network.until(|state| state.log.iter().any(|l| l.starts_with("goodbye"))))
                .await;
            assert!(client.try_publish(&Message::new("a", "x", QoS::AtMostOnce)).is_err());
        }
        assert_eq!(network.lock().messages.len(), 50);
    }
}
