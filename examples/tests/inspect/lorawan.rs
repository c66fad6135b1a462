//! `inspect --protocol lorawan`: every vector through the program, and what the tree says.

use std::path::Path;

use serde_json::{Value, json};

use super::{inspect, stdout};

/// All vectors that `lorawan-frame` is tested with.
fn vectors() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lorawan-frame/tests/data");
    let mut lines: Vec<Value> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .flat_map(|text| text.lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<_>>())
        // The tables of the regions are not questions.
        .filter(|line: &Value| line["kind"].is_string())
        .collect();
    lines.sort_by_key(|line| line["id"].to_string());
    lines.dedup_by_key(|line| line["id"].to_string());
    lines
}

/// `expected` with nothing but what `found` has too; numbers are compared by value.
fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| holds(value, found))),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| holds(e, f))
        }
        (Value::Number(expected), Value::Number(found)) => expected.as_f64() == found.as_f64(),
        _ => expected == found,
    }
}

#[test]
fn every_vector_is_answered_in_its_own_field_names() {
    let vectors = vectors();
    let questions: String = vectors
        .iter()
        .map(|vector| {
            let mut question = vector.clone();
            question.as_object_mut().unwrap().retain(|name, _| name != "expected");
            format!("{question}\n")
        })
        .collect();
    let output = inspect(&["--protocol", "lorawan", "--jsonl", "-"], &questions);
    assert!(output.status.success(), "{output:?}");
    let answers: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), vectors.len());
    assert!(vectors.len() > 200, "{}", vectors.len());
    let mut wrong = Vec::new();
    for (vector, answer) in vectors.iter().zip(&answers) {
        assert_eq!(answer["id"], vector["id"], "in order");
        let (mut expected, found) = (vector["expected"].clone(), &answer["expected"]);
        let fields = expected.as_object_mut().unwrap();
        if let Some(tolerance) = fields.remove("tolerance_ns") {
            let ns = fields.remove("ns").unwrap().as_i64().unwrap();
            let off = (found["ns"].as_i64().unwrap() - ns).abs();
            assert!(off <= tolerance.as_i64().unwrap(), "{answer}");
        }
        // One of several plans; the channels that it leads to are the fact.
        fields.remove("link_adr_reqs");
        if !holds(&expected, found) {
            wrong.push(format!("{answer}\n  {vector}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_line_that_cannot_be_answered_says_why_and_the_others_are_answered() {
    let lines = concat!(
        r#"{"id":1,"kind":"horoscope"}"#,
        "\n",
        r#"{"id":2,"kind":"parse_error","phy_hex":"03"}"#,
        "\n",
        "not JSON\n",
        r#"{"id":4,"kind":"join_request","keys":{"app_key":"00"},"phy_hex":"00"}"#,
        "\n",
    );
    let output = inspect(&["--protocol", "lorawan", "--jsonl", "-"], lines);
    assert_eq!(output.status.code(), Some(2));
    let answers: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["expected"]["error"], "no kind \"horoscope\"");
    assert_eq!(answers[1]["expected"]["error"], "Major != 0 (LoRaWAN R1)");
    let not_json = answers[2]["expected"]["error"].as_str().unwrap();
    assert!(not_json.starts_with("not JSON: "), "{not_json}");
    assert_eq!(answers[3]["expected"]["error"], "join-request shorter than 23 bytes");
}

/// The answers to these lines.
fn answers(lines: &[Value]) -> Vec<Value> {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let output = inspect(&["--protocol", "lorawan", "--jsonl", "-"], &lines);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn any_part_of_a_line_may_be_missing_or_of_another_type() {
    let mut lines = Vec::new();
    for vector in vectors() {
        for (name, value) in vector.as_object().unwrap() {
            let inner: Vec<String> =
                value.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default();
            for wrong in [Value::Null, json!(-1), json!("zz"), json!([1]), json!(1e300)] {
                let mut line = vector.clone();
                line[name] = wrong.clone();
                lines.push(line);
                for inner in inner.iter().filter(|_| name != "expected") {
                    let mut line = vector.clone();
                    line[name][inner] = wrong.clone();
                    lines.push(line);
                }
            }
        }
    }
    let answers = answers(&lines);
    assert_eq!(answers.len(), lines.len());
    for (answer, line) in answers.iter().zip(&lines) {
        assert_eq!(answer["id"], line["id"]);
        let names: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(names, ["expected", "id"], "{answer}");
        assert!(answer["expected"].is_object(), "{answer}");
    }
}

#[test]
fn hexadecimal_digits_are_read_in_either_case_and_refused_where_they_are_wrong() {
    let line = |phy: &str, key: &str| json!({ "kind": "data_up", "phy_hex": phy, "keys": { "nwk_s_key": key } });
    let key = "02".repeat(16);
    let spaced: Vec<String> =
        UPLINK.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into()).collect();
    let answers = answers(&[
        line(&UPLINK.to_uppercase(), &key),
        line(&spaced.join(" "), &key),
        line(&UPLINK[1..], &key),
        line(&UPLINK.replacen('4', "g", 1), &key),
        line(UPLINK, &key[1..]),
        line(UPLINK, &"03".repeat(16)),
    ]);
    let told = |i: usize| &answers[i]["expected"];
    assert_eq!((&told(0)["mic_valid"], &told(1)["mic_valid"]), (&json!(true), &json!(true)));
    assert_eq!(told(2)["error"], "phy_hex: an odd number of hexadecimal digits");
    assert_eq!(told(3)["error"], "phy_hex: 'g' is no hexadecimal digit");
    assert!(told(4)["error"].as_str().unwrap().starts_with("nwk_s_key: "), "{}", told(4));
    assert_eq!(told(5)["mic_valid"], false);
    assert!(told(5).get("frm_payload_plain").is_none(), "{}", told(5));
}

/// LoRaWAN 1.1, 6.2.3: the MIC covers the request, which must be known.
#[test]
fn a_join_accept_of_1_1_is_checked_when_the_request_is_known() {
    use lorawan_frame::{
        DevAddr, DlSettings, JoinAccept, JoinContext, JoinNonce, JoinReqType, NetId, NwkKey,
    };
    let nwk_key = NwkKey::new([0x11; 16]);
    let dev_eui = "0004a30b001c0530";
    let int_key = nwk_key.js_int_key(dev_eui.parse().unwrap()).unwrap();
    let accept = JoinAccept {
        join_nonce: JoinNonce::new(9).unwrap(),
        net_id: NetId::new(0x13).unwrap(),
        dev_addr: DevAddr::new(0x2601_1bda),
        dl_settings: DlSettings { opt_neg: true, ..DlSettings::default() },
        rx_delay: 1,
        cf_list: None,
    };
    let context = JoinContext { request: JoinReqType::Join, join_eui: 5.into(), nonce: 6 };
    let mut buf = [0; 17];
    let built = accept.build_v1_1(&int_key, &nwk_key, &context, &mut buf).unwrap();
    let phy: String = built.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = |inputs: Value| {
        json!({
            "kind": "join_accept", "lorawan_version": "1.1", "phy_hex": phy, "inputs": inputs,
            "keys": { "nwk_key": "11".repeat(16) },
        })
    };
    let join_eui = "0000000000000005";
    let answers = answers(&[
        line(json!({ "dev_eui": dev_eui, "join_eui": join_eui, "dev_nonce": 6 })),
        line(json!({ "dev_eui": dev_eui, "join_eui": join_eui, "dev_nonce": 7 })),
        line(json!({ "dev_eui": dev_eui })),
        line(json!({})),
    ]);
    let verdicts: Vec<_> = answers.iter().map(|a| a["expected"]["mic_valid"].clone()).collect();
    assert_eq!(verdicts, [json!(true), json!(false), Value::Null, Value::Null]);
    assert!(answers.iter().all(|a| a["expected"]["dev_addr"] == "26011bda"));
}

const UPLINK: &str = "400403020180010001a694642615d6c3b582";

#[test]
fn a_data_frame_is_a_tree_with_the_payload_decrypted_and_the_mic_checked() {
    let nwk = "nwk_s_key=02020202020202020202020202020202";
    let app = "app_s_key=01010101010101010101010101010101";
    let args = ["--protocol", "lorawan", "--key", nwk, "--key", app, UPLINK];
    let output = inspect(&args, "");
    let tree = stdout(&output);
    for part in [
        "PHYPayload",
        "18 bytes = MHDR | MACPayload | MIC",
        "01020304 (sent least significant byte first)",
        "ADR; FOptsLen 0",
        "clear: 68656c6c6f \"hello\"",
        "right; not reversed",
    ] {
        assert!(tree.contains(part), "{part} in\n{tree}");
    }
    let without = inspect(&["--protocol", "lorawan", UPLINK], "");
    assert!(stdout(&without).contains("encrypted: give the key"), "{without:?}");

    let mut keys = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut keys, format!("# session\n{nwk}\n{app}\n").as_bytes()).unwrap();
    let file = keys.path().to_str().unwrap();
    let from_file = inspect(&["--protocol", "lorawan", "--keys", file, UPLINK], "");
    assert_eq!(stdout(&from_file), tree);

    // A counter with other high bits: the MIC does not fit, and nothing is decrypted.
    let args = [&args[..6], &["--set", "fcnt32=65537", UPLINK]].concat();
    let wrong = inspect(&args, "");
    assert!(stdout(&wrong).contains("WRONG") && !stdout(&wrong).contains("hello"), "{wrong:?}");
}

#[test]
fn mac_commands_are_spelt_out_and_an_unknown_one_ends_the_list() {
    // RFU CID 0x7f after LinkCheckReq, in FOpts.
    let output = inspect(&["--protocol", "lorawan", "4004030201030000027f0100000000"], "");
    let tree = stdout(&output);
    assert!(tree.contains("LinkCheckReq"), "{tree}");
    assert!(tree.contains("unreadable") && tree.contains("unknown CID 0x7f"), "{tree}");
}

#[test]
fn a_refused_frame_names_field_byte_and_section() {
    let output = inspect(&["--protocol", "lorawan", "80040302010fff0401020304"], "");
    assert!(output.status.success());
    let shown = stdout(&output);
    assert!(shown.starts_with("refused: FCtrl at byte 5: FOptsLen 15"), "{shown}");
    assert!(shown.contains("section 4.3.1"), "{shown}");
}

#[test]
fn a_datagram_of_a_gateway_shows_its_json_and_the_frames_in_it() {
    let datagram = concat!(
        "025e5200aa555a00000000007b227278706b223a5b7b22746d7374223a312c2266726571223a3836382e312c",
        "2264617472223a22534637425731323522",
        "2c2264617461223a225141514441674741415141427070526b4a6858577737574322",
        "7d5d7d"
    );
    let output = inspect(&["--protocol", "gwmp", datagram], "");
    let shown = stdout(&output);
    assert!(shown.contains("Semtech UDP PUSH_DATA"), "{shown}");
    assert!(shown.contains("aa555a0000000000"), "{shown}");
    assert!(shown.contains("MHDR | MACPayload | MIC"), "{shown}");
}

/// A 1.1 device on a 1.0 network does not encrypt FOpts; the line knows, the frame does not say.
#[test]
fn fopts_of_1_1_are_decrypted_unless_the_line_says_they_are_in_clear() {
    let keys = json!({
        "s_nwk_s_int_key": "02020202020202020202020202020202",
        "nwk_s_enc_key": "02020202020202020202020202020204",
    });
    let line = |inputs: Value| {
        json!({ "kind": "data_down", "lorawan_version": "1.1", "keys": keys, "inputs": inputs,
            "phy_hex": "6004030201030000dfb4f1e24f1f9f" })
    };
    let lines = [
        line(json!({ "fcnt32": 0 })),
        line(json!({ "fcnt32": 0, "fopts_encrypted": true })),
        line(json!({ "fcnt32": 0, "fopts_encrypted": false })),
    ];
    for (answer, plain) in answers(&lines).iter().zip(["020701", "020701", "dfb4f1"]) {
        assert_eq!(answer["expected"]["fopts_plain"], plain, "{answer}");
        assert_eq!(answer["expected"]["mic_valid"], true);
    }
}

/// Section 5: behind a command that cannot be read no other can be found.
#[test]
fn a_mac_command_that_cannot_be_read_is_told_of_in_its_place_in_the_list() {
    let line = |bytes: &str| json!({ "kind": "mac_command", "inputs": { "uplink": true }, "bytes_hex": bytes });
    let unknown = json!({ "cid": 78, "error": "unknown_cid", "rest": "4e02" });
    let truncated = json!({ "cid": 6, "error": "truncated", "rest": "0607" });
    for (bytes, list, alone) in [
        ("024e02", json!([{ "cid": 2, "name": "LinkCheckReq" }, unknown]), false),
        ("020607", json!([{ "cid": 2, "name": "LinkCheckReq" }, truncated]), false),
        ("4e02", json!([unknown]), true),
        ("0607", json!([truncated]), true),
    ] {
        let answer = &answers(&[line(bytes)])[0]["expected"];
        assert_eq!(answer["commands"], list, "{answer}");
        // Nothing was read: the whole is refused.
        assert_eq!(answer["error"].is_string(), alone, "{answer}");
    }
}
