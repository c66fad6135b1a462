//! One line of a vector file: what is asked, and what can go wrong in asking.

use core::fmt::Display;
use core::str::FromStr;

use serde_json::Value;

/// Why a line has no answer.
pub(crate) enum Problem {
    /// The library refuses what the line holds: its verdict.
    Refused(String),
    /// The line is not one that can be answered.
    Line(String),
}

impl From<lorawan_frame::Error> for Problem {
    fn from(error: lorawan_frame::Error) -> Self {
        Self::Refused(error.kind().to_string())
    }
}

/// The names are those of the vector file.
pub(crate) struct Line<'a>(pub(crate) &'a Value);

impl Line<'_> {
    /// LoRaWAN 1.1, as the line says; when it says nothing, by the names of its keys.
    pub(crate) fn is_v1_1(&self) -> bool {
        const NAMES: [&str; 6] = [
            "nwk_key",
            "f_nwk_s_int_key",
            "s_nwk_s_int_key",
            "nwk_s_enc_key",
            "js_int_key",
            "js_enc_key",
        ];
        match self.0["lorawan_version"].as_str() {
            Some(version) => version.starts_with("1.1"),
            None => NAMES.iter().any(|name| self.0["keys"][name].is_string()),
        }
    }

    pub(crate) fn input(&self, name: &str) -> &Value {
        &self.0["inputs"][name]
    }

    /// `phy_hex` or `bytes_hex`.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Problem> {
        let name = if self.0["phy_hex"].is_null() { "bytes_hex" } else { "phy_hex" };
        match &self.0[name] {
            Value::Null => Err(missing("phy_hex or bytes_hex")),
            Value::String(text) => unhex(name, text),
            _ => Err(Problem::Line(format!("{name}: not text"))),
        }
    }

    fn given(&self, name: &str) -> Result<&Value, Problem> {
        match self.input(name) {
            Value::Null => Err(missing(name)),
            value => Ok(value),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Problem> {
        let value = self.given(name)?;
        value.as_str().ok_or_else(|| Problem::Line(format!("{name} is no text: {value}")))
    }

    /// A number of the size that is wanted.
    pub(crate) fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Problem> {
        let number = self.given(name)?;
        let wrong = || Problem::Line(format!("{name} is no whole number: {number}"));
        let number = number.as_i64().ok_or_else(wrong)?;
        number.try_into().map_err(|_| Problem::Line(format!("{name} is out of range: {number}")))
    }

    /// A number, 0 when it is not given.
    pub(crate) fn number_or_zero<T: TryFrom<i64> + Default>(
        &self,
        name: &str,
    ) -> Result<T, Problem> {
        if self.input(name).is_null() { Ok(T::default()) } else { self.number(name) }
    }

    /// A number with a fraction, in hundredths.
    pub(crate) fn hundredths(&self, name: &str) -> Result<i16, Problem> {
        let number = self.given(name)?;
        let wrong = || Problem::Line(format!("{name} is no number: {number}"));
        Ok((number.as_f64().ok_or_else(wrong)? * 100.0).round() as i16)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.input(name) == true
    }

    /// An identifier.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Problem> {
        self.text(name)?.parse().map_err(|why| Problem::Line(format!("{name}: {why}")))
    }

    /// A key, when the line has it.
    pub(crate) fn key<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        match &self.0["keys"][name] {
            Value::Null => Ok(None),
            Value::String(text) => {
                text.parse().map(Some).map_err(|why| Problem::Line(format!("{name}: {why}")))
            }
            _ => Err(Problem::Line(format!("{name}: not text"))),
        }
    }
}

/// Digits alone, in either case; white space is skipped.
pub(crate) fn unhex(name: &str, text: &str) -> Result<Vec<u8>, Problem> {
    let wrong = |why: String| Err(Problem::Line(format!("{name}: {why}")));
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let Some(digit) = c.to_digit(16) else {
            return wrong(format!("{c:?} is no hexadecimal digit"));
        };
        high = match high {
            None => Some(digit),
            Some(high) => {
                bytes.push((high << 4 | digit) as u8);
                None
            }
        };
    }
    if high.is_some() {
        return wrong("an odd number of hexadecimal digits".into());
    }
    Ok(bytes)
}

pub(crate) fn missing(name: &str) -> Problem {
    Problem::Line(format!("no {name:?}"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
