//! Every normative statement is cited by a test: `spec/README.md` says how.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers whose statements are held against the tests: all that the tables name.
const LAYERS: &[&str] = &["codec", "session", "client", "broker", "transport"];

/// Version and identifier.
type Statement = (&'static str, String);

const V5: &str = "5";
const V311: &str = "3.1.1";

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table(file: &str) -> Option<Vec<Vec<String>>> {
    let text = fs::read_to_string(root().join("spec").join(file)).ok()?;
    let columns = |line: &str| line.split('\t').map(str::to_owned).collect();
    Some(text.lines().skip(1).map(columns).collect())
}

/// All statements with their layer.
fn statements() -> Option<Vec<(Statement, String)>> {
    let mut all = Vec::new();
    for (version, file) in [(V5, "mqtt5-normative.tsv"), (V311, "mqtt311-normative.tsv")] {
        all.extend(table(file)?.into_iter().map(|row| ((version, row[0].clone()), row[2].clone())));
    }
    Some(all)
}

/// The Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What is test in the sources of every crate: the files in `tests`, and in `src` what comes behind
/// the first `#[cfg(test)]`. What the documentation of the code cites is no proof.
fn tests() -> String {
    let mut text = String::new();
    for entry in fs::read_dir(root()).unwrap().flatten() {
        let mut files = Vec::new();
        sources(&entry.path().join("tests"), &mut files);
        for file in files.drain(..).filter(|file| !file.ends_with("tests/ledger.rs")) {
            text += &fs::read_to_string(file).unwrap();
        }
        sources(&entry.path().join("src"), &mut files);
        for file in files {
            let source = fs::read_to_string(file).unwrap();
            text += source.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests);
        }
    }
    text
}

/// The statements that a text cites: `[MQTT-x.y.z-n]`, `[MQTT-x.y.z-n of 3.1.1]`, with or without a
/// backslash in front of the bracket.
fn citations(text: &str) -> HashSet<Statement> {
    let mut found = HashSet::new();
    for (at, _) in text.match_indices("[MQTT-") {
        let Some((inside, _)) = text[at + 1..].split_once(']') else { continue };
        let (id, version) = match inside.split_once(" of ") {
            Some((id, "3.1.1")) => (id, V311),
            None => (inside, V5),
            Some(_) => continue,
        };
        let is_id = id["MQTT-".len()..].chars().all(|c| c.is_ascii_digit() || ".-".contains(c));
        if is_id && id.len() > "MQTT-".len() {
            found.insert((version, id.to_owned()));
        }
    }
    found
}

#[test]
fn every_statement_of_the_layers_is_cited_by_a_test() {
    // A published package has no repository around it.
    let Some(statements) = statements() else { return };
    let cited = citations(&tests());
    let exceptions: HashSet<(String, String)> = table("exceptions.tsv")
        .unwrap()
        .into_iter()
        .map(|row| {
            assert!(row.len() == 3 && !row[2].is_empty(), "an exception needs a reason: {row:?}");
            (row[0].clone(), row[1].clone())
        })
        .collect();
    let excepted =
        |(version, id): &Statement| exceptions.contains(&((*version).into(), id.clone()));

    let mut wrong = Vec::new();
    for (statement, layer) in &statements {
        let (version, id) = statement;
        assert!(LAYERS.contains(&layer.as_str()), "{id} of {version} is of no layer: {layer}");
        match (cited.contains(statement), excepted(statement)) {
            (false, false) => wrong.push(format!("{id} of {version} is cited by no test")),
            (true, true) => wrong.push(format!("{id} of {version} needs no exception")),
            _ => {}
        }
    }
    for (version, id) in &cited {
        if !statements.iter().any(|((v, i), _)| v == version && i == id) {
            wrong.push(format!("{id} of {version} is cited but does not exist"));
        }
    }
    for (version, id) in &exceptions {
        if !statements.iter().any(|((v, i), _)| v == version && i == id) {
            wrong.push(format!("{id} of {version} is excepted but does not exist"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    for layer in LAYERS {
        assert!(statements.iter().any(|(_, l)| l == layer), "{layer} is no layer");
    }
}

#[test]
fn a_citation_says_which_version_it_means() {
    let text =
        r"see [MQTT-1.5.4-1], \[MQTT-2.2.1-3 of 3.1.1], [MQTT-x.y.z-n], [MQTT-1.2 of 4], [other]";
    let expected = [(V311, "MQTT-2.2.1-3".to_owned()), (V5, "MQTT-1.5.4-1".to_owned())];
    assert_eq!(citations(text), HashSet::from(expected));
}
