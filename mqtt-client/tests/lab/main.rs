//! The client against a server in memory, in virtual time: connections are cut at every byte, the
//! server goes away, forgets, refuses. Nothing here waits for real.

#![cfg(feature = "tokio")]
#![expect(clippy::std_instead_of_alloc, reason = "where there are tests, there is std")]

mod cancellation;
mod clock;
mod faults;
mod handlers;
mod hostile;
mod network;
mod observe;
mod outbox;
mod persistence;
mod reconnect;
mod request;
mod streams;

use core::time::Duration;

use mqtt_client::{Client, Options, Server, Version};
use network::Network;

const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn options(version: Version) -> Options {
    let mut options = Options::new(Server::tcp("lab", 1883));
    options.version = version;
    options.client_id = "c".into();
    options
}

/// Options with which the server keeps the session.
fn persistent(version: Version) -> Options {
    let mut options = options(version);
    options.clean_start = false;
    options.session_expiry = Duration::from_secs(3600);
    options
}

/// Starts the client on a task of its own.
fn start(options: Options, network: &Network) -> Client {
    let (client, driver) = Client::with_runtime(options, network.clone()).expect("good options");
    tokio::spawn(driver);
    client
}

/// What must happen within an hour of virtual time.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    let hour = Duration::from_secs(3600);
    tokio::time::timeout(hour, future).await.expect("it happens in time")
}
