//! From packets to observations, from observations to reports and letters.

mod contacts;
mod keep;
pub(crate) mod letters;
pub(crate) mod observe;
pub(crate) mod quarter;
pub(crate) mod responder;
