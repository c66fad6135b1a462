//! Messages as the broker keeps them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use mqtt_codec::{
    Packet, PacketType, Properties, Property, PropertyId, Publish, QoS, Rules, Sender, Version,
    Will,
};

use super::subscriptions::Group;
use crate::{Instant, Transmit};

/// A message as a PUBLISH packet of version 5 and QoS 0, with its full topic and the properties it is
/// forwarded with. All queues that it waits in share it.
pub(crate) type Frame = Arc<[u8]>;

/// How frames are written and read.
const RULES: Rules = Rules::new(Version::V5, Sender::Client);

/// A message on its way to its subscribers.
#[derive(Debug)]
pub(crate) struct Outgoing<'p> {
    /// As it was published, but with the full topic and without Topic Alias.
    pub(crate) publish: Publish<'p>,
    /// When it is of no use any more.
    pub(crate) expires: Option<Instant>,
    /// Made when the first one needs to keep the message.
    frame: Option<Frame>,
    /// Whether its payload is sent from the frame, and not copied for each subscriber.
    pub(crate) is_shared: bool,
    /// Whether it may go to several clients as it is, once written.
    pub(crate) is_repeated: bool,
}

/// From how many bytes on a payload is worth sharing.
const SHARED_SIZE: usize = 8192;

/// What is kept of a buffer from one message to the next. To ask for 64 KiB and give them back each time
/// costs as much as to copy them: the allocator returns them to the system, which clears them.
const KEPT_SIZE: usize = 256 * 1024;

/// Whether a payload is worth sharing among more than one.
pub(crate) const fn is_large(publish: &Publish<'_>) -> bool {
    publish.payload.len() >= SHARED_SIZE
}

/// Sends the payload of a message from its frame.
pub(crate) struct Sharing<'t> {
    pub(crate) tx: &'t mut dyn Transmit,
    pub(crate) frame: &'t Frame,
}

impl Transmit for Sharing<'_> {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        self.tx.packet(len)
    }

    fn packet_with(&mut self, head: usize, payload: &[u8]) -> Option<&mut [u8]> {
        // A frame ends with its payload.
        match self.frame.len().checked_sub(payload.len()) {
            Some(start) if !payload.is_empty() => self.tx.packet_shared(head, self.frame, start),
            _ => self.tx.packet_with(head, payload),
        }
    }

    fn sent(&mut self, packet_type: PacketType, len: usize) {
        self.tx.sent(packet_type, len);
    }
}

impl<'p> Outgoing<'p> {
    pub(crate) fn new(now: Instant, publish: Publish<'p>) -> Self {
        let properties = publish.properties.without(PropertyId::TopicAlias);
        let expires = properties
            .message_expiry_interval()
            .map(|seconds| now + Duration::from_secs(seconds.into()));
        Self {
            publish: Publish { properties, ..publish },
            expires,
            frame: None,
            is_shared: false,
            is_repeated: false,
        }
    }

    /// A message that was kept in this frame.
    pub(crate) fn kept(now: Instant, publish: Publish<'p>, frame: &Frame) -> Self {
        Self { frame: Some(frame.clone()), ..Self::new(now, publish) }
    }

    /// The message to keep; `None` if it cannot be written, which a received one always can.
    pub(crate) fn frame(&mut self, scratch: &mut Vec<u8>) -> Option<Frame> {
        if self.frame.is_none() {
            self.frame = frame(&self.publish, scratch);
        }
        self.frame.clone()
    }
}

/// Writes a message to keep.
pub(crate) fn frame(publish: &Publish<'_>, scratch: &mut Vec<u8>) -> Option<Frame> {
    let bare =
        Publish { dup: false, qos: QoS::AtMostOnce, retain: false, packet_id: None, ..*publish };
    scratch.clear();
    RULES.encode_to_vec(&Packet::Publish(bare), scratch).ok()?;
    let frame = Frame::from(&scratch[..]);
    if scratch.capacity() > KEPT_SIZE {
        *scratch = Vec::new();
    }
    Some(frame)
}

/// Reads a message that was kept.
pub(crate) fn unframe(mut frame: &[u8]) -> Option<Publish<'_>> {
    match RULES.decode(&mut frame) {
        Ok(Some(Packet::Publish(publish))) => Some(publish),
        _ => None,
    }
}

/// What of a message that was kept is behind its topic, which has so many bytes.
pub(crate) fn behind_topic(frame: &[u8], topic: usize) -> Option<&[u8]> {
    let header = RULES.fixed_header(frame).ok()??;
    frame.get(header.len() + TOPIC_LEN + topic..)
}

/// How long a frame is with a topic of so many bytes, and so many behind it.
pub(crate) const fn frame_len(topic: usize, behind: usize) -> usize {
    let remaining = TOPIC_LEN + topic + behind;
    let more = (remaining > 0x7F) as usize + (remaining > 0x3FFF) as usize;
    2 + more + (remaining > 0x001F_FFFF) as usize + remaining
}

/// Puts a frame together again: `topic` appends the topic, which has so many bytes.
pub(crate) fn join(
    topic: impl FnOnce(&mut Vec<u8>),
    topic_len: usize,
    behind: &[u8],
    scratch: &mut Vec<u8>,
) -> Frame {
    const PUBLISH: u8 = 0x30;
    scratch.clear();
    scratch.push(PUBLISH);
    let mut remaining = TOPIC_LEN + topic_len + behind.len();
    while remaining > 0x7F {
        scratch.push(remaining as u8 | 0x80);
        remaining >>= 7;
    }
    scratch.push(remaining as u8);
    scratch.extend_from_slice(&(topic_len as u16).to_be_bytes());
    topic(scratch);
    scratch.extend_from_slice(behind);
    Frame::from(&scratch[..])
}

/// What goes before the bytes of a topic.
const TOPIC_LEN: usize = 2;

/// Where a stored entry stands among those of its session: six bytes, for which an entry has room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seq([u8; 6]);

impl Seq {
    /// As many as no session has in its life.
    pub(crate) const fn new(seq: u64) -> Self {
        let [_, _, bytes @ ..] = seq.to_be_bytes();
        Self(bytes)
    }

    pub(crate) const fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

/// A message for one session, that waits to be sent or acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) frame: Frame,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) expires: Option<Instant>,
    /// The group that it was sent to, if it was a Shared Subscription's turn.
    pub(crate) group: Option<Group>,
    /// Under which it is stored, if it is.
    pub(crate) seq: Seq,
    /// Properties that this session gets in addition: Subscription Identifiers, and the Message
    /// Expiry Interval once some of it is over.
    pub(crate) added: Box<[Property<'static>]>,
}

impl Entry {
    /// How many bytes of memory it is counted as, from first to last. The Message Expiry Interval,
    /// which is added on the way, is not counted.
    pub(crate) fn size(&self) -> usize {
        let is_id = |p: &&Property<'_>| p.id() == PropertyId::SubscriptionIdentifier;
        let ids = self.added.iter().filter(is_id).count();
        size_of::<Self>() + self.frame.len() + ids * size_of::<Property<'_>>()
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Tells the Message Expiry Interval that is left [MQTT-3.3.2-6].
    pub(crate) fn refresh(&mut self, now: Instant) {
        let Some(expires) = self.expires else { return };
        let left = Property::MessageExpiryInterval(seconds_left(now, expires));
        let is_left = |p: &&mut Property<'_>| p.id() == PropertyId::MessageExpiryInterval;
        match self.added.iter_mut().find(is_left) {
            Some(place) => *place = left,
            None => {
                let mut added = core::mem::take(&mut self.added).into_vec();
                added.push(left);
                self.added = added.into();
            }
        }
    }

    /// The packet, but for the identifier.
    pub(crate) fn publish(&self) -> Option<Publish<'_>> {
        let publish = unframe(&self.frame)?;
        let replaced = self.added.iter().any(|p| p.id() == PropertyId::MessageExpiryInterval);
        let properties = if replaced {
            publish.properties.without(PropertyId::MessageExpiryInterval)
        } else {
            publish.properties
        };
        let properties =
            if self.added.is_empty() { properties } else { properties.with(&self.added) };
        Some(Publish { qos: self.qos, retain: self.retain, properties, ..publish })
    }
}

/// Whole seconds until then, a begun one counted.
fn seconds_left(now: Instant, then: Instant) -> u32 {
    let left = then.since(now).as_millis().div_ceil(1000);
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// A will that waits for the end of its client.
#[derive(Debug)]
pub(crate) struct KeptWill {
    pub(crate) frame: Frame,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Will Delay Interval in seconds.
    pub(crate) delay: u32,
    /// When it is due, while the client has no connection.
    pub(crate) due: Option<Instant>,
}

impl KeptWill {
    pub(crate) fn new(will: &Will<'_>, scratch: &mut Vec<u8>) -> Option<Self> {
        let delay = will.properties.will_delay_interval().unwrap_or(0);
        // [MQTT-3.1.3-11]: the same properties, in the scope of a PUBLISH.
        let list: Vec<Property<'_>> =
            will.properties.iter().filter(|p| p.id() != PropertyId::WillDelayInterval).collect();
        let publish = Publish {
            properties: Properties::from(&list[..]),
            ..Publish::new(will.topic, will.payload)
        };
        let frame = frame(&publish, scratch)?;
        Some(Self { frame, qos: will.qos, retain: will.retain, delay, due: None })
    }

    /// How many bytes of memory it is counted as.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.frame.len()
    }
}
