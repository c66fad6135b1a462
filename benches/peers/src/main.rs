//! Clients that ours is measured beside, with the command line that its own bench has:
//! `run CLIENT PORT WAY QOS SIZE COUNT`, `round-trip CLIENT PORT`, `idle CLIENT PORT`.

extern crate alloc;

#[path = "../../benches/client/case.rs"]
mod case;
mod endpoint;
#[path = "../../benches/client/figures.rs"]
mod figures;
mod mqrstt;
mod mqtt5;
mod ntex;
mod rumqtt;

use core::any::Any;
use core::time::Duration;
use std::env;

use case::Case;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let port = words[2].parse().expect("a port");
    match words[..] {
        ["run", client, _, way, qos, size, count] => {
            let case = format!("{way} {qos} {size} {count}").parse().expect("a case");
            figures::run(case, || match client {
                "ntex-mqtt" => ntex::runtime().block_on(ntex::run(case, port)),
                _ => tokio().block_on(run(client, case, port)),
            });
        }
        ["round-trip", client, _] => figures::round_trips(match client {
            "ntex-mqtt" => ntex::runtime().block_on(ntex::round_trips(port)),
            _ => tokio().block_on(round_trips(client, port)),
        }),
        ["idle", "ntex-mqtt", _] => {
            let connect = move || ntex::connect_idle(port);
            ntex::runtime().block_on(figures::idle(connect, ntex::sleep));
        }
        ["idle", client, _] => {
            let connect = || connect_idle(client, port);
            tokio().block_on(figures::idle(connect, tokio::time::sleep));
        }
        _ => panic!("no such command"),
    }
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio")
}

async fn run(client: &str, case: Case, port: u16) {
    match client {
        "rumqttc" => rumqtt::run(case, port).await,
        "mqrstt" => mqrstt::run(case, port).await,
        "mqtt5" => mqtt5::run(case, port).await,
        "endpoint-tokio" => endpoint::run(case, port).await,
        _ => panic!("no such client"),
    }
}

async fn round_trips(client: &str, port: u16) -> Vec<Duration> {
    match client {
        "rumqttc" => rumqtt::round_trips(port).await,
        "mqrstt" => mqrstt::round_trips(port).await,
        "mqtt5" => mqtt5::round_trips(port).await,
        "endpoint-tokio" => endpoint::round_trips(port).await,
        _ => panic!("no such client"),
    }
}

async fn connect_idle(client: &str, port: u16) -> Box<dyn Any> {
    match client {
        "rumqttc" => rumqtt::connect_idle(port).await,
        "mqrstt" => mqrstt::connect_idle(port).await,
        "mqtt5" => mqtt5::connect_idle(port).await,
        "endpoint-tokio" => endpoint::connect_idle(port).await,
        _ => panic!("no such client"),
    }
}
