//! Acknowledges each message only once it is dealt with: should the program end before, the server
//! sends the message again, and of more than 10 at a time it keeps the rest.
//!
//! ```text
//! cargo run --example manual_ack mqtt://localhost
//! cargo run --example mqtt -- pub -t orders/7 -m 'two lamps' -q 1
//! ```

use core::time::Duration;

use mqtt_client::{Message, Options, QoS, ReasonCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("manual_ack [URL]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let mut options = Options::from_url(&url)?;
    options.client_id = "worker".into();
    options.clean_start = false;
    options.session_expiry = Duration::from_secs(3600);
    options.receive_maximum = 10;
    options.manual_acknowledge = true;
    let client = mqtt_client::tokio::connect(options).await?;
    let mut orders = client.subscribe("orders/#", QoS::AtLeastOnce).await?;
    eprintln!("what is published to orders/#, at QoS 1 or 2, until Ctrl-C:");
    while let Some(order) = orders.next().await {
        match store(&order).await {
            Ok(()) => order.acknowledge(),
            Err(()) => order.reject(ReasonCode::PayloadFormatInvalid)?,
        }
    }
    Ok(())
}

/// Stands for work that takes its time and can fail.
async fn store(order: &Message) -> Result<(), ()> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let text = order.text().ok_or(())?;
    println!("{}: {text}", order.topic);
    Ok(())
}
