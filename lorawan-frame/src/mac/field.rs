//! How one value sits in the payload of a MAC command: a run of bits, counted from the least
//! significant bit of the first byte, as all multi-byte fields are little-endian.

use crate::error::{Error, ErrorKind, Part, Place};
use crate::keys::Key;
use crate::types::{DevAddr, Frequency};

/// A value of a MAC command for display, as [`MacCommand::fields`](crate::MacCommand::fields)
/// hands it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// A number or flag pattern.
    Unsigned(u32),
    /// A number with a sign.
    Signed(i32),
    /// A flag.
    Bool(bool),
    /// A frequency.
    Frequency(Frequency),
    /// A device address.
    DevAddr(DevAddr),
    /// A key. Think before you print it.
    Key(&'a Key),
    /// Bytes: in display order, but `eui_bytes` of FilterListReq as on the wire.
    Bytes(&'a [u8]),
}

/// Where a value starts and how many bits it has.
#[derive(Clone, Copy)]
pub(super) struct Bits {
    pub(super) start: usize,
    pub(super) width: usize,
}

impl Bits {
    /// A row of the table that points past its payload does not compile.
    pub(super) const fn within(start: usize, width: usize, payload_len: usize) -> Self {
        assert!(start + width <= 8 * payload_len, "field outside the payload");
        Self { start, width }
    }

    fn get(self, payload: &[u8]) -> u32 {
        let mut value = 0;
        for i in (0..self.width).rev() {
            let bit = self.start + i;
            let byte = payload.get(bit / 8).copied().unwrap_or(0);
            value = value << 1 | u32::from(byte >> (bit % 8) & 1);
        }
        value
    }

    /// `payload` is zero at these bits.
    fn put(self, payload: &mut [u8], value: u32) {
        for i in 0..self.width {
            let bit = self.start + i;
            if let Some(byte) = payload.get_mut(bit / 8) {
                *byte |= ((value >> i & 1) as u8) << (bit % 8);
            }
        }
    }

    fn max(self) -> u32 {
        match self.width {
            32.. => u32::MAX,
            width => (1 << width) - 1,
        }
    }

    /// Writes `value` when it fits.
    fn put_checked(
        self,
        payload: &mut [u8],
        value: u32,
        place: &'static Place,
    ) -> Result<(), Error> {
        if value > self.max() {
            return Err(out_of_range(self.max(), place, self));
        }
        self.put(payload, value);
        Ok(())
    }
}

/// The offset counts from the CID.
fn out_of_range(max: u32, place: &'static Place, bits: Bits) -> Error {
    Error::new(ErrorKind::OutOfRange { max }, place, 1 + bits.start / 8)
}

pub(super) trait Field: Sized {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error>;
    fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error>;
    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>));
}

macro_rules! unsigned {
    ($($int:ty),*) => {$(
        impl Field for $int {
            fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
                // The table gives no field more bits than its type has.
                Ok(bits.get(payload) as $int)
            }

            fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error> {
                bits.put_checked(payload, u32::from(*self), place)
            }

            fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
                visit(name, FieldValue::Unsigned(u32::from(*self)));
            }
        }
    )*};
}

unsigned!(u8, u16, u32);

impl Field for bool {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        Ok(bits.get(payload) != 0)
    }

    fn write(&self, payload: &mut [u8], bits: Bits, _: &'static Place) -> Result<(), Error> {
        bits.put(payload, u32::from(*self));
        Ok(())
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::Bool(*self));
    }
}

/// Two's complement in fewer than 8 bits.
impl Field for i8 {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        let unused = 8usize.saturating_sub(bits.width) as u32;
        let value = bits.get(payload) as u8;
        Ok((value.wrapping_shl(unused) as Self).wrapping_shr(unused))
    }

    fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error> {
        let max = bits.max() >> 1;
        let range = -(max as i32) - 1..=max as i32;
        if !range.contains(&i32::from(*self)) {
            return Err(out_of_range(max, place, bits));
        }
        bits.put(payload, (*self as u8).into());
        Ok(())
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::Signed((*self).into()));
    }
}

impl Field for Frequency {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        Ok(Self::new(bits.get(payload)).unwrap_or_default())
    }

    fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error> {
        bits.put_checked(payload, self.value(), place)
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::Frequency(*self));
    }
}

impl Field for DevAddr {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        Ok(Self::new(bits.get(payload)))
    }

    fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error> {
        bits.put_checked(payload, self.value(), place)
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::DevAddr(*self));
    }
}

/// Sixteen whole bytes, not reversed.
impl Field for Key {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        let bytes = payload.get(bits.start / 8..).and_then(|rest| rest.first_chunk());
        Ok(Self::new(bytes.copied().unwrap_or_default()))
    }

    fn write(&self, payload: &mut [u8], bits: Bits, _: &'static Place) -> Result<(), Error> {
        if let Some(slot) = payload.get_mut(bits.start / 8..).and_then(|p| p.first_chunk_mut()) {
            *slot = *self.expose();
        }
        Ok(())
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::Key(self));
    }
}

/// Signal power at a relay: -15 to -142 dBm in 7 bits (TS011 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WorRssi(i16);

/// Signal-to-noise ratio at a relay: -20 to 11 dB in 5 bits (TS011 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WorSnr(i8);

impl WorRssi {
    /// The nearest value that can be sent, -142 to -15 dBm.
    pub const fn from_dbm(dbm: i16) -> Self {
        Self(if dbm > -15 {
            -15
        } else if dbm < -142 {
            -142
        } else {
            dbm
        })
    }

    /// Decibels over a milliwatt.
    pub const fn dbm(self) -> i16 {
        self.0
    }

    pub(crate) const fn to_code(self) -> u32 {
        (-15 - self.0) as u32
    }

    pub(crate) const fn from_code(code: u32) -> Self {
        Self(-15 - (code & 0x7f) as i16)
    }
}

impl WorSnr {
    /// The nearest value that can be sent, -20 to 11 dB.
    pub const fn from_db(db: i8) -> Self {
        Self(if db > 11 {
            11
        } else if db < -20 {
            -20
        } else {
            db
        })
    }

    /// Decibels.
    pub const fn db(self) -> i8 {
        self.0
    }

    pub(crate) const fn to_code(self) -> u32 {
        (self.0 + 20) as u32
    }

    pub(crate) const fn from_code(code: u32) -> Self {
        Self((code & 0x1f) as i8 - 20)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for WorRssi {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u.arbitrary().map(Self::from_dbm)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for WorSnr {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u.arbitrary().map(Self::from_db)
    }
}

impl Field for WorRssi {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        Ok(Self::from_code(bits.get(payload)))
    }

    fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error> {
        bits.put_checked(payload, self.to_code(), place)
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::Signed(self.0.into()));
    }
}

impl Field for WorSnr {
    fn read(payload: &[u8], bits: Bits) -> Result<Self, Error> {
        Ok(Self::from_code(bits.get(payload)))
    }

    fn write(&self, payload: &mut [u8], bits: Bits, place: &'static Place) -> Result<(), Error> {
        bits.put_checked(payload, self.to_code(), place)
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit(name, FieldValue::Signed(self.0.into()));
    }
}

/// The leading 0 to 16 bytes of JoinEUI | DevEUI that a relay's filter compares, in display
/// order. On the wire the whole string is reversed (TS011 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FilterEui {
    bytes: [u8; 16],
    len: u8,
}

impl FilterEui {
    /// From the bytes in display order; `None` above 16.
    pub fn new(prefix: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..prefix.len())?.copy_from_slice(prefix);
        Some(Self { bytes, len: prefix.len() as u8 })
    }

    /// The bytes in display order.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The length field is in the low 5 bits of the first byte of the command.
    pub(super) const fn wire_len(first: u8) -> usize {
        (first & 0x1f) as usize
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for FilterEui {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let len = u.int_in_range(0..=16)?;
        let mut bytes = [0; 16];
        u.fill_buffer(bytes.get_mut(..usize::from(len)).unwrap_or(&mut []))?;
        Ok(Self { bytes, len })
    }
}

impl Field for FilterEui {
    /// Reads the length and the bytes after the two fixed ones.
    fn read(payload: &[u8], _: Bits) -> Result<Self, Error> {
        const PLACE: &Place = &Place { field: "FilterListLen", section: "TS011 10.3" };
        let (_, reversed) = payload.split_at_checked(2).unwrap_or_default();
        let Some(mut eui) = Self::new(reversed) else {
            let kind = ErrorKind::TooLong { what: Part::FilterEui, max: 16 };
            return Err(Error::new(kind, PLACE, 1));
        };
        if let Some(bytes) = eui.bytes.get_mut(..reversed.len()) {
            bytes.reverse();
        }
        Ok(eui)
    }

    fn write(&self, payload: &mut [u8], _: Bits, place: &'static Place) -> Result<(), Error> {
        Bits { start: 0, width: 5 }.put_checked(payload, self.len.into(), place)?;
        for (slot, byte) in payload.iter_mut().skip(2).zip(self.as_bytes().iter().rev()) {
            *slot = *byte;
        }
        Ok(())
    }

    fn show(&self, name: &'static str, visit: &mut dyn FnMut(&'static str, FieldValue<'_>)) {
        visit("len", FieldValue::Unsigned(self.len.into()));
        visit(name, FieldValue::Bytes(self.as_bytes()));
        let mut reversed = *self;
        if let Some(bytes) = reversed.bytes.get_mut(..usize::from(self.len)) {
            bytes.reverse();
        }
        visit("eui_bytes", FieldValue::Bytes(reversed.as_bytes()));
    }
}
