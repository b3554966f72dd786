//! A bounded copy of what a tree holds, for those who cannot hold opens back: what was there before is known from here.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::preimage::{PreImage, Stamp, Store};

const DEPTH_MAX: usize = 64;

/// Contents by path.
#[derive(Debug, Default)]
pub struct Mirror {
    kept: HashMap<PathBuf, PreImage>,
    left_out: u64,
}

impl Mirror {
    /// Copies what lies below `dirs`, as far as the store has room.
    pub fn take(dirs: &[PathBuf], store: &mut Store) -> Self {
        let mut mirror = Self::default();
        for dir in dirs {
            mirror.walk(dir, store, DEPTH_MAX);
        }
        mirror
    }

    /// Files that are mirrored.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether no file is mirrored.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Files that could not be read or found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What the file at `path` held.
    pub fn get(&self, path: &Path) -> Option<&PreImage> {
        self.kept.get(path)
    }

    /// Takes the present content of `path` as the one to keep, or forgets the path when nothing is there.
    pub fn renew(&mut self, path: &Path, store: &mut Store) {
        let Some(file) = open(path) else {
            self.kept.remove(path);
            return;
        };
        let fresh = Stamp::of(&file)
            .is_ok_and(|stamp| self.kept.get(path).is_some_and(|kept| kept.stamp.same_content(&stamp)));
        if fresh {
            return;
        }
        match store.keep_packed(&file) {
            Ok(Some(image)) => {
                self.kept.insert(path.to_owned(), image);
            }
            Ok(None) | Err(_) => self.left_out += 1,
        }
    }

    /// A folder got another path.
    pub fn folder_renamed(&mut self, from: &Path, to: &Path) {
        let below: Vec<PathBuf> = self.kept.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in below {
            if let (Ok(rest), Some(image)) = (path.strip_prefix(from), self.kept.remove(&path)) {
                self.kept.insert(to.join(rest), image);
            }
        }
    }

    fn walk(&mut self, dir: &Path, store: &mut Store, depth: usize) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.walk(&entry.path(), store, depth - 1),
                Ok(kind) if kind.is_file() => self.renew(&entry.path(), store),
                _ => {}
            }
        }
    }
}

/// A regular file, without waiting on a pipe or following a link.
pub fn open(path: &Path) -> Option<File> {
    let file =
        File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path).ok()?;
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
}
