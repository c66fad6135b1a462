//! PUBLISH in pieces: for a payload that need not be in memory as a whole.

use crate::wire::{Reader, Variable, variable_len};
use crate::{
    DecodeError, EncodeError, FixedHeader, Packet, PacketType, Publish, QoS, Rules, Violation,
};

/// What [`Rules::decode_part`] takes off the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A packet, all of it.
    Packet(Packet<'a>),
    /// A PUBLISH up to its payload, of which not all is there yet.
    Head(PublishHead<'a>),
}

/// A PUBLISH whose payload comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishHead<'a> {
    /// The packet, with an empty payload.
    pub publish: Publish<'a>,
    /// The payload that follows: what [`Pieces::next`] is to be called on.
    pub payload: Pieces,
}

/// A payload in pieces, received or sent: counts them, and where the policy says so and the Payload
/// Format Indicator is 1, checks that they are UTF-8 together. Borrows nothing, so that it can be
/// kept from one read of the socket to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    remaining: u32,
    utf8: Option<Utf8>,
}

impl Pieces {
    fn new(publish: &Publish<'_>, len: u32, rules: &Rules) -> Self {
        let text = publish.properties.payload_format_indicator() == Some(true);
        let check = rules.policy.check_payload_format && text;
        Self { remaining: len, utf8: check.then(Utf8::default) }
    }

    /// How many bytes of the payload are still to come.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.remaining as usize
    }

    /// Takes the next piece off the front of `bytes`: all of them, but no more than belong to the
    /// payload. Behind it the next packet begins.
    ///
    /// # Errors
    /// [`Violation::PayloadNotUtf8`] by [`Policy::check_payload_format`](crate::Policy), as soon as
    /// it is seen; nothing is taken.
    pub fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<&'b [u8], Violation> {
        let len = bytes.len().min(self.remaining());
        let (piece, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
        let remaining = self.remaining.saturating_sub(len as u32);
        if let Some(utf8) = &mut self.utf8 {
            let mut next = *utf8;
            if !next.push(piece) || (remaining == 0 && next.len != 0) {
                return Err(Violation::PayloadNotUtf8);
            }
            *utf8 = next;
        }
        self.remaining = remaining;
        *bytes = rest;
        Ok(piece)
    }
}

/// Checks UTF-8 in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Utf8 {
    /// The beginning of a character that the last piece cut.
    begun: [u8; 4],
    len: u8,
}

impl Utf8 {
    /// Whether what came so far may be the beginning of a text.
    fn push(&mut self, mut piece: &[u8]) -> bool {
        while self.len != 0 {
            let Some((&byte, rest)) = piece.split_first() else { return true };
            piece = rest;
            let Some(place) = self.begun.get_mut(usize::from(self.len)) else { return false };
            *place = byte;
            self.len += 1;
            let begun = self.begun.get(..usize::from(self.len)).unwrap_or_default();
            match core::str::from_utf8(begun) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match core::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let cut = piece.get(error.valid_up_to()..).unwrap_or_default();
                for (place, &byte) in self.begun.iter_mut().zip(cut) {
                    *place = byte;
                }
                self.len = cut.len() as u8;
                true
            }
        }
    }
}

impl Rules {
    /// As [`Rules::decode`], but a PUBLISH is returned as soon as all in front of its payload is
    /// there. Take the payload, up to 268,435,455 bytes, off what comes behind with
    /// [`Pieces::next`], then go on with the next packet.
    ///
    /// ```
    /// use mqtt_codec::{Part, Rules, Sender, Version};
    ///
    /// let rules = Rules::new(Version::V311, Sender::Server);
    /// let mut received = &b"\x30\x08\0\x03a/bhe"[..];
    /// let Some(Part::Head(head)) = rules.decode_part(&mut received)? else { panic!() };
    /// assert_eq!(head.publish.topic.as_str(), "a/b");
    /// let mut payload = head.payload;
    /// assert_eq!(payload.next(&mut received)?, b"he");
    /// assert_eq!(payload.remaining(), 1);
    ///
    /// let mut received = &b"y\xD0\0"[..];
    /// assert_eq!(payload.next(&mut received)?, b"y");
    /// assert_eq!(payload.remaining(), 0);
    /// assert_eq!(received, b"\xD0\0");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rules::decode`].
    pub fn decode_part<'a>(&self, bytes: &mut &'a [u8]) -> Result<Option<Part<'a>>, DecodeError> {
        let all: &'a [u8] = bytes;
        let Some(header) = self.fixed_header(all)? else { return Ok(None) };
        if header.packet_len() <= all.len() || header.packet_type() != PacketType::Publish {
            return Ok(self.decode(bytes)?.map(Part::Packet));
        }
        let Some(len) = self.head_len(header, all)? else { return Ok(None) };
        let Some((head, rest)) = all.split_at_checked(len) else { return Ok(None) };
        let mut reader = Reader::behind(header, head, *self);
        // Without bytes for it, the payload is empty, which is text too.
        let publish = Publish::read(header, &mut reader)?;
        let payload = Pieces::new(&publish, (header.packet_len() - len) as u32, self);
        *bytes = rest;
        Ok(Some(Part::Head(PublishHead { publish, payload })))
    }

    /// The length of a PUBLISH up to its payload; `None`: the fields that tell it are not all there.
    fn head_len(&self, header: FixedHeader, bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
        let end = header.packet_len();
        let fail = |at, violation| Reader::new(&[], *self).fail_at(at, violation);
        let topic_at = header.len();
        let topic = |from: usize| bytes.get(from..)?.first_chunk().copied().map(u16::from_be_bytes);
        let Some(topic) = topic(topic_at) else {
            let there = end >= topic_at + 2;
            return if there { Ok(None) } else { Err(fail(topic_at, Violation::Truncated)) };
        };
        let mut at = topic_at + 2 + usize::from(topic);
        if at > end {
            return Err(fail(topic_at, Violation::Truncated));
        }
        let has_id = header.flags() >> 1 & 3 != QoS::AtMostOnce.bits();
        // What is wrong further in front is told first, as it is of a packet that is all there.
        let later = |at: usize, violation| {
            let Some(before) = bytes.get(..at) else { return Ok(None) };
            let mut reader = Reader::new(before, *self);
            reader.skip(topic_at);
            reader.topic_name(Violation::TopicNameWildcard)?;
            if has_id {
                reader.packet_id()?;
            }
            Err(fail(at, violation))
        };
        if has_id {
            if at + 2 > end {
                return later(at, Violation::Truncated);
            }
            at += 2;
        }
        if !self.version.has_properties() {
            return Ok(Some(at));
        }
        if at == end {
            return later(at, Violation::Truncated);
        }
        match Variable::parse(bytes.get(at..).unwrap_or_default()) {
            Variable::Value(value, len) if len != variable_len(value) => {
                later(at, Violation::VariableByteIntegerNotMinimal)
            }
            Variable::Value(value, len) if at + len + value as usize > end => {
                later(at, Violation::PropertyLength)
            }
            Variable::Value(value, len) => Ok(Some(at + len + value as usize)),
            Variable::Incomplete => Ok(None),
            Variable::TooLong => later(at, Violation::VariableByteIntegerTooLong),
        }
    }

    /// Writes a PUBLISH up to its payload to the front of `buffer`, and returns its length and what
    /// counts the payload of `payload_len` bytes that is to be sent behind it. The payload of
    /// `publish` itself must be empty. For one that is in memory as a whole,
    /// [`Prepared::write_head`](crate::Prepared::write_head) is enough.
    ///
    /// ```
    /// use mqtt_codec::{Publish, Rules, Sender, TopicName, Version};
    ///
    /// let rules = Rules::new(Version::V311, Sender::Client);
    /// let publish = Publish::new(TopicName::new("a/b")?, b"");
    /// let mut head = [0; 16];
    /// let (len, mut payload) = rules.encode_head(&publish, 3, &mut head)?;
    /// assert_eq!(head[..len], *b"\x30\x08\0\x03a/b");
    /// for mut piece in [&b"he"[..], b"y"] {
    ///     let sent = payload.next(&mut piece)?;
    ///     assert!(!sent.is_empty() && piece.is_empty());
    /// }
    /// assert_eq!(payload.remaining(), 0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rules::encode`], and [`Violation::TrailingBytes`] if `publish` has a payload.
    pub fn encode_head(
        &self,
        publish: &Publish<'_>,
        payload_len: usize,
        buffer: &mut [u8],
    ) -> Result<(usize, Pieces), EncodeError> {
        if !publish.payload.is_empty() {
            return Err(Violation::TrailingBytes.into());
        }
        let packet = Packet::Publish(*publish);
        let size = packet.measure(self)?.with_payload(payload_len, self)?;
        let needed = size.packet() - payload_len;
        let room = buffer.get_mut(..needed).ok_or(EncodeError::NoRoom { needed })?;
        packet.write(size, self, room);
        Ok((needed, Pieces::new(publish, payload_len as u32, self)))
    }
}
