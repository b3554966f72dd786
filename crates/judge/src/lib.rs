//! Events become findings. Deterministic: the same input gives the same verdict, on every machine and at every hour.
//!
//! Invariants: no clock, file, network or process of its own (clippy.toml bans them); state is bounded and
//! serialisable; a detector is one file with an [`Entry`] and its line in [`REGISTRY`], and brings fixtures of what it must
//! find and of what it must leave alone.
#![forbid(unsafe_code)]

pub mod circles;
pub mod correlate;
mod episodes;
pub mod gate;
pub mod impersonation;
pub mod logins;
pub mod lookalike;
pub mod mail;
pub mod network;
mod registry;
pub mod removal;
pub mod share;
pub mod sigma;
mod table;
pub mod tamper;
pub mod telescope;

pub use registry::{Detector, Entry, REGISTRY, entry};
