//! A file share looked at from outside, with nothing installed on its server.
//!
//! [`Watch`] lists the share again and again, reads small samples of what changed and compares them with what was there before;
//! decoys and a few files that never change are read more often. [`pull`] copies the share's files here. Everything is bounded
//! in entries, bytes and time, since the server may be hostile; nothing is written to it but decoys, and those only when asked.
//!
//! It is reached over a session of our own ([`Client`]) or where this machine has mounted it ([`Mounted`]).
//!
//! One thread, no pool: the client's tasks run only while a call of this module runs. A mounted share has one thread more, which
//! may hang.

mod account;
mod canary;
mod client;
mod differ;
mod evidence;
mod mounted;
mod pull;
mod remember;
mod shadow;
mod view;
mod watch;

pub use account::{Account, ShareName};
pub use canary::Decoys;
pub use client::Client;
pub use mounted::Mounted;
pub use pull::{Instant, Pulled, Wish, pull, shown};
pub use shadow::Shadow;
pub use view::{Place, View};
pub use watch::{Bounds, Cover, Watch};
