//! Blobs from packs into files: packs are read in runs of neighbouring blobs, each run by one thread.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use super::super::codec::Codec;
use super::super::crypto::random;
use super::super::id::{BlobKind, Id};
use super::super::index::Location;
use super::super::repository::Vault;
use super::super::tree::Kind;
use super::super::{meta, open_at, place};
use super::Restore;
use super::plan::{Batch, OpenDirs, Prepared, TargetFile};
use crate::Error;

/// A run is not made longer than this.
const RUN: u64 = 4 << 20;
/// Bytes between two wanted blobs that are read along rather than skipped.
const GAP: u64 = 64 << 10;
/// Zeros of this length, aligned, become holes.
const HOLE: usize = 64 << 10;

/// Neighbouring blobs of one pack.
pub(crate) struct Run {
    pack: Id,
    blobs: Vec<(Id, Location)>,
}

impl Run {
    fn start(&self) -> u64 {
        self.blobs.first().map_or(0, |(_, l)| u64::from(l.offset))
    }

    fn end(&self) -> u64 {
        self.blobs.last().map_or(0, |(_, l)| u64::from(l.offset) + u64::from(l.length))
    }
}

/// The runs that hold a batch's blobs, and the blobs that are nowhere.
pub(crate) fn runs(vault: &Vault, batch: &Batch) -> (Vec<Run>, Vec<Id>) {
    let mut found = Vec::with_capacity(batch.blobs.len());
    let mut lost = Vec::new();
    let index = vault.index();
    for id in batch.blobs.keys() {
        match index.location(BlobKind::Data, id) {
            Some(location) => found.push((*id, location)),
            None => lost.push(*id),
        }
    }
    found.sort_unstable_by_key(|(_, l)| (l.pack, l.offset));
    let mut runs: Vec<Run> = Vec::new();
    let mut last_pack = None;
    for (id, location) in found {
        let offset = u64::from(location.offset);
        match runs.last_mut() {
            Some(run)
                if last_pack == Some(location.pack)
                    && offset <= run.end() + GAP
                    && offset + u64::from(location.length) <= run.start() + RUN =>
            {
                run.blobs.push((id, location));
            }
            _ => runs.push(Run { pack: index.pack(location.pack).id, blobs: vec![(id, location)] }),
        }
        last_pack = Some(location.pack);
    }
    (runs, lost)
}

/// The restoring of one batch.
pub(crate) struct Fetch<'a> {
    restore: &'a Restore<'a>,
    batch: Batch,
    runs: Vec<Run>,
    next_run: AtomicUsize,
    next_file: AtomicUsize,
}

struct Worker {
    codec: Codec,
    /// Sealed bytes of a run.
    buffer: Vec<u8>,
    /// A blob that was compressed.
    opened: Vec<u8>,
    dirs: OpenDirs,
}

impl Worker {
    fn new(codec: Codec) -> Worker {
        Worker { codec, buffer: Vec::new(), opened: Vec::new(), dirs: OpenDirs::default() }
    }
}

impl<'a> Fetch<'a> {
    pub(crate) fn new(restore: &'a Restore<'a>, batch: Batch, runs: Vec<Run>) -> Fetch<'a> {
        Fetch { restore, batch, runs, next_run: AtomicUsize::new(0), next_file: AtomicUsize::new(0) }
    }

    /// Takes runs until there are none left.
    pub(crate) fn run(&self) -> Result<(), Error> {
        let codec = self.restore.vault.codecs.take()?;
        let mut worker = Worker::new(codec);
        while let Some(file) = self.batch.files.get(self.next_file.fetch_add(1, Ordering::Relaxed)) {
            if file.node.content.as_deref().unwrap_or_default().is_empty() {
                self.use_file(&mut worker, file, |_| Ok(()));
                self.finish(&mut worker, file);
            }
        }
        while let Some(run) = self.runs.get(self.next_run.fetch_add(1, Ordering::Relaxed)) {
            if self.restore.is_out_of_room() {
                break;
            }
            self.fetch(&mut worker, run);
        }
        self.restore.vault.codecs.give_back(worker.codec);
        Ok(())
    }

    /// Names the files that need blobs which are nowhere.
    pub(crate) fn give_up(&self, lost: &[Id]) {
        let Ok(codec) = self.restore.vault.codecs.take() else { return };
        let mut worker = Worker::new(codec);
        for id in lost {
            let missing = Error::Missing { what: "blob", id: id.to_string() };
            self.deliver(&mut worker, id, Err(&missing));
        }
        self.restore.vault.codecs.give_back(worker.codec);
    }

    fn fetch(&self, worker: &mut Worker, run: &Run) {
        let start = run.start();
        let mut buffer = std::mem::take(&mut worker.buffer);
        let mut opened = std::mem::take(&mut worker.opened);
        let length = (run.end() - start) as usize;
        let read = self
            .restore
            .vault
            .backend
            .open_pack(&run.pack)
            .and_then(|file| file.read_at(start, length, &mut buffer))
            .is_ok();
        for (id, location) in &run.blobs {
            let from = (u64::from(location.offset) - start) as usize;
            let sealed = if read { buffer.get_mut(from..from + location.length as usize) } else { None };
            let content = sealed.and_then(|sealed| {
                worker.codec.open_blob(BlobKind::Data, id, sealed, location.uncompressed, &mut opened).ok()
            });
            match content {
                Some(content) => self.deliver(worker, id, Ok(content)),
                None => {
                    // The slow way looks at one blob alone, finds further copies, and says what is wrong.
                    let content = self.restore.vault.load_blob(&mut worker.codec, BlobKind::Data, id);
                    self.deliver(worker, id, content.as_deref());
                }
            }
        }
        (worker.buffer, worker.opened) = (buffer, opened);
    }

    /// Writes a blob wherever it belongs.
    fn deliver(&self, worker: &mut Worker, id: &Id, content: Result<&[u8], &Error>) {
        let is_zero =
            content.is_ok_and(|content| content.len() >= HOLE && content.iter().all(|byte| *byte == 0));
        for place in self.batch.blobs.get(id).map(Vec::as_slice).unwrap_or_default() {
            let file = &self.batch.files[place.file as usize];
            match content {
                Ok(content) if file.failure.get().is_none() => {
                    self.use_file(worker, file, |fd| {
                        if is_zero { Ok(()) } else { write_sparse(fd, content, place.offset) }
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    let _ = file.failure.set(format!("its content is lost: {error}"));
                }
            }
            if file.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.finish(worker, file);
            }
        }
    }

    /// Prepares the file if need be, and lets `write` have it unless it is as it should be already.
    fn use_file(&self, worker: &mut Worker, file: &TargetFile, write: impl FnOnce(&File) -> io::Result<()>) {
        let mut created = None;
        let result = self.dir(worker, file.dir).and_then(|dir| {
            let mut failure = None;
            let prepared = file.prepared.get_or_init(|| match self.prepare(dir, file) {
                Ok((prepared, fd)) => {
                    created = fd;
                    prepared
                }
                Err(error) => {
                    failure = Some(error);
                    Prepared::Impossible
                }
            });
            if let Some(error) = failure {
                return Err(error);
            }
            let name = match prepared {
                Prepared::AsItWas | Prepared::Impossible => return Ok(()),
                Prepared::New => &file.node.name,
                Prepared::Beside(name) => name,
            };
            let fd = match created.take() {
                Some(fd) => fd,
                None => place::reopen(dir, name)?,
            };
            let fd = File::from(fd);
            write(&fd)?;
            // The one blob of a small file has just been written: everything is done while it is open.
            if file.node.content.as_ref().is_none_or(|content| content.len() <= 1) {
                self.complete(dir, file, &fd)?;
            }
            Ok(())
        });
        if let Err(error) = result {
            let _ = file.failure.set(error.to_string());
        }
    }

    fn prepare(&self, dir: BorrowedFd<'_>, file: &TargetFile) -> io::Result<(Prepared, Option<OwnedFd>)> {
        let name = &file.node.name;
        match place::create(dir, name) {
            Ok(fd) => return self.sized(file, fd, Prepared::New),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let stat = statat(dir, std::ffi::OsStr::new(os(name)), AtFlags::SYMLINK_NOFOLLOW)?;
        match meta::kind_of(&stat) {
            Kind::Dir => return Err(place::in_the_way()),
            Kind::File if stat.st_size as u64 == file.size && self.is_same(dir, file).unwrap_or(false) => {
                return Ok((Prepared::AsItWas, None));
            }
            _ => {}
        }
        let mut noise = [0; 8];
        random(&mut noise).map_err(|e| io::Error::other(e.to_string()))?;
        let beside = format!(".chartward-restore-{}", hex::encode(noise)).into_bytes();
        let fd = place::create(dir, &beside)?;
        self.sized(file, fd, Prepared::Beside(beside))
    }

    fn sized(
        &self,
        file: &TargetFile,
        fd: OwnedFd,
        prepared: Prepared,
    ) -> io::Result<(Prepared, Option<OwnedFd>)> {
        if file.size >= HOLE as u64 {
            // What is not written stays a hole.
            rustix::fs::ftruncate(&fd, file.size)?;
        }
        Ok((prepared, Some(fd)))
    }

    /// Compares what is there with the snapshot, by the hashes of the chunks: the vault is not read for it.
    fn is_same(&self, dir: BorrowedFd<'_>, file: &TargetFile) -> io::Result<bool> {
        let mut there = File::from(open_at::file(dir, &file.node.name)?);
        let mut chunk = Vec::new();
        for id in file.node.content.as_deref().unwrap_or_default() {
            let Some(location) = self.restore.vault.index().location(BlobKind::Data, id) else {
                return Ok(false);
            };
            chunk.clear();
            (&mut there).take(location.content_length()).read_to_end(&mut chunk)?;
            if Id::of(&chunk) != *id {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Metadata, then the final name.
    fn complete(&self, dir: BorrowedFd<'_>, file: &TargetFile, fd: &File) -> io::Result<()> {
        if let Err(error) = place::metadata(fd.as_fd(), &file.node, self.restore.as_root) {
            self.restore.metadata_problem(self.restore.path_of(file.dir, &file.node.name), &error);
        }
        match file.prepared.get() {
            Some(Prepared::Beside(name)) => place::rename(dir, name, &file.node.name),
            _ => Ok(()),
        }
    }

    /// All blobs of a file have come or are lost.
    fn finish(&self, worker: &mut Worker, file: &TargetFile) {
        let result = match file.failure.get() {
            Some(cause) => Err(cause.clone()),
            None => self.settle(worker, file).map_err(|e| e.to_string()),
        };
        match result {
            Ok(()) => {
                self.restore.files.fetch_add(1, Ordering::Relaxed);
                self.restore.bytes.fetch_add(file.size, Ordering::Relaxed);
            }
            Err(cause) => {
                if let Ok(dir) = self.dir(worker, file.dir) {
                    // Half a record under its own name would pass for the whole.
                    match file.prepared.get() {
                        Some(Prepared::New) => place::remove(dir, &file.node.name),
                        Some(Prepared::Beside(name)) => place::remove(dir, name),
                        _ => {}
                    }
                }
                self.restore.problem(self.restore.path_of(file.dir, &file.node.name), &cause);
            }
        }
    }

    fn settle(&self, worker: &mut Worker, file: &TargetFile) -> io::Result<()> {
        let is_small = file.node.content.as_ref().is_none_or(|content| content.len() <= 1);
        let dir = self.dir(worker, file.dir)?;
        let name = match file.prepared.get() {
            Some(Prepared::AsItWas) => {
                self.restore.files_left.fetch_add(1, Ordering::Relaxed);
                let fd = open_at::file(dir, &file.node.name)?;
                return self.complete(dir, file, &File::from(fd));
            }
            _ if is_small => return Ok(()),
            Some(Prepared::Beside(name)) => name,
            _ => &file.node.name,
        };
        let fd = place::reopen(dir, name)?;
        self.complete(dir, file, &File::from(fd))
    }

    fn dir<'w>(&self, worker: &'w mut Worker, number: usize) -> io::Result<BorrowedFd<'w>> {
        worker.dirs.get(number, || self.restore.open_dir(number))
    }
}

fn os(name: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

/// Writes what is not zero.
fn write_sparse(file: &File, content: &[u8], offset: u64) -> io::Result<()> {
    if content.len() < HOLE {
        return file.write_all_at(content, offset);
    }
    let mut start = None;
    for (number, block) in content.chunks(HOLE).enumerate() {
        let here = number * HOLE;
        let is_hole = block.len() == HOLE && block.iter().all(|byte| *byte == 0);
        match (is_hole, start) {
            (false, None) => start = Some(here),
            (true, Some(from)) => {
                file.write_all_at(&content[from..here], offset + from as u64)?;
                start = None;
            }
            _ => {}
        }
    }
    match start {
        Some(from) => file.write_all_at(&content[from..], offset + from as u64),
        None => Ok(()),
    }
}
