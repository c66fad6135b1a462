//! Regional parameters (RP002) against the vector files and against tables written out in full.

mod common;

use common::values;
use lorawan_frame::region::{
    ChMaskError, Channel, ChannelMask, DataRate, LrFhssCodingRate, Plan, Region, Revision,
};
use lorawan_frame::{CfList, CfListKind, Direction};
use proptest::prelude::*;
use serde_json::Value;

/// The rows of the tables of one sort: `payload` or `rx1`. Miri is slow at reading JSON: it takes
/// every 16th of them.
fn rows(table: &str) -> impl Iterator<Item = Value> {
    let quoted = format!("\"{table}\"");
    include_str!("data/region_tables.jsonl")
        .lines()
        .filter(move |line| line.contains(&quoted))
        .step_by(if cfg!(miri) { 16 } else { 1 })
        .map(|line| serde_json::from_str(line).unwrap())
}

fn latest(name: &Value) -> &'static Plan {
    name.as_str().unwrap().parse::<Region>().unwrap().plan(Revision::default())
}

fn u8_of(value: &Value) -> u8 {
    u8::try_from(value.as_u64().unwrap()).unwrap()
}

fn mask_of(channels: &Value) -> ChannelMask {
    channels.as_array().unwrap().iter().map(u8_of).collect()
}

/// The answer to one `region` vector, in the vector's own field names.
fn region_answer(inputs: &Value, plan: &Plan) -> Value {
    if let Some(sf) = inputs.get("sf") {
        let rate = DataRate::Lora {
            spreading_factor: u8_of(sf),
            bandwidth_hz: inputs["bw_khz"].as_u64().unwrap() as u32 * 1000,
        };
        let up = inputs["uplink"].as_bool().unwrap();
        let direction = if up { Direction::Up } else { Direction::Down };
        return serde_json::json!({ "dr": plan.data_rate_index(rate, direction) });
    }
    if let Some(channel) = inputs.get("uplink_channel") {
        let channel = plan.default_channel(u8_of(channel)).unwrap();
        return serde_json::json!({ "freq_hz": channel.frequency_hz });
    }
    if let Some(dr) = inputs.get("uplink_dr") {
        let dwell = inputs.get("downlink_dwell_400ms").is_some_and(|d| d.as_bool().unwrap());
        let rx1 = plan.rx1_data_rate(u8_of(dr), u8_of(&inputs["rx1_dr_offset"]), dwell);
        return serde_json::json!({ "rx1_dr": rx1 });
    }
    if let Some(frequency) = inputs.get("downlink_freq_hz") {
        let frequency = frequency.as_u64().unwrap() as u32;
        let eirp = plan.band(frequency).map_or(plan.max_eirp_cdbm, |band| band.max_eirp_cdbm);
        // ERP is 2.15 dB below EIRP; the vectors give whole dBm.
        return serde_json::json!({ "tx_power_dbm": (eirp - 215 + 50) / 100 });
    }
    serde_json::json!({
        "rx2_freq_hz": plan.rx2_frequency_hz,
        "rx2_dr": plan.rx2_data_rate,
        "ping_slot_freq_hz": plan.ping_slot.frequency_hz(0, 0),
        "default_channels_hz":
            plan.default_channels().map(|channel| channel.frequency_hz).collect::<Vec<_>>(),
        "receive_delay1_s": Plan::RECEIVE_DELAY1_S,
        "receive_delay2_s": Plan::RECEIVE_DELAY2_S,
        "join_accept_delay1_s": Plan::JOIN_ACCEPT_DELAY1_S,
        "join_accept_delay2_s": Plan::JOIN_ACCEPT_DELAY2_S,
    })
}

#[test]
fn every_region_vector_is_answered_as_expected() {
    for line in values("region.jsonl", "region") {
        let answer = region_answer(&line["inputs"], latest(&line["inputs"]["region"]));
        for (field, expected) in line["expected"].as_object().unwrap() {
            assert_eq!(&answer[field], expected, "{} of {}", field, line["id"]);
        }
    }
}

#[test]
fn link_adr_requests_lead_to_the_wanted_channels() {
    for line in values("region.jsonl", "link_adr_plan") {
        let plan = latest(&line["inputs"]["region"]);
        let current = mask_of(&line["inputs"]["device_enabled_channels"]);
        let wanted = mask_of(&line["expected"]["resulting_channels"]);
        let requests = plan.masks.requests(current, wanted);
        let theirs: Vec<(u8, u16)> = line["expected"]["link_adr_reqs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| (u8_of(&r["ch_mask_cntl"]), r["ch_mask"].as_u64().unwrap() as u16))
            .collect();
        assert!(requests.len() <= theirs.len(), "{}", line["id"]);
        // Both plans, ours and the vector's, end on the same channels.
        let defined = if plan.dynamic_channels {
            ChannelMask::first(16)
        } else {
            plan.default_channel_mask()
        };
        for plan_of in [requests.to_vec(), theirs] {
            let result = plan.masks.apply_all(current, defined, plan_of);
            assert_eq!(result, Ok(wanted), "{}", line["id"]);
        }
    }
}

#[test]
fn cf_lists_are_built_as_the_region_wants_them_and_say_what_went_in() {
    for line in values("region.jsonl", "cflist") {
        let hex = line["bytes_hex"].as_str().unwrap();
        let bytes: [u8; 16] =
            core::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        let numbers = |field: &str| -> Vec<u64> {
            line["expected"][field]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n.as_u64().unwrap())
                .collect()
        };
        let eu = Region::Eu868.plan(Revision::default());
        let us = Region::Us915.plan(Revision::default());
        let list = match CfList::from_wire(bytes).kind() {
            CfListKind::Frequencies(fields) => {
                assert_eq!(line["expected"]["type"], 0);
                let hertz = fields.map(|field| eu.hertz(field));
                assert_eq!(hertz.map(u64::from).to_vec(), numbers("freqs_hz"));
                eu.cf_list(&hertz, ChannelMask::EMPTY)
            }
            CfListKind::ChannelMasks(masks) => {
                assert_eq!(line["expected"]["type"], 1);
                assert_eq!(masks.map(u64::from).to_vec(), numbers("ch_masks"));
                us.cf_list(&[], ChannelMask::from_words(masks))
            }
            _ => panic!("type of {} not known", line["id"]),
        };
        assert_eq!(list.map(CfList::to_wire), Some(bytes));
    }
    let ism = Region::Ism2400.plan(Revision::default());
    assert!(ism.cf_list(&[2_403_000_000], ChannelMask::EMPTY).is_some(), "steps of 200 Hz");
    assert!(ism.cf_list(&[2_403_000_100], ChannelMask::EMPTY).is_none());
    assert!(ism.cf_list(&[0; 6], ChannelMask::EMPTY).is_none(), "only five fit");
}

fn rate_of(text: &str) -> DataRate {
    if let Some(kbit) = text.strip_prefix("FSK") {
        return DataRate::Fsk { bit_rate: kbit.parse::<u32>().unwrap() * 1000 };
    }
    if let Some(rest) = text.strip_prefix("LRFHSS") {
        let (rate, width) = rest.split_once('·').unwrap();
        let coding_rate = match rate {
            "1/3" => LrFhssCodingRate::OneThird,
            "2/3" => LrFhssCodingRate::TwoThirds,
            _ => panic!("{rate}"),
        };
        let khz: u32 = width.strip_suffix('k').unwrap().parse().unwrap();
        return DataRate::LrFhss { coding_rate, channel_width_hz: khz * 1000 };
    }
    let (sf, khz) = text.strip_prefix("SF").unwrap().split_once('/').unwrap();
    DataRate::Lora {
        spreading_factor: sf.parse().unwrap(),
        bandwidth_hz: khz.parse::<u32>().unwrap() * 1000,
    }
}

/// The tables of chapter 2 of RP002-1.0.4, cell by cell as they are printed there.
#[test]
fn data_rates_payload_limits_and_rx1_tables_are_those_of_rp002_1_0_4() {
    let mut cells = 0;
    for line in rows("rx1") {
        let plan = latest(&line["region"]);
        let dr = u8_of(&line["dr"]);
        let dwell = line["dwell"].as_bool().unwrap();
        let row = line["rx1"].as_array().unwrap();
        let at = format!("{} DR {dr} dwell {dwell}", plan.region);
        for (offset, expected) in row.iter().enumerate() {
            let rx1 = plan.rx1_data_rate(dr, offset as u8, dwell);
            assert_eq!(rx1, Some(u8_of(expected)), "{at} offset {offset}");
            cells += 1;
        }
        assert_eq!(plan.rx1_data_rate(dr, row.len() as u8, dwell), None, "{at}");
    }
    for line in rows("payload") {
        let plan = latest(&line["region"]);
        let dr = u8_of(&line["dr"]);
        let at = format!("{} DR {dr}", plan.region);
        let rate = rate_of(line["phy"].as_str().unwrap());
        let directions = [Direction::Up, Direction::Down];
        assert!(directions.iter().any(|&d| plan.data_rate(dr, d) == Some(rate)), "{at}");
        for (column, repeater, dwell) in [
            ("plain", false, false),
            ("repeater", true, false),
            ("dwell", false, true),
            ("dwell_repeater", true, true),
        ] {
            let Some(expected) = line.get(column) else { continue };
            let limit = plan.payload_limit(dr, repeater, dwell).unwrap();
            assert_eq!(limit.mac_payload, u8_of(&expected[0]), "{at} M {column}");
            assert_eq!(limit.frm_payload(0), u8_of(&expected[1]), "{at} N {column}");
            cells += 1;
        }
    }
    assert!(cells > if cfg!(miri) { 40 } else { 600 }, "{cells}");
}

#[test]
fn a_data_rate_that_no_table_row_names_is_reserved() {
    for &region in Region::ALL {
        // The plan before RP002 has no table.
        if region == Region::Cn470 {
            continue;
        }
        let plan = region.plan(Revision::default());
        let begin = format!(r#"{{"region": "{region}", "table": "payload", "dr": "#);
        let rows: Vec<u8> = include_str!("data/region_tables.jsonl")
            .lines()
            .filter_map(|line| line.strip_prefix(&begin)?.split(',').next()?.parse().ok())
            .collect();
        assert!(!rows.is_empty(), "{region}");
        for dr in 0..=255u8 {
            let defined = plan.payload_limit(dr, false, false).is_some();
            assert_eq!(defined, rows.contains(&dr), "{region} DR {dr}");
        }
    }
}

#[test]
fn older_revisions_differ_where_their_tables_did() {
    let m = |region: Region, revision, dr, repeater| {
        region.plan(revision).payload_limit(dr, repeater, false).map(|limit| limit.mac_payload)
    };
    let us = Region::Us915;
    assert_eq!(m(us, Revision::V1_0_0, 2, false), Some(137));
    assert_eq!(m(us, Revision::V1_0_1, 2, false), Some(134));
    assert_eq!(m(us, Revision::Rp001, 2, false), Some(133));
    assert_eq!(m(us, Revision::Rp001, 8, true), Some(41));
    assert_eq!(m(us, Revision::Rp001, 3, true), Some(250));
    assert_eq!(m(us, Revision::Rp002_1_0_1, 3, true), Some(230));
    assert_eq!(m(us, Revision::Rp002_1_0_1, 9, true), Some(117));
    assert_eq!(m(us, Revision::Rp002_1_0_2, 9, true), Some(137));
    assert_eq!(m(us, Revision::Rp002_1_0_1, 5, false), None, "no LR-FHSS yet");
    assert_eq!(m(Region::Eu868, Revision::Rp002_1_0_1, 8, false), None, "no LR-FHSS yet");
    assert_eq!(m(Region::As923_1, Revision::Rp002_1_0_0, 2, false), Some(59));
    assert_eq!(m(Region::As923_1, Revision::Rp002_1_0_1, 2, false), Some(123));
    assert_eq!(m(Region::Cn470_20A, Revision::Rp002_1_0_0, 0, false), Some(59));
    assert_eq!(m(Region::Cn470_20A, Revision::Rp002_1_0_1, 0, false), None);
    let sf10 = DataRate::Lora { spreading_factor: 10, bandwidth_hz: 125_000 };
    let au = |revision| Region::Au915.plan(revision).data_rate_index(sf10, Direction::Up);
    assert_eq!((au(Revision::V1_0_1), au(Revision::Rp001)), (Some(0), Some(2)));
    let as_rx1 = |revision| Region::As923_1.plan(revision).rx1_data_rate(5, 7, false);
    assert_eq!((as_rx1(Revision::Rp001), as_rx1(Revision::Rp002_1_0_0)), (Some(5), Some(7)));
}

/// RP002 2.11 (CN470): which plan is in force follows from the join channel.
#[test]
fn cn470_join_channels_name_their_plan_and_their_second_window() {
    use Region::{Cn470_20A, Cn470_20B, Cn470_26A, Cn470_26B};
    let plans = [Cn470_20A, Cn470_20B, Cn470_26A, Cn470_26B].map(|r| r.plan(Revision::default()));
    let indices: Vec<u8> =
        plans.iter().flat_map(|plan| plan.join_channels().map(|join| join.index)).collect();
    assert_eq!(indices, (0..20).collect::<Vec<u8>>());
    let rx2: Vec<u32> = (0..8).map(|join| plans[0].rx2_frequency_after_join_hz(join)).collect();
    assert_eq!(rx2, (0..8).map(|j| 485_300_000 + 1_600_000 * j).collect::<Vec<u32>>());
    assert_eq!(plans[1].rx2_frequency_after_join_hz(1), 498_300_000);
    assert_eq!(plans[2].rx2_frequency_after_join_hz(3), 492_500_000);
    for plan in plans {
        for join in plan.join_channels() {
            let on_plan = plan.default_channels().find(|c| c.frequency_hz == join.uplink_hz);
            let channel = on_plan.expect("a join channel is an uplink channel");
            if plan.region == Cn470_20A || plan.region == Cn470_20B {
                assert_eq!(plan.rx1_frequency_hz(&channel), join.rx1_hz);
            }
        }
    }
}

#[test]
fn us915_downlinks_hop_over_eight_channels_and_join_requests_use_one_rate_per_width() {
    let plan = Region::Us915.plan(Revision::default());
    let rx1: Vec<u32> =
        plan.default_channels().take(9).map(|c| plan.rx1_frequency_hz(&c)).collect();
    assert_eq!(rx1[0], 923_300_000);
    assert_eq!(rx1[7], 927_500_000);
    assert_eq!(rx1[8], rx1[0]);
    let joins: Vec<_> = plan.join_channels().collect();
    assert_eq!(joins.len(), 72);
    assert!(joins[..64].iter().all(|j| (j.min_data_rate, j.max_data_rate) == (0, 0)));
    assert!(joins[64..].iter().all(|j| (j.min_data_rate, j.max_data_rate) == (4, 4)));
}

#[test]
fn as923_join_requests_fit_the_dwell_time() {
    let plan = Region::As923_3.plan(Revision::default());
    let joins: Vec<_> = plan.join_channels().map(|j| (j.uplink_hz, j.min_data_rate)).collect();
    assert_eq!(joins, [(916_600_000, 2), (916_800_000, 2)]);
}

#[test]
fn tx_power_steps_are_two_decibels_and_end_at_the_regions_last_index() {
    let plan = Region::Eu868.plan(Revision::default());
    assert_eq!(plan.eirp_cdbm(0, plan.max_eirp_cdbm), Some(1600));
    assert_eq!(plan.eirp_cdbm(7, plan.max_eirp_cdbm), Some(200));
    assert_eq!(plan.eirp_cdbm(8, plan.max_eirp_cdbm), None);
}

/// TS011: a relay listens on a data rate of the region; AS923's groups shift its channel too.
#[test]
fn relays_listen_on_channels_of_their_region() {
    let wor = |region: Region| region.plan(Revision::default()).wor_channels;
    assert_eq!(wor(Region::Eu868)[1].ack_frequency_hz, 865_900_000);
    assert_eq!(wor(Region::As923_2)[0].frequency_hz, 921_800_000);
    assert!(wor(Region::Eu433).is_empty());
    for region in Region::ALL {
        let plan = region.plan(Revision::default());
        for wor in plan.wor_channels {
            let up = plan.data_rate(wor.data_rate, Direction::Up);
            assert!(up.or(plan.data_rate(wor.data_rate, Direction::Down)).is_some(), "{region}");
        }
    }
}

/// LinkADRReq, ChMaskCntl of US915: 5 switches banks, 6 and 7 spare the 500 kHz channels.
#[test]
fn us915_bank_control_and_wide_channels_follow_ch_mask_cntl() {
    let plan = Region::Us915.plan(Revision::default());
    let all = plan.default_channel_mask();
    let bank_two = plan.masks.apply(all, all, 5, 0b10).unwrap();
    assert_eq!(bank_two.channels().collect::<Vec<_>>(), [8, 9, 10, 11, 12, 13, 14, 15, 65]);
    assert_eq!(&*plan.masks.requests(all, bank_two), [(5, 0b10)]);
    let old = Region::Us915.plan(Revision::V1_0_1);
    assert_eq!(&*old.masks.requests(all, bank_two), [(7, 0b10), (0, 0xFF00)]);
    assert_eq!(old.masks.apply(all, all, 5, 0b10), Err(ChMaskError::ReservedControl(5)));
    let narrow = plan.masks.apply(all, all, 6, 0).unwrap();
    assert_eq!(narrow, ChannelMask::first(64));
    // RFU bits above the eight wide channels are ignored.
    assert_eq!(plan.masks.apply(all, all, 4, 0xFF00), Ok(narrow));
}

#[test]
fn a_link_adr_block_that_leaves_too_few_channels_changes_nothing() {
    let us = Region::Us915.plan(Revision::default());
    let all = us.default_channel_mask();
    let one = [(7, 0), (0, 1)];
    assert_eq!(us.apply_ch_masks(all, all, 0, one), Err(ChMaskError::TooFewChannels));
    assert!(us.apply_ch_masks(all, all, 4, one).is_ok(), "500 kHz needs no hopping");
    let eu = Region::Eu868.plan(Revision::default());
    let three = eu.default_channel_mask();
    assert_eq!(eu.apply_ch_masks(three, three, 0, [(0, 0)]), Err(ChMaskError::TooFewChannels));
    assert_eq!(
        eu.apply_ch_masks(three, three, 0, [(0, 0b1000)]),
        Err(ChMaskError::UndefinedChannel(3))
    );
    assert_eq!(eu.apply_ch_masks(three, three, 0, [(1, 1)]), Err(ChMaskError::ReservedControl(1)));
}

#[test]
fn region_names_are_read_in_any_case_and_with_either_separator() {
    for &region in Region::ALL {
        assert_eq!(region.name().parse(), Ok(region));
        assert_eq!(region.name().to_lowercase().replace('-', "_").parse(), Ok(region));
        assert_eq!(region.plan(Revision::default()).region, region);
    }
    assert_eq!("AS923".parse(), Ok(Region::As923_1));
    assert!("AS9231".parse::<Region>().is_err());
    let json = serde_json::to_value(Region::Cn470_26B).unwrap();
    assert_eq!(json, "CN470-26B");
    assert_eq!(serde_json::from_value::<Region>(json).unwrap(), Region::Cn470_26B);
}

fn any_region() -> impl Strategy<Value = Region> {
    proptest::sample::select(Region::ALL)
}

fn any_revision() -> impl Strategy<Value = Revision> {
    proptest::sample::select(vec![
        Revision::V1_0_0,
        Revision::V1_0_1,
        Revision::Rp001,
        Revision::Rp002_1_0_0,
        Revision::Rp002_1_0_1,
        Revision::Rp002_1_0_2,
        Revision::Rp002_1_0_3,
        Revision::Rp002_1_0_4,
    ])
}

fn masks(plan: &'static Plan) -> impl Strategy<Value = ChannelMask> {
    proptest::collection::btree_set(0..plan.masks.channels, 0..=usize::from(plan.masks.channels))
        .prop_map(|set| set.into_iter().collect())
}

proptest! {
    #[test]
    fn rx1_uses_a_data_rate_that_exists_down_and_has_a_limit(
        region in any_region(), revision in any_revision(), up: u8, offset: u8, dwell: bool,
    ) {
        let plan = region.plan(revision);
        if let Some(rx1) = plan.rx1_data_rate(up, offset, dwell) {
            prop_assert!(plan.data_rate(up, Direction::Up).is_some());
            prop_assert!(plan.data_rate(rx1, Direction::Down).is_some());
            prop_assert!(plan.payload_limit(rx1, false, false).is_some());
        }
    }

    #[test]
    fn every_uplink_data_rate_has_an_rx1_data_rate_that_never_rises_up_to_offset_five(
        region in any_region(), revision in any_revision(), dwell: bool,
    ) {
        let plan = region.plan(revision);
        for up in (0..16).filter(|&dr| plan.data_rate(dr, Direction::Up).is_some()) {
            // CN470 gives no RX1 rates above DR 5, whose channels end there.
            if up > plan.channels.iter().map(|block| block.data_rates.1).max().unwrap_or(0) {
                continue;
            }
            let rates: Vec<u8> =
                (0..=5).filter_map(|offset| plan.rx1_data_rate(up, offset, dwell)).collect();
            prop_assert!(rates.len() >= 4, "{region} DR {up}");
            prop_assert!(rates.windows(2).all(|pair| pair[1] <= pair[0]));
        }
    }

    #[test]
    fn a_data_rate_is_found_again_by_its_modulation(
        region in any_region(), revision in any_revision(), dr in 0u8..16,
    ) {
        let plan = region.plan(revision);
        for direction in [Direction::Up, Direction::Down] {
            if let Some(rate) = plan.data_rate(dr, direction) {
                prop_assert_eq!(plan.data_rate_index(rate, direction), Some(dr));
            }
        }
    }

    #[test]
    fn every_channel_and_window_lies_in_the_regions_bands(
        region in any_region(), revision in any_revision(), turn: u64, join in 0u8..2,
    ) {
        let plan = region.plan(revision);
        let mut frequencies = vec![
            plan.rx2_frequency_hz,
            plan.rx2_frequency_after_join_hz(join),
            plan.beacon.frequency_hz(turn, join),
            plan.ping_slot.frequency_hz(turn, join),
        ];
        for wor in plan.wor_channels {
            frequencies.extend([wor.frequency_hz, wor.ack_frequency_hz]);
        }
        for channel in plan.default_channels() {
            frequencies.extend([channel.frequency_hz, plan.rx1_frequency_hz(&channel)]);
            prop_assert!(plan.data_rate(channel.min_data_rate, Direction::Up).is_some());
            prop_assert!(plan.data_rate(channel.max_data_rate, Direction::Up).is_some());
        }
        for frequency in frequencies {
            prop_assert!(plan.band(frequency).is_some(), "{region}: {frequency}");
            let field = plan.frequency(frequency);
            prop_assert_eq!(field.map(|field| plan.hertz(field)), Some(frequency));
        }
        prop_assert!(plan.data_rate(plan.rx2_data_rate, Direction::Down).is_some());
        prop_assert!(plan.data_rate(plan.beacon_layout.data_rate, Direction::Down).is_some());
    }

    #[test]
    fn link_adr_requests_reach_any_wanted_mask_from_any_other(
        (region, revision, current, wanted) in (any_region(), any_revision()).prop_flat_map(
            |(region, revision)| {
                let plan = region.plan(revision);
                (Just(region), Just(revision), masks(plan), masks(plan))
            },
        ),
    ) {
        let plan = region.plan(revision);
        let defined = ChannelMask::first(plan.masks.channels);
        let requests = plan.masks.requests(current, wanted);
        let reached = requests.iter().try_fold(current, |mask, &(control, bits)| {
            plan.masks.apply(mask, defined, control, bits)
        });
        prop_assert_eq!(reached, Ok(wanted));
        prop_assert!(requests.len() <= usize::from(plan.masks.blocks));
    }

    #[test]
    fn any_ch_mask_is_refused_or_stays_within_the_defined_channels(
        region in any_region(), words: [u16; 6], control: u8, bits: u16,
    ) {
        let plan = region.plan(Revision::default());
        let defined = plan.default_channel_mask();
        let current = ChannelMask::from_words(words);
        if let Ok(next) = plan.masks.apply(current, defined, control, bits) {
            prop_assert!(next.is_subset(defined));
        }
    }

    #[test]
    fn a_channel_mask_is_the_set_of_its_channels(words: [u16; 6]) {
        let mask = ChannelMask::from_words(words);
        prop_assert_eq!(mask.to_words(), words);
        prop_assert_eq!(mask.channels().collect::<ChannelMask>(), mask);
        prop_assert_eq!(mask.channels().count(), mask.len() as usize);
    }

    #[test]
    fn an_uplink_is_traced_back_to_its_channel(region in any_region(), index: u8, above: u8) {
        let plan = region.plan(Revision::default());
        if let Some(channel) = plan.default_channel(index) {
            let found = |dr| plan.channel_at(channel.frequency_hz, dr);
            prop_assert_eq!(found(channel.min_data_rate), Some(channel));
            prop_assert_eq!(found(channel.max_data_rate), Some(channel));
            prop_assert_eq!(found(channel.max_data_rate.saturating_add(above | 1)), None);
            prop_assert_eq!(plan.channel_at(channel.frequency_hz + 1, channel.min_data_rate), None);
        }
    }

    #[test]
    fn a_channel_index_finds_its_channel(region in any_region(), index: u8) {
        let plan = region.plan(Revision::default());
        let found: Option<Channel> = plan.default_channel(index);
        prop_assert_eq!(found.is_some(), plan.default_channel_mask().contains(index));
        prop_assert!(found.is_none_or(|channel| channel.index == index));
    }
}
