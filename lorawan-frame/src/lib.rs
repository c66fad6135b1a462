#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "gwmp")]
extern crate alloc;
#[cfg(feature = "arbitrary")]
extern crate std;

pub mod adr;
pub mod airtime;
mod batch;
mod bytes;
pub mod class_b;
mod cmac;
mod crypto;
mod data;
pub mod derivation;
mod error;
pub mod fcnt;
pub mod gps;
#[cfg(feature = "gwmp")]
pub mod gwmp;
mod join;
mod keys;
mod mac;
#[cfg(feature = "packages")]
pub mod package;
mod phy;
pub mod region;
mod rejoin;
mod relay;
mod types;
mod wrap;

pub use batch::{BatchFrame, verify_batch};
pub use crypto::{Context, FOptsCipher, Mic};
pub use data::{Data, DataFrame, Direction, FCtrl, open_in_place};
pub use error::{Error, ErrorKind, Part, Place};
pub use join::{
    CfList, CfListKind, DecryptedJoinAccept, DlSettings, EncryptedJoinAccept, JoinAccept,
    JoinContext, JoinReqType, JoinRequest,
};
pub use keys::{
    AppKey, AppSKey, Block, DataBlockIntKey, ExpandedKey, ExpandedServerKey, FNwkSIntKey,
    GenAppKey, JoinKey, JsEncKey, JsIntKey, Key, KeyHandle, McAppSKey, McKeKey, McKey, McNetSKey,
    McRootKey, NetworkKeys, NwkKey, NwkSEncKey, NwkSKey, RootWorSKey, SNwkSIntKey, ServerKeyHandle,
    SessionKeys, WorSEncKey, WorSIntKey,
};
pub use mac::{
    CommandInfo, Dialect, FieldValue, FilterEui, MAC_COMMANDS, MacCommand, MacCommandList,
    MacCommands, WorRssi, WorSnr,
};
pub use phy::{FType, PhyPayload, Received};
pub use rejoin::Rejoin;
pub use relay::{ForwardUplinkReq, RelayChannel, Wor, WorAck, WorContext, WorUplink};
pub use types::{DevAddr, DevAddrPrefix, DevEui, Frequency, JoinEui, JoinNonce, NetId};
pub use wrap::Kek;
