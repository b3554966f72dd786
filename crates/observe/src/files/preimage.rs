//! What files held before somebody opened them for writing.
//!
//! Small contents stay in memory (kept by count of bytes), larger ones go to the store as unlinked files: reflinked where
//! the file system can, else copied. Unlinked, because then nothing is left behind when the guard dies, and the records in
//! it cannot be read by name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use decode::content::{Chunk, Sample};
use rustix::fs::{FallocateFlags, OFlags, fallocate, ioctl_ficlone};

use crate::Error;

/// Up to here a pre-image stays in memory.
const MEMORY_EACH_MAX: u64 = 256 * 1024;
/// All that stays in memory together; beyond, small contents go to the pack as well.
const MEMORY_ALL_MAX: u64 = 20 << 20;
/// Above this no file is copied while its open waits; a reflink has no such bound.
pub const COPY_EACH_MAX: u64 = 256 * 1024 * 1024;
/// Up to here whole contents are compared, above it stretches of them.
const SAMPLE_WHOLE_MAX: u64 = 256 * 1024;
const SAMPLE_CHUNK: u64 = 32 * 1024;

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
    Stored(Arc<File>),
    /// A stretch of the pack: offset and length.
    Packed(Arc<File>, u64, u64),
}

#[derive(Debug)]
struct Room {
    bytes: u64,
    /// Where they are counted: in the store, and if they are there, in memory.
    counts: Vec<Arc<AtomicU64>>,
    /// The stretch of the pack that becomes free.
    hole: Option<(Arc<File>, u64)>,
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some((pack, at)) = self.hole.as_ref().filter(|_| self.bytes > 0) {
            // A file system that cannot punch holes keeps the bytes until the guard ends.
            let _ = fallocate(pack, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, *at, self.bytes);
        }
        for count in &self.counts {
            count.fetch_sub(self.bytes, Ordering::Relaxed);
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
            Content::Stored(file) => sample(file),
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
            Content::Stored(file) => file.read_at(buffer, self.at)?,
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

/// Stretches of an open file: all of a small one; head, tail and six places between of a large one. The places depend on the
/// length only, so that two files of one length are sampled alike.
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
    if len <= SAMPLE_WHOLE_MAX {
        let whole = chunk(0, len)?;
        return Ok(Sample {
            len: whole.bytes.len() as u64,
            chunks: if whole.bytes.is_empty() { vec![] } else { vec![whole] },
        });
    }
    let step = (len - SAMPLE_CHUNK) / 7;
    let mut chunks = Vec::with_capacity(8);
    for place in 0..8 {
        // Aligned, so that an original and a copy with bytes added at its end are still compared at equal offsets.
        let offset = if place == 7 { len - SAMPLE_CHUNK } else { (place * step) & !4095 };
        chunks.push(chunk(offset, SAMPLE_CHUNK)?);
    }
    Ok(Sample { len, chunks })
}

/// The bounded place where pre-images are kept.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    max: u64,
    used: Arc<AtomicU64>,
    in_memory: Arc<AtomicU64>,
    /// Files that were too large or for which no room was left.
    refused: u64,
    /// One unlinked file for many contents, and its length.
    pack: Option<(Arc<File>, u64)>,
}

impl Store {
    /// Opens or makes the folder, for its owner only.
    pub fn open(dir: &Path, max: u64) -> Result<Self, Error> {
        let failed = |source| Error::Store { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let dir = fs::canonicalize(dir).map_err(failed)?;
        Ok(Self { dir, max, used: Arc::default(), in_memory: Arc::default(), refused: 0, pack: None })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The most bytes it may hold.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Files that were too large or for which no room was left: they are watched but cannot be put back.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Keeps what `file` holds now; `None` when the bounds forbid it.
    pub fn keep(&mut self, file: &File) -> Result<Option<PreImage>, Error> {
        let stamp = Stamp::of(file).map_err(Error::PreImage)?;
        if self.used() + stamp.size > self.max {
            self.refused += 1;
            return Ok(None);
        }
        let is_small = stamp.size <= MEMORY_EACH_MAX;
        if is_small && self.in_memory.load(Ordering::Relaxed) + stamp.size > MEMORY_ALL_MAX {
            return self.keep_packed(file);
        }
        let content = if is_small {
            let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0) + 1);
            let mut rest = FromStart { file, at: 0, end: MEMORY_EACH_MAX };
            rest.read_to_end(&mut bytes).map_err(Error::PreImage)?;
            Content::Memory(bytes.into())
        } else {
            let copy = self.unlinked().map_err(|source| Error::Store { path: self.dir.clone(), source })?;
            if ioctl_ficlone(&copy, file).is_err() {
                if stamp.size > COPY_EACH_MAX {
                    self.refused += 1;
                    return Ok(None);
                }
                let mut rest = FromStart { file, at: 0, end: stamp.size };
                io::copy(&mut rest, &mut &copy).map_err(Error::PreImage)?;
            }
            Content::Stored(Arc::new(copy))
        };
        Ok(Some(self.image(stamp, content, None)))
    }

    /// Keeps what `file` holds now in the pack: for whole trees, whose contents would fill the memory.
    pub fn keep_packed(&mut self, file: &File) -> Result<Option<PreImage>, Error> {
        let stamp = Stamp::of(file).map_err(Error::PreImage)?;
        if self.used() + stamp.size > self.max {
            self.refused += 1;
            return Ok(None);
        }
        let failed = |source| Error::Store { path: self.dir.clone(), source };
        let (pack, end) = match self.pack.take() {
            Some(pack) => pack,
            None => (Arc::new(self.unlinked().map_err(failed)?), 0),
        };
        let copied = copy_to(file, &pack, end, stamp.size).map_err(Error::PreImage);
        // Whole blocks, so that a hole can be punched for each.
        self.pack = Some((Arc::clone(&pack), (end + stamp.size).next_multiple_of(4096)));
        let stamp = Stamp { size: copied?, ..stamp };
        let content = Content::Packed(Arc::clone(&pack), end, stamp.size);
        Ok(Some(self.image(stamp, content, Some((pack, end)))))
    }

    fn image(&self, stamp: Stamp, content: Content, hole: Option<(Arc<File>, u64)>) -> PreImage {
        let mut counts = vec![Arc::clone(&self.used)];
        if matches!(content, Content::Memory(_)) {
            counts.push(Arc::clone(&self.in_memory));
        }
        for count in &counts {
            count.fetch_add(stamp.size, Ordering::Relaxed);
        }
        let room = Room { bytes: stamp.size, counts, hole };
        PreImage { stamp, content, _room: Arc::new(room) }
    }

    /// A file without a name, for its owner only.
    pub(super) fn unlinked(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let flags = OFlags::TMPFILE.bits().cast_signed();
        options.custom_flags(flags).open(&self.dir)
    }
}

/// Reads without moving the position that the file's other users share.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let len = self.file.read_at(buffer.get_mut(..room).unwrap_or_default(), self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

fn copy_to(from: &File, to: &File, at: u64, len: u64) -> io::Result<u64> {
    let mut buffer = vec![0; usize::try_from(len.clamp(1, 1 << 20)).unwrap_or(1 << 20)];
    let mut done = 0;
    while done < len {
        let read = from.read_at(&mut buffer, done)?;
        let bytes = buffer.get(..read).filter(|bytes| !bytes.is_empty());
        let Some(bytes) = bytes else { break };
        to.write_all_at(bytes, at + done)?;
        done += read as u64;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_outlives_the_change_and_its_room_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("store"), 2_000_000).unwrap();
        for len in [0, 400, 300_000] {
            let path = dir.path().join("record");
            let content: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            fs::write(&path, &content).unwrap();
            let file = File::open(&path).unwrap();
            let kept = [store.keep(&file).unwrap().unwrap(), store.keep_packed(&file).unwrap().unwrap()];
            fs::write(&path, b"gone").unwrap();
            for kept in &kept {
                let mut read = Vec::new();
                kept.reader().read_to_end(&mut read).unwrap();
                assert_eq!(read, content);
                assert_eq!(kept.sample().unwrap().len, len as u64);
            }
            assert_eq!(store.used(), 2 * len as u64);
            drop(kept);
            assert_eq!(store.used(), 0);
        }
    }

    #[test]
    fn what_memory_has_no_room_for_goes_to_the_pack_and_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("store"), 1 << 30).unwrap();
        let path = dir.path().join("record");
        let mut kept = Vec::new();
        for number in 0..2 * MEMORY_ALL_MAX / MEMORY_EACH_MAX {
            fs::write(&path, vec![number as u8; MEMORY_EACH_MAX as usize]).unwrap();
            kept.push(store.keep(&File::open(&path).unwrap()).unwrap().unwrap());
        }
        assert!(store.in_memory.load(Ordering::Relaxed) <= MEMORY_ALL_MAX);
        assert_eq!(store.used(), 2 * MEMORY_ALL_MAX);
        for (number, kept) in kept.iter().enumerate() {
            let mut read = Vec::new();
            kept.reader().read_to_end(&mut read).unwrap();
            assert!(read.len() == MEMORY_EACH_MAX as usize && read.iter().all(|byte| *byte == number as u8));
        }
        drop(kept);
        assert_eq!((store.used(), store.in_memory.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("store"), 1000).unwrap();
        let path = dir.path().join("record");
        fs::write(&path, vec![1; 1001]).unwrap();
        assert!(store.keep(&File::open(&path).unwrap()).unwrap().is_none());
        assert_eq!((store.refused(), store.used()), (1, 0));
    }
}
