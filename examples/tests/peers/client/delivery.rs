//! Messages both ways.

use core::time::Duration;

use mqtt_client::{Message, QoS, RequestError};

use super::{connect, in_time, next, told, with_brokers};
use crate::support::{Version, mosquitto_cli};

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn what_is_published_with_each_qos_arrives_mqtt_4_3() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        for qos in ALL {
            let subscriber =
                mosquitto_cli::Subscriber::start(address, version, "a/+", qos.bits(), &[])?;
            for text in ["1", "2", "3"] {
                client.publish("a/b", text, qos).await.expect("delivered");
            }
            for text in ["1", "2", "3"] {
                assert_eq!(subscriber.message().told(), ("a/b", text, qos.bits(), false));
            }
        }
        assert!(client.disconnect().await.is_empty());
        Some(())
    });
}

#[test]
fn what_is_published_by_others_arrives_with_each_qos_mqtt_4_3() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        for qos in ALL {
            let mut subscription = client.subscribe("a/#", qos).await.expect("granted");
            assert_eq!(subscription.granted(), qos);
            for text in ["1", "2"] {
                mosquitto_cli::publish(address, version, "a/b", text, qos.bits(), &[])?;
                assert_eq!(told(&next(&mut subscription).await), ("a/b", text, qos.bits(), false));
            }
            subscription.unsubscribe().await.expect("unsubscribed");
        }
        Some(())
    });
}

#[test]
fn a_thousand_messages_on_their_way_at_once_arrive_in_order_mqtt_4_6() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        for qos in ALL {
            let mut filter = mqtt_client::Filter::new("order", qos);
            filter.capacity = 1000;
            let mut subscription = client.subscribe_with(filter).await.expect("granted");
            let mut deliveries = Vec::new();
            for n in 0..1000 {
                let message = Message::new("order", n.to_string(), qos);
                deliveries.push(client.enqueue(message).await.expect("there is room"));
            }
            for delivery in deliveries {
                delivery.await.expect("delivered");
            }
            for n in 0..1000 {
                assert_eq!(next(&mut subscription).await.text(), Some(&*n.to_string()));
            }
            subscription.unsubscribe().await.expect("unsubscribed");
        }
        Some(())
    });
}

#[test]
fn a_full_stream_holds_back_qos_1_and_2_and_nothing_is_lost_mqtt_3_3_4_9() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut filter = mqtt_client::Filter::new("full", qos);
            filter.capacity = 3;
            let mut subscription = client.subscribe_with(filter).await.expect("granted");
            // Nobody takes a message while they are published: that must not keep the answers to
            // them from coming.
            for n in 0..300 {
                client.publish("full", n.to_string(), qos).await.expect("delivered");
            }
            for n in 0..300 {
                assert_eq!(next(&mut subscription).await.text(), Some(&*n.to_string()));
            }
            assert_eq!(subscription.lagged(), 0);
            subscription.unsubscribe().await.expect("unsubscribed");
        }
        Some(())
    });
}

#[test]
fn each_subscription_gets_what_its_filter_matches_mqtt_4_7() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        let mut plus =
            client.subscribe("home/+/temperature", QoS::AtLeastOnce).await.expect("granted");
        let mut exact = client.subscribe("garden/well", QoS::AtLeastOnce).await.expect("granted");
        for topic in ["home/kitchen/temperature", "home/kitchen/humidity", "garden/well"] {
            mosquitto_cli::publish(address, version, topic, "x", 1, &[])?;
        }
        mosquitto_cli::publish(address, version, "home/hall/temperature", "x", 1, &[])?;
        assert_eq!(&*next(&mut plus).await.topic, "home/kitchen/temperature");
        assert_eq!(&*next(&mut plus).await.topic, "home/hall/temperature");
        assert_eq!(&*next(&mut exact).await.topic, "garden/well");
        Some(())
    });
}

#[test]
fn a_retained_message_comes_first_and_says_so_mqtt_3_3_1_8() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        let message = Message { retain: true, ..Message::new("last", "21.5", QoS::AtLeastOnce) };
        client.send(message).await.expect("delivered");
        let mut subscription = client.subscribe("last", QoS::AtLeastOnce).await.expect("granted");
        assert_eq!(told(&next(&mut subscription).await), ("last", "21.5", 1, true));
        client.publish("last", "22", QoS::AtLeastOnce).await.expect("delivered");
        assert_eq!(told(&next(&mut subscription).await), ("last", "22", 1, false));
        Some(())
    });
}

#[test]
fn properties_go_both_ways_in_version_5_and_are_left_out_in_3_1_1() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "c").await;
        let mut subscription = client.subscribe("p", QoS::AtLeastOnce).await.expect("granted");
        let mut message = Message::new("p", "x", QoS::AtLeastOnce);
        message.properties.is_text = true;
        message.properties.content_type = Some("text/plain".into());
        message.properties.response_topic = Some("answers/here".into());
        message.properties.correlation_data = Some("7".into());
        message.properties.user = vec![("k".into(), "1".into()), ("k".into(), "2".into())];
        client.send(message.clone()).await.expect("delivered");
        let mut received = next(&mut subscription).await;
        if version == Version::V5 {
            // The subscription is known by its identifier.
            assert_eq!(received.properties.subscription_ids.len(), 1);
            received.properties.subscription_ids.clear();
            assert_eq!(received, message);
        } else {
            assert_eq!(received, Message::new("p", "x", QoS::AtLeastOnce));
        }
        Some(())
    });
}

#[test]
fn each_of_many_requests_gets_its_own_response_mqtt_4_10() {
    with_brokers(async |address, version| {
        let client = connect(address, version, "asker").await;
        let requester = client.requester("answers/asker").await.expect("granted");
        let request = |text: &str| Message::new("double", text.to_owned(), QoS::AtLeastOnce);
        if version == Version::V5 {
            let error = requester.request(request("1")).await.expect_err("nobody is there");
            assert!(matches!(error, RequestError::NobodyListens));
        }

        let other = connect(address, version, "answerer").await;
        let mut requests = other.subscribe("double/#", QoS::AtLeastOnce).await.expect("granted");
        let answering = tokio::spawn(async move {
            let mut all = Vec::new();
            while all.len() < 20 {
                all.push(next(&mut requests).await);
            }
            // In another order than they were asked in.
            for request in all.iter().rev() {
                let number: u32 = request.text().and_then(|t| t.parse().ok()).expect("a number");
                let response = request.response((2 * number).to_string()).expect("a request");
                other.send(response).await.expect("delivered");
            }
        });
        // One that is given up does not keep the others from theirs.
        let given_up =
            tokio::time::timeout(Duration::from_millis(20), requester.request(request("0")));
        assert!(given_up.await.is_err());
        let responses = (1..20).map(|n| {
            let (requester, request) = (&requester, request(&n.to_string()));
            async move {
                let response = in_time(requester.request(request)).await.expect("a response");
                assert_eq!(response.text(), Some(&*(2 * n).to_string()));
            }
        });
        futures::future::join_all(responses).await;
        in_time(answering).await.expect("it does not panic");
        Some(())
    });
}
