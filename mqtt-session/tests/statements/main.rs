//! The normative statements about sessions, role by role and version by version.

#[path = "../by_hand/mod.rs"]
mod by_hand;

mod client;
mod connection;
mod exchange;
mod hostile;
mod limits;
mod resuming;
