//! The kernel's view of a protected tree, with opens that wait for an answer (fanotify(7), needs CAP_SYS_ADMIN).
//!
//! Two groups, because the kernel does not combine permission events with names (EINVAL, measured on 6.18):
//! (a) content class with thread ids: every open below the tree waits; every close after a write is told;
//! (b) notification class with directory handles and names: entries made, removed and renamed.
//!
//! Thread ids are taken instead of pidfds, which exclude each other: the open's flags stand in `/proc/TID/syscall` of the very thread
//! that waits, and while it waits its id cannot be reused. `FAN_CLASS_CONTENT` is used rather than `PRE_CONTENT`: the latter adds
//! events that kernels before 6.14 do not have, and for opens alone both behave the same.
//!
//! (a) marks a mount or a whole file system that holds nothing else; (b) marks the file system, which holds nobody up,
//! and drops what lies elsewhere. When the process ends, however it ends, the kernel lets every waiting open pass: the guard
//! **fails open**, because a hospital that cannot open records is worse off than one that is watched by nobody for a minute.

mod event;
mod ignore;
mod sys;

use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::readlinkat;
use rustix::path::DecInt;

use self::event::Handle;
use super::mount::{Apart, Ward};
use crate::Error;

const CONTENT_GROUP: u32 =
    libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_REPORT_TID;
const NAME_GROUP: u32 =
    libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME;
const CONTENT_MASK: u64 = libc::FAN_OPEN_PERM | libc::FAN_CLOSE_WRITE;
const NAME_MASK: u64 = libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_RENAME | libc::FAN_ONDIR;
/// Between two messages that names have changed: the kernel keeps 16,384 of them.
const NAMES_EVERY: Duration = Duration::from_millis(5);
/// How long the reader waits for anything at all.
const IDLE: Duration = Duration::from_millis(20);
const BUFFER: usize = 64 * 1024;
const QUEUE: usize = 1024;
/// Longer paths take a second call.
const PATH_LIKELY: usize = 256;
const DIRECTORIES_REMEMBERED_MAX: usize = 65_536;

/// Something the judging thread has to know.
#[derive(Debug)]
pub enum Message {
    /// An open waits for an answer.
    Open(Waiting),
    /// A file that was open for writing was closed.
    Closed {
        /// The file, read only.
        file: File,
        /// The thread that closed it.
        tid: i32,
    },
    /// Names changed: call [`Watch::names`].
    Names,
    /// The kernel's queue overflowed: events are missing.
    Overflow,
    /// Somebody asked the guard to end.
    Terminate,
    /// Events can no longer be read.
    Broken(Error),
}

/// An open that waits; dropped unanswered, it passes.
#[derive(Debug)]
pub struct Waiting {
    /// The file, read only, with the content that it has before the open takes effect.
    pub file: File,
    /// The thread that waits.
    pub tid: i32,
    group: Arc<OwnedFd>,
    answered: bool,
}

impl Waiting {
    /// Lets it pass, and keeps the file.
    pub fn allow(mut self) -> io::Result<File> {
        let kept = self.file.try_clone();
        self.answer(libc::FAN_ALLOW);
        kept
    }

    /// Refuses it; the caller gets EPERM.
    pub fn deny(mut self) {
        self.answer(libc::FAN_DENY);
    }

    fn answer(&mut self, response: u32) {
        if !std::mem::replace(&mut self.answered, true) {
            respond(&self.group, self.file.as_raw_fd(), response);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.answer(libc::FAN_ALLOW);
    }
}

fn respond(group: &OwnedFd, fd: i32, response: u32) {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&fd.to_ne_bytes());
    bytes[4..].copy_from_slice(&response.to_ne_bytes());
    // The only failures are an event that is answered already and a waiter that was killed: both need nothing more.
    let _ = rustix::io::write(group, &bytes);
}

/// One change of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameChange {
    /// The process that did it.
    pub pid: i32,
    /// What it did.
    pub change: Change,
    /// It is about a directory.
    pub is_directory: bool,
}

/// What happened to a name; paths are absolute, `None` stands for a place outside the protected trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An entry was made.
    Created(PathBuf),
    /// An entry was removed.
    Deleted(PathBuf),
    /// An entry was renamed, perhaps over another.
    Renamed {
        /// Its old path.
        from: Option<PathBuf>,
        /// Its new path.
        to: Option<PathBuf>,
    },
}

/// Protection of one or several trees by permission events; dropped, everybody passes and the mounts go.
#[derive(Debug)]
pub struct Watch {
    wards: Vec<Ward>,
    /// A descriptor of each file system for resolving handles, by its fsid as the events carry it, found by trying.
    roots: Vec<OwnedFd>,
    content: Arc<OwnedFd>,
    names: Arc<OwnedFd>,
    pending: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    messages: Receiver<Message>,
    directories: HashMap<Handle, Option<PathBuf>>,
    /// For reading names: filling 64 KiB anew for each open would cost more than the reading.
    buffer: Vec<u8>,
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
        let content = Arc::new(group(CONTENT_GROUP, "opens that wait")?);
        let names = Arc::new(group(NAME_GROUP, "names")?);
        // Signals before threads: the mask is inherited.
        let termination = sys::termination().map_err(Error::Read)?;
        let (stopped, stop) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| Error::Read(e.into()))?;
        let (send, messages) = bounded(QUEUE);
        let pending = Arc::new(AtomicBool::new(false));
        let passed = Arc::new(AtomicU64::new(0));
        let reader = Reader {
            content: Arc::clone(&content),
            names: Arc::clone(&names),
            termination,
            stopped,
            send,
            pending: Arc::clone(&pending),
            passed: Arc::clone(&passed),
        };
        // The reader runs before the first mark is set, so that the guard never waits for itself.
        let reader =
            thread::Builder::new().name("reader".into()).spawn(move || reader.run()).map_err(Error::Read)?;
        let mut watch = Self {
            wards: Vec::new(),
            roots: Vec::new(),
            content: Arc::clone(&content),
            names,
            pending,
            passed,
            messages,
            directories: HashMap::new(),
            buffer: vec![0; BUFFER],
            stop: Some(stop),
            reader: Some(reader),
        };
        for dir in dirs {
            watch.add(dir, content.as_fd())?;
        }
        Ok(watch)
    }

    fn add(&mut self, dir: &Path, content: BorrowedFd<'_>) -> Result<(), Error> {
        let ward = Ward::new(dir)?;
        let open = |source| Error::OpenRoot { path: dir.to_owned(), source };
        for mount in &ward.mounts {
            let mark =
                |group, flags, mask, purpose| {
                    let target = CString::new(mount.as_os_str().as_bytes()).map_err(|e| open(e.into()))?;
                    sys::mark(group, libc::FAN_MARK_ADD | flags, mask, &target)
                        .map_err(|source| Error::Mark { path: mount.clone(), purpose, source })
                };
            let whole = ward.apart == Apart::FileSystem && *mount == ward.path;
            let scope = if whole { libc::FAN_MARK_FILESYSTEM } else { libc::FAN_MARK_MOUNT };
            mark(self.names.as_fd(), libc::FAN_MARK_FILESYSTEM, NAME_MASK, "names")?;
            mark(content, scope, CONTENT_MASK, "opens")?;
            self.roots.push(fs::File::open(mount).map_err(open)?.into());
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

    /// Opens that passed unjudged because the queue was full.
    pub fn passed_unjudged(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Name changes that have arrived; `true` beside them means that the kernel dropped some.
    pub fn names(&mut self) -> (Vec<NameChange>, bool) {
        self.pending.store(false, Ordering::SeqCst);
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut buffer = std::mem::take(&mut self.buffer);
        let (mut changes, mut overflow) = (Vec::new(), false);
        while let Ok(len) = rustix::io::read(&self.names, buffer.as_mut_slice()) {
            for event in event::events(buffer.get(..len).unwrap_or_default()) {
                overflow |= event.mask & libc::FAN_Q_OVERFLOW != 0;
                if event.pid != own {
                    self.resolve(event, &mut changes);
                }
            }
            if len == 0 {
                break;
            }
        }
        self.buffer = buffer;
        (changes, overflow)
    }

    fn resolve(&mut self, event: event::Event<'_>, out: &mut Vec<NameChange>) {
        let is_directory = event.mask & libc::FAN_ONDIR != 0;
        let names = event.names();
        let mut add = |change| out.push(NameChange { pid: event.pid, change, is_directory });
        if event.mask & libc::FAN_RENAME != 0 {
            let from = names.old.and_then(|(handle, name)| Some(self.directory(handle)?.join(name)));
            let to = names.new.and_then(|(handle, name)| Some(self.directory(handle)?.join(name)));
            if from.is_some() || to.is_some() {
                add(Change::Renamed { from, to });
                if is_directory {
                    self.directories.clear();
                }
            }
            return;
        }
        let Some(path) = names.entry.and_then(|(handle, name)| Some(self.directory(handle)?.join(name)))
        else {
            return;
        };
        // The kernel merges equal events of one process and name; a file made and removed at once needs no tracking.
        match (event.mask & libc::FAN_CREATE != 0, event.mask & libc::FAN_DELETE != 0) {
            (true, false) => add(Change::Created(path)),
            (false, true) => add(Change::Deleted(path)),
            (true, true) if fs::symlink_metadata(&path).is_ok() => {
                add(Change::Deleted(path.clone()));
                add(Change::Created(path));
            }
            (true, true) => {
                add(Change::Created(path.clone()));
                add(Change::Deleted(path));
            }
            (false, false) => {}
        }
    }

    /// The directory's path, or `None` when it lies outside the protected trees or is gone.
    fn directory(&mut self, handle: Handle) -> Option<PathBuf> {
        if let Some(known) = self.directories.get(&handle) {
            return known.clone();
        }
        let path = self.roots.iter().find_map(|root| {
            let fd = sys::open_by_handle(root.as_fd(), handle.kind, &handle.bytes).ok()?;
            let path = path_of(fd.as_fd())?;
            self.wards.iter().any(|ward| path.starts_with(&ward.path)).then_some(path)
        });
        if self.directories.len() >= DIRECTORIES_REMEMBERED_MAX {
            self.directories.clear();
        }
        self.directories.insert(handle, path.clone());
        path
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
    (path.is_absolute() && !path.as_os_str().as_bytes().ends_with(b" (deleted)")).then_some(path)
}

/// The thread that reads group (a). It answers the guard's own opens itself, at once: the judging thread opens files too.
struct Reader {
    content: Arc<OwnedFd>,
    names: Arc<OwnedFd>,
    termination: OwnedFd,
    stopped: OwnedFd,
    send: Sender<Message>,
    pending: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
}

impl Reader {
    fn run(self) {
        if let Err(source) = self.read() {
            let _ = self.send.try_send(Message::Broken(Error::Read(source)));
        }
    }

    fn read(&self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut names_due = Instant::now();
        loop {
            // Names are read before each open anyway; in between, a message for each would wake two threads for every file that is
            // made. While one is under way the descriptor stays readable and would make this loop spin.
            let rest = names_due.saturating_duration_since(Instant::now());
            let is_due = rest.is_zero() && !self.pending.load(Ordering::SeqCst);
            let names = if is_due { PollFlags::IN } else { PollFlags::empty() };
            let mut ready = [
                PollFd::new(&self.content, PollFlags::IN),
                PollFd::new(&self.stopped, PollFlags::IN),
                PollFd::new(&self.termination, PollFlags::IN),
                PollFd::new(&self.names, names),
            ];
            let rest = if rest.is_zero() { IDLE } else { rest };
            let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: rest.subsec_nanos().into() };
            match poll(&mut ready, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [content, stopped, termination, names] = ready.each_ref().map(|fd| !fd.revents().is_empty());
            if content {
                self.content(&mut buffer)?;
            }
            if names {
                names_due = Instant::now() + NAMES_EVERY;
                if !self.pending.swap(true, Ordering::SeqCst) && self.send.try_send(Message::Names).is_err() {
                    self.pending.store(false, Ordering::SeqCst);
                }
            }
            if termination {
                let mut signal = [0; 128];
                if rustix::io::read(&self.termination, &mut signal).is_ok() {
                    let _ = self.send.try_send(Message::Terminate);
                }
            }
            if stopped {
                return Ok(());
            }
        }
    }

    fn content(&self, buffer: &mut [u8]) -> io::Result<()> {
        let len = match rustix::io::read(&self.content, &mut *buffer) {
            Ok(len) => len,
            // Out of descriptors for a moment: the pins are trimmed every tick.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::MFILE) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for event in event::events(buffer.get(..len).unwrap_or_default()) {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 {
                let _ = self.send.try_send(Message::Overflow);
            }
            let Some(file) = sys::adopt(event.fd).map(File::from) else { continue };
            let is_own = sys::is_own(event.pid);
            if event.mask & libc::FAN_OPEN_PERM != 0 {
                let waiting =
                    Waiting { file, tid: event.pid, group: Arc::clone(&self.content), answered: false };
                // Own opens and regular files only: a waiting directory or device tells nothing about content.
                if !is_own {
                    self.hand_over(Message::Open(waiting));
                }
            } else if !is_own {
                self.hand_over(Message::Closed { file, tid: event.pid });
            }
        }
        Ok(())
    }

    /// A full queue lets the open pass rather than holding up the whole hospital; it is counted.
    fn hand_over(&self, message: Message) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.send.try_send(message) {
            self.passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
