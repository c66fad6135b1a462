//! `inspect --protocol lorawan`: every vector through the program, and what the tree says.

use std::path::Path;

use serde_json::Value;

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
    assert_eq!(answers[3]["expected"]["error"], "join-request shorter than 23 bytes");
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
