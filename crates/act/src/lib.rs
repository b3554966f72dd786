//! What Chartward does to a machine: a plan first, then apply, with undo.
//!
//! Invariants: making a plan changes nothing; applying it makes no choice; the never-touch list wins over everything;
//! nothing is ever deleted, what has to go out of the way goes into the evidence folder.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod client;
mod error;
pub mod evidence;
pub mod freeze;
pub mod never;
pub mod notify;
pub mod playbook;
mod process;
pub mod put_back;
pub mod undo;
pub mod wall;
pub mod windows;

pub use error::Error;
pub use never::NeverTouch;
