//! The network: capture files and interfaces become flows, and flows become events.
//!
//! Invariants: memory is bounded by [`Settings`], whatever is sent; flows that were answered are never pushed out by ones that were
//! not; nothing of a packet is kept but sums and the beginnings of streams whose protocol is being read.

pub mod file;
mod flow;
mod fragments;
mod index;
mod key;
pub mod live;
mod pages;
mod pipeline;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod young;

pub use pipeline::{Pipeline, Settings};
