//! Properties that are laid out once are held to the rules that a list of them is held to, where they
//! are laid out and where they are sent.

use mqtt_codec::{
    Ack, EncodeError, Packet, PacketId, PacketType, Policy, Properties, Property, PropertyId,
    Publish, Rules, Scope, Sender, SubscriptionId, TopicName, Version, Violation,
};

const RULES: Rules = Rules::new(Version::V5, Sender::Client);

fn lay_out<'b>(
    list: &[Property<'_>],
    scope: Scope,
    room: &'b mut [u8],
) -> Result<Properties<'b>, EncodeError> {
    RULES.lay_out(&Properties::from(list), scope, room)
}

fn publish(properties: Properties<'_>) -> Packet<'_> {
    Packet::Publish(Publish { properties, ..Publish::new(TopicName::new("a").unwrap(), b"x") })
}

fn encode(rules: Rules, packet: &Packet<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = [0; 256];
    rules.encode(packet, &mut buffer).map(|len| buffer[..len].to_vec())
}

const LIST: [Property<'_>; 4] = [
    Property::MessageExpiryInterval(60),
    Property::ContentType("text/plain"),
    Property::UserProperty(("room", "kitchen")),
    Property::UserProperty(("room", "cellar")),
];

#[test]
fn they_are_the_same_properties_and_the_same_bytes() {
    let mut room = [0; 64];
    let laid_out = lay_out(&LIST, Scope::Publish, &mut room).unwrap();
    assert_eq!(laid_out, Properties::from(&LIST[..]));
    assert_eq!(laid_out.content_type(), Some("text/plain"));
    assert!(!laid_out.contains(PropertyId::TopicAlias));
    let listed = encode(RULES, &publish(Properties::from(&LIST[..])));
    assert_eq!(encode(RULES, &publish(laid_out)), listed);
    assert_eq!(lay_out(&[], Scope::Publish, &mut []), Ok(Properties::EMPTY));
}

#[test]
fn some_can_be_left_out_of_them_and_others_added() {
    let mut room = [0; 64];
    let laid_out = lay_out(&LIST, Scope::Publish, &mut room).unwrap();
    let more = [Property::PayloadFormatIndicator(true)];
    let changed = laid_out.without(PropertyId::UserProperty).with(&more);
    let expected = [LIST[0], LIST[1], more[0]];
    let listed = encode(RULES, &publish(Properties::from(&expected[..])));
    assert_eq!(encode(RULES, &publish(changed)), listed);
    let twice = laid_out.with(&LIST[..1]);
    assert_eq!(encode(RULES, &publish(twice)), Err(Violation::PropertyTwice.into()));
}

#[test]
fn without_room_the_error_says_how_much_they_take() {
    let mut room = [0; 64];
    let needed = match lay_out(&LIST, Scope::Publish, &mut room[..10]) {
        Err(EncodeError::NoRoom { needed }) => needed,
        other => panic!("{other:?}"),
    };
    assert!(lay_out(&LIST, Scope::Publish, &mut room[..needed - 1]).is_err());
    assert!(lay_out(&LIST, Scope::Publish, &mut room[..needed]).is_ok());
}

#[test]
fn what_breaks_a_rule_is_not_laid_out() {
    let refused = |list: &[Property<'_>], scope, violation: Violation| {
        assert_eq!(lay_out(list, scope, &mut [0; 64]), Err(violation.into()), "{list:?}");
    };
    refused(&[LIST[0], LIST[0]], Scope::Publish, Violation::PropertyTwice);
    refused(&LIST, Scope::PubAck, Violation::PropertyNotAllowed);
    refused(&[Property::ContentType("a\0b")], Scope::Will, Violation::StringHasNul);
    let nowhere = [Property::ResponseTopic(TopicName::ALIASED)];
    refused(&nowhere, Scope::Publish, Violation::TopicNameEmpty);
    let matched = [Property::SubscriptionIdentifier(SubscriptionId::new(7).unwrap())];
    refused(&matched, Scope::Publish, Violation::SubscriptionIdFromClient);
}

#[test]
fn what_other_rules_refuse_is_refused_when_it_is_sent() {
    let mut room = [0; 64];
    let list = [Property::ContentType("a\u{1}b")];
    let laid_out = lay_out(&list, Scope::Publish, &mut room).unwrap();
    let mut policy = Policy::default();
    policy.refuse_control_characters = true;
    let strict = Rules { policy, ..RULES };
    assert_eq!(encode(strict, &publish(laid_out)), Err(Violation::StringHasControl.into()));
    // In another packet.
    let packet_id = PacketId::new(1).unwrap();
    let ack = Packet::PubAck(Ack { properties: laid_out, ..Ack::new(packet_id) });
    assert_eq!(ack.packet_type(), PacketType::PubAck);
    assert_eq!(encode(RULES, &ack), Err(Violation::PropertyNotAllowed.into()));
    // From the other side.
    let mut room = [0; 8];
    let from_server = Rules { sender: Sender::Server, ..RULES };
    let matched = [Property::SubscriptionIdentifier(SubscriptionId::new(7).unwrap()); 2];
    let matched = Properties::from(&matched[..]);
    let laid_out = from_server.lay_out(&matched, Scope::Publish, &mut room).unwrap();
    assert!(encode(from_server, &publish(laid_out)).is_ok());
    let refused = Violation::SubscriptionIdFromClient.into();
    assert_eq!(encode(RULES, &publish(laid_out)), Err(refused));
}
