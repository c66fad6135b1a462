//! Identifiers, nonces and frequencies: numbers in the program, hexadecimal with the most
//! significant byte first as text, least significant byte first on the wire.

use core::fmt;
use core::str::FromStr;

use crate::error::{Error, ErrorKind, Part, Place};

/// Reads exactly `N` bytes of hexadecimal text; `-` and `:` between bytes are skipped.
pub(crate) fn parse_hex<const N: usize>(
    text: &str,
    place: &'static Place,
) -> Result<[u8; N], Error> {
    let mut out = [0; N];
    let mut digits = 0usize;
    for (offset, c) in text.bytes().enumerate() {
        if matches!(c, b'-' | b':') && digits % 2 == 0 {
            continue;
        }
        let Some(value) = (c as char).to_digit(16) else {
            return Err(Error::new(ErrorKind::NotHex, place, offset));
        };
        let Some(byte) = out.get_mut(digits / 2) else {
            let max = (2 * N) as u8;
            return Err(Error::new(ErrorKind::TooLong { what: Part::Text, max }, place, offset));
        };
        *byte = *byte << 4 | value as u8;
        digits += 1;
    }
    if digits < 2 * N {
        let needed = (2 * N) as u8;
        return Err(Error::new(
            ErrorKind::TooShort { what: Part::Text, needed },
            place,
            text.len(),
        ));
    }
    Ok(out)
}

/// One identifier: an unsigned integer of `$bytes` bytes in an integer of type `$int`.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($int:ty), $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name($int);

        impl $name {
            /// Bytes on the wire.
            pub const LEN: usize = $bytes;

            /// From the bytes as they travel: least significant first.
            pub const fn from_wire(bytes: [u8; $bytes]) -> Self {
                let mut value: $int = 0;
                let mut i = $bytes;
                while i > 0 {
                    i -= 1;
                    value = value << 8 | bytes[i] as $int;
                }
                Self(value)
            }

            /// The bytes as they travel: least significant first.
            pub const fn to_wire(self) -> [u8; $bytes] {
                let mut out = [0; $bytes];
                let mut i = 0;
                while i < $bytes {
                    out[i] = (self.0 >> (8 * i)) as u8;
                    i += 1;
                }
                out
            }

            /// The number; printed in hexadecimal it reads like the text form.
            pub const fn value(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            /// Hexadecimal, most significant byte first: the reverse of the wire order.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:0width$x}", self.0, width = 2 * $bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads hexadecimal text, most significant byte first; `-` or `:` may stand
            /// between bytes.
            ///
            /// # Errors
            /// [`ErrorKind::NotHex`], or [`ErrorKind::TooShort`] and [`ErrorKind::TooLong`] in
            /// digits; the offset counts characters.
            fn from_str(text: &str) -> Result<Self, Error> {
                let mut bytes: [u8; $bytes] = parse_hex(text, Place::IDENTIFIER)?;
                bytes.reverse();
                Ok(Self::from_wire(bytes))
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}({})", stringify!($name), defmt::Display2Format(self));
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(crate::types::TextVisitor(core::marker::PhantomData))
            }
        }

        #[cfg(feature = "arbitrary")]
        impl<'a> arbitrary::Arbitrary<'a> for $name {
            fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
                Ok(Self::from_wire(u.arbitrary()?))
            }
        }
    };
}

/// A full-width integer is always in range.
macro_rules! full_width {
    ($($name:ident($int:ty);)*) => {$(
        impl $name {
            /// From the number: `0x0102_0304` is written `01020304` and travels `04 03 02 01`.
            pub const fn new(value: $int) -> Self {
                Self(value)
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }
    )*};
}

/// 24-bit integers have a range to check.
macro_rules! checked_24_bit {
    ($($name:ident;)*) => {$(
        impl $name {
            /// From the number; `None` above 2^24 - 1.
            pub const fn new(value: u32) -> Option<Self> {
                if value > 0xff_ffff { None } else { Some(Self(value)) }
            }
        }
    )*};
}

/// Reads the text form through [`FromStr`].
#[cfg(feature = "serde")]
pub(crate) struct TextVisitor<T>(pub(crate) core::marker::PhantomData<T>);

#[cfg(feature = "serde")]
impl<T: FromStr<Err: fmt::Display>> serde::de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, such as hexadecimal with the most significant byte first")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

identifier! {
    /// Device address, unique within a network only (section 6.1.2.1).
    ///
    /// ```
    /// use lorawan_frame::DevAddr;
    ///
    /// let addr: DevAddr = "26011bda".parse()?;
    /// assert_eq!(addr, DevAddr::new(0x2601_1bda));
    /// assert_eq!(addr.to_wire(), [0xda, 0x1b, 0x01, 0x26]); // reversed on the wire
    /// # Ok::<(), lorawan_frame::Error>(())
    /// ```
    DevAddr(u32), 4
}

identifier! {
    /// Identifier of the join server (section 6.1.1.1); AppEUI in LoRaWAN 1.0.
    JoinEui(u64), 8
}

identifier! {
    /// Identifier of an end device (section 6.1.1.2).
    DevEui(u64), 8
}

identifier! {
    /// Network identifier: 3 bits type, 21 bits ID (section 6.2.3).
    NetId(u32), 3
}

identifier! {
    /// JoinNonce (AppNonce in 1.0): a server's counter or random number, 24 bits (section 6.2.3).
    JoinNonce(u32), 3
}

identifier! {
    /// Frequency in steps of 100 Hz, 24 bits; 200 Hz in the 2.4 GHz band. 0 means "none" or
    /// "default", as the field says.
    Frequency(u32), 3
}

full_width! {
    DevAddr(u32);
    JoinEui(u64);
    DevEui(u64);
}

checked_24_bit! {
    NetId;
    JoinNonce;
    Frequency;
}

/// (ID bits in a NetID, prefix length of the type in a DevAddr, NwkID bits in a DevAddr) by
/// NetID type 0 to 7.
const NET_ID_TYPES: [(u32, u32, u32); 8] = [
    (6, 1, 6),
    (6, 2, 6),
    (9, 3, 9),
    (21, 4, 11),
    (21, 5, 12),
    (21, 6, 13),
    (21, 7, 15),
    (21, 8, 17),
];

const fn low_bits(value: u32, count: u32) -> u32 {
    value & ((1 << count) - 1)
}

impl NetId {
    /// Type, 0 to 7: how many addresses the network owns (section 6.2.3).
    pub const fn net_id_type(self) -> u8 {
        (self.0 >> 21) as u8
    }

    /// The ID within its type: 6, 6, 9 or 21 bits.
    pub const fn id(self) -> u32 {
        low_bits(self.0, NET_ID_TYPES[self.net_id_type() as usize].0)
    }

    /// The block of addresses that this network owns.
    pub const fn dev_addr_prefix(self) -> DevAddrPrefix {
        let kind = self.net_id_type() as u32;
        let (_, type_bits, nwk_bits) = NET_ID_TYPES[kind as usize];
        let length = type_bits + nwk_bits;
        // `kind` ones and then a zero.
        let type_prefix = (1 << type_bits) - 2;
        let prefix = type_prefix << nwk_bits | low_bits(self.id(), nwk_bits);
        DevAddrPrefix { addr: DevAddr(prefix << (32 - length)), length: length as u8 }
    }
}

/// A block of device addresses: the leading `length` bits are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DevAddrPrefix {
    addr: DevAddr,
    length: u8,
}

impl DevAddrPrefix {
    /// A block of your own; bits of `addr` below the prefix are cleared. `None` above 32 bits.
    pub const fn new(addr: DevAddr, length: u8) -> Option<Self> {
        if length > 32 {
            return None;
        }
        let block = Self { addr, length };
        Some(Self { addr: DevAddr(addr.0 & block.mask()), length })
    }

    /// The lowest address of the block.
    pub const fn first(self) -> DevAddr {
        self.addr
    }

    /// Fixed leading bits.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// `true` when the address lies in the block.
    pub const fn contains(self, addr: DevAddr) -> bool {
        addr.0 & self.mask() == self.addr.0
    }

    /// `addr` with its leading bits replaced by the prefix.
    pub const fn apply(self, addr: DevAddr) -> DevAddr {
        DevAddr(addr.0 & !self.mask() | self.addr.0)
    }

    const fn mask(self) -> u32 {
        match self.length {
            0 => 0,
            length => u32::MAX << (32 - length as u32),
        }
    }
}

impl fmt::Display for DevAddrPrefix {
    /// Address and length, as in `5a000000/7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.length)
    }
}

impl DevAddr {
    /// NetID type of the network that owns this address; `None` for the reserved all-ones start.
    pub const fn net_id_type(self) -> Option<u8> {
        match self.0.leading_ones() {
            kind @ 0..=7 => Some(kind as u8),
            _ => None,
        }
    }

    /// NwkID: the low bits of the ID of the network's NetID (6 to 17 bits).
    pub const fn nwk_id(self) -> Option<u32> {
        match self.net_id_type() {
            Some(kind) => {
                let (_, type_bits, nwk_bits) = NET_ID_TYPES[kind as usize];
                Some(low_bits(self.0 >> (32 - type_bits - nwk_bits), nwk_bits))
            }
            None => None,
        }
    }
}

impl Frequency {
    /// From hertz, in steps of 100 Hz; `None` when it is no multiple or above 1.677 GHz.
    ///
    /// ```
    /// use lorawan_frame::Frequency;
    /// assert_eq!(Frequency::from_hz(868_100_000).unwrap().to_wire(), [0x28, 0x76, 0x84]);
    /// ```
    pub const fn from_hz(hz: u32) -> Option<Self> {
        if hz % 100 == 0 { Self::new(hz / 100) } else { None }
    }

    /// Hertz, in steps of 100 Hz: every band below 1 GHz.
    pub const fn hz(self) -> u32 {
        self.0 * 100
    }

    /// From hertz in the 2.4 GHz band, in steps of 200 Hz.
    pub const fn from_hz_ism2400(hz: u32) -> Option<Self> {
        if hz % 200 == 0 { Self::new(hz / 200) } else { None }
    }

    /// Hertz in the 2.4 GHz band, in steps of 200 Hz.
    pub const fn hz_ism2400(self) -> u32 {
        self.0 * 200
    }
}
