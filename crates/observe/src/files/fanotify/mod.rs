//! The kernel's view of a protected tree, with opens that wait for an answer (fanotify(7), needs CAP_SYS_ADMIN).
//!
//! Three groups, the first two because the kernel does not combine permission events with names (EINVAL, measured on 6.18):
//! (a) pre-content class with thread ids: every open below the tree waits, and where the kernel can (Linux 6.14 on ext4, XFS and
//! btrfs) every truncation by path;
//! (b) notification class with handles and names: entries made, removed and renamed;
//! (c) notification class with thread ids: every close after a write. By itself, because nobody waits for it: it is read with the next
//! open, and whoever unpacks thousands of files does not wake the guard a second time for each.
//!
//! Thread ids are taken instead of pidfds, which exclude each other: the open's flags stand in `/proc/TID/syscall` of the very thread
//! that waits, and while it waits its id cannot be reused.
//!
//! `FAN_PRE_ACCESS` also waits before each read and write through a descriptor that was opened after the mark was set (10 µs each,
//! measured). A file whose content is kept, or that was opened for writing and is thereby kept, gets a mark that takes it out
//! ([`Watch::spare`]): then they cost half a microsecond. The mark is evictable, so it lives no longer than the kernel's own memory of the file.
//! Writes through descriptors from before the mark wait for nobody (measured on 6.18).
//!
//! The thread that judges reads (a) itself, and a lifeguard does while that one is away ([`turn`]).
//!
//! (a) and (c) mark a mount, also in other namespaces ([`spaces`]), or a whole file system that holds nothing else; (b) marks the file system, which holds nobody up,
//! and drops what lies elsewhere. All queues are unlimited: the kernel lets an open pass that finds no room in one. When the process
//! ends, however it ends, the kernel lets every waiting open pass: the guard **fails open**, because a hospital that cannot open
//! records is worse off than one that is watched by nobody for a minute.

mod access;
mod awake;
mod board;
mod event;
mod ignore;
mod intake;
mod message;
mod names;
mod reader;
mod sched;
mod spaces;
mod sys;
mod tier;
mod turn;

use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::readlinkat;
use rustix::path::DecInt;

pub use self::board::Board;
pub use self::message::{Closed, Message, Waiting};
pub use self::names::{Change, NameChange};
pub use self::tier::{Tier, Watched};
pub use self::turn::Lent;

pub(super) use self::sched::roam;
pub(super) use self::turn::lend;

use self::awake::Awake;
use self::intake::Intake;
use self::names::Names;
use self::reader::Reader;
use self::spaces::{Place, Spaces};
use self::turn::Turn;
use super::limits;
use super::mount::{Apart, Foreign, Mount, Ward};
use crate::Error;

const CONTENT_GROUP: u32 = libc::FAN_CLASS_PRE_CONTENT
    | libc::FAN_CLOEXEC
    | libc::FAN_NONBLOCK
    | libc::FAN_REPORT_TID
    | libc::FAN_UNLIMITED_QUEUE
    | libc::FAN_UNLIMITED_MARKS;
const CLOSE_GROUP: u32 = libc::FAN_CLASS_NOTIF
    | libc::FAN_CLOEXEC
    | libc::FAN_NONBLOCK
    | libc::FAN_REPORT_TID
    | libc::FAN_UNLIMITED_QUEUE
    | libc::FAN_UNLIMITED_MARKS;
const NAME_GROUP: u32 = libc::FAN_CLASS_NOTIF
    | libc::FAN_CLOEXEC
    | libc::FAN_NONBLOCK
    | libc::FAN_REPORT_DFID_NAME_TARGET
    | libc::FAN_UNLIMITED_QUEUE
    | libc::FAN_UNLIMITED_MARKS;
/// Linux 6.14; not in libc yet.
const FAN_PRE_ACCESS: u64 = 0x0010_0000;
const SPARED: u32 =
    libc::FAN_MARK_IGNORED_MASK | libc::FAN_MARK_IGNORED_SURV_MODIFY | libc::FAN_MARK_EVICTABLE;
const BUFFER: usize = 64 * 1024;
/// Between two messages that something happened for which nobody waits.
const PAST_EVERY: Duration = Duration::from_millis(5);
/// Each of them holds a descriptor.
const SETTLED_MAX: usize = 64;
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
    /// What the lifeguard read.
    messages: Receiver<Message>,
    /// What the judging thread read, and came before that.
    ready: VecDeque<Message>,
    /// This and `turn`, which holds it too, are let go before the names, see [`Watch::start`].
    content: Arc<OwnedFd>,
    turn: Arc<Turn>,
    names: Names,
    closes: Arc<OwnedFd>,
    /// Everything that came before what was read last is known.
    names_fresh: bool,
    past_due: Instant,
    awake: Awake,
    /// Files of which everything is to be told again, once nobody waits for an answer.
    settled: Vec<((u64, u64), File)>,
    /// The judging thread has begun.
    judges: bool,
    board: Arc<Board>,
    /// Events of changes that one mount or another is marked for.
    told_of_changes: u64,
    /// Mounts that are marked by themselves.
    places: Vec<Place>,
    stop: Option<OwnedFd>,
    spaces: Option<Spaces>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Starts protecting `dirs`. From the return on every open below them waits for an answer.
    pub fn start(dirs: &[PathBuf]) -> Result<Self, Error> {
        let group = |flags, purpose| {
            sys::init(flags, libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC)
                .map_err(|source| Error::Group { purpose, source })
        };
        // The order decides whether the guard can be killed. Whoever waits for an answer of (a) also holds the others, whose end waits for it;
        // a dying process lets go of its files from the highest number to the lowest. With (a) below them the guard could not end
        // while anybody waits, and everybody would wait for good (measured on 6.18).
        let names = Arc::new(group(NAME_GROUP, "names")?);
        let closes = Arc::new(group(CLOSE_GROUP, "closes")?);
        let content = Arc::new(group(CONTENT_GROUP, "opens that wait")?);
        // Signals before threads: the mask is inherited.
        let termination = sys::termination().map_err(Error::Read)?;
        let (stopped, stop) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| Error::Read(e.into()))?;
        // What waits is bounded by the board, for which the reader refuses more; a second bound here could only lose closes.
        let (send, messages) = unbounded();
        let board = Arc::new(Board::default());
        let groups = [&content, &closes].map(Arc::clone);
        let intake = Intake::new(groups, Arc::clone(&board), limits::waiting());
        let turn = Arc::new(Turn::new(intake)?);
        let stopped_too = stopped.try_clone().map_err(Error::Read)?;
        let reader =
            Reader { content: Arc::clone(&content), termination, stopped, send, turn: Arc::clone(&turn) };
        // The reader runs before the first mark is set, so that the guard never waits for itself.
        let reader =
            thread::Builder::new().name("reader".into()).spawn(move || reader.run()).map_err(Error::Read)?;
        let mut watch = Self {
            wards: Vec::new(),
            watched: Vec::new(),
            content,
            names: Names::new(names),
            closes,
            names_fresh: false,
            past_due: Instant::now(),
            awake: Awake::new(),
            settled: Vec::new(),
            turn,
            judges: false,
            board,
            told_of_changes: 0,
            places: Vec::new(),
            messages,
            ready: VecDeque::new(),
            stop: Some(stop),
            spaces: None,
            reader: Some(reader),
        };
        for dir in dirs {
            watch.add(dir)?;
        }
        let groups = [&watch.content, &watch.closes].map(Arc::clone);
        let [content, closes] = groups;
        watch.spaces = Some(Spaces::start(content, closes, &watch.places, stopped_too)?);
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
            let tier = if held.is_ok() { Tier::PreAccess } else { Tier::Opens };
            mark(self.content.as_fd(), scope, libc::FAN_OPEN_PERM | tier.changes(), "opens")?;
            mark(self.closes.as_fd(), scope, libc::FAN_CLOSE_WRITE, "closes")?;
            self.told_of_changes |= tier.changes();
            if scope == libc::FAN_MARK_MOUNT {
                let held = held.is_ok().then_some(FAN_PRE_ACCESS);
                let masks = held.into_iter().chain([libc::FAN_OPEN_PERM | tier.changes()]).collect();
                self.places.push(Place { at: at.clone(), masks });
            }
            self.names.roots.push(fs::File::open(at).map_err(open)?.into());
            let Mount { at, kind, .. } = mount.clone();
            self.watched.push(Watched { at, file_system: kind, tier });
        }
        self.wards.push(ward);
        Ok(())
    }

    /// Waits at most `patience` for the next message. The thread that calls this is the one that judges: between two calls it may
    /// open files of the tree, see [`Watch::lend`].
    pub fn next(&mut self, patience: Duration) -> Option<Message> {
        if !std::mem::replace(&mut self.judges, true) {
            self.turn.take();
        }
        let end = Instant::now() + patience;
        loop {
            if let Some(message) = self.arrived() {
                return Some(message);
            }
            self.settle();
            let now = Instant::now();
            // They are read with each open anyway; in between, each would wake this thread for every file that is made.
            let due = self.past_due.saturating_duration_since(now);
            let rest = end.saturating_duration_since(now);
            self.awake.rest(now);
            let wait = self.awake.patience(if due.is_zero() { rest } else { rest.min(due) });
            self.turn.listen(true);
            let mut ready = [
                PollFd::new(&self.content, PollFlags::IN),
                PollFd::new(&self.turn.bell, PollFlags::IN),
                PollFd::new(&self.names.group, PollFlags::IN),
                PollFd::new(&self.closes, PollFlags::IN),
            ];
            // Left out, not asked for nothing: the kernel wakes whoever polls a group for each of its events.
            let asked = if due.is_zero() { ready.len() } else { 2 };
            let timeout = rustix::time::Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            };
            let polled = poll(ready.get_mut(..asked).unwrap_or_default(), Some(&timeout));
            let [content, bell, names, closes] = ready.each_ref().map(|fd| !fd.revents().is_empty());
            self.turn.listen(false);
            match polled {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Some(Message::Broken(Error::Read(error.into()))),
            }
            if bell {
                sys::hear(&self.turn.bell);
            }
            if content {
                let now = Instant::now();
                self.awake.came(now);
                // With it they are read, too.
                self.past_due = now + PAST_EVERY;
                let mut intake = self.turn.intake();
                // What the lifeguard read came first.
                if self.messages.is_empty() {
                    match intake.read(0) {
                        Ok(read) => self.ready.extend(read),
                        Err(source) => return Some(Message::Broken(Error::Read(source))),
                    }
                    self.names_fresh = false;
                }
            } else if names || closes {
                self.past_due = Instant::now() + PAST_EVERY;
                self.names_fresh = false;
                return Some(Message::Past);
            } else if rest.is_zero() && self.messages.is_empty() {
                return None;
            }
        }
    }

    /// A message that was read already.
    pub fn arrived(&mut self) -> Option<Message> {
        self.turn.listen(false);
        self.ready.pop_front().or_else(|| {
            let message = self.messages.try_recv().ok()?;
            self.names_fresh = false;
            Some(message)
        })
    }

    /// For work between two messages that takes long or opens files of the tree: meanwhile opens wait in the queue of
    /// [`Watch::arrived`], and the guard's own are answered. Without it they are, too, but each after some milliseconds.
    pub fn lend(&self) -> Lent {
        Lent::for_long(&self.turn)
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
        // Ignoring costs as much as being told in the kernel: what no mount asks for is not asked to be ignored either.
        let mask = self.told_of_changes & if what == Spare::Reads { FAN_PRE_ACCESS } else { u64::MAX };
        if mask != 0 {
            let _ = sys::mark_inode(self.content.as_fd(), libc::FAN_MARK_ADD | SPARED, mask, file);
        }
    }

    /// Everything is told of `file` again.
    pub fn unspare(&self, file: BorrowedFd<'_>) {
        let flags = libc::FAN_MARK_REMOVE | libc::FAN_MARK_IGNORED_MASK;
        // It may never have been marked.
        let _ = sys::mark_inode(self.content.as_fd(), flags, self.told_of_changes, file);
    }

    /// The same for a file of this device and inode that was closed, before this thread waits again: opens that have arrived are
    /// answered first.
    pub fn unspare_soon(&mut self, key: (u64, u64), file: File) {
        if self.settled.len() >= SETTLED_MAX {
            self.settle();
        }
        self.settled.push((key, file));
    }

    /// Not so, it is open again.
    pub fn keep_spared(&mut self, key: (u64, u64)) {
        self.settled.retain(|(closed, _)| *closed != key);
    }

    fn settle(&mut self) {
        for (_, file) in std::mem::take(&mut self.settled) {
            self.unspare(file.as_fd());
        }
    }

    /// Name changes that have arrived; `true` beside them means that the kernel dropped some. Nothing where all that came before the last
    /// message was taken in already.
    pub fn names(&mut self) -> (Vec<NameChange>, bool) {
        if std::mem::replace(&mut self.names_fresh, true) {
            return (vec![], false);
        }
        self.names.read()
    }

    /// Files that were closed after a write since the last call. What an actor has closed is told before its next open.
    pub fn closes(&mut self) -> Result<Vec<Closed>, Error> {
        self.turn.intake().closes().map(Iterator::collect).map_err(Error::Read)
    }

    /// Files that were removed from folders that are gone as well, so that only who did it is known, with a number for the folder.
    pub fn vanished(&mut self) -> Vec<(i32, u64)> {
        std::mem::take(&mut self.names.vanished)
    }

    /// The same, for whoever needs to know what came since.
    pub fn names_now(&mut self) -> (Vec<NameChange>, bool) {
        self.names_fresh = false;
        self.names()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.take();
        // What waits in the queue passes now, before the reader is waited for.
        self.ready.clear();
        while self.messages.try_recv().is_ok() {}
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.spaces.take();
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
