//! The residence: rooms, and what is measured in them.

use core::fmt;

/// What a sensor measures, and in which form it sends that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Temperature,
    Humidity,
    Motion,
    Door,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Temperature, Self::Humidity, Self::Motion, Self::Door];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Humidity => "humidity",
            Self::Motion => "motion",
            Self::Door => "door",
        }
    }

    /// The FPort tells the application what the payload is.
    pub(crate) const fn fport(self) -> u8 {
        match self {
            Self::Temperature => 1,
            Self::Humidity => 2,
            Self::Motion => 3,
            Self::Door => 4,
        }
    }

    pub(crate) fn of_fport(fport: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.fport() == fport)
    }

    /// A reading as the sensor sends it: as few bytes as will do, since each costs air time.
    pub(crate) fn encode(self, raw: i16) -> Vec<u8> {
        match self {
            // Hundredths of a degree.
            Self::Temperature => raw.to_be_bytes().to_vec(),
            // Half per cent; a count; open or shut.
            Self::Humidity | Self::Motion | Self::Door => vec![raw.unsigned_abs() as u8],
        }
    }

    /// The reading in words, from what the sensor sent.
    pub(crate) fn decode(self, payload: &[u8]) -> Option<Reading> {
        Some(match (self, payload) {
            (Self::Temperature, [high, low]) => {
                Reading::Number(f64::from(i16::from_be_bytes([*high, *low])) / 100.0, "degC")
            }
            (Self::Humidity, [half]) => Reading::Number(f64::from(*half) / 2.0, "%"),
            (Self::Motion, [count]) => Reading::Number(f64::from(*count), "events"),
            (Self::Door, [open]) => Reading::State(if *open == 0 { "shut" } else { "open" }),
            _ => return None,
        })
    }
}

/// A reading as people understand it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    Number(f64, &'static str),
    State(&'static str),
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value, unit) => write!(f, "{value} {unit}"),
            Self::State(state) => f.write_str(state),
        }
    }
}

/// Where a sensor is and what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) room: &'static str,
    pub(crate) kind: Kind,
}

impl Place {
    pub(crate) fn topic(self) -> String {
        format!("residence/{}/{}", self.room, self.kind.name())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.room, self.kind.name())
    }
}

pub(crate) const ROOMS: [&str; 6] = ["kitchen", "living", "bedroom", "bathroom", "hall", "cellar"];

/// Every sensor of the house: 24.
pub(crate) fn places() -> impl Iterator<Item = Place> {
    ROOMS.into_iter().flat_map(|room| Kind::ALL.into_iter().map(move |kind| Place { room, kind }))
}
