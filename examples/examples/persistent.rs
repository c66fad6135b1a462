//! A session that both sides keep: what is published while this program is away comes when it is back,
//! and what it has published itself is delivered even if it is killed meanwhile. Run it, publish
//! something, and run it again.
//!
//! ```text
//! cargo run --example persistent mqtt://localhost
//! cargo run --example mqtt -- pub -t residence/door -m open -q 1
//! cargo run --example persistent mqtt://localhost
//! ```

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use mqtt_client::{DiskStore, Message, Options, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("persistent [URL]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let mut options = Options::from_url(&url)?;
    options.client_id = "logbook".into();
    options.clean_start = false;
    options.session_expiry = Duration::MAX;
    let file = std::env::temp_dir().join("logbook.redb");
    let store =
        DiskStore::open(&file).map_err(|error| format!("the store {}: {error}", file.display()))?;
    options.store = Some(Arc::new(store));
    let client = mqtt_client::tokio::connect(options).await?;
    let greeting = Message::new("residence/logbook", "opened", QoS::ExactlyOnce);
    let delivery = client.enqueue(greeting).await?;
    client.stored().await?; // From here on it is delivered, come what may.
    delivery.await?;
    println!("residence/logbook has what this has published; for two seconds, what has come:");
    // With such a session, dropping the stream does not end the subscription.
    let mut messages = client.subscribe("residence/#", QoS::AtLeastOnce).await?;
    let patience = Duration::from_secs(2);
    while let Ok(Some(message)) = tokio::time::timeout(patience, messages.next()).await {
        println!("{}: {}", message.topic, String::from_utf8_lossy(&message.payload));
    }
    client.disconnect().await;
    Ok(())
}
