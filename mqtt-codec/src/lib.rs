#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod error;
#[cfg(feature = "serde")]
mod fields;
#[cfg(feature = "bytes")]
mod frame;
#[cfg(feature = "tokio-util")]
mod framed;
mod list;
mod packet;
mod property;
mod reason;
mod rules;
pub mod sn;
mod stream;
mod topic;
pub mod tree;
mod types;
mod unread;
mod wire;

pub use error::{DecodeError, EncodeError, ErrorClass, Violation};
#[cfg(feature = "serde")]
pub use fields::Fields;
#[cfg(feature = "bytes")]
pub use frame::Frame;
#[cfg(feature = "tokio-util")]
pub use framed::{Codec, CodecError};
pub use list::{Element, List, ListIter};
pub use packet::{
    Ack, Auth, BareAck, ConnAck, Connect, Disconnect, FixedHeader, Packet, PacketType, Publish,
    RetainHandling, SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe, Will,
};
pub use property::{Properties, Property, PropertyId, PropertyIter, Scope, SubscriptionId};
pub use reason::ReasonCode;
pub use rules::{Policy, Prepared, Rules};
pub use stream::{Part, Pieces, PublishHead};
pub use topic::{SharedFilter, TopicFilter, TopicName};
pub use types::{PacketId, QoS, Sender, Text, Version};
pub use unread::Unread;
