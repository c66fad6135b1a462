//! Handles messages where they are read: most are looked at and forgotten, and those that matter are handed to
//! a task, which may take its time. That costs a fraction of what a stream does.
//!
//! ```text
//! cargo run --example handler mqtt://localhost
//! cargo run --example mqtt -- pub -t residence/kitchen/temperature -m 71.5
//! ```

use mqtt_client::{Client, Filter, Message, MessageRef, QoS, ReasonCode};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    motewire_examples::help("handler [URL]");
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let client = Client::connect(&url).await?;
    let (alarms, mut raised) = mpsc::channel::<Message>(100);
    let filter = Filter::new("residence/+/temperature", QoS::AtLeastOnce);
    let readings = client.subscribe_handler(filter, move |reading: &MessageRef<'_>| {
        let text = reading.text().ok_or(ReasonCode::PayloadFormatInvalid)?;
        let degrees: f32 = text.parse().map_err(|_| ReasonCode::PayloadFormatInvalid)?;
        if degrees > 60.0 {
            // It must not wait for room.
            alarms.try_send(reading.to_message()).map_err(|_| ReasonCode::QuotaExceeded)?;
        }
        Ok(())
    });
    let mut readings = readings.await?;
    eprintln!("what is above 60 degrees in residence/+/temperature, until Ctrl-C:");
    loop {
        tokio::select! {
            Some(alarm) = raised.recv() => println!("{}: {:?}", alarm.topic, alarm.text()),
            error = readings.ended() => return Err(error.into()),
        }
    }
}
