//! Removable media in rotation: sets A, B, C… of disks, cartridges or tapes that are seen as folders, one in the machine, the others out of
//! anybody's reach.
//!
//! Uda's hospital (2018) had tapes that were put in on the right days, and nothing was on them. So nothing here is believed for having been
//! put in:
//! - A medium counts from its receipt, which is written last, after everything on the medium was read back from it. The book of this machine
//!   takes it over after that; the other way round a medium that is pulled out would be counted.
//! - A medium is known by an identity that is sealed with the vault's key: a blank one, another one, a copy and an older state of the same one
//!   are told apart.
//! - An empty folder under a mount point is no medium: nothing is ever written to one that was not prepared by a person.
//! - A generation is detached when its medium is not in the machine. Only those are out of an attacker's reach.

mod alarms;
mod book;
mod identity;
mod rotation;
mod write;

pub use alarms::{Generation, Standing, Whereabouts, assess, sentence};
pub use book::{Attempt, Book, Known, Trouble};
pub use identity::{Identity, PlainFolder, Presence, Receipt, look, prepare};
pub use rotation::{Due, Rotation};
pub use write::{Outcome, WriteRequest, verify, write};

#[cfg(test)]
mod tests;
