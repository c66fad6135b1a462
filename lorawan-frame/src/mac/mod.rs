//! MAC commands (sections 5, 14, 18; TS011 10): lists in FOpts or in FRMPayload on FPort 0.
//!
//! A table and a plain cursor, without a parser library: a list is "CID, then as many bytes as
//! the table says", and one table that reads, writes, names and measures every command leaves a
//! grammar nothing to say.

mod field;
mod table;

pub use field::{FieldValue, FilterEui, WorRssi, WorSnr};
pub use table::{CommandInfo, MAC_COMMANDS, MacCommand};

use crate::data::Direction;
use crate::error::{Error, ErrorKind, Place};

/// First proprietary CID (section 5).
const FIRST_PROPRIETARY: u8 = 0x80;
const FILTER_LIST_REQ: u8 = 0x42;
const FORCE_REJOIN_REQ: u8 = 0x0e;
const PING_SLOT_INFO_REQ: u8 = 0x10;

/// Choices where the specification leaves one or where implementations differ.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Dialect {
    /// Read and write ForceRejoinReq with the byte of period and retries first, as some devices
    /// in the field do. Default `false`: little-endian like every other field.
    pub force_rejoin_big_endian: bool,
    /// Read PingSlotInfoReq with the layout of LoRaWAN 1.0.2, which has a data rate in it, as
    /// [`MacCommand::PingSlotInfoReqV1_0_2`]: for devices known to speak that version. Default
    /// `false`: as from 1.0.3 on.
    pub ping_slot_info_v1_0_2: bool,
    /// Payload length of the vendor's own commands, by CID; `None` from the function, or no
    /// function, takes all the rest as the payload.
    pub proprietary_len: Option<fn(u8) -> Option<usize>>,
}

/// Reads a list of MAC commands one by one. Ends after the first error: the length of an unknown
/// command is unknown, so nothing after it can be read (section 5).
///
/// ```
/// use lorawan_frame::{Direction, ErrorKind, MacCommand, MacCommands};
///
/// let mut commands = MacCommands::new(Direction::Down, &[0x02, 20, 3, 0x7f, 1]);
/// let first = commands.next().unwrap()?;
/// assert_eq!(first, MacCommand::LinkCheckAns { margin: 20, gw_cnt: 3 });
/// let error = commands.next().unwrap().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownCid(0x7f));
/// assert_eq!((error.offset(), commands.rest()), (3, &[0x7f, 1][..]));
/// assert!(commands.next().is_none());
/// # Ok::<(), lorawan_frame::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MacCommands<'a> {
    direction: Direction,
    dialect: Dialect,
    rest: &'a [u8],
    offset: usize,
    failed: bool,
}

impl<'a> MacCommands<'a> {
    /// `bytes` in clear, from a frame of this direction.
    pub fn new(direction: Direction, bytes: &'a [u8]) -> Self {
        Self::with_dialect(direction, bytes, Dialect::default())
    }

    /// [`MacCommands::new`] with choices.
    pub const fn with_dialect(direction: Direction, bytes: &'a [u8], dialect: Dialect) -> Self {
        Self { direction, dialect, rest: bytes, offset: 0, failed: false }
    }

    /// The bytes not read: after an error, from the command that could not be read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&mut self, cid: u8, after: &'a [u8]) -> Result<MacCommand<'a>, Error> {
        if cid >= FIRST_PROPRIETARY {
            let known = self.dialect.proprietary_len.and_then(|len| len(cid));
            let payload = self.take(cid, after, known.unwrap_or(after.len()))?;
            return Ok(MacCommand::Proprietary { cid, payload });
        }
        let unknown = Error::new(ErrorKind::UnknownCid(cid), Place::CID, self.offset);
        let Some(fixed) = table::payload_len(cid, self.direction) else { return Err(unknown) };
        let more = match (cid, self.direction, after) {
            (FILTER_LIST_REQ, Direction::Down, [first, ..]) => FilterEui::wire_len(*first),
            _ => 0,
        };
        let offset = self.offset;
        let start = self.rest;
        let payload = self.take(cid, after, fixed + more)?;
        let swapped;
        let payload = match payload {
            [a, b] if cid == FORCE_REJOIN_REQ && self.dialect.force_rejoin_big_endian => {
                swapped = [*b, *a];
                &swapped
            }
            _ => payload,
        };
        let old = self.dialect.ping_slot_info_v1_0_2 && self.direction == Direction::Up;
        let command = if old && cid == PING_SLOT_INFO_REQ {
            table::v1_0_2::ping_slot_info_req(payload).map(Some)
        } else {
            MacCommand::read(cid, self.direction, payload)
        };
        match command {
            Ok(command) => command.ok_or(unknown),
            Err(error) => {
                self.rest = start;
                Err(error.shifted(offset))
            }
        }
    }

    fn take(&mut self, cid: u8, after: &'a [u8], len: usize) -> Result<&'a [u8], Error> {
        let Some((payload, rest)) = after.split_at_checked(len) else {
            let needed = len.saturating_sub(after.len()).min(255) as u8;
            return Err(Error::new(
                ErrorKind::CommandTruncated { cid, needed },
                Place::CID,
                self.offset,
            ));
        };
        self.rest = rest;
        self.offset += 1 + len;
        Ok(payload)
    }
}

impl<'a> Iterator for MacCommands<'a> {
    type Item = Result<MacCommand<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let (&cid, after) = self.rest.split_first()?;
        let command = self.read(cid, after);
        self.failed = command.is_err();
        Some(command)
    }
}

impl core::iter::FusedIterator for MacCommands<'_> {}

impl MacCommand<'_> {
    /// Bytes on the wire, CID included.
    pub fn wire_len(&self) -> usize {
        1 + match self {
            Self::Proprietary { payload, .. } => payload.len(),
            Self::FilterListReq { eui, .. } => 2 + eui.as_bytes().len(),
            _ => self.info().map_or(0, |info| info.payload_len.into()),
        }
    }

    /// Who sends it; `None` for proprietary commands.
    pub fn direction(&self) -> Option<Direction> {
        self.info().map(|info| info.direction)
    }

    /// Name in the specification.
    pub fn name(&self) -> &'static str {
        self.info().map_or("Proprietary", |info| info.name)
    }

    /// Writes CID and payload into the front of `buf`.
    ///
    /// # Errors
    /// A value that does not fit its field, a proprietary CID below 0x80, a buffer shorter than
    /// [`MacCommand::wire_len`].
    pub fn build_into<'b>(&self, buf: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        self.build_with(Dialect::default(), buf)
    }

    /// [`MacCommand::build_into`] with choices.
    ///
    /// # Errors
    /// As [`MacCommand::build_into`].
    pub fn build_with<'b>(
        &self,
        dialect: Dialect,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        if let Self::Proprietary { cid: cid @ ..FIRST_PROPRIETARY, .. } = *self {
            return Err(Error::new(ErrorKind::UnknownCid(cid), Place::CID, 0));
        }
        let out = crate::error::room(buf, self.wire_len())?;
        if let Some((cid, payload)) = out.split_first_mut() {
            *cid = self.cid();
            payload.fill(0);
            self.write(payload)?;
            if let (Self::ForceRejoinReq { .. }, true) = (self, dialect.force_rejoin_big_endian) {
                payload.reverse();
            }
        }
        Ok(out)
    }
}

/// Collects MAC commands for FOpts (15 bytes) or FPort 0, in order, whole commands only.
///
/// ```
/// use lorawan_frame::{MacCommand, MacCommandList};
///
/// let mut fopts = [0; 15];
/// let mut list = MacCommandList::new(&mut fopts);
/// list.push(&MacCommand::LinkCheckReq)?;
/// list.push(&MacCommand::DevStatusAns { battery: 255, margin: -5 })?;
/// assert_eq!(list.as_bytes(), [0x02, 0x06, 0xff, 0x3b]);
/// # Ok::<(), lorawan_frame::Error>(())
/// ```
#[derive(Debug)]
pub struct MacCommandList<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> MacCommandList<'b> {
    /// Room for as many bytes as `buf` has.
    pub const fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// Appends a command.
    ///
    /// # Errors
    /// [`ErrorKind::BufferTooSmall`] when it does not fit whole, and as
    /// [`MacCommand::build_into`]. The list is as before then.
    pub fn push(&mut self, command: &MacCommand<'_>) -> Result<(), Error> {
        let free = self.buf.get_mut(self.len..).unwrap_or(&mut []);
        self.len += command.build_into(free).map_err(|error| error.shifted(self.len))?.len();
        Ok(())
    }

    /// What was collected.
    pub fn as_bytes(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or(&[])
    }

    /// What was collected, for as long as the buffer lives.
    pub fn into_bytes(self) -> &'b [u8] {
        self.buf.get(..self.len).unwrap_or(&[])
    }
}
