//! Wills, sessions that are kept, and refusals.

use core::time::Duration;

use mqtt_client::{Error, Message, Options, QoS, ReasonCode, Will};

use super::{connect, in_time, next, options, told, with_brokers};
use crate::support::{Version, mosquitto_cli};

#[test]
fn the_will_is_published_when_the_client_vanishes_and_not_when_it_says_goodbye_mqtt_3_1_2_8() {
    with_brokers(async |address, version| {
        let watcher = connect(address, version, "watcher").await;
        let mut wills = watcher.subscribe("wills/#", QoS::AtLeastOnce).await.expect("granted");
        for (name, says_goodbye) in [("polite", true), ("abrupt", false)] {
            let mut options = options(address, version, name);
            let message = Message::new(format!("wills/{name}"), "gone", QoS::AtLeastOnce);
            options.will = Some(Will::from(message));
            let client = mqtt_client::tokio::connect(options).await.expect("accepted");
            if says_goodbye {
                client.disconnect().await;
            } else {
                client.abort().await;
            }
        }
        assert_eq!(told(&next(&mut wills).await), ("wills/abrupt", "gone", 1, false));
        Some(())
    });
}

/// Options that ask the server to keep the session.
fn persistent(address: core::net::SocketAddr, version: Version) -> Options {
    let mut options = options(address, version, "keeper");
    options.clean_start = false;
    options.session_expiry = Duration::from_secs(60);
    options
}

#[test]
fn a_session_is_gone_on_with_and_what_came_meanwhile_is_not_lost_mqtt_3_1_2_5() {
    with_brokers(async |address, version| {
        let connect = || mqtt_client::tokio::connect(persistent(address, version));
        let first = connect().await.expect("accepted");
        let subscription = first.subscribe("kept/#", QoS::ExactlyOnce).await.expect("granted");
        drop(subscription); // which is not told to the server
        assert!(first.disconnect().await.is_empty());

        for n in 0..20 {
            mosquitto_cli::publish(address, version, "kept/a", &n.to_string(), 1 + n % 2, &[])?;
        }
        let second = connect().await.expect("accepted");
        // They may all be here before the program comes to subscribe.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut subscription = second.subscribe("kept/#", QoS::ExactlyOnce).await.expect("granted");
        for n in 0..20 {
            let message = next(&mut subscription).await;
            assert_eq!((message.text(), message.qos.bits()), (Some(&*n.to_string()), 1 + n % 2));
        }
        Some(())
    });
}

#[test]
fn a_refusal_is_told_and_not_tried_again_mqtt_4_12_0_1() {
    with_brokers(async |address, version| {
        let mut options = options(address, version, "stranger");
        let scram = || mqtt_client::scram::ScramSha256::new("stranger", "unknown here");
        options.authentication = Some(mqtt_client::Authentication::new(scram));
        let error = in_time(mqtt_client::tokio::connect(options)).await.expect_err("refused");
        match (version, error) {
            (Version::V5, Error::Refused { reason, .. }) => {
                assert_eq!(reason, ReasonCode::BadAuthenticationMethod);
            }
            // 3.1.1 knows no other way to prove who one is, so that nobody was asked.
            (Version::V311, Error::Authentication(_)) => {}
            (_, other) => panic!("{other}"),
        }
        Some(())
    });
}
