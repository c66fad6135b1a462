//! Join-Request and Join-Accept (sections 6.2.2 and 6.2.3).

use crate::bytes::{Lanes, Writer, block, copy, lanes, load, push_front};
use crate::crypto::{Mic, check_mic, first_four, truncated};
use crate::error::{Error, ErrorKind, Part, Place, in_range, room};
use crate::keys::{Block, JoinKey, JsEncKey, JsIntKey, KeyHandle, ServerKeyHandle};
use crate::phy::{FType, PhyPayload, Received, exact, expect};
use crate::types::{DevAddr, DevEui, Frequency, JoinEui, JoinNonce, NetId};

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

impl Received<'_, JoinRequest> {
    /// Checks the MIC with the root key, in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`], and what the key handle reports.
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

    fn to_wire(self, offset: usize) -> Result<u8, Error> {
        in_range(self.rx1_dr_offset.into(), 7, Place::DL_SETTINGS, offset)?;
        in_range(self.rx2_dr.into(), 15, Place::DL_SETTINGS, offset)?;
        Ok(u8::from(self.opt_neg) << 7 | self.rx1_dr_offset << 4 | self.rx2_dr)
    }
}

/// Optional list of channels: 16 bytes, kept as received because the MIC covers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct CfList([u8; 16]);

/// What a [`CfList`] says, by its last byte, CFListType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CfListKind {
    /// Type 0: frequencies of five more channels; 0 means unused.
    Frequencies([Frequency; 5]),
    /// Type 1: masks of channels 0 to 95, 16 each.
    ChannelMasks([u16; 6]),
    /// A type of the future: ignore the list, keep the join.
    Unknown(u8),
}

impl CfList {
    /// Bytes on the wire.
    pub const LEN: usize = 16;

    /// From the bytes on the wire.
    pub const fn from_wire(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes on the wire.
    pub const fn to_wire(self) -> [u8; 16] {
        self.0
    }

    /// A list of type 0.
    pub fn from_frequencies(frequencies: [Frequency; 5]) -> Self {
        let mut out = [0; 16];
        for (slot, byte) in out.iter_mut().zip(frequencies.into_iter().flat_map(Frequency::to_wire))
        {
            *slot = byte;
        }
        Self(out)
    }

    /// A list of type 1.
    pub fn from_channel_masks(masks: [u16; 6]) -> Self {
        let mut out = [0; 16];
        for (slot, byte) in out.iter_mut().zip(masks.into_iter().flat_map(u16::to_le_bytes)) {
            *slot = byte;
        }
        out[15] = 1;
        Self(out)
    }

    /// Decodes the list.
    pub fn kind(&self) -> CfListKind {
        match self.0[15] {
            0 => {
                let mut frequencies = [Frequency::default(); 5];
                for (slot, bytes) in frequencies.iter_mut().zip(self.0.chunks_exact(3)) {
                    if let Ok(bytes) = bytes.try_into() {
                        *slot = Frequency::from_wire(bytes);
                    }
                }
                CfListKind::Frequencies(frequencies)
            }
            1 => {
                let mut masks = [0; 6];
                for (slot, bytes) in masks.iter_mut().zip(self.0.chunks_exact(2)) {
                    if let Ok(bytes) = bytes.try_into() {
                        *slot = u16::from_le_bytes(bytes);
                    }
                }
                CfListKind::ChannelMasks(masks)
            }
            other => CfListKind::Unknown(other),
        }
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

const SHORT: usize = 17;
const LONG: usize = 33;
const MIC_LEN: usize = 4;
/// Without MHDR and MIC.
const BODY_SHORT: usize = SHORT - 1 - MIC_LEN;
const BODY_LONG: usize = LONG - 1 - MIC_LEN;

/// How a join-accept is signed.
enum Signing<'a, K> {
    /// OptNeg = 0: by the root key, over the frame alone.
    Plain(&'a K),
    /// OptNeg = 1: by the JSIntKey, over the request too.
    Bound(&'a K, &'a JoinContext),
}

impl<K: KeyHandle> Signing<'_, K> {
    #[inline(always)]
    fn mic(&self, clear: &Clear) -> Result<Mic, Error> {
        let tag = match self {
            Self::Plain(key) => {
                let (first, next) = push_front(clear.mhdr, clear.first);
                match clear.second {
                    None => key.cmac_short(None, &block(first), SHORT - MIC_LEN)?,
                    Some(second) => {
                        let (second, _) = push_front(next, second);
                        key.cmac_short(Some(&block(first)), &block(second), LONG - 16 - MIC_LEN)?
                    }
                }
            }
            Self::Bound(key, context) => {
                // JoinReqType | JoinEUI | DevNonce, which are 11 bytes, then the frame.
                let request = [context.join_eui.value(), context.nonce.into()];
                let ([r0, r1], _) = push_front(context.request as u8, request);
                let [low, high] = clear.first;
                let head = block([r0, r1 | u64::from(clear.mhdr) << 24 | low << 32]);
                let middle = low >> 32 | high << 32;
                match clear.second {
                    None => key.cmac_short(Some(&head), &block([middle, 0]), 8)?,
                    Some([low, high_of_second]) => {
                        let mut rest = [0; 24];
                        Writer(&mut rest)
                            .put(block([middle, high >> 32 | low << 32]))
                            .put((low >> 32 | high_of_second << 32).to_le_bytes());
                        key.cmac(Some(&head), &rest)?
                    }
                }
            }
        };
        Ok(first_four(&tag))
    }
}

/// A join-accept in clear, as the ciphers take it: MHDR, and one or two blocks that end with the
/// MIC. Always inlined: passed in memory, it is written and read back in pieces of other sizes,
/// for which processors wait.
#[derive(Clone, Copy)]
struct Clear {
    mhdr: u8,
    first: Lanes,
    second: Option<Lanes>,
}

impl Clear {
    /// From MHDR, body and MIC; `None` for any other length than 17 or 33.
    #[inline(always)]
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&mhdr, blocks) = bytes.split_first()?;
        let (first, rest) = blocks.split_first_chunk()?;
        let second = if rest.is_empty() { None } else { Some(lanes(rest.try_into().ok()?)) };
        Some(Self { mhdr, first: lanes(first), second })
    }

    /// MHDR, body and MIC, and how many bytes they are.
    #[inline(always)]
    fn to_bytes(self) -> ([u8; LONG], usize) {
        let mut bytes = [0; LONG];
        Writer(&mut bytes).put([self.mhdr]).put(block(self.first)).put_if(self.second.map(block));
        (bytes, if self.second.is_some() { LONG } else { SHORT })
    }

    /// Puts each block through `cipher`.
    #[inline(always)]
    fn through(
        self,
        cipher: impl FnOnce(&mut [Block]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let (first, second) = match self.second {
            None => {
                let mut blocks = [block(self.first)];
                cipher(&mut blocks)?;
                let [first] = blocks;
                (first, None)
            }
            Some(second) => {
                let mut blocks = [block(self.first), block(second)];
                cipher(&mut blocks)?;
                let [first, second] = blocks;
                (first, Some(lanes(&second)))
            }
        };
        Ok(Self { mhdr: self.mhdr, first: lanes(&first), second })
    }

    /// The fields; the MIC is not among them.
    #[inline(always)]
    fn accept(&self) -> JoinAccept {
        let [low, high] = self.first;
        let (n, d) = (low.to_le_bytes(), high.to_le_bytes());
        let list = |second| {
            let [second_low, second_high] = second;
            CfList(block([high >> 32 | second_low << 32, second_low >> 32 | second_high << 32]))
        };
        JoinAccept {
            join_nonce: JoinNonce::from_wire([n[0], n[1], n[2]]),
            net_id: NetId::from_wire([n[3], n[4], n[5]]),
            dev_addr: DevAddr::from_wire([n[6], n[7], d[0], d[1]]),
            dl_settings: DlSettings::from_wire(d[2]),
            rx_delay: d[3] & 0x0f,
            cf_list: self.second.map(list),
        }
    }

    /// The fields of `accept`, and no MIC yet.
    #[inline(always)]
    fn of(accept: &JoinAccept) -> Result<Self, Error> {
        in_range(accept.rx_delay.into(), 15, Place::RX_DELAY, 12)?;
        let settings = accept.dl_settings.to_wire(11)?;
        let addr = u64::from(accept.dev_addr.value());
        let net_id = u64::from(accept.net_id.value()) << 24;
        let low = u64::from(accept.join_nonce.value()) | net_id | addr << 48;
        let high = addr >> 16 | u64::from(settings) << 16 | u64::from(accept.rx_delay) << 24;
        let list = accept.cf_list.map(|list| lanes(&list.to_wire()));
        Ok(Self {
            mhdr: FType::JoinAccept.mhdr(),
            first: [low, high | list.map_or(0, |[low, _]| low << 32)],
            second: list.map(|[low, high]| [low >> 32 | high << 32, high >> 32]),
        })
    }

    #[inline(always)]
    fn mic(&self) -> Mic {
        let [_, end] = self.second.unwrap_or(self.first);
        ((end >> 32) as u32).to_le_bytes()
    }

    #[inline(always)]
    fn with_mic(mut self, mic: Mic) -> Self {
        let [_, end] = self.second.as_mut().unwrap_or(&mut self.first);
        *end |= u64::from(u32::from_le_bytes(mic)) << 32;
        self
    }

    #[inline(always)]
    fn verify<K: KeyHandle>(
        &self,
        opt_neg: bool,
        signing: &Signing<'_, K>,
    ) -> Result<JoinAccept, Error> {
        let offset = if self.second.is_some() { LONG - MIC_LEN } else { SHORT - MIC_LEN };
        check_mic(signing.mic(self)?, self.mic(), offset)?;
        let accept = self.accept();
        if accept.dl_settings.opt_neg != opt_neg {
            let kind = ErrorKind::OutOfRange { max: opt_neg.into() };
            return Err(Error::new(kind, Place::DL_SETTINGS, 11));
        }
        Ok(accept)
    }
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
