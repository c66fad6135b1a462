//! Writing.

use super::read::{self, Cursor};
use super::text::has_none;

/// What is in the rows, as an application would have it. Topics were checked when they were made.
#[derive(Debug)]
pub enum Packet<'a> {
    Publish(read::Publish<'a>, Properties<'a>),
    PubAck(u16),
    Connect(read::Connect<'a>, Properties<'a>, Properties<'a>),
    Subscribe(u16, Vec<Subscription<'a>>),
    PingReq,
}

#[derive(Debug)]
pub struct Subscription<'a> {
    filter: &'a [u8],
    qos: u8,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: u8,
}

/// The properties that are in the rows.
#[derive(Debug, Default)]
pub struct Properties<'a> {
    will_delay: Option<u32>,
    session_expiry: Option<u32>,
    expiry: Option<u32>,
    content_type: Option<&'a [u8]>,
    correlation_data: Option<&'a [u8]>,
    receive_maximum: Option<u16>,
    maximum_packet_size: Option<u32>,
    topic_alias_maximum: Option<u16>,
    problem_information: Option<u8>,
    user: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Packet<'a> {
    pub(super) fn to_send(packet: read::Packet<'a>) -> Option<Self> {
        Some(match packet {
            read::Packet::Publish(mut publish) => {
                publish.payload = crate::codec::apart(publish.payload);
                let properties = Properties::to_send(publish.properties)?;
                Self::Publish(publish, properties)
            }
            read::Packet::PubAck(packet_id) => Self::PubAck(packet_id),
            read::Packet::Connect(connect) => {
                let properties = Properties::to_send(connect.properties)?;
                let will = connect.will.as_ref().map_or(&[][..], |will| will.properties);
                Self::Connect(connect, properties, Properties::to_send(will)?)
            }
            read::Packet::Subscribe(subscribe) => {
                let mut rest = Cursor(subscribe.filters);
                let filters = core::iter::from_fn(|| {
                    let (filter, options) = (rest.binary()?, rest.u8()?);
                    Some(Subscription {
                        filter,
                        qos: options & 3,
                        no_local: options & 4 != 0,
                        retain_as_published: options & 8 != 0,
                        retain_handling: options >> 4,
                    })
                });
                Self::Subscribe(subscribe.packet_id, filters.collect())
            }
            read::Packet::PingReq => Self::PingReq,
        })
    }

    /// Writes it to the front of `room`, all of it or nothing; returns its length.
    #[inline]
    pub(super) fn write(&self, v5: bool, room: &mut [u8]) -> Option<usize> {
        // The most frequent one by far.
        if let Self::Publish(packet, properties) = self {
            return publish(v5, packet, properties, room);
        }
        match self {
            Self::Publish(..) => None,
            Self::PubAck(packet_id) => {
                let [high, low] = packet_id.to_be_bytes();
                room.first_chunk_mut().map(|room| *room = [0x40, 2, high, low]).map(|()| 4)
            }
            Self::Connect(packet, properties, will) => connect(packet, properties, will, room),
            Self::Subscribe(packet_id, filters) => subscribe(v5, *packet_id, filters, room),
            Self::PingReq => room.first_chunk_mut().map(|room| *room = [0xC0, 0]).map(|()| 2),
        }
    }
}

#[inline]
fn publish(
    v5: bool,
    packet: &read::Publish<'_>,
    properties: &Properties<'_>,
    room: &mut [u8],
) -> Option<usize> {
    let qos = packet.flags >> 1;
    if (qos == 0) != packet.packet_id.is_none() || packet.flags & 9 == 8 || packet.topic.is_empty()
    {
        return None;
    }
    let property_len = if v5 { properties.len()? } else { 0 };
    let property_room = if v5 { variable_len(property_len) + property_len } else { 0 };
    let id = if qos == 0 { 0 } else { 2 };
    let len = 2 + packet.topic.len() + id + property_room + packet.payload.len();
    let (mut out, size) = Out::new(0x30 | packet.flags, len, room)?;
    out.binary(packet.topic);
    if let Some(packet_id) = packet.packet_id {
        out.bytes(&packet_id.to_be_bytes());
    }
    if v5 {
        out.variable(property_len);
        properties.write(&mut out);
    }
    out.bytes(packet.payload);
    Some(size)
}

fn connect(
    packet: &read::Connect<'_>,
    properties: &Properties<'_>,
    will_properties: &Properties<'_>,
    room: &mut [u8],
) -> Option<usize> {
    let (property_len, will_len) = (properties.len()?, will_properties.len()?);
    let mut len = 10 + variable_len(property_len) + property_len + text(packet.client_id)?;
    if let Some(will) = &packet.will {
        let properties = variable_len(will_len) + will_len;
        len += properties + 2 + will.topic.len() + binary(will.payload)?;
    }
    len += packet.user_name.map_or(Some(0), text)?;
    len += packet.password.map_or(Some(0), binary)?;
    let (mut out, size) = Out::new(0x10, len, room)?;
    out.bytes(b"\0\x04MQTT\x05");
    out.bytes(&[packet.flags]);
    out.bytes(&packet.keep_alive.to_be_bytes());
    out.variable(property_len);
    properties.write(&mut out);
    out.binary(packet.client_id);
    if let Some(will) = &packet.will {
        out.variable(will_len);
        will_properties.write(&mut out);
        out.binary(will.topic);
        out.binary(will.payload);
    }
    for bytes in [packet.user_name, packet.password].into_iter().flatten() {
        out.binary(bytes);
    }
    Some(size)
}

fn subscribe(
    v5: bool,
    packet_id: u16,
    subscriptions: &[Subscription<'_>],
    room: &mut [u8],
) -> Option<usize> {
    let mut len = 2 + usize::from(v5);
    for subscription in subscriptions {
        if v5 && subscription.no_local && subscription.filter.starts_with(b"$share/") {
            return None;
        }
        len += 3 + subscription.filter.len();
    }
    if subscriptions.is_empty() {
        return None;
    }
    let (mut out, size) = Out::new(0x82, len, room)?;
    out.bytes(&packet_id.to_be_bytes());
    if v5 {
        out.bytes(&[0]);
    }
    for subscription in subscriptions {
        let mut options = subscription.qos;
        if v5 {
            options |= u8::from(subscription.no_local) << 2
                | u8::from(subscription.retain_as_published) << 3
                | subscription.retain_handling << 4;
        }
        out.binary(subscription.filter);
        out.bytes(&[options]);
    }
    Some(size)
}

impl<'a> Properties<'a> {
    fn to_send(span: &'a [u8]) -> Option<Self> {
        let mut rest = Cursor(span);
        let mut properties = Self::default();
        while let Some(id) = rest.u8() {
            match id {
                0x02 => properties.expiry = rest.u32(),
                0x03 => properties.content_type = rest.binary(),
                0x09 => properties.correlation_data = rest.binary(),
                0x11 => properties.session_expiry = rest.u32(),
                0x17 => properties.problem_information = rest.u8(),
                0x18 => properties.will_delay = rest.u32(),
                0x21 => properties.receive_maximum = rest.u16(),
                0x22 => properties.topic_alias_maximum = rest.u16(),
                0x26 => properties.user.push((rest.binary()?, rest.binary()?)),
                0x27 => properties.maximum_packet_size = rest.u32(),
                _ => return None,
            }
        }
        Some(properties)
    }

    /// Their length; `None` if one is against the rules.
    #[inline]
    fn len(&self) -> Option<usize> {
        if self.receive_maximum == Some(0) || self.maximum_packet_size == Some(0) {
            return None;
        }
        let mut len = 0;
        for value in [self.will_delay, self.session_expiry, self.expiry, self.maximum_packet_size] {
            len += if value.is_some() { 5 } else { 0 };
        }
        for value in [self.receive_maximum, self.topic_alias_maximum] {
            len += if value.is_some() { 3 } else { 0 };
        }
        len += if self.problem_information.is_some() { 2 } else { 0 };
        if let Some(content_type) = self.content_type {
            len += 1 + text(content_type)?;
        }
        if let Some(data) = self.correlation_data {
            len += 1 + binary(data)?;
        }
        for (name, value) in &self.user {
            len += 1 + text(name)? + text(value)?;
        }
        Some(len)
    }

    #[inline]
    fn write(&self, out: &mut Out<'_>) {
        out.u32(0x18, self.will_delay);
        out.u32(0x11, self.session_expiry);
        out.u32(0x02, self.expiry);
        if let Some(content_type) = self.content_type {
            out.tagged(0x03, content_type);
        }
        if let Some(data) = self.correlation_data {
            out.tagged(0x09, data);
        }
        out.u16(0x21, self.receive_maximum);
        out.u32(0x27, self.maximum_packet_size);
        out.u16(0x22, self.topic_alias_maximum);
        if let Some(value) = self.problem_information {
            out.bytes(&[0x17, value]);
        }
        for (name, value) in &self.user {
            out.tagged(0x26, name);
            out.binary(value);
        }
    }
}

/// The length of this string, which was not checked for U+0000 before, with its own length.
#[inline]
fn text(text: &[u8]) -> Option<usize> {
    binary(text).filter(|_| has_none(text, false, false))
}

#[inline]
fn binary(bytes: &[u8]) -> Option<usize> {
    (bytes.len() <= 65_535).then_some(2 + bytes.len())
}

#[inline]
pub(super) const fn variable_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Room for exactly one packet.
pub(super) struct Out<'b>(&'b mut [u8]);

impl<'b> Out<'b> {
    /// With the fixed header written; also the length of the packet.
    #[inline(always)]
    pub(super) fn new(first: u8, len: usize, room: &'b mut [u8]) -> Option<(Self, usize)> {
        let size = 1 + variable_len(len) + len;
        let mut out = Self(room.get_mut(..size).filter(|_| len < 1 << 28)?);
        if len < 0x80 {
            out.prefixed([first, len as u8], &[]);
        } else {
            out.prefixed([first], &[]);
            out.variable(len);
        }
        Some((out, size))
    }

    #[inline(always)]
    fn prefixed<const N: usize>(&mut self, prefix: [u8; N], bytes: &[u8]) {
        let rest = core::mem::take(&mut self.0);
        if let Some((room, rest)) = rest.split_at_mut_checked(N + bytes.len()) {
            if let Some((place, room)) = room.split_first_chunk_mut() {
                *place = prefix;
                copy_short(room, bytes);
            }
            self.0 = rest;
        }
    }

    /// Without a copy by hand, for what is long.
    #[inline(always)]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let rest = core::mem::take(&mut self.0);
        if let Some((room, rest)) = rest.split_at_mut_checked(bytes.len()) {
            room.copy_from_slice(bytes);
            self.0 = rest;
        }
    }

    #[inline(always)]
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        self.prefixed((bytes.len() as u16).to_be_bytes(), bytes);
    }

    /// A property that is a string or binary data.
    #[inline(always)]
    fn tagged(&mut self, id: u8, bytes: &[u8]) {
        let [high, low] = (bytes.len() as u16).to_be_bytes();
        self.prefixed([id, high, low], bytes);
    }

    #[inline]
    pub(super) fn variable(&mut self, mut value: usize) {
        while value > 0x7F {
            self.bytes(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.bytes(&[value as u8]);
    }

    #[inline(always)]
    fn u16(&mut self, id: u8, value: Option<u16>) {
        if let Some([high, low]) = value.map(u16::to_be_bytes) {
            self.bytes(&[id, high, low]);
        }
    }

    #[inline(always)]
    fn u32(&mut self, id: u8, value: Option<u32>) {
        if let Some([a, b, c, d]) = value.map(u32::to_be_bytes) {
            self.bytes(&[id, a, b, c, d]);
        }
    }
}

/// Two copies that overlap take less than a call.
#[inline(always)]
fn copy_short(room: &mut [u8], bytes: &[u8]) {
    if room.len() != bytes.len() {
        return;
    }
    if !(copy_ends::<16>(room, bytes) || copy_ends::<8>(room, bytes) || copy_ends::<4>(room, bytes))
    {
        room.copy_from_slice(bytes);
    }
}

/// Copies what is `N` to twice as many bytes long.
#[inline(always)]
fn copy_ends<const N: usize>(room: &mut [u8], bytes: &[u8]) -> bool {
    if bytes.len() > 2 * N {
        return false;
    }
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return false;
    };
    if let Some(room) = room.first_chunk_mut() {
        *room = *first;
    }
    if let Some(room) = room.last_chunk_mut() {
        *room = *last;
    }
    true
}
