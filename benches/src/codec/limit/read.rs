//! Reading.

use super::Text;

/// What is in the rows. Strings were checked, and are bytes, so that neither limit pays for more.
#[derive(Debug)]
pub enum Packet<'a> {
    Publish(Publish<'a>),
    PubAck(u16),
    Connect(Connect<'a>),
    Subscribe(Subscribe<'a>),
    PingReq,
}

#[derive(Clone, Debug)]
pub struct Publish<'a> {
    pub(super) flags: u8,
    pub(super) topic: &'a [u8],
    pub(super) packet_id: Option<u16>,
    pub(super) properties: &'a [u8],
    pub(super) payload: &'a [u8],
}

#[derive(Clone, Debug)]
pub struct Connect<'a> {
    pub(super) flags: u8,
    pub(super) keep_alive: u16,
    pub(super) properties: &'a [u8],
    pub(super) client_id: &'a [u8],
    pub(super) will: Option<Will<'a>>,
    pub(super) user_name: Option<&'a [u8]>,
    pub(super) password: Option<&'a [u8]>,
}

#[derive(Clone, Debug)]
pub(super) struct Will<'a> {
    pub(super) properties: &'a [u8],
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
}

#[derive(Clone, Debug)]
pub struct Subscribe<'a> {
    pub(super) packet_id: u16,
    /// Filters and options, checked.
    pub(super) filters: &'a [u8],
}

/// Bytes that are taken off the front.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline(always)]
    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline(always)]
    pub(super) fn u16(&mut self) -> Option<u16> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*first))
    }

    #[inline(always)]
    fn nonzero(&mut self) -> Option<u16> {
        self.u16().filter(|value| *value != 0)
    }

    #[inline(always)]
    pub(super) fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    /// A Variable Byte Integer; with `minimal`, none that is longer than it need be.
    #[inline(always)]
    fn variable(&mut self, minimal: bool) -> Option<usize> {
        let first = self.u8()?;
        if first < 0x80 {
            return Some(usize::from(first));
        }
        let mut value = usize::from(first & 0x7F);
        for shift in [7, 14, 21] {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return (byte != 0 || !minimal).then_some(value);
            }
        }
        None
    }

    #[inline(always)]
    pub(super) fn binary(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    #[inline(always)]
    fn string<T: Text>(&mut self) -> Option<&'a [u8]> {
        let bytes = self.binary()?;
        T::is_string(bytes).then_some(bytes)
    }

    #[inline(always)]
    fn name<T: Text>(&mut self) -> Option<&'a [u8]> {
        let bytes = self.binary()?;
        T::is_name(bytes).then_some(bytes)
    }
}

/// First byte and body of the packet at the front of `input`.
#[inline(always)]
pub(super) fn front<'a>(v5: bool, input: &mut &'a [u8]) -> Option<(u8, Cursor<'a>)> {
    let mut cursor = Cursor(input);
    let first = cursor.u8()?;
    let len = cursor.variable(v5)?;
    let body = Cursor(cursor.take(len)?);
    *input = cursor.0;
    Some((first, body))
}

#[inline(always)]
pub(super) fn puback(mut body: Cursor<'_>) -> Option<u16> {
    whole(body.nonzero()?, &body)
}

#[inline(always)]
pub(super) fn pingreq(body: &Cursor<'_>) -> Option<()> {
    whole((), body)
}

/// The packet, if no bytes are left over. In no row does PUBACK have a reason code.
#[inline(always)]
fn whole<T>(packet: T, body: &Cursor<'_>) -> Option<T> {
    body.0.is_empty().then_some(packet)
}

#[inline(always)]
pub(super) fn publish<'a, T: Text>(
    v5: bool,
    first: u8,
    mut body: Cursor<'a>,
) -> Option<Publish<'a>> {
    let flags = first & 0x0F;
    let qos = flags >> 1 & 3;
    if qos == 3 || (qos == 0 && flags & 8 != 0) {
        return None;
    }
    let topic = body.name::<T>()?;
    let packet_id = if qos == 0 { None } else { Some(body.nonzero()?) };
    let (properties, seen) = if v5 { properties::<T, PUBLISH>(&mut body)? } else { (&[][..], 0) };
    if topic.is_empty() && seen & 1 << 0x23 == 0 {
        return None;
    }
    let payload = body.0;
    Some(Publish { flags, topic, packet_id, properties, payload })
}

#[inline(always)]
pub(super) fn connect<'a, T: Text>(mut body: Cursor<'a>) -> Option<Connect<'a>> {
    if body.take(7)? != b"\0\x04MQTT\x05" {
        return None;
    }
    let flags = body.u8()?;
    let has_will = flags & 4 != 0;
    if flags & 1 != 0 || flags & 0x18 == 0x18 || (!has_will && flags & 0x38 != 0) {
        return None;
    }
    let keep_alive = body.u16()?;
    let properties = properties::<T, CONNECT>(&mut body)?.0;
    let client_id = body.string::<T>()?;
    let will = if has_will {
        Some(Will {
            properties: self::properties::<T, WILL>(&mut body)?.0,
            topic: body.name::<T>().filter(|topic| !topic.is_empty())?,
            payload: body.binary()?,
        })
    } else {
        None
    };
    let user_name = if flags & 0x80 != 0 { Some(body.string::<T>()?) } else { None };
    let password = if flags & 0x40 != 0 { Some(body.binary()?) } else { None };
    let connect = Connect { flags, keep_alive, properties, client_id, will, user_name, password };
    whole(connect, &body)
}

#[inline(always)]
pub(super) fn subscribe<'a, T: Text>(v5: bool, mut body: Cursor<'a>) -> Option<Subscribe<'a>> {
    let packet_id = body.nonzero()?;
    if v5 {
        properties::<T, SUBSCRIBE>(&mut body)?;
    }
    let filters = body.0;
    if filters.is_empty() {
        return None;
    }
    let mut rest = Cursor(filters);
    while !rest.0.is_empty() {
        let filter = rest.binary()?;
        // No row has a shared subscription.
        let shared = v5 && filter.first()? == &b'$' && filter.starts_with(b"$share/");
        if filter.is_empty() || shared || !T::is_filter(filter) {
            return None;
        }
        let options = rest.u8()?;
        let reserved = if v5 { 0xC0 } else { 0xFC };
        if options & reserved != 0 || options & 3 == 3 || options & 0x30 == 0x30 {
            return None;
        }
    }
    Some(Subscribe { packet_id, filters })
}

// The properties that a packet may carry, as bits.
const PUBLISH: u64 =
    1 << 0x01 | 1 << 0x02 | 1 << 0x03 | 1 << 0x08 | 1 << 0x09 | 1 << 0x23 | 1 << 0x26;
const WILL: u64 = PUBLISH & !(1 << 0x23) | 1 << 0x18;
const CONNECT: u64 = 1 << 0x11
    | 1 << 0x15
    | 1 << 0x16
    | 1 << 0x17
    | 1 << 0x19
    | 1 << 0x21
    | 1 << 0x22
    | 1 << 0x26
    | 1 << 0x27;
const SUBSCRIBE: u64 = 1 << 0x0B | 1 << 0x26;

/// The properties, checked, and which there are, as bits.
#[inline(always)]
fn properties<'a, T: Text, const ALLOWED: u64>(body: &mut Cursor<'a>) -> Option<(&'a [u8], u64)> {
    match body.variable(true)? {
        0 => Some((&[], 0)),
        len => {
            let span = body.take(len)?;
            Some((span, check_properties::<T, ALLOWED>(span)?))
        }
    }
}

/// One for each packet: what it may not carry is not compiled.
#[inline(never)]
fn check_properties<T: Text, const ALLOWED: u64>(span: &[u8]) -> Option<u64> {
    let mut rest = Cursor(span);
    let (mut seen, mut twice) = (0, 0);
    while !rest.0.is_empty() {
        let id = rest.u8()?;
        // No identifier that is known has one of the two highest bits.
        let bit = 1 << (id & 0x3F);
        if id >= 64 || ALLOWED & bit == 0 {
            return None;
        }
        twice |= seen & bit;
        seen |= bit;
        match id {
            0x01 | 0x17 | 0x19 => drop(rest.u8().filter(|value| *value < 2)?),
            0x02 | 0x11 | 0x18 => drop(rest.take(4)?),
            0x03 | 0x15 => drop(rest.string::<T>()?),
            0x08 => drop(rest.name::<T>().filter(|topic| !topic.is_empty())?),
            0x09 | 0x16 => drop(rest.binary()?),
            0x0B => drop(rest.variable(true).filter(|value| *value != 0)?),
            0x21 | 0x23 => drop(rest.nonzero()?),
            0x22 => drop(rest.take(2)?),
            0x26 => drop((rest.string::<T>()?, rest.string::<T>()?)),
            0x27 => drop(rest.u32().filter(|value| *value != 0)?),
            _ => return None,
        }
    }
    // Only User Property may be there twice. Authentication Data belongs to a method.
    let is_whole = seen & (1 << 0x16) == 0 || seen & (1 << 0x15) != 0;
    (twice & !(1 << 0x26) == 0 && is_whole).then_some(seen)
}
