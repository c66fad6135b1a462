//! Short copies without a call: runs of fewer than 16 bytes as one integer, and a writer of
//! fixed-size fields.

use crate::keys::Block;

/// A block as two integers, the first byte as the lowest of the first.
pub(crate) type Lanes = [u64; 2];

/// A block as [`Lanes`].
#[inline(always)]
pub(crate) fn lanes(block: &Block) -> Lanes {
    let value = u128::from_le_bytes(*block);
    [value as u64, (value >> 64) as u64]
}

/// [`Lanes`] as a block.
#[inline(always)]
pub(crate) fn block([low, high]: Lanes) -> Block {
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

/// Fewer than 16 bytes, padded with zeros; from 16 bytes on, the first 16.
#[inline(always)]
pub(crate) fn load(bytes: &[u8]) -> Lanes {
    match bytes.first_chunk() {
        Some(block) => lanes(block),
        None => load_short(bytes),
    }
}

/// [`load`] of fewer than 16 bytes.
#[inline(always)]
pub(crate) fn load_short(bytes: &[u8]) -> Lanes {
    let len = bytes.len();
    // Two loads that overlap in the middle cover every length from one size to the next.
    if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Shifted in two steps, for a shift by 64 (8 bytes) is none.
        let high = u64::from_le_bytes(*high) >> 8 >> (8 * (15 - len));
        [u64::from_le_bytes(*low), high]
    } else if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let high = u64::from(u32::from_le_bytes(*high)) << (8 * (len - 4));
        [u64::from(u32::from_le_bytes(*low)) | high, 0]
    } else {
        [bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)), 0]
    }
}

/// The reverse of [`load`].
#[inline(always)]
pub(crate) fn store(value: Lanes, bytes: &mut [u8]) {
    match bytes.first_chunk_mut() {
        Some(slot) => *slot = block(value),
        None => store_short(value, bytes),
    }
}

/// [`store`] into fewer than 16 bytes.
#[inline(always)]
pub(crate) fn store_short([low, high]: Lanes, bytes: &mut [u8]) {
    let len = bytes.len();
    if let Some(slot) = bytes.first_chunk_mut() {
        *slot = low.to_le_bytes();
        if let Some(slot) = bytes.last_chunk_mut() {
            // The last 8 bytes: what is left of the low lane, and the high lane above it.
            let above = high << 8 << (8 * (15 - len));
            *slot = (low >> (8 * (len - 8)) | above).to_le_bytes();
        }
    } else if let Some(slot) = bytes.first_chunk_mut() {
        *slot = (low as u32).to_le_bytes();
        if let Some(slot) = bytes.last_chunk_mut() {
            *slot = ((low >> (8 * (len - 4))) as u32).to_le_bytes();
        }
    } else {
        for (byte, value) in bytes.iter_mut().zip(low.to_le_bytes()) {
            *byte = value;
        }
    }
}

/// Copies as much as both have.
#[inline(always)]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    let (mut from, mut to) = (from, to);
    while let (Some((block, from_rest)), true) = (from.split_first_chunk::<16>(), to.len() >= 16) {
        let Some((slot, to_rest)) = to.split_first_chunk_mut::<16>() else { return };
        *slot = *block;
        (from, to) = (from_rest, to_rest);
    }
    let len = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..len), to.get_mut(..len)) {
        store(load(from), to);
    }
}

/// XORs two blocks.
#[inline(always)]
pub(crate) const fn xor([a0, a1]: Lanes, [b0, b1]: Lanes) -> Lanes {
    [a0 ^ b0, a1 ^ b1]
}

/// The first `len` bytes, zeros after them.
#[inline(always)]
pub(crate) const fn keep([low, high]: Lanes, len: usize) -> Lanes {
    match len {
        0..8 => [low & !(u64::MAX << (8 * len)), 0],
        8..16 => [low, high & !(u64::MAX << (8 * (len - 8)))],
        _ => [low, high],
    }
}

/// All bytes one place further back with `byte` in front, and the byte that falls out.
#[inline(always)]
pub(crate) const fn push_front(byte: u8, [low, high]: Lanes) -> (Lanes, u8) {
    ([byte as u64 | low << 8, low >> 56 | high << 8], (high >> 56) as u8)
}

/// Writes fields of fixed size one after the other. What does not fit is not written: callers
/// have measured the room before.
pub(crate) struct Writer<'b>(pub(crate) &'b mut [u8]);

impl Writer<'_> {
    #[inline(always)]
    pub(crate) fn put<const N: usize>(mut self, field: [u8; N]) -> Self {
        self.0 = match self.0.split_first_chunk_mut() {
            Some((slot, rest)) => {
                *slot = field;
                rest
            }
            None => &mut [],
        };
        self
    }

    #[inline(always)]
    pub(crate) fn put_if<const N: usize>(self, field: Option<[u8; N]>) -> Self {
        match field {
            Some(field) => self.put(field),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{block, copy, keep, lanes, load, push_front, store};

    #[test]
    fn keep_and_push_front_move_whole_bytes() {
        let from: [u8; 16] = core::array::from_fn(|i| i as u8 + 1);
        for len in 0..=16 {
            assert_eq!(keep(lanes(&from), len), load(&from[..len]));
        }
        let (moved, out) = push_front(0, lanes(&from));
        assert_eq!(block(moved), core::array::from_fn(|i| i as u8));
        assert_eq!(out, 16);
    }

    #[test]
    fn every_length_is_copied_exactly() {
        let from: [u8; 40] = core::array::from_fn(|i| i as u8 + 1);
        for len in 0..=40 {
            let mut to = [0; 40];
            copy(&from[..len], &mut to[..len]);
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn load_pads_with_zeros_and_store_keeps_to_its_length() {
        let from: [u8; 16] = core::array::from_fn(|i| i as u8 + 1);
        for len in 0..=16 {
            let mut expected = [0; 16];
            expected[..len].copy_from_slice(&from[..len]);
            assert_eq!(block(load(&from[..len])), expected);
            let mut to = [0xff; 16];
            store(load(&from), &mut to[..len]);
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|byte| *byte == 0xff));
        }
    }
}
