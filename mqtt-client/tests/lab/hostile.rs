//! A server that does wrong, by mistake or on purpose.

use core::time::Duration;

use mqtt_client::{
    ConnectionEvent, Delivered, Error, Filter, Message, PacketType, PublishError, QoS, ReasonCode,
    Version,
};
use mqtt_codec::Property;

use crate::cancellation::Random;
use crate::network::{Answer, Network};
use crate::{BOTH, in_time, options, persistent, start};

/// Makes a packet of that type out of each short acknowledgement of this one.
fn replace(from: PacketType, to: PacketType) -> impl FnMut(&mut Vec<u8>) + Send {
    move |tx| {
        let mut rest = &mut tx[..];
        while let [head, len, ..] = rest {
            let len = 2 + usize::from(*len);
            assert!(len < 0x80, "packets are short here");
            if *head >> 4 == from as u8 {
                *head = (to as u8) << 4;
            }
            rest = &mut rest[len..];
        }
    }
}

async fn outcome(
    network: &Network,
    qos: QoS,
    (from, to): (PacketType, PacketType),
    version: Version,
) -> Result<Delivered, PublishError> {
    let client = start(persistent(version), network);
    let mut events = client.connection_events();
    in_time(client.publish("a", "before", qos)).await.expect("delivered");
    network.lock().tamper = Some(Box::new(replace(from, to)));
    let outcome = in_time(client.publish("a", "x", qos)).await;
    assert!(matches!(in_time(events.next()).await, Some(ConnectionEvent::Connected { .. })));
    let Some(ConnectionEvent::Disconnected { error, retry_after: Some(_) }) =
        in_time(events.next()).await
    else {
        panic!("the connection ends");
    };
    assert!(error.to_string().contains(to.name()), "{error}");
    // The session is kept, and all else goes on, even if the server never learns.
    let other = if qos == QoS::AtLeastOnce { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    for n in 0..3 {
        in_time(client.publish("a", n.to_string(), other)).await.expect("delivered");
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(network.lock().attempts.len(), 2, "nothing is tried again and again");
    assert!(in_time(client.disconnect()).await.is_empty());
    outcome
}

/// As RabbitMQ 3.10 does with QoS 2. The message stays unacknowledged, and to send it again would bring the
/// same answer on each connection.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_answered_as_one_of_another_qos_is_in_doubt_and_told_so_mqtt_4_3_3_3() {
    use PacketType as P;
    for version in BOTH {
        for (qos, from, to) in [
            (QoS::ExactlyOnce, P::PubRec, P::PubAck),
            (QoS::ExactlyOnce, P::PubRec, P::PubComp),
            (QoS::AtLeastOnce, P::PubAck, P::PubRec),
            (QoS::AtLeastOnce, P::PubAck, P::PubComp),
        ] {
            let network = Network::new();
            let outcome = outcome(&network, qos, (from, to), version).await;
            let told = matches!(&outcome, Err(PublishError::Misanswered(packet)) if *packet == to);
            assert!(told, "{version:?} {outcome:?}");
            assert_eq!(network.lock().messages, ["before", "x", "0", "1", "2"]);
        }
        // Once PUBREC has come, it has arrived, whatever else is said.
        let network = Network::new();
        let wrong = (P::PubComp, P::PubAck);
        let outcome = outcome(&network, QoS::ExactlyOnce, wrong, version).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

/// Leaves out each short packet of this type.
fn swallow(what: PacketType) -> impl FnMut(&mut Vec<u8>) + Send {
    move |tx| {
        let mut kept = Vec::new();
        let mut rest = &tx[..];
        while let [head, len, ..] = rest {
            let (packet, behind) = rest.split_at(2 + usize::from(*len));
            if *head >> 4 != what as u8 {
                kept.extend_from_slice(packet);
            }
            rest = behind;
        }
        *tx = kept;
    }
}

/// It answers pings, so that the connection seems to be well. To send again on the same one is not allowed.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_acknowledges_is_left_and_asked_anew_on_the_next_connection_mqtt_4_4_0_1()
 {
    use PacketType as P;
    for version in BOTH {
        for what in [P::PubAck, P::PubRec, P::PubComp, P::SubAck, P::UnsubAck] {
            let network = Network::new();
            let mut options = persistent(version);
            options.keep_alive = Duration::from_secs(5);
            options.acknowledgement_timeout = Duration::from_secs(20);
            let client = start(options, &network);
            let old = in_time(client.subscribe("old", QoS::AtLeastOnce)).await.expect("granted");
            let mut events = client.connection_events();
            let begun = tokio::time::Instant::now();
            let mut swallow = swallow(what);
            network.lock().tamper = Some(Box::new(move |tx| {
                // On the next connection, which may come at once, it acknowledges.
                if begun.elapsed() < Duration::from_secs(20) {
                    swallow(tx);
                }
            }));
            let asked = tokio::spawn({
                let client = client.clone();
                async move {
                    match what {
                        P::PubAck => {
                            client.publish("a", "x", QoS::AtLeastOnce).await.expect("delivered");
                        }
                        P::SubAck => {
                            drop(client.subscribe("b", QoS::AtLeastOnce).await.expect("granted"));
                        }
                        P::UnsubAck => old.unsubscribe().await.expect("ended"),
                        _ => {
                            client.publish("a", "x", QoS::ExactlyOnce).await.expect("delivered");
                        }
                    }
                }
            });
            let event = in_time(events.next()).await;
            let Some(ConnectionEvent::Disconnected { error, retry_after: Some(_) }) = event else {
                panic!("{event:?}");
            };
            assert!(matches!(error, Error::NotAcknowledged { packet, .. } if packet == what));
            assert_eq!(
                error.to_string(),
                format!("the server did not send {} within 20s", what.name())
            );
            assert_eq!(begun.elapsed().as_secs(), 20, "{what:?}");
            in_time(asked).await.expect("it comes in the end");
            assert_eq!(network.lock().attempts.len(), 2);
            if what != P::PubAck {
                // Of QoS 2 the server keeps what it has had.
                assert!(network.lock().messages.len() <= 1);
            }
        }
    }
}

/// What an earlier connection has left is sent again once the server has accepted this one.
#[tokio::test(start_paused = true)]
async fn a_server_may_take_longer_to_accept_than_to_acknowledge_mqtt_3_1_4_5() {
    for version in BOTH {
        let network = Network::new();
        let mut options = persistent(version);
        options.acknowledgement_timeout = Duration::from_secs(2);
        options.response_timeout = Duration::from_secs(10);
        let client = start(options, &network);
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        let mut events = client.connection_events();
        network.lock().tamper = Some(Box::new(swallow(PacketType::PubAck)));
        network.lock().answer = Answer::Silence;
        let left = client.enqueue(Message::new("a", "y", QoS::AtLeastOnce)).await.expect("room");
        let event = in_time(events.next()).await;
        assert!(
            matches!(
                event,
                Some(ConnectionEvent::Disconnected { error: Error::NotAcknowledged { .. }, .. })
            ),
            "{event:?}"
        );
        network.lock().tamper = None;
        let begun = tokio::time::Instant::now();
        let Some(ConnectionEvent::Disconnected { error, .. }) = in_time(events.next()).await else {
            panic!("it has not accepted");
        };
        assert!(!matches!(error, Error::NotAcknowledged { .. }), "{error}");
        assert!(begun.elapsed().as_secs() >= 10, "{error}");
        network.lock().answer = Answer::Accept;
        in_time(left).await.expect("delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_may_take_longer_to_send_than_to_acknowledge() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let network = Network::new();
            network.lock().pipe = 4096;
            network.lock().pace = Duration::from_secs(1);
            let mut options = persistent(version);
            options.keep_alive = Duration::ZERO;
            options.acknowledgement_timeout = Duration::from_secs(5);
            let client = start(options, &network);
            in_time(client.publish("a", vec![b'x'; 80_000], qos)).await.expect("delivered");
            assert_eq!(network.lock().attempts.len(), 1);
        }
    }
}

/// As long as the next one comes, the server may be slow, and where the program wants it, for ever.
#[tokio::test(start_paused = true)]
async fn a_server_that_takes_its_time_is_waited_for_as_long_as_the_program_says() {
    for version in BOTH {
        let network = Network::new();
        let mut options = options(version);
        options.acknowledgement_timeout = Duration::MAX;
        let client = start(options, &network);
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        network.lock().tamper = Some(Box::new(swallow(PacketType::PubAck)));
        let waits = client.publish("a", "x", QoS::AtLeastOnce);
        let day = Duration::from_secs(24 * 3600);
        assert!(tokio::time::timeout(day, waits).await.is_err());
        assert_eq!(network.lock().attempts.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_on_connect_is_asked_again_as_the_policy_says() {
    for version in BOTH {
        // It may only be busy.
        let network = Network::new();
        network.lock().answer = Answer::HangUp;
        let client = start(options(version), &network);
        let mut events = client.connection_events();
        for _ in 0..5 {
            let event = in_time(events.next()).await;
            let Some(ConnectionEvent::Disconnected { error, retry_after: Some(_) }) = event else {
                panic!("{event:?}");
            };
            assert!(matches!(error, Error::NotAccepted { .. }) && !error.is_permanent());
            assert!(error.to_string().contains("does it speak MQTT"), "{error}");
        }
        network.lock().answer = Answer::Accept;
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");

        let by_attempts = |options: &mut mqtt_client::Options| {
            options.reconnect.max_attempts = Some(2);
            3
        };
        let by_reason = |options: &mut mqtt_client::Options| {
            options.reconnect.give_up =
                |error| error.is_permanent() || matches!(error, Error::NotAccepted { .. });
            1
        };
        for policy in [by_attempts, by_reason] {
            let network = Network::new();
            network.lock().answer = Answer::HangUp;
            let mut options = options(version);
            let attempts = policy(&mut options);
            let client = start(options, &network);
            let refused = in_time(client.subscribe("a", QoS::AtMostOnce)).await;
            assert!(matches!(refused, Err(Error::NotAccepted { .. })), "{refused:?}");
            assert_eq!(network.lock().attempts.len(), attempts);
        }
    }
}

/// As with `mqtt://` and the port for TLS.
#[tokio::test(start_paused = true)]
async fn who_speaks_another_protocol_is_told_from_who_breaks_this_one() {
    for version in BOTH {
        for (said, told) in [
            (&[0x15, 3, 3, 0, 2, 2, 10][..], Some("TLS is spoken there")),
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Some("HTTP is spoken there")),
            (&b"SSH-2.0-OpenSSH"[..], None),
        ] {
            let network = Network::new();
            network.lock().tamper = Some(Box::new(|tx: &mut Vec<u8>| *tx = said.into()));
            let client = start(options(version), &network);
            let event = in_time(client.connection_events().next()).await;
            let Some(ConnectionEvent::Disconnected { error, retry_after }) = event else {
                panic!("{event:?}");
            };
            assert_eq!(retry_after.is_none(), told.is_some(), "{error}");
            let words = told.unwrap_or("the peer broke the protocol");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_for_a_requester_that_has_asked_nothing_holds_up_nothing_else() {
    for version in BOTH {
        for manual in [false, true] {
            let network = Network::new();
            let mut options = options(version);
            options.receive_maximum = 20;
            options.manual_acknowledge = manual;
            let client = start(options, &network);
            let requester = in_time(client.requester("answers/me")).await.expect("granted");
            let mut others =
                in_time(client.subscribe("a", QoS::AtLeastOnce)).await.expect("granted");
            for n in 0..400 {
                network.publish("answers/me/00000000", &n.to_string(), QoS::AtLeastOnce);
                network.publish("answers/me", &n.to_string(), QoS::AtLeastOnce);
            }
            network.publish("a", "x", QoS::AtLeastOnce);
            assert_eq!(in_time(others.next()).await.expect("it goes on").text(), Some("x"));
            drop(requester);
        }
    }
}

/// What the server granted before, it may not know how to grant now.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_whose_subscription_cannot_be_asked_for_again() {
    let network = Network::new();
    let client = start(persistent(Version::V5), &network);
    let mut wild = in_time(client.subscribe("a/#", QoS::AtLeastOnce)).await.expect("granted");
    let mut plain = in_time(client.subscribe("b", QoS::AtLeastOnce)).await.expect("granted");
    network.lock().keeps_session = false;
    network.lock().limits = vec![Property::WildcardSubscriptionAvailable(false)];
    network.hang_up(None);
    assert!(in_time(wild.next()).await.is_none());
    network.publish("b", "x", QoS::AtLeastOnce);
    assert_eq!(in_time(plain.next()).await.expect("it goes on").text(), Some("x"));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_the_server_is_an_error_of_its_own_and_not_of_the_connection() {
    let network = Network::new();
    let client = start(persistent(Version::V5), &network);
    let long = "a/".repeat(50) + "#";
    let subscription = in_time(client.subscribe(&long, QoS::AtLeastOnce)).await.expect("granted");
    let limit = core::num::NonZeroU32::new(40).expect("it is not");
    network.lock().limits = vec![Property::MaximumPacketSize(limit)];
    network.hang_up(None);
    network.until(|state| state.attempts.len() == 2).await;
    let ended = in_time(subscription.unsubscribe()).await;
    assert!(matches!(ended, Err(Error::Options(_))), "{ended:?}");
    let refused = in_time(client.subscribe(&long, QoS::AtLeastOnce)).await;
    assert!(matches!(refused, Err(Error::Options(_))), "{refused:?}");
    let refused = in_time(client.publish("a", vec![0; 100], QoS::AtLeastOnce)).await;
    assert!(matches!(refused, Err(PublishError::Invalid(_))), "{refused:?}");
    in_time(client.publish("a", "x", QoS::ExactlyOnce)).await.expect("delivered");
    assert_eq!(network.lock().attempts.len(), 2, "the connection has held");
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_no_subscription_is_bounded() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let network = Network::new();
        let mut options = options(Version::V5);
        options.unrouted_messages = 10;
        let client = start(options, &network);
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        for n in 0..1000 {
            network.publish("a", &n.to_string(), qos);
        }
        network.until(|_| client.statistics().received == 1000).await;
        let mut late = in_time(client.subscribe("a", qos)).await.expect("granted");
        assert_eq!(client.statistics().unrouted, 990);
        for n in 990..1000 {
            assert_eq!(
                in_time(late.next()).await.expect("it goes on").text(),
                Some(&*n.to_string())
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(network.undelivered(), 0, "and all the same it was acknowledged");
    }
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_no_subscription_is_bounded_by_bytes_too() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let network = Network::new();
        let mut options = options(Version::V5);
        options.unrouted_bytes = 10_000;
        let client = start(options, &network);
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        for n in 0..50 {
            network.publish("a", &format!("{n:01000}"), qos);
        }
        network.until(|_| client.statistics().received == 50).await;
        let mut late = in_time(client.subscribe("a", qos)).await.expect("granted");
        assert_eq!(client.statistics().unrouted, 40);
        for n in 40..50 {
            let message = in_time(late.next()).await.expect("it goes on");
            assert_eq!(message.text(), Some(&*format!("{n:01000}")));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(network.undelivered(), 0, "and all the same it was acknowledged");
    }
}

/// As with a session that the server has kept with the subscriptions of an earlier version of the program.
#[tokio::test(start_paused = true)]
async fn what_nobody_can_acknowledge_leaves_the_server_room_for_the_rest_mqtt_4_6_0_2() {
    for version in BOTH {
        for receive_maximum in [1, 2, 20, 256] {
            let network = Network::new();
            let mut options = options(version);
            options.receive_maximum = receive_maximum;
            options.manual_acknowledge = true;
            let client = start(options, &network);
            let mut stream =
                in_time(client.subscribe("a", QoS::AtLeastOnce)).await.expect("granted");
            for n in 0..300 {
                if n % 50 < 3 {
                    network.publish("b", &n.to_string(), QoS::AtLeastOnce);
                }
                network.publish("a", &n.to_string(), QoS::AtLeastOnce);
            }
            for n in 0..300 {
                let message = in_time(stream.next()).await.expect("it goes on");
                assert_eq!(message.text(), Some(&*n.to_string()));
                message.acknowledge();
            }
            for n in 0..300 {
                network.publish("b", &n.to_string(), QoS::AtLeastOnce);
            }
            network.publish("a", "x", QoS::AtLeastOnce);
            assert_eq!(in_time(stream.next()).await.expect("it goes on").text(), Some("x"));
            // The last one made even the only one that may be kept give way.
            let kept = if receive_maximum / 2 > 1 { 10 } else { 0 };
            let expected = 318 - kept;
            assert_eq!(client.statistics().unrouted, expected);
        }
    }
}

/// As when a program connects to a session that the server has kept, and then subscribes: nothing is
/// acknowledged that it has not seen [MQTT-4.3.2-4].
#[tokio::test(start_paused = true)]
async fn what_comes_before_the_first_subscription_waits_for_it() {
    for version in BOTH {
        let network = Network::new();
        let mut options = options(version);
        options.manual_acknowledge = true;
        let client = start(options, &network);
        in_time(client.publish("c", "x", QoS::AtLeastOnce)).await.expect("delivered");
        for n in 0..20 {
            network.publish("a", &n.to_string(), QoS::AtLeastOnce);
            network.publish("b", &n.to_string(), QoS::AtLeastOnce);
        }
        network.until(|_| client.statistics().received == 40).await;
        let mut first = in_time(client.subscribe("a", QoS::AtLeastOnce)).await.expect("granted");
        for n in 0..20 {
            let message = in_time(first.next()).await.expect("it was kept");
            assert_eq!(message.text(), Some(&*n.to_string()), "{version:?}");
            message.acknowledge();
        }
        // Beside it there is room for some of the others, for a while.
        let mut second = in_time(client.subscribe("b", QoS::AtLeastOnce)).await.expect("granted");
        for n in 10..20 {
            let message = in_time(second.next()).await.expect("it was kept");
            assert_eq!(message.text(), Some(&*n.to_string()), "{version:?}");
            message.acknowledge();
        }
        network.publish("a", "last", QoS::AtLeastOnce);
        assert_eq!(in_time(first.next()).await.expect("it goes on").text(), Some("last"));
        assert_eq!(client.statistics().unrouted, 10);
    }
}

/// As when a program goes on with a session and subscribes to one filter after the other: it gets all that
/// the server has kept, whether it acknowledges by itself or not. What it does not subscribe to holds up
/// the rest only for so long.
#[tokio::test(start_paused = true)]
async fn what_a_kept_session_brings_waits_for_each_subscription_mqtt_4_3_2_4() {
    for version in BOTH {
        for (manual, quality) in [
            (false, QoS::AtLeastOnce),
            (false, QoS::ExactlyOnce),
            (true, QoS::AtLeastOnce),
            (true, QoS::ExactlyOnce),
        ] {
            let network = Network::new();
            let mut options = persistent(version);
            options.manual_acknowledge = manual;
            options.unrouted_messages = 10;
            options.unrouted_patience = Duration::from_secs(5);
            let client = start(options, &network);
            in_time(client.publish("c", "x", QoS::AtLeastOnce)).await.expect("delivered");
            network.hang_up(None);
            network.until(|state| state.attempts.len() == 2).await;
            in_time(client.publish("c", "x", QoS::AtLeastOnce)).await.expect("delivered");
            for n in 0..40 {
                for topic in ["a", "b", "nobody"] {
                    network.publish(topic, &n.to_string(), quality);
                }
            }
            let mut streams = Vec::new();
            for topic in ["a", "b"] {
                streams.push(in_time(client.subscribe(topic, quality)).await.expect("granted"));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let mut expected = [0, 0];
            while expected != [40, 40] {
                let (first, second) = streams.split_at_mut(1);
                let (which, message) = tokio::select! {
                    message = in_time(first[0].next()) => (0, message),
                    message = in_time(second[0].next()) => (1, message),
                };
                let message = message.expect("it was kept");
                let n = expected[which].to_string();
                assert_eq!(message.text(), Some(&*n), "{version:?} {manual}");
                expected[which] += 1;
                message.acknowledge();
            }
            let mut stream = in_time(client.subscribe("d", quality)).await.expect("granted");
            tokio::time::sleep(Duration::from_secs(5)).await;
            for n in 0..40 {
                network.publish("d", &n.to_string(), quality);
                let message = in_time(stream.next()).await.expect("it goes on");
                assert_eq!(message.text(), Some(&*n.to_string()), "{version:?} {manual}");
                message.acknowledge();
            }
            let unrouted = client.statistics().unrouted;
            assert!(
                (30..=40).contains(&unrouted),
                "{unrouted} of 40 are given up, at most 10 kept"
            );
        }
    }
}

/// What a Reason String says is for people, and not for their terminals and logs.
#[tokio::test(start_paused = true)]
async fn the_servers_words_cannot_forge_a_line_of_a_log() {
    let text = "it's\u{1b}[2J\nERROR".to_owned() + &"x".repeat(60_000);
    let error = Error::Refused { reason: ReasonCode::NotAuthorized, text: Some(text) };
    let told = error.to_string();
    assert!(told.contains(r"(it's\u{1b}[2J\nERRORxxx"), "{told}");
    assert!(told.len() < 300 && told.chars().all(|char| !char.is_control()), "{told}");
}

/// Bytes are changed, left out and added anywhere in what the server writes, for a minute. Whatever the
/// client makes of that, it neither panics nor tries in a tight loop, and goes on when the server does.
#[tokio::test(start_paused = true)]
async fn whatever_a_server_writes_the_client_goes_on_once_it_makes_sense_again() {
    for seed in 0..200 {
        let version = BOTH[seed as usize % 2];
        let network = Network::new();
        let mut random = Random(seed);
        network.lock().tamper = Some(Box::new(move |tx: &mut Vec<u8>| {
            for _ in 0..random.below(3) {
                let at = random.below(tx.len() as u64) as usize;
                match random.below(4) {
                    0 => tx[at] ^= 1 << random.below(8),
                    1 => tx[at] = random.below(256) as u8,
                    2 => tx.insert(at, random.below(256) as u8),
                    _ if tx.len() > 1 => drop(tx.remove(at)),
                    _ => {}
                }
            }
        }));
        let mut options = persistent(version);
        options.keep_alive = Duration::from_secs(5);
        options.reconnect.give_up = |_| false;
        options.topic_alias_maximum = 3;
        options.manual_acknowledge = seed % 3 == 0;
        let client = start(options, &network);
        let mut filter = Filter::new("a/#", QoS::ExactlyOnce);
        filter.capacity = 5;
        let subscription = tokio::spawn({
            let client = client.clone();
            async move {
                while let Ok(mut stream) = client.subscribe_with(filter.clone()).await {
                    while let Some(message) = stream.next().await {
                        message.acknowledge();
                    }
                }
            }
        });
        for n in 0..60 {
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
            network.publish("a/b", &n.to_string(), qos);
            drop(client.try_publish(&Message::new("c", "x", qos)));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let attempts = network.lock().attempts.len();
        assert!(attempts < 60, "{attempts} attempts in a minute with seed {seed}");
        network.lock().tamper = None;
        network.hang_up(None);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            // One that is sent on a connection that was spoilt before may be answered by nonsense.
            let attempts = 0..5;
            let mut delivered = false;
            for _ in attempts {
                delivered |= in_time(client.publish("c", "sense", qos)).await.is_ok();
            }
            assert!(delivered, "with seed {seed}");
        }
        subscription.abort();
        client.abort().await;
    }
}
