//! The 16 bytes.

use core::fmt;
use core::str::FromStr;

use aes::cipher::array::Array;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Dec, Aes128Enc};
use zeroize::Zeroize;

use super::backend::{Halves, StreamInBackend};
use super::{Block, ExpandedKey, ExpandedServerKey, KeyHandle, ServerKeyHandle};
use crate::bytes::lanes;
use crate::error::{Error, Place};

/// The 16 bytes of a key, in the order in which they are written. Keys are byte strings: unlike
/// identifiers they are never reversed.
///
/// Usable as it is ([`KeyHandle`]); every use expands it anew. Keep an [`ExpandedKey`] where
/// speed counts. Wiped when dropped; `Debug` prints no byte of it.
#[derive(Clone)]
pub struct Key([u8; 16]);

impl Key {
    /// From its bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret itself, for storage that is worth of it.
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// Computes the round keys and CMAC subkeys once.
    pub fn expand(&self) -> ExpandedKey {
        ExpandedKey::new(self)
    }

    /// [`Key::expand`], and the round keys of decryption too: for servers.
    pub fn expand_server(&self) -> ExpandedServerKey {
        ExpandedServerKey::new(self)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Key {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        u128::from_ne_bytes(self.0) ^ u128::from_ne_bytes(other.0) == 0
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl From<[u8; 16]> for Key {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Key {
    type Err = Error;

    /// Reads 32 hexadecimal digits, first byte first.
    ///
    /// # Errors
    /// As for the identifiers; the text itself is not repeated in the error.
    fn from_str(text: &str) -> Result<Self, Error> {
        crate::types::parse_hex(text, Place::KEY).map(Self)
    }
}

impl KeyHandle for Key {
    fn encrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        Aes128Enc::new(&self.0.into()).encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        Ok(())
    }

    fn cmac(&self, head: Option<&Block>, message: &[u8]) -> Result<Block, Error> {
        self.expand().cmac(head, message)
    }

    fn xor_key_stream(&self, first: &Block, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        Aes128Enc::new(&self.0.into()).encrypt_with_backend(StreamInBackend {
            first: Halves::new(lanes(first)),
            input,
            output,
        });
        Ok(())
    }
}

impl ServerKeyHandle for Key {
    fn decrypt(&self, blocks: &mut [Block]) -> Result<(), Error> {
        Aes128Dec::new(&self.0.into()).decrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        Ok(())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::types::TextVisitor(core::marker::PhantomData))
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Key {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Key(..)");
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Key {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u.arbitrary().map(Self)
    }
}
