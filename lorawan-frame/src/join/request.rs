//! Join-Request (section 6.2.2).

use crate::bytes::{Writer, block, load, push_front};
use crate::crypto::{Mic, check_mic, first_four};
use crate::error::{Error, Part, Place, room};
use crate::keys::{JoinKey, KeyHandle};
use crate::phy::{FType, PhyPayload, Received, exact, expect};
use crate::types::{DevEui, JoinEui};

const MIC_LEN: usize = 4;

/// A device asks to be let in. Sent in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct JoinRequest {
    /// The join server that knows the device (AppEUI in 1.0).
    pub join_eui: JoinEui,
    /// The device.
    pub dev_eui: DevEui,
    /// Never used twice: random up to 1.0.3, a counter that survives reboots from 1.0.4 on.
    pub dev_nonce: u16,
}

impl JoinRequest {
    /// Bytes of the frame, always.
    pub const LEN: usize = 23;

    /// Reads a Join-Request.
    ///
    /// # Errors
    /// Any other length than 23 bytes, and what [`PhyPayload::classify`] refuses.
    pub fn parse(bytes: &[u8]) -> Result<Received<'_, Self>, Error> {
        Self::read(PhyPayload::classify(bytes)?, bytes)
    }

    pub(crate) fn read(ftype: FType, bytes: &[u8]) -> Result<Received<'_, Self>, Error> {
        expect(ftype, FType::JoinRequest)?;
        let frame = exact::<{ Self::LEN }>(bytes, Part::JoinRequest, Place::JOIN_REQUEST)?;
        let [_, j0, j1, j2, j3, j4, j5, j6, j7, d0, d1, d2, d3, d4, d5, d6, d7, n0, n1, ..] =
            *frame;
        let content = Self {
            join_eui: JoinEui::from_wire([j0, j1, j2, j3, j4, j5, j6, j7]),
            dev_eui: DevEui::from_wire([d0, d1, d2, d3, d4, d5, d6, d7]),
            dev_nonce: u16::from_le_bytes([n0, n1]),
        };
        Ok(Received::new(content, bytes))
    }

    /// Signs the request with the root key (AppKey on a 1.0 device, NwkKey on a 1.1 device) and
    /// writes it into the front of `buf`.
    ///
    /// # Errors
    /// A buffer shorter than 23 bytes, and what the key handle reports.
    pub fn build_into<'b, K: JoinKey>(
        &self,
        key: &K,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        let out = room(buf, Self::LEN)?;
        // MHDR | JoinEUI | DevEUI, of which one byte falls out, and DevNonce.
        let euis = [self.join_eui.value(), self.dev_eui.value()];
        let (head, next) = push_front(FType::JoinRequest.mhdr(), euis);
        let end = u64::from(next) | u64::from(self.dev_nonce) << 8;
        let tag = key.handle().cmac_short(Some(&block(head)), &block([end, 0]), 3)?;
        let mic = u64::from(u32::from_le_bytes(first_four(&tag)));
        let [e0, e1, e2, m0, m1, m2, m3, _] = (end | mic << 24).to_le_bytes();
        Writer(out).put(block(head)).put([e0, e1, e2, m0, m1, m2, m3]);
        Ok(out)
    }
}

impl Received<'_, JoinRequest> {
    /// Checks the MIC with the root key, in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`](crate::ErrorKind::Mic), and what the key handle reports.
    #[inline]
    pub fn verify<K: JoinKey>(&self, key: &K) -> Result<(), Error> {
        check_mic(self.compute_mic(key)?, self.mic(), JoinRequest::LEN - MIC_LEN)
    }

    /// The MIC that the request should have.
    ///
    /// # Errors
    /// Only what the key handle reports.
    #[inline]
    pub fn compute_mic<K: JoinKey>(&self, key: &K) -> Result<Mic, Error> {
        let (head, end) = match self.signed_bytes().split_first_chunk() {
            Some((head, end)) => (Some(head), end),
            None => (None, self.signed_bytes()),
        };
        Ok(first_four(&key.handle().cmac_short(head, &block(load(end)), end.len())?))
    }
}
