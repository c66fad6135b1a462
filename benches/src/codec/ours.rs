//! `mqtt_codec`.

use core::hint::black_box;

use mqtt_codec::{List, Packet, Properties, Property, Rules, Sender};

use super::{Codec, Room, Row, chunks_of_slice};

/// Ours: packets are borrowed from the bytes, and written to a lent slice; payloads too, or where
/// it is to be `BY_REFERENCE` only what is in front of them.
#[derive(Debug)]
pub struct Ours<const BY_REFERENCE: bool = false> {
    rules: Rules,
}

impl<const BY_REFERENCE: bool> Codec for Ours<BY_REFERENCE> {
    const NAME: &'static str = "mqtt_codec";
    const BY_REFERENCE: Option<bool> = Some(BY_REFERENCE);
    type Input<'a> = &'a [u8];
    type Packet<'a> = Packet<'a>;
    type Sent<'a> = Packet<'a>;
    type Carry = Vec<u8>;
    type Buffer = Room;

    fn new(row: &Row) -> Option<Self> {
        Some(Self { rules: Rules::new(row.version, Sender::Client) })
    }

    fn input(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    fn decode<'a>(&mut self, input: &mut Self::Input<'a>) -> Option<Self::Packet<'a>> {
        self.rules.decode(input).ok()?
    }

    #[inline]
    fn pass<'a>(&mut self, input: &mut Self::Input<'a>) -> bool {
        let packet = self.rules.decode(input);
        let passed = matches!(packet, Ok(Some(_)));
        if passed {
            black_box(&packet);
        }
        passed
    }

    #[inline]
    fn decode_chunks(&mut self, stream: &[u8], size: usize, carry: &mut Vec<u8>) -> usize {
        chunks_of_slice(self, stream, size, carry)
    }

    /// With lists in place of the bytes that were received, which would only be copied.
    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        Some(match packet {
            Packet::Publish(mut publish) => {
                publish.properties = listed(publish.properties);
                publish.payload = super::apart(publish.payload);
                Packet::Publish(publish)
            }
            Packet::Connect(mut connect) => {
                connect.properties = listed(connect.properties);
                if let Some(will) = &mut connect.will {
                    will.properties = listed(will.properties);
                }
                Packet::Connect(connect)
            }
            Packet::Subscribe(mut subscribe) => {
                subscribe.subscriptions =
                    List::from(subscribe.subscriptions.iter().collect::<Vec<_>>().leak() as &[_]);
                Packet::Subscribe(subscribe)
            }
            other => other,
        })
    }

    #[inline]
    fn encode(&mut self, packet: &Packet<'_>, buffer: &mut Room) -> bool {
        if !BY_REFERENCE {
            return buffer.write(|room| self.rules.encode(packet, room).ok());
        }
        let Ok(prepared) = self.rules.prepare(packet) else { return false };
        let payload = black_box(prepared.payload());
        buffer.write(|room| {
            let len = prepared.len() - payload.len();
            prepared.write_head(room.get_mut(..len)?);
            Some(len)
        })
    }
}

/// A benchmark has few of them and ends soon: they are never freed.
fn listed(properties: Properties<'_>) -> Properties<'_> {
    Properties::from(properties.iter().collect::<Vec<Property<'_>>>().leak() as &[_])
}
