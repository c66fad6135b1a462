//! A subscriber made of the sans-IO session and a plain socket, so that each packet can be shown as
//! it goes over the wire: bytes, fields, event.

use alloc::sync::Arc;
use core::net::SocketAddr;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use mqtt_codec::{
    Connect, Disconnect, Packet, Properties, QoS, ReasonCode, Rules, Sender, Subscription,
    TopicFilter, Version,
};
use mqtt_session::client::{Config, Session, Slots};
use mqtt_session::{Clock, Event};

use crate::narrate::{Layer, Narrator, hex};

/// How many packets are shown in full.
const SHOWN: usize = 5;

/// Subscribes to `filter` and counts messages until `enough` came.
pub(crate) fn watch(
    address: SocketAddr,
    filter: &str,
    enough: usize,
    narrator: &Arc<Narrator>,
) -> io::Result<usize> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(narrator.patience()))?;
    let clock = Clock::start();
    let mut session = Session::new(Config::default(), Slots::heap(64));
    let mut rx = Vec::new();
    let mut tx = Vec::new();
    let mut shown = 0;
    let mut messages = 0;

    let connect = Connect::new(Version::V5, "student");
    session.connect(clock.now(), &connect, &mut tx).map_err(io::Error::other)?;
    while messages < enough {
        show(&tx, Sender::Client, "sends", &mut shown, narrator);
        socket.write_all(&tx)?;
        tx.clear();
        let mut chunk = [0; 4096];
        let len = match socket.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        rx.extend_from_slice(&chunk[..len]);
        let mut rest = &rx[..];
        loop {
            let before = rest;
            let event =
                session.receive(clock.now(), &mut rest, &mut tx).map_err(io::Error::other)?;
            show(
                &before[..before.len() - rest.len()],
                Sender::Server,
                "gets",
                &mut shown,
                narrator,
            );
            let Some(event) = event else { break };
            match event {
                Event::Connected(_) => {
                    let filter = TopicFilter::new(filter).map_err(io::Error::other)?;
                    let subscriptions = [Subscription::new(filter, QoS::AtLeastOnce)];
                    session
                        .subscribe(clock.now(), &subscriptions, Properties::EMPTY, &mut tx)
                        .map_err(io::Error::other)?;
                }
                // More than enough may come at once, as retained messages do.
                Event::Message(_) if messages == enough => {}
                Event::Message(message) => {
                    messages += 1;
                    if shown <= SHOWN {
                        let topic = session.topic(&message.publish);
                        narrator
                            .say(Layer::Mqtt, format_args!("student: event Message on {topic}"));
                    }
                }
                _ => {}
            }
        }
        let read = rx.len() - rest.len();
        rx.drain(..read);
    }
    let goodbye = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    session.disconnect(&goodbye, &mut tx).map_err(io::Error::other)?;
    socket.write_all(&tx)?;
    Ok(messages)
}

/// The packets in these bytes, the first few of the connection only.
fn show(mut bytes: &[u8], sender: Sender, verb: &str, shown: &mut usize, narrator: &Narrator) {
    let rules = Rules::new(Version::V5, sender);
    loop {
        let before = bytes;
        let Ok(Some(packet)) = rules.decode(&mut bytes) else { return };
        *shown += 1;
        if *shown > SHOWN {
            continue;
        }
        let name = packet.packet_type().name();
        let wire = hex(&before[..before.len() - bytes.len()]);
        narrator.say(Layer::Mqtt, format_args!("student {verb} {name}: {wire}"));
        narrator.say(Layer::Mqtt, format_args!("  {}", fields(&packet)));
    }
}

/// The fields that matter in this story.
fn fields(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => format!(
            "version {}, client id \"{}\", clean start {}, keep alive {} s",
            connect.version, connect.client_id, connect.clean_start, connect.keep_alive
        ),
        Packet::ConnAck(connack) => {
            format!("{}, session present {}", connack.reason, connack.session_present)
        }
        Packet::Subscribe(subscribe) => {
            let filters: Vec<String> = subscribe
                .subscriptions
                .iter()
                .map(|s| format!("\"{}\" at QoS {}", s.filter, s.qos.bits()))
                .collect();
            format!("packet id {}, {}", subscribe.packet_id, filters.join(", "))
        }
        Packet::SubAck(suback) => {
            let reasons: Vec<String> = suback.reasons.iter().map(|r| r.to_string()).collect();
            format!("packet id {}, {}", suback.packet_id, reasons.join(", "))
        }
        Packet::Publish(publish) => format!(
            "topic \"{}\", QoS {}, retain {}, packet id {}, payload {}",
            publish.topic,
            publish.qos.bits(),
            publish.retain,
            publish.packet_id.map_or_else(|| "none".into(), |id| id.to_string()),
            String::from_utf8_lossy(publish.payload)
        ),
        other => format!("{other:?}"),
    }
}
