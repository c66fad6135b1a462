//! From a radio frame to a subscriber, through every layer of the family, in one process.
//!
//! 24 sensors join a LoRaWAN network by OTAA and send encrypted readings. Two gateways hear each
//! frame. The network server removes duplicates, checks and decrypts, and publishes JSON to an MQTT
//! broker. Subscribers listen by `+` and `#`, a late one gets the last values, a will is delivered,
//! a replayed and a tampered frame are refused. Ends by itself; the exit status is 0 only if all of
//! that happened.

extern crate alloc;

mod device;
mod gateway;
mod home;
mod narrate;
mod network;
mod residence;
mod story;
mod watch;

use std::process::ExitCode;

use clap::Parser;

/// From a radio frame to a subscriber: sensors, gateways, a network server, a broker, subscribers.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Print at a pace that people can read.
    #[arg(long)]
    slow: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match story::tell(arguments.slow).await {
        Ok(summary) => {
            print!("{summary}");
            if summary.all_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}
