//! What a device of each region starts with: channels, windows, power, CFList, beacon, ping slots,
//! relay channels. Written out here once more, from the tables of RP002-1.0.4 chapter 2 as The
//! Things Stack, LoRaMac-node, LoRa Basics Modem and ChirpStack have them.

use lorawan_frame::region::{Channel, Plan, Region, Revision};

/// Frequencies in Hz, power in hundredths of a dBm.
struct Defaults {
    region: &'static str,
    /// First and last of the channels, and how many there are.
    channels: (u32, u32, usize),
    rx2: (u32, u8),
    max_eirp_cdbm: i16,
    max_tx_power_index: u8,
    cf_list_type: u8,
    tx_param_setup: bool,
    beacon: u32,
    ping_slot: u32,
    /// Size of the beacon, its data rate, bytes before the time with Param among them.
    beacon_layout: (usize, u8, u8),
}

#[rustfmt::skip]
const DEFAULTS: [Defaults; 16] = [
    Defaults { region: "EU868", channels: (868_100_000, 868_500_000, 3), rx2: (869_525_000, 0), max_eirp_cdbm: 1600, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: false, beacon: 869_525_000, ping_slot: 869_525_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "EU433", channels: (433_175_000, 433_575_000, 3), rx2: (434_665_000, 0), max_eirp_cdbm: 1215, max_tx_power_index: 5, cf_list_type: 0, tx_param_setup: false, beacon: 434_665_000, ping_slot: 434_665_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "RU864", channels: (868_900_000, 869_100_000, 2), rx2: (869_100_000, 0), max_eirp_cdbm: 1600, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: false, beacon: 869_100_000, ping_slot: 868_900_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "AS923-1", channels: (923_200_000, 923_400_000, 2), rx2: (923_200_000, 2), max_eirp_cdbm: 1600, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: true, beacon: 923_400_000, ping_slot: 923_400_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "AS923-2", channels: (921_400_000, 921_600_000, 2), rx2: (921_400_000, 2), max_eirp_cdbm: 1600, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: true, beacon: 921_600_000, ping_slot: 921_600_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "AS923-3", channels: (916_600_000, 916_800_000, 2), rx2: (916_600_000, 2), max_eirp_cdbm: 1600, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: true, beacon: 916_800_000, ping_slot: 916_800_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "AS923-4", channels: (917_300_000, 917_500_000, 2), rx2: (917_300_000, 2), max_eirp_cdbm: 1600, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: true, beacon: 917_500_000, ping_slot: 917_500_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "IN865", channels: (865_062_500, 865_985_000, 3), rx2: (866_550_000, 2), max_eirp_cdbm: 3000, max_tx_power_index: 10, cf_list_type: 0, tx_param_setup: false, beacon: 866_550_000, ping_slot: 866_550_000, beacon_layout: (19, 4, 1) },
    Defaults { region: "KR920", channels: (922_100_000, 922_500_000, 3), rx2: (921_900_000, 0), max_eirp_cdbm: 1400, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: false, beacon: 923_100_000, ping_slot: 923_100_000, beacon_layout: (17, 3, 2) },
    Defaults { region: "US915", channels: (902_300_000, 914_200_000, 72), rx2: (923_300_000, 8), max_eirp_cdbm: 3000, max_tx_power_index: 14, cf_list_type: 1, tx_param_setup: false, beacon: 923_300_000, ping_slot: 923_300_000, beacon_layout: (23, 8, 5) },
    Defaults { region: "AU915", channels: (915_200_000, 927_100_000, 72), rx2: (923_300_000, 8), max_eirp_cdbm: 3000, max_tx_power_index: 14, cf_list_type: 1, tx_param_setup: true, beacon: 923_300_000, ping_slot: 923_300_000, beacon_layout: (23, 8, 5) },
    Defaults { region: "CN470-20A", channels: (470_300_000, 509_700_000, 64), rx2: (486_900_000, 1), max_eirp_cdbm: 1915, max_tx_power_index: 7, cf_list_type: 1, tx_param_setup: false, beacon: 483_900_000, ping_slot: 483_900_000, beacon_layout: (19, 2, 3) },
    Defaults { region: "CN470-20B", channels: (476_900_000, 503_100_000, 64), rx2: (498_300_000, 1), max_eirp_cdbm: 1915, max_tx_power_index: 7, cf_list_type: 1, tx_param_setup: false, beacon: 481_500_000, ping_slot: 476_900_000, beacon_layout: (19, 2, 3) },
    Defaults { region: "CN470-26A", channels: (470_300_000, 479_700_000, 48), rx2: (492_500_000, 1), max_eirp_cdbm: 1915, max_tx_power_index: 7, cf_list_type: 1, tx_param_setup: false, beacon: 494_900_000, ping_slot: 494_900_000, beacon_layout: (19, 2, 3) },
    Defaults { region: "CN470-26B", channels: (480_300_000, 489_700_000, 48), rx2: (502_500_000, 1), max_eirp_cdbm: 1915, max_tx_power_index: 7, cf_list_type: 1, tx_param_setup: false, beacon: 504_900_000, ping_slot: 504_900_000, beacon_layout: (19, 2, 3) },
    Defaults { region: "ISM2400", channels: (2_403_000_000, 2_479_000_000, 3), rx2: (2_423_000_000, 0), max_eirp_cdbm: 1000, max_tx_power_index: 7, cf_list_type: 0, tx_param_setup: false, beacon: 2_424_000_000, ping_slot: 2_424_000_000, beacon_layout: (17, 3, 2) },
];

fn plan(region: &str) -> &'static Plan {
    region.parse::<Region>().unwrap().plan(Revision::Rp002_1_0_4)
}

fn hertz(channels: impl Iterator<Item = Channel>) -> Vec<u32> {
    channels.map(|channel| channel.frequency_hz).collect()
}

#[test]
fn every_region_starts_with_what_rp002_chapter_2_gives_it() {
    for expected in DEFAULTS {
        let (plan, at) = (plan(expected.region), expected.region);
        let channels = hertz(plan.default_channels());
        let ends = (channels[0], *channels.last().unwrap(), channels.len());
        assert_eq!(ends, expected.channels, "{at}");
        assert_eq!((plan.rx2_frequency_hz, plan.rx2_data_rate), expected.rx2, "{at}");
        assert_eq!(plan.max_eirp_cdbm, expected.max_eirp_cdbm, "{at}");
        assert_eq!(plan.max_tx_power_index, expected.max_tx_power_index, "{at}");
        assert_eq!(plan.cf_list_type, expected.cf_list_type, "{at}");
        assert_eq!(plan.tx_param_setup, expected.tx_param_setup, "{at}");
        assert_eq!(plan.beacon.frequency_hz(0, 0), expected.beacon, "{at}");
        assert_eq!(plan.ping_slot.frequency_hz(0, 0), expected.ping_slot, "{at}");
        let layout = plan.beacon_layout;
        let before_time = layout.rfu1 + u8::from(layout.param);
        assert_eq!((layout.size(), layout.data_rate, before_time), expected.beacon_layout, "{at}");
    }
}

#[test]
fn channels_between_the_first_and_the_last_lie_where_rp002_puts_them() {
    assert_eq!(hertz(plan("EU868").default_channels())[1], 868_300_000);
    assert_eq!(hertz(plan("EU433").default_channels())[1], 433_375_000);
    assert_eq!(hertz(plan("IN865").default_channels())[1], 865_402_500);
    assert_eq!(hertz(plan("KR920").default_channels())[1], 922_300_000);
    assert_eq!(hertz(plan("ISM2400").default_channels())[1], 2_425_000_000);
    for (region, narrow, wide) in
        [("US915", 902_300_000, 903_000_000), ("AU915", 915_200_000, 915_900_000)]
    {
        for (n, found) in (0..).zip(hertz(plan(region).default_channels())) {
            let expected = if n < 64 { narrow + 200_000 * n } else { wide + 1_600_000 * (n - 64) };
            assert_eq!(found, expected, "{region} channel {n}");
        }
    }
    for (region, low, high) in
        [("CN470-20A", 470_300_000, 503_500_000), ("CN470-20B", 476_900_000, 496_900_000)]
    {
        for (n, found) in (0..).zip(hertz(plan(region).default_channels())) {
            let expected = if n < 32 { low + 200_000 * n } else { high + 200_000 * (n - 32) };
            assert_eq!(found, expected, "{region} channel {n}");
        }
    }
}

#[test]
fn the_first_window_of_each_fixed_plan_is_where_rp002_puts_it() {
    let rx1 = |region: &str, channel: u8| {
        let plan = plan(region);
        plan.rx1_frequency_hz(&plan.default_channel(channel).unwrap())
    };
    for channel in 0..72 {
        let eight = 923_300_000 + 600_000 * u32::from(channel % 8);
        assert_eq!(rx1("US915", channel), eight);
        assert_eq!(rx1("AU915", channel), eight);
    }
    for channel in 0..64u8 {
        let n = u32::from(channel);
        assert_eq!(rx1("CN470-20A", channel), 483_900_000 + 200_000 * n);
        let low = if n < 32 { 476_900_000 + 200_000 * n } else { 496_900_000 + 200_000 * (n - 32) };
        assert_eq!(rx1("CN470-20B", channel), low);
    }
    for channel in 0..48u8 {
        let n = u32::from(channel % 24);
        assert_eq!(rx1("CN470-26A", channel), 490_100_000 + 200_000 * n);
        assert_eq!(rx1("CN470-26B", channel), 500_100_000 + 200_000 * n);
    }
}

/// Chapter 2.9.
#[test]
fn cn470_join_channels_and_their_windows_are_those_of_rp002() {
    #[rustfmt::skip]
    let expected: [(&str, &[(u32, u32)]); 4] = [
        ("CN470-20A", &[(4709, 4845), (4725, 4861), (4741, 4877), (4757, 4893), (5041, 4909), (5057, 4925), (5073, 4941), (5089, 4957)]),
        ("CN470-20B", &[(4799, 4799), (4999, 4999)]),
        ("CN470-26A", &[(4703, 4925), (4723, 4925), (4743, 4925), (4763, 4925), (4783, 4925)]),
        ("CN470-26B", &[(4803, 5025), (4823, 5025), (4843, 5025), (4863, 5025), (4883, 5025)]),
    ];
    for (region, channels) in expected {
        let found: Vec<_> = plan(region)
            .join_channels()
            .map(|join| (join.uplink_hz / 100_000, join.rx1_hz / 100_000))
            .collect();
        assert_eq!(found, channels, "{region}");
    }
}

/// ETSI EN 300 220, as the regional parameters of EU868 point to.
#[test]
fn eu868_sub_bands_have_the_duty_cycle_and_power_of_etsi() {
    for (hz, inverse, eirp_cdbm) in [
        (863_000_000, 1000, 1615),
        (864_999_999, 1000, 1615),
        (865_000_000, 100, 1615),
        (867_900_000, 100, 1615),
        (868_100_000, 100, 1615),
        (868_599_999, 100, 1615),
        (868_700_000, 1000, 1615),
        (869_199_999, 1000, 1615),
        (869_525_000, 10, 2915),
        (869_700_000, 100, 1615),
        (869_999_999, 100, 1615),
    ] {
        let band = plan("EU868").band(hz).unwrap();
        assert_eq!((band.duty_cycle_inverse, band.max_eirp_cdbm), (inverse, eirp_cdbm), "{hz}");
    }
    for outside in [862_999_999, 868_600_000, 869_200_000, 869_399_999, 869_650_000, 870_000_000] {
        assert_eq!(plan("EU868").band(outside), None, "{outside}");
    }
    assert_eq!(plan("EU433").band(433_175_000).unwrap().duty_cycle_inverse, 10);
    assert_eq!(plan("KR920").band(921_900_000).unwrap().max_eirp_cdbm, 1000);
    assert_eq!(plan("KR920").band(922_100_000).unwrap().max_eirp_cdbm, 1400);
}

#[test]
fn join_requests_use_the_data_rates_of_rp002() {
    for (region, rates) in [
        ("EU868", vec![(0, 5); 3]),
        ("AS923-4", vec![(2, 5); 2]),
        ("US915", [vec![(0, 0); 64], vec![(4, 4); 8]].concat()),
        ("AU915", [vec![(2, 2); 64], vec![(6, 6); 8]].concat()),
        ("CN470-26B", vec![(1, 5); 5]),
    ] {
        let found: Vec<_> =
            plan(region).join_channels().map(|j| (j.min_data_rate, j.max_data_rate)).collect();
        assert_eq!(found, rates, "{region}");
    }
}

/// TS011: frequency, frequency of the answer (100 kHz), data rate.
#[test]
fn relays_listen_where_ts011_puts_them() {
    for (region, expected) in [
        ("EU868", &[(8651, 8653, 3), (8655, 8659, 3)][..]),
        ("US915", &[(9167, 9183, 10), (9199, 9215, 10)]),
        ("AU915", &[(9167, 9183, 10), (9199, 9215, 10)]),
        ("AS923-1", &[(9236, 9238, 3)]),
        ("AS923-4", &[(9177, 9179, 3)]),
        ("IN865", &[(8660, 8662, 3), (8667, 8669, 3)]),
        ("KR920", &[(9227, 9229, 3), (9231, 9231, 3)]),
        ("RU864", &[(8661, 8663, 3), (8665, 8669, 3)]),
        ("CN470-26A", &[(4721, 4853, 3), (4949, 5055, 3)]),
        ("EU433", &[]),
    ] {
        let found: Vec<_> = plan(region)
            .wor_channels
            .iter()
            .map(|c| (c.frequency_hz / 100_000, c.ack_frequency_hz / 100_000, c.data_rate))
            .collect();
        assert_eq!(found, expected, "{region}");
    }
}

#[test]
fn the_beacon_of_america_had_19_bytes_before_rp002() {
    let layout = Region::Us915.plan(Revision::Rp001).beacon_layout;
    assert_eq!((layout.size(), layout.rfu1, layout.rfu2, layout.param), (19, 3, 1, false));
    let layout = Region::Eu868.plan(Revision::Rp001).beacon_layout;
    assert_eq!((layout.size(), layout.rfu1, layout.rfu2, layout.param), (17, 2, 0, false));
}

#[test]
fn downlinks_behind_a_repeater_were_shorter_before_rp002_1_0_2() {
    for region in [Region::Us915, Region::Au915] {
        let m = |revision, dr| {
            region.plan(revision).payload_limit(dr, true, false).unwrap().mac_payload
        };
        assert_eq!((m(Revision::Rp002_1_0_1, 8), m(Revision::Rp002_1_0_4, 8)), (41, 61));
        assert_eq!((m(Revision::Rp002_1_0_1, 9), m(Revision::Rp002_1_0_4, 9)), (117, 137));
        assert_eq!((m(Revision::Rp002_1_0_1, 10), m(Revision::Rp002_1_0_4, 10)), (230, 230));
    }
}
