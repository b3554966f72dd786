//! The notification group: entries made, removed and renamed, told with the handles of their directories.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use super::event::{self, Handle};
use super::{BUFFER, path_of, sys};

pub(super) const MASK: u64 = libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_RENAME | libc::FAN_ONDIR;
const DIRECTORIES_REMEMBERED_MAX: usize = 65_536;

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

/// The group with what is needed to turn handles into paths.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) group: Arc<OwnedFd>,
    /// A descriptor of each watched mount for resolving handles, found by trying.
    pub(super) roots: Vec<OwnedFd>,
    /// The protected trees.
    pub(super) trees: Vec<PathBuf>,
    directories: HashMap<Handle, Option<PathBuf>>,
    /// Kept: filling 64 KiB anew for each open would cost more than the reading.
    buffer: Vec<u8>,
}

impl Names {
    pub(super) fn new(group: Arc<OwnedFd>) -> Self {
        Self {
            group,
            roots: Vec::new(),
            trees: Vec::new(),
            directories: HashMap::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// Name changes that have arrived; `true` beside them means that the kernel dropped some.
    pub(super) fn read(&mut self) -> (Vec<NameChange>, bool) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut buffer = std::mem::take(&mut self.buffer);
        let (mut changes, mut overflow) = (Vec::new(), false);
        while let Ok(len) = rustix::io::read(&self.group, buffer.as_mut_slice()) {
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
            self.trees.iter().any(|tree| path.starts_with(tree)).then_some(path)
        });
        if self.directories.len() >= DIRECTORIES_REMEMBERED_MAX {
            self.directories.clear();
        }
        self.directories.insert(handle, path.clone());
        path
    }
}
