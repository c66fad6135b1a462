//! MQTT-SN 1.2 datagrams to messages and back.
//!
//! One datagram is one message, so there is no framing and no "not all there yet": a datagram is
//! good or it is refused. Otherwise the shape is that of the MQTT packets: [`Rules`] for one
//! direction, borrowed messages that were checked in full, the same rules on both ways, the exact
//! size known before a byte is written, no heap.
//!
//! ```
//! use mqtt_codec::{Sender, sn};
//!
//! let rules = sn::Rules::new(Sender::Client);
//! let ping = sn::Packet::PingReq(Some("sensor-7"));
//! let mut buffer = [0; 16];
//! let len = rules.encode(&ping.into(), &mut buffer)?;
//! assert_eq!(buffer[..len], *b"\x0A\x16sensor-7");
//! assert_eq!(rules.decode(&buffer[..len])?.message, ping);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! The text of MQTT-SN 1.2 is prose with few "shall". Where it says what a field holds, a message
//! that does not hold it is refused. Where it calls values reserved or bits unused without saying
//! what a receiver does, they are taken, and [`Policy`] has a switch for each.

use crate::Sender;

mod check;
mod error;
mod packet;
mod read;
mod write;

pub use error::{DecodeError, EncodeError, Violation};
pub use packet::{
    Connect, Datagram, Encapsulation, MsgType, Packet, Publish, PublishQoS, Register, ReturnCode,
    ShortTopic, SubAck, Subscribe, Topic, TopicAck, TopicId, Unsubscribe, WillTopic,
};

/// Message type of the encapsulation (section 5.5).
const ENCAPSULATED: u8 = 0xFE;
const DUP: u8 = 0x80;
const QOS: u8 = 0x60;
const RETAIN: u8 = 0x10;
const WILL: u8 = 0x08;
const CLEAN_SESSION: u8 = 0x04;
const TOPIC_ID_TYPE: u8 = 0x03;

/// What MQTT-SN 1.2 leaves open. The default refuses nothing that may be legal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Refuse flags that a message does not use (section 5.3.4), DUP with QoS 0 and -1, and the
    /// reserved bits of an encapsulation. Default: false, they are ignored.
    pub refuse_unused_flags: bool,
    /// Refuse the return codes 0x04 to 0xFF, which are reserved (section 5.3.10). Default: false,
    /// they count as rejected.
    pub refuse_reserved_return_codes: bool,
    /// Refuse topic ids 0x0000 and 0xFFFF, which "should not be used" (section 5.3.11), where an id
    /// is needed: in PUBLISH, SUBSCRIBE, UNSUBSCRIBE. Default: false.
    pub refuse_reserved_topic_ids: bool,
    /// Refuse a MsgId of 0 where an answer is expected, and another one in a PUBLISH that is not
    /// answered (section 5.4.12). Default: false.
    pub check_msg_id: bool,
    /// Refuse a ClientId in PINGREQ, a Duration in DISCONNECT and a GwAdd in GWINFO from a gateway:
    /// the text has clients give them. Default: false.
    pub refuse_client_fields_from_gateway: bool,
    /// Refuse WILLTOPIC and WILLTOPICUPD with flags and an empty topic. Default: false.
    pub refuse_empty_will_topic: bool,
    /// Take a ClientId of more than the 23 characters of section 5.3.1, as some gateways do.
    /// Default: false.
    pub long_client_ids: bool,
}

/// How the datagrams of one direction are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The side whose messages these are: [`Sender::Server`] is the gateway. A client that answers
    /// SEARCHGW sends as a client.
    pub sender: Sender,
    /// The largest message in octets that the network carries, encapsulation left out. Default:
    /// 65,535, the protocol's limit; ZigBee has room for 60 (section 7.4).
    pub max_message_size: u16,
    /// What the specification leaves open.
    pub policy: Policy,
}

impl Rules {
    /// Rules for what `sender` sends, with the protocol's limit and the default policy.
    #[must_use]
    pub const fn new(sender: Sender) -> Self {
        Self {
            sender,
            max_message_size: u16::MAX,
            policy: Policy {
                refuse_unused_flags: false,
                refuse_reserved_return_codes: false,
                refuse_reserved_topic_ids: false,
                check_msg_id: false,
                refuse_client_fields_from_gateway: false,
                refuse_empty_will_topic: false,
                long_client_ids: false,
            },
        }
    }

    /// Reads one datagram. The message borrows from it and is checked in full.
    ///
    /// # Errors
    /// The first rule that the datagram breaks.
    pub fn decode<'a>(&self, datagram: &'a [u8]) -> Result<Datagram<'a>, DecodeError> {
        read::datagram(datagram, self)
    }

    /// The number of octets that [`Rules::encode`] writes.
    ///
    /// # Errors
    /// As [`Rules::encode`], but for the room.
    pub fn encoded_len(&self, datagram: &Datagram<'_>) -> Result<usize, EncodeError> {
        write::measure(datagram, self).map(|size| size.datagram)
    }

    /// Writes the datagram to the front of `buffer` and returns its length in octets. A message of
    /// less than 256 octets gets the length of one octet (section 5.2.1).
    ///
    /// # Errors
    /// The rule that the message breaks, or that it is too large or the buffer too short. Nothing
    /// has been written then.
    pub fn encode(&self, datagram: &Datagram<'_>, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let size = write::measure(datagram, self)?;
        let needed = size.datagram;
        let room = buffer.get_mut(..needed).ok_or(EncodeError::NoRoom { needed })?;
        write::datagram(datagram, size, room);
        Ok(needed)
    }

    /// Appends the datagram to `buffer` and returns its length in octets.
    ///
    /// # Errors
    /// As [`Rules::encode`]; `buffer` is as it was.
    #[cfg(feature = "alloc")]
    pub fn encode_to_vec(
        &self,
        datagram: &Datagram<'_>,
        buffer: &mut alloc::vec::Vec<u8>,
    ) -> Result<usize, EncodeError> {
        let size = write::measure(datagram, self)?;
        let start = buffer.len();
        buffer.resize(start + size.datagram, 0);
        if let Some(room) = buffer.get_mut(start..) {
            write::datagram(datagram, size, room);
        }
        Ok(size.datagram)
    }
}
