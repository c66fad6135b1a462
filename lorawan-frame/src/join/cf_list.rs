//! The channels that a Join-Accept can bring.

use crate::types::Frequency;

/// Optional list of channels: 16 bytes, kept as received because the MIC covers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct CfList([u8; 16]);

/// What a [`CfList`] says, by its last byte, CFListType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CfListKind {
    /// Type 0: frequencies of five more channels; 0 means unused.
    Frequencies([Frequency; 5]),
    /// Type 1: masks of channels 0 to 95, 16 each.
    ChannelMasks([u16; 6]),
    /// A type of the future: ignore the list, keep the join.
    Unknown(u8),
}

impl CfList {
    /// Bytes on the wire.
    pub const LEN: usize = 16;

    /// From the bytes on the wire.
    pub const fn from_wire(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes on the wire.
    pub const fn to_wire(self) -> [u8; 16] {
        self.0
    }

    /// A list of type 0.
    pub fn from_frequencies(frequencies: [Frequency; 5]) -> Self {
        let mut out = [0; 16];
        for (slot, byte) in out.iter_mut().zip(frequencies.into_iter().flat_map(Frequency::to_wire))
        {
            *slot = byte;
        }
        Self(out)
    }

    /// A list of type 1.
    pub fn from_channel_masks(masks: [u16; 6]) -> Self {
        let mut out = [0; 16];
        for (slot, byte) in out.iter_mut().zip(masks.into_iter().flat_map(u16::to_le_bytes)) {
            *slot = byte;
        }
        out[15] = 1;
        Self(out)
    }

    /// Decodes the list.
    pub fn kind(&self) -> CfListKind {
        match self.0[15] {
            0 => {
                let mut frequencies = [Frequency::default(); 5];
                for (slot, bytes) in frequencies.iter_mut().zip(self.0.chunks_exact(3)) {
                    if let Ok(bytes) = bytes.try_into() {
                        *slot = Frequency::from_wire(bytes);
                    }
                }
                CfListKind::Frequencies(frequencies)
            }
            1 => {
                let mut masks = [0; 6];
                for (slot, bytes) in masks.iter_mut().zip(self.0.chunks_exact(2)) {
                    if let Ok(bytes) = bytes.try_into() {
                        *slot = u16::from_le_bytes(bytes);
                    }
                }
                CfListKind::ChannelMasks(masks)
            }
            other => CfListKind::Unknown(other),
        }
    }
}
