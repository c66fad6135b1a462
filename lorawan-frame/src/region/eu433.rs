//! EU433: 433.05 to 434.79 MHz.

use super::{Band, ChannelBlock, Hopping, Plan, Region, Revision};

/// EU433 under RP002.
///
/// Sources disagree on the beacon: 434.665 MHz here and in LoRaMac-node, 434.655 in The Things
/// Stack.
pub const PLAN: Plan = Plan {
    rx2_frequency_hz: 434_665_000,
    channels: &[ChannelBlock::new(433_175_000, 200_000, 3, (0, 5))],
    max_eirp_cdbm: 1215,
    max_tx_power_index: 5,
    bands: &[Band {
        first_hz: 433_050_000,
        end_hz: 434_790_000,
        duty_cycle_inverse: 10,
        max_eirp_cdbm: 1215,
    }],
    beacon: Hopping::fixed(434_665_000),
    ping_slot: Hopping::fixed(434_665_000),
    ..Plan::dynamic(Region::Eu433)
};

const RP001: Plan = Plan { beacon_layout: PLAN.beacon_layout.without_param(), ..PLAN };

/// EU433 under any revision.
#[must_use]
pub const fn plan(revision: Revision) -> &'static Plan {
    match revision {
        Revision::V1_0_0 | Revision::V1_0_1 | Revision::Rp001 => &RP001,
        _ => &PLAN,
    }
}
