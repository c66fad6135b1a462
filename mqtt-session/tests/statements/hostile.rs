//! What a peer must not do, and what becomes of it: section 4.13, and streams cut anywhere.

use mqtt_codec::{ConnAck, Connect, Property, QoS, Version};
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{Error, Fault, Instant, server};

use crate::by_hand::{
    BOTH, Client, NOW, Server, accepted, message, published, server as accept, waiting,
};

/// What is said before the connection ends, which it must.
fn said(version: Version, result: &Result<Vec<String>, Error>, connected: bool, tx: &[u8]) -> u8 {
    assert!(matches!(result, Err(Error::Peer(_))), "{result:?}");
    assert!(!connected);
    match (version, tx) {
        (Version::V5, [0xE0, 1, reason]) => *reason,
        (Version::V311, []) => 0,
        _ => panic!("{tx:02X?} in {version}"),
    }
}

/// [MQTT-4.13.1-1], [MQTT-4.8.0-1 of 3.1.1].
#[test]
fn a_client_that_breaks_the_protocol_is_told_why_in_version_5_and_cut_off_in_both() {
    let connect = b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00";
    let cases: &[(&str, &[u8], u8)] = &[
        ("a second CONNECT [MQTT-3.1.0-2]", connect, 0x82),
        ("CONNACK", &[0x20, 3, 0, 0, 0], 0x82),
        ("SUBACK", &[0x90, 4, 0, 1, 0, 0], 0x82),
        ("PINGRESP", &[0xD0, 0], 0x82),
        ("type 0", &[0x00, 0], 0x81),
        ("reserved flags", &[0xC1, 0], 0x81),
        ("QoS 3 [MQTT-3.3.1-4]", &[0x36, 7, 0, 1, b'a', 0, 1, 0, b'x'], 0x81),
        ("DUP with QoS 0 [MQTT-3.3.1-2]", &[0x38, 4, 0, 1, b'a', 0], 0x82),
        ("Packet Identifier 0 [MQTT-2.2.1-3]", &[0x32, 6, 0, 1, b'a', 0, 0, 0], 0x82),
        ("Topic Alias 0 [MQTT-3.3.2-8]", &[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0], 0x94),
        (
            "Topic Alias above the maximum [MQTT-3.3.2-9]",
            &[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 3],
            0x94,
        ),
        ("Topic Alias that was not set", &[0x30, 6, 0, 0, 3, 0x23, 0, 1], 0x82),
        ("neither topic nor alias", &[0x30, 3, 0, 0, 0], 0x82),
        ("Subscription Identifier 0", &[0x82, 9, 0, 1, 2, 0x0B, 0, 0, 1, b'a', 0], 0x82),
        ("SUBSCRIBE without filter [MQTT-3.8.3-2]", &[0x82, 3, 0, 1, 0], 0x82),
        ("PUBACK for QoS 2", &[0x40, 2, 0, 1], 0x82),
        ("PUBCOMP before PUBREL", &[0x70, 2, 0, 1], 0x82),
        ("AUTH without a method [MQTT-4.12.0-7]", &[0xF0, 2, 0x19, 0], 0x82),
        ("a packet larger than the maximum", &[0x30, 0xFF, 0xFF, 0x7F], 0x95),
        ("Remaining Length of five bytes", &[0x30, 0xFF, 0xFF, 0xFF, 0xFF], 0x81),
    ];
    let list = [Property::TopicAliasMaximum(2)];
    for (why, bytes, reason) in cases {
        let mut server =
            accept(Version::V5, &ConnAck { properties: list[..].into(), ..accepted() });
        server.publish(QoS::ExactlyOnce);
        server.sent();
        let result = server.try_receive(bytes);
        let connected = server.session.is_connected();
        assert_eq!(said(Version::V5, &result, connected, &server.tx), *reason, "{why}");
        // Nothing is taken any more.
        assert!(server.receive(&published(Version::V5, QoS::AtLeastOnce, 1, false)).is_empty());
    }
    let old: &[&[u8]] = &[
        b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c",
        &[0xF0, 0],
        &[0xE0, 1, 0],
        &[0x20, 2, 0, 0],
        &[0x40, 2, 0, 0],
        &[0x70, 2, 0, 1],
    ];
    for bytes in old {
        let mut server = accept(Version::V311, &accepted());
        server.publish(QoS::ExactlyOnce);
        server.sent();
        let result = server.try_receive(bytes);
        let connected = server.session.is_connected();
        assert_eq!(said(Version::V311, &result, connected, &server.tx), 0, "{bytes:02X?}");
    }
}

/// [MQTT-4.13.1-1], [MQTT-4.8.0-1 of 3.1.1].
#[test]
fn so_is_a_server() {
    let cases: &[(&str, &[u8], u8)] = &[
        ("CONNECT", b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", 0x82),
        ("a second CONNACK", &[0x20, 3, 0, 0, 0], 0x82),
        ("SUBSCRIBE", &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0], 0x82),
        ("PINGREQ", &[0xC0, 0], 0x82),
        ("AUTH that was not asked for", &[0xF0, 0], 0x82),
        ("a Topic Alias that was not allowed", &[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 1], 0x94),
        ("PUBREC for QoS 1", &[0x50, 2, 0, 1], 0x82),
        ("PUBACK with a code of SUBACK", &[0x40, 3, 0, 1, 0x01], 0x82),
    ];
    for (why, bytes, reason) in cases {
        let mut client = Client::new(Version::V5);
        client.publish(QoS::AtLeastOnce);
        client.sent();
        let result = client.try_receive(bytes);
        let connected = client.session.is_connected();
        assert_eq!(said(Version::V5, &result, connected, &client.tx), *reason, "{why}");
    }
    let old: &[&[u8]] = &[&[0xF0, 0], &[0xE0, 0], &[0x20, 2, 0, 0], &[0xC0, 0], &[0x50, 2, 0, 1]];
    for bytes in old {
        let mut client = Client::new(Version::V311);
        client.publish(QoS::AtLeastOnce);
        client.sent();
        let result = client.try_receive(bytes);
        let connected = client.session.is_connected();
        assert_eq!(said(Version::V311, &result, connected, &client.tx), 0, "{bytes:02X?}");
    }
}

/// All that is told when the stream comes in two reads.
fn in_two(
    stream: &[u8],
    cut: usize,
    mut next: impl FnMut(&mut &[u8]) -> Option<String>,
) -> Vec<String> {
    let (mut told, mut left) = (Vec::new(), Vec::new());
    for part in [&stream[..cut], &stream[cut..]] {
        left.extend_from_slice(part);
        let mut rx = &left[..];
        while let Some(event) = next(&mut rx) {
            told.push(event);
        }
        left = rx.to_vec();
    }
    assert!(left.is_empty());
    told
}

/// What both roles tell and send, whatever the reads are that the bytes come in. [MQTT-4.2.0-1].
#[test]
fn it_does_not_matter_where_a_stream_is_cut() {
    for version in BOTH {
        let mut stream = published(version, QoS::AtMostOnce, 0, false);
        stream.extend(published(version, QoS::AtLeastOnce, 1, false));
        stream.extend(published(version, QoS::ExactlyOnce, 2, false));
        stream.extend(published(version, QoS::ExactlyOnce, 2, true));
        stream.extend([0x62, 2, 0, 2, 0x62, 2, 0, 3]);
        stream.extend([0x40, 2, 0, 1, 0x50, 2, 0, 2, 0x50, 2, 0, 2, 0x70, 2, 0, 2, 0x40, 2, 0, 9]);
        if version == Version::V5 {
            stream.extend([0x50, 4, 0, 3, 0x97, 0, 0x50, 3, 0, 3, 0x97]);
        }
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce];
        let client = |cut: usize| {
            let mut client = Client::new(version);
            for qos in qos {
                client.publish(qos);
            }
            let Client { mut session, mut tx } = client;
            let told = in_two(&stream, cut, |rx| {
                let event = session.receive(NOW, rx, &mut tx).unwrap()?;
                Some(format!("{event:?}"))
            });
            (told, tx)
        };
        let server = |cut: usize| {
            let mut server = accept(version, &accepted());
            for qos in qos {
                server.publish(qos);
            }
            let Server { mut session, mut tx } = server;
            let told = in_two(&stream, cut, |rx| {
                let event = session.receive(NOW, rx, &mut tx).unwrap()?;
                Some(format!("{event:?}"))
            });
            (told, tx)
        };
        let whole = (client(0), server(0));
        assert!(whole.0.0.len() >= 7 && whole.1.0.len() >= 7);
        for cut in 1..stream.len() {
            assert_eq!((client(cut), server(cut)), whole, "cut at {cut} in {version}");
        }
    }
}

/// A clock that stands, goes back or leaps to its end does nothing worse than time out.
#[test]
fn a_clock_that_goes_wrong_does_no_harm() {
    const END: Instant = Instant::from_millis(u64::MAX);
    for version in BOTH {
        let mut client = Client::new(version);
        for now in [Instant::from_millis(0), NOW, Instant::from_millis(1)] {
            client.session.handle_timeout(now, &mut client.tx).unwrap();
            assert!(client.sent().is_empty());
        }
        client.session.handle_timeout(END, &mut client.tx).unwrap();
        assert_eq!(client.sent(), [0xC0, 0]);
        assert_eq!(client.session.next_timeout(), Some(END));
        client.session.handle_timeout(NOW, &mut client.tx).unwrap();
        client.receive(&[0xD0, 0]);
        client.session.publish(END, &message(QoS::AtLeastOnce), &mut client.tx).unwrap();

        let mut server = waiting(&Connect::new(version, "c"));
        server.session.accept(END, &accepted(), &mut server.tx).unwrap();
        server.session.handle_timeout(NOW, &mut server.tx).unwrap();
        assert!(server.session.is_connected());
        let gone = server.session.handle_timeout(END, &mut server.tx);
        assert!(matches!(gone, Err(Error::Peer(Fault::KeepAlive))));
    }
    let config = Config::default();
    let mut session = Session::new(config, Slots::heap(1));
    assert_eq!(session.next_timeout(), None);
    session.handle_timeout(END, &mut Vec::new()).unwrap();
    let mut server = server::Session::new(END, server::Config::default(), Slots::heap(1));
    assert!(server.handle_timeout(END, &mut Vec::new()).is_err());
}
