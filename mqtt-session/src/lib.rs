#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod alias;
mod auth;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub mod broker;
pub mod client;
mod error;
mod event;
mod inbound;
mod limits;
mod link;
mod outbound;
mod outbox;
mod queue;
mod replaced;
mod requests;
mod ring;
pub mod server;
mod time;
mod transmit;

pub use alias::TopicAliases;
pub use auth::{AuthStep, Mechanism};
pub use error::{Error, Fault, Limit, Misuse};
pub use event::{AckToken, Delta, Event, Message};
pub use inbound::{Pending, Received};
pub use limits::Limits;
pub use outbound::{Slot, Stage};
pub use outbox::Outbox;
pub use queue::{Entry, Outcome, Overflow, Publisher, Queue, QueueConfig, Ticket, Tracker};
pub use requests::{Correlation, Request, Requests};
pub use ring::Ring;
#[cfg(feature = "std")]
pub use time::Clock;
pub use time::Instant;
pub use transmit::{Buffer, SHORT_PACKET, Transmit};
