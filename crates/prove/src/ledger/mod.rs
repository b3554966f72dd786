//! One line per fact, each bound to the one before and signed.
//!
//! # The format
//!
//! `ledger.jsonl` is a text file; every entry is one line that ends in `\n` and has at most [`MAX_LINE`] bytes:
//!
//! ```text
//! {"version":1,"seq":0,"at":"2026-03-02T17:14:00Z","fact":{"kind":"genesis","public_key":"…"},"prev":"00…00","hash":"…","sig":"…"}
//! ```
//!
//! - The **canonical bytes** of an entry are the bytes of its line as written, without the line's end and
//!   without its last 212 bytes (`,"hash":"` 64 digits `","sig":"` 128 digits `"}`), followed by one `}`. No
//!   JSON is re-serialised to verify it.
//! - `hash` is the SHA-256 of the canonical bytes, `sig` the ed25519 signature (RFC 8032) of the same bytes;
//!   both in lower-case hexadecimal.
//! - `prev` is the `hash` of the line before, sixty-four zeros in the first line; `seq` counts from 0.
//! - Lines that were written together have `"batch":[place,of]` after `prev`, counted from 1.
//! - The first fact is a `genesis` with the public key that all lines are signed with.
//!
//! `crates/prove/verify-ledger.py` does the same with Python's standard library and the `openssl` command.
//!
//! # What verification shows
//!
//! A line that was edited, removed, moved or added is found, since nobody without the key can mend what follows
//! from it. A cut-off end, or a ledger written anew by somebody who took the key, is found against a [`Head`]
//! that was kept elsewhere: Chartward writes it into the vault, which the hub's key cannot rewrite.
//!
//! Entries hold counts, ids and times, never a patient's name, id or path.

mod append;
mod export;
mod fact;
mod key;
mod line;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use export::Exported;
pub use fact::{Fact, WrittenFile};
pub use line::{MAX_BATCH, MAX_LINE};
pub use verify::{Expect, Fault, VerifyReport, verify};

use crate::Error;

/// Where the ledger lies below the state folder.
pub const FILE_NAME: &str = "ledger.jsonl";
/// Where its signing key lies below the state folder, readable by its owner only.
pub const KEY_NAME: &str = "ledger.key";

/// The ledger of one installation, open for appending.
///
/// Any number of processes and threads may append: each append holds an exclusive `flock` on the file. An entry
/// that [`Ledger::append`] returned is on the disk and stays in the chain whatever is killed afterwards.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    key: SigningKey,
}

/// One fact with its place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place, counted from 0.
    pub seq: u64,
    /// When it was written, by the clock of the machine that wrote it.
    pub at: Timestamp,
    /// What it says.
    pub fact: Fact,
    /// Hash of the entry before.
    pub prev: String,
    /// Hash of this entry.
    pub hash: String,
}

/// The end of a ledger at some time. Kept where the ledger's owner cannot change it, it makes a cut-off or
/// rewritten ledger visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Place of the last entry.
    pub seq: u64,
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
    /// The key that signed the ledger, 64 hexadecimal digits.
    pub public_key: String,
}

impl Ledger {
    /// Opens the ledger of a state folder, which is made where it is missing, with its key and first line.
    ///
    /// A last line that a killed writer or a power cut left unfinished was never acknowledged: it is moved to
    /// `ledger.torn-<n>` and that is recorded. Only the last line is read; [`Ledger::entries`] verifies all.
    pub fn open(state_dir: &Path, now: Timestamp) -> Result<Self, Error> {
        append::open(state_dir, now)
    }

    /// Writes a fact down and returns when it is on the disk.
    pub fn append(&self, fact: Fact, now: Timestamp) -> Result<Entry, Error> {
        append::append(self, fact, now)
    }

    /// Writes facts down together, with one write and one fsync, and returns when they are on the disk.
    ///
    /// Either all of them are in the ledger or none is: each line of a batch says which of how many it is, and a
    /// batch that a killed writer left unfinished is moved aside like an unfinished line. Together their lines
    /// have at most [`MAX_BATCH`] bytes.
    pub fn append_all(&self, facts: Vec<Fact>, now: Timestamp) -> Result<Vec<Entry>, Error> {
        append::append_all(self, facts, now)
    }

    /// Every entry from the first to the last, each of them verified.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        read(&self.path, &Expect { public_key: Some(self.public_key()), head: None })
    }

    /// The end of the ledger as it is now.
    pub fn head(&self) -> Result<Head, Error> {
        append::head(self)
    }

    /// Copies the ledger to a new file, verifies the copy and records that it was given out.
    ///
    /// The copy ends before the entry that records it. An existing file is not replaced.
    pub fn export(&self, to: &Path, now: Timestamp) -> Result<Exported, Error> {
        export::export(self, to, now)
    }

    /// The public key, 64 hexadecimal digits.
    pub fn public_key(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads a ledger that is not ours to write, such as an exported copy: every entry, each of them verified.
pub fn read(path: &Path, expect: &Expect) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let report = verify::walk(path, expect, |entry| entries.push(entry))?;
    match report.first_bad {
        None => Ok(entries),
        Some((line, fault)) => Err(Error::NotIntact { path: path.to_owned(), line, fault }),
    }
}
