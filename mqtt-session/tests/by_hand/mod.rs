//! Sessions whose peer is hand-written bytes.
#![allow(dead_code, reason = "each test uses a part of it")]

use mqtt_codec::{
    ConnAck, Connect, Packet, PacketId, Properties, Publish, QoS, ReasonCode, Rules, Sender,
    TopicName, Version,
};
use mqtt_session::client::Slots;
use mqtt_session::{Error, Event, Instant, Outbox, client, server as role};

pub(crate) const NOW: Instant = Instant::from_millis(1_000);
pub(crate) const CONNACK_V5: &[u8] = &[0x20, 3, 0, 0, 0];
pub(crate) const SESSION_PRESENT_V5: &[u8] = &[0x20, 3, 1, 0, 0];
const CONNACK_V311: &[u8] = &[0x20, 2, 0, 0];
const SESSION_PRESENT_V311: &[u8] = &[0x20, 2, 1, 0];

pub(crate) const BOTH: [Version; 2] = [Version::V311, Version::V5];

pub(crate) fn connack(version: Version, session_present: bool) -> &'static [u8] {
    match (version, session_present) {
        (Version::V5, false) => CONNACK_V5,
        (Version::V5, true) => SESSION_PRESENT_V5,
        (_, false) => CONNACK_V311,
        (_, true) => SESSION_PRESENT_V311,
    }
}

pub(crate) fn message(qos: QoS) -> Publish<'static> {
    Publish { qos, ..Publish::new(TopicName::new("a/b").unwrap(), b"21.5") }
}

/// PUBLISH of `x` to the topic `a`, as bytes, with DUP or without.
pub(crate) fn published(version: Version, qos: QoS, id: u8, dup: bool) -> Vec<u8> {
    let mut bytes = vec![0x30 | qos.bits() << 1 | u8::from(dup) << 3, 0, 0, 1, b'a'];
    if qos != QoS::AtMostOnce {
        bytes.extend([0, id]);
    }
    if version == Version::V5 {
        bytes.push(0);
    }
    bytes.push(b'x');
    bytes[1] = bytes.len() as u8 - 2;
    bytes
}

/// An outbox that has the same message for every identifier.
pub(crate) struct Same(pub(crate) QoS);

impl Outbox for Same {
    fn message(&self, _: PacketId) -> Option<Publish<'_>> {
        Some(message(self.0))
    }
}

/// The packets in these bytes.
pub(crate) fn packets(bytes: &[u8], version: Version, sender: Sender) -> Vec<Packet<'_>> {
    let rules = Rules::new(version, sender);
    let mut rest = bytes;
    core::iter::from_fn(|| rules.decode(&mut rest).unwrap()).collect()
}

/// A client that is connected to a server of hand-written bytes.
pub(crate) struct Client {
    pub(crate) session: client::Session<'static>,
    pub(crate) tx: Vec<u8>,
}

impl Client {
    pub(crate) fn new(version: Version) -> Self {
        Self::with(client::Config::default(), version, Properties::EMPTY)
    }

    pub(crate) fn with(
        config: client::Config,
        version: Version,
        properties: Properties<'_>,
    ) -> Self {
        let session = client::Session::new(config, Slots::heap(16));
        let mut client = Self { session, tx: Vec::new() };
        client.connect(version, properties, connack(version, false));
        client
    }

    /// The last connection is gone, and there is a new one.
    pub(crate) fn connect(&mut self, version: Version, properties: Properties<'_>, connack: &[u8]) {
        self.session.closed();
        let connect = Connect { clean_start: false, properties, ..Connect::new(version, "c") };
        self.session.connect(NOW, &connect, &mut self.tx).unwrap();
        self.tx.clear();
        assert!(self.receive(connack).iter().any(|event| event.starts_with("Connected")));
        self.tx.clear();
    }

    /// What the session tells because of these bytes.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<String> {
        self.try_receive(bytes).unwrap()
    }

    pub(crate) fn try_receive(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, Error> {
        let mut events = Vec::new();
        while let Some(event) = self.session.receive(NOW, &mut bytes, &mut self.tx)? {
            events.push(word(&event));
        }
        Ok(events)
    }

    pub(crate) fn publish(&mut self, qos: QoS) -> PacketId {
        self.session.publish(NOW, &message(qos), &mut self.tx).unwrap().unwrap()
    }

    /// What was sent since this was last asked.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.tx)
    }
}

/// A server that has accepted a client of hand-written bytes.
pub(crate) struct Server {
    pub(crate) session: role::Session<'static>,
    pub(crate) tx: Vec<u8>,
}

/// A server that has accepted a client, which has announced nothing.
pub(crate) fn server(version: Version, connack: &ConnAck<'_>) -> Server {
    let mut server = waiting(&Connect { clean_start: false, ..Connect::new(version, "c") });
    server.session.accept(NOW, connack, &mut server.tx).unwrap();
    server.tx.clear();
    server
}

/// A server to which CONNECT has come.
pub(crate) fn waiting(connect: &Connect<'_>) -> Server {
    let session = role::Session::new(NOW, role::Config::default(), Slots::heap(16));
    let mut server = Server { session, tx: Vec::new() };
    let mut bytes = Vec::new();
    let rules = Rules::new(connect.version, Sender::Client);
    rules.encode_to_vec(&Packet::Connect(*connect), &mut bytes).unwrap();
    assert_eq!(server.receive(&bytes).len(), 1);
    server
}

pub(crate) fn accepted() -> ConnAck<'static> {
    ConnAck::new(ReasonCode::Success)
}

impl Server {
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<String> {
        self.try_receive(bytes).unwrap()
    }

    pub(crate) fn try_receive(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, Error> {
        let mut events = Vec::new();
        while let Some(event) = self.session.receive(NOW, &mut bytes, &mut self.tx)? {
            events.push(word(&event));
        }
        Ok(events)
    }

    pub(crate) fn publish(&mut self, qos: QoS) -> PacketId {
        self.session.publish(&message(qos), &mut self.tx).unwrap().unwrap()
    }

    pub(crate) fn sent(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.tx)
    }

    /// The client is gone and back, and the session goes on.
    pub(crate) fn reconnect(&mut self, version: Version, connack: &ConnAck<'_>) {
        self.session.closed();
        let mut next = waiting(&Connect { clean_start: false, ..Connect::new(version, "c") });
        next.session.take_over(&mut self.session);
        next.session.accept(NOW, connack, &mut next.tx).unwrap();
        next.tx.clear();
        *self = next;
    }
}

fn word(event: &Event<'_>) -> String {
    match event {
        Event::Message(message) => {
            let publish = &message.publish;
            format!("Message {} dup {}", publish.qos.bits(), publish.dup)
        }
        Event::Acknowledged { id, reason } => format!("Acknowledged {id} {reason}"),
        Event::Received { id } => format!("Received {id}"),
        Event::Released { id } => format!("Released {id}"),
        Event::Lost { id, stage } => format!("Lost {id} {stage:?}"),
        other => format!("{other:?}"),
    }
}
