//! What the example programs share.

extern crate alloc;

mod arguments;
pub mod broker;

pub use arguments::arguments;
