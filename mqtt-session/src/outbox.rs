//! Where messages wait until they are acknowledged.

use mqtt_codec::{PacketId, Publish};

/// The caller's store of the messages of QoS 1 and 2 that are in flight. A session keeps their
/// identifiers only.
pub trait Outbox {
    /// The message that was published with this identifier, with its full topic. `None` if it is
    /// not there any more: then it is given up.
    fn message(&self, id: PacketId) -> Option<Publish<'_>>;

    /// What is left of its Message Expiry Interval, in seconds, to be sent instead of what it says
    /// \[MQTT-3.3.2-6]. `None`, the default: nothing is changed.
    fn message_expiry(&self, id: PacketId) -> Option<u32> {
        let _ = id;
        None
    }
}

/// An outbox that keeps nothing, for who sends at most once.
impl Outbox for () {
    fn message(&self, _: PacketId) -> Option<Publish<'_>> {
        None
    }
}

#[cfg(feature = "std")]
impl<S: core::hash::BuildHasher, T> Outbox for std::collections::HashMap<PacketId, T, S>
where
    for<'a> Publish<'a>: From<&'a T>,
{
    fn message(&self, id: PacketId) -> Option<Publish<'_>> {
        self.get(&id).map(Publish::from)
    }
}
