//! Messages to the application.

use core::time::Duration;

use mqtt_client::{Filter, Lag, Message, QoS, ReasonCode, Subscription, Version};

use crate::network::Network;
use crate::{BOTH, in_time, options, persistent, start};

async fn next(subscription: &mut Subscription) -> Message {
    in_time(subscription.next()).await.expect("the client goes on")
}

#[tokio::test(start_paused = true)]
async fn publishing_from_inside_a_loop_over_messages_never_waits_for_itself() {
    for version in BOTH {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            let mut options = options(version);
            options.outbox_messages = 1;
            options.receive_maximum = 5;
            let client = start(options, &network);
            let mut filter = Filter::new("in", qos);
            filter.capacity = if qos == QoS::AtMostOnce { 1000 } else { 2 };
            let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
            for n in 0..100 {
                network.publish("in", &n.to_string(), qos);
            }
            for n in 0..100 {
                let message = next(&mut subscription).await;
                assert_eq!(message.payload, n.to_string());
                in_time(client.publish("out", message.payload, QoS::ExactlyOnce))
                    .await
                    .expect("delivered");
            }
            assert_eq!(network.lock().messages.len(), 100);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_stops_at_the_receive_maximum_until_the_application_takes_messages() {
    let network = Network::new();
    let mut options = options(Version::V5);
    options.receive_maximum = 5;
    let client = start(options, &network);
    let mut filter = Filter::new("in", QoS::AtLeastOnce);
    filter.capacity = 3;
    let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
    for n in 0..20 {
        network.publish("in", &n.to_string(), QoS::AtLeastOnce);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Three have their place and are acknowledged, the rest is not.
    assert_eq!(network.undelivered(), 17);
    next(&mut subscription).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(network.undelivered(), 16);
    for _ in 0..19 {
        next(&mut subscription).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(network.undelivered(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_qos_0_a_full_stream_drops_as_its_policy_says() {
    for (lag, expected) in [(Lag::DropNewest, ["0", "1", "2"]), (Lag::DropOldest, ["7", "8", "9"])]
    {
        let network = Network::new();
        let client = start(options(Version::V311), &network);
        let mut filter = Filter::new("in", QoS::AtMostOnce);
        filter.capacity = 3;
        filter.lag = lag;
        let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
        for n in 0..10 {
            network.publish("in", &n.to_string(), QoS::AtMostOnce);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for text in expected {
            assert_eq!(next(&mut subscription).await.payload, text);
        }
        assert_eq!(subscription.lagged(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn manual_acknowledgements_go_out_in_the_order_of_the_messages_mqtt_4_6_0_2() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            let mut options = options(version);
            options.manual_acknowledge = true;
            let client = start(options, &network);
            let mut subscription = in_time(client.subscribe("in", qos)).await.expect("granted");
            for text in ["1", "2", "3"] {
                network.publish("in", text, qos);
            }
            let first = next(&mut subscription).await;
            let second = next(&mut subscription).await;
            let third = next(&mut subscription).await;
            second.acknowledge();
            third.acknowledge();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(network.undelivered(), 3);
            first.acknowledge();
            first.acknowledge(); // which changes nothing
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(network.undelivered(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_comes_again_and_late_acknowledgements_go_nowhere_mqtt_4_4_0_1() {
    for version in BOTH {
        let network = Network::new();
        let mut options = persistent(version);
        options.manual_acknowledge = true;
        let client = start(options, &network);
        let mut subscription =
            in_time(client.subscribe("in", QoS::AtLeastOnce)).await.expect("granted");
        network.publish("in", "1", QoS::AtLeastOnce);
        let early = next(&mut subscription).await;
        network.hang_up(None);
        let again = next(&mut subscription).await;
        assert!(again.dup);
        early.acknowledge();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(network.undelivered(), 1);
        again.reject(ReasonCode::ImplementationSpecificError).expect("a reason of PUBACK");
        again.reject(ReasonCode::Banned).expect_err("no reason of PUBACK");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(network.undelivered(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_before_the_program_subscribes_are_kept_for_it() {
    for version in BOTH {
        let network = Network::new();
        let client = start(persistent(version), &network);
        network.publish("in/a", "early", QoS::AtLeastOnce);
        network.publish("other", "unwanted", QoS::AtLeastOnce);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut subscription =
            in_time(client.subscribe("in/#", QoS::AtLeastOnce)).await.expect("granted");
        network.publish("in/a", "late", QoS::AtLeastOnce);
        assert_eq!(next(&mut subscription).await.payload, "early");
        assert_eq!(next(&mut subscription).await.payload, "late");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_is_unsubscribed_unless_the_session_is_kept() {
    for version in BOTH {
        for (options, told) in [(options(version), true), (persistent(version), false)] {
            let network = Network::new();
            let client = start(options, &network);
            drop(in_time(client.subscribe("a", QoS::AtLeastOnce)).await.expect("granted"));
            in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
            let log = network.lock().log.clone();
            assert_eq!(log.iter().any(|line| line == "unsubscribe a"), told, "{log:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_client_after_what_waits_in_it() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut subscription =
        in_time(client.subscribe("in", QoS::AtLeastOnce)).await.expect("granted");
    network.publish("in", "1", QoS::AtLeastOnce);
    tokio::time::sleep(Duration::from_secs(1)).await;
    in_time(client.disconnect()).await;
    assert_eq!(next(&mut subscription).await.payload, "1");
    assert!(in_time(subscription.next()).await.is_none());
    assert!(in_time(client.subscribe("in", QoS::AtLeastOnce)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_a_full_stream_holds_back_comes_once_across_a_reconnect_mqtt_4_3_3() {
    for version in BOTH {
        for keeps_session in [true, false] {
            let network = Network::new();
            network.lock().keeps_session = keeps_session;
            let client = start(persistent(version), &network);
            let mut filter = Filter::new("in", QoS::ExactlyOnce);
            filter.capacity = 1;
            let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
            for n in 0..5 {
                network.publish("in", &n.to_string(), QoS::ExactlyOnce);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            // All are here, and but for the first one the server does not know it.
            network.hang_up(None);
            network.until(|state| state.attempts.len() == 2).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            for n in 0..5 {
                assert_eq!(next(&mut subscription).await.payload, n.to_string());
            }
            in_time(client.disconnect()).await;
            assert!(in_time(subscription.next()).await.is_none());
        }
    }
}
