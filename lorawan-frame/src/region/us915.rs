//! US915: 902 to 928 MHz, 64 channels of 125 kHz and 8 of 500 kHz.

use super::data_rate::Row;
use super::{
    Band, BeaconLayout, ChannelBlock, Hopping, LrFhssCodingRate::OneThird,
    LrFhssCodingRate::TwoThirds, MaskControl, Plan, Region, Revision, Rx1Channel, Rx1DataRates,
    WorChannel,
};

const ROWS: [Row; 14] = [
    Row::lora(10, 125, 19).up(),
    Row::lora(9, 125, 61).up(),
    Row::lora(8, 125, 133).up(),
    Row::lora(7, 125, 250).up(),
    Row::lora(8, 500, 250).up(),
    Row::lr_fhss(OneThird, 1523, 58),
    Row::lr_fhss(TwoThirds, 1523, 133),
    Row::RFU,
    Row::lora(12, 500, 61).down(),
    Row::lora(11, 500, 137).down(),
    Row::lora(10, 500, 250).down(),
    Row::lora(9, 500, 250).down(),
    Row::lora(8, 500, 250).down(),
    Row::lora(7, 500, 250).down(),
];

/// The rows before RP002-1.0.2: no LR-FHSS, tighter repeater limits down, none up before RP002;
/// `m2` is the limit of DR 2, `m34_repeater` that of DR 3 and 4 behind a repeater.
const fn early_rows(m2: u8, m34_repeater: u8) -> [Row; 14] {
    let mut rows = ROWS;
    rows[2] = Row::lora(8, 125, m2).up();
    rows[3] = rows[3].repeater(m34_repeater);
    rows[4] = rows[4].repeater(m34_repeater);
    rows[5] = Row::RFU;
    rows[6] = Row::RFU;
    rows[8] = rows[8].repeater(41);
    rows[9] = rows[9].repeater(117);
    rows
}

/// US915 under RP002-1.0.2 to 1.0.4.
pub const PLAN: Plan = Plan {
    rows: &ROWS,
    rx1_data_rates: Rx1DataRates {
        base: &[10, 11, 12, 13, 14, 10, 11],
        floor: 8,
        floor_dwell: 8,
        cap: 13,
        max_offset: 3,
    },
    rx1_channel: Rx1Channel::Modulo { first_hz: 923_300_000, step_hz: 600_000, count: 8 },
    rx2_frequency_hz: 923_300_000,
    rx2_data_rate: 8,
    channels: &[
        ChannelBlock::new(902_300_000, 200_000, 64, (0, 3)).join((0, 0)),
        ChannelBlock::new(903_000_000, 1_600_000, 8, (4, 6)).join((4, 4)),
    ],
    masks: MaskControl::US,
    min_narrow_channels: 2,
    dynamic_channels: false,
    cf_list_type: 1,
    max_eirp_cdbm: 3000,
    max_tx_power_index: 14,
    max_adr_data_rate: 3,
    dwell_at_boot: true,
    bands: &[Band {
        first_hz: 902_000_000,
        end_hz: 928_000_000,
        duty_cycle_inverse: 1,
        max_eirp_cdbm: 3000,
    }],
    beacon: Hopping::over(923_300_000, 600_000, 8),
    beacon_layout: BeaconLayout::new(4, 3, 8),
    ping_slot: Hopping::over(923_300_000, 600_000, 8),
    wor_channels: &[
        WorChannel::new(916_700_000, 918_300_000, 10),
        WorChannel::new(919_900_000, 921_500_000, 10),
    ],
    ..Plan::dynamic(Region::Us915)
};

const RP002_1_0_0: Plan = Plan {
    rows: &early_rows(133, 230),
    channels: &[
        ChannelBlock::new(902_300_000, 200_000, 64, (0, 3)).join((0, 0)),
        ChannelBlock::new(903_000_000, 1_600_000, 8, (4, 4)),
    ],
    ..PLAN
};
const RP001: Plan = Plan {
    rows: &early_rows(133, 250),
    beacon_layout: BeaconLayout { rfu1: 3, rfu2: 1, param: false, data_rate: 8 },
    ..RP002_1_0_0
};
const EARLY: Plan =
    Plan { masks: MaskControl { banks: None, ..MaskControl::US }, max_tx_power_index: 10, ..RP001 };
const V1_0_1: Plan = Plan { rows: &early_rows(134, 250), ..EARLY };
const V1_0_0: Plan = Plan { rows: &early_rows(137, 250), ..EARLY };

/// US915 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 => &V1_0_0,
        Revision::V1_0_1 => &V1_0_1,
        Revision::Rp001 => &RP001,
        Revision::Rp002_1_0_0 | Revision::Rp002_1_0_1 => &RP002_1_0_0,
        Revision::Rp002_1_0_2 | Revision::Rp002_1_0_3 | Revision::Rp002_1_0_4 => &PLAN,
    }
}
