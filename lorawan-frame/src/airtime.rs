//! Time on air, in exact integer arithmetic.
//!
//! ```
//! use lorawan_frame::Direction;
//! use lorawan_frame::airtime::{self, Lora};
//! use lorawan_frame::region::eu868;
//!
//! // 51 bytes of application payload at SF12 keep the channel busy for 2.8 seconds: at 1 % duty
//! // cycle that is one frame in 4.6 minutes.
//! let frame = 51 + 13;
//! let on_air = Lora::new(12, 125_000).time_on_air(frame);
//! assert_eq!(on_air.as_millis(), 2793);
//! assert_eq!(airtime::pause_after(on_air, 100).as_secs(), 276);
//!
//! // The same from a region's table.
//! let rate = eu868::PLAN.data_rate(0, Direction::Up).unwrap();
//! assert_eq!(airtime::time_on_air(rate, frame, Direction::Up), on_air);
//! ```

use core::time::Duration;

use crate::Direction;
use crate::region::{DataRate, LrFhssCodingRate};

/// Time a frame of `phy_payload_len` bytes takes at a data rate of LoRaWAN, with the preamble,
/// header, coding rate and CRC that LoRaWAN gives it (RP002 2.4: CRC up, none down).
#[must_use]
pub fn time_on_air(rate: DataRate, phy_payload_len: usize, direction: Direction) -> Duration {
    let crc = direction == Direction::Up;
    match rate {
        DataRate::Lora { spreading_factor, bandwidth_hz } if bandwidth_hz > 500_000 => {
            let long =
                LongInterleaving { crc, ..LongInterleaving::new(spreading_factor, bandwidth_hz) };
            long.time_on_air(phy_payload_len)
        }
        DataRate::Lora { spreading_factor, bandwidth_hz } => {
            Lora { crc, ..Lora::new(spreading_factor, bandwidth_hz) }.time_on_air(phy_payload_len)
        }
        DataRate::Fsk { bit_rate } => fsk(bit_rate, phy_payload_len),
        DataRate::LrFhss { coding_rate, .. } => lr_fhss(coding_rate, phy_payload_len),
    }
}

/// How long a channel or sub-band must stay silent after a frame, for a duty cycle of one part in
/// `duty_cycle_inverse` ([`Band::duty_cycle_inverse`](crate::region::Band)).
#[must_use]
pub const fn pause_after(on_air: Duration, duty_cycle_inverse: u16) -> Duration {
    on_air.saturating_mul(duty_cycle_inverse.saturating_sub(1) as u32)
}

/// Duration of `quarters` / 4 symbols of 2^SF / BW, rounded to the nearest nanosecond.
fn quarter_symbols(quarters: u64, spreading_factor: u8, bandwidth_hz: u32) -> Duration {
    let chips = quarters.saturating_mul(1 << spreading_factor.min(16));
    let nanos_times_bandwidth = chips.saturating_mul(250_000_000);
    let bandwidth = u64::from(bandwidth_hz.max(1));
    Duration::from_nanos(nanos_times_bandwidth.saturating_add(bandwidth / 2) / bandwidth)
}

fn length(phy_payload_len: usize) -> u64 {
    // A radio frame is at most 255 bytes: the bound only keeps the sums below finite.
    u64::from(u16::try_from(phy_payload_len).unwrap_or(u16::MAX))
}

/// A LoRa transmission below 1 GHz (SX127x, SX126x, LR11xx).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Lora {
    /// Spreading factor, 5 to 12.
    pub spreading_factor: u8,
    /// Bandwidth in Hz.
    pub bandwidth_hz: u32,
    /// Coding rate 4/(4 + n): 1 to 4. Default 1.
    pub coding_rate: u8,
    /// Preamble symbols without the 4.25 of the synchronisation word. Default 8. `None` counts
    /// the payload part alone.
    pub preamble_symbols: Option<u16>,
    /// Whether the frame has a PHY header (a beacon has none). Default `true`.
    pub explicit_header: bool,
    /// Whether the payload has a CRC. Default `true`; LoRaWAN downlinks have none.
    pub crc: bool,
    /// Low-data-rate optimisation; `None`, the default: when a symbol takes 16 ms or more.
    pub low_data_rate: Option<bool>,
}

impl Lora {
    /// An uplink of LoRaWAN.
    #[must_use]
    pub const fn new(spreading_factor: u8, bandwidth_hz: u32) -> Self {
        Self {
            spreading_factor,
            bandwidth_hz,
            coding_rate: 1,
            preamble_symbols: Some(8),
            explicit_header: true,
            crc: true,
            low_data_rate: None,
        }
    }

    /// Duration of one symbol: 2^SF / BW.
    #[must_use]
    pub fn symbol(&self) -> Duration {
        quarter_symbols(4, self.spreading_factor, self.bandwidth_hz)
    }

    /// Time a frame of `phy_payload_len` bytes takes (Semtech AN1200.13).
    ///
    /// SF5 and SF6 are computed by the same formula; an SX126x takes two preamble symbols more.
    #[must_use]
    pub fn time_on_air(&self, phy_payload_len: usize) -> Duration {
        let sf = i64::from(self.spreading_factor);
        let optimised =
            self.low_data_rate.unwrap_or_else(|| self.symbol() >= Duration::from_millis(16));
        let bits = 8 * length(phy_payload_len) as i64 - 4 * sf + 28 + 16 * i64::from(self.crc)
            - 20 * i64::from(!self.explicit_header);
        let bits_per_block = (4 * (sf - 2 * i64::from(optimised))).max(1);
        let blocks = bits.max(0).unsigned_abs().div_ceil(bits_per_block.unsigned_abs());
        let payload_symbols = 8 + blocks * (u64::from(self.coding_rate) + 4);
        let preamble_quarters = self.preamble_symbols.map_or(0, |n| 4 * u64::from(n) + 17);
        quarter_symbols(
            preamble_quarters + 4 * payload_symbols,
            self.spreading_factor,
            self.bandwidth_hz,
        )
    }
}

/// Coding rates with long interleaving at 2.4 GHz (SX128x).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LongInterleavingRate {
    /// 4/5 LI.
    FourFifths,
    /// 4/6 LI.
    FourSixths,
    /// 4/8 LI, which LoRaWAN uses.
    FourEighths,
}

/// A LoRa transmission at 2.4 GHz with long interleaving (SX128x).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct LongInterleaving {
    /// Spreading factor, 5 to 12.
    pub spreading_factor: u8,
    /// Bandwidth in Hz.
    pub bandwidth_hz: u32,
    /// Coding rate. Default 4/8.
    pub coding_rate: LongInterleavingRate,
    /// Preamble symbols. Default 8.
    pub preamble_symbols: u16,
    /// Whether the payload has a CRC. Default `true`.
    pub crc: bool,
}

impl LongInterleaving {
    /// An uplink of LoRaWAN.
    #[must_use]
    pub const fn new(spreading_factor: u8, bandwidth_hz: u32) -> Self {
        Self {
            spreading_factor,
            bandwidth_hz,
            coding_rate: LongInterleavingRate::FourEighths,
            preamble_symbols: 8,
            crc: true,
        }
    }

    /// Time a frame of `phy_payload_len` bytes takes (SX1280 data sheet, 7.4.4.2).
    #[must_use]
    pub fn time_on_air(&self, phy_payload_len: usize) -> Duration {
        let sf = u64::from(self.spreading_factor);
        let payload_bits = 8 * length(phy_payload_len);
        let bits = payload_bits + 16 * u64::from(self.crc);
        let narrow = sf < 7;
        // Bits that travel in the header's block beside the header.
        let header_space = 8 * (sf.saturating_sub(if narrow { 5 } else { 7 }) / 2);
        let in_header =
            if bits > header_space { header_space.min(payload_bits) } else { header_space };
        let bits_per_block = (4 * if sf <= 10 { sf } else { sf - 2 }).max(1);
        let code = match self.coding_rate {
            LongInterleavingRate::FourFifths => 5,
            LongInterleavingRate::FourSixths => 6,
            LongInterleavingRate::FourEighths => 8,
        };
        let payload_symbols = (bits.saturating_sub(in_header) * code).div_ceil(bits_per_block);
        let sync_quarters = if narrow { 25 } else { 17 };
        let quarters = 4 * (u64::from(self.preamble_symbols) + 8 + payload_symbols) + sync_quarters;
        quarter_symbols(quarters, self.spreading_factor, self.bandwidth_hz)
    }
}

/// Time of an FSK frame: 5 bytes preamble, 3 sync word, 1 length, 2 CRC around the payload.
#[must_use]
pub fn fsk(bit_rate: u32, phy_payload_len: usize) -> Duration {
    let bits = 8 * (length(phy_payload_len) + 5 + 3 + 1 + 2);
    let bit_rate = u64::from(bit_rate.max(1));
    Duration::from_nanos((bits.saturating_mul(1_000_000_000) + bit_rate / 2) / bit_rate)
}

/// Time of an LR-FHSS frame: repeated headers of 233.472 ms, then fragments of 102.4 ms.
#[must_use]
pub fn lr_fhss(coding_rate: LrFhssCodingRate, phy_payload_len: usize) -> Duration {
    let (headers, bytes_per_fragment) = match coding_rate {
        LrFhssCodingRate::OneThird => (3, 2),
        LrFhssCodingRate::TwoThirds => (2, 4),
    };
    let fragments = (length(phy_payload_len) + 3).div_ceil(bytes_per_fragment);
    Duration::from_nanos(headers * 233_472_000 + fragments * 102_400_000)
}
