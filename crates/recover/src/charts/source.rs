use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

type Parts<'a> = Box<dyn Fn(&Path, u64, usize) -> Result<Vec<u8>, Error> + 'a>;
type Opens<'a, T> = Box<dyn Fn(&Path) -> Result<T, Error> + 'a>;

/// Makes another handle of the same source, on any thread.
pub(super) type Again<'a> = Arc<dyn Fn() -> Source<'a> + Send + Sync + 'a>;

/// Where charts are read from: a snapshot in a vault, or a folder on disk. Nothing is ever written.
///
/// Functions rather than a trait, since nobody but the two constructors' callers ever makes one.
pub struct Source<'a> {
    top: PathBuf,
    list: Opens<'a, Vec<Entry>>,
    read: Opens<'a, Vec<u8>>,
    again: Option<Again<'a>>,
    part: Option<Parts<'a>>,
}

impl<'a> Source<'a> {
    /// A source that starts at `top`. `list` gives the folders and regular files of a folder, `read` a file's
    /// content; both are asked one after the other, never in parallel.
    pub fn new(
        top: impl Into<PathBuf>,
        list: impl Fn(&Path) -> Result<Vec<Entry>, Error> + 'a,
        read: impl Fn(&Path) -> Result<Vec<u8>, Error> + 'a,
    ) -> Source<'a> {
        Source { top: top.into(), list: Box::new(list), read: Box::new(read), again: None, part: None }
    }

    /// With a way to read parts of files that are too large to be read whole: at most so many bytes from an offset on, fewer where
    /// the file ends. Without one, such files are not read.
    pub fn with_parts(
        mut self,
        part: impl Fn(&Path, u64, usize) -> Result<Vec<u8>, Error> + 'a,
    ) -> Source<'a> {
        self.part = Some(Box::new(part));
        self
    }

    /// A folder on disk, such as a restored one or the store itself. Symbolic links are not followed.
    pub fn folder(dir: &Path) -> Source<'static> {
        let again = dir.to_path_buf();
        Source::new(dir, list_folder, read_file)
            .with_parts(read_part)
            .readable_again(move || Source::folder(&again))
    }

    /// The same with a way for other threads to read it, too.
    pub(super) fn readable_again(self, again: impl Fn() -> Source<'a> + Send + Sync + 'a) -> Source<'a> {
        Source { again: Some(Arc::new(again)), ..self }
    }

    /// What makes handles for other threads; `None` where one thread alone may read.
    pub(super) fn again(&self) -> Option<Again<'a>> {
        self.again.clone()
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

    pub(super) fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        if let Some(part) = &self.part {
            return part(path, offset, length);
        }
        let whole = (self.read)(path)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| whole.get(offset..)).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest).to_vec())
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

fn read_part(path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
    let failed = |source: io::Error| Error::Io { op: "read", path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
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
