//! Application packages of the LoRa Alliance: what a fleet needs to be updated over the air.
//!
//! | module | package | default FPort | identifier |
//! |---|---|---|---|
//! | [`clock_sync`] | TS003 application layer clock synchronization, v1 and v2 | 202 | 1 |
//! | [`multicast`] | TS005 remote multicast setup, v1 and v2 | 200 | 2 |
//! | [`fragmentation`] | TS004 fragmented data block transport, v1 and v2 | 201 | 3 |
//! | [`firmware`] | TS006 firmware management, v1 | 203 | 4 |
//!
//! A FRMPayload on a package's port is a list of commands. [`commands`] reads them one after the
//! other, [`Message::build_into`] writes one.
//!
//! ```
//! use lorawan_frame::package::{self, Message, Version, clock_sync};
//! use lorawan_frame::{Error, gps};
//!
//! // Device: "my clock says 1024, what is the correction?"
//! let request = clock_sync::Uplink::AppTimeReq(clock_sync::AppTimeReq {
//!     device_time: 1024,
//!     token_req: 3,
//!     ans_required: true,
//! });
//! let mut frm_payload = [0; 51];
//! let frm_payload = request.build_into(&mut frm_payload)?;
//! assert_eq!(frm_payload, [0x01, 0x00, 0x04, 0x00, 0x00, 0x13]);
//!
//! // Server: answer every command of the payload.
//! for command in package::commands::<clock_sync::Uplink>(frm_payload, Version::V2) {
//!     if let clock_sync::Uplink::AppTimeReq(request) = command? {
//!         let received_at = gps::from_unix(1_767_225_600).unwrap();
//!         let answer = request.answer(received_at);
//!         assert_eq!(answer.time_correction, 1_451_260_818 - 1024);
//!     }
//! }
//! # Ok::<(), Error>(())
//! ```

mod wire;

pub mod clock_sync;
pub mod firmware;
pub mod fragmentation;
pub mod multicast;

use crate::Error;
use crate::error::Place;
use wire::Cursor;

/// Version of a package, as its PackageVersionAns says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// Version 1 (TS003, TS004, TS005 1.0.0; TS006).
    #[default]
    V1,
    /// Version 2 (TS003, TS004, TS005 2.0.0).
    V2,
}

/// One command of a package in one direction.
pub trait Message<'a>: wire::Walk<'a> + Copy + Sized {
    /// Identifier of the package (PackageIdentifier).
    const PACKAGE: u8;
    /// FPort the package uses unless the application chose another.
    const FPORT: u8;

    /// Command identifier, the first byte.
    fn cid(&self) -> u8;

    /// Name as in the specification, such as `AppTimeReq`.
    fn name(&self) -> &'static str;

    /// Reads the first command of a payload, and returns it with what follows it.
    ///
    /// Reserved bits are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownCid`](crate::ErrorKind::UnknownCid): the rest of the payload cannot be
    /// read, as its length is unknown;
    /// [`ErrorKind::CommandTruncated`](crate::ErrorKind::CommandTruncated).
    fn parse(payload: &'a [u8], version: Version) -> Result<(Self, &'a [u8]), Error>;

    /// Size on the wire in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) when a value does not fit its field.
    fn encoded_len(&self) -> Result<usize, Error> {
        let mut cursor = Cursor::measuring();
        self.write(&mut cursor)?;
        Ok(cursor.position())
    }

    /// Writes the command to the front of `buf` and returns it.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) when a value does not fit its field,
    /// [`ErrorKind::BufferTooSmall`](crate::ErrorKind::BufferTooSmall). Nothing is written then.
    fn build_into<'b>(&self, buf: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        let needed = self.encoded_len()?;
        let out = crate::error::room(buf, needed)?;
        self.write(&mut Cursor::writing(out))?;
        Ok(out)
    }

    /// Writes or measures.
    #[doc(hidden)]
    fn write(&self, cursor: &mut Cursor<'a, '_>) -> Result<(), Error> {
        let mut cid = self.cid();
        cursor.u8(&mut cid)?;
        let mut copy = *self;
        copy.walk(cursor)
    }
}

/// The commands of a FRMPayload, in order. After an error there are no more.
pub fn commands<'a, M: Message<'a>>(
    payload: &'a [u8],
    version: Version,
) -> impl Iterator<Item = Result<M, Error>> + use<'a, M> {
    let mut rest = payload;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = M::parse(rest, version);
        let offset = payload.len() - rest.len();
        rest = parsed.as_ref().map_or(&[], |&(_, rest)| rest);
        Some(parsed.map(|(message, _)| message).map_err(|error| error.shifted(offset)))
    })
}

/// The device says which version of a package it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PackageVersionAns {
    /// Identifier of the package, see [`Message::PACKAGE`].
    pub package_identifier: u8,
    /// Version of the package.
    pub package_version: u8,
}

impl<'a> wire::Walk<'a> for PackageVersionAns {
    fn walk(&mut self, w: &mut Cursor<'a, '_>) -> Result<(), Error> {
        w.u8(&mut self.package_identifier)?;
        w.u8(&mut self.package_version)
    }
}

/// Places name the command and the document: the sections of the packages are one command each.
const fn place(field: &'static str, section: &'static str) -> Place {
    Place { field, section }
}

/// The commands of a package in one direction: one row is command identifier, name and content.
macro_rules! messages {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)?, $document:literal, package $package:literal, port $port:literal;
        $($(#[$row_doc:meta])* $cid:literal $message:ident $(($content:ty))?;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum $name $(<$life>)? {
            $($(#[$row_doc])* $message $(($content))?,)*
        }

        impl<'a> $crate::package::wire::Walk<'a> for $name $(<$life>)? {
            fn walk(
                &mut self,
                w: &mut $crate::package::wire::Cursor<'a, '_>,
            ) -> Result<(), $crate::Error> {
                match self {
                    $($crate::package::messages!(@pattern content $message $(($content))?) => {
                        w.enter(const { &$crate::package::place(stringify!($message), $document) });
                        $crate::package::messages!(@walk content w $($content)?)
                    })*
                }
            }
        }

        impl<'a> $crate::package::Message<'a> for $name $(<$life>)? {
            const PACKAGE: u8 = $package;
            const FPORT: u8 = $port;

            fn cid(&self) -> u8 {
                match self { $(Self::$message { .. } => $cid,)* }
            }

            fn name(&self) -> &'static str {
                match self { $(Self::$message { .. } => stringify!($message),)* }
            }

            fn parse(
                payload: &'a [u8],
                version: $crate::package::Version,
            ) -> Result<(Self, &'a [u8]), $crate::Error> {
                use $crate::package::wire::{Cursor, Walk};
                let mut cursor =
                    Cursor::reading(payload, version, const { &$crate::package::place("CID", $document) });
                let mut cid = 0;
                cursor.u8(&mut cid)?;
                let mut message = match cid {
                    $($cid => $crate::package::messages!(@new $message $(($content))?),)*
                    _ => return Err(cursor.unknown_cid(cid)),
                };
                message.walk(&mut cursor)?;
                Ok((message, cursor.rest()))
            }
        }
    };
    (@pattern $bind:ident $message:ident) => { Self::$message };
    (@pattern $bind:ident $message:ident ($content:ty)) => { Self::$message($bind) };
    (@walk $bind:ident $w:ident) => { Ok(()) };
    (@walk $bind:ident $w:ident $content:ty) => { $bind.walk($w) };
    (@new $message:ident) => { Self::$message };
    (@new $message:ident ($content:ty)) => { Self::$message(<$content>::default()) };
}
use messages;
