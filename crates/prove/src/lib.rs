//! What can be shown to somebody else: the append-only, signed ledger, the incident report, and the one sentence.
//!
//! Nothing here decides anything. Facts come in from the other rooms and leave as lines that a stranger can
//! verify, as a page for the hospital's director, or as words that never carry a figure without saying when and
//! how it was measured.
#![forbid(unsafe_code)]

mod durable;
mod error;
#[cfg(test)]
mod full_disk;
pub mod lake;
mod lang;
/// The append-only file of signed facts, and its verification on any machine.
pub mod ledger;
mod lock;
pub mod observation;
mod report;
mod sentence;
pub mod state;

pub use error::Error;
pub use lake::Lake;
pub use ledger::{Entry, Fact, Head, Ledger};
pub use report::{Comparison, ComparisonRow, Report, Written};
/// The state database's own library, for whoever writes statements of their own in [`State::write`].
pub use rusqlite;
pub use sentence::sentence;
pub use state::State;
