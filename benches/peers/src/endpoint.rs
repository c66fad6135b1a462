//! mqtt-endpoint-tokio, 3.1.1: packets out and in; answers it gives by itself.

use alloc::sync::Arc;
use core::any::Any;
use core::time::Duration;
use std::time::Instant;

use mqtt_endpoint_tokio::mqtt_ep;
use mqtt_ep::packet::v3_1_1::{Connect, Publish, Subscribe};
use mqtt_ep::packet::{Packet, Qos, SubEntry, SubOpts};
use tokio::sync::Semaphore;

use crate::case::{Case, IN_FLIGHT, ROUND_TRIPS, Way};

type Endpoint = Arc<mqtt_ep::Endpoint<mqtt_ep::role::Client>>;

async fn connect(port: u16) -> Endpoint {
    let endpoint = mqtt_ep::Endpoint::new(mqtt_ep::Version::V3_1_1);
    endpoint.set_auto_pub_response(true).await.expect("it goes on");
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("a server");
    stream.set_nodelay(true).expect("TCP");
    let transport = mqtt_ep::transport::TcpTransport::from_stream(stream);
    endpoint.attach(transport, mqtt_ep::Mode::Client).await.expect("it goes on");
    let connect = Connect::builder().client_id("bench").expect("a name").keep_alive(60);
    let connect = connect.clean_session(true).build().expect("CONNECT");
    endpoint.send(connect).await.expect("sent");
    assert!(matches!(endpoint.recv().await, Ok(Packet::V3_1_1Connack(_))));
    Arc::new(endpoint)
}

async fn publish(endpoint: &Endpoint, topic: &str, qos: Qos, payload: &[u8]) {
    let mut publish = Publish::builder().topic_name(topic).expect("a topic").qos(qos);
    if qos != Qos::AtMostOnce {
        let id = endpoint.acquire_packet_id_when_available().await.expect("it goes on");
        publish = publish.packet_id(id);
    }
    let publish = publish.payload(payload).build().expect("PUBLISH");
    endpoint.send(publish).await.expect("sent");
}

pub(crate) async fn connect_idle(port: u16) -> Box<dyn Any> {
    Box::new(connect(port).await)
}

pub(crate) async fn round_trips(port: u16) -> Vec<Duration> {
    let endpoint = connect(port).await;
    let one = async move {
        let mut times = Vec::new();
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            publish(&endpoint, "a/b", Qos::AtLeastOnce, b"21.5").await;
            assert!(matches!(endpoint.recv().await, Ok(Packet::V3_1_1Puback(_))));
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    };
    tokio::spawn(one).await.expect("it does not panic")
}

pub(crate) async fn run(case: Case, port: u16) {
    let endpoint = connect(port).await;
    let qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(case.qos)];
    if case.way != Way::Publish {
        let id = endpoint.acquire_packet_id().await.expect("it goes on");
        let entry = SubEntry::new(&case.filter(), SubOpts::new().set_qos(qos)).expect("a filter");
        let subscribe = Subscribe::builder().packet_id(id).entries(vec![entry]).build();
        endpoint.send(subscribe.expect("SUBSCRIBE")).await.expect("sent");
    }
    let window = Arc::new(Semaphore::new(usize::from(IN_FLIGHT)));
    let mut publisher = None;
    if case.way != Way::Receive {
        let (endpoint, window) = (Arc::clone(&endpoint), Arc::clone(&window));
        publisher = Some(tokio::spawn(async move {
            let payload = case.payload();
            for _ in 0..case.count {
                if case.qos > 0 {
                    window.acquire().await.expect("it is open").forget();
                }
                publish(&endpoint, case.topic(), qos, &payload).await;
            }
        }));
    }
    let receiver = tokio::spawn(async move {
        let mut left = if case.way == Way::Publish && case.qos == 0 { 0 } else { case.count };
        while left > 0 {
            let is_message = match endpoint.recv().await.expect("the server goes on") {
                Packet::V3_1_1Publish(_) => true,
                Packet::V3_1_1Puback(_) | Packet::V3_1_1Pubcomp(_) => {
                    window.add_permits(1);
                    false
                }
                _ => continue,
            };
            left -= usize::from(is_message == (case.way != Way::Publish));
        }
    });
    receiver.await.expect("it does not panic");
    if let Some(publisher) = publisher {
        publisher.await.expect("it does not panic");
    }
}
