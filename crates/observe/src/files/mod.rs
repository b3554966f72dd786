//! What happens to files below the protected trees.
//!
//! [`fanotify`] hears it from the kernel with opens that wait for an answer, [`Folders`] hears it afterwards with the means of an
//! ordinary user; both feed a [`Tracker`], which keeps what the files held before and measures what became of them.

mod asked;
mod beside;
mod canary;
pub mod fanotify;
mod folders;
mod held;
mod limits;
pub(crate) mod measure;
mod mirror;
mod mount;
pub(crate) mod names;
mod preimage;
mod process;
mod trace;

pub use asked::Asked;
pub use beside::{database_evidence, reflink};
pub use canary::Canaries;
pub use folders::{FolderChange, Folders};
pub use held::{Held, held_for_writing};
pub use limits::{exhausted, pins};
pub use mirror::{Mirror, open};
pub use mount::{Apart, Foreign, resolve};
pub use names::suffix_of;
pub use preimage::{COPY_EACH_MAX, Home, PreImage, Stamp, Store};
pub use process::smb::{Client, ClientName, Connection, Samba, Servers, serves_all};
pub use process::{Actor, Intent, Lineage, Nearness, Stat, near, written_by};
pub use trace::{HeldContent, Removed, Touch, Tracker};
