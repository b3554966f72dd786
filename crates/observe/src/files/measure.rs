//! From an original and what stands in its place to the numbers that judge decides on.

pub(crate) use decode::content::{measure, measure_gone, measure_made};
