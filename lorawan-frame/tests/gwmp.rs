//! The Semtech UDP protocol against the vector file, and against what occurs in the field.

#![cfg(feature = "gwmp")]

mod common;

use common::{hex, unhex, values};
use lorawan_frame::gwmp::{
    Body, Datagram, Datr, Error, GatewayEui, Identifier, Modulation, PushData, RxPk, Stat, Timing,
    Tmst, TxAck, TxAckError, TxPk,
};
use lorawan_frame::region::{DataRate, LrFhssCodingRate};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Numbers are equal when their values are: `-12` and `-12.0` are the same SNR.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A missing field is `null`.
fn assert_fields(answer: &Value, expected: &Value, id: &Value) {
    for (name, expected) in expected.as_object().unwrap() {
        let found = answer.get(name).unwrap_or(&Value::Null);
        assert!(same(found, expected), "{name} of {id}: {found} is not {expected}");
    }
}

fn packet_json(packet: &RxPk) -> Value {
    let mut json = serde_json::to_value(packet).unwrap();
    json["phy_hex"] = hex(&packet.data).into();
    json
}

#[test]
fn datagrams_and_json_of_the_vectors_parse_to_their_fields_and_survive_a_round_trip() {
    for line in values("gwmp.jsonl", "semtech_udp") {
        let (expected, id) = (&line["expected"], &line["id"]);
        if let Some(text) = line["inputs"].get("txpk_json") {
            let txpk: TxPk = serde_json::from_str(text.as_str().unwrap()).unwrap();
            let answer = json!({
                "immediate": txpk.timing() == Timing::Immediate,
                "size_field": txpk.size,
                "decoded_len": txpk.data.len(),
            });
            assert_fields(&answer, expected, id);
            continue;
        }
        let content: PushData;
        if let Some(text) = line["inputs"].get("json") {
            content = serde_json::from_str(text.as_str().unwrap()).unwrap();
        } else {
            let datagram = Datagram::parse(&unhex(line["bytes_hex"].as_str().unwrap())).unwrap();
            let again = Datagram::parse(&datagram.to_bytes().unwrap()).unwrap();
            assert_eq!(again, datagram);
            let Body::PushData { gateway, content: found } = datagram.body.clone() else {
                panic!("{id} is a {}", datagram.identifier().name());
            };
            let header = json!({
                "version": datagram.version,
                "token": hex(&datagram.token),
                "identifier": datagram.identifier().name(),
                "gateway_eui": gateway.to_string(),
            });
            for name in ["version", "token", "identifier", "gateway_eui"] {
                assert_eq!(header[name], expected[name], "{name} of {id}");
            }
            content = found;
        }
        if let Some(expected) = expected.get("rxpk") {
            assert_fields(&packet_json(&content.rxpk[0]), expected, id);
        }
        if let Some(expected) = expected.get("stat") {
            assert_fields(&serde_json::to_value(&content.stat).unwrap(), expected, id);
        }
    }
}

fn rxpk(fields: &str) -> Result<RxPk, serde_json::Error> {
    serde_json::from_str(&format!(
        r#"{{"freq":868.1,"datr":"SF7BW125","modu":"LORA","data":"QA==",{fields}"x":0}}"#
    ))
}

#[test]
fn a_packet_is_read_however_its_numbers_are_written() {
    let packet = rxpk(r#""tmst":null,"rssi":-58.0,"lsnr":"5.5","stat":"1","size":null,"#).unwrap();
    assert_eq!((packet.tmst, packet.rssi, packet.lsnr), (None, Some(-58), Some(5.5)));
    assert_eq!((packet.stat, packet.size), (Some(1), None));
    assert_eq!(packet.extra["x"], 0);
    assert!(rxpk(r#""tmst":4294967296,"#).unwrap_err().to_string().contains("fits the field"));
    assert!(rxpk(r#""tmst":[],"#).is_err());
    assert!(rxpk(r#""rssi":"loud","#).is_err());
}

/// Each line is what a gateway, or somebody who pretends to be one, may write.
#[test]
fn numbers_that_no_field_can_hold_are_refused_and_not_bent() {
    for fields in [
        r#""tmst":4294967296,"#,
        r#""tmst":-1,"#,
        r#""tmms":1e300,"#,
        r#""tmms":18446744073709551615,"#,
        r#""tmms":"9223372036854775808","#,
        r#""rssi":32768,"#,
        r#""rssi":-1e9,"#,
        r#""foff":2147483648,"#,
        r#""chan":256,"#,
        r#""stat":-129,"#,
        r#""lsnr":1e999,"#,
        r#""lsnr":"nan","#,
        r#""lsnr":"inf","#,
        r#""lsnr":NaN,"#,
        r#""size":{},"#,
        r#""tmst":1,"tmst":2,"#,
        r#""rsig":[1],"#,
        r#""rsig":{},"#,
        r#""time":[],"#,
        r#""codr":true,"#,
    ] {
        assert!(rxpk(fields).is_err(), "{fields}");
    }
    let most = rxpk(r#""tmms":9223372036854775807,"tmst":4294967295,"rssi":-32768,"#).unwrap();
    assert_eq!(
        (most.tmms, most.tmst, most.rssi),
        (Some(i64::MAX as u64), Some(u32::MAX), Some(i16::MIN))
    );
    let rounded = rxpk(r#""tmst":"4294967295.4","rssi":-0.5,"foff":"-12.5","#).unwrap();
    assert_eq!((rounded.tmst, rounded.rssi, rounded.foff), (Some(u32::MAX), Some(-1), Some(-13)));
    let quoted = rxpk(r#""tmst":" 17 ","chan":"","lsnr":" -2.5","time":1,"codr":null,"#).unwrap();
    assert_eq!((quoted.tmst, quoted.chan, quoted.lsnr), (Some(17), None, Some(-2.5)));
    assert_eq!((quoted.time.as_deref(), quoted.codr), (Some("1"), None));
    let same = rxpk(r#""x":1,"y":[[[]]],"x":2,"#);
    assert_eq!(same.unwrap().extra["y"], json!([[[]]]), "fields nobody defined may come twice");
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let sf7 = DataRate::Lora { spreading_factor: 7, bandwidth_hz: 125_000 };
    let gateway = GatewayEui([1; 8]);
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut txpk = TxPk::downlink(Timing::Immediate, 868_100_000, sf7, 14, vec![0x60]);
        txpk.freq = wrong;
        let mut packet = RxPk::new(1, 868_100_000, sf7, vec![0x40]);
        packet.lsnr = Some(wrong);
        let mut stat = Stat::default();
        stat.lati = Some(wrong);
        let mut ack = TxAck::success();
        ack.value = Some(wrong);
        let push = |rxpk, stat| Body::PushData { gateway, content: PushData { rxpk, stat } };
        for body in [
            Body::PullResp { txpk },
            push(vec![packet], None),
            push(vec![], Some(stat)),
            Body::TxAck { gateway, ack },
        ] {
            let written = Datagram::new([0; 2], body).to_bytes();
            let error = written.unwrap_err().to_string();
            assert!(error.contains("cannot be written"), "{error}");
        }
    }
}

#[test]
fn bodies_may_end_in_white_space_and_nul_bytes_but_in_nothing_else() {
    let with = |identifier: u8, body: &[u8]| {
        let mut datagram = vec![2, 7, 8, identifier, 1, 2, 3, 4, 5, 6, 7, 8];
        datagram.extend_from_slice(body);
        Datagram::parse(&datagram)
    };
    for end in [&b""[..], b"\0", b"\0\0\0", b"\n", b" \r\n\0"] {
        let body = [br#"{"stat":{"rxnb":2}}"#, end].concat();
        let Body::PushData { content, .. } = with(0, &body).unwrap().body else { panic!() };
        assert_eq!(content.stat.unwrap().rxnb, Some(2));
        assert!(with(0, end).is_ok() && with(5, end).is_ok());
    }
    for body in [&b"{}x"[..], b"{}\0x", b"\0{}", b"[]", b"1", b"\xff", b"{\"rxpk\":1}"] {
        let error = with(0, body).unwrap_err();
        assert!(matches!(error, Error::Json { offset: 12, .. }), "{error}");
    }
    assert!(
        with(5, br#"{"txpk_ack":{"error":""}}"#)
            .is_ok_and(|d| matches!(d.body, Body::TxAck { ack, .. } if ack.is_success()))
    );
}

#[test]
fn missing_fields_are_named() {
    let without_data = br#"{"rxpk":[{"freq":868.1,"datr":"SF7BW125"}]}"#;
    let header = [2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let error = Datagram::parse(&[&header[..], without_data].concat()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("PUSH_DATA JSON at byte 12: missing field `data`"), "{text}");
    assert!(matches!(error, Error::Json { identifier: Identifier::PushData, offset: 12, .. }));
}

#[test]
fn base64_is_read_with_and_without_padding_and_in_both_alphabets() {
    let data = |text: &str| {
        serde_json::from_value::<RxPk>(json!({ "freq": 1, "datr": 50000, "data": text }))
            .map(|packet| packet.data)
    };
    // The protocol text's own example: URL alphabet, no padding, 32 bytes.
    assert_eq!(data("-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84").unwrap().len(), 32);
    assert_eq!(data("VEVTVF9QQUNLRVRfMTIzNA==").unwrap(), b"TEST_PACKET_1234");
    assert_eq!(data("VEVTVF9QQUNLRVRfMTIzNA").unwrap(), b"TEST_PACKET_1234");
    assert_eq!(data("").unwrap(), b"");
    for bad in ["Q", "QUJDR", "QU*D", "QU=D", "QUJ\u{e9}"] {
        assert!(data(bad).is_err(), "{bad}");
    }
}

/// Frequencies arrive as the nearest float of what the radio was set to.
#[test]
fn frequencies_are_rounded_to_the_step_of_the_wire() {
    let packet = |mhz: f64| {
        serde_json::from_value::<RxPk>(json!({ "freq": mhz, "datr": 50000, "data": "" })).unwrap()
    };
    assert_eq!(packet(868.099975).frequency_hz(), 868_100_000);
    assert_eq!(packet(903.9).frequency_hz(), 903_900_000);
    assert_eq!(packet(865.0625).frequency_hz(), 865_062_500);
    assert_eq!(packet(2403.0).frequency_hz(), 2_403_000_000);
    assert_eq!((packet(-1.0).frequency_hz(), packet(1e300).frequency_hz()), (0, u32::MAX));
}

#[test]
fn data_rates_of_all_modulations_are_understood() {
    let rate = |json: Value| serde_json::from_value::<RxPk>(json).unwrap().data_rate();
    let with = |modu: &str, datr: Value, codr: Value| json!({ "freq": 868.1, "modu": modu, "datr": datr, "codr": codr, "data": "" });
    let lora = DataRate::Lora { spreading_factor: 12, bandwidth_hz: 125_000 };
    assert_eq!(rate(with("LORA", json!("SF12BW125"), json!("4/5"))), Some(lora));
    let fsk = Some(DataRate::Fsk { bit_rate: 50_000 });
    assert_eq!(rate(with("FSK", json!(50000), Value::Null)), fsk);
    assert_eq!(rate(with("FSK", json!("50000"), Value::Null)), fsk);
    for (modu, codr, coding_rate) in [
        ("LR-FHSS", "1/3", LrFhssCodingRate::OneThird),
        ("LRFHSS", "4/6", LrFhssCodingRate::TwoThirds),
    ] {
        let expected = DataRate::LrFhss { coding_rate, channel_width_hz: 137_000 };
        assert_eq!(rate(with(modu, json!("M0CW137"), json!(codr))), Some(expected));
    }
    assert_eq!(rate(with("LORA", json!("fast"), json!("4/5"))), None);
    assert_eq!(rate(with("LORA", json!("SF300BW125"), json!("4/5"))), None);
}

#[test]
fn a_tx_ack_without_a_body_or_with_one_nul_is_a_success() {
    let header = [2, 9, 9, 5, 1, 2, 3, 4, 5, 6, 7, 8];
    let ack = |body: &[u8]| {
        let datagram = Datagram::parse(&[&header[..], body].concat()).unwrap();
        let Body::TxAck { ack, .. } = datagram.body else { panic!("TX_ACK") };
        ack
    };
    for body in [&b""[..], b"\0", b"{\"txpk_ack\":{\"error\":\"NONE\"}}\0", b"{\"txpk_ack\":null}"]
    {
        assert!(ack(body).is_success());
    }
    let late = ack(b"{\"txpk_ack\":{\"error\":\"TOO_LATE\"}}");
    assert_eq!((late.is_success(), late.error), (false, Some(TxAckError::TooLate)));
    let weaker = ack(b"{\"txpk_ack\":{\"warn\":\"TX_POWER\",\"value\":20}}");
    assert!(weaker.is_success());
    assert_eq!((weaker.warn, weaker.value), (Some(TxAckError::TxPower), Some(20.0)));
}

#[test]
fn the_times_of_a_packet_to_transmit_are_told_apart() {
    let timing = |fields: Value| {
        let mut json = json!({ "freq": 868.1, "datr": "SF7BW125", "data": "" });
        json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value::<TxPk>(json).unwrap().timing()
    };
    assert_eq!(timing(json!({ "tmst": 5 })), Timing::Counter(5));
    assert_eq!(timing(json!({ "tmst": "5" })), Timing::Counter(5));
    assert_eq!(timing(json!({ "tmst": 5, "imme": true })), Timing::Immediate);
    assert_eq!(timing(json!({ "tmst": null, "tmms": 7 })), Timing::Gps(7));
    assert_eq!(timing(json!({ "tmst": "immediate" })), Timing::Immediate);
    assert_eq!(timing(json!({})), Timing::Immediate);
}

#[test]
fn a_beacon_has_neither_header_nor_crc_and_is_not_inverted() {
    let sf9 = DataRate::Lora { spreading_factor: 9, bandwidth_hz: 125_000 };
    let beacon = TxPk::beacon(Timing::Gps(128_000), 869_525_000, sf9, 27, vec![0; 17]);
    let json = serde_json::to_value(&beacon).unwrap();
    assert_eq!(
        (&json["nhdr"], &json["ncrc"], &json["ipol"]),
        (&json!(true), &json!(true), &json!(false))
    );
    assert_eq!((&json["datr"], &json["freq"]), (&json!("SF9BW125"), &json!(869.525)));
    assert_eq!((&json["tmms"], &json["size"]), (&json!(128_000), &json!(17)));
}

#[test]
fn headers_that_cannot_be_read_are_refused_with_their_place() {
    let error = |bytes: &[u8]| Datagram::parse(bytes).unwrap_err();
    assert!(matches!(error(&[2, 0, 0]), Error::TooShort { needed: 4, found: 3 }));
    assert!(matches!(error(&[2, 0, 0, 2, 1]), Error::TooShort { needed: 12, found: 5 }));
    assert!(matches!(error(&[3, 0, 0, 1]), Error::Version(3)));
    assert!(matches!(error(&[2, 0, 0, 6]), Error::Identifier(6)));
    assert!(matches!(error(&[2, 0, 0, 3]), Error::Json { offset: 4, .. }));
    let ack = Body::TxAck { gateway: GatewayEui::default(), ack: TxAck::success() };
    let v1 = Datagram { version: 1, token: [0; 2], body: ack };
    assert!(matches!(v1.to_bytes(), Err(Error::Version(1))), "TX_ACK came with version 2");
}

#[test]
fn gateway_euis_travel_in_the_order_they_are_written() {
    let eui: GatewayEui = "AA:55:5a:00:00:00:01:02".parse().unwrap();
    assert_eq!(eui.0, [0xAA, 0x55, 0x5A, 0, 0, 0, 1, 2]);
    assert_eq!(eui.to_string(), "aa555a0000000102");
    let datagram = Datagram::new([7, 8], Body::PullData { gateway: eui });
    let bytes = datagram.to_bytes().unwrap();
    assert_eq!(bytes, [2, 7, 8, 2, 0xAA, 0x55, 0x5A, 0, 0, 0, 1, 2]);
    assert_eq!(datagram.acknowledge().unwrap().to_bytes().unwrap(), [2, 7, 8, 4]);
}

fn any_rate() -> impl Strategy<Value = DataRate> {
    prop_oneof![
        (5u8..=12, prop_oneof![Just(125_000u32), Just(250_000), Just(500_000), Just(812_000)])
            .prop_map(|(spreading_factor, bandwidth_hz)| DataRate::Lora {
                spreading_factor,
                bandwidth_hz
            }),
        (1u32..1_000_000).prop_map(|bit_rate| DataRate::Fsk { bit_rate }),
        (any::<bool>(), prop_oneof![Just(137_000u32), Just(336_000), Just(1_523_000)]).prop_map(
            |(third, channel_width_hz)| DataRate::LrFhss {
                coding_rate: if third {
                    LrFhssCodingRate::OneThird
                } else {
                    LrFhssCodingRate::TwoThirds
                },
                channel_width_hz
            }
        ),
    ]
}

fn any_rxpk() -> impl Strategy<Value = RxPk> {
    (
        any_rate(),
        any::<u32>(),
        0u32..30_000_000,
        any::<Vec<u8>>(),
        any::<(Option<i16>, Option<i8>, Option<String>)>(),
        -30.0f64..20.0,
    )
        .prop_map(|(rate, tmst, step, data, (rssi, stat, time), snr)| {
            let mut packet = RxPk::new(tmst, step * 100, rate, data);
            (packet.rssi, packet.stat, packet.time, packet.lsnr) = (rssi, stat, time, Some(snr));
            packet
        })
}

fn any_body() -> impl Strategy<Value = Body> {
    let gateway = || any::<[u8; 8]>().prop_map(GatewayEui);
    let timing = prop_oneof![
        Just(Timing::Immediate),
        any::<u32>().prop_map(Timing::Counter),
        (0u64..1 << 53).prop_map(Timing::Gps),
    ];
    prop_oneof![
        (gateway(), proptest::collection::vec(any_rxpk(), 0..4), any::<(bool, u32, i32)>())
            .prop_map(|(gateway, rxpk, (with_stat, rxnb, alti))| {
                let mut stat = Stat::default();
                (stat.rxnb, stat.alti) = (Some(rxnb), Some(alti));
                stat.extra.insert("boot".into(), json!("today"));
                let stat = with_stat.then_some(stat);
                Body::PushData { gateway, content: PushData { rxpk, stat } }
            }),
        Just(Body::PushAck),
        gateway().prop_map(|gateway| Body::PullData { gateway }),
        Just(Body::PullAck),
        (timing, any_rate(), 0u32..30_000_000, any::<i16>(), any::<Vec<u8>>()).prop_map(
            |(timing, rate, step, power, data)| Body::PullResp {
                txpk: TxPk::downlink(timing, step * 100, rate, power, data)
            }
        ),
        (gateway(), any::<Option<u8>>()).prop_map(|(gateway, error)| Body::TxAck {
            gateway,
            ack: match error {
                None => TxAck::success(),
                Some(n) if n < 128 => TxAck::failure(TxAckError::CollisionBeacon),
                Some(n) => TxAck::failure(TxAckError::Other(format!("X{n}"))),
            }
        }),
    ]
}

proptest! {
    #[test]
    fn every_datagram_round_trips(token: [u8; 2], body in any_body()) {
        let datagram = Datagram::new(token, body);
        let bytes = datagram.to_bytes().unwrap();
        prop_assert_eq!(Datagram::parse(&bytes).unwrap(), datagram);
    }

    #[test]
    fn a_packet_keeps_its_frequency_and_data_rate(packet in any_rxpk()) {
        let text = serde_json::to_string(&packet).unwrap();
        let again: RxPk = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(again.frequency_hz(), packet.frequency_hz());
        prop_assert_eq!(again.data_rate(), packet.data_rate());
        prop_assert!(again.data_rate().is_some());
        prop_assert!(matches!(again.modu, Modulation::Lora | Modulation::Fsk | Modulation::LrFhss));
    }

    #[test]
    fn a_data_rate_field_is_text_that_reads_back_or_a_number(text: String) {
        let datr: Datr = serde_json::from_value(json!(text)).unwrap();
        let again: Datr = serde_json::from_value(serde_json::to_value(&datr).unwrap()).unwrap();
        prop_assert_eq!(&again, &datr);
        prop_assert_eq!(datr.to_string(), text);
    }

    #[test]
    fn any_bytes_are_a_datagram_or_refused(
        version in 0u8..4, identifier in 0u8..8, rest in any::<Vec<u8>>(), text in "[\\[\\]{}\":,a-z0-9.]{0,60}",
    ) {
        for body in [&rest[..], text.as_bytes()] {
            let _ = Datagram::parse(&[&[version, 0, 0, identifier], body].concat());
            let _ = Datagram::parse(&[&[version, 0, 0, identifier, 0, 0, 0, 0, 0, 0, 0, 0], body].concat());
        }
    }
}

#[test]
fn deeply_nested_json_is_refused_and_not_followed() {
    let deep = "[".repeat(60_000);
    let datagram = [&[2, 0, 0, 3][..], br#"{"txpk":{"x":"#, deep.as_bytes()].concat();
    assert!(matches!(Datagram::parse(&datagram), Err(Error::Json { .. })));
    let wide = [&[2, 0, 0, 3][..], br#"{"txpk":{"x":["#, "1,".repeat(20_000).as_bytes()].concat();
    assert!(matches!(Datagram::parse(&wide), Err(Error::Json { .. })), "cut off");
    assert_eq!(
        serde_json::from_value::<TxPk>(json!({
        "freq": 1.0, "datr": 1, "data": "", "tmst": "immediate" }))
        .unwrap()
        .tmst,
        Some(Tmst::Immediate)
    );
}
