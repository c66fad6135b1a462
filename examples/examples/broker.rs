//! An MQTT broker, 3.1, 3.1.1 and 5.0 on one port.
//!
//! `cargo run --release --example broker -- --listen 127.0.0.1:1883`

use core::net::SocketAddr;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use motewire_examples::broker::{BrokerServer, Endpoint};
use mqtt_session::broker::{Broker, Config};

/// An MQTT broker: 3.1, 3.1.1 and 5.0 on one port.
#[derive(Debug, Parser)]
#[command(name = "broker")]
struct Arguments {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    let arguments: Arguments = motewire_examples::arguments();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn core::error::Error>> {
    let mut server = BrokerServer::new(Broker::new(Config::default()))?;
    let endpoint = server
        .listen(&Endpoint::tcp(arguments.listen))
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    stop_on_signals(&server)?;
    println!("ready on {}", endpoint);
    std::io::stdout().flush()?;
    server.run()?;
    Ok(())
}

/// SIGINT and SIGTERM stop the broker.
#[cfg(unix)]
fn stop_on_signals(server: &BrokerServer) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let control = server.control();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            // If the broker cannot be woken it has ended.
            let _ = control.stop();
        }
    })?;
    Ok(())
}

/// Elsewhere the system ends the program.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as where there are signals")]
fn stop_on_signals(_: &BrokerServer) -> std::io::Result<()> {
    Ok(())
}
