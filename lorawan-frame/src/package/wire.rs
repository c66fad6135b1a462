//! One walk over the fields of a command that reads, writes or measures it: what is built and what
//! is parsed cannot drift apart.

use super::Version;
use crate::error::{ErrorKind, Place};
use crate::{DevAddr, Error, Frequency};

/// What a [`Cursor`] does with the fields it is shown.
enum Mode<'a, 'b> {
    Read(&'a [u8]),
    Write(&'b mut [u8]),
    Measure,
}

/// A position in a command that is read, written or measured.
pub struct Cursor<'a, 'b> {
    mode: Mode<'a, 'b>,
    at: usize,
    version: Version,
    place: &'static Place,
    cid: u8,
}

impl core::fmt::Debug for Cursor<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cursor").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Content that can be walked over.
pub trait Walk<'a> {
    /// Shows each field to the cursor, which fills it (reading) or copies it (writing).
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error>;
}

/// A part of a byte (or of two bytes), lowest bits first.
pub(super) enum Bits<'f> {
    /// So many bits of a number.
    Number(&'f mut u8, u8),
    /// So many bits of a number above 255.
    Wide(&'f mut u16, u8),
    /// One bit.
    Flag(&'f mut bool),
    /// Reserved: ignored when read, 0 when written.
    Rfu(u8),
}

impl<'a, 'b> Cursor<'a, 'b> {
    pub(super) fn reading(bytes: &'a [u8], version: Version, place: &'static Place) -> Self {
        // The CID is a place of its own until it is known; then its command is.
        let cid = bytes.first().copied().unwrap_or(0);
        Self { mode: Mode::Read(bytes), at: 0, version, place, cid }
    }

    pub(super) fn writing(buf: &'b mut [u8]) -> Self {
        let place = const { &super::place("payload", "LoRaWAN 1.1, 4.3.3") };
        Self { mode: Mode::Write(buf), at: 0, version: Version::V1, place, cid: 0 }
    }

    pub(super) fn measuring() -> Self {
        Self { mode: Mode::Measure, ..Self::writing(&mut []) }
    }

    /// The command whose fields follow, for errors.
    pub(super) fn enter(&mut self, place: &'static Place) {
        self.place = place;
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether fields are read; and if so, of which version.
    pub(super) fn reading_version(&self) -> Option<Version> {
        matches!(self.mode, Mode::Read(_)).then_some(self.version)
    }

    /// What follows the command that was read.
    pub(super) fn rest(&self) -> &'a [u8] {
        match self.mode {
            Mode::Read(bytes) => bytes.get(self.at..).unwrap_or(&[]),
            _ => &[],
        }
    }

    pub(super) fn unknown_cid(&self, cid: u8) -> Error {
        Error::new(ErrorKind::UnknownCid(cid), self.place, 0)
    }

    /// [`ErrorKind::OutOfRange`] at the field that comes next.
    pub(super) fn out_of_range(&self, max: u32) -> Error {
        Error::new(ErrorKind::OutOfRange { max }, self.place, self.at)
    }

    fn array<const N: usize>(&mut self, field: &mut [u8; N]) -> Result<(), Error> {
        let end = self.at + N;
        match &mut self.mode {
            Mode::Read(bytes) => match bytes.get(self.at..end).map(TryInto::try_into) {
                Some(Ok(found)) => *field = found,
                _ => {
                    let needed = N as u8;
                    let kind = ErrorKind::CommandTruncated { cid: self.cid, needed };
                    return Err(Error::new(kind, self.place, self.at));
                }
            },
            Mode::Write(buf) => match buf.get_mut(self.at..end) {
                Some(slot) => slot.copy_from_slice(field),
                // Measured before: there is room.
                None => return Err(self.out_of_range(0)),
            },
            Mode::Measure => {}
        }
        self.at = end;
        Ok(())
    }

    pub(super) fn u8(&mut self, field: &mut u8) -> Result<(), Error> {
        self.array(core::array::from_mut(field))
    }

    pub(super) fn u16(&mut self, field: &mut u16) -> Result<(), Error> {
        let mut bytes = field.to_le_bytes();
        self.array(&mut bytes)?;
        *field = u16::from_le_bytes(bytes);
        Ok(())
    }

    pub(super) fn u24(&mut self, field: &mut u32) -> Result<(), Error> {
        let [a, b, c, high] = field.to_le_bytes();
        if high != 0 {
            return Err(self.out_of_range(0xFF_FFFF));
        }
        let mut bytes = [a, b, c];
        self.array(&mut bytes)?;
        let [a, b, c] = bytes;
        *field = u32::from_le_bytes([a, b, c, 0]);
        Ok(())
    }

    pub(super) fn u32(&mut self, field: &mut u32) -> Result<(), Error> {
        let mut bytes = field.to_le_bytes();
        self.array(&mut bytes)?;
        *field = u32::from_le_bytes(bytes);
        Ok(())
    }

    pub(super) fn i32(&mut self, field: &mut i32) -> Result<(), Error> {
        let mut bytes = field.to_le_bytes();
        self.array(&mut bytes)?;
        *field = i32::from_le_bytes(bytes);
        Ok(())
    }

    pub(super) fn dev_addr(&mut self, field: &mut DevAddr) -> Result<(), Error> {
        let mut bytes = field.to_wire();
        self.array(&mut bytes)?;
        *field = DevAddr::from_wire(bytes);
        Ok(())
    }

    pub(super) fn frequency(&mut self, field: &mut Frequency) -> Result<(), Error> {
        let mut bytes = field.to_wire();
        self.array(&mut bytes)?;
        *field = Frequency::from_wire(bytes);
        Ok(())
    }

    /// Bytes that have an order of their own.
    pub(super) fn bytes<const N: usize>(&mut self, field: &mut [u8; N]) -> Result<(), Error> {
        self.array(field)
    }

    /// Everything up to the end of the payload.
    pub(super) fn remainder(&mut self, field: &mut &'a [u8]) -> Result<(), Error> {
        match &mut self.mode {
            Mode::Read(bytes) => *field = bytes.get(self.at..).unwrap_or(&[]),
            Mode::Write(buf) => match buf.get_mut(self.at..self.at + field.len()) {
                Some(slot) => slot.copy_from_slice(field),
                None => return Err(self.out_of_range(0)),
            },
            Mode::Measure => {}
        }
        self.at += field.len();
        Ok(())
    }

    /// The parts of one byte.
    pub(super) fn byte(&mut self, parts: &mut [Bits<'_>]) -> Result<(), Error> {
        let mut byte = self.pack(parts)? as u8;
        self.u8(&mut byte)?;
        unpack(byte.into(), parts);
        Ok(())
    }

    /// The parts of two bytes.
    pub(super) fn word(&mut self, parts: &mut [Bits<'_>]) -> Result<(), Error> {
        let mut word = self.pack(parts)?;
        self.u16(&mut word)?;
        unpack(word, parts);
        Ok(())
    }

    fn pack(&self, parts: &[Bits<'_>]) -> Result<u16, Error> {
        let mut packed = 0;
        let mut shift = 0;
        for part in parts {
            let (value, width) = match part {
                Bits::Number(value, width) => (u16::from(**value), *width),
                Bits::Wide(value, width) => (**value, *width),
                Bits::Flag(value) => (u16::from(**value), 1),
                Bits::Rfu(width) => (0, *width),
            };
            let max = low_bits(width);
            if value > max {
                return Err(self.out_of_range(max.into()));
            }
            packed |= value << shift;
            shift += width;
        }
        Ok(packed)
    }
}

const fn low_bits(width: u8) -> u16 {
    ((1u32 << width) - 1) as u16
}

fn unpack(packed: u16, parts: &mut [Bits<'_>]) {
    let mut rest = packed;
    for part in parts {
        let width = match part {
            Bits::Number(value, width) => {
                **value = (rest & low_bits(*width)) as u8;
                *width
            }
            Bits::Wide(value, width) => {
                **value = rest & low_bits(*width);
                *width
            }
            Bits::Flag(value) => {
                **value = rest & 1 == 1;
                1
            }
            Bits::Rfu(width) => *width,
        };
        rest = rest.checked_shr(width.into()).unwrap_or(0);
    }
}
