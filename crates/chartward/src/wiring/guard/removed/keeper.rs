//! The thread that keeps what was removed: copying takes time, and opens must not wait for it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use act::evidence::{private_dir, write_json};
use act::put_back::Attributes;
use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use jiff::{SignedDuration, Timestamp};
use observe::files::{COPY_EACH_MAX, HeldContent, reflink};
use rustix::fs::fstatvfs;

use super::{BACK, Entry, Place, Remover};

/// Each holds a descriptor.
const QUEUE: usize = 1024;
/// What is left when the guard ends is kept within this time.
const LAST_FILES: Duration = Duration::from_secs(10);
/// Of the file system, so much stays free for whoever removed files to make room; on a large one no more than this.
const FREE_PERCENT: u64 = 5;
const FREE_ENOUGH: u64 = 1 << 30;
const LOOKS_EVERY: Duration = Duration::from_secs(60);
const LIVED: SignedDuration = SignedDuration::from_hours(1);
/// So much of a reflinked store may be in files that took no copying: a quarter of what is free.
const REFLINKED_OF_FREE: u64 = 4;
const BROUGHT_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// One file to keep.
#[derive(Debug)]
pub(in crate::wiring::guard) struct Job {
    pub(in crate::wiring::guard) path: std::path::PathBuf,
    pub(in crate::wiring::guard) tree: std::path::PathBuf,
    pub(in crate::wiring::guard) at: Timestamp,
    pub(in crate::wiring::guard) remover: Remover,
    /// Number of the actor, who is told of.
    pub(in crate::wiring::guard) actor: u64,
    pub(in crate::wiring::guard) held: HeldContent,
}

/// The thread; dropped, it keeps what is left and ends.
#[derive(Debug)]
pub(in crate::wiring::guard) struct Keeper {
    jobs: Option<Sender<Job>>,
    kept: Receiver<u64>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(in crate::wiring::guard) fn start(place: Place) -> anyhow::Result<Self> {
        private_dir(&place.folder)?;
        let (jobs, todo) = bounded::<Job>(QUEUE);
        let (say, kept) = unbounded();
        let (end, ended) = bounded(1);
        let mut shelf = Shelf::open(place);
        let work = move || {
            loop {
                match todo.recv_timeout(LOOKS_EVERY) {
                    Ok(job) => {
                        let actor = job.actor;
                        if shelf.keep(job) {
                            let _ = say.send(actor);
                        }
                    }
                    Err(crossbeam_channel::RecvTimeoutError::Timeout) => shelf.make_room(0, false),
                    Err(crossbeam_channel::RecvTimeoutError::Disconnected) => break,
                }
            }
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("removed".into()).spawn(work);
        let thread = thread.context("start the thread that keeps what was removed")?;
        Ok(Self { jobs: Some(jobs), kept, ended, thread: Some(thread) })
    }

    /// Never waits; `false` when too many wait already.
    pub(in crate::wiring::guard) fn keep(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Actors of files that were kept since.
    pub(in crate::wiring::guard) fn kept(&self) -> impl Iterator<Item = u64> + '_ {
        self.kept.try_iter()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        let in_time = self.ended.recv_timeout(LAST_FILES).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| in_time) {
            let _ = thread.join();
        }
    }
}

/// What is kept, by number.
#[derive(Debug)]
struct Shelf {
    place: Place,
    kept: BTreeMap<u64, Kept>,
    next: u64,
    looked: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    bytes: u64,
    at: Timestamp,
    reflinked: bool,
    short_lived: bool,
}

impl Shelf {
    fn open(place: Place) -> Self {
        let mut kept = BTreeMap::new();
        for entry in place.entries() {
            let Entry { id, bytes, removed_at: at, reflinked, short_lived, .. } = entry;
            kept.insert(id, Kept { bytes, at, reflinked, short_lived });
        }
        let mut highest = 0;
        for file in fs::read_dir(&place.folder).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let Ok(id) = name.strip_suffix(".json").unwrap_or(&name).parse::<u64>() else { continue };
            highest = highest.max(id);
            if !kept.contains_key(&id) {
                // Left by a guard that was killed.
                place.forget(id);
            }
        }
        let mut shelf = Self { place, kept, next: highest + 1, looked: None };
        shelf.make_room(0, false);
        shelf.forget_old_lists();
        shelf
    }

    fn forget_old_lists(&self) {
        let limit = Timestamp::now().checked_sub(BROUGHT_KEPT).unwrap_or(Timestamp::MIN);
        for list in fs::read_dir(self.place.folder.join(BACK)).into_iter().flatten().flatten() {
            let changed = list.metadata().and_then(|meta| meta.modified()).ok();
            if changed.and_then(|at| Timestamp::try_from(at).ok()).is_some_and(|at| at < limit) {
                let _ = fs::remove_dir_all(list.path());
            }
        }
    }

    /// `false` when it finds no room.
    fn keep(&mut self, job: Job) -> bool {
        let (id, bytes) = (self.next, job.held.stamp.size);
        self.next += 1;
        let done = self.content(id, &job.held, bytes).and_then(|reflinked| {
            let entry = entry(id, job, reflinked);
            self.make_room(bytes, reflinked);
            write_json(&self.place.note(id), &entry).ok()?;
            let (at, short_lived) = (entry.removed_at, entry.short_lived);
            self.kept.insert(id, Kept { bytes, at, reflinked, short_lived });
            Some(())
        });
        if done.is_none() {
            self.place.forget(id);
        }
        done.is_some()
    }

    /// Puts the content there: by shared blocks, else by copying; whether blocks are shared.
    fn content(&mut self, id: u64, held: &HeldContent, bytes: u64) -> Option<bool> {
        let mut options = File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.place.content(id)).ok()?;
        if held.original.is_none() && bytes <= self.room(&file, true) && reflink(&file, &held.pin).is_ok() {
            return Some(true);
        }
        if bytes > COPY_EACH_MAX.min(self.place.bounds.bytes_max / 2) {
            return None;
        }
        self.make_room(bytes, false);
        let copied = match &held.original {
            Some(original) => io::copy(&mut original.reader(), &mut file),
            None => io::copy(&mut At { file: &held.pin, at: 0 }, &mut file),
        };
        (copied.ok()? == bytes).then_some(false)
    }

    /// The most bytes that there may be of one sort.
    fn room(&self, on: &File, reflinked: bool) -> u64 {
        let free = fstatvfs(on).map_or(0, |all| all.f_bavail.saturating_mul(all.f_frsize));
        let bytes_max = self.place.bounds.bytes_max;
        if reflinked { bytes_max.max(free / REFLINKED_OF_FREE) } else { bytes_max }
    }

    /// Lets go of what is too old, and of what has to go for `bytes` more: short-lived files first, then the oldest.
    fn make_room(&mut self, bytes: u64, reflinked: bool) {
        let limit = Timestamp::now().checked_sub(self.place.bounds.keep).unwrap_or(Timestamp::MIN);
        let old: Vec<u64> = self.kept.iter().filter(|(_, kept)| kept.at < limit).map(|(id, _)| *id).collect();
        old.into_iter().for_each(|id| self.forget(id));
        let Ok(folder) = File::open(&self.place.folder) else { return };
        let bound = self.room(&folder, reflinked);
        let used = |kept: &BTreeMap<u64, Kept>| {
            kept.values().filter(|kept| kept.reflinked == reflinked).map(|kept| kept.bytes).sum::<u64>()
        };
        let mut over = used(&self.kept).saturating_add(bytes).saturating_sub(bound);
        over = over.max(self.missing(&folder));
        while over > 0 {
            let Some((id, kept)) = self.first_to_go() else { return };
            self.forget(id);
            over = over.saturating_sub(kept.bytes.max(4096));
        }
    }

    /// Bytes that lack for the file system to have its share free; looked at now and then.
    fn missing(&mut self, folder: &File) -> u64 {
        if self.looked.is_some_and(|at| at.elapsed() < Duration::from_secs(1)) {
            return 0;
        }
        self.looked = Some(Instant::now());
        let Ok(all) = fstatvfs(folder) else { return 0 };
        let wanted = all.f_blocks.saturating_mul(all.f_frsize) / 100 * FREE_PERCENT;
        wanted.min(FREE_ENOUGH).saturating_sub(all.f_bavail.saturating_mul(all.f_frsize))
    }

    fn first_to_go(&self) -> Option<(u64, Kept)> {
        let short_lived = self.kept.iter().find(|(_, kept)| kept.short_lived);
        short_lived.or_else(|| self.kept.first_key_value()).map(|(id, kept)| (*id, *kept))
    }

    fn forget(&mut self, id: u64) {
        self.kept.remove(&id);
        self.place.forget(id);
    }
}

fn entry(id: u64, job: Job, reflinked: bool) -> Entry {
    let stamp = &job.held.stamp;
    let born = job.held.pin.metadata().and_then(|meta| meta.created()).ok();
    let born = born.and_then(|at| Timestamp::try_from(at).ok());
    Entry {
        id,
        removed_at: job.at,
        bytes: stamp.size,
        attributes: Attributes {
            mode: stamp.mode,
            owner: stamp.owner,
            atime: stamp.atime,
            mtime: stamp.mtime,
        },
        reflinked,
        short_lived: born.is_some_and(|born| job.at.duration_since(born) < LIVED),
        path: job.path,
        tree: job.tree,
        remover: job.remover,
    }
}

/// Reads without moving the position that the file's other users share.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

#[cfg(test)]
pub(super) fn shelf_of(place: Place, jobs: Vec<Job>, folder: &std::path::Path) -> Vec<bool> {
    private_dir(folder).unwrap();
    let mut shelf = Shelf::open(place);
    jobs.into_iter().map(|job| shelf.keep(job)).collect()
}
