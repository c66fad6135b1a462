//! Sections 3.1.2.4, 4.1 and 4.4: what outlives a connection.

use mqtt_codec::{
    ConnAck, Connect, Packet, PacketId, Property, Publish, QoS, ReasonCode, Sender, Version,
};
use mqtt_session::{
    Delta, Event, Instant, Misuse, Outbox, Outcome, Queue, QueueConfig, Stage, Ticket, client,
};

use crate::by_hand::{
    BOTH, CONNACK_V5, Client, NOW, Same, accepted, connack, message, packets, published, server,
    waiting,
};

const PROPERTIES: mqtt_codec::Properties<'static> = mqtt_codec::Properties::EMPTY;

fn resumed() -> ConnAck<'static> {
    ConnAck { session_present: true, ..accepted() }
}

/// [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-3.1.2-23], [MQTT-4.1.0-1], [MQTT-3.1.2-5], [MQTT-4.3.3-6],
/// [MQTT-4.4.0-1 of 3.1.1], [MQTT-3.3.1-1 of 3.1.1], [MQTT-3.1.2-4 of 3.1.1],
/// [MQTT-4.1.0-1 of 3.1.1], [MQTT-2.3.1-3 of 3.1.1], [MQTT-4.6.0-1].
#[test]
fn what_is_unacknowledged_goes_out_again_in_order_with_its_identifier_and_dup() {
    for version in BOTH {
        let mut client = Client::new(version);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce, QoS::AtLeastOnce] {
            client.publish(qos);
        }
        client.receive(&[0x50, 2, 0, 2]); // PUBREC: from here on PUBREL
        client.receive(&[0x40, 2, 0, 4]); // PUBACK: never again
        client.connect(version, PROPERTIES, connack(version, true));
        client.session.resume(NOW, &Same(QoS::AtLeastOnce), &mut client.tx).unwrap();
        let sent = client.sent();
        let publish = |id: u8| {
            let mut bytes = vec![0x3A, 0, 0, 3, b'a', b'/', b'b', 0, id];
            if version == Version::V5 {
                bytes.push(0);
            }
            bytes.extend(b"21.5");
            bytes[1] = bytes.len() as u8 - 2;
            bytes
        };
        assert_eq!(sent, [publish(1), vec![0x62, 2, 0, 2], publish(3)].concat());
        // Once on each connection.
        client.session.resume(NOW, &Same(QoS::AtLeastOnce), &mut client.tx).unwrap();
        assert!(client.sent().is_empty());

        let mut server = server(version, &accepted());
        server.publish(QoS::AtLeastOnce);
        server.reconnect(version, &resumed());
        server.session.resume(&Same(QoS::AtLeastOnce), &mut server.tx).unwrap();
        assert_eq!(server.sent(), publish(1));
    }
}

/// [MQTT-3.1.2-5 of 3.1.1]: what is published while the client is away waits for it.
#[test]
fn messages_for_a_client_that_is_away_are_stored() {
    let mut outcomes = Vec::new();
    let mut done = |ticket: Ticket, outcome| outcomes.push((ticket, outcome));
    let mut queue = Queue::heap(QueueConfig::default());
    let mut server = server(Version::V311, &accepted());
    server.session.closed();
    queue.submit(NOW, &message(QoS::AtLeastOnce), &mut done).unwrap();
    server.reconnect(Version::V311, &resumed());
    queue.send(NOW, &mut server.session, &mut server.tx, &mut done).unwrap();
    assert_eq!(server.sent()[..2], [0x32, 11]);
    let mut rx = &[0x40, 2, 0, 1][..];
    let event = server.session.receive(NOW, &mut rx, &mut server.tx).unwrap().unwrap();
    queue.on_event(&event, &mut done);
    assert_eq!(outcomes, [(Ticket(1), Outcome::Delivered(ReasonCode::Success))]);
}

/// [MQTT-3.1.2-4], [MQTT-3.1.2-6], [MQTT-3.1.4-4], [MQTT-3.2.2-2], [MQTT-3.2.2-3],
/// [MQTT-3.1.2-6 of 3.1.1], [MQTT-3.1.4-3 of 3.1.1], [MQTT-3.2.2-1 of 3.1.1],
/// [MQTT-3.2.2-2 of 3.1.1], [MQTT-3.2.2-3 of 3.1.1].
#[test]
fn a_server_goes_on_with_a_session_or_discards_it_and_says_which() {
    for version in BOTH {
        for (clean_start, present) in [(false, true), (false, false), (true, false)] {
            let mut earlier = server(version, &accepted());
            earlier.publish(QoS::AtLeastOnce);
            earlier.receive(&published(version, QoS::ExactlyOnce, 7, false));
            let mut server = waiting(&Connect { clean_start, ..Connect::new(version, "c") });
            server.session.take_over(&mut earlier.session);
            let connack = ConnAck { session_present: present, ..accepted() };
            server.session.accept(NOW, &connack, &mut server.tx).unwrap();
            let sent = server.sent();
            assert_eq!(sent[2..4], [u8::from(present), 0]);
            assert_eq!(server.session.in_flight().count(), usize::from(present));
            assert_eq!(server.session.received().count(), usize::from(present));
            server.session.resume(&Same(QoS::AtLeastOnce), &mut server.tx).unwrap();
            assert_eq!(server.sent().is_empty(), !present);
        }
        // A clean start cannot be answered otherwise.
        let mut server = waiting(&Connect::new(version, "c"));
        let refused = server.session.accept(NOW, &resumed(), &mut server.tx);
        assert_eq!(refused, Err(Misuse::SessionPresent.into()));
        assert!(server.sent().is_empty());
        server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
    }
}

/// [MQTT-3.1.2-4], [MQTT-4.4.0-1], [MQTT-3.2.2-5].
#[test]
fn a_client_without_a_session_at_the_server_reports_what_is_lost_and_sends_none_of_it() {
    for version in BOTH {
        let mut client = Client::new(version);
        client.publish(QoS::AtLeastOnce);
        client.publish(QoS::ExactlyOnce);
        client.receive(&published(version, QoS::ExactlyOnce, 7, false));
        client.session.closed();
        let connect = Connect { clean_start: false, ..Connect::new(version, "c") };
        client.session.connect(NOW, &connect, &mut client.tx).unwrap();
        client.sent();
        let bytes = connack(version, false);
        let mut rx = bytes;
        let event = client.session.receive(NOW, &mut rx, &mut client.tx).unwrap().unwrap();
        assert!(matches!(event, Event::Connected(_)));
        assert_eq!(event.delta(), Some(Delta::InboundReset));
        client.session.resume(NOW, &Same(QoS::AtLeastOnce), &mut client.tx).unwrap();
        assert!(client.sent().is_empty());
        assert_eq!(client.receive(&[]), ["Lost 1 PubAck", "Lost 2 PubRec"]);
        assert_eq!(client.session.in_flight().count(), 0);
        assert_eq!(client.session.received().count(), 0);
        // The next one with that identifier is new.
        let new = published(version, QoS::ExactlyOnce, 7, false);
        assert_eq!(client.receive(&new), ["Message 2 dup false"]);
    }
}

#[test]
fn a_subscribe_of_the_new_connection_is_not_lost_with_the_old_session() {
    let mut client = Client::new(Version::V5);
    client.publish(QoS::AtLeastOnce);
    client.session.closed();
    let connect = Connect { clean_start: false, ..Connect::new(Version::V5, "c") };
    client.session.connect(NOW, &connect, &mut client.tx).unwrap();
    let event = client.session.receive(NOW, &mut &CONNACK_V5[..], &mut client.tx).unwrap();
    assert!(matches!(event, Some(Event::Connected(_))));
    let filter = mqtt_codec::TopicFilter::new("a").unwrap();
    let subscription = mqtt_codec::Subscription::new(filter, QoS::AtMostOnce);
    let id = client.session.subscribe(NOW, &[subscription], PROPERTIES, &mut client.tx).unwrap();
    assert_eq!(client.receive(&[]), ["Lost 1 PubAck"]);
    assert!(client.session.in_flight().eq([(id, Stage::SubAck)]));
}

/// [MQTT-4.1.0-2 of 3.1.1]: a connection that is open keeps its session, even a clean one.
#[test]
fn a_session_lasts_as_long_as_its_connection() {
    for version in BOTH {
        let mut server = waiting(&Connect::new(version, "c"));
        server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
        server.receive(&published(version, QoS::ExactlyOnce, 7, false));
        let much_later = Instant::from_millis(80_000);
        server.session.handle_timeout(much_later, &mut server.tx).unwrap();
        assert!(server.receive(&published(version, QoS::ExactlyOnce, 7, true)).is_empty());
    }
}

/// [MQTT-3.1.3-2], [MQTT-3.1.3-2 of 3.1.1]: who keeps sessions finds them by the Client Identifier.
#[test]
fn a_session_belongs_to_its_client_identifier() {
    for version in BOTH {
        let mut sessions = std::collections::HashMap::new();
        for (client, id) in [("one", 3), ("two", 5)] {
            let connect = Connect { clean_start: false, ..Connect::new(version, client) };
            let mut server = waiting(&connect);
            server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
            server.receive(&published(version, QoS::ExactlyOnce, id, false));
            server.session.closed();
            sessions.insert(client, server);
        }
        let bytes = published(version, QoS::ExactlyOnce, 3, true);
        for (client, known) in [("one", true), ("two", false)] {
            let connect = Connect { clean_start: false, ..Connect::new(version, client) };
            let mut server = waiting(&connect);
            server.session.take_over(&mut sessions.get_mut(client).unwrap().session);
            server.session.accept(NOW, &resumed(), &mut server.tx).unwrap();
            assert_eq!(server.receive(&bytes).is_empty(), known);
        }
    }
}

#[test]
fn a_message_that_was_taken_by_hand_is_not_delivered_again_though_pubrec_was_lost() {
    let mut config = client::Config::default();
    config.manual_acknowledge = true;
    let mut client = Client::with(config, Version::V5, PROPERTIES);
    let mut tokens = Vec::new();
    for id in [1, 2] {
        let bytes = published(Version::V5, QoS::ExactlyOnce, id, false);
        match client.session.receive(NOW, &mut &bytes[..], &mut client.tx).unwrap() {
            Some(event @ Event::Message(message)) => {
                assert_eq!(event.delta(), None, "it is not taken yet");
                tokens.push(message.token.unwrap());
            }
            other => panic!("{other:?}"),
        }
    }
    // The second is taken; its PUBREC waits for the first.
    client.session.acknowledge(NOW, tokens[1], ReasonCode::Success, &mut client.tx).unwrap();
    assert_eq!(tokens[1].delta(ReasonCode::Success), Some(Delta::Inbound(tokens[1].packet_id())));
    client.connect(Version::V5, PROPERTIES, connack(Version::V5, true));
    let first = published(Version::V5, QoS::ExactlyOnce, 1, true);
    assert_eq!(client.receive(&first), ["Message 2 dup true"]);
    assert!(client.receive(&published(Version::V5, QoS::ExactlyOnce, 2, true)).is_empty());
    assert_eq!(client.sent(), [0x50, 2, 0, 2]);
    // A token of the earlier connection answers nothing on this one.
    let stale = client.session.acknowledge(NOW, tokens[0], ReasonCode::Success, &mut client.tx);
    assert_eq!(stale, Err(Misuse::UnknownPacketId.into()));
}

#[test]
fn what_the_new_connection_does_not_allow_is_reported_and_holds_nothing_up() {
    let mut client = Client::new(Version::V5);
    client.publish(QoS::ExactlyOnce);
    client.publish(QoS::AtLeastOnce);
    // Maximum QoS 1 from now on.
    client.connect(Version::V5, PROPERTIES, &[0x20, 5, 1, 0, 2, 0x24, 1]);
    client.session.resume(NOW, &Same(QoS::ExactlyOnce), &mut client.tx).unwrap();
    assert!(client.sent().is_empty());
    assert!(client.session.is_resuming());
    assert_eq!(client.receive(&[]), ["Lost 1 PubRec", "Lost 2 PubAck"]);
    assert!(!client.session.is_resuming());
    client.publish(QoS::AtLeastOnce);
    // Nor does an outbox that has lost a message.
    client.connect(Version::V5, PROPERTIES, connack(Version::V5, true));
    client.session.resume(NOW, &(), &mut client.tx).unwrap();
    assert_eq!(client.receive(&[]), ["Lost 3 PubAck"]);
}

/// An outbox whose messages have properties of their own, and 7 seconds left.
struct Expiring<'p>(&'p [Property<'p>]);

impl Outbox for Expiring<'_> {
    fn message(&self, _: PacketId) -> Option<Publish<'_>> {
        Some(Publish { properties: self.0.into(), ..message(QoS::AtLeastOnce) })
    }

    fn message_expiry(&self, _: PacketId) -> Option<u32> {
        Some(7)
    }
}

/// [MQTT-3.3.2-6].
#[test]
fn what_is_left_of_the_message_expiry_interval_takes_the_place_of_what_the_message_says() {
    let (expiry, kind) = (Property::MessageExpiryInterval(60), Property::ContentType("t"));
    let left = Property::MessageExpiryInterval(7);
    let cases = [
        (&[][..], &[left][..]),
        (&[kind], &[kind, left]),
        (&[expiry, kind], &[left, kind]),
        (&[kind, expiry], &[kind, left]),
    ];
    for (own, expected) in cases {
        let mut client = Client::new(Version::V5);
        client.publish(QoS::AtLeastOnce);
        client.connect(Version::V5, PROPERTIES, connack(Version::V5, true));
        client.session.resume(NOW, &Expiring(own), &mut client.tx).unwrap();
        let sent = client.sent();
        match packets(&sent, Version::V5, Sender::Client)[..] {
            [Packet::Publish(publish)] => {
                assert_eq!(publish.properties.iter().collect::<Vec<_>>(), expected);
            }
            ref other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_messages_are_restored_and_only_before_a_connection() {
    let mut session = client::Session::new(client::Config::default(), client::Slots::heap(2));
    for stage in [Stage::SubAck, Stage::UnsubAck] {
        assert!(session.restore(Delta::Outbound(PacketId::MIN, stage)));
    }
    assert_eq!((session.in_flight().count(), session.is_resuming()), (0, false));
    assert!(session.restore(Delta::Outbound(PacketId::MIN, Stage::PubRec)));
    assert_eq!(session.in_flight().collect::<Vec<_>>(), [(PacketId::MIN, Stage::PubRec)]);
    let mut client = Client::new(Version::V5);
    assert!(!client.session.restore(Delta::Inbound(PacketId::MIN)));
    let mut server = server(Version::V5, &accepted());
    assert!(!server.session.restore(Delta::Outbound(PacketId::MIN, Stage::PubAck)));
    assert_eq!((client.session.received().count(), server.session.in_flight().count()), (0, 0));
}

#[test]
fn deltas_are_three_bytes_and_nothing_else_is_a_delta() {
    let mut known = 0;
    for kind in 0..=255 {
        for id in [0, 1, 0x1234, 0xFFFF_u16] {
            let [high, low] = id.to_be_bytes();
            if let Some(delta) = Delta::from_bytes([kind, high, low]) {
                assert_eq!(delta.to_bytes(), [kind, high, low]);
                known += 1;
            }
        }
    }
    assert_eq!(known, 8 * 3 + 1);
}
