//! Publishes a reading a second whether there is a server or not, and tells what happens to the
//! connection. Stop the server and start it again meanwhile.
//!
//! ```text
//! cargo run --example reconnect mqtt://localhost
//! ```

use core::time::Duration;

use mqtt_client::{ConnectionEvent, Message, Options, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("reconnect [URL]");
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let mut options = Options::from_url(&url)?;
    options.reconnect.max = Duration::from_secs(5);
    // Does not wait for the connection.
    let client = mqtt_client::tokio::start(options)?;
    let mut events = client.connection_events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                ConnectionEvent::Connected { server, .. } => println!("connected to {server}"),
                ConnectionEvent::Disconnected { error, retry_after: Some(time) } => {
                    println!("{error}; again in {time:?}");
                }
                ConnectionEvent::Disconnected { error, .. } => println!("{error}; no more"),
                _ => {}
            }
        }
    });
    for n in 0.. {
        // A reading is of no use after ten seconds; until then it waits for the server.
        let reading =
            Message::new("residence/kitchen/temperature", n.to_string(), QoS::AtLeastOnce);
        let delivery = client.enqueue(reading.expires_after(Duration::from_secs(10))).await?;
        tokio::spawn(async move {
            match delivery.await {
                Ok(_) => println!("{n} delivered"),
                Err(error) => println!("{n}: {error}"),
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
