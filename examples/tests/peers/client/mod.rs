//! Our client against mosquitto and our broker, with mosquitto's own clients at the other end.

mod delivery;
mod faults;
mod killed;
mod network;
mod rabbitmq;
mod readme;
mod scram;
mod sessions;

use core::net::SocketAddr;
use core::time::Duration;

use crate::support::{PATIENCE, Server, Version};
use mqtt_client::{Client, Message, Options, Subscription};

/// What connects to `address` as that.
fn options(address: SocketAddr, version: Version, client_id: &str) -> Options {
    let url = format!(
        "mqtt://{address}?version={}&client_id={client_id}",
        match version {
            Version::V311 => "3.1.1",
            Version::V5 => "5",
        }
    );
    Options::from_url(&url).expect("a URL")
}

async fn connect(address: SocketAddr, version: Version, client_id: &str) -> Client {
    in_time(mqtt_client::tokio::connect(options(address, version, client_id)))
        .await
        .expect("the broker accepts")
}

/// Waits for what must happen.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

async fn next(subscription: &mut Subscription) -> Message {
    in_time(subscription.next()).await.expect("the client goes on")
}

/// Topic, payload, QoS and RETAIN, to be compared.
fn told(message: &Message) -> (&str, &str, u8, bool) {
    let text = message.text().expect("text");
    (&message.topic, text, message.qos.bits(), message.retain)
}

/// Runs a scenario for both versions against a mosquitto and against our own broker, new ones each
/// time. `None`: a peer that it needs is missing.
fn with_brokers<F: Future<Output = Option<()>>>(scenario: impl Fn(SocketAddr, Version) -> F) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let brokers = [Server::mosquitto, Server::motewire].into_iter();
    for (broker, version) in brokers.flat_map(|b| Version::BOTH.map(|version| (b, version))) {
        let Some(server) = broker() else { continue };
        if runtime.block_on(scenario(server.address(), version)).is_none() {
            return;
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
}
