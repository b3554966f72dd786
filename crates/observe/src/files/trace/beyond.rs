//! What happened without an open that was seen, and what is done at the limits: descriptors, age, lost events.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Tracker;
use super::table::Key;
use crate::files::fanotify::path_of;
use crate::files::preimage::{PreImage, Stamp};
use crate::files::process::Actor;

/// Folders that are looked through after a loss, and entries of each.
const FOLDERS_MAX: usize = 256;
const ENTRIES_MAX: usize = 4096;
/// Quarters of what is known that are let go for one file.
const ROUNDS_MAX: u32 = 8;
/// Read files whose reads the kernel no longer tells of; beyond that the oldest are told of again.
const SPARED_MAX: usize = 2048;
/// So many of them are looked at before an actor's next act.
const SPARED_LATEST: usize = 8;
/// A file that is younger than this may have been made while nobody saw it.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

impl Tracker {
    /// The content that `file` has now is kept.
    pub fn is_kept(&self, file: &File) -> bool {
        let Ok(stamp) = Stamp::of(file) else { return false };
        let known = self.table.get(stamp.key);
        known.and_then(|known| known.kept.as_ref()).is_some_and(|kept| kept.stamp.same_content(&stamp))
    }

    /// `actor` has `file` open for writing, as far as was seen.
    pub fn writes(&self, actor: Actor, file: &File) -> bool {
        let Some(known) = Stamp::of(file).ok().and_then(|stamp| self.table.get(stamp.key)) else {
            return false;
        };
        let touch = self.actors.get(&actor).and_then(|trace| trace.touches.get(&known.id));
        touch.is_some_and(|touch| !touch.closed && touch.path_now.is_some())
    }

    /// `file` is read piece by piece: it is kept now, so that nobody need be asked for further pieces. `true` when it is.
    pub fn read_in_pieces(&mut self, file: &File) -> bool {
        let Ok(stamp) = Stamp::of(file) else { return false };
        if self.table.get(stamp.key).is_none() {
            return false;
        }
        self.keep(stamp.key, &stamp);
        self.is_kept(file)
    }

    /// `actor` changed `file`, which stands at `path`, without an open that was seen: it truncated it by its path, or had opened it
    /// before the guard started.
    pub fn modified(&mut self, actor: Option<Actor>, file: File, path: PathBuf, now: Timestamp) {
        let Ok(stamp) = Stamp::of(&file) else { return };
        let Some(actor) = actor.or_else(|| self.table.get(stamp.key)?.last) else { return };
        let writes = self.writes(actor, &file);
        let key = self.table.seen(file, &stamp, Some(path), actor);
        self.contest(actor, key);
        self.touch(actor, key, now, |touch| {
            touch.measured = None;
            touch.closed = !writes;
        });
    }

    /// The kernel no longer tells of reads of `file`, nor of its truncation by path: it is looked at instead.
    pub fn spared(&mut self, file: &File, now: Timestamp) {
        let Ok(stamp) = Stamp::of(file) else { return };
        if !self.spared.iter().rev().take(SPARED_LATEST).any(|(_, known)| known.key == stamp.key) {
            self.spared.push_back((now, stamp));
        }
    }

    /// Somebody opens it for writing: what changes it from now on is told.
    pub(super) fn no_longer_spared(&mut self, key: Key) {
        self.spared.retain(|(_, stamp)| stamp.key != key);
    }

    /// Looks whether the files that were spared last, or all of them, changed unseen.
    pub fn look_at_spared(&mut self, all: bool, now: Timestamp) {
        let most = if all { usize::MAX } else { SPARED_LATEST };
        let changed: Vec<Key> = self
            .spared
            .iter()
            .rev()
            .take(most)
            .filter(|(_, before)| {
                let present = self.table.get(before.key).and_then(|known| Stamp::of(&known.pin).ok());
                present.is_some_and(|present| (present.size, present.mtime) != (before.size, before.mtime))
            })
            .map(|(_, stamp)| stamp.key)
            .collect();
        for key in changed {
            self.no_longer_spared(key);
            let Some(actor) = self.table.get(key).and_then(|known| known.last) else { continue };
            self.touch(actor, key, now, |touch| {
                touch.measured = None;
                touch.closed = true;
            });
        }
    }

    /// The files of which the kernel is to tell again: those that were spared before `limit`, and those beyond the bound.
    pub fn spared_enough(&mut self, limit: Timestamp) -> Vec<Arc<File>> {
        let mut pins = Vec::new();
        while self.spared.front().is_some_and(|(at, _)| *at < limit) || self.spared.len() > SPARED_MAX {
            let Some((_, stamp)) = self.spared.pop_front() else { break };
            pins.extend(self.table.get(stamp.key).map(|known| Arc::clone(&known.pin)));
        }
        pins
    }

    /// Processes with unjudged writes are those of these actors.
    pub fn is_unjudged(&self, actor: Actor) -> bool {
        self.actors.get(&actor).is_some_and(|trace| !trace.dirty.is_empty())
    }

    /// Fewer files may be pinned from now on.
    pub fn bound_pins(&mut self, pins_max: usize, now: Timestamp) {
        self.table.bound(pins_max);
        self.touches_max = pins_max / 2;
        self.expire(now);
    }

    /// These inodes are decoys.
    pub fn set_canaries(&mut self, keys: impl Iterator<Item = (u64, u64)>) {
        self.canaries = keys.collect();
    }

    /// Contents and files that nobody used for longer than this are let go.
    pub fn keep_for(&mut self, keep: SignedDuration) {
        self.keep = keep;
    }

    /// Names changed unseen. Every file that is known tells its present name itself; what young files lie where one is gone is looked up.
    /// Gives how many changes were found.
    pub fn recover(&mut self, now: Timestamp) -> usize {
        let mut changed = Vec::new();
        for (path, actor, pin) in self.table.named() {
            let present = path_of(pin.as_fd());
            if present.as_deref() != Some(path) {
                changed.push((path.to_owned(), present, actor));
            }
        }
        let mut folders: Vec<(PathBuf, Option<Actor>)> = Vec::new();
        for (path, _, actor) in &changed {
            if let Some(folder) =
                path.parent().filter(|folder| !folders.iter().any(|(known, _)| known == folder))
            {
                folders.push((folder.to_owned(), *actor));
            }
        }
        // New names before lost ones: a file that took the place of another is known when the other is measured.
        for (folder, actor) in folders.iter().take(FOLDERS_MAX) {
            if let Some(actor) = actor {
                self.look_through(folder, *actor, now);
            }
        }
        let count = changed.len();
        for (path, present, actor) in changed {
            match present {
                Some(present) => self.renamed(actor, Some(&path), Some(present), now),
                None => self.deleted(actor, &path, now),
            }
        }
        count
    }

    fn look_through(&mut self, folder: &Path, actor: Actor, now: Timestamp) {
        let since = now.checked_sub(YOUNG).unwrap_or(Timestamp::MIN);
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten().take(ENTRIES_MAX) {
            let path = entry.path();
            let young = entry.metadata().is_ok_and(|meta| {
                meta.is_file()
                    && meta
                        .created()
                        .ok()
                        .and_then(|at| Timestamp::try_from(at).ok())
                        .is_some_and(|at| at >= since)
            });
            if young && self.table.at(&path).is_none() {
                self.table.made(path.clone(), actor);
                if let Some((key, _)) = self.table.find(&path, actor) {
                    self.touch(actor, key, now, |touch| touch.closed = true);
                }
            }
        }
    }

    /// Keeps what `pin` holds. In a full store what was unused for longest goes first; a file for which that is not enough is counted.
    pub(super) fn content_of(&mut self, pin: &File, size: u64) -> Option<PreImage> {
        for _ in 0..ROUNDS_MAX {
            if let Some(kept) = self.store.keep(pin).ok().flatten() {
                return Some(kept);
            }
            let full = self.store.used() + size > self.store.max();
            if !full || size > self.store.max() || !self.table.trim(true) {
                break;
            }
        }
        self.store.refuse();
        None
    }

    /// Lets go of what was not used for long. Called with [`Tracker::expire`].
    pub(super) fn age_out(&mut self, now: Timestamp) {
        self.table.age_out(now, self.keep);
    }
}

#[cfg(test)]
mod tests;
