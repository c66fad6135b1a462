//! Packets that own their bytes without copying them, and buffers of the crate `bytes`.

use bytes::{Buf, Bytes, BytesMut};

use crate::{DecodeError, EncodeError, Packet, Rules};

/// A packet that was received, with the bytes it lies in: can be kept, cloned and sent to other
/// threads without copying anything.
///
/// ```
/// use bytes::BytesMut;
/// use mqtt_codec::{Packet, Rules, Sender, Version};
///
/// let rules = Rules::new(Version::V311, Sender::Server);
/// let mut received = BytesMut::from(&b"\x30\x07\0\x03a/bhi\xD0\0"[..]);
/// let frame = rules.decode_frame(&mut received)?.expect("a whole packet");
/// assert!(matches!(frame.packet(), Packet::Publish(publish) if publish.payload == b"hi"));
/// assert_eq!(frame.payload(), "hi");
/// assert_eq!(received, b"\xD0\0"[..]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
pub struct Frame {
    bytes: Bytes,
    rules: Rules,
}

impl Frame {
    /// The packet, read again from bytes that were checked when the frame was made.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        let packet = self.rules.decode(&mut &self.bytes[..]);
        debug_assert!(matches!(packet, Ok(Some(_))), "a frame that was checked is refused");
        // The same bytes by the same rules: there always is one.
        packet.ok().flatten().unwrap_or(Packet::PingReq)
    }

    /// All bytes of the packet.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A part of [`Frame::packet`], such as a topic, as bytes of its own that share the memory.
    /// `None` if `part` does not lie in this frame.
    #[must_use]
    pub fn share(&self, part: &[u8]) -> Option<Bytes> {
        let start = (part.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }

    /// The topic name of a PUBLISH as bytes of its own that share the memory; empty for other
    /// packets, and where a Topic Alias stands for it.
    #[must_use]
    pub fn topic(&self) -> Bytes {
        match self.packet() {
            Packet::Publish(publish) => self.share(publish.topic.as_str().as_bytes()),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// The payload of a PUBLISH as bytes of its own that share the memory; empty for other packets.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        match self.packet() {
            Packet::Publish(publish) => self.share(publish.payload),
            _ => None,
        }
        .unwrap_or_default()
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Frame").field(&self.packet()).finish()
    }
}

impl Rules {
    /// As [`Rules::decode`], but splits the packet off `buffer`, with its memory.
    ///
    /// # Errors
    /// As [`Rules::decode`]; `buffer` is as it was.
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn decode_frame(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        let mut rest = &buffer[..];
        if self.decode(&mut rest)?.is_none() {
            return Ok(None);
        }
        let len = buffer.remaining() - rest.len();
        Ok(Some(Frame { bytes: buffer.split_to(len).freeze(), rules: *self }))
    }

    /// Appends the packet to `buffer` and returns its length in bytes. A payload is copied once, into
    /// room that was not filled before.
    ///
    /// # Errors
    /// As [`Rules::encode`]; `buffer` is as it was.
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn encode_to_bytes(
        &self,
        packet: &Packet<'_>,
        buffer: &mut BytesMut,
    ) -> Result<usize, EncodeError> {
        let prepared = self.prepare(packet)?;
        let (len, payload) = (prepared.len(), prepared.payload());
        let start = buffer.len();
        buffer.reserve(len);
        buffer.resize(start + len - payload.len(), 0);
        if let Some(room) = buffer.get_mut(start..) {
            prepared.write_head(room);
        }
        buffer.extend_from_slice(payload);
        Ok(len)
    }
}
