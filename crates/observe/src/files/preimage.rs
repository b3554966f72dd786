//! What files held before somebody opened them for writing.
//!
//! Small contents stay in memory (kept by count of bytes), larger ones go to the [`Store`].

mod store;

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use decode::content::{Chunk, Sample, WHOLE_MAX, places};
use rustix::fs::{FallocateFlags, fallocate};

pub use self::store::{COPY_EACH_MAX, Home, Store};

/// Everything about a file beside its content that putting back restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode.
    pub key: (u64, u64),
    /// Bytes.
    pub size: u64,
    /// Permission bits and type.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Access and modification time, seconds and nanoseconds.
    pub atime: (i64, i64),
    /// Modification time.
    pub mtime: (i64, i64),
    /// Change time: differs whenever content, name count or attributes changed.
    pub ctime: (i64, i64),
    /// Names of the inode; 0 once removed.
    pub links: u64,
}

impl Stamp {
    /// Of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|meta| Self::from_metadata(&meta))
    }

    /// Of a metadata record.
    pub fn from_metadata(meta: &fs::Metadata) -> Self {
        Self {
            key: (meta.dev(), meta.ino()),
            size: meta.size(),
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            atime: (meta.atime(), meta.atime_nsec()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
            links: meta.nlink(),
        }
    }

    /// It is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// Same content as far as the file system tells.
    pub fn same_content(&self, other: &Self) -> bool {
        self.key == other.key
            && self.size == other.size
            && self.mtime == other.mtime
            && self.ctime == other.ctime
    }
}

/// A content that was kept, with the attributes the file had then. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PreImage {
    /// The attributes.
    pub stamp: Stamp,
    content: Content,
    /// Gives the room back when the last clone goes.
    _room: Arc<Room>,
}

#[derive(Debug, Clone)]
enum Content {
    Memory(Arc<[u8]>),
    /// A file of its own; how many there are is counted by references.
    Reflinked {
        file: Arc<File>,
        _counted: Arc<()>,
    },
    /// A stretch of the pack: offset and length.
    Packed(Arc<File>, u64, u64),
}

#[derive(Debug)]
struct Room {
    bytes: u64,
    /// What it counts for: all bytes, and those of its kind.
    used: [Arc<AtomicU64>; 2],
    /// The stretch of the pack that becomes free.
    hole: Option<(Arc<File>, u64)>,
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some((pack, at)) = self.hole.as_ref().filter(|_| self.bytes > 0) {
            // A file system that cannot punch holes keeps the bytes until the guard ends.
            let _ = fallocate(pack, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, *at, self.bytes);
        }
        for used in &self.used {
            used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl PreImage {
    /// A reader over the whole content.
    pub fn reader(&self) -> impl Read + '_ {
        ContentReader { content: &self.content, at: 0 }
    }

    /// Stretches of the content for comparing.
    pub fn sample(&self) -> io::Result<Sample> {
        match &self.content {
            Content::Memory(bytes) => {
                sample_with(bytes.len() as u64, |buffer, at| read_slice(bytes, buffer, at))
            }
            Content::Reflinked { file, .. } => sample(file),
            Content::Packed(pack, start, len) => {
                sample_with(*len, |buffer, at| read_stretch(pack, *start, *len, buffer, at))
            }
        }
    }
}

struct ContentReader<'a> {
    content: &'a Content,
    at: u64,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = match self.content {
            Content::Memory(bytes) => read_slice(bytes, buffer, self.at)?,
            Content::Reflinked { file, .. } => file.read_at(buffer, self.at)?,
            Content::Packed(pack, start, len) => read_stretch(pack, *start, *len, buffer, self.at)?,
        };
        self.at += len as u64;
        Ok(len)
    }
}

fn read_stretch(pack: &File, start: u64, len: u64, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let room = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
    pack.read_at(buffer.get_mut(..room).unwrap_or_default(), start + at)
}

fn read_slice(bytes: &[u8], buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    rest.read(buffer)
}

/// Where stretches of large files lie: another place each time the guard starts, so that nobody can write around them.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// Stretches of an open file: all of a small one; head, tail and many places between of a large one.
pub(super) fn sample(file: &File) -> io::Result<Sample> {
    sample_with(file.metadata()?.len(), |buffer, at| file.read_at(buffer, at))
}

fn sample_with(len: u64, read: impl Fn(&mut [u8], u64) -> io::Result<usize>) -> io::Result<Sample> {
    let chunk = |offset: u64, len: u64| -> io::Result<Chunk> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match read(room, offset + filled as u64)? {
                0 => break,
                more => filled += more,
            }
        }
        bytes.truncate(filled);
        Ok(Chunk { offset, bytes })
    };
    let mut chunks = Vec::new();
    for (offset, len) in places(len, *SEED) {
        chunks.push(chunk(offset, len)?);
    }
    chunks.retain(|chunk| !chunk.bytes.is_empty());
    // A small file may have become shorter since its length was asked for.
    let read = chunks.last().map_or(0, |last| last.offset + last.bytes.len() as u64);
    Ok(Sample { len: if len <= WHOLE_MAX { read } else { len }, chunks })
}

#[cfg(test)]
mod tests;
