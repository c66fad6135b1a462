//! The programs that the READMEs begin with, taken from there when this is compiled.

use core::time::Duration;

use motewire_examples::broker::BrokerServer;
use mqtt_session::broker::Config;

use crate::support::program::free_address;

#[expect(clippy::std_instead_of_core, reason = "as people write it")]
mod client {
    include!(concat!(env!("OUT_DIR"), "/readme_client.rs"));
}

#[expect(clippy::std_instead_of_core, reason = "as people write it")]
mod root {
    include!(concat!(env!("OUT_DIR"), "/readme_root.rs"));
}

/// They publish a message and wait for it to come back; and the first one makes sure that nothing is left
/// undelivered.
#[test]
fn the_programs_of_the_readme_wait_ten_seconds_for_a_broker_and_lose_nothing() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let address = free_address();
    let url = |id: &str| format!("mqtt://{address}?version=5&client_id={id}");
    let broker = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        // The port may be somebody's for a moment.
        for _ in 0..100 {
            if let Ok(server) = BrokerServer::bind(address, Config::default()) {
                return server.spawn().expect("a thread");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{address} is taken");
    };
    runtime.block_on(async {
        let (one, other) = (url("kitchen"), url("kitchen-2"));
        let programs = async { tokio::join!(client::kitchen(&one), root::kitchen(&other)) };
        // Between two attempts a client waits for up to half a minute.
        let programs = tokio::time::timeout(Duration::from_secs(60), programs);
        let (running, ended) = tokio::join!(broker, programs);
        let (one, other) = ended.expect("they end");
        one.expect("it succeeds");
        other.expect("it succeeds");
        drop(running);
    });
}
