//! A received data frame.

use super::{
    Data, Direction, FCtrl, FIXED_HEADER, MIC_LEN, check_multicast, check_port,
    counts_as_application, payload_key,
};
use crate::bytes::copy;
use crate::crypto::{Context, FrameId, Mic, check_mic};
use crate::error::{Error, ErrorKind, Part, Place, room};
use crate::keys::{KeyHandle, NetworkKeys, SessionKeys};
use crate::phy::{FType, PhyPayload};
use crate::types::DevAddr;

/// A received data frame: fields read, payload still encrypted, MIC unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFrame<'a> {
    /// Up or down.
    pub direction: Direction,
    /// Asks for an acknowledgement.
    pub confirmed: bool,
    /// The device, in both directions.
    pub dev_addr: DevAddr,
    /// Flags.
    pub fctrl: FCtrl,
    /// Low 16 bits of the frame counter; see [`fcnt`](crate::fcnt) for the other 16.
    pub fcnt: u16,
    /// FOpts as received: clear in 1.0, encrypted in 1.1.
    pub fopts: &'a [u8],
    /// Port, when there is one.
    pub fport: Option<u8>,
    /// FRMPayload as received: encrypted.
    pub frm_payload: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> DataFrame<'a> {
    /// Reads a data frame of either direction.
    ///
    /// # Errors
    /// Fewer than 12 bytes, an FOptsLen that runs into the MIC, FOpts together with FPort 0, and
    /// what [`PhyPayload::classify`] refuses.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(PhyPayload::classify(bytes)?, bytes)
    }

    /// [`DataFrame::parse`] after the classification. Always inlined: most fields then stay in
    /// registers, where a call would write and read them all.
    #[inline(always)]
    pub(crate) fn read(ftype: FType, bytes: &'a [u8]) -> Result<Self, Error> {
        let (direction, confirmed) = match ftype {
            FType::UnconfirmedDataUp => (Direction::Up, false),
            FType::UnconfirmedDataDown => (Direction::Down, false),
            FType::ConfirmedDataUp => (Direction::Up, true),
            FType::ConfirmedDataDown => (Direction::Down, true),
            _ => return Err(Error::new(ErrorKind::FrameType, Place::FTYPE, 0)),
        };
        let Some((message, _mic)) = bytes.split_last_chunk::<MIC_LEN>() else {
            return Err(too_short(bytes));
        };
        let Some((&[_, a0, a1, a2, a3, fctrl, f0, f1], body)) =
            message.split_first_chunk::<FIXED_HEADER>()
        else {
            return Err(too_short(bytes));
        };
        let fopts_len = fctrl & 0x0f;
        let Some((fopts, body)) = body.split_at_checked(usize::from(fopts_len)) else {
            return Err(Error::new(ErrorKind::FOptsOverrun { fopts_len }, Place::FCTRL, 5));
        };
        let (fport, frm_payload) = match body.split_first() {
            Some((&fport, payload)) => (Some(fport), payload),
            None => (None, body),
        };
        check_port(fport, fopts.len())?;
        Ok(Self {
            direction,
            confirmed,
            dev_addr: DevAddr::from_wire([a0, a1, a2, a3]),
            fctrl: FCtrl::from_wire(fctrl, direction),
            fcnt: u16::from_le_bytes([f0, f1]),
            fopts,
            fport,
            frm_payload,
            bytes,
        })
    }

    /// The whole frame.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The MIC as received, unchecked.
    pub fn mic(&self) -> Mic {
        self.bytes.last_chunk().copied().unwrap_or_default()
    }

    /// Checks what holds of multicast downlinks besides (section 11.2.2): for a frame whose DevAddr
    /// is that of a group. A frame that breaks it is to be dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Multicast`] for an uplink, a confirmed frame, ACK, ADRACKReq, FOpts, and FPort 0.
    pub fn check_multicast(&self) -> Result<(), Error> {
        let ftype = FType::from_mhdr(self.bytes.first().copied().unwrap_or(0));
        // ADRACKReq, which is reserved in downlinks and ignored elsewhere.
        if self.bytes.get(5).is_some_and(|fctrl| fctrl & 0x40 != 0) {
            return Err(Error::new(ErrorKind::Multicast, Place::FCTRL, 5));
        }
        check_multicast(ftype, self.fctrl, self.fopts.len(), self.fport)
    }

    /// The MIC that this frame should have with these keys and this counter.
    ///
    /// # Errors
    /// [`ErrorKind::FCntMismatch`] when `fcnt` does not end in the 16 bits of the frame, and what
    /// the key handle reports.
    #[inline(always)]
    pub fn compute_mic<K: KeyHandle>(
        &self,
        keys: &NetworkKeys<K>,
        fcnt: u32,
        context: &Context,
    ) -> Result<Mic, Error> {
        self.id(fcnt)?.mic(keys, context, self.fctrl.ack, self.signed_bytes())
    }

    /// Checks the MIC, in constant time. Only afterwards may counters move.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`] when it does not match, and as [`DataFrame::compute_mic`].
    #[inline(always)]
    pub fn verify<K: KeyHandle>(
        &self,
        keys: &NetworkKeys<K>,
        fcnt: u32,
        context: &Context,
    ) -> Result<(), Error> {
        let mic = self.compute_mic(keys, fcnt, context)?;
        check_mic(mic, self.mic(), self.bytes.len().saturating_sub(MIC_LEN))
    }

    /// Checks the MIC and decrypts into the front of `buf`, which needs room for the payload and,
    /// in 1.1, the FOpts. For LoRaWAN 1.1 see [`DataFrame::open_with`].
    ///
    /// # Errors
    /// [`ErrorKind::Mic`], [`ErrorKind::BufferTooSmall`], [`ErrorKind::FCntMismatch`].
    #[inline]
    pub fn open<'b, K: KeyHandle>(
        &self,
        keys: &SessionKeys<K>,
        fcnt: u32,
        buf: &'b mut [u8],
    ) -> Result<Data<'b>, Error>
    where
        'a: 'b,
    {
        self.open_with(keys, fcnt, &Context::default(), buf)
    }

    /// [`DataFrame::open`] with what the MIC and FOpts encryption of LoRaWAN 1.1 need besides.
    ///
    /// # Errors
    /// As [`DataFrame::open`].
    #[inline]
    pub fn open_with<'b, K: KeyHandle>(
        &self,
        keys: &SessionKeys<K>,
        fcnt: u32,
        context: &Context,
        buf: &'b mut [u8],
    ) -> Result<Data<'b>, Error>
    where
        'a: 'b,
    {
        self.verify(&keys.network, fcnt, context)?;
        let encrypted_fopts = match keys.network {
            NetworkKeys::V1_0(_) => 0,
            NetworkKeys::V1_1 { .. } => self.fopts.len(),
        };
        let out = room(buf, encrypted_fopts + self.frm_payload.len())?;
        let (fopts_room, payload) = out.split_at_mut(encrypted_fopts);
        let fopts = self.decrypt_fopts(&keys.network, fcnt, context, fopts_room)?;
        if let Some(key) = payload_key(self.fport, keys) {
            self.id(fcnt)?.crypt_payload(key, self.frm_payload, payload)?;
        }
        Ok(self.opened(fcnt, fopts, payload))
    }

    /// The FOpts in clear. In 1.0 they are so already; in 1.1 they are decrypted into `buf`.
    ///
    /// # Errors
    /// [`ErrorKind::BufferTooSmall`], [`ErrorKind::FCntMismatch`], what the key handle reports.
    pub fn decrypt_fopts<'b, K: KeyHandle>(
        &self,
        keys: &NetworkKeys<K>,
        fcnt: u32,
        context: &Context,
        buf: &'b mut [u8],
    ) -> Result<&'b [u8], Error>
    where
        'a: 'b,
    {
        let NetworkKeys::V1_1 { nwk_s_enc_key, .. } = keys else {
            return Ok(self.fopts);
        };
        if self.fopts.is_empty() {
            return Ok(self.fopts);
        }
        let out = room(buf, self.fopts.len())?;
        let application = counts_as_application(self.direction, self.fport);
        let (key, form) = (&nwk_s_enc_key.0, context.fopts_cipher);
        self.id(fcnt)?.crypt_fopts(key, form, application, self.fopts, out)?;
        Ok(out)
    }

    /// Decrypts FRMPayload with a key that you choose, for a server that has only one of them:
    /// the AppSKey for application ports, [`NetworkKeys::encryption_key`] for ports 0 and 226.
    /// Check the MIC first, or have it checked.
    ///
    /// # Errors
    /// [`ErrorKind::BufferTooSmall`], [`ErrorKind::FCntMismatch`], what the key handle reports.
    pub fn decrypt_payload<'b, K: KeyHandle>(
        &self,
        key: &K,
        fcnt: u32,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        let out = room(buf, self.frm_payload.len())?;
        self.id(fcnt)?.crypt_payload(key, self.frm_payload, out)?;
        Ok(out)
    }

    fn opened<'b>(&self, fcnt: u32, fopts: &'b [u8], frm_payload: &'b [u8]) -> Data<'b> {
        Data {
            direction: self.direction,
            confirmed: self.confirmed,
            dev_addr: self.dev_addr,
            fctrl: self.fctrl,
            fcnt,
            fopts,
            fport: self.fport,
            frm_payload,
        }
    }

    /// What the MIC covers: all bytes before it.
    #[inline]
    pub(crate) fn signed_bytes(&self) -> &'a [u8] {
        self.bytes.split_last_chunk::<MIC_LEN>().map_or(&[], |(message, _)| message)
    }

    #[inline]
    pub(crate) fn id(&self, fcnt: u32) -> Result<FrameId, Error> {
        if fcnt as u16 != self.fcnt {
            return Err(Error::new(ErrorKind::FCntMismatch, Place::FCNT, 6));
        }
        Ok(FrameId { direction: self.direction, dev_addr: self.dev_addr, fcnt })
    }
}

/// Parses a received data frame, checks its MIC and decrypts it where it lies: for firmware that
/// has one buffer. The MIC and header bytes are left as they are.
///
/// # Errors
/// As [`DataFrame::parse`] and [`DataFrame::open_with`]; the bytes are unchanged then, unless a
/// key handle failed half-way.
pub fn open_in_place<'a, K: KeyHandle>(
    bytes: &'a mut [u8],
    keys: &SessionKeys<K>,
    fcnt: u32,
    context: &Context,
) -> Result<Data<'a>, Error> {
    let frame = DataFrame::parse(bytes)?;
    frame.verify(&keys.network, fcnt, context)?;
    let id = frame.id(fcnt)?;
    let (direction, confirmed) = (frame.direction, frame.confirmed);
    let (dev_addr, fctrl, fport) = (frame.dev_addr, frame.fctrl, frame.fport);
    let (fopts_len, payload_len) = (frame.fopts.len(), frame.frm_payload.len());

    let (_, rest) = bytes.split_at_mut(FIXED_HEADER);
    let (fopts, rest) = rest.split_at_mut(fopts_len);
    if let (NetworkKeys::V1_1 { nwk_s_enc_key, .. }, 1..) = (&keys.network, fopts_len) {
        let application = counts_as_application(direction, fport);
        let mut received = [0; Data::MAX_FOPTS];
        copy(fopts, &mut received);
        id.crypt_fopts(&nwk_s_enc_key.0, context.fopts_cipher, application, &received, fopts)?;
    }
    let (_, rest) = rest.split_at_mut(usize::from(fport.is_some()));
    let (payload, _mic) = rest.split_at_mut(payload_len);
    if let Some(key) = payload_key(fport, keys) {
        id.crypt_payload_in_place(key, payload)?;
    }
    Ok(Data { direction, confirmed, dev_addr, fctrl, fcnt, fopts, fport, frm_payload: payload })
}

fn too_short(bytes: &[u8]) -> Error {
    let needed = (FIXED_HEADER + MIC_LEN) as u8;
    let kind = ErrorKind::TooShort { what: Part::DataFrame, needed };
    Error::new(kind, Place::PHY_PAYLOAD, bytes.len())
}
