//! Publishes a reading, and tells what became of it.
//!
//! ```text
//! cargo run --example publish mqtt://localhost
//! ```

use mqtt_client::{Client, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("publish [URL]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let client = Client::connect(&url).await?;
    let delivered =
        client.publish("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce).await?;
    println!("delivered; the server says: {}", delivered.reason);
    client.disconnect().await;
    Ok(())
}
