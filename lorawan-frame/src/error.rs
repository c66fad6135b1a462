//! What went wrong, in which field, at which byte, against which section.

use core::fmt;

/// A field of the wire format and the section that defines it.
///
/// Section numbers without a document name are those of LoRaWAN 1.1; TS011 is the relay
/// specification, RFC 3394 the key wrap.
#[derive(Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Place {
    /// Name as the specification writes it, such as `FCtrl`.
    pub field: &'static str,
    /// Section, such as `4.3.1`.
    pub section: &'static str,
}

macro_rules! places {
    ($($name:ident = $field:literal, $section:literal;)*) => {
        impl Place {
            $(pub(crate) const $name: &'static Self =
                &Self { field: $field, section: $section };)*
        }
    };
}

places! {
    PHY_PAYLOAD = "PHYPayload", "4.1";
    MHDR = "MHDR", "4.2";
    FTYPE = "FType", "4.2.1";
    MAJOR = "Major", "4.2.2";
    FCTRL = "FCtrl", "4.3.1";
    FCNT = "FCnt", "4.3.1.5";
    FOPTS = "FOpts", "4.3.1.6";
    FPORT = "FPort", "4.3.2";
    MIC = "MIC", "4.4";
    JOIN_REQUEST = "Join-Request", "6.2.2";
    JOIN_ACCEPT = "Join-Accept", "6.2.3";
    DL_SETTINGS = "DLSettings", "6.2.3";
    RX_DELAY = "RxDelay", "6.2.3";
    REJOIN_REQUEST = "Rejoin-Request", "6.2.4";
    REJOIN_TYPE = "Rejoin Type", "6.2.4";
    CID = "CID", "5";
    WRAPPED_KEY = "wrapped key", "RFC 3394 2.2";
    FORWARD_UPLINK = "ForwardUplinkReq", "TS011 9.1";
    WOR = "WOR frame", "TS011 5";
    WOR_ACK = "WOR ACK frame", "TS011 6";
    KEY = "key", "6.1.1.3";
    IDENTIFIER = "identifier", "6.1";
    BEACON = "beacon", "15.2";
    BEACON_PARAM = "Param", "15.2";
    BEACON_CRC = "beacon CRC", "15.2";
}

/// The whole that was too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Part {
    /// PHYPayload of any type.
    PhyPayload,
    /// Join-Request.
    JoinRequest,
    /// Join-Accept.
    JoinAccept,
    /// Rejoin-Request of this type.
    Rejoin(u8),
    /// Data frame, up or down.
    DataFrame,
    /// FOpts field.
    FOpts,
    /// Key data or wrapped key.
    Key,
    /// ForwardUplinkReq of a relay.
    ForwardUplink,
    /// Wake-on-radio frame of a relay.
    Wor,
    /// EUI bytes of a relay's filter rule.
    FilterEui,
    /// Hexadecimal text of an identifier or key.
    Text,
    /// Class B beacon.
    Beacon,
    /// Fragment of a data block (TS004).
    Fragment,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PhyPayload => "PHYPayload",
            Self::JoinRequest => "join-request",
            Self::JoinAccept => "join-accept",
            Self::Rejoin(kind) => return write!(f, "rejoin type {kind}"),
            Self::DataFrame => "data frame",
            Self::FOpts => "FOpts",
            Self::Key => "key data",
            Self::ForwardUplink => "ForwardUplinkReq",
            Self::Wor => "WOR frame",
            Self::FilterEui => "FilterListEui",
            Self::Text => "hexadecimal text",
            Self::Beacon => "beacon",
            Self::Fragment => "fragment",
        })
    }
}

/// Which rule was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fewer bytes than the smallest legal form.
    TooShort {
        /// What ended early.
        what: Part,
        /// Bytes it needs.
        needed: u8,
    },
    /// More bytes than the largest legal form.
    TooLong {
        /// What goes on too long.
        what: Part,
        /// Bytes it may have.
        max: u8,
    },
    /// A length between the legal ones.
    Length {
        /// What has it.
        what: Part,
        /// The length found.
        found: u8,
    },
    /// Major is not 0: a receiver must drop the frame.
    Major,
    /// FOptsLen points past the MIC.
    FOptsOverrun {
        /// FOptsLen as received.
        fopts_len: u8,
    },
    /// MAC commands in FOpts and on FPort 0 in one frame.
    FOptsWithPort0,
    /// FRMPayload without an FPort.
    PayloadWithoutPort,
    /// Something that a multicast downlink must not have: a request for an acknowledgement or an
    /// acknowledgement, FOpts, FPort 0 (section 11.2.2).
    Multicast,
    /// A frame type that this call does not handle.
    FrameType,
    /// Not a rejoin type that is defined (0, 1, 2).
    RejoinType(u8),
    /// A flag or command of the other direction.
    WrongDirection,
    /// The value has more bits than its field.
    OutOfRange {
        /// Largest value that fits.
        max: u32,
    },
    /// The MIC does not match: wrong key, wrong counter, or altered bytes.
    Mic,
    /// The CRC over the part of a beacon that holds the time does not match.
    Crc,
    /// The frame counter does not go forward, or too far.
    FCntNotAccepted,
    /// The frame counter is used up: a new session is needed.
    FCntExhausted,
    /// The frame counter given has other low 16 bits than the frame.
    FCntMismatch,
    /// The lent buffer is shorter than the result.
    BufferTooSmall {
        /// Bytes that the result needs.
        needed: u16,
    },
    /// No command has this identifier in this direction; its length is unknown.
    UnknownCid(u8),
    /// The list ends inside this command.
    CommandTruncated {
        /// The command.
        cid: u8,
        /// Bytes its payload needs.
        needed: u8,
    },
    /// Not a hexadecimal digit.
    NotHex,
    /// The integrity check of a wrapped key failed.
    KeyWrap,
    /// The key store refused or failed; the code is the store's own.
    KeyFault(u16),
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { what, needed } => write!(f, "{what} shorter than {needed} bytes"),
            Self::TooLong { what, max } => write!(f, "{what} longer than {max} bytes"),
            Self::Length { what, found } => write!(f, "{what} cannot have {found} bytes"),
            Self::Major => f.write_str("Major != 0 (LoRaWAN R1)"),
            Self::FOptsOverrun { fopts_len } => {
                write!(f, "FOptsLen {fopts_len} overruns the frame")
            }
            Self::FOptsWithPort0 => {
                f.write_str("MAC commands both in FOpts and on FPort 0: only one place is allowed")
            }
            Self::PayloadWithoutPort => f.write_str("a FRMPayload needs an FPort before it"),
            Self::Multicast => f.write_str("not allowed in a multicast downlink (section 11.2.2)"),
            Self::FrameType => f.write_str("this frame type is handled elsewhere"),
            Self::RejoinType(kind) => write!(f, "rejoin type {kind} is not 0, 1 or 2"),
            Self::WrongDirection => f.write_str("does not exist in this direction"),
            Self::OutOfRange { max } => write!(f, "value does not fit, the largest is {max}"),
            Self::Mic => {
                f.write_str("MIC does not match: wrong key, wrong frame counter or altered bytes")
            }
            Self::Crc => f.write_str("CRC does not match: altered bytes, or another beacon layout"),
            Self::FCntNotAccepted => {
                f.write_str("frame counter repeated, behind, or too far ahead: replay or lost sync")
            }
            Self::FCntExhausted => {
                f.write_str("frame counter used up: it must not wrap, join again")
            }
            Self::FCntMismatch => {
                f.write_str("the 32-bit counter does not end in the 16 bits of the frame")
            }
            Self::BufferTooSmall { needed } => write!(f, "buffer needs {needed} bytes"),
            Self::UnknownCid(cid) => {
                write!(f, "unknown CID 0x{cid:02x}: its length is unknown, parsing stops here")
            }
            Self::CommandTruncated { cid, needed } => {
                write!(f, "command 0x{cid:02x} needs {needed} more bytes than the list has")
            }
            Self::NotHex => f.write_str("not a hexadecimal digit"),
            Self::KeyWrap => f.write_str("wrapped key fails its integrity check: wrong KEK?"),
            Self::KeyFault(code) => write!(f, "key store failed with code {code}"),
        }
    }
}

/// Why bytes were refused or could not be written: the rule, the field, the offset, the section.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Error {
    place: &'static Place,
    kind: ErrorKind,
    offset: u16,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, place: &'static Place, offset: usize) -> Self {
        // Offsets count bytes of one frame (at most 255) or one list of commands; saturate.
        let offset = if offset > u16::MAX as usize { u16::MAX } else { offset as u16 };
        Self { place, kind, offset }
    }

    /// A failure of a key store, for implementations of
    /// [`KeyHandle`](crate::KeyHandle); `code` is the store's own.
    pub const fn key_fault(code: u16) -> Self {
        Self::new(ErrorKind::KeyFault(code), Place::KEY, 0)
    }

    /// The rule that was broken.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The field, named as in the specification.
    pub const fn field(&self) -> &'static str {
        self.place.field
    }

    /// The section that defines the field. See [`Place`] for the documents.
    pub const fn section(&self) -> &'static str {
        self.place.section
    }

    /// Byte offset of the field in what was parsed or built, from 0.
    pub const fn offset(&self) -> usize {
        self.offset as usize
    }

    /// The same error for a span that starts `base` bytes into a larger one.
    pub(crate) const fn shifted(self, base: usize) -> Self {
        Self::new(self.kind, self.place, self.offset as usize + base)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("field", &self.field())
            .field("offset", &self.offset)
            .field("section", &self.section())
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at byte {}: {} (section {})",
            self.field(),
            self.offset,
            self.kind,
            self.section()
        )
    }
}

impl core::error::Error for Error {}

/// `max` as an [`ErrorKind::OutOfRange`] at `place`, unless `value` fits.
pub(crate) fn in_range(
    value: u32,
    max: u32,
    place: &'static Place,
    offset: usize,
) -> Result<(), Error> {
    if value > max { Err(Error::new(ErrorKind::OutOfRange { max }, place, offset)) } else { Ok(()) }
}

/// The first `needed` bytes of `buf`, or [`ErrorKind::BufferTooSmall`].
pub(crate) fn room(buf: &mut [u8], needed: usize) -> Result<&mut [u8], Error> {
    buf.get_mut(..needed).ok_or(Error::new(
        ErrorKind::BufferTooSmall { needed: needed as u16 },
        Place::PHY_PAYLOAD,
        0,
    ))
}
