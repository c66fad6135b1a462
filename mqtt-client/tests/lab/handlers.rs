//! Subscriptions whose messages are handled where they are read.

use std::sync::{Arc, Mutex};

use core::time::Duration;
use mqtt_client::{
    Client, Error, Filter, HandlerSubscription, Message, MessageRef, QoS, ReasonCode, TraceContext,
    Version, blocking,
};
use mqtt_codec::{Properties, Property, Publish, TopicName};

use crate::network::{Cut, How, Network};
use crate::{BOTH, in_time, options, persistent, start};

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What a handler has seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, message: &MessageRef<'_>) {
        self.push(message.text().expect("text"));
    }

    fn push(&self, text: &str) {
        self.0.lock().expect("no test has panicked with it").push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no test has panicked with it").clone()
    }

    /// Lets time pass until so many are seen.
    async fn until(&self, count: usize) -> Vec<String> {
        in_time(async {
            while self.all().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        self.all()
    }
}

/// A subscription whose handler notes what it sees.
async fn watch(client: &Client, filter: &str, qos: QoS) -> (Seen, HandlerSubscription) {
    let seen = Seen::default();
    let note = seen.clone();
    let handler = move |message: &MessageRef<'_>| note.note(message);
    let subscription = client.subscribe_handler(Filter::new(filter, qos), handler);
    (seen, in_time(subscription).await.expect("granted"))
}

async fn delivered(network: &Network) {
    in_time(async {
        while network.undelivered() > 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_gets_all_in_order_and_none_is_acknowledged_before_it_has_returned() {
    for version in BOTH {
        for qos in ALL {
            let network = Network::new();
            let client = start(options(version), &network);
            let (seen, server) = (Seen::default(), network.clone());
            let note = seen.clone();
            let handler = move |message: &MessageRef<'_>| {
                let count: usize = message.text().and_then(|text| text.parse().ok()).expect("it");
                assert_eq!((message.topic, message.qos), ("in/a", qos));
                assert!(qos == QoS::AtMostOnce || server.undelivered() >= 100 - count);
                note.note(message);
            };
            let filter = Filter::new("in/+", qos);
            let subscription = client.subscribe_handler(filter, handler);
            let subscription = in_time(subscription).await.expect("granted");
            assert_eq!(subscription.granted(), qos);
            for n in 0..100 {
                network.publish("in/a", &n.to_string(), qos);
            }
            let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
            assert_eq!(seen.until(100).await, expected);
            delivered(&network).await;
            assert_eq!(client.statistics().received, 100);
            in_time(subscription.unsubscribe()).await.expect("it ends");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_publish_and_end_subscriptions_and_nothing_waits_for_itself() {
    for version in BOTH {
        let network = Network::new();
        let mut options = options(version);
        options.outbox_messages = 1;
        let client = start(options, &network);
        let other = Arc::new(Mutex::new(None));
        let stream = in_time(client.subscribe("other", QoS::AtMostOnce)).await.expect("granted");
        *other.lock().expect("it is whole") = Some(stream);
        let own: Arc<Mutex<Option<HandlerSubscription>>> = Arc::default();
        let (seen, within) = (Seen::default(), (client.clone(), Arc::clone(&own)));
        let note = seen.clone();
        let handler = move |message: &MessageRef<'_>| {
            let (client, own) = &within;
            // The second one does not find room.
            let first = client.try_publish(&message.to_message()).is_ok();
            let full = client.try_publish(&message.to_message()).is_err();
            note.push(&format!("{first} {full} {}", client.statistics().received));
            drop(other.lock().expect("it is whole").take());
            if message.text() == Some("last") {
                drop(own.lock().expect("it is whole").take());
            }
        };
        let subscription = client.subscribe_handler(Filter::new("in", QoS::ExactlyOnce), handler);
        let subscription = in_time(subscription).await.expect("granted");
        *own.lock().expect("it is whole") = Some(subscription);
        network.publish("in", "first", QoS::ExactlyOnce);
        seen.until(1).await;
        network.until(|state| state.messages.len() == 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        network.publish("in", "last", QoS::ExactlyOnce);
        network.until(|state| state.messages.len() == 2).await;
        network.until(|state| state.log.iter().any(|line| line == "unsubscribe in")).await;
        assert!(network.lock().log.iter().any(|line| line == "unsubscribe other"));
        assert!(seen.all().iter().all(|text| text.starts_with("true true")), "{:?}", seen.all());
        delivered(&network).await;
        assert!(in_time(client.disconnect()).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_ends_its_subscription_and_nothing_else() {
    for version in BOTH {
        for qos in ALL {
            let network = Network::new();
            let client = start(options(version), &network);
            let (seen, mut kept) = watch(&client, "#", qos).await;
            let handler = |message: &MessageRef<'_>| {
                assert!(message.payload.is_empty(), "it is its fault");
            };
            let handler = client.subscribe_handler(Filter::new("in", qos), handler);
            let mut broken = in_time(handler).await.expect("granted");
            network.publish("in", "1", qos);
            let error = in_time(broken.ended()).await;
            assert!(
                matches!(&error, Error::Panicked(text) if text == "it is its fault"),
                "{error}"
            );
            network.until(|state| state.log.iter().any(|line| line == "unsubscribe in")).await;
            network.publish("in", "2", qos);
            assert_eq!(seen.until(2).await, ["1", "2"]);
            delivered(&network).await;
            let refused = qos != QoS::AtMostOnce && version == Version::V5;
            let log = network.lock().log.clone();
            let code = ReasonCode::UnspecifiedError;
            assert_eq!(log.contains(&format!("refused {code}")), refused, "{log:?}");
            in_time(client.publish("out", "x", qos)).await.expect("delivered");
            assert!(in_time(client.disconnect()).await.is_empty());
            assert!(matches!(in_time(kept.ended()).await, Error::Closed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_wait_in_a_handler_is_a_panic_and_no_deadlock() {
    let network = Network::new();
    let client = start(options(Version::V5), &network);
    let within = client.clone();
    let handler = move |message: &MessageRef<'_>| {
        blocking::wait(within.send(message.to_message())).expect("delivered");
    };
    let handler = client.subscribe_handler(Filter::new("in", QoS::AtLeastOnce), handler);
    let mut subscription = in_time(handler).await.expect("granted");
    network.publish("in", "1", QoS::AtLeastOnce);
    let error = in_time(subscription.ended()).await;
    assert!(matches!(&error, Error::Panicked(text) if text.contains("must not wait")), "{error}");
    in_time(client.publish("out", "x", QoS::ExactlyOnce)).await.expect("delivered");
}

#[tokio::test(start_paused = true)]
async fn a_handler_refuses_with_a_reason_that_can_be_said_mqtt_3_4_2_1() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            let client = start(options(version), &network);
            // The stream gets it all the same.
            let mut stream = in_time(client.subscribe("in/#", qos)).await.expect("granted");
            let handler = |message: &MessageRef<'_>| match message.text() {
                Some("good") => Ok(()),
                Some("bad") => Err(ReasonCode::PayloadFormatInvalid),
                _ => Err(ReasonCode::Banned), // no reason of PUBACK
            };
            let handler = client.subscribe_handler(Filter::new("in/a", qos), handler);
            let _subscription = in_time(handler).await.expect("granted");
            for text in ["good", "bad", "worse"] {
                network.publish("in/a", text, qos);
                in_time(stream.next()).await.expect("it goes on");
            }
            delivered(&network).await;
            let log = network.lock().log.clone();
            let refused: Vec<_> = log.iter().filter(|line| line.starts_with("refused")).collect();
            if version == Version::V5 {
                let (bad, worse) = (ReasonCode::PayloadFormatInvalid, ReasonCode::UnspecifiedError);
                assert_eq!(refused, [&format!("refused {bad}"), &format!("refused {worse}")]);
            } else {
                assert!(refused.is_empty(), "{refused:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_is_the_copy_that_is_acknowledged_and_without_one_the_message_at_once() {
    for version in BOTH {
        let network = Network::new();
        let mut options = options(version);
        options.manual_acknowledge = true;
        let client = start(options, &network);
        let (copies, mut taken) = tokio::sync::mpsc::unbounded_channel::<Message>();
        let handler = move |message: &MessageRef<'_>| {
            if message.text() == Some("later") {
                copies.send(message.to_message()).expect("it is waited for");
            }
        };
        let handler = client.subscribe_handler(Filter::new("in", QoS::AtLeastOnce), handler);
        let _subscription = in_time(handler).await.expect("granted");
        for text in ["now", "later", "now"] {
            network.publish("in", text, QoS::AtLeastOnce);
        }
        let copy = in_time(taken.recv()).await.expect("it goes on");
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The third one waits for its turn [MQTT-4.6.0-2].
        assert_eq!(network.undelivered(), 2);
        copy.acknowledge();
        delivered(&network).await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_subscriptions_overlap_a_message_is_acknowledged_once_all_have_it() {
    for version in BOTH {
        let network = Network::new();
        let client = start(options(version), &network);
        let (seen, _watching) = watch(&client, "in/#", QoS::AtLeastOnce).await;
        let mut filter = Filter::new("in/a", QoS::AtLeastOnce);
        filter.capacity = 1;
        let mut stream = in_time(client.subscribe_with(filter)).await.expect("granted");
        let (other, _counting) = watch(&client, "+/a", QoS::AtLeastOnce).await;
        for n in 0..3 {
            network.publish("in/a", &n.to_string(), QoS::AtLeastOnce);
        }
        assert_eq!(seen.until(3).await, ["0", "1", "2"]);
        assert_eq!(other.all(), ["0", "1", "2"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(network.undelivered(), 2, "the stream has room for one");
        for n in 0..3 {
            let message = in_time(stream.next()).await.expect("it goes on");
            assert_eq!(message.payload, n.to_string());
        }
        delivered(&network).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_kept_session_brings_early_is_handled_first_with_all_it_says() {
    for version in BOTH {
        for manual in [false, true] {
            let network = Network::new();
            let mut options = persistent(version);
            options.manual_acknowledge = manual;
            let client = start(options, &network);
            let list = [
                Property::ContentType("text/plain"),
                Property::UserProperty((
                    "traceparent",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                )),
            ];
            let list = if version == Version::V5 { &list[..] } else { &[] };
            let publish = |topic, text: &'static str| Publish {
                qos: QoS::AtLeastOnce,
                properties: Properties::from(list),
                ..Publish::new(TopicName::new(topic).expect("a topic"), text.as_bytes())
            };
            network.submit(&publish("in", "early"));
            network.submit(&publish("other", "unwanted"));
            tokio::time::sleep(Duration::from_secs(1)).await;
            let seen = Seen::default();
            let note = seen.clone();
            let handler = move |message: &MessageRef<'_>| {
                let trace = message.trace_context().map(|context| context.parent_id);
                let copy = message.to_message();
                assert_eq!(TraceContext::of(&copy).map(|context| context.parent_id), trace);
                assert_eq!(copy.receipt.is_some(), manual);
                copy.acknowledge();
                let kind = message.properties.content_type();
                note.push(&format!("{} {:?} {trace:?}", message.topic, kind.map(|_| "text")));
            };
            let handler = client.subscribe_handler(Filter::new("in", QoS::AtLeastOnce), handler);
            let _subscription = in_time(handler).await.expect("granted");
            network.submit(&publish("in", "late"));
            let expected = match version {
                Version::V5 => {
                    format!("in {:?} {:?}", Some("text"), Some(0x00f0_67aa_0ba9_02b7_u64))
                }
                _ => "in None None".into(),
            };
            assert_eq!(seen.until(2).await, [expected.clone(), expected]);
            tokio::time::sleep(Duration::from_secs(20)).await;
            // By hand nobody has acknowledged what belongs to no subscription, nor what is behind it.
            assert_eq!(network.undelivered() > 0, manual);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_outlives_connections_and_is_asked_for_again_if_the_session_is_lost_mqtt_3_2_2_5()
{
    for version in BOTH {
        for keeps_session in [true, false] {
            let network = Network::new();
            network.lock().keeps_session = keeps_session;
            let client = start(persistent(version), &network);
            let (seen, subscription) = watch(&client, "in", QoS::ExactlyOnce).await;
            subscription.detach();
            for n in 0..3 {
                network.publish("in", &n.to_string(), QoS::ExactlyOnce);
                seen.until(n + 1).await;
                network.hang_up(None);
                network.until(|state| state.attempts.len() == n + 2).await;
                delivered(&network).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(seen.all(), ["0", "1", "2"]);
            let log = network.lock().log.clone();
            let asked = log.iter().filter(|line| *line == "subscribe in").count();
            assert_eq!(asked, if keeps_session { 1 } else { 4 }, "{log:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_handled_as_its_qos_says_whatever_befalls_the_connection_wherever_mqtt_4_3() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
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
                    let (seen, _subscription) = watch(&client, "a/#", qos).await;
                    network.publish("a/b", "1", qos);
                    network.publish("a/b", "2", qos);
                    delivered(&network).await;
                    let mut texts = seen.until(2).await;
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
async fn dropped_it_is_unsubscribed_unless_the_session_is_kept_and_the_handler_is_dropped_too() {
    for version in BOTH {
        for (options, told) in [(options(version), true), (persistent(version), false)] {
            let network = Network::new();
            let client = start(options, &network);
            let (seen, subscription) = watch(&client, "a", QoS::AtLeastOnce).await;
            assert_eq!(Arc::strong_count(&seen.0), 2);
            drop(subscription);
            in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
            assert_eq!(Arc::strong_count(&seen.0), 1);
            let log = network.lock().log.clone();
            assert_eq!(log.iter().any(|line| line == "unsubscribe a"), told, "{log:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_holds_its_client_is_dropped_with_the_disconnected_client() {
    for aborted in [false, true] {
        let network = Network::new();
        let client = start(options(Version::V5), &network);
        let (alive, within) = (Arc::new(()), client.clone());
        let held = Arc::clone(&alive);
        let handler = move |_: &MessageRef<'_>| {
            let _ = (&held, within.undelivered());
        };
        let handler = client.subscribe_handler(Filter::new("a", QoS::AtMostOnce), handler);
        in_time(handler).await.expect("granted").detach();
        in_time(async { if aborted { client.abort().await } else { client.disconnect().await } })
            .await;
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
