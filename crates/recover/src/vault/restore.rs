mod fetch;
mod plan;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, mkdirat, statat};
use rustix::io::Errno;

use super::codec::{Codec, limit};
use super::id::{BlobKind, Id};
use super::progress::{Phase, Progress};
use super::repository::Vault;
use super::room::Room;
use super::snapshot::Snapshot;
use super::tree::{Kind, MAX_DEPTH, Node};
use super::unset::{NotSet, Tally, Unset};
use super::{lock, meta, open_at, place};
use crate::Error;
use fetch::Fetch;
use plan::{Batch, TargetDir};

/// Something that a restore could not put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored {
    /// Its path in the snapshot.
    pub path: PathBuf,
    /// Why, in words.
    pub cause: String,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Regular files that are now as they were, those included that were so already.
    pub files: u64,
    /// Files that already had the right content.
    pub files_left: u64,
    /// Sizes of all of them added up.
    pub bytes: u64,
    /// Directories.
    pub dirs: u64,
    /// What is missing, ordered by path; empty in a whole restore.
    pub not_restored: Vec<NotRestored>,
    /// Owners, modes, times or attributes that could not be set, by kind; the content is there.
    pub metadata: Vec<NotSet>,
    /// What was found wrong with the vault and made up for.
    pub notes: Vec<String>,
}

/// A restore under way.
pub(crate) struct Restore<'a> {
    pub(crate) vault: &'a Vault,
    pub(crate) root: OwnedFd,
    pub(crate) dirs: Vec<TargetDir>,
    pub(crate) as_root: bool,
    pub(crate) files: AtomicU64,
    pub(crate) files_left: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) problems: Mutex<Vec<NotRestored>>,
    pub(crate) metadata: Mutex<Tally>,
    /// First path of each hard-linked inode, and the further ones.
    first_links: HashMap<(u64, u64), (usize, Vec<u8>)>,
    links: Vec<(usize, Node, (usize, Vec<u8>))>,
    room: Option<Room>,
}

impl Vault {
    /// Restores a snapshot, or the parts of it at the absolute paths `only`, below `target`.
    ///
    /// A file of the target that differs is replaced, whole or not at all; one that is right already is left; nothing is deleted.
    /// Symbolic links in the target are never followed. What cannot be restored is named and the rest goes on.
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        target: &Path,
        only: &[PathBuf],
        progress: &dyn Fn(Progress),
    ) -> Result<RestoreReport, Error> {
        self.restore_within(snapshot, target, only, None, progress)
    }

    /// The same, stopped where it would take more room than it may: an error then, and what is there already stays.
    pub fn restore_within(
        &self,
        snapshot: &Snapshot,
        target: &Path,
        only: &[PathBuf],
        room: Option<Room>,
        progress: &dyn Fn(Progress),
    ) -> Result<RestoreReport, Error> {
        let failed = |source| Error::Io { op: "create", path: target.to_owned(), source };
        std::fs::create_dir_all(target).map_err(failed)?;
        let mut notes = Vec::new();
        if let Some(owner) = lock::exclusive_owner(&self.backend, &self.codecs)? {
            notes.push(format!("the vault is locked exclusively by {owner}; restoring all the same"));
        }
        let mut restore = Restore {
            vault: self,
            root: open_at::named_dir(target).map_err(failed)?,
            dirs: Vec::new(),
            as_root: rustix::process::geteuid().is_root(),
            files: AtomicU64::new(0),
            files_left: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            problems: Mutex::default(),
            metadata: Mutex::default(),
            first_links: HashMap::new(),
            links: Vec::new(),
            room,
        };
        restore.run(snapshot, only, progress)?;
        let mut report = restore.into_report();
        report.notes = notes;
        report.notes.extend(self.notes());
        Ok(report)
    }
}

/// A directory of the snapshot that is still to be walked.
struct Pending {
    parent: Option<usize>,
    node: Node,
    path: PathBuf,
    depth: usize,
}

impl Restore<'_> {
    fn run(
        &mut self,
        snapshot: &Snapshot,
        only: &[PathBuf],
        progress: &dyn Fn(Progress),
    ) -> Result<(), Error> {
        let selection = Selection::new(snapshot, only);
        let mut codec = self.vault.codecs.take()?;
        let top = Node { subtree: Some(snapshot.tree), ..Node::new(b"", Kind::Dir) };
        let mut stack = vec![Pending { parent: None, node: top, path: PathBuf::from("/"), depth: 0 }];
        let mut batch = Batch::default();
        while let Some(pending) = stack.pop() {
            let Some((dir, nodes)) = self.enter(&mut codec, &pending, &selection) else { continue };
            for node in nodes {
                let path = pending.path.join(OsStr::from_bytes(&node.name));
                if selection.skips(&path) {
                    continue;
                }
                if !node.has_safe_name() {
                    self.problem(path, "its name would lead out of its folder");
                } else if node.kind == Kind::Dir {
                    stack.push(Pending { parent: Some(dir), node, path, depth: pending.depth + 1 });
                } else if selection.everything || selection.is_wanted(&path) {
                    self.plan(&mut batch, dir, node);
                    if batch.is_full() {
                        self.restore_batch(std::mem::take(&mut batch), progress)?;
                    }
                }
            }
        }
        if !batch.is_empty() {
            self.restore_batch(batch, progress)?;
        }
        self.vault.codecs.give_back(codec);
        self.make_links();
        self.finish_dirs();
        self.name_what_was_not_found(snapshot, only);
        // One flush for all files: thousands of small ones would take minutes otherwise.
        rustix::fs::syncfs(&self.root).map_err(|e| Error::Io {
            op: "flush",
            path: PathBuf::from("the target"),
            source: e.into(),
        })
    }

    /// Makes a directory of the target and reads its entries.
    fn enter(
        &mut self,
        codec: &mut Codec,
        pending: &Pending,
        selection: &Selection,
    ) -> Option<(usize, Vec<Node>)> {
        let made = self.make_dir(pending, selection);
        let dir = match made {
            Ok(dir) => dir,
            Err(error) => {
                self.problem(pending.path.clone(), &error.to_string());
                return None;
            }
        };
        if pending.depth > MAX_DEPTH {
            self.problem(pending.path.clone(), "it is nested too deeply");
            return None;
        }
        let Some(tree) = &pending.node.subtree else {
            self.problem(pending.path.clone(), "the vault has no list of its entries");
            return None;
        };
        match self.vault.load_tree(codec, tree) {
            Ok(nodes) => Some((dir, nodes)),
            Err(error) => {
                self.problem(
                    pending.path.clone(),
                    &format!("the list of its entries is lost with all below it: {error}"),
                );
                None
            }
        }
    }

    fn make_dir(&mut self, pending: &Pending, selection: &Selection) -> io::Result<usize> {
        let Some(parent) = pending.parent else {
            self.dirs.push(TargetDir { relative: PathBuf::new(), node: None });
            return Ok(0);
        };
        let name = OsStr::from_bytes(&pending.node.name);
        let relative = self.dirs[parent].relative.join(name);
        let above = open_at::dir(self.root.as_fd(), &self.dirs[parent].relative)?;
        // Closed to others until its owner and mode are set at the end.
        let is_fresh = match mkdirat(&above, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        if !is_fresh {
            let stat = statat(&above, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if meta::kind_of(&stat) != Kind::Dir {
                return Err(io::Error::other(
                    "something that is no directory stands in its place in the target",
                ));
            }
        }
        // Directories above what was asked for belong to the target's machine.
        let keep = !is_fresh && !selection.is_wanted(&pending.path);
        let node = (!keep).then(|| Node { subtree: None, ..pending.node.clone() });
        self.dirs.push(TargetDir { relative, node });
        Ok(self.dirs.len() - 1)
    }

    fn plan(&mut self, batch: &mut Batch, dir: usize, node: Node) {
        // Links, pipes and devices can have several names, too.
        if node.links > 1 && node.kind != Kind::Dir {
            let key = (node.device_id, node.inode);
            if let Some(first) = self.first_links.get(&key) {
                self.links.push((dir, node, first.clone()));
                return;
            }
            self.first_links.insert(key, (dir, node.name.clone()));
        }
        if node.kind != Kind::File {
            self.make_special(dir, &node);
            return;
        }
        let vault = self.vault;
        batch.push(dir, node, |id| length_of(vault, id));
    }

    /// Everything that has no content: links, pipes, devices.
    fn make_special(&self, dir: usize, node: &Node) {
        let result = self.open_dir(dir).and_then(|fd| place::special(&fd, node));
        let path = self.path_of(dir, &node.name);
        match result {
            Ok(()) => {
                let set = self.open_dir(dir).map_err(Unset::from);
                if let Err(unset) = set.and_then(|fd| place::metadata_at(&fd, node, self.as_root)) {
                    self.metadata_problem(path, &unset);
                }
            }
            Err(error) => self.problem(path, &error.to_string()),
        }
    }

    fn make_links(&mut self) {
        for (dir, node, (first_dir, first_name)) in std::mem::take(&mut self.links) {
            let result = self.open_dir(dir).and_then(|to| {
                let from = self.open_dir(first_dir)?;
                place::hard_link(&from, &first_name, &to, &node.name)
            });
            match result {
                Ok(()) if node.kind != Kind::File => {}
                Ok(()) => {
                    self.files.fetch_add(1, Ordering::Relaxed);
                    self.bytes.fetch_add(node.size, Ordering::Relaxed);
                }
                Err(error) => self.problem(
                    self.path_of(dir, &node.name),
                    &format!("its hard link cannot be made: {error}"),
                ),
            }
        }
    }

    /// Sets owners, modes and times of directories, innermost first, so that nothing changes them afterwards.
    fn finish_dirs(&self) {
        for dir in self.dirs.iter().rev() {
            let Some(node) = &dir.node else { continue };
            let result = open_at::dir(self.root.as_fd(), &dir.relative)
                .map_err(Unset::from)
                .and_then(|fd| place::metadata(fd.as_fd(), node, self.as_root));
            if let Err(error) = result {
                self.metadata_problem(Path::new("/").join(&dir.relative), &error);
            }
        }
    }

    fn name_what_was_not_found(&self, snapshot: &Snapshot, only: &[PathBuf]) {
        let files = self.vault.files(snapshot);
        for path in only {
            // A path that is damaged has been named already.
            if matches!(files.entry(path), Err(Error::PathNotFound { .. })) {
                self.problem(path.clone(), "it is not in the snapshot");
            }
        }
    }

    pub(crate) fn open_dir(&self, dir: usize) -> io::Result<OwnedFd> {
        open_at::dir(self.root.as_fd(), &self.dirs[dir].relative)
    }

    pub(crate) fn path_of(&self, dir: usize, name: &[u8]) -> PathBuf {
        Path::new("/").join(&self.dirs[dir].relative).join(OsStr::from_bytes(name))
    }

    pub(crate) fn problem(&self, path: PathBuf, cause: &str) {
        let entry = NotRestored { path, cause: cause.to_owned() };
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    // By value, as what is missing is named.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn metadata_problem(&self, path: PathBuf, unset: &Unset) {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner).add(&path, unset);
    }

    fn into_report(self) -> RestoreReport {
        let sorted = |list: Mutex<Vec<NotRestored>>| {
            let mut list = list.into_inner().unwrap_or_else(PoisonError::into_inner);
            list.sort_by(|a, b| a.path.cmp(&b.path));
            list
        };
        RestoreReport {
            files: self.files.into_inner(),
            files_left: self.files_left.into_inner(),
            bytes: self.bytes.into_inner(),
            dirs: (self.dirs.len() as u64).saturating_sub(1),
            not_restored: sorted(self.problems),
            metadata: self.metadata.into_inner().unwrap_or_else(PoisonError::into_inner).into_list(),
            notes: Vec::new(),
        }
    }

    /// Whether it took all that it may.
    pub(crate) fn is_out_of_room(&self) -> bool {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.room.as_ref().is_some_and(|room| room.is_used_up(&self.root, bytes))
    }

    /// Restores the files of a batch with several threads, pack by pack.
    fn restore_batch(&self, batch: Batch, progress: &dyn Fn(Progress)) -> Result<(), Error> {
        let (runs, lost) = fetch::runs(self.vault, &batch);
        let work = Fetch::new(self, batch, runs);
        work.give_up(&lost);
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| work.run())).collect();
            while running.iter().any(|thread| !thread.is_finished()) {
                let (done, bytes) = (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
                progress(Progress { phase: Phase::Restore, done, total: None, bytes });
                for _ in 0..50 {
                    if running.iter().all(|thread| thread.is_finished()) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            let stopped =
                || Error::Engine { op: "restore", source: io::Error::other("a thread ended early") };
            running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(stopped())))
        })?;
        if let Some(room) = self.room.as_ref().filter(|_| self.is_out_of_room()) {
            return Err(Error::SandboxFull { dir: room.dir.clone() });
        }
        Ok(())
    }
}

/// What of a snapshot is wanted.
struct Selection {
    everything: bool,
    /// What was asked for, or the snapshot's roots. A sampled drill asks for thousands.
    wanted: HashSet<PathBuf>,
    /// The folders on the way there.
    ways: HashSet<PathBuf>,
}

impl Selection {
    fn new(snapshot: &Snapshot, only: &[PathBuf]) -> Selection {
        let clean = |path: &Path| path.components().filter(|c| !matches!(c, Component::CurDir)).collect();
        let wanted: HashSet<PathBuf> = match only {
            [] => snapshot.paths.iter().map(|path| clean(Path::new(path))).collect(),
            only => only.iter().map(|path| clean(path)).collect(),
        };
        let ways = wanted.iter().flat_map(|path| path.ancestors().skip(1)).map(Path::to_path_buf).collect();
        Selection { everything: only.is_empty(), wanted, ways }
    }

    /// Whether it lies at or below what was asked for, and not merely on the way there.
    fn is_wanted(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.wanted.contains(above))
    }

    /// Whether there is nothing wanted at it or below it.
    fn skips(&self, path: &Path) -> bool {
        !self.everything && !self.ways.contains(path) && !self.is_wanted(path)
    }
}

/// The length of a blob. Where the index names places that disagree about it, one of them is forged or damaged, and the blob itself
/// is asked: a wrong length would put all that follows in the file in the wrong place.
pub(crate) fn length_of(vault: &Vault, id: &Id) -> Option<u64> {
    let places = vault.locate(BlobKind::Data, id).ok()?;
    let length = places.first()?.content_length();
    let is_possible = length <= u64::from(limit(BlobKind::Data));
    if is_possible && places.iter().all(|place| place.content_length() == length) {
        return Some(length);
    }
    let mut codec = vault.codecs.take().ok()?;
    let content = vault.load_blob(&mut codec, BlobKind::Data, id).ok();
    vault.codecs.give_back(codec);
    content.map(|content| content.len() as u64)
}
