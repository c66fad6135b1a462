//! Application packages (TS003 to TS006) against the vector file, and their properties.

#![cfg(feature = "packages")]

mod common;
#[path = "common/package_fields.rs"]
mod package_fields;

use common::{hex, unhex, values};
use lorawan_frame::package::fragmentation::{
    self, DataFragment, Decoder, Parity, Progress, SetupError,
};
use lorawan_frame::package::{self, Message, Version};
use lorawan_frame::package::{clock_sync, firmware, multicast};
use lorawan_frame::{DataBlockIntKey, DevAddr, ErrorKind, Frequency};
use package_fields::Fields;
use proptest::prelude::*;
use serde_json::Value;

fn check<'a, M: Message<'a> + Fields>(line: &Value, bytes: &'a [u8], version: Version) {
    let (message, rest) = M::parse(bytes, version).unwrap();
    assert!(rest.is_empty(), "{}", line["id"]);
    let fields = message.fields();
    for (name, expected) in line["expected"].as_object().unwrap() {
        if name == "name" {
            assert_eq!(message.name(), expected.as_str().unwrap(), "{}", line["id"]);
        } else {
            assert_eq!(&fields[name], expected, "{name} of {}", line["id"]);
        }
    }
    let mut buf = [0; 64];
    assert_eq!(message.build_into(&mut buf).unwrap(), bytes, "{}", line["id"]);
}

#[test]
fn package_commands_parse_to_their_fields_and_build_to_the_same_bytes() {
    for line in values("packages.jsonl", "app_package") {
        let bytes = unhex(line["bytes_hex"].as_str().unwrap());
        let up = line["inputs"]["uplink"].as_bool().unwrap();
        let version =
            if line["inputs"]["package_version"] == 2 { Version::V2 } else { Version::V1 };
        let package = line["inputs"]["package"].as_str().unwrap();
        match (&package[package.len() - 5..], up) {
            ("TS003", true) => check::<clock_sync::Uplink>(&line, &bytes, version),
            ("TS003", false) => check::<clock_sync::Downlink>(&line, &bytes, version),
            ("TS004", true) => check::<fragmentation::Uplink>(&line, &bytes, version),
            ("TS004", false) => check::<fragmentation::Downlink<'_>>(&line, &bytes, version),
            ("TS005", true) => check::<multicast::Uplink>(&line, &bytes, version),
            ("TS005", false) => check::<multicast::Downlink>(&line, &bytes, version),
            ("TS006", true) => check::<firmware::Uplink>(&line, &bytes, version),
            ("TS006", false) => check::<firmware::Downlink>(&line, &bytes, version),
            _ => panic!("unknown package in {}", line["id"]),
        }
    }
}

#[test]
fn parity_fragments_of_both_versions_are_those_of_the_vectors() {
    for line in values("packages.jsonl", "frag_parity") {
        let inputs = &line["inputs"];
        let version = if inputs["package_version"] == 2 { Version::V2 } else { Version::V1 };
        let number = |name: &str| inputs[name].as_u64().unwrap() as u16;
        let parity = Parity::new(version, number("nb_frag"), number("frag_size") as u8).unwrap();
        let mut out = vec![0; usize::from(parity.frag_size())];
        let block = unhex(line["bytes_hex"].as_str().unwrap());
        assert!(parity.fragment(&block, number("fragment_number_1_based"), &mut out));
        assert_eq!(hex(&out), line["expected"]["fragment_hex"].as_str().unwrap(), "{}", line["id"]);
    }
}

/// A block in which fragment i has only bit i set: a coded fragment shows its own row.
fn rows(version: Version, nb_frag: u16) -> (Parity, Vec<u8>) {
    let size = nb_frag.div_ceil(8) as u8;
    let parity = Parity::new(version, nb_frag, size).unwrap();
    let mut block = vec![0; parity.block_len()];
    for i in 0..usize::from(nb_frag) {
        block[i * usize::from(size) + i / 8] = 1 << (i % 8);
    }
    (parity, block)
}

/// TS004 v2: M/2 different fragments; v1: at most M/2, as repeated picks count.
#[test]
fn a_parity_row_combines_half_of_the_fragments() {
    let every = (1..=64).chain([127, 128, 255, 256, 1000, 1024, 2000]);
    // Miri is slow: it takes powers of two, for which the rule is another.
    let sizes = every.filter(|n: &u16| !cfg!(miri) || n.count_ones() == 1 && *n <= 128);
    for nb_frag in sizes {
        for parity_number in [1, 2, 3, 50, 200, 8000] {
            let ones = |version| {
                let (parity, block) = rows(version, nb_frag);
                let mut out = vec![0; usize::from(parity.frag_size())];
                assert!(parity.fragment(&block, nb_frag + parity_number, &mut out));
                out.iter().map(|byte| byte.count_ones()).sum::<u32>()
            };
            assert_eq!(ones(Version::V2), u32::from(nb_frag / 2), "{nb_frag} {parity_number}");
            let v1 = ones(Version::V1);
            assert!(v1 <= u32::from(nb_frag / 2) && (v1 > 0 || nb_frag < 2));
        }
    }
}

#[test]
fn session_answers_carry_the_time_only_without_an_error() {
    let fine =
        multicast::McSessionAns { mc_group_id: 1, time_to_start: Some(9), ..Default::default() };
    let late = multicast::McSessionAns { start_missed: true, time_to_start: None, ..fine };
    let mut buf = [0; 8];
    let built = multicast::Uplink::McClassCSessionAns(fine).build_into(&mut buf).unwrap();
    assert_eq!(built, [4, 0b01, 9, 0, 0]);
    let built = multicast::Uplink::McClassCSessionAns(late).build_into(&mut buf).unwrap();
    assert_eq!(built, [4, 0b10_0001]);
    let parsed = multicast::Uplink::parse(built, Version::V2).unwrap().0;
    assert_eq!(parsed, multicast::Uplink::McClassCSessionAns(late));
    // Version 1 knows no such bit: three more bytes must follow.
    let error = multicast::Uplink::parse(built, Version::V1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandTruncated { cid: 4, needed: 3 });
    assert_eq!((error.field(), error.section()), ("McClassCSessionAns", "TS005"));
    assert_eq!(error.offset(), 2);
}

#[test]
fn a_list_of_commands_ends_at_an_unknown_one_and_says_where() {
    // PackageVersionReq, ForceDeviceResyncReq, unknown.
    let mut list = package::commands::<clock_sync::Downlink>(&[0, 3, 2, 9, 0], Version::V1);
    assert_eq!(list.next(), Some(Ok(clock_sync::Downlink::PackageVersionReq)));
    let resync = clock_sync::ForceDeviceResyncReq { nb_transmissions: 2 };
    assert_eq!(list.next(), Some(Ok(clock_sync::Downlink::ForceDeviceResyncReq(resync))));
    let error = list.next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::UnknownCid(9), 3));
    assert_eq!(list.next(), None);
}

#[test]
fn values_that_do_not_fit_are_refused_and_nothing_is_written() {
    let mut buf = [0xEE; 8];
    let too_big = [
        clock_sync::Downlink::ForceDeviceResyncReq(clock_sync::ForceDeviceResyncReq {
            nb_transmissions: 8,
        })
        .build_into(&mut buf)
        .unwrap_err(),
        firmware::Downlink::DevRebootCountdownReq(firmware::RebootCountdown { countdown: 1 << 24 })
            .build_into(&mut buf)
            .unwrap_err(),
        multicast::Uplink::McGroupStatusAns(multicast::McGroupStatusAns {
            ans_group_mask: 1,
            ..Default::default()
        })
        .build_into(&mut buf)
        .unwrap_err(),
        fragmentation::Downlink::DataFragment(DataFragment { n: 1 << 14, ..Default::default() })
            .build_into(&mut buf)
            .unwrap_err(),
    ];
    for error in too_big {
        assert!(matches!(error.kind(), ErrorKind::OutOfRange { .. }), "{error}");
    }
    let short = firmware::Uplink::DevVersionAns(firmware::DevVersionAns::default());
    let error = short.build_into(&mut buf).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferTooSmall { needed: 9 });
    assert_eq!(buf, [0xEE; 8]);
}

/// TS004 2.0: CMAC over B0 = 49 | SessionCnt | FragIndex | Descriptor | 0000 | length.
#[test]
fn the_mic_of_a_data_block_agrees_with_an_independent_cmac() {
    use cmac::{Cmac, KeyInit, Mac};
    let key = [0x2b; 16];
    let block = [5; 100];
    let ours =
        fragmentation::data_block_mic(&DataBlockIntKey::new(key), 0x0102, 3, [9, 8, 7, 6], &block);
    let mut mac = <Cmac<aes::Aes128> as KeyInit>::new(&key.into());
    mac.update(&[0x49, 2, 1, 3, 9, 8, 7, 6, 0, 0, 0, 0, 100, 0, 0, 0]);
    mac.update(&block);
    assert_eq!(ours.unwrap()[..], mac.finalize().into_bytes()[..4]);
}

#[test]
fn the_decoder_says_what_its_buffers_need() {
    let parity = Parity::new(Version::V1, 10, 4).unwrap();
    let needed = Decoder::scratch_len(10, 4, 3);
    let mut scratch = vec![0; needed];
    let block = &mut [0; 40];
    assert!(matches!(
        Decoder::new(parity, 3, &mut block[..39], &mut scratch),
        Err(SetupError::BlockLength(40))
    ));
    assert!(matches!(
        Decoder::new(parity, 3, block, &mut scratch[1..]),
        Err(SetupError::ScratchTooSmall(n)) if n == needed
    ));
    let mut decoder = Decoder::new(parity, 3, block, &mut scratch).unwrap();
    assert!(decoder.receive(0, &[0; 4]).is_err());
    assert!(decoder.receive(1 << 14, &[0; 4]).is_err());
    let error = decoder.receive(1, &[0; 5]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Length { found: 5, .. }));
    assert_eq!(decoder.receive(11, &[0; 4]), Ok(Progress::TooManyLost(10)));
    assert_eq!(decoder.receive(1, &[0; 4]), Ok(Progress::Missing(9)));
    assert_eq!(decoder.receive(1, &[0; 4]), Ok(Progress::Missing(9)));
    assert_eq!((decoder.received(), decoder.block()), (3, None));
}

fn any_version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V1), Just(Version::V2)]
}

/// Whatever bytes parse, building gives a form that parses to the same, of the size consumed.
fn round_trip<'a, M: Message<'a> + PartialEq + core::fmt::Debug>(
    bytes: &'a [u8],
    version: Version,
    buf: &'a mut [u8],
) -> Result<(), TestCaseError> {
    if let Ok((message, rest)) = M::parse(bytes, version) {
        let built = message.build_into(buf).unwrap();
        prop_assert_eq!(built.len(), bytes.len() - rest.len());
        prop_assert_eq!(message.encoded_len().unwrap(), built.len());
        let (again, rest) = M::parse(built, version).unwrap();
        prop_assert_eq!(again, message);
        prop_assert!(rest.is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_command_of_every_package_round_trips(
        cid in 0u8..10, content in proptest::collection::vec(any::<u8>(), 0..64),
        version in any_version(),
    ) {
        let bytes = [&[cid], &content[..]].concat();
        let mut buf = [[0; 80]; 8];
        let [a, b, c, d, e, f, g, h] = &mut buf;
        round_trip::<clock_sync::Uplink>(&bytes, version, a)?;
        round_trip::<clock_sync::Downlink>(&bytes, version, b)?;
        round_trip::<firmware::Uplink>(&bytes, version, c)?;
        round_trip::<firmware::Downlink>(&bytes, version, d)?;
        round_trip::<multicast::Uplink>(&bytes, version, e)?;
        round_trip::<multicast::Downlink>(&bytes, version, f)?;
        round_trip::<fragmentation::Uplink>(&bytes, version, g)?;
        round_trip::<fragmentation::Downlink<'_>>(&bytes, version, h)?;
    }

    #[test]
    fn commands_written_one_after_the_other_are_read_in_that_order(
        time: u32, token in 0u8..16, count in 1usize..5, address: u32, frequency in 0u32..1 << 24,
    ) {
        let time_req = clock_sync::AppTimeReq { device_time: time, token_req: token, ans_required: true };
        let mut payload = Vec::new();
        for _ in 0..count {
            let mut buf = [0; 6];
            payload.extend_from_slice(
                clock_sync::Uplink::AppTimeReq(time_req).build_into(&mut buf).unwrap());
        }
        let read: Vec<_> =
            package::commands::<clock_sync::Uplink>(&payload, Version::V2).map(Result::unwrap).collect();
        prop_assert_eq!(read, vec![clock_sync::Uplink::AppTimeReq(time_req); count]);
        let setup = multicast::McGroupSetupReq { mc_addr: DevAddr::new(address), ..Default::default() };
        let session = multicast::McClassCSessionReq {
            dl_frequency: Frequency::new(frequency).unwrap(), ..Default::default()
        };
        let both = [
            multicast::Downlink::McGroupSetupReq(setup),
            multicast::Downlink::McClassCSessionReq(session),
        ];
        let mut payload = Vec::new();
        for message in both {
            let mut buf = [0; 40];
            payload.extend_from_slice(message.build_into(&mut buf).unwrap());
        }
        let read: Vec<_> =
            package::commands::<multicast::Downlink>(&payload, Version::V1).map(Result::unwrap).collect();
        prop_assert_eq!(read, both);
    }

    #[test]
    fn a_block_is_put_together_whatever_is_lost_and_in_whatever_order(
        version in any_version(),
        nb_frag in 1u16..60,
        frag_size in 1u8..12,
        seed: u64,
        loss in 0u32..40,
        shuffle: bool,
    ) {
        // A small generator: which fragments arrive, and when.
        let mut state = seed | 1;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % below
        };
        let parity = Parity::new(version, nb_frag, frag_size).unwrap();
        let block: Vec<u8> = (0..parity.block_len()).map(|_| random(256) as u8).collect();
        let mut numbers: Vec<u16> = (1..=4 * nb_frag + 40).filter(|_| random(100) >= loss).collect();
        if shuffle {
            for i in (1..numbers.len()).rev() {
                numbers.swap(i, random(i as u32 + 1) as usize);
            }
        }
        let mut received = vec![0; parity.block_len()];
        let mut scratch = vec![0xA5; Decoder::scratch_len(nb_frag, frag_size, nb_frag)];
        let mut decoder = Decoder::new(parity, nb_frag, &mut received, &mut scratch).unwrap();
        let mut fragment = vec![0; usize::from(frag_size)];
        let mut missing = nb_frag;
        for n in numbers {
            prop_assert!(parity.fragment(&block, n, &mut fragment));
            match decoder.receive(n, &fragment).unwrap() {
                Progress::Complete => break,
                Progress::Missing(now) => {
                    prop_assert!(now <= missing && now > 0);
                    missing = now;
                }
                Progress::TooManyLost(_) => prop_assert!(false, "the memory is for all fragments"),
            }
        }
        match decoder.block() {
            Some(complete) => prop_assert_eq!(complete, &block[..]),
            // Small blocks have few different parity rows: they may never fill up.
            None => prop_assert!(nb_frag < 16 && loss > 0, "{nb_frag}"),
        }
    }

    #[test]
    fn no_fragment_upsets_the_decoder(
        version in any_version(), nb_frag in 1u16..40, max_lost in 0u16..20,
        fragments in proptest::collection::vec((any::<u16>(), any::<[u8; 3]>()), 0..80),
    ) {
        let parity = Parity::new(version, nb_frag, 3).unwrap();
        let mut block = vec![0; parity.block_len()];
        let mut scratch = vec![0; Decoder::scratch_len(nb_frag, 3, max_lost)];
        let mut decoder = Decoder::new(parity, max_lost, &mut block, &mut scratch).unwrap();
        for (n, data) in fragments {
            // Half of them near the block, where they matter.
            let n = if n & 1 == 0 { n } else { n % (3 * nb_frag) };
            let before = decoder.missing();
            let _ = decoder.receive(n, &data);
            prop_assert!(decoder.missing() <= before);
        }
    }
}
