//! Where packets are put that are to be sent.

use mqtt_codec::{EncodeError, Packet, PacketType, Rules};

use crate::Error;

/// Room for outgoing packets. One call is one packet, so that datagrams keep their boundaries.
pub trait Transmit {
    /// Exactly `len` bytes to fill, behind all that was given out before; `None` when there is no
    /// room for all of them now.
    fn packet(&mut self, len: usize) -> Option<&mut [u8]>;

    /// The same for a packet that ends with `payload`: takes that in, and gives out exactly the
    /// `head` bytes before it to fill. Who can add a slice at the end, or send from two places, does
    /// better than the default.
    fn packet_with(&mut self, head: usize, payload: &[u8]) -> Option<&mut [u8]> {
        let room = self.packet(head.checked_add(payload.len())?)?;
        let (room, tail) = room.split_at_mut_checked(head)?;
        tail.copy_from_slice(payload);
        Some(room)
    }

    /// The same for a large payload that many packets end with: what is in `shared` from `start` on.
    /// Who can send from there need not copy it.
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    fn packet_shared(
        &mut self,
        head: usize,
        shared: &alloc::sync::Arc<[u8]>,
        start: usize,
    ) -> Option<&mut [u8]> {
        self.packet_with(head, shared.get(start..)?)
    }

    /// Room for a packet that may be so short, before its length is known: [`Transmit::keep`] is
    /// called next and tells it. `None`, the default: there is no such room now, and the packet is put
    /// together elsewhere.
    fn short(&mut self) -> Option<&mut [u8; SHORT_PACKET]> {
        None
    }

    /// Of the room that [`Transmit::short`] gave out, the first `len` bytes are the packet. The rest
    /// is given back, all of it where `len` is 0.
    fn keep(&mut self, len: usize) {
        let _ = len;
    }

    /// The packet that room was taken for last is written: its type, and all its bytes. For who counts.
    fn sent(&mut self, packet_type: PacketType, len: usize) {
        let _ = (packet_type, len);
    }
}

/// Most bytes of a packet that is written before its length is known: [`Transmit::short`].
pub const SHORT_PACKET: usize = 128;

/// Checks the packet, finds room for it, and writes it.
///
/// # Errors
/// [`Error::Encode`] if it must not be sent, [`Error::TransmitFull`] without room for it.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn send(packet: &Packet<'_>, rules: &Rules, tx: &mut dyn Transmit) -> Result<(), Error> {
    if matches!(packet, Packet::Publish(publish) if publish.payload.len() >= SHORT_PACKET) {
        return send_long(packet, rules, tx);
    }
    // To write a short packet at once takes less than to measure it, ask for room and write it.
    let result = match tx.short() {
        Some(room) => {
            let result = rules.encode(packet, room);
            tx.keep(result.unwrap_or(0));
            result
        }
        None => {
            let mut short = [0; SHORT_PACKET];
            let result = rules.encode(packet, &mut short);
            if let Ok(len) = result {
                let room = tx.packet_with(0, short.get(..len).unwrap_or_default());
                room.ok_or(Error::TransmitFull)?;
            }
            result
        }
    };
    match result {
        Ok(len) => {
            tx.sent(packet.packet_type(), len);
            Ok(())
        }
        Err(EncodeError::NoRoom { .. }) => send_long(packet, rules, tx),
        Err(error) => Err(error.into()),
    }
}

#[inline(never)]
fn send_long(packet: &Packet<'_>, rules: &Rules, tx: &mut dyn Transmit) -> Result<(), Error> {
    let prepared = rules.prepare(packet)?;
    let payload = prepared.payload();
    let len = prepared.len();
    let room = tx.packet_with(len - payload.len(), payload);
    prepared.write_head(room.ok_or(Error::TransmitFull)?);
    tx.sent(packet.packet_type(), len);
    Ok(())
}

/// A PUBLISH that is written already, but for its packet identifier.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'w> {
    pub(crate) bytes: &'w [u8],
    pub(crate) qos: mqtt_codec::QoS,
    /// Where the packet identifier is, if the QoS asks for one.
    pub(crate) id_at: usize,
}

/// Finds room for a packet that is written already, and copies it there.
///
/// # Errors
/// [`Error::TransmitFull`] without room for it.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) fn send_written(
    written: Written<'_>,
    id: Option<mqtt_codec::PacketId>,
    tx: &mut dyn Transmit,
) -> Result<(), Error> {
    let (head, rest) = match id {
        Some(_) => written.bytes.split_at_checked(written.id_at + 2).ok_or(Error::TransmitFull)?,
        None => (&[][..], written.bytes),
    };
    let room = tx.packet_with(head.len(), rest).ok_or(Error::TransmitFull)?;
    if let Some(id) = id {
        let (before, place) =
            room.split_at_mut_checked(written.id_at).ok_or(Error::TransmitFull)?;
        before.copy_from_slice(head.get(..written.id_at).unwrap_or_default());
        place.copy_from_slice(&id.get().to_be_bytes());
    }
    tx.sent(PacketType::Publish, written.bytes.len());
    Ok(())
}

#[cfg(feature = "alloc")]
impl Transmit for alloc::vec::Vec<u8> {
    fn short(&mut self) -> Option<&mut [u8; SHORT_PACKET]> {
        self.extend_from_slice(&[0; SHORT_PACKET]);
        self.last_chunk_mut()
    }

    fn keep(&mut self, len: usize) {
        self.truncate((self.len() + len).saturating_sub(SHORT_PACKET));
    }

    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        let start = self.len();
        self.resize(start + len, 0);
        self.get_mut(start..)
    }

    fn packet_with(&mut self, head: usize, payload: &[u8]) -> Option<&mut [u8]> {
        if head == 0 {
            self.extend_from_slice(payload);
            return Some(&mut []);
        }
        append(self, head, payload)
    }
}

/// Appends a payload behind room for its head.
#[cfg(feature = "alloc")]
#[inline(never)]
fn append<'b>(
    bytes: &'b mut alloc::vec::Vec<u8>,
    head: usize,
    payload: &[u8],
) -> Option<&'b mut [u8]> {
    let start = bytes.len();
    bytes.reserve(head + payload.len());
    bytes.resize(start + head, 0);
    bytes.extend_from_slice(payload);
    bytes.get_mut(start..)?.get_mut(..head)
}

/// A lent buffer to send from.
///
/// ```
/// use mqtt_session::{Buffer, Transmit};
/// let mut bytes = [0; 8];
/// let mut tx = Buffer::new(&mut bytes);
/// tx.packet(2).unwrap().copy_from_slice(&[0xC0, 0]);
/// assert!(tx.packet(7).is_none());
/// assert_eq!(tx.filled(), [0xC0, 0]);
/// tx.clear();
/// ```
#[derive(Debug)]
pub struct Buffer<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl<'b> Buffer<'b> {
    /// An empty buffer that holds as much as `bytes` is long.
    pub const fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// What waits to be sent.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Drops the first `len` bytes, which were sent.
    pub fn consume(&mut self, len: usize) {
        let len = len.min(self.len);
        self.bytes.copy_within(len..self.len, 0);
        self.len -= len;
    }

    /// Drops all.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

impl Transmit for Buffer<'_> {
    fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
        let start = self.len;
        let room = self.bytes.get_mut(start..)?.get_mut(..len)?;
        self.len = start + len;
        Some(room)
    }

    fn short(&mut self) -> Option<&mut [u8; SHORT_PACKET]> {
        self.bytes.get_mut(self.len..)?.first_chunk_mut()
    }

    fn keep(&mut self, len: usize) {
        self.len += len;
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::vec::Vec;

    use mqtt_codec::{Packet, Publish, QoS, Rules, Sender, TopicName, Version};

    use super::{Buffer, SHORT_PACKET, Transmit, send};
    use crate::Error;

    /// Has no room for what may be short.
    struct Plain(Vec<u8>);

    impl Transmit for Plain {
        fn packet(&mut self, len: usize) -> Option<&mut [u8]> {
            self.0.packet(len)
        }
    }

    #[test]
    fn a_packet_is_the_same_wherever_it_is_put_together() {
        let rules = Rules { max_packet_size: 200, ..Rules::new(Version::V311, Sender::Client) };
        let payload = [7; 256];
        let (mut expected, mut plain) = (Vec::new(), Plain(Vec::new()));
        let (mut vec, mut lent) = (Vec::new(), [0; 2 * SHORT_PACKET]);
        for len in 0..256 {
            let topic = TopicName::new("a").unwrap();
            let publish = Packet::Publish(Publish::new(topic, &payload[..len]));
            expected.clear();
            let written = rules.encode_to_vec(&publish, &mut expected);
            expected.extend(written.is_ok().then_some([0xC0, 0]).iter().flatten());
            let result = written.map(|_| ()).map_err(Error::from);
            // A packet before and behind it, as nothing may be left or lost between.
            for used in [0, 100, SHORT_PACKET, 2 * SHORT_PACKET] {
                let mut buffer = Buffer::new(&mut lent);
                assert!(buffer.packet(used).is_some());
                let before = buffer.filled().len();
                let sent = send(&publish, &rules, &mut buffer);
                let fits = used + written.unwrap_or(0) <= 2 * SHORT_PACKET;
                assert_eq!(sent, if fits { result } else { Err(Error::TransmitFull) });
                let len = if sent.is_ok() { written.unwrap() } else { 0 };
                assert_eq!(buffer.filled()[before..], expected[..len]);
            }
            for tx in [&mut plain as &mut dyn Transmit, &mut vec] {
                assert_eq!(send(&publish, &rules, tx), result);
                if result.is_ok() {
                    send(&Packet::PingReq, &rules, tx).unwrap();
                }
            }
            assert_eq!(plain.0, expected);
            assert_eq!(vec, expected);
            plain.0.clear();
            vec.clear();
        }
    }

    #[test]
    fn what_must_not_be_sent_leaves_nothing_behind() {
        let rules = Rules::new(Version::V311, Sender::Client);
        let publish = Publish::new(TopicName::new("a").unwrap(), b"");
        // Without a Packet Identifier [MQTT-2.2.1-2].
        let packet = Packet::Publish(Publish { qos: QoS::AtLeastOnce, ..publish });
        let (mut vec, mut lent) = (alloc::vec![1, 2], [0; 2 * SHORT_PACKET]);
        let mut buffer = Buffer::new(&mut lent);
        assert!(matches!(send(&packet, &rules, &mut vec), Err(Error::Encode(_))));
        assert!(matches!(send(&packet, &rules, &mut buffer), Err(Error::Encode(_))));
        assert_eq!((&vec[..], buffer.filled()), (&[1, 2][..], &[][..]));
    }
}
