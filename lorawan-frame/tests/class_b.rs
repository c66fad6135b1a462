//! Beacons and ping slots (LoRaWAN 1.1, chapters 8 to 15) against the vector file.

mod common;

use common::{unhex, values};
use lorawan_frame::class_b::{self, Beacon, GwSpecific, Periodicity};
use lorawan_frame::region::{BeaconLayout, Region, Revision};
use lorawan_frame::{DevAddr, ErrorKind};
use proptest::prelude::*;

/// Any region's layout with these sizes of RFU1 and RFU2, RFU1 with or without Param.
fn layout_of(rfu1: u64, rfu2: u64) -> BeaconLayout {
    let revisions = [Revision::Rp001, Revision::default()];
    Region::ALL
        .iter()
        .flat_map(|region| revisions.map(|revision| region.plan(revision).beacon_layout))
        .find(|layout| {
            u64::from(layout.rfu1) + u64::from(layout.param) == rfu1
                && u64::from(layout.rfu2) == rfu2
        })
        .expect("a region with this layout")
}

#[test]
fn beacons_parse_to_their_fields_and_build_to_the_same_bytes() {
    for line in values("class_b.jsonl", "beacon") {
        let inputs = &line["inputs"];
        let layout = layout_of(
            inputs["rfu1_bytes"].as_u64().unwrap(),
            inputs["rfu2_bytes"].as_u64().unwrap(),
        );
        let bytes = unhex(line["bytes_hex"].as_str().unwrap());
        let beacon = Beacon::parse(&bytes, &layout).unwrap();
        let expected = &line["expected"];
        assert_eq!(u64::from(beacon.time), expected["time_gps"].as_u64().unwrap());
        let own = beacon.gw_specific.expect("second CRC");
        assert_eq!(u64::from(own.info_desc), expected["info_desc"].as_u64().unwrap());
        let (latitude, longitude) = own.to_raw_coordinates().unwrap();
        assert_eq!(i64::from(latitude), expected["lat_raw"].as_i64().unwrap());
        assert_eq!(i64::from(longitude), expected["lng_raw"].as_i64().unwrap());
        let mut buf = [0; 32];
        assert_eq!(beacon.build_into(&layout, &mut buf).unwrap(), bytes);
    }
}

#[test]
fn ping_slots_come_when_and_where_the_vectors_say() {
    for line in values("class_b.jsonl", "ping_slot") {
        let inputs = &line["inputs"];
        let dev_addr: DevAddr = inputs["dev_addr"].as_str().unwrap().parse().unwrap();
        if let Some(region) = inputs.get("region") {
            let region: Region = region.as_str().unwrap().parse().unwrap();
            let time = inputs["beacon_time"].as_u64().unwrap();
            let plan = region.plan(Revision::default());
            let frequency = class_b::ping_slot_frequency(plan, dev_addr, time, 0);
            assert_eq!(u64::from(frequency), line["expected"]["freq_hz"].as_u64().unwrap());
            continue;
        }
        let ping_nb = inputs["ping_nb"].as_u64().unwrap();
        let periodicity =
            (0..8).filter_map(Periodicity::new).find(|p| u64::from(p.ping_nb()) == ping_nb);
        let after = inputs["after_gps_ms"].as_u64().unwrap();
        let slot = class_b::next_ping_slot(after, dev_addr, periodicity.unwrap());
        assert_eq!(slot, line["expected"]["next_slot_gps_ms"].as_u64().unwrap(), "{}", line["id"]);
    }
}

/// RP002: sizes of the beacon, which a receiver without PHY header must know.
#[test]
fn beacon_sizes_are_those_of_the_regions() {
    let size = |region: Region| region.plan(Revision::default()).beacon_layout.size();
    assert_eq!(size(Region::Eu868), 17);
    assert_eq!(size(Region::Us915), 23);
    assert_eq!(size(Region::In865), 19);
    assert_eq!(size(Region::Cn470_20A), 19);
    assert_eq!(Region::Us915.plan(Revision::Rp001).beacon_layout.size(), 19);
    assert_eq!(Region::Eu868.plan(Revision::Rp001).beacon_layout.size(), 17);
}

#[test]
fn a_damaged_gateway_part_leaves_the_time_usable_but_not_the_other_way_round() {
    let layout = Region::Eu868.plan(Revision::default()).beacon_layout;
    let beacon = Beacon { param: 2, time: 128, gw_specific: Some(GwSpecific::default()) };
    let mut buf = [0; 17];
    let bytes = beacon.build_into(&layout, &mut buf).unwrap();
    bytes[10] ^= 1;
    assert_eq!(Beacon::parse(bytes, &layout), Ok(Beacon { gw_specific: None, ..beacon }));
    assert_eq!(beacon.accuracy_us(), 100);
    bytes[10] ^= 1;
    bytes[3] ^= 0x80;
    let error = Beacon::parse(bytes, &layout).unwrap_err();
    assert_eq!((error.kind(), error.offset(), error.section()), (ErrorKind::Crc, 6, "15.2"));
    let error = Beacon::parse(&bytes[..16], &layout).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Length { found: 16, .. }));
    let old = Region::Eu868.plan(Revision::Rp001).beacon_layout;
    assert!(beacon.build_into(&old, &mut buf).is_err(), "no Param before 1.0.4");
    assert!(beacon.build_into(&layout, &mut [0; 16]).is_err());
}

#[test]
fn cn470_beacons_depend_on_the_join_channel() {
    let plan = Region::Cn470_20A.plan(Revision::default());
    assert_eq!(class_b::beacon_frequency(plan, 0, 0), 483_900_000);
    assert_eq!(class_b::beacon_frequency(plan, 127, 7), 495_100_000);
    assert_eq!(class_b::beacon_frequency(plan, 128, 7), 495_300_000);
    assert_eq!(class_b::beacon_frequency(plan, 128 * 8, 7), 495_100_000);
}

proptest! {
    #[test]
    fn a_beacon_of_any_layout_round_trips(
        region in proptest::sample::select(Region::ALL), old: bool, param: u8, time: u32,
        info_desc: u8, info: [u8; 6],
    ) {
        let revision = if old { Revision::Rp001 } else { Revision::default() };
        let layout = region.plan(revision).beacon_layout;
        let param = if layout.param { param } else { 0 };
        let beacon =
            Beacon { param, time, gw_specific: Some(GwSpecific { info_desc, info }) };
        let mut buf = [0xFF; 40];
        let built = beacon.build_into(&layout, &mut buf).unwrap();
        prop_assert_eq!(built.len(), layout.size());
        prop_assert_eq!(Beacon::parse(built, &layout), Ok(beacon));
    }

    #[test]
    fn any_bytes_are_a_beacon_or_refused(
        region in proptest::sample::select(Region::ALL), bytes: Vec<u8>,
    ) {
        let _ = Beacon::parse(&bytes, &region.plan(Revision::default()).beacon_layout);
    }

    #[test]
    fn a_position_is_kept_to_the_resolution_of_the_field(
        latitude in -90.0f64..89.999, longitude in -180.0f64..179.999,
    ) {
        let (lat, lng) = GwSpecific::coordinates(1, latitude, longitude).to_coordinates().unwrap();
        prop_assert!((lat - latitude).abs() < 90.0 / 8_388_608.0);
        prop_assert!((lng - longitude).abs() < 180.0 / 8_388_608.0);
    }

    #[test]
    fn ping_slots_follow_each_other_and_never_fall_into_beacon_or_guard(
        start in 0u64..1 << 42, address: u32, periodicity in 0u8..8,
    ) {
        let (address, periodicity) =
            (DevAddr::new(address), Periodicity::new(periodicity).unwrap());
        let mut after = start;
        let mut slots = Vec::new();
        for _ in 0..4 {
            let slot = class_b::next_ping_slot(after, address, periodicity);
            prop_assert!(slot > after);
            let in_period = (slot % 128_000) as u32;
            prop_assert!(in_period >= class_b::BEACON_RESERVED_MS);
            prop_assert!(in_period + class_b::SLOT_MS <= 128_000 - class_b::BEACON_GUARD_MS);
            slots.push(slot);
            after = slot;
        }
        // From just before a slot, that slot is the next one.
        prop_assert_eq!(class_b::next_ping_slot(slots[1] - 1, address, periodicity), slots[1]);
    }

    #[test]
    fn every_time_has_a_next_ping_slot(after: u64, address: u32) {
        let _ = class_b::next_ping_slot(after, DevAddr::new(address), Periodicity::new(7).unwrap());
    }
}
