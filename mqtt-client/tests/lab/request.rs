//! Requests and what is not an answer to them (section 4.10).

use core::time::Duration;

use futures::FutureExt;
use mqtt_client::{
    Client, Message, PublishError, QoS, RequestError, Requester, RequesterOptions, Version,
};
use mqtt_codec::{Properties, Property, Publish, TopicName};

use crate::cancellation::{Random, poll_times};
use crate::network::Network;
use crate::{BOTH, in_time, options, persistent, start};

const TOPIC: &str = "answers/me";

/// The request that came as that one, as far as an answer needs it.
struct Asked {
    topic: String,
    data: Option<Vec<u8>>,
}

impl Asked {
    fn nth(network: &Network, n: usize) -> Self {
        let state = network.lock();
        match &state.requests[n] {
            (Some(topic), data) => Self { topic: topic.clone(), data: data.clone() },
            (None, _) => {
                let (before, topic) = state.topics[n].split_once("/@/").expect("a request");
                assert_eq!(before, "window");
                Self { topic: topic.into(), data: None }
            }
        }
    }

    fn answer(&self, network: &Network, text: &str) {
        let topic = TopicName::new(&self.topic).expect("a topic");
        let list: Vec<_> = self.data.iter().map(|data| Property::CorrelationData(data)).collect();
        network.submit(&Publish {
            qos: QoS::AtLeastOnce,
            properties: Properties::from(&list[..]),
            ..Publish::new(topic, text.as_bytes())
        });
    }

    /// What looks like an answer to it and is none.
    fn strangers(&self) -> Vec<Self> {
        let topic = || self.topic.clone();
        match &self.data {
            Some(data) => {
                let mut other = data.clone();
                other[0] ^= 1;
                let data = [None, Some(vec![]), Some(vec![0; 65_000]), Some(data[1..].into())];
                let data = data.into_iter().chain([Some(other)]);
                data.map(|data| Self { topic: topic(), data }).collect()
            }
            None => ["x", "0", "ffffffffffffffff", "-0000001"]
                .map(|level| Self { topic: format!("{TOPIC}/{level}"), data: None })
                .into(),
        }
    }
}

fn request() -> Message {
    Message::new("window", "open?", QoS::AtLeastOnce)
}

async fn requester(client: &Client) -> Requester {
    in_time(client.requester(TOPIC)).await.expect("granted")
}

/// Lets what is under way arrive.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_only_what_answers_it_and_only_once_mqtt_4_10() {
    for version in BOTH {
        let network = Network::new();
        let client = start(options(version), &network);
        let requester = requester(&client).await;
        for n in 0..3 {
            let mut response = core::pin::pin!(requester.request(request()));
            let pausing = async { pause().await };
            futures::future::select(&mut response, core::pin::pin!(pausing)).await;
            let asked = Asked::nth(&network, n);
            for stranger in asked.strangers() {
                stranger.answer(&network, "wrong");
            }
            if let Some(earlier) = n.checked_sub(1) {
                Asked::nth(&network, earlier).answer(&network, "second or late");
            }
            assert!(tokio::time::timeout(Duration::from_secs(1), &mut response).await.is_err());
            asked.answer(&network, "right");
            asked.answer(&network, "again");
            let response = in_time(response).await.expect("a response");
            assert_eq!(response.text(), Some("right"), "{version:?}");
        }
        pause().await;
        assert_eq!(network.undelivered(), 0, "what is of no interest is acknowledged too");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_answers_is_given_up_in_time_sent_or_not() {
    for version in BOTH {
        for up in [true, false] {
            let network = Network::new();
            let client = start(options(version), &network);
            let mut options = RequesterOptions::new(TOPIC);
            options.timeout = Duration::from_secs(7);
            let requester = in_time(client.requester_with(options)).await.expect("granted");
            if !up {
                network.lock().up = false;
                network.hang_up(None);
                pause().await;
            }
            let before = tokio::time::Instant::now();
            let (one, later) = in_time(async {
                let later = async {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    requester.request(request()).await.map(|_| before.elapsed().as_secs())
                };
                let one = async {
                    let error = requester.request(request()).await.expect_err("no response");
                    (error, before.elapsed().as_secs())
                };
                tokio::join!(one, later)
            })
            .await;
            assert!(matches!(one, (RequestError::TimedOut, 7)), "{one:?}");
            assert!(matches!(later, Err(RequestError::TimedOut)), "{later:?}");
            assert_eq!(before.elapsed().as_secs(), 10);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(client.undelivered(), 0, "nor is it sent when it is of no use");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_requests_wait_and_no_more_and_the_place_of_one_given_up_is_free() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let mut options = RequesterOptions::new(TOPIC);
    options.max_waiting = 2;
    let requester = in_time(client.requester_with(options)).await.expect("granted");
    let mut one = Box::pin(requester.request(request()));
    let mut two = Box::pin(requester.request(request()));
    assert!(one.as_mut().now_or_never().is_none());
    assert!(two.as_mut().now_or_never().is_none());
    let full = requester.request(request()).await;
    assert!(matches!(full, Err(RequestError::Full)));
    drop(one);
    let mut three = Box::pin(requester.request(request()));
    assert!(three.as_mut().now_or_never().is_none());
    pause().await;
    Asked::nth(&network, 2).answer(&network, "three");
    Asked::nth(&network, 1).answer(&network, "two");
    assert_eq!(in_time(two).await.expect("a response").text(), Some("two"));
    assert_eq!(in_time(three).await.expect("a response").text(), Some("three"));
}

#[tokio::test(start_paused = true)]
async fn requests_end_with_the_client_and_with_their_delivery() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let requester = requester(&client).await;
    let invalid = requester.request(Message::new("a/#", "", QoS::AtLeastOnce)).await;
    let refused = matches!(invalid, Err(RequestError::Publish(PublishError::Invalid(_))));
    assert!(refused, "{invalid:?}");
    let waiting =
        async { tokio::join!(requester.request(request()), requester.request(request())) };
    let ending = async {
        pause().await;
        client.disconnect().await
    };
    let ((one, two), undelivered) = in_time(async { tokio::join!(waiting, ending) }).await;
    assert!(undelivered.is_empty());
    assert!(matches!((one, two), (Err(RequestError::Closed), Err(RequestError::Closed))));
    assert!(client.requester("answers/#").await.is_err(), "no topic");
}

#[tokio::test(start_paused = true)]
async fn cancelled_requests_keep_no_other_from_its_response() {
    for version in BOTH {
        for seed in 0..10 {
            let mut random = Random(seed);
            let network = Network::new();
            let client = start(persistent(version), &network);
            let requester = requester(&client).await;
            let answering = network.clone();
            let answers = tokio::spawn(async move {
                let mut answered = 0;
                loop {
                    while answered < answering.lock().requests.len() {
                        let text = answering.lock().messages[answered].clone();
                        Asked::nth(&answering, answered).answer(&answering, &text);
                        answered += 1;
                    }
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            });
            for n in 0..200 {
                if random.below(50) == 0 {
                    network.hang_up(None);
                }
                let ask = |n: u32| Message::new("window", n.to_string(), QoS::AtLeastOnce);
                let kept = async {
                    let response = requester.request(ask(n)).await.expect("a response");
                    assert_eq!(response.text(), Some(&*n.to_string()));
                };
                let times = random.below(8);
                let dropped = async {
                    let polled = poll_times(requester.request(ask(n + 1_000_000)), times).await;
                    assert!(polled.is_none_or(|result| result.is_ok()));
                };
                in_time(async { tokio::join!(kept, dropped) }).await;
            }
            answers.abort();
        }
    }
}
