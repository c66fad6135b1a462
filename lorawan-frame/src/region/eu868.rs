//! EU868: 863 to 870 MHz.

use super::data_rate::Row;
use super::plan::{COMMON_ROWS, COMMON_RX1};
use super::{
    Band, ChannelBlock, Hopping, LrFhssCodingRate::OneThird, LrFhssCodingRate::TwoThirds, Plan,
    Region, Revision, Rx1DataRates, WorChannel,
};

const ROWS: [Row; 12] = {
    let mut rows = [Row::RFU; 12];
    let mut dr = 0;
    while dr < COMMON_ROWS.len() {
        rows[dr] = COMMON_ROWS[dr];
        dr += 1;
    }
    rows[8] = Row::lr_fhss(OneThird, 137, 58);
    rows[9] = Row::lr_fhss(TwoThirds, 137, 123);
    rows[10] = Row::lr_fhss(OneThird, 336, 58);
    rows[11] = Row::lr_fhss(TwoThirds, 336, 123);
    rows
};

const fn band(first_hz: u32, end_hz: u32, duty_cycle_inverse: u16, max_eirp_cdbm: i16) -> Band {
    Band { first_hz, end_hz, duty_cycle_inverse, max_eirp_cdbm }
}

/// Sub-bands of EN 300 220, whose powers are ERP: EIRP is 2.15 dB more.
const BANDS: [Band; 6] = [
    band(863_000_000, 865_000_000, 1000, 1615),
    band(865_000_000, 868_000_000, 100, 1615),
    band(868_000_000, 868_600_000, 100, 1615),
    band(868_700_000, 869_200_000, 1000, 1615),
    band(869_400_000, 869_650_000, 10, 2915),
    band(869_700_000, 870_000_000, 100, 1615),
];

/// EU868 under RP002-1.0.2 to 1.0.4.
pub const PLAN: Plan = Plan {
    rows: &ROWS,
    rx1_data_rates: Rx1DataRates { base: &[0, 1, 2, 3, 4, 5, 6, 7, 1, 2, 1, 2], ..COMMON_RX1 },
    rx2_frequency_hz: 869_525_000,
    channels: &[ChannelBlock::new(868_100_000, 200_000, 3, (0, 5))],
    bands: &BANDS,
    beacon: Hopping::fixed(869_525_000),
    ping_slot: Hopping::fixed(869_525_000),
    wor_channels: &[
        WorChannel::new(865_100_000, 865_300_000, 3),
        WorChannel::new(865_500_000, 865_900_000, 3),
    ],
    ..Plan::dynamic(Region::Eu868)
};

/// Before LR-FHSS.
const RP002_1_0_0: Plan = Plan { rows: &COMMON_ROWS, rx1_data_rates: COMMON_RX1, ..PLAN };
const RP001: Plan = Plan { beacon_layout: PLAN.beacon_layout.without_param(), ..RP002_1_0_0 };
const V1_0: Plan = Plan { max_tx_power_index: 5, ..RP001 };

/// EU868 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 | Revision::V1_0_1 => &V1_0,
        Revision::Rp001 => &RP001,
        Revision::Rp002_1_0_0 | Revision::Rp002_1_0_1 => &RP002_1_0_0,
        Revision::Rp002_1_0_2 | Revision::Rp002_1_0_3 | Revision::Rp002_1_0_4 => &PLAN,
    }
}
