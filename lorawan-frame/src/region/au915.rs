//! AU915: 915 to 928 MHz, 64 channels of 125 kHz and 8 of 500 kHz.

use super::data_rate::Row;
use super::{
    Band, BeaconLayout, ChannelBlock, Hopping, LrFhssCodingRate::OneThird, MaskControl, Plan,
    Region, Revision, Rx1Channel, Rx1DataRates, WorChannel,
};

const ROWS: [Row; 14] = [
    Row::lora(12, 125, 59).dwell(0).up(),
    Row::lora(11, 125, 59).dwell(0).up(),
    Row::lora(10, 125, 59).dwell(19).up(),
    Row::lora(9, 125, 123).dwell(61).up(),
    Row::lora(8, 125, 250).dwell(133).up(),
    Row::lora(7, 125, 250).up(),
    Row::lora(8, 500, 250).up(),
    Row::lr_fhss(OneThird, 1523, 58),
    Row::lora(12, 500, 61).down(),
    Row::lora(11, 500, 137).down(),
    Row::lora(10, 500, 250).down(),
    Row::lora(9, 500, 250).down(),
    Row::lora(8, 500, 250).down(),
    Row::lora(7, 500, 250).down(),
];

/// Before RP002-1.0.2: no LR-FHSS, tighter repeater limits down.
const ROWS_1_0_0: [Row; 14] = {
    let mut rows = ROWS;
    rows[7] = Row::RFU;
    rows[8] = rows[8].repeater(41);
    rows[9] = rows[9].repeater(117);
    rows
};

/// Before RP001 the table began at SF10, as in US915.
const ROWS_V1_0: [Row; 14] = {
    let mut rows = ROWS_1_0_0;
    rows[0] = Row::lora(10, 125, 59).up();
    rows[1] = Row::lora(9, 125, 123).up();
    rows[2] = Row::lora(8, 125, 250).up();
    rows[3] = Row::lora(7, 125, 250).up();
    rows[4] = Row::lora(8, 500, 250).up();
    rows[5] = Row::RFU;
    rows[6] = Row::RFU;
    rows
};

const fn channels(narrow: u8, wide: (u8, u8), narrow_join: u8) -> [ChannelBlock; 2] {
    [
        ChannelBlock::new(915_200_000, 200_000, 64, (0, narrow)).join((narrow_join, narrow_join)),
        ChannelBlock::new(915_900_000, 1_600_000, 8, wide).join((wide.0, wide.0)),
    ]
}

/// AU915 under RP002-1.0.2 to 1.0.4.
pub const PLAN: Plan = Plan {
    rows: &ROWS,
    rx1_data_rates: Rx1DataRates {
        base: &[8, 9, 10, 11, 12, 13, 14, 9],
        floor: 8,
        floor_dwell: 8,
        cap: 13,
        max_offset: 5,
    },
    rx1_channel: Rx1Channel::Modulo { first_hz: 923_300_000, step_hz: 600_000, count: 8 },
    rx2_frequency_hz: 923_300_000,
    rx2_data_rate: 8,
    channels: &channels(5, (6, 7), 2),
    masks: MaskControl::US,
    dynamic_channels: false,
    cf_list_type: 1,
    max_eirp_cdbm: 3000,
    max_tx_power_index: 14,
    tx_param_setup: true,
    dwell_at_boot: true,
    bands: &[Band {
        first_hz: 915_000_000,
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
    ..Plan::dynamic(Region::Au915)
};

const RP002_1_0_0: Plan = Plan { rows: &ROWS_1_0_0, channels: &channels(5, (6, 6), 2), ..PLAN };
const RP001: Plan = Plan {
    beacon_layout: BeaconLayout { rfu1: 3, rfu2: 1, param: false, data_rate: 10 },
    ..RP002_1_0_0
};
const V1_0: Plan = Plan {
    rows: &ROWS_V1_0,
    rx1_data_rates: Rx1DataRates {
        base: &[10, 11, 12, 13, 14],
        max_offset: 3,
        ..PLAN.rx1_data_rates
    },
    channels: &channels(3, (4, 4), 0),
    masks: MaskControl { banks: None, ..MaskControl::US },
    max_tx_power_index: 10,
    max_adr_data_rate: 3,
    tx_param_setup: false,
    dwell_at_boot: false,
    ..RP001
};

/// AU915 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 | Revision::V1_0_1 => &V1_0,
        Revision::Rp001 => &RP001,
        Revision::Rp002_1_0_0 | Revision::Rp002_1_0_1 => &RP002_1_0_0,
        Revision::Rp002_1_0_2 | Revision::Rp002_1_0_3 | Revision::Rp002_1_0_4 => &PLAN,
    }
}
