//! What a restore has to do: directories first, then files in batches, each batch pack by pack.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use super::super::id::Id;
use super::super::tree::Node;

/// Files of a batch.
const MAX_FILES: usize = 20_000;
/// Blobs of a batch; a single file may have more.
const MAX_BLOBS: usize = 200_000;

/// A directory of the target.
pub(crate) struct TargetDir {
    /// Below the target.
    pub(crate) relative: PathBuf,
    /// Its own metadata, to be set at the end, or `None` where it must stay as it is.
    pub(crate) node: Option<Node>,
}

/// A file that is to be restored.
pub(crate) struct TargetFile {
    pub(crate) dir: usize,
    pub(crate) node: Node,
    /// Blobs that are still to come.
    pub(crate) left: AtomicUsize,
    /// Length of all its blobs together.
    pub(crate) size: u64,
    pub(crate) prepared: OnceLock<Prepared>,
    /// Why it cannot be restored.
    pub(crate) failure: OnceLock<String>,
}

/// How a file is written.
pub(crate) enum Prepared {
    /// The target has it already, byte for byte.
    AsItWas,
    /// Under its own name, which was free.
    New,
    /// Under another name, to replace what is there when it is whole.
    Beside(Vec<u8>),
    /// Not at all.
    Impossible,
}

/// Where a blob's content goes.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub(crate) file: u32,
    pub(crate) offset: u64,
}

/// Files that are restored together.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) files: Vec<TargetFile>,
    pub(crate) blobs: HashMap<Id, Vec<Use>>,
    uses: usize,
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.files.len() >= MAX_FILES || self.uses >= MAX_BLOBS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds a file; `length_of` tells how long a blob is.
    pub(crate) fn push(&mut self, dir: usize, node: Node, length_of: impl Fn(&Id) -> Option<u64>) {
        let file = self.files.len() as u32;
        let content = node.content.as_deref().unwrap_or_default();
        let mut offset = 0;
        let mut cause = None;
        for id in content {
            self.blobs.entry(*id).or_default().push(Use { file, offset });
            match length_of(id) {
                Some(length) => offset += length,
                None => cause = Some(format!("content {} is nowhere in the vault", id.short())),
            }
        }
        self.uses += content.len();
        let left = AtomicUsize::new(content.len());
        let failure = cause.map_or_else(OnceLock::new, OnceLock::from);
        self.files.push(TargetFile { dir, node, left, size: offset, prepared: OnceLock::new(), failure });
    }
}

/// The directories that a thread opened last: neighbours in a pack are mostly neighbours on disk.
#[derive(Default)]
pub(crate) struct OpenDirs {
    dirs: Vec<(usize, OwnedFd)>,
    oldest: usize,
}

impl OpenDirs {
    const MAX: usize = 32;

    /// The open directory of this number; `open` opens it if it is not among the last ones.
    pub(crate) fn get(
        &mut self,
        number: usize,
        open: impl FnOnce() -> io::Result<OwnedFd>,
    ) -> io::Result<BorrowedFd<'_>> {
        let at = match self.dirs.iter().position(|(known, _)| *known == number) {
            Some(at) => at,
            None if self.dirs.len() < Self::MAX => {
                self.dirs.push((number, open()?));
                self.dirs.len() - 1
            }
            None => {
                self.oldest = (self.oldest + 1) % Self::MAX;
                self.dirs[self.oldest] = (number, open()?);
                self.oldest
            }
        };
        Ok(self.dirs[at].1.as_fd())
    }
}
