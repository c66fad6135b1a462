//! rmqtt at an address, open to everybody, with what is retained in memory and no limit that a load could reach.
//!
//! What `rmqttd` sets up, less what needs no setting.

use core::net::SocketAddr;
use core::num::NonZeroU16;

use rmqtt::Result;
use rmqtt::context::ServerContext;
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let address: SocketAddr = std::env::args().nth(1).expect("an address").parse()?;
    // It would refuse clients when the machine is busy.
    let context = ServerContext::new().busy_check_enable(false).build().await;
    rmqtt_retainer::register_named(&context, "rmqtt-retainer", true, true).await?;
    let listener = Builder::new()
        .name("bench")
        .laddr(address)
        .backlog(4096)
        .nodelay(true)
        .max_connections(100_000)
        .max_handshaking_limit(100_000)
        .max_inflight(NonZeroU16::MAX)
        .max_mqueue_len(10_000_000)
        .bind()?
        .tcp()?;
    MqttServer::new(context).listener(listener).build().run().await
}
