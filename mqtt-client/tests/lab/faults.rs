//! Connections that are cut, stalled, reset or closed by half after every byte of an exchange, in both
//! directions.

use mqtt_client::{PublishError, QoS, Version};

use crate::network::{Cut, How, Network};
use crate::{BOTH, in_time, options, persistent, start};

const ACKNOWLEDGED: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Connects, publishes one message, and says goodbye, with the first connections cut like that.
async fn publish(
    options: mqtt_client::Options,
    qos: QoS,
    cuts: &[Cut],
) -> (Network, Result<(), PublishError>) {
    let network = Network::new();
    network.lock().cuts.extend(cuts);
    let client = start(options, &network);
    let outcome = in_time(client.publish("a/b", "x", qos)).await.map(|_| ());
    assert!(in_time(client.disconnect()).await.is_empty());
    (network, outcome)
}

/// Every fault of the first connection, each of which then must be noticed.
async fn every_fault(qos: QoS, version: Version) -> Vec<Cut> {
    let (network, outcome) = publish(persistent(version), qos, &[]).await;
    assert!(outcome.is_ok());
    let (up, down) = network.lock().passed;
    let mut faults = Vec::new();
    for how in [How::Ends, How::Stalls, How::HalfCloses, How::Resets] {
        faults.extend((0..=up).map(|up| Cut { up: Some(up), down: None, how }));
        faults.extend((0..=down).map(|down| Cut { up: None, down: Some(down), how }));
    }
    faults
}

#[tokio::test(start_paused = true)]
async fn a_message_arrives_as_its_qos_says_whatever_befalls_the_connection_wherever_mqtt_4_3() {
    for version in BOTH {
        for qos in ACKNOWLEDGED {
            for fault in every_fault(qos, version).await {
                let (network, outcome) = publish(persistent(version), qos, &[fault]).await;
                assert!(outcome.is_ok(), "{version:?} {qos:?} {fault:?}: {outcome:?}");
                let state = network.lock();
                let times = state.messages.len();
                let most = if qos == QoS::ExactlyOnce { 1 } else { 2 };
                let right = (1..=most).contains(&times);
                assert!(right, "{version:?} {qos:?} {fault:?}: {times} times, {:?}", state.log);
                assert!(!state.log.iter().any(|line| line.starts_with("error")), "{:?}", state.log);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_arrives_exactly_once_when_two_connections_are_cut_mqtt_4_3_3() {
    for version in BOTH {
        let cuts = every_fault(QoS::ExactlyOnce, version).await;
        for first in &cuts {
            for second in cuts.iter().step_by(13) {
                let (network, outcome) =
                    publish(persistent(version), QoS::ExactlyOnce, &[*first, *second]).await;
                assert!(outcome.is_ok(), "{version:?} {first:?} {second:?}: {outcome:?}");
                assert_eq!(network.lock().messages, ["x"], "{version:?} {first:?} {second:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_session_qos_1_arrives_and_of_qos_2_the_outcome_is_what_is_known() {
    for version in BOTH {
        for qos in ACKNOWLEDGED {
            for cut in every_fault(qos, version).await {
                let (network, outcome) = publish(options(version), qos, &[cut]).await;
                let times = network.lock().messages.len();
                match (qos, &outcome) {
                    (QoS::AtLeastOnce, Ok(())) => assert!((1..=2).contains(&times), "{cut:?}"),
                    (QoS::ExactlyOnce, Ok(())) => assert_eq!(times, 1, "{cut:?}"),
                    (QoS::ExactlyOnce, Err(PublishError::InDoubt)) => {
                        assert!(times <= 1, "{cut:?}");
                    }
                    _ => panic!("{version:?} {qos:?} {cut:?}: {outcome:?}"),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_received_as_its_qos_says_whatever_befalls_the_connection_wherever_mqtt_4_3() {
    for version in BOTH {
        for qos in ACKNOWLEDGED {
            for at in 0..120 {
                let all = [How::Ends, How::Stalls, How::HalfCloses, How::Resets].into_iter();
                let cuts = all.flat_map(|how| {
                    let up = Cut { up: Some(at), down: None, how };
                    [up, Cut { up: None, down: Some(at), how }]
                });
                for cut in cuts {
                    let network = Network::new();
                    network.lock().cuts.push_back(cut);
                    let client = start(persistent(version), &network);
                    let mut subscription =
                        in_time(client.subscribe("a/#", qos)).await.expect("granted");
                    network.publish("a/b", "1", qos);
                    network.publish("a/b", "2", qos);
                    let mut texts = Vec::new();
                    while texts.last().is_none_or(|text| text != "2") {
                        let message = in_time(subscription.next()).await.expect("it goes on");
                        texts.push(message.text().expect("text").to_owned());
                    }
                    in_time(async {
                        while network.undelivered() > 0 {
                            tokio::time::sleep(core::time::Duration::from_millis(200)).await;
                        }
                    })
                    .await;
                    in_time(client.disconnect()).await;
                    while let Some(message) = in_time(subscription.next()).await {
                        texts.push(message.text().expect("text").to_owned());
                    }
                    if qos == QoS::AtLeastOnce {
                        // Each may come again, and then all from there on do.
                        texts.dedup();
                        assert!(texts == ["1", "2"] || texts == ["1", "2", "1", "2"], "{texts:?}");
                    } else {
                        assert_eq!(texts, ["1", "2"], "{version:?} {cut:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn packets_may_be_split_anywhere_mqtt_4_2() {
    for pipe in [1, 2, 3, 7] {
        for version in BOTH {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let network = Network::new();
                network.lock().pipe = pipe;
                let client = start(persistent(version), &network);
                let mut subscription = in_time(client.subscribe("in", qos)).await.expect("granted");
                for n in 0..20 {
                    network.publish("in", &n.to_string(), qos);
                    in_time(client.publish("out", n.to_string(), qos)).await.expect("delivered");
                }
                for n in 0..20 {
                    let message = in_time(subscription.next()).await.expect("it goes on");
                    assert_eq!(message.payload, n.to_string());
                }
                assert!(in_time(client.disconnect()).await.is_empty());
                assert_eq!(network.lock().messages.len(), 20);
                let log = network.lock().log.clone();
                assert!(!log.iter().any(|line| line.starts_with("error")), "{log:?}");
            }
        }
    }
}
