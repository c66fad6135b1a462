//! Relay frames and wrapped keys: vectors where there are any, round trips otherwise.

mod common;

use common::{hex, unhex, vectors};
use lorawan_frame::{
    AppSKey, DevAddr, ErrorKind, ForwardUplinkReq, Frequency, Kek, NwkSKey, RelayChannel,
    SessionKeys, Wor, WorAck, WorContext, WorSEncKey, WorSIntKey,
};

const FILE: &str = "frames.jsonl";

#[test]
fn forwarded_uplinks_parse_and_build_again_to_the_same_bytes_ts011_9_1() {
    for v in vectors(FILE, "relay_forward_up") {
        let bytes = v.bytes();
        let forward = ForwardUplinkReq::parse(&bytes).unwrap();
        v.check("dr", forward.dr);
        v.check("snr", forward.snr.db());
        v.check("rssi", forward.rssi.dbm());
        v.check("wor_channel", forward.wor_channel);
        v.check("freq_hz", forward.freq.hz());
        v.check("inner_phy", hex(forward.phy_payload));
        let mut buf = [0; 255];
        assert_eq!(forward.build_into(&mut buf).unwrap(), bytes, "{}", v.id());
    }
    let error = ForwardUplinkReq::parse(&[0; 5]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooShort { needed: 6, .. }), "{error}");
}

fn channel(dr: u8, hz: u32) -> RelayChannel {
    RelayChannel { dr, freq: Frequency::from_hz(hz).unwrap() }
}

/// The keys of a device on a 1.0 network.
fn wor_keys(dev_addr: DevAddr) -> (WorSIntKey, WorSEncKey) {
    let keys = SessionKeys::v1_0(NwkSKey::new([5; 16]), AppSKey::new([6; 16]));
    let root = keys.network.root_wor_s_key().unwrap();
    (root.wor_s_int_key(dev_addr).unwrap(), root.wor_s_enc_key(dev_addr).unwrap())
}

#[test]
fn a_wake_on_radio_join_says_in_clear_where_the_request_follows_ts011_5_1() {
    let follows = channel(5, 868_100_000);
    let bytes = Wor::build_join(follows).unwrap();
    assert_eq!(bytes, [0x00, 0x05, 0x28, 0x76, 0x84]);
    assert_eq!(Wor::parse(&bytes), Ok(Wor::Join(follows)));
    assert_eq!(Wor::parse(&[0x0f, 1, 2]), Ok(Wor::Proprietary(&[1, 2])));
    assert_eq!(Wor::parse(&[0x02]).unwrap_err().kind(), ErrorKind::FrameType);
}

#[test]
fn a_wake_on_radio_uplink_opens_with_the_right_counter_and_channel_only_ts011_5_2() {
    let dev_addr = DevAddr::new(0x0102_0304);
    let (int_key, enc_key) = wor_keys(dev_addr);
    let wor_channel = channel(3, 865_100_000);
    let context = WorContext { dev_addr, wfcnt: 0x0001_0002, channel: wor_channel };
    let follows = channel(5, 868_300_000);
    let bytes = Wor::build_uplink(follows, &context, &int_key, &enc_key).unwrap();
    assert_eq!(bytes[..5], [0x01, 4, 3, 2, 1]);
    let Ok(Wor::Uplink(uplink)) = Wor::parse(&bytes) else { panic!("not an uplink") };
    assert_eq!((uplink.dev_addr, uplink.wfcnt), (dev_addr, 2));
    assert_eq!(uplink.open(0x0001_0002, wor_channel, &int_key, &enc_key), Ok(follows));
    let kind = |wfcnt| uplink.open(wfcnt, wor_channel, &int_key, &enc_key).unwrap_err().kind();
    assert_eq!(kind(0x0000_0002), ErrorKind::Mic);
    assert_eq!(kind(0x0001_0003), ErrorKind::FCntMismatch);
    // The channel is in the cipher, not under the MIC.
    let elsewhere = uplink.open(0x0001_0002, channel(3, 865_500_000), &int_key, &enc_key);
    assert_ne!(elsewhere, Ok(follows));
}

#[test]
fn a_wake_on_radio_answer_is_bound_to_its_question_ts011_6() {
    let dev_addr = DevAddr::new(0x0102_0304);
    let (int_key, enc_key) = wor_keys(dev_addr);
    let asked = channel(3, 865_100_000);
    let context = WorContext { dev_addr, wfcnt: 9, channel: channel(3, 865_300_000) };
    let ack = WorAck {
        cad_to_rx: 3,
        forward: 0,
        relay_dr: 5,
        xtal_accuracy: 1,
        cad_periodicity: 5,
        t_offset_ms: 2047,
    };
    let bytes = ack.build(&context, asked, &int_key, &enc_key).unwrap();
    assert_eq!(WorAck::open(&bytes, &context, asked, &int_key, &enc_key), Ok(ack));
    let other = WorAck::open(&bytes, &context, channel(3, 865_500_000), &int_key, &enc_key);
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Mic);
    let too_far = WorAck { t_offset_ms: 2048, ..ack };
    let refused = too_far.build(&context, asked, &int_key, &enc_key).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfRange { max: 2047 });
}

#[test]
fn keys_wrap_and_unwrap_as_rfc_3394_says() {
    for v in vectors(FILE, "key_wrap") {
        let kek = Kek::new(&unhex(&v.key::<String>("kek").unwrap())).unwrap();
        let key_data = v.bytes();
        let mut buf = [0; 64];
        let wrapped = kek.wrap(&key_data, &mut buf).unwrap().to_vec();
        v.check("wrapped", hex(&wrapped));
        let mut clear = [0; 64];
        assert_eq!(kek.unwrap(&wrapped, &mut clear).unwrap(), key_data, "{}", v.id());

        let mut altered = wrapped.clone();
        altered[9] ^= 1;
        let mut wiped = [0xff; 64];
        let error = kek.unwrap(&altered, &mut wiped).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyWrap);
        assert_eq!(wiped[..key_data.len()], vec![0; key_data.len()], "nothing of it is left");
    }
}
