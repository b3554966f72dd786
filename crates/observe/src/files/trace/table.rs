//! The files that are known, by inode and by path.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::files::fanotify::lend;
use crate::files::preimage::{PreImage, Stamp};
use crate::files::process::Actor;

const MADE_WAITING_MAX: usize = 4096;
/// Openers of one file that are remembered.
pub(super) const READERS: usize = 4;
const MARKED_EVERY: SignedDuration = SignedDuration::from_mins(1);
const MARKS_MAX: usize = 8192;

/// Device and inode.
pub(super) type Key = (u64, u64);

/// One file that is known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: u64,
    pub(super) pin: Arc<File>,
    pub(super) path: Option<PathBuf>,
    /// The path before it lost its name.
    pub(super) last_path: Option<PathBuf>,
    /// The newest content that was kept.
    pub(super) kept: Option<PreImage>,
    pub(super) made_by: Option<Actor>,
    /// Who opened it last.
    pub(super) last: Option<Actor>,
    /// Who opened it for writing last.
    pub(super) writer: Option<Actor>,
    /// Who opened it lately, for whatever: one of them may have written it anew under another name.
    pub(super) readers: [Option<Actor>; READERS],
    /// The kernel is told not to tell of it.
    pub(super) spared: bool,
    used: u64,
}

#[derive(Debug)]
pub(super) struct Table {
    files: HashMap<Key, Known>,
    paths: HashMap<PathBuf, Key>,
    /// By time of last use, oldest first.
    ages: BTreeMap<u64, Key>,
    made: HashMap<PathBuf, Actor>,
    clock: u64,
    pins_max: usize,
    /// What the clock said when, a minute apart, oldest first.
    marks: VecDeque<(Timestamp, u64)>,
}

impl Table {
    pub(super) fn new(pins_max: usize) -> Self {
        Self {
            files: HashMap::new(),
            paths: HashMap::new(),
            ages: BTreeMap::new(),
            made: HashMap::new(),
            clock: 0,
            pins_max,
            marks: VecDeque::new(),
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Known> {
        self.files.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Known> {
        self.files.get_mut(&key)
    }

    /// The file that is known at `path`.
    pub(super) fn at(&self, path: &Path) -> Option<Key> {
        self.paths.get(path).copied()
    }

    /// `file` was opened by `actor` at `path`.
    pub(super) fn seen(
        &mut self,
        file: impl Into<Arc<File>>,
        stamp: &Stamp,
        path: Option<PathBuf>,
        actor: Actor,
    ) -> Key {
        self.clock += 1;
        let now = self.clock;
        let made_by = path.as_ref().and_then(|path| self.made.remove(path));
        if self.files.len() >= self.pins_max && !self.files.contains_key(&stamp.key) {
            self.trim(true);
        }
        // An inode number that was freed and given out again cannot be in the table: the pin keeps the inode.
        let known = self.files.entry(stamp.key).or_insert_with(|| Known {
            id: now,
            pin: file.into(),
            path: None,
            last_path: None,
            kept: None,
            made_by,
            last: None,
            writer: None,
            readers: [None; READERS],
            spared: false,
            used: now,
        });
        self.ages.remove(&known.used);
        known.used = now;
        known.last = Some(actor);
        if !known.readers.contains(&Some(actor)) {
            known.readers.rotate_right(1);
            known.readers[0] = Some(actor);
        }
        self.ages.insert(now, stamp.key);
        self.name(stamp.key, path);
        stamp.key
    }

    /// Opens and pins a file that nobody has opened so far.
    pub(super) fn find(&mut self, path: &Path, actor: Actor) -> Option<(Key, Stamp)> {
        // Never waits on a pipe and never follows a link out of the tree.
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let _lent = lend();
        let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
        let stamp = Stamp::of(&file).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        Some((self.seen(file, &stamp, Some(path.to_owned()), actor), stamp))
    }

    /// An entry was made; the file behind it is known once it is opened.
    pub(super) fn made(&mut self, path: PathBuf, actor: Actor) {
        self.unname(&path);
        if self.made.len() >= MADE_WAITING_MAX {
            self.made.clear();
        }
        self.made.insert(path, actor);
    }

    /// Entries that `actor` made and that nobody has opened since.
    pub(super) fn made_unopened(&self, actor: Actor) -> Vec<PathBuf> {
        self.made.iter().filter(|(_, maker)| **maker == actor).map(|(path, _)| path.clone()).collect()
    }

    /// Who made the entry at `path`, which nobody has opened since.
    pub(super) fn maker_of(&self, path: &Path) -> Option<Actor> {
        self.made.get(path).copied()
    }

    pub(super) fn set_made(&mut self, key: Key, actor: Actor) {
        if let Some(known) = self.files.get_mut(&key) {
            known.made_by = Some(actor);
        }
    }

    /// Gives the file its present path.
    pub(super) fn name(&mut self, key: Key, path: Option<PathBuf>) {
        let Some(known) = self.files.get_mut(&key) else { return };
        if known.path == path {
            return;
        }
        if let Some(old) = known.path.take() {
            self.paths.remove(&old);
            known.last_path = Some(old);
        }
        if let Some(path) = path {
            known.path = Some(path.clone());
            if let Some(other) = self.paths.insert(path, key).filter(|other| *other != key)
                && let Some(other) = self.files.get_mut(&other)
            {
                other.last_path = other.path.take();
            }
        }
    }

    /// Takes the name at `path` from whatever file has it.
    pub(super) fn unname(&mut self, path: &Path) -> Option<Key> {
        self.made.remove(path);
        let key = self.paths.remove(path)?;
        let known = self.files.get_mut(&key)?;
        known.last_path = known.path.take();
        Some(key)
    }

    pub(super) fn directory_renamed(&mut self, from: &Path, to: &Path) {
        let below: Vec<(PathBuf, Key)> = self
            .paths
            .iter()
            .filter(|(path, _)| path.starts_with(from))
            .map(|(path, key)| (path.clone(), *key))
            .collect();
        for (path, key) in below {
            if let Ok(rest) = path.strip_prefix(from) {
                self.name(key, Some(to.join(rest)));
            }
        }
    }

    pub(super) fn forget(&mut self, key: Key) {
        if let Some(known) = self.files.remove(&key) {
            self.ages.remove(&known.used);
            if let Some(path) = known.path {
                self.paths.remove(&path);
            }
        }
    }

    /// Every file that has a name, with who opened it last.
    pub(super) fn named(&self) -> impl Iterator<Item = (&Path, Option<Actor>, &File)> {
        self.files.values().filter_map(|known| Some((known.path.as_deref()?, known.last, &*known.pin)))
    }

    /// Fewer files may be known from now on.
    pub(super) fn bound(&mut self, pins_max: usize) {
        self.pins_max = pins_max;
        self.trim(true);
    }

    /// Forgets what was not used for longer than `keep`.
    pub(super) fn age_out(&mut self, now: Timestamp, keep: SignedDuration) {
        // Coarser for a long time, so that the list stays short.
        let every = (keep / 64).min(MARKED_EVERY);
        if self.marks.back().is_none_or(|(at, _)| now.duration_since(*at) >= every) {
            self.marks.push_back((now, self.clock));
        }
        let limit = now.checked_sub(keep).unwrap_or(Timestamp::MIN);
        while let Some(&(at, clock)) = self.marks.front()
            && (at < limit || self.marks.len() > MARKS_MAX)
        {
            self.marks.pop_front();
            while self.ages.first_key_value().is_some_and(|(used, _)| *used <= clock) {
                if let Some((_, key)) = self.ages.pop_first() {
                    self.forget(key);
                }
            }
        }
    }

    /// Forgets the files longest unused, down to the bound; with `pressed` a quarter more. Touches keep what they need themselves.
    pub(super) fn trim(&mut self, pressed: bool) -> bool {
        let before = self.files.len();
        let target = if pressed { before.min(self.pins_max) / 4 * 3 } else { self.pins_max };
        while self.files.len() > target {
            let Some((_, key)) = self.ages.pop_first() else { break };
            self.forget(key);
        }
        self.files.len() < before
    }
}
