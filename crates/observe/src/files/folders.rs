//! Changes below a tree as an ordinary user hears of them (inotify(7)): afterwards, and without the name of whoever made them.
//!
//! Every folder needs a watch of its own. Where the user's limit (`fs.inotify.max_user_watches`) is too small, the folders left
//! over are looked at again and again instead.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

use super::fanotify::{Change, termination};
use super::preimage::Stamp;
use crate::Error;

const DEPTH_MAX: usize = 64;

/// Something below the tree changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderChange {
    /// A name changed.
    Name {
        /// How.
        change: Change,
        /// It is about a folder.
        is_directory: bool,
    },
    /// A file was written to.
    Written(PathBuf),
    /// Changes were lost: the kernel's queue overflowed.
    Lost,
    /// Somebody asked the guard to end.
    Terminate,
}

/// Watches on all folders below some trees.
#[derive(Debug)]
pub struct Folders {
    inotify: OwnedFd,
    termination: OwnedFd,
    watched: HashMap<i32, PathBuf>,
    /// Folders beyond the limit, each with the stamps of its files as they were seen last.
    polled: HashMap<PathBuf, HashMap<PathBuf, Stamp>>,
}

impl Folders {
    /// Watches every folder below `dirs`.
    pub fn start(dirs: &[PathBuf]) -> Result<Self, Error> {
        let termination = termination()?;
        let inotify =
            init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|e| Error::Read(e.into()))?;
        let mut folders = Self { inotify, termination, watched: HashMap::new(), polled: HashMap::new() };
        for dir in dirs {
            folders.watch(dir, &mut Vec::new(), DEPTH_MAX);
        }
        Ok(folders)
    }

    /// Folders that are polled because the user's limit of watches is used up.
    pub fn polled(&self) -> usize {
        self.polled.len()
    }

    /// Waits for changes, at most for `patience`.
    pub fn changes(&mut self, patience: Duration) -> Result<Vec<FolderChange>, Error> {
        let timeout = rustix::time::Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        let mut ready =
            [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&self.termination, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::Read(error.into())),
        }
        if !ready[1].revents().is_empty() {
            return Ok(vec![FolderChange::Terminate]);
        }
        let mut changes = self.read();
        self.poll(&mut changes);
        Ok(changes)
    }

    fn read(&mut self) -> Vec<FolderChange> {
        let mut raw = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
            raw.push((event.wd(), event.events(), event.cookie(), name));
            if raw.len() >= 65_536 {
                break;
            }
        }
        let (mut changes, mut left) = (Vec::new(), HashMap::new());
        for (wd, events, cookie, name) in raw {
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.push(FolderChange::Lost);
            }
            if events.contains(ReadFlags::IGNORED) {
                self.watched.remove(&wd);
                continue;
            }
            let (Some(dir), Some(name)) = (self.watched.get(&wd), name) else { continue };
            self.take(&dir.join(name), events, cookie, &mut left, &mut changes);
        }
        // Whatever left and arrived nowhere below the trees has left them.
        changes.extend(left.into_values().map(|(from, is_directory)| FolderChange::Name {
            change: Change::Renamed { from: Some(from), to: None },
            is_directory,
        }));
        changes
    }

    fn take(
        &mut self,
        path: &Path,
        events: ReadFlags,
        cookie: u32,
        left: &mut HashMap<u32, (PathBuf, bool)>,
        changes: &mut Vec<FolderChange>,
    ) {
        let is_directory = events.contains(ReadFlags::ISDIR);
        let mut name = |change| changes.push(FolderChange::Name { change, is_directory });
        if events.contains(ReadFlags::MOVED_FROM) {
            left.insert(cookie, (path.to_owned(), is_directory));
        } else if events.contains(ReadFlags::MOVED_TO) {
            let from = left.remove(&cookie).map(|(from, _)| from);
            if let Some(from) = from.as_ref().filter(|_| is_directory) {
                for watched in self.watched.values_mut() {
                    if let Ok(rest) = watched.strip_prefix(from) {
                        *watched = path.join(rest);
                    }
                }
            }
            name(Change::Renamed { from, to: Some(path.to_owned()) });
        } else if events.contains(ReadFlags::DELETE) {
            name(Change::Deleted(path.to_owned()));
        } else if events.contains(ReadFlags::CREATE) {
            name(Change::Created(path.to_owned()));
        }
        if is_directory && events.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            let mut found = Vec::new();
            self.watch(path, &mut found, DEPTH_MAX);
            changes.extend(found.into_iter().map(FolderChange::Written));
        } else if events.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MODIFY) {
            changes.push(FolderChange::Written(path.to_owned()));
        }
    }

    /// Watches a folder and those below it; `files` takes in what lies there already.
    fn watch(&mut self, dir: &Path, files: &mut Vec<PathBuf>, depth: usize) {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        match add_watch(&self.inotify, dir, flags) {
            Ok(wd) => {
                self.watched.insert(wd, dir.to_owned());
            }
            Err(Errno::NOSPC) => {
                self.polled.insert(dir.to_owned(), stamps(dir));
            }
            // Gone again, or not ours to read.
            Err(_) => return,
        }
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.watch(&entry.path(), files, depth - 1),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }

    fn poll(&mut self, changes: &mut Vec<FolderChange>) {
        for (dir, before) in &mut self.polled {
            let now = stamps(dir);
            for (path, stamp) in &now {
                if before.get(path).is_none_or(|before| !before.same_content(stamp)) {
                    changes.push(FolderChange::Written(path.clone()));
                }
            }
            for gone in before.keys().filter(|path| !now.contains_key(*path)) {
                let change = Change::Deleted(gone.clone());
                changes.push(FolderChange::Name { change, is_directory: false });
            }
            *before = now;
        }
    }
}

fn stamps(dir: &Path) -> HashMap<PathBuf, Stamp> {
    let Ok(entries) = fs::read_dir(dir) else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok().filter(fs::Metadata::is_file)?)))
        .map(|(path, meta)| (path, Stamp::from_metadata(&meta)))
        .collect()
}
