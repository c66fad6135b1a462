//! `txpk`: a packet that a gateway shall transmit, and what became of it (section 6).

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rxpk::{data_rate, fields_of, frequency_hz, megahertz};
use super::{Datr, Extra, Modulation, base64, lenient};
use crate::region::DataRate;

/// `tmst` of a `txpk`: a counter, or text that means "now".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tmst {
    /// The gateway's counter, microseconds.
    Counter(u32),
    /// Written as `"immediate"` by some servers.
    Immediate,
}

impl Serialize for Tmst {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Counter(counter) => out.serialize_u32(*counter),
            Self::Immediate => out.serialize_str("immediate"),
        }
    }
}

fn tmst<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Tmst>, D::Error> {
    match Option::<Value>::deserialize(input)? {
        None => Ok(None),
        Some(Value::String(text)) if text.trim().eq_ignore_ascii_case("immediate") => {
            Ok(Some(Tmst::Immediate))
        }
        Some(value) => Ok(lenient::whole(&value)?.map(Tmst::Counter)),
    }
}

/// When a gateway shall transmit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timing {
    /// At once (Class C).
    Immediate,
    /// At a value of the gateway's counter, microseconds (Class A: `tmst` of the uplink and the
    /// delay of the window, modulo 2^32).
    Counter(u32),
    /// At a GPS time, milliseconds (Class B).
    Gps(u64),
}

/// A packet that a gateway shall transmit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TxPk {
    /// At once; `tmst` and `tmms` do not matter then.
    #[serde(default, deserialize_with = "lenient::flag", skip_serializing_if = "is_false")]
    pub imme: bool,
    /// At this value of the gateway's counter.
    #[serde(default, deserialize_with = "tmst", skip_serializing_if = "Option::is_none")]
    pub tmst: Option<Tmst>,
    /// At this GPS time, milliseconds.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub tmms: Option<u64>,
    /// Frequency in MHz as written; see [`TxPk::frequency_hz`].
    #[serde(deserialize_with = "lenient::required_float", serialize_with = "lenient::write_float")]
    pub freq: f64,
    /// RF chain.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub rfch: Option<u8>,
    /// Power, dBm.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub powe: Option<i16>,
    /// Modulation.
    #[serde(default)]
    pub modu: Modulation,
    /// Data rate.
    pub datr: Datr,
    /// Coding rate, such as `4/5`.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub codr: Option<String>,
    /// FSK frequency deviation, Hz.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub fdev: Option<u32>,
    /// Inverted polarization: downlinks yes, beacons no.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub ipol: bool,
    /// Preamble symbols; the gateway's default when missing.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub prea: Option<u16>,
    /// Size of the packet as the server says; `data` is what counts.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub size: Option<u32>,
    /// The PHYPayload.
    #[serde(with = "base64::data")]
    pub data: Vec<u8>,
    /// No CRC: downlinks.
    #[serde(default, deserialize_with = "lenient::flag", skip_serializing_if = "is_false")]
    pub ncrc: bool,
    /// No PHY header: beacons.
    #[serde(default, deserialize_with = "lenient::flag", skip_serializing_if = "is_false")]
    pub nhdr: bool,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl TxPk {
    /// A LoRaWAN downlink with this power in dBm: inverted, without CRC.
    #[must_use]
    pub fn downlink(
        timing: Timing,
        frequency_hz: u32,
        rate: DataRate,
        power_dbm: i16,
        data: Vec<u8>,
    ) -> Self {
        let (modu, datr, codr) = fields_of(rate);
        let fsk = matches!(rate, DataRate::Fsk { .. });
        Self {
            imme: timing == Timing::Immediate,
            tmst: match timing {
                Timing::Counter(counter) => Some(Tmst::Counter(counter)),
                _ => None,
            },
            tmms: match timing {
                Timing::Gps(milliseconds) => Some(milliseconds),
                _ => None,
            },
            freq: megahertz(frequency_hz),
            rfch: Some(0),
            powe: Some(power_dbm),
            modu,
            datr,
            codr,
            // FSK of LoRaWAN deviates by half of its bit rate.
            fdev: fsk.then_some(25_000),
            ipol: !fsk,
            prea: None,
            size: u32::try_from(data.len()).ok(),
            data,
            ncrc: !fsk,
            nhdr: false,
            extra: Extra::new(),
        }
    }

    /// A Class B beacon: not inverted, without CRC and PHY header, 10 preamble symbols.
    #[must_use]
    pub fn beacon(
        timing: Timing,
        frequency_hz: u32,
        rate: DataRate,
        power_dbm: i16,
        data: Vec<u8>,
    ) -> Self {
        Self {
            ipol: false,
            nhdr: true,
            prea: Some(10),
            ..Self::downlink(timing, frequency_hz, rate, power_dbm, data)
        }
    }

    /// When to transmit; a packet that names no time goes out at once.
    #[must_use]
    pub const fn timing(&self) -> Timing {
        match (self.imme, self.tmst, self.tmms) {
            (false, Some(Tmst::Counter(counter)), _) => Timing::Counter(counter),
            (false, None, Some(milliseconds)) => Timing::Gps(milliseconds),
            _ => Timing::Immediate,
        }
    }

    /// Frequency in Hz, rounded to 100 Hz.
    #[must_use]
    pub fn frequency_hz(&self) -> u32 {
        frequency_hz(self.freq)
    }

    /// The region's data rate, if the fields are one.
    #[must_use]
    pub fn data_rate(&self) -> Option<DataRate> {
        data_rate(&self.datr, self.codr.as_deref())
    }
}

/// Why a gateway does not transmit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TxAckError {
    /// It will transmit: `NONE`, an empty text, or no body at all.
    #[default]
    None,
    /// `TOO_LATE`.
    TooLate,
    /// `TOO_EARLY`.
    TooEarly,
    /// `COLLISION_PACKET`.
    CollisionPacket,
    /// `COLLISION_BEACON`.
    CollisionBeacon,
    /// `TX_FREQ`: the frequency is not supported.
    TxFreq,
    /// `TX_POWER`: the power is not supported.
    TxPower,
    /// `GPS_UNLOCKED`: GPS time is not known.
    GpsUnlocked,
    /// Something else.
    Other(String),
}

const TX_ACK_ERRORS: [(TxAckError, &str); 8] = [
    (TxAckError::None, "NONE"),
    (TxAckError::TooLate, "TOO_LATE"),
    (TxAckError::TooEarly, "TOO_EARLY"),
    (TxAckError::CollisionPacket, "COLLISION_PACKET"),
    (TxAckError::CollisionBeacon, "COLLISION_BEACON"),
    (TxAckError::TxFreq, "TX_FREQ"),
    (TxAckError::TxPower, "TX_POWER"),
    (TxAckError::GpsUnlocked, "GPS_UNLOCKED"),
];

impl Serialize for TxAckError {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let known = TX_ACK_ERRORS.iter().find(|(error, _)| error == self);
        out.serialize_str(match (self, known) {
            (Self::Other(text), _) => text,
            (_, known) => known.map_or("NONE", |(_, name)| name),
        })
    }
}

impl<'de> Deserialize<'de> for TxAckError {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = lenient::text(input)?.unwrap_or_default();
        if text.is_empty() {
            return Ok(Self::None);
        }
        let known = TX_ACK_ERRORS.iter().find(|(_, name)| text.eq_ignore_ascii_case(name));
        Ok(known.map_or(Self::Other(text), |(error, _)| error.clone()))
    }
}

/// What became of a PULL_RESP (section 6, `txpk_ack`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TxAck {
    /// Why the gateway does not transmit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<TxAckError>,
    /// What the gateway changed, such as `TX_POWER`, and transmits nevertheless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<TxAckError>,
    /// The value it uses instead, such as the power in dBm.
    #[serde(
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<f64>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TxAck {
    /// The gateway transmits.
    #[must_use]
    pub fn success() -> Self {
        Self { error: Some(TxAckError::None), ..Self::default() }
    }

    /// The gateway does not transmit.
    #[must_use]
    pub fn failure(error: TxAckError) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// Whether the gateway transmits, with or without a warning.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.error, None | Some(TxAckError::None))
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct TxAckJson {
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(super) txpk_ack: TxAck,
}
