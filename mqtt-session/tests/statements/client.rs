//! What only a client owes.

use mqtt_codec::{
    Auth, Connect, EncodeError, Packet, Properties, Property, Publish, QoS, ReasonCode, Sender,
    Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::{Buffer, Error, Event, Fault, Limit, Misuse, Stage, TopicAliases, client};

use crate::by_hand::{BOTH, Client, NOW, Same, connack, message, packets, published};

const METHOD: [Property<'static>; 1] = [Property::AuthenticationMethod("M")];
/// AUTH of a server that continues with the method M.
const CONTINUE: [u8; 8] = [0xF0, 6, 0x18, 4, 0x15, 0, 1, b'M'];

fn auth<'a>(reason: ReasonCode, properties: &'a [Property<'a>]) -> Auth<'a> {
    Auth { reason, properties: properties.into() }
}

/// A client that has sent this CONNECT.
fn connecting(connect: &Connect<'_>) -> (client::Session<'static>, Vec<u8>) {
    let mut session = client::Session::new(client::Config::default(), client::Slots::heap(4));
    let mut tx = Vec::new();
    session.connect(NOW, connect, &mut tx).unwrap();
    tx.clear();
    (session, tx)
}

/// [MQTT-3.1.3-7 of 3.1.1]; version 5 has the server assign an identifier to it all the same.
#[test]
fn a_client_without_identifier_has_no_session_to_go_on_with_in_3_1_1() {
    for version in BOTH {
        for clean_start in [false, true] {
            let mut session =
                client::Session::new(client::Config::default(), client::Slots::heap(4));
            let mut tx = Vec::new();
            let connect = Connect { clean_start, ..Connect::new(version, "") };
            let result = session.connect(NOW, &connect, &mut tx);
            if version == Version::V311 && !clean_start {
                assert_eq!(result, Err(Misuse::ClientId.into()));
                assert!(tx.is_empty());
            } else {
                assert_eq!(result, Ok(()));
            }
        }
    }
}

/// [MQTT-3.1.2-30], [MQTT-4.12.0-3]: until CONNACK comes, an AUTH of the server is answered with 0x18,
/// and nothing else is sent.
#[test]
fn in_an_authentication_a_client_sends_nothing_but_auth_before_connack() {
    let connect = Connect { properties: METHOD[..].into(), ..Connect::new(Version::V5, "c") };
    let (mut session, mut tx) = connecting(&connect);
    let filter = TopicFilter::new("a").unwrap();
    for round in 0..2 {
        let refused = Err(Misuse::NotConnected.into());
        assert_eq!(session.publish(NOW, &message(QoS::AtMostOnce), &mut tx).map(drop), refused);
        let subscription = Subscription::new(filter, QoS::AtMostOnce);
        let result = session.subscribe(NOW, &[subscription], Properties::EMPTY, &mut tx);
        assert_eq!(result.map(drop), refused);
        let result = session.unsubscribe(NOW, &[filter], Properties::EMPTY, &mut tx);
        assert_eq!(result.map(drop), refused);
        assert_eq!(session.resume(NOW, &(), &mut tx), refused);
        session.handle_timeout(NOW, &mut tx).unwrap();
        assert!(tx.is_empty());
        if round == 0 {
            let event = session.receive(NOW, &mut &CONTINUE[..], &mut tx).unwrap();
            assert!(matches!(event, Some(Event::Auth(_))));
            assert!(tx.is_empty());
            for other in [ReasonCode::Success, ReasonCode::ReAuthenticate] {
                let refused = session.auth(NOW, &auth(other, &METHOD), &mut tx);
                assert_eq!(refused, Err(Misuse::Authentication.into()));
            }
            let answer = auth(ReasonCode::ContinueAuthentication, &METHOD);
            session.auth(NOW, &answer, &mut tx).unwrap();
            assert_eq!(tx, CONTINUE);
            tx.clear();
        }
    }
}

/// [MQTT-4.12.0-7].
#[test]
fn a_client_that_named_no_method_sends_no_auth() {
    let (mut session, mut tx) = connecting(&Connect::new(Version::V5, "c"));
    let mut client = Client::new(Version::V5);
    for reason in [ReasonCode::ContinueAuthentication, ReasonCode::ReAuthenticate] {
        for properties in [&METHOD[..], &[]] {
            let refused = Err(Misuse::Authentication.into());
            assert_eq!(session.auth(NOW, &auth(reason, properties), &mut tx), refused);
            let result = client.session.auth(NOW, &auth(reason, properties), &mut client.tx);
            assert_eq!(result, refused);
        }
    }
    assert!(tx.is_empty() && client.sent().is_empty());
}

/// [MQTT-4.12.1-1].
#[test]
fn a_re_authentication_has_the_method_of_connect() {
    let connect = Connect { properties: METHOD[..].into(), ..Connect::new(Version::V5, "c") };
    let (mut session, mut tx) = connecting(&connect);
    let connack = [0x20, 7, 0, 0, 4, 0x15, 0, 1, b'M'];
    session.receive(NOW, &mut &connack[..], &mut tx).unwrap().unwrap();
    let other = [Property::AuthenticationMethod("N")];
    for wrong in [&other[..], &[]] {
        let refused = session.auth(NOW, &auth(ReasonCode::ReAuthenticate, wrong), &mut tx);
        assert_eq!(refused, Err(Misuse::Authentication.into()));
    }
    assert!(tx.is_empty());
    session.auth(NOW, &auth(ReasonCode::ReAuthenticate, &METHOD), &mut tx).unwrap();
    assert_eq!(tx, [0xF0, 6, 0x19, 4, 0x15, 0, 1, b'M']);
}

/// [MQTT-3.2.2-4]; 3.1.1 leaves it open and is taken the same way.
#[test]
fn a_session_of_the_server_that_the_client_does_not_have_ends_the_connection() {
    for version in BOTH {
        let (mut session, mut tx) = connecting(&Connect::new(version, "c"));
        let refused = session.receive(NOW, &mut connack(version, true), &mut tx);
        assert_eq!(refused, Err(Error::Peer(Fault::SessionPresent)));
        assert!(!session.is_connected());
        let said: &[u8] = if version == Version::V5 { &[0xE0, 1, 0x82] } else { &[] };
        assert_eq!(tx, said);
        let refused = session.publish(NOW, &message(QoS::AtMostOnce), &mut tx);
        assert_eq!(refused, Err(Misuse::NotConnected.into()));
    }
}

/// [MQTT-3.2.2-15].
#[test]
fn a_client_sends_nothing_larger_than_the_server_takes() {
    let mut client = Client::new(Version::V5);
    // Maximum Packet Size 20.
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 20]);
    let fits = |size: usize| Publish { payload: &[0; 20][..size], ..message(QoS::AtLeastOnce) };
    let too_large = |result: Error| {
        assert!(matches!(result, Error::Encode(EncodeError::TooLarge { limit: 20, .. })));
    };
    too_large(client.session.publish(NOW, &fits(11), &mut client.tx).unwrap_err());
    let filter = TopicFilter::new("plant/7/temperature").unwrap();
    let subscription = [Subscription::new(filter, QoS::AtMostOnce)];
    let properties = Properties::EMPTY;
    let result = client.session.subscribe(NOW, &subscription, properties, &mut client.tx);
    too_large(result.unwrap_err());
    let result = client.session.unsubscribe(NOW, &[filter], properties, &mut client.tx);
    too_large(result.unwrap_err());
    assert!(client.sent().is_empty());
    assert_eq!(client.session.in_flight().count(), 0);
    client.session.publish(NOW, &fits(10), &mut client.tx).unwrap();
    assert_eq!(client.sent().len(), 20);
}

/// [MQTT-3.2.2-17], [MQTT-3.2.2-18].
#[test]
fn a_client_uses_no_alias_that_the_server_does_not_allow() {
    let alias = [Property::TopicAlias(3.try_into().unwrap())];
    let aliased = Publish { properties: alias[..].into(), ..message(QoS::AtMostOnce) };
    let connacks: [(&[u8], bool); 4] = [
        (&[0x20, 3, 0, 0, 0], false),
        (&[0x20, 6, 0, 0, 3, 0x22, 0, 0], false),
        (&[0x20, 6, 0, 0, 3, 0x22, 0, 2], false),
        (&[0x20, 6, 0, 0, 3, 0x22, 0, 3], true),
    ];
    for (connack, allowed) in connacks {
        let mut client = Client::new(Version::V5);
        client.connect(Version::V5, Properties::EMPTY, connack);
        let result = client.session.publish(NOW, &aliased, &mut client.tx);
        let refused = Err(Limit::TopicAliasMaximum.into());
        assert_eq!(result, if allowed { Ok(None) } else { refused });
        // Nor does the session by itself.
        let mut config = client::Config::default();
        config.topic_aliases = TopicAliases::Lru(10);
        let mut client = Client::with(config, Version::V5, Properties::EMPTY);
        client.connect(Version::V5, Properties::EMPTY, connack);
        let max = client.session.limits().topic_alias_maximum;
        for n in 0..8 {
            let name = format!("plant/{n}");
            let publish =
                Publish { topic: TopicName::new(&name).unwrap(), ..message(QoS::AtMostOnce) };
            client.session.publish(NOW, &publish, &mut client.tx).unwrap();
        }
        for packet in packets(&client.sent(), Version::V5, Sender::Client) {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            let alias = publish.properties.topic_alias().map(core::num::NonZeroU16::get);
            assert!(if max == 0 { alias.is_none() } else { alias.is_some_and(|a| a <= max) });
        }
    }
}

/// [MQTT-3.3.2-10].
#[test]
fn a_client_takes_every_alias_up_to_the_maximum_that_it_announced() {
    let list = [Property::TopicAliasMaximum(300)];
    let mut client = Client::with(client::Config::default(), Version::V5, list[..].into());
    let bytes = |topic: &[u8], alias: u16| {
        let mut bytes = vec![0x30, 6 + topic.len() as u8, 0, topic.len() as u8];
        bytes.extend(topic);
        bytes.extend([3, 0x23]);
        bytes.extend(alias.to_be_bytes());
        bytes
    };
    for alias in 1..=300 {
        client.receive(&bytes(alias.to_string().as_bytes(), alias));
    }
    for alias in 1..=300 {
        let bytes = bytes(b"", alias);
        let event = client.session.receive(NOW, &mut &bytes[..], &mut client.tx).unwrap();
        let Some(Event::Message(message)) = event else { panic!("{event:?}") };
        assert_eq!(client.session.topic(&message.publish).as_str(), alias.to_string());
    }
    for alias in [301, 65_535] {
        let mut client = Client::with(client::Config::default(), Version::V5, list[..].into());
        let refused = client.try_receive(&bytes(b"x", alias));
        assert_eq!(refused, Err(Error::Peer(Fault::TopicAlias)));
        assert_eq!(client.sent(), [0xE0, 1, 0x94]);
    }
}

/// [MQTT-4.5.0-2], [MQTT-4.5.0-2 of 3.1.1]: here no one has subscribed to anything.
#[test]
fn every_message_is_acknowledged_whether_it_is_wanted_or_not() {
    for version in BOTH {
        let mut client = Client::new(version);
        client.receive(&published(version, QoS::AtMostOnce, 0, false));
        assert!(client.sent().is_empty());
        client.receive(&published(version, QoS::AtLeastOnce, 3, false));
        assert_eq!(client.sent(), [0x40, 2, 0, 3]);
        client.receive(&published(version, QoS::ExactlyOnce, 4, false));
        assert_eq!(client.sent(), [0x50, 2, 0, 4]);
        client.receive(&[0x62, 2, 0, 4]);
        assert_eq!(client.sent(), [0x70, 2, 0, 4]);
    }
}

/// [MQTT-4.6.0-2 of 3.1.1], [MQTT-4.6.0-3 of 3.1.1].
#[test]
fn a_client_answers_in_the_order_in_which_messages_came() {
    let mut config = client::Config::default();
    config.manual_acknowledge = true;
    for version in BOTH {
        let mut client = Client::with(config, version, Properties::EMPTY);
        let mut tokens = Vec::new();
        let of = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce, QoS::AtLeastOnce];
        for (qos, id) in of.into_iter().zip([9, 4, 7, 2]) {
            let bytes = published(version, qos, id, false);
            let event = client.session.receive(NOW, &mut &bytes[..], &mut client.tx).unwrap();
            let Some(Event::Message(message)) = event else { panic!("{event:?}") };
            tokens.push(message.token.unwrap());
        }
        for token in [tokens[3], tokens[1], tokens[0], tokens[2]] {
            let result =
                client.session.acknowledge(NOW, token, ReasonCode::Success, &mut client.tx);
            result.unwrap();
        }
        let expected = [0x40, 2, 0, 9, 0x50, 2, 0, 4, 0x50, 2, 0, 7, 0x40, 2, 0, 2];
        assert_eq!(client.sent(), expected);
    }
}

/// [MQTT-4.6.0-4], [MQTT-4.6.0-4 of 3.1.1], [MQTT-4.6.0-1 of 3.1.1]: PUBREL keeps to the order of
/// PUBREC, and PUBLISH to that of its first sending, also when they are sent again.
#[test]
fn pubrel_goes_out_in_the_order_of_pubrec_also_when_it_is_sent_again() {
    for version in BOTH {
        let mut client = Client::new(version);
        for _ in 0..6 {
            client.publish(QoS::ExactlyOnce);
        }
        client.sent();
        client.receive(&[0x50, 2, 0, 5, 0x50, 2, 0, 2]);
        // Without room nothing has changed.
        let bytes = [0x50, 2, 0, 4];
        let full = client.session.receive(NOW, &mut &bytes[..], &mut Buffer::new(&mut []));
        assert_eq!(full, Err(Error::TransmitFull));
        client.receive(&[0x50, 2, 0, 1, 0x50, 2, 0, 4]);
        let released = [0x62, 2, 0, 5, 0x62, 2, 0, 2, 0x62, 2, 0, 1, 0x62, 2, 0, 4];
        assert_eq!(client.sent(), released);
        // Those that come back in the middle change nothing for the others.
        client.receive(&[0x70, 2, 0, 2]);
        for _ in 0..2 {
            client.connect(version, Properties::EMPTY, connack(version, true));
            client.session.resume(NOW, &Same(QoS::ExactlyOnce), &mut client.tx).unwrap();
            let (mut publishes, mut releases) = (Vec::new(), Vec::new());
            for packet in packets(&client.sent(), version, Sender::Client) {
                match packet {
                    Packet::Publish(publish) => publishes.push(publish.packet_id.unwrap().get()),
                    Packet::PubRel(ack) => releases.push(ack.packet_id.get()),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((publishes, releases), (vec![3, 6], vec![5, 1, 4]));
        }
        // After a crash too: the stored changes are in the same order.
        let mut restored = client::Session::new(client::Config::default(), client::Slots::heap(16));
        for id in 1..=6 {
            let id = mqtt_codec::PacketId::new(id).unwrap();
            assert!(restored.restore(mqtt_session::Delta::Outbound(id, Stage::PubRec)));
        }
        for id in [5, 2, 1, 4] {
            let id = mqtt_codec::PacketId::new(id).unwrap();
            assert!(restored.restore(mqtt_session::Delta::Outbound(id, Stage::PubComp)));
        }
        let order = |session: &client::Session<'_>| -> Vec<u16> {
            let released = session.in_flight().filter(|(_, stage)| *stage == Stage::PubComp);
            released.map(|(id, _)| id.get()).collect()
        };
        assert_eq!(order(&restored), [5, 2, 1, 4]);
        assert_eq!(order(&client.session), [5, 1, 4]);
        // What was moved is still in use.
        let mut used: Vec<_> = client.session.in_flight().map(|(id, _)| id.get()).collect();
        for _ in 0..5 {
            let id = client.publish(QoS::AtLeastOnce).get();
            assert!(!used.contains(&id));
            used.push(id);
        }
    }
}
