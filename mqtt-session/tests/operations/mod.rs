//! Sequences of operations and hostile bytes, both drawn from bytes: the fuzzer finds them, and so
//! does proptest.

use core::time::Duration;

use mqtt_codec::{
    Ack, Auth, ConnAck, Connect, Disconnect, List, Packet, PacketId, Properties, Property, Publish,
    QoS, ReasonCode, Rules, Sender, SubAck, Subscription, TopicFilter, TopicName, Version,
};
use mqtt_session::client::{self, Slots};
use mqtt_session::{
    AckToken, Delta, Error, Event, Instant, Outbox, Stage, TopicAliases, Transmit, server,
};

/// A message for every other identifier.
struct Some2;

impl Outbox for Some2 {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        (id.get() % 2 == 0).then(|| message(QoS::AtLeastOnce, 0))
    }
}

fn message(qos: QoS, topic: u8) -> Publish<'static> {
    let topic = ["alpha", "beta", "gamma", "a/very/long/topic"][usize::from(topic % 4)];
    Publish { qos, ..Publish::new(TopicName::new(topic).unwrap(), b"payload") }
}

/// Room for so many bytes.
struct Room(Vec<u8>, usize);

impl Transmit for Room {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.0.len() + len > self.1 { None } else { self.0.packet(len) }
    }

    fn short(&mut self) -> Option<&mut [u8; 128]> {
        if self.0.len() + 128 > self.1 { None } else { self.0.short() }
    }

    fn keep(&mut self, len: usize) {
        self.0.keep(len);
    }
}

enum Role {
    Client(client::Session<'static>),
    Server(server::Session<'static>),
}

/// What can be seen of a session.
type Seen = (Vec<(PacketId, Stage)>, Vec<PacketId>, usize, bool, bool);

struct Run<'d> {
    role: Role,
    version: Version,
    manual: bool,
    now: Instant,
    tx: Room,
    tokens: Vec<AckToken>,
    data: core::slice::Iter<'d, u8>,
}

/// Runs what these bytes say. Whatever that is, nothing panics, a call that fails has changed nothing,
/// no identifier is given twice, and all that is sent is a packet that the peer can read.
pub(crate) fn run(data: &[u8]) {
    let mut data = data.iter();
    let flags = data.next().copied().unwrap_or(0);
    let version = if flags & 1 == 0 { Version::V5 } else { Version::V311 };
    let manual = flags & 2 != 0;
    let role = if flags & 4 == 0 {
        let mut config = client::Config::default();
        config.manual_acknowledge = manual;
        config.topic_aliases = TopicAliases::Lru(2);
        Role::Client(client::Session::new(config, Slots::heap(5)))
    } else {
        Role::Server(new_server(Instant::from_millis(0), manual))
    };
    let room = [40, 64, 300, usize::MAX][usize::from(flags >> 3 & 3)];
    let tx = Room(Vec::new(), room);
    let now = Instant::from_millis(0);
    let mut run = Run { role, version, manual, now, tx, tokens: Vec::new(), data };
    while let Some(operation) = run.data.next() {
        run.step(operation % 14);
    }
}

fn new_server(now: Instant, manual: bool) -> server::Session<'static> {
    let mut config = server::Config::default();
    config.manual_acknowledge = manual;
    config.topic_aliases = TopicAliases::Fixed(2);
    server::Session::new(now, config, Slots::heap(5))
}

impl Run<'_> {
    fn byte(&mut self) -> u8 {
        self.data.next().copied().unwrap_or(0)
    }

    fn seen(&self) -> Seen {
        match &self.role {
            Role::Client(s) => (
                s.in_flight().collect(),
                s.received().collect(),
                s.quota(),
                s.is_resuming(),
                s.is_connected(),
            ),
            Role::Server(s) => (
                s.in_flight().collect(),
                s.received().collect(),
                s.quota(),
                s.is_resuming(),
                s.is_connected(),
            ),
        }
    }

    fn step(&mut self, operation: u8) {
        let before = self.seen();
        let sent = self.tx.0.len();
        let result = self.operate(operation);
        let after = self.seen();
        match result {
            Ok(()) | Err(Error::Peer(_)) => {}
            Err(_) => {
                assert_eq!(before, after, "operation {operation} failed and changed something");
                assert_eq!(sent, self.tx.0.len());
            }
        }
        let (in_flight, received, ..) = after;
        for (i, (id, _)) in in_flight.iter().enumerate() {
            assert!(in_flight.iter().skip(i + 1).all(|(other, _)| other != id), "{id} twice");
        }
        assert!(received.is_sorted());
        assert!(in_flight.len() <= 5);
        self.check_sent();
    }

    /// All that was sent can be read by the peer.
    fn check_sent(&self) {
        let sender = match self.role {
            Role::Client(_) => Sender::Client,
            Role::Server(_) => Sender::Server,
        };
        let mut rest = &self.tx.0[..];
        // A CONNECT that is refused is answered in a version that it alone names.
        let refused = rest.first() == Some(&0x20) && !self.seen().4;
        let version = if refused && rest.get(1) == Some(&2) {
            Version::V311
        } else if refused {
            Version::V5
        } else {
            self.version
        };
        let rules = Rules::new(version, sender);
        while !rest.is_empty() {
            let packet = rules.decode(&mut rest);
            assert!(matches!(packet, Ok(Some(_))), "{packet:?} of {:?}", self.tx.0);
        }
    }

    fn operate(&mut self, operation: u8) -> Result<(), Error> {
        match operation {
            0 | 1 => {
                let byte = self.byte();
                let qos = QoS::from_bits(byte & 3).unwrap_or_default();
                let publish = message(qos, byte >> 2);
                match &mut self.role {
                    Role::Client(s) => s.publish(self.now, &publish, &mut self.tx),
                    Role::Server(s) => s.publish(&publish, &mut self.tx),
                }
                .map(|_| ())
            }
            2 => {
                let id = PacketId::new(u16::from(self.byte())).unwrap_or(PacketId::MIN);
                let filter = TopicFilter::new("a/+").unwrap();
                match &mut self.role {
                    Role::Client(s) => {
                        let filters = [Subscription::new(filter, QoS::AtMostOnce)];
                        s.subscribe(self.now, &filters, Properties::EMPTY, &mut self.tx).map(|_| ())
                    }
                    Role::Server(s) => {
                        let reasons = List::from(&[ReasonCode::GrantedQoS1][..]);
                        let properties = Properties::EMPTY;
                        s.suback(&SubAck { packet_id: id, properties, reasons }, &mut self.tx)
                    }
                }
            }
            3..=5 => self.acknowledgement(),
            6 | 7 => {
                let len = usize::from(self.byte()) % 40;
                let bytes: Vec<u8> = self.data.by_ref().take(len).copied().collect();
                self.receive(&bytes);
                Ok(())
            }
            8 => {
                let byte = self.byte();
                if self.tokens.is_empty() {
                    return Ok(());
                }
                let index = usize::from(byte) % self.tokens.len();
                let reason = ReasonCode::ALL[usize::from(self.byte()) % ReasonCode::ALL.len()];
                let token = self.tokens[index];
                match &mut self.role {
                    Role::Client(s) => s.acknowledge(self.now, token, reason, &mut self.tx),
                    Role::Server(s) => s.acknowledge(token, reason, &mut self.tx),
                }
            }
            9 => self.connect(),
            10 => {
                self.now = self.now + Duration::from_secs(u64::from(self.byte()));
                match &mut self.role {
                    Role::Client(s) => s.handle_timeout(self.now, &mut self.tx),
                    Role::Server(s) => s.handle_timeout(self.now, &mut self.tx),
                }
                .or_else(answers_may_have_left)
            }
            11 => match &mut self.role {
                Role::Client(s) => s.resume(self.now, &Some2, &mut self.tx),
                Role::Server(s) => s.resume(&Some2, &mut self.tx),
            }
            .or_else(answers_may_have_left),
            12 => {
                self.tx.0.clear();
                let bytes = [self.byte() % 12, 0, self.byte() % 8];
                if let (Role::Client(s), Some(delta)) = (&mut self.role, Delta::from_bytes(bytes)) {
                    // What is restored is of an earlier run, before any connection.
                    if !s.is_connected() {
                        s.closed();
                    }
                    s.restore(delta);
                }
                Ok(())
            }
            _ => self.end(),
        }
    }

    /// A well-formed acknowledgement or message with a small identifier.
    fn acknowledgement(&mut self) -> Result<(), Error> {
        let (kind, id) = (self.byte(), u16::from(self.byte() % 7) + 1);
        let id = PacketId::new(id).unwrap_or(PacketId::MIN);
        let failed = kind & 0x80 != 0 && self.version == Version::V5;
        let ack = Ack {
            reason: if failed { ReasonCode::QuotaExceeded } else { ReasonCode::Success },
            ..Ack::new(id)
        };
        let packet = match kind % 6 {
            0 => Packet::PubAck(ack),
            1 => Packet::PubRec(ack),
            2 => Packet::PubRel(Ack::new(id)),
            3 => Packet::PubComp(Ack::new(id)),
            4 => Packet::Publish(Publish { packet_id: Some(id), ..message(QoS::AtLeastOnce, 0) }),
            _ => Packet::Publish(Publish { packet_id: Some(id), ..message(QoS::ExactlyOnce, 0) }),
        };
        let mut bytes = Vec::new();
        let rules = Rules::new(self.version, Sender::Either);
        rules.encode_to_vec(&packet, &mut bytes).unwrap();
        self.receive(&bytes);
        Ok(())
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut rx = bytes;
        for _ in 0..50 {
            let result = match &mut self.role {
                Role::Client(s) => s.receive(self.now, &mut rx, &mut self.tx),
                Role::Server(s) => s.receive(self.now, &mut rx, &mut self.tx),
            };
            match result {
                Ok(Some(Event::Message(message))) => {
                    self.tokens.extend(message.token);
                    if let Role::Client(s) = &self.role {
                        assert!(!s.topic(&message.publish).is_empty());
                    }
                }
                Ok(Some(Event::Connect(connect))) => self.version = connect.version,
                Ok(Some(_)) => {}
                Ok(None) | Err(Error::Peer(_)) => return,
                Err(Error::TransmitFull) => {
                    self.check_sent();
                    self.tx.0.clear();
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// The transport is new.
    fn connect(&mut self) -> Result<(), Error> {
        self.tx.0.clear();
        let flags = self.byte();
        let maximum = u16::from(self.byte() % 4) + 1;
        let list =
            [Property::ReceiveMaximum(maximum.try_into().unwrap()), Property::TopicAliasMaximum(2)];
        let v5 = self.version == Version::V5;
        let properties = if v5 { list[..].into() } else { Properties::EMPTY };
        let connect =
            Connect { clean_start: flags & 1 != 0, properties, ..Connect::new(self.version, "c") };
        let session_present = flags & 2 != 0;
        let connack = ConnAck { session_present, properties, ..ConnAck::new(ReasonCode::Success) };
        let mut bytes = Vec::new();
        let encode = |sender, packet: &Packet<'_>, bytes: &mut Vec<u8>| {
            Rules::new(connect.version, sender).encode_to_vec(packet, bytes).unwrap();
        };
        match &mut self.role {
            Role::Client(session) => {
                session.closed();
                session.connect(self.now, &connect, &mut self.tx)?;
                encode(Sender::Server, &Packet::ConnAck(connack), &mut bytes);
                self.receive(&bytes);
            }
            Role::Server(session) => {
                session.closed();
                let mut next = new_server(self.now, self.manual);
                if flags & 4 == 0 {
                    next.take_over(session);
                }
                *session = next;
                encode(Sender::Client, &Packet::Connect(connect), &mut bytes);
                self.receive(&bytes);
                if let Role::Server(session) = &mut self.role {
                    session.accept(self.now, &connack, &mut self.tx).or_else(
                        |error| match error {
                            // The new session replaced the old one before.
                            Error::TransmitFull | Error::Misuse(_) => Ok(()),
                            error => Err(error),
                        },
                    )?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let byte = self.byte();
        let reason = ReasonCode::ALL[usize::from(byte) % ReasonCode::ALL.len()];
        let disconnect = Disconnect::new(reason);
        let method = [Property::AuthenticationMethod("m")];
        let auth = Auth { reason, properties: method[..].into() };
        match &mut self.role {
            Role::Client(s) if byte & 1 == 0 => s.auth(self.now, &auth, &mut self.tx),
            Role::Server(s) if byte & 1 == 0 => s.auth(self.now, &auth, &mut self.tx),
            Role::Client(s) => s.disconnect(&disconnect, &mut self.tx),
            Role::Server(s) => s.disconnect(&disconnect, &mut self.tx),
        }
    }
}

/// Of many packets some may have left before there was no more room.
fn answers_may_have_left(error: Error) -> Result<(), Error> {
    match error {
        Error::TransmitFull => Ok(()),
        error => Err(error),
    }
}
