//! Frame counters: 32 bits in both memories, 16 bits on the wire (section 4.3.1.5).
//!
//! These functions only propose a counter. Check the MIC with it, and store it only then.

use crate::error::{Error, ErrorKind, Place};

/// Largest jump forward that LoRaWAN up to 1.0.3 accepts. 1.0.4 and 1.1 have no such limit.
pub const MAX_FCNT_GAP: u32 = 16384;

const LOW: u32 = 0xffff;
const EPOCH: u32 = 0x1_0000;

/// Server side: the 32-bit counter nearest to the next one expected. A result below
/// `next_expected` is a retransmission or a replay: the caller judges it, for a repeated frame is
/// legal while NbTrans is above 1.
///
/// # Errors
/// [`ErrorKind::FCntExhausted`] when the nearest counter lies past 2^32 - 1: counters do not wrap,
/// the session is over.
///
/// ```
/// use lorawan_frame::fcnt;
///
/// assert_eq!(fcnt::reconstruct_uplink(65_537, 2)?, 65_538);   // one frame was lost
/// assert_eq!(fcnt::reconstruct_uplink(65_537, 0)?, 65_536);   // sent again
/// assert_eq!(fcnt::reconstruct_uplink(65_536, 65_535)?, 65_535);
/// # Ok::<(), lorawan_frame::Error>(())
/// ```
pub fn reconstruct_uplink(next_expected: u32, wire: u16) -> Result<u32, Error> {
    let ahead = u32::from(wire.wrapping_sub(next_expected as u16));
    let back = EPOCH - ahead;
    if ahead <= back || back > next_expected {
        next_expected.checked_add(ahead).ok_or(exhausted())
    } else {
        Ok(next_expected - back)
    }
}

/// Device side (and a server that refuses retransmissions): the smallest counter above the last
/// accepted one that ends in the 16 bits received. `last` is `None` until the first frame of a
/// session. `max_gap` is [`MAX_FCNT_GAP`] up to LoRaWAN 1.0.3 and `None` from 1.0.4 on.
///
/// # Errors
/// [`ErrorKind::FCntNotAccepted`] when the jump is larger than `max_gap`, which is also how a
/// replay shows; [`ErrorKind::FCntExhausted`] when no counter up to 2^32 - 1 is left.
pub fn accept_downlink(last: Option<u32>, wire: u16, max_gap: Option<u32>) -> Result<u32, Error> {
    let Some(last) = last else { return Ok(wire.into()) };
    let step = match u32::from(wire).wrapping_sub(last) & LOW {
        0 => EPOCH,
        step => step,
    };
    if max_gap.is_some_and(|max| step > max) {
        return Err(Error::new(ErrorKind::FCntNotAccepted, Place::FCNT, 6));
    }
    last.checked_add(step).ok_or(exhausted())
}

/// The counter of the next frame to send.
///
/// # Errors
/// [`ErrorKind::FCntExhausted`] after 2^32 - 1.
pub fn next(last: u32) -> Result<u32, Error> {
    last.checked_add(1).ok_or(exhausted())
}

const fn exhausted() -> Error {
    Error::new(ErrorKind::FCntExhausted, Place::FCNT, 6)
}
