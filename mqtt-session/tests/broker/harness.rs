//! A broker, clients that are bytes, and a clock that is set by hand.

use core::time::Duration;
use std::collections::HashMap;

use mqtt_codec::{
    Ack, ConnAck, Connect, Disconnect, Packet, PacketId, Property, Publish, QoS, ReasonCode, Rules,
    Sender, SubAck, Subscribe, Subscription, TopicFilter, TopicName, UnsubAck, Unsubscribe,
    Version,
};
use mqtt_session::broker::{
    Admission, Bridge, Broker, Config, ConnectionId, Notice, Outputs, Policy, Received, Ticket,
};
use mqtt_session::{Instant, Transmit};

pub(crate) const BOTH: [Version; 2] = [Version::V311, Version::V5];
pub(crate) const EVERY_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A generator of numbers that are the same in every run.
#[derive(Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// What the broker has put out for one connection.
#[derive(Debug)]
struct End {
    bytes: Vec<u8>,
    room: usize,
    closed: bool,
    /// What the broker could not take yet.
    rx: Vec<u8>,
    /// What it told of the connection.
    notices: Vec<String>,
}

impl Transmit for End {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        (self.bytes.len() + len <= self.room).then(|| self.bytes.packet(len)).flatten()
    }
}

#[derive(Debug, Default)]
struct Ends(HashMap<ConnectionId, End>);

impl Outputs for Ends {
    fn transmit(&mut self, id: ConnectionId) -> &mut dyn Transmit {
        let end = self.0.get_mut(&id).expect("an open connection");
        assert!(!end.closed, "the broker has said that it has done with it");
        end
    }

    fn close(&mut self, id: ConnectionId) {
        self.0.get_mut(&id).expect("an open connection").closed = true;
    }

    fn notice(&mut self, id: ConnectionId, notice: &Notice<'_>) {
        let end = self.0.get_mut(&id).expect("an open connection");
        assert!(!end.closed, "told before the close");
        end.notices.push(match notice {
            Notice::Connected { client, .. } => format!("{} is let in", client.id),
            Notice::Refused { client_id, reason } => format!("{client_id} is refused: {reason}"),
            Notice::Ended { client, cause } => {
                format!("{} ends: {cause}", client.map_or("?", |client| client.id))
            }
            _ => panic!("an unknown notice"),
        });
    }
}

/// A broker and its clients.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) broker: Broker,
    pub(crate) now: Instant,
    ends: Ends,
}

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) id: ConnectionId,
    pub(crate) version: Version,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::of(Broker::new(config))
    }

    pub(crate) fn with_policy(policy: impl Policy + Send + 'static) -> Self {
        Self::with_both(policy, |_| {})
    }

    pub(crate) fn with_both(
        policy: impl Policy + Send + 'static,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::of(Broker::with_policy(config, Box::new(policy)))
    }

    pub(crate) fn of(broker: Broker) -> Self {
        Self { broker, now: Instant::from_millis(1_000_000), ends: Ends::default() }
    }

    pub(crate) fn open(&mut self, version: Version) -> Client {
        let id = self.broker.open(self.now).expect("room for a connection");
        self.opened(id, version)
    }

    fn opened(&mut self, id: ConnectionId, version: Version) -> Client {
        let end = End {
            bytes: Vec::new(),
            room: usize::MAX,
            closed: false,
            rx: Vec::new(),
            notices: Vec::new(),
        };
        assert!(self.ends.0.insert(id, end).is_none(), "an id was used again");
        Client { id, version }
    }

    /// Connects and asserts that it went well.
    pub(crate) fn connect(&mut self, connect: &Connect<'_>) -> (Client, ConnAck<'static>) {
        let client = self.open(connect.version);
        let (client, connack) = self.connect_on(client, connect);
        assert_eq!(connack.reason, ReasonCode::Success);
        (client, connack)
    }

    /// As [`Net::connect`], on a connection for bridges, however it goes.
    pub(crate) fn bridge(&mut self, connect: &Connect<'_>) -> (Client, ConnAck<'static>) {
        let id = self.broker.open_bridge(self.now).expect("room for a bridge");
        let client = self.opened(id, connect.version);
        self.connect_on(client, connect)
    }

    fn connect_on(&mut self, client: Client, connect: &Connect<'_>) -> (Client, ConnAck<'static>) {
        self.send(client, &Packet::Connect(*connect));
        let Some((Packet::ConnAck(connack), rest)) = self.first(client) else {
            panic!("no CONNACK")
        };
        self.end(client).bytes = rest;
        (client, connack)
    }

    /// A client with a clean start.
    pub(crate) fn client(&mut self, version: Version, name: &str) -> Client {
        self.connect(&Connect { keep_alive: 0, ..Connect::new(version, name) }).0
    }

    /// A client whose session outlives its connection, and whether it found one.
    pub(crate) fn keeper(&mut self, version: Version, name: &str) -> (Client, bool) {
        let list = [Property::SessionExpiryInterval(1000)];
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: match version {
                Version::V5 => list[..].into(),
                _ => [][..].into(),
            },
            ..Connect::new(version, name)
        };
        let (client, connack) = self.connect(&connect);
        (client, connack.session_present)
    }

    /// How the broker answers a CONNECT that it refuses: with CONNACK and the close, or only that.
    pub(crate) fn refused(&mut self, connect: &Connect<'_>) -> Option<ReasonCode> {
        let client = self.open(connect.version);
        self.send(client, &Packet::Connect(*connect));
        let packets = self.packets(client);
        assert!(self.is_closed(client), "refused, but open");
        match packets[..] {
            [] => None,
            [Packet::ConnAck(connack)] => {
                assert!(!connack.session_present);
                Some(connack.reason)
            }
            _ => panic!("{packets:?} in place of CONNACK"),
        }
    }

    pub(crate) fn send(&mut self, client: Client, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        Rules::new(client.version, Sender::Client).encode_to_vec(packet, &mut bytes).unwrap();
        self.send_bytes(client, &bytes);
        let end = self.end(client);
        assert!(end.rx.is_empty() || end.room < usize::MAX || end.closed, "{packet:?} is left");
    }

    /// Hands bytes to the broker. Those for whose answers there is no room wait for
    /// [`Net::writable`].
    pub(crate) fn send_bytes(&mut self, client: Client, bytes: &[u8]) {
        let mut waiting = core::mem::take(&mut self.end(client).rx);
        waiting.extend_from_slice(bytes);
        let mut rx = &waiting[..];
        let received = self.broker.receive(self.now, client.id, &mut rx, &mut self.ends);
        let end = self.end(client);
        assert_eq!(received == Received::Closed, end.closed);
        end.rx = rx.to_vec();
    }

    fn end(&mut self, client: Client) -> &mut End {
        self.ends.0.get_mut(&client.id).expect("a client")
    }

    /// As [`Net::send_bytes`], for who wants to know how far the broker got.
    pub(crate) fn try_send(&mut self, client: Client, rx: &mut &[u8]) -> Received {
        self.broker.receive(self.now, client.id, rx, &mut self.ends)
    }

    /// From now on there is room for so many bytes more.
    pub(crate) fn set_room(&mut self, client: Client, room: usize) {
        let end = self.end(client);
        end.room = end.bytes.len().saturating_add(room);
    }

    pub(crate) fn writable(&mut self, client: Client) {
        self.broker.writable(self.now, client.id, &mut self.ends);
        if !self.end(client).closed {
            self.send_bytes(client, &[]);
        }
    }

    /// All bytes that the broker has sent on this connection.
    pub(crate) fn bytes(&mut self, client: Client) -> Vec<u8> {
        core::mem::take(&mut self.end(client).bytes)
    }

    /// All packets that the broker has sent on this connection.
    pub(crate) fn packets(&mut self, client: Client) -> Vec<Packet<'static>> {
        let rules = Rules::new(client.version, Sender::Server);
        // A test is short; its packets may live as long.
        let mut bytes: &'static [u8] = self.bytes(client).leak();
        let mut packets = Vec::new();
        while let Some(packet) = rules.decode(&mut bytes).unwrap() {
            packets.push(packet);
        }
        assert!(bytes.is_empty(), "half a packet: {bytes:02x?}");
        packets
    }

    /// The only packet that the broker has sent on this connection.
    pub(crate) fn packet(&mut self, client: Client) -> Option<Packet<'static>> {
        let packets = self.packets(client);
        assert!(packets.len() <= 1, "{packets:?}");
        packets.first().copied()
    }

    pub(crate) fn is_closed(&self, client: Client) -> bool {
        self.ends.0[&client.id].closed
    }

    /// What the broker told of the connection, for a log.
    pub(crate) fn notices(&self, client: Client) -> &[String] {
        &self.ends.0[&client.id].notices
    }

    /// The reason of the DISCONNECT that closed the connection.
    pub(crate) fn goodbye(&mut self, client: Client) -> Option<ReasonCode> {
        assert!(self.is_closed(client));
        match self.packets(client).last() {
            Some(Packet::Disconnect(disconnect)) => Some(disconnect.reason),
            _ => None,
        }
    }

    pub(crate) fn subscribe(&mut self, client: Client, filter: &str, qos: QoS) {
        let subscription = Subscription::new(TopicFilter::new(filter).unwrap(), qos);
        let reasons = self.subscribe_to(client, &[subscription], &[]);
        assert_eq!(reasons.map(|reasons| reasons[0].value()), Some(qos.bits()));
    }

    /// Subscribes and returns the codes of SUBACK, if it came first and with the right identifier.
    /// Messages that came behind it wait for [`Net::messages`].
    pub(crate) fn subscribe_to(
        &mut self,
        client: Client,
        subscriptions: &[Subscription<'_>],
        properties: &[Property<'_>],
    ) -> Option<Vec<ReasonCode>> {
        let packet_id = PacketId::new(77).unwrap();
        self.send(
            client,
            &Packet::Subscribe(Subscribe {
                packet_id,
                properties: properties.into(),
                subscriptions: subscriptions.into(),
            }),
        );
        let Some((Packet::SubAck(SubAck { packet_id: id, reasons, .. }), rest)) =
            self.first(client)
        else {
            return None;
        };
        assert_eq!(id, packet_id);
        let reasons = reasons.iter().collect();
        self.end(client).bytes = rest;
        Some(reasons)
    }

    /// Unsubscribes and returns the codes of UNSUBACK, none in 3.1.1.
    pub(crate) fn unsubscribe(
        &mut self,
        client: Client,
        filters: &[&str],
    ) -> Option<Vec<ReasonCode>> {
        let packet_id = PacketId::new(78).unwrap();
        let filters: Vec<_> = filters.iter().map(|f| TopicFilter::new(f).unwrap()).collect();
        self.send(
            client,
            &Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties: [][..].into(),
                filters: filters[..].into(),
            }),
        );
        let Some((Packet::UnsubAck(UnsubAck { packet_id: id, reasons, .. }), rest)) =
            self.first(client)
        else {
            return None;
        };
        assert_eq!(id, packet_id);
        let reasons = reasons.iter().collect();
        self.end(client).bytes = rest;
        Some(reasons)
    }

    /// The first packet, and the bytes behind it. Nothing is taken out.
    fn first(&mut self, client: Client) -> Option<(Packet<'static>, Vec<u8>)> {
        let rules = Rules::new(client.version, Sender::Server);
        let mut bytes: &'static [u8] = self.end(client).bytes.clone().leak();
        let first = rules.decode(&mut bytes).unwrap()?;
        Some((first, bytes.to_vec()))
    }

    /// Publishes and goes through with the acknowledgements.
    pub(crate) fn publish(&mut self, client: Client, topic: &str, payload: &str, qos: QoS) {
        self.publish_all_of(client, &Publish { qos, ..message(topic, payload) });
    }

    /// As [`Net::publish`], with RETAIN.
    pub(crate) fn retain(&mut self, client: Client, topic: &str, payload: &str, qos: QoS) {
        self.publish_all_of(client, &Publish { qos, retain: true, ..message(topic, payload) });
    }

    /// Publishes and goes through with the acknowledgements. What else the broker has sent to this
    /// client waits for [`Net::messages`].
    pub(crate) fn publish_all_of(&mut self, client: Client, publish: &Publish<'_>) -> ReasonCode {
        let id = PacketId::new(99).unwrap();
        let packet_id = (publish.qos != QoS::AtMostOnce).then_some(id);
        let earlier = self.bytes(client);
        self.send(client, &Packet::Publish(Publish { packet_id, ..*publish }));
        let mut reason = ReasonCode::Success;
        let rest = self.take(client, |packet| match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) if ack.packet_id == id => {
                reason = ack.reason;
                true
            }
            _ => false,
        });
        assert_eq!(rest.1, usize::from(packet_id.is_some()), "acknowledgements");
        let mut kept = [earlier, rest.0].concat();
        if publish.qos == QoS::ExactlyOnce && !reason.is_failure() {
            self.send(client, &Packet::PubRel(Ack::new(id)));
            let rest = self.take(client, |packet| *packet == Packet::PubComp(Ack::new(id)));
            assert_eq!(rest.1, 1, "PUBCOMP");
            kept.extend(rest.0);
        }
        self.end(client).bytes = kept;
        reason
    }

    /// Takes out packets; returns the bytes of the others and how many were taken.
    fn take(
        &mut self,
        client: Client,
        mut wanted: impl FnMut(&Packet<'static>) -> bool,
    ) -> (Vec<u8>, usize) {
        let rules = Rules::new(client.version, Sender::Server);
        let mut bytes: &'static [u8] = self.bytes(client).leak();
        let (mut rest, mut taken) = (Vec::new(), 0);
        loop {
            let before = bytes;
            let Some(packet) = rules.decode(&mut bytes).unwrap() else { return (rest, taken) };
            if wanted(&packet) {
                taken += 1;
            } else {
                rest.extend_from_slice(&before[..before.len() - bytes.len()]);
            }
        }
    }

    /// All messages that the broker has for this client, acknowledged as they come.
    pub(crate) fn messages(&mut self, client: Client) -> Vec<Publish<'static>> {
        let mut messages = Vec::new();
        loop {
            let packets = self.packets(client);
            if packets.is_empty() {
                return messages;
            }
            if !self.end(client).rx.is_empty() {
                self.writable(client);
            }
            for packet in packets {
                match packet {
                    Packet::Publish(publish) => {
                        messages.push(publish);
                        self.acknowledge(client, &publish, ReasonCode::Success);
                    }
                    Packet::PubRel(ack) => {
                        self.send(client, &Packet::PubComp(Ack::new(ack.packet_id)));
                    }
                    other => panic!("{other:?} among the messages"),
                }
            }
        }
    }

    /// Sends PUBACK or PUBREC.
    pub(crate) fn acknowledge(
        &mut self,
        client: Client,
        publish: &Publish<'_>,
        reason: ReasonCode,
    ) {
        let Some(id) = publish.packet_id else { return };
        let ack = Ack { reason, ..Ack::new(id) };
        match publish.qos {
            QoS::ExactlyOnce => self.send(client, &Packet::PubRec(ack)),
            _ => self.send(client, &Packet::PubAck(ack)),
        }
    }

    /// The payloads of all messages that the broker has for this client.
    pub(crate) fn payloads(&mut self, client: Client) -> Vec<String> {
        let text = |publish: &Publish<'_>| String::from_utf8(publish.payload.to_vec()).unwrap();
        self.messages(client).iter().map(text).collect()
    }

    /// The client's connection breaks.
    pub(crate) fn cut(&mut self, client: Client) {
        self.broker.closed(self.now, client.id, &mut self.ends);
        self.end(client).closed = true;
    }

    /// The client says goodbye.
    pub(crate) fn disconnect(&mut self, client: Client, reason: ReasonCode) {
        self.send(client, &Packet::Disconnect(Disconnect::new(reason)));
        assert!(self.is_closed(client));
    }

    /// The broker has these bridges from now on.
    pub(crate) fn set_bridges(&mut self, bridges: &[Bridge<'_>]) -> Result<(), ReasonCode> {
        self.broker.set_bridges(self.now, bridges, &mut self.ends)
    }

    /// The broker behind a bridge has begun anew.
    pub(crate) fn forget_received(&mut self, bridge: &str) {
        self.broker.forget_received(self.now, bridge, &mut self.ends);
    }

    /// The broker itself publishes.
    pub(crate) fn announce(&mut self, publish: &Publish<'_>) -> bool {
        self.broker.publish(self.now, publish, &mut self.ends)
    }

    /// How many connections and subscriptions ended.
    pub(crate) fn reconsider(&mut self) -> (usize, usize) {
        let ended = self.broker.reconsider(self.now, &mut self.ends);
        (ended.connections, ended.subscriptions)
    }

    pub(crate) fn shut_down(&mut self) {
        self.broker.shut_down(self.now, &mut self.ends);
    }

    /// The policy answers. What the client has sent meanwhile is taken then.
    pub(crate) fn resolve(&mut self, ticket: Ticket, answer: Admission) {
        self.broker.resolve(self.now, ticket, answer, &mut self.ends);
        let id = ticket.connection();
        let Some(end) = self.ends.0.get_mut(&id).filter(|end| !end.closed) else { return };
        let waiting = core::mem::take(&mut end.rx);
        let mut rx = &waiting[..];
        let _ = self.broker.receive(self.now, id, &mut rx, &mut self.ends);
        self.ends.0.get_mut(&id).expect("a client").rx = rx.to_vec();
    }

    /// Time passes, and the broker is called whenever it wants to be.
    pub(crate) fn wait(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.broker.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.broker.handle_timeout(self.now, &mut self.ends);
            let next = self.broker.next_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer that never ends");
        }
        self.now = until;
        self.broker.handle_timeout(self.now, &mut self.ends);
    }
}

pub(crate) fn message<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish::new(TopicName::new(topic).unwrap(), payload.as_bytes())
}

pub(crate) fn subscription(filter: &str, qos: QoS) -> Subscription<'_> {
    Subscription::new(TopicFilter::new(filter).unwrap(), qos)
}
