//! A Join-Accept as received, encrypted, and decrypted.

use super::clear::{Clear, LONG, SHORT, Signing};
use super::{JoinAccept, JoinContext};
use crate::crypto::Mic;
use crate::error::{Error, ErrorKind, Part, Place};
use crate::keys::{JoinKey, JsEncKey, JsIntKey, KeyHandle};
use crate::phy::{FType, PhyPayload, expect};

/// A Join-Accept as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedJoinAccept<'a> {
    bytes: &'a [u8],
}

impl<'a> EncryptedJoinAccept<'a> {
    /// Checks type and length; all else is encrypted.
    ///
    /// # Errors
    /// Any other length than 17 or 33 bytes, and what [`PhyPayload::classify`] refuses.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(PhyPayload::classify(bytes)?, bytes)
    }

    pub(crate) fn read(ftype: FType, bytes: &'a [u8]) -> Result<Self, Error> {
        expect(ftype, FType::JoinAccept)?;
        let what = Part::JoinAccept;
        let kind = match bytes.len() {
            SHORT | LONG => return Ok(Self { bytes }),
            0..SHORT => ErrorKind::TooShort { what, needed: SHORT as u8 },
            len @ 18..LONG => ErrorKind::Length { what, found: len as u8 },
            _ => ErrorKind::TooLong { what, max: LONG as u8 },
        };
        Err(Error::new(kind, Place::JOIN_ACCEPT, bytes.len()))
    }

    /// The whole frame, encrypted.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Decrypts the answer to a Join-Request: AppKey on a 1.0 device, NwkKey on a 1.1 device.
    /// Whether the key was right, only the MIC says: verify it next.
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn decrypt<K: JoinKey>(&self, key: &K) -> Result<DecryptedJoinAccept, Error> {
        self.decrypt_with(key.handle())
    }

    /// Decrypts the answer to a Rejoin-Request.
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn decrypt_rejoin<K: KeyHandle>(
        &self,
        key: &JsEncKey<K>,
    ) -> Result<DecryptedJoinAccept, Error> {
        self.decrypt_with(&key.0)
    }

    #[inline]
    fn decrypt_with<K: KeyHandle>(&self, key: &K) -> Result<DecryptedJoinAccept, Error> {
        let (bytes, len) = self.clear(key)?.to_bytes();
        Ok(DecryptedJoinAccept { bytes, len: len as u8 })
    }

    #[inline(always)]
    fn clear<K: KeyHandle>(&self, key: &K) -> Result<Clear, Error> {
        // The length was checked when the frame was parsed.
        let length = ErrorKind::TooShort { what: Part::JoinAccept, needed: SHORT as u8 };
        let sealed = Clear::from_bytes(self.bytes).ok_or(Error::new(
            length,
            Place::JOIN_ACCEPT,
            self.bytes.len(),
        ))?;
        sealed.through(|blocks| key.encrypt(blocks))
    }

    /// Decrypts and checks the answer that a 1.0 network gives (OptNeg = 0).
    ///
    /// # Errors
    /// [`ErrorKind::Mic`]: the frame is not for this device, or altered. OptNeg set, on a 1.1 device
    /// (then use [`EncryptedJoinAccept::decrypt`] and [`DecryptedJoinAccept::verify_v1_1`]).
    #[inline]
    pub fn open<K: JoinKey>(&self, key: &K) -> Result<JoinAccept, Error> {
        let clear = self.clear(key.handle())?;
        let opt_neg = clear.accept().dl_settings.opt_neg && !K::KNOWS_OPT_NEG;
        clear.verify(opt_neg, &Signing::Plain(key.handle()))
    }
}

/// A Join-Accept in clear whose MIC is not checked yet. A wrong key gives random fields.
#[derive(Clone)]
pub struct DecryptedJoinAccept {
    bytes: [u8; LONG],
    len: u8,
}

impl core::fmt::Debug for DecryptedJoinAccept {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("DecryptedJoinAccept").field(&self.bytes()).finish()
    }
}

impl DecryptedJoinAccept {
    /// MHDR, body and MIC in clear.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The MIC as received.
    pub fn mic(&self) -> Mic {
        self.bytes().last_chunk().copied().unwrap_or_default()
    }

    /// The network says that it speaks 1.1, so the MIC is that of 1.1.
    pub fn opt_neg(&self) -> bool {
        // MHDR, JoinNonce, NetID and DevAddr come before.
        self.bytes[11] & 0x80 != 0
    }

    /// The fields before the MIC is checked: for tools that show what there is.
    ///
    /// # Errors
    /// None for bytes that came from [`EncryptedJoinAccept`].
    pub fn unverified(&self) -> Result<JoinAccept, Error> {
        Ok(self.clear()?.accept())
    }

    #[inline]
    fn clear(&self) -> Result<Clear, Error> {
        let length = ErrorKind::TooShort { what: Part::JoinAccept, needed: SHORT as u8 };
        Clear::from_bytes(self.bytes()).ok_or(Error::new(length, Place::JOIN_ACCEPT, 0))
    }

    /// Checks the MIC of a 1.0 join-accept (OptNeg = 0) with the root key.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`], and what the key handle reports. OptNeg set is [`ErrorKind::OutOfRange`]
    /// on a 1.1 device (NwkKey), whose MIC must then be that of 1.1.
    #[inline]
    pub fn verify<K: JoinKey>(&self, key: &K) -> Result<JoinAccept, Error> {
        let opt_neg = self.opt_neg() && !K::KNOWS_OPT_NEG;
        self.clear()?.verify(opt_neg, &Signing::Plain(key.handle()))
    }

    /// Checks the MIC of a 1.1 join-accept (OptNeg = 1) with the JSIntKey and the request.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`], and what the key handle reports. OptNeg not set is not 1.1:
    /// [`ErrorKind::OutOfRange`].
    #[inline]
    pub fn verify_v1_1<K: KeyHandle>(
        &self,
        key: &JsIntKey<K>,
        context: &JoinContext,
    ) -> Result<JoinAccept, Error> {
        self.clear()?.verify(true, &Signing::Bound(&key.0, context))
    }
}
