//! One client asks, another one answers (version 5).
//!
//! ```text
//! cargo run --example request_response mqtt://localhost
//! ```

use core::time::Duration;

use mqtt_client::{Client, Message, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());

    let window = Client::connect(&url).await?;
    let mut requests = window.subscribe("residence/window", QoS::AtLeastOnce).await?;
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            println!("asked: {}", String::from_utf8_lossy(&request.payload));
            if let Some(response) = request.response("closed") {
                if let Err(error) = window.send(response).await {
                    eprintln!("no response: {error}");
                }
            }
        }
    });

    let client = Client::connect(&url).await?;
    let requester = client.requester("answers/example").await?;
    let request = Message::new("residence/window", "open?", QoS::AtLeastOnce);
    let response = tokio::time::timeout(Duration::from_secs(5), requester.request(request));
    println!("answered: {}", String::from_utf8_lossy(&response.await??.payload));
    client.disconnect().await;
    Ok(())
}
