//! Time on air, GPS time, link budget and ADR figures against the vector file.

mod common;

use core::time::Duration;

use common::values;
use lorawan_frame::airtime::{self, LongInterleaving, LongInterleavingRate, Lora};
use lorawan_frame::region::{LrFhssCodingRate, Region, Revision};
use lorawan_frame::{Direction, adr, gps};
use proptest::prelude::*;
use serde_json::Value;

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

fn on_air(inputs: &Value) -> Duration {
    let len: usize = number(&inputs["phy_payload_len"]);
    let lora = |field: &str| inputs[field].as_bool();
    match inputs.get("modulation").map_or("LoRa", |m| m.as_str().unwrap()) {
        "FSK" => airtime::fsk(number(&inputs["bitrate"]), len),
        "LR-FHSS" => {
            let rate = match inputs["cr"].as_str().unwrap() {
                "1/3" | "2/6" => LrFhssCodingRate::OneThird,
                _ => LrFhssCodingRate::TwoThirds,
            };
            airtime::lr_fhss(rate, len)
        }
        "LoRa 2.4 GHz" => {
            let mut long = LongInterleaving::new(number(&inputs["sf"]), number(&inputs["bw_hz"]));
            long.crc = lora("crc").unwrap();
            long.coding_rate = match inputs["cr"].as_str().unwrap() {
                "4/5LI" => LongInterleavingRate::FourFifths,
                "4/6LI" => LongInterleavingRate::FourSixths,
                _ => LongInterleavingRate::FourEighths,
            };
            long.time_on_air(len)
        }
        _ => {
            let mut lora_rate = Lora::new(number(&inputs["sf"]), number(&inputs["bw_hz"]));
            let cr = inputs["cr"].as_str().unwrap();
            lora_rate.coding_rate = cr.strip_prefix("4/").unwrap().parse::<u8>().unwrap() - 4;
            lora_rate.preamble_symbols = inputs["preamble_symbols"].as_u64().map(|n| n as u16);
            lora_rate.explicit_header = lora("explicit_header").unwrap();
            lora_rate.crc = lora("crc").unwrap();
            lora_rate.low_data_rate = lora("ldro");
            lora_rate.time_on_air(len)
        }
    }
}

#[test]
fn time_on_air_is_exact_for_every_vector() {
    for line in values("airtime.jsonl", "airtime") {
        let time = on_air(&line["inputs"]);
        let expected = &line["expected"];
        match expected.get("ns") {
            Some(ns) => {
                let tolerance: u64 = number(&expected["tolerance_ns"]);
                let off = time.abs_diff(Duration::from_nanos(number(ns)));
                assert!(off <= Duration::from_nanos(tolerance), "{}: {time:?}", line["id"]);
            }
            None => {
                let us = Duration::from_micros(number(&expected["us"]));
                assert_eq!(time, us, "{}", line["id"]);
            }
        }
    }
}

/// AN1200.13: low-data-rate optimisation is mandatory when a symbol takes 16 ms or more.
#[test]
fn slow_symbols_are_optimised_without_being_asked() {
    for (sf, bandwidth, slow) in [
        (10, 125_000, false),
        (11, 125_000, true),
        (12, 125_000, true),
        (11, 250_000, false),
        (12, 250_000, true),
        (12, 500_000, false),
    ] {
        let automatic = Lora::new(sf, bandwidth);
        let mut stated = automatic;
        stated.low_data_rate = Some(slow);
        assert_eq!(automatic.time_on_air(60), stated.time_on_air(60), "SF{sf} {bandwidth}");
        stated.low_data_rate = Some(!slow);
        assert_ne!(automatic.time_on_air(60), stated.time_on_air(60), "SF{sf} {bandwidth}");
    }
}

#[test]
fn lr_fhss_repeats_its_header_two_or_three_times() {
    let third = airtime::lr_fhss(LrFhssCodingRate::OneThird, 50);
    assert_eq!(third, Duration::from_micros(3 * 233_472 + 27 * 102_400));
    let two_thirds = airtime::lr_fhss(LrFhssCodingRate::TwoThirds, 50);
    assert_eq!(two_thirds, Duration::from_micros(2 * 233_472 + 14 * 102_400));
}

#[test]
fn an_implicit_header_saves_twenty_bits() {
    let mut beacon = Lora::new(9, 125_000);
    beacon.preamble_symbols = Some(10);
    beacon.crc = false;
    let explicit = beacon.time_on_air(17);
    beacon.explicit_header = false;
    // EU868 beacon: 10 + 4.25 preamble and 8 + 15 payload symbols of 4.096 ms; LoRaWAN 1.1, 15.1.
    assert_eq!(beacon.time_on_air(17), Duration::from_micros(4096 * 149 / 4));
    assert!(explicit > beacon.time_on_air(17));
}

#[test]
fn gps_time_counts_the_leap_seconds_that_utc_has_had() {
    for line in values("airtime.jsonl", "gps_time") {
        let (unix, nanos) = gps::parse_utc(line["inputs"]["utc"].as_str().unwrap()).unwrap();
        let expected: u64 = number(&line["expected"]["gps_seconds"]);
        assert_eq!(gps::from_unix(unix), Some(expected), "{}", line["id"]);
        assert_eq!((gps::to_unix(expected), nanos), (unix, 0), "{}", line["id"]);
    }
}

#[test]
fn utc_is_read_in_the_forms_that_gateways_write() {
    let compact = gps::parse_utc("2013-03-31T16:21:17.528002Z");
    assert_eq!(compact, Some((1_364_746_877, 528_002_000)));
    assert_eq!(gps::parse_utc("20130331T162117.528002Z"), compact);
    assert_eq!(gps::parse_utc("2014-01-12 08:59:28 GMT"), Some((1_389_517_168, 0)));
    assert_eq!(gps::parse_utc("2000-02-29T00:00:00Z"), Some((951_782_400, 0)));
    for bad in [
        "",
        "Z",
        "2013-02-29T00:00:00Z",
        "2013-03-31T24:00:00Z",
        "2013-3-31T16:21:17Z",
        "2013-03-31T16:21:17",
        "+013-03-31T16:21:17Z",
        "2013-03-31T16:21:17.5x8Z",
    ] {
        assert_eq!(gps::parse_utc(bad), None, "{bad}");
    }
}

#[test]
fn sensitivity_is_thermal_noise_plus_noise_figure_plus_snr() {
    for line in values("airtime.jsonl", "link_budget") {
        let inputs = &line["inputs"];
        let centi = |field: &str| (inputs[field].as_f64().unwrap() * 100.0) as i16;
        let sensitivity = adr::sensitivity_cdbm(
            number(&inputs["bw_hz"]),
            centi("noise_figure_db"),
            centi("snr_db"),
        );
        let expected = line["expected"]["sensitivity_dbm_trunc"].as_i64().unwrap();
        assert_eq!(i64::from(sensitivity / 100), expected, "{}", line["id"]);
    }
}

#[test]
fn max_eirp_indices_map_both_ways() {
    for line in values("airtime.jsonl", "eirp_index") {
        let expected = &line["expected"];
        if let Some(index) = line["inputs"].get("index") {
            let dbm = adr::MAX_EIRP_DBM[number::<usize>(index)];
            assert_eq!(u64::from(dbm), expected["eirp_dbm"].as_u64().unwrap(), "{}", line["id"]);
        } else {
            let centi = (line["inputs"]["eirp_dbm_floor"].as_f64().unwrap() * 100.0).round() as i16;
            let index = adr::max_eirp_index(centi).map(u64::from);
            assert_eq!(index, expected["index"].as_u64(), "{}", line["id"]);
        }
    }
    assert_eq!(adr::max_eirp_index(799), None);
}

#[test]
fn adr_steps_raise_the_data_rate_before_they_lower_the_power() {
    for line in values("airtime.jsonl", "adr_step") {
        let inputs = &line["inputs"];
        let (power, data_rate) = adr::step(
            inputs["n_step"].as_i64().unwrap() as i32,
            number(&inputs["tx_power_index"]),
            number(&inputs["dr"]),
            adr::Limits {
                max_data_rate: number(&inputs["max_dr"]),
                max_tx_power_index: number(&inputs["max_tx_power_index"]),
            },
        );
        let expected =
            (number(&line["expected"]["tx_power_index"]), number(&line["expected"]["dr"]));
        assert_eq!((power, data_rate), expected, "{}", line["id"]);
    }
}

#[test]
fn nb_trans_follows_the_loss() {
    for line in values("airtime.jsonl", "adr_nb_trans") {
        let loss = (line["inputs"]["loss_percent"].as_f64().unwrap() * 10.0).round() as u16;
        let answer = adr::nb_trans(loss, number(&line["inputs"]["current_nb_trans"]));
        assert_eq!(u64::from(answer), line["expected"]["nb_trans"].as_u64().unwrap());
    }
    assert_eq!((adr::nb_trans(49, 3), adr::nb_trans(50, 1), adr::nb_trans(1000, 0)), (2, 1, 3));
}

proptest! {
    #[test]
    fn a_longer_frame_never_takes_less_time(
        region in proptest::sample::select(Region::ALL), dr in 0u8..16, a in 0usize..256, b in 0usize..256,
    ) {
        let plan = region.plan(Revision::default());
        for direction in [Direction::Up, Direction::Down] {
            if let Some(rate) = plan.data_rate(dr, direction) {
                let time = |len| airtime::time_on_air(rate, len, direction);
                prop_assert!(time(a.min(b)) <= time(a.max(b)));
                prop_assert!(time(a) > Duration::ZERO);
            }
        }
    }

    #[test]
    fn nothing_in_the_arithmetic_overflows(
        sf: u8, bandwidth: u32, coding_rate: u8, preamble: Option<u16>, len: usize, crc: bool,
    ) {
        let mut lora = Lora::new(sf, bandwidth);
        (lora.coding_rate, lora.preamble_symbols, lora.crc) = (coding_rate, preamble, crc);
        let _ = lora.time_on_air(len);
        let _ = LongInterleaving::new(sf, bandwidth).time_on_air(len);
        let _ = airtime::fsk(bandwidth, len);
        let _ = airtime::lr_fhss(LrFhssCodingRate::OneThird, len);
    }

    #[test]
    fn unix_time_survives_the_way_through_gps_time(unix in 315_964_800i64..1 << 40) {
        let seconds = gps::from_unix(unix).unwrap();
        prop_assert_eq!(gps::to_unix(seconds), unix);
    }

    #[test]
    fn sensitivity_agrees_with_floating_point(bandwidth in 1u32.., nf in -2000i16..2000, snr in -4000i16..4000) {
        let exact = -174.0 + 10.0 * f64::from(bandwidth).log10() + f64::from(nf + snr) / 100.0;
        let ours = f64::from(adr::sensitivity_cdbm(bandwidth, nf, snr)) / 100.0;
        prop_assert!((exact - ours).abs() <= 0.01, "{exact} {ours}");
    }

    #[test]
    fn adr_never_leaves_its_limits(n: i32, power in 0u8..=15, dr in 0u8..=15, p in 0u8..=15, d in 0u8..=15) {
        let limits = adr::Limits { max_data_rate: d, max_tx_power_index: p };
        let (new_power, new_dr) = adr::step(n, power, dr, limits);
        prop_assert!(new_dr == dr || new_dr <= d);
        prop_assert!(new_power <= power || new_power <= p);
    }

    #[test]
    fn any_text_is_a_time_or_refused(text: String) {
        let _ = gps::parse_utc(&text);
    }
}
