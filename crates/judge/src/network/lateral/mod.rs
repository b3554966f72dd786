//! Who moves on from one machine to the next.

pub(crate) mod account_query;
pub(crate) mod dcsync;
pub(crate) mod remote_exec;
pub(crate) mod zerologon;
