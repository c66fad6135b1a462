//! IN865: 865 to 867 MHz.

use super::data_rate::Row;
use super::plan::{COMMON_ROWS, COMMON_RX1};
use super::{
    Band, BeaconLayout, ChannelBlock, Hopping, Plan, Region, Revision, Rx1DataRates, WorChannel,
};

const ROWS: [Row; 8] = {
    let mut rows = COMMON_ROWS;
    rows[6] = Row::RFU;
    rows
};

/// IN865 under RP002.
///
/// Sources disagree on a few RX1 data rates around the reserved DR 6 (here, as in LoRaMac-node
/// and LoRa Basics Modem, DR 5 takes its place) and on the beacon (The Things Stack: 866.5 MHz).
pub const PLAN: Plan = Plan {
    rows: &ROWS,
    rx1_data_rates: Rx1DataRates { max_offset: 7, ..COMMON_RX1 },
    rx2_frequency_hz: 866_550_000,
    rx2_data_rate: 2,
    channels: &[
        ChannelBlock::new(865_062_500, 0, 1, (0, 5)),
        ChannelBlock::new(865_402_500, 0, 1, (0, 5)),
        ChannelBlock::new(865_985_000, 0, 1, (0, 5)),
    ],
    max_eirp_cdbm: 3000,
    max_tx_power_index: 10,
    bands: &[Band {
        first_hz: 865_000_000,
        end_hz: 867_000_000,
        duty_cycle_inverse: 1,
        max_eirp_cdbm: 3000,
    }],
    beacon: Hopping::fixed(866_550_000),
    beacon_layout: BeaconLayout::new(0, 3, 4),
    ping_slot: Hopping::fixed(866_550_000),
    wor_channels: &[
        WorChannel::new(866_000_000, 866_200_000, 3),
        WorChannel::new(866_700_000, 866_900_000, 3),
    ],
    ..Plan::dynamic(Region::In865)
};

const RP001: Plan = Plan {
    rx1_data_rates: Rx1DataRates { cap: 5, ..PLAN.rx1_data_rates },
    beacon_layout: PLAN.beacon_layout.without_param(),
    ..PLAN
};

/// IN865 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 | Revision::V1_0_1 | Revision::Rp001 => &RP001,
        _ => &PLAN,
    }
}
