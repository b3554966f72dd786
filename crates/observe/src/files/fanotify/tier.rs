//! How much the kernel lets the guard hold back, by mount.

use std::path::PathBuf;

use super::FAN_PRE_ACCESS;

/// What waits until it was judged. A later tier that holds removals and renames as well (BPF LSM) becomes one more variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Opens wait. Truncation by path is seen afterwards.
    Opens,
    /// Opens and truncations wait (`FAN_PRE_ACCESS`, Linux 6.14 on ext4, XFS and btrfs).
    PreAccess,
}

impl Tier {
    /// By what a change is heard of whose open was not seen. A write that waits need not be told of afterwards, which would cost each
    /// write a fifth of a microsecond.
    pub(super) fn changes(self) -> u64 {
        match self {
            Tier::Opens => libc::FAN_MODIFY,
            Tier::PreAccess => FAN_PRE_ACCESS,
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
