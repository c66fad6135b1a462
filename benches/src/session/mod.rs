//! Clients that receive and send messages, from bytes to bytes: ours and the peers'.

use mqtt_codec::{Connect, Packet, Properties, Publish, QoS, Rules, Sender, TopicName, Version};
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{Instant, Stage};

#[cfg(feature = "peers")]
pub mod peers;

/// What is done once, and then measured many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// A PUBLISH of QoS 1 comes and PUBACK goes.
    Receive,
    /// A PUBLISH of QoS 1 goes and PUBACK comes.
    Publish,
    /// A PUBLISH of QoS 2 goes, PUBREC comes, PUBREL goes, PUBCOMP comes.
    ExactlyOnce,
}

impl Row {
    /// Every row.
    pub const ALL: [Self; 3] = [Self::Receive, Self::Publish, Self::ExactlyOnce];

    /// What it is called in the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive QoS 1, 64 B, and acknowledge",
            Self::Publish => "publish QoS 1, 64 B, and its acknowledgement",
            Self::ExactlyOnce => "publish QoS 2, 64 B, all four packets",
        }
    }
}

/// The versions that are measured.
pub const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// The payload of every message.
pub const PAYLOAD: [u8; 64] = [7; 64];
/// The topic of every message.
pub const TOPIC: &str = "plant/7/temperature";

/// Room for what is sent, in bytes. So much begins with a page of memory: in less, a packet lies across
/// two pages or not as chance has it, which takes half as long again.
pub const ROOM: usize = 1 << 18;

/// Something that does a row once with each call.
pub type Contestant = Box<dyn FnMut()>;

/// Who takes part in this row, by name.
#[must_use]
pub fn contestants(row: Row, version: Version) -> Vec<(&'static str, Contestant)> {
    let own = [("mqtt_session", ours(row, version)), ("mqtt_codec alone", codec(row, version))];
    #[cfg(feature = "peers")]
    let peers = peers::all(row, version);
    #[cfg(not(feature = "peers"))]
    let peers = [];
    own.into_iter().chain(peers).collect()
}

/// CONNACK, as bytes.
#[must_use]
pub const fn connack(version: Version) -> &'static [u8] {
    match version {
        Version::V5 => &[0x20, 3, 0, 0, 0],
        _ => &[0x20, 2, 0, 0],
    }
}

/// An acknowledgement of this message, as bytes. They are written at once, as what a socket gave has
/// been for long: who reads four bytes that were written one by one just now waits for that.
#[must_use]
pub const fn acknowledgement(first: u8, id: u16) -> [u8; 4] {
    (((first as u32) << 24) | (2 << 16) | id as u32).to_be_bytes()
}

fn message(qos: QoS) -> Publish<'static> {
    let topic = TopicName::new(TOPIC).unwrap_or(TopicName::ALIASED);
    Publish { qos, ..Publish::new(topic, &PAYLOAD) }
}

/// The PUBLISH that comes, as bytes.
#[must_use]
pub fn incoming(version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet_id = mqtt_codec::PacketId::new(9);
    let publish = Packet::Publish(Publish { packet_id, ..message(QoS::AtLeastOnce) });
    Rules::new(version, Sender::Server).encode_to_vec(&publish, &mut bytes).expect("it is valid");
    bytes
}

const NOW: Instant = Instant::from_millis(0);

/// Our session after CONNACK.
///
/// # Panics
/// Should it not connect.
#[must_use]
pub fn connected(version: Version) -> Session<'static> {
    let mut session = Session::new(Config::default(), Slots::heap(16));
    let mut tx = Vec::new();
    session.connect(NOW, &Connect::new(version, "c"), &mut tx).expect("it connects");
    session.receive(NOW, &mut connack(version), &mut tx).expect("it is accepted");
    session
}

fn ours(row: Row, version: Version) -> Contestant {
    let mut session = connected(version);
    let mut tx = Vec::with_capacity(ROOM);
    let publish = incoming(version);
    let qos = if row == Row::ExactlyOnce { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
    Box::new(move || {
        tx.clear();
        if row == Row::Receive {
            let event = session.receive(NOW, &mut &publish[..], &mut tx);
            assert!(matches!(event, Ok(Some(_))) && tx.len() == 4);
            return;
        }
        let id = session.publish(NOW, &message(qos), &mut tx).expect("there is quota");
        let id = id.map_or(0, mqtt_codec::PacketId::get);
        let answers: &[u8] = if row == Row::Publish { &[0x40] } else { &[0x50, 0x70] };
        for first in answers {
            let answer = acknowledgement(*first, id);
            let event = session.receive(NOW, &mut &answer[..], &mut tx);
            assert!(matches!(event, Ok(Some(_))));
        }
    })
}

/// The same packets read and written without a session.
fn codec(row: Row, version: Version) -> Contestant {
    let read = Rules::new(version, Sender::Server);
    let write = Rules::new(version, Sender::Client);
    let publish = incoming(version);
    let mut tx = vec![0; ROOM];
    let id = mqtt_codec::PacketId::new(9).expect("it is not 0");
    let ack = mqtt_codec::Ack::new(id);
    Box::new(move || {
        let decode = |bytes: &[u8]| assert!(matches!(read.decode(&mut &*bytes), Ok(Some(_))));
        let mut encode = |packet: &Packet<'_>| assert!(write.encode(packet, &mut tx).is_ok());
        let out = |qos| Packet::Publish(Publish { packet_id: Some(id), ..message(qos) });
        match row {
            Row::Receive => {
                decode(&publish);
                encode(&Packet::PubAck(ack));
            }
            Row::Publish => {
                encode(&out(QoS::AtLeastOnce));
                decode(&acknowledgement(0x40, 9));
            }
            Row::ExactlyOnce => {
                encode(&out(QoS::ExactlyOnce));
                decode(&acknowledgement(0x50, 9));
                encode(&Packet::PubRel(ack));
                decode(&acknowledgement(0x70, 9));
            }
        }
    })
}

/// The filter that is subscribed to where memory is counted.
pub const FILTER: &str = "plant/+";

/// SUBACK to that, as bytes: QoS 1 is granted.
#[must_use]
pub fn suback(version: Version, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    if version == Version::V5 {
        vec![0x90, 4, high, low, 0, 1]
    } else {
        vec![0x90, 3, high, low, 1]
    }
}

/// Our client's session after CONNACK, with a subscription.
///
/// # Panics
/// Should that fail.
#[must_use]
pub fn subscribed(version: Version) -> Session<'static> {
    let mut session = connected(version);
    let filter = mqtt_codec::TopicFilter::new(FILTER).expect("it is valid");
    let filters = [mqtt_codec::Subscription::new(filter, QoS::AtLeastOnce)];
    let mut tx = Vec::new();
    let id = session.subscribe(NOW, &filters, Properties::EMPTY, &mut tx).expect("it is sent");
    assert!(session.in_flight().eq([(id, Stage::SubAck)]));
    let suback = suback(version, id.get());
    session.receive(NOW, &mut &suback[..], &mut tx).expect("it is answered");
    session
}
