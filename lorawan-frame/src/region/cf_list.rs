//! The channel list of a Join-Accept.

/// CFList: the 16 optional bytes at the end of a Join-Accept (LoRaWAN 1.1, 6.2.3; RP002).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CfList {
    /// CFListType 0: frequencies in Hz of the channels after the default ones; 0 is unused.
    Frequencies([u32; 5]),
    /// CFListType 1: a mask over up to 96 channels, channel 0 is the lowest bit of the first word.
    ChannelMasks([u16; 6]),
    /// A CFListType this library does not know: the device ignores the list and keeps the join.
    Unknown([u8; 16]),
}

impl CfList {
    /// Size on the wire, bytes.
    pub const SIZE: usize = 16;

    /// Reads the 16 bytes; `frequency_step_hz` is 100, or 200 at 2.4 GHz.
    ///
    /// Every 16 bytes are a CFList: a type that is not known yields [`CfList::Unknown`]. Reserved
    /// bytes are ignored.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::SIZE], frequency_step_hz: u32) -> Self {
        match bytes[15] {
            0 => {
                let mut list = [0; 5];
                for (slot, field) in list.iter_mut().zip(bytes.chunks_exact(3)) {
                    let field = field.iter().rev().fold(0, |sum, &b| sum << 8 | u32::from(b));
                    *slot = field.saturating_mul(frequency_step_hz);
                }
                Self::Frequencies(list)
            }
            1 => {
                let mut masks = [0; 6];
                for (mask, field) in masks.iter_mut().zip(bytes.chunks_exact(2)) {
                    *mask = field.iter().rev().fold(0, |sum, &b| sum << 8 | u16::from(b));
                }
                Self::ChannelMasks(masks)
            }
            _ => Self::Unknown(*bytes),
        }
    }

    /// Writes the 16 bytes, or `None` when a frequency is no multiple of `frequency_step_hz` or
    /// does not fit 24 bits, or an [`CfList::Unknown`] claims a known type.
    #[must_use]
    pub fn to_bytes(&self, frequency_step_hz: u32) -> Option<[u8; Self::SIZE]> {
        let mut bytes = [0; Self::SIZE];
        match self {
            Self::Frequencies(list) => {
                for (field, &frequency) in bytes.chunks_exact_mut(3).zip(list) {
                    let step = frequency.checked_div(frequency_step_hz)?;
                    if frequency % frequency_step_hz != 0 || step >= 1 << 24 {
                        return None;
                    }
                    field.copy_from_slice(&step.to_le_bytes()[..3]);
                }
            }
            Self::ChannelMasks(masks) => {
                for (field, mask) in bytes.chunks_exact_mut(2).zip(masks) {
                    field.copy_from_slice(&mask.to_le_bytes());
                }
                bytes[15] = 1;
            }
            Self::Unknown(raw) => {
                if raw[15] < 2 {
                    return None;
                }
                bytes = *raw;
            }
        }
        Some(bytes)
    }
}
