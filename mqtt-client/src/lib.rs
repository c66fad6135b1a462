#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

extern crate alloc;
extern crate std;

#[cfg(feature = "async-io")]
pub mod async_io;
mod authentication;
mod backoff;
pub mod blocking;
mod client;
mod delivery;
#[cfg(feature = "redb")]
mod disk;
mod driver;
mod error;
mod event;
mod extent;
mod handler;
mod layers;
mod message;
mod message_ref;
mod options;
mod outbox;
#[cfg(feature = "proxy")]
mod proxy;
mod queue;
mod request;
mod routes;
mod runtime;
#[cfg(feature = "scram")]
pub mod scram;
mod server;
mod shared;
mod socket;
mod statistics;
mod store;
mod subscription;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tokio")]
pub mod tokio;
mod trace_context;
mod trie;
#[cfg(feature = "websocket")]
pub mod websocket;

/// Coming from rumqttc or paho.
#[doc = include_str!("../MIGRATION.md")]
pub mod migration {}

/// What is asked of MQTT clients, and what answers it here.
#[doc = include_str!("../DEMANDS.md")]
pub mod demands {}

pub use bytes::Bytes;
pub use mqtt_codec::{PacketType, Properties, QoS, ReasonCode, RetainHandling, Version};
pub use mqtt_session::{Instant, TopicAliases};

pub use authentication::Authentication;
pub use client::{Client, Disconnect};
pub use delivery::{Delivered, Delivery, Resumed};
#[cfg(feature = "redb")]
pub use disk::DiskStore;
pub use driver::Driver;
pub use error::{Error, PublishError, UrlError};
pub use event::{ConnectionEvent, ConnectionEvents};
pub use handler::{Handled, HandlerSubscription};
pub use message::{Message, MessageProperties, PropertyFields, Receipt};
pub use message_ref::MessageRef;
pub use options::{Lag, Options, Overflow, Reconnect, Will};
#[cfg(feature = "proxy")]
pub use proxy::{Proxy, ProxyKind};
pub use request::{RequestError, Requester, RequesterOptions};
pub use runtime::{Clock, Runtime, Stream, Transport};
pub use server::{Scheme, Server};
pub use statistics::Statistics;
pub use store::{Changes, Store};
pub use subscription::{Filter, Subscription};
pub use trace_context::TraceContext;
