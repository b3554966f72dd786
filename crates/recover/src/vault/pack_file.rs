//! Reading parts of a pack, on a disk or from a server.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;
use super::id::Id;
use super::rest::Rest;
use crate::Error;

/// An open pack.
pub(crate) struct PackFile {
    content: Content,
    pub(crate) size: u64,
    path: PathBuf,
}

enum Content {
    File(Arc<dyn Disk>, File),
    Remote(Arc<Rest>, Id),
}

impl PackFile {
    pub(crate) fn local(disk: Arc<dyn Disk>, file: File, size: u64, path: PathBuf) -> PackFile {
        PackFile { content: Content::File(disk, file), size, path }
    }

    pub(crate) fn remote(rest: Arc<Rest>, id: Id, size: u64, path: PathBuf) -> PackFile {
        PackFile { content: Content::Remote(rest, id), size, path }
    }

    /// Reads `length` bytes at `offset`; `buffer` is replaced. The range is checked against the file before memory is taken.
    pub(crate) fn read_at(&self, offset: u64, length: usize, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let failed = |source| Error::Io { op: "read", path: self.path.clone(), source };
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, "the pack ends too early")));
        }
        match &self.content {
            Content::File(disk, file) => {
                buffer.resize(length, 0);
                disk.read_at(file, &self.path, buffer, offset).map_err(failed)
            }
            Content::Remote(rest, id) => {
                *buffer = rest.read_part(id, offset, length)?;
                Ok(())
            }
        }
    }
}
