//! What lies in a directory, and what of it has to be read.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use rustix::fs::{AtFlags, Stat, readlinkat, statat};

use super::super::cache::{Half, Known, Print};
use super::super::id::BlobKind;
use super::super::request::FileSeen;
use super::super::tree::{Kind, MAX_DEPTH, Node};
use super::super::work::{Dir, DirJob, FilesJob, Job};
use super::super::write::Stopped;
use super::super::{meta, open_at};
use super::{Archive, Root, Worker, bump};

/// Files that one thread takes at a time.
const FILES_PER_JOB: usize = 32;

/// What a directory holds.
struct Listing {
    entries: Vec<(Vec<u8>, Stat)>,
    /// `None` if that cannot be compared.
    print: Option<Half>,
    /// When the entry that changed last changed.
    newest: Option<Timestamp>,
}

/// What there is to do for a name.
enum Look {
    Dir(DirJob),
    MustRead(Vec<u8>),
    Known(Box<Node>),
    /// It is left out, or gone and named.
    Nothing,
}

impl Archive<'_> {
    pub(super) fn enter(&self, worker: &mut Worker, job: DirJob) -> Result<(), Stopped> {
        let opened = if job.depth > MAX_DEPTH {
            Err(io::Error::other("it is nested too deeply"))
        } else {
            open_at::dir(job.root.as_fd(), &job.relative).and_then(|fd| {
                let stat = self.setup.as_shown(rustix::fs::fstat(&fd)?);
                let names = self.names(&job, &fd, &stat)?;
                Ok((fd, stat, names))
            })
        };
        match opened {
            Ok((fd, stat, names)) => self.list_dir(worker, job, fd, &stat, names),
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
        let mut names = open_at::names(fd)?;
        filter.thin_out(&mut names, &|name| Ok(open_at::file(fd.as_fd(), name)?.into()));
        Ok(names)
    }

    fn list_dir(
        &self,
        worker: &mut Worker,
        job: DirJob,
        fd: OwnedFd,
        stat: &Stat,
        names: Vec<Vec<u8>>,
    ) -> Result<(), Stopped> {
        bump(&self.counts.dirs, 1);
        let mut node = meta::node(&job.name, stat, &self.setup.names);
        node.extended_attributes = self.attributes(&job.path, meta::attributes(fd.as_fd()));
        let listing = self.look_at_all(&job.path, &fd, stat.st_dev, names);
        let known = self.known.get(&job.path);
        if let Some(known) = known
            && self.is_as_known(&listing, &known)
        {
            self.take_over(&job, &listing, known);
            node.subtree = Some(known.tree);
            return self.deliver(&mut worker.codec, &job.parent, job.slot, Some(node));
        }
        let fd = Arc::new(fd);
        let parent = Some((Arc::clone(&job.parent), job.slot));
        let previous = known.map(|known| known.tree).or(job.previous);
        let mut dir = Dir::new(parent, node, job.path.clone(), listing.entries.len(), previous);
        dir.print = listing.print.filter(|_| listing.newest.is_some_and(|newest| newest < self.trust_before));
        let dir = Arc::new(dir);
        let mut dirs = Vec::new();
        let mut files = Vec::new();
        for (slot, (name, stat)) in listing.entries.into_iter().enumerate() {
            match self.look(&job, &dir, &fd, slot, name, &stat) {
                Look::Dir(job) => dirs.push(Job::Dir(job)),
                Look::MustRead(name) => files.push((slot, name, stat)),
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

    /// The entries of a directory that go into the snapshot, with a digest of them if none of them is a directory.
    fn look_at_all(&self, folder: &Path, fd: &OwnedFd, device: u64, names: Vec<Vec<u8>>) -> Listing {
        let mut print = Some(Print::new(&self.setup.names));
        let mut newest = None;
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let path = || folder.join(OsStr::from_bytes(&name));
            if !self.setup.exclude.is_empty() && self.setup.exclude.contains(&path()) {
                continue;
            }
            let stat = match statat(fd, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => self.setup.as_shown(stat),
                Err(error) => {
                    self.report_failure(&path(), &error.into());
                    print = None;
                    continue;
                }
            };
            if self.setup.vault == Some((stat.st_dev, stat.st_ino)) || self.leaves_out(device, path, &stat) {
                continue;
            }
            if meta::kind_of(&stat) == Kind::Dir {
                print = None;
            }
            if let Some(print) = &mut print {
                print.add(&name, &stat);
                newest = newest.max(Some(meta::ctime(&stat)));
            }
            entries.push((name, stat));
        }
        Listing { entries, print: print.map(Print::finish), newest }
    }

    /// Whether all that a directory holds is stored already, as it is now.
    fn is_as_known(&self, listing: &Listing, known: &Known) -> bool {
        listing.print == Some(known.print)
            && self.distrust_from.is_none_or(|from| listing.newest.is_some_and(|newest| newest < from))
            && self.vault.index().has_whole(BlobKind::Tree, &known.tree)
    }

    fn take_over(&self, job: &DirJob, listing: &Listing, known: Known) {
        let files = listing.entries.iter().filter(|(_, stat)| meta::kind_of(stat) == Kind::File);
        bump(&self.counts.unmodified, files.clone().count() as u64);
        bump(&self.counts.files_bytes, files.clone().map(|(_, stat)| stat.st_size as u64).sum());
        if let Some(observer) = self.setup.observer {
            let seen: Vec<FileSeen<'_>> = files
                .map(|(name, stat)| FileSeen {
                    name: OsStr::from_bytes(name),
                    size: stat.st_size as u64,
                    mtime: meta::mtime(stat),
                })
                .collect();
            if !seen.is_empty() {
                (observer.folder)(&job.path, &seen);
            }
        }
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(&job.path, known);
    }

    /// What one name of a directory is, and what has to be done for it.
    fn look(
        &self,
        job: &DirJob,
        dir: &Arc<Dir>,
        fd: &OwnedFd,
        slot: usize,
        name: Vec<u8>,
        stat: &Stat,
    ) -> Look {
        let path = job.path.join(OsStr::from_bytes(&name));
        if self.given_up.contains(&path) || self.setup.substitutes.contains_key(&path) {
            dir.spoil();
        }
        match meta::kind_of(stat) {
            Kind::Dir => {
                let Some((root, relative)) = self.place(job, dir, &name, &path, stat) else {
                    return Look::Nothing;
                };
                Look::Dir(DirJob {
                    parent: Arc::clone(dir),
                    slot,
                    root,
                    relative,
                    name,
                    path,
                    previous: None,
                    depth: job.depth + 1,
                })
            }
            Kind::File => self.without_reading(dir.before(self.vault, &name), fd, name, &path, stat),
            _ => self.without_reading(None, fd, name, &path, stat),
        }
    }

    /// Whether the rules leave out what is found in a folder on this device.
    fn leaves_out(&self, device: u64, path: impl FnOnce() -> PathBuf, stat: &Stat) -> bool {
        let (filter, kind) = (self.setup.filter, meta::kind_of(stat));
        let size = (kind == Kind::File).then_some(stat.st_size as u64);
        // A folder on which something is mounted stays, empty, so that it can be mounted there again.
        let is_elsewhere = kind != Kind::Dir && stat.st_dev != device;
        filter.one_file_system && is_elsewhere || filter.has_rules() && filter.leaves_out(&path(), size)
    }

    /// A root that is no directory.
    pub(crate) fn push_single(&self, top: &Arc<Dir>, slot: usize, root: &Root, fd: OwnedFd, stat: &Stat) {
        let path = &root.path;
        let name = path.file_name().unwrap_or_default().as_bytes().to_owned();
        let before = root.previous.clone().map(|node| Node { name: name.clone(), ..node });
        match self.without_reading(before.as_ref(), &fd, name, path, stat) {
            Look::Known(node) => {
                top.put(slot, Some(*node));
            }
            Look::MustRead(name) => {
                let base = path.parent().unwrap_or(Path::new("/")).to_owned();
                let files = vec![(slot, name, *stat)];
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
        name: Vec<u8>,
        path: &Path,
        stat: &Stat,
    ) -> Look {
        let kind = meta::kind_of(stat);
        if kind == Kind::File {
            let Some(before) = before else {
                bump(&self.counts.new, 1);
                return Look::MustRead(name);
            };
            if self.is_unchanged(before, path, stat) {
                bump(&self.counts.unmodified, 1);
                bump(&self.counts.files_bytes, before.size);
                return Look::Known(Box::new(before.clone()));
            }
            bump(&self.counts.changed, 1);
            return Look::MustRead(name);
        }
        let mut node = meta::node(&name, stat, &self.setup.names);
        node.extended_attributes = self.attributes(path, meta::attributes_at(fd, &name));
        if kind == Kind::Symlink {
            match readlinkat(fd, OsStr::from_bytes(&name), Vec::new()) {
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
}
