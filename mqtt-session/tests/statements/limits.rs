//! What one side allows the other: Receive Maximum, Maximum Packet Size, topic aliases and the rest.

use core::num::NonZeroU16;

use mqtt_codec::{
    ConnAck, Connect, EncodeError, Packet, Properties, Property, Publish, QoS, ReasonCode, Sender,
    Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::{Error, Event, Fault, Limit, Misuse, Ring, TopicAliases, client, server};

use crate::by_hand::{
    Client, NOW, Same, accepted, message, packets, published, server as accept, waiting,
};

/// A server whose client announced this.
fn server_of(list: &[Property<'_>]) -> crate::by_hand::Server {
    let connect = Connect { properties: list.into(), ..Connect::new(Version::V5, "c") };
    let mut server = waiting(&connect);
    server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
    server.sent();
    server
}

/// [MQTT-3.3.4-7], [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-2].
#[test]
fn no_more_messages_are_in_flight_than_the_receive_maximum() {
    let mut client = Client::new(Version::V5);
    // Receive Maximum 2.
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 0, 0, 3, 0x21, 0, 2]);
    let mut server = server_of(&[Property::ReceiveMaximum(2.try_into().unwrap())]);
    let mut check = |bytes: &[u8], quota: usize, next: Option<QoS>| {
        client.receive(bytes);
        server.receive(bytes);
        assert_eq!((client.session.quota(), server.session.quota()), (quota, quota));
        if let Some(qos) = next {
            client.publish(qos);
            server.publish(qos);
        } else {
            let publish = message(QoS::AtLeastOnce);
            let refused = client.session.publish(NOW, &publish, &mut client.tx);
            assert_eq!(refused, Err(Error::QuotaExceeded));
            let refused = server.session.publish(&publish, &mut server.tx);
            assert_eq!(refused, Err(Error::QuotaExceeded));
        }
    };
    check(&[], 2, Some(QoS::AtLeastOnce));
    check(&[], 1, Some(QoS::ExactlyOnce));
    check(&[], 0, None);
    check(&[0x40, 2, 0, 1], 1, Some(QoS::ExactlyOnce)); // PUBACK
    check(&[], 0, None);
    check(&[0x50, 3, 0, 2, 0x80], 1, Some(QoS::AtLeastOnce)); // PUBREC of failure
    check(&[0x50, 2, 0, 3], 0, None); // PUBREC of success
    check(&[0x70, 2, 0, 3], 1, Some(QoS::AtLeastOnce)); // PUBCOMP
}

/// [MQTT-3.3.4-8], [MQTT-3.3.4-10], [MQTT-4.9.0-3].
#[test]
fn at_the_receive_maximum_everything_but_publish_goes_on() {
    let mut client = Client::new(Version::V5);
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 0, 0, 3, 0x21, 0, 1]);
    client.publish(QoS::AtLeastOnce);
    let filter = Subscription::new(TopicFilter::new("a").unwrap(), QoS::AtMostOnce);
    client.session.subscribe(NOW, &[filter], Properties::EMPTY, &mut client.tx).unwrap();
    client.session.publish(NOW, &message(QoS::AtMostOnce), &mut client.tx).unwrap();
    client.sent();
    assert_eq!(client.receive(&published(Version::V5, QoS::ExactlyOnce, 7, false)).len(), 1);
    assert_eq!(client.receive(&[0x62, 2, 0, 7]).len(), 1);
    assert_eq!(client.sent(), [0x50, 2, 0, 7, 0x70, 2, 0, 7]);

    let mut server = server_of(&[Property::ReceiveMaximum(1.try_into().unwrap())]);
    server.publish(QoS::AtLeastOnce);
    server.sent();
    server.receive(&published(Version::V5, QoS::AtLeastOnce, 7, false));
    server.receive(&[0xC0, 0]);
    assert_eq!(server.sent(), [0x40, 2, 0, 7, 0xD0, 0]);
}

/// [MQTT-4.9.0-3]: PUBREL is no PUBLISH.
#[test]
fn pubrel_is_sent_again_though_the_quota_is_used_up() {
    let mut client = Client::new(Version::V5);
    for _ in 0..4 {
        client.publish(QoS::ExactlyOnce);
    }
    client.receive(&[0x50, 2, 0, 2, 0x50, 2, 0, 4]);
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 1, 0, 3, 0x21, 0, 1]);
    client.session.resume(NOW, &Same(QoS::ExactlyOnce), &mut client.tx).unwrap();
    let kinds = |bytes: &[u8]| -> Vec<(u8, u16)> {
        let packet = |packet: &Packet<'_>| match packet {
            Packet::Publish(p) => (3, p.packet_id.unwrap().get()),
            Packet::PubRel(ack) => (6, ack.packet_id.get()),
            other => panic!("{other:?}"),
        };
        packets(bytes, Version::V5, Sender::Client).iter().map(packet).collect()
    };
    assert_eq!(kinds(&client.sent()), [(3, 1), (6, 2), (6, 4)]);
    client.receive(&[0x70, 2, 0, 2, 0x70, 2, 0, 4]);
    client.receive(&[0x50, 3, 0, 1, 0x80]);
    client.session.resume(NOW, &Same(QoS::ExactlyOnce), &mut client.tx).unwrap();
    assert_eq!(kinds(&client.sent()), [(3, 3)]);
}

#[test]
fn who_exceeds_our_receive_maximum_is_told_so() {
    let list = [Property::ReceiveMaximum(2.try_into().unwrap())];
    let connack = ConnAck { properties: list[..].into(), ..accepted() };
    let mut server = accept(Version::V5, &connack);
    for id in [1, 2] {
        server.receive(&published(Version::V5, QoS::ExactlyOnce, id, false));
    }
    // One that is done with makes room; a duplicate takes none.
    server.receive(&[0x62, 2, 0, 1]);
    server.receive(&published(Version::V5, QoS::ExactlyOnce, 3, false));
    server.receive(&published(Version::V5, QoS::ExactlyOnce, 3, true));
    server.sent();
    let refused = server.try_receive(&published(Version::V5, QoS::ExactlyOnce, 4, false));
    assert_eq!(refused, Err(Error::Peer(Fault::ReceiveMaximum)));
    assert_eq!(server.sent(), [0xE0, 1, 0x93]);

    // 3.1.1 cannot be told, but the slots are a bound in it too.
    for version in crate::by_hand::BOTH {
        let mut server = waiting(&Connect::new(version, "c"));
        let slots = client::Slots { received: Ring::heap(2), ..client::Slots::heap(4) };
        let mut next = server::Session::new(NOW, server::Config::default(), slots);
        let mut connect = Vec::new();
        mqtt_codec::Rules::new(version, Sender::Client)
            .encode_to_vec(&Packet::Connect(Connect::new(version, "c")), &mut connect)
            .unwrap();
        next.receive(NOW, &mut &connect[..], &mut server.tx).unwrap().unwrap();
        next.accept(NOW, &accepted(), &mut server.tx).unwrap();
        server.session = next;
        for id in [1, 2, 1] {
            server.receive(&published(version, QoS::ExactlyOnce, id, false));
        }
        let refused = server.try_receive(&published(version, QoS::ExactlyOnce, 3, false));
        assert_eq!(refused, Err(Error::Peer(Fault::ReceiveMaximum)));
    }

    // What an earlier connection left does not count on this one.
    for is_new in [true, false] {
        let mut server = accept(Version::V5, &accepted());
        for id in [1, 2, 3] {
            server.receive(&published(Version::V5, QoS::ExactlyOnce, id, false));
        }
        server.reconnect(Version::V5, &ConnAck { session_present: true, ..connack });
        server.receive(&published(Version::V5, QoS::AtLeastOnce, 9, false));
        server.receive(&published(Version::V5, QoS::ExactlyOnce, 1, true));
        server.receive(&published(Version::V5, QoS::ExactlyOnce, 2, true));
        // They do as soon as they come again on this one.
        server.receive(&published(Version::V5, QoS::ExactlyOnce, 2, true));
        let id = if is_new { 4 } else { 3 };
        let refused = server.try_receive(&published(Version::V5, QoS::ExactlyOnce, id, !is_new));
        assert_eq!(refused, Err(Error::Peer(Fault::ReceiveMaximum)));
    }
}

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25].
#[test]
fn what_is_larger_than_the_client_allows_is_not_sent_and_takes_no_identifier() {
    let mut server = server_of(&[Property::MaximumPacketSize(20.try_into().unwrap())]);
    let large = Publish { payload: &[0; 20], ..message(QoS::AtLeastOnce) };
    let refused = server.session.publish(&large, &mut server.tx);
    assert!(matches!(refused, Err(Error::Encode(EncodeError::TooLarge { limit: 20, .. }))));
    assert!(server.sent().is_empty());
    assert_eq!(server.session.in_flight().count(), 0);
    assert_eq!(server.publish(QoS::AtLeastOnce).get(), 1);
    // An answer that is too large counts as sent: nothing can be done about it.
    let mut client = Client::new(Version::V5);
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 3]);
    assert_eq!(client.receive(&published(Version::V5, QoS::AtLeastOnce, 1, false)).len(), 1);
    assert!(client.sent().is_empty());
}

/// [MQTT-3.1.2-24], [MQTT-4.3.3-4], [MQTT-4.3.3-11]: the next step is taken, if need be without a reason.
/// A code that says that a message was refused is not left out.
#[test]
fn pubrel_and_pubcomp_go_without_their_reason_where_there_is_no_room_for_it() {
    // A server cannot even accept a client of Maximum Packet Size 4: CONNACK takes five bytes.
    let list = [Property::MaximumPacketSize(4.try_into().unwrap())];
    let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, "c") };
    let mut server = waiting(&connect);
    let refused = server.session.accept(NOW, &accepted(), &mut server.tx);
    assert!(matches!(refused, Err(Error::Encode(EncodeError::TooLarge { size: 5, limit: 4 }))));

    let mut config = client::Config::default();
    config.manual_acknowledge = true;
    for (max, expected) in [
        (4, &[0x70, 2, 0, 99, 0x62, 2, 0, 98][..]),
        (5, &[0x40, 3, 0, 7, 0x87, 0x70, 3, 0, 99, 0x92, 0x62, 3, 0, 98, 0x92]),
    ] {
        let mut client = Client::with(config, Version::V5, Properties::EMPTY);
        client.connect(Version::V5, Properties::EMPTY, &[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, max]);
        let bytes = published(Version::V5, QoS::AtLeastOnce, 7, false);
        let event = client.session.receive(NOW, &mut &bytes[..], &mut client.tx).unwrap();
        let Some(Event::Message(message)) = event else { panic!("{event:?}") };
        let token = message.token.unwrap();
        let session = &mut client.session;
        session.acknowledge(NOW, token, ReasonCode::NotAuthorized, &mut client.tx).unwrap();
        // PUBREL and PUBREC of identifiers that are not known.
        client.receive(&[0x62, 2, 0, 99, 0x50, 2, 0, 98]);
        assert_eq!(client.sent(), expected);
    }
}

/// [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11], [MQTT-3.3.2-7].
#[test]
fn a_server_uses_only_aliases_that_this_connection_allows() {
    let alias = [Property::TopicAlias(3.try_into().unwrap())];
    let aliased = Publish { properties: alias[..].into(), ..message(QoS::AtMostOnce) };
    for (list, allowed) in [
        (&[][..], false),
        (&[Property::TopicAliasMaximum(0)][..], false),
        (&[Property::TopicAliasMaximum(2)][..], false),
        (&[Property::TopicAliasMaximum(3)][..], true),
    ] {
        let result = server_of(list).session.publish(&aliased, &mut Vec::new());
        let refused = Err(Limit::TopicAliasMaximum.into());
        assert_eq!(result, if allowed { Ok(None) } else { refused });
    }
    let mut config = server::Config::default();
    config.topic_aliases = TopicAliases::Lru(10);
    for (max, expected) in [(0, ["abcde"; 4]), (1, ["abcde", "", "fghij", "abcde"])] {
        let list = [Property::TopicAliasMaximum(max)];
        let mut server = waiting(&Connect::new(Version::V5, "c"));
        server.session = server::Session::new(NOW, config, client::Slots::heap(4));
        let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, "c") };
        let mut bytes = Vec::new();
        mqtt_codec::Rules::new(Version::V5, Sender::Client)
            .encode_to_vec(&Packet::Connect(connect), &mut bytes)
            .unwrap();
        server.receive(&bytes);
        server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
        server.sent();
        let topics = if max == 0 { ["abcde"; 4] } else { ["abcde", "abcde", "fghij", "abcde"] };
        for topic in topics {
            let topic = TopicName::new(topic).unwrap();
            let publish = Publish { topic, ..message(QoS::AtMostOnce) };
            // Without room nothing has changed: the alias is not taken for known.
            let full = server.session.publish(&publish, &mut mqtt_session::Buffer::new(&mut []));
            assert_eq!(full, Err(Error::TransmitFull));
            server.session.publish(&publish, &mut server.tx).unwrap();
        }
        let tx = server.sent();
        let sent: Vec<_> = packets(&tx, Version::V5, Sender::Server)
            .iter()
            .map(|packet| match packet {
                Packet::Publish(publish) => {
                    let alias = publish.properties.topic_alias().map(NonZeroU16::get);
                    assert_eq!(alias, (max > 0).then_some(1));
                    publish.topic.as_str()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sent, expected);
    }
}

#[test]
fn fixed_aliases_keep_the_first_topics_and_leave_the_properties_of_the_message() {
    let mut config = client::Config::default();
    config.topic_aliases = TopicAliases::Fixed(1);
    let mut client = Client::with(config, Version::V5, Properties::EMPTY);
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 0, 0, 3, 0x22, 0, 9]);
    let list = [Property::ContentType("t"), Property::UserProperty(("a", "b"))];
    for topic in ["first", "second", "first"] {
        let topic = TopicName::new(topic).unwrap();
        let publish = Publish { topic, properties: list[..].into(), ..message(QoS::AtMostOnce) };
        client.session.publish(NOW, &publish, &mut client.tx).unwrap();
    }
    let tx = client.sent();
    for (packet, (topic, alias)) in packets(&tx, Version::V5, Sender::Client).iter().zip([
        ("first", Some(1)),
        ("second", None),
        ("", Some(1)),
    ]) {
        let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
        assert_eq!(publish.topic.as_str(), topic);
        assert_eq!(publish.properties.topic_alias().map(NonZeroU16::get), alias);
        assert_eq!(publish.properties.content_type(), Some("t"));
        assert_eq!(publish.properties.user_properties().count(), 1);
    }
    let alias = [Property::TopicAlias(1.try_into().unwrap())];
    let own = Publish { properties: alias[..].into(), ..message(QoS::AtMostOnce) };
    let refused = client.session.publish(NOW, &own, &mut client.tx);
    assert_eq!(refused, Err(Misuse::TopicAliasGiven.into()));
}

/// [MQTT-3.3.2-12], [MQTT-3.3.2-7].
#[test]
fn every_alias_up_to_the_maximum_is_taken_and_none_outlives_its_connection() {
    let list = [Property::TopicAliasMaximum(3)];
    let connack = ConnAck { properties: list[..].into(), ..accepted() };
    let mut server = accept(Version::V5, &connack);
    let bytes = |topic: &[u8], alias: u8| {
        let mut bytes = vec![0x30, 6 + topic.len() as u8, 0, topic.len() as u8];
        bytes.extend(topic);
        bytes.extend([3, 0x23, 0, alias]);
        bytes
    };
    for alias in [3, 1, 2] {
        server.receive(&bytes(&[b'a' + alias], alias));
    }
    for alias in 1..=3 {
        let bytes = bytes(b"", alias);
        let event = server.session.receive(NOW, &mut &bytes[..], &mut server.tx).unwrap();
        let Some(Event::Message(message)) = event else { panic!("{event:?}") };
        let topic = String::from_utf8(vec![b'a' + alias]).unwrap();
        assert_eq!(server.session.topic(&message.publish).as_str(), topic);
    }
    let refused = server.try_receive(&bytes(b"x", 4));
    assert_eq!(refused, Err(Error::Peer(Fault::TopicAlias)));
    assert_eq!(server.sent(), [0xE0, 1, 0x94]);
    server.reconnect(Version::V5, &connack);
    let refused = server.try_receive(&bytes(b"", 1));
    assert_eq!(refused, Err(Error::Peer(Fault::TopicAliasUnknown)));
}

/// [MQTT-3.2.2-11], [MQTT-3.2.2-14].
#[test]
fn what_the_server_does_not_do_is_refused_here_with_the_name_of_the_limit() {
    let mut client = Client::new(Version::V5);
    // Maximum QoS 0; Retain, Wildcard, Subscription Identifier and Shared Subscription not available.
    let connack = [0x20, 13, 0, 0, 10, 0x24, 0, 0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0];
    client.connect(Version::V5, Properties::EMPTY, &connack);
    let retained = Publish { retain: true, ..message(QoS::AtMostOnce) };
    for (publish, limit) in
        [(message(QoS::AtLeastOnce), Limit::MaximumQoS), (retained, Limit::RetainAvailable)]
    {
        let refused = client.session.publish(NOW, &publish, &mut client.tx);
        assert_eq!(refused, Err(limit.into()));
    }
    let id = [Property::SubscriptionIdentifier(mqtt_codec::SubscriptionId::new(1).unwrap())];
    for (filter, properties, limit) in [
        ("a/+", Properties::EMPTY, Limit::WildcardSubscriptionAvailable),
        ("$share/g/a", Properties::EMPTY, Limit::SharedSubscriptionAvailable),
        ("a", id[..].into(), Limit::SubscriptionIdentifierAvailable),
    ] {
        let filter = Subscription::new(TopicFilter::new(filter).unwrap(), QoS::AtMostOnce);
        let refused = client.session.subscribe(NOW, &[filter], properties, &mut client.tx);
        assert_eq!(refused, Err(limit.into()));
    }
    assert!(client.sent().is_empty());
}

#[test]
fn what_3_1_1_cannot_be_told_does_not_bind_it() {
    let list = [
        Property::ReceiveMaximum(1.try_into().unwrap()),
        Property::MaximumQoS(QoS::AtMostOnce),
        Property::RetainAvailable(false),
        Property::MaximumPacketSize(10.try_into().unwrap()),
        Property::ServerKeepAlive(1),
    ];
    let connack = ConnAck { properties: list[..].into(), ..accepted() };
    let mut server = accept(Version::V311, &connack);
    for id in [1, 2] {
        server.receive(&published(Version::V311, QoS::ExactlyOnce, id, false));
    }
    assert_eq!(server.session.next_timeout(), Some(NOW + core::time::Duration::from_secs(90)));
}
