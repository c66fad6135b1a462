//! The blocks from which keys are derived: key = AES-128-encrypt(root, block).
//!
//! Public so that a secure element can be told to derive a key that never leaves it. The
//! functions that do both steps in software are on the key types: [`AppKey::session_v1_0`],
//! [`SessionKeys::derive_v1_1`] and so on.
//!
//! [`AppKey::session_v1_0`]: crate::AppKey::session_v1_0

use crate::error::Error;
use crate::keys::{
    AppKey, AppSKey, Block, DataBlockIntKey, FNwkSIntKey, GenAppKey, JsEncKey, JsIntKey, Key,
    KeyHandle, McAppSKey, McKeKey, McKey, McNetSKey, McRootKey, NetworkKeys, NwkKey, NwkSEncKey,
    NwkSKey, RootWorSKey, SNwkSIntKey, ServerKeyHandle, SessionKeys, WorSEncKey, WorSIntKey,
};
use crate::types::{DevAddr, DevEui, JoinEui, JoinNonce, NetId};

/// `kind | parts | zeros`.
fn block(kind: u8, parts: [&[u8]; 3]) -> Block {
    let mut out = [0; 16];
    out[0] = kind;
    for (slot, byte) in out.iter_mut().skip(1).zip(parts.into_iter().flatten()) {
        *slot = *byte;
    }
    out
}

/// LoRaWAN 1.0 session key: `kind | JoinNonce | NetID | DevNonce`. Kind 1 is the NwkSKey,
/// kind 2 the AppSKey (LoRaWAN 1.0.2 section 6.2.5).
pub fn session_v1_0(kind: u8, join_nonce: JoinNonce, net_id: NetId, dev_nonce: u16) -> Block {
    block(kind, [&join_nonce.to_wire(), &net_id.to_wire(), &dev_nonce.to_le_bytes()])
}

/// LoRaWAN 1.1 session key: `kind | JoinNonce | JoinEUI | DevNonce`. Kind 1 FNwkSIntKey,
/// 2 AppSKey (under the AppKey), 3 SNwkSIntKey, 4 NwkSEncKey. After a rejoin-request, RJcount
/// takes the place of DevNonce (sections 6.2.3 and 6.2.4).
pub fn session_v1_1(kind: u8, join_nonce: JoinNonce, join_eui: JoinEui, nonce: u16) -> Block {
    block(kind, [&join_nonce.to_wire(), &join_eui.to_wire(), &nonce.to_le_bytes()])
}

/// JSEncKey (kind 5) and JSIntKey (kind 6), under the NwkKey (section 6.1.1.4).
pub fn join_server(kind: u8, dev_eui: DevEui) -> Block {
    block(kind, [&dev_eui.to_wire(), &[], &[]])
}

/// `kind | address`: the session keys of a multicast group under its McKey (TS005; 1 McAppSKey,
/// 2 McNetSKey) and the wake-on-radio keys under the RootWorSKey (TS011; 1 WorSIntKey,
/// 2 WorSEncKey).
pub fn by_address(kind: u8, addr: DevAddr) -> Block {
    block(kind, [&addr.to_wire(), &[], &[]])
}

/// `kind | zeros`: McRootKey (0 under GenAppKey in 1.0, 0x20 under AppKey in 1.1), McKEKey (0
/// under McRootKey), DataBlockIntKey (0x30), RootWorSKey (1).
pub fn constant(kind: u8) -> Block {
    block(kind, [&[]; 3])
}

fn derive<K: KeyHandle>(root: &K, mut block: Block) -> Result<Key, Error> {
    root.encrypt(core::slice::from_mut(&mut block))?;
    Ok(Key::new(block))
}

fn session_keys_v1_0<K: KeyHandle>(
    root: &K,
    join_nonce: JoinNonce,
    net_id: NetId,
    dev_nonce: u16,
) -> Result<SessionKeys, Error> {
    Ok(SessionKeys::v1_0(
        NwkSKey(derive(root, session_v1_0(1, join_nonce, net_id, dev_nonce))?),
        AppSKey(derive(root, session_v1_0(2, join_nonce, net_id, dev_nonce))?),
    ))
}

impl<K: KeyHandle> AppKey<K> {
    /// The session of a 1.0 device after a join (LoRaWAN 1.0.2 section 6.2.5).
    ///
    /// # Errors
    /// Only what the key handle reports; software keys never fail.
    pub fn session_v1_0(
        &self,
        join_nonce: JoinNonce,
        net_id: NetId,
        dev_nonce: u16,
    ) -> Result<SessionKeys, Error> {
        session_keys_v1_0(&self.0, join_nonce, net_id, dev_nonce)
    }

    /// Root of the multicast keys of a 1.1 device (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn mc_root_key(&self) -> Result<McRootKey, Error> {
        derive(&self.0, constant(0x20)).map(McRootKey)
    }

    /// Key that signs fragmented data blocks for a 1.1 device (TS004 version 2).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn data_block_int_key(&self) -> Result<DataBlockIntKey, Error> {
        derive(&self.0, constant(0x30)).map(DataBlockIntKey)
    }
}

impl<K: KeyHandle> GenAppKey<K> {
    /// Root of the multicast keys of a 1.0 device (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn mc_root_key(&self) -> Result<McRootKey, Error> {
        derive(&self.0, constant(0)).map(McRootKey)
    }

    /// Key that signs fragmented data blocks for a 1.0 device (TS004 version 2).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn data_block_int_key(&self) -> Result<DataBlockIntKey, Error> {
        derive(&self.0, constant(0x30)).map(DataBlockIntKey)
    }
}

impl<K: KeyHandle> NwkKey<K> {
    /// The session of a 1.1 device on a 1.0 network (OptNeg = 0): both keys come from the NwkKey,
    /// by the 1.0 rule (section 6.2.3).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn session_v1_0(
        &self,
        join_nonce: JoinNonce,
        net_id: NetId,
        dev_nonce: u16,
    ) -> Result<SessionKeys, Error> {
        session_keys_v1_0(&self.0, join_nonce, net_id, dev_nonce)
    }

    /// The network's keys of a 1.1 session (OptNeg = 1, section 6.2.3). `nonce` is the DevNonce,
    /// or RJcount when a rejoin-request was answered.
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn network_keys_v1_1(
        &self,
        join_nonce: JoinNonce,
        join_eui: JoinEui,
        nonce: u16,
    ) -> Result<NetworkKeys, Error> {
        let key = |kind| derive(&self.0, session_v1_1(kind, join_nonce, join_eui, nonce));
        Ok(NetworkKeys::V1_1 {
            f_nwk_s_int_key: FNwkSIntKey(key(1)?),
            s_nwk_s_int_key: SNwkSIntKey(key(3)?),
            nwk_s_enc_key: NwkSEncKey(key(4)?),
        })
    }

    /// Key that encrypts the join-accept after a rejoin-request (section 6.1.1.4).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn js_enc_key(&self, dev_eui: DevEui) -> Result<JsEncKey, Error> {
        derive(&self.0, join_server(5, dev_eui)).map(JsEncKey)
    }

    /// Key that signs rejoin-requests type 1 and the join-accepts of 1.1 (section 6.1.1.4).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn js_int_key(&self, dev_eui: DevEui) -> Result<JsIntKey, Error> {
        derive(&self.0, join_server(6, dev_eui)).map(JsIntKey)
    }
}

impl SessionKeys {
    /// The session of a 1.1 device (OptNeg = 1, section 6.2.3). `nonce` is the DevNonce, or
    /// RJcount when a rejoin-request was answered.
    ///
    /// # Errors
    /// Only what the key handles report.
    pub fn derive_v1_1<N: KeyHandle, A: KeyHandle>(
        nwk_key: &NwkKey<N>,
        app_key: &AppKey<A>,
        join_nonce: JoinNonce,
        join_eui: JoinEui,
        nonce: u16,
    ) -> Result<Self, Error> {
        let app_s_key = derive(&app_key.0, session_v1_1(2, join_nonce, join_eui, nonce))?;
        Ok(Self {
            network: nwk_key.network_keys_v1_1(join_nonce, join_eui, nonce)?,
            app_s_key: AppSKey(app_s_key),
        })
    }
}

impl<K: KeyHandle> McRootKey<K> {
    /// Key under which group keys travel to this device (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn mc_ke_key(&self) -> Result<McKeKey, Error> {
        derive(&self.0, constant(0)).map(McKeKey)
    }
}

impl<K: KeyHandle> McKeKey<K> {
    /// Device side: the group key from the McKeyEncrypted of a McGroupSetupReq (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn open_mc_key(&self, mc_key_encrypted: [u8; 16]) -> Result<McKey, Error> {
        derive(&self.0, mc_key_encrypted).map(McKey)
    }
}

impl<K: ServerKeyHandle> McKeKey<K> {
    /// Server side: the McKeyEncrypted of a McGroupSetupReq; made with AES-decrypt, so that the
    /// device needs AES-encrypt only (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn seal_mc_key(&self, mc_key: &McKey) -> Result<[u8; 16], Error> {
        let mut block = *mc_key.0.expose();
        self.0.decrypt(core::slice::from_mut(&mut block))?;
        Ok(block)
    }
}

impl<K: KeyHandle> McKey<K> {
    /// Application session key of the group (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn mc_app_s_key(&self, mc_addr: DevAddr) -> Result<McAppSKey, Error> {
        derive(&self.0, by_address(1, mc_addr)).map(McAppSKey)
    }

    /// Network session key of the group (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn mc_net_s_key(&self, mc_addr: DevAddr) -> Result<McNetSKey, Error> {
        derive(&self.0, by_address(2, mc_addr)).map(McNetSKey)
    }

    /// Both keys, as the session under which multicast downlinks are built and opened: multicast
    /// uses the 1.0 MIC whatever the version of the device (TS005).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn session(&self, mc_addr: DevAddr) -> Result<SessionKeys, Error> {
        let network = NwkSKey(self.mc_net_s_key(mc_addr)?.0);
        Ok(SessionKeys::v1_0(network, AppSKey(self.mc_app_s_key(mc_addr)?.0)))
    }
}

impl<K: KeyHandle> NetworkKeys<K> {
    /// Root of the wake-on-radio keys: from the NwkSKey in 1.0, the NwkSEncKey in 1.1 (TS011 4).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn root_wor_s_key(&self) -> Result<RootWorSKey, Error> {
        derive(self.encryption_key(), constant(1)).map(RootWorSKey)
    }
}

impl<K: KeyHandle> RootWorSKey<K> {
    /// Integrity key of wake-on-radio frames (TS011 4).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn wor_s_int_key(&self, dev_addr: DevAddr) -> Result<WorSIntKey, Error> {
        derive(&self.0, by_address(1, dev_addr)).map(WorSIntKey)
    }

    /// Encryption key of wake-on-radio frames (TS011 4).
    ///
    /// # Errors
    /// Only what the key handle reports.
    pub fn wor_s_enc_key(&self, dev_addr: DevAddr) -> Result<WorSEncKey, Error> {
        derive(&self.0, by_address(2, dev_addr)).map(WorSEncKey)
    }
}
