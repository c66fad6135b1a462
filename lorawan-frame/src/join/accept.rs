//! What a Join-Accept says, and building it (section 6.2.3).

use super::CfList;
use super::clear::{BODY_LONG, BODY_SHORT, Clear, LONG, MIC_LEN, SHORT, Signing};
use crate::bytes::{Writer, block, copy};
use crate::error::{Error, ErrorKind, Part, Place, in_range, room};
use crate::keys::{JoinKey, JsEncKey, JsIntKey, KeyHandle, ServerKeyHandle};
use crate::types::{DevAddr, JoinEui, JoinNonce, NetId};

/// Settings of the two receive windows (section 6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DlSettings {
    /// The network speaks 1.1; reserved (0) in 1.0.
    pub opt_neg: bool,
    /// Offset between uplink and RX1 data rate, 0 to 7.
    pub rx1_dr_offset: u8,
    /// Data rate index of RX2, 0 to 15.
    pub rx2_dr: u8,
}

impl DlSettings {
    /// From the byte on the wire.
    pub const fn from_wire(byte: u8) -> Self {
        Self { opt_neg: byte & 0x80 != 0, rx1_dr_offset: byte >> 4 & 0x07, rx2_dr: byte & 0x0f }
    }

    pub(super) fn to_wire(self, offset: usize) -> Result<u8, Error> {
        in_range(self.rx1_dr_offset.into(), 7, Place::DL_SETTINGS, offset)?;
        in_range(self.rx2_dr.into(), 15, Place::DL_SETTINGS, offset)?;
        Ok(u8::from(self.opt_neg) << 7 | self.rx1_dr_offset << 4 | self.rx2_dr)
    }
}

/// The network lets a device in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JoinAccept {
    /// Number of the answer; strictly increasing in 1.1 (AppNonce in 1.0).
    pub join_nonce: JoinNonce,
    /// The network.
    pub net_id: NetId,
    /// Address of the device from now on.
    pub dev_addr: DevAddr,
    /// Receive windows, and whether the network speaks 1.1.
    pub dl_settings: DlSettings,
    /// Seconds from uplink to RX1, 0 to 15; 0 means 1.
    pub rx_delay: u8,
    /// More channels.
    pub cf_list: Option<CfList>,
}

/// What the MIC of a 1.1 join-accept covers besides (section 6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JoinContext {
    /// Which request is answered.
    pub request: JoinReqType,
    /// JoinEUI of the request.
    pub join_eui: JoinEui,
    /// DevNonce, or RJcount0 or RJcount1 of a rejoin-request.
    pub nonce: u16,
}

/// The request that a join-accept answers (section 6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum JoinReqType {
    /// Join-Request.
    Join = 0xff,
    /// Rejoin-Request type 0.
    Rejoin0 = 0,
    /// Rejoin-Request type 1.
    Rejoin1 = 1,
    /// Rejoin-Request type 2.
    Rejoin2 = 2,
}

impl JoinAccept {
    /// Bytes of the frame: 17, or 33 with a CFList.
    pub const fn phy_len(&self) -> usize {
        if self.cf_list.is_some() { LONG } else { SHORT }
    }

    /// Reads the decrypted body: what lies between MHDR and MIC, 12 or 28 bytes. The way for a
    /// secure element or join server that hands out decrypted bodies.
    ///
    /// # Errors
    /// Any other length.
    pub fn parse_body(body: &[u8]) -> Result<Self, Error> {
        let kind = match body.len() {
            BODY_SHORT | BODY_LONG => {
                // Where the MIC would be there are zeros.
                let mut bytes = [0; LONG];
                copy(body, bytes.get_mut(1..).unwrap_or(&mut []));
                let frame = bytes.get(..1 + body.len() + MIC_LEN).unwrap_or(&[]);
                if let Some(clear) = Clear::from_bytes(frame) {
                    return Ok(clear.accept());
                }
                ErrorKind::Length { what: Part::JoinAccept, found: body.len() as u8 }
            }
            0..BODY_SHORT => {
                ErrorKind::TooShort { what: Part::JoinAccept, needed: BODY_SHORT as u8 }
            }
            len => ErrorKind::Length { what: Part::JoinAccept, found: len.min(255) as u8 },
        };
        Err(Error::new(kind, Place::JOIN_ACCEPT, body.len()))
    }

    /// Server side, LoRaWAN 1.0 and OptNeg = 0: signs and encrypts with the root key (AppKey for a
    /// 1.0 device, NwkKey for a 1.1 device) into the front of `buf`.
    ///
    /// # Errors
    /// A value that does not fit its field, OptNeg set, a buffer shorter than
    /// [`JoinAccept::phy_len`], what the key handle reports.
    pub fn build_into<'b, K>(&self, key: &K, buf: &'b mut [u8]) -> Result<&'b mut [u8], Error>
    where
        K: JoinKey<Handle: ServerKeyHandle>,
    {
        let key = key.handle();
        self.write(false, &Signing::Plain(key), key, buf)
    }

    /// Server side, LoRaWAN 1.1 (OptNeg = 1): signs with the JSIntKey, and encrypts with the NwkKey
    /// when a join-request is answered. For the answer to a rejoin-request see
    /// [`JoinAccept::build_for_rejoin`].
    ///
    /// # Errors
    /// As [`JoinAccept::build_into`], and OptNeg not set.
    pub fn build_v1_1<'b, I: KeyHandle, E: ServerKeyHandle>(
        &self,
        js_int_key: &JsIntKey<I>,
        nwk_key: &crate::keys::NwkKey<E>,
        context: &JoinContext,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        self.write(true, &Signing::Bound(&js_int_key.0, context), &nwk_key.0, buf)
    }

    /// Server side: the answer to a rejoin-request, signed with the JSIntKey and encrypted with
    /// the JSEncKey (section 6.2.3).
    ///
    /// # Errors
    /// As [`JoinAccept::build_v1_1`].
    pub fn build_for_rejoin<'b, I: KeyHandle, E: ServerKeyHandle>(
        &self,
        js_int_key: &JsIntKey<I>,
        js_enc_key: &JsEncKey<E>,
        context: &JoinContext,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        self.write(true, &Signing::Bound(&js_int_key.0, context), &js_enc_key.0, buf)
    }

    fn write<'b, I: KeyHandle, E: ServerKeyHandle>(
        &self,
        opt_neg: bool,
        signing: &Signing<'_, I>,
        key: &E,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        if self.dl_settings.opt_neg != opt_neg {
            let kind = ErrorKind::OutOfRange { max: opt_neg.into() };
            return Err(Error::new(kind, Place::DL_SETTINGS, 11));
        }
        let clear = Clear::of(self)?;
        let out = room(buf, self.phy_len())?;
        // Decryption, so that the device needs AES encryption only.
        let sealed = clear.with_mic(signing.mic(&clear)?).through(|blocks| key.decrypt(blocks))?;
        Writer(out).put([sealed.mhdr]).put(block(sealed.first)).put_if(sealed.second.map(block));
        Ok(out)
    }
}
