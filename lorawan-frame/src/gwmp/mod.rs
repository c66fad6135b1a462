//! The Semtech UDP packet-forwarder protocol (GWMP), versions 1 and 2, both sides.
//!
//! Sections are those of `PROTOCOL.md` of the packet forwarder in `sx1302_hal`. The JSON is read as
//! forwarders and servers in the field write it: fields that are missing, `null` or numbers in
//! quotes, `tmst` as text, base64 without padding or of the URL alphabet, bodies that end in NUL,
//! fields of vendors (kept in `extra`). It is written as the protocol text says.
//!
//! The protocol has neither authentication nor encryption: it belongs into a VPN.
//!
//! ```
//! use lorawan_frame::gwmp::{Body, Datagram, Error, PushData, Timing, TxPk};
//! use lorawan_frame::region::{Region, Revision};
//! use lorawan_frame::Direction;
//!
//! // Server: a datagram from a gateway.
//! let received = b"\x02\x5e\x52\x00\xaa\x55\x5a\x00\x00\x00\x00\x01{\"rxpk\":[{\"tmst\":1472242252,\
//!     \"freq\":868.1,\"stat\":1,\"modu\":\"LORA\",\"datr\":\"SF8BW125\",\"codr\":\"4/5\",\"lsnr\":10.8,\
//!     \"rssi\":-58,\"size\":3,\"data\":\"QAEC\"}]}";
//! let datagram = Datagram::parse(received)?;
//! let Body::PushData { gateway, content } = &datagram.body else { unreachable!() };
//! assert_eq!(gateway.to_string(), "aa555a0000000001");
//! let packet = &content.rxpk[0];
//! assert_eq!(packet.data, [0x40, 0x01, 0x02]);
//!
//! // It is acknowledged at once ...
//! let ack = datagram.acknowledge().unwrap();
//! assert_eq!(ack.to_bytes()?, [0x02, 0x5e, 0x52, 0x01]);
//!
//! // ... and answered in RX1: same channel, one second later.
//! let plan = Region::Eu868.plan(Revision::default());
//! let rate = packet.data_rate().unwrap();
//! assert_eq!(plan.data_rate_index(rate, Direction::Up), Some(4));
//! let at = Timing::Counter(packet.tmst.unwrap().wrapping_add(1_000_000));
//! let answer = TxPk::downlink(at, packet.frequency_hz(), rate, 14, vec![0x60, 0x01, 0x02]);
//! let datagram = Datagram::new([0, 1], Body::PullResp { txpk: answer });
//! assert_eq!(Datagram::parse(&datagram.to_bytes()?)?, datagram);
//! # Ok::<(), Error>(())
//! ```

mod base64;
mod lenient;
mod rxpk;
mod stat;
mod txpk;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

pub use rxpk::{Datr, Modulation, RxPk, Signal};
pub use stat::Stat;
pub use txpk::{Timing, Tmst, TxAck, TxAckError, TxPk};

/// Fields that the protocol does not define, as they came.
pub type Extra = alloc::collections::BTreeMap<String, serde_json::Value>;

/// Identifier of a gateway, often its MAC address: 8 bytes in the order they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayEui(pub [u8; 8]);

impl fmt::Display for GatewayEui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for GatewayEui {
    type Err = crate::Error;

    /// Reads 16 hexadecimal digits; `-` or `:` may stand between bytes.
    ///
    /// # Errors
    /// As for the other identifiers, see [`DevEui`](crate::DevEui).
    fn from_str(text: &str) -> Result<Self, crate::Error> {
        // The same text form as an EUI, which travels the other way round.
        Ok(Self(text.parse::<crate::DevEui>()?.value().to_be_bytes()))
    }
}

/// What a datagram is (its fourth byte).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Identifier {
    /// 0: the gateway forwards packets and statistics.
    PushData = 0,
    /// 1: the server received a PUSH_DATA.
    PushAck = 1,
    /// 2: the gateway keeps the way for PULL_RESP open.
    PullData = 2,
    /// 3: the server has a packet to transmit.
    PullResp = 3,
    /// 4: the server received a PULL_DATA.
    PullAck = 4,
    /// 5: the gateway accepted a PULL_RESP or not. Version 2.
    TxAck = 5,
}

impl Identifier {
    /// Name as in the protocol text, such as `PUSH_DATA`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PushData => "PUSH_DATA",
            Self::PushAck => "PUSH_ACK",
            Self::PullData => "PULL_DATA",
            Self::PullResp => "PULL_RESP",
            Self::PullAck => "PULL_ACK",
            Self::TxAck => "TX_ACK",
        }
    }

    const fn section(self) -> &'static str {
        match self {
            Self::PushData => "3.2",
            Self::PushAck => "3.3",
            Self::PullData => "5.2",
            Self::PullAck => "5.3",
            Self::PullResp => "5.4",
            Self::TxAck => "5.5",
        }
    }
}

/// Why a datagram was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The datagram ends inside its header.
    TooShort {
        /// Bytes the header needs.
        needed: usize,
        /// Bytes of the datagram.
        found: usize,
    },
    /// The first byte is not version 1 or 2.
    Version(u8),
    /// The fourth byte is no identifier that is defined.
    Identifier(u8),
    /// The JSON is not what the datagram must carry.
    Json {
        /// The datagram.
        identifier: Identifier,
        /// Offset of the JSON in the datagram; the cause counts from there.
        offset: usize,
        /// What is wrong, and where in the JSON.
        cause: serde_json::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { needed, found } => {
                write!(
                    f,
                    "header at byte {found}: datagram shorter than {needed} bytes (section 3.2)"
                )
            }
            Self::Version(version) => {
                write!(f, "protocol version at byte 0: {version} is not 1 or 2 (section 3.2)")
            }
            Self::Identifier(identifier) => {
                write!(f, "identifier at byte 3: {identifier} is not defined (section 3.2)")
            }
            Self::Json { identifier, offset, cause } => write!(
                f,
                "{} JSON at byte {offset}: {cause} (section {})",
                identifier.name(),
                identifier.section()
            ),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Json { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// The JSON of a PUSH_DATA (section 4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PushData {
    /// Packets received.
    #[serde(
        default,
        deserialize_with = "lenient::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub rxpk: Vec<RxPk>,
    /// Statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stat: Option<Stat>,
}

/// What a datagram carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// From the gateway.
    PushData {
        /// The gateway.
        gateway: GatewayEui,
        /// Packets and statistics.
        content: PushData,
    },
    /// From the server.
    PushAck,
    /// From the gateway.
    PullData {
        /// The gateway.
        gateway: GatewayEui,
    },
    /// From the server.
    PullAck,
    /// From the server.
    PullResp {
        /// The packet to transmit.
        txpk: TxPk,
    },
    /// From the gateway.
    TxAck {
        /// The gateway.
        gateway: GatewayEui,
        /// Whether the packet will be transmitted.
        ack: TxAck,
    },
}

/// One datagram of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// Version of the protocol: 1 or 2.
    pub version: u8,
    /// Random; the answer repeats it.
    pub token: [u8; 2],
    /// Content.
    pub body: Body,
}

#[derive(Serialize, Deserialize)]
struct PullRespJson<T> {
    txpk: T,
}

impl Datagram {
    /// A datagram of version 2.
    #[must_use]
    pub const fn new(token: [u8; 2], body: Body) -> Self {
        Self { version: 2, token, body }
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Error`] names the field and its place.
    pub fn parse(datagram: &[u8]) -> Result<Self, Error> {
        let too_short = |needed| Error::TooShort { needed, found: datagram.len() };
        let (&[version, a, b, identifier], rest) =
            datagram.split_first_chunk().ok_or(too_short(4))?;
        if !matches!(version, 1 | 2) {
            return Err(Error::Version(version));
        }
        let from_gateway = || match rest.split_first_chunk() {
            Some((eui, json)) => Ok((GatewayEui(*eui), json)),
            None => Err(too_short(12)),
        };
        let body = match identifier {
            0 => {
                let (gateway, body) = from_gateway()?;
                let content = json_or_default(Identifier::PushData, 12, body)?;
                Body::PushData { gateway, content }
            }
            1 => Body::PushAck,
            2 => Body::PullData { gateway: from_gateway()?.0 },
            3 => {
                let PullRespJson { txpk } = json(Identifier::PullResp, 4, trimmed(rest))?;
                Body::PullResp { txpk }
            }
            4 => Body::PullAck,
            5 => {
                let (gateway, body) = from_gateway()?;
                let content: txpk::TxAckJson = json_or_default(Identifier::TxAck, 12, body)?;
                Body::TxAck { gateway, ack: content.txpk_ack }
            }
            _ => return Err(Error::Identifier(identifier)),
        };
        Ok(Self { version, token: [a, b], body })
    }

    /// What the datagram is.
    #[must_use]
    pub const fn identifier(&self) -> Identifier {
        match self.body {
            Body::PushData { .. } => Identifier::PushData,
            Body::PushAck => Identifier::PushAck,
            Body::PullData { .. } => Identifier::PullData,
            Body::PullAck => Identifier::PullAck,
            Body::PullResp { .. } => Identifier::PullResp,
            Body::TxAck { .. } => Identifier::TxAck,
        }
    }

    /// The acknowledgement a server sends for a PUSH_DATA or PULL_DATA.
    #[must_use]
    pub const fn acknowledge(&self) -> Option<Self> {
        let body = match self.body {
            Body::PushData { .. } => Body::PushAck,
            Body::PullData { .. } => Body::PullAck,
            _ => return None,
        };
        Some(Self { version: self.version, token: self.token, body })
    }

    /// Writes the datagram.
    ///
    /// # Errors
    /// [`Error::Version`] when the version is not 1 or 2 (or 1, which has no TX_ACK);
    /// [`Error::Json`] when a number in it is not finite.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let identifier = self.identifier();
        if !matches!(self.version, 1 | 2) || (self.version == 1 && identifier == Identifier::TxAck)
        {
            return Err(Error::Version(self.version));
        }
        let [a, b] = self.token;
        let mut out = Vec::from([self.version, a, b, identifier as u8]);
        let body = match &self.body {
            Body::PushData { gateway, content } => {
                out.extend_from_slice(&gateway.0);
                serde_json::to_vec(content)
            }
            Body::PullData { gateway } => {
                out.extend_from_slice(&gateway.0);
                Ok(Vec::new())
            }
            Body::PullResp { txpk } => serde_json::to_vec(&PullRespJson { txpk }),
            Body::TxAck { gateway, ack } => {
                out.extend_from_slice(&gateway.0);
                serde_json::to_vec(&txpk::TxAckJson { txpk_ack: ack.clone() })
            }
            Body::PushAck | Body::PullAck => Ok(Vec::new()),
        };
        let offset = out.len();
        out.extend(body.map_err(|cause| Error::Json { identifier, offset, cause })?);
        Ok(out)
    }
}

/// The body without the white space and NUL bytes that some forwarders send after it.
fn trimmed(body: &[u8]) -> &[u8] {
    let padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    body.iter().rposition(|byte| !padding(byte)).and_then(|last| body.get(..=last)).unwrap_or(&[])
}

fn json<'a, T: Deserialize<'a>>(
    identifier: Identifier,
    offset: usize,
    text: &'a [u8],
) -> Result<T, Error> {
    // An array would be taken for the fields of an object in their order.
    let content = match text.trim_ascii_start().first() {
        Some(b'{') | None => serde_json::from_slice(text),
        Some(_) => Err(serde::de::Error::custom("expected an object")),
    };
    content.map_err(|cause| Error::Json { identifier, offset, cause })
}

/// The JSON of a body that may be missing.
fn json_or_default<'a, T: Deserialize<'a> + Default>(
    identifier: Identifier,
    offset: usize,
    body: &'a [u8],
) -> Result<T, Error> {
    match trimmed(body) {
        [] => Ok(T::default()),
        text => json(identifier, offset, text),
    }
}
