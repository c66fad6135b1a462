//! Puts a data block together from the fragments that arrive.

use core::fmt;

use super::Parity;
use super::parity::{contains, insert, xor};
use crate::Error;
use crate::error::{ErrorKind, Part, Place};

const DATA_FRAGMENT: &Place = &Place { field: "DataFragment", section: "TS004" };

/// Puts a data block together, replacing lost fragments by coded ones, in buffers that you lend.
///
/// Memory: the block itself and [`Decoder::scratch_len`] bytes, which grow with the square of the
/// lost fragments you want to be able to replace. Time for one coded fragment: at most
/// `nb_frag + max_lost` times `frag_size` bytes are combined. No fragment, and no order of
/// fragments, makes it panic or go on for longer.
///
/// ```
/// use lorawan_frame::package::Version;
/// use lorawan_frame::package::fragmentation::{Decoder, Parity, Progress};
///
/// let block: [u8; 40] = core::array::from_fn(|n| n as u8);
/// let parity = Parity::new(Version::V2, 10, 4).unwrap();
///
/// const SCRATCH: usize = Decoder::scratch_len(10, 4, 3); // up to 3 lost fragments
/// let (mut received, mut scratch) = ([0; 40], [0; SCRATCH]);
/// let mut decoder = Decoder::new(parity, 3, &mut received, &mut scratch)?;
/// for n in 1.. {
///     if n == 2 || n == 7 {
///         continue; // lost in the air
///     }
///     let mut fragment = [0; 4];
///     assert!(parity.fragment(&block, n, &mut fragment));
///     if decoder.receive(n, &fragment)? == Progress::Complete {
///         break;
///     }
/// }
/// assert_eq!(received, block);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Decoder<'b> {
    parity: Parity,
    block: &'b mut [u8],
    scratch: Scratch<'b>,
    /// Fragments received uncoded before the first coded one was used.
    uncoded: u16,
    /// Missing fragments once coded ones are used; they are `scratch.missing` then.
    lost: Option<u16>,
    /// Independent equations for the lost fragments.
    rank: u16,
    max_lost: u16,
    received: u16,
}

#[derive(Debug)]
struct Scratch<'b> {
    /// A bit for each fragment: in the block.
    present: &'b mut [u8],
    /// A bit for each fragment: the parity row at work.
    row: &'b mut [u8],
    /// Indices of the lost fragments, two bytes each.
    missing: &'b mut [u8],
    /// Triangular matrix over the lost fragments: row i is empty or starts with column i. What the
    /// row combines to lies in the block, in the place of lost fragment i.
    matrix: &'b mut [u8],
    /// The matrix row at work.
    line: &'b mut [u8],
    /// The fragment at work.
    piece: &'b mut [u8],
}

/// What a fragment led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// So many more fragments are needed, uncoded ones or independent coded ones.
    Missing(u16),
    /// The block is complete.
    Complete,
    /// A coded fragment came while more fragments were lost than the scratch memory allows for:
    /// it could not be used (NotEnoughMatrixMemory). Uncoded fragments still can.
    TooManyLost(u16),
}

/// The lent buffers do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetupError {
    /// The block buffer must have exactly so many bytes.
    BlockLength(usize),
    /// The scratch buffer needs so many bytes.
    ScratchTooSmall(usize),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockLength(length) => write!(f, "the block buffer must have {length} bytes"),
            Self::ScratchTooSmall(length) => write!(f, "the scratch buffer needs {length} bytes"),
        }
    }
}

impl core::error::Error for SetupError {}

const fn bytes_for(bits: u16) -> usize {
    (bits as usize).div_ceil(8)
}

impl<'b> Decoder<'b> {
    /// Bytes of scratch memory for blocks of `nb_frag` fragments of `frag_size` bytes, of which
    /// up to `max_lost` may be lost.
    #[must_use]
    pub const fn scratch_len(nb_frag: u16, frag_size: u8, max_lost: u16) -> usize {
        let matrix = max_lost as usize * bytes_for(max_lost);
        2 * bytes_for(nb_frag)
            + 2 * max_lost as usize
            + matrix
            + bytes_for(max_lost)
            + frag_size as usize
    }

    /// A decoder without fragments.
    ///
    /// # Errors
    /// [`SetupError`] when `block` is not [`Parity::block_len`] bytes long or `scratch` shorter
    /// than [`Decoder::scratch_len`].
    pub fn new(
        parity: Parity,
        max_lost: u16,
        block: &'b mut [u8],
        scratch: &'b mut [u8],
    ) -> Result<Self, SetupError> {
        if block.len() != parity.block_len() {
            return Err(SetupError::BlockLength(parity.block_len()));
        }
        let needed = Self::scratch_len(parity.nb_frag(), parity.frag_size(), max_lost);
        let mut rest = scratch;
        let mut part = |length: usize| -> Result<&'b mut [u8], SetupError> {
            let (part, after) = core::mem::take(&mut rest)
                .split_at_mut_checked(length)
                .ok_or(SetupError::ScratchTooSmall(needed))?;
            rest = after;
            part.fill(0);
            Ok(part)
        };
        let scratch = Scratch {
            present: part(bytes_for(parity.nb_frag()))?,
            row: part(bytes_for(parity.nb_frag()))?,
            missing: part(2 * usize::from(max_lost))?,
            matrix: part(usize::from(max_lost) * bytes_for(max_lost))?,
            line: part(bytes_for(max_lost))?,
            piece: part(parity.frag_size().into())?,
        };
        Ok(Self { parity, block, scratch, uncoded: 0, lost: None, rank: 0, max_lost, received: 0 })
    }

    /// Takes fragment `n` (from 1, as in DataFragment). Repeated fragments change nothing.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when `n` is 0 or above 2^14 - 1, [`ErrorKind::Length`] when
    /// `data` is not FragSize bytes long (TS004, DataFragment).
    pub fn receive(&mut self, n: u16, data: &[u8]) -> Result<Progress, Error> {
        if n == 0 || n > Parity::MAX_FRAGMENTS {
            let max = Parity::MAX_FRAGMENTS.into();
            return Err(Error::new(ErrorKind::OutOfRange { max }, DATA_FRAGMENT, 1));
        }
        if data.len() != self.scratch.piece.len() {
            let found = u8::try_from(data.len()).unwrap_or(u8::MAX);
            let kind = ErrorKind::Length { what: Part::Fragment, found };
            return Err(Error::new(kind, DATA_FRAGMENT, 3));
        }
        if self.is_complete() {
            return Ok(Progress::Complete);
        }
        self.received = self.received.saturating_add(1);
        let index = n - 1;
        let coded = n > self.parity.nb_frag();
        if coded && self.lost.is_none() && !self.use_coded() {
            return Ok(Progress::TooManyLost(self.missing()));
        }
        if self.lost.is_some() {
            self.scratch.piece.copy_from_slice(data);
            self.combine(n, coded);
        } else if insert(self.scratch.present, index) {
            if let Some(place) = piece_mut(self.block, index, data.len()) {
                place.copy_from_slice(data);
            }
            self.uncoded += 1;
        }
        Ok(if self.is_complete() { Progress::Complete } else { Progress::Missing(self.missing()) })
    }

    /// Whether the block is complete.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing() == 0
    }

    /// Fragments that are still needed.
    #[must_use]
    pub const fn missing(&self) -> u16 {
        self.parity.nb_frag() - self.uncoded - self.rank
    }

    /// Fragments taken so far (NbFragReceived), useless and repeated ones included.
    #[must_use]
    pub const fn received(&self) -> u16 {
        self.received
    }

    /// The block, padding included, when it is complete.
    #[must_use]
    pub fn block(&self) -> Option<&[u8]> {
        self.is_complete().then_some(&*self.block)
    }

    /// From now on equations over the lost fragments are collected; `false` if those are too many.
    fn use_coded(&mut self) -> bool {
        let lost = self.missing();
        if lost > self.max_lost {
            return false;
        }
        let present = &*self.scratch.present;
        let absent = (0..self.parity.nb_frag()).filter(|&index| !contains(present, index));
        for (slot, index) in self.scratch.missing.chunks_exact_mut(2).zip(absent) {
            slot.copy_from_slice(&index.to_le_bytes());
        }
        self.lost = Some(lost);
        true
    }

    fn lost_indices(missing: &[u8], lost: Option<u16>) -> impl Iterator<Item = (u16, u16)> + '_ {
        let pairs = missing.chunks_exact(2).map(|pair| match pair {
            &[low, high] => u16::from_le_bytes([low, high]),
            _ => 0,
        });
        (0..lost.unwrap_or(0)).zip(pairs)
    }

    /// Adds the equation of fragment `n`, which lies in `piece`.
    fn combine(&mut self, n: u16, coded: bool) {
        let size = self.scratch.piece.len();
        let Scratch { present, row, missing, matrix, line, piece } = &mut self.scratch;
        if coded {
            self.parity.row(n, row);
        } else {
            row.fill(0);
            insert(row, n - 1);
        }
        // What is known leaves the equation ...
        for (index, known) in (0..).zip(self.block.chunks_exact(size)) {
            if contains(row, index) && contains(present, index) {
                xor(piece, known);
            }
        }
        // ... and the lost fragments are its unknowns.
        line.fill(0);
        for (column, index) in Self::lost_indices(missing, self.lost) {
            if contains(row, index) {
                insert(line, column);
            }
        }
        let width = line.len();
        for (column, index) in Self::lost_indices(missing, self.lost) {
            if !contains(line, column) {
                continue;
            }
            let (Some(pivot), Some(place)) =
                (piece_mut(matrix, column, width), piece_mut(self.block, index, size))
            else {
                return;
            };
            if contains(pivot, column) {
                xor(line, pivot);
                xor(piece, place);
            } else {
                pivot.copy_from_slice(line);
                place.copy_from_slice(piece);
                self.rank += 1;
                break;
            }
        }
        if self.is_complete() {
            self.solve();
        }
    }

    /// Resolves the triangle from its last row up.
    fn solve(&mut self) {
        let size = self.scratch.piece.len();
        let width = self.scratch.line.len();
        let Scratch { missing, matrix, line, piece, .. } = &mut self.scratch;
        let lost = self.lost.unwrap_or(0);
        let index_of = |column: u16| {
            Self::lost_indices(missing, Some(lost)).nth(column.into()).map_or(0, |(_, index)| index)
        };
        for column in (0..lost).rev() {
            if let Some(pivot) = piece_mut(matrix, column, width) {
                line.copy_from_slice(pivot);
            }
            piece.fill(0);
            for known in (column + 1)..lost {
                if contains(line, known) {
                    if let Some(place) = piece_mut(self.block, index_of(known), size) {
                        xor(piece, place);
                    }
                }
            }
            if let Some(place) = piece_mut(self.block, index_of(column), size) {
                xor(place, piece);
            }
        }
    }
}

/// The `index`-th piece of `size` bytes.
fn piece_mut(all: &mut [u8], index: u16, size: usize) -> Option<&mut [u8]> {
    let start = usize::from(index) * size;
    all.get_mut(start..start + size)
}
