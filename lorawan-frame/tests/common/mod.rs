//! Reads the vector files of `tests/data`: lines of JSON with `id`, `kind`, `keys`, `inputs`,
//! `phy_hex` or `bytes_hex`, and `expected`.

#![allow(dead_code, reason = "each test binary uses its part of these helpers")]

use core::str::FromStr;

use serde_json::Value;

/// One line of a vector file.
pub(crate) struct Vector(Value);

impl Vector {
    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().expect("id")
    }

    pub(crate) fn kind(&self) -> &str {
        self.0["kind"].as_str().expect("kind")
    }

    pub(crate) fn is_v1_1(&self) -> bool {
        self.0["lorawan_version"] == "1.1"
    }

    /// `phy_hex` or `bytes_hex`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let text = ["phy_hex", "bytes_hex"].iter().find_map(|name| self.0[name].as_str());
        unhex(text.unwrap_or_else(|| panic!("{}: no bytes", self.id())))
    }

    pub(crate) fn input(&self, name: &str) -> &Value {
        &self.0["inputs"][name]
    }

    pub(crate) fn expected(&self, name: &str) -> &Value {
        &self.0["expected"][name]
    }

    pub(crate) fn expected_all(&self) -> &Value {
        &self.0["expected"]
    }

    /// An input that is written as text, such as an identifier.
    pub(crate) fn parse<T: FromStr<Err: core::fmt::Debug>>(&self, name: &str) -> T {
        let text = self.input(name).as_str().unwrap_or_else(|| panic!("{}: no {name}", self.id()));
        text.parse().unwrap_or_else(|e| panic!("{}: {name}: {e:?}", self.id()))
    }

    /// An input that is a number; 0 when it is missing.
    pub(crate) fn number(&self, name: &str) -> u32 {
        self.input(name).as_u64().unwrap_or(0).try_into().expect("fits")
    }

    /// A key by its name in the file.
    pub(crate) fn key<T: FromStr<Err: core::fmt::Debug>>(&self, name: &str) -> Option<T> {
        self.0["keys"][name].as_str().map(|text| text.parse().expect("key"))
    }

    /// Compares one expected field, if the line states it.
    pub(crate) fn check(&self, name: &str, found: impl Into<Value>) {
        let expected = self.expected(name);
        if !expected.is_null() || self.expected_all().get(name).is_some() {
            assert_eq!(&found.into(), expected, "{}: {name}", self.id());
        }
    }
}

/// All lines of one kind; at least one, so that a test that finds none fails.
pub(crate) fn vectors(file: &str, kind: &str) -> Vec<Vector> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("vector file");
    // Parsing all lines of a file for the few of one kind is what takes Miri minutes.
    let quoted = format!("\"{kind}\"");
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains(&quoted))
        .map(|line| Vector(serde_json::from_str(line).expect("JSON")))
        .filter(|vector| vector.kind() == kind)
        .collect();
    assert!(!lines.is_empty(), "no {kind} in {path}");
    lines
}

/// The same as plain JSON.
pub(crate) fn values(file: &str, kind: &str) -> Vec<Value> {
    vectors(file, kind).into_iter().map(|vector| vector.0).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0, "odd hex");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
