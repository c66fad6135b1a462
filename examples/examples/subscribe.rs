//! Prints what is published.
//!
//! ```text
//! cargo run --example subscribe mqtt://localhost 'residence/#'
//! ```

use mqtt_client::{Client, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("subscribe [URL [FILTER]]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "mqtt://localhost".into());
    let filter = arguments.next().unwrap_or_else(|| "residence/#".into());
    let client = Client::connect(&url).await?;
    let mut messages = client.subscribe(&filter, QoS::ExactlyOnce).await?;
    eprintln!("what is published to {filter} from now on, until Ctrl-C:");
    while let Some(message) = messages.next().await {
        println!("{}: {}", message.topic, String::from_utf8_lossy(&message.payload));
    }
    Ok(())
}
