//! A client, a server, a link that loses what is on it, and disks that survive crashes.
//!
//! MQTT runs over a reliable stream, so loss is a connection that breaks after any byte. Each side
//! writes to its disk before it sends, and may crash before or after it has written.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::HashMap;

use mqtt_codec::{
    ConnAck, Connect, PacketId, Properties, Property, Publish, QoS, ReasonCode, TopicName, Version,
};
use mqtt_session::client::{self, Slots};
use mqtt_session::{
    AckToken, Delta, Error, Event, Fault, Instant, Outcome, Queue, QueueConfig, Stage, Ticket,
    Tracker, Transmit, server,
};

pub(crate) mod random;

/// Which side: also the index of the side, and of the bytes on their way to it.
pub(crate) const CLIENT: usize = 0;
/// See [`CLIENT`].
pub(crate) const SERVER: usize = 1;

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) version: Version,
    /// Whether both applications acknowledge by hand.
    pub(crate) manual: bool,
    /// Bytes that fit into a transmit buffer.
    pub(crate) room: usize,
    /// Slots for packets in flight.
    pub(crate) slots: u16,
    pub(crate) keep_alive: u16,
    /// The identifier after which the client begins.
    pub(crate) last_id: PacketId,
}

/// When a side crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    /// After the session has told of something, before that is on the disk.
    Before,
    /// After all is on the disk, before it is sent.
    After,
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The client connects. Each side announces a Receive Maximum.
    Connect { receive_maximum: [u16; 2], forget: bool },
    /// An application submits a message.
    Submit { side: usize, qos: QoS, topic: u8 },
    /// So many bytes arrive at a side, which works on them.
    Deliver { side: usize, bytes: usize, crash: Crash },
    /// The application acknowledges one of the messages it has.
    Acknowledge { side: usize, index: usize, crash: Crash },
    /// The connection breaks when so many more bytes have arrived at each side.
    Cut { arrived: [usize; 2] },
    /// Time passes until the next timeout.
    Tick,
}

/// A message that was submitted and has no outcome.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) number: u32,
    qos: QoS,
    topic: u8,
    /// Identifier and turn of a message in flight.
    sent: Option<(PacketId, u32)>,
}

/// What survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    deltas: Vec<Delta>,
    outbox: Vec<Stored>,
    turn: u32,
    /// The messages that the application has taken, in order.
    pub(crate) delivered: Vec<u32>,
    /// What became of those it submitted.
    pub(crate) outcomes: Vec<(u32, Outcome)>,
    has_session: bool,
}

#[derive(Debug)]
enum Role {
    Client(client::Session<'static>),
    Server(server::Session<'static>),
    /// A server that has crashed.
    Gone,
}

/// A buffer for so many bytes.
#[derive(Debug)]
struct Room {
    bytes: Vec<u8>,
    most: usize,
}

impl Transmit for Room {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.bytes.len() + len > self.most { None } else { self.bytes.packet(len) }
    }
}

#[derive(Debug)]
pub(crate) struct Side {
    role: Role,
    queue: Queue<'static>,
    tickets: HashMap<Ticket, u32>,
    rx: Vec<u8>,
    tx: Room,
    /// Messages that the application has yet to acknowledge.
    pub(crate) to_do: Vec<(AckToken, u32)>,
    pub(crate) disk: Disk,
}

/// Writes down what becomes of messages.
struct Log<'a>(&'a mut Disk, &'a mut HashMap<Ticket, u32>);

impl Tracker for Log<'_> {
    fn in_flight(&mut self, ticket: Ticket, id: PacketId, _: Stage) {
        let number = self.1[&ticket];
        self.0.turn += 1;
        let stored = self.0.outbox.iter_mut().find(|stored| stored.number == number).unwrap();
        stored.sent = Some((id, self.0.turn));
        self.0.deltas.extend(Delta::published(id, stored.qos));
    }

    fn done(&mut self, ticket: Ticket, outcome: Outcome) {
        let number = self.1.remove(&ticket).unwrap();
        self.0.outbox.retain(|stored| stored.number != number);
        self.0.outcomes.push((number, outcome));
    }
}

impl Stored {
    fn topic_name(&self) -> String {
        format!("topic/{}", self.topic)
    }

    fn submit(&self, now: Instant, queue: &mut Queue<'static>, log: &mut Log<'_>) {
        let name = self.topic_name();
        let payload = self.number.to_be_bytes();
        let publish = Publish {
            qos: self.qos,
            packet_id: self.sent.map(|(id, _)| id),
            ..Publish::new(TopicName::new(&name).unwrap(), &payload)
        };
        // The ticket is known before anything becomes of the message.
        log.1.insert(Ticket(u64::MAX), self.number);
        let ticket = queue.restore(now, &publish, log).unwrap();
        log.1.remove(&Ticket(u64::MAX));
        log.1.insert(ticket, self.number);
    }
}

impl Side {
    fn new(role: Role, options: &Options) -> Self {
        Self {
            role,
            queue: Queue::heap(QueueConfig::default()),
            tickets: HashMap::new(),
            rx: Vec::new(),
            tx: Room { bytes: Vec::new(), most: options.room },
            to_do: Vec::new(),
            disk: Disk::default(),
        }
    }

    /// The client after a restart, from the disk.
    fn restart(&mut self, options: &Options) {
        let mut session = new_client(options);
        for delta in &self.disk.deltas {
            assert!(session.restore(*delta));
        }
        self.role = Role::Client(session);
    }

    fn send(&mut self, now: Instant) -> Result<(), Error> {
        let mut log = Log(&mut self.disk, &mut self.tickets);
        match &mut self.role {
            Role::Client(session) if session.is_connected() => {
                self.queue.send(now, session, &mut self.tx, &mut log)
            }
            Role::Server(session) if session.is_connected() => {
                self.queue.send(now, session, &mut self.tx, &mut log)
            }
            _ => Ok(()),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match &mut self.role {
            Role::Client(session) => session.handle_timeout(now, &mut self.tx),
            Role::Server(session) => session.handle_timeout(now, &mut self.tx),
            Role::Gone => Ok(()),
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        match &self.role {
            Role::Client(session) => session.next_timeout(),
            Role::Server(session) => session.next_timeout(),
            Role::Gone => None,
        }
    }

    /// Writes down what an event says.
    fn note(&mut self, event: &Event<'_>) {
        self.disk.deltas.extend(event.delta());
        self.queue.on_event(event, &mut Log(&mut self.disk, &mut self.tickets));
        match event {
            Event::Message(message) => {
                let number = u32::from_be_bytes(message.publish.payload.try_into().unwrap());
                match message.token {
                    Some(token) => self.to_do.push((token, number)),
                    None => self.disk.delivered.push(number),
                }
            }
            Event::Lost { id, .. } => {
                let lost = |stored: &&mut Stored| stored.sent.is_some_and(|(sent, _)| sent == *id);
                if let Some(stored) = self.disk.outbox.iter_mut().find(lost) {
                    stored.sent = None;
                }
            }
            _ => {}
        }
    }

    /// The queue after a restart, from the disk.
    fn restore_queue(&mut self, now: Instant) {
        self.queue = Queue::heap(QueueConfig::default());
        self.tickets.clear();
        let mut outbox = self.disk.outbox.clone();
        outbox
            .sort_by_key(|stored| (stored.sent.map_or(u32::MAX, |(_, turn)| turn), stored.number));
        for stored in outbox {
            stored.submit(now, &mut self.queue, &mut Log(&mut self.disk, &mut self.tickets));
        }
    }

    /// Identifiers that are not free: of messages sent and received.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        match &self.role {
            Role::Client(session) => (session.in_flight().count(), session.received().count()),
            Role::Server(session) => (session.in_flight().count(), session.received().count()),
            Role::Gone => (0, 0),
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }
}

/// All there is.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) now: Instant,
    pub(crate) sides: [Side; 2],
    /// Bytes on their way to each side.
    pub(crate) wire: [Vec<u8>; 2],
    pub(crate) connected: bool,
    /// The Receive Maximum that the server is going to announce, and whether it forgets the session.
    server_plan: (u16, bool),
    /// Whether the server's session has accepted its connection.
    accepted: bool,
    /// The server's session of the last connection, unless that crashed.
    previous: Option<server::Session<'static>>,
    /// What was submitted: side, QoS, topic; the number is the index.
    pub(crate) submitted: Vec<(usize, QoS, u8)>,
    pub(crate) forgotten: bool,
    pub(crate) timeouts: usize,
    pub(crate) trace: Vec<String>,
    /// Whether to write a trace, which takes most of the time.
    pub(crate) tracing: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in &self.trace {
                eprintln!("{line}");
            }
        }
    }
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let now = Instant::from_millis(1000);
        let mut client = Side::new(Role::Client(new_client(&options)), &options);
        client.disk.deltas.push(Delta::Outbound(options.last_id, Stage::PubAck));
        client.disk.deltas.push(Delta::OutboundDone(options.last_id));
        client.restart(&options);
        let server = Side::new(Role::Server(new_server(now, &options)), &options);
        Self {
            options,
            now,
            sides: [client, server],
            wire: [Vec::new(), Vec::new()],
            connected: false,
            server_plan: (u16::MAX, false),
            accepted: false,
            previous: None,
            submitted: Vec::new(),
            forgotten: false,
            timeouts: 0,
            trace: vec![format!("{options:?}")],
            tracing: true,
        }
    }

    pub(crate) fn apply(&mut self, action: Action) {
        if self.tracing {
            self.trace.push(format!("{} ms: {action:?}", self.now.as_millis()));
        }
        match action {
            Action::Connect { receive_maximum, forget } => {
                self.connect(receive_maximum[CLIENT]);
                self.server_plan = (receive_maximum[SERVER], forget);
            }
            Action::Submit { side, qos, topic } => {
                let number = self.submitted.len() as u32;
                self.submitted.push((side, qos, topic));
                let stored = Stored { number, qos, topic, sent: None };
                let at = &mut self.sides[side];
                at.disk.outbox.push(stored.clone());
                stored.submit(self.now, &mut at.queue, &mut Log(&mut at.disk, &mut at.tickets));
                self.send(side);
                self.flush(side);
            }
            Action::Deliver { side, bytes, crash } => {
                let arrived = self.wire[side].drain(..bytes);
                self.sides[side].rx.extend(arrived);
                self.work(side, crash);
            }
            Action::Acknowledge { side, index, crash } => self.acknowledge(side, index, crash),
            Action::Cut { arrived } => {
                for side in [CLIENT, SERVER] {
                    if self.connected {
                        let bytes: Vec<u8> = self.wire[side].drain(..arrived[side]).collect();
                        self.sides[side].rx.extend(bytes);
                        self.work(side, Crash::Never);
                    }
                }
                self.cut();
            }
            Action::Tick => self.tick(),
        }
    }

    fn connect(&mut self, receive_maximum: u16) {
        let list = [
            Property::ReceiveMaximum(receive_maximum.try_into().unwrap()),
            Property::SessionExpiryInterval(u32::MAX),
        ];
        let connect = Connect {
            clean_start: false,
            keep_alive: self.options.keep_alive,
            properties: self.properties(&list),
            ..Connect::new(self.options.version, "c")
        };
        let Role::Client(session) = &mut self.sides[CLIENT].role else { unreachable!() };
        session.connect(self.now, &connect, &mut self.sides[CLIENT].tx).unwrap();
        let session = Role::Server(new_server(self.now, &self.options));
        if let Role::Server(earlier) = core::mem::replace(&mut self.sides[SERVER].role, session) {
            // One that was never accepted has nothing of the session.
            if core::mem::take(&mut self.accepted) {
                self.previous = Some(earlier);
            }
        }
        self.connected = true;
        self.flush(CLIENT);
    }

    fn properties<'p>(&self, list: &'p [Property<'p>]) -> Properties<'p> {
        if self.options.version == Version::V5 { list.into() } else { Properties::EMPTY }
    }

    /// The server takes up the session again, from memory or from its disk.
    fn accept(&mut self) {
        let (receive_maximum, forget) = self.server_plan;
        let list = [Property::ReceiveMaximum(receive_maximum.try_into().unwrap())];
        let connack = ConnAck {
            session_present: self.sides[SERVER].disk.has_session && !forget,
            properties: self.properties(&list),
            ..ConnAck::new(ReasonCode::Success)
        };
        let side = &mut self.sides[SERVER];
        let Role::Server(session) = &mut side.role else { unreachable!() };
        let earlier = self.previous.take();
        if connack.session_present {
            match earlier {
                Some(mut earlier) => session.take_over(&mut earlier),
                None => {
                    for delta in &side.disk.deltas {
                        assert!(session.restore(*delta));
                    }
                }
            }
        } else {
            side.disk.deltas.clear();
            side.to_do.clear();
            if side.disk.has_session {
                self.forgotten = true;
                side.queue.clear(&mut Log(&mut side.disk, &mut side.tickets));
            } else {
                // What was submitted before there was a session waits for the first one.
                for stored in &mut side.disk.outbox {
                    stored.sent = None;
                }
            }
        }
        session.accept(self.now, &connack, &mut side.tx).unwrap();
        self.accepted = true;
        if !connack.session_present {
            side.restore_queue(self.now);
            side.disk.has_session = false;
        }
    }

    /// A side works on what it has received, and sends what it can.
    fn work(&mut self, side: usize, crash: Crash) {
        let rx = core::mem::take(&mut self.sides[side].rx);
        let mut rest = &rx[..];
        while self.connected {
            let at = &mut self.sides[side];
            let result = match &mut at.role {
                Role::Client(session) => session.receive(self.now, &mut rest, &mut at.tx),
                Role::Server(session) => session.receive(self.now, &mut rest, &mut at.tx),
                Role::Gone => Ok(None),
            };
            match result {
                Ok(Some(event)) => {
                    if self.tracing {
                        self.trace.push(format!("    {} {}", name(side), words(&event)));
                    }
                    if crash == Crash::Before {
                        return self.crash(side);
                    }
                    if let Event::Connect(_) = event {
                        self.accept();
                    }
                    if let Event::Connected(_) = event {
                        // Were this CONNACK lost, the client would take the next session for the
                        // forgotten one, against which MQTT has no remedy.
                        self.sides[SERVER].disk.has_session = true;
                    }
                    self.sides[side].note(&event);
                }
                Ok(None) => break,
                Err(Error::TransmitFull) => self.flush(side),
                Err(error) => panic!("{} failed: {error}", name(side)),
            }
        }
        self.sides[side].rx = rest.to_vec();
        self.send(side);
        if crash == Crash::After {
            return self.crash(side);
        }
        self.flush(side);
    }

    fn send(&mut self, side: usize) {
        loop {
            match self.sides[side].send(self.now) {
                Ok(()) => return,
                Err(Error::TransmitFull) => self.flush(side),
                Err(error) => panic!("{} cannot send: {error}", name(side)),
            }
        }
    }

    fn acknowledge(&mut self, side: usize, index: usize, crash: Crash) {
        loop {
            let at = &mut self.sides[side];
            let (token, number) = at.to_do[index];
            let result = match &mut at.role {
                Role::Client(session) => {
                    session.acknowledge(self.now, token, ReasonCode::Success, &mut at.tx)
                }
                Role::Server(session) => {
                    session.acknowledge(token, ReasonCode::Success, &mut at.tx)
                }
                Role::Gone => unreachable!(),
            };
            match result {
                Ok(()) => {
                    if crash == Crash::Before {
                        return self.crash(side);
                    }
                    at.to_do.remove(index);
                    at.disk.delivered.push(number);
                    at.disk.deltas.extend(token.delta(ReasonCode::Success));
                    break;
                }
                Err(Error::TransmitFull) => self.flush(side),
                Err(error) => panic!("{} cannot acknowledge: {error}", name(side)),
            }
        }
        if crash == Crash::After {
            return self.crash(side);
        }
        self.flush(side);
        // What there was no room for is due at once.
        self.work(side, Crash::Never);
    }

    fn flush(&mut self, side: usize) {
        let bytes = core::mem::take(&mut self.sides[side].tx.bytes);
        if self.connected {
            self.wire[1 - side].extend(bytes);
        }
    }

    /// The connection is gone, with all that is on it.
    fn cut(&mut self) {
        self.connected = false;
        for side in [CLIENT, SERVER] {
            self.wire[side].clear();
            let at = &mut self.sides[side];
            at.rx.clear();
            at.tx.bytes.clear();
            at.to_do.clear();
            match &mut at.role {
                Role::Client(session) => session.closed(),
                Role::Server(session) => session.closed(),
                Role::Gone => {}
            }
        }
    }

    /// A side crashes and starts again from its disk.
    fn crash(&mut self, side: usize) {
        if self.tracing {
            self.trace.push(format!("    {} crashes", name(side)));
        }
        self.cut();
        let at = &mut self.sides[side];
        at.restore_queue(self.now);
        at.rx.clear();
        at.tx.bytes.clear();
        at.to_do.clear();
        if side == CLIENT {
            at.restart(&self.options);
        } else {
            // Its session is restored when the client comes back.
            at.role = Role::Gone;
            self.previous = None;
            self.accepted = false;
        }
    }

    fn tick(&mut self) {
        let next = self.sides.iter().filter_map(Side::next_timeout).min();
        let second = Instant::from_millis(self.now.as_millis() + 1000);
        self.now = match next {
            Some(next) if self.connected => self.now.max(next),
            _ => second,
        };
        for side in [CLIENT, SERVER] {
            if !self.connected {
                return;
            }
            match self.sides[side].handle_timeout(self.now) {
                Ok(()) => {}
                Err(Error::TransmitFull) => {}
                Err(Error::Peer(Fault::Timeout | Fault::KeepAlive)) => {
                    self.timeouts += 1;
                    if self.tracing {
                        self.trace.push(format!("    {} gives up", name(side)));
                    }
                    return self.cut();
                }
                Err(error) => panic!("{} fails in time: {error}", name(side)),
            }
            self.flush(side);
        }
    }

    /// No more faults: all that is on its way arrives, and everything is acknowledged.
    pub(crate) fn settle(&mut self) {
        if !self.connected {
            self.apply(Action::Connect { receive_maximum: [u16::MAX; 2], forget: false });
        }
        let timeouts = self.timeouts;
        for _ in 0..10_000 {
            let mut idle = true;
            for side in [CLIENT, SERVER] {
                let bytes = self.wire[side].len();
                if bytes > 0 {
                    idle = false;
                    self.apply(Action::Deliver { side, bytes, crash: Crash::Never });
                }
                while !self.sides[side].to_do.is_empty() {
                    idle = false;
                    self.apply(Action::Acknowledge { side, index: 0, crash: Crash::Never });
                }
            }
            if idle {
                assert_eq!(self.timeouts, timeouts, "a timeout although all is well");
                return;
            }
        }
        panic!("the two never come to rest");
    }

    /// What must hold when all is settled.
    pub(crate) fn check(&self, in_order: bool) {
        for side in [CLIENT, SERVER] {
            let (at, peer) = (&self.sides[side], &self.sides[1 - side]);
            assert_eq!(at.in_use(), (0, 0), "identifiers leaked at {}", name(side));
            assert_eq!(at.queued(), 0, "messages are stuck at {}", name(side));
            let sent = |number: u32| self.submitted.get(number as usize);
            for number in &peer.disk.delivered {
                let from = sent(*number).map(|(from, ..)| *from);
                assert_eq!(from, Some(side), "message {number} was invented");
            }
            for (number, (from, qos, _)) in (0..).zip(&self.submitted) {
                if *from == side {
                    self.check_message(number, *qos, at, peer, side == SERVER && self.forgotten);
                }
            }
            if in_order {
                self.check_order(side, &peer.disk.delivered);
            }
        }
    }

    fn check_message(&self, number: u32, qos: QoS, at: &Side, peer: &Side, forgotten: bool) {
        let outcomes: Vec<Outcome> =
            at.disk.outcomes.iter().filter(|(n, _)| *n == number).map(|(_, o)| *o).collect();
        assert_eq!(outcomes.len(), 1, "outcomes of message {number}: {outcomes:?}");
        let copies = peer.disk.delivered.iter().filter(|n| **n == number).count();
        match (qos, outcomes[0]) {
            (QoS::AtMostOnce, Outcome::Sent | Outcome::Dropped) => assert!(copies <= 1),
            (QoS::AtLeastOnce, Outcome::Delivered(_)) => assert!(copies >= 1, "{number} is lost"),
            (QoS::ExactlyOnce, Outcome::Delivered(_)) => {
                assert_eq!(copies, 1, "message {number} of QoS 2");
            }
            (QoS::ExactlyOnce, Outcome::InDoubt) if self.forgotten => assert!(copies <= 1),
            (_, Outcome::InDoubt | Outcome::Dropped) if forgotten => {}
            (_, outcome) => panic!("message {number}: {outcome:?}"),
        }
    }

    /// The first copies arrive in the order in which the messages were submitted, for QoS 1 and 2 and
    /// for QoS 0.
    fn check_order(&self, side: usize, delivered: &[u32]) {
        for kept in [true, false] {
            let mut seen = Vec::new();
            for number in delivered {
                let (_, qos, _) = self.submitted[*number as usize];
                if (qos != QoS::AtMostOnce) == kept && !seen.contains(number) {
                    seen.push(*number);
                }
            }
            assert!(seen.is_sorted(), "order from {}: {seen:?}", name(side));
        }
    }

    /// All that matters for what can happen from here, in words.
    pub(crate) fn state(&self) -> String {
        let side = |side: &Side| {
            let Disk { outbox, delivered, outcomes, has_session, .. } = &side.disk;
            // Whether a message came twice matters, but not how often.
            let mut copies: Vec<u32> = Vec::new();
            for number in delivered {
                if copies.iter().filter(|copy| *copy == number).count() < 2 {
                    copies.push(*number);
                }
            }
            let mut outbox: Vec<_> = outbox.iter().collect();
            outbox.sort_by_key(|stored| stored.sent.map(|(_, turn)| turn));
            let outbox: Vec<_> = outbox
                .iter()
                .map(|stored| (stored.number, stored.sent.map(|(id, _)| id)))
                .collect();
            format!(
                "{:?} {:?} {:?} {outbox:?} {copies:?} {outcomes:?} {has_session}",
                side.role, side.queue, side.rx
            )
        };
        let [client, server] = &self.sides;
        let (client, server) = (side(client), side(server));
        let previous = self.previous.as_ref().map(|session| format!("{session:?}"));
        format!("{client} {server} {:?} {} {previous:?}", self.wire, self.connected)
    }
}

fn new_client(options: &Options) -> client::Session<'static> {
    let mut config = client::Config::default();
    config.manual_acknowledge = options.manual;
    client::Session::new(config, Slots::heap(options.slots))
}

fn new_server(now: Instant, options: &Options) -> server::Session<'static> {
    let mut config = server::Config::default();
    config.manual_acknowledge = options.manual;
    server::Session::new(now, config, Slots::heap(options.slots))
}

pub(crate) fn name(side: usize) -> &'static str {
    ["client", "server"][side]
}

fn words(event: &Event<'_>) -> String {
    match event {
        Event::Message(message) => {
            let publish = &message.publish;
            let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
            let id = publish.packet_id.map_or(0, PacketId::get);
            format!(
                "gets message {number}, QoS {}, id {id}, dup {}",
                publish.qos.bits(),
                publish.dup
            )
        }
        Event::Connect(_) => "gets CONNECT".into(),
        Event::Connected(connack) => format!("is connected, session {}", connack.session_present),
        other => format!("{other:?}"),
    }
}
