/// The kinds of files in a repository, each in a folder of its own. Those below `chartward` are no part of restic's format, and a stock
/// restic never looks there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Key,
    Lock,
    Index,
    Snapshot,
    Pack,
    /// Snapshots that were forgotten, until a prune removes what only they need.
    Forgotten,
    /// Who had which snapshots forgotten, and why.
    ForgetNote,
    /// Packs that are to be removed.
    Mark,
    /// Those who wait for a prune to stop.
    Wish,
}

impl FileKind {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            FileKind::Key => "keys",
            FileKind::Lock => "locks",
            FileKind::Index => "index",
            FileKind::Snapshot => "snapshots",
            FileKind::Pack => "data",
            FileKind::Forgotten => "chartward/forgotten",
            FileKind::ForgetNote => "chartward/forgets",
            FileKind::Mark => "chartward/removals",
            FileKind::Wish => "chartward/holds",
        }
    }

    /// Whether it is no part of restic's format.
    pub(crate) fn is_own(self) -> bool {
        matches!(self, FileKind::Forgotten | FileKind::ForgetNote | FileKind::Mark | FileKind::Wish)
    }
}

/// Largest file other than a pack that is read: an index of restic has at most some megabytes.
pub(crate) const MAX_FILE: u64 = 256 << 20;
