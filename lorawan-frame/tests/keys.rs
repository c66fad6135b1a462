//! Key derivation, payload and FOpts encryption, counters and identifiers against vectors from
//! other implementations.

mod common;

use common::{Vector, hex, vectors};
use lorawan_frame::{
    AppKey, AppSKey, Context, Data, DataFrame, DevAddr, DevEui, ErrorKind, FNwkSIntKey,
    FOptsCipher, GenAppKey, JoinEui, JoinNonce, Kek, Key, McKey, McRootKey, NetId, NetworkKeys,
    NwkKey, NwkSEncKey, NwkSKey, RootWorSKey, SNwkSIntKey, SessionKeys, fcnt,
};
use proptest::prelude::*;
use serde_json::Value;

const FILE: &str = "frames.jsonl";

fn root(v: &Vector, name: &str) -> Option<Key> {
    v.key(name).or_else(|| v.key("root_key"))
}

fn derive(v: &Vector, name: &str) -> Key {
    let app = || AppKey(root(v, "app_key").expect("app_key"));
    let nwk = || NwkKey(root(v, "nwk_key").expect("nwk_key"));
    let join_nonce = || JoinNonce::new(v.number("join_nonce")).unwrap();
    let nonce = || {
        let name = if v.input("rjcount").is_null() { "dev_nonce" } else { "rjcount" };
        v.number(name) as u16
    };
    let join_eui = || v.parse::<JoinEui>("join_eui");
    let net_id = || v.parse::<NetId>("net_id");
    let v1_0 = || match v.key::<NwkKey>("nwk_key") {
        Some(key) => key.session_v1_0(join_nonce(), net_id(), nonce()).unwrap(),
        None => app().session_v1_0(join_nonce(), net_id(), nonce()).unwrap(),
    };
    let v1_1 = || nwk().network_keys_v1_1(join_nonce(), join_eui(), nonce()).unwrap();
    let part = |keys: NetworkKeys| match keys {
        NetworkKeys::V1_0(NwkSKey(key)) => key,
        NetworkKeys::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key } => match name {
            "f_nwk_s_int_key" => f_nwk_s_int_key.0,
            "s_nwk_s_int_key" => s_nwk_s_int_key.0,
            _ => nwk_s_enc_key.0,
        },
    };
    match name {
        "nwk_s_key" => part(v1_0().network),
        "app_s_key" if v.is_v1_1() => {
            let unused = NwkKey::new([0; 16]);
            SessionKeys::derive_v1_1(&unused, &app(), join_nonce(), join_eui(), nonce())
                .unwrap()
                .app_s_key
                .0
        }
        "app_s_key" => v1_0().app_s_key.0,
        "f_nwk_s_int_key" | "s_nwk_s_int_key" | "nwk_s_enc_key" => part(v1_1()),
        "js_enc_key" => nwk().js_enc_key(v.parse::<DevEui>("dev_eui")).unwrap().0,
        "js_int_key" => nwk().js_int_key(v.parse::<DevEui>("dev_eui")).unwrap().0,
        "mc_root_key" => match v.key::<GenAppKey>("gen_app_key") {
            Some(key) => key.mc_root_key().unwrap().0,
            None => app().mc_root_key().unwrap().0,
        },
        "mc_ke_key" => v.key::<McRootKey>("mc_root_key").unwrap().mc_ke_key().unwrap().0,
        "mc_app_s_key" => {
            v.key::<McKey>("mc_key").unwrap().mc_app_s_key(v.parse("mc_addr")).unwrap().0
        }
        "mc_net_s_key" => {
            v.key::<McKey>("mc_key").unwrap().mc_net_s_key(v.parse("mc_addr")).unwrap().0
        }
        "wor_s_int_key" => {
            let root = v.key::<RootWorSKey>("root_wor_s_key").unwrap();
            root.wor_s_int_key(v.parse("dev_addr")).unwrap().0
        }
        "wor_s_enc_key" => {
            let root = v.key::<RootWorSKey>("root_wor_s_key").unwrap();
            root.wor_s_enc_key(v.parse("dev_addr")).unwrap().0
        }
        other => panic!("{}: no rule for {other}", v.id()),
    }
}

#[test]
fn every_key_derives_as_sections_6_1_and_6_2_ts005_and_ts011_say() {
    for v in vectors(FILE, "key_derivation") {
        for (name, _) in v.expected_all().as_object().unwrap() {
            v.check(name, hex(derive(&v, name).expose()));
        }
    }
}

#[test]
fn multicast_group_keys_travel_by_decryption_on_the_server_and_encryption_on_the_device_ts005() {
    let root = AppKey::new([9; 16]).mc_root_key().unwrap();
    let transport = root.mc_ke_key().unwrap();
    let group = McKey::new([7; 16]);
    let sealed = transport.seal_mc_key(&group).unwrap();
    assert_ne!(&sealed, group.0.expose());
    assert_eq!(transport.open_mc_key(sealed), Ok(group));
}

/// A frame whose one encrypted field is the vector's bytes.
fn frame<'b>(v: &Vector, data: Data<'_>, keys: &SessionKeys, buf: &'b mut [u8]) -> DataFrame<'b> {
    let built = data.build_into(keys, buf).unwrap_or_else(|e| panic!("{}: {e}", v.id()));
    DataFrame::parse(built).unwrap()
}

fn addressed(v: &Vector) -> Data<'static> {
    let addr: DevAddr = v.parse("dev_addr");
    let fcnt = v.number("fcnt32");
    if v.input("uplink") == true { Data::up(addr, fcnt) } else { Data::down(addr, fcnt) }
}

#[test]
fn frm_payload_is_encrypted_with_the_key_of_its_port_section_4_3_3() {
    for v in vectors(FILE, "frm_encrypt") {
        let key: Key = v.key("key").unwrap();
        let clear = v.bytes();
        // An application port takes the AppSKey, port 0 and the relay port the network key.
        for (port, application) in [(1, true), (223, true), (0, false), (226, false)] {
            let other = Key::new([0xee; 16]);
            let (app, nwk) = if application { (key.clone(), other) } else { (other, key.clone()) };
            let keys = SessionKeys::v1_0(NwkSKey(nwk), AppSKey(app));
            let data = Data { fport: Some(port), frm_payload: &clear, ..addressed(&v) };
            let mut buf = [0; 255];
            v.check("cipher_hex", hex(frame(&v, data, &keys, &mut buf).frm_payload));
        }
    }
}

#[test]
fn fopts_are_encrypted_in_the_errata_form_by_default_section_4_3_1_6() {
    for v in vectors(FILE, "fopts_encrypt") {
        let keys = SessionKeys {
            network: NetworkKeys::V1_1 {
                f_nwk_s_int_key: FNwkSIntKey::new([1; 16]),
                s_nwk_s_int_key: SNwkSIntKey::new([2; 16]),
                nwk_s_enc_key: v.key::<NwkSEncKey>("nwk_s_enc_key").unwrap(),
            },
            app_s_key: AppSKey::new([3; 16]),
        };
        let clear = v.bytes();
        // AFCntDown counts downlinks with an application port.
        let fport = (v.number("a_block_type") == 2).then_some(1);
        let data = Data { fopts: &clear, fport, ..addressed(&v) };
        let mut buf = [0; 255];
        v.check("cipher_hex", hex(frame(&v, data, &keys, &mut buf).fopts));

        let literal = Context { fopts_cipher: FOptsCipher::Literal, ..Context::default() };
        let built = data.build_with(&keys, &literal, &mut buf).unwrap();
        let received = DataFrame::parse(built).unwrap();
        assert_ne!(&Value::from(hex(received.fopts)), v.expected("cipher_hex"));
        let mut clear_again = [0; 15];
        assert_eq!(received.open_with(&keys, data.fcnt, &literal, &mut clear_again), Ok(data));
    }
}

#[test]
fn uplink_counters_are_completed_to_the_nearest_value_section_4_3_1_5() {
    for v in vectors(FILE, "fcnt_up_reconstruct") {
        let wire = v.number("wire_fcnt16") as u16;
        let found = fcnt::reconstruct_uplink(v.number("next_expected_fcnt32"), wire).ok();
        v.check("fcnt32", found);
    }
}

#[test]
fn downlink_counters_go_forward_within_the_gap_section_4_3_1_5() {
    for v in vectors(FILE, "fcnt_down_accept") {
        let last = v.input("last_fcnt32").as_u64().map(|last| last as u32);
        let gap = v.input("max_fcnt_gap").as_u64().map(|gap| gap as u32);
        let found = fcnt::accept_downlink(last, v.number("wire_fcnt16") as u16, gap);
        v.check("accepted", found.is_ok());
        v.check("fcnt32", found.ok());
    }
}

#[test]
fn counters_never_wrap_section_4_3_1_5() {
    let exhausted = |result: Result<u32, lorawan_frame::Error>| result.unwrap_err().kind();
    assert_eq!(exhausted(fcnt::reconstruct_uplink(u32::MAX, 0)), ErrorKind::FCntExhausted);
    assert_eq!(exhausted(fcnt::accept_downlink(Some(u32::MAX), 0, None)), ErrorKind::FCntExhausted);
    assert_eq!(exhausted(fcnt::next(u32::MAX)), ErrorKind::FCntExhausted);
    assert_eq!(fcnt::reconstruct_uplink(u32::MAX, 0xffff), Ok(u32::MAX));
    // Nothing lies before 0.
    assert_eq!(fcnt::reconstruct_uplink(0, 0xffff), Ok(0xffff));
}

#[test]
fn the_gap_rule_ends_with_1_0_3_section_4_3_1_5() {
    let refused = fcnt::accept_downlink(Some(0), 16385, Some(fcnt::MAX_FCNT_GAP)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FCntNotAccepted);
    assert_eq!(fcnt::accept_downlink(Some(0), 16384, Some(fcnt::MAX_FCNT_GAP)), Ok(16384));
    assert_eq!(fcnt::accept_downlink(Some(0), 16385, None), Ok(16385));
    // The same 16 bits again are 65536 frames later, or a replay: the MIC tells.
    assert_eq!(fcnt::accept_downlink(Some(5), 5, None), Ok(65541));
}

#[test]
fn net_ids_split_into_type_and_id_section_6_2_3() {
    for v in vectors(FILE, "net_id") {
        let net_id: NetId = v.parse("net_id");
        v.check("type", net_id.net_id_type());
        v.check("id", net_id.id());
        v.check("wire_hex", hex(&net_id.to_wire()));
    }
}

#[test]
fn device_addresses_name_their_network_section_6_1_2_1() {
    for v in vectors(FILE, "dev_addr") {
        let addr: DevAddr = v.parse("dev_addr");
        v.check("net_id_type", addr.net_id_type());
        v.check("nwk_id", addr.nwk_id());
        v.check("wire_hex", hex(&addr.to_wire()));
    }
    for v in vectors(FILE, "dev_addr_prefix") {
        let prefix = v.parse::<NetId>("net_id").dev_addr_prefix();
        v.check("prefix", prefix.first().to_string());
        v.check("prefix_len", prefix.length());
        if !v.input("set_prefix_on").is_null() {
            let addr = prefix.apply(v.parse("set_prefix_on"));
            v.check("dev_addr", addr.to_string());
            assert!(prefix.contains(addr), "{}", v.id());
        }
    }
}

#[test]
fn keys_print_nothing_of_themselves() {
    let key = AppSKey::new(*b"0123456789abcdef");
    let keys = SessionKeys::v1_0(NwkSKey::new(*b"0123456789abcdef"), key.clone());
    for text in [format!("{key:?}"), format!("{keys:?}"), format!("{:?}", keys.expand())] {
        assert!(!text.contains("30") && !text.contains("48"), "{text}");
    }
}

proptest! {
    #[test]
    fn wrapped_keys_unwrap_with_the_same_key_alone_rfc_3394(
        kek in proptest::collection::vec(any::<u8>(), 32),
        size in proptest::sample::select(vec![16usize, 24, 32]),
        data in proptest::collection::vec(any::<u8>(), 0..=264),
        (place, bit) in (any::<usize>(), 0..8u32),
    ) {
        let (mut buf, mut clear) = ([0; 280], [0; 280]);
        let key = Kek::new(&kek[..size]).unwrap();
        // What one side refuses, the other does.
        let legal = data.len() % 8 == 0 && (16..=240).contains(&data.len());
        let Ok(wrapped) = key.wrap(&data, &mut buf) else {
            prop_assert!(!legal);
            let longer = vec![0xa6; data.len() + 8];
            let kind = key.unwrap(&longer, &mut clear).unwrap_err().kind();
            prop_assert!(matches!(kind, ErrorKind::Length { .. }), "length");
            return Ok(());
        };
        prop_assert!(legal);
        prop_assert_eq!(wrapped.len(), data.len() + 8);
        prop_assert_eq!(key.unwrap(wrapped, &mut clear).unwrap(), &data[..]);

        let place = place % wrapped.len();
        wrapped[place] ^= 1 << bit;
        prop_assert_eq!(key.unwrap(wrapped, &mut clear).unwrap_err().kind(), ErrorKind::KeyWrap);
        prop_assert!(clear[..data.len()].iter().all(|byte| *byte == 0), "wiped");
        wrapped[place] ^= 1 << bit;
        let mut other = kek[..size].to_vec();
        other[0] ^= 1;
        let refused = Kek::new(&other).unwrap().unwrap(wrapped, &mut clear).unwrap_err();
        prop_assert_eq!(refused.kind(), ErrorKind::KeyWrap);
        let short = key.unwrap(wrapped, &mut clear[..data.len() - 1]).unwrap_err();
        prop_assert!(matches!(short.kind(), ErrorKind::BufferTooSmall { .. }), "room");
    }
}

/// RFC 3394, sections 4.1 to 4.6.
#[test]
fn keys_wrap_as_the_examples_of_rfc_3394_section_4() {
    let bytes: Vec<u8> = (0..32).collect();
    let data: Vec<u8> = (0..16u8).map(|n| n * 0x11).chain(0..16).collect();
    for (kek, len, expected) in [
        (16, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
        (24, 16, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
        (32, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
        (24, 24, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"),
        (32, 24, "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"),
        (
            32,
            32,
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
    ] {
        let kek = Kek::new(&bytes[..kek]).unwrap();
        let mut buf = [0; 40];
        let wrapped = kek.wrap(&data[..len], &mut buf).unwrap();
        assert_eq!(hex(wrapped), expected);
    }
    for len in (0..40).filter(|len| ![16, 24, 32].contains(len)) {
        assert!(Kek::new(&vec![0; len]).is_err(), "{len}");
    }
}
