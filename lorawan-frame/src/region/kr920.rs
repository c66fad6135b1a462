//! KR920: 920.9 to 923.3 MHz.

use super::plan::{COMMON_ROWS, COMMON_RX1};
use super::{Band, ChannelBlock, Hopping, Plan, Region, Revision, Rx1DataRates, WorChannel};

const fn band(first_hz: u32, end_hz: u32, max_eirp_cdbm: i16) -> Band {
    Band { first_hz, end_hz, duty_cycle_inverse: 1, max_eirp_cdbm }
}

/// KR920 under RP002. Devices listen before they talk instead of keeping a duty cycle.
pub const PLAN: Plan = Plan {
    rows: COMMON_ROWS.split_at(6).0,
    rx1_data_rates: Rx1DataRates { cap: 5, ..COMMON_RX1 },
    rx2_frequency_hz: 921_900_000,
    channels: &[ChannelBlock::new(922_100_000, 200_000, 3, (0, 5))],
    max_eirp_cdbm: 1400,
    bands: &[band(920_900_000, 922_000_000, 1000), band(922_000_000, 923_400_000, 1400)],
    beacon: Hopping::fixed(923_100_000),
    ping_slot: Hopping::fixed(923_100_000),
    wor_channels: &[
        WorChannel::new(922_700_000, 922_900_000, 3),
        WorChannel::new(923_100_000, 923_100_000, 3),
    ],
    ..Plan::dynamic(Region::Kr920)
};

const RP001: Plan = Plan { beacon_layout: PLAN.beacon_layout.without_param(), ..PLAN };

/// KR920 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 | Revision::V1_0_1 | Revision::Rp001 => &RP001,
        _ => &PLAN,
    }
}
