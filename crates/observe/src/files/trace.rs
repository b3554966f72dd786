//! Who touched which file, what it held before, and what became of it.
//!
//! A file is known by its inode from the first open on, whatever its name becomes. An actor's touch of a file begins with its first
//! open for writing, rename or removal, and keeps the content from just before: that is what the present content is compared with
//! and what is put back. A touch that proved harmless begins anew with the actor's next open, so that a program that rewrites its
//! files all day is compared with yesterday's content by nobody.

mod beyond;
mod exchange;
mod join;
mod links;
mod pairs;
mod removed;
mod sound;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use schema::{FileEvidence, GateInput};

use self::join::Joined;
use self::links::Links;
use self::pairs::{Pairs, is_alike, name_of};
pub use self::removed::{Held as HeldContent, Removed};
use self::sound::{is_sound, is_suspicious};
use self::table::{Key, Table};
use super::measure::{measure, measure_gone, measure_made};
use super::names;
use super::preimage::{PreImage, Stamp, Store, sample};
use super::process::{Actor, Intent};

const TOUCHES_MAX: usize = 8192;
const MEASURED_AT_ONCE_MAX: usize = 64;
/// Originals for each of which one made file may stand, as far as its name or its length tells.
const RECONSIDERED_MAX: usize = 8;
/// Made files that may not be complete yet are looked for among so many.
const LATEST: usize = 64;
const HARMLESS_KEPT: SignedDuration = SignedDuration::from_mins(15);
const SUSPICIOUS_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Files that are only read are kept as well up to here: truncate(2) and unlink(2) ask nobody.
const KEEP_READ_MAX: u64 = 64 * 1024;

/// One file as one actor left it.
#[derive(Debug, Clone)]
pub struct Touch {
    /// Number of the file.
    pub file: u64,
    /// When the actor first touched it.
    pub at: Timestamp,
    /// Its path then.
    pub path_before: PathBuf,
    /// Its path now; `None` when it was removed, replaced or taken out of the tree.
    pub path_now: Option<PathBuf>,
    /// The inode, read only; it outlives the last name.
    pub pin: Arc<File>,
    /// What it held; `None` for a file that the actor made, and for one that could not be kept.
    pub original: Option<PreImage>,
    /// The actor made the file.
    pub made: bool,
    /// It is named like a ransom note.
    pub note: bool,
    /// Somebody else wrote to it afterwards.
    pub contested: bool,
    /// The last measurement spoke against the actor.
    pub suspicious: bool,
    /// The last measurement found in its place what may be the same document, edited or converted.
    pub sound: bool,
    key: Key,
    replaced_by: Option<Key>,
    measured: Option<Stamp>,
    closed: bool,
    /// The actor opened it for writing: what is kept from then on is no longer what it held before.
    opened: bool,
}

impl Touch {
    /// Device and inode.
    pub fn key(&self) -> (u64, u64) {
        self.key
    }

    /// When its inode's content changed last, as the file system says.
    pub fn modified_at(&self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = Stamp::of(&self.pin).ok()?.mtime;
        Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
    }

    /// Takes in what a later actor did to the same file, both of whom are undone together.
    pub fn join(&mut self, later: Self) {
        self.path_now = later.path_now;
        self.note |= later.note;
        self.suspicious |= later.suspicious;
        self.sound = later.sound;
        self.contested = later.contested;
        self.replaced_by = later.replaced_by.or(self.replaced_by);
        // It was made by one of them: nothing was there before.
        self.made |= later.made;
    }

    /// There may be something to compare it with: not with a file that was made, as long as nothing is missing and it is no note.
    fn is_comparable(&self, lost_some: bool) -> bool {
        let is_note = || self.note || self.path_now.as_deref().is_some_and(names::may_be_note);
        !self.made || lost_some || is_note()
    }

    /// The file that took its place, when one did.
    pub fn replaced_by(&self) -> Option<(u64, u64)> {
        self.replaced_by
    }
}

/// Everything that one actor did.
#[derive(Debug, Default)]
struct Trace {
    touches: BTreeMap<u64, Touch>,
    dirty: BTreeSet<u64>,
    /// What may belong together of that.
    pairs: Pairs,
    note_names: HashMap<String, u32>,
    /// An original went away and nothing took its place: from then on it matters whether what the actor made is noise.
    lost_some: bool,
}

/// The bounded memory of what happened below the protected trees.
#[derive(Debug)]
pub struct Tracker {
    store: Store,
    table: Table,
    actors: HashMap<Actor, Trace>,
    /// So many touches there are at most: counted with every act, and anew where that reaches the bound.
    touches: usize,
    touches_max: usize,
    /// In the place of inodes that are no longer pinned.
    placeholder: Option<Arc<File>>,
    joined: Joined,
    keep: SignedDuration,
    canaries: BTreeSet<Key>,
    /// Files of which the kernel does not tell, with what they were when it was told not to.
    spared: VecDeque<(Timestamp, Stamp)>,
    links: Links,
    removals: removed::Removals,
}

/// An open whose file's content is safe, see [`Tracker::before_open`].
#[derive(Debug)]
pub struct Opened {
    /// The content that it has now is kept.
    pub kept: bool,
    actor: Actor,
    key: Key,
    path: PathBuf,
    first_name: Option<PathBuf>,
    intent: Intent,
}

impl Tracker {
    /// With a place for pre-images and a bound on pinned files.
    pub fn new(store: Store, pins_max: usize) -> Self {
        Self {
            store,
            table: Table::new(pins_max),
            actors: HashMap::new(),
            touches: 0,
            placeholder: None,
            touches_max: pins_max,
            keep: SUSPICIOUS_KEPT,
            canaries: BTreeSet::new(),
            spared: VecDeque::new(),
            joined: Joined::default(),
            links: Links::default(),
            removals: removed::Removals::default(),
        }
    }

    /// The place for pre-images.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// `actor` opens `file`, which stands at `path` and still has the content from before.
    pub fn opened(
        &mut self,
        actor: Actor,
        file: impl Into<Arc<File>>,
        path: PathBuf,
        intent: Intent,
        now: Timestamp,
    ) {
        let file = file.into();
        if let Ok(stamp) = Stamp::of(&file) {
            let opened = self.before_open(actor, file, &stamp, path, intent, now);
            self.after_open(opened, now);
        }
    }

    /// The first half of an open, where the file was looked at already: from the return on it may pass.
    pub fn before_open(
        &mut self,
        actor: Actor,
        file: Arc<File>,
        stamp: &Stamp,
        path: PathBuf,
        intent: Intent,
        now: Timestamp,
    ) -> Opened {
        let first_name = self.first_name(stamp, &path, now);
        let key = self.table.seen(file, stamp, Some(path.clone()), actor);
        // What it made itself is never put back against it: a file that was laid out beforehand is not copied.
        let is_own = self.table.get(key).is_some_and(|known| known.made_by == Some(actor));
        if (intent == Intent::Write && !is_own) || (intent == Intent::Read && stamp.size <= KEEP_READ_MAX) {
            self.keep(key, stamp);
        }
        let kept = self.table.get(key).and_then(|known| known.kept.as_ref());
        let kept = kept.is_some_and(|kept| kept.stamp.same_content(stamp));
        Opened { kept, actor, key, path, first_name, intent }
    }

    /// The second half, which nobody waits for: whose file it is now.
    pub fn after_open(&mut self, opened: Opened, now: Timestamp) {
        let Opened { actor, key, path, first_name, intent, .. } = opened;
        if intent == Intent::Write {
            self.no_longer_spared(key);
            let original = self.contest(actor, key);
            self.touch(actor, key, now, |touch| {
                touch.closed = false;
                touch.opened = true;
                if let Some(first_name) = first_name.filter(|_| touch.path_before == path) {
                    touch.path_before = first_name;
                }
                if let Some(original) = original {
                    touch.original = Some(original);
                }
            });
        }
    }

    /// `file` at `path` was written to; `original` is what a mirror holds of it, `None` for a file that is new.
    pub fn mirrored(
        &mut self,
        actor: Actor,
        file: File,
        path: PathBuf,
        original: Option<PreImage>,
        now: Timestamp,
    ) {
        let Ok(stamp) = Stamp::of(&file) else { return };
        if original.is_none() && self.table.at(&path).is_none() {
            self.table.made(path.clone(), actor);
        }
        let key = self.table.seen(file, &stamp, Some(path), actor);
        if let Some(known) = self.table.get_mut(key)
            && original.is_some()
        {
            known.kept = original;
        }
        self.touch(actor, key, now, |touch| {
            touch.closed = true;
            touch.measured = None;
        });
        let made = self.table.get(key).filter(|known| known.made_by == Some(actor)).map(|known| known.id);
        if let (Some(trace), Some(made)) = (self.actors.get_mut(&actor), made) {
            trace.made_whole(made, Some(stamp.size));
        }
    }

    /// The file at `path`, of which a mirror holds `original`, is about to be reported as gone; its inode can no longer be had.
    pub fn mirrored_gone(&mut self, actor: Actor, path: &Path, original: PreImage) {
        if self.table.at(path).is_some() {
            return;
        }
        let Ok(placeholder) = self.store.unlinked() else { return };
        let Ok(stamp) = Stamp::of(&placeholder) else { return };
        let key = self.table.seen(placeholder, &stamp, Some(path.to_owned()), actor);
        if let Some(known) = self.table.get_mut(key) {
            known.kept = Some(original);
        }
    }

    /// The place for pre-images, for the mirror.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Takes out what was found harmless and lies before `limit`: the path it had and the one it has. The mirror is renewed
    /// from it.
    pub fn settled(&mut self, actor: Actor, limit: Timestamp) -> Vec<(PathBuf, Option<PathBuf>)> {
        let Some(trace) = self.actors.get_mut(&actor) else { return vec![] };
        let dirty = &trace.dirty;
        let harmless = |id: &u64, touch: &Touch| {
            !touch.suspicious && !touch.note && touch.at < limit && !dirty.contains(id)
        };
        let settled: Vec<u64> =
            trace.touches.iter().filter(|(id, touch)| harmless(id, touch)).map(|(id, _)| *id).collect();
        let settled = settled.into_iter().filter_map(|id| trace.touches.remove(&id));
        settled.map(|touch| (touch.path_before, touch.path_now)).collect()
    }

    /// Somebody closed a file after writing; `actor` is the last known writer when nobody can tell who closed it.
    pub fn closed(&mut self, actor: Option<Actor>, stamp: &Stamp, now: Timestamp) {
        let Some(known) = self.table.get(stamp.key) else { return };
        let Some(actor) = actor.or(known.writer) else { return };
        let Some(trace) = self.actors.get_mut(&actor) else { return };
        let made = trace.touches.get(&known.id).is_some_and(|touch| touch.made);
        if made && stamp.links == 0 {
            // It never got a name. Its blocks are free only when it is let go of.
            return self.forget_made(actor, stamp.key);
        }
        if let Some(touch) = trace.touches.get_mut(&known.id) {
            touch.closed = true;
            if touch.is_comparable(trace.lost_some) {
                touch.measured = None;
                trace.dirty.insert(known.id);
            } else {
                touch.measured = Some(*stamp);
                trace.dirty.remove(&known.id);
            }
            self.joined.settled.insert(actor);
        } else {
            // Opened before the guard started, or its open passed unjudged.
            self.touch(actor, stamp.key, now, |touch| touch.closed = true);
            return;
        }
        if made {
            trace.made_whole(known.id, Some(stamp.size));
            self.made_whole(actor, stamp, now);
        }
    }

    /// `actor` made an entry at `path`.
    pub fn created(&mut self, actor: Actor, path: PathBuf, now: Timestamp) {
        if !self.linked(actor, &path, now) {
            self.table.made(path, actor);
        }
    }

    /// The same, where the entry is known to be the first name of a file.
    pub fn made(&mut self, actor: Actor, path: PathBuf) {
        self.table.made(path, actor);
    }

    /// Whose file got one more name at `path`, where it did: whoever gave it may have ended before that was read.
    pub fn maker_at(&self, path: &Path) -> Option<Actor> {
        let stamp = Stamp::from_metadata(&std::fs::symlink_metadata(path).ok()?);
        let known = self.table.get(stamp.key).filter(|_| stamp.is_file() && stamp.links > 1)?;
        known.made_by.or(known.last)
    }

    /// `actor` removed the entry at `path`.
    pub fn deleted(&mut self, actor: Option<Actor>, path: &Path, now: Timestamp) {
        let Some(key) = self.table.unname(path) else { return self.unlinked(path) };
        if !self.stands_elsewhere(actor, key, path, now) {
            self.gone(actor, key, None, now);
        }
    }

    /// `actor` renamed an entry; `None` stands for a place outside the protected trees.
    pub fn renamed(
        &mut self,
        actor: Option<Actor>,
        from: Option<&Path>,
        to: Option<PathBuf>,
        now: Timestamp,
    ) {
        let over = to.as_deref().and_then(|to| self.table.unname(to));
        // Who ended before it was read is taken for the one that opened last what it replaced: another process of one job.
        let finder = actor.or_else(|| self.table.get(over?)?.last);
        let moving = from.and_then(|from| self.table.unname(from)).or_else(|| {
            let to = to.as_deref()?;
            let (key, stamp) = self.table.find(to, finder?)?;
            self.keep(key, &stamp);
            self.table.unname(to)
        });
        if let Some(over) = over {
            self.gone(actor, over, moving, now);
        }
        let Some(key) = moving else { return };
        let Some(actor) = actor.or_else(|| self.table.get(key)?.last) else { return };
        if from.is_none() {
            self.table.set_made(key, actor);
        }
        let before = from.map(Path::to_owned);
        self.touch(actor, key, now, |touch| {
            if let Some(before) = before.filter(|_| touch.measured.is_none() && touch.path_now.is_none()) {
                touch.path_before = before;
            }
            touch.measured = None;
        });
        let id = self.table.get(key).map(|known| known.id);
        self.table.name(key, to.clone());
        if let Some(trace) = self.actors.get_mut(&actor)
            && let Some(id) = id
            && let Some(touch) = trace.touches.get_mut(&id)
        {
            touch.path_now = to;
            trace.hint(id);
        }
    }

    /// A directory got another path; everything below it did too.
    pub fn directory_renamed(&mut self, from: &Path, to: &Path) {
        self.table.directory_renamed(from, to);
        for touch in self.actors.values_mut().flat_map(|trace| trace.touches.values_mut()) {
            let moved = touch.path_now.as_ref().and_then(|path| Some(to.join(path.strip_prefix(from).ok()?)));
            touch.path_now = moved.or(touch.path_now.take());
        }
    }

    /// Actors with something unmeasured.
    pub fn unmeasured(&self) -> Vec<Actor> {
        let mut actors: Vec<_> = self
            .actors
            .iter()
            .filter(|(_, trace)| !trace.dirty.is_empty())
            .map(|(actor, _)| *actor)
            .collect();
        actors.sort();
        actors
    }

    /// Measures what `actor` left unmeasured, for the gate.
    pub fn evidence(&mut self, actor: Actor) -> GateInput {
        let mut evidence = Vec::new();
        self.join_replacements(actor);
        if let Some(trace) = self.actors.get_mut(&actor) {
            let files: Vec<u64> = trace.dirty.iter().copied().take(MEASURED_AT_ONCE_MAX).collect();
            for file in files {
                let canary = trace.touches.get(&file).is_some_and(|touch| self.canaries.contains(&touch.key));
                let measured = trace.measure(file, &self.table);
                evidence.extend(measured.map(|evidence| FileEvidence { canary, ..evidence }));
            }
        }
        self.share(actor, &evidence);
        GateInput { actor: actor.number(), evidence }
    }

    /// What `actor` did to the file of this number.
    pub fn touch_of(&self, actor: Actor, file: u64) -> Option<&Touch> {
        self.actors.get(&actor)?.touches.get(&file)
    }

    /// Takes out everything that `actor` did, in the order of time, with the entries that it made and was refused to open.
    pub fn take(&mut self, actor: Actor, now: Timestamp) -> Vec<Touch> {
        for path in self.table.made_unopened(actor) {
            if let Some((key, _)) = self.table.find(&path, actor) {
                self.touch(actor, key, now, |touch| touch.note = names::is_note(&path));
            }
        }
        let trace = self.actors.remove(&actor).unwrap_or_default();
        let mut touches: Vec<_> = trace.touches.into_values().collect();
        let left = self.links.left(actor, &touches);
        touches.extend(left);
        touches.sort_by_key(|touch| (touch.at, touch.file));
        touches
    }

    /// Forgets what is old and harmless. Call it now and then.
    pub fn expire(&mut self, now: Timestamp) {
        let since = |kept| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        let (harmless, suspicious) = (since(HARMLESS_KEPT), since(SUSPICIOUS_KEPT));
        self.actors.retain(|_, trace| {
            let before = trace.touches.len();
            let dirty = &trace.dirty;
            trace.touches.retain(|id, touch| {
                let limit = if touch.suspicious { suspicious } else { harmless };
                dirty.contains(id) || touch.at >= limit
            });
            if trace.touches.len() < before {
                trace.pairs.retain(|id| trace.touches.contains_key(&id));
            }
            !trace.touches.is_empty()
        });
        self.bound_touches();
        self.table.trim(self.store.used() > self.store.max() / 4 * 3);
        self.age_out(now);
    }

    fn keep(&mut self, key: Key, stamp: &Stamp) {
        let Some(known) = self.table.get_mut(key) else { return };
        if known.kept.as_ref().is_some_and(|kept| kept.stamp.same_content(stamp)) {
            return;
        }
        let pin = Arc::clone(&known.pin);
        let kept = self.content_of(&pin, stamp);
        if let Some(known) = self.table.get_mut(key) {
            known.kept = kept;
        }
    }

    fn gone(&mut self, actor: Option<Actor>, key: Key, by: Option<Key>, now: Timestamp) {
        let Some(known) = self.table.get(key) else { return };
        // A process that ended before its removal was read is taken for the one that made what stands there now, else for the one
        // that last opened the file.
        let maker = || self.table.get(by?)?.made_by;
        let Some(actor) = actor.or_else(maker).or(known.last) else { return };
        if known.made_by == Some(actor) {
            return self.forget_made(actor, key);
        }
        if known.kept.is_none() {
            let pin = Arc::clone(&known.pin);
            let kept = Stamp::of(&pin).ok().and_then(|stamp| self.content_of(&pin, &stamp));
            if let Some(known) = self.table.get_mut(key) {
                known.kept = kept;
            }
        }
        self.touch(actor, key, now, |touch| {
            touch.path_now = None;
            touch.replaced_by = by.or(touch.replaced_by);
            touch.measured = None;
            touch.closed = true;
        });
        self.gone_lately(actor, key, now);
    }

    /// Another actor's touch of this file can no longer be undone without harm to this one's. Gives what the file held before that
    /// one, when it did harm or is at it still: who shares the encryption of one file is compared with the same original.
    fn contest(&mut self, actor: Actor, key: Key) -> Option<PreImage> {
        let known = self.table.get_mut(key)?;
        let previous = known.writer.replace(actor).filter(|previous| *previous != actor)?;
        let touch = self.actors.get_mut(&previous)?.touches.get_mut(&known.id)?;
        touch.contested = true;
        touch.original.clone().filter(|_| touch.suspicious || !touch.closed || touch.measured.is_none())
    }

    fn touch(&mut self, actor: Actor, key: Key, now: Timestamp, change: impl FnOnce(&mut Touch)) {
        if self.touches >= self.touches_max {
            self.bound_touches();
        }
        self.touches += 1;
        let Some(known) = self.table.get(key) else { return };
        let trace = self.actors.entry(actor).or_default();
        let made = known.made_by == Some(actor);
        let begin = |path_now: Option<PathBuf>| Touch {
            file: known.id,
            at: now,
            path_before: known.path.clone().or_else(|| known.last_path.clone()).unwrap_or_default(),
            path_now,
            pin: Arc::clone(&known.pin),
            original: known.kept.clone().filter(|_| !made),
            made,
            note: false,
            contested: false,
            suspicious: false,
            sound: false,
            key,
            replaced_by: None,
            measured: None,
            closed: false,
            opened: false,
        };
        let touch = trace.touches.entry(known.id).or_insert_with(|| begin(known.path.clone()));
        // Measured, closed and found harmless: what comes now is a new touch.
        if touch.closed && !touch.suspicious && touch.measured.is_some() && touch.replaced_by.is_none() {
            *touch = begin(known.path.clone());
        }
        // A large file that was read and renamed is kept only now that it is opened for writing or goes away.
        if touch.original.is_none() && !touch.made && !touch.opened {
            touch.original.clone_from(&known.kept);
        }
        change(touch);
        if touch.is_comparable(trace.lost_some) {
            trace.dirty.insert(known.id);
        }
        trace.hint(known.id);
        trace.bound();
    }
}

impl Trace {
    fn bound(&mut self) {
        while self.touches.len() > TOUCHES_MAX {
            let oldest = self.touches.iter().find(|(_, touch)| !touch.suspicious).map(|(id, _)| *id);
            let Some(id) = oldest.or_else(|| self.touches.keys().next().copied()) else { return };
            self.touches.remove(&id);
            self.dirty.remove(&id);
        }
    }

    /// Notes what may be paired with the file of this number.
    fn hint(&mut self, id: u64) {
        let Some(touch) = self.touches.get(&id) else { return };
        match (&touch.path_now, touch.made) {
            (Some(path), true) => self.pairs.made.set(id, &name_of(path), None),
            (None, false) if touch.replaced_by.is_none() => {
                let bytes = touch.original.as_ref().map(|original| original.stamp.size);
                self.pairs.gone.set(id, &name_of(&touch.path_before), bytes);
            }
            (Some(_), false) => self.pairs.gone.remove(id),
            (None, _) => {}
        }
        if let Some(key) = touch.replaced_by {
            self.pairs.take(key, id);
        }
    }

    /// The file that was made is complete: it may be what took the place of one that is gone, by its name, else by its length.
    fn made_whole(&mut self, made: u64, bytes: Option<u64>) {
        let Some(touch) = self.touches.get(&made).filter(|touch| touch.made) else { return };
        let name = touch.path_now.as_deref().map(name_of).unwrap_or_default();
        let key = touch.key;
        self.pairs.made.set(made, &name, bytes);
        if let Some(gone) = self.pairs.taken_by(key).filter(|gone| self.is_replaced_by(*gone, key)) {
            return self.reconsider(gone);
        }
        let named: Vec<u64> = self.pairs.gone.named_before(&name).take(RECONSIDERED_MAX).collect();
        let bytes = bytes.unwrap_or(0);
        let alike = || {
            let (least, most) = (bytes.saturating_sub(bytes / 8 + 600), bytes + bytes / 8 + 600);
            let alike = self.pairs.gone.as_long(least, most, |original| is_alike(bytes, original));
            // Once it was found to be gone, its length alone says too little: a version control makes noise of every length.
            let unjudged = |id: &u64| self.touches.get(id).is_some_and(|touch| !touch.suspicious);
            alike.filter(unjudged).take(RECONSIDERED_MAX).collect()
        };
        let gone: Vec<u64> = if named.is_empty() { alike() } else { named };
        gone.into_iter().for_each(|gone| self.reconsider(gone));
    }

    fn is_replaced_by(&self, gone: u64, key: Key) -> bool {
        self.touches.get(&gone).is_some_and(|touch| touch.replaced_by == Some(key))
    }

    /// The file behind `key` is gone: what it stood for waits for another one.
    fn stands_no_more(&mut self, key: Key) {
        let Some(gone) = self.pairs.release(key) else { return };
        if let Some(touch) = self.touches.get_mut(&gone).filter(|touch| touch.replaced_by == Some(key)) {
            touch.replaced_by = None;
            self.hint(gone);
        }
    }

    fn reconsider(&mut self, gone: u64) {
        let touch = self.touches.get_mut(&gone).filter(|touch| touch.path_now.is_none() && !touch.made);
        if let Some(touch) = touch {
            touch.measured = None;
            self.dirty.insert(gone);
        }
    }

    fn measure(&mut self, file: u64, table: &Table) -> Option<FileEvidence> {
        let touch = self.touches.get(&file)?;
        let stamp = Stamp::of(&touch.pin).ok()?;
        if touch.measured.as_ref().is_some_and(|measured| measured.same_content(&stamp)) {
            if touch.closed {
                self.dirty.remove(&file);
            }
            return None;
        }
        let evidence = if touch.made { self.measure_made(file) } else { self.measure_changed(file, table) };
        let touch = self.touches.get_mut(&file)?;
        touch.measured = Some(stamp);
        if touch.closed || touch.path_now.is_none() {
            self.dirty.remove(&file);
        }
        let complete = touch.closed || touch.path_now.is_none();
        let evidence = FileEvidence { file, complete, ..evidence? };
        touch.suspicious |= is_suspicious(&evidence);
        touch.sound = is_sound(&evidence);
        Some(evidence)
    }

    fn measure_made(&mut self, file: u64) -> Option<FileEvidence> {
        let touch = self.touches.get_mut(&file)?;
        let path = touch.path_now.as_deref()?;
        let suffix = names::note_suffix(path);
        let is_note = names::is_note(path) || suffix != 0;
        if touch.note || !is_note {
            if !self.lost_some {
                return None;
            }
            // Read from the page cache: it was written a moment ago.
            return sample(&touch.pin).ok().map(|made| measure_made(&made));
        }
        touch.note = true;
        let name = path.file_name()?.to_string_lossy().into_owned();
        *self.note_names.entry(name).or_default() += 1;
        Some(FileEvidence { made: true, ransom_note: true, suffix, ..FileEvidence::default() })
    }

    fn measure_changed(&mut self, file: u64, table: &Table) -> Option<FileEvidence> {
        let touch = self.touches.get(&file)?;
        // What stood for it may be gone as well, and another file have come: a version control's checkout after an edit.
        if touch.path_now.is_none() && touch.replaced_by.is_none_or(|key| table.get(key).is_none()) {
            let replacement = self.replacement(touch);
            self.touches.get_mut(&file)?.replaced_by = replacement;
            self.hint(file);
        }
        let touch = self.touches.get(&file)?;
        let original = touch.original.as_ref()?.sample().ok()?;
        let replacement = touch.replaced_by.and_then(|key| table.get(key));
        let (present, name) = match (&touch.path_now, replacement) {
            (None, None) => {
                let gone = measure_gone(&original);
                self.lost_without_trace();
                return Some(gone);
            }
            (None, Some(other)) => (sample(&other.pin).ok()?, other.path.clone()),
            (Some(path), _) => (sample(&touch.pin).ok()?, Some(path.clone())),
        };
        let renaming = name.map(|name| names::renaming(&touch.path_before, &name)).unwrap_or_default();
        Some(FileEvidence {
            original_gone: touch.path_now.is_none(),
            suffix_added: renaming.suffix_added,
            suffix_known: renaming.suffix_known,
            suffix: renaming.suffix,
            ..measure(&original, &present)
        })
    }

    /// From now on files that the actor made are measured, and those that it made before.
    fn lost_without_trace(&mut self) {
        if std::mem::replace(&mut self.lost_some, true) {
            return;
        }
        for (id, touch) in self.touches.iter_mut().filter(|(_, touch)| touch.made && !touch.note) {
            touch.measured = None;
            self.dirty.insert(*id);
        }
    }

    /// Which of the files that the actor made took the place of `gone`: the one at its path, else one named after it, else the newest
    /// of like size that stands for no other.
    fn replacement(&self, gone: &Touch) -> Option<Key> {
        let free = |id: &u64| {
            let touch = self.touches.get(id)?;
            let stands_for = self.pairs.taken_by(touch.key);
            let taken = stands_for.is_some_and(|gone| self.is_replaced_by(gone, touch.key));
            (touch.made && !touch.note && !taken).then_some(touch)
        };
        let stem = name_of(&gone.path_before);
        let named = || self.pairs.made.named_after(&stem).filter_map(|id| free(&id));
        let at_its_path = named().find(|touch| touch.path_now.as_deref() == Some(gone.path_before.as_path()));
        if let Some(touch) = at_its_path.or_else(|| named().min_by_key(|touch| touch.file)) {
            return Some(touch.key);
        }
        let size = gone.original.as_ref()?.stamp.size;
        let (least, most) = (size.saturating_sub(size / 8 + 600), size + size / 8 + 600);
        let complete = self.pairs.made.as_long(least, most, |bytes| is_alike(bytes, size));
        // What is still being written has no length that anybody noted.
        let latest = self.touches.iter().rev().take(LATEST).filter(|(_, touch)| touch.made && !touch.closed);
        let growing =
            latest.filter(|(_, touch)| Stamp::of(&touch.pin).is_ok_and(|stamp| is_alike(stamp.size, size)));
        let alike = complete.chain(growing.map(|(id, _)| *id)).filter_map(|id| free(&id));
        alike.max_by_key(|touch| touch.file).map(|touch| touch.key)
    }
}
