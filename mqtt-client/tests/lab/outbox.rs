//! Bounds, order, expiry, and the end.

use core::time::Duration;

use mqtt_client::{Disconnect, Message, Overflow, PublishError, QoS, TopicAliases, Version};

use crate::network::{Cut, How, Network};
use crate::{BOTH, in_time, options, persistent, start};

fn message(text: &str) -> Message {
    Message::new("a", text.to_owned(), QoS::AtLeastOnce)
}

/// A network whose server is away.
fn down() -> Network {
    let network = Network::new();
    network.lock().up = false;
    network
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_makes_publishers_wait_in_their_order() {
    for version in BOTH {
        let network = down();
        let mut options = options(version);
        options.outbox_messages = 10;
        let client = start(options, &network);
        for n in 0..10 {
            drop(client.try_publish(&message(&n.to_string())).expect("there is room"));
        }
        assert!(matches!(client.try_publish(&message("x")), Err(PublishError::Full)));
        let mut waiting = Vec::new();
        for n in 10..40 {
            let client = client.clone();
            waiting.push(tokio::spawn(async move { client.send(message(&n.to_string())).await }));
            tokio::task::yield_now().await;
        }
        network.lock().up = true;
        for waiting in waiting {
            in_time(waiting).await.expect("it ends").expect("delivered");
        }
        let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
        assert_eq!(network.lock().messages, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_outbox_is_bounded_by_bytes_too() {
    let network = down();
    let mut options = options(Version::V5);
    options.outbox_bytes = 1000;
    let client = start(options, &network);
    let large = Message::new("a", vec![0; 400], QoS::AtLeastOnce);
    for _ in 0..2 {
        drop(client.try_publish(&large).expect("there is room"));
    }
    assert!(matches!(client.try_publish(&large), Err(PublishError::Full)));
    drop(client.try_publish(&message("small")).expect("there is room"));
    assert_eq!(client.undelivered(), 3);
    // What never fits does not wait for ever.
    let too_large = Message::new("a", vec![0; 1001], QoS::AtLeastOnce);
    network.lock().up = true;
    assert!(matches!(in_time(client.send(too_large)).await, Err(PublishError::Full)));
}

#[tokio::test(start_paused = true)]
async fn each_overflow_policy_does_what_it_says() {
    for overflow in [Overflow::Reject, Overflow::DropOldest] {
        let network = down();
        let mut options = options(Version::V5);
        options.outbox_messages = 2;
        options.overflow = overflow;
        let client = start(options, &network);
        let mut deliveries = Vec::new();
        for text in ["1", "2", "3"] {
            deliveries.push(in_time(client.enqueue(message(text))).await);
        }
        network.lock().up = true;
        let mut outcomes = Vec::new();
        for delivery in deliveries {
            outcomes.push(match delivery {
                Ok(delivery) => in_time(delivery).await.map(|_| ()),
                Err(error) => Err(error),
            });
        }
        match (overflow, &outcomes[..]) {
            (Overflow::Reject, [Ok(()), Ok(()), Err(PublishError::Full)]) => {
                assert_eq!(network.lock().messages, ["1", "2"]);
            }
            (Overflow::DropOldest, [Err(PublishError::Dropped), Ok(()), Ok(())]) => {
                assert_eq!(network.lock().messages, ["2", "3"]);
            }
            _ => panic!("{overflow:?}: {outcomes:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_expires_while_it_waits_is_not_sent_mqtt_3_3_2_3_3() {
    for version in BOTH {
        let network = down();
        let client = start(options(version), &network);
        let before = tokio::time::Instant::now();
        let stale = message("stale").expires_after(Duration::from_secs(5));
        let fresh = message("fresh").expires_after(Duration::from_secs(3600));
        let fresh = client.try_publish(&fresh).expect("there is room");
        assert!(matches!(in_time(client.send(stale)).await, Err(PublishError::Expired)));
        assert_eq!(before.elapsed().as_secs(), 5);
        network.lock().up = true;
        in_time(fresh).await.expect("delivered");
        assert_eq!(network.lock().messages, ["fresh"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_one_at_a_time_gets_one_at_a_time_mqtt_4_9_0_2() {
    let network = Network::new();
    network.lock().receive_maximum = Some(1);
    let client = start(options(Version::V5), &network);
    let mut deliveries = Vec::new();
    for n in 0..50 {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce][n % 3];
        let message = Message::new("a", n.to_string(), qos);
        deliveries.push(client.try_publish(&message).expect("there is room"));
    }
    for delivery in deliveries {
        in_time(delivery).await.expect("delivered");
    }
    let state = network.lock();
    let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(state.messages, expected);
    assert!(!state.log.iter().any(|line| line.starts_with("error")), "{:?}", state.log);
}

/// How many bytes of CONNACK such a server sends.
async fn length_of_connack(receive_maximum: u16) -> usize {
    let network = Network::new();
    network.lock().receive_maximum = Some(receive_maximum);
    let client = start(options(Version::V5), &network);
    network.until(|state| state.passed.1 > 0).await;
    drop(client);
    network.lock().passed.1
}

#[tokio::test(start_paused = true)]
async fn behind_a_full_window_messages_expire_in_time_and_none_is_forgotten_mqtt_3_3_2_3_3() {
    let down = Some(length_of_connack(1).await + 1); // and a part of PUBACK
    let network = Network::new();
    network.lock().receive_maximum = Some(1);
    // Nothing is acknowledged on the first connection.
    network.lock().cuts.push_back(Cut { up: None, down, how: How::Stalls });
    let client = start(options(Version::V5), &network);
    let mut deliveries = Vec::new();
    for n in 1..=3 {
        deliveries.push(client.try_publish(&message(&n.to_string())).expect("there is room"));
        network.until(|state| state.messages == ["1"]).await;
    }
    let before = tokio::time::Instant::now();
    let stale = message("stale").expires_after(Duration::from_secs(5));
    assert!(matches!(in_time(client.send(stale)).await, Err(PublishError::Expired)));
    assert_eq!(before.elapsed().as_secs(), 5);
    deliveries.push(client.try_publish(&message("4")).expect("there is room"));
    for delivery in deliveries {
        in_time(delivery).await.expect("delivered");
    }
    let mut messages = network.lock().messages.clone();
    messages.dedup(); // the first one came once more
    assert_eq!(messages, ["1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn goodbye_comes_after_what_waits_is_delivered() {
    for version in BOTH {
        let network = down();
        let client = start(persistent(version), &network);
        for n in 0..100 {
            drop(client.try_publish(&message(&n.to_string())).expect("there is room"));
        }
        network.lock().up = true;
        assert!(in_time(client.disconnect()).await.is_empty());
        network
            .until(|state| state.log.last().is_some_and(|line| line.starts_with("goodbye")))
            .await;
        assert_eq!(network.lock().messages.len(), 100);
        assert!(matches!(client.try_publish(&message("x")), Err(PublishError::Closed)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_in_time_is_given_back() {
    let network = down();
    let client = start(options(Version::V5), &network);
    let mut first = message("1");
    first.properties.user.push(("k".into(), "v".into()));
    let delivery = client.try_publish(&first).expect("there is room");
    let mut disconnect = Disconnect::default();
    disconnect.flush = Duration::from_secs(3);
    let before = tokio::time::Instant::now();
    let undelivered = in_time(client.disconnect_with(disconnect)).await;
    assert_eq!(before.elapsed().as_secs(), 3);
    assert_eq!(undelivered, [first]);
    assert!(matches!(delivery.await, Err(PublishError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_says_goodbye_after_what_waits() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    drop(client.try_publish(&message("last words")).expect("there is room"));
    drop(client);
    network.until(|state| state.log.last().is_some_and(|line| line.starts_with("goodbye"))).await;
    assert_eq!(network.lock().messages, ["last words"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_valid_is_refused_at_once() {
    let network = down();
    let client = start(options(Version::V5), &network);
    for topic in ["", "a/+", "a/#", "nul\0"] {
        let outcome = in_time(client.publish(topic, "x", QoS::AtMostOnce)).await;
        assert!(matches!(outcome, Err(PublishError::Invalid(_))), "{topic:?}: {outcome:?}");
    }
    assert!(in_time(client.subscribe("a/#/b", QoS::AtMostOnce)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_leaves_when_it_is_its_turn_lets_the_next_one_go() {
    let network = down();
    let mut options = options(Version::V5);
    options.outbox_messages = 1;
    let client = start(options, &network);
    let first = client.try_publish(&message("1")).expect("there is room");
    let mut leaves = Box::pin(client.enqueue(message("2")));
    assert!(futures::poll!(&mut leaves).is_pending());
    let stays = client.clone();
    let stays = tokio::spawn(async move { stays.send(message("3")).await });
    tokio::task::yield_now().await;
    network.lock().up = true;
    in_time(first).await.expect("delivered");
    let before = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(leaves);
    in_time(stays).await.expect("it ends").expect("delivered");
    // Not only when the driver pings the server.
    assert!(before.elapsed() < Duration::from_secs(1));
    assert_eq!(network.lock().messages, ["1", "3"]);
}

#[tokio::test(start_paused = true)]
async fn topic_aliases_save_bytes_and_begin_anew_with_each_connection_mqtt_3_3_2_7() {
    const TOPIC: &str = "residence/a-topic-that-is-long-enough-to-be-worth-an-alias";
    let mut lengths = Vec::new();
    for policy in [TopicAliases::Off, TopicAliases::Fixed(1), TopicAliases::Lru(1)] {
        let network = Network::new();
        network.lock().topic_alias_maximum = Some(3);
        let mut options = persistent(Version::V5);
        options.topic_aliases = policy;
        let client = start(options, &network);
        let mut topics = Vec::new();
        for round in 0..3 {
            for topic in [TOPIC, TOPIC, "other/topic", TOPIC, TOPIC] {
                for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                    in_time(client.publish(topic, "x", qos)).await.expect("delivered");
                    topics.push(topic);
                }
            }
            lengths.push(network.lock().passed.0);
            if round < 2 {
                network.hang_up(None);
                network.until(|state| state.attempts.len() == round + 2).await;
            }
        }
        assert_eq!(network.lock().topics, topics, "{policy:?}");
        assert!(!network.lock().log.iter().any(|line| line.starts_with("error")));
    }
    let (off, fixed, lru) = (&lengths[..3], &lengths[3..6], &lengths[6..]);
    assert!(off.iter().zip(fixed).all(|(off, fixed)| *off > fixed + 5 * TOPIC.len()));
    assert!(off.iter().zip(lru).all(|(off, lru)| *off > lru + 4 * TOPIC.len()));
}
