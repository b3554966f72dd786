//! The kernel's view of a protected tree, with opens that wait for an answer (fanotify(7), needs CAP_SYS_ADMIN).
//!
//! Two groups, because the kernel does not combine permission events with names (EINVAL, measured on 6.18):
//! (a) pre-content class with thread ids: every open below the tree waits, and where the kernel can (Linux 6.14 on ext4, XFS and
//! btrfs) every truncation by path; every close after a write is told;
//! (b) notification class with directory handles and names: entries made, removed and renamed.
//!
//! Thread ids are taken instead of pidfds, which exclude each other: the open's flags stand in `/proc/TID/syscall` of the very thread
//! that waits, and while it waits its id cannot be reused.
//!
//! `FAN_PRE_ACCESS` also waits before each read and write through a descriptor that was opened after the mark was set (10 µs each,
//! measured). A file whose content is kept, or that was opened for writing and is thereby kept, gets a mark that takes it out
//! ([`Watch::spare`]): then they cost half a microsecond. The mark is evictable, so it lives no longer than the kernel's own memory of the file.
//! Writes through descriptors from before the mark wait for nobody (measured on 6.18).
//!
//! (a) marks a mount or a whole file system that holds nothing else; (b) marks the file system, which holds nobody up,
//! and drops what lies elsewhere. Both queues are unlimited: the kernel lets an open pass that finds no room in one. When the process
//! ends, however it ends, the kernel lets every waiting open pass: the guard **fails open**, because a hospital that cannot open
//! records is worse off than one that is watched by nobody for a minute.

mod access;
mod board;
mod event;
mod ignore;
mod message;
mod names;
mod reader;
mod sys;
mod tier;

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use rustix::fs::readlinkat;
use rustix::path::DecInt;

pub use self::board::Board;
pub use self::message::{Message, Waiting};
pub use self::names::{Change, NameChange};
pub use self::tier::{Tier, Watched};

use self::names::Names;
use self::reader::Reader;
use super::limits;
use super::mount::{Apart, Foreign, Mount, Ward};
use crate::Error;

const CONTENT_GROUP: u32 = libc::FAN_CLASS_PRE_CONTENT
    | libc::FAN_CLOEXEC
    | libc::FAN_NONBLOCK
    | libc::FAN_REPORT_TID
    | libc::FAN_UNLIMITED_QUEUE
    | libc::FAN_UNLIMITED_MARKS;
const NAME_GROUP: u32 = libc::FAN_CLASS_NOTIF
    | libc::FAN_CLOEXEC
    | libc::FAN_NONBLOCK
    | libc::FAN_REPORT_DFID_NAME
    | libc::FAN_UNLIMITED_QUEUE
    | libc::FAN_UNLIMITED_MARKS;
/// Linux 6.14; not in libc yet.
const FAN_PRE_ACCESS: u64 = 0x0010_0000;
const CONTENT_MASK: u64 = libc::FAN_OPEN_PERM | libc::FAN_CLOSE_WRITE | libc::FAN_MODIFY;
const SPARED: u32 =
    libc::FAN_MARK_IGNORED_MASK | libc::FAN_MARK_IGNORED_SURV_MODIFY | libc::FAN_MARK_EVICTABLE;
const BUFFER: usize = 64 * 1024;
/// Longer paths take a second call.
const PATH_LIKELY: usize = 256;

/// What need not be told of a file for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// It is kept, so reads of it need not wait. A truncation by path is then told by nobody (measured: `FAN_MODIFY` of a truncation
    /// reaches no group that hands over descriptors), so whoever spares a file looks at it.
    Reads,
    /// It is kept and somebody has it open for writing: neither reads nor writes, until one closes it.
    Writes,
}

/// Protection of one or several trees by permission events; dropped, everybody passes and the mounts go.
#[derive(Debug)]
pub struct Watch {
    wards: Vec<Ward>,
    watched: Vec<Watched>,
    messages: Receiver<Message>,
    /// Let go before the names, see [`Watch::start`].
    content: Arc<OwnedFd>,
    names: Names,
    pending: Arc<AtomicBool>,
    board: Arc<Board>,
    stop: Option<OwnedFd>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Starts protecting `dirs`. From the return on every open below them waits for an answer.
    pub fn start(dirs: &[PathBuf]) -> Result<Self, Error> {
        let group = |flags, purpose| {
            sys::init(flags, libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC)
                .map_err(|source| Error::Group { purpose, source })
        };
        // The order decides whether the guard can be killed. Whoever waits for an answer of (a) also holds (b), whose end waits for it; a dying
        // process lets go of its files from the highest number to the lowest. With (a) below (b) the guard could not end while
        // anybody waits, and everybody would wait for good (measured on 6.18).
        let names = Arc::new(group(NAME_GROUP, "names")?);
        let content = Arc::new(group(CONTENT_GROUP, "opens that wait")?);
        // Signals before threads: the mask is inherited.
        let termination = sys::termination().map_err(Error::Read)?;
        let (stopped, stop) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| Error::Read(e.into()))?;
        // What waits is bounded by the board, for which the reader refuses more; a second bound here could only lose closes.
        let (send, messages) = unbounded();
        let (pending, board) = (Arc::new(AtomicBool::new(false)), Arc::new(Board::default()));
        let reader = Reader {
            content: Arc::clone(&content),
            names: Arc::clone(&names),
            termination,
            stopped,
            send,
            pending: Arc::clone(&pending),
            board: Arc::clone(&board),
            waiting_max: limits::waiting(),
        };
        // The reader runs before the first mark is set, so that the guard never waits for itself.
        let reader =
            thread::Builder::new().name("reader".into()).spawn(move || reader.run()).map_err(Error::Read)?;
        let mut watch = Self {
            wards: Vec::new(),
            watched: Vec::new(),
            content,
            names: Names::new(names),
            pending,
            board,
            messages,
            stop: Some(stop),
            reader: Some(reader),
        };
        for dir in dirs {
            watch.add(dir)?;
        }
        Ok(watch)
    }

    fn add(&mut self, dir: &Path) -> Result<(), Error> {
        let ward = Ward::new(dir)?;
        self.names.trees.push(ward.path.clone());
        for mount in &ward.mounts {
            let at = &mount.at;
            let open = |source| Error::OpenRoot { path: at.clone(), source };
            let target = CString::new(at.as_os_str().as_bytes()).map_err(|e| open(e.into()))?;
            let mark =
                |group, flags, mask, purpose| {
                    sys::mark(group, libc::FAN_MARK_ADD | flags, mask, &target)
                        .map_err(|source| Error::Mark { path: at.clone(), purpose, source })
                };
            let whole = ward.apart == Apart::FileSystem && *at == ward.path;
            let scope = if whole { libc::FAN_MARK_FILESYSTEM } else { libc::FAN_MARK_MOUNT };
            mark(self.names.group.as_fd(), libc::FAN_MARK_FILESYSTEM, names::MASK, "names")?;
            // Separately: kernels before 6.14, and file systems that have no such hooks, refuse the whole mask.
            let held = mark(self.content.as_fd(), scope, FAN_PRE_ACCESS, "truncations");
            mark(self.content.as_fd(), scope, CONTENT_MASK, "opens")?;
            self.names.roots.push(fs::File::open(at).map_err(open)?.into());
            let tier = if held.is_ok() { Tier::PreAccess } else { Tier::Opens };
            let Mount { at, kind, .. } = mount.clone();
            self.watched.push(Watched { at, file_system: kind, tier });
        }
        self.wards.push(ward);
        Ok(())
    }

    /// Where messages arrive.
    pub fn messages(&self) -> &Receiver<Message> {
        &self.messages
    }

    /// The protected trees: absolute path, how each is set apart, and a descriptor of the tree through which nothing waits.
    pub fn trees(&self) -> impl Iterator<Item = (&Path, Apart, BorrowedFd<'_>)> {
        self.wards.iter().map(|ward| (ward.path.as_path(), ward.apart, ward.tree.as_fd()))
    }

    /// The mounts that are watched, and what is held on each.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Mounts below the trees that are not watched.
    pub fn left_out(&self) -> impl Iterator<Item = &Foreign> {
        self.wards.iter().flat_map(|ward| &ward.foreign)
    }

    /// Who waits, and who may not pass.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Takes `file` out of what is told, for as long as the kernel remembers it. Without effect where that is not possible: it is told then.
    pub fn spare(&self, file: BorrowedFd<'_>, what: Spare) {
        let mask = match what {
            Spare::Reads => FAN_PRE_ACCESS,
            Spare::Writes => FAN_PRE_ACCESS | libc::FAN_MODIFY,
        };
        let _ = sys::mark_inode(self.content.as_fd(), libc::FAN_MARK_ADD | SPARED, mask, file);
    }

    /// Everything is told of `file` again.
    pub fn unspare(&self, file: BorrowedFd<'_>) {
        let mask = FAN_PRE_ACCESS | libc::FAN_MODIFY;
        let flags = libc::FAN_MARK_REMOVE | libc::FAN_MARK_IGNORED_MASK;
        // It may never have been marked.
        let _ = sys::mark_inode(self.content.as_fd(), flags, mask, file);
    }

    /// Name changes that have arrived; `true` beside them means that the kernel dropped some.
    pub fn names(&mut self) -> (Vec<NameChange>, bool) {
        self.pending.store(false, Ordering::SeqCst);
        self.names.read()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.take();
        // What waits in the queue passes now, before the reader is waited for.
        while self.messages.try_recv().is_ok() {}
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        // Nobody reads what comes from here on: without marks nobody waits for it.
        for ward in &self.wards {
            for mount in &ward.mounts {
                let Ok(target) = CString::new(mount.at.as_os_str().as_bytes()) else { continue };
                for scope in [libc::FAN_MARK_MOUNT, libc::FAN_MARK_FILESYSTEM] {
                    let _ = sys::mark(self.content.as_fd(), libc::FAN_MARK_FLUSH | scope, 0, &target);
                }
            }
        }
        while self.messages.try_recv().is_ok() {}
    }
}

/// A descriptor that becomes readable when somebody asks the guard to end; the signals no longer end the process by themselves.
pub(super) fn termination() -> Result<OwnedFd, Error> {
    sys::termination().map_err(Error::Read)
}

/// The path behind a descriptor, `None` when it was removed.
pub fn path_of(fd: BorrowedFd<'_>) -> Option<PathBuf> {
    // From a kept descriptor: this is asked for each open, and most of it would be the way to /proc/self/fd.
    static FOLDER: OnceLock<Option<File>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| File::open("/proc/self/fd").ok()).as_ref()?;
    let path = readlinkat(folder, DecInt::from_fd(fd), Vec::with_capacity(PATH_LIKELY)).ok()?;
    let path = PathBuf::from(OsString::from_vec(path.into_bytes()));
    // A file may also be called that.
    let stands = || {
        let (there, meant) = (fs::symlink_metadata(&path).ok()?, rustix::fs::fstat(fd).ok()?);
        Some((there.dev(), there.ino()) == (meant.st_dev, meant.st_ino))
    };
    let stands = !path.as_os_str().as_bytes().ends_with(b" (deleted)") || stands() == Some(true);
    (path.is_absolute() && stands).then_some(path)
}
