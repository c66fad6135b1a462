//! What the example programs share.

extern crate alloc;

pub mod broker;
