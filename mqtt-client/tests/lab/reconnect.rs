//! The server is away, forgets, refuses, or says goodbye.

use core::time::Duration;

use mqtt_client::{ConnectionEvent, Error, QoS, ReasonCode, Version};

use crate::network::{Answer, Network};
use crate::{BOTH, in_time, options, persistent, start};

#[tokio::test(start_paused = true)]
async fn a_program_that_starts_ten_seconds_before_the_server_loses_nothing() {
    for version in BOTH {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            network.lock().up = false;
            let client = start(options(version), &network);
            let late = network.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                late.lock().up = true;
            });
            for n in 0..100 {
                in_time(client.publish("a", n.to_string(), qos)).await.expect("delivered");
            }
            in_time(client.disconnect()).await;
            let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
            network.until(|state| state.messages == expected).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_asked_for_again_only_if_the_session_is_lost_mqtt_3_2_2_5() {
    for version in BOTH {
        for keeps_session in [true, false] {
            let network = Network::new();
            network.lock().keeps_session = keeps_session;
            let client = start(persistent(version), &network);
            let mut events = client.connection_events();
            let mut subscription =
                in_time(client.subscribe("a/#", QoS::AtLeastOnce)).await.expect("granted");
            assert!(matches!(
                in_time(events.next()).await,
                Some(ConnectionEvent::Connected { .. })
            ));
            network.hang_up(None);
            assert!(matches!(
                in_time(events.next()).await,
                Some(ConnectionEvent::Disconnected { retry_after: Some(_), .. })
            ));
            let Some(ConnectionEvent::Connected { session_present, .. }) =
                in_time(events.next()).await
            else {
                panic!("it connects again");
            };
            assert_eq!(session_present, keeps_session);
            network.publish("a/b", "x", QoS::AtLeastOnce);
            assert_eq!(in_time(subscription.next()).await.expect("it goes on").payload, "x");
            let subscribed =
                network.lock().log.iter().filter(|line| *line == "subscribe a/#").count();
            assert_eq!(subscribed, if keeps_session { 1 } else { 2 });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_will_not_change_ends_the_client_and_others_do_not() {
    for (reason, ends) in [
        (ReasonCode::BadUserNameOrPassword, true),
        (ReasonCode::NotAuthorized, true),
        (ReasonCode::ServerUnavailable, false),
    ] {
        for version in BOTH {
            let network = Network::new();
            network.lock().answer = Answer::Refuse(reason);
            let client = start(options(version), &network);
            let mut events = client.connection_events();
            let Some(ConnectionEvent::Disconnected { error, retry_after }) =
                in_time(events.next()).await
            else {
                panic!("it is refused");
            };
            assert!(matches!(error, Error::Refused { reason: told, .. } if told == reason));
            assert_eq!(retry_after.is_none(), ends);
            if ends {
                assert!(events.next().await.is_none());
                assert!(client.publish("a", "x", QoS::AtMostOnce).await.is_err());
            } else {
                network.lock().answer = Answer::Accept;
                in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_taken_over_stays_away_and_who_is_sent_off_for_a_while_comes_back() {
    for (reason, ends) in
        [(ReasonCode::SessionTakenOver, true), (ReasonCode::ServerShuttingDown, false)]
    {
        let network = Network::new();
        let client = start(options(Version::V5), &network);
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        let mut events = client.connection_events();
        network.hang_up(Some(reason));
        let Some(ConnectionEvent::Disconnected { error, retry_after }) =
            in_time(events.next()).await
        else {
            panic!("it ends");
        };
        assert!(matches!(error, Error::Disconnected { reason: told, .. } if told == reason));
        assert_eq!(retry_after.is_none(), ends);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_grow_while_the_server_is_away_and_are_never_a_tight_loop() {
    let network = Network::new();
    network.lock().up = false;
    let _client = start(options(Version::V5), &network);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let attempts = network.lock().attempts.len();
    // With waits of up to 30 s, and of 15 s in the mean.
    assert!((20..100).contains(&attempts), "{attempts} attempts in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_hangs_up_is_not_asked_in_a_tight_loop() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let hang_up = network.clone();
    tokio::spawn(async move {
        loop {
            hang_up.hang_up(None);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tokio::time::sleep(Duration::from_secs(600)).await;
    let attempts = network.lock().attempts.len();
    assert!(attempts < 200, "{attempts} attempts in ten minutes");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up_after_the_timeout_mqtt_3_1_0() {
    let network = Network::new();
    network.lock().answer = Answer::Silence;
    let client = start(options(Version::V311), &network);
    let mut events = client.connection_events();
    let before = tokio::time::Instant::now();
    assert!(matches!(
        in_time(events.next()).await,
        Some(ConnectionEvent::Disconnected { error: Error::Protocol(_), retry_after: Some(_) })
    ));
    assert_eq!(before.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_pings_and_does_nothing_else_mqtt_3_1_2_20() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    let before = network.lock().passed;
    tokio::time::sleep(Duration::from_secs(60 * 10 + 30)).await;
    let after = network.lock().passed;
    // Ten times two bytes each way, and the connection has held.
    assert_eq!((after.0 - before.0, after.1 - before.1), (20, 20));
    assert_eq!(network.lock().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_servers_take_turns_until_one_accepts() {
    let network = Network::new();
    network.lock().up = false;
    let mut options = options(Version::V311);
    options.servers.push("mqtt://other".parse().expect("a URL"));
    let client = start(options, &network);
    network.until(|state| state.servers.len() >= 3).await;
    let servers = network.lock().servers[..3].to_vec();
    assert_eq!(servers, ["mqtt://lab:1883", "mqtt://other:1883", "mqtt://lab:1883"]);
    network.lock().up = true;
    in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    // Who has held the connection is asked first when it breaks.
    let last = network.lock().servers.last().cloned();
    network.hang_up(None);
    in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    assert_eq!(network.lock().servers.last().cloned(), last);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_moved_is_followed_and_left_when_it_is_not_there_mqtt_4_11() {
    for follows in [true, false] {
        let network = Network::new();
        network.lock().answer = Answer::Moved("new:1 newer:2");
        let mut options = options(Version::V5);
        options.follow_server_reference = follows;
        let client = start(options, &network);
        network.until(|state| state.servers.len() == 1).await;
        network.lock().up = false;
        network.until(|state| state.servers.len() == 3).await;
        let servers = network.lock().servers.clone();
        let second = if follows { "mqtt://new:1" } else { "mqtt://lab:1883" };
        assert_eq!(servers, ["mqtt://lab:1883", second, "mqtt://lab:1883"]);
        network.lock().up = true;
        network.lock().answer = Answer::Accept;
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    }
}

/// The server is told of the limit in version 5 only. Before, what is too large would come again on each
/// connection, for ever.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_in_3_1_1_is_passed_over_and_told_of_mqtt_3_1_2_25() {
    for pipe in [1 << 20, 5000, 7] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            network.lock().pipe = pipe;
            let mut options = persistent(Version::V311);
            options.max_packet_size = 1000;
            let client = start(options, &network);
            let mut subscription = in_time(client.subscribe("a/#", qos)).await.expect("granted");
            let mut events = client.connection_events();
            // 3 bytes of header, 5 of topic, 2 of Packet Identifier if it has one.
            let head = if qos == QoS::AtMostOnce { 8 } else { 10 };
            let sizes = [990, 991, 993, 20_000, 992, 2000];
            for (n, size) in sizes.into_iter().enumerate() {
                network.publish("a/b", &"x".repeat(size), qos);
                network.publish("a/n", &n.to_string(), qos);
            }
            let mut lost = Vec::new();
            for (n, size) in sizes.into_iter().enumerate() {
                let mut message = in_time(subscription.next()).await.expect("it goes on");
                if size + head <= 1000 {
                    assert_eq!(message.payload.len(), size);
                    message = in_time(subscription.next()).await.expect("it goes on");
                } else {
                    lost.push(size as u64 + head as u64 + u64::from(size > 16_000));
                }
                assert_eq!(message.text(), Some(&*n.to_string()));
            }
            assert_eq!(client.statistics().oversized, lost.len() as u64);
            for expected in lost {
                let event = in_time(events.next()).await;
                let Some(ConnectionEvent::Oversized { topic, size, limit, .. }) = event else {
                    panic!("{event:?}");
                };
                assert_eq!((&*topic, size, limit), ("a/b", expected, 1000), "{pipe} {qos:?}");
            }
            in_time(async {
                while network.undelivered() > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
            assert_eq!(network.lock().attempts.len(), 1, "the connection has held");
        }
    }
}

/// Where even the topic is too much, there is nothing to acknowledge.
#[tokio::test(start_paused = true)]
async fn a_packet_that_cannot_be_taken_is_reported_with_its_size_and_may_be_reason_to_give_up() {
    for gives_up in [false, true] {
        let network = Network::new();
        let mut options = persistent(Version::V311);
        options.max_packet_size = 1000;
        if gives_up {
            options.reconnect.give_up = |error| matches!(error, Error::PacketTooLarge { .. });
        }
        let client = start(options, &network);
        let _subscription =
            in_time(client.subscribe("#", QoS::AtLeastOnce)).await.expect("granted");
        let mut events = client.connection_events();
        network.publish(&"a".repeat(2000), "x", QoS::AtLeastOnce);
        let Some(ConnectionEvent::Disconnected { error, retry_after }) =
            in_time(events.next()).await
        else {
            panic!("it ends");
        };
        // 1 + 2 bytes of header, 2 + 2000 of topic, 2 of Packet Identifier, and 1.
        assert!(matches!(error, Error::PacketTooLarge { size: 2008, limit: 1000 }), "{error}");
        assert_eq!(retry_after.is_none(), gives_up);
    }
}

#[tokio::test(start_paused = true)]
async fn with_several_servers_a_refusal_counts_once_all_have_refused() {
    let network = Network::new();
    network.lock().answer = Answer::Refuse(ReasonCode::NotAuthorized);
    let mut options = options(Version::V5);
    options.servers.push("mqtt://other".parse().expect("a URL"));
    let client = start(options, &network);
    let mut events = client.connection_events();
    for last in [false, true] {
        let Some(ConnectionEvent::Disconnected { error, retry_after }) =
            in_time(events.next()).await
        else {
            panic!("it is refused");
        };
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert_eq!(retry_after.is_none(), last);
    }
    assert_eq!(network.lock().servers, ["mqtt://lab:1883", "mqtt://other:1883"]);
}
