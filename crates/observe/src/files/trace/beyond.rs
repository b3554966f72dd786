//! What happened without an open that was seen, and what is done at the limits: descriptors, age, lost events.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::table::Key;
use super::{Touch, Tracker};
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
/// The device of files that are no longer pinned.
const NOWHERE: u64 = u64::MAX;
/// A file that is younger than this may have been made while nobody saw it.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

/// What is let go first when there are too many touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Let {
    Harmless,
    Kept,
    Judged,
}

impl Let {
    fn holds(self, touch: &Touch) -> bool {
        match self {
            Let::Harmless => !touch.suspicious && touch.measured.is_some(),
            Let::Kept => touch.key.0 != NOWHERE && touch.path_now.is_none() && touch.original.is_some(),
            Let::Judged => true,
        }
    }
}

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
        self.is_at_work(actor, known.id)
    }

    fn is_at_work(&self, actor: Actor, file: u64) -> bool {
        self.touch_of(actor, file).is_some_and(|touch| !touch.closed && touch.path_now.is_some())
    }

    /// How many files that it did not make `actor` has open for writing, up to `most`.
    pub fn at_work_on(&self, actor: Actor, most: usize) -> usize {
        let Some(trace) = self.actors.get(&actor) else { return 0 };
        let touches = trace.dirty.iter().filter_map(|id| trace.touches.get(id));
        touches.filter(|touch| !touch.closed && !touch.made && touch.path_now.is_some()).take(most).count()
    }

    /// `actor` is about to cut `file` off without having it open: once its length is another one, nobody is at it any more.
    pub fn cuts_off(&mut self, actor: Actor, stamp: Stamp, now: Timestamp) {
        let Some(id) = self.table.get(stamp.key).map(|known| known.id) else { return };
        if let Some(touch) = self.actors.get_mut(&actor).and_then(|trace| trace.touches.get_mut(&id)) {
            touch.closed = true;
        }
        self.spared(stamp, now);
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
    pub fn spared(&mut self, stamp: Stamp, now: Timestamp) {
        if !self.spared.iter().rev().take(SPARED_LATEST).any(|(_, known)| known.key == stamp.key) {
            self.spared.push_back((now, stamp));
        }
        if let Some(known) = self.table.get_mut(stamp.key) {
            known.spared = true;
        }
    }

    /// Somebody opens it for writing: what changes it from now on is told.
    pub(super) fn no_longer_spared(&mut self, key: Key) {
        let spared = self.table.get_mut(key).map(|known| std::mem::replace(&mut known.spared, false));
        if spared != Some(false) {
            self.spared.retain(|(_, stamp)| stamp.key != key);
        }
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
            // Whoever has it open for writing did it, in a mapping perhaps, and not whoever has read it since.
            let Some(known) = self.table.get(key) else { continue };
            let at_work = known.writer.filter(|writer| self.is_at_work(*writer, known.id));
            let Some(actor) = at_work.or(known.last) else { continue };
            self.touch(actor, key, now, |touch| {
                touch.measured = None;
                touch.closed = at_work.is_none();
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
        self.touches_max = pins_max;
        self.expire(now);
        self.bound_touches();
    }

    /// Every touch pins a file, and descriptors are the scarcest thing here. At the bound, down to three quarters of it, the oldest go
    /// first: what was found harmless; then the inodes of removed originals whose content is kept, which can be put back without them;
    /// then whatever was judged already.
    pub(super) fn bound_touches(&mut self) {
        self.touches = self.pinned();
        if self.touches < self.touches_max {
            return;
        }
        let mut beyond = self.touches.saturating_sub(self.touches_max / 4 * 3);
        for sort in [Let::Harmless, Let::Kept, Let::Judged] {
            if beyond == 0 {
                break;
            }
            let mut found: Vec<(Timestamp, Actor, u64)> = Vec::new();
            for (actor, trace) in &self.actors {
                let judged = trace.touches.iter().filter(|(id, _)| !trace.dirty.contains(id));
                let of_sort = judged.filter(|(_, touch)| sort.holds(touch));
                found.extend(of_sort.map(|(id, touch)| (touch.at, *actor, *id)));
            }
            found.sort_unstable();
            for (_, actor, id) in found.into_iter().take(beyond) {
                beyond -= 1;
                self.drop_touch(actor, id, sort);
            }
        }
        self.actors.retain(|_, trace| {
            trace.pairs.retain(|id| trace.touches.contains_key(&id));
            !trace.touches.is_empty()
        });
        // Where all that is left is unjudged, not every act looks through it.
        self.touches = self.pinned().min(self.touches_max - self.touches_max / 16);
    }

    fn pinned(&self) -> usize {
        let touches = self.actors.values().flat_map(|trace| trace.touches.values());
        touches.filter(|touch| touch.key.0 != NOWHERE).count()
    }

    fn drop_touch(&mut self, actor: Actor, id: u64, sort: Let) {
        if sort == Let::Kept && self.placeholder.is_none() {
            self.placeholder = self.store.unlinked().ok().map(Arc::new);
        }
        let Some(trace) = self.actors.get_mut(&actor) else { return };
        match (trace.touches.get_mut(&id), &self.placeholder) {
            (Some(touch), Some(placeholder)) if sort == Let::Kept => {
                self.table.forget(touch.key);
                touch.pin = Arc::clone(placeholder);
                // Its number may be given to another file from now on.
                touch.key = (NOWHERE, id);
                touch.measured = Stamp::of(placeholder).ok();
            }
            _ => {
                trace.touches.remove(&id);
            }
        }
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
    pub(super) fn content_of(&mut self, pin: &File, stamp: &Stamp) -> Option<PreImage> {
        let size = stamp.size;
        for _ in 0..ROUNDS_MAX {
            if let Some(kept) = self.store.keep_as(pin, *stamp).ok().flatten() {
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
