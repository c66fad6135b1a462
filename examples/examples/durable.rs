//! A program that may be killed at any moment. It publishes the lines of its standard input, or prints
//! what comes; a line that says `stored` is delivered even if the program is killed now, one that says
//! `done` does not come again. Run it again with the same file, and it goes on where it was. With QoS 1
//! instead of 2 a message may arrive twice, and a `done` one come again.
//!
//! ```text
//! seq 1000 | cargo run --example durable pub 'mqtt://localhost?client_id=a' a.redb residence/door
//! cargo run --example durable sub 'mqtt://localhost?client_id=b' b.redb residence/door
//! seq 1000 | cargo run --example durable pub 'mqtt://localhost?client_id=a' a.redb residence/door 1
//! ```

extern crate alloc;

use alloc::sync::Arc;
use core::error::Error;
use core::time::Duration;
use std::io::{BufRead, stdin};
use std::thread;

use mqtt_client::{DiskStore, Message, Options, QoS, blocking};

const USAGE: &str = "durable pub|sub URL FILE TOPIC [1]";

fn main() -> Result<(), Box<dyn Error>> {
    motewire_examples::help(USAGE);
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (command, url, file, topic, qos) = match arguments[..] {
        [command @ ("pub" | "sub"), url, file, topic] => {
            (command, url, file, topic, QoS::ExactlyOnce)
        }
        [command @ ("pub" | "sub"), url, file, topic, "1"] => {
            (command, url, file, topic, QoS::AtLeastOnce)
        }
        _ => {
            eprintln!("Usage: {USAGE}");
            std::process::exit(2);
        }
    };
    let mut options = Options::from_url(url)?;
    options.clean_start = false;
    options.session_expiry = Duration::from_secs(3600);
    options.manual_acknowledge = true;
    let store = DiskStore::open(file).map_err(|error| format!("the store {file}: {error}"))?;
    options.store = Some(Arc::new(store));
    let client = blocking::Client::connect_with(options)?;
    let left = client.resumed();
    thread::spawn(move || {
        for resumed in left {
            if let Err(error) = blocking::wait(resumed.delivery) {
                eprintln!("{:?} of an earlier run: {error}", resumed.message.text());
            }
        }
    });
    if command == "sub" {
        let messages = client.subscribe(topic, qos)?;
        println!("subscribed");
        for message in messages {
            let text = String::from_utf8_lossy(&message.payload);
            println!("{text}");
            message.acknowledge();
            client.stored()?;
            println!("done {text}");
        }
    } else {
        for line in stdin().lock().lines() {
            let message = Message::new(topic, line?.clone(), qos);
            let text = message.payload.clone();
            // What becomes of it is told by the delivery, which nobody waits for here.
            drop(client.enqueue(message)?);
            client.stored()?;
            println!("stored {}", String::from_utf8_lossy(&text));
        }
    }
    client.disconnect();
    Ok(())
}
