//! Messages that are larger than this client takes, from a server that cannot be told so.

use alloc::sync::Arc;

use bytes::Bytes;
use mqtt_codec::{Packet, PacketType, Part, Publish, Rules, Sender, Version};
use mqtt_session::{Event, Instant};

use super::Driver;
use crate::{ConnectionEvent, Error, ReasonCode};

const RULES: Rules = Rules::new(Version::V311, Sender::Server);

/// Whether a message was passed over.
pub(super) enum Passed {
    /// It is not too large.
    Not,
    /// What is there does not say what it is.
    Unknown,
    /// It was; so many bytes of its payload are yet to come.
    Over(usize),
}

impl Driver {
    /// Passes over the message that begins here, if it is too large. Before version 5 no server can know
    /// of the limit, and to end the connection would be of no use, as it may send the message again on
    /// the next one, and the next. So it is acknowledged in its turn and goes no further, as from
    /// version 5 on the server does with it \[MQTT-3.1.2-25].
    #[cold]
    pub(super) fn pass_over(
        &mut self,
        now: Instant,
        bytes: &mut &[u8],
        packets: &Bytes,
    ) -> Result<Passed, Error> {
        let limit = self.options.max_packet_size;
        let Ok(Some(header)) = RULES.fixed_header(bytes) else { return Ok(Passed::Not) };
        let size = header.packet_len() as u64;
        if header.packet_type() != PacketType::Publish || size <= u64::from(limit) {
            return Ok(Passed::Not);
        }
        let mut rest = *bytes;
        let (publish, missing) = match RULES.decode_part(&mut rest) {
            Ok(Some(Part::Head(head))) => {
                let mut payload = head.payload;
                // Text or not, it is of no interest.
                let _ = payload.next(&mut rest);
                (head.publish, payload.remaining())
            }
            Ok(Some(Part::Packet(Packet::Publish(publish)))) => (publish, 0),
            Ok(None) => return Ok(Passed::Unknown),
            // What is wrong with it the session finds out.
            Ok(Some(_)) | Err(_) => return Ok(Passed::Not),
        };
        let head = Packet::Publish(Publish { payload: &[], ..publish });
        let fits = |len: &usize| u64::try_from(*len).is_ok_and(|len| len <= u64::from(limit));
        let Some(len) = RULES.encoded_len(&head).ok().filter(fits) else { return Ok(Passed::Not) };
        let mut without_payload = alloc::vec![0; len];
        if RULES.encode(&head, &mut without_payload).is_err() {
            return Ok(Passed::Not);
        }
        *bytes = rest;
        self.take_head(now, &without_payload, size, packets)?;
        Ok(Passed::Over(missing))
    }

    /// Lets the session see it without payload, so that all it does is as with any other message.
    fn take_head(
        &mut self,
        now: Instant,
        mut head: &[u8],
        size: u64,
        packets: &Bytes,
    ) -> Result<(), Error> {
        while !head.is_empty() {
            let before = head.len();
            let event = self.session.receive(now, &mut head, self.tx.packets());
            match event.map_err(Error::Protocol)? {
                Some(Event::Message(message)) => {
                    self.shared.tell(&ConnectionEvent::Oversized {
                        topic: Arc::from(message.publish.topic.as_str()),
                        qos: message.publish.qos,
                        size,
                        limit: self.options.max_packet_size,
                    });
                    if let Some(token) = message.token {
                        self.acknowledge(now, token, ReasonCode::Success);
                    }
                }
                Some(event) => self.on_event(now, &event, packets)?,
                None if head.len() == before => break, // the connection has ended
                None => {}
            }
        }
        Ok(())
    }
}
