//! `rxpk`: a packet that a gateway received (section 4).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, base64, lenient};
use crate::region::{DataRate, LrFhssCodingRate};

/// `modu`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Modulation {
    /// `LORA`, also when the field is missing.
    #[default]
    Lora,
    /// `FSK`.
    Fsk,
    /// `LR-FHSS` or `LRFHSS`.
    LrFhss,
    /// Something else.
    Other(String),
}

impl Serialize for Modulation {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(match self {
            Self::Lora => "LORA",
            Self::Fsk => "FSK",
            Self::LrFhss => "LR-FHSS",
            Self::Other(text) => text,
        })
    }
}

impl<'de> Deserialize<'de> for Modulation {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let Some(text) = lenient::text(input)? else { return Ok(Self::Lora) };
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        Ok(if is("LORA") {
            Self::Lora
        } else if is("FSK") {
            Self::Fsk
        } else if is("LR-FHSS") || is("LRFHSS") || is("LR_FHSS") {
            Self::LrFhss
        } else {
            Self::Other(text)
        })
    }
}

/// `datr`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Datr {
    /// Such as `SF7BW125`.
    Lora {
        /// Spreading factor.
        spreading_factor: u8,
        /// Bandwidth in Hz; written in kHz without its fraction, so that 812.5 kHz is `BW812`.
        bandwidth_hz: u32,
    },
    /// FSK, bit/s: a number.
    Fsk(u32),
    /// LR-FHSS, such as `M0CW137`.
    LrFhss {
        /// Modulation type.
        mode: u8,
        /// Occupied channel width in Hz.
        channel_width_hz: u32,
    },
    /// Something else.
    Other(String),
}

impl Datr {
    fn from_text(text: String) -> Self {
        let pair = |prefix: &str, middle: &str| {
            let (first, second) = text.strip_prefix(prefix)?.split_once(middle)?;
            Some((number(first)?, number(second)?))
        };
        let known =
            |first: u32, khz: u32| Some((u8::try_from(first).ok()?, khz.checked_mul(1000)?));
        if let Some((spreading_factor, bandwidth_hz)) =
            pair("SF", "BW").and_then(|(sf, khz)| known(sf, khz))
        {
            return Self::Lora { spreading_factor, bandwidth_hz };
        }
        if let Some((mode, channel_width_hz)) = pair("M", "CW").and_then(|(m, khz)| known(m, khz)) {
            return Self::LrFhss { mode, channel_width_hz };
        }
        match number(&text) {
            Some(bit_rate) => Self::Fsk(bit_rate),
            None => Self::Other(text),
        }
    }
}

/// Digits only: what `Display` writes again.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl fmt::Display for Datr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lora { spreading_factor, bandwidth_hz } => {
                write!(f, "SF{spreading_factor}BW{}", bandwidth_hz / 1000)
            }
            Self::Fsk(bit_rate) => write!(f, "{bit_rate}"),
            Self::LrFhss { mode, channel_width_hz } => {
                write!(f, "M{mode}CW{}", channel_width_hz / 1000)
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Serialize for Datr {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fsk(bit_rate) => out.serialize_u32(*bit_rate),
            text => out.collect_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Datr {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Value::deserialize(input)? {
            Value::String(text) => Ok(Self::from_text(text)),
            value => match lenient::whole(&value)? {
                Some(bit_rate) => Ok(Self::Fsk(bit_rate)),
                None => Err(D::Error::custom("expected a data rate, found null")),
            },
        }
    }
}

/// The region's data rate of these fields, if they are one.
pub(super) fn data_rate(datr: &Datr, codr: Option<&str>) -> Option<DataRate> {
    match *datr {
        Datr::Lora { spreading_factor, bandwidth_hz } => {
            Some(DataRate::Lora { spreading_factor, bandwidth_hz })
        }
        Datr::Fsk(bit_rate) => Some(DataRate::Fsk { bit_rate }),
        Datr::LrFhss { channel_width_hz, .. } => {
            let coding_rate = match codr? {
                "1/3" | "2/6" => LrFhssCodingRate::OneThird,
                "2/3" | "4/6" => LrFhssCodingRate::TwoThirds,
                _ => return None,
            };
            Some(DataRate::LrFhss { coding_rate, channel_width_hz })
        }
        Datr::Other(_) => None,
    }
}

/// Hertz of a frequency in MHz, rounded to 100 Hz: gateways write 868.1 MHz as 868.099975.
pub(super) fn frequency_hz(mhz: f64) -> u32 {
    // `as` saturates.
    ((mhz * 10_000.0 + 0.5) as u32).saturating_mul(100)
}

/// Megahertz, as short as the frequency allows.
pub(super) fn megahertz(hz: u32) -> f64 {
    f64::from(hz) / 1_000_000.0
}

/// What one antenna received (`rsig`, with `jver` 2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Signal {
    /// Number of the antenna.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub ant: Option<u8>,
    /// IF channel.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub chan: Option<u8>,
    /// RSSI of the channel, dBm.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub rssic: Option<i16>,
    /// RSSI of the signal, dBm.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub rssis: Option<i16>,
    /// SNR, dB.
    #[serde(
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub lsnr: Option<f64>,
    /// Other fields, such as `etime`, `ftime`, `foff`, `rssisd`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A packet that a gateway received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RxPk {
    /// UTC of the reception, ISO 8601; [`gps::parse_utc`](crate::gps::parse_utc) reads it.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// GPS time of the reception, milliseconds.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub tmms: Option<u64>,
    /// The gateway's counter at the end of the reception, microseconds; wraps every 71.6 minutes.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub tmst: Option<u32>,
    /// Nanoseconds since the last pulse of the GPS receiver.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub ftime: Option<u32>,
    /// Frequency in MHz as written; see [`RxPk::frequency_hz`].
    #[serde(deserialize_with = "lenient::required_float", serialize_with = "lenient::write_float")]
    pub freq: f64,
    /// IF channel.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub chan: Option<u8>,
    /// RF chain.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub rfch: Option<u8>,
    /// Modem.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub mid: Option<u8>,
    /// CRC: 1 right, -1 wrong, 0 none.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub stat: Option<i8>,
    /// Modulation.
    #[serde(default)]
    pub modu: Modulation,
    /// Data rate.
    pub datr: Datr,
    /// Coding rate, such as `4/5`.
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub codr: Option<String>,
    /// LR-FHSS hopping grid.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub hpw: Option<u32>,
    /// RSSI of the channel, dBm. With `jver` 2 it is in `rsig`.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub rssi: Option<i16>,
    /// RSSI of the signal, dBm.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub rssis: Option<i16>,
    /// SNR, dB. With `jver` 2 it is in `rsig`.
    #[serde(
        default,
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub lsnr: Option<f64>,
    /// Frequency offset, Hz.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub foff: Option<i32>,
    /// Size of the packet as the gateway says; `data` is what counts.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub size: Option<u32>,
    /// The PHYPayload.
    #[serde(with = "base64::data")]
    pub data: Vec<u8>,
    /// Version of the JSON; 2 has `rsig`.
    #[serde(
        default,
        deserialize_with = "lenient::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub jver: Option<u8>,
    /// What each antenna received.
    #[serde(
        default,
        deserialize_with = "lenient::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub rsig: Vec<Signal>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl RxPk {
    /// A packet of LoRa or FSK that a gateway received with a right CRC.
    #[must_use]
    pub fn new(tmst: u32, frequency_hz: u32, rate: DataRate, data: Vec<u8>) -> Self {
        let (modu, datr, codr) = fields_of(rate);
        Self {
            time: None,
            tmms: None,
            tmst: Some(tmst),
            ftime: None,
            freq: megahertz(frequency_hz),
            chan: None,
            rfch: None,
            mid: None,
            stat: Some(1),
            modu,
            datr,
            codr,
            hpw: None,
            rssi: None,
            rssis: None,
            lsnr: None,
            foff: None,
            size: u32::try_from(data.len()).ok(),
            data,
            jver: None,
            rsig: Vec::new(),
            extra: Extra::new(),
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

    /// The best RSSI in dBm and SNR in dB over all antennas.
    #[must_use]
    pub fn best_signal(&self) -> (Option<i16>, Option<f64>) {
        let rssi = self.rsig.iter().filter_map(|signal| signal.rssic).chain(self.rssi).max();
        let snr = self.rsig.iter().filter_map(|signal| signal.lsnr).chain(self.lsnr);
        (rssi, snr.fold(None, |best, snr| Some(best.map_or(snr, |best: f64| best.max(snr)))))
    }
}

/// `modu`, `datr` and `codr` of a data rate.
pub(super) fn fields_of(rate: DataRate) -> (Modulation, Datr, Option<String>) {
    match rate {
        DataRate::Lora { spreading_factor, bandwidth_hz } => {
            let coding_rate = if bandwidth_hz > 500_000 { "4/8LI" } else { "4/5" };
            let datr = Datr::Lora { spreading_factor, bandwidth_hz };
            (Modulation::Lora, datr, Some(coding_rate.into()))
        }
        DataRate::Fsk { bit_rate } => (Modulation::Fsk, Datr::Fsk(bit_rate), None),
        DataRate::LrFhss { coding_rate, channel_width_hz } => {
            let codr = match coding_rate {
                LrFhssCodingRate::OneThird => "1/3",
                LrFhssCodingRate::TwoThirds => "2/3",
            };
            (Modulation::LrFhss, Datr::LrFhss { mode: 0, channel_width_hz }, Some(codr.into()))
        }
    }
}
