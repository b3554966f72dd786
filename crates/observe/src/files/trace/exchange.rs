//! Two files that took each other's names.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Tracker;
use super::table::Key;
use crate::files::preimage::Stamp;
use crate::files::process::Actor;

/// A path that no entry can have, for what is on its way to another.
const NOWHERE: &str = "/\0";

impl Tracker {
    /// `actor` exchanged two files, or renamed one there and back.
    pub fn exchanged(&mut self, actor: Option<Actor>, one: &Path, other: &Path, now: Timestamp) {
        let stood = (self.table.at(one), self.table.at(other));
        if stood.0.is_some_and(|key| stands(key, one)) {
            if !stood.1.is_some_and(|key| stands(key, other)) {
                self.renamed(actor, Some(one), Some(other.to_owned()), now);
                self.renamed(actor, Some(other), Some(one.to_owned()), now);
            }
            return;
        }
        let stood = (self.table.unname(one), self.table.unname(other));
        let first = stood.0.or_else(|| self.look_at(actor, other));
        let second = stood.1.or_else(|| self.look_at(actor, one));
        self.takes_name(actor, first, second, (one, other), now);
        self.takes_name(actor, second, first, (other, one), now);
    }

    /// Two folders took each other's names, with everything below them.
    pub fn directories_exchanged(&mut self, one: &Path, other: &Path) {
        let nowhere = PathBuf::from(NOWHERE);
        self.directory_renamed(one, &nowhere);
        self.directory_renamed(other, one);
        self.directory_renamed(&nowhere, other);
    }

    fn look_at(&mut self, actor: Option<Actor>, path: &Path) -> Option<Key> {
        let (key, stamp) = self.table.find(path, actor?)?;
        self.keep(key, &stamp);
        self.table.unname(path)
    }

    fn takes_name(
        &mut self,
        actor: Option<Actor>,
        key: Option<Key>,
        by: Option<Key>,
        (from, to): (&Path, &Path),
        now: Timestamp,
    ) {
        let Some(key) = key else { return };
        let Some(known) = self.table.get(key) else { return };
        let id = known.id;
        let Some(actor) = actor.or(known.last) else { return };
        self.touch(actor, key, now, |touch| {
            if touch.measured.is_none() && touch.path_now.is_none() {
                touch.path_before = from.to_owned();
            }
            touch.measured = None;
            touch.path_now = Some(to.to_owned());
            // What becomes of it now, it was this that took its place.
            touch.replaced_by = by.filter(|_| !touch.made);
        });
        self.table.name(key, Some(to.to_owned()));
        if let Some(trace) = self.actors.get_mut(&actor) {
            trace.pairs.gone.remove(id);
        }
    }
}

fn stands(key: Key, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| Stamp::from_metadata(&meta).key == key)
}
