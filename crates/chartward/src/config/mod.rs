//! `chartward.toml`: what it may hold, and what is wrong with the one at hand.

mod convert;
mod defaults;
mod fields;
mod load;
mod logins;
mod logs;
mod meaning;
mod nearest;
mod problem;
mod raw;
mod reference;
mod sensor;
mod shape;
mod sources;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod wall;
mod words;

pub(crate) use load::{Checked, check, find};
pub(crate) use problem::Gravity;
pub(crate) use reference::{example, reference};
pub(crate) use sensor::Sensor;
pub(crate) use sources::sources;
pub(crate) use types::*;
pub(crate) use value::{Network, Period, Secret, Size, network, period, size};
