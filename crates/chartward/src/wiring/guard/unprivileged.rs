//! Guarding as an ordinary user: inotify tells what changed, a mirror of the tree tells what was there before, and the writer is
//! looked for among the processes near the tree. Harm is undone, not held: a fast attacker touches many files before it stands still.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use observe::files::fanotify::Change;
use observe::files::{
    Actor, FolderChange, Folders, Mirror, Nearness, Stamp, Store, Tracker, near, open, pins, written_by,
};
use schema::{Reason, Verdict};

use super::report::MirrorCover;
use super::response::Attribution;
use super::{Guard, Ready, Report, Settings, TICK, outside};

/// After this a harmless change is taken into the mirror.
const SETTLES: SignedDuration = SignedDuration::from_secs(5);
/// A process that was near the tree this long ago may still be the writer.
const SUSPECTED: Duration = Duration::from_secs(5);
const ALIASES_MAX: usize = 65_536;
/// The changes of one stop are awaited at most this often.
const DRAINS_MAX: u32 = 64;

/// Guards without privileges until it is asked to end.
pub(crate) fn unprivileged(settings: Settings, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
    let store = Store::open(&settings.store, settings.max_store)?;
    outside(&store, &settings.dirs)?;
    let resolve = |dir: &PathBuf| {
        dir.canonicalize().with_context(|| format!("open the protected folder {}", dir.display()))
    };
    let dirs: Vec<PathBuf> = settings.dirs.iter().map(resolve).collect::<anyhow::Result<_>>()?;
    let hold = |dir: &PathBuf| {
        let tree = std::fs::File::open(dir)
            .with_context(|| format!("open the protected folder {}", dir.display()))?;
        anyhow::Ok((dir.clone(), tree.into()))
    };
    let trees = dirs.iter().map(hold).collect::<anyhow::Result<_>>()?;
    // Watches before the mirror, so that what changes while it is taken is looked at again.
    let folders = Folders::start(&dirs)?;
    let mut tracker = Tracker::new(store, pins());
    let mirror = Mirror::take(&dirs, tracker.store_mut());
    let cover =
        MirrorCover { files: mirror.len(), left_out: mirror.left_out(), folders_polled: folders.polled() };
    let ready = Ready::unprivileged(dirs.clone(), cover, &settings);
    let guard = Guard::new(settings, tracker, trees, None)?;
    tell(Report::Ready(ready));
    let (aliases, suspects) = (HashMap::new(), HashMap::new());
    let mut onlooker = Onlooker { guard, dirs, folders, mirror, aliases, suspects };
    let ended = onlooker.run(tell);
    onlooker.guard.farewell(tell);
    ended
}

/// A guard that sees things when they have happened.
struct Onlooker {
    guard: Guard,
    dirs: Vec<PathBuf>,
    folders: Folders,
    mirror: Mirror,
    /// From a present path to the one under which the mirror knows the file.
    aliases: HashMap<PathBuf, PathBuf>,
    suspects: HashMap<(i32, u64), (Instant, Nearness)>,
}

impl Onlooker {
    fn run(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        loop {
            let changes = self.folders.changes(TICK)?;
            if changes.contains(&FolderChange::Terminate) {
                return Ok(());
            }
            if !changes.is_empty() {
                self.look_around();
            }
            self.take_in(changes);
            if let Verdict::Stop(reasons) = self.judge() {
                self.stop(&reasons, tell)?;
            }
            self.settle();
            self.guard.hold_or_release();
            self.guard.tracker.expire(Timestamp::now());
            self.guard.tell_missed(tell);
            self.guard.answer(tell);
        }
    }

    /// Remembers who is near the tree now; in the end the nearest are taken for the writer.
    fn look_around(&mut self) {
        let now = Instant::now();
        self.suspects.retain(|_, (seen, _)| now.duration_since(*seen) < SUSPECTED);
        for (process, nearness) in near(&self.dirs, self.guard.lineage.own()) {
            let known = self.suspects.entry(process).or_insert((now, nearness));
            *known = (now, known.1.max(nearness));
        }
    }

    fn take_in(&mut self, changes: Vec<FolderChange>) {
        for change in changes {
            match change {
                FolderChange::Written(path) => self.written(&path),
                FolderChange::Name { change, is_directory } => self.name(change, is_directory),
                FolderChange::Lost => self.guard.overflows += 1,
                FolderChange::Terminate => {}
            }
        }
    }

    fn written(&mut self, path: &Path) {
        let Some(file) = open(path) else { return };
        let known_as = self.aliases.get(path).cloned();
        let original = self.mirror.get(known_as.as_deref().unwrap_or(path)).cloned();
        self.guard.tracker.mirrored(Actor::ANYBODY, file, path.to_owned(), original, Timestamp::now());
    }

    fn name(&mut self, change: Change, is_directory: bool) {
        let now = Timestamp::now();
        let tracker = &mut self.guard.tracker;
        match change {
            Change::Renamed { from: Some(from), to: Some(to) } if is_directory => {
                tracker.directory_renamed(&from, &to);
                self.mirror.folder_renamed(&from, &to);
            }
            _ if is_directory => {}
            // inotify tells it as two renames.
            Change::Created(_) | Change::Exchanged { .. } => {}
            Change::Deleted(path) => {
                self.aliases.remove(&path);
                if let Some(original) = self.mirror.get(&path) {
                    tracker.mirrored_gone(Actor::ANYBODY, &path, original.clone());
                }
                tracker.deleted(Some(Actor::ANYBODY), &path, now);
            }
            Change::Renamed { from, to } => self.renamed(from, to, now),
        }
    }

    fn renamed(&mut self, from: Option<PathBuf>, to: Option<PathBuf>, now: Timestamp) {
        let tracker = &mut self.guard.tracker;
        if let Some(over) = to.as_deref().and_then(|to| Some((to, self.mirror.get(to)?))) {
            tracker.mirrored_gone(Actor::ANYBODY, over.0, over.1.clone());
        }
        if let Some(from) = &from {
            let known_as = self.aliases.remove(from).unwrap_or_else(|| from.clone());
            let original = self.mirror.get(&known_as).cloned();
            if let Some(file) = to.as_deref().and_then(open) {
                tracker.mirrored(Actor::ANYBODY, file, from.clone(), original, now);
            } else if let (Some(original), None) = (original, &to) {
                tracker.mirrored_gone(Actor::ANYBODY, from, original);
            }
            if let Some(to) = to.clone() {
                if self.aliases.len() >= ALIASES_MAX {
                    self.aliases.clear();
                }
                self.aliases.insert(to, known_as);
            }
        }
        tracker.renamed(Some(Actor::ANYBODY), from.as_deref(), to, now);
    }

    fn judge(&mut self) -> Verdict {
        let input = self.guard.tracker.evidence(Actor::ANYBODY);
        if input.evidence.is_empty() {
            Verdict::Allow
        } else {
            self.guard.gate.decide(&input, Timestamp::now())
        }
    }

    fn stop(&mut self, reasons: &[Reason], tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        self.look_around();
        let writers = self.writers();
        let leader = writers.first().map_or(Actor::ANYBODY, |&(pid, start_ticks)| Actor { pid, start_ticks });
        if self.guard.stop(leader, &writers, reasons, tell)? {
            self.guard.let_it_come_to_rest(leader);
            for _ in 0..DRAINS_MAX {
                let changes = self.folders.changes(Duration::ZERO)?;
                if changes.is_empty() {
                    break;
                }
                self.take_in(changes);
            }
            let held = self.held(leader);
            self.guard.put_back(leader, Attribution::Guessed(held), tell)?;
            self.suspects.clear();
        }
        // Judged and dealt with: what comes now is new, whoever does it.
        self.guard.gate.release(Actor::ANYBODY.number());
        Ok(())
    }

    /// Looks at what the stopped processes have open for writing: a write through a mapping raises no event before it is closed.
    fn held(&mut self, leader: Actor) -> BTreeSet<(u64, u64)> {
        let mut held = BTreeSet::new();
        let stopped = self.guard.stopped(leader);
        let paths: Vec<PathBuf> = stopped.into_iter().flat_map(|pid| written_by(pid, &self.dirs)).collect();
        for path in paths {
            if let Some(stamp) = open(&path).and_then(|file| Stamp::of(&file).ok()) {
                held.insert(stamp.key);
                self.written(&path);
            }
        }
        held
    }

    /// The nearest suspects, each climbed to the top of its job.
    fn writers(&mut self) -> Vec<(i32, u64)> {
        let nearest = self.suspects.values().map(|(_, nearness)| *nearness).max();
        let mut suspects: Vec<_> =
            self.suspects.iter().filter(|(_, (_, near))| Some(*near) == nearest).collect();
        suspects.sort_by_key(|(process, _)| **process);
        let suspects: Vec<(i32, u64)> = suspects.into_iter().map(|(process, _)| *process).collect();
        let mut writers = Vec::new();
        for (pid, start_ticks) in suspects {
            let top = self
                .guard
                .lineage
                .actor(pid)
                .map_or((pid, start_ticks), |actor| (actor.pid, actor.start_ticks));
            if !writers.contains(&top) {
                writers.push(top);
            }
        }
        writers
    }

    /// Takes what proved harmless into the mirror.
    fn settle(&mut self) {
        let limit = Timestamp::now().checked_sub(SETTLES).unwrap_or(Timestamp::MIN);
        for (before, now) in self.guard.tracker.settled(Actor::ANYBODY, limit) {
            let store = self.guard.tracker.store_mut();
            if let Some(now) = &now {
                self.aliases.remove(now);
                self.mirror.renew(now, store);
            }
            if now.as_ref() != Some(&before) {
                self.mirror.renew(&before, store);
            }
        }
    }
}
