//! What is written in one walk is what is written after measuring, wherever lengths take a byte more
//! and wherever strings are copied in another way; and what breaks a rule is refused wherever it stands.
#![cfg(feature = "alloc")]

use mqtt_codec::{
    Ack, Auth, ConnAck, Connect, Disconnect, EncodeError, List, Packet, PacketId, Policy,
    Properties, Property, PropertyId, Publish, QoS, ReasonCode, Rules, Scope, Sender, SubAck,
    Subscribe, Subscription, SubscriptionId, Text, TopicFilter, TopicName, UnsubAck, Unsubscribe,
    Version, Violation, Will,
};

/// Under Miri, which takes its time, each way of copying is gone once and no more.
const STRINGS: usize = if cfg!(miri) { 18 } else { 70 };

/// Packets are shorter than this, in bytes.
const MOST: usize = if cfg!(miri) { 1000 } else { usize::MAX };

const RULES: Rules = Rules::new(Version::V5, Sender::Either);

/// Writes the packet in both ways, with as much room and as large a limit as it takes and with one less.
fn written(packet: &Packet<'_>) -> Vec<u8> {
    let mut measured = Vec::new();
    let len = RULES.encode_to_vec(packet, &mut measured).unwrap();
    assert_eq!(len, measured.len());
    for spare in [0, 1, 300] {
        let mut buffer = vec![0xAA; len + spare];
        assert_eq!(RULES.encode(packet, &mut buffer), Ok(len));
        assert!(buffer[..len] == measured[..], "{len} bytes, {spare} to spare");
    }
    let mut buffer = vec![0; len + 300];
    let limited = Rules { max_packet_size: len as u32, ..RULES };
    assert_eq!(limited.encode(packet, &mut buffer), Ok(len));
    assert!(buffer[..len] == measured[..]);
    let refused = RULES.encode(packet, &mut buffer[..len - 1]);
    assert_eq!(refused, Err(EncodeError::NoRoom { needed: len }));
    // It is too large then, or written without what may be left out.
    let limited = Rules { max_packet_size: len as u32 - 1, ..RULES };
    let mut shorter = Vec::new();
    let shorter_len = limited.encode_to_vec(packet, &mut shorter);
    assert_eq!(limited.encode(packet, &mut buffer), shorter_len);
    assert!(shorter_len.is_err() || buffer.starts_with(&shorter));
    assert!(RULES.decode(&mut &measured[..]) == Ok(Some(*packet)));
    measured
}

fn refused(packet: &Packet<'_>, violation: Violation) {
    assert_eq!(RULES.encode(packet, &mut [0; 512]), Err(violation.into()), "{packet:?}");
    assert_eq!(RULES.encoded_len(packet), Err(violation.into()));
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

fn id() -> PacketId {
    PacketId::new(7).unwrap()
}

fn publish<'a>(list: &'a [Property<'a>], payload: &'a [u8]) -> Packet<'a> {
    let properties = Properties::from(list);
    Packet::Publish(Publish { properties, ..Publish::new(topic("a/b"), payload) })
}

/// This string wherever a string may stand.
fn everywhere(text: &str, check: impl Fn(&Packet<'_>)) {
    let list = [Property::ContentType(text), Property::MessageExpiryInterval(1)];
    check(&publish(&list, b"x"));
    check(&publish(&[Property::UserProperty((text, "value"))], b"x"));
    check(&publish(&[Property::UserProperty(("name", text))], b"x"));
    let client_id = Connect { client_id: Text::new(text), ..Connect::new(Version::V5, "") };
    check(&Packet::Connect(client_id));
    let user_name = Some(Text::new(text));
    check(&Packet::Connect(Connect { user_name, ..Connect::new(Version::V5, "c") }));
    let reason = [Property::ReasonString(text)];
    let reason = Properties::from(&reason[..]);
    check(&Packet::PubAck(Ack { properties: reason, ..Ack::new(id()) }));
}

/// MQTT-1.5.4-2: strings are copied in pieces of 4, 8 or 16 bytes, and looked at piece by piece.
#[test]
fn a_nul_is_refused_at_each_place_of_strings_of_each_length() {
    for len in 0..=STRINGS {
        let plain = "x".repeat(len);
        everywhere(&plain, |packet| drop(written(packet)));
        for at in 0..len {
            let nul = plain[..at].to_owned() + "\0" + &plain[at + 1..];
            everywhere(&nul, |packet| refused(packet, Violation::StringHasNul));
        }
    }
}

#[test]
fn what_is_not_ascii_is_written_at_each_place_of_strings_of_each_length() {
    for len in 2..=STRINGS / 2 {
        for at in 0..=len - 2 {
            // C2 80: a byte that is 0 but for its highest bit.
            let text = "x".repeat(at) + "\u{80}" + &"\u{1}".repeat(len - 2 - at);
            everywhere(&text, |packet| drop(written(packet)));
            if at + 3 <= len {
                let nul = "x".repeat(at) + "\u{80}\0" + &"y".repeat(len - 3 - at);
                everywhere(&nul, |packet| refused(packet, Violation::StringHasNul));
            }
        }
    }
}

#[test]
fn a_field_is_as_long_as_two_bytes_can_say_and_no_longer() {
    let [longest, longer] = [65_535, 65_536].map(|len| "x".repeat(len));
    everywhere(&longest, |packet| drop(written(packet)));
    everywhere(&longer, |packet| {
        let mut buffer = vec![0; 70_000];
        let refused = Err(Violation::StringTooLong.into());
        assert_eq!(RULES.encode(packet, &mut buffer), refused);
    });
    let data = |bytes| [Property::CorrelationData(bytes)];
    written(&publish(&data(longest.as_bytes()), b"x"));
    let refused = Err(Violation::StringTooLong.into());
    let mut buffer = vec![0; 70_000];
    assert_eq!(RULES.encode(&publish(&data(longer.as_bytes()), b"x"), &mut buffer), refused);
    let connect = |bytes| {
        let will = Some(Will::new(topic("w"), bytes));
        Connect { will, password: Some(bytes), ..Connect::new(Version::V5, "c") }
    };
    written(&Packet::Connect(connect(longest.as_bytes())));
    let longer = Packet::Connect(connect(longer.as_bytes()));
    assert_eq!(RULES.encode(&longer, &mut vec![0; 140_000]), refused);
}

#[test]
fn binary_data_and_topics_of_each_length_are_copied_whole() {
    let bytes: Vec<u8> = (0..STRINGS as u8).collect();
    let name: String = (b'0'..=b'z').map(char::from).collect();
    for len in 0..=STRINGS {
        let data = [Property::CorrelationData(&bytes[..len])];
        written(&publish(&data, b"x"));
        let name = topic(&name[..len + 1]);
        let response = [Property::ResponseTopic(name)];
        for (packet_id, qos) in [(None, QoS::AtMostOnce), (Some(id()), QoS::AtLeastOnce)] {
            let properties = Properties::from(&response[..]);
            let publish = Publish { packet_id, qos, properties, ..Publish::new(name, b"x") };
            written(&Packet::Publish(publish));
        }
    }
}

/// User Properties that take so many bytes together, in few or in many.
fn user_properties(len: usize, many: bool) -> Vec<Property<'static>> {
    const TEXT: &str = match core::str::from_utf8(&[b'x'; 65_535]) {
        Ok(text) => text,
        Err(_) => "",
    };
    let mut rest = len;
    let mut list = Vec::new();
    while rest >= 5 {
        // None is left over that is shorter than the shortest.
        let most = if many { 0 } else { 65_535 };
        let text = match rest - 5 {
            text if text <= most => text,
            text if text < 5 => text,
            text => most.min(text - 5),
        };
        list.push(Property::UserProperty((&TEXT[..text], "")));
        rest -= 5 + text;
    }
    assert_eq!(rest, 0);
    list
}

/// MQTT-1.5.5-1, MQTT-2.2.2-1.
#[test]
fn a_property_length_takes_as_many_bytes_as_it_needs() {
    for many in [false, true] {
        let lengths = [5, 126, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152];
        for len in lengths.into_iter().filter(|len| *len < MOST) {
            let many = many && len < 20_000;
            let list = user_properties(len, many);
            let properties = Properties::from(&list[..]);
            written(&publish(&list, b""));
            if len > 20_000 {
                continue;
            }
            written(&publish(&list, &[7; 200]));
            let will = Will { properties, ..Will::new(topic("w"), b"gone") };
            let connect = Connect { properties, ..Connect::new(Version::V5, "c") };
            written(&Packet::Connect(connect));
            written(&Packet::Connect(Connect { will: Some(will), ..connect }));
            let filter = [Subscription::new(TopicFilter::new("a").unwrap(), QoS::AtMostOnce)];
            let subscriptions = List::from(&filter[..]);
            written(&Packet::Subscribe(Subscribe { packet_id: id(), properties, subscriptions }));
        }
    }
}

/// Section 2.1.4: how long the fixed header is is guessed, and the packet moved where that was wrong.
#[test]
fn a_remaining_length_takes_as_many_bytes_as_it_needs() {
    for around in [128, 16_384].into_iter().filter(|around| *around < MOST) {
        for len in around - 45..around + 4 {
            let payload = vec![7; len];
            written(&publish(&user_properties(len, around == 128), b""));
            written(&publish(&user_properties(11, true), &payload[11..]));
            written(&publish(&[], &payload));
            let password = Some(&payload[..]);
            let connect = Connect { password, ..Connect::new(Version::V5, "c") };
            written(&Packet::Connect(connect));
            let will = Some(Will::new(topic("w"), &payload));
            written(&Packet::Connect(Connect { will, password: None, ..connect }));
            let list = user_properties(len, around == 128);
            let ack = Ack { properties: Properties::from(&list[..]), ..Ack::new(id()) };
            written(&Packet::PubRec(ack));
            let reasons = vec![ReasonCode::Success; len];
            let reasons = List::from(&reasons[..]);
            let properties = Properties::EMPTY;
            written(&Packet::SubAck(SubAck { packet_id: id(), properties, reasons }));
            written(&Packet::UnsubAck(UnsubAck { packet_id: id(), properties, reasons }));
            let long = "f".repeat(len);
            // Guessed to be longer than they are.
            let short =
                vec![TopicFilter::new("f").unwrap(); if around == 128 { len / 3 } else { 1 }];
            for filters in [&[TopicFilter::new(&long).unwrap()], &short[..]] {
                let subscriptions: Vec<_> =
                    filters.iter().map(|f| Subscription::new(*f, QoS::AtMostOnce)).collect();
                let subscriptions = List::from(&subscriptions[..]);
                let packet = Subscribe { packet_id: id(), properties, subscriptions };
                written(&Packet::Subscribe(packet));
                let filters = List::from(filters);
                written(&Packet::Unsubscribe(Unsubscribe { packet_id: id(), properties, filters }));
            }
        }
    }
}

/// A value for each property.
fn values() -> Vec<Property<'static>> {
    use Property as P;
    let some = core::num::NonZeroU16::MIN;
    vec![
        P::PayloadFormatIndicator(true),
        P::MessageExpiryInterval(1),
        P::ContentType("type"),
        P::ResponseTopic(topic("response")),
        P::CorrelationData(b"data"),
        P::SubscriptionIdentifier(SubscriptionId::new(1).unwrap()),
        P::SessionExpiryInterval(2),
        P::AssignedClientIdentifier("client"),
        P::ServerKeepAlive(3),
        P::AuthenticationMethod("method"),
        P::AuthenticationData(b"secret"),
        P::RequestProblemInformation(true),
        P::WillDelayInterval(4),
        P::RequestResponseInformation(true),
        P::ResponseInformation("information"),
        P::ServerReference("server"),
        P::ReasonString("reason"),
        P::ReceiveMaximum(some),
        P::TopicAliasMaximum(5),
        P::TopicAlias(some),
        P::MaximumQoS(QoS::AtLeastOnce),
        P::RetainAvailable(true),
        P::UserProperty(("name", "value")),
        P::MaximumPacketSize(core::num::NonZeroU32::MIN),
        P::WildcardSubscriptionAvailable(true),
        P::SubscriptionIdentifierAvailable(true),
        P::SharedSubscriptionAvailable(true),
    ]
}

/// A packet with these properties there; `f` gets it.
fn with_properties(scope: Scope, list: &[Property<'_>], f: impl Fn(&Packet<'_>)) {
    let properties = Properties::from(list);
    let ack = Ack { properties, ..Ack::new(id()) };
    let filters = [TopicFilter::new("a").unwrap()];
    let subscription = [Subscription::new(filters[0], QoS::AtMostOnce)];
    let reasons = List::from(&[ReasonCode::Success][..]);
    let connect = Connect::new(Version::V5, "c");
    f(&match scope {
        Scope::Will => {
            let will = Some(Will { properties, ..Will::new(topic("w"), b"gone") });
            Packet::Connect(Connect { will, ..connect })
        }
        Scope::Connect => Packet::Connect(Connect { properties, ..connect }),
        Scope::ConnAck => Packet::ConnAck(ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties,
        }),
        Scope::Publish => publish(list, b"x"),
        Scope::PubAck => Packet::PubAck(ack),
        Scope::PubRec => Packet::PubRec(ack),
        Scope::PubRel => Packet::PubRel(ack),
        Scope::PubComp => Packet::PubComp(ack),
        Scope::Subscribe => {
            let subscriptions = List::from(&subscription[..]);
            Packet::Subscribe(Subscribe { packet_id: id(), properties, subscriptions })
        }
        Scope::SubAck => Packet::SubAck(SubAck { packet_id: id(), properties, reasons }),
        Scope::Unsubscribe => {
            let filters = List::from(&filters[..]);
            Packet::Unsubscribe(Unsubscribe { packet_id: id(), properties, filters })
        }
        Scope::UnsubAck => Packet::UnsubAck(UnsubAck { packet_id: id(), properties, reasons }),
        Scope::Disconnect => {
            Packet::Disconnect(Disconnect { reason: ReasonCode::Success, properties })
        }
        Scope::Auth => {
            Packet::Auth(Auth { reason: ReasonCode::ContinueAuthentication, properties })
        }
    });
}

const SCOPES: [Scope; 14] = [
    Scope::Will,
    Scope::Connect,
    Scope::ConnAck,
    Scope::Publish,
    Scope::PubAck,
    Scope::PubRec,
    Scope::PubRel,
    Scope::PubComp,
    Scope::Subscribe,
    Scope::SubAck,
    Scope::Unsubscribe,
    Scope::UnsubAck,
    Scope::Disconnect,
    Scope::Auth,
];

/// Section 2.2.2.2, table 2-4, and MQTT-2.2.2-2 and the like of each packet.
#[test]
fn a_property_stands_where_it_may_and_as_often_as_it_may_also_last() {
    let values = values();
    assert!(values.iter().map(Property::id).eq(PropertyId::ALL.iter().copied()));
    for scope in SCOPES {
        let allowed: Vec<_> = values.iter().filter(|p| p.id().is_allowed(scope)).copied().collect();
        with_properties(scope, &allowed, |packet| drop(written(packet)));
        for property in &values {
            let more = [&allowed[..], &[*property]].concat();
            with_properties(scope, &more, |packet| {
                if !property.id().is_allowed(scope) {
                    refused(packet, Violation::PropertyNotAllowed);
                } else if property.id().may_repeat(scope) {
                    written(packet);
                } else {
                    refused(packet, Violation::PropertyTwice);
                }
            });
        }
    }
}

/// MQTT-3.3.4-6, MQTT-3.14.2-2, and section 3.1.2.11.10.
#[test]
fn a_property_comes_from_the_side_that_may_send_it_and_with_its_companion() {
    let matched = [Property::SubscriptionIdentifier(SubscriptionId::new(1).unwrap()); 2];
    let expiry = [Property::SessionExpiryInterval(1)];
    let cases = [
        (Scope::Publish, &matched[..], Sender::Client, Violation::SubscriptionIdFromClient),
        (Scope::Disconnect, &expiry[..], Sender::Server, Violation::SessionExpiryFromServer),
    ];
    for (scope, list, wrong, violation) in cases {
        with_properties(scope, list, |packet| {
            for sender in [Sender::Client, Sender::Server, Sender::Either] {
                let rules = Rules::new(Version::V5, sender);
                let encoded = rules.encode(packet, &mut [0; 64]);
                assert_eq!(encoded.is_err(), sender == wrong, "{packet:?}");
                assert!(encoded.is_ok() || encoded == Err(violation.into()));
            }
        });
    }
    let data = [Property::AuthenticationData(b"secret")];
    with_properties(Scope::Connect, &data, |packet| {
        refused(packet, Violation::AuthDataWithoutMethod);
    });
    with_properties(Scope::ConnAck, &data, |packet| drop(written(packet)));
}

#[test]
fn what_a_policy_refuses_is_refused_in_writing_too() {
    let strict = |set: fn(&mut Policy)| {
        let mut rules = RULES;
        set(&mut rules.policy);
        rules
    };
    let control = strict(|policy| policy.refuse_control_characters = true);
    everywhere("a\u{1}b", |packet| {
        let refused = Err(Violation::StringHasControl.into());
        assert_eq!(control.encode(packet, &mut [0; 64]), refused);
    });
    let text = [Property::PayloadFormatIndicator(true)];
    let checks = strict(|policy| policy.check_payload_format = true);
    let refused = Err(Violation::PayloadNotUtf8.into());
    assert_eq!(checks.encode(&publish(&text, b"\xFF"), &mut [0; 64]), refused);
    assert!(checks.encode(&publish(&text, b"text"), &mut [0; 64]).is_ok());
    let empty = Auth { reason: ReasonCode::Success, properties: Properties::EMPTY };
    let refuses = strict(|policy| policy.refuse_empty_auth = true);
    assert!(refuses.encode(&Packet::Auth(empty), &mut [0; 64]).is_err());
}
