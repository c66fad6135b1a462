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

/// Of each size as many have their place as begin within the bound, and the server keeps the rest.
#[tokio::test(start_paused = true)]
async fn a_stream_is_full_by_bytes_too_and_takes_what_is_longer_than_it_when_empty() {
    for version in BOTH {
        for quality in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for (len, fit) in [(100, 10), (300, 4), (5000, 1)] {
                let network = Network::new();
                let mut options = options(version);
                options.receive_maximum = 5;
                let client = start(options, &network);
                let mut filter = Filter::new("in", quality);
                filter.capacity_bytes = 1000;
                let mut subscription =
                    in_time(client.subscribe_with(filter)).await.expect("granted");
                for n in 0..20 {
                    network.publish("in", &format!("{n:0len$}"), quality);
                }
                let mut expected = 20 - fit;
                for n in 0..20 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    assert_eq!(network.undelivered(), expected, "{n} of {len} bytes");
                    expected = expected.saturating_sub(1);
                    assert_eq!(next(&mut subscription).await.payload, format!("{n:0len$}"));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_qos_0_a_stream_that_is_full_by_bytes_drops_as_its_policy_says() {
    for (lag, expected) in [
        // The long one was the last within the bound, or had to make way for those after it.
        (Lag::DropNewest, &["0", "1", "2", "long"][..]),
        (Lag::DropOldest, &["6", "7", "8", "9"][..]),
        (Lag::Pause(Duration::from_secs(1)), &["0", "1", "2", "long"][..]),
    ] {
        let network = Network::new();
        let client = start(options(Version::V5), &network);
        let mut filter = Filter::new("in", QoS::AtMostOnce);
        filter.capacity_bytes = 100;
        filter.lag = lag;
        let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
        let long = "x".repeat(1000);
        for text in ["0", "1", "2", &long, "4", "5", "6", "7", "8", "9"] {
            let padded = text.to_owned() + &" ".repeat(30_usize.saturating_sub(text.len()));
            network.publish("in", &padded, QoS::AtMostOnce);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        for text in expected {
            let message = next(&mut subscription).await;
            let text = if *text == "long" { &long } else { *text };
            assert_eq!(message.text().expect("text").trim_end(), text);
        }
        assert_eq!(subscription.lagged(), 10 - expected.len() as u64);
    }
}

/// Messages of QoS 1 that are not acknowledged wait beyond the capacity: each of QoS 0 that comes takes the
/// place of one.
#[tokio::test(start_paused = true)]
async fn of_qos_0_one_makes_way_for_one_also_where_others_are_beyond_the_capacity() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut filter = Filter::new("in", QoS::AtLeastOnce);
    filter.capacity = 4;
    filter.lag = Lag::DropOldest;
    let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
    for n in 0..3 {
        network.publish("in", &n.to_string(), QoS::AtMostOnce);
    }
    for n in 3..8 {
        network.publish("in", &n.to_string(), QoS::AtLeastOnce);
    }
    for n in 8..10 {
        network.publish("in", &n.to_string(), QoS::AtMostOnce);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 2..10 {
        assert_eq!(next(&mut subscription).await.payload, n.to_string());
    }
    assert_eq!(subscription.lagged(), 2);
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

#[tokio::test(start_paused = true)]
async fn a_stream_that_pauses_loses_nothing_of_qos_0() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut filter = Filter::new("in", QoS::AtMostOnce);
    filter.capacity = 4;
    filter.lag = Lag::Pause(Duration::from_secs(3));
    let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
    for n in 0..500 {
        network.publish("in", &n.to_string(), QoS::AtMostOnce);
    }
    for n in 0..500 {
        assert_eq!(next(&mut subscription).await.payload, n.to_string());
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    assert_eq!(subscription.lagged(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_takes_from_pauses_the_others_once() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut filter = Filter::new("stuck", QoS::AtMostOnce);
    filter.capacity = 2;
    filter.lag = Lag::Pause(Duration::from_secs(3));
    let mut stuck = in_time(client.subscribe_with(filter)).await.expect("granted");
    let mut other = in_time(client.subscribe("other", QoS::AtMostOnce)).await.expect("granted");
    let start = tokio::time::Instant::now();
    for n in 0..50 {
        network.publish("stuck", &n.to_string(), QoS::AtMostOnce);
        network.publish("other", &n.to_string(), QoS::AtMostOnce);
    }
    for n in 0..50 {
        assert_eq!(next(&mut other).await.payload, n.to_string());
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(stuck.lagged(), 48);
    assert_eq!(next(&mut stuck).await.payload, "0");
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_is_longer_than_the_stream_reaches_who_takes_at_once() {
    let network = Network::new();
    let client = start(options(Version::V311), &network);
    let mut filter = Filter::new("in", QoS::AtMostOnce);
    filter.capacity = 3;
    let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
    let taker = tokio::spawn(async move {
        for n in 0..1000 {
            assert_eq!(next(&mut subscription).await.payload, n.to_string());
        }
    });
    tokio::task::yield_now().await;
    for n in 0..1000 {
        network.publish("in", &n.to_string(), QoS::AtMostOnce);
    }
    taker.await.expect("all of them");
}

#[tokio::test(start_paused = true)]
async fn exactly_what_has_its_place_in_the_stream_is_acknowledged() {
    let mut random = crate::cancellation::Random(1);
    for capacity in [1, 2, 7, 64] {
        let network = Network::new();
        let client = start(options(Version::V311), &network);
        let mut filter = Filter::new("in", QoS::AtLeastOnce);
        filter.capacity = capacity;
        let mut subscription = in_time(client.subscribe_with(filter)).await.expect("granted");
        let (mut sent, mut taken) = (0_usize, 0);
        for _ in 0..200 {
            for _ in 0..random.below(20) {
                network.publish("in", &sent.to_string(), QoS::AtLeastOnce);
                sent += 1;
            }
            for _ in 0..random.below(20) {
                if taken < sent {
                    assert_eq!(next(&mut subscription).await.payload, taken.to_string());
                    taken += 1;
                }
            }
            if random.below(3) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert_eq!(network.undelivered(), (sent - taken).saturating_sub(capacity));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn payloads_of_any_length_come_as_they_were() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut subscription =
        in_time(client.subscribe("in", QoS::AtLeastOnce)).await.expect("granted");
    let lengths = (0..70).chain((1000..1050).step_by(3)).chain([4096, 65_000, 300_000, 3, 900_000]);
    let texts: Vec<String> = lengths
        .map(|len| (0..len).map(|n: usize| char::from(b'a' + (n * 7 % 26) as u8)).collect())
        .collect();
    let mut kept = Vec::new();
    for text in &texts {
        network.publish("in", text, QoS::AtLeastOnce);
        if text.len() > 3000 || text.len() % 5 == 0 {
            kept.push(next(&mut subscription).await);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    while kept.len() < texts.len() {
        kept.push(next(&mut subscription).await);
    }
    for (message, text) in kept.iter().zip(&texts) {
        assert_eq!(message.payload, *text);
    }
}
