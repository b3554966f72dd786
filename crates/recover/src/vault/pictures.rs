//! Reading snapshots of file systems as if they were what they show.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::Stat;
use schema::ExceptionKind;

use super::archive::{Archive, Setup};
use super::capture::CLOCK_TICK;
use super::open_at;
use super::tree::Node;
use super::work::{Dir, DirJob};

/// Inode of the empty folder that stands in a btrfs snapshot for a subvolume (BTRFS_EMPTY_SUBVOL_DIR_OBJECTID).
const EMPTY_SUBVOLUME: u64 = 2;

impl Setup<'_> {
    /// As if a picture were what it shows: the folder cache, hard links and the vault's own folder are told by device and inode.
    pub(crate) fn as_shown(&self, mut stat: Stat) -> Stat {
        if let Some(shown) = self.pictures.devices.get(&stat.st_dev) {
            stat.st_dev = *shown;
        }
        stat
    }

    /// A change time that no later backup finds again, for a file that may have changed within the same tick of the clock
    /// after the picture was taken: the next passes look at the picture and would never see it.
    pub(crate) fn remembered_ctime(&self, ctime: Timestamp) -> Timestamp {
        match self.pictures.since {
            Some(since) if ctime >= since - CLOCK_TICK => ctime - SignedDuration::from_nanos(1),
            _ => ctime,
        }
    }

    /// Whether a folder in a picture stands for a volume that the picture does not have, and nothing else has either.
    fn is_missing(&self, folder: &Node, stat: &Stat) -> bool {
        stat.st_ino == EMPTY_SUBVOLUME
            && stat.st_dev != folder.device_id
            && !self.filter.one_file_system
            && self.pictures.devices.values().any(|shown| *shown == folder.device_id)
    }
}

impl Archive<'_> {
    /// Where a folder within a folder is read: in the same tree, or elsewhere. Nowhere where that is reported.
    pub(crate) fn place(
        &self,
        job: &DirJob,
        dir: &Dir,
        name: &[u8],
        path: &Path,
        stat: &Stat,
    ) -> Option<(Arc<OwnedFd>, PathBuf)> {
        if let Some(at) = self.setup.pictures.overlays.get(path) {
            return match overlay(at) {
                Ok(fd) => Some((Arc::new(fd), PathBuf::new())),
                Err(error) => {
                    self.report_failure(path, &error);
                    None
                }
            };
        }
        if self.setup.is_missing(&dir.node, stat) {
            let cause = "it is a subvolume of its own, and is not in the snapshot of its file system";
            self.report(path, ExceptionKind::Unreadable, cause.to_owned());
            return None;
        }
        Some((Arc::clone(&job.root), job.relative.join(OsStr::from_bytes(name))))
    }
}

/// Opens a folder that is read in another's place, by its absolute path.
fn overlay(at: &Path) -> io::Result<OwnedFd> {
    let top = open_at::named_dir(Path::new("/"))?;
    open_at::dir(top.as_fd(), at.strip_prefix("/").unwrap_or(at))
}
