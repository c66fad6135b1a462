//! Relay frames (TS011): what a relay forwards on FPort 226, and the wake-on-radio frames between
//! device and relay.

use crate::crypto::{Mic, check_mic, truncated};
use crate::data::Direction;
use crate::error::{Error, ErrorKind, Part, Place, in_range, room};
use crate::keys::{Block, KeyHandle, WorSEncKey, WorSIntKey};
use crate::mac::{WorRssi, WorSnr};
use crate::types::{DevAddr, Frequency};

const FORWARD_HEADER: usize = 6;

/// Uplink of a device as its relay hands it on (TS011 9.1): FRMPayload of FPort 226, up. The way
/// down is the bare PHYPayload for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ForwardUplinkReq<'a> {
    /// Wake-on-radio channel: 0 default, 1 second.
    pub wor_channel: u8,
    /// Power at the relay.
    pub rssi: WorRssi,
    /// Signal-to-noise ratio at the relay.
    pub snr: WorSnr,
    /// Data rate index of the uplink.
    pub dr: u8,
    /// Frequency of the uplink.
    pub freq: Frequency,
    /// The frame of the device.
    pub phy_payload: &'a [u8],
}

impl<'a> ForwardUplinkReq<'a> {
    /// Reads the decrypted FRMPayload.
    ///
    /// # Errors
    /// Fewer than 6 bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((&[m0, m1, m2, f0, f1, f2], phy_payload)) = bytes.split_first_chunk() else {
            let needed = FORWARD_HEADER as u8;
            let kind = ErrorKind::TooShort { what: Part::ForwardUplink, needed };
            return Err(Error::new(kind, Place::FORWARD_UPLINK, bytes.len()));
        };
        let metadata = u32::from_le_bytes([m0, m1, m2, 0]);
        Ok(Self {
            wor_channel: (metadata >> 16 & 0b11) as u8,
            rssi: WorRssi::from_code(metadata >> 9),
            snr: WorSnr::from_code(metadata >> 4),
            dr: (metadata & 0x0f) as u8,
            freq: Frequency::from_wire([f0, f1, f2]),
            phy_payload,
        })
    }

    /// Bytes of the FRMPayload.
    pub const fn wire_len(&self) -> usize {
        FORWARD_HEADER + self.phy_payload.len()
    }

    /// Writes the FRMPayload, in clear, into the front of `buf`.
    ///
    /// # Errors
    /// A value that does not fit its field, a buffer shorter than
    /// [`ForwardUplinkReq::wire_len`].
    pub fn build_into<'b>(&self, buf: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        in_range(self.wor_channel.into(), 0b11, Place::FORWARD_UPLINK, 2)?;
        in_range(self.dr.into(), 0x0f, Place::FORWARD_UPLINK, 0)?;
        let metadata = u32::from(self.wor_channel) << 16
            | self.rssi.to_code() << 9
            | self.snr.to_code() << 4
            | u32::from(self.dr);
        let out = room(buf, self.wire_len())?;
        let header = metadata.to_le_bytes().into_iter().take(3).chain(self.freq.to_wire());
        for (slot, byte) in out.iter_mut().zip(header.chain(self.phy_payload.iter().copied())) {
            *slot = byte;
        }
        Ok(out)
    }
}

/// A frequency and the data rate used on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct RelayChannel {
    /// Data rate index, 0 to 15.
    pub dr: u8,
    /// Frequency.
    pub freq: Frequency,
}

impl RelayChannel {
    /// Reserved (4 bits), data rate (4 bits), frequency.
    const fn from_wire([dr, f0, f1, f2]: [u8; 4]) -> Self {
        Self { dr: dr & 0x0f, freq: Frequency::from_wire([f0, f1, f2]) }
    }

    fn to_wire(self, place: &'static Place) -> Result<[u8; 4], Error> {
        in_range(self.dr.into(), 0x0f, place, 1)?;
        let [f0, f1, f2] = self.freq.to_wire();
        Ok([self.dr, f0, f1, f2])
    }
}

/// A wake-on-radio frame as received (TS011 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Wor<'a> {
    /// A join-request follows on this channel; in clear.
    Join(RelayChannel),
    /// A Class A uplink follows; where, is encrypted.
    Uplink(WorUplink),
    /// The vendor's own.
    Proprietary(&'a [u8]),
}

/// Announces a Class A uplink (TS011 5.2). 15 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WorUplink {
    /// The device.
    pub dev_addr: DevAddr,
    /// Low 16 bits of the wake-on-radio frame counter.
    pub wfcnt: u16,
    encrypted: [u8; 4],
    mic: Mic,
}

/// Identifies one wake-on-radio exchange to the ciphers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct WorContext {
    /// The device.
    pub dev_addr: DevAddr,
    /// Wake-on-radio frame counter, 32 bits.
    pub wfcnt: u32,
    /// Channel of the frame in question: of the WOR frame, or of the WOR ACK.
    pub channel: RelayChannel,
}

impl WorContext {
    /// Key stream block (TS011 5.2 and 6).
    fn a(&self, direction: Direction, place: &'static Place) -> Result<Block, Error> {
        let [a0, a1, a2, a3] = self.dev_addr.to_wire();
        let [c0, c1, c2, c3] = self.wfcnt.to_le_bytes();
        let [dr, f0, f1, f2] = self.channel.to_wire(place)?;
        Ok([1, 0, 0, direction as u8, a0, a1, a2, a3, c0, c1, c2, c3, f0, f1, f2, dr])
    }

    /// Block before the message under the MIC.
    fn b0(&self, direction: Direction, len: u8) -> Block {
        let [a0, a1, a2, a3] = self.dev_addr.to_wire();
        let [c0, c1, c2, c3] = self.wfcnt.to_le_bytes();
        [0x49, 0, 0, 0, 0, direction as u8, a0, a1, a2, a3, c0, c1, c2, c3, 0, len]
    }

    fn crypt<K: KeyHandle, const N: usize>(
        &self,
        direction: Direction,
        key: &WorSEncKey<K>,
        place: &'static Place,
        data: [u8; N],
    ) -> Result<[u8; N], Error> {
        let mut stream = self.a(direction, place)?;
        key.0.encrypt(core::slice::from_mut(&mut stream))?;
        let mut out = data;
        for (byte, key) in out.iter_mut().zip(stream) {
            *byte ^= key;
        }
        Ok(out)
    }

    fn uplink_mic<K: KeyHandle>(
        &self,
        key: &WorSIntKey<K>,
        encrypted: [u8; 4],
    ) -> Result<Mic, Error> {
        let [a0, a1, a2, a3] = self.dev_addr.to_wire();
        let [e0, e1, e2, e3] = encrypted;
        let [c0, c1, ..] = self.wfcnt.to_le_bytes();
        let message = [a0, a1, a2, a3, e0, e1, e2, e3, c0, c1];
        truncated(&key.0, Some(&self.b0(Direction::Up, 0x0e)), &message)
    }
}

const JOIN: u8 = 0;
const UPLINK: u8 = 1;
const PROPRIETARY: u8 = 15;

impl<'a> Wor<'a> {
    /// Reads a wake-on-radio frame.
    ///
    /// # Errors
    /// A wrong length (5 bytes for a join, 15 for an uplink), or a reserved type.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let what = Part::Wor;
        let Some((&header, body)) = bytes.split_first() else {
            return Err(Error::new(ErrorKind::TooShort { what, needed: 1 }, Place::WOR, 0));
        };
        let length = |_| {
            let found = bytes.len().min(255) as u8;
            Error::new(ErrorKind::Length { what, found }, Place::WOR, 1)
        };
        match header & 0x0f {
            JOIN => Ok(Self::Join(RelayChannel::from_wire(body.try_into().map_err(length)?))),
            UPLINK => {
                let body: [u8; 14] = body.try_into().map_err(length)?;
                let [a0, a1, a2, a3, e0, e1, e2, e3, c0, c1, m0, m1, m2, m3] = body;
                Ok(Self::Uplink(WorUplink {
                    dev_addr: DevAddr::from_wire([a0, a1, a2, a3]),
                    wfcnt: u16::from_le_bytes([c0, c1]),
                    encrypted: [e0, e1, e2, e3],
                    mic: [m0, m1, m2, m3],
                }))
            }
            PROPRIETARY => Ok(Self::Proprietary(body)),
            _ => Err(Error::new(ErrorKind::FrameType, Place::WOR, 0)),
        }
    }

    /// Announces a join-request.
    ///
    /// # Errors
    /// A data rate above 15.
    pub fn build_join(channel: RelayChannel) -> Result<[u8; 5], Error> {
        let [dr, f0, f1, f2] = channel.to_wire(Place::WOR)?;
        Ok([JOIN, dr, f0, f1, f2])
    }

    /// Announces the uplink that follows on `uplink`. `context` has the channel of this frame.
    ///
    /// # Errors
    /// A data rate above 15, and what the key handles report.
    pub fn build_uplink<I: KeyHandle, E: KeyHandle>(
        uplink: RelayChannel,
        context: &WorContext,
        int_key: &WorSIntKey<I>,
        enc_key: &WorSEncKey<E>,
    ) -> Result<[u8; 15], Error> {
        let clear = uplink.to_wire(Place::WOR)?;
        let encrypted = context.crypt(Direction::Up, enc_key, Place::WOR, clear)?;
        let [m0, m1, m2, m3] = context.uplink_mic(int_key, encrypted)?;
        let [a0, a1, a2, a3] = context.dev_addr.to_wire();
        let [e0, e1, e2, e3] = encrypted;
        let [c0, c1, ..] = context.wfcnt.to_le_bytes();
        Ok([UPLINK, a0, a1, a2, a3, e0, e1, e2, e3, c0, c1, m0, m1, m2, m3])
    }
}

impl WorUplink {
    /// Checks the MIC and says where the uplink follows. `channel` is that of this frame, `wfcnt`
    /// the 32-bit counter.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`]; [`ErrorKind::FCntMismatch`] when `wfcnt` does not end in the 16 bits of
    /// the frame; what the key handles report.
    pub fn open<I: KeyHandle, E: KeyHandle>(
        &self,
        wfcnt: u32,
        channel: RelayChannel,
        int_key: &WorSIntKey<I>,
        enc_key: &WorSEncKey<E>,
    ) -> Result<RelayChannel, Error> {
        if wfcnt as u16 != self.wfcnt {
            return Err(Error::new(ErrorKind::FCntMismatch, Place::WOR, 9));
        }
        let context = WorContext { dev_addr: self.dev_addr, wfcnt, channel };
        check_mic(context.uplink_mic(int_key, self.encrypted)?, self.mic, 11)?;
        let clear = context.crypt(Direction::Up, enc_key, Place::WOR, self.encrypted)?;
        Ok(RelayChannel::from_wire(clear))
    }
}

/// What a relay answers to a wake-on-radio uplink (TS011 6): its own timing and abilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct WorAck {
    /// Symbols from detection to reception: 2, 4, 6 or 8 (0 to 3).
    pub cad_to_rx: u8,
    /// 0 will forward, 1 to 3 reasons why not (retry, disabled).
    pub forward: u8,
    /// Data rate index between relay and gateway.
    pub relay_dr: u8,
    /// Crystal accuracy: 10, 20, 30 or 40 ppm (0 to 3).
    pub xtal_accuracy: u8,
    /// Channel activity detection every 1000, 500, 250, 100, 50 or 20 ms (0 to 5).
    pub cad_periodicity: u8,
    /// Milliseconds from the detection to the start of the preamble, 0 to 2047.
    pub t_offset_ms: u16,
}

impl WorAck {
    /// Bytes of the frame.
    pub const LEN: usize = 7;

    fn to_wire(self) -> Result<[u8; 3], Error> {
        let mut bits = 0;
        for (value, shift, width) in [
            (u32::from(self.cad_to_rx), 22, 2),
            (u32::from(self.forward), 20, 2),
            (u32::from(self.relay_dr), 16, 4),
            (u32::from(self.xtal_accuracy), 14, 2),
            (u32::from(self.cad_periodicity), 11, 3),
            (u32::from(self.t_offset_ms), 0, 11),
        ] {
            in_range(value, (1 << width) - 1, Place::WOR_ACK, shift / 8)?;
            bits |= value << shift;
        }
        let [b0, b1, b2, _] = bits.to_le_bytes();
        Ok([b0, b1, b2])
    }

    fn from_wire([b0, b1, b2]: [u8; 3]) -> Self {
        let bits = u32::from_le_bytes([b0, b1, b2, 0]);
        Self {
            cad_to_rx: (bits >> 22 & 0b11) as u8,
            forward: (bits >> 20 & 0b11) as u8,
            relay_dr: (bits >> 16 & 0x0f) as u8,
            xtal_accuracy: (bits >> 14 & 0b11) as u8,
            cad_periodicity: (bits >> 11 & 0b111) as u8,
            t_offset_ms: (bits & 0x7ff) as u16,
        }
    }

    /// The MIC also covers the WOR frame that is answered.
    fn mic<K: KeyHandle>(
        context: &WorContext,
        wor_channel: RelayChannel,
        key: &WorSIntKey<K>,
        encrypted: [u8; 3],
    ) -> Result<Mic, Error> {
        let [e0, e1, e2] = encrypted;
        let [dr, f0, f1, f2] = wor_channel.to_wire(Place::WOR_ACK)?;
        let [c0, c1, ..] = context.wfcnt.to_le_bytes();
        let [a0, a1, a2, a3] = context.dev_addr.to_wire();
        let message = [e0, e1, e2, dr, f0, f1, f2, c0, c1, a0, a1, a2, a3];
        truncated(&key.0, Some(&context.b0(Direction::Down, Self::LEN as u8)), &message)
    }

    /// Encrypts and signs the answer. `context` has the ACK channel, `wor_channel` is that of the
    /// WOR frame.
    ///
    /// # Errors
    /// A value that does not fit its field, and what the key handles report.
    pub fn build<I: KeyHandle, E: KeyHandle>(
        &self,
        context: &WorContext,
        wor_channel: RelayChannel,
        int_key: &WorSIntKey<I>,
        enc_key: &WorSEncKey<E>,
    ) -> Result<[u8; Self::LEN], Error> {
        let clear = self.to_wire()?;
        let encrypted = context.crypt(Direction::Down, enc_key, Place::WOR_ACK, clear)?;
        let [m0, m1, m2, m3] = Self::mic(context, wor_channel, int_key, encrypted)?;
        let [e0, e1, e2] = encrypted;
        Ok([e0, e1, e2, m0, m1, m2, m3])
    }

    /// Checks and decrypts an answer. `context` has the ACK channel, `wor_channel` is that of the
    /// WOR frame.
    ///
    /// # Errors
    /// Any other length than 7 bytes, [`ErrorKind::Mic`], what the key handles report.
    pub fn open<I: KeyHandle, E: KeyHandle>(
        bytes: &[u8],
        context: &WorContext,
        wor_channel: RelayChannel,
        int_key: &WorSIntKey<I>,
        enc_key: &WorSEncKey<E>,
    ) -> Result<Self, Error> {
        let &[e0, e1, e2, m0, m1, m2, m3] = bytes else {
            let found = bytes.len().min(255) as u8;
            let kind = ErrorKind::Length { what: Part::Wor, found };
            return Err(Error::new(kind, Place::WOR_ACK, bytes.len()));
        };
        let encrypted = [e0, e1, e2];
        let mic = Self::mic(context, wor_channel, int_key, encrypted)?;
        check_mic(mic, [m0, m1, m2, m3], 3)?;
        Ok(Self::from_wire(context.crypt(Direction::Down, enc_key, Place::WOR_ACK, encrypted)?))
    }
}
