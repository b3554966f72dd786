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
use self::sound::{is_sound, is_suspicious};
use self::table::{Key, Table};
use super::measure::{measure, measure_gone, measure_made};
use super::names;
use super::preimage::{PreImage, Stamp, Store, sample};
use super::process::{Actor, Intent};

const TOUCHES_MAX: usize = 8192;
const MEASURED_AT_ONCE_MAX: usize = 64;
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
    /// Touched files whose name may be gone: looked through for each file that is made, so it must be short where many are made.
    gone: BTreeSet<u64>,
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
    touches_max: usize,
    joined: Joined,
    keep: SignedDuration,
    canaries: BTreeSet<Key>,
    /// Files of which the kernel does not tell, with what they were when it was told not to.
    spared: VecDeque<(Timestamp, Stamp)>,
    links: Links,
}

impl Tracker {
    /// With a place for pre-images and a bound on pinned files.
    pub fn new(store: Store, pins_max: usize) -> Self {
        Self {
            store,
            table: Table::new(pins_max),
            actors: HashMap::new(),
            touches_max: pins_max / 2,
            keep: SUSPICIOUS_KEPT,
            canaries: BTreeSet::new(),
            spared: VecDeque::new(),
            joined: Joined::default(),
            links: Links::default(),
        }
    }

    /// The place for pre-images.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// `actor` opens `file`, which stands at `path` and still has the content from before.
    pub fn opened(&mut self, actor: Actor, file: File, path: PathBuf, intent: Intent, now: Timestamp) {
        let Ok(stamp) = Stamp::of(&file) else { return };
        let first_name = self.first_name(&stamp, &path, now);
        let key = self.table.seen(file, &stamp, Some(path.clone()), actor);
        if intent == Intent::Write || stamp.size <= KEEP_READ_MAX {
            self.keep(key, &stamp);
        }
        if intent == Intent::Write {
            self.no_longer_spared(key);
            let original = self.contest(actor, key);
            self.touch(actor, key, now, |touch| {
                touch.closed = false;
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
        let made = self.table.get(key).is_some_and(|known| known.made_by == Some(actor));
        if let Some(trace) = self.actors.get_mut(&actor).filter(|_| made) {
            trace.reconsider_gone();
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
    pub fn closed(&mut self, actor: Option<Actor>, file: &File, now: Timestamp) {
        let Ok(stamp) = Stamp::of(file) else { return };
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
            touch.measured = None;
            trace.dirty.insert(known.id);
            self.joined.settled.insert(actor);
        } else {
            // Opened before the guard started, or its open passed unjudged.
            self.touch(actor, stamp.key, now, |touch| touch.closed = true);
            return;
        }
        if made {
            trace.reconsider_gone();
            self.made_whole(actor, stamp.key, now);
        }
    }

    /// `actor` made an entry at `path`.
    pub fn created(&mut self, actor: Actor, path: PathBuf, now: Timestamp) {
        if !self.linked(actor, &path, now) {
            self.table.made(path, actor);
        }
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
        let moving = from.and_then(|from| self.table.unname(from)).or_else(|| {
            let to = to.as_deref()?;
            let (key, stamp) = self.table.find(to, actor?)?;
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
        self.table.name(key, to.clone());
        if let Some(trace) = self.actors.get_mut(&actor)
            && let Some((id, touch)) = trace.touches.iter_mut().find(|(_, touch)| touch.key == key)
        {
            if to.is_none() {
                trace.gone.insert(*id);
            }
            touch.path_now = to;
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
        // Every touch pins a file, and descriptors are the scarcest thing here.
        let crowded = self.actors.values().map(|trace| trace.touches.len()).sum::<usize>() > self.touches_max;
        self.actors.retain(|_, trace| {
            let dirty = &trace.dirty;
            trace.touches.retain(|id, touch| {
                let limit = if touch.suspicious { suspicious } else { harmless };
                dirty.contains(id) || (touch.at >= limit && (touch.suspicious || !crowded))
            });
            trace.gone.retain(|id| trace.touches.contains_key(id));
            !trace.touches.is_empty()
        });
        self.table.trim(self.store.used() > self.store.max() / 4 * 3);
        self.age_out(now);
    }

    fn keep(&mut self, key: Key, stamp: &Stamp) {
        let Some(known) = self.table.get_mut(key) else { return };
        if known.kept.as_ref().is_some_and(|kept| kept.stamp.same_content(stamp)) {
            return;
        }
        let pin = Arc::clone(&known.pin);
        let kept = self.content_of(&pin, stamp.size);
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
            let size = Stamp::of(&pin).map_or(0, |stamp| stamp.size);
            let kept = self.content_of(&pin, size);
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
        };
        let touch = trace.touches.entry(known.id).or_insert_with(|| begin(known.path.clone()));
        // Measured, closed and found harmless: what comes now is a new touch.
        if touch.closed && !touch.suspicious && touch.measured.is_some() && touch.replaced_by.is_none() {
            *touch = begin(known.path.clone());
        }
        change(touch);
        if touch.path_now.is_none() && !touch.made {
            trace.gone.insert(known.id);
        }
        trace.dirty.insert(known.id);
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

    /// A new file may be what took the place of one that is gone.
    fn reconsider_gone(&mut self) {
        self.gone.retain(|id| {
            let gone = self.touches.get_mut(id).filter(|touch| touch.path_now.is_none() && !touch.made);
            if let Some(touch) = gone {
                if !touch.suspicious {
                    touch.measured = None;
                    self.dirty.insert(*id);
                }
                return true;
            }
            false
        });
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
        let evidence = FileEvidence { file, ..evidence? };
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
        let taken: BTreeSet<Key> = self.touches.values().filter_map(|touch| touch.replaced_by).collect();
        let free =
            || self.touches.values().filter(|touch| touch.made && !touch.note && !taken.contains(&touch.key));
        let stem = gone.path_before.file_name()?.to_string_lossy().into_owned();
        let named = free().find(|touch| {
            touch
                .path_now
                .as_deref()
                .and_then(Path::file_name)
                .is_some_and(|name| name.to_string_lossy().starts_with(&stem))
        });
        let at_its_path = free().find(|touch| touch.path_now.as_deref() == Some(gone.path_before.as_path()));
        let named = at_its_path.or(named);
        let size = gone.original.as_ref()?.stamp.size;
        let alike = |touch: &&Touch| {
            Stamp::of(&touch.pin)
                .is_ok_and(|stamp| stamp.size.abs_diff(size) <= size / 10 + 512 && stamp.size > 0)
        };
        named.or_else(|| free().filter(alike).max_by_key(|touch| touch.file)).map(|touch| touch.key)
    }
}
