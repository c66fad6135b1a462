//! Client and server, one against the other.

use mqtt_codec::{ConnAck, Connect, PacketId, Publish, QoS, ReasonCode, TopicName, Version};
use mqtt_session::client::Slots;
use mqtt_session::{Event, Instant, Outbox, client, server};

const NOW: Instant = Instant::from_millis(0);

struct Kept(Vec<(PacketId, QoS)>);

impl Outbox for Kept {
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        let (_, qos) = self.0.iter().find(|(kept, _)| *kept == id)?;
        Some(message(*qos))
    }
}

fn message(qos: QoS) -> Publish<'static> {
    Publish { qos, ..Publish::new(TopicName::new("a/b").unwrap(), b"21.5") }
}

/// Two sessions and the bytes between them.
struct Pair {
    client: client::Session<'static>,
    server: server::Session<'static>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What happened, in words.
    log: Vec<String>,
    session_present: bool,
}

impl Pair {
    fn new(version: Version, clean_start: bool) -> Self {
        let mut pair = Self {
            client: client::Session::new(client::Config::default(), Slots::heap(16)),
            server: server::Session::new(NOW, server::Config::default(), Slots::heap(16)),
            to_server: Vec::new(),
            to_client: Vec::new(),
            log: Vec::new(),
            session_present: false,
        };
        pair.connect(version, clean_start);
        pair
    }

    fn connect(&mut self, version: Version, clean_start: bool) {
        let connect = Connect { clean_start, ..Connect::new(version, "c") };
        self.client.connect(NOW, &connect, &mut self.to_server).unwrap();
        self.run();
    }

    /// Both sides act until nothing is left to do.
    fn run(&mut self) {
        loop {
            let (up, down) =
                (core::mem::take(&mut self.to_server), core::mem::take(&mut self.to_client));
            if up.is_empty() && down.is_empty() {
                return;
            }
            let mut rx = &up[..];
            while let Some(event) = self.server.receive(NOW, &mut rx, &mut self.to_client).unwrap()
            {
                if let Event::Connect(_) = event {
                    let connack = ConnAck {
                        session_present: self.session_present,
                        ..ConnAck::new(ReasonCode::Success)
                    };
                    self.server.accept(NOW, &connack, &mut self.to_client).unwrap();
                }
                self.log.push(format!("server {}", word(&event)));
            }
            let mut rx = &down[..];
            while let Some(event) = self.client.receive(NOW, &mut rx, &mut self.to_server).unwrap()
            {
                self.log.push(format!("client {}", word(&event)));
            }
        }
    }

    /// The connection breaks: what is on the way is lost.
    fn cut(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        self.client.closed();
        self.server.closed();
        let mut server = server::Session::new(NOW, server::Config::default(), Slots::heap(16));
        server.take_over(&mut self.server);
        self.server = server;
        self.session_present = true;
    }
}

fn word(event: &Event<'_>) -> String {
    match event {
        Event::Message(m) => format!("message {} dup {}", m.publish.qos.bits(), m.publish.dup),
        Event::Acknowledged { id, reason } => format!("acknowledged {id} {reason}"),
        Event::Received { id } => format!("received {id}"),
        Event::Released { id } => format!("released {id}"),
        Event::Lost { id, stage } => format!("lost {id} {stage:?}"),
        Event::Connect(_) => "connect".into(),
        Event::Connected(_) => "connected".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn each_qos_is_delivered_once_over_a_good_connection() {
    for version in [Version::V311, Version::V5] {
        let mut pair = Pair::new(version, true);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            pair.client.publish(NOW, &message(qos), &mut pair.to_server).unwrap();
        }
        pair.run();
        assert_eq!(
            pair.log,
            [
                "server connect",
                "client connected",
                "server message 0 dup false",
                "server message 1 dup false",
                "server message 2 dup false",
                "client acknowledged 1 Success",
                "client received 2",
                "server released 2",
                "client acknowledged 2 Success",
            ]
        );
    }
}

#[test]
fn what_was_not_acknowledged_is_sent_again_with_dup_mqtt_4_4_0_1() {
    let mut pair = Pair::new(Version::V5, false);
    let mut kept = Kept(Vec::new());
    for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce] {
        let id = pair.client.publish(NOW, &message(qos), &mut pair.to_server).unwrap().unwrap();
        kept.0.push((id, qos));
    }
    // The server gets both, but its answers are lost.
    let up = core::mem::take(&mut pair.to_server);
    let mut rx = &up[..];
    while pair.server.receive(NOW, &mut rx, &mut pair.to_client).unwrap().is_some() {}
    pair.cut();
    pair.log.clear();
    pair.connect(Version::V5, false);
    pair.client.resume(NOW, &kept, &mut pair.to_server).unwrap();
    pair.run();
    assert_eq!(
        pair.log,
        [
            "server connect",
            "client connected",
            // QoS 2 is not delivered again [MQTT-4.3.3-10], QoS 1 is.
            "server message 1 dup true",
            "client received 1",
            "client acknowledged 2 Success",
            "server released 1",
            "client acknowledged 1 Success",
        ]
    );
}
