use serde::{Deserialize, Serialize};

use crate::FileEvidence;

/// One look at a file share from outside: what differs from the looks before. Numbers only, no names.
///
/// `observe` counts and measures; `judge` decides. A file that changes twice may be in two looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareLook {
    /// Whether the server answered at all; when not, everything below is 0.
    pub answered: bool,
    /// Files that this look listed.
    pub files_seen: u64,
    /// Files of which an earlier state is remembered.
    pub files_known: u64,
    /// Files whose name was not there before.
    pub added: u64,
    /// Files whose name is gone and of which nothing like it remains.
    pub removed: u64,
    /// Files with the same name and another size or time.
    pub rewritten: u64,
    /// Files whose name is gone and stands there with a suffix that it did not have before.
    pub suffixed: u64,
    /// Of those, files with the most frequent of the new suffixes.
    pub suffixed_alike: u64,
    /// New files named like a ransom note.
    pub notes: u64,
    /// Changed files that could not be opened to read a sample: locked or refused.
    pub unread: u64,
    /// Folders that could not be listed though they could be before.
    pub folders_lost: u64,
    /// Decoys that are not there any more and of which nothing like them remains.
    pub canaries_missing: u64,
    /// Changed files of which a sample was read, and what it says; canaries are marked.
    pub evidence: Vec<FileEvidence>,
}
