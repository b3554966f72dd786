//! The notification group: entries made, removed and renamed, told with the handles of their directories.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::event::{self, Handle};
use super::{BUFFER, path_of, sys};

pub(super) const MASK: u64 = libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_RENAME | libc::FAN_ONDIR;
/// Two names with their handles.
const EVENT_MAX: usize = 4096;
const DIRECTORIES_REMEMBERED_MAX: usize = 65_536;
/// How far behind the first half of an exchange the second one is looked for: only what others did can lie between.
const HALVES_APART_MAX: usize = 64;
/// A second half that is still on its way is waited for.
const HALF_TRIES: usize = 5;
const VANISHED_MAX: usize = 65_536;
const HALF_PAUSE: Duration = Duration::from_micros(200);

/// One change of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameChange {
    /// The process that did it.
    pub pid: i32,
    /// What it did.
    pub change: Change,
    /// It is about a directory.
    pub is_directory: bool,
    /// The inode of a file that got an entry, where the kernel tells it.
    pub inode: Option<u64>,
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
    /// Two entries of one kind took each other's names (RENAME_EXCHANGE), as far as the events tell: a rename there and back is told
    /// alike.
    Exchanged {
        /// One path.
        one: PathBuf,
        /// The other path.
        other: PathBuf,
    },
}

impl Change {
    fn is_about(&self, path: &Path) -> bool {
        match self {
            Self::Created(at) | Self::Deleted(at) => at == path,
            Self::Renamed { from, to } => from.as_deref() == Some(path) || to.as_deref() == Some(path),
            Self::Exchanged { one, other } => one == path || other == path,
        }
    }
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
    /// Files that were removed from folders that are gone as well: who did it, and a number for the folder.
    pub(super) vanished: Vec<(i32, u64)>,
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
            vanished: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// Name changes that have arrived; `true` beside them means that the kernel dropped some.
    pub(super) fn read(&mut self) -> (Vec<NameChange>, bool) {
        let (mut changes, mut overflow) = (Vec::new(), false);
        self.read_into(&mut changes, &mut overflow);
        for _ in 0..HALF_TRIES {
            if !ends_in_a_half(&changes) {
                break;
            }
            std::thread::sleep(HALF_PAUSE);
            self.read_into(&mut changes, &mut overflow);
        }
        join_halves(&mut changes);
        (changes, overflow)
    }

    fn read_into(&mut self, changes: &mut Vec<NameChange>, overflow: &mut bool) {
        let own = sys::own_pid();
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Ok(len) = rustix::io::read(&self.group, buffer.as_mut_slice()) {
            for event in event::events(buffer.get(..len).unwrap_or_default()) {
                *overflow |= event.mask & libc::FAN_Q_OVERFLOW != 0;
                if event.pid != own {
                    self.resolve(event, changes);
                }
            }
            // With room left over there was no more.
            if len < BUFFER - EVENT_MAX {
                break;
            }
        }
        self.buffer = buffer;
    }

    fn resolve(&mut self, event: event::Event<'_>, out: &mut Vec<NameChange>) {
        let is_directory = event.mask & libc::FAN_ONDIR != 0;
        let names = event.names();
        let mut add = |change| {
            let is_file_made = matches!(change, Change::Created(_)) && !is_directory;
            let inode = if is_file_made { event.inode() } else { None };
            out.push(NameChange { pid: event.pid, change, is_directory, inode });
        };
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
        let folder = names.entry.as_ref().map(|(handle, _)| handle.clone());
        let Some(path) = names.entry.and_then(|(handle, name)| Some(self.directory(handle)?.join(name)))
        else {
            if event.mask & libc::FAN_DELETE != 0 && !is_directory {
                self.vanished
                    .extend(folder.and_then(|folder| self.gone(&folder)).map(|folder| (event.pid, folder)));
                self.vanished.truncate(VANISHED_MAX);
            }
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

    /// A number for a directory that is gone; `None` for one that lies outside the protected trees.
    fn gone(&self, handle: &Handle) -> Option<u64> {
        let opens = |root: &OwnedFd| sys::open_by_handle(root.as_fd(), handle.kind, &handle.bytes).is_ok();
        let mut hasher = DefaultHasher::new();
        handle.hash(&mut hasher);
        (!self.roots.iter().any(opens)).then(|| hasher.finish())
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

/// Where the next change after `first` is that is about one of its two names.
fn next_about(changes: &[NameChange], first: usize, one: &Path, other: &Path) -> Option<usize> {
    let rest = changes.iter().enumerate().skip(first + 1).take(HALVES_APART_MAX);
    rest.map(|(at, next)| (at, &next.change))
        .find(|(_, next)| next.is_about(one) || next.is_about(other))
        .map(|(at, _)| at)
}

/// The kernel tells an exchange as two renames, one right after the other.
fn join_halves(changes: &mut Vec<NameChange>) {
    let mut first = 0;
    while let Some(half) = changes.get(first) {
        if let Change::Renamed { from: Some(one), to: Some(other) } = &half.change
            && let Some(second) = next_about(changes, first, one, other)
            && changes.get(second).is_some_and(|second| {
                let back = Change::Renamed { from: Some(other.clone()), to: Some(one.clone()) };
                (second.pid, second.is_directory, &second.change) == (half.pid, half.is_directory, &back)
            })
        {
            let change = Change::Exchanged { one: one.clone(), other: other.clone() };
            changes.remove(second);
            if let Some(half) = changes.get_mut(first) {
                half.change = change;
            }
        }
        first += 1;
    }
}

/// Something was renamed, nothing more was told of either name, and both are taken.
fn ends_in_a_half(changes: &[NameChange]) -> bool {
    let from = changes.len().saturating_sub(HALVES_APART_MAX);
    changes.iter().enumerate().skip(from).any(|(at, half)| match &half.change {
        Change::Renamed { from: Some(one), to: Some(other) } => {
            next_about(changes, at, one, other).is_none()
                && fs::symlink_metadata(one).is_ok()
                && fs::symlink_metadata(other).is_ok()
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(pid: i32, from: &str, to: &str) -> NameChange {
        let change = Change::Renamed { from: Some(from.into()), to: Some(to.into()) };
        NameChange { pid, change, is_directory: false, inode: None }
    }

    #[test]
    fn two_renames_that_mirror_each_other_are_an_exchange() {
        let exchanged = NameChange {
            change: Change::Exchanged { one: "a".into(), other: "b".into() },
            ..renamed(1, "", "")
        };
        let deleted = NameChange { change: Change::Deleted("a".into()), ..renamed(1, "", "") };
        let made = NameChange { change: Change::Created("b".into()), ..renamed(2, "", "") };
        let (there, back, else_where) = (renamed(1, "a", "b"), renamed(1, "b", "a"), renamed(2, "c", "d"));
        for (told, expected) in [
            (vec![&there, &back, &deleted], vec![&exchanged, &deleted]),
            (vec![&there, &else_where, &back], vec![&exchanged, &else_where]),
            (vec![&there, &made, &back], vec![&there, &made, &back]),
            (vec![&there, &there], vec![&there, &there]),
            (vec![&there], vec![&there]),
        ] {
            let mut changes: Vec<_> = told.into_iter().cloned().collect();
            join_halves(&mut changes);
            assert_eq!(changes, expected.into_iter().cloned().collect::<Vec<_>>());
        }
        let by_another = vec![renamed(1, "a", "b"), renamed(2, "b", "a")];
        let mut changes = by_another.clone();
        join_halves(&mut changes);
        assert_eq!(changes, by_another);
    }
}
