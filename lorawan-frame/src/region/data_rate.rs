//! Data rates and how much a frame may carry at each.

/// How a data rate is modulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DataRate {
    /// LoRa; coding rate 4/5 (at 2.4 GHz 4/8 long interleaving).
    Lora {
        /// Spreading factor, 5 to 12.
        spreading_factor: u8,
        /// Bandwidth in Hz.
        bandwidth_hz: u32,
    },
    /// Frequency shift keying.
    Fsk {
        /// Bit/s.
        bit_rate: u32,
    },
    /// Long-range frequency hopping.
    LrFhss {
        /// Coding rate.
        coding_rate: LrFhssCodingRate,
        /// Occupied channel width in Hz.
        channel_width_hz: u32,
    },
}

/// The two coding rates of LR-FHSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LrFhssCodingRate {
    /// 1/3 (written 2/6 by some).
    OneThird,
    /// 2/3 (written 4/6 by some).
    TwoThirds,
}

/// One row of the data-rate table: the rate and the largest MACPayload it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Row {
    pub(super) rate: Option<DataRate>,
    pub(super) uplink: bool,
    pub(super) downlink: bool,
    pub(super) m: u8,
    pub(super) m_repeater: u8,
    pub(super) m_dwell: u8,
}

/// The largest MACPayload behind a repeater.
const REPEATER_LIMIT: u8 = 230;

impl Row {
    /// A data rate reserved for future use.
    pub(super) const RFU: Self =
        Self { rate: None, uplink: false, downlink: false, m: 0, m_repeater: 0, m_dwell: 0 };

    const fn new(rate: DataRate, m: u8) -> Self {
        let m_repeater = if m > REPEATER_LIMIT { REPEATER_LIMIT } else { m };
        Self { rate: Some(rate), uplink: true, downlink: true, m, m_repeater, m_dwell: m }
    }

    pub(super) const fn lora(spreading_factor: u8, bandwidth_khz: u32, m: u8) -> Self {
        Self::new(DataRate::Lora { spreading_factor, bandwidth_hz: bandwidth_khz * 1000 }, m)
    }

    pub(super) const fn fsk(m: u8) -> Self {
        Self::new(DataRate::Fsk { bit_rate: 50_000 }, m)
    }

    pub(super) const fn lr_fhss(coding_rate: LrFhssCodingRate, width_khz: u32, m: u8) -> Self {
        let rate = DataRate::LrFhss { coding_rate, channel_width_hz: width_khz * 1000 };
        Self::new(rate, m).up()
    }

    /// Only for uplinks.
    pub(super) const fn up(self) -> Self {
        Self { downlink: false, ..self }
    }

    /// Only for downlinks.
    pub(super) const fn down(self) -> Self {
        Self { uplink: false, ..self }
    }

    /// The limit while dwell time is limited to 400 ms.
    pub(super) const fn dwell(self, m_dwell: u8) -> Self {
        Self { m_dwell, ..self }
    }

    /// The limit behind a repeater, where it is not just the cap at 230.
    pub(super) const fn repeater(self, m_repeater: u8) -> Self {
        Self { m_repeater, ..self }
    }
}

/// How much a frame may carry at one data rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PayloadLimit {
    /// Largest MACPayload (FHDR, FPort and FRMPayload) in bytes; 0: nothing may be sent.
    pub mac_payload: u8,
}

impl PayloadLimit {
    /// Largest FRMPayload in bytes beside `fopts_len` bytes of FOpts (N of the tables for 0).
    #[must_use]
    pub const fn frm_payload(self, fopts_len: u8) -> u8 {
        // FHDR without FOpts is 7 bytes, FPort one more.
        self.mac_payload.saturating_sub(8).saturating_sub(fopts_len)
    }
}

/// How RX1's data rate follows from the uplink's.
///
/// `base[up] - offset`, held between `floor` and `cap`; a reserved data rate falls to the next
/// lower one. Offsets 6 and 7, where a region has them, raise by one and two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rx1DataRates {
    /// Downlink data rate at offset 0 for each uplink data rate (before the cap).
    pub base: &'static [u8],
    /// Lowest data rate of RX1.
    pub floor: u8,
    /// Lowest while downlink dwell time is limited.
    pub floor_dwell: u8,
    /// Highest data rate of RX1.
    pub cap: u8,
    /// Highest RX1DROffset.
    pub max_offset: u8,
}
