//! Events become findings. Deterministic: the same input gives the same verdict, on every machine and at every hour.
//!
//! Invariants: no clock, file, network or process of its own (clippy.toml bans them); state is bounded and
//! serialisable; a detector is one file with an [`Entry`] and its line in [`REGISTRY`], and brings fixtures of what it must
//! find and of what it must leave alone.
#![forbid(unsafe_code)]

pub mod circles;
pub mod correlate;
pub mod gate;
mod registry;
pub mod share;

pub use registry::{Detector, Entry, REGISTRY, entry};
