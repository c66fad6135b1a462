//! A session that the server keeps: what is published while this program is away comes when it is back.
//! Run it, publish something, and run it again.
//!
//! ```text
//! cargo run --example persistent mqtt://localhost
//! cargo run --example mqtt -- pub -t residence/door -m open -q 1
//! cargo run --example persistent mqtt://localhost
//! ```

use core::time::Duration;

use mqtt_client::{Options, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let mut options = Options::from_url(&url)?;
    options.client_id = "logbook".into();
    options.clean_start = false;
    options.session_expiry = Duration::MAX;
    let client = mqtt_client::tokio::connect(options).await?;
    // With such a session, dropping the stream does not end the subscription.
    let mut messages = client.subscribe("residence/#", QoS::AtLeastOnce).await?;
    let patience = Duration::from_secs(2);
    while let Ok(Some(message)) = tokio::time::timeout(patience, messages.next()).await {
        println!("{}: {}", message.topic, String::from_utf8_lossy(&message.payload));
    }
    client.disconnect().await;
    Ok(())
}
