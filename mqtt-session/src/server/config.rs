//! How a server session behaves.

use core::time::Duration;

use crate::TopicAliases;

/// How a server session behaves, apart from what CONNACK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether the application acknowledges messages by
    /// [`Session::acknowledge`](super::Session::acknowledge). Default: false.
    pub manual_acknowledge: bool,
    /// How long to wait for CONNECT, and before CONNACK for an AUTH that was asked for. Default: 10 s.
    pub connect_timeout: Duration,
    /// Largest CONNECT that is read, in bytes. Default: 65,536.
    pub max_connect_size: u32,
    /// Largest packet that is read, in bytes, where CONNACK announces no Maximum Packet Size, as in
    /// 3.1.1. Default: 1,048,576.
    pub max_packet_size: u32,
    /// How topic aliases are chosen for what is published. Default: off.
    pub topic_aliases: TopicAliases,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            manual_acknowledge: false,
            connect_timeout: Duration::from_secs(10),
            max_connect_size: 65_536,
            max_packet_size: 1_048_576,
            topic_aliases: TopicAliases::Off,
        }
    }
}
