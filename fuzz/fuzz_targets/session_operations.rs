//! Sequences of operations and hostile bytes on client and server sessions: nothing panics, a call
//! that fails has changed nothing, and all that is sent can be read by the peer.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The same as a property test of the crate runs.
#[path = "../../mqtt-session/tests/operations/mod.rs"]
mod operations;

fuzz_target!(|data: &[u8]| operations::run(data));
