//! The clock jumps: the machine was suspended, and what sleeps did not notice.

use core::time::Duration;

use mqtt_client::{Message, PublishError, QoS};
use tokio::time::sleep;

use crate::network::{Cut, How, Network};
use crate::{BOTH, in_time, options, persistent, start};

const HOUR: Duration = Duration::from_secs(3600);

/// How long machines sleep: from less than the Keep Alive to longer than anybody waits.
const JUMPS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(70),
    HOUR,
    Duration::from_secs(3600 * 24 * 365),
    Duration::from_secs(3600 * 24 * 365 * 1000),
];

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_outlived_a_suspended_machine_is_gone_on_with_mqtt_3_1_2_20() {
    for version in BOTH {
        for jump in JUMPS {
            let network = Network::new();
            let client = start(persistent(version), &network);
            let mut subscription =
                in_time(client.subscribe("in", QoS::ExactlyOnce)).await.expect("granted");
            for n in 0..20 {
                network.suspend(jump);
                sleep(Duration::from_secs(7)).await;
                network.publish("in", &n.to_string(), QoS::ExactlyOnce);
                let message = in_time(subscription.next()).await.expect("it goes on");
                assert_eq!(message.text(), Some(&*n.to_string()));
                in_time(client.publish("out", "x", QoS::ExactlyOnce)).await.expect("delivered");
            }
            assert_eq!(network.lock().attempts.len(), 1, "{jump:?}");
            assert_eq!(network.lock().messages.len(), 20);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_while_the_machine_was_suspended_is_replaced_and_nothing_lost() {
    for version in BOTH {
        for jump in JUMPS {
            for how in [How::Ends, How::Stalls, How::Resets] {
                let network = Network::new();
                // In the middle of what is published.
                network.lock().cuts.push_back(Cut { up: Some(60), down: None, how });
                let client = start(persistent(version), &network);
                let mut deliveries = Vec::new();
                for n in 0..10 {
                    let message = Message::new("out", n.to_string(), QoS::ExactlyOnce);
                    deliveries.push(client.enqueue(message).await.expect("there is room"));
                }
                tokio::task::yield_now().await;
                network.suspend(jump);
                for delivery in deliveries {
                    in_time(delivery).await.expect("delivered");
                }
                let expected: Vec<_> = (0..10).map(|n| n.to_string()).collect();
                assert_eq!(network.lock().messages, expected, "{version:?} {jump:?} {how:?}");
                assert!(network.lock().attempts.len() <= 3);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_suspended_again_and_again_does_not_connect_in_a_tight_loop() {
    let network = Network::new();
    network.lock().up = false;
    let client = start(options(BOTH[1]), &network);
    for _ in 0..600 {
        network.suspend(HOUR);
        sleep(Duration::from_secs(1)).await;
    }
    let attempts = network.lock().attempts.len();
    // Once the clock has jumped the wait may be over a second later, but no earlier.
    assert!((20..=600).contains(&attempts), "{attempts} attempts in ten minutes");
    network.lock().up = true;
    let before = tokio::time::Instant::now();
    in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    assert!(before.elapsed() <= Duration::from_secs(31), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_was_due_while_the_machine_was_suspended_is_done_when_it_wakes() {
    let network = Network::new();
    network.lock().up = false;
    let client = start(options(BOTH[0]), &network);
    let message = Message::new("a", "old", QoS::AtLeastOnce).expires_after(HOUR);
    let old = client.enqueue(message).await.expect("there is room");
    let young = client.enqueue(Message::new("a", "young", QoS::AtLeastOnce)).await.expect("room");
    let asking = client.requester("answers/me"); // which is asked for without a connection
    network.suspend(2 * HOUR);
    network.lock().up = true;
    assert!(matches!(in_time(old).await, Err(PublishError::Expired)));
    in_time(young).await.expect("delivered");
    assert_eq!(network.lock().messages, ["young"]);

    let requester = in_time(asking).await.expect("granted");
    let waiting = requester.request(Message::new("a", "?", QoS::AtLeastOnce));
    let suspending = async {
        sleep(Duration::from_secs(1)).await;
        network.suspend(HOUR);
    };
    let before = tokio::time::Instant::now();
    let (result, ()) = in_time(async { tokio::join!(waiting, suspending) }).await;
    assert!(result.is_err() && before.elapsed() <= Duration::from_secs(61), "{result:?}");

    network.lock().up = false;
    network.hang_up(None);
    sleep(Duration::from_millis(1)).await;
    drop(client.enqueue(Message::new("a", "late", QoS::AtLeastOnce)).await.expect("room"));
    let ending = async {
        let ending = client.disconnect();
        let suspending = async { network.suspend(HOUR) };
        tokio::join!(ending, suspending).0
    };
    let undelivered = in_time(ending).await;
    assert_eq!(undelivered.len(), 1);
}
