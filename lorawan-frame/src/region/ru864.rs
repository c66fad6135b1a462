//! RU864: 864 to 870 MHz.

use super::{Band, ChannelBlock, Hopping, Plan, Region, Revision, WorChannel};

/// RU864 under RP002.
pub const PLAN: Plan = Plan {
    rx2_frequency_hz: 869_100_000,
    channels: &[ChannelBlock::new(868_900_000, 200_000, 2, (0, 5))],
    bands: &[Band {
        first_hz: 864_000_000,
        end_hz: 870_000_000,
        duty_cycle_inverse: 100,
        max_eirp_cdbm: 1600,
    }],
    beacon: Hopping::fixed(869_100_000),
    ping_slot: Hopping::fixed(868_900_000),
    wor_channels: &[
        WorChannel::new(866_100_000, 866_300_000, 3),
        WorChannel::new(866_500_000, 866_900_000, 3),
    ],
    ..Plan::dynamic(Region::Ru864)
};

const RP001: Plan = Plan { beacon_layout: PLAN.beacon_layout.without_param(), ..PLAN };

/// RU864 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 | Revision::V1_0_1 | Revision::Rp001 => &RP001,
        _ => &PLAN,
    }
}
