//! Names that a file gets beside its first one, and files that were written before they had any.
//!
//! What is written through a second name is the same file: it is put back under its first one, and the second goes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{DirEntryExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::pairs::name_of;
use super::table::Key;
use super::{Touch, Tracker};
use crate::files::fanotify::lend;
use crate::files::preimage::Stamp;
use crate::files::process::{Actor, Intent};

const LINKS_MAX: usize = 4096;
/// Later the second name is one like any other.
const LINK_KEPT: SignedDuration = SignedDuration::from_mins(15);
/// Latest links for one of which a removed name may have been the first.
const LATEST: usize = 16;
/// Entries of one folder among which a file's first name is looked for.
const ENTRIES_MAX: usize = 4096;
/// What is younger and has content was just written by whoever made it.
const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// Second names that were given lately.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_path: HashMap<PathBuf, Link>,
    /// Latest last.
    latest: Vec<PathBuf>,
}

#[derive(Debug)]
struct Link {
    at: Timestamp,
    actor: Actor,
    key: Key,
    /// How many names the file had then.
    names: u64,
    first_name: Option<PathBuf>,
}

impl Links {
    fn add(&mut self, path: &Path, link: Link) {
        if self.by_path.len() >= LINKS_MAX {
            self.by_path.clear();
            self.latest.clear();
        }
        if self.latest.len() >= LATEST {
            self.latest.remove(0);
        }
        self.latest.push(path.to_owned());
        self.by_path.insert(path.to_owned(), link);
    }

    fn is_second_name(&self, path: &Path, key: Key) -> bool {
        self.by_path.get(path).is_some_and(|link| link.key == key)
    }

    /// Second names that `actor` gave and that stand beside the file's own, with those that it came no further with.
    pub(super) fn left(&self, actor: Actor, touches: &[Touch]) -> Vec<Touch> {
        let own = self.by_path.iter().filter(|(_, link)| link.actor == actor);
        own.filter_map(|(path, link)| left(path, link, touches)).collect()
    }
}

/// The second name `path` as an entry that its actor made; `None` when it is the last name or another actor's matter.
fn left(path: &Path, link: &Link, touches: &[Touch]) -> Option<Touch> {
    let touch = touches.iter().find(|touch| touch.key == link.key);
    if touch.is_some_and(|touch| {
        touch.made || touch.path_before == path || touch.path_now.as_deref() == Some(path)
    }) {
        return None;
    }
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let _lent = lend();
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    Stamp::of(&file).ok().filter(|stamp| stamp.key == link.key && stamp.links > 1)?;
    Some(Touch {
        file: touch.map_or(0, |touch| touch.file),
        at: link.at,
        path_before: path.to_owned(),
        path_now: Some(path.to_owned()),
        pin: Arc::new(file),
        original: None,
        made: true,
        note: false,
        contested: false,
        suspicious: false,
        sound: false,
        key: link.key,
        replaced_by: None,
        measured: None,
        closed: true,
        opened: true,
    })
}

impl Tracker {
    /// `actor` opens a file that has no name: one that it makes (O_TMPFILE), and which may be given a name later.
    pub fn opened_unnamed(&mut self, actor: Actor, file: Arc<File>, intent: Intent, now: Timestamp) {
        let Ok(stamp) = Stamp::of(&file) else { return };
        if stamp.links != 0 || intent != Intent::Write || self.table.get(stamp.key).is_some() {
            return;
        }
        let key = self.table.seen(file, &stamp, None, actor);
        self.table.set_made(key, actor);
        self.contest(actor, key);
        self.touch(actor, key, now, |_| {});
    }

    /// Whether the entry that `actor` made at `path` is one more name of a file that was there already.
    pub(super) fn linked(&mut self, actor: Actor, path: &Path, now: Timestamp) -> bool {
        let Ok(meta) = fs::symlink_metadata(path) else { return false };
        let stamp = Stamp::from_metadata(&meta);
        if !meta.is_file() || self.table.at(path) == Some(stamp.key) {
            return false;
        }
        let known = self.table.get(stamp.key).map(|known| (known.made_by, known.path.clone()));
        if let Some((Some(maker), name)) = known {
            // Stores of versions write beside and link all day long: theirs is one more made file, unless something went for it.
            if name.is_some() && !self.lost_for(path) {
                return false;
            }
            self.named_late(maker, stamp.key, path, now);
            return true;
        }
        let born = meta.created().ok().and_then(|at| Timestamp::try_from(at).ok());
        let fresh = born.is_some_and(|at| now.duration_since(at) < FRESH);
        if known.is_none() && (stamp.size == 0 || (stamp.links == 1 && fresh)) {
            return false;
        }
        self.table.unname(path);
        let first_name = known.and_then(|(_, path)| path);
        let link = Link { at: now, actor, key: stamp.key, names: stamp.links.max(2), first_name };
        self.links.add(path, link);
        true
    }

    /// Whether an original is gone after which what stands at `path` is named.
    fn lost_for(&self, path: &Path) -> bool {
        let name = name_of(path);
        self.actors.values().any(|trace| {
            let mut gone = trace.pairs.gone.named_before(&name).filter_map(|id| trace.touches.get(&id));
            gone.any(|touch| touch.path_now.is_none())
        })
    }

    /// A file that `maker` made gets the name `path`.
    fn named_late(&mut self, maker: Actor, key: Key, path: &Path, now: Timestamp) {
        self.table.name(key, Some(path.to_owned()));
        self.touch(maker, key, now, |touch| {
            touch.path_now = Some(path.to_owned());
            touch.measured = None;
        });
        let Some(known) = self.table.get(key) else { return };
        if let Ok(stamp) = Stamp::of(&known.pin) {
            let id = known.id;
            if let Some(trace) = self.actors.get_mut(&maker) {
                trace.made_whole(id, Some(stamp.size));
            }
            self.made_whole(maker, &stamp, now);
        }
        self.joined.settled.insert(maker);
    }

    /// The name that the file at `path` had first, when `path` is one that it got lately.
    pub(super) fn first_name(&self, stamp: &Stamp, path: &Path, now: Timestamp) -> Option<PathBuf> {
        let link = self.links.by_path.get(path).filter(|link| link.key == stamp.key)?;
        if now.duration_since(link.at) > LINK_KEPT {
            return None;
        }
        link.first_name.clone().or_else(|| {
            let entries = fs::read_dir(path.parent().filter(|_| stamp.links > 1)?).ok()?;
            let same = entries.flatten().take(ENTRIES_MAX).filter(|entry| entry.ino() == stamp.key.1);
            same.map(|entry| entry.path())
                .find(|other| other != path && !self.links.is_second_name(other, stamp.key))
        })
    }

    /// The name `path`, of which nothing is known, was removed: perhaps the first one of a file that got a second one before.
    pub(super) fn unlinked(&mut self, path: &Path) {
        self.links.by_path.remove(path);
        let links = &mut self.links;
        let first_of = |second: &&PathBuf| {
            let Some(link) = links.by_path.get_mut(*second) else { return false };
            let Ok(meta) = fs::symlink_metadata(second) else { return false };
            let stamp = Stamp::from_metadata(&meta);
            let is_fewer = stamp.key == link.key && stamp.links < link.names;
            if is_fewer {
                link.names = stamp.links;
                link.first_name.get_or_insert_with(|| path.to_owned());
            }
            is_fewer
        };
        let Some(second) = links.latest.iter().rev().find(first_of).cloned() else { return };
        let Some(link) = links.by_path.get(&second) else { return };
        let touches = self.actors.values_mut().flat_map(|trace| trace.touches.values_mut());
        for touch in touches.filter(|touch| touch.key == link.key && touch.path_before == second) {
            touch.path_before = link.first_name.clone().unwrap_or_else(|| path.to_owned());
        }
    }

    /// Whether the file that lost the name `path` still has another that it got lately: then it was renamed in two steps.
    pub(super) fn stands_elsewhere(
        &mut self,
        actor: Option<Actor>,
        key: Key,
        path: &Path,
        now: Timestamp,
    ) -> bool {
        let Some(known) = self.table.get(key) else { return false };
        if !Stamp::of(&known.pin).is_ok_and(|stamp| stamp.links > 0) {
            return false;
        }
        let Some(actor) = actor.or(known.last) else { return false };
        let stands = |second: &Path| {
            fs::symlink_metadata(second).is_ok_and(|meta| Stamp::from_metadata(&meta).key == key)
        };
        let mut links = self.links.by_path.iter_mut();
        let found = links.find(|(second, link)| link.key == key && *second != path && stands(second));
        let Some((second, link)) = found else { return false };
        link.first_name.get_or_insert_with(|| path.to_owned());
        let second = second.clone();
        self.touch(actor, key, now, |touch| {
            touch.path_now = Some(second.clone());
            touch.measured = None;
            touch.closed = true;
        });
        self.table.name(key, Some(second));
        true
    }

    /// What `actor` made is gone again: it was never there.
    pub(super) fn forget_made(&mut self, actor: Actor, key: Key) {
        let Some(id) = self.table.get(key).map(|known| known.id) else { return };
        if let Some(trace) = self.actors.get_mut(&actor) {
            trace.touches.remove(&id);
            trace.dirty.remove(&id);
        }
        // Its inode is free now, and the next file may get its number.
        self.actors.values_mut().for_each(|trace| trace.stands_no_more(key));
        self.table.forget(key);
    }
}
