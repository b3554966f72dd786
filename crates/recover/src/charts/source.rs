use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use decode::hl7::MAX_BYTES;

use crate::Error;

/// What a folder holds under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, which the source can open.
    pub path: PathBuf,
    /// Whether it is a folder; symbolic links and devices are neither listed as folder nor as file.
    pub is_folder: bool,
}

type Opens<'a, T> = Box<dyn Fn(&Path) -> Result<T, Error> + 'a>;

/// Where charts are read from: a snapshot in a vault, or a folder on disk. Nothing is ever written.
///
/// Two functions rather than a trait, since nobody but the two constructors' callers ever makes one.
pub struct Source<'a> {
    top: PathBuf,
    list: Opens<'a, Vec<Entry>>,
    read: Opens<'a, Vec<u8>>,
}

impl<'a> Source<'a> {
    /// A source that starts at `top`. `list` gives the folders and regular files of a folder, `read` a file's
    /// content; both are asked one after the other, never in parallel.
    pub fn new(
        top: impl Into<PathBuf>,
        list: impl Fn(&Path) -> Result<Vec<Entry>, Error> + 'a,
        read: impl Fn(&Path) -> Result<Vec<u8>, Error> + 'a,
    ) -> Source<'a> {
        Source { top: top.into(), list: Box::new(list), read: Box::new(read) }
    }

    /// A folder on disk, such as a restored one or the store itself. Symbolic links are not followed.
    pub fn folder(dir: &Path) -> Source<'static> {
        Source::new(dir, list_folder, read_file)
    }

    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// Folders and files of a folder, by name.
    pub(super) fn list(&self, folder: &Path) -> Result<Vec<Entry>, Error> {
        let mut entries = (self.list)(folder)?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        (self.read)(path)
    }
}

fn list_folder(folder: &Path) -> Result<Vec<Entry>, Error> {
    let failed = |source: io::Error| Error::Io { op: "list", path: folder.to_path_buf(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() || kind.is_file() {
            entries.push(Entry { path: entry.path(), is_folder: kind.is_dir() });
        }
    }
    Ok(entries)
}

/// Reads at most one byte more than a message may have, so that a sparse giant under a record's name is
/// refused as too large without being read.
fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source: io::Error| Error::Io { op: "read", path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
