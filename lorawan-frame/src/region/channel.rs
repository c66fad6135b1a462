//! Channels, bands, and frequencies taken in turn.

/// A run of channels at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChannelBlock {
    /// Frequency of the first channel, Hz.
    pub first_hz: u32,
    /// Distance between two channels, Hz.
    pub step_hz: u32,
    /// Number of channels.
    pub count: u8,
    /// Data rates allowed on them, lowest and highest.
    pub data_rates: (u8, u8),
    /// Data rates of a Join-Request on them, lowest and highest.
    pub join_data_rates: (u8, u8),
}

impl ChannelBlock {
    pub(super) const fn new(first_hz: u32, step_hz: u32, count: u8, data_rates: (u8, u8)) -> Self {
        Self { first_hz, step_hz, count, data_rates, join_data_rates: data_rates }
    }

    pub(super) const fn join(self, join_data_rates: (u8, u8)) -> Self {
        Self { join_data_rates, ..self }
    }
}

/// One uplink channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Channel {
    /// Channel index, the number MAC commands and TxCh use.
    pub index: u8,
    /// Frequency in Hz.
    pub frequency_hz: u32,
    /// Lowest data rate.
    pub min_data_rate: u8,
    /// Highest data rate.
    pub max_data_rate: u8,
}

/// Where the first receive window listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rx1Channel {
    /// On the frequency of the uplink (or what DlChannelReq set).
    SameAsUplink,
    /// On downlink channel `uplink channel mod count`.
    Modulo {
        /// Frequency of downlink channel 0, Hz.
        first_hz: u32,
        /// Distance between two channels, Hz.
        step_hz: u32,
        /// Number of downlink channels.
        count: u8,
    },
}

/// A part of the spectrum with its duty cycle and power limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Band {
    /// First frequency, Hz, included.
    pub first_hz: u32,
    /// Last frequency, Hz, not included.
    pub end_hz: u32,
    /// Transmit at most one part in so many of the time: 1000 is 0.1 %, 100 is 1 %, 1 no limit.
    pub duty_cycle_inverse: u16,
    /// Highest EIRP in hundredths of a dBm.
    pub max_eirp_cdbm: i16,
}

/// A frequency, or several taken in turn: the beacon's and the ping slots'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hopping {
    /// Frequency of the first channel, Hz.
    pub first_hz: u32,
    /// Distance between two channels, Hz.
    pub step_hz: u32,
    /// Number of channels; 1 is a fixed frequency.
    pub count: u8,
    /// Shift for each join channel used (CN470), Hz.
    pub join_step_hz: u32,
}

impl Hopping {
    pub(super) const fn fixed(frequency_hz: u32) -> Self {
        Self { first_hz: frequency_hz, step_hz: 0, count: 1, join_step_hz: 0 }
    }

    pub(super) const fn over(first_hz: u32, step_hz: u32, count: u8) -> Self {
        Self { first_hz, step_hz, count, join_step_hz: 0 }
    }

    pub(super) const fn by_join_channel(self, join_step_hz: u32) -> Self {
        Self { join_step_hz, ..self }
    }

    /// The frequency in Hz at position `turn`, after a join on the plan's `join`-th join channel
    /// (0 where the region does not depend on it).
    #[must_use]
    pub const fn frequency_hz(&self, turn: u64, join: u8) -> u32 {
        let channel = (turn % if self.count == 0 { 1 } else { self.count as u64 }) as u32;
        self.first_hz
            .saturating_add(self.step_hz.saturating_mul(channel))
            .saturating_add(self.join_step_hz.saturating_mul(join as u32))
    }
}

/// Where the fields of a beacon lie.
///
/// A beacon is RFU1, Param, Time, CRC, GwSpecific, RFU2, CRC (LoRaWAN 1.1, 15.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BeaconLayout {
    /// Bytes of RFU1, before the Param byte of 1.0.4.
    pub rfu1: u8,
    /// Bytes of RFU2.
    pub rfu2: u8,
    /// Whether the byte before the time is Param (from 1.0.4).
    pub param: bool,
    /// Data rate.
    pub data_rate: u8,
}

impl BeaconLayout {
    pub(super) const fn new(rfu1: u8, rfu2: u8, data_rate: u8) -> Self {
        Self { rfu1, rfu2, param: true, data_rate }
    }

    /// The same beacon before 1.0.4, where Param was one more byte of RFU1.
    pub(super) const fn without_param(self) -> Self {
        Self { rfu1: self.rfu1 + 1, param: false, ..self }
    }

    /// Size of the beacon in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.rfu1 as usize + self.param as usize + 4 + 2 + 7 + self.rfu2 as usize + 2
    }
}

/// Where Join-Requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Join {
    /// On the plan's channels.
    OnChannels,
    /// On channels of their own (CN470).
    Own {
        /// Number of the plan's first join channel among those of all plans.
        first_index: u8,
        /// Uplink and RX1 frequencies, Hz.
        channels: &'static [(u32, u32)],
    },
}

/// A channel for Join-Requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JoinChannel {
    /// Number of the join channel.
    pub index: u8,
    /// Frequency of the Join-Request, Hz.
    pub uplink_hz: u32,
    /// Frequency of RX1, Hz.
    pub rx1_hz: u32,
    /// Lowest data rate.
    pub min_data_rate: u8,
    /// Highest data rate.
    pub max_data_rate: u8,
}

/// A channel on which a relay listens for its devices (TS011, wake on radio).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WorChannel {
    /// Frequency of the WOR frame, Hz.
    pub frequency_hz: u32,
    /// Frequency of the WOR ACK, Hz.
    pub ack_frequency_hz: u32,
    /// Data rate of both.
    pub data_rate: u8,
}

impl WorChannel {
    pub(super) const fn new(frequency_hz: u32, ack_frequency_hz: u32, data_rate: u8) -> Self {
        Self { frequency_hz, ack_frequency_hz, data_rate }
    }
}
