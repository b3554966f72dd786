//! The records come back: the vault, restore, drill, status and downtime charts.
//!
//! Nothing here needs a daemon, a database, a configuration or a network: a bare machine and the vault are enough.
#![forbid(unsafe_code)]

pub mod adapter;
pub mod bundle;
pub mod capture;
pub mod charts;
pub mod downtime;
pub mod drill;
mod error;
pub mod examine;
pub mod host;
pub mod manifest;
pub mod media;
pub mod print;
pub mod proof;
mod signs;
pub mod status;
pub mod stream;
pub mod vault;

pub use error::Error;
pub use signs::Signs;
