//! AES key wrap (RFC 3394): how servers hand session keys to each other (Backend Interfaces).

use aes::cipher::array::Array;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use zeroize::Zeroize;

use crate::error::{Error, ErrorKind, Part, Place, room};
use crate::keys::Block;

/// A key-encryption key: 128, 192 or 256 bits. Wiped when dropped, never printed.
pub struct Kek(Cipher);

enum Cipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl core::fmt::Debug for Kek {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Kek(..)")
    }
}

/// The check value of RFC 3394 section 2.2.3.1.
const INITIAL: [u8; 8] = [0xa6; 8];

impl Kek {
    /// From 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// Any other length.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        let cipher = if let Ok(key) = <&[u8; 16]>::try_from(bytes) {
            Cipher::Aes128(Aes128::new(key.into()))
        } else if let Ok(key) = <&[u8; 24]>::try_from(bytes) {
            Cipher::Aes192(Aes192::new(key.into()))
        } else if let Ok(key) = <&[u8; 32]>::try_from(bytes) {
            Cipher::Aes256(Aes256::new(key.into()))
        } else {
            return Err(length(bytes.len()));
        };
        Ok(Self(cipher))
    }

    fn encrypt(&self, block: &mut Block) {
        let block = Array::cast_from_core_mut(block);
        match &self.0 {
            Cipher::Aes128(cipher) => cipher.encrypt_block(block),
            Cipher::Aes192(cipher) => cipher.encrypt_block(block),
            Cipher::Aes256(cipher) => cipher.encrypt_block(block),
        }
    }

    fn decrypt(&self, block: &mut Block) {
        let block = Array::cast_from_core_mut(block);
        match &self.0 {
            Cipher::Aes128(cipher) => cipher.decrypt_block(block),
            Cipher::Aes192(cipher) => cipher.decrypt_block(block),
            Cipher::Aes256(cipher) => cipher.decrypt_block(block),
        }
    }

    /// Wraps key data (a multiple of 8 bytes, 16 to 240) into the front of `buf`, which needs 8
    /// bytes more.
    ///
    /// ```
    /// use lorawan_frame::Kek;
    ///
    /// let kek = Kek::new(&[1; 32])?;
    /// let mut wrapped = [0; 24];
    /// kek.wrap(&[7; 16], &mut wrapped)?;
    /// let mut key = [0; 16];
    /// assert_eq!(kek.unwrap(&wrapped, &mut key)?, [7; 16]);
    /// # Ok::<(), lorawan_frame::Error>(())
    /// ```
    ///
    /// # Errors
    /// Key data of another length, or a buffer too short.
    pub fn wrap<'b>(&self, key_data: &[u8], buf: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        let count = blocks(key_data.len(), 2, 30)?;
        let out = room(buf, key_data.len() + 8)?;
        let (first, registers) = out.split_at_mut(8);
        registers.copy_from_slice(key_data);
        let mut a = INITIAL;
        for round in 0..6 {
            for (i, register) in (1..).zip(registers.chunks_exact_mut(8)) {
                let mut block = joined(a, register);
                self.encrypt(&mut block);
                split(&block, &mut a, register);
                count_in(&mut a, count * round + i);
                block.zeroize();
            }
        }
        first.copy_from_slice(&a);
        Ok(out)
    }

    /// Unwraps into the front of `buf`, which needs 8 bytes fewer than `wrapped` has.
    ///
    /// # Errors
    /// [`ErrorKind::KeyWrap`] when the check value is wrong (another KEK, or altered bytes; `buf`
    /// is wiped then); a length that is no multiple of 8 from 24 to 248; a buffer too short.
    pub fn unwrap<'b>(&self, wrapped: &[u8], buf: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        let count = blocks(wrapped.len(), 3, 31)? - 1;
        let (first, rest) = wrapped.split_first_chunk::<8>().ok_or(length(wrapped.len()))?;
        let out = room(buf, rest.len())?;
        out.copy_from_slice(rest);
        let mut a = *first;
        for round in (0..6).rev() {
            for (i, register) in out.chunks_exact_mut(8).enumerate().rev() {
                count_in(&mut a, count * round + i + 1);
                let mut block = joined(a, register);
                self.decrypt(&mut block);
                split(&block, &mut a, register);
                block.zeroize();
            }
        }
        let difference = u64::from_ne_bytes(a) ^ u64::from_ne_bytes(INITIAL);
        if core::hint::black_box(difference) != 0 {
            out.zeroize();
            return Err(Error::new(ErrorKind::KeyWrap, Place::WRAPPED_KEY, 0));
        }
        Ok(out)
    }
}

fn length(found: usize) -> Error {
    let kind = ErrorKind::Length { what: Part::Key, found: found.min(255) as u8 };
    Error::new(kind, Place::WRAPPED_KEY, 0)
}

/// 8-byte blocks of a legal length.
fn blocks(len: usize, least: usize, most: usize) -> Result<usize, Error> {
    let count = len / 8;
    if len % 8 == 0 && (least..=most).contains(&count) { Ok(count) } else { Err(length(len)) }
}

fn joined(a: [u8; 8], register: &[u8]) -> Block {
    let mut block = [0; 16];
    for (slot, byte) in block.iter_mut().zip(a.iter().chain(register)) {
        *slot = *byte;
    }
    block
}

fn split(block: &Block, a: &mut [u8; 8], register: &mut [u8]) {
    let (high, low) = block.split_at(8);
    a.copy_from_slice(high);
    register.copy_from_slice(low);
}

/// A = A ^ t, t being the number of the step.
fn count_in(a: &mut [u8; 8], step: usize) {
    *a = (u64::from_be_bytes(*a) ^ step as u64).to_be_bytes();
}
