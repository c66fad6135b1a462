//! AS923: four groups of the same plan, shifted in frequency.

use super::data_rate::Row;
use super::plan::{COMMON_ROWS, COMMON_RX1};
use super::{Band, ChannelBlock, Hopping, Plan, Region, Revision, Rx1DataRates, WorChannel};

/// `m2` is the limit of DR 2 without dwell time.
const fn rows(m2: u8) -> [Row; 8] {
    let mut rows = COMMON_ROWS;
    rows[0] = rows[0].dwell(0);
    rows[1] = rows[1].dwell(0);
    rows[2] = Row::lora(10, 125, m2).dwell(19);
    rows[3] = rows[3].dwell(61);
    rows[4] = rows[4].dwell(133);
    rows
}

/// A group, `below_hz` under the frequencies of group 1.
const fn group(
    region: Region,
    below_hz: u32,
    channels: &'static [ChannelBlock; 1],
    wor_channels: &'static [WorChannel; 1],
) -> Plan {
    Plan {
        rows: &const { rows(123) },
        rx1_data_rates: Rx1DataRates { floor_dwell: 2, max_offset: 7, ..COMMON_RX1 },
        rx2_frequency_hz: 923_200_000 - below_hz,
        rx2_data_rate: 2,
        channels,
        tx_param_setup: true,
        dwell_at_boot: true,
        bands: &[Band {
            first_hz: 915_000_000,
            end_hz: 928_000_000,
            duty_cycle_inverse: 100,
            max_eirp_cdbm: 1600,
        }],
        beacon: Hopping::fixed(923_400_000 - below_hz),
        ping_slot: Hopping::fixed(923_400_000 - below_hz),
        wor_channels,
        ..Plan::dynamic(region)
    }
}

/// Join-Requests stay on DR 2 to 5, which fit 400 ms.
const fn channels(below_hz: u32) -> [ChannelBlock; 1] {
    [ChannelBlock::new(923_200_000 - below_hz, 200_000, 2, (0, 5)).join((2, 5))]
}

const fn wor_channels(below_hz: u32) -> [WorChannel; 1] {
    [WorChannel::new(923_600_000 - below_hz, 923_800_000 - below_hz, 3)]
}

/// Before RP002-1.0.1.
const fn rp002_1_0_0(plan: Plan) -> Plan {
    Plan { rows: &const { rows(59) }, ..plan }
}

/// Before RP002.
const fn rp001(plan: Plan) -> Plan {
    Plan {
        rx1_data_rates: Rx1DataRates { cap: 5, ..plan.rx1_data_rates },
        beacon_layout: plan.beacon_layout.without_param(),
        ..rp002_1_0_0(plan)
    }
}

macro_rules! groups {
    ($($region:ident $plan:ident $select:ident $below_hz:literal $name:literal;)*) => { $(
        #[doc = concat!($name, " under RP002-1.0.1 to 1.0.4.")]
        pub const $plan: Plan = group(
            Region::$region,
            $below_hz,
            &const { channels($below_hz) },
            &const { wor_channels($below_hz) },
        );

        #[doc = concat!($name, " under any revision.")]
        #[must_use]
        pub const fn $select(revision: Revision) -> &'static Plan {
            match revision {
                Revision::V1_0_0 | Revision::V1_0_1 | Revision::Rp001 => &const { rp001($plan) },
                Revision::Rp002_1_0_0 => &const { rp002_1_0_0($plan) },
                _ => &$plan,
            }
        }
    )* };
}

groups! {
    As923_1 PLAN_1 plan_1 0 "AS923-1";
    As923_2 PLAN_2 plan_2 1_800_000 "AS923-2";
    As923_3 PLAN_3 plan_3 6_600_000 "AS923-3";
    As923_4 PLAN_4 plan_4 5_900_000 "AS923-4";
}
