//! What was written down while the EMR was down, from the bedside to the restored EMR.
//!
//! A note is made once and never changed: who was mistaken writes another that replaces it. The viewer, the static bundle and the
//! paper forms all make the same [`Note`]; nothing of it is lost between them.

pub mod chain;
pub mod export;
#[cfg(test)]
mod fixture;
pub mod identity;
mod journal;
mod note;
pub mod number;
pub mod reconcile;
pub mod signed;
pub mod words;

pub use journal::{Added, CarriedOver, Findings, Journal, Kept, Notes, Via};
pub use note::{
    Entry, Fault, Given, Identifier, LINES_MAX, Note, NoteId, Order, OrderKind, Text, Vitals, Whom,
};
