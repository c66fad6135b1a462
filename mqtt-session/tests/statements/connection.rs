//! Sections 3.1, 3.2, 3.12, 3.14, 4.12 and 4.13: how a connection begins, lives and ends.

use core::time::Duration;

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, Properties, Property, QoS, ReasonCode, Version,
};
use mqtt_session::{AuthStep, Error, Event, Fault, Instant, Mechanism, Misuse, client, server};

use crate::by_hand::{
    BOTH, CONNACK_V5, Client, NOW, accepted, connack, message, published, server as accept, waiting,
};

/// [MQTT-3.1.0-1], [MQTT-3.1.0-1 of 3.1.1], [MQTT-7.0.0-2 of 3.1.1].
#[test]
fn connect_comes_first_on_every_connection_and_has_nothing_of_our_own() {
    for version in BOTH {
        let mut session = client::Session::new(client::Config::default(), client::Slots::heap(4));
        let mut tx = Vec::new();
        for _ in 0..2 {
            let refused = session.publish(NOW, &message(QoS::AtMostOnce), &mut tx);
            assert_eq!(refused, Err(Misuse::NotConnected.into()));
            assert!(tx.is_empty());
            session.connect(NOW, &Connect::new(version, "c"), &mut tx).unwrap();
            let mut expected = b"\x10\x0D\x00\x04MQTT".to_vec();
            expected.extend([version.level(), 2, 0, 60]);
            expected.extend(if version == Version::V5 {
                &[0, 0, 1, b'c'][..]
            } else {
                &[0, 1, b'c']
            });
            expected[1] = expected.len() as u8 - 2;
            assert_eq!(tx, expected);
            let again = session.connect(NOW, &Connect::new(version, "c"), &mut tx);
            assert_eq!(again, Err(Misuse::AlreadyConnected.into()));
            // Before CONNACK there is nothing to send but CONNECT.
            let refused = session.publish(NOW, &message(QoS::AtMostOnce), &mut tx);
            assert_eq!(refused, Err(Misuse::NotConnected.into()));
            session.closed();
            tx.clear();
        }
    }
}

#[test]
fn a_server_takes_what_follows_connect_at_once_when_it_has_answered() {
    let mut server = waiting(&Connect::new(Version::V311, "c"));
    // Larger than the largest CONNECT.
    let mut bytes = vec![0x30, 0x83, 0xA7, 0x04, 0, 1, b'a'];
    bytes.resize(4 + 0x11383, b'x');
    assert!(server.receive(&bytes).is_empty());
    server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
    assert_eq!(server.receive(&bytes), ["Message 0 dup false"]);
}

/// [MQTT-3.14.4-1], [MQTT-3.14.4-2], [MQTT-3.14.4-1 of 3.1.1], [MQTT-3.14.4-2 of 3.1.1].
#[test]
fn after_disconnect_nothing_is_sent_or_taken_any_more() {
    for version in BOTH {
        let mut client = Client::new(version);
        let goodbye = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
        client.session.disconnect(&goodbye, &mut client.tx).unwrap();
        assert_eq!(client.sent(), [0xE0, 0]);
        assert!(client.receive(&published(version, QoS::AtLeastOnce, 1, false)).is_empty());
        let refused = client.session.publish(NOW, &message(QoS::AtMostOnce), &mut client.tx);
        assert_eq!(refused, Err(Misuse::NotConnected.into()));
        let again = client.session.disconnect(&goodbye, &mut client.tx);
        assert_eq!(again, Err(Misuse::NotConnected.into()));
        // Nothing is left to wait for: the caller closes the connection.
        assert_eq!(client.session.next_timeout(), None);
        assert!(client.sent().is_empty());
    }
    let mut server = accept(Version::V5, &accepted());
    server.session.disconnect(&Disconnect::new(ReasonCode::ServerBusy), &mut server.tx).unwrap();
    assert_eq!(server.sent(), [0xE0, 1, 0x89]);
    assert!(server.receive(&[0xC0, 0]).is_empty());
    let refused = server.session.publish(&message(QoS::AtMostOnce), &mut server.tx);
    assert_eq!(refused, Err(Misuse::NotConnected.into()));
    assert!(server.sent().is_empty());
}

#[test]
fn disconnect_does_not_raise_a_session_expiry_of_0() {
    let list = [Property::SessionExpiryInterval(5)];
    let goodbye =
        Disconnect { properties: list[..].into(), ..Disconnect::new(ReasonCode::Success) };
    let mut client = Client::new(Version::V5);
    let refused = client.session.disconnect(&goodbye, &mut client.tx);
    assert_eq!(refused, Err(Misuse::SessionExpiry.into()));
    let mut client = Client::with(client::Config::default(), Version::V5, list[..].into());
    client.session.disconnect(&goodbye, &mut client.tx).unwrap();
    let mut server = accept(Version::V5, &accepted());
    let refused = server.try_receive(&client.sent());
    assert_eq!(refused, Err(Error::Peer(Fault::SessionExpiry)));
}

/// [MQTT-4.13.2-1].
#[test]
fn a_connack_or_disconnect_of_failure_ends_the_connection_on_both_sides() {
    let mut server = waiting(&Connect::new(Version::V5, "c"));
    let refusal = ConnAck::new(ReasonCode::NotAuthorized);
    let wrong = server.session.accept(NOW, &refusal, &mut server.tx);
    assert_eq!(wrong, Err(Misuse::ReasonCode.into()));
    let wrong = server.session.reject(&accepted(), &mut server.tx);
    assert_eq!(wrong, Err(Misuse::ReasonCode.into()));
    // Without room nothing has changed: it can be said later.
    let full = server.session.reject(&refusal, &mut mqtt_session::Buffer::new(&mut []));
    assert_eq!(full, Err(Error::TransmitFull));
    server.session.reject(&refusal, &mut server.tx).unwrap();
    assert_eq!(server.sent(), [0x20, 3, 0, 0x87, 0]);
    assert!(server.receive(&[0xC0, 0]).is_empty());
    assert!(server.sent().is_empty());

    let mut session = client::Session::new(client::Config::default(), client::Slots::heap(4));
    let mut tx = Vec::new();
    session.connect(NOW, &Connect::new(Version::V5, "c"), &mut tx).unwrap();
    let mut rx = &[0x20, 3, 0, 0x87, 0, 0x30, 4, 0, 1, b'a', 0][..];
    let event = session.receive(NOW, &mut rx, &mut tx).unwrap();
    assert!(matches!(event, Some(Event::Refused(_))));
    assert_eq!(session.receive(NOW, &mut rx, &mut tx), Ok(None));
    assert!(!session.is_connected());
    let mut client = Client::new(Version::V5);
    assert_eq!(client.receive(&[0xE0, 1, 0x8B]).len(), 1);
    assert!(!client.session.is_connected());
}

/// [MQTT-4.8.0-1 of 3.1.1], [MQTT-4.8.0-2 of 3.1.1].
#[test]
fn after_a_violation_the_connection_is_over() {
    for version in BOTH {
        let mut client = Client::new(version);
        let mut server = accept(version, &accepted());
        assert!(matches!(client.try_receive(&[0x36, 1, 0]), Err(Error::Peer(_))));
        assert!(matches!(server.try_receive(&[0x36, 1, 0]), Err(Error::Peer(_))));
        let fine = published(version, QoS::AtLeastOnce, 1, false);
        assert!(client.receive(&fine).is_empty());
        assert!(server.receive(&fine).is_empty());
        assert!(!client.session.is_connected() && !server.session.is_connected());
    }
}

/// [MQTT-3.1.2-20], [MQTT-3.1.2-22], [MQTT-3.1.2-23 of 3.1.1].
#[test]
fn a_client_that_only_receives_still_sends_pingreq_in_time() {
    BOTH.into_iter().for_each(sends_pingreq_in_time);
}

fn sends_pingreq_in_time(version: Version) {
    let mut client = Client::new(version);
    let second = |n| NOW + Duration::from_secs(n);
    // QoS 0 needs no answer, so receiving it is not sending.
    let mut rx = &published(version, QoS::AtMostOnce, 0, false)[..];
    client.session.receive(second(50), &mut rx, &mut client.tx).unwrap();
    assert_eq!(client.session.next_timeout(), Some(second(60)));
    client.session.handle_timeout(second(59), &mut client.tx).unwrap();
    assert!(client.sent().is_empty());
    client.session.handle_timeout(second(60), &mut client.tx).unwrap();
    assert_eq!(client.sent(), [0xC0, 0]);
    // No answer in time: the connection is given up.
    assert_eq!(client.session.next_timeout(), Some(second(70)));
    let given_up = client.session.handle_timeout(second(70), &mut client.tx);
    assert_eq!(given_up, Err(Error::Peer(Fault::Timeout)));
    // A Keep Alive that is shorter than that patience goes on meanwhile.
    let mut client = Client::new(version);
    client.session.closed();
    let connect = Connect { keep_alive: 4, ..Connect::new(version, "c") };
    client.session.connect(NOW, &connect, &mut client.tx).unwrap();
    client.receive(connack(version, false));
    client.sent();
    for n in [4, 8] {
        assert_eq!(client.session.next_timeout(), Some(second(n)));
        client.session.handle_timeout(second(n), &mut client.tx).unwrap();
        assert_eq!(client.sent(), [0xC0, 0]);
    }
    client.session.handle_timeout(second(12), &mut client.tx).unwrap();
    assert_eq!(client.session.next_timeout(), Some(second(14)));
    let given_up = client.session.handle_timeout(second(14), &mut client.tx);
    assert_eq!(given_up, Err(Error::Peer(Fault::Timeout)));
    // QoS 1 is answered, which counts as sent.
    let mut client = Client::new(version);
    let mut rx = &published(version, QoS::AtLeastOnce, 1, false)[..];
    client.session.receive(second(50), &mut rx, &mut client.tx).unwrap();
    assert_eq!(client.session.next_timeout(), Some(second(110)));
}

/// [MQTT-3.1.2-21].
#[test]
fn the_server_keep_alive_counts_and_0_turns_it_off() {
    let mut client = Client::new(Version::V5);
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 0, 0, 3, 0x13, 0, 7]);
    assert_eq!(client.session.next_timeout(), Some(NOW + Duration::from_secs(7)));
    client.connect(Version::V5, Properties::EMPTY, &[0x20, 6, 0, 0, 3, 0x13, 0, 0]);
    assert_eq!(client.session.next_timeout(), None);
    let mut server = waiting(&Connect { keep_alive: 0, ..Connect::new(Version::V5, "c") });
    server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
    assert_eq!(server.session.next_timeout(), None);
    let mut server = waiting(&Connect { keep_alive: 3, ..Connect::new(Version::V5, "c") });
    server.session.accept(NOW, &accepted(), &mut server.tx).unwrap();
    server.sent();
    let due = NOW + Duration::from_millis(4500);
    assert_eq!(server.session.next_timeout(), Some(due));
    let gone = server.session.handle_timeout(due, &mut server.tx);
    assert_eq!(gone, Err(Error::Peer(Fault::KeepAlive)));
    assert_eq!(server.sent(), [0xE0, 1, 0x8D]);
}

/// One round each way; the last word is "yes".
struct Rounds(&'static str, u8);

impl Mechanism for Rounds {
    fn method(&self) -> &str {
        self.0
    }

    fn step(&mut self, received: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep {
        buffer[0] = self.1;
        self.1 += 1;
        match received {
            Some(b"no") => AuthStep::Failed(ReasonCode::NotAuthorized),
            Some(b"yes") => AuthStep::Done(1),
            _ => AuthStep::Continue(1),
        }
    }
}

fn auth<'a>(reason: ReasonCode, properties: &'a [Property<'a>]) -> Auth<'a> {
    Auth { reason, properties: properties.into() }
}

/// [MQTT-4.12.0-5], [MQTT-4.12.0-3].
#[test]
fn every_step_of_an_authentication_has_the_method_of_connect() {
    let (mut mine, mut buffer) = (Rounds("M", 1), [0; 8]);
    let (done, begin) = mine.answer(None, &mut buffer).unwrap();
    assert!(!done);
    let connect = Connect { properties: begin[..].into(), ..Connect::new(Version::V5, "c") };
    let mut session = client::Session::new(client::Config::default(), client::Slots::heap(4));
    let mut tx = Vec::new();
    session.connect(NOW, &connect, &mut tx).unwrap();
    let mut server = waiting(&connect);

    let (mut other, mut theirs) = (Rounds("M", 9), [0; 8]);
    let (_, step) = other.answer(Some(&[1]), &mut theirs).unwrap();
    let wrong = [Property::AuthenticationMethod("N")];
    let go_on = ReasonCode::ContinueAuthentication;
    for wrong in [
        auth(go_on, &wrong),
        auth(ReasonCode::Success, &step),
        auth(ReasonCode::ReAuthenticate, &step),
    ] {
        let refused = server.session.auth(NOW, &wrong, &mut server.tx);
        assert_eq!(refused, Err(Misuse::Authentication.into()));
        let refused = session.auth(NOW, &wrong, &mut tx);
        assert_eq!(refused, Err(Misuse::Authentication.into()));
    }
    server.session.auth(NOW, &auth(go_on, &step), &mut server.tx).unwrap();
    let sent = server.sent();
    let event = session.receive(NOW, &mut &sent[..], &mut tx).unwrap();
    let Some(Event::Auth(received)) = event else { panic!("{event:?}") };
    let (_, step) = mine.answer(received.properties.authentication_data(), &mut buffer).unwrap();
    tx.clear();
    session.auth(NOW, &auth(go_on, &step), &mut tx).unwrap();
    assert_eq!(server.receive(&tx).len(), 1);
    // CONNACK too, and on the client's side it is looked at.
    let wrong = server.session.accept(NOW, &accepted(), &mut server.tx);
    assert_eq!(wrong, Err(Misuse::Authentication.into()));
    let (done, last) = other.answer(Some(b"yes"), &mut theirs).unwrap();
    assert!(done);
    let connack = ConnAck { properties: last[..].into(), ..accepted() };
    server.session.accept(NOW, &connack, &mut server.tx).unwrap();
    let sent = server.sent();
    let event = session.receive(NOW, &mut &sent[..], &mut tx).unwrap();
    assert!(matches!(event, Some(Event::Connected(_))));

    let mut session = client::Session::new(client::Config::default(), client::Slots::heap(4));
    let method = [Property::AuthenticationMethod("M")];
    let connect = Connect { properties: method[..].into(), ..Connect::new(Version::V5, "c") };
    session.connect(NOW, &connect, &mut tx).unwrap();
    let refused = session.receive(NOW, &mut &CONNACK_V5[..], &mut tx);
    assert_eq!(refused, Err(Error::Peer(Fault::AuthenticationMethod)));
}

/// [MQTT-4.12.1-2], [MQTT-4.12.0-5].
#[test]
fn a_client_may_authenticate_again_and_is_thrown_out_if_that_fails() {
    let method = [Property::AuthenticationMethod("M")];
    let connect = Connect { properties: method[..].into(), ..Connect::new(Version::V5, "c") };
    let connack = ConnAck { properties: method[..].into(), ..accepted() };
    for success in [true, false] {
        let mut server = waiting(&connect);
        server.session.accept(NOW, &connack, &mut server.tx).unwrap();
        // Only the client begins.
        let go_on = auth(ReasonCode::ContinueAuthentication, &method);
        let refused = server.session.auth(NOW, &go_on, &mut server.tx);
        assert_eq!(refused, Err(Misuse::Authentication.into()));
        let mut session = client::Session::new(client::Config::default(), client::Slots::heap(4));
        let mut tx = Vec::new();
        session.connect(NOW, &connect, &mut tx).unwrap();
        let sent = server.sent();
        session.receive(NOW, &mut &sent[..], &mut tx).unwrap();
        tx.clear();
        session.auth(NOW, &auth(ReasonCode::ReAuthenticate, &method), &mut tx).unwrap();
        assert_eq!(server.receive(&tx).len(), 1);
        if success {
            let done = auth(ReasonCode::Success, &method);
            server.session.auth(NOW, &done, &mut server.tx).unwrap();
            let sent = server.sent();
            let event = session.receive(NOW, &mut &sent[..], &mut tx).unwrap();
            assert!(matches!(event, Some(Event::Auth(_))));
            // The exchange is over: another AUTH of the server belongs to nothing.
            let again = session.receive(NOW, &mut &sent[..], &mut tx);
            assert!(matches!(again, Err(Error::Peer(Fault::Unexpected(_)))));
        } else {
            let mut mechanism = Rounds("M", 1);
            let reason = mechanism.answer(Some(b"no"), &mut [0; 8]).unwrap_err();
            server.session.disconnect(&Disconnect::new(reason), &mut server.tx).unwrap();
            assert_eq!(server.sent(), [0xE0, 1, 0x87]);
            assert!(!server.session.is_connected());
        }
    }
    // AUTH without a method in CONNECT.
    let refused = Client::new(Version::V5).try_receive(&[0xF0, 6, 0x18, 4, 0x15, 0, 1, b'M']);
    assert_eq!(refused, Err(Error::Peer(Fault::AuthenticationMethod)));
    let mut server = accept(Version::V5, &accepted());
    let refused = server.try_receive(&[0xF0, 6, 0x19, 4, 0x15, 0, 1, b'M']);
    assert_eq!(refused, Err(Error::Peer(Fault::AuthenticationMethod)));
}

#[test]
fn a_connect_that_does_not_come_is_not_waited_for() {
    let mut config = server::Config::default();
    config.connect_timeout = Duration::from_secs(3);
    let mut session = server::Session::new(NOW, config, client::Slots::heap(4));
    let due = NOW + Duration::from_secs(3);
    assert_eq!(session.next_timeout(), Some(due));
    let before = Instant::from_millis(due.as_millis() - 1);
    session.handle_timeout(before, &mut Vec::new()).unwrap();
    let gone = session.handle_timeout(due, &mut Vec::new());
    assert_eq!(gone, Err(Error::Peer(Fault::Timeout)));
}

/// [MQTT-3.1.2-29]: where CONNECT asks for no problem information.
#[test]
fn reason_strings_that_were_not_asked_for_are_not_sent_and_not_taken() {
    let list = [Property::RequestProblemInformation(false)];
    let reason = [0x1F, 0, 1, b'r'];
    let user = [0x26, 0, 1, b'k', 0, 1, b'v'];
    for (first, reason_code) in
        [(0x40, 0), (0x50, 0), (0x62, 0), (0x70, 0), (0x90, 1), (0xB0, 0), (0xF0, 0x18)]
    {
        for property in [&reason[..], &user] {
            // In SUBACK and UNSUBACK the properties are in front of the codes.
            let behind = [property.len() as u8];
            let bytes = match first {
                0x90 | 0xB0 => [&[0, 1], &behind[..], property, &[reason_code]].concat(),
                0xF0 => [&[reason_code], &behind[..], property].concat(),
                _ => [&[0, 1, reason_code], &behind[..], property].concat(),
            };
            let bytes = [&[first, bytes.len() as u8], &bytes[..]].concat();
            let mut client = Client::with(client::Config::default(), Version::V5, list[..].into());
            let refused = client.try_receive(&bytes);
            if first == 0xF0 {
                // It lacks its Authentication Method, which is worse.
                assert!(matches!(refused, Err(Error::Peer(Fault::Packet(_)))));
            } else {
                assert_eq!(refused, Err(Error::Peer(Fault::ProblemInformation)), "{bytes:x?}");
            }
            assert_eq!(client.sent(), [0xE0, 1, 0x82]);
            // Who asks for nothing gets them.
            let taken = Client::new(Version::V5).try_receive(&bytes);
            assert_eq!(taken.is_ok(), first != 0xF0);
        }
    }
    // PUBLISH and DISCONNECT may have them.
    let mut client = Client::with(client::Config::default(), Version::V5, list[..].into());
    let publish = [&[0x30, 11, 0, 1, b'a', 7][..], &user].concat();
    assert_eq!(client.receive(&publish).len(), 1);
    assert_eq!(client.receive(&[&[0xE0, 6, 0x8B, 4][..], &reason].concat()).len(), 1);

    let connect = [Property::RequestProblemInformation(false), Property::AuthenticationMethod("M")];
    let mut server =
        waiting(&Connect { properties: connect[..].into(), ..Connect::new(Version::V5, "c") });
    let step = [Property::AuthenticationMethod("M"), Property::ReasonString("r")];
    let refused =
        server.session.auth(NOW, &auth(ReasonCode::ContinueAuthentication, &step), &mut server.tx);
    assert_eq!(refused, Err(Misuse::ProblemInformation.into()));
    let step = auth(ReasonCode::ContinueAuthentication, &step[..1]);
    server.session.auth(NOW, &step, &mut server.tx).unwrap();
}

/// Section 3.2.2.2: CONNACK is in the version of CONNECT, or there is none.
#[test]
fn a_connect_that_is_too_large_is_answered_if_it_says_that_it_is_of_version_5() {
    let mut config = server::Config::default();
    config.max_connect_size = 200;
    for (level, answer) in [(5, &[0x20, 3, 0, 0x95, 0][..]), (4, &[]), (3, &[])] {
        let mut session = server::Session::new(NOW, config, client::Slots::heap(4));
        let (mut connect, mut tx) = (vec![0x10, 0xC7, 1, 0, 4], Vec::new());
        connect.extend(b"MQTT");
        connect.push(level);
        let refused = session.receive(NOW, &mut &connect[..], &mut tx);
        assert!(matches!(refused, Err(Error::Peer(Fault::Packet(_)))));
        assert_eq!(tx, answer);
        // Before its version has come there is nothing to answer in.
        let mut session = server::Session::new(NOW, config, client::Slots::heap(4));
        tx.clear();
        let refused = session.receive(NOW, &mut &connect[..9], &mut tx);
        assert!(refused.is_err() && tx.is_empty());
    }
}
