//! How much of a file system a restore may take, for those that share it with others.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A restore that would go beyond this is stopped.
#[derive(Debug, Clone)]
pub struct Room {
    /// The file system's folder, for whoever is told.
    pub dir: PathBuf,
    /// Sizes of restored files added up.
    pub bytes_max: u64,
    /// Bytes that stay free for the others.
    pub keep_free: u64,
}

impl Room {
    /// Whether it is used up: by what was restored, or by anybody.
    pub(super) fn is_used_up(&self, target: &OwnedFd, restored: u64) -> bool {
        let free = || rustix::fs::fstatvfs(target).map(|it| it.f_bavail.saturating_mul(it.f_frsize));
        restored > self.bytes_max || free().is_ok_and(|free| free < self.keep_free)
    }
}
