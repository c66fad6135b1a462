//! What other threads ask of the broker's.

use alloc::sync::Arc;
use std::sync::mpsc::SyncSender;

use mqtt_session::broker::{Admission, Ticket};
use rustls::ServerConfig;

use super::Report;
use super::bridge::Attach;

/// To be done between two turns.
#[derive(Debug)]
pub(super) enum Command {
    /// Say goodbye to all, and end.
    Stop,
    /// New connections in TLS are made with this.
    Tls(Arc<ServerConfig>),
    /// The policy has other rules than before.
    Reconsider,
    /// The answer of a policy that had said that it comes later.
    Resolve(Ticket, Admission),
    /// Answer with the numbers.
    Report(SyncSender<Report>),
    /// A connection for a bridge.
    Attach(Attach),
}
