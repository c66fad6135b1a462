//! What other threads ask of the broker's.

use alloc::sync::Arc;
use std::sync::mpsc::SyncSender;

use mqtt_session::broker::Statistics;
use rustls::ServerConfig;

/// To be done between two turns.
#[derive(Debug)]
pub(super) enum Command {
    /// Say goodbye to all, and end.
    Stop,
    /// New connections in TLS are made with this.
    Tls(Arc<ServerConfig>),
    /// Answer with the numbers.
    Report(SyncSender<Statistics>),
}
