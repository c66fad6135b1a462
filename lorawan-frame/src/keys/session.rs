//! Names of keys by what they are for, and the keys of a session.

use core::fmt;
use core::str::FromStr;

use super::{ExpandedKey, ExpandedServerKey, Key, KeyHandle};
use crate::error::Error;

/// Names for keys by what they may be used for: a call that wants an AppSKey cannot be handed an
/// AppKey. `K` is the form: [`Key`], [`ExpandedKey`], or a handle of your own.
macro_rules! key_names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<K = Key>(pub K);

        impl $name {
            /// From the 16 bytes of the key.
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(Key::new(bytes))
            }

            /// Computes the round keys once, for repeated use.
            pub fn expand(&self) -> $name<ExpandedKey> {
                $name(self.0.expand())
            }

            /// [`Self::expand`], and the round keys of decryption too: for servers.
            pub fn expand_server(&self) -> $name<ExpandedServerKey> {
                $name(self.0.expand_server())
            }
        }

        impl<K> fmt::Debug for $name<K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self::new(bytes)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads 32 hexadecimal digits, first byte first.
            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Key::deserialize(deserializer).map(Self)
            }
        }

        #[cfg(feature = "defmt")]
        impl<K> defmt::Format for $name<K> {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}(..)", stringify!($name));
            }
        }
    )*};
}

key_names! {
    /// Root key of a 1.0 device; in 1.1 the root of the AppSKey only (section 6.1.1.3).
    AppKey;
    /// Network root key of a 1.1 device (section 6.1.1.3).
    NwkKey;
    /// Root of the multicast keys of a 1.0 device (TS005).
    GenAppKey;
    /// Network session key of 1.0: MIC of data frames, and FRMPayload on FPort 0.
    NwkSKey;
    /// Application session key: FRMPayload on the application's ports (section 6.1.2.5).
    AppSKey;
    /// Forwarding network session integrity key of 1.1 (section 6.1.2.2).
    FNwkSIntKey;
    /// Serving network session integrity key of 1.1 (section 6.1.2.3).
    SNwkSIntKey;
    /// Network session encryption key of 1.1 (section 6.1.2.4): FOpts and FPort 0.
    NwkSEncKey;
    /// Signs rejoin-requests type 1 and the join-accepts of 1.1 (section 6.1.1.4).
    JsIntKey;
    /// Encrypts the join-accept that answers a rejoin-request (section 6.1.1.4).
    JsEncKey;
    /// Root of a device's multicast keys (TS005 3.1).
    McRootKey;
    /// Key-encryption key of a device's multicast groups (TS005 3.1).
    McKeKey;
    /// Key of one multicast group (TS005 3.1).
    McKey;
    /// Application session key of a multicast group (TS005 3.1).
    McAppSKey;
    /// Network session key of a multicast group (TS005 3.1).
    McNetSKey;
    /// Signs a fragmented data block (TS004 version 2).
    DataBlockIntKey;
    /// Root of the wake-on-radio keys of a device under a relay (TS011 4).
    RootWorSKey;
    /// Integrity key of wake-on-radio frames (TS011 4).
    WorSIntKey;
    /// Encryption key of wake-on-radio frames (TS011 4).
    WorSEncKey;
}

/// A root key that signs join-requests: [`AppKey`] on a 1.0 device, [`NwkKey`] on a 1.1 device.
pub trait JoinKey {
    /// The device knows OptNeg. To a 1.0 device the bit is reserved, and ignored.
    const KNOWS_OPT_NEG: bool;
    /// The form in which the key is held.
    type Handle: KeyHandle;
    /// The key itself.
    fn handle(&self) -> &Self::Handle;
}

impl<K: KeyHandle> JoinKey for AppKey<K> {
    const KNOWS_OPT_NEG: bool = false;
    type Handle = K;
    fn handle(&self) -> &K {
        &self.0
    }
}

impl<K: KeyHandle> JoinKey for NwkKey<K> {
    const KNOWS_OPT_NEG: bool = true;
    type Handle = K;
    fn handle(&self) -> &K {
        &self.0
    }
}

/// The network's half of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkKeys<K = Key> {
    /// LoRaWAN 1.0.x, and a 1.1 device on a 1.0 network (OptNeg = 0): one key for everything.
    V1_0(NwkSKey<K>),
    /// LoRaWAN 1.1 (OptNeg = 1).
    V1_1 {
        /// Second half of the uplink MIC.
        f_nwk_s_int_key: FNwkSIntKey<K>,
        /// First half of the uplink MIC, and the downlink MIC.
        s_nwk_s_int_key: SNwkSIntKey<K>,
        /// FOpts, and FRMPayload on FPort 0.
        nwk_s_enc_key: NwkSEncKey<K>,
    },
}

impl<K> NetworkKeys<K> {
    /// The key of FRMPayload on the network's own ports (0 and 226).
    pub const fn encryption_key(&self) -> &K {
        match self {
            Self::V1_0(key) => &key.0,
            Self::V1_1 { nwk_s_enc_key, .. } => &nwk_s_enc_key.0,
        }
    }
}

/// The keys of one activated device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys<K = Key> {
    /// MIC, MAC commands.
    pub network: NetworkKeys<K>,
    /// Application payload.
    pub app_s_key: AppSKey<K>,
}

impl SessionKeys {
    /// Keys of a 1.0 session, as activation by personalization gives them.
    pub const fn v1_0(nwk_s_key: NwkSKey, app_s_key: AppSKey) -> Self {
        Self { network: NetworkKeys::V1_0(nwk_s_key), app_s_key }
    }

    /// Computes all round keys once: what a server keeps for an active device.
    pub fn expand(&self) -> SessionKeys<ExpandedKey> {
        SessionKeys { network: self.network.expand(), app_s_key: self.app_s_key.expand() }
    }
}

impl NetworkKeys {
    /// Computes all round keys once.
    pub fn expand(&self) -> NetworkKeys<ExpandedKey> {
        match self {
            Self::V1_0(key) => NetworkKeys::V1_0(key.expand()),
            Self::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key } => NetworkKeys::V1_1 {
                f_nwk_s_int_key: f_nwk_s_int_key.expand(),
                s_nwk_s_int_key: s_nwk_s_int_key.expand(),
                nwk_s_enc_key: nwk_s_enc_key.expand(),
            },
        }
    }
}
