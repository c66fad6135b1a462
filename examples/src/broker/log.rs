//! What an operator reads of connections.
//!
//! A peer can connect and be refused as fast as it likes: lines of what it causes are counted, and
//! above a number of them each second only that number is told.

use core::time::Duration;
use std::time::Instant;

use mqtt_session::broker::{Cause, Notice};
use tracing::{debug, info, warn};

use super::transport::{Ended, Peer};

/// Most lines each second that peers can cause.
const MAX_LINES: u32 = 50;

/// Longest client identifier that is told, in characters.
const MAX_NAME: usize = 64;

/// Tells of connections, but not too often.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// When the second began that is being counted.
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Log {
    /// Whether one more line may be written. Lines that were left out are told of then.
    fn has_room(&mut self) -> bool {
        let now = Instant::now();
        let is_over = |since| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            self.since = Some(now);
            self.lines = 0;
            if self.left_out > 0 {
                warn!(count = self.left_out, "more happened than is told here");
                self.left_out = 0;
            }
        }
        self.lines += 1;
        if self.lines > MAX_LINES {
            self.left_out += 1;
        }
        self.lines <= MAX_LINES
    }

    /// What the broker tells.
    pub(super) fn notice(&mut self, peer: Option<Peer>, notice: &Notice<'_>) {
        if !tracing::enabled!(tracing::Level::INFO) || !self.has_room() {
            return;
        }
        let peer = peer.map(tracing::field::display);
        match notice {
            Notice::Connected { client, version, session_present } => {
                let (client_id, user) = (name(client.id), client.user_name.map(name));
                info!(client_id, user, peer, %version, session_present, "connected");
            }
            Notice::Refused { client_id, reason } => {
                let code = format_args!("0x{:02X}", *reason as u8);
                info!(client_id = name(client_id), peer, reason = %reason, %code, "refused");
            }
            Notice::Ended { client, cause } => {
                let client_id = client.map(|client| name(client.id));
                match cause {
                    Cause::Fault(fault) => {
                        let code = format_args!("0x{:02X}", fault.reason_code() as u8);
                        info!(client_id, peer, reason = %fault, %code, "broke the protocol");
                    }
                    // Such as a port that somebody looks at.
                    Cause::Transport if client_id.is_none() => {
                        debug!(peer, "closed without CONNECT");
                    }
                    _ => info!(client_id, peer, reason = %cause, "disconnected"),
                }
            }
            _ => {}
        }
    }

    /// A connection ended below MQTT.
    pub(super) fn ended(&mut self, peer: Peer, ended: &Ended) {
        match ended {
            Ended::Closed => {}
            Ended::Io(error) => debug!(%peer, reason = %error, "the socket is broken"),
            _ if tracing::enabled!(tracing::Level::INFO) && self.has_room() => {
                info!(%peer, reason = %ended, "turned away");
            }
            _ => {}
        }
    }

    /// There is no room for a connection.
    pub(super) fn too_many(&mut self, peer: Peer) {
        if tracing::enabled!(tracing::Level::WARN) && self.has_room() {
            warn!(%peer, "too many connections: see max_connections");
        }
    }
}

/// What somebody else chose, on one line and not too long.
fn name(text: &str) -> String {
    let mut name: String = text.chars().take(MAX_NAME).collect();
    if name.len() < text.len() {
        name.push('…');
    }
    name.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::{Log, MAX_LINES, name};

    #[test]
    fn a_peer_cannot_fill_the_log() {
        let mut log = Log::default();
        let told = (0..10 * MAX_LINES).filter(|_| log.has_room()).count();
        // The second may end meanwhile.
        assert!((50..=100).contains(&told), "{told}");
    }

    #[test]
    fn a_name_cannot_pretend_to_be_another_line() {
        assert_eq!(name("a\n2026 INFO b"), "a\\n2026 INFO b");
        assert_eq!(name(&"x".repeat(70)).chars().count(), 65);
    }
}
