//! What a region's tables hold, and the look-ups over them.

use super::data_rate::Row;
use super::{
    Band, BeaconLayout, ChMaskError, Channel, ChannelBlock, ChannelMask, DataRate, Hopping, Join,
    JoinChannel, MaskControl, PayloadLimit, Region, Rx1Channel, Rx1DataRates, WorChannel,
};
use crate::{CfList, Direction, Frequency};

/// The tables of one region under one revision of the regional parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Plan {
    /// The region.
    pub region: Region,
    /// Data-rate table, index is the data rate.
    pub(super) rows: &'static [Row],
    /// RX1 data rates.
    pub rx1_data_rates: Rx1DataRates,
    /// RX1 channels.
    pub rx1_channel: Rx1Channel,
    /// Default frequency of RX2, Hz.
    pub rx2_frequency_hz: u32,
    /// Default data rate of RX2.
    pub rx2_data_rate: u8,
    /// RX2 after a join, where it depends on the join channel (CN470).
    pub rx2_after_join: Option<Hopping>,
    /// The channels a device knows from the start.
    pub channels: &'static [ChannelBlock],
    /// Where Join-Requests go.
    pub join: Join,
    /// How ChMask and ChMaskCntl address the channels.
    pub masks: MaskControl,
    /// Channels of 125 kHz that must stay enabled while a data rate of 125 kHz is used.
    pub min_narrow_channels: u8,
    /// Whether NewChannelReq and DlChannelReq can change channels (no fixed plan).
    pub dynamic_channels: bool,
    /// CFListType of the Join-Accept: 0 frequencies, 1 channel masks.
    pub cf_list_type: u8,
    /// What one step of a 24-bit frequency field is worth, Hz.
    pub frequency_step_hz: u32,
    /// Default MaxEIRP (US915: conducted), hundredths of a dBm.
    pub max_eirp_cdbm: i16,
    /// Highest TXPower index; each is 2 dB below the one before.
    pub max_tx_power_index: u8,
    /// Highest data rate an ADR server goes to on the default channels.
    pub max_adr_data_rate: u8,
    /// Whether devices answer TxParamSetupReq.
    pub tx_param_setup: bool,
    /// Whether devices start with uplink dwell time limited to 400 ms.
    pub dwell_at_boot: bool,
    /// Duty cycle and power limits; a frequency outside all of them is not the region's.
    pub bands: &'static [Band],
    /// Beacon frequency.
    pub beacon: Hopping,
    /// Layout and data rate of the beacon.
    pub beacon_layout: BeaconLayout,
    /// Default ping-slot frequency.
    pub ping_slot: Hopping,
    /// Default channels of relays; none where TS011 gives none.
    pub wor_channels: &'static [WorChannel],
}

/// Data rates and limits most regions with dynamic channels share.
pub(super) const COMMON_ROWS: [Row; 8] = [
    Row::lora(12, 125, 59),
    Row::lora(11, 125, 59),
    Row::lora(10, 125, 59),
    Row::lora(9, 125, 123),
    Row::lora(8, 125, 250),
    Row::lora(7, 125, 250),
    Row::lora(7, 250, 250),
    Row::fsk(250),
];

/// RX1 data rates most regions with dynamic channels share: DR - offset, not below DR 0.
pub(super) const COMMON_RX1: Rx1DataRates = Rx1DataRates {
    base: &[0, 1, 2, 3, 4, 5, 6, 7],
    floor: 0,
    floor_dwell: 0,
    cap: 7,
    max_offset: 5,
};

impl Plan {
    /// What most regions with dynamic channels share; each fills in its frequencies.
    pub(super) const fn dynamic(region: Region) -> Self {
        Self {
            region,
            rows: &COMMON_ROWS,
            rx1_data_rates: COMMON_RX1,
            rx1_channel: Rx1Channel::SameAsUplink,
            rx2_frequency_hz: 0,
            rx2_data_rate: 0,
            rx2_after_join: None,
            channels: &[],
            join: Join::OnChannels,
            masks: MaskControl::DYNAMIC,
            min_narrow_channels: 0,
            dynamic_channels: true,
            cf_list_type: 0,
            frequency_step_hz: 100,
            max_eirp_cdbm: 1600,
            max_tx_power_index: 7,
            max_adr_data_rate: 5,
            tx_param_setup: false,
            dwell_at_boot: false,
            bands: &[],
            beacon: Hopping::fixed(0),
            beacon_layout: BeaconLayout::new(1, 0, 3),
            ping_slot: Hopping::fixed(0),
            wor_channels: &[],
        }
    }
}

impl Plan {
    /// Delay from the end of an uplink to RX1, seconds (RECEIVE_DELAY1).
    pub const RECEIVE_DELAY1_S: u8 = 1;
    /// Delay to RX2, seconds (RECEIVE_DELAY2).
    pub const RECEIVE_DELAY2_S: u8 = 2;
    /// Delay from a Join-Request to RX1, seconds (JOIN_ACCEPT_DELAY1).
    pub const JOIN_ACCEPT_DELAY1_S: u8 = 5;
    /// Delay from a Join-Request to RX2, seconds (JOIN_ACCEPT_DELAY2).
    pub const JOIN_ACCEPT_DELAY2_S: u8 = 6;
    /// Uplinks without a downlink until ADRACKReq is set (ADR_ACK_LIMIT).
    pub const ADR_ACK_LIMIT: u16 = 64;
    /// Further uplinks until the device steps back (ADR_ACK_DELAY).
    pub const ADR_ACK_DELAY: u16 = 32;

    fn row(&self, data_rate: u8) -> Option<&Row> {
        self.rows.get(usize::from(data_rate)).filter(|row| row.rate.is_some())
    }

    /// The modulation of a data rate, or `None` when it is reserved in that direction.
    #[must_use]
    pub fn data_rate(&self, data_rate: u8, direction: Direction) -> Option<DataRate> {
        let row = self.row(data_rate)?;
        let usable = match direction {
            Direction::Up => row.uplink,
            Direction::Down => row.downlink,
        };
        row.rate.filter(|_| usable)
    }

    /// The data rate with this modulation.
    #[must_use]
    pub fn data_rate_index(&self, rate: DataRate, direction: Direction) -> Option<u8> {
        (0u8..16).find(|&index| self.data_rate(index, direction) == Some(rate))
    }

    /// The largest payload at a data rate, with 400 ms dwell time or behind a repeater.
    #[must_use]
    pub fn payload_limit(
        &self,
        data_rate: u8,
        repeater: bool,
        dwell: bool,
    ) -> Option<PayloadLimit> {
        let row = self.row(data_rate)?;
        let limit = if repeater { row.m_repeater } else { row.m };
        Some(PayloadLimit { mac_payload: if dwell { limit.min(row.m_dwell) } else { limit } })
    }

    /// The data rate of RX1 after an uplink, or `None` for a reserved data rate or offset.
    ///
    /// `dwell`: downlink dwell time is limited to 400 ms.
    #[must_use]
    pub fn rx1_data_rate(&self, uplink: u8, offset: u8, dwell: bool) -> Option<u8> {
        let rules = &self.rx1_data_rates;
        self.data_rate(uplink, Direction::Up)?;
        let base = *rules.base.get(usize::from(uplink))?;
        let moved = match offset {
            _ if offset > rules.max_offset => return None,
            0..=5 => base.saturating_sub(offset),
            _ => base.saturating_add(offset - 5),
        };
        let floor = if dwell { rules.floor_dwell } else { rules.floor };
        let wanted = moved.min(rules.cap).max(floor);
        (floor..=wanted).rev().find(|&dr| self.data_rate(dr, Direction::Down).is_some())
    }

    /// The channels a device knows from the start.
    pub fn default_channels(&self) -> impl Iterator<Item = Channel> + Clone + use<> {
        let mut first = 0u8;
        self.channels.iter().flat_map(move |block| {
            let start = first;
            first = first.saturating_add(block.count);
            (0..block.count).map(move |n| Channel {
                index: start.saturating_add(n),
                frequency_hz: block.first_hz.saturating_add(block.step_hz * u32::from(n)),
                min_data_rate: block.data_rates.0,
                max_data_rate: block.data_rates.1,
            })
        })
    }

    /// The channels a device knows from the start, as a mask.
    #[must_use]
    pub fn default_channel_mask(&self) -> ChannelMask {
        self.default_channels().map(|channel| channel.index).collect()
    }

    /// A channel the device knows from the start.
    #[must_use]
    pub fn default_channel(&self, index: u8) -> Option<Channel> {
        self.default_channels().nth(usize::from(index))
    }

    /// The channel an uplink came on, among those the device knows from the start: a server needs
    /// its index for RX1 and, in LoRaWAN 1.1, for the MIC.
    #[must_use]
    pub fn channel_at(&self, frequency_hz: u32, data_rate: u8) -> Option<Channel> {
        self.default_channels().find(|channel| {
            let rates = channel.min_data_rate..=channel.max_data_rate;
            channel.frequency_hz == frequency_hz && rates.contains(&data_rate)
        })
    }

    /// The frequency of RX1 in Hz after an uplink on a channel.
    #[must_use]
    pub fn rx1_frequency_hz(&self, channel: &Channel) -> u32 {
        match self.rx1_channel {
            Rx1Channel::SameAsUplink => channel.frequency_hz,
            Rx1Channel::Modulo { first_hz, step_hz, count } => {
                let downlink = u32::from(channel.index) % u32::from(count.max(1));
                first_hz.saturating_add(step_hz.saturating_mul(downlink))
            }
        }
    }

    /// The channels for Join-Requests.
    pub fn join_channels(&self) -> impl Iterator<Item = JoinChannel> + '_ {
        let (own, first_index) = match self.join {
            Join::OnChannels => (&[][..], 0),
            Join::Own { first_index, channels } => (channels, first_index),
        };
        let lowest = self.channels.first().map_or((0, 0), |block| block.join_data_rates);
        let own = (first_index..).zip(own).map(move |(index, &(uplink_hz, rx1_hz))| JoinChannel {
            index,
            uplink_hz,
            rx1_hz,
            min_data_rate: lowest.0,
            max_data_rate: lowest.1,
        });
        let join_data_rates =
            self.channels.iter().flat_map(|block| (0..block.count).map(|_| block.join_data_rates));
        let on_channels = self
            .default_channels()
            .zip(join_data_rates)
            .filter(|_| self.join == Join::OnChannels)
            .map(|(channel, (min_data_rate, max_data_rate))| JoinChannel {
                index: channel.index,
                uplink_hz: channel.frequency_hz,
                rx1_hz: self.rx1_frequency_hz(&channel),
                min_data_rate,
                max_data_rate,
            });
        own.chain(on_channels)
    }

    /// The frequency of RX2 in Hz after a join on the plan's `join`-th join channel.
    #[must_use]
    pub fn rx2_frequency_after_join_hz(&self, join: u8) -> u32 {
        self.rx2_after_join.map_or(self.rx2_frequency_hz, |rx2| rx2.frequency_hz(0, join))
    }

    /// EIRP of a TXPower index in hundredths of a dBm, under `max_eirp_cdbm` (the plan's default
    /// or what TxParamSetupReq set). `None` for a reserved index.
    #[must_use]
    pub fn eirp_cdbm(&self, tx_power_index: u8, max_eirp_cdbm: i16) -> Option<i16> {
        (tx_power_index <= self.max_tx_power_index)
            .then(|| max_eirp_cdbm.saturating_sub(200 * i16::from(tx_power_index)))
    }

    /// The band a frequency lies in.
    #[must_use]
    pub fn band(&self, frequency_hz: u32) -> Option<&'static Band> {
        self.bands.iter().find(|band| (band.first_hz..band.end_hz).contains(&frequency_hz))
    }

    /// The frequency in Hz that a frequency field of the region stands for.
    #[must_use]
    pub const fn hertz(&self, field: Frequency) -> u32 {
        // 24 bits times at most 200.
        field.value() * self.frequency_step_hz
    }

    /// The frequency field for a frequency in Hz, or `None` when it is no multiple of the
    /// region's step or too high.
    #[must_use]
    pub const fn frequency(&self, frequency_hz: u32) -> Option<Frequency> {
        if frequency_hz % self.frequency_step_hz == 0 {
            Frequency::new(frequency_hz / self.frequency_step_hz)
        } else {
            None
        }
    }

    /// The CFList that tells a joining device which channels to use; of type 0 or 1 as the region
    /// wants it.
    ///
    /// Type 0 names up to five frequencies after the default channels, `frequencies` in Hz; type 1
    /// is the mask `channels`. `None`: more than five frequencies, or one that does not fit.
    #[must_use]
    pub fn cf_list(&self, frequencies: &[u32], channels: ChannelMask) -> Option<CfList> {
        if self.cf_list_type == 1 {
            return Some(CfList::from_channel_masks(channels.to_words()));
        }
        let mut list = [Frequency::default(); 5];
        if frequencies.len() > list.len() {
            return None;
        }
        for (slot, &frequency) in list.iter_mut().zip(frequencies) {
            *slot = self.frequency(frequency)?;
        }
        Some(CfList::from_frequencies(list))
    }

    /// The channels a device uses after a block of LinkADRReq, given as (ChMaskCntl, ChMask).
    ///
    /// `defined` are the channels the device knows: [`Plan::default_channel_mask`] and those of
    /// CFList and NewChannelReq. `data_rate` is the one the block sets.
    ///
    /// # Errors
    /// [`ChMaskError`] when any request is refused or too few channels are left: nothing is
    /// applied then, and the device answers ChMaskACK = 0.
    pub fn apply_ch_masks(
        &self,
        current: ChannelMask,
        defined: ChannelMask,
        data_rate: u8,
        requests: impl IntoIterator<Item = (u8, u16)>,
    ) -> Result<ChannelMask, ChMaskError> {
        let next = self.masks.apply_all(current, defined, requests)?;
        let hops = self.channels.first().is_some_and(|block| data_rate <= block.data_rates.1);
        let narrow = next.channels().filter(|&channel| channel < 64).count();
        if hops && narrow < usize::from(self.min_narrow_channels) {
            return Err(ChMaskError::TooFewChannels);
        }
        Ok(next)
    }
}
