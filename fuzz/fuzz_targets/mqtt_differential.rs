//! The same bytes to another decoder, mqttbytes 0.6. Where both take a packet they must read the same
//! in it, and where only one does, the reason must be one of those that are known and explained.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mqtt_codec::{Packet, PacketType, PropertyId, ReasonCode, Rules, Sender, Version, Violation};
use mqttbytes::{Error, v4, v5};

/// What both decoders tell of a packet: its length, identifier, and the bytes that are its point.
#[derive(Debug, PartialEq)]
struct Told {
    len: usize,
    packet_id: u16,
    point: Vec<u8>,
    payload: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V311 } else { Version::V5 };
    // mqttbytes prints each UNSUBSCRIBE of version 5 on standard error.
    if version == Version::V5 && data.first().is_some_and(|first| first >> 4 == 10) {
        return;
    }
    // A CONNECT that names another version than theirs: we follow it, they do not.
    let rules = Rules::new(version, Sender::Either);
    let mut rest = data;
    let ours = rules.decode(&mut rest);
    let named = match &ours {
        Ok(Some(Packet::Connect(connect))) => connect.version,
        Err(error) => error.version,
        Ok(_) => version,
    };
    if named != version {
        return;
    }
    match (ours, theirs(version, data)) {
        (Ok(Some(packet)), Ok(told)) => {
            let mut ours = ours_told(&packet, data.len() - rest.len());
            if miscounts_properties(&packet) {
                ours.payload.clone_from(&told.payload);
            }
            assert_eq!(ours, told);
        }
        (Ok(Some(packet)), Err(error)) => {
            assert!(they_refuse_too_much(&packet, &error), "only we take {packet:?}: {error:?}");
        }
        (Ok(None), Err(Error::InsufficientBytes(_))) => {}
        (Ok(None), other) => panic!("we wait, they do not: {other:?}"),
        (Err(error), Ok(told)) => {
            // By the miscount below, what they take for payload may be properties, and bad ones.
            let payload_at = told.len - told.payload.len();
            let in_payload = version == Version::V5
                && (error.offset as usize) >= payload_at
                && data[..payload_at].contains(&(PropertyId::SubscriptionIdentifier as u8));
            assert!(
                in_payload || they_take_too_much(version, error.violation),
                "only they take {told:?}: {error}"
            );
        }
        // Their error may be another one, or none yet: they check flags behind the body, and ask
        // for more bytes when a field runs past the end of a packet that is all there.
        (Err(_), Err(_)) => {}
    }
});

/// mqttbytes counts the property's own byte of each Subscription Identifier twice, so it believes to
/// be through with the properties too early and takes the last ones for payload.
fn miscounts_properties(packet: &Packet<'_>) -> bool {
    let Packet::Publish(publish) = packet else { return false };
    publish.properties.contains(PropertyId::SubscriptionIdentifier)
}

/// Why mqttbytes refuses packets that are good.
fn they_refuse_too_much(packet: &Packet<'_>, error: &Error) -> bool {
    match (packet, error) {
        (packet, _) if miscounts_properties(packet) => true,
        // It has no AUTH.
        (Packet::Auth(_), Error::InvalidPacketType(15)) => true,
        // It reads the password as text; it is Binary Data in both versions.
        (Packet::Connect(connect), Error::TopicNotUtf8) => {
            connect.password.is_some_and(|password| core::str::from_utf8(password).is_err())
        }
        // Remaining Length 0 and 1 of DISCONNECT (section 3.14.2.1).
        (Packet::Disconnect(_), Error::PayloadRequired | Error::InsufficientBytes(_)) => true,
        // It follows section 3.14.2.1, which leaves out a code that table 2-6 allows.
        (Packet::Disconnect(disconnect), Error::InvalidConnectReturnCode(0x8C)) => {
            disconnect.reason == ReasonCode::BadAuthenticationMethod
        }
        _ => false,
    }
}

/// What mqttbytes does not check.
fn they_take_too_much(version: Version, violation: Violation) -> bool {
    use Violation as V;
    match violation {
        // The reserved flags of any packet.
        V::ReservedFlags
        | V::PubRelFlags
        | V::SubscribeFlags
        | V::UnsubscribeFlags
        | V::DisconnectFlags
        // DUP, Packet Identifier 0 in what is not PUBLISH, bits that are reserved.
        | V::DupWithQos0
        | V::PacketIdZero
        | V::ConnectReserved
        | V::ConnAckFlags
        | V::SessionPresentOnFailure
        | V::SubscribeReserved
        // U+0000, the syntax of names and filters, empty ones.
        | V::StringHasNul
        | V::TopicNameWildcard
        | V::WillTopicWildcard
        | V::TopicNameEmpty
        | V::TopicFilterEmpty
        | V::TopicFilterHash
        | V::TopicFilterPlus
        // A payload without filters, and bytes behind the last field.
        | V::SubscribeEmpty
        | V::UnsubscribeEmpty
        | V::TrailingBytes => true,
        V::PasswordWithoutUserName => version == Version::V311,
        // Version 5: integers that are not minimal, values of properties, how often they may be
        // given, that they end where Property Length says, and Shared Subscriptions.
        V::RemainingLengthNotMinimal
        | V::VariableByteIntegerNotMinimal
        | V::PropertyNotBoolean
        | V::PropertyTwice
        | V::PropertyZero
        | V::PropertyUnknown
        | V::PropertyNotAllowed
        | V::PropertyLength
        | V::Truncated
        | V::AuthDataWithoutMethod
        | V::AssignedClientIdEmpty
        | V::TopicAliasZero
        | V::TopicNameMissing
        | V::ResponseTopicWildcard
        | V::NoLocalOnShared
        | V::ShareNameEmpty
        | V::ShareNameWildcard
        | V::ShareFilterMissing => version == Version::V5,
        _ => false,
    }
}

fn ours_told(packet: &Packet<'_>, len: usize) -> Told {
    let mut told = Told { len, packet_id: 0, point: Vec::new(), payload: Vec::new() };
    match packet {
        Packet::Connect(connect) => told.point = connect.client_id.as_str().into(),
        Packet::Publish(publish) => {
            told.packet_id = publish.packet_id.map_or(0, mqtt_codec::PacketId::get);
            told.point = publish.topic.as_str().into();
            told.payload = publish.payload.into();
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            told.packet_id = ack.packet_id.get();
        }
        Packet::Subscribe(subscribe) => {
            told.packet_id = subscribe.packet_id.get();
            for subscription in subscribe.subscriptions {
                told.point.extend_from_slice(subscription.filter.as_str().as_bytes());
                told.point.push(subscription.qos.bits());
            }
        }
        Packet::SubAck(ack) => told.packet_id = ack.packet_id.get(),
        Packet::Unsubscribe(unsubscribe) => {
            told.packet_id = unsubscribe.packet_id.get();
            for filter in unsubscribe.filters {
                told.point.extend_from_slice(filter.as_str().as_bytes());
            }
        }
        Packet::UnsubAck(ack) => told.packet_id = ack.packet_id.get(),
        Packet::ConnAck(connack) => told.point = vec![u8::from(connack.session_present)],
        _ => {}
    }
    told.point.push(packet.packet_type() as u8);
    told
}

/// The fields of their packets have the same names in both versions.
macro_rules! told {
    ($module:ident, $packet:expr, $len:expr) => {{
        let mut told = Told { len: $len, packet_id: 0, point: Vec::new(), payload: Vec::new() };
        let kind = match $packet {
            $module::Packet::Connect(connect) => {
                told.point = connect.client_id.into_bytes();
                PacketType::Connect
            }
            $module::Packet::ConnAck(connack) => {
                told.point = vec![u8::from(connack.session_present)];
                PacketType::ConnAck
            }
            $module::Packet::Publish(publish) => {
                told.packet_id = publish.pkid;
                told.point = publish.topic.into_bytes();
                told.payload = publish.payload.to_vec();
                PacketType::Publish
            }
            $module::Packet::PubAck(ack) => {
                told.packet_id = ack.pkid;
                PacketType::PubAck
            }
            $module::Packet::PubRec(ack) => {
                told.packet_id = ack.pkid;
                PacketType::PubRec
            }
            $module::Packet::PubRel(ack) => {
                told.packet_id = ack.pkid;
                PacketType::PubRel
            }
            $module::Packet::PubComp(ack) => {
                told.packet_id = ack.pkid;
                PacketType::PubComp
            }
            $module::Packet::Subscribe(subscribe) => {
                told.packet_id = subscribe.pkid;
                for filter in subscribe.filters {
                    told.point.extend_from_slice(filter.path.as_bytes());
                    told.point.push(filter.qos as u8);
                }
                PacketType::Subscribe
            }
            $module::Packet::SubAck(ack) => {
                told.packet_id = ack.pkid;
                PacketType::SubAck
            }
            $module::Packet::UnsubAck(ack) => {
                told.packet_id = ack.pkid;
                PacketType::UnsubAck
            }
            $module::Packet::PingReq => PacketType::PingReq,
            $module::Packet::PingResp => PacketType::PingResp,
            $module::Packet::Unsubscribe(unsubscribe) => {
                told.packet_id = unsubscribe.pkid;
                told.point = unsubscribe_filters!($module, unsubscribe);
                PacketType::Unsubscribe
            }
            _ => PacketType::Disconnect,
        };
        told.point.push(kind as u8);
        told
    }};
}

macro_rules! unsubscribe_filters {
    (v4, $packet:expr) => {
        $packet.topics.concat().into_bytes()
    };
    (v5, $packet:expr) => {
        $packet.filters.concat().into_bytes()
    };
}

fn theirs(version: Version, data: &[u8]) -> Result<Told, Error> {
    let mut stream = BytesMut::from(data);
    let limit = 268_435_460;
    if version == Version::V5 {
        let packet = v5::read(&mut stream, limit)?;
        Ok(told!(v5, packet, data.len() - stream.len()))
    } else {
        let packet = v4::read(&mut stream, limit)?;
        Ok(told!(v4, packet, data.len() - stream.len()))
    }
}
