//! CN470: 470 to 510 MHz; four plans since RP002, and the 96-channel plan before.
//!
//! Which of the four plans is in force follows from the join channel that was answered: each plan
//! has [join channels](super::Plan::join_channels) of its own. RX2, beacon and ping-slot
//! frequencies of the 20 MHz plans depend on it too.

use super::data_rate::Row;
use super::plan::{COMMON_ROWS, COMMON_RX1};
use super::{
    Band, BeaconLayout, ChannelBlock, Hopping, Join, MaskControl, Plan, Region, Revision,
    Rx1Channel, Rx1DataRates, WorChannel,
};

/// Sources disagree on DR 3 (The Things Stack: 172).
const ROWS: [Row; 8] = [
    Row::RFU,
    Row::lora(11, 125, 31),
    Row::lora(10, 125, 94),
    Row::lora(9, 125, 192),
    Row::lora(8, 125, 250),
    Row::lora(7, 125, 250),
    Row::lora(7, 500, 250),
    Row::fsk(250),
];

const fn upstream(first_hz: u32, count: u8) -> ChannelBlock {
    ChannelBlock::new(first_hz, 200_000, count, (1, 5))
}

const WOR_CHANNELS: [WorChannel; 2] =
    [WorChannel::new(472_100_000, 485_300_000, 3), WorChannel::new(494_900_000, 505_500_000, 3)];

const MASKS_20: MaskControl = MaskControl {
    channels: 64,
    blocks: 4,
    all_on: 6,
    all_off: Some(7),
    last_block_apart: false,
    banks: None,
};
const MASKS_26: MaskControl =
    MaskControl { channels: 48, blocks: 3, all_on: 3, all_off: Some(4), ..MASKS_20 };
const MASKS_96: MaskControl =
    MaskControl { channels: 96, blocks: 6, all_on: 6, all_off: None, ..MASKS_20 };

/// What the plans share; RX2 is on DR 1, as DR 0 is reserved. For the same reason RX1 does not go
/// below DR 1, as in LoRa Basics Modem; The Things Stack and ChirpStack have DR 0 there.
const fn shared(region: Region) -> Plan {
    Plan {
        rows: &ROWS,
        rx1_data_rates: Rx1DataRates {
            base: &[0, 1, 2, 3, 4, 5],
            floor: 1,
            floor_dwell: 1,
            cap: 5,
            ..COMMON_RX1
        },
        rx2_data_rate: 1,
        dynamic_channels: false,
        cf_list_type: 1,
        max_eirp_cdbm: 1915,
        bands: &[Band {
            first_hz: 470_000_000,
            end_hz: 510_000_000,
            duty_cycle_inverse: 1,
            max_eirp_cdbm: 1915,
        }],
        beacon_layout: BeaconLayout::new(2, 1, 2),
        wor_channels: &WOR_CHANNELS,
        ..Plan::dynamic(region)
    }
}

/// CN470-20A under RP002-1.0.1 to 1.0.4.
pub const PLAN_20A: Plan = Plan {
    channels: &[upstream(470_300_000, 32), upstream(503_500_000, 32)],
    rx1_channel: Rx1Channel::Modulo { first_hz: 483_900_000, step_hz: 200_000, count: 64 },
    rx2_frequency_hz: 486_900_000,
    rx2_after_join: Some(Hopping::fixed(485_300_000).by_join_channel(1_600_000)),
    join: Join::Own {
        first_index: 0,
        channels: &[
            (470_900_000, 484_500_000),
            (472_500_000, 486_100_000),
            (474_100_000, 487_700_000),
            (475_700_000, 489_300_000),
            (504_100_000, 490_900_000),
            (505_700_000, 492_500_000),
            (507_300_000, 494_100_000),
            (508_900_000, 495_700_000),
        ],
    },
    masks: MASKS_20,
    beacon: Hopping::over(483_900_000, 200_000, 8).by_join_channel(1_600_000),
    ping_slot: Hopping::over(483_900_000, 200_000, 8).by_join_channel(1_600_000),
    ..shared(Region::Cn470_20A)
};

/// CN470-20B under RP002-1.0.1 to 1.0.4.
pub const PLAN_20B: Plan = Plan {
    channels: &[upstream(476_900_000, 32), upstream(496_900_000, 32)],
    rx2_frequency_hz: 498_300_000,
    rx2_after_join: Some(Hopping::fixed(478_300_000).by_join_channel(20_000_000)),
    join: Join::Own {
        first_index: 8,
        channels: &[(479_900_000, 479_900_000), (499_900_000, 499_900_000)],
    },
    masks: MASKS_20,
    beacon: Hopping::fixed(481_500_000).by_join_channel(20_000_000),
    ping_slot: Hopping::over(476_900_000, 200_000, 32).by_join_channel(20_000_000),
    ..shared(Region::Cn470_20B)
};

/// CN470-26A under RP002-1.0.1 to 1.0.4.
pub const PLAN_26A: Plan = Plan {
    channels: &[upstream(470_300_000, 48)],
    rx1_channel: Rx1Channel::Modulo { first_hz: 490_100_000, step_hz: 200_000, count: 24 },
    rx2_frequency_hz: 492_500_000,
    join: Join::Own {
        first_index: 10,
        channels: &[
            (470_300_000, 492_500_000),
            (472_300_000, 492_500_000),
            (474_300_000, 492_500_000),
            (476_300_000, 492_500_000),
            (478_300_000, 492_500_000),
        ],
    },
    masks: MASKS_26,
    beacon: Hopping::fixed(494_900_000),
    ping_slot: Hopping::fixed(494_900_000),
    ..shared(Region::Cn470_26A)
};

/// CN470-26B under RP002-1.0.1 to 1.0.4.
pub const PLAN_26B: Plan = Plan {
    channels: &[upstream(480_300_000, 48)],
    rx1_channel: Rx1Channel::Modulo { first_hz: 500_100_000, step_hz: 200_000, count: 24 },
    rx2_frequency_hz: 502_500_000,
    join: Join::Own {
        first_index: 15,
        channels: &[
            (480_300_000, 502_500_000),
            (482_300_000, 502_500_000),
            (484_300_000, 502_500_000),
            (486_300_000, 502_500_000),
            (488_300_000, 502_500_000),
        ],
    },
    masks: MASKS_26,
    beacon: Hopping::fixed(504_900_000),
    ping_slot: Hopping::fixed(504_900_000),
    ..shared(Region::Cn470_26B)
};

/// CN470 before RP002: 96 channels up, 48 down.
pub const PLAN_LEGACY: Plan = Plan {
    rows: COMMON_ROWS.split_at(6).0,
    rx1_data_rates: Rx1DataRates { cap: 5, ..COMMON_RX1 },
    rx1_channel: Rx1Channel::Modulo { first_hz: 500_300_000, step_hz: 200_000, count: 48 },
    rx2_frequency_hz: 505_300_000,
    rx2_data_rate: 0,
    channels: &[ChannelBlock::new(470_300_000, 200_000, 96, (0, 5))],
    masks: MASKS_96,
    beacon: Hopping::over(508_300_000, 200_000, 8),
    beacon_layout: BeaconLayout::new(2, 1, 2).without_param(),
    ping_slot: Hopping::over(508_300_000, 200_000, 8),
    ..shared(Region::Cn470)
};

/// RP002-1.0.0 still had the data rates of before.
const fn rp002_1_0_0(plan: Plan) -> Plan {
    Plan {
        rows: PLAN_LEGACY.rows,
        rx1_data_rates: PLAN_LEGACY.rx1_data_rates,
        rx2_data_rate: 0,
        ..plan
    }
}

macro_rules! plans {
    ($($plan:ident $select:ident $name:literal;)*) => { $(
        #[doc = concat!($name, " under any revision; RP002-1.0.0 is the first with it.")]
        #[must_use]
        pub const fn $select(revision: Revision) -> &'static Plan {
            match revision {
                Revision::V1_0_0 | Revision::V1_0_1 | Revision::Rp001 | Revision::Rp002_1_0_0 => {
                    &const { rp002_1_0_0($plan) }
                }
                _ => &$plan,
            }
        }
    )* };
}

plans! {
    PLAN_20A plan_20a "CN470-20A";
    PLAN_20B plan_20b "CN470-20B";
    PLAN_26A plan_26a "CN470-26A";
    PLAN_26B plan_26b "CN470-26B";
}

/// The plan before RP002, whatever the revision.
#[must_use]
pub const fn plan_legacy(_: Revision) -> &'static Plan {
    &PLAN_LEGACY
}
