//! Who looks around.

pub(crate) mod fanout;
pub(crate) mod flood;
pub(crate) mod icmp;
pub(crate) mod trw;
