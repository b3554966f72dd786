//! `chartward.toml`: what it may hold, and what is wrong with the one at hand.

mod defaults;
mod raw;
mod types;
mod value;
mod words;

pub(crate) use types::*;
pub(crate) use value::{Level, Network, Period, Secret, Size, TimeOfDay};
