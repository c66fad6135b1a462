//! Parity rows: which fragments a coded fragment is the XOR of (TS004, annex).

use super::Version;

/// The forward error correction of one data block: `nb_frag` fragments of `frag_size` bytes.
///
/// ```
/// use lorawan_frame::package::Version;
/// use lorawan_frame::package::fragmentation::Parity;
///
/// // Server: the block first, then as many coded fragments as losses are expected.
/// let block = [7; 40];
/// let parity = Parity::new(Version::V1, 10, 4).unwrap();
/// let mut fragment = [0; 4];
/// assert!(parity.fragment(&block, 1, &mut fragment), "uncoded");
/// assert!(parity.fragment(&block, 11, &mut fragment), "the first coded one");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parity {
    version: Version,
    nb_frag: u16,
    frag_size: u8,
}

impl Parity {
    /// Most fragments in a block: FragmentNb has 14 bits.
    pub const MAX_FRAGMENTS: u16 = 0x3FFF;

    /// `None` when there are no fragments, too many, or they are empty.
    #[must_use]
    pub const fn new(version: Version, nb_frag: u16, frag_size: u8) -> Option<Self> {
        if nb_frag == 0 || nb_frag > Self::MAX_FRAGMENTS || frag_size == 0 {
            return None;
        }
        Some(Self { version, nb_frag, frag_size })
    }

    /// Fragments of the block.
    #[must_use]
    pub const fn nb_frag(&self) -> u16 {
        self.nb_frag
    }

    /// Bytes in a fragment.
    #[must_use]
    pub const fn frag_size(&self) -> u8 {
        self.frag_size
    }

    /// Bytes of the block, padding included.
    #[must_use]
    pub const fn block_len(&self) -> usize {
        self.nb_frag as usize * self.frag_size as usize
    }

    /// The fragments that coded fragment `n` (above `nb_frag`) combines, as a set of indices from
    /// 0 in `row`, which has a bit for each fragment.
    pub(super) fn row(&self, n: u16, row: &mut [u8]) {
        row.fill(0);
        let fragments = u32::from(self.nb_frag);
        let modulus = fragments + u32::from(fragments.is_power_of_two());
        let parity = u32::from(n.saturating_sub(self.nb_frag));
        let mut state = 1 + 1001 * parity;
        let mut wanted = fragments / 2;
        // Half of the fragments are found after about 0.7 draws for each fragment; the bound ends
        // a sequence that would go round in a circle, so that no input can stop a device.
        let mut draws = 64 * (fragments + 64);
        while wanted > 0 && draws > 0 {
            draws -= 1;
            state = prbs23(state);
            let index = state % modulus;
            if index >= fragments {
                continue;
            }
            let new = insert(row, index as u16);
            // Version 1 counts a fragment that is picked twice, version 2 picks another.
            if new || self.version == Version::V1 {
                wanted -= 1;
            }
        }
    }

    /// Fills `out` with fragment `n` of `block`: 1 to `nb_frag` are pieces of the block, those
    /// above are coded. `false`, and nothing written, when `n` is 0, `block` is not
    /// [`Parity::block_len`] or `out` not [`Parity::frag_size`] bytes long.
    #[must_use]
    pub fn fragment(&self, block: &[u8], n: u16, out: &mut [u8]) -> bool {
        let size = usize::from(self.frag_size);
        if n == 0 || block.len() != self.block_len() || out.len() != size {
            return false;
        }
        let mut pieces = block.chunks_exact(size);
        if n <= self.nb_frag {
            // There are `nb_frag` pieces: the lengths were compared above.
            return pieces
                .nth(usize::from(n) - 1)
                .map(|piece| out.copy_from_slice(piece))
                .is_some();
        }
        out.fill(0);
        let mut row = [0; Self::MAX_FRAGMENTS as usize / 8 + 1];
        self.row(n, &mut row);
        (0..).zip(pieces).filter(|&(index, _)| contains(&row, index)).for_each(|(_, piece)| {
            xor(out, piece);
        });
        true
    }
}

/// Whether the index is in a set that has a bit for each.
pub(super) fn contains(set: &[u8], index: u16) -> bool {
    set.get(usize::from(index / 8)).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Adds an index to a set; whether it is new.
pub(super) fn insert(set: &mut [u8], index: u16) -> bool {
    let bit = 1 << (index % 8);
    match set.get_mut(usize::from(index / 8)) {
        Some(byte) if *byte & bit == 0 => {
            *byte |= bit;
            true
        }
        _ => false,
    }
}

pub(super) fn xor(target: &mut [u8], source: &[u8]) {
    target.iter_mut().zip(source).for_each(|(a, b)| *a ^= b);
}

/// The pseudo-random binary sequence of 23 bits.
const fn prbs23(x: u32) -> u32 {
    let feedback = (x ^ x >> 5) & 1;
    (x >> 1).wrapping_add(feedback << 22)
}
