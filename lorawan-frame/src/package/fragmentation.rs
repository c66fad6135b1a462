//! TS004 fragmented data block transport, version 1 and 2.
//!
//! The versions differ on the wire (FragSessionStatusAns, FragSessionSetupReq) and in the parity
//! rows of the forward error correction; mixing them silently corrupts the block. [`Parity`]
//! and [`Decoder`] therefore take the version too.

mod decoder;
mod parity;

pub use decoder::{Decoder, Progress, SetupError};
pub use parity::Parity;

use super::wire::{Bits, Cursor, Walk};
use super::{PackageVersionAns, Version, messages};
use crate::{DataBlockIntKey, Error, KeyHandle};

messages! {
    /// Device to server.
    Uplink, "TS004", package 3, port 201;
    /// Version of the package.
    0x00 PackageVersionAns(PackageVersionAns);
    /// How far a session is.
    0x01 FragSessionStatusAns(FragSessionStatusAns);
    /// Whether a session was set up.
    0x02 FragSessionSetupAns(FragSessionSetupAns);
    /// Whether a session was deleted.
    0x03 FragSessionDeleteAns(FragSessionDeleteAns);
    /// The block is complete. Version 2.
    0x04 FragDataBlockReceivedReq(FragDataBlockReceivedReq);
}

messages! {
    /// Server to device, often multicast.
    Downlink<'a>, "TS004", package 3, port 201;
    /// Asks for the version of the package.
    0x00 PackageVersionReq;
    /// Asks how far a session is.
    0x01 FragSessionStatusReq(FragSessionStatusReq);
    /// Sets a session up.
    0x02 FragSessionSetupReq(FragSessionSetupReq);
    /// Deletes a session.
    0x03 FragSessionDeleteReq(FragSessionDeleteReq);
    /// Stops FragDataBlockReceivedReq. Version 2.
    0x04 FragDataBlockReceivedAns(FragDataBlockReceivedAns);
    /// A fragment; always the last command of a payload.
    0x08 DataFragment(DataFragment<'a>);
}

/// FragSessionStatusReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragSessionStatusReq {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// All devices answer; otherwise only those that miss fragments.
    pub participants: bool,
}

impl<'a> Walk<'a> for FragSessionStatusReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Flag(&mut self.participants),
            Bits::Number(&mut self.frag_index, 2),
            Bits::Rfu(5),
        ])
    }
}

/// The status bits of FragSessionStatusAns, which depend on the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FragStatus {
    /// Version 1.
    V1 {
        /// The device cannot hold the matrix for so many lost fragments.
        not_enough_matrix_memory: bool,
    },
    /// Version 2.
    V2 {
        /// The device cannot hold the matrix for so many lost fragments.
        memory_error: bool,
        /// The block is complete, its MIC is wrong.
        mic_error: bool,
        /// There is no such session.
        session_does_not_exist: bool,
    },
}

impl Default for FragStatus {
    fn default() -> Self {
        Self::V1 { not_enough_matrix_memory: false }
    }
}

impl<'a> Walk<'a> for FragStatus {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        match self {
            Self::V1 { not_enough_matrix_memory } => {
                w.byte(&mut [Bits::Flag(not_enough_matrix_memory), Bits::Rfu(7)])
            }
            Self::V2 { memory_error, mic_error, session_does_not_exist } => w.byte(&mut [
                Bits::Flag(memory_error),
                Bits::Flag(mic_error),
                Bits::Flag(session_does_not_exist),
                Bits::Rfu(5),
            ]),
        }
    }
}

/// FragSessionStatusAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragSessionStatusAns {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// Fragments received, coded ones included, 14 bits.
    pub nb_frag_received: u16,
    /// Fragments still needed; 255 is 255 or more.
    pub missing_frag: u8,
    /// Last byte of version 1, first byte of version 2.
    pub status: FragStatus,
}

impl<'a> Walk<'a> for FragSessionStatusAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        if w.reading_version() == Some(Version::V2) {
            self.status = FragStatus::V2 {
                memory_error: false,
                mic_error: false,
                session_does_not_exist: false,
            };
        }
        let status_first = matches!(self.status, FragStatus::V2 { .. });
        if status_first {
            self.status.walk(w)?;
        }
        w.word(&mut [
            Bits::Wide(&mut self.nb_frag_received, 14),
            Bits::Number(&mut self.frag_index, 2),
        ])?;
        w.u8(&mut self.missing_frag)?;
        if !status_first {
            self.status.walk(w)?;
        }
        Ok(())
    }
}

/// What version 2 adds to FragSessionSetupReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SetupV2 {
    /// The device reports the complete block.
    pub ack_reception: bool,
    /// Number of the session, strictly increasing.
    pub session_cnt: u16,
    /// MIC of the data block.
    pub mic: [u8; 4],
}

/// FragSessionSetupReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragSessionSetupReq {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// Multicast groups that may send the fragments, bit 0 is group 0; 4 bits.
    pub mc_group_bit_mask: u8,
    /// Uncoded fragments of the block.
    pub nb_frag: u16,
    /// Bytes in a fragment.
    pub frag_size: u8,
    /// Answers are delayed by a random part of 2^(block_ack_delay + 4) seconds, 0 to 7.
    pub block_ack_delay: u8,
    /// Forward error correction: 0 is that of TS004, the others are reserved.
    pub frag_algo: u8,
    /// Bytes that fill up the last fragment.
    pub padding: u8,
    /// What the block is, as the application agreed.
    pub descriptor: [u8; 4],
    /// Present in version 2.
    pub v2: Option<SetupV2>,
}

impl<'a> Walk<'a> for FragSessionSetupReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        if w.reading_version() == Some(Version::V2) {
            self.v2 = Some(SetupV2::default());
        }
        let mut v2 = self.v2.unwrap_or_default();
        w.byte(&mut [
            Bits::Number(&mut self.mc_group_bit_mask, 4),
            Bits::Number(&mut self.frag_index, 2),
            Bits::Rfu(2),
        ])?;
        w.u16(&mut self.nb_frag)?;
        w.u8(&mut self.frag_size)?;
        w.byte(&mut [
            Bits::Number(&mut self.block_ack_delay, 3),
            Bits::Number(&mut self.frag_algo, 3),
            Bits::Flag(&mut v2.ack_reception),
            Bits::Rfu(1),
        ])?;
        w.u8(&mut self.padding)?;
        w.bytes(&mut self.descriptor)?;
        if self.v2.is_some() {
            w.u16(&mut v2.session_cnt)?;
            w.bytes(&mut v2.mic)?;
            self.v2 = Some(v2);
        }
        Ok(())
    }
}

/// FragSessionSetupAns; without errors the session is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragSessionSetupAns {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// The device does not know the forward error correction.
    pub encoding_unsupported: bool,
    /// The block does not fit.
    pub not_enough_memory: bool,
    /// The device has no such session.
    pub frag_index_unsupported: bool,
    /// The device does not want this block.
    pub wrong_descriptor: bool,
    /// The session counter did not increase. Version 2; a reserved bit in version 1.
    pub session_cnt_replay: bool,
}

impl<'a> Walk<'a> for FragSessionSetupAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Flag(&mut self.encoding_unsupported),
            Bits::Flag(&mut self.not_enough_memory),
            Bits::Flag(&mut self.frag_index_unsupported),
            Bits::Flag(&mut self.wrong_descriptor),
            Bits::Flag(&mut self.session_cnt_replay),
            Bits::Rfu(1),
            Bits::Number(&mut self.frag_index, 2),
        ])?;
        if w.reading_version() == Some(Version::V1) {
            self.session_cnt_replay = false;
        }
        Ok(())
    }
}

/// FragSessionDeleteReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragSessionDeleteReq {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
}

impl<'a> Walk<'a> for FragSessionDeleteReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.frag_index, 2), Bits::Rfu(6)])
    }
}

/// FragSessionDeleteAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragSessionDeleteAns {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// There was no such session.
    pub session_does_not_exist: bool,
}

impl<'a> Walk<'a> for FragSessionDeleteAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Number(&mut self.frag_index, 2),
            Bits::Flag(&mut self.session_does_not_exist),
            Bits::Rfu(5),
        ])
    }
}

/// FragDataBlockReceivedReq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragDataBlockReceivedReq {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// The MIC of the block is wrong.
    pub mic_error: bool,
}

impl<'a> Walk<'a> for FragDataBlockReceivedReq {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [
            Bits::Number(&mut self.frag_index, 2),
            Bits::Flag(&mut self.mic_error),
            Bits::Rfu(5),
        ])
    }
}

/// FragDataBlockReceivedAns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FragDataBlockReceivedAns {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
}

impl<'a> Walk<'a> for FragDataBlockReceivedAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.byte(&mut [Bits::Number(&mut self.frag_index, 2), Bits::Rfu(6)])
    }
}

/// DataFragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DataFragment<'a> {
    /// Number of the session, 0 to 3.
    pub frag_index: u8,
    /// Number of the fragment from 1, 14 bits: up to NbFrag uncoded, above it coded.
    pub n: u16,
    /// The fragment.
    pub data: &'a [u8],
}

impl<'a> Walk<'a> for DataFragment<'a> {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.word(&mut [Bits::Wide(&mut self.n, 14), Bits::Number(&mut self.frag_index, 2)])?;
        w.remainder(&mut self.data)
    }
}

/// The MIC of a complete data block, without its padding, under version 2.
///
/// # Errors
/// What the key store reports; the software keys never fail.
pub fn data_block_mic<K: KeyHandle>(
    key: &DataBlockIntKey<K>,
    session_cnt: u16,
    frag_index: u8,
    descriptor: [u8; 4],
    block: &[u8],
) -> Result<[u8; 4], Error> {
    // 49 | SessionCnt | FragIndex | Descriptor | 0000 | length of the block.
    let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
    let content = [0x49]
        .into_iter()
        .chain(session_cnt.to_le_bytes())
        .chain([frag_index])
        .chain(descriptor)
        .chain([0; 4])
        .chain(length.to_le_bytes());
    let mut b0 = [0; 16];
    b0.iter_mut().zip(content).for_each(|(slot, byte)| *slot = byte);
    let [a, b, c, d, ..] = key.0.cmac(Some(&b0), block)?;
    Ok([a, b, c, d])
}
