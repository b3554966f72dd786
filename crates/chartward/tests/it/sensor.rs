//! `chartward sensor` on a real interface, in network namespaces that each test makes.

mod drops;
pub(crate) mod net;
mod seen;
mod zone;
