//! A packet before its fields are read, for who handles the frequent ones by themselves.

use crate::wire::Reader;
use crate::{Ack, BareAck, DecodeError, FixedHeader, PacketType, Publish, Rules};

/// A packet that is all there, of which only the fixed header was read: see [`Rules::take`]. It is
/// read as what it is, without the detour over [`Packet`](crate::Packet), which is as large as the largest.
///
/// ```
/// use mqtt_codec::{Rules, Sender, Version};
///
/// let rules = Rules::new(Version::V311, Sender::Server);
/// let mut received = &b"\x40\x02\0\x07\xD0\0"[..];
/// let packet = rules.take(&mut received)?.expect("it is all there");
/// assert_eq!(packet.publish()?, None);
/// assert_eq!(packet.ack()?.map(|ack| ack.packet_id.get()), Some(7));
/// assert_eq!(received, b"\xD0\0");
/// # Ok::<(), mqtt_codec::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct Unread<'a> {
    header: FixedHeader,
    /// All behind the fixed header.
    reader: Reader<'a>,
}

impl<'a> Unread<'a> {
    /// Its type.
    #[inline]
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.header.packet_type()
    }

    /// The PUBLISH; `None`: it is another packet.
    ///
    /// # Errors
    /// The first rule that the packet breaks.
    #[inline(always)]
    pub fn publish(&self) -> Result<Option<Publish<'a>>, DecodeError> {
        match self.packet_type() {
            PacketType::Publish => Publish::read(self.header, &mut self.reader.clone()).map(Some),
            _ => Ok(None),
        }
    }

    /// The PUBACK, PUBREC, PUBREL or PUBCOMP; `None`: it is another packet.
    ///
    /// # Errors
    /// The first rule that the packet breaks.
    #[inline(always)]
    pub fn ack(&self) -> Result<Option<Ack<'a>>, DecodeError> {
        let kind = self.packet_type();
        if !kind.is_ack() {
            return Ok(None);
        }
        let mut reader = self.reader.clone();
        let ack = Ack::read(kind, &mut reader)?;
        reader.finish().map(|()| Some(ack))
    }
}

impl core::fmt::Debug for Unread<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Unread").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Rules {
    /// Takes one packet off the front of `bytes` as [`Rules::decode`] does, but reads its fixed header
    /// only. `Ok(None)`: it is not all there yet.
    ///
    /// # Errors
    /// As [`Rules::fixed_header`]; `bytes` is as it was.
    #[inline(always)]
    pub fn take<'a>(&self, bytes: &mut &'a [u8]) -> Result<Option<Unread<'a>>, DecodeError> {
        let whole: &'a [u8] = bytes;
        let Some(header) = self.fixed_header(whole)? else { return Ok(None) };
        let Some((packet, rest)) = whole.split_at_checked(header.packet_len()) else {
            return Ok(None);
        };
        let reader = Reader::behind(header, packet, *self);
        *bytes = rest;
        Ok(Some(Unread { header, reader }))
    }

    /// Takes an acknowledgement of nothing but its Packet Identifier off the front of `bytes`, without
    /// the detour over its fixed header. `None`: something else is there, which [`Rules::take`] reads.
    ///
    /// ```
    /// use mqtt_codec::{BareAck, PacketId, Rules, Sender, Version};
    ///
    /// let rules = Rules::new(Version::V5, Sender::Server);
    /// let mut received = &b"\x70\x02\0\x07\x40\x03\0\x08\x10"[..];
    /// let pubcomp = BareAck::pubcomp(PacketId::new(7).unwrap());
    /// assert_eq!(rules.take_bare_ack(&mut received), Some(pubcomp));
    /// assert_eq!(rules.take_bare_ack(&mut received), None);
    /// assert!(rules.take(&mut received)?.is_some());
    /// # Ok::<(), mqtt_codec::DecodeError>(())
    /// ```
    #[inline(always)]
    pub fn take_bare_ack(&self, bytes: &mut &[u8]) -> Option<BareAck> {
        let (packet, rest) = bytes.split_first_chunk()?;
        if !self.admits_bare_ack() {
            return None;
        }
        let ack = BareAck::from_bytes(*packet)?;
        *bytes = rest;
        Some(ack)
    }

    /// Whether a [`BareAck`] is no larger than [`Rules::max_packet_size`].
    #[inline]
    #[must_use]
    pub const fn admits_bare_ack(&self) -> bool {
        self.max_packet_size >= BareAck::LEN
    }
}
