//! What was removed, for whoever keeps it for a while: removing alone is no attack, and yet the files may be wanted back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::Tracker;
use super::table::Key;
use crate::files::preimage::{PreImage, Stamp};
use crate::files::process::Actor;

/// Each may hold a descriptor, so there are few before somebody takes them; more are told of without their content.
const HELD_MAX: usize = 2048;
const WAITING_MAX: usize = 65_536;

/// A file that somebody removed.
#[derive(Debug, Clone)]
pub struct Removed {
    /// Where it was.
    pub path: PathBuf,
    /// Where it was before somebody renamed it lately.
    pub first_path: Option<PathBuf>,
    /// When its removal was heard of.
    pub at: Timestamp,
    /// Whose job did it.
    pub actor: Option<Actor>,
    /// The process that did it; it may have ended.
    pub process: i32,
    /// What can be kept of it; `None` when nobody had opened it while it was watched.
    pub held: Option<Held>,
}

/// The content of a removed file.
#[derive(Debug, Clone)]
pub struct Held {
    /// The inode without a name.
    pub pin: Arc<File>,
    /// What it was before somebody overwrote it, shortly before its removal.
    pub original: Option<PreImage>,
    /// Of the content that is to be kept.
    pub stamp: Stamp,
    /// Somebody made it while it was watched.
    pub made: bool,
}

/// What nobody has taken yet; filled only once somebody takes it.
#[derive(Debug, Default)]
pub(super) struct Removals {
    waiting: Option<Vec<Removed>>,
}

impl Tracker {
    /// From now on removed files wait for [`Tracker::take_removed`].
    pub fn keep_removed(&mut self) {
        self.removals.waiting.get_or_insert_default();
    }

    /// What was removed since.
    pub fn take_removed(&mut self) -> Vec<Removed> {
        self.removals.waiting.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether something waits.
    pub fn has_removed(&self) -> bool {
        self.removals.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty())
    }

    /// The entry at `path` is about to be taken note of as removed. What its remover made itself is nobody's loss.
    pub fn removing(&mut self, actor: Option<Actor>, process: i32, path: &Path, now: Timestamp) {
        if self.removals.waiting.is_none() {
            return;
        }
        let key = self.table.at(path);
        let made_by = key.and_then(|key| self.table.get(key)?.made_by).or_else(|| self.table.maker_of(path));
        if made_by.is_some() && (actor.is_none() || made_by == actor) {
            return;
        }
        let held = key.and_then(|key| self.held(key, made_by.is_some()));
        if key.is_some() && held.is_none() {
            // It has another name, or held nothing.
            return;
        }
        let first_path = key.and_then(|key| self.first_path(key)).filter(|first| first != path);
        let Some(waiting) = self.removals.waiting.as_mut() else { return };
        if waiting.len() >= WAITING_MAX {
            return;
        }
        let held = held.filter(|_| waiting.len() < HELD_MAX);
        waiting.push(Removed { path: path.to_owned(), first_path, at: now, actor, process, held });
    }

    /// The entry at `path` was removed by somebody whose doing is nobody's concern.
    pub fn let_go(&mut self, path: &Path) {
        self.table.unname(path);
    }

    fn first_path(&self, key: Key) -> Option<PathBuf> {
        let id = self.table.get(key)?.id;
        let touches = self.actors.values().filter_map(|trace| trace.touches.get(&id));
        touches.min_by_key(|touch| touch.at).map(|touch| touch.path_before.clone())
    }

    /// Known files that have lost their last name without a word: those in folders that were removed with them.
    pub fn nameless(&self) -> Vec<PathBuf> {
        let named = self.table.named();
        let is_gone = |pin: &File| Stamp::of(pin).is_ok_and(|stamp| stamp.links == 0);
        named.filter(|(_, _, pin)| is_gone(pin)).map(|(path, ..)| path.to_owned()).collect()
    }

    fn held(&self, key: Key, made: bool) -> Option<Held> {
        let known = self.table.get(key)?;
        let now = Stamp::of(&known.pin).ok()?;
        let touches = self.actors.values().filter_map(|trace| trace.touches.get(&known.id));
        // What was edited and then removed is wanted as it was edited, what was shredded as it was before.
        let first =
            touches.filter(|touch| touch.original.is_some() && !touch.sound).min_by_key(|touch| touch.at);
        let original = first.and_then(|touch| touch.original.clone());
        let original = original.filter(|kept| kept.stamp.size != now.size || kept.stamp.mtime != now.mtime);
        let stamp = original.as_ref().map_or(now, |original| original.stamp);
        (now.links == 0 && stamp.size > 0).then(|| Held {
            pin: Arc::clone(&known.pin),
            original,
            stamp,
            made,
        })
    }
}
