//! One client asks, another one answers. In version 5 the request carries where the response is to go;
//! in 3.1.1 its topic does.
//!
//! ```text
//! cargo run --example request_response mqtt://localhost
//! cargo run --example request_response 'mqtt://localhost?version=3.1.1'
//! ```

use mqtt_client::{Client, Message, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("request_response [URL]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());

    let window = Client::connect(&url).await?;
    let mut requests = window.subscribe("residence/window/#", QoS::AtLeastOnce).await?;
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            println!("asked at {}", request.topic);
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
    let response = requester.request(request).await?;
    println!("answered: {}", String::from_utf8_lossy(&response.payload));
    client.disconnect().await;
    Ok(())
}
