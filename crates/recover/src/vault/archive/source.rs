//! Reading one source file: looked at before and after, so that what is stored is what was there at one moment.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use rustix::fs::{Mode, OFlags, SeekFrom as Seeking, Stat, fstat, ioctl_ficlone, openat};
use rustix::io::Errno;

use super::super::chunker::{self, Scan};
use super::super::id::{BlobKind, Id};
use super::super::work::{Assembly, ChunkJob};
use super::super::write::Stopped;
use super::super::{meta, tree};
use super::{Archive, Worker};

/// Reads of a file that changes meanwhile before it is called unstable.
const ATTEMPTS: usize = 3;
const BLOCK: u64 = 1 << 20;
const MIN: u64 = chunker::MIN as u64;

/// What was read.
pub(crate) struct Captured {
    pub(crate) stat: Stat,
    pub(crate) content: Vec<Id>,
    pub(crate) size: u64,
    pub(crate) attributes: meta::Attributes,
    /// It did not change in the meantime.
    pub(crate) stable: bool,
    /// It did, and was read from a copy that the file system made of it at one instant.
    pub(crate) is_copy: bool,
}

/// Why nothing was read.
pub(crate) enum Failure {
    /// The file.
    Source(io::Error),
    /// The vault; the backup is over.
    Vault(Stopped),
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        Failure::Vault(stopped)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Source(error)
    }
}

/// A copy of a file as it is at one instant, without a name: it goes when it is closed, however we end (ioctl_ficlone(2)).
fn copy_at_once(dir: BorrowedFd<'_>, file: &File) -> Option<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let copy = openat(dir, c".", flags, Mode::RUSR | Mode::WUSR).ok()?;
    ioctl_ficlone(&copy, file).ok()?;
    Some(File::from(copy))
}

/// Part of a file: bytes to read, or a hole.
struct Extent {
    end: u64,
    is_hole: bool,
}

impl Archive<'_> {
    /// Stores the content of an open file.
    ///
    /// One in `dir` that never holds still is read from a copy that shares its blocks, where the file system has such copies
    /// (XFS, btrfs). Copying all files like that is no better than reading them again: the copies are not of one instant
    /// either, and nothing would tell which of them do not fit together.
    pub(crate) fn capture_file(
        &self,
        worker: &mut Worker,
        dir: BorrowedFd<'_>,
        fd: OwnedFd,
    ) -> Result<Captured, Failure> {
        let mut file = File::from(fd);
        let mut before = fstat(&file).map_err(io::Error::from)?;
        if meta::kind_of(&before) != tree::Kind::File {
            return Err(io::Error::other("it is no longer a regular file").into());
        }
        let mut attempt = 1;
        loop {
            let (content, size) = self.store_content(worker, &mut file, &before)?;
            let attributes = meta::attributes(file.as_fd());
            let after = fstat(&file).map_err(io::Error::from)?;
            let stable = is_same_moment(&before, &after);
            if stable {
                return Ok(Captured { stat: after, content, size, attributes, stable, is_copy: false });
            }
            if attempt == ATTEMPTS {
                let Some(mut copy) = copy_at_once(dir, &file) else {
                    return Ok(Captured { stat: after, content, size, attributes, stable, is_copy: false });
                };
                let length = fstat(&copy).map_err(io::Error::from)?;
                let (content, size) = self.store_content(worker, &mut copy, &length)?;
                return Ok(Captured { stat: after, content, size, attributes, stable, is_copy: true });
            }
            attempt += 1;
            before = after;
            file.rewind()?;
        }
    }

    fn store_content(
        &self,
        worker: &mut Worker,
        file: &mut File,
        stat: &Stat,
    ) -> Result<(Vec<Id>, u64), Failure> {
        let (content, size) = if stat.st_size as u64 <= MIN {
            self.store_small(worker, file)?
        } else {
            self.store_large(worker, file, stat)?
        };
        self.count_bytes(size);
        Ok((content, size))
    }

    /// A file that is one chunk by definition.
    fn store_small(&self, worker: &mut Worker, file: &mut File) -> Result<(Vec<Id>, u64), Failure> {
        worker.buffer.clear();
        // Up to the end, not the size: files of /proc and /sys say 0. One that has grown shows when it is looked at again.
        file.take(MIN).read_to_end(&mut worker.buffer)?;
        let size = worker.buffer.len() as u64;
        if size == 0 {
            return Ok((Vec::new(), 0));
        }
        let id = self.writer.save(&mut worker.codec, BlobKind::Data, &worker.buffer)?;
        Ok((vec![id], size))
    }

    fn store_large(
        &self,
        worker: &mut Worker,
        file: &mut File,
        stat: &Stat,
    ) -> Result<(Vec<Id>, u64), Failure> {
        let size = stat.st_size as u64;
        let is_sparse = (stat.st_blocks as u64).saturating_mul(512) < size;
        let assembly = Arc::new(Assembly::default());
        let mut pending =
            Pending { bytes: Vec::new(), scan: Scan::default(), assembly: Arc::clone(&assembly) };
        let result = self.store_extents(worker, file, size, is_sparse, &mut pending);
        // Also after a failure: chunks of this file may still be with other threads.
        while let Some(chunk) = self.work.help(&assembly) {
            self.store_chunk(worker, chunk)?;
        }
        let size = result?;
        let ids = std::mem::take(&mut *assembly.ids.lock().unwrap_or_else(PoisonError::into_inner));
        let content: Option<Vec<Id>> = ids.into_iter().collect();
        Ok((content.ok_or(Stopped)?, size))
    }

    fn store_extents(
        &self,
        worker: &mut Worker,
        file: &mut File,
        size: u64,
        is_sparse: bool,
        pending: &mut Pending,
    ) -> Result<u64, Failure> {
        let mut position = 0;
        while position < size {
            if self.writer.has_failed() {
                return Err(Stopped.into());
            }
            let extent = if is_sparse {
                extent_at(file, position, size)?
            } else {
                Extent { end: size, is_hole: false }
            };
            if extent.is_hole {
                self.store_hole(worker, pending, extent.end - position)?;
                position = extent.end;
                continue;
            }
            file.seek(SeekFrom::Start(position))?;
            while position < extent.end {
                let wanted = BLOCK.min(extent.end - position);
                let read = file.take(wanted).read_to_end(&mut pending.bytes)? as u64;
                position += read;
                self.cut_chunks(worker, pending)?;
                if read < wanted {
                    // It became shorter. Looking at it again will show that.
                    return self.finish(worker, pending, position);
                }
            }
        }
        self.finish(worker, pending, position)
    }

    fn finish(&self, worker: &mut Worker, pending: &mut Pending, size: u64) -> Result<u64, Failure> {
        if !pending.bytes.is_empty() {
            let last = std::mem::take(&mut pending.bytes);
            self.hand_out(worker, &pending.assembly, last)?;
        }
        Ok(size)
    }

    /// Zeros that need not be read: within them every chunk has the minimal length, so all but the first few are the same blob.
    fn store_hole(&self, worker: &mut Worker, pending: &mut Pending, length: u64) -> Result<(), Failure> {
        let mut left = length;
        let mut fed = 0;
        while left > 0 {
            if pending.bytes.is_empty() && left >= MIN {
                let zeros = self.zero_chunk(worker)?;
                (0..left / MIN).for_each(|_| pending.assembly.push(zeros));
                left %= MIN;
                continue;
            }
            let more = left.min(MIN);
            pending.bytes.resize(pending.bytes.len() + more as usize, 0);
            left -= more;
            fed += more;
            self.cut_chunks(worker, pending)?;
            let rest = pending.bytes.len() as u64;
            if rest <= fed && rest > 0 && left > 0 {
                // Only zeros of this hole are left over: they go back to it.
                left += rest;
                fed -= rest;
                pending.restart();
            }
        }
        Ok(())
    }

    fn cut_chunks(&self, worker: &mut Worker, pending: &mut Pending) -> Result<(), Stopped> {
        while let Some(cut) = self.vault.chunker.cut(&mut pending.scan, &pending.bytes) {
            let mut rest = Vec::with_capacity(2 * BLOCK as usize);
            rest.extend_from_slice(&pending.bytes[cut..]);
            let mut chunk = std::mem::replace(&mut pending.bytes, rest);
            chunk.truncate(cut);
            pending.scan = Scan::default();
            self.hand_out(worker, &pending.assembly, chunk)?;
        }
        Ok(())
    }

    fn hand_out(&self, worker: &mut Worker, file: &Arc<Assembly>, bytes: Vec<u8>) -> Result<(), Stopped> {
        let chunk = ChunkJob { bytes, file: Arc::clone(file), position: file.reserve() };
        match self.work.offer(chunk) {
            Ok(()) => Ok(()),
            Err(chunk) => self.store_chunk(worker, chunk),
        }
    }

    /// Stores a chunk of a large file.
    pub(crate) fn store_chunk(&self, worker: &mut Worker, chunk: ChunkJob) -> Result<(), Stopped> {
        let saved = self.writer.save(&mut worker.codec, BlobKind::Data, &chunk.bytes);
        if let Ok(id) = &saved {
            chunk.file.ids.lock().unwrap_or_else(PoisonError::into_inner)[chunk.position] = Some(*id);
        }
        self.work.chunk_done(&chunk.file);
        saved.map(|_| ())
    }

    fn zero_chunk(&self, worker: &mut Worker) -> Result<Id, Stopped> {
        if let Some(id) = self.zeros.get() {
            return Ok(*id);
        }
        let id = self.writer.save(&mut worker.codec, BlobKind::Data, &vec![0; chunker::MIN])?;
        Ok(*self.zeros.get_or_init(|| id))
    }
}

/// The bytes of the chunk whose end is being looked for.
struct Pending {
    bytes: Vec<u8>,
    scan: Scan,
    assembly: Arc<Assembly>,
}

impl Pending {
    fn restart(&mut self) {
        self.bytes.clear();
        self.scan = Scan::default();
    }
}

fn extent_at(file: &File, position: u64, size: u64) -> io::Result<Extent> {
    let data = match rustix::fs::seek(file, Seeking::Data(position)) {
        Ok(data) => data.min(size),
        Err(Errno::NXIO) => size,
        // The file system cannot tell holes from data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Extent { end: size, is_hole: false }),
        Err(error) => return Err(error.into()),
    };
    if data > position {
        return Ok(Extent { end: data, is_hole: true });
    }
    let hole = rustix::fs::seek(file, Seeking::Hole(position)).unwrap_or(size);
    Ok(Extent { end: hole.clamp(position + 1, size), is_hole: false })
}

/// Whether nobody wrote between two looks, as far as the file system tells.
fn is_same_moment(a: &Stat, b: &Stat) -> bool {
    let key = |s: &Stat| (s.st_ino, s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec);
    key(a) == key(b)
}
