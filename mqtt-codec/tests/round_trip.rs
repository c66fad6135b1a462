//! Any packet that can be built is written or refused, and what is written is read as the same
//! packet: under all rules, also when some of its bytes are changed.
#![cfg(feature = "alloc")]

use core::num::{NonZeroU16, NonZeroU32};

use mqtt_codec::{
    Ack, Auth, ConnAck, Connect, Disconnect, EncodeError, List, Packet, PacketId, PacketType,
    Policy, Properties, Property, PropertyId, Publish, QoS, ReasonCode, RetainHandling, Rules,
    Scope, Sender, SubAck, Subscribe, Subscription, SubscriptionId, Text, TopicFilter, TopicName,
    UnsubAck, Unsubscribe, Version, Will, sn,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What packets are made of: owned, as strategies make it.
#[derive(Clone, Debug)]
struct Material {
    /// Whether what does not belong into the packet is left out of it, so that most are written.
    tame: bool,
    kind: u8,
    flags: u8,
    number: u16,
    text: [String; 4],
    binary: Vec<u8>,
    names: [String; 2],
    filters: Vec<(String, u8)>,
    reasons: Vec<ReasonCode>,
    properties: Vec<Piece>,
    will_properties: Vec<Piece>,
}

/// A property to be: which one, and something for each type of value.
#[derive(Clone, Debug)]
struct Piece {
    which: usize,
    number: u32,
    text: (String, String),
    name: String,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z0-9/]{0,12}",
        2 => any::<String>(),
        1 => select(&["\0", "a\0b", "\u{1}", "\u{FEFF}", "\u{FFFF}", "é€𐍈"][..]).prop_map(Into::into),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]{1,5}(/[a-z]{0,5}){0,3}", 1 => Just(String::new())]
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof!["[a-z]{0,4}", Just("+".to_owned())];
    (vec(level, 1..4), any::<bool>(), prop_oneof![4 => Just(false), 1 => Just(true)]).prop_map(
        |(levels, hash, shared)| {
            let share = if shared { "$share/group/" } else { "" };
            format!(
                "{share}x{}{}",
                levels.join("/").replace('+', "/+/"),
                if hash { "/#" } else { "" }
            )
        },
    )
}

fn piece() -> impl Strategy<Value = Piece> {
    let number = prop_oneof![0..3_u32, any::<u32>(), 268_435_454..268_435_457_u32];
    ((0..27_usize), number, (text(), text()), name())
        .prop_map(|(which, number, text, name)| Piece { which, number, text, name })
}

fn material() -> impl Strategy<Value = Material> {
    let texts = [text(), text(), text(), text()];
    let filters = vec((filter(), any::<u8>()), 0..4);
    let reasons = vec(select(ReasonCode::ALL), 0..4);
    (
        (
            prop::bool::weighted(0.7),
            0..15_u8,
            any::<u8>(),
            any::<u16>(),
            texts,
            vec(any::<u8>(), 0..200),
        ),
        ([name(), name()], filters, reasons, vec(piece(), 0..5), vec(piece(), 0..3)),
    )
        .prop_map(
            |(
                (tame, kind, flags, number, text, binary),
                (names, filters, reasons, properties, will),
            )| {
                let will_properties = will;
                Material {
                    tame,
                    kind,
                    flags,
                    number,
                    text,
                    binary,
                    names,
                    filters,
                    reasons,
                    properties,
                    will_properties,
                }
            },
        )
}

fn rules() -> impl Strategy<Value = Rules> {
    (
        select(&[Version::V31, Version::V311, Version::V5, Version::V5][..]),
        select(&[Sender::Client, Sender::Server, Sender::Either][..]),
        prop_oneof![3 => Just(268_435_460), 1 => 2..300_u32],
        any::<[bool; 4]>(),
    )
        .prop_map(|(version, sender, max_packet_size, [control, nonchar, payload, auth])| {
            let mut rules = Rules::new(version, sender);
            rules.max_packet_size = max_packet_size;
            let mut policy = Policy::default();
            policy.refuse_control_characters = control;
            policy.refuse_noncharacters = nonchar;
            policy.check_payload_format = payload;
            policy.refuse_empty_auth = auth;
            rules.policy = policy;
            rules
        })
}

fn qos(bits: u8) -> QoS {
    QoS::from_bits(bits % 3).unwrap()
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap_or(TopicName::ALIASED)
}

fn property(piece: &Piece) -> Property<'_> {
    use Property as P;
    let (flag, number) = (piece.number % 2 == 1, piece.number);
    let short = number as u16;
    let text = piece.text.0.as_str();
    let some = NonZeroU16::new(short).unwrap_or(NonZeroU16::MIN);
    let id = SubscriptionId::new(number.clamp(1, 268_435_455)).unwrap();
    match piece.which {
        0 => P::PayloadFormatIndicator(flag),
        1 => P::MessageExpiryInterval(number),
        2 => P::ContentType(text),
        3 => P::ResponseTopic(topic(&piece.name)),
        4 => P::CorrelationData(text.as_bytes()),
        5 => P::SubscriptionIdentifier(id),
        6 => P::SessionExpiryInterval(number),
        7 => P::AssignedClientIdentifier(text),
        8 => P::ServerKeepAlive(short),
        9 => P::AuthenticationMethod(text),
        10 => P::AuthenticationData(text.as_bytes()),
        11 => P::RequestProblemInformation(flag),
        12 => P::WillDelayInterval(number),
        13 => P::RequestResponseInformation(flag),
        14 => P::ResponseInformation(text),
        15 => P::ServerReference(text),
        16 => P::ReasonString(text),
        17 => P::ReceiveMaximum(some),
        18 => P::TopicAliasMaximum(short),
        19 => P::TopicAlias(some),
        20 => P::MaximumQoS(qos(number as u8)),
        21 => P::RetainAvailable(flag),
        22 => P::MaximumPacketSize(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)),
        23 => P::WildcardSubscriptionAvailable(flag),
        24 => P::SubscriptionIdentifierAvailable(flag),
        25 => P::SharedSubscriptionAvailable(flag),
        _ => P::UserProperty((text, &piece.text.1)),
    }
}

/// Where the properties of each packet stand, by its number.
const SCOPES: [Option<Scope>; 15] = [
    Some(Scope::Connect),
    Some(Scope::ConnAck),
    Some(Scope::Publish),
    Some(Scope::PubAck),
    Some(Scope::PubRec),
    Some(Scope::PubRel),
    Some(Scope::PubComp),
    Some(Scope::Subscribe),
    Some(Scope::SubAck),
    Some(Scope::Unsubscribe),
    Some(Scope::UnsubAck),
    None,
    None,
    Some(Scope::Disconnect),
    Some(Scope::Auth),
];

/// The properties made of these pieces; for a tame packet those that may stand there, once each, and
/// with the method that AUTH needs.
fn properties(pieces: &[Piece], tame: Option<Option<Scope>>) -> Vec<Property<'_>> {
    let mut list: Vec<_> = pieces.iter().map(property).collect();
    if let Some(scope) = tame {
        let mut seen = Vec::new();
        list.retain(|property| {
            let id = property.id();
            let first = !seen.contains(&id);
            seen.push(id);
            scope.is_some_and(|s| id.is_allowed(s) && (first || id.may_repeat(s)))
        });
        if scope == Some(Scope::Auth) && !seen.contains(&PropertyId::AuthenticationMethod) {
            list.push(Property::AuthenticationMethod("method"));
        }
    }
    list
}

/// Builds the packet and hands it to `f`. Before version 5, what that has no bytes for stays at its
/// default, as otherwise it would not come back.
fn with_packet(m: &Material, version: Version, f: impl FnOnce(Packet<'_>)) {
    let v5 = version == Version::V5;
    let own = properties(&m.properties, m.tame.then_some(SCOPES[usize::from(m.kind)]));
    let wills = properties(&m.will_properties, m.tame.then_some(Some(Scope::Will)));
    let none = Properties::EMPTY;
    let properties = if v5 { Properties::from(&own[..]) } else { none };
    let will_properties = if v5 { Properties::from(&wills[..]) } else { none };
    let packet_id = PacketId::new(m.number).unwrap_or(PacketId::MIN);
    let bit = |n: u8| m.flags >> n & 1 == 1;
    let kind = PacketType::ALL[usize::from(m.kind)];
    let wanted = |code: &&ReasonCode| !m.tame || code.is_allowed(kind, Sender::Either);
    let default = if kind == PacketType::Auth && m.tame {
        ReasonCode::ContinueAuthentication
    } else {
        ReasonCode::Success
    };
    let first = m.reasons.iter().find(wanted).copied().unwrap_or(default);
    let reason = if v5 { first } else { ReasonCode::Success };
    let ack = Ack { packet_id, reason, properties };
    let filters: Vec<_> = m.filters.iter().map(|(f, _)| TopicFilter::new(f).unwrap()).collect();
    let subscriptions: Vec<_> = m
        .filters
        .iter()
        .zip(&filters)
        .map(|((_, options), filter)| Subscription {
            filter: *filter,
            qos: qos(*options),
            no_local: v5 && options & 4 != 0,
            retain_as_published: v5 && options & 8 != 0,
            retain_handling: match options >> 4 & 3 {
                1 if v5 => RetainHandling::SendIfNew,
                2 if v5 => RetainHandling::DoNotSend,
                _ => RetainHandling::Send,
            },
        })
        .collect();
    // 3.1.1 knows one failure and five refusals.
    let codes: Vec<_> = m
        .reasons
        .iter()
        .filter(wanted)
        .map(|code| if !v5 && code.is_failure() { ReasonCode::UnspecifiedError } else { *code })
        .collect();
    let none: &[ReasonCode] = &[];
    let refusal = match first.return_code() {
        Some(code) if !v5 => ReasonCode::from_return_code(code).unwrap(),
        _ => first,
    };
    let will = bit(1).then(|| Will {
        qos: qos(m.flags),
        retain: bit(2),
        properties: will_properties,
        ..Will::new(topic(&m.names[1]), &m.binary)
    });
    let packet_id_wanted =
        if m.tame { m.flags >> 2 & 3 != 0 && m.flags >> 2 & 3 != 3 } else { bit(7) };
    f(match m.kind {
        0 => Packet::Connect(Connect {
            version,
            clean_start: bit(0),
            keep_alive: m.number,
            properties,
            client_id: Text::new(&m.text[0]),
            will,
            user_name: bit(3).then(|| Text::new(&m.text[1])),
            password: bit(4).then_some(m.text[2].as_bytes()),
        }),
        1 => Packet::ConnAck(ConnAck {
            session_present: bit(0) && version != Version::V31 && !(m.tame && refusal.is_failure()),
            reason: refusal,
            properties,
        }),
        2 => Packet::Publish(Publish {
            dup: bit(0) && (!m.tame || packet_id_wanted),
            qos: qos(m.flags >> 2 & 3),
            retain: bit(1),
            topic: topic(&m.names[0]),
            packet_id: packet_id_wanted.then_some(packet_id),
            properties,
            payload: &m.binary,
        }),
        3 => Packet::PubAck(ack),
        4 => Packet::PubRec(ack),
        5 => Packet::PubRel(ack),
        6 => Packet::PubComp(ack),
        7 => Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            subscriptions: List::from(&subscriptions[..]),
        }),
        8 => Packet::SubAck(SubAck { packet_id, properties, reasons: List::from(&codes[..]) }),
        9 => Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties,
            filters: List::from(&filters[..]),
        }),
        10 => Packet::UnsubAck(UnsubAck {
            packet_id,
            properties,
            reasons: List::from(if v5 { &codes[..] } else { none }),
        }),
        11 => Packet::PingReq,
        12 => Packet::PingResp,
        13 => Packet::Disconnect(Disconnect { reason, properties }),
        _ => Packet::Auth(Auth { reason, properties }),
    });
}

/// What is written by these rules is what is read by them, and what is left out was too large.
fn holds(packet: Packet<'_>, rules: Rules) {
    let mut buffer = vec![0xAA; 4096];
    let len = match rules.encode(&packet, &mut buffer) {
        Ok(len) => len,
        Err(EncodeError::NoRoom { needed }) => panic!("{needed} bytes"),
        Err(error) => {
            assert_eq!(rules.encoded_len(&packet), Err(error));
            assert_eq!(rules.encode(&packet, &mut []), Err(error));
            return;
        }
    };
    assert_eq!(rules.encoded_len(&packet), Ok(len));
    assert_eq!(rules.encode(&packet, &mut []), Err(EncodeError::NoRoom { needed: len }));
    assert!(len <= rules.max_packet_size as usize);
    let mut rest = &buffer[..];
    let read = rules.decode(&mut rest).unwrap().unwrap();
    assert_eq!(rest.len(), buffer.len() - len);
    let whole = Rules { max_packet_size: 268_435_460, ..rules };
    if whole.encoded_len(&packet) == Ok(len) {
        assert_eq!(read, packet);
    }
    // And what was read is written as the same bytes.
    let mut again = vec![0; len];
    assert_eq!(rules.encode(&read, &mut again), Ok(len));
    assert_eq!(again, buffer[..len]);
}

/// Decoding and encoding agree on these bytes: what is taken can be written and comes back.
fn both_sides_agree(bytes: &[u8], rules: Rules) {
    let Ok(Some(packet)) = rules.decode(&mut &*bytes) else { return };
    let mut buffer = vec![0; bytes.len() + 8];
    let len = rules.encode(&packet, &mut buffer).unwrap();
    assert!(len <= bytes.len());
    assert_eq!(rules.decode(&mut &buffer[..len]), Ok(Some(packet)));
}

/// Properties of a packet, and where they stand.
fn properties_of<'p, 'a>(packet: &'p mut Packet<'a>) -> Option<(&'p mut Properties<'a>, Scope)> {
    Some(match packet {
        Packet::Connect(p) => (&mut p.properties, Scope::Connect),
        Packet::ConnAck(p) => (&mut p.properties, Scope::ConnAck),
        Packet::Publish(p) => (&mut p.properties, Scope::Publish),
        Packet::PubAck(p) => (&mut p.properties, Scope::PubAck),
        Packet::PubRec(p) => (&mut p.properties, Scope::PubRec),
        Packet::PubRel(p) => (&mut p.properties, Scope::PubRel),
        Packet::PubComp(p) => (&mut p.properties, Scope::PubComp),
        Packet::Subscribe(p) => (&mut p.properties, Scope::Subscribe),
        Packet::SubAck(p) => (&mut p.properties, Scope::SubAck),
        Packet::Unsubscribe(p) => (&mut p.properties, Scope::Unsubscribe),
        Packet::UnsubAck(p) => (&mut p.properties, Scope::UnsubAck),
        Packet::PingReq | Packet::PingResp => return None,
        Packet::Disconnect(p) => (&mut p.properties, Scope::Disconnect),
        Packet::Auth(p) => (&mut p.properties, Scope::Auth),
    })
}

/// Properties that are laid out by rules that refuse little are written, or refused, as their list is.
fn holds_laid_out(packet: Packet<'_>, rules: Rules) {
    let lax = Rules::new(Version::V5, Sender::Either);
    let (mut room, mut will_room) = ([0; 2048], [0; 2048]);
    let mut same = packet;
    let Some((list, scope)) = properties_of(&mut same) else { return };
    match lax.lay_out(list, scope, &mut room) {
        Ok(laid_out) => {
            assert_eq!(laid_out, *list);
            *list = laid_out;
        }
        Err(_) if !rules.version.has_properties() => return,
        Err(error) => {
            assert!(rules.encoded_len(&packet).is_err(), "{error}");
            return;
        }
    }
    if let Packet::Connect(Connect { will: Some(will), .. }) = &mut same {
        if let Ok(laid_out) = lax.lay_out(&will.properties, Scope::Will, &mut will_room) {
            will.properties = laid_out;
        }
    }
    let (mut written, mut again) = (vec![0; 4096], vec![0; 4096]);
    let len = rules.encode(&packet, &mut written);
    assert_eq!(rules.encode(&same, &mut again), len);
    if let Ok(len) = len {
        assert_eq!(again[..len], written[..len]);
        // As much room as it takes, and one byte less.
        let mut tight = vec![0; len];
        assert_eq!(rules.encode(&packet, &mut tight), Ok(len));
        assert_eq!(tight, written[..len]);
        let refused = rules.encode(&packet, &mut tight[..len - 1]);
        assert_eq!(refused, Err(EncodeError::NoRoom { needed: len }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 4000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read_as_the_same_packet(m in material(), rules in rules()) {
        with_packet(&m, rules.version, |packet| holds(packet, rules));
    }

    #[test]
    fn properties_that_are_laid_out_are_written_as_a_list_is(m in material(), rules in rules()) {
        with_packet(&m, rules.version, |packet| holds_laid_out(packet, rules));
    }

    #[test]
    fn both_sides_agree_on_packets_with_changed_bytes(
        m in material(),
        rules in rules(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        with_packet(&m, rules.version, |packet| {
            let mut bytes = Vec::new();
            let lax = Rules::new(rules.version, Sender::Either);
            if lax.encode_to_vec(&packet, &mut bytes).is_err() {
                return;
            }
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
                both_sides_agree(&bytes, rules);
            }
        });
    }

    #[test]
    fn bytes_of_any_kind_are_refused_or_taken_but_never_a_panic(
        bytes in vec(any::<u8>(), 0..64),
        rules in rules(),
    ) {
        both_sides_agree(&bytes, rules);
        let _ = rules.decode_part(&mut &bytes[..]);
        let _ = rules.tree(&bytes).to_string();
    }

    #[test]
    fn datagrams_of_any_kind_are_refused_or_come_back(
        bytes in vec(any::<u8>(), 0..64),
        kind in 0..0x20_u8,
        sender in select(&[Sender::Client, Sender::Server, Sender::Either][..]),
        strict in any::<[bool; 7]>(),
    ) {
        let mut rules = sn::Rules::new(sender);
        let policy = &mut rules.policy;
        policy.refuse_unused_flags = strict[0];
        policy.refuse_reserved_return_codes = strict[1];
        policy.refuse_reserved_topic_ids = strict[2];
        policy.check_msg_id = strict[3];
        policy.refuse_client_fields_from_gateway = strict[4];
        policy.refuse_empty_will_topic = strict[5];
        policy.long_client_ids = strict[6];
        let datagram = [&[bytes.len() as u8 + 2, kind], &bytes[..]].concat();
        for octets in [&bytes, &datagram] {
            let _ = rules.tree(octets).to_string();
            let Ok(read) = rules.decode(octets) else { continue };
            let mut again = vec![0; octets.len()];
            let len = rules.encode(&read, &mut again).unwrap();
            prop_assert_eq!(rules.decode(&again[..len]), Ok(read));
        }
    }
}

/// So that the properties above are not true of nothing.
#[test]
fn packets_of_every_kind_are_written_by_the_way() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut written = [0; 15];
    for _ in 0..4000 {
        let material = material().new_tree(&mut runner).unwrap().current();
        let rules = Rules::new(Version::V5, Sender::Either);
        with_packet(&material, rules.version, |packet| {
            written[usize::from(material.kind)] += usize::from(rules.encoded_len(&packet).is_ok());
        });
    }
    assert!(written.iter().all(|&count| count >= 30), "{written:?}");
}
