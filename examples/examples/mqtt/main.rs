//! Publishes, subscribes and measures, in the manner of `mosquitto_pub` and `mosquitto_sub`:
//!
//! ```text
//! mqtt sub -t 'residence/#' -v
//! mqtt pub -t residence/kitchen/temperature -m 21.5 -q 1 -r
//! mqtt bench --count 100000 -q 1
//! ```
//!
//! A connection that breaks is told of on standard error, and made again: by `pub` five times in a row.
//! Ends with status 0, with 1 and a line on standard error if something went wrong, and with 2 and a
//! usage line if the arguments are wrong.

mod bench;
mod connection;
mod properties;
mod publish;
mod subscribe;

use core::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use motewire_examples::arguments;

#[derive(Debug, Parser)]
#[command(name = "mqtt", about = "Publish, subscribe and measure over MQTT 3.1, 3.1.1 and 5.0")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish messages
    Pub(publish::Arguments),
    /// Subscribe, and print the messages that come
    Sub(subscribe::Arguments),
    /// Publish and receive many messages, and print how fast that was
    Bench(bench::Arguments),
}

/// Everything that can go wrong is told in a line.
type Result<T = ()> = core::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = arguments::<Arguments>();
    // That the connection has broken, and when there will be another attempt.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_target(false)
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    let result = match arguments.command {
        Command::Pub(arguments) => publish::run(arguments).await,
        Command::Sub(arguments) => subscribe::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqtt: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Resolves when the user or the system wants the program to end: SIGINT or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
