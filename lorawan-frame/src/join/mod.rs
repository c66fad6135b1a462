//! Join-Request and Join-Accept (sections 6.2.2 and 6.2.3).

mod accept;
mod cf_list;
mod clear;
mod received;
mod request;

use crate::crypto::{Mic, check_mic, truncated};
use crate::error::Error;
use crate::keys::KeyHandle;
use crate::phy::Received;

pub use accept::{DlSettings, JoinAccept, JoinContext, JoinReqType};
pub use cf_list::{CfList, CfListKind};
pub use received::{DecryptedJoinAccept, EncryptedJoinAccept};
pub use request::JoinRequest;

/// Writes the MIC over all but the last four bytes into those.
pub(crate) fn sign<K: KeyHandle>(key: &K, frame: &mut [u8]) -> Result<(), Error> {
    if let Some((message, mic)) = frame.split_last_chunk_mut() {
        *mic = truncated(key, None, message)?;
    }
    Ok(())
}

impl<T> Received<'_, T> {
    /// The MIC that the frame should have under `key`.
    pub(crate) fn mic_under<K: KeyHandle>(&self, key: &K) -> Result<Mic, Error> {
        truncated(key, None, self.signed_bytes())
    }

    pub(crate) fn verify_under<K: KeyHandle>(&self, key: &K) -> Result<(), Error> {
        check_mic(self.mic_under(key)?, self.mic(), self.signed_bytes().len())
    }
}
