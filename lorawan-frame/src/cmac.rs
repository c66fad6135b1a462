//! AES-CMAC (RFC 4493), written over any way to encrypt one block.
//!
//! Not the `cmac` crate: that one derives its two subkeys anew for each message (one more AES
//! block) and keeps a buffer for streaming; a LoRaWAN MIC is over 1 to 17 blocks that are all
//! there. The tests compare it with the `cmac` crate.

use zeroize::Zeroize;

use crate::bytes::{Lanes, block, keep, lanes, load, xor};
use crate::keys::Block;

/// The two subkeys of RFC 4493 section 2.3.
#[derive(Clone)]
pub(crate) struct Subkeys {
    complete: Block,
    padded: Block,
}

impl Subkeys {
    /// From the encryption of the zero block.
    pub(crate) fn new(mut encrypted_zero: Block) -> Self {
        let complete = double(encrypted_zero);
        let padded = double(complete);
        encrypted_zero.zeroize();
        Self { complete, padded }
    }
}

impl Drop for Subkeys {
    fn drop(&mut self) {
        self.complete.zeroize();
        self.padded.zeroize();
    }
}

/// Multiplies by x in GF(2^128), without a branch on the secret.
fn double(block: Block) -> Block {
    let value = u128::from_be_bytes(block);
    let carry = (value >> 127).wrapping_neg();
    (value << 1 ^ carry & 0x87).to_be_bytes()
}

/// The 16-byte tag over `head` (if any) and `message`.
#[inline(always)]
pub(crate) fn compute<E>(
    mut encrypt: impl FnMut(&mut Block) -> Result<(), E>,
    subkeys: &Subkeys,
    head: Option<Block>,
    message: &[u8],
) -> Result<Block, E> {
    let mut state = [0; 16];
    let mut message = message;
    if let Some(head) = head {
        state = head;
        if message.is_empty() {
            state = block(xor(lanes(&state), lanes(&subkeys.complete)));
            encrypt(&mut state)?;
            return Ok(state);
        }
        encrypt(&mut state)?;
    }
    // All blocks but the last: the last is the one that a subkey goes into.
    while message.len() > 16 {
        let Some((next, rest)) = message.split_first_chunk() else { break };
        state = block(xor(lanes(&state), lanes(next)));
        encrypt(&mut state)?;
        message = rest;
    }
    let last = match <&Block>::try_from(message) {
        Ok(last) => xor(lanes(last), lanes(&subkeys.complete)),
        Err(_) => xor(padded(message), lanes(&subkeys.padded)),
    };
    state = block(xor(lanes(&state), last));
    encrypt(&mut state)?;
    Ok(state)
}

/// The last bytes, fewer than 16, and one 1 bit after them.
#[inline(always)]
fn padded(message: &[u8]) -> Lanes {
    xor(load(message), end_bit(message.len()))
}

/// The 1 bit that follows `len` bytes, fewer than 16.
#[inline(always)]
const fn end_bit(len: usize) -> Lanes {
    let bit = 0x80 << (8 * (len as u32 % 8));
    if len < 8 { [bit, 0] } else { [0, bit] }
}

/// The last block of a message as it goes into the state: the first `len` bytes of `last`, padded,
/// and the subkey.
#[inline(always)]
pub(crate) fn last_block(subkeys: &Subkeys, last: Lanes, len: usize) -> Lanes {
    if len >= 16 {
        return xor(last, lanes(&subkeys.complete));
    }
    xor(xor(keep(last, len), end_bit(len)), lanes(&subkeys.padded))
}

/// One CMAC among others that advance in turn.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'a> {
    head: Block,
    /// All blocks but the last.
    whole: &'a [u8],
    last: Lanes,
}

impl<'a> Chain<'a> {
    /// `message` is not empty.
    #[inline(always)]
    pub(crate) fn new(subkeys: &Subkeys, head: Block, message: &'a [u8]) -> Self {
        let (whole, end) = message.split_at(message.len().saturating_sub(1) / 16 * 16);
        let last = match <&Block>::try_from(end) {
            Ok(end) => xor(lanes(end), lanes(&subkeys.complete)),
            Err(_) => xor(padded(end), lanes(&subkeys.padded)),
        };
        Self { head, whole, last }
    }

    /// What goes into the state before encryption number `step` (the head is number 0).
    #[inline(always)]
    fn input(&self, step: usize) -> Option<Lanes> {
        match self.whole.get(16 * (step - 1)..).and_then(|rest| rest.first_chunk()) {
            Some(block) => Some(lanes(block)),
            None => (16 * (step - 1) == self.whole.len()).then_some(self.last),
        }
    }
}

/// The tags of all chains; `encrypt` encrypts each state with the key of its chain.
#[inline(always)]
pub(crate) fn compute_lanes<const N: usize>(
    mut encrypt: impl FnMut(&mut [Block; N]),
    chains: [Chain<'_>; N],
    tags: &mut [Block; N],
) {
    let mut states = chains.map(|chain| chain.head);
    encrypt(&mut states);
    let steps = chains.iter().map(|chain| chain.whole.len() / 16 + 1).max().unwrap_or(0);
    for step in 1..=steps {
        let mut live = [false; N];
        for ((state, chain), live) in states.iter_mut().zip(&chains).zip(&mut live) {
            if let Some(input) = chain.input(step) {
                *state = block(xor(lanes(state), input));
                *live = true;
            }
        }
        encrypt(&mut states);
        // A chain that has ended goes on without purpose until the longest has.
        for ((tag, state), live) in tags.iter_mut().zip(&states).zip(live) {
            if live {
                *tag = *state;
            }
        }
    }
}
