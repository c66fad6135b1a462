//! The broker core, packet by packet.

extern crate alloc;

mod acl;
mod bridge;
mod connect;
mod deferred;
mod deliver;
mod durable;
mod harness;
mod hostile;
mod limits;
mod properties;
mod reconsider;
mod retained;
mod sessions;
mod shared;
mod statistics;
mod status;
mod subscribe;
mod wills;
