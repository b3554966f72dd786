//! The outside world becomes values that judge can weigh: what happened to the files of a protected tree, by whom,
//! and what they held before.
//!
//! Invariants: nothing here decides, every queue, table and store has a bound, and dropping anything that holds
//! somebody up lets it go.
#![deny(unsafe_code)]

mod error;
pub mod files;
pub mod logs;
pub mod mail;
pub mod network;
pub mod responder;
pub mod share;

pub use error::Error;
