//! The client on threads alone, without an asynchronous runtime.
//!
//! ```text
//! cargo run --example blocking mqtt://localhost
//! ```

use core::time::Duration;

use mqtt_client::QoS;
use mqtt_client::blocking::Client;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("blocking [URL]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let client = Client::connect(&url)?;
    let mut readings = client.subscribe("residence/+/temperature", QoS::AtLeastOnce)?;
    client.publish("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce)?;
    // For requests and responses there is `client.requester("answers/blocking")`.
    while let Some(message) = readings.next_within(Duration::from_secs(1)) {
        println!("{}: {}", message.topic, String::from_utf8_lossy(&message.payload));
    }
    client.disconnect();
    Ok(())
}
