//! How much the kernel lets the guard hold back, by mount.

use std::path::PathBuf;

/// What waits until it was judged. A later tier that holds removals and renames as well (BPF LSM) becomes one more variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Opens wait. Truncation by path is seen afterwards.
    Opens,
    /// Opens and truncations wait (`FAN_PRE_ACCESS`, Linux 6.14 on ext4, XFS and btrfs).
    PreAccess,
}

impl Tier {
    /// What is told beside that. A write that waits need not be told of afterwards, which would cost each write a fifth of a microsecond.
    pub(super) fn mask(self) -> u64 {
        let always = libc::FAN_OPEN_PERM | libc::FAN_CLOSE_WRITE;
        match self {
            Tier::Opens => always | libc::FAN_MODIFY,
            Tier::PreAccess => always,
        }
    }

    /// Its name in what the guard says.
    pub fn id(self) -> &'static str {
        match self {
            Tier::Opens => "opens",
            Tier::PreAccess => "pre_access",
        }
    }
}

/// One mount that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Where it is mounted.
    pub at: PathBuf,
    /// The file system's name.
    pub file_system: String,
    /// What is held there.
    pub tier: Tier,
}
