//! What runs inside the cipher, in one call of it.

use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockSizeUser, ParBlocks,
};

use super::{Block, nth_block};
use crate::bytes::{Lanes, block, lanes, load, load_short, store, store_short, xor};
use crate::cmac;
use crate::crypto::MAX_PHY_PAYLOAD;

/// A block on its way into the cipher. Blocks are made of integers just before they are used;
/// passed as 16 bytes, a block is written in halves and read back as a whole, for which
/// processors wait until all earlier work is done (20 ns of 50 when measured). Rotating both halves
/// keeps the compiler from joining the two reads.
#[derive(Clone, Copy)]
pub(super) struct Halves(u64, u64);

impl Halves {
    const TURN: u32 = 8;

    #[inline(always)]
    pub(super) fn new([low, high]: Lanes) -> Self {
        Self(low.rotate_left(Self::TURN), high.rotate_left(Self::TURN))
    }

    #[inline(always)]
    fn lanes(self) -> Lanes {
        [self.0.rotate_right(Self::TURN), self.1.rotate_right(Self::TURN)]
    }

    #[inline(always)]
    fn block(self) -> Block {
        block(self.lanes())
    }
}

/// The whole CMAC in one call of the cipher, so that the choice of AES implementation is made
/// once per message and not once per block.
pub(super) struct CmacInBackend<'a> {
    pub(super) subkeys: &'a cmac::Subkeys,
    pub(super) head: Option<Halves>,
    pub(super) message: &'a [u8],
    pub(super) tag: &'a mut Block,
}

impl BlockSizeUser for CmacInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for CmacInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let encrypt = |block: &mut Block| {
            backend.encrypt_block_inplace(block.into());
            Ok::<(), core::convert::Infallible>(())
        };
        let head = self.head.map(Halves::block);
        let Ok(tag) = cmac::compute(encrypt, self.subkeys, head, self.message);
        *self.tag = tag;
    }
}

/// One block, or two of which the second waits for the first: the CMAC of a short message.
pub(super) struct ChainInBackend<'a> {
    pub(super) head: Option<Halves>,
    /// Padded, and with its subkey.
    pub(super) last: Halves,
    pub(super) tag: &'a mut Block,
}

impl BlockSizeUser for ChainInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for ChainInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = self.last.block();
        if let Some(head) = self.head {
            let mut first = head.block();
            backend.encrypt_block_inplace((&mut first).into());
            state = block(xor(lanes(&first), self.last.lanes()));
        }
        backend.encrypt_block_inplace((&mut state).into());
        *self.tag = state;
    }
}

/// One block, decrypted.
pub(super) struct DecryptInBackend<'a> {
    pub(super) input: Halves,
    pub(super) output: &'a mut Block,
}

impl BlockSizeUser for DecryptInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for DecryptInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = self.input.block();
        backend.decrypt_block_inplace((&mut state).into());
        *self.output = state;
    }
}

/// The whole key stream in one call of the cipher; blocks are made, encrypted and used without
/// a buffer for all of them.
pub(super) struct StreamInBackend<'a> {
    pub(super) first: Halves,
    pub(super) input: &'a [u8],
    pub(super) output: &'a mut [u8],
}

impl BlockSizeUser for StreamInBackend<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for StreamInBackend<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self { first, input, output } = self;
        let len = input.len().min(output.len());
        let (Some(mut input), Some(mut output)) = (input.get(..len), output.get_mut(..len)) else {
            return;
        };
        let mut i = 0u8;
        let mut next = || {
            let block = nth_block(&first.block(), i);
            i = i.wrapping_add(1);
            block
        };
        let group = 16 * B::ParBlocksSize::USIZE;
        // A backend of more blocks at once than a frame has would set up for them in vain.
        if group <= MAX_PHY_PAYLOAD && len >= group {
            let mut inputs = input.chunks_exact(group);
            let mut outputs = output.chunks_exact_mut(group);
            for (input, output) in (&mut inputs).zip(&mut outputs) {
                let mut stream = ParBlocks::<B>::default();
                for block in &mut stream {
                    *block = next().into();
                }
                backend.encrypt_par_blocks_inplace(&mut stream);
                let blocks = input.chunks_exact(16).zip(output.chunks_exact_mut(16));
                for ((input, output), block) in blocks.zip(&stream) {
                    store(xor(load(input), lanes(&(*block).into())), output);
                }
            }
            (input, output) = (inputs.remainder(), outputs.into_remainder());
        }
        while !input.is_empty() {
            let mut stream = next().into();
            backend.encrypt_block_inplace(&mut stream);
            let stream = lanes(&stream.into());
            let Some((from, from_rest)) = input.split_first_chunk() else {
                return store_short(xor(load_short(input), stream), output);
            };
            let Some((to, to_rest)) = output.split_first_chunk_mut() else { return };
            *to = block(xor(lanes(from), stream));
            (input, output) = (from_rest, to_rest);
        }
    }
}
