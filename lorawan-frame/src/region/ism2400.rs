//! ISM2400: 2.4 GHz, worldwide.

use super::data_rate::Row;
use super::{Band, ChannelBlock, Hopping, Plan, Region, Revision};

const ROWS: [Row; 8] = [
    Row::lora(12, 812, 59),
    Row::lora(11, 812, 123),
    Row::lora(10, 812, 250),
    Row::lora(9, 812, 250),
    Row::lora(8, 812, 250),
    Row::lora(7, 812, 250),
    Row::lora(6, 812, 250),
    Row::lora(5, 812, 250),
];

/// ISM2400, a proposal that all revisions share.
///
/// Sources disagree on the payload limits (ChirpStack: 248 for 250, 228 for 230), and none gives
/// the layout of the beacon: it is assumed to be Europe's.
pub const PLAN: Plan = Plan {
    rows: &ROWS,
    rx2_frequency_hz: 2_423_000_000,
    channels: &[
        ChannelBlock::new(2_403_000_000, 0, 1, (0, 7)),
        ChannelBlock::new(2_425_000_000, 0, 1, (0, 7)),
        ChannelBlock::new(2_479_000_000, 0, 1, (0, 7)),
    ],
    frequency_step_hz: 200,
    max_eirp_cdbm: 1000,
    max_adr_data_rate: 7,
    bands: &[Band {
        first_hz: 2_400_000_000,
        end_hz: 2_483_500_000,
        duty_cycle_inverse: 1,
        max_eirp_cdbm: 1000,
    }],
    beacon: Hopping::fixed(2_424_000_000),
    ping_slot: Hopping::fixed(2_424_000_000),
    ..Plan::dynamic(Region::Ism2400)
};

/// ISM2400 under any revision.
#[must_use]
pub const fn plan(_: Revision) -> &'static Plan {
    &PLAN
}
