//! The small files beside index and snapshots: each is named after the hash of its content, so rot in it shows without opening it.

use super::super::file_kind::FileKind;
use super::super::id::Id;
use super::super::repository::Vault;
use super::{CheckReport, Problem};
use crate::Error;

/// What is looked at, how it is called, and what to do when one is damaged.
const KINDS: [(FileKind, &str, &str); 4] = [
    (
        FileKind::Key,
        "key",
        "its passphrase may not open the vault any more; remove it and add the passphrase again with one that does",
    ),
    (FileKind::Forgotten, "forgotten snapshot", "no other snapshot needs it; it cannot be taken back"),
    (
        FileKind::ForgetNote,
        "note of a forget",
        "no snapshot needs it; fetch it from another copy of the vault",
    ),
    (
        FileKind::Mark,
        "list of packs to remove",
        "no snapshot needs it; the packs stay and the next prune marks them again",
    ),
];

impl Vault {
    /// Names each of these files whose content is not what it was.
    pub(super) fn check_small_files(&self, report: &mut CheckReport) -> Result<(), Error> {
        for (kind, what, next_step) in KINDS {
            for (id, _) in self.backend.list(kind)? {
                let cause = match self.backend.read(kind, &id) {
                    Ok(content) if Id::of(&content) == id => continue,
                    Ok(_) => "its content does not match its name".to_owned(),
                    Err(error) => error.chain(),
                };
                let damaged = Error::Damaged { what, id: id.to_string(), cause };
                report.problems.push(Problem::new(&damaged.to_string(), next_step));
            }
        }
        Ok(())
    }
}
