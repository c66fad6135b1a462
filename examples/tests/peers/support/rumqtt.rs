//! rumqttc, whose clients of the two versions are two sets of types with the same names.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::{Message, PATIENCE, Version};

/// What a connection told its thread.
enum Told {
    /// CONNACK or SUBACK: the next step may begin.
    Ready,
    /// PUBACK or PUBCOMP, or a PUBLISH of QoS 0 handed to the socket.
    Fulfilled,
    Arrived(Message),
}

/// A subscriber in a thread of its own, until it is dropped.
pub(crate) struct Subscriber {
    told: Receiver<Told>,
    stop: Box<dyn Fn()>,
}

impl Subscriber {
    /// Connects, subscribes and waits for the SUBACK.
    pub(crate) fn start(
        address: SocketAddr,
        version: Version,
        client_id: &str,
        filter: &str,
        qos: u8,
    ) -> Self {
        let (told, stop) = match version {
            Version::V311 => v4::subscribe(address, client_id, filter, qos),
            Version::V5 => v5::subscribe(address, client_id, filter, qos),
        };
        let subscriber = Self { told, stop };
        // CONNACK, then SUBACK.
        for _ in 0..2 {
            assert!(matches!(subscriber.next(), Told::Ready), "CONNACK and SUBACK come first");
        }
        subscriber
    }

    /// The next message that arrives.
    pub(crate) fn message(&self) -> Message {
        loop {
            if let Told::Arrived(message) = self.next() {
                return message;
            }
        }
    }

    fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the connection goes on")
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        (self.stop)();
    }
}

/// Connects, publishes one message, waits until its QoS is fulfilled, and disconnects.
pub(crate) fn publish(
    address: SocketAddr,
    version: Version,
    client_id: &str,
    topic: &str,
    payload: &str,
    qos: u8,
) {
    let (told, stop) = match version {
        Version::V311 => v4::publish(address, client_id, topic, payload, qos),
        Version::V5 => v5::publish(address, client_id, topic, payload, qos),
    };
    while !matches!(told.recv_timeout(PATIENCE).expect("the QoS is fulfilled"), Told::Fulfilled) {}
    stop();
}

/// The same client written once for both sets of types.
macro_rules! client {
    ($module:ident, $($root:ident)::+, $text:expr) => {
        mod $module {
            use super::{Duration, Message, Receiver, SocketAddr, Told, channel, thread};
            use $($root)::+::mqttbytes::QoS;
            use $($root)::+::{Client, Connection, Event, Incoming, MqttOptions};
            use rumqttc::Outgoing;

            type Running = (Receiver<Told>, Box<dyn Fn()>);

            fn connect(address: SocketAddr, client_id: &str) -> (Client, Connection) {
                let mut options = MqttOptions::new(client_id, address.ip().to_string(), address.port());
                options.set_keep_alive(Duration::from_secs(30));
                Client::new(options, 16)
            }

            /// Runs the connection until it ends, by `stop` or by the broker.
            fn run(client: Client, mut connection: Connection) -> Running {
                let (sender, told) = channel();
                thread::spawn(move || {
                    for event in connection.iter().map_while(Result::ok) {
                        let tell = match event {
                            Event::Incoming(Incoming::ConnAck(_) | Incoming::SubAck(_)) => Told::Ready,
                            Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_)) => Told::Fulfilled,
                            Event::Outgoing(Outgoing::Publish(0)) => Told::Fulfilled,
                            Event::Incoming(Incoming::Publish(publish)) => {
                                Told::Arrived(Message {
                                    topic: ($text)(&publish.topic),
                                    payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                                    qos: publish.qos as u8,
                                    retain: publish.retain,
                                    properties: serde_json::Value::Null,
                                })
                            }
                            _ => continue,
                        };
                        if sender.send(tell).is_err() {
                            break;
                        }
                    }
                });
                // Fails only when the connection has ended already.
                (told, Box::new(move || drop(client.disconnect())))
            }

            fn quality(qos: u8) -> QoS {
                [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
            }

            pub(super) fn subscribe(
                address: SocketAddr,
                client_id: &str,
                filter: &str,
                qos: u8,
            ) -> Running {
                let (client, connection) = connect(address, client_id);
                client.subscribe(filter, quality(qos)).expect("the request queue has room");
                run(client, connection)
            }

            pub(super) fn publish(
                address: SocketAddr,
                client_id: &str,
                topic: &str,
                payload: &str,
                qos: u8,
            ) -> Running {
                let (client, connection) = connect(address, client_id);
                let payload = payload.to_owned();
                client.publish(topic, quality(qos), false, payload).expect("the queue has room");
                run(client, connection)
            }
        }
    };
}

client!(v4, rumqttc, |topic: &String| topic.clone());
client!(v5, rumqttc::v5, |topic: &[u8]| String::from_utf8_lossy(topic).into_owned());
