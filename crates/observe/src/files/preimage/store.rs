//! The bounded place where pre-images are kept.
//!
//! Contents lie in unlinked files: nothing is left behind when the guard dies, and the records in them cannot be read by name. Reflinks
//! exist within one file system only, so where the tree's can make them the unlinked files lie there, without a name in any of its
//! folders; the store folder takes the copies.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags, fstat, fstatvfs, ioctl_ficlone, openat};

use super::{Content, PreImage, Room, Stamp};
use crate::Error;
use crate::files::limits;

/// Up to here a pre-image stays in memory, while there is room.
const MEMORY_EACH_MAX: u64 = 64 * 1024;
/// All that stays in memory; further small contents go to the pack.
const MEMORY_MAX: u64 = 16 << 20;
/// Above this no file is copied while its open waits: at 300 MB/s, which a slow disk gives, that is under two seconds. A reflink has no such bound.
pub const COPY_EACH_MAX: u64 = 512 * 1024 * 1024;

/// How the contents of one tree are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Reflinked into unlinked files on the tree's own file system.
    Reflink,
    /// Copied into the store folder.
    Copy,
}

impl Home {
    /// Its name in what the guard says.
    pub fn id(self) -> &'static str {
        match self {
            Home::Reflink => "reflink",
            Home::Copy => "copy",
        }
    }
}

/// The bounded place where pre-images are kept.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    max: u64,
    used: Arc<AtomicU64>,
    in_memory: Arc<AtomicU64>,
    /// Bytes that reflinks would take if every original were overwritten, and how many there are.
    reflinked: Arc<AtomicU64>,
    /// Keeps count of files, each of which holds a descriptor.
    clones: Arc<()>,
    clones_max: u64,
    /// Files that were too large or for which no room was left.
    refused: u64,
    /// One unlinked file for many contents, and its length.
    pack: Option<(Arc<File>, u64)>,
    /// Folders for reflinks, by device.
    homes: BTreeMap<u64, OwnedFd>,
}

impl Store {
    /// Opens or makes the folder, for its owner only.
    pub fn open(dir: &Path, max: u64) -> Result<Self, Error> {
        let failed = |source| Error::Store { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let dir = fs::canonicalize(dir).map_err(failed)?;
        let meta = fs::metadata(&dir).map_err(failed)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            // Its owner could open it again at any time.
            return Err(failed(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it belongs to somebody else",
            )));
        }
        if meta.mode() & 0o077 != 0 {
            fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(Self {
            dir,
            max,
            used: Arc::default(),
            in_memory: Arc::default(),
            reflinked: Arc::default(),
            clones: Arc::default(),
            clones_max: limits::clones(),
            refused: 0,
            pack: None,
            homes: BTreeMap::new(),
        })
    }

    /// Takes the tree's own file system for reflinks where it can make them, and says how its contents are kept.
    pub fn settle(&mut self, tree: BorrowedFd<'_>) -> Home {
        let Ok(stat) = fstat(tree) else { return Home::Copy };
        let reflinks = || -> io::Result<OwnedFd> {
            let (from, to) = (nameless(tree)?, nameless(tree)?);
            from.write_all_at(&[1; 4096], 0)?;
            ioctl_ficlone(&to, &from)?;
            tree.try_clone_to_owned()
        };
        match reflinks() {
            Ok(home) => {
                self.homes.insert(stat.st_dev, home);
                Home::Reflink
            }
            Err(_) => Home::Copy,
        }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The most bytes it may hold.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Bytes in use, without reflinks.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Files that were too large or for which no room was left: they are watched but cannot be put back.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Keeps what `file` holds now; `None` when the bounds forbid it. The caller makes room and asks again, or says [`Store::refuse`].
    pub fn keep(&mut self, file: &File) -> Result<Option<PreImage>, Error> {
        let stamp = Stamp::of(file).map_err(Error::PreImage)?;
        self.keep_as(file, stamp)
    }

    /// The same, where it was looked at already and nobody can have changed it since.
    pub(in crate::files) fn keep_as(&mut self, file: &File, stamp: Stamp) -> Result<Option<PreImage>, Error> {
        let fits = self.used() + stamp.size <= self.max;
        if stamp.size <= MEMORY_EACH_MAX && self.in_memory.load(Ordering::Relaxed) + stamp.size <= MEMORY_MAX
        {
            return if fits { self.keep_in_memory(stamp, file).map(Some) } else { Ok(None) };
        }
        if stamp.size > MEMORY_EACH_MAX
            && let Some(image) = self.reflink(stamp, file)
        {
            return Ok(Some(image));
        }
        if !fits || stamp.size > COPY_EACH_MAX {
            return Ok(None);
        }
        self.keep_packed(file)
    }

    /// Counts a file that is watched and could not be kept.
    pub fn refuse(&mut self) {
        self.refused += 1;
    }

    fn keep_in_memory(&self, stamp: Stamp, file: &File) -> Result<PreImage, Error> {
        let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0) + 1);
        if stamp.size > 0 {
            let mut rest = FromStart { file, at: 0, end: MEMORY_EACH_MAX };
            rest.read_to_end(&mut bytes).map_err(Error::PreImage)?;
        }
        Ok(image(stamp, Content::Memory(bytes.into()), [&self.used, &self.in_memory], None))
    }

    /// Of any size, while its worst case fits into half of what is free: a reflink takes room as its original is overwritten.
    fn reflink(&self, stamp: Stamp, file: &File) -> Option<PreImage> {
        let home = self.homes.get(&stamp.key.0)?;
        let free = fstatvfs(home).ok().map(|all| all.f_bavail.saturating_mul(all.f_frsize))?;
        let reflinked = self.reflinked.load(Ordering::Relaxed);
        // The count of references is the count of files, but for this one.
        let clones = Arc::strong_count(&self.clones) as u64;
        if reflinked + stamp.size > free / 2 || clones > self.clones_max {
            return None;
        }
        let copy = nameless(home).ok()?;
        ioctl_ficlone(&copy, file).ok()?;
        let content = Content::Reflinked { file: Arc::new(copy), _counted: Arc::clone(&self.clones) };
        Some(image(stamp, content, [&self.reflinked, &Arc::default()], None))
    }

    /// Keeps what `file` holds now in the pack: one file for all, which costs no descriptor each.
    pub fn keep_packed(&mut self, file: &File) -> Result<Option<PreImage>, Error> {
        let stamp = Stamp::of(file).map_err(Error::PreImage)?;
        if self.used() + stamp.size > self.max {
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
        Ok(Some(image(stamp, content, [&self.used, &Arc::default()], Some((pack, end)))))
    }

    /// A file without a name, for its owner only.
    pub(in crate::files) fn unlinked(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let flags = OFlags::TMPFILE.bits().cast_signed();
        options.custom_flags(flags).open(&self.dir)
    }
}

fn image(
    stamp: Stamp,
    content: Content,
    used: [&Arc<AtomicU64>; 2],
    hole: Option<(Arc<File>, u64)>,
) -> PreImage {
    for used in used {
        used.fetch_add(stamp.size, Ordering::Relaxed);
    }
    let room = Room { bytes: stamp.size, used: used.map(Arc::clone), hole };
    PreImage { stamp, content, _room: Arc::new(room) }
}

/// A file without a name in `dir`, for its owner only.
fn nameless(dir: impl std::os::fd::AsFd) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(dir, ".", flags, Mode::RUSR | Mode::WUSR)?.into())
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
