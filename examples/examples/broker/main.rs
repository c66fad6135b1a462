//! An MQTT broker, 3.1, 3.1.1 and 5.0 on every port.
//!
//! `cargo run --release --example broker -- --listen 127.0.0.1:1883`

mod options;
mod signals;

use core::num::NonZeroUsize;
use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;

use motewire_examples::broker::{
    Access, AccessHandle, BrokerServer, Endpoint, Rules, Settings, TlsFiles, UpstreamTls, metrics,
};
use mqtt_session::broker::Broker;
use options::Options;

fn main() -> ExitCode {
    let options: Options = motewire_examples::arguments();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Box<dyn core::error::Error>> {
    let only_check = options.check_config;
    let settings = options.settings()?;
    settings.check()?;
    let tls = settings.tls.as_ref().map(TlsFiles::load).transpose()?;
    let rules = settings.access.load()?;
    for bridge in &settings.bridges {
        let tls = bridge.tls.as_ref().map(UpstreamTls::load).transpose();
        tls.map_err(|error| format!("bridge {}: {error}", bridge.name))?;
    }
    if only_check {
        println!("the configuration is good");
        return Ok(());
    }
    tracing_subscriber::fmt()
        .with_max_level(settings.log_level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
    let (mut server, access) = server(&settings, rules)?;
    if let Some(folder) = &settings.persistence {
        let opened = server.persist(folder);
        opened.map_err(|error| format!("persistence: {}: {error}", folder.display()))?;
    }
    server.set_max_partial_bytes(settings.max_partial_bytes);
    server.set_bridges(&settings.bridges)?;
    if let Some(origins) = &settings.websocket_origins {
        server.set_websocket_origins(origins.clone());
    }
    if let Some(tls) = tls {
        server.set_tls(tls);
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        server.set_threads(settings.threads.map_or(cores, NonZeroUsize::get))?;
    }
    let mut ready = String::from("ready on");
    for endpoint in &settings.listeners {
        let bound = server
            .listen(endpoint)
            .map_err(|error| format!("cannot listen on {endpoint}: {error}"))?;
        ready = format!("{ready} {bound}");
    }
    if let Some(address) = settings.metrics {
        let listener = TcpListener::bind(address)
            .map_err(|error| format!("cannot listen on {address}: {error}"))?;
        ready = format!("{ready} http://{}/metrics", listener.local_addr()?);
        metrics::serve(listener, server.control())?;
    }
    warn_of_the_open(&settings);
    signals::obey(&server, &settings, access)?;
    println!("{ready}");
    std::io::stdout().flush()?;
    server.run()?;
    Ok(())
}

/// A broker that listens nowhere yet, and what changes who may do what.
fn server(
    settings: &Settings,
    rules: Option<Rules>,
) -> std::io::Result<(BrokerServer, Option<AccessHandle>)> {
    let config = settings.config();
    let Some(rules) = rules else {
        return Ok((BrokerServer::new(Broker::new(config))?, None));
    };
    let mut handle = Ok(None);
    let server = BrokerServer::with(|control| {
        let control = control.clone();
        // One core is left to the broker itself.
        let threads = thread::available_parallelism().map_or(1, |cores| cores.get() / 2);
        let answer = move |ticket, answer| {
            // If the broker cannot be told it has ended.
            let _ = control.resolve(ticket, answer);
        };
        match Access::new(rules, threads, answer) {
            Ok((access, changes)) => {
                handle = Ok(Some(changes));
                Broker::with_policy(config, Box::new(access))
            }
            Err(error) => {
                handle = Err(error);
                Broker::new(config)
            }
        }
    })?;
    Ok((server, handle?))
}

/// Tells what was asked for explicitly, and is not safe all the same.
fn warn_of_the_open(settings: &Settings) {
    let is_open = |endpoint: &&Endpoint| !endpoint.is_local();
    if !settings.access.lets_anybody_in() {
        return;
    }
    for endpoint in settings.listeners.iter().filter(is_open) {
        tracing::warn!(%endpoint, "other machines can reach this, and anybody is let in");
    }
}
