//! The file system as a repository in a folder uses it: each method is one step of which a power loss, a kill or an error may come before
//! and after. The methods do the real thing; whoever has to see every step, or to make one fail, puts something in between.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// Steps on files and folders. A name is durable only after [`Disk::flush_dir`] of its folder, content only after [`Disk::flush`].
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder in one that is there; it is no error if it is there already.
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => Err(e),
            _ => Ok(()),
        }
    }

    /// Makes an empty file that only its owner can read, under a name that is free.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)
    }

    /// Writes to a file that was made.
    fn write(&self, mut file: &File, _path: &Path, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Makes a file's content durable.
    fn flush(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    /// Makes the names in a folder durable, those that are gone among them.
    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Renames without replacing. What is there already has the name of the same content, so the new copy is dropped.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => fs::remove_file(from),
            // File systems without that flag (FAT, some network shares).
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if !to.exists() => fs::rename(from, to),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::remove_file(from),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// The names in a folder, with the lengths of the files that still have them.
    fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, u64)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if let Ok(meta) = entry.metadata() {
                names.push((entry.file_name(), meta.len()));
            }
        }
        Ok(names)
    }

    /// The content of a file, cut off one byte after `most`.
    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens a file to read parts of it, and tells its length.
    fn open(&self, path: &Path) -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// Fills the buffer from a part of an open file; a file that ends before that is an error.
    fn read_at(&self, file: &File, _path: &Path, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }
}

/// Nothing in between.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {}
