//! Whether the medium is still the one that was there at the beginning.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// A folder on a medium. When the medium is pulled out, its path leads to the empty folder below: what would be written there would be on
/// this machine's own disk, and nobody would notice.
pub(crate) struct Anchor {
    dir: PathBuf,
    device: u64,
    inode: u64,
}

impl Anchor {
    pub(crate) fn hold(dir: &Path) -> Result<Anchor, Error> {
        let meta = fs::metadata(dir).map_err(|_| Error::MediumAbsent { dir: dir.to_owned() })?;
        Ok(Anchor { dir: dir.to_owned(), device: meta.dev(), inode: meta.ino() })
    }

    /// [`Error::MediumAbsent`] when the path leads elsewhere now.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match fs::metadata(&self.dir) {
            Ok(meta) if (meta.dev(), meta.ino()) == (self.device, self.inode) => Ok(()),
            _ => Err(Error::MediumAbsent { dir: self.dir.clone() }),
        }
    }
}
