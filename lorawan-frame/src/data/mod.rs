//! Data frames (section 4.3): [`Data`] is what is said, [`DataFrame`] what was received.

mod frame;

use crate::bytes::copy;
use crate::crypto::{Context, FrameId, MAX_PHY_PAYLOAD};
use crate::error::{Error, ErrorKind, Part, Place, room};
use crate::keys::{KeyHandle, NetworkKeys, SessionKeys};
use crate::phy::FType;
use crate::types::DevAddr;

pub use frame::{DataFrame, open_in_place};

/// Up: device to network. Down: network to device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Direction {
    /// From the device.
    Up = 0,
    /// To the device.
    Down = 1,
}

/// The flags of FCtrl (section 4.3.1); FOptsLen is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct FCtrl {
    /// The network controls the data rate (bit 7, both directions).
    pub adr: bool,
    /// The device asks for a sign of life from the network (bit 6, up only).
    pub adr_ack_req: bool,
    /// Acknowledges the last confirmed frame (bit 5, both directions).
    pub ack: bool,
    /// The device listens in Class B (bit 4, up only).
    pub class_b: bool,
    /// More data is waiting for the device (bit 4, down only).
    pub f_pending: bool,
}

impl FCtrl {
    /// From the byte on the wire, without FOptsLen. A reserved bit (6, down) is ignored.
    pub const fn from_wire(byte: u8, direction: Direction) -> Self {
        let up = matches!(direction, Direction::Up);
        let bit4 = byte & 0x10 != 0;
        Self {
            adr: byte & 0x80 != 0,
            adr_ack_req: up && byte & 0x40 != 0,
            ack: byte & 0x20 != 0,
            class_b: up && bit4,
            f_pending: !up && bit4,
        }
    }

    /// The byte to send, without FOptsLen.
    fn to_wire(self, direction: Direction) -> Result<u8, Error> {
        let foreign = match direction {
            Direction::Up => self.f_pending,
            Direction::Down => self.adr_ack_req || self.class_b,
        };
        if foreign {
            return Err(Error::new(ErrorKind::WrongDirection, Place::FCTRL, 5));
        }
        Ok(u8::from(self.adr) << 7
            | u8::from(self.adr_ack_req) << 6
            | u8::from(self.ack) << 5
            | u8::from(self.class_b || self.f_pending) << 4)
    }
}

/// A data frame in clear: what an application and a MAC layer say to each other.
///
/// Write it as a literal over [`Data::up`] or [`Data::down`]; [`Data::build_into`] encrypts and
/// signs it, [`DataFrame::open`] gives it back on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Data<'a> {
    /// Up or down.
    pub direction: Direction,
    /// Asks for an acknowledgement (frame types 4 and 5).
    pub confirmed: bool,
    /// The device, in both directions.
    pub dev_addr: DevAddr,
    /// Flags.
    pub fctrl: FCtrl,
    /// Frame counter, all 32 bits; the lower 16 travel (section 4.3.1.5).
    pub fcnt: u32,
    /// MAC commands that ride along, at most 15 bytes; clear here, encrypted on air in 1.1.
    pub fopts: &'a [u8],
    /// Port: 0 for MAC commands, 1 to 223 for applications, 224 to 255 reserved for protocols.
    /// `None` means no payload at all.
    pub fport: Option<u8>,
    /// Payload, clear here, encrypted on air. May be empty even with a port.
    pub frm_payload: &'a [u8],
}

/// MHDR, DevAddr, FCtrl, FCnt.
const FIXED_HEADER: usize = 8;
const MIC_LEN: usize = 4;

impl<'a> Data<'a> {
    /// Most bytes that FOpts can have.
    pub const MAX_FOPTS: usize = 15;

    /// An unconfirmed uplink that carries nothing yet.
    pub const fn up(dev_addr: DevAddr, fcnt: u32) -> Self {
        Self::empty(Direction::Up, dev_addr, fcnt)
    }

    /// An unconfirmed downlink that carries nothing yet.
    pub const fn down(dev_addr: DevAddr, fcnt: u32) -> Self {
        Self::empty(Direction::Down, dev_addr, fcnt)
    }

    const fn empty(direction: Direction, dev_addr: DevAddr, fcnt: u32) -> Self {
        const NONE: FCtrl =
            FCtrl { adr: false, adr_ack_req: false, ack: false, class_b: false, f_pending: false };
        Self {
            direction,
            confirmed: false,
            dev_addr,
            fctrl: NONE,
            fcnt,
            fopts: &[],
            fport: None,
            frm_payload: &[],
        }
    }

    /// The frame type that says direction and confirmation.
    pub const fn ftype(&self) -> FType {
        match (self.direction, self.confirmed) {
            (Direction::Up, false) => FType::UnconfirmedDataUp,
            (Direction::Down, false) => FType::UnconfirmedDataDown,
            (Direction::Up, true) => FType::ConfirmedDataUp,
            (Direction::Down, true) => FType::ConfirmedDataDown,
        }
    }

    /// Bytes of the whole PHYPayload.
    pub const fn phy_len(&self) -> usize {
        let body = match self.fport {
            Some(_) => 1 + self.frm_payload.len(),
            None => 0,
        };
        FIXED_HEADER + self.fopts.len() + body + MIC_LEN
    }

    /// Encrypts, signs and writes the frame into the front of `buf`; returns exactly the frame.
    /// For LoRaWAN 1.1 see [`Data::build_with`].
    ///
    /// # Errors
    /// A buffer shorter than [`Data::phy_len`], or what [`DataFrame::parse`] would refuse: FOpts
    /// above 15 bytes, FOpts together with FPort 0, payload without port, a flag of the other
    /// direction, more than 255 bytes in all. Nothing useful is in `buf` then.
    pub fn build_into<'b, K: KeyHandle>(
        &self,
        keys: &SessionKeys<K>,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        self.build_with(keys, &Context::default(), buf)
    }

    /// Checks what holds of multicast downlinks besides (section 11.2.2): call it before the frame
    /// is built with the keys of a group.
    ///
    /// # Errors
    /// [`ErrorKind::Multicast`] for an uplink, a confirmed frame, ACK, FOpts, and FPort 0.
    pub fn check_multicast(&self) -> Result<(), Error> {
        check_multicast(self.ftype(), self.fctrl, self.fopts.len(), self.fport)
    }

    /// [`Data::build_into`] with what the MIC and FOpts encryption of LoRaWAN 1.1 need besides.
    ///
    /// # Errors
    /// As [`Data::build_into`].
    pub fn build_with<'b, K: KeyHandle>(
        &self,
        keys: &SessionKeys<K>,
        context: &Context,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        let key = payload_key(self.fport, keys);
        self.write(&keys.network, key, context, buf)
    }

    /// [`Data::build_with`] for a network server, which has no AppSKey: `frm_payload` on an
    /// application port is taken as already encrypted by the application server.
    ///
    /// # Errors
    /// As [`Data::build_into`].
    pub fn build_sealed<'b, K: KeyHandle>(
        &self,
        keys: &NetworkKeys<K>,
        context: &Context,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        let key = is_network_port(self.fport).then(|| keys.encryption_key());
        self.write(keys, key, context, buf)
    }

    fn write<'b, K: KeyHandle>(
        &self,
        network: &NetworkKeys<K>,
        payload_key: Option<&K>,
        context: &Context,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        let fopts_len = self.fopts.len();
        if fopts_len > Self::MAX_FOPTS {
            let kind = ErrorKind::TooLong { what: Part::FOpts, max: Self::MAX_FOPTS as u8 };
            return Err(Error::new(kind, Place::FOPTS, FIXED_HEADER));
        }
        check_port(self.fport, fopts_len)?;
        if self.fport.is_none() && !self.frm_payload.is_empty() {
            let offset = FIXED_HEADER + fopts_len;
            return Err(Error::new(ErrorKind::PayloadWithoutPort, Place::FPORT, offset));
        }
        let len = self.phy_len();
        if len > MAX_PHY_PAYLOAD {
            let kind = ErrorKind::TooLong { what: Part::DataFrame, max: MAX_PHY_PAYLOAD as u8 };
            return Err(Error::new(kind, Place::PHY_PAYLOAD, MAX_PHY_PAYLOAD));
        }
        let fctrl = self.fctrl.to_wire(self.direction)? | fopts_len as u8;
        let out = room(buf, len)?;
        let too_small =
            Error::new(ErrorKind::BufferTooSmall { needed: len as u16 }, Place::PHY_PAYLOAD, 0);

        let Some((message, mic)) = out.split_last_chunk_mut::<MIC_LEN>() else {
            return Err(too_small);
        };
        let Some((header, body)) = message.split_first_chunk_mut::<FIXED_HEADER>() else {
            return Err(too_small);
        };
        let [a0, a1, a2, a3] = self.dev_addr.to_wire();
        let [f0, f1, ..] = self.fcnt.to_le_bytes();
        *header = [self.ftype().mhdr(), a0, a1, a2, a3, fctrl, f0, f1];
        let Some((fopts, body)) = body.split_at_mut_checked(fopts_len) else {
            return Err(too_small);
        };
        let id = self.id();
        if fopts_len > 0 {
            if let NetworkKeys::V1_1 { nwk_s_enc_key, .. } = network {
                let application = counts_as_application(self.direction, self.fport);
                let form = context.fopts_cipher;
                id.crypt_fopts(&nwk_s_enc_key.0, form, application, self.fopts, fopts)?;
            } else {
                copy(self.fopts, fopts);
            }
        }
        if let (Some(port), Some((fport, payload))) = (self.fport, body.split_first_mut()) {
            *fport = port;
            match payload_key {
                Some(key) => id.crypt_payload(key, self.frm_payload, payload)?,
                None => copy(self.frm_payload, payload),
            }
        }
        *mic = id.mic(network, context, self.fctrl.ack, message)?;
        Ok(out)
    }

    const fn id(&self) -> FrameId {
        FrameId { direction: self.direction, dev_addr: self.dev_addr, fcnt: self.fcnt }
    }
}

/// FPort 0 (MAC commands) and 226 (relay, TS011) belong to the network.
pub(crate) const fn is_network_port(fport: Option<u8>) -> bool {
    matches!(fport, Some(0 | 226))
}

fn payload_key<K>(fport: Option<u8>, keys: &SessionKeys<K>) -> Option<&K> {
    fport.map(|_| {
        if is_network_port(fport) { keys.network.encryption_key() } else { &keys.app_s_key.0 }
    })
}

/// `true` for the downlinks that AFCntDown counts (section 4.3.1.5).
const fn counts_as_application(direction: Direction, fport: Option<u8>) -> bool {
    matches!((direction, fport), (Direction::Down, Some(1..)))
}

/// FOpts and FPort 0 exclude each other (section 4.3.1.6).
fn check_port(fport: Option<u8>, fopts_len: usize) -> Result<(), Error> {
    if fport == Some(0) && fopts_len > 0 {
        let offset = FIXED_HEADER + fopts_len;
        return Err(Error::new(ErrorKind::FOptsWithPort0, Place::FPORT, offset));
    }
    Ok(())
}

/// No MAC command and no acknowledgement, either way: there is no one device to answer.
fn check_multicast(
    ftype: FType,
    fctrl: FCtrl,
    fopts_len: usize,
    fport: Option<u8>,
) -> Result<(), Error> {
    let (place, offset) = if ftype != FType::UnconfirmedDataDown {
        (Place::FTYPE, 0)
    } else if fctrl.ack {
        (Place::FCTRL, 5)
    } else if fopts_len > 0 {
        (Place::FOPTS, FIXED_HEADER)
    } else if fport == Some(0) {
        (Place::FPORT, FIXED_HEADER)
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Multicast, place, offset))
}
