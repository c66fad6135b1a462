//! Connects by WebSocket, with a token that is asked for anew for each connection.
//!
//! ```text
//! cargo run --example broker -- --ws-listen 127.0.0.1:8080
//! cargo run --example websocket ws://localhost:8080/mqtt
//! cargo run --example websocket wss://broker.example/mqtt my-token
//! ```

use mqtt_client::websocket::RequestHook;
use mqtt_client::{Options, QoS};

/// Where a program of yours would ask for a token that expires.
async fn token() -> std::io::Result<Option<String>> {
    Ok(std::env::args().nth(2))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("websocket [URL [TOKEN]]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://localhost:8080/mqtt".into());
    let mut options = Options::from_url(&url)?;
    options.websocket_headers.push(("X-Site".into(), "residence".into()));
    options.websocket_hook = Some(RequestHook::new(|mut request| async move {
        if let Some(token) = token().await? {
            request.headers.push(("Authorization".into(), format!("Bearer {token}")));
        }
        Ok(request)
    }));
    let client = mqtt_client::tokio::connect(options).await?;
    let mut readings = client.subscribe("residence/+/temperature", QoS::AtLeastOnce).await?;
    client.publish("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce).await?;
    if let Some(message) = readings.next().await {
        println!("{}: {}", message.topic, message.text().unwrap_or("not text"));
    }
    client.disconnect().await;
    Ok(())
}
