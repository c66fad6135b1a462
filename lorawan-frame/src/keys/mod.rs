//! AES-128 keys: bytes that are wiped and never printed, expanded forms that can be kept, and
//! the trait behind which a secure element or a server's key store can stand.

mod backend;
mod expanded;
mod key;
mod session;

use crate::bytes::{block, lanes};
use crate::cmac;
use crate::error::Error;

pub use expanded::{ExpandedKey, ExpandedServerKey};
pub use key::Key;
pub use session::{
    AppKey, AppSKey, DataBlockIntKey, FNwkSIntKey, GenAppKey, JoinKey, JsEncKey, JsIntKey,
    McAppSKey, McKeKey, McKey, McNetSKey, McRootKey, NetworkKeys, NwkKey, NwkSEncKey, NwkSKey,
    RootWorSKey, SNwkSIntKey, SessionKeys, WorSEncKey, WorSIntKey,
};

/// One AES block.
pub type Block = [u8; 16];

/// What a device needs of a key: AES-128 encryption and CMAC. Implement it for a secure element,
/// a hardware AES or a remote key store; [`Key`] and [`ExpandedKey`] are the software forms.
///
/// Failures are reported with [`Error::key_fault`]. To derive a session key inside the key store,
/// feed it the block from [`derivation`](crate::derivation).
pub trait KeyHandle {
    /// Encrypts each block by itself (ECB).
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error>;

    /// AES-CMAC (RFC 4493) over `head` (16 bytes, or nothing) followed by `message`.
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        let encrypt = |block: &mut Block| self.encrypt(core::slice::from_mut(block));
        let mut zero = [0; 16];
        encrypt(&mut zero)?;
        let subkeys = cmac::Subkeys::new(zero);
        cmac::compute(encrypt, &subkeys, head.copied(), message)
    }

    /// [`KeyHandle::cmac`] over `head` (16 bytes, or nothing) followed by the first `len` bytes (at
    /// most 16) of `last`: join frames, whose few bytes then need not be written and read again.
    /// The provided form calls `cmac`.
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    #[inline]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        self.cmac(head, last.get(..len).unwrap_or(last))
    }

    /// XORs `input` (at most 255 bytes) with the encryptions of `first`, `first` + 1, ... into
    /// `output`, as much as both have. The last byte of the block counts.
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        const GROUP: usize = 16 * STREAM_BLOCKS;
        let mut i = 0u8;
        let len = input.len().min(output.len());
        let (Some(input), Some(output)) = (input.get(..len), output.get_mut(..len)) else {
            return Ok(());
        };
        for (input, output) in input.chunks(GROUP).zip(output.chunks_mut(GROUP)) {
            let mut stream = [[0; 16]; STREAM_BLOCKS];
            let used = stream.get_mut(..input.len().div_ceil(16)).unwrap_or(&mut []);
            for block in used.iter_mut() {
                *block = nth_block(first, i);
                i = i.wrapping_add(1);
            }
            self.encrypt(used)?;
            for ((output, input), stream) in output.iter_mut().zip(input).zip(used.as_flattened()) {
                *output = input ^ stream;
            }
        }
        Ok(())
    }
}

/// One call of the key store for all but the longest payloads.
const STREAM_BLOCKS: usize = 8;

/// The block with `i` added to its last byte.
#[inline(always)]
fn nth_block(first: &Block, i: u8) -> Block {
    let [low, high] = lanes(first);
    block([low, high.wrapping_add(u64::from(i) << 56)])
}

/// What a server needs besides: AES-128 decryption, with which join-accepts and multicast keys
/// are made, so that a device gets along with encryption only (section 6.2.3).
pub trait ServerKeyHandle: KeyHandle {
    /// Decrypts each block by itself (ECB).
    ///
    /// # Errors
    /// Whatever the key store reports; the software keys never fail.
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error>;
}

impl<K: KeyHandle + ?Sized> KeyHandle for &K {
    #[inline]
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        (**self).encrypt(blocks)
    }

    #[inline]
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        (**self).cmac(head, message)
    }

    #[inline]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        (**self).cmac_short(head, last, len)
    }

    #[inline]
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        (**self).xor_key_stream(first, input, output)
    }
}

impl<K: ServerKeyHandle + ?Sized> ServerKeyHandle for &K {
    #[inline]
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        (**self).decrypt(blocks)
    }
}
