//! What one direction of a connection is read and written by.

use crate::packet::Size;
use crate::wire::Reader;
use crate::{
    DecodeError, EncodeError, FixedHeader, Packet, Properties, Publish, Scope, Sender, Version,
};

/// Largest packet the protocol has room for: 268,435,455 bytes of Remaining Length and 5 of header.
pub(crate) const PROTOCOL_MAX: u32 = 268_435_460;

/// What the specification leaves to the receiver. The default refuses nothing that is legal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Refuse strings with control characters, U+0001 to U+001F and U+007F to U+009F (section
    /// 1.5.4: MAY). Default: false.
    pub refuse_control_characters: bool,
    /// Refuse strings with noncharacters such as U+FFFE (section 1.5.4: MAY). Default: false.
    pub refuse_noncharacters: bool,
    /// Refuse a payload or will that is not UTF-8 although its Payload Format Indicator is 1
    /// (section 3.3.2.3.2: MAY). Default: false.
    pub check_payload_format: bool,
    /// Refuse an AUTH of Remaining Length 0. Section 3.15.2.1 describes it, section 3.15.2.2.2 makes
    /// the missing Authentication Method a Protocol Error. Default: false.
    pub refuse_empty_auth: bool,
}

impl Policy {
    /// Whether strings are looked at beyond what every receiver must refuse.
    #[inline]
    pub(crate) const fn checks_strings(&self) -> bool {
        // Both at once: that nearly always neither is so takes one branch.
        self.refuse_control_characters | self.refuse_noncharacters
    }

    /// Whether it refuses anything that is legal.
    #[inline]
    pub(crate) const fn is_strict(&self) -> bool {
        // All at once: that nearly always none is set takes one branch.
        let &Self {
            refuse_control_characters: a,
            refuse_noncharacters: b,
            check_payload_format: c,
            refuse_empty_auth: d,
        } = self;
        u32::from_ne_bytes([a as u8, b as u8, c as u8, d as u8]) != 0
    }

    /// Whether a message with these properties may have this payload.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn admits_payload(&self, payload: &[u8], properties: &Properties<'_>) -> bool {
        // A copy: what is cold is not handed the properties themselves, which can be in registers.
        !self.check_payload_format || properties.is_empty() || is_as_indicated(payload, *properties)
    }
}

/// Whether this payload is text, if it is said to be.
#[cold]
fn is_as_indicated(payload: &[u8], properties: Properties<'_>) -> bool {
    properties.payload_format_indicator() != Some(true) || core::str::from_utf8(payload).is_ok()
}

/// How packets of one direction of a connection are read and written: one value for both, so that
/// what is refused in reading cannot be written either.
///
/// ```
/// use mqtt_codec::{Packet, Publish, Rules, Sender, TopicName, Version};
///
/// let rules = Rules::new(Version::V5, Sender::Client);
/// let publish = Publish::new(TopicName::new("a/b").unwrap(), b"21.5");
/// let mut buffer = [0; 64];
/// let len = rules.encode(&Packet::Publish(publish), &mut buffer).unwrap();
///
/// let mut rest = &buffer[..len];
/// let packet = rules.decode(&mut rest).unwrap();
/// assert_eq!(packet, Some(Packet::Publish(publish)));
/// assert!(rest.is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The version spoken. CONNECT is read and written by the version that it names itself.
    pub version: Version,
    /// The side whose packets these are.
    pub sender: Sender,
    /// The receiver's Maximum Packet Size in bytes, fixed header included (section 3.1.2.11.4).
    /// Default: 268,435,460, the protocol's own limit. A receiver with little memory sets less:
    /// a larger packet is then refused as soon as its length is known.
    pub max_packet_size: u32,
    /// What the specification leaves open.
    pub policy: Policy,
}

impl Rules {
    /// For where neither version nor side matters, and that the policy asks for nothing is to be known
    /// to the compiler.
    pub(crate) const PLAIN: &'static Self = &Self::new(Version::V5, Sender::Either);

    /// Rules for what `sender` sends in `version`, with the protocol's limit and the default policy.
    #[must_use]
    pub const fn new(version: Version, sender: Sender) -> Self {
        Self {
            version,
            sender,
            max_packet_size: PROTOCOL_MAX,
            policy: Policy {
                refuse_control_characters: false,
                refuse_noncharacters: false,
                check_payload_format: false,
                refuse_empty_auth: false,
            },
        }
    }

    /// Takes one packet off the front of `bytes`. `Ok(None)`: it is not all there yet, and `bytes`
    /// is as it was; [`Rules::fixed_header`] tells how many bytes are missing. The packet borrows
    /// from `bytes` and is checked in full: what it gives access to cannot fail any more.
    ///
    /// Costs nothing but the fixed header while bytes are missing.
    ///
    /// # Errors
    /// The first rule that the packet breaks, as soon as it can be seen; `bytes` is as it was.
    #[inline]
    pub fn decode<'a>(&self, bytes: &mut &'a [u8]) -> Result<Option<Packet<'a>>, DecodeError> {
        if self.admits_bare_ack() {
            if let Some((packet, rest)) = Packet::read_bare_puback(bytes) {
                *bytes = rest;
                return Ok(Some(packet));
            }
        }
        // As `take` does, which is not called because a `Packet` made from its answer is moved.
        let whole: &'a [u8] = bytes;
        let Some(header) = self.fixed_header(whole)? else { return Ok(None) };
        let Some((packet, rest)) = whole.split_at_checked(header.packet_len()) else {
            return Ok(None);
        };
        let packet = Packet::read(header, Reader::behind(header, packet, *self));
        if packet.is_ok() {
            *bytes = rest;
        }
        packet
    }

    /// Reads type, flags and Remaining Length, and refuses what can be refused by them. `Ok(None)`:
    /// they are not all there yet.
    ///
    /// # Errors
    /// A reserved type, wrong flags, the wrong direction, a bad Remaining Length, or a packet larger
    /// than [`Rules::max_packet_size`].
    #[inline]
    pub fn fixed_header(&self, bytes: &[u8]) -> Result<Option<FixedHeader>, DecodeError> {
        FixedHeader::read(bytes, self)
    }

    /// The number of bytes that [`Rules::encode`] writes for this packet.
    ///
    /// # Errors
    /// As [`Rules::encode`], but for the room.
    pub fn encoded_len(&self, packet: &Packet<'_>) -> Result<usize, EncodeError> {
        packet.measure(self).map(|size| size.packet())
    }

    /// Checks and measures a packet once, to be written when there is room for it.
    ///
    /// # Errors
    /// As [`Rules::encode`], but for the room.
    #[inline]
    pub fn prepare<'p>(&self, packet: &'p Packet<'p>) -> Result<Prepared<'p>, EncodeError> {
        Ok(Prepared { packet, rules: *self, size: packet.measure(self)? })
    }

    /// Writes the packet to the front of `buffer` and returns its length in bytes.
    ///
    /// In 3.1.1 what that version has no bytes for is left out: properties, reason codes of
    /// acknowledgements, subscription options but the QoS. A Reason String and User Properties that
    /// would make the packet larger than [`Rules::max_packet_size`] are left out too, as for example
    /// \[MQTT-3.4.2-2] and \[MQTT-3.4.2-3] demand for PUBACK.
    ///
    /// # Errors
    /// The rule that the packet breaks, or that it is too large or the buffer too short, in this
    /// order. What is in `buffer` then means nothing.
    ///
    /// What is in `buffer` behind the packet may be overwritten: how long it is shows in writing.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn encode(&self, packet: &Packet<'_>, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        packet.encode(self, buffer)
    }

    /// Checks properties as those of a packet, or of a will, and lays them out in `buffer` as they are
    /// sent. What it returns are the same properties, which are then only copied into each packet.
    /// They may stand in any packet under any rules: what was not checked by these is checked when
    /// the packet is written, all strings among it where the policy refuses any.
    ///
    /// ```
    /// use mqtt_codec::{
    ///     Packet, Properties, Property, Publish, Rules, Scope, Sender, TopicName, Version,
    /// };
    ///
    /// let rules = Rules::new(Version::V5, Sender::Client);
    /// let list = [Property::ContentType("text/plain"), Property::UserProperty(("room", "kitchen"))];
    /// let mut room = [0; 64];
    /// let properties = rules.lay_out(&Properties::from(&list[..]), Scope::Publish, &mut room)?;
    /// assert_eq!(properties.content_type(), Some("text/plain"));
    ///
    /// let mut buffer = [0; 128];
    /// for payload in [b"20.5", b"21.0"] {
    ///     let publish = Publish { properties, ..Publish::new(TopicName::new("a/b")?, payload) };
    ///     let len = rules.encode(&Packet::Publish(publish), &mut buffer)?;
    ///     assert!(buffer[..len].ends_with(payload));
    /// }
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The rule that they break there, that no packet has room for them, or that `buffer` is too short:
    /// [`EncodeError::NoRoom`] then says how many bytes they take.
    pub fn lay_out<'b>(
        &self,
        properties: &Properties<'_>,
        scope: Scope,
        buffer: &'b mut [u8],
    ) -> Result<Properties<'b>, EncodeError> {
        properties.lay_out(self, scope, buffer)
    }

    /// Appends the packet to `buffer` and returns its length in bytes. A payload is copied once, into
    /// room that was not filled before.
    ///
    /// # Errors
    /// As [`Rules::encode`]; `buffer` is as it was.
    #[cfg(feature = "alloc")]
    pub fn encode_to_vec(
        &self,
        packet: &Packet<'_>,
        buffer: &mut alloc::vec::Vec<u8>,
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

/// A packet that was checked and measured: see [`Rules::prepare`].
#[derive(Clone, Copy)]
pub struct Prepared<'p> {
    packet: &'p Packet<'p>,
    rules: Rules,
    size: Size,
}

impl<'p> Prepared<'p> {
    /// Its length in bytes.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    pub const fn len(&self) -> usize {
        self.size.packet()
    }

    /// Fills `room`, which is [`Prepared::len`] bytes long; in a shorter one the packet is cut off.
    #[inline]
    pub fn write(&self, room: &mut [u8]) {
        self.packet.write(self.size, &self.rules, room);
    }

    /// The payload of a PUBLISH, which is at the end of the packet and can be sent from where it is;
    /// nothing in other packets.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'p [u8] {
        match self.packet {
            Packet::Publish(publish) => publish.payload,
            _ => &[],
        }
    }

    /// Fills `room` with all but [`Prepared::payload`], and is as much shorter than
    /// [`Prepared::len`].
    #[inline]
    pub fn write_head(&self, room: &mut [u8]) {
        match self.packet {
            Packet::Publish(publish) => {
                let head = Packet::Publish(Publish { payload: &[], ..*publish });
                head.write(self.size, &self.rules, room);
            }
            _ => self.write(room),
        }
    }
}

impl core::fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prepared").field("packet", self.packet).finish_non_exhaustive()
    }
}
