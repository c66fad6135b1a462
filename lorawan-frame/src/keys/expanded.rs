//! Keys whose round keys and CMAC subkeys are computed.

use core::fmt;

use aes::cipher::array::Array;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Dec, Aes128Enc};

use super::backend::{ChainInBackend, CmacInBackend, DecryptInBackend, Halves, StreamInBackend};
use super::{Block, Key, KeyHandle, ServerKeyHandle};
use crate::bytes::lanes;
use crate::cmac;
use crate::error::Error;

/// A key with its round keys and CMAC subkeys computed. About 200 bytes with a hardware AES only,
/// more where the portable implementation is compiled in as well. Wiped when dropped.
#[derive(Clone)]
pub struct ExpandedKey {
    cipher: Aes128Enc,
    subkeys: cmac::Subkeys,
}

impl ExpandedKey {
    /// Expands `key`.
    pub fn new(key: &Key) -> Self {
        let cipher = Aes128Enc::new(&(*key.expose()).into());
        let mut zero = Array::default();
        cipher.encrypt_block(&mut zero);
        Self { cipher, subkeys: cmac::Subkeys::new(zero.into()) }
    }

    #[inline]
    pub(crate) const fn cipher(&self) -> &Aes128Enc {
        &self.cipher
    }

    #[inline]
    pub(crate) const fn subkeys(&self) -> &cmac::Subkeys {
        &self.subkeys
    }
}

impl fmt::Debug for ExpandedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpandedKey(..)")
    }
}

impl From<&Key> for ExpandedKey {
    fn from(key: &Key) -> Self {
        Self::new(key)
    }
}

impl KeyHandle for ExpandedKey {
    #[inline(always)]
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        let one = |tag: &mut Block| {
            let last = Halves::new(lanes(tag));
            self.cipher.encrypt_with_backend(ChainInBackend { head: None, last, tag });
        };
        match blocks {
            [block] => one(block),
            [first, second] => {
                one(first);
                one(second);
            }
            many => self.cipher.encrypt_blocks(Array::cast_slice_from_core_mut(many)),
        }
        Ok(())
    }

    #[inline(always)]
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        let mut tag = [0; 16];
        self.cipher.encrypt_with_backend(CmacInBackend {
            subkeys: &self.subkeys,
            head: head.map(|head| Halves::new(lanes(head))),
            message,
            tag: &mut tag,
        });
        Ok(tag)
    }

    #[inline(always)]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        if len == 0 {
            return self.cmac(head, &[]);
        }
        let last = cmac::last_block(&self.subkeys, lanes(last), len);
        let mut tag = [0; 16];
        self.cipher.encrypt_with_backend(ChainInBackend {
            head: head.map(|head| Halves::new(lanes(head))),
            last: Halves::new(last),
            tag: &mut tag,
        });
        Ok(tag)
    }

    #[inline(always)]
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        self.cipher.encrypt_with_backend(StreamInBackend {
            first: Halves::new(lanes(first)),
            input,
            output,
        });
        Ok(())
    }
}

/// An [`ExpandedKey`] that can also decrypt, as a server must ([`ServerKeyHandle`]). Wiped when
/// dropped.
#[derive(Clone)]
pub struct ExpandedServerKey {
    key: ExpandedKey,
    decipher: Aes128Dec,
}

impl ExpandedServerKey {
    pub(super) fn new(key: &Key) -> Self {
        Self { key: key.expand(), decipher: Aes128Dec::new(&(*key.expose()).into()) }
    }
}

impl fmt::Debug for ExpandedServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpandedServerKey(..)")
    }
}

impl KeyHandle for ExpandedServerKey {
    #[inline]
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        self.key.encrypt(blocks)
    }

    #[inline]
    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        self.key.cmac(head, message)
    }

    #[inline]
    fn cmac_short(&self, head: Option<&Block>, last: &Block, len: usize) -> Result<Block, Error> {
        self.key.cmac_short(head, last, len)
    }

    #[inline]
    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        self.key.xor_key_stream(first, input, output)
    }
}

impl ServerKeyHandle for ExpandedServerKey {
    #[inline(always)]
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        let one = |output: &mut Block| {
            let input = Halves::new(lanes(output));
            self.decipher.decrypt_with_backend(DecryptInBackend { input, output });
        };
        match blocks {
            [block] => one(block),
            [first, second] => {
                one(first);
                one(second);
            }
            many => self.decipher.decrypt_blocks(Array::cast_slice_from_core_mut(many)),
        }
        Ok(())
    }
}
