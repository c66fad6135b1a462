//! Class B: beacons and ping slots (LoRaWAN 1.1, chapters 8 to 15).
//!
//! ```
//! use lorawan_frame::class_b::{self, Beacon, GwSpecific, Periodicity};
//! use lorawan_frame::region::{Region, Revision};
//! use lorawan_frame::{DevAddr, Error};
//!
//! let plan = Region::Eu868.plan(Revision::default());
//!
//! // Gateway: every 128 s of GPS time, with its position.
//! let position = GwSpecific::coordinates(0, 47.37, 8.54);
//! let beacon = Beacon { param: 0, time: 1_451_260_800, gw_specific: Some(position) };
//! let mut on_air = [0; 32];
//! let on_air = beacon.build_into(&plan.beacon_layout, &mut on_air)?;
//! assert_eq!(on_air.len(), 17);
//!
//! // Device: the time is good, so when is its next ping slot, and where?
//! let beacon = Beacon::parse(on_air, &plan.beacon_layout)?;
//! let address = DevAddr::new(0x2601_1bda);
//! let every_32_s = Periodicity::new(5).unwrap();
//! let now_ms = u64::from(beacon.time) * 1000;
//! let slot_ms = class_b::next_ping_slot(now_ms, address, every_32_s);
//! assert!((2_120..32_000 + 2_120).contains(&(slot_ms - now_ms)));
//! assert_eq!(class_b::ping_slot_frequency(plan, address, slot_ms / 1000, 0), 869_525_000);
//! # Ok::<(), Error>(())
//! ```

use crate::error::{ErrorKind, Part, Place, in_range, room};
use crate::keys::{Key, KeyHandle};
use crate::region::{BeaconLayout, Plan};
use crate::{DevAddr, Error};

/// Time between two beacons, seconds (BEACON_INTERVAL).
pub const BEACON_PERIOD_S: u32 = 128;
/// Time kept free for the beacon at the start of a period, milliseconds (BEACON_RESERVED).
pub const BEACON_RESERVED_MS: u32 = 2120;
/// Time kept free before the next beacon, milliseconds (BEACON_GUARD).
pub const BEACON_GUARD_MS: u32 = 3000;
/// Length of a ping slot, milliseconds.
pub const SLOT_MS: u32 = 30;
/// Ping slots in one beacon period.
pub const SLOTS: u16 = 4096;
/// How long a device may stay in Class B without a beacon, seconds.
pub const BEACONLESS_S: u32 = 2 * 60 * 60;
/// Delay of the beacon after the start of the period, microseconds (TBeaconDelay).
pub const BEACON_DELAY_US: u32 = 1500;

/// A beacon: the network's time, and what the gateway says of itself (section 15.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Beacon {
    /// Param of LoRaWAN 1.0.4: bits 1 and 0 are Prec, the others RFU. 0 in layouts without it.
    pub param: u8,
    /// GPS seconds modulo 2^32 at the start of the beacon period.
    pub time: u32,
    /// What the gateway says of itself. `None` after parsing: its CRC did not match, while the
    /// time is good. Building then writes zeros.
    pub gw_specific: Option<GwSpecific>,
}

/// GwSpecific: the gateway's part of a beacon (section 15.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GwSpecific {
    /// InfoDesc: 0, 1, 2 position of the first, second, third antenna; 3 NetID and GatewayID;
    /// 128 to 255 as the network likes.
    pub info_desc: u8,
    /// Info as on the wire.
    pub info: [u8; 6],
}

impl GwSpecific {
    /// The position of an antenna (0 to 2) in degrees, north and east positive. Values outside
    /// the globe are held at its edge.
    #[must_use]
    pub fn coordinates(antenna: u8, latitude: f64, longitude: f64) -> Self {
        let raw = |degrees: f64, half_circle: f64| {
            // `as` saturates: no value leaves 24 bits.
            let scaled = degrees / half_circle * f64::from(1 << 23);
            (scaled as i32).clamp(-(1 << 23), (1 << 23) - 1)
        };
        Self::raw_coordinates(antenna, raw(latitude, 90.0), raw(longitude, 180.0))
    }

    /// The position of an antenna as the 24-bit integers of the wire: latitude * 2^23 / 90,
    /// longitude * 2^23 / 180, both in degrees. Higher bits are cut off.
    #[must_use]
    pub fn raw_coordinates(antenna: u8, latitude: i32, longitude: i32) -> Self {
        let mut info = [0; 6];
        for (field, value) in info.chunks_exact_mut(3).zip([latitude, longitude]) {
            field.copy_from_slice(&value.to_le_bytes()[..3]);
        }
        Self { info_desc: antenna, info }
    }

    /// Latitude and longitude as the integers of the wire, when this is a position.
    #[must_use]
    pub fn to_raw_coordinates(&self) -> Option<(i32, i32)> {
        let [a, b, c, d, e, f] = self.info;
        // Shifted up and down again: the sign is bit 23.
        let signed = |low, middle, high| i32::from_le_bytes([0, low, middle, high]) >> 8;
        (self.info_desc <= 2).then(|| (signed(a, b, c), signed(d, e, f)))
    }

    /// Latitude and longitude in degrees, when this is a position.
    #[must_use]
    pub fn to_coordinates(&self) -> Option<(f64, f64)> {
        let (latitude, longitude) = self.to_raw_coordinates()?;
        let unit = f64::from(1 << 23);
        Some((f64::from(latitude) * 90.0 / unit, f64::from(longitude) * 180.0 / unit))
    }
}

/// CRC-16 of beacons: polynomial 0x1021, start 0, most significant bit first.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let crc = bytes.iter().fold(0u16, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    });
    crc.to_le_bytes()
}

/// The two halves of a beacon, each with its CRC at the end.
const fn common_len(layout: &BeaconLayout) -> usize {
    layout.rfu1 as usize + layout.param as usize + 4 + 2
}

impl Beacon {
    /// Reads a beacon of this layout ([`Plan::beacon_layout`]). RFU bytes are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Length`] when the layout has another size, [`ErrorKind::Crc`] when the half
    /// with the time is damaged (section 15.2).
    pub fn parse(bytes: &[u8], layout: &BeaconLayout) -> Result<Self, Error> {
        let wrong_length = || {
            let found = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
            Error::new(ErrorKind::Length { what: Part::Beacon, found }, Place::BEACON, 0)
        };
        if bytes.len() != layout.size() {
            return Err(wrong_length());
        }
        let (common, own) = bytes.split_at_checked(common_len(layout)).ok_or_else(wrong_length)?;
        let (common, common_crc) = common.split_last_chunk().ok_or_else(wrong_length)?;
        let (own, own_crc) = own.split_last_chunk().ok_or_else(wrong_length)?;
        if crc(common) != *common_crc {
            return Err(Error::new(ErrorKind::Crc, Place::BEACON_CRC, common.len()));
        }
        let (head, time) = common.split_last_chunk().ok_or_else(wrong_length)?;
        let own = own.first_chunk().filter(|_| crc(own) == *own_crc);
        Ok(Self {
            param: head.last().copied().filter(|_| layout.param).unwrap_or(0),
            time: u32::from_le_bytes(*time),
            gw_specific: own.map(|&[info_desc, a, b, c, d, e, f]: &[u8; 7]| GwSpecific {
                info_desc,
                info: [a, b, c, d, e, f],
            }),
        })
    }

    /// Writes the beacon in this layout to the front of `buf` and returns it.
    ///
    /// # Errors
    /// [`ErrorKind::BufferTooSmall`]; [`ErrorKind::OutOfRange`] when the layout has no Param and
    /// `param` is not 0.
    pub fn build_into<'b>(
        &self,
        layout: &BeaconLayout,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        let rfu1 = usize::from(layout.rfu1);
        if !layout.param {
            in_range(self.param.into(), 0, Place::BEACON_PARAM, rfu1)?;
        }
        let beacon = room(buf, layout.size())?;
        let param = layout.param.then_some(self.param);
        let gw_specific = self.gw_specific.unwrap_or_default();
        let zeros = |n: u8| core::iter::repeat_n(0, n.into());
        let common = zeros(layout.rfu1).chain(param).chain(self.time.to_le_bytes());
        let own =
            [gw_specific.info_desc].into_iter().chain(gw_specific.info).chain(zeros(layout.rfu2));
        let (first, second) = beacon.split_at_mut(common_len(layout));
        seal(first, common);
        seal(second, own);
        Ok(beacon)
    }

    /// Accuracy of the time in microseconds: 1, 10, 100 or 1000 (Prec of LoRaWAN 1.0.4).
    #[must_use]
    pub const fn accuracy_us(&self) -> u16 {
        10u16.pow((self.param & 3) as u32)
    }
}

/// Fills a half of a beacon, and its last two bytes with the CRC.
fn seal(half: &mut [u8], content: impl Iterator<Item = u8>) {
    half.iter_mut().zip(content).for_each(|(slot, byte)| *slot = byte);
    if let Some((content, sum)) = half.split_last_chunk_mut() {
        *sum = crc(content);
    }
}

/// How often a device opens ping slots: every 2^p seconds, p from 0 to 7 (section 14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Periodicity(u8);

impl Periodicity {
    /// From the field of PingSlotInfoReq; `None` above 7.
    #[must_use]
    pub const fn new(periodicity: u8) -> Option<Self> {
        if periodicity > 7 { None } else { Some(Self(periodicity)) }
    }

    /// The field of PingSlotInfoReq, 0 to 7.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Ping slots in one beacon period (pingNb), 1 to 128.
    #[must_use]
    pub const fn ping_nb(self) -> u16 {
        1 << (7 - self.0)
    }

    /// Distance of two ping slots in slots (pingPeriod), 32 to 4096.
    #[must_use]
    pub const fn ping_period(self) -> u16 {
        1 << (5 + self.0)
    }
}

/// The start of the beacon period that contains a GPS time in seconds.
#[must_use]
pub const fn beacon_time(gps_seconds: u64) -> u64 {
    gps_seconds - gps_seconds % BEACON_PERIOD_S as u64
}

/// The first ping slot of a device in a beacon period, in slots from its first slot: pseudo-random,
/// so that two devices do not collide for ever (section 13.2).
#[must_use]
pub fn ping_offset(beacon_time: u32, dev_addr: DevAddr, periodicity: Periodicity) -> u16 {
    let mut block = [0; 16];
    let input = beacon_time.to_le_bytes().into_iter().chain(dev_addr.to_wire());
    block.iter_mut().zip(input).for_each(|(slot, byte)| *slot = byte);
    // A software key cannot fail; were it to, slot 0 would be as good as any other.
    if Key::new([0; 16]).encrypt(core::slice::from_mut(&mut block)).is_err() {
        return 0;
    }
    u16::from_le_bytes([block[0], block[1]]) % periodicity.ping_period()
}

/// GPS milliseconds of the start of the device's first ping slot after `after_ms` (section 13.2).
#[must_use]
pub fn next_ping_slot(after_ms: u64, dev_addr: DevAddr, periodicity: Periodicity) -> u64 {
    let mut beacon = beacon_time(after_ms / 1000);
    loop {
        let offset = ping_offset(beacon as u32, dev_addr, periodicity);
        let first_ms = beacon
            .saturating_mul(1000)
            .saturating_add(u64::from(BEACON_RESERVED_MS))
            .saturating_add(u64::from(offset) * u64::from(SLOT_MS));
        let period_ms = u64::from(periodicity.ping_period()) * u64::from(SLOT_MS);
        let passed = match after_ms.checked_sub(first_ms) {
            Some(since_first) => since_first / period_ms + 1,
            None => 0,
        };
        // At most one period on: the next beacon's first slot is always after `after_ms`.
        if passed < u64::from(periodicity.ping_nb()) || first_ms == u64::MAX {
            return first_ms.saturating_add(passed * period_ms);
        }
        beacon = beacon.saturating_add(BEACON_PERIOD_S.into());
    }
}

fn period_number(gps_seconds: u64) -> u64 {
    gps_seconds / u64::from(BEACON_PERIOD_S)
}

/// Frequency in Hz of the beacon at a GPS time in seconds. `join`: which of the plan's join
/// channels was used, where it matters (CN470), else 0.
#[must_use]
pub fn beacon_frequency(plan: &Plan, gps_seconds: u64, join: u8) -> u32 {
    plan.beacon.frequency_hz(period_number(gps_seconds), join)
}

/// Default frequency in Hz of a device's ping slots in the beacon period of a GPS time in seconds:
/// fixed, or hopping over `(DevAddr + period) mod channels` (section 13.1). `join` as in
/// [`beacon_frequency`].
#[must_use]
pub fn ping_slot_frequency(plan: &Plan, dev_addr: DevAddr, gps_seconds: u64, join: u8) -> u32 {
    let turn = u64::from(dev_addr.value()).saturating_add(period_number(gps_seconds));
    plan.ping_slot.frequency_hz(turn, join)
}
