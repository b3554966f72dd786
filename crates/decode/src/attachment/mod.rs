//! What a file that came by mail is and does, by its content: archives are opened (bounded), documents searched for what runs.
//!
//! Nothing is executed, nothing is fetched. Memory and work are bounded by [`Limits`]; what was not looked at because of a bound is a
//! [`Mark`] too, so that nothing counts as looked at that was not.
//!
//! [`look`] tells what the bytes are ([`sort`]), holds the name against it ([`name`]) and gives the file to whoever reads that
//! format; whatever lies inside comes back to the same place one step deeper ([`walk::Walk`]).

mod archive;
mod bytes;
mod html;
mod image;
mod name;
mod office;
mod onenote;
mod passwords;
mod pdf;
mod program;
mod rtf;
mod shortcut;
mod sort;
#[cfg(test)]
mod tests;
mod tnef;
mod unpack;
mod values;
mod walk;

pub use passwords::passwords_in;
use sha2::{Digest, Sha256};
pub use values::{Limits, Look, Mark, MarkKind};
use walk::Walk;

/// What a file is and what speaks against it, looked at with all it holds. `passwords` are tried where something is encrypted; at
/// most eight of them.
pub fn look(name: &str, bytes: &[u8], limits: &Limits, passwords: &[&str]) -> Look {
    let mut look = Walk::new(limits, passwords, bytes.len()).whole(name, bytes);
    look.sha256 = hex::encode(Sha256::digest(bytes));
    look
}
