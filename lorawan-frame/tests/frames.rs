//! PHYPayloads against vectors from other implementations (`tests/data/frames.jsonl`).

mod common;

use common::{Vector, hex, vectors};
use lorawan_frame::{
    AppKey, AppSKey, CfList, CfListKind, Context, Data, DataFrame, DevAddr, Direction, Error,
    ErrorKind, FCtrl, FNwkSIntKey, FOptsCipher, FType, Frequency, JoinAccept, Key, KeyHandle,
    NetworkKeys, NwkKey, NwkSEncKey, NwkSKey, PhyPayload, Rejoin, SNwkSIntKey, ServerKeyHandle,
    SessionKeys, open_in_place,
};
use serde_json::{Value, json};

const FILE: &str = "frames.jsonl";
const UNUSED: Key = Key::new([0; 16]);

/// The keys of the line; what it does not name is not used by its checks.
fn session_keys(v: &Vector) -> SessionKeys {
    let network = if v.is_v1_1() {
        NetworkKeys::V1_1 {
            f_nwk_s_int_key: v.key("f_nwk_s_int_key").unwrap_or(FNwkSIntKey(UNUSED)),
            s_nwk_s_int_key: v.key("s_nwk_s_int_key").unwrap_or(SNwkSIntKey(UNUSED)),
            nwk_s_enc_key: v.key("nwk_s_enc_key").unwrap_or(NwkSEncKey(UNUSED)),
        }
    } else {
        NetworkKeys::V1_0(v.key("nwk_s_key").unwrap_or(NwkSKey(UNUSED)))
    };
    SessionKeys { network, app_s_key: v.key("app_s_key").unwrap_or(AppSKey(UNUSED)) }
}

fn context(v: &Vector) -> Context {
    Context {
        conf_fcnt: v.number("conf_fcnt") as u16,
        tx_dr: v.number("tx_dr") as u8,
        tx_ch: v.number("tx_ch") as u8,
        fopts_cipher: FOptsCipher::Errata,
    }
}

fn parse_data(bytes: &[u8]) -> DataFrame<'_> {
    match PhyPayload::parse(bytes) {
        Ok(PhyPayload::Data(frame)) => frame,
        other => panic!("not a data frame: {other:?}"),
    }
}

#[test]
fn data_frames_parse_verify_decrypt_and_build_again_to_the_same_bytes_sections_4_3_and_4_4() {
    for v in ["data_up", "data_down"].iter().flat_map(|kind| vectors(FILE, kind)) {
        let bytes = v.bytes();
        let frame = parse_data(&bytes);
        v.check("dev_addr", frame.dev_addr.to_string());
        v.check("adr", frame.fctrl.adr);
        v.check("adr_ack_req", frame.fctrl.adr_ack_req);
        v.check("ack", frame.fctrl.ack);
        v.check("fpending", frame.fctrl.f_pending);
        v.check("fcnt16", frame.fcnt);
        v.check("fopts", hex(frame.fopts));
        v.check("fopts_len", frame.fopts.len());
        v.check("fport", frame.fport);
        v.check("frm_payload", hex(frame.frm_payload));
        v.check("mic", hex(&frame.mic()));
        let ftype = match FType::from_mhdr(bytes[0]) {
            FType::UnconfirmedDataUp => "unconfirmed_up",
            FType::UnconfirmedDataDown => "unconfirmed_down",
            FType::ConfirmedDataUp => "confirmed_up",
            FType::ConfirmedDataDown => "confirmed_down",
            other => panic!("{}: {other:?}", v.id()),
        };
        v.check("mtype", ftype);
        if v.expected("mic_valid") != true {
            continue;
        }

        let (keys, context) = (session_keys(&v), context(&v));
        let mut buf = [0; 255];
        let opened = frame.open_with(&keys, v.number("fcnt32"), &context, &mut buf).unwrap();
        v.check("frm_payload_plain", hex(opened.frm_payload));
        v.check("fopts_plain", hex(opened.fopts));
        let mut rebuilt = [0; 255];
        let rebuilt = opened.build_with(&keys.expand(), &context, &mut rebuilt).unwrap();
        assert_eq!(rebuilt, bytes, "{}", v.id());

        let mut in_place = bytes.clone();
        let fcnt = v.number("fcnt32");
        assert_eq!(open_in_place(&mut in_place, &keys, fcnt, &context), Ok(opened), "{}", v.id());

        let mut altered = bytes.clone();
        *altered.last_mut().unwrap() ^= 1;
        let refused = parse_data(&altered).open_with(&keys, fcnt, &context, &mut buf).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Mic, "{}", v.id());
    }
}

#[test]
fn fctrl_flags_depend_on_the_direction_section_4_3_1() {
    for v in vectors(FILE, "fctrl") {
        let [byte] = v.bytes()[..] else { panic!("{}: one byte", v.id()) };
        let up = FCtrl::from_wire(byte, Direction::Up);
        let down = FCtrl::from_wire(byte, Direction::Down);
        v.check("adr", up.adr);
        v.check("adr_ack_req", up.adr_ack_req);
        v.check("ack", down.ack);
        v.check("fpending_or_class_b", up.class_b);
        v.check("fpending_or_class_b", down.f_pending);
        v.check("fopts_len", byte & 0x0f);
    }
}

#[test]
fn mac_payloads_parse_once_header_and_mic_are_around_them_section_4_3() {
    for v in vectors(FILE, "mac_payload") {
        let mut bytes = vec![if v.input("uplink") == true { 0x40 } else { 0x60 }];
        bytes.extend(v.bytes());
        bytes.extend([0; 4]);
        let frame = parse_data(&bytes);
        v.check("dev_addr", frame.dev_addr.to_string());
        v.check("fcnt16", frame.fcnt);
        v.check("fport", frame.fport);
        v.check("fopts", hex(frame.fopts));
        v.check("fopts_len", frame.fopts.len());
        v.check("frm_payload", hex(frame.frm_payload));
    }
}

#[test]
fn the_1_1_uplink_mic_is_half_from_each_integrity_key_section_4_4_1() {
    for v in vectors(FILE, "mic") {
        let mut bytes = v.bytes();
        bytes.extend([0; 4]);
        let frame = parse_data(&bytes);
        let keys = session_keys(&v).network;
        let mic = frame.compute_mic(&keys, v.number("fcnt32"), &context(&v)).unwrap();
        v.check("mic", hex(&mic));
    }
}

#[test]
fn join_requests_parse_and_verify_section_6_2_2() {
    for v in vectors(FILE, "join_request") {
        let bytes = v.bytes();
        let Ok(PhyPayload::JoinRequest(request)) = PhyPayload::parse(&bytes) else {
            panic!("{}: not a join-request", v.id())
        };
        let content = request.content;
        v.check("join_eui", content.join_eui.to_string());
        v.check("dev_eui", content.dev_eui.to_string());
        v.check("dev_nonce", content.dev_nonce);
        v.check("mic", hex(&request.mic()));
        let key = v.key("app_key").map(|AppKey(key)| key);
        let Some(key) = key.or_else(|| v.key("nwk_key").map(|NwkKey(key)| key)).map(AppKey) else {
            continue;
        };
        v.check("computed_mic", hex(&request.compute_mic(&key).unwrap()));
        v.check("mic_valid", request.verify(&key).is_ok());
        if v.expected("mic_valid") == true {
            let mut buf = [0; 23];
            assert_eq!(content.build_into(&key, &mut buf).unwrap(), bytes, "{}", v.id());
        }
    }
}

fn cf_list(list: CfList) -> Value {
    match list.kind() {
        CfListKind::Frequencies(all) => json!({"type": 0, "freqs_hz": all.map(Frequency::hz)}),
        CfListKind::ChannelMasks(masks) => json!({"type": 1, "ch_masks": masks}),
        other => panic!("{other:?}"),
    }
}

fn check_join_accept(v: &Vector, accept: &JoinAccept) {
    v.check("join_nonce", accept.join_nonce.value());
    v.check("net_id", accept.net_id.to_string());
    v.check("dev_addr", accept.dev_addr.to_string());
    v.check("rx_delay", accept.rx_delay);
    v.check("rx1_dr_offset", accept.dl_settings.rx1_dr_offset);
    v.check("rx2_dr", accept.dl_settings.rx2_dr);
    v.check("cflist_decoded", accept.cf_list.map(cf_list));
}

#[test]
fn join_accepts_decrypt_verify_and_build_again_to_the_same_bytes_section_6_2_3() {
    for v in vectors(FILE, "join_accept") {
        let bytes = v.bytes();
        let Ok(PhyPayload::JoinAccept(encrypted)) = PhyPayload::parse(&bytes) else {
            panic!("{}: not a join-accept", v.id())
        };
        let key: AppKey = v.key("app_key").unwrap();
        let decrypted = encrypted.decrypt(&key).unwrap();
        v.check("plain_hex", hex(decrypted.bytes()));
        v.check("mic", hex(&decrypted.mic()));
        v.check("mic_valid", encrypted.open(&key).is_ok());
        if let Ok(accept) = encrypted.open(&key) {
            check_join_accept(&v, &accept);
            let mut buf = [0; 33];
            assert_eq!(accept.build_into(&key, &mut buf).unwrap(), bytes, "{}", v.id());
        }
    }
    for v in vectors(FILE, "join_accept_payload") {
        check_join_accept(&v, &JoinAccept::parse_body(&v.bytes()).unwrap());
    }
}

#[test]
fn opt_neg_is_a_reserved_bit_to_a_1_0_device_and_decides_the_mic_on_a_1_1_device_section_6_2_3() {
    let key = AppKey::new([3; 16]);
    let accept = JoinAccept::parse_body(&[0; 12]).unwrap();
    let mut buf = [0; 17];
    accept.build_into(&key, &mut buf).unwrap();
    // The same frame with bit 7 of DLSettings set and a MIC to match, encrypted again.
    let Ok(PhyPayload::JoinAccept(plain)) = PhyPayload::parse(&buf) else { panic!() };
    let mut clear = plain.decrypt(&key).unwrap().bytes().to_vec();
    clear[11] |= 0x80;
    let mic = key.0.cmac(None, &clear[..13]).unwrap();
    clear[13..].copy_from_slice(&mic[..4]);
    let mut block: [u8; 16] = clear[1..].try_into().unwrap();
    key.0.decrypt(core::slice::from_mut(&mut block)).unwrap();
    buf[1..].copy_from_slice(&block);

    let Ok(PhyPayload::JoinAccept(reserved)) = PhyPayload::parse(&buf) else { panic!() };
    assert!(reserved.open(&key).unwrap().dl_settings.opt_neg);
    let refused = reserved.open(&NwkKey(key.0)).unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::OutOfRange { max: 0 }, "DLSettings"));
}

#[test]
fn channel_lists_decode_and_encode_section_6_2_3() {
    for v in vectors(FILE, "cflist") {
        let bytes: [u8; 16] = v.bytes().try_into().unwrap();
        let list = CfList::from_wire(bytes);
        assert_eq!(&cf_list(list), v.expected_all(), "{}", v.id());
        let again = match list.kind() {
            CfListKind::Frequencies(all) => CfList::from_frequencies(all),
            CfListKind::ChannelMasks(masks) => CfList::from_channel_masks(masks),
            other => panic!("{other:?}"),
        };
        assert_eq!(again.to_wire(), bytes, "{}", v.id());
    }
}

#[test]
fn rejoin_requests_parse_verify_and_build_again_to_the_same_bytes_section_6_2_4() {
    for v in vectors(FILE, "rejoin") {
        let bytes = v.bytes();
        let Ok(PhyPayload::Rejoin(rejoin)) = PhyPayload::parse(&bytes) else {
            panic!("{}: not a rejoin-request", v.id())
        };
        let content = rejoin.content;
        v.check("rejoin_type", content.rejoin_type());
        v.check("dev_eui", content.dev_eui().to_string());
        v.check("rjcount", content.rj_count());
        v.check("mic", hex(&rejoin.mic()));
        match content {
            Rejoin::Network { net_id, .. } => v.check("net_id", net_id.to_string()),
            Rejoin::JoinServer { join_eui, .. } => v.check("join_eui", join_eui.to_string()),
        }
        let mut buf = [0; 24];
        if let Some(key) = v.key::<SNwkSIntKey>("s_nwk_s_int_key") {
            assert_eq!(rejoin.verify(&key), Ok(()), "{}", v.id());
            assert_eq!(content.build_into(&key, &mut buf).unwrap(), bytes, "{}", v.id());
        }
        if let Some(key) = v.key::<lorawan_frame::JsIntKey>("js_int_key") {
            assert_eq!(rejoin.verify_type1(&key), Ok(()), "{}", v.id());
            assert_eq!(content.build_type1(&key, &mut buf).unwrap(), bytes, "{}", v.id());
        }
    }
}

#[test]
fn proprietary_frames_keep_every_byte_after_the_mhdr_section_4_2_1() {
    for v in vectors(FILE, "proprietary") {
        let bytes = v.bytes();
        let Ok(PhyPayload::Proprietary(payload)) = PhyPayload::parse(&bytes) else {
            panic!("{}: not proprietary", v.id())
        };
        v.check("payload", hex(payload));
    }
}

#[test]
fn malformed_frames_are_refused_with_the_rule_they_break_sections_4_2_and_4_3() {
    for v in vectors(FILE, "parse_error") {
        let bytes = v.bytes();
        let error: Error = PhyPayload::parse(&bytes).expect_err(v.id());
        v.check("error", error.kind().to_string());
    }
}

#[test]
fn reserved_mhdr_bits_are_under_the_mic_and_ignored_otherwise_section_4_2() {
    let keys = SessionKeys::v1_0(NwkSKey::new([1; 16]), AppSKey::new([2; 16]));
    let mut buf = [0; 64];
    let data = Data { fport: Some(9), frm_payload: b"x", ..Data::up(0x0102_0304.into(), 7) };
    let plain = data.build_into(&keys, &mut buf).unwrap().to_vec();
    let mut reserved = plain.clone();
    reserved[0] |= 0b1_1100;
    // The MIC of the frame without them no longer fits.
    let mut clear = [0; 64];
    let error = parse_data(&reserved).open(&keys, 7, &mut clear).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mic);
    // With a MIC over the byte as sent, the frame is read as if they were 0.
    let mic = parse_data(&reserved).compute_mic(&keys.network, 7, &Context::default()).unwrap();
    let end = reserved.len() - 4;
    reserved[end..].copy_from_slice(&mic);
    assert_eq!(parse_data(&reserved).open(&keys, 7, &mut clear), Ok(data));
}

#[test]
fn multicast_downlinks_neither_carry_commands_nor_ask_for_answers_section_11_2_2() {
    let keys = SessionKeys::v1_0(NwkSKey::new([1; 16]), AppSKey::new([2; 16]));
    let right = Data { fport: Some(200), frm_payload: b"all", ..Data::down(DevAddr::new(1), 7) };
    let pending = FCtrl { f_pending: true, ..FCtrl::default() };
    let ack = FCtrl { ack: true, ..FCtrl::default() };
    let wrong = |offset| Err((ErrorKind::Multicast, offset));
    for (data, expected) in [
        (right, Ok(())),
        (Data { fctrl: pending, ..right }, Ok(())),
        (Data { fport: None, frm_payload: &[], ..right }, Ok(())),
        (Data { direction: Direction::Up, ..right }, wrong(0)),
        (Data { confirmed: true, ..right }, wrong(0)),
        (Data { fctrl: ack, ..right }, wrong(5)),
        (Data { fopts: &[6], ..right }, wrong(8)),
        (Data { fport: Some(0), ..right }, wrong(8)),
    ] {
        let told = |result: Result<(), Error>| result.map_err(|e| (e.kind(), e.offset()));
        assert_eq!(told(data.check_multicast()), expected, "{data:?}");
        let mut buf = [0; 64];
        let built = data.build_into(&keys, &mut buf).unwrap();
        assert_eq!(told(DataFrame::parse(built).unwrap().check_multicast()), expected);
        built[5] |= 0x40;
        assert!(DataFrame::parse(built).unwrap().check_multicast().is_err(), "ADRACKReq");
    }
}
