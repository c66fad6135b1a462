//! Tests with programs that nobody here wrote, started by the tests on loopback.

#![expect(clippy::std_instead_of_alloc, reason = "where there are processes, there is std")]

mod bridge;
mod broker;
mod client;
mod durable;
mod lorawan;
mod programs;
mod self_test;
mod support;
mod transports;
