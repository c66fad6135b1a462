//! CONNECT, CONNACK, takeover, authentication, Keep Alive.

use alloc::sync::Arc;
use core::num::NonZeroU16;
use std::collections::HashSet;
use std::sync::Mutex;

use mqtt_codec::{
    Auth, ConnAck, Connect, Packet, Property, PropertyId, Publish, QoS, ReasonCode, TopicName,
    Version, Will,
};
use mqtt_session::broker::{Admission, Client, Policy, Ticket};
use mqtt_session::{AuthStep, Mechanism};

use crate::harness::{BOTH, Net};

// [MQTT-3.1.4-5], [MQTT-3.2.0-2], [MQTT-3.1.4-4 of 3.1.1], [MQTT-3.2.0-1 of 3.1.1]
#[test]
fn a_valid_connect_is_answered_by_one_connack_with_success() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut net = Net::new();
        let client = net.client(version, "c");
        net.send(client, &Packet::PingReq);
        assert_eq!(net.packets(client), [Packet::PingResp]);
    }
}

// [MQTT-3.2.0-1], [MQTT-3.14.0-1]
#[test]
fn nothing_is_sent_before_connack() {
    let mut net = Net::new();
    // Retained messages and queued ones wait for a client; its PINGREQ comes with CONNECT.
    let (client, _) = net.keeper(Version::V5, "c");
    net.subscribe(client, "a", QoS::AtLeastOnce);
    net.cut(client);
    let other = net.client(Version::V5, "other");
    net.publish(other, "a", "waits", QoS::AtLeastOnce);
    let client = net.open(Version::V5);
    net.send_bytes(client, b"\x10\x0E\x00\x04MQTT\x05\x00\x00\x3C\x00\x00\x01c\xC0\x00");
    let packets = net.packets(client);
    assert!(matches!(packets[0], Packet::ConnAck(ConnAck { session_present: true, .. })));
    assert_eq!(packets.len(), 3);

    // And no DISCONNECT where there was no CONNACK.
    let stranger = net.open(Version::V5);
    net.send_bytes(stranger, b"\xC0\x00");
    assert!(net.is_closed(stranger));
    assert_eq!(net.bytes(stranger), []);
}

// [MQTT-3.1.0-2], [MQTT-3.1.0-2 of 3.1.1], [MQTT-4.13.1-1]
#[test]
fn a_second_connect_closes_the_connection() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(version, "c");
        net.send(client, &Packet::Connect(Connect::new(version, "c")));
        let told = net.goodbye(client);
        assert_eq!(told, (version == Version::V5).then_some(ReasonCode::ProtocolError));
    }
}

// [MQTT-3.1.2-1], [MQTT-3.1.2-1 of 3.1.1], [MQTT-3.1.4-1], [MQTT-3.1.4-1 of 3.1.1]
#[test]
fn a_wrong_protocol_name_or_a_wrong_field_closes_the_connection_without_connack() {
    let wrong: [&[u8]; 3] = [
        b"\x10\x0D\x00\x04MQTX\x04\x02\x00\x3C\x00\x01c",
        b"\x10\x0D\x00\x04MQTT\x04\x03\x00\x3C\x00\x01c",
        b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01\x00",
    ];
    for bytes in wrong {
        let mut net = Net::new();
        let client = net.open(Version::V311);
        net.send_bytes(client, bytes);
        assert!(net.is_closed(client));
        assert_eq!(net.bytes(client), [], "{bytes:02x?}");
    }
}

// [MQTT-3.1.2-2], [MQTT-3.1.2-2 of 3.1.1]
#[test]
fn an_unknown_protocol_version_is_refused_in_its_language() {
    let (v311, v5) = (&[0x20, 2, 0, 1][..], &[0x20, 3, 0, 0x84, 0][..]);
    // 0x84 is how bridges of mosquitto begin, and 0x83 behind the other name.
    for (level, answer) in [(2, v311), (0x83, v311), (6, v5), (99, v5), (0x85, v5)] {
        let mut net = Net::new();
        let client = net.open(Version::V5);
        let mut bytes = *b"\x10\x0D\x00\x04MQTT\x00\x02\x00\x3C\x00\x01c";
        bytes[8] = level;
        net.send_bytes(client, &bytes);
        assert!(net.is_closed(client));
        assert_eq!(net.bytes(client), answer, "level {level}");
    }
}

// [MQTT-3.1.3-5], [MQTT-3.1.3-5 of 3.1.1]
#[test]
fn client_identifiers_of_23_letters_and_digits_are_taken_and_longer_ones_too() {
    for version in BOTH {
        let mut net = Net::new();
        for name in ["0", "abcdefghijklmnopqrstuvw", "ABCDEFGHIJKLMNOPQRSTUVW", "0123456789xyzXYZ"]
        {
            net.client(version, name);
        }
        net.client(version, &"long and with blanks ".repeat(20));
        assert_eq!(net.broker.statistics().sessions, 5);
    }
}

// [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16], [MQTT-3.1.3-6 of 3.1.1]
#[test]
fn a_client_without_identifier_is_given_one_of_its_own() {
    let mut net = Net::new();
    let mut names = HashSet::new();
    for _ in 0..50 {
        let (_, connack) = net.connect(&Connect::new(Version::V5, ""));
        let name = connack.properties.assigned_client_identifier().expect("an identifier");
        assert!(names.insert(name.to_owned()));
        let (_, connack) = net.connect(&Connect::new(Version::V311, ""));
        assert_eq!(connack.properties.assigned_client_identifier(), None);
    }
    assert_eq!(net.broker.statistics().sessions, 100);
    // They do not tell the next one: 128 bits that depend on what the broker is seeded with.
    let first = |seed| {
        let mut net = Net::new();
        net.broker.seed([seed; 16]);
        let (_, connack) = net.connect(&Connect::new(Version::V5, ""));
        connack.properties.assigned_client_identifier().unwrap().to_owned()
    };
    assert_eq!(first(1).len(), "auto-".len() + 32);
    assert_eq!(first(1), first(1));
    assert!(names.insert(first(1)) && names.insert(first(2)));
    // It is the client's own: with it the session is found again.
    let list = [Property::SessionExpiryInterval(100)];
    let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, "") };
    let (client, connack) = net.connect(&connect);
    net.cut(client);
    let name = connack.properties.assigned_client_identifier().unwrap();
    assert!(net.keeper(Version::V5, name).1);
    let (_, connack) = net.connect(&Connect::new(Version::V5, "named"));
    assert!(!connack.properties.contains(PropertyId::AssignedClientIdentifier));
}

// [MQTT-3.1.3-8 of 3.1.1], [MQTT-3.1.3-9 of 3.1.1], [MQTT-3.1.3-8], [MQTT-3.2.2-7],
// [MQTT-3.2.2-5 of 3.1.1]
#[test]
fn a_refused_client_identifier_is_told_and_the_connection_closed() {
    let mut net = Net::with(|config| config.max_client_id_len = 30);
    let empty = Connect { clean_start: false, ..Connect::new(Version::V311, "") };
    assert_eq!(net.refused(&empty), Some(ReasonCode::ClientIdentifierNotValid));
    for version in BOTH {
        let long = "x".repeat(31);
        let told = net.refused(&Connect::new(version, &long));
        assert_eq!(told, Some(ReasonCode::ClientIdentifierNotValid));
    }
    assert_eq!(net.broker.statistics().sessions, 0);
}

// [MQTT-3.1.4-3], [MQTT-3.1.4-2 of 3.1.1]
#[test]
fn a_client_that_connects_again_takes_over_and_the_old_connection_is_told() {
    for version in BOTH {
        for clean_start in [true, false] {
            let mut net = Net::new();
            let (old, _) = net.keeper(version, "twin");
            net.subscribe(old, "mine", QoS::AtMostOnce);
            let connect = Connect { clean_start, ..Connect::new(version, "twin") };
            let (new, connack) = net.connect(&connect);
            assert_eq!(connack.session_present, !clean_start);
            let told = net.goodbye(old);
            assert_eq!(told, (version == Version::V5).then_some(ReasonCode::SessionTakenOver));
            net.publish(new, "mine", "for the new one", QoS::AtMostOnce);
            assert_eq!(net.payloads(new).len(), usize::from(!clean_start));
        }
    }
}

/// Keeps the ticket of who is told later.
#[derive(Default)]
struct Doorkeeper(Arc<Mutex<Vec<Ticket>>>);

impl Policy for Doorkeeper {
    fn connect(&mut self, client: Client<'_>, connect: &Connect<'_>) -> Admission {
        self.0.lock().unwrap().push(client.ticket);
        match (client.user_name, connect.password) {
            (Some("later"), _) => Admission::Later,
            (Some("moved"), _) => Admission::Refuse(ReasonCode::ServerMoved),
            (Some("odd"), _) => Admission::Refuse(ReasonCode::TopicNameInvalid),
            (Some(_), Some(b"right")) => Admission::Allow,
            _ => Admission::Refuse(ReasonCode::BadUserNameOrPassword),
        }
    }

    fn mechanism(&mut self, _: Client<'_>, method: &str) -> Option<Box<dyn Mechanism + Send>> {
        (method == "SUM").then(|| Box::new(Sum) as _)
    }
}

/// Lets in whom the transport has proved, and of them only the one called "device".
struct Certified;

impl Policy for Certified {
    fn connect(&mut self, client: Client<'_>, _: &Connect<'_>) -> Admission {
        if client.is_proven && client.user_name == Some("device") {
            Admission::Allow
        } else {
            Admission::Refuse(ReasonCode::NotAuthorized)
        }
    }

    fn publish(&mut self, client: Client<'_>, publish: &Publish<'_>) -> Admission {
        let own = client.is_proven && client.user_name == Some(publish.topic.as_str());
        if own { Admission::Allow } else { Admission::Refuse(ReasonCode::NotAuthorized) }
    }
}

// Section 5.4.2
#[test]
fn the_user_name_that_the_transport_has_proved_takes_the_place_of_that_in_connect() {
    for version in BOTH {
        let mut net = Net::with_policy(Certified);
        let claimed = Connect { user_name: Some("device".into()), ..Connect::new(version, "c") };
        assert!(net.refused(&claimed).is_some(), "a claim is no proof");
        for (proven, name, expected) in [
            ("device", Some("other"), true),
            ("other", Some("device"), false),
            ("device", None, true),
        ] {
            let client = net.open(version);
            net.broker.identify(client.id, proven);
            net.send(
                client,
                &Packet::Connect(Connect {
                    user_name: name.map(Into::into),
                    ..Connect::new(version, "c")
                }),
            );
            assert_eq!(net.is_closed(client), !expected, "{proven} {name:?}");
            if expected {
                // Too late, so that it stays who it is.
                net.broker.identify(client.id, "other");
                let _ = net.packets(client);
                net.publish(client, "device", "x", QoS::AtLeastOnce);
                net.subscribe(client, "device", QoS::AtMostOnce);
                net.publish(client, "device", "y", QoS::AtMostOnce);
                let taken = net.packets(client).len();
                assert_eq!(taken, 1, "a message of its own");
            }
        }
    }
}

/// Asks for the sum of 1 and 2.
struct Sum;

impl Mechanism for Sum {
    fn method(&self) -> &str {
        "SUM"
    }

    fn step(&mut self, received: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep {
        buffer[..2].copy_from_slice(&[1, 2]);
        match received {
            None => AuthStep::Continue(2),
            Some([3]) => AuthStep::Done(1),
            Some(_) => AuthStep::Failed(ReasonCode::NotAuthorized),
        }
    }
}

fn user<'a>(version: Version, name: &'a str, password: &'a [u8]) -> Connect<'a> {
    Connect { user_name: Some(name.into()), password: Some(password), ..Connect::new(version, "c") }
}

// [MQTT-3.1.4-2], [MQTT-3.1.4-6], [MQTT-3.1.4-5 of 3.1.1]
#[test]
fn who_is_refused_is_told_and_what_it_sent_behind_is_not_looked_at() {
    for version in BOTH {
        let mut net = Net::with_policy(Doorkeeper::default());
        let (old, _) = net.connect(&user(version, "ann", b"right"));
        net.subscribe(old, "a", QoS::AtMostOnce);
        let stranger = net.open(version);
        let mut bytes = Vec::new();
        let rules = mqtt_codec::Rules::new(version, mqtt_codec::Sender::Client);
        let connect = Packet::Connect(user(version, "ann", b"wrong"));
        let publish = Packet::Publish(crate::harness::message("a", "smuggled"));
        rules.encode_to_vec(&connect, &mut bytes).unwrap();
        rules.encode_to_vec(&publish, &mut bytes).unwrap();
        net.send_bytes(stranger, &bytes);
        assert!(net.is_closed(stranger));
        let connack = ConnAck::new(ReasonCode::BadUserNameOrPassword);
        assert_eq!(net.packets(stranger), [Packet::ConnAck(connack)]);
        // Nor is the client disturbed whose name it bore.
        assert!(!net.is_closed(old));
        assert_eq!(net.payloads(old), [""; 0]);
    }
}

// [MQTT-3.2.2-6 of 3.1.1]
#[test]
fn where_no_return_code_says_it_the_connection_is_closed_without_connack() {
    let mut net = Net::with_policy(Doorkeeper::default());
    let reason = |version, name| (version, name);
    for ((version, name), told) in [
        (reason(Version::V5, "moved"), Some(ReasonCode::ServerMoved)),
        (reason(Version::V5, "odd"), Some(ReasonCode::TopicNameInvalid)),
        (reason(Version::V311, "odd"), None),
    ] {
        assert_eq!(net.refused(&user(version, name, b"")), told, "{name}");
    }
}

#[test]
fn a_policy_may_answer_later() {
    let policy = Doorkeeper::default();
    let tickets = Arc::clone(&policy.0);
    let mut net = Net::with_policy(policy);
    let refused = Admission::Refuse(ReasonCode::NotAuthorized);
    for (answer, connected) in [(Admission::Allow, true), (refused, false)] {
        let client = net.open(Version::V5);
        net.send(client, &Packet::Connect(user(Version::V5, "later", b"")));
        assert_eq!(net.packet(client), None);
        net.wait(5.0);
        let ticket = tickets.lock().unwrap().pop().unwrap();
        assert_eq!(ticket.connection(), client.id);
        net.resolve(ticket, Admission::Later);
        assert_eq!(net.packet(client), None);
        net.resolve(ticket, answer);
        let Some(Packet::ConnAck(connack)) = net.packet(client) else { panic!("no CONNACK") };
        assert_eq!(connack.reason == ReasonCode::Success, connected);
        assert_eq!(net.is_closed(client), !connected);
        // A second answer changes nothing.
        net.resolve(ticket, Admission::Refuse(ReasonCode::Banned));
        assert_eq!(net.packet(client), None);
    }
    let patient = net.open(Version::V5);
    net.send(patient, &Packet::Connect(user(Version::V5, "later", b"")));
    net.wait(10.0);
    assert!(net.is_closed(patient), "for ever is too long");
    assert_eq!(net.broker.statistics().connections, 1);
}

fn sum(version: Version, first: &[u8]) -> ([Property<'_>; 2], Connect<'static>) {
    let list = [Property::AuthenticationMethod("SUM"), Property::AuthenticationData(first)];
    (list, user(version, "ann", b"right"))
}

// [MQTT-4.12.0-2], [MQTT-4.12.0-4]
#[test]
fn a_mechanism_may_ask_back_until_it_lets_the_client_in_or_not() {
    for (answer, reason) in [([3], ReasonCode::Success), ([4], ReasonCode::NotAuthorized)] {
        let mut net = Net::with_policy(Doorkeeper::default());
        let client = net.open(Version::V5);
        let method = [Property::AuthenticationMethod("SUM")];
        let connect =
            Connect { properties: method[..].into(), ..user(Version::V5, "ann", b"right") };
        net.send(client, &Packet::Connect(connect));
        let Some(Packet::Auth(auth)) = net.packet(client) else { panic!("no AUTH") };
        assert_eq!(auth.reason, ReasonCode::ContinueAuthentication);
        assert_eq!(auth.properties.authentication_method(), Some("SUM"));
        assert_eq!(auth.properties.authentication_data(), Some(&[1, 2][..]));

        let (properties, _) = sum(Version::V5, &answer);
        let auth =
            Auth { reason: ReasonCode::ContinueAuthentication, properties: properties[..].into() };
        net.send(client, &Packet::Auth(auth));
        let Some(Packet::ConnAck(connack)) = net.packet(client) else { panic!("no CONNACK") };
        assert_eq!(connack.reason, reason);
        assert_eq!(net.is_closed(client), reason.is_failure());
        if reason.is_failure() {
            continue;
        }
        assert_eq!(connack.properties.authentication_method(), Some("SUM"));
        assert_eq!(connack.properties.authentication_data(), Some(&[1][..]));

        // Once more, while connected (section 4.12.1).
        let auth = Auth { reason: ReasonCode::ReAuthenticate, ..auth };
        net.send(client, &Packet::Auth(auth));
        let Some(Packet::Auth(done)) = net.packet(client) else { panic!("no AUTH") };
        assert_eq!(done.reason, ReasonCode::Success);
        let (properties, _) = sum(Version::V5, &[9]);
        let auth = Auth { properties: properties[..].into(), ..auth };
        net.send(client, &Packet::Auth(auth));
        assert_eq!(net.goodbye(client), Some(ReasonCode::NotAuthorized));
    }
}

// [MQTT-4.12.0-1]
#[test]
fn an_unknown_authentication_method_is_refused() {
    let mut net = Net::with_policy(Doorkeeper::default());
    let method = [Property::AuthenticationMethod("GUESS")];
    let connect = Connect { properties: method[..].into(), ..user(Version::V5, "ann", b"right") };
    assert_eq!(net.refused(&connect), Some(ReasonCode::BadAuthenticationMethod));
}

// [MQTT-4.12.0-6]
#[test]
fn who_names_no_authentication_method_is_sent_none() {
    let mut net = Net::with_policy(Doorkeeper::default());
    let (client, connack) = net.connect(&user(Version::V5, "ann", b"right"));
    assert!(!connack.properties.contains(PropertyId::AuthenticationMethod));
    let (properties, _) = sum(Version::V5, &[3]);
    let auth = Auth { reason: ReasonCode::ReAuthenticate, properties: properties[..].into() };
    net.send(client, &Packet::Auth(auth));
    assert_eq!(net.goodbye(client), Some(ReasonCode::ProtocolError));
}

// [MQTT-3.1.2-22], [MQTT-3.2.2-22], [MQTT-3.1.2-24 of 3.1.1]
#[test]
fn a_client_that_is_silent_for_one_and_a_half_keep_alives_is_closed() {
    for version in BOTH {
        let mut net = Net::new();
        let will = Will::new(TopicName::new("gone").unwrap(), b"");
        let connect = Connect { keep_alive: 10, will: Some(will), ..Connect::new(version, "c") };
        let (client, _) = net.connect(&connect);
        let watcher = net.connect(&Connect { keep_alive: 0, ..Connect::new(version, "w") }).0;
        net.subscribe(watcher, "gone", QoS::AtMostOnce);
        net.wait(14.9);
        net.send(client, &Packet::PingReq);
        net.wait(14.9);
        assert!(!net.is_closed(client));
        net.wait(0.2);
        let told = net.goodbye(client);
        assert_eq!(told, (version == Version::V5).then_some(ReasonCode::KeepAliveTimeout));
        assert_eq!(net.messages(watcher).len(), 1);
        net.wait(1e6);
        assert!(!net.is_closed(watcher), "Keep Alive 0 is none");
    }
}

// [MQTT-3.2.2-21]
#[test]
fn a_longer_keep_alive_than_the_broker_wants_is_replaced_by_its_own() {
    let mut net = Net::with(|config| config.max_keep_alive = NonZeroU16::new(20));
    for (asked, told) in [(0, Some(20)), (21, Some(20)), (20, None), (5, None)] {
        let connect = Connect { keep_alive: asked, ..Connect::new(Version::V5, "c") };
        let (client, connack) = net.connect(&connect);
        assert_eq!(connack.properties.server_keep_alive(), told);
        let seconds = told.unwrap_or(asked);
        net.wait(f64::from(seconds) * 1.5 - 0.1);
        assert!(!net.is_closed(client));
        net.wait(0.2);
        assert!(net.is_closed(client));
    }
}

// [MQTT-3.12.4-1], [MQTT-3.12.4-1 of 3.1.1]
#[test]
fn pingreq_is_answered_by_pingresp() {
    for version in BOTH {
        let mut net = Net::new();
        let client = net.client(version, "c");
        for _ in 0..3 {
            net.send(client, &Packet::PingReq);
            assert_eq!(net.packet(client), Some(Packet::PingResp));
        }
    }
}

// [MQTT-3.1.2-28], [MQTT-3.1.2-29]
#[test]
fn nothing_is_told_that_the_client_did_not_ask_for() {
    let mut net = Net::new();
    let list =
        [Property::RequestResponseInformation(false), Property::RequestProblemInformation(false)];
    let connect = Connect { properties: list[..].into(), ..Connect::new(Version::V5, "c") };
    let (client, connack) = net.connect(&connect);
    assert!(!connack.properties.contains(PropertyId::ResponseInformation));
    net.subscribe(client, "a", QoS::AtMostOnce);
    let told = net.unsubscribe(client, &["b"]).unwrap();
    assert_eq!(told, [ReasonCode::NoSubscriptionExisted]);
    assert_eq!(net.packets(client), []);
}

#[test]
fn who_sends_no_connect_is_closed_in_time() {
    let mut net = Net::new();
    let silent = net.open(Version::V5);
    let slow = net.open(Version::V5);
    net.wait(9.0);
    let mut rx = &b"\x10\x0D\x00\x04"[..];
    let _ = net.try_send(slow, &mut rx);
    net.wait(1.0);
    assert!(net.is_closed(silent) && net.is_closed(slow));
    assert_eq!(net.broker.statistics().connections, 0);
}

#[test]
fn a_broker_that_shuts_down_says_so() {
    let mut net = Net::new();
    let clients = BOTH.map(|version| net.client(version, &version.to_string()));
    let stranger = net.open(Version::V5);
    net.shut_down();
    assert_eq!(net.goodbye(clients[0]), None);
    assert_eq!(net.goodbye(clients[1]), Some(ReasonCode::ServerShuttingDown));
    assert_eq!(net.goodbye(stranger), None);
    assert_eq!(net.broker.statistics().connections, 0);
}

#[test]
fn every_connection_is_told_of_when_it_begins_and_once_when_it_ends() {
    let policy = Doorkeeper::default();
    let tickets = Arc::clone(&policy.0);
    let mut net = Net::with_policy(policy);
    let right = |name| Connect {
        user_name: Some("user".into()),
        password: Some(b"right"),
        ..Connect::new(Version::V5, name)
    };
    let first = net.connect(&right("a")).0;
    let second = net.connect(&right("a")).0;
    let third = net.connect(&right("b")).0;
    let fourth = net.connect(&right("c")).0;
    net.disconnect(second, ReasonCode::NORMAL_DISCONNECTION);
    net.cut(third);
    net.send_bytes(fourth, &[0x00, 0x00]);
    let refused = net.open(Version::V311);
    net.send(refused, &Packet::Connect(Connect::new(Version::V311, "d")));
    let silent = net.open(Version::V311);
    net.wait(10.0);
    let later = net.open(Version::V5);
    let connect = Connect { user_name: Some("later".into()), ..Connect::new(Version::V5, "e") };
    net.send(later, &Packet::Connect(connect));
    let ticket = tickets.lock().unwrap().pop().unwrap();
    net.resolve(ticket, Admission::Refuse(ReasonCode::Banned));

    let ends = [
        (first, "a is let in", "a ends: the broker said: Session taken over"),
        (second, "a is let in", "a ends: the client said goodbye"),
        (third, "b is let in", "b ends: the transport was closed without DISCONNECT"),
        (fourth, "c is let in", "c ends: byte 0: "),
        (refused, "d is refused: Bad User Name or Password", ""),
        (silent, "? ends: no answer came in time", ""),
        (later, "e is refused: Banned", ""),
    ];
    for (client, begin, end) in ends {
        let told = net.notices(client);
        assert_eq!(told[0], begin);
        assert_eq!(told.len(), 1 + usize::from(!end.is_empty()), "{told:?}");
        assert!(told.last().unwrap().starts_with(end), "{told:?}");
    }
}

/// Allows no message, and whoever knows the sum.
struct Silent;

impl Policy for Silent {
    fn publish(&mut self, _: Client<'_>, _: &Publish<'_>) -> Admission {
        Admission::Refuse(ReasonCode::QuotaExceeded)
    }

    fn mechanism(&mut self, _: Client<'_>, _: &str) -> Option<Box<dyn Mechanism + Send>> {
        Some(Box::new(Sum))
    }
}

#[test]
fn who_has_not_authenticated_does_not_learn_that_its_will_is_forbidden() {
    for (answer, told) in [(&[3][..], ReasonCode::QuotaExceeded), (&[4], ReasonCode::NotAuthorized)]
    {
        let mut net = Net::with_policy(Silent);
        let will = Will::new(TopicName::new("gone").unwrap(), b"");
        let method = [Property::AuthenticationMethod("SUM")];
        let client = net.open(Version::V5);
        net.send(
            client,
            &Packet::Connect(Connect {
                will: Some(will),
                properties: method[..].into(),
                ..Connect::new(Version::V5, "c")
            }),
        );
        assert!(matches!(net.packet(client), Some(Packet::Auth(_))), "it is asked first");
        let list = [Property::AuthenticationMethod("SUM"), Property::AuthenticationData(answer)];
        let reason = ReasonCode::ContinueAuthentication;
        net.send(client, &Packet::Auth(Auth { reason, properties: list[..].into() }));
        let Some(Packet::ConnAck(connack)) = net.packet(client) else { panic!("no CONNACK") };
        assert_eq!(connack.reason, told);
    }
}
