//! Rejoin-Request types 0, 1 and 2 of LoRaWAN 1.1 (section 6.2.4).

use crate::bytes::Writer;
use crate::crypto::Mic;
use crate::error::{Error, ErrorKind, Part, Place, room};
use crate::join::sign;
use crate::keys::{JsIntKey, KeyHandle, SNwkSIntKey};
use crate::phy::{FType, PhyPayload, Received, exact, expect};
use crate::types::{DevEui, JoinEui, NetId};

/// A device that is in the network shows itself again. Sent in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Rejoin {
    /// Type 0 (resets all) and type 2 (keeps the radio parameters): to the network it is in.
    Network {
        /// `true` is type 2, `false` type 0.
        keep_radio: bool,
        /// The network.
        net_id: NetId,
        /// The device.
        dev_eui: DevEui,
        /// RJcount0: never repeats and never wraps in a session.
        rj_count: u16,
    },
    /// Type 1: to the join server, to restore a lost session.
    JoinServer {
        /// The join server.
        join_eui: JoinEui,
        /// The device.
        dev_eui: DevEui,
        /// RJcount1: never repeats for this JoinEUI.
        rj_count: u16,
    },
}

const NETWORK_LEN: usize = 19;
const JOIN_SERVER_LEN: usize = 24;

impl Rejoin {
    /// The Rejoin Type byte: 0, 1 or 2.
    pub const fn rejoin_type(&self) -> u8 {
        match self {
            Self::Network { keep_radio: false, .. } => 0,
            Self::JoinServer { .. } => 1,
            Self::Network { keep_radio: true, .. } => 2,
        }
    }

    /// Bytes of the frame: 19 for types 0 and 2, 24 for type 1.
    pub const fn phy_len(&self) -> usize {
        match self {
            Self::Network { .. } => NETWORK_LEN,
            Self::JoinServer { .. } => JOIN_SERVER_LEN,
        }
    }

    /// The device.
    pub const fn dev_eui(&self) -> DevEui {
        match self {
            Self::Network { dev_eui, .. } | Self::JoinServer { dev_eui, .. } => *dev_eui,
        }
    }

    /// RJcount0 or RJcount1.
    pub const fn rj_count(&self) -> u16 {
        match self {
            Self::Network { rj_count, .. } | Self::JoinServer { rj_count, .. } => *rj_count,
        }
    }

    /// Reads a Rejoin-Request.
    ///
    /// # Errors
    /// A type other than 0, 1 or 2, a length other than that of its type, and what
    /// [`PhyPayload::classify`] refuses.
    pub fn parse(bytes: &[u8]) -> Result<Received<'_, Self>, Error> {
        Self::read(PhyPayload::classify(bytes)?, bytes)
    }

    pub(crate) fn read(ftype: FType, bytes: &[u8]) -> Result<Received<'_, Self>, Error> {
        expect(ftype, FType::RejoinRequest)?;
        let place = Place::REJOIN_REQUEST;
        let content = match bytes.get(1) {
            Some(&kind @ (0 | 2)) => {
                let frame = exact::<NETWORK_LEN>(bytes, Part::Rejoin(kind), place)?;
                let [_, _, n0, n1, n2, d0, d1, d2, d3, d4, d5, d6, d7, c0, c1, ..] = *frame;
                Self::Network {
                    keep_radio: kind == 2,
                    net_id: NetId::from_wire([n0, n1, n2]),
                    dev_eui: DevEui::from_wire([d0, d1, d2, d3, d4, d5, d6, d7]),
                    rj_count: u16::from_le_bytes([c0, c1]),
                }
            }
            Some(&kind @ 1) => {
                let frame = exact::<JOIN_SERVER_LEN>(bytes, Part::Rejoin(kind), place)?;
                let [_, _, j @ .., d0, d1, d2, d3, d4, d5, d6, d7, c0, c1, _, _, _, _] = *frame;
                Self::JoinServer {
                    join_eui: JoinEui::from_wire(j),
                    dev_eui: DevEui::from_wire([d0, d1, d2, d3, d4, d5, d6, d7]),
                    rj_count: u16::from_le_bytes([c0, c1]),
                }
            }
            Some(&kind) => {
                return Err(Error::new(ErrorKind::RejoinType(kind), Place::REJOIN_TYPE, 1));
            }
            None => {
                let kind = ErrorKind::TooShort { what: Part::PhyPayload, needed: 2 };
                return Err(Error::new(kind, Place::REJOIN_TYPE, 1));
            }
        };
        Ok(Received::new(content, bytes))
    }

    /// Signs types 0 and 2 with the SNwkSIntKey and writes the frame into the front of `buf`.
    ///
    /// # Errors
    /// [`ErrorKind::RejoinType`] for type 1, a buffer shorter than [`Rejoin::phy_len`], what the
    /// key handle reports.
    pub fn build_into<'b, K: KeyHandle>(
        &self,
        key: &SNwkSIntKey<K>,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        self.expect_network(true)?;
        self.write(&key.0, buf)
    }

    /// Signs type 1 with the JSIntKey and writes the frame into the front of `buf`.
    ///
    /// # Errors
    /// [`ErrorKind::RejoinType`] for types 0 and 2, a buffer shorter than [`Rejoin::phy_len`], what
    /// the key handle reports.
    pub fn build_type1<'b, K: KeyHandle>(
        &self,
        key: &JsIntKey<K>,
        buf: &'b mut [u8],
    ) -> Result<&'b mut [u8], Error> {
        self.expect_network(false)?;
        self.write(&key.0, buf)
    }

    fn expect_network(&self, network: bool) -> Result<(), Error> {
        if matches!(self, Self::Network { .. }) == network {
            return Ok(());
        }
        Err(Error::new(ErrorKind::RejoinType(self.rejoin_type()), Place::REJOIN_TYPE, 1))
    }

    fn write<'b, K: KeyHandle>(&self, key: &K, buf: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        let out = room(buf, self.phy_len())?;
        let net_id = match self {
            Self::Network { net_id, .. } => Some(net_id.to_wire()),
            Self::JoinServer { .. } => None,
        };
        let join_eui = match self {
            Self::Network { .. } => None,
            Self::JoinServer { join_eui, .. } => Some(join_eui.to_wire()),
        };
        Writer(out)
            .put([FType::RejoinRequest.mhdr(), self.rejoin_type()])
            .put_if(net_id)
            .put_if(join_eui)
            .put(self.dev_eui().to_wire())
            .put(self.rj_count().to_le_bytes());
        sign(key, out)?;
        Ok(out)
    }
}

impl Received<'_, Rejoin> {
    /// Network server: checks the MIC of types 0 and 2.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`], [`ErrorKind::RejoinType`] for type 1, what the key handle reports.
    pub fn verify<K: KeyHandle>(&self, key: &SNwkSIntKey<K>) -> Result<(), Error> {
        self.content.expect_network(true)?;
        self.verify_under(&key.0)
    }

    /// Join server: checks the MIC of type 1.
    ///
    /// # Errors
    /// [`ErrorKind::Mic`], [`ErrorKind::RejoinType`] for types 0 and 2, what the key handle
    /// reports.
    pub fn verify_type1<K: KeyHandle>(&self, key: &JsIntKey<K>) -> Result<(), Error> {
        self.content.expect_network(false)?;
        self.verify_under(&key.0)
    }

    /// The MIC that types 0 and 2 should have under this key.
    ///
    /// # Errors
    /// [`ErrorKind::RejoinType`] for type 1, and what the key handle reports.
    pub fn compute_mic<K: KeyHandle>(&self, key: &SNwkSIntKey<K>) -> Result<Mic, Error> {
        self.content.expect_network(true)?;
        self.mic_under(&key.0)
    }
}
