//! `stat`: what a gateway says of itself (section 4).

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Extra, lenient};

/// Statistics of a gateway. Every field may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stat {
    /// The gateway's clock, such as `2014-01-12 08:59:28 GMT`;
    /// [`gps::parse_utc`](crate::gps::parse_utc) reads it.
    #[serde(deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Latitude, degrees north.
    #[serde(
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub lati: Option<f64>,
    /// Longitude, degrees east.
    #[serde(
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub long: Option<f64>,
    /// Altitude, metres.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub alti: Option<i32>,
    /// Packets received.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub rxnb: Option<u32>,
    /// Packets received with a right CRC.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub rxok: Option<u32>,
    /// Packets forwarded.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub rxfw: Option<u32>,
    /// Datagrams acknowledged, per cent.
    #[serde(
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub ackr: Option<f64>,
    /// Datagrams received.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub dwnb: Option<u32>,
    /// Packets transmitted.
    #[serde(deserialize_with = "lenient::integer", skip_serializing_if = "Option::is_none")]
    pub txnb: Option<u32>,
    /// Temperature, degrees Celsius.
    #[serde(
        deserialize_with = "lenient::float",
        serialize_with = "lenient::write_float",
        skip_serializing_if = "Option::is_none"
    )]
    pub temp: Option<f64>,
    /// Other fields, such as `boot`, `fpga`, `hal`, `ping`.
    #[serde(flatten)]
    pub extra: Extra,
}
