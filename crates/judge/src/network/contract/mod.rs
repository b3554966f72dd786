//! Who does what was not agreed.

pub(crate) mod deviation;
pub(crate) mod hospital_protocol;
pub(crate) mod remote_tool;
