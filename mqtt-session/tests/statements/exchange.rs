//! Sections 4.3 and 4.6: how messages of each QoS are sent and received.

use mqtt_codec::{
    Packet, PacketId, Properties, Publish, QoS, ReasonCode, Sender, TopicFilter, Version,
};
use mqtt_session::{Error, Misuse, Stage, client, server};

use crate::by_hand::{BOTH, Client, NOW, accepted, message, packets, published, server as accept};

/// The PUBLISH packets in these bytes: QoS, DUP, identifier.
fn publishes(bytes: &[u8], version: Version, sender: Sender) -> Vec<(u8, bool, u16)> {
    let packet = |packet: &Packet<'_>| match packet {
        Packet::Publish(p) => (p.qos.bits(), p.dup, p.packet_id.map_or(0, PacketId::get)),
        other => panic!("{other:?}"),
    };
    packets(bytes, version, sender).iter().map(packet).collect()
}

/// [MQTT-4.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.2-2], [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-2.2.1-3],
/// [MQTT-2.2.1-4], [MQTT-3.3.1-3], [MQTT-4.3.1-1 of 3.1.1], [MQTT-3.3.1-3 of 3.1.1],
/// [MQTT-2.3.1-2 of 3.1.1], [MQTT-2.3.1-4 of 3.1.1].
#[test]
fn each_new_message_goes_out_without_dup_and_with_an_identifier_of_its_own() {
    for version in BOTH {
        let mut client = Client::new(version);
        let mut server = accept(version, &accepted());
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtLeastOnce] {
            // DUP of a message that is passed on means nothing here.
            let publish = Publish { dup: qos != QoS::AtMostOnce, ..message(qos) };
            client.session.publish(NOW, &publish, &mut client.tx).unwrap();
            server.session.publish(&publish, &mut server.tx).unwrap();
        }
        let expected = [(0, false, 0), (1, false, 1), (2, false, 2), (1, false, 3)];
        assert_eq!(publishes(&client.tx, version, Sender::Client), expected);
        assert_eq!(publishes(&server.tx, version, Sender::Server), expected);
        // SUBSCRIBE and UNSUBSCRIBE draw from the same identifiers.
        let filters = [TopicFilter::new("a").unwrap()];
        let id =
            client.session.unsubscribe(NOW, &filters, Properties::EMPTY, &mut client.tx).unwrap();
        assert_eq!(id.get(), 4);
    }
}

/// [MQTT-4.3.2-3], [MQTT-4.3.2-1 of 3.1.1], [MQTT-2.3.1-3 of 3.1.1], [MQTT-4.4.0-2].
#[test]
fn qos_1_is_unacknowledged_until_puback() {
    for version in BOTH {
        let mut client = Client::new(version);
        let id = client.publish(QoS::AtLeastOnce);
        // Of another one: nothing happens.
        assert!(client.receive(&[0x40, 2, 0, 9]).is_empty());
        assert!(client.session.in_flight().eq([(id, Stage::PubAck)]));
        assert_eq!(client.receive(&[0x40, 2, 0, 1]), ["Acknowledged 1 Success"]);
        assert_eq!(client.session.in_flight().count(), 0);
        let mut server = accept(version, &accepted());
        let id = server.publish(QoS::AtLeastOnce);
        assert!(server.session.in_flight().eq([(id, Stage::PubAck)]));
        assert_eq!(server.receive(&[0x40, 2, 0, 1]), ["Acknowledged 1 Success"]);
    }
}

/// [MQTT-4.3.3-3], [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-2.2.1-5], [MQTT-4.3.3-1 of 3.1.1],
/// [MQTT-2.3.1-6 of 3.1.1].
#[test]
fn qos_2_waits_for_pubrec_and_then_with_pubrel_for_pubcomp() {
    for version in BOTH {
        let mut client = Client::new(version);
        let id = client.publish(QoS::ExactlyOnce);
        assert!(client.session.in_flight().eq([(id, Stage::PubRec)]));
        client.sent();
        assert_eq!(client.receive(&[0x50, 2, 0, 1]), ["Received 1"]);
        assert_eq!(client.sent(), [0x62, 2, 0, 1]);
        assert!(client.session.in_flight().eq([(id, Stage::PubComp)]));
        // PUBREC again: PUBREL again, and nothing new to tell.
        assert!(client.receive(&[0x50, 2, 0, 1]).is_empty());
        assert_eq!(client.sent(), [0x62, 2, 0, 1]);
        assert_eq!(client.receive(&[0x70, 2, 0, 1]), ["Acknowledged 1 Success"]);
        assert_eq!(client.session.in_flight().count(), 0);
    }
    // Every code below 0x80 is one of success.
    let mut client = Client::new(Version::V5);
    client.publish(QoS::ExactlyOnce);
    client.sent();
    assert_eq!(client.receive(&[0x50, 3, 0, 1, 0x10]), ["Received 1"]);
    assert_eq!(client.sent(), [0x62, 2, 0, 1]);
}

/// [MQTT-3.3.4-1], [MQTT-4.3.2-4], [MQTT-4.3.2-5], [MQTT-3.3.4-1 of 3.1.1], [MQTT-4.3.2-2 of 3.1.1].
#[test]
fn a_message_is_answered_as_its_qos_demands_and_after_puback_its_like_is_new() {
    for version in BOTH {
        let mut client = Client::new(version);
        let mut server = accept(version, &accepted());
        let at_most_once = published(version, QoS::AtMostOnce, 0, false);
        assert_eq!(client.receive(&at_most_once), ["Message 0 dup false"]);
        assert!(client.sent().is_empty());
        for dup in [false, true] {
            let bytes = published(version, QoS::AtLeastOnce, 7, dup);
            assert_eq!(client.receive(&bytes), [format!("Message 1 dup {dup}")]);
            assert_eq!(client.sent(), [0x40, 2, 0, 7]);
            assert_eq!(server.receive(&bytes), [format!("Message 1 dup {dup}")]);
            assert_eq!(server.sent(), [0x40, 2, 0, 7]);
        }
    }
}

/// [MQTT-4.3.3-8], [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12], [MQTT-4.3.3-2 of 3.1.1].
#[test]
fn qos_2_is_delivered_once_until_pubrel_and_then_its_identifier_is_new() {
    for version in BOTH {
        let mut server = accept(version, &accepted());
        for _ in 0..2 {
            let first = published(version, QoS::ExactlyOnce, 7, false);
            assert_eq!(server.receive(&first), ["Message 2 dup false"]);
            assert_eq!(server.sent(), [0x50, 2, 0, 7]);
            for dup in [true, false] {
                assert!(server.receive(&published(version, QoS::ExactlyOnce, 7, dup)).is_empty());
                assert_eq!(server.sent(), [0x50, 2, 0, 7]);
            }
            assert_eq!(server.receive(&[0x62, 2, 0, 7]), ["Released 7"]);
            assert_eq!(server.sent(), [0x70, 2, 0, 7]);
        }
    }
}

/// [MQTT-4.3.3-13]: a session does not look at Message Expiry at all.
#[test]
fn an_expired_message_is_acknowledged_to_the_end() {
    let mut client = Client::new(Version::V5);
    // Message Expiry Interval 0.
    let expired = [0x34, 12, 0, 1, b'a', 0, 7, 5, 2, 0, 0, 0, 0, b'x'];
    assert_eq!(client.receive(&expired), ["Message 2 dup false"]);
    assert_eq!(client.receive(&[0x62, 2, 0, 7]), ["Released 7"]);
    assert_eq!(client.sent(), [0x50, 2, 0, 7, 0x70, 2, 0, 7]);
}

/// [MQTT-4.3.3-9], [MQTT-4.4.0-2].
#[test]
fn a_message_that_is_refused_is_over_in_version_5_and_taken_in_3_1_1() {
    let mut config = client::Config::default();
    config.manual_acknowledge = true;
    for version in BOTH {
        let mut client = Client::with(config, version, Properties::EMPTY);
        let bytes = published(version, QoS::ExactlyOnce, 7, false);
        let event = client.session.receive(NOW, &mut &bytes[..], &mut client.tx).unwrap();
        let Some(mqtt_session::Event::Message(message)) = event else { panic!("{event:?}") };
        let token = message.token.unwrap();
        assert!(client.sent().is_empty());
        // What was taken must be stored.
        let is_stored = token.delta(ReasonCode::QuotaExceeded).is_some();
        assert_eq!(is_stored, version != Version::V5);
        let session = &mut client.session;
        session.acknowledge(NOW, token, ReasonCode::QuotaExceeded, &mut client.tx).unwrap();
        assert_eq!(session.received().count(), usize::from(is_stored));
        let dup = published(version, QoS::ExactlyOnce, 7, true);
        if version == Version::V5 {
            assert_eq!(client.sent(), [0x50, 3, 0, 7, 0x97]);
            assert_eq!(client.receive(&dup), ["Message 2 dup true"]);
        } else {
            assert_eq!(client.sent(), [0x50, 2, 0, 7]);
            assert!(client.receive(&dup).is_empty());
        }
    }
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3].
#[test]
fn answers_leave_in_the_order_of_the_messages_whatever_the_application_does() {
    let mut config = server::Config::default();
    config.manual_acknowledge = true;
    let mut session = server::Session::new(NOW, config, client::Slots::heap(4));
    let mut tx = Vec::new();
    let connect = b"\x10\x0D\x00\x04MQTT\x05\x00\x00\x00\x00\x00\x00";
    session.receive(NOW, &mut &connect[..], &mut tx).unwrap().unwrap();
    session.accept(NOW, &accepted(), &mut tx).unwrap();
    tx.clear();
    let mut tokens = Vec::new();
    for (id, qos) in [(1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce), (3, QoS::AtLeastOnce)] {
        let bytes = published(Version::V5, qos, id, false);
        match session.receive(NOW, &mut &bytes[..], &mut tx).unwrap() {
            Some(mqtt_session::Event::Message(message)) => tokens.push(message.token.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    session.acknowledge(tokens[2], ReasonCode::Success, &mut tx).unwrap();
    session.acknowledge(tokens[1], ReasonCode::NotAuthorized, &mut tx).unwrap();
    assert!(tx.is_empty());
    // A code that PUBACK cannot carry would hold back all that waits behind it.
    let wrong = session.acknowledge(tokens[0], ReasonCode::Banned, &mut tx);
    assert!(matches!(wrong, Err(Error::Encode(_))));
    // Without room nothing has changed.
    let full = session.acknowledge(
        tokens[0],
        ReasonCode::Success,
        &mut mqtt_session::Buffer::new(&mut []),
    );
    assert_eq!(full, Err(Error::TransmitFull));
    // With room for one the others follow later, and that is due at once.
    let mut room = [0; 4];
    let mut buffer = mqtt_session::Buffer::new(&mut room);
    session.acknowledge(tokens[0], ReasonCode::Success, &mut buffer).unwrap();
    assert_eq!(buffer.filled(), [0x40, 2, 0, 1]);
    assert!(session.next_timeout().is_some_and(|due| due <= NOW));
    session.handle_timeout(NOW, &mut tx).unwrap();
    assert_eq!(tx, [0x50, 3, 0, 2, 0x87, 0x40, 2, 0, 3]);
    assert_eq!(session.next_timeout(), None);
    let again = session.acknowledge(tokens[0], ReasonCode::Success, &mut tx);
    assert_eq!(again, Err(Misuse::UnknownPacketId.into()));
}
