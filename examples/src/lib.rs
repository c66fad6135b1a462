//! What the example programs share.

extern crate alloc;

mod arguments;
pub mod broker;

pub use arguments::{arguments, help};

/// The examples of the README at the top, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
