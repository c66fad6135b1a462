//! How a client session behaves, and what it is given to work with.

use core::time::Duration;

use crate::{Pending, Received, Ring, Slot, TopicAliases};

/// How a client session behaves, apart from what CONNECT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether the application acknowledges messages by
    /// [`Session::acknowledge`](super::Session::acknowledge). Default: false, a message is
    /// acknowledged as it is received.
    pub manual_acknowledge: bool,
    /// How long to wait for CONNACK and PINGRESP before the connection is given up. Default: 10 s.
    pub response_timeout: Duration,
    /// Largest packet that is read, in bytes, where CONNECT announces no Maximum Packet Size, as in
    /// 3.1.1. Default: 1,048,576.
    pub max_packet_size: u32,
    /// How topic aliases are chosen for what is published. Default: off.
    pub topic_aliases: TopicAliases,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            manual_acknowledge: false,
            response_timeout: Duration::from_secs(10),
            max_packet_size: 1_048_576,
            topic_aliases: TopicAliases::Off,
        }
    }
}

/// Storage for a [`Session`](super::Session): how much can be in flight.
#[derive(Debug)]
pub struct Slots<'s> {
    /// Packets sent and not acknowledged, SUBSCRIBE and UNSUBSCRIBE included.
    pub outbound: Ring<'s, Slot>,
    /// Messages of QoS 2 received and not completed, 4 bytes each: as many as the Receive Maximum that
    /// is announced, which is 65,535 where nothing is, as in 3.1.1. With fewer slots than that, a
    /// peer that needs more is [`Fault::ReceiveMaximum`](crate::Fault::ReceiveMaximum) in both versions.
    pub received: Ring<'s, Received>,
    /// Messages received that the application has yet to acknowledge, where that is manual: as many
    /// as the Receive Maximum.
    pub pending: Ring<'s, Pending>,
}

#[cfg(feature = "alloc")]
impl Slots<'static> {
    /// Slots on the heap for at most `max` packets sent, and for as many messages received as the
    /// Receive Maximum lets the peer send; memory is taken as it is needed. A peer of 3.1.1, to which
    /// no Receive Maximum can be announced, may so take 256 KiB; where that is too much, lend or ask
    /// for less:
    ///
    /// ```
    /// use mqtt_session::Ring;
    /// use mqtt_session::client::Slots;
    /// let slots = Slots { received: Ring::heap(100), ..Slots::heap(16) };
    /// assert_eq!(slots.received.capacity(), 100);
    /// ```
    #[must_use]
    pub fn heap(max: u16) -> Self {
        Self {
            outbound: Ring::heap(max),
            received: Ring::heap(u16::MAX),
            pending: Ring::heap(u16::MAX),
        }
    }
}
