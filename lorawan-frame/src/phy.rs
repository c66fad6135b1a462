//! PHYPayload: which of the frame types it is (section 4.1).

use crate::crypto::{MAX_PHY_PAYLOAD, Mic};
use crate::data::DataFrame;
use crate::error::{Error, ErrorKind, Part, Place};
use crate::join::{EncryptedJoinAccept, JoinRequest};
use crate::rejoin::Rejoin;

/// Frame type, bits 7 to 5 of the MHDR (section 4.2.1); MType in older texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum FType {
    /// Join-Request, up.
    JoinRequest = 0,
    /// Join-Accept, down.
    JoinAccept = 1,
    /// Data, up, without acknowledgement.
    UnconfirmedDataUp = 2,
    /// Data, down, without acknowledgement.
    UnconfirmedDataDown = 3,
    /// Data, up, to be acknowledged.
    ConfirmedDataUp = 4,
    /// Data, down, to be acknowledged.
    ConfirmedDataDown = 5,
    /// Rejoin-Request, up (LoRaWAN 1.1; reserved in 1.0).
    RejoinRequest = 6,
    /// Layout and MIC are the vendor's own.
    Proprietary = 7,
}

impl FType {
    /// From the first byte of a frame, whatever its Major.
    pub const fn from_mhdr(mhdr: u8) -> Self {
        match mhdr >> 5 {
            0 => Self::JoinRequest,
            1 => Self::JoinAccept,
            2 => Self::UnconfirmedDataUp,
            3 => Self::UnconfirmedDataDown,
            4 => Self::ConfirmedDataUp,
            5 => Self::ConfirmedDataDown,
            6 => Self::RejoinRequest,
            _ => Self::Proprietary,
        }
    }

    /// The MHDR to send: Major 0 (LoRaWAN R1), reserved bits 0.
    pub const fn mhdr(self) -> u8 {
        (self as u8) << 5
    }
}

/// A frame, classified and checked for its shape. Nothing is copied, no MIC is checked yet.
///
/// ```
/// use lorawan_frame::PhyPayload;
///
/// let bytes = [0x40, 0x04, 3, 2, 1, 0x80, 1, 0, 1, 0xa6, 0x94, 0x64, 0x26, 0x15, 0xd6, 0xc3, 0xb5, 0x82];
/// let PhyPayload::Data(frame) = PhyPayload::parse(&bytes)? else { panic!("not a data frame") };
/// assert_eq!(frame.dev_addr.to_string(), "01020304");
/// assert_eq!(frame.fcnt, 1);
/// # Ok::<(), lorawan_frame::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhyPayload<'a> {
    /// Join-Request (section 6.2.2).
    JoinRequest(Received<'a, JoinRequest>),
    /// Join-Accept (section 6.2.3): encrypted, so nothing in it can be read yet.
    JoinAccept(EncryptedJoinAccept<'a>),
    /// Rejoin-Request of LoRaWAN 1.1 (section 6.2.4).
    Rejoin(Received<'a, Rejoin>),
    /// Data frame, up or down (section 4.3).
    Data(DataFrame<'a>),
    /// All bytes after the MHDR: the vendor says what they are and whether a MIC ends them.
    Proprietary(&'a [u8]),
}

impl<'a> PhyPayload<'a> {
    /// Classifies a received frame.
    ///
    /// # Errors
    /// [`ErrorKind::Major`] for any other major version than 0 (the frame must be dropped), and
    /// the errors of the frame type's own `parse`.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let ftype = Self::classify(bytes)?;
        match ftype {
            FType::JoinRequest => JoinRequest::read(ftype, bytes).map(Self::JoinRequest),
            FType::JoinAccept => EncryptedJoinAccept::read(ftype, bytes).map(Self::JoinAccept),
            FType::RejoinRequest => Rejoin::read(ftype, bytes).map(Self::Rejoin),
            FType::Proprietary => {
                Ok(Self::Proprietary(bytes.split_at_checked(1).map_or(&[], |(_, rest)| rest)))
            }
            FType::UnconfirmedDataUp
            | FType::UnconfirmedDataDown
            | FType::ConfirmedDataUp
            | FType::ConfirmedDataDown => DataFrame::read(ftype, bytes).map(Self::Data),
        }
    }

    /// The frame type alone, after the checks that hold for every type.
    ///
    /// # Errors
    /// Nothing received, more than 255 bytes (LoRa cannot carry them), or a Major other than 0.
    #[inline]
    pub fn classify(bytes: &[u8]) -> Result<FType, Error> {
        let Some(&mhdr) = bytes.first() else {
            let kind = ErrorKind::TooShort { what: Part::PhyPayload, needed: 1 };
            return Err(Error::new(kind, Place::MHDR, 0));
        };
        if mhdr & 0b11 != 0 {
            return Err(Error::new(ErrorKind::Major, Place::MAJOR, 0));
        }
        if bytes.len() > MAX_PHY_PAYLOAD {
            let kind = ErrorKind::TooLong { what: Part::PhyPayload, max: MAX_PHY_PAYLOAD as u8 };
            return Err(Error::new(kind, Place::PHY_PAYLOAD, MAX_PHY_PAYLOAD));
        }
        Ok(FType::from_mhdr(mhdr))
    }
}

/// A parsed frame together with its bytes as received: the MIC covers those, reserved bits
/// included, and not what a fresh encoding would give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a, T> {
    /// The fields.
    pub content: T,
    bytes: &'a [u8],
}

impl<'a, T> Received<'a, T> {
    /// `bytes` ends with a MIC.
    pub(crate) const fn new(content: T, bytes: &'a [u8]) -> Self {
        Self { content, bytes }
    }

    /// The whole frame.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The MIC as received, unchecked.
    pub fn mic(&self) -> Mic {
        self.bytes.last_chunk().copied().unwrap_or_default()
    }

    /// What the MIC covers: all bytes before it.
    pub fn signed_bytes(&self) -> &'a [u8] {
        self.bytes.split_last_chunk::<4>().map_or(&[], |(message, _)| message)
    }
}

/// [`ErrorKind::FrameType`] unless the frame is of the type that the caller handles.
pub(crate) fn expect(found: FType, expected: FType) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::new(ErrorKind::FrameType, Place::FTYPE, 0)) }
}

/// Checks the one length that `what` may have.
pub(crate) fn exact<'a, const N: usize>(
    bytes: &'a [u8],
    what: Part,
    place: &'static Place,
) -> Result<&'a [u8; N], Error> {
    bytes.try_into().map_err(|_| {
        let kind = if bytes.len() < N {
            ErrorKind::TooShort { what, needed: N as u8 }
        } else {
            ErrorKind::TooLong { what, max: N as u8 }
        };
        Error::new(kind, place, bytes.len().min(N))
    })
}
