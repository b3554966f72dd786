//! From directories to trees: several threads list, compare with what is known, read, and store from the leaves up.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use rustix::fs::{AtFlags, RawDir, Stat, readlinkat, statat};
use rustix::io::Errno;
use schema::{Exception, ExceptionKind};

use super::chunker;
use super::codec::Codec;
use super::filter::Filter;
use super::id::{BlobKind, Id};
use super::meta::{self, Names};
use super::open_at;
use super::repository::Vault;
use super::request::{FileSeen, Observer};
use super::source::Failure;
use super::tree::{self, Kind, MAX_DEPTH, Node};
use super::work::{Dir, DirJob, FilesJob, Job, Next, Work};
use super::write::{Stopped, Writer};

/// Files that one thread takes at a time.
const FILES_PER_JOB: usize = 32;

/// One pass over the roots.
pub(crate) struct Archive<'v> {
    pub(crate) vault: &'v Vault,
    pub(crate) writer: &'v Writer<'v>,
    pub(crate) setup: &'v Setup<'v>,
    pub(crate) work: Work,
    pub(crate) zeros: OnceLock<Id>,
    /// Nodes whose ctime is not before this are read again although they look unchanged: the clock of the file system
    /// ticks too slowly to tell two writes within one tick apart.
    pub(crate) distrust_from: Option<Timestamp>,
    /// Paths that were found unstable before and are not read again.
    pub(crate) given_up: &'v BTreeSet<PathBuf>,
    pub(crate) counts: Counts,
    pub(crate) findings: Mutex<Findings>,
}

/// A root that exists: its folder or file, and what the parent snapshot has in its place.
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) previous: Option<Node>,
}

/// What is the same in every pass.
pub(crate) struct Setup<'v> {
    pub(crate) names: Names,
    pub(crate) exclude: BTreeSet<PathBuf>,
    pub(crate) filter: &'v Filter,
    pub(crate) substitutes: &'v BTreeMap<PathBuf, PathBuf>,
    pub(crate) observer: Option<Observer<'v>>,
    /// Device and inode of the vault's own folder, which is never part of a backup.
    pub(crate) vault: Option<(u64, u64)>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) new: AtomicU64,
    pub(crate) changed: AtomicU64,
    pub(crate) unmodified: AtomicU64,
    pub(crate) dirs: AtomicU64,
    pub(crate) files_bytes: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) unstable: BTreeSet<PathBuf>,
    /// Files that were read, for naming what still changed in the last pass.
    pub(crate) read: BTreeSet<PathBuf>,
}

/// What each thread has for itself.
pub(crate) struct Worker {
    pub(crate) codec: Codec,
    pub(crate) buffer: Vec<u8>,
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Archive<'_> {
    pub(crate) fn count_bytes(&self, bytes: u64) {
        bump(&self.counts.bytes_read, bytes);
    }

    /// Works until everything is done or the writer has failed.
    pub(crate) fn run(&self) -> Result<(), Stopped> {
        let codec = self.vault.codecs.take().map_err(|e| self.stop(self.writer.fail(e)))?;
        let mut worker = Worker { codec, buffer: Vec::new() };
        let _end = EndOnPanic(&self.work);
        let result = loop {
            let result = match self.work.next() {
                Next::Over => break Ok(()),
                Next::Chunk(chunk) => self.store_chunk(&mut worker, chunk),
                Next::Job(Job::Files(job)) => self.store_files(&mut worker, job),
                Next::Job(Job::Dir(job)) => self.enter(&mut worker, job),
            };
            if let Err(stopped) = result {
                break Err(self.stop(stopped));
            }
        };
        self.vault.codecs.give_back(worker.codec);
        result
    }

    fn stop(&self, stopped: Stopped) -> Stopped {
        self.work.end();
        stopped
    }

    pub(crate) fn report(&self, path: &Path, kind: ExceptionKind, cause: String) {
        let exception = Exception { path: path.to_string_lossy().into_owned(), kind, cause };
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).exceptions.push(exception);
    }

    /// The attributes that could be read; the others are named.
    fn attributes(&self, path: &Path, read: meta::Attributes) -> Vec<tree::Attribute> {
        for (name, error) in read.unread {
            let cause = format!("its extended attribute {name} cannot be read: {error}");
            self.report(path, ExceptionKind::Unreadable, cause);
        }
        read.attributes
    }

    fn report_failure(&self, path: &Path, error: &io::Error) {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ExceptionKind::Vanished,
            _ => ExceptionKind::Unreadable,
        };
        self.report(path, kind, error.to_string());
    }

    fn enter(&self, worker: &mut Worker, job: DirJob) -> Result<(), Stopped> {
        let opened = if job.depth > MAX_DEPTH {
            Err(io::Error::other("it is nested too deeply"))
        } else {
            open_at::dir(job.root.as_fd(), &job.relative).and_then(|fd| {
                let stat = rustix::fs::fstat(&fd)?;
                let names = self.names(&job, &fd, &stat)?;
                Ok((fd, stat, names))
            })
        };
        match opened {
            Ok((fd, stat, names)) => self.list_dir(worker, job, fd, &stat, &names),
            Err(error) => {
                self.report_failure(&job.path, &error);
                self.deliver(&mut worker.codec, &job.parent, job.slot, None)
            }
        }
    }

    /// The names in a directory that are not left out as a whole.
    fn names(&self, job: &DirJob, fd: &OwnedFd, stat: &Stat) -> io::Result<Vec<Vec<u8>>> {
        let filter = self.setup.filter;
        let is_mounted = job.depth > 0 && stat.st_dev != job.parent.node.device_id;
        if filter.one_file_system && is_mounted {
            return Ok(Vec::new());
        }
        let mut names = list(fd)?;
        filter.thin_out(&mut names, &|name| Ok(open_at::file(fd.as_fd(), name)?.into()));
        Ok(names)
    }

    fn list_dir(
        &self,
        worker: &mut Worker,
        job: DirJob,
        fd: OwnedFd,
        stat: &Stat,
        names: &[Vec<u8>],
    ) -> Result<(), Stopped> {
        bump(&self.counts.dirs, 1);
        let mut node = meta::node(&job.name, stat, &self.setup.names);
        node.extended_attributes = self.attributes(&job.path, meta::attributes(fd.as_fd()));
        let previous = job.previous.and_then(|id| {
            // A parent that cannot be read costs time, not the backup.
            self.vault.load_tree(&mut worker.codec, &id).ok().map(|nodes| (id, nodes))
        });
        let fd = Arc::new(fd);
        let dir = Arc::new(Dir {
            parent: Some((Arc::clone(&job.parent), job.slot)),
            node,
            path: job.path.clone(),
            slots: Mutex::new(vec![None; names.len()]),
            left: AtomicUsize::new(1),
            previous,
        });
        let mut dirs = Vec::new();
        let mut files = Vec::new();
        for (slot, name) in names.iter().enumerate() {
            match self.look(&job, &dir, &fd, slot, name) {
                Look::Dir(job) => dirs.push(Job::Dir(job)),
                Look::MustRead(stat) => files.push((slot, name.clone(), stat)),
                Look::Known(node) => {
                    dir.slots.lock().unwrap_or_else(PoisonError::into_inner)[slot] = Some(*node)
                }
                Look::Nothing => {}
            }
        }
        dir.left.fetch_add(dirs.len() + files.len(), Ordering::AcqRel);
        let mut jobs = dirs;
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let some = files.by_ref().take(FILES_PER_JOB).collect();
            let (dir, fd, base) = (Arc::clone(&dir), Arc::clone(&fd), job.path.clone());
            jobs.push(Job::Files(FilesJob { dir, fd, base, files: some }));
        }
        self.work.push(jobs);
        if dir.finish_one() { self.finish_dir(&mut worker.codec, dir) } else { Ok(()) }
    }

    /// What one name of a directory is, and what has to be done for it.
    fn look(&self, job: &DirJob, dir: &Arc<Dir>, fd: &OwnedFd, slot: usize, name: &[u8]) -> Look {
        let path = job.path.join(OsStr::from_bytes(name));
        if self.setup.exclude.contains(&path) {
            return Look::Nothing;
        }
        let stat = match statat(fd, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => {
                self.report_failure(&path, &error.into());
                return Look::Nothing;
            }
        };
        if self.setup.vault == Some((stat.st_dev, stat.st_ino)) || self.leaves_out(dir, &path, &stat) {
            return Look::Nothing;
        }
        if meta::kind_of(&stat) != Kind::Dir {
            return self.without_reading(dir.before(name), fd, name, &path, &stat);
        }
        Look::Dir(DirJob {
            parent: Arc::clone(dir),
            slot,
            name: name.to_owned(),
            root: Arc::clone(&job.root),
            relative: job.relative.join(OsStr::from_bytes(name)),
            path,
            previous: dir.before(name).and_then(|node| node.subtree),
            depth: job.depth + 1,
        })
    }

    fn leaves_out(&self, dir: &Dir, path: &Path, stat: &Stat) -> bool {
        let (filter, kind) = (self.setup.filter, meta::kind_of(stat));
        let size = (kind == Kind::File).then_some(stat.st_size as u64);
        // A folder on which something is mounted stays, empty, so that it can be mounted there again.
        let is_elsewhere = kind != Kind::Dir && stat.st_dev != dir.node.device_id;
        filter.one_file_system && is_elsewhere || filter.leaves_out(path, size)
    }

    /// A root that is no directory.
    pub(crate) fn push_single(&self, top: &Arc<Dir>, slot: usize, root: &Root, fd: OwnedFd, stat: &Stat) {
        let path = &root.path;
        let name = path.file_name().unwrap_or_default().as_bytes().to_owned();
        let before = root.previous.clone().map(|node| Node { name: name.clone(), ..node });
        match self.without_reading(before.as_ref(), &fd, &name, path, stat) {
            Look::Known(node) => {
                top.put(slot, Some(*node));
            }
            Look::MustRead(stat) => {
                let base = path.parent().unwrap_or(Path::new("/")).to_owned();
                let files = vec![(slot, name, stat)];
                self.work.push([Job::Files(FilesJob {
                    dir: Arc::clone(top),
                    fd: Arc::new(fd),
                    base,
                    files,
                })]);
            }
            _ => {
                top.put(slot, None);
            }
        }
    }

    /// The node of what is no directory, if nothing has to be read for it.
    fn without_reading(
        &self,
        before: Option<&Node>,
        fd: &OwnedFd,
        name: &[u8],
        path: &Path,
        stat: &Stat,
    ) -> Look {
        let kind = meta::kind_of(stat);
        if kind == Kind::File {
            let Some(before) = before else {
                bump(&self.counts.new, 1);
                return Look::MustRead(*stat);
            };
            if self.is_unchanged(before, path, stat) {
                bump(&self.counts.unmodified, 1);
                bump(&self.counts.files_bytes, before.size);
                return Look::Known(Box::new(before.clone()));
            }
            bump(&self.counts.changed, 1);
            return Look::MustRead(*stat);
        }
        let mut node = meta::node(name, stat, &self.setup.names);
        node.extended_attributes = self.attributes(path, meta::attributes_at(fd, name));
        if kind == Kind::Symlink {
            match readlinkat(fd, OsStr::from_bytes(name), Vec::new()) {
                Ok(target) => node.set_link_target(target.as_bytes()),
                Err(error) => {
                    self.report_failure(path, &error.into());
                    return Look::Nothing;
                }
            }
        }
        Look::Known(Box::new(node))
    }

    /// Whether a file need not be read: it looks as it did, and all its content is stored in packs that are there.
    fn is_unchanged(&self, before: &Node, path: &Path, stat: &Stat) -> bool {
        let Some(content) = &before.content else { return false };
        let is_stored = || {
            let index = self.vault.index();
            content.iter().all(|id| index.has_whole(BlobKind::Data, id))
        };
        if self.given_up.contains(path) {
            return is_stored();
        }
        if self.setup.substitutes.contains_key(path) {
            // The copy is as it was; only the first pass has to read it.
            return self.distrust_from.is_some() && is_stored();
        }
        before.kind == Kind::File
            && before.size == stat.st_size as u64
            && before.inode == stat.st_ino
            && before.mtime == meta::mtime(stat)
            && before.ctime == meta::ctime(stat)
            && self.distrust_from.is_none_or(|from| before.ctime < from)
            && is_stored()
    }

    fn store_files(&self, worker: &mut Worker, job: FilesJob) -> Result<(), Stopped> {
        for (slot, name, stat) in job.files {
            let path = job.base.join(OsStr::from_bytes(&name));
            let opened = match self.setup.substitutes.get(&path) {
                Some(copy) => rustix::fs::open(
                    copy,
                    rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
                    rustix::fs::Mode::empty(),
                )
                .map_err(io::Error::from),
                None => open_at::file(job.fd.as_fd(), &name),
            };
            let node = match opened.map_err(Failure::from).and_then(|fd| self.capture_file(worker, fd)) {
                Ok(captured) => {
                    if let Some(observer) = self.setup.observer
                        && captured.size <= chunker::MIN as u64
                    {
                        (observer.content)(&path, &worker.buffer[..captured.size as usize]);
                    }
                    Some(self.file_node(&name, path, &stat, captured))
                }
                Err(Failure::Source(error)) => {
                    self.report_failure(&path, &error);
                    None
                }
                Err(Failure::Vault(stopped)) => return Err(stopped),
            };
            self.deliver(&mut worker.codec, &job.dir, slot, node)?;
        }
        Ok(())
    }

    fn file_node(
        &self,
        name: &[u8],
        path: PathBuf,
        listed: &Stat,
        captured: super::source::Captured,
    ) -> Node {
        // Of a substitute only the content counts; owner, mode and times are those of the file it stands for.
        let stat = if self.setup.substitutes.contains_key(&path) { listed } else { &captured.stat };
        let mut node = meta::node(name, stat, &self.setup.names);
        node.size = captured.size;
        node.content = Some(captured.content);
        node.extended_attributes = self.attributes(&path, captured.attributes);
        bump(&self.counts.files_bytes, node.size);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if captured.stable {
            findings.read.insert(path);
        } else {
            findings.unstable.insert(path);
        }
        node
    }

    /// Puts an entry in its place, and finishes the directories that this completes.
    fn deliver(
        &self,
        codec: &mut Codec,
        dir: &Arc<Dir>,
        slot: usize,
        node: Option<Node>,
    ) -> Result<(), Stopped> {
        if dir.put(slot, node) { self.finish_dir(codec, Arc::clone(dir)) } else { Ok(()) }
    }

    /// Tells the observer what regular files a folder holds.
    pub(crate) fn tell_files<'n>(&self, folder: &Path, nodes: impl Iterator<Item = &'n Node>) {
        let Some(observer) = self.setup.observer else { return };
        let seen: Vec<FileSeen<'_>> = nodes
            .filter(|node| node.kind == Kind::File)
            .map(|node| FileSeen { name: OsStr::from_bytes(&node.name), size: node.size, mtime: node.mtime })
            .collect();
        if !seen.is_empty() {
            (observer.folder)(folder, &seen);
        }
    }

    fn finish_dir(&self, codec: &mut Codec, mut dir: Arc<Dir>) -> Result<(), Stopped> {
        while let Some((parent, slot)) = &dir.parent {
            let nodes = dir.take_nodes();
            self.tell_files(&dir.path, nodes.iter());
            let tree = match &dir.previous {
                Some((id, before))
                    if *before == nodes && self.vault.index().has_whole(BlobKind::Tree, id) =>
                {
                    *id
                }
                _ => self.writer.save(codec, BlobKind::Tree, &tree::write(&nodes))?,
            };
            let mut node = dir.node.clone();
            node.subtree = Some(tree);
            if !parent.put(*slot, Some(node)) {
                return Ok(());
            }
            dir = Arc::clone(parent);
        }
        self.work.end();
        Ok(())
    }
}

/// Lets the other threads go when one panics, so that the backup fails rather than waits.
struct EndOnPanic<'a>(&'a Work);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}

/// What there is to do for a name.
enum Look {
    Dir(DirJob),
    MustRead(Stat),
    Known(Box<Node>),
    /// It is left out, or gone and named.
    Nothing,
}

/// The names in a directory, ordered.
fn list(fd: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut names = Vec::new();
    let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    // A directory that changes while it is listed may show a name twice.
    names.dedup();
    Ok(names)
}
