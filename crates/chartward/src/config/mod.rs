//! `chartward.toml`: what it may hold, and what is wrong with the one at hand.

mod convert;
mod defaults;
mod fields;
mod load;
mod meaning;
mod nearest;
mod problem;
mod raw;
mod reference;
mod shape;
mod sources;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod words;

pub(crate) use load::{Checked, check, find};
pub(crate) use problem::Gravity;
pub(crate) use reference::{example, reference};
pub(crate) use sources::sources;
pub(crate) use types::*;
pub(crate) use value::{Period, Secret};
