//! One line of a vector file: what is asked, and what can go wrong in asking.

use core::fmt::Display;
use core::str::FromStr;

use serde_json::Value;

use crate::input;

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
    pub(crate) fn is_v1_1(&self) -> bool {
        self.0["lorawan_version"] == "1.1"
    }

    pub(crate) fn input(&self, name: &str) -> &Value {
        &self.0["inputs"][name]
    }

    /// `phy_hex` or `bytes_hex`.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Problem> {
        let text = self.0["phy_hex"].as_str().or(self.0["bytes_hex"].as_str());
        input::hex(text.ok_or(missing("phy_hex or bytes_hex"))?).map_err(Problem::Line)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Problem> {
        self.input(name).as_str().ok_or(missing(name))
    }

    /// A number of the size that is wanted.
    pub(crate) fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Problem> {
        let number = self.input(name).as_i64().ok_or(missing(name))?;
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
        let number = self.input(name).as_f64().ok_or(missing(name))?;
        Ok((number * 100.0).round() as i16)
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
        match self.0["keys"][name].as_str() {
            None => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|why| Problem::Line(format!("{name}: {why}")))
            }
        }
    }
}

pub(crate) fn missing(name: &str) -> Problem {
    Problem::Line(format!("no {name:?}"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
