//! `mqtt_codec`.

use core::hint::black_box;

use mqtt_codec::{List, Packet, Properties, Property, Rules, Scope, Sender, Version};

use super::{Codec, Form, Room, Row, chunks_of_slice};

/// Only what is in front of payloads is written.
pub const BY_REFERENCE: u8 = 1;
/// Properties were laid out before.
pub const LAID_OUT: u8 = 2;

/// Ours: packets are borrowed from the bytes, and written to a lent slice.
#[derive(Debug)]
pub struct Ours<const FORM: u8 = 0> {
    rules: Rules,
}

impl<const FORM: u8> Codec for Ours<FORM> {
    const NAME: &'static str = "mqtt_codec";
    const FORMS: &'static [Form] = match FORM {
        BY_REFERENCE => &[Form::ByReference],
        LAID_OUT => &[Form::LaidOut],
        _ => &[Form::Copied],
    };
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

    /// With what an application has in place of the bytes that were received.
    fn to_send(packet: Self::Packet<'_>) -> Option<Self::Sent<'_>> {
        Some(match packet {
            Packet::Publish(mut publish) => {
                publish.properties = made::<FORM>(publish.properties, Scope::Publish);
                publish.payload = super::apart(publish.payload);
                Packet::Publish(publish)
            }
            Packet::Connect(mut connect) => {
                connect.properties = made::<FORM>(connect.properties, Scope::Connect);
                if let Some(will) = &mut connect.will {
                    will.properties = made::<FORM>(will.properties, Scope::Will);
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
        if FORM != BY_REFERENCE {
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
fn made<const FORM: u8>(properties: Properties<'_>, scope: Scope) -> Properties<'_> {
    let list = Properties::from(properties.iter().collect::<Vec<Property<'_>>>().leak() as &[_]);
    if FORM != LAID_OUT {
        return list;
    }
    let rules = Rules::new(Version::V5, Sender::Client);
    rules.lay_out(&list, scope, vec![0; 1024].leak()).expect("legal properties")
}
