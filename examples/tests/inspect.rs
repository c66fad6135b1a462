//! The example `inspect`, as the program that it is.

#[path = "inspect/lorawan.rs"]
mod lorawan;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program. `cargo test` builds it before it runs any test, `cargo test --test inspect` does
/// not: a program older than its source would be tested in its place.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/inspect");
    let modified = |file: &Path| file.metadata().and_then(|file| file.modified()).ok();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/inspect");
    let below = std::fs::read_dir(sources.join("lorawan")).unwrap();
    for source in std::fs::read_dir(&sources).unwrap().chain(below) {
        assert!(
            modified(&program) >= modified(&source.unwrap().path()),
            "{} is missing or old: cargo build -p motewire-examples --example inspect",
            program.display()
        );
    }
    program
}

fn inspect(args: &[&str], stdin: impl AsRef<[u8]>) -> Output {
    let program = program();
    let mut child = Command::new(&program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.as_ref().to_owned();
    // It answers while it is asked: with one thread for both, full pipes would wait for each other.
    let writer = std::thread::spawn(move || pipe.write_all(&stdin));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

fn stdout(output: &Output) -> &str {
    core::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn each_line_gets_the_verdict_and_the_fields_of_its_author() {
    let vectors = include_str!("../../mqtt-codec/tests/data/dev.jsonl");
    let questions: String = vectors
        .lines()
        .map(|line| {
            let v: Value = serde_json::from_str(line).unwrap();
            let question = serde_json::json!({
                "id": v["id"], "version": v["version"], "direction": v["direction"], "hex": v["hex"],
            });
            format!("{question}\n")
        })
        .collect();
    let output = inspect(&["--jsonl", "-"], &questions);
    assert!(output.status.success(), "{output:?}");
    let mut answers = stdout(&output).lines();
    let mut wrong = Vec::new();
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let answer: Value = serde_json::from_str(answers.next().unwrap()).unwrap();
        assert_eq!(answer["id"], vector["id"], "in order");
        let right = answer["valid"] == vector["valid"]
            && answer["packet"] == vector["packet"]
            && answer["error"] == vector["error"];
        if !right {
            wrong.push(format!("{answer}\n  {line}"));
        }
        if answer["valid"] == false {
            assert!(answer["why"].is_string() && answer["ref"].is_string(), "{answer}");
        }
    }
    assert_eq!(answers.next(), None);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// [MQTT-1.5.4-1] to [MQTT-1.5.4-3].
#[test]
fn a_string_alone_is_taken_or_refused_as_it_is_in_a_packet() {
    let vectors = include_str!("../../mqtt-codec/tests/data/utf8.jsonl");
    let output = inspect(&["--jsonl", "-"], vectors);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output).lines().count(), vectors.lines().count());
    for (line, answer) in vectors.lines().zip(stdout(&output).lines()) {
        let vector: Value = serde_json::from_str(line).unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        // By default what may be refused is not.
        assert_eq!(answer["valid"], vector["must_reject"] == false, "{line} {answer}");
    }
    let line = |hex: &str| format!(r#"{{"kind":"utf8","hex":"{hex}"}}"#);
    let answer = |hex: &str| -> Value {
        serde_json::from_slice(&inspect(&["--jsonl", "-"], line(hex)).stdout).unwrap()
    };
    assert_eq!(answer("efbbbf61")["packet"], "\u{feff}a");
    assert_eq!(answer("6100")["ref"], "MQTT-1.5.4-2");
    for len in [0, 1, 116, 117, 16_370, 16_371, 65_535, 65_536] {
        assert_eq!(answer(&"61".repeat(len))["valid"], len < 65_536, "{len}");
    }
}

#[test]
fn hexadecimal_digits_may_have_spaces_and_line_breaks_and_hold_many_packets() {
    let output = inspect(&["-"], "c0 00\nD0\t00\n");
    let tree = stdout(&output);
    assert!(output.status.success());
    assert!(tree.contains("PINGREQ, 2 bytes") && tree.contains("PINGRESP, 2 bytes"), "{tree}");
    assert_eq!(stdout(&inspect(&["c000", "d000"], "")), tree);
}

#[test]
fn the_byte_that_is_refused_is_marked_with_the_statement_it_breaks() {
    let output = inspect(&["--version", "5", "--direction", "c2s", "3206000161000000c000"], "");
    let tree = stdout(&output);
    let marked = tree.lines().position(|line| line.starts_with("  0005 [00]00 ")).unwrap();
    let below = tree.lines().nth(marked + 1).unwrap();
    assert!(below.contains("byte 5: Packet Identifier is 0 [MQTT-2.2.1-3]"), "{tree}");
    assert!(tree.contains("PINGREQ"), "it goes on behind the refused packet: {tree}");
}

#[test]
fn the_version_of_a_connect_holds_for_what_follows() {
    let output = inspect(&["--json", "100e00044d5154540402000a000263316205000100016100"], "");
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["packet"]["client_id"], "c1");
    assert_eq!(lines[1]["version"], "3.1.1");
    assert_eq!((&lines[1]["valid"], &lines[1]["offset"]), (&false.into(), &4.into()));
}

#[test]
fn a_datagram_of_mqtt_sn_is_told_from_packets_of_mqtt() {
    let connect = "0804 0401 003c 6e31";
    let tree = inspect(&[connect], "");
    assert!(stdout(&tree).contains("MQTT-SN 1.2: CONNECT, 8 bytes"), "{tree:?}");
    let json = inspect(&["--protocol", "mqtt-sn", "--json", connect], "");
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["packet"]["client_id"], "n1");
}

/// Those that no policy is asked about.
#[test]
fn hostile_messages_of_mqtt_sn_are_refused_by_their_section() {
    let hostile = include_str!("../../mqtt-codec/tests/data/sn-hostile.tsv");
    let cases: Vec<Vec<&str>> = hostile
        .lines()
        .map(|line| line.split('\t').collect())
        .filter(|columns: &Vec<&str>| columns[1] == "-" && !columns[2].is_empty())
        .collect();
    let questions: String = cases
        .iter()
        .map(|columns| {
            let question = serde_json::json!({
                "id": columns[6], "version": "sn1.2", "direction": columns[0], "hex": columns[2],
            });
            format!("{question}\n")
        })
        .collect();
    let output = inspect(&["--jsonl", "-"], &questions);
    let answers: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    for (columns, answer) in cases.iter().zip(&answers) {
        assert_eq!(answer["valid"], columns[3] == "-", "{answer}");
        if columns[3] != "-" {
            let section = answer["ref"].as_str().unwrap();
            assert!(section.contains(columns[5]), "{answer} {columns:?}");
        }
    }
}

#[test]
fn a_bad_line_is_told_of_in_its_place_and_the_others_get_their_verdict() {
    let bad: [(&[u8], &str); 12] = [
        (br#"{"id":1,"#, "not JSON: EOF while parsing"),
        (br#"{"id":1} {"#, "not JSON: trailing characters at column 10"),
        (b"PINGREQ", "not JSON: expected value at column 1"),
        (b"[1]", "not a JSON object"),
        (b"{\"hex\":\"\xff\"}", "not JSON: invalid unicode code point at column 9"),
        (br#"{"version":"5"}"#, "no \"hex\""),
        (br#"{"version":"5","hex":192}"#, "hex is no text: 192"),
        (br#"{"version":"5","hex":"C0 0"}"#, "hex: the digit '0' at character 3 has no second one"),
        (br#"{"version":"5","hex":"C0 g0"}"#, "hex: 'g' is no hexadecimal digit"),
        (br#"{"version":"6","hex":"c000"}"#, "version: not one of 3.1, 3.1.1, 5, sn1.2"),
        (br#"{"version":5,"hex":"c000"}"#, "version is no text: 5"),
        (
            br#"{"version":"5","direction":"up","hex":"c000"}"#,
            "direction: not one of c2s, s2c, both",
        ),
    ];
    let good = br#"{"id":"good","version":"5","direction":"c2s","hex":"C0 00"}"#;
    let mut lines = "\u{feff}\n  \r\n".as_bytes().to_vec();
    for (line, _) in bad {
        lines.extend([line, b"\r\n", good, b"\n\n"].concat());
    }
    let output = inspect(&["--jsonl", "-"], &lines);
    let answers: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2 * bad.len(), "{output:?}");
    for (pair, (line, why)) in answers.chunks(2).zip(bad) {
        let line = String::from_utf8_lossy(line);
        let [answer, good] = pair else { panic!("{line}") };
        assert_eq!((&answer["valid"], &answer["error"]), (&false.into(), &"unreadable".into()));
        assert!(answer["why"].as_str().unwrap().starts_with(why), "{line} {answer}");
        assert_eq!((&good["id"], &good["valid"]), (&"good".into(), &true.into()), "after {line}");
    }
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3: not JSON"), "{output:?}");
}

/// [MQTT-3.1.2-2] Whatever else is in it: where another version is spoken, none of it is read.
#[test]
fn a_connect_of_another_version_than_the_line_names_is_unsupported() {
    let connects = [
        ("3.1", "100f00064d51497364700302000a000163"),
        ("3.1.1", "100d00044d5154540402000a000163"),
        ("5", "100e00044d5154540502000a00000163"),
        // Bytes that only 3.1.1 has a reading for.
        ("5", "100d00044d5154540502000a000163"),
    ];
    for (spoken, hex) in connects {
        for named in ["3.1", "3.1.1", "5"] {
            let line = serde_json::json!({ "version": named, "direction": "c2s", "hex": hex });
            let output = inspect(&["--jsonl", "-"], line.to_string());
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            let unsupported = answer["error"] == "unsupported_protocol";
            assert_eq!(unsupported, spoken != named, "{named} {answer}");
        }
    }
}

#[test]
fn arguments_that_make_no_sense_are_answered_with_the_usage_and_status_2() {
    for args in [
        &[][..],
        &["--version", "6", "c000"],
        &["--protocol", "coap", "c000"],
        &["--direction", "up", "c000"],
        &["c00"],
        &["no-such-file"],
        &["--jsonl", "no-such-file"],
        &["--json", "--jsonl", "-"],
        &["--jsonl", "-"],
        &["--protocol", "lorawan", "--key", "0102", "00"],
        &["--protocol", "lorawan", "--keys", "no-such-file", "00"],
    ] {
        let output = inspect(args, "{}\n");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage"), "{args:?} {output:?}");
    }
}
