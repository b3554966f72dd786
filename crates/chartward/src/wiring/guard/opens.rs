//! Opens that wait, and closes: judged first, kept, and only then let pass.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use observe::files::fanotify::{Change, Closed, NameChange, Waiting, Watch, path_of};
use observe::files::{Actor, Intent, Stamp};

use super::limits::Who;
use super::{Guard, Report};

/// Others' complete work that is judged before one open may pass; the rest is judged with the next, or at the next tick.
const SETTLED_AT_ONCE_MAX: usize = 8;

/// An open of a file that its own actor made a moment ago.
struct Fresh {
    actor: Actor,
    stamp: Stamp,
    path: PathBuf,
    /// Entries that were made besides.
    others: Vec<NameChange>,
}

impl Guard {
    /// An open of a file that the actor made a moment ago puts nothing at risk: where nothing that the actor did is unjudged, it passes
    /// before it is written down. Every other open waits for that.
    pub(super) fn open(&mut self, waiting: Waiting, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        let Some(Fresh { actor, stamp, path, others }) = self.fresh(&waiting) else {
            return self.held(waiting, None, tell);
        };
        let file = Arc::clone(&waiting.file);
        self.spare(actor, &file, &stamp, Intent::Write, false);
        drop(waiting);
        // Before anything else is taken in: it may be closed by now.
        let now = Timestamp::now();
        self.shelter_new(&path);
        if !self.is_of_database(&path) {
            self.tracker.made(actor, path.clone());
            let opened = self.tracker.before_open(actor, file, &stamp, path, Intent::Write, now);
            self.tracker.after_open(opened, now);
        }
        self.renamed(others, false);
        self.past(tell)?;
        let stopped = self.judge_before(actor, tell)?;
        self.set_right(&stopped, tell)
    }

    fn fresh(&mut self, waiting: &Waiting) -> Option<Fresh> {
        let stamp = Stamp::of(&waiting.file).ok()?;
        let is_empty = stamp.is_file() && stamp.size == 0 && stamp.links == 1;
        if !is_empty || self.policy.is_asked() || self.is_excused(waiting.tid) {
            return None;
        }
        let Who::Actor(actor) = self.actor_at_the_limit(waiting.tid) else { return None };
        if self.is_stopped(actor) || self.tracker.is_unjudged(actor) {
            return None;
        }
        let (mut others, overflow) = self.watch.as_mut()?.names();
        let entry = others.iter().rposition(|change| change.inode == Some(stamp.key.1));
        let makes_only = !overflow && others.iter().all(|other| matches!(other.change, Change::Created(_)));
        let maker = entry.and_then(|entry| self.lineage.actor(others.get(entry)?.pid));
        if let Some(entry) = entry.filter(|_| makes_only && maker == Some(actor))
            && let Change::Created(path) = others.remove(entry).change
        {
            return Some(Fresh { actor, stamp, path, others });
        }
        self.renamed(others, overflow);
        None
    }

    /// The synchronous gate: what the actor did before is judged before what it waits for may pass. What an open is for is
    /// looked up where nobody told.
    pub(super) fn held(
        &mut self,
        waiting: Waiting,
        intent: Option<Intent>,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<()> {
        self.past(tell)?;
        if self.is_excused(waiting.tid) {
            return Ok(());
        }
        let actor = match self.actor_at_the_limit(waiting.tid) {
            Who::Actor(actor) => actor,
            Who::Nobody => return Ok(()),
            Who::Unknown => {
                waiting.deny();
                return Ok(());
            }
        };
        if self.is_stopped(actor) {
            if self.is_servers_own(&waiting) {
                return Ok(());
            }
            waiting.deny();
            self.late.insert(actor);
            self.show_out(actor);
            return self.freeze_newcomers(actor, tell);
        }
        let stopped = self.judge_before(actor, tell)?;
        if self.is_stopped(actor) {
            // Answered first: who waits in an open does not come to rest.
            waiting.deny();
            return self.set_right(&stopped, tell);
        }
        self.set_right(&stopped, tell)?;
        let intent = intent.unwrap_or_else(|| self.asked.intent(waiting.tid));
        if let Some(waiting) = self.wait_for_its_turn(actor, waiting, intent) {
            self.let_pass(actor, waiting, intent);
        }
        Ok(())
    }

    /// Judges what `actor` left unjudged, and what is complete of others. Gives those that were stopped.
    pub(super) fn judge_before(
        &mut self,
        actor: Actor,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<Vec<Actor>> {
        self.tracker.look_at_spared(false, Timestamp::now());
        let settled = self.tracker.take_settled(SETTLED_AT_ONCE_MAX);
        let mut stopped = Vec::new();
        for judged in [actor].into_iter().chain(settled.into_iter().filter(|other| *other != actor)) {
            if let Some(culprits) = self.accuse(judged) {
                stopped.extend(self.stop_all(culprits, tell)?);
            }
        }
        Ok(stopped)
    }

    /// Keeps the content that the file has, and only then lets the open pass.
    pub(super) fn let_pass(&mut self, actor: Actor, waiting: Waiting, intent: Intent) {
        let (file, now) = (Arc::clone(&waiting.file), Timestamp::now());
        let Some(path) = path_of(file.as_fd()) else {
            return self.tracker.opened_unnamed(actor, file, intent, now);
        };
        let Some(stamp) = Stamp::of(&file).ok().filter(Stamp::is_file) else { return };
        if self.is_of_database(&path) {
            return;
        }
        self.policy.opened(waiting.tid, stamp.key, &path, intent);
        let opened = self.tracker.before_open(actor, file, &stamp, path, intent, now);
        self.spare(actor, &waiting.file, &stamp, intent, opened.kept);
        // Dropping the waiter lets it pass.
        drop(waiting);
        self.tracker.after_open(opened, now);
    }

    /// Takes in what happened before whatever waits now.
    pub(super) fn past(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        self.names();
        if self.closes()? { self.keep_shelter(tell) } else { Ok(()) }
    }

    /// Takes in what was closed; `true` when something was.
    pub(super) fn closes(&mut self) -> anyhow::Result<bool> {
        let closes = self.watch.as_mut().map(Watch::closes).transpose()?.unwrap_or_default();
        let some = !closes.is_empty();
        for Closed { file, tid } in closes {
            self.closed(file, tid);
        }
        Ok(some)
    }

    /// Somebody closed a file that was open for writing.
    fn closed(&mut self, file: File, tid: i32) {
        if self.is_excused(tid) {
            return;
        }
        let asks = self.policy.has_marks()
            || self.shelter.as_ref().is_some_and(|shelter| !shelter.covers.is_empty());
        let path = if asks { path_of(file.as_fd()) } else { None };
        if path.as_deref().is_some_and(|path| self.closed_of_database(&file, path, tid)) {
            return;
        }
        let Ok(stamp) = Stamp::of(&file) else { return };
        if asks {
            self.policy.closed(tid, stamp.key, path.as_deref());
        }
        let actor = self.lineage.actor(tid);
        self.tracker.closed(actor, &stamp, Timestamp::now());
        if let Some(watch) = &mut self.watch {
            watch.unspare_soon(stamp.key, file);
        }
    }
}
