//! What the guard does at its limits: truncations, late verdicts, descriptors that run out, lost events, a full store, a gap.

use std::collections::HashMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use act::freeze::{self, Applied};
use jiff::{SignedDuration, Timestamp};
use judge::tamper::{self, Lapses};
use observe::files::fanotify::{Spare, Tier, Waiting, Watch, path_of};
use observe::files::{Actor, Stamp, exhausted, held_for_writing, pins};
use schema::{Finding, FindingClass, Severity};

use super::alive::Alive;
use super::late::{HELD_MAX, Late, Provisional};
use super::report::{Report, Shortfall};
use super::response::subjects_of_machine;
use super::stops::Stop;
use super::{Guard, Response};

/// Whoever has more files than these open for writing is asked again before it writes to the next.
const AT_WORK_MAX: usize = 3;
/// A file that is being read need not be told of for so long.
const SPARED_FOR: SignedDuration = SignedDuration::from_secs(10);
const PLANS_MAX: usize = 256;
const OWED_MAX: usize = 256;
const PLAN_BYTES_MAX: u64 = 4 << 20;

/// What the limits need beside the loop.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) late: Option<Late>,
    pub(super) alive: Option<Alive>,
    /// Frozen until judged.
    provisional: Vec<Provisional>,
    /// Plans that a guard before this one left.
    inherited: Vec<(PathBuf, Applied)>,
    /// Names were lost, and nobody has looked for them yet.
    pub(super) names_lost: bool,
    /// Times that room was made for descriptors.
    crowded: u64,
    told: [u64; 5],
    lapses: Lapses,
    /// Stops that the state folder did not take.
    pub(super) unwritten: u64,
    /// Their records, by id, until it does.
    pub(super) owed: HashMap<String, Stop>,
}

impl Limits {
    pub(super) fn owe(&mut self, stop: Stop) {
        if self.owed.len() < OWED_MAX {
            self.owed.insert(stop.id.clone(), stop);
        }
    }
}

impl Guard {
    /// Files that were open for writing before the start: what they hold now is kept. How many.
    pub(super) fn take_in_held(&mut self) -> usize {
        let now = Timestamp::now();
        let dirs: Vec<PathBuf> = self.trees.iter().map(|(path, _)| path.clone()).collect();
        let held = held_for_writing(&dirs, self.lineage.own());
        let count = held.len();
        for held in held {
            if let Some(actor) = self.lineage.actor(held.pid) {
                let write = observe::files::Intent::Write;
                self.tracker.opened(actor, held.file, held.path, write, now);
            }
        }
        count
    }

    /// The plans that lie in the state folder hold for this guard as well.
    pub(super) fn inherit(&mut self) {
        let entries = fs::read_dir(self.settings.state.join("frozen")).into_iter().flatten().flatten();
        let plans = entries.map(|entry| entry.path()).take(PLANS_MAX);
        let read = |path: PathBuf| {
            fs::metadata(&path).ok().filter(|meta| meta.len() <= PLAN_BYTES_MAX)?;
            let applied = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            Some((path, applied))
        };
        self.limits.inherited = plans.filter_map(read).collect();
    }

    /// A truncation, or a write whose open was not seen, is held like an open for writing.
    pub(super) fn access(&mut self, waiting: Waiting, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        let actor = self.lineage.actor(waiting.tid);
        let writes = actor.is_some_and(|actor| self.tracker.writes(actor, &waiting.file));
        let file = std::sync::Arc::clone(&waiting.file);
        let stamp = Stamp::of(&file);
        self.held(waiting, Some(observe::files::Intent::Write), tell)?;
        match (writes, self.watch.as_ref(), actor, stamp) {
            // It is kept since its open: nobody need be asked before each write.
            (true, Some(watch), ..) => watch.spare(file.as_fd(), Spare::Writes),
            (false, _, Some(actor), Ok(stamp)) => self.tracker.cuts_off(actor, stamp, Timestamp::now()),
            _ => {}
        }
        Ok(())
    }

    /// Reads and writes of a file whose open passes need not be told where its content is `kept`. Who has several files open for
    /// writing is asked again before it writes to the next one: what it wrote to the others is judged then.
    pub(super) fn spare(
        &mut self,
        actor: Actor,
        file: &fs::File,
        stamp: &Stamp,
        intent: observe::files::Intent,
        kept: bool,
    ) {
        let Some(watch) = &mut self.watch else { return };
        match intent {
            observe::files::Intent::Write => {
                watch.keep_spared(stamp.key);
                if stamp.size == 0 || self.tracker.at_work_on(actor, AT_WORK_MAX) < AT_WORK_MAX {
                    watch.spare(file.as_fd(), Spare::Writes);
                }
            }
            observe::files::Intent::Read if kept => {
                watch.spare(file.as_fd(), Spare::Reads);
                self.tracker.spared(*stamp, Timestamp::now());
            }
            observe::files::Intent::Read => {}
        }
    }

    pub(super) fn pieces(&mut self, file: &fs::File) {
        self.tracker.read_in_pieces(file);
        if let Some(watch) = &self.watch {
            // Also when it could not be kept: a large file that is read in pieces all day must not be made ten times slower.
            watch.spare(file.as_fd(), Spare::Reads);
            if let Ok(stamp) = Stamp::of(file) {
                self.tracker.spared(stamp, Timestamp::now());
            }
        }
    }

    pub(super) fn modified(&mut self, file: fs::File, tid: i32) {
        let actor = self.lineage.actor(tid);
        let Some(path) = path_of(file.as_fd()) else { return };
        let writes = actor.is_some_and(|actor| self.tracker.writes(actor, &file));
        if let Some(watch) = &self.watch {
            if writes {
                watch.spare(file.as_fd(), Spare::Writes);
            } else {
                watch.unspare(file.as_fd());
            }
        }
        self.tracker.modified(actor, file, path, Timestamp::now());
    }

    /// Descriptors ran out: what is only remembered is let go.
    pub(super) fn make_room(&mut self) {
        self.limits.crowded += 1;
        // Somebody may have lowered the limit of this very process.
        self.tracker.bound_pins(pins(), Timestamp::now());
    }

    /// The actor behind a thread. Without descriptors /proc cannot be read, and nobody may pass because of that.
    pub(super) fn actor_at_the_limit(&mut self, tid: i32) -> Who {
        if let Some(actor) = self.lineage.opener(tid) {
            return Who::Actor(actor);
        }
        if !exhausted() {
            return Who::Nobody;
        }
        self.make_room();
        match self.lineage.opener(tid) {
            Some(actor) => Who::Actor(actor),
            None if exhausted() => Who::Unknown,
            None => Who::Nobody,
        }
    }

    /// What is due ten times a second.
    pub(super) fn at_the_limits(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        if std::mem::take(&mut self.limits.names_lost) {
            let _lent = self.watch.as_ref().map(Watch::lend);
            let found = self.tracker.recover(Timestamp::now());
            tell(Report::Shortfall(Shortfall::NamesLost { found }));
        }
        self.tell_again();
        self.post_unjudged();
        self.settle_late(tell)?;
        self.limits.inherited.retain(|(plan, applied)| {
            let held = plan.exists();
            if held {
                freeze::hold(&applied.actions);
            }
            held
        });
        if let Some(alive) = &mut self.limits.alive {
            alive.beat(Timestamp::now());
        }
        self.tell_shortfalls(tell);
        Ok(())
    }

    /// Nothing is spared for long where the kernel can hold truncations; where it cannot, looking is all there is.
    fn tell_again(&mut self) {
        let Some(watch) = &self.watch else { return };
        let now = Timestamp::now();
        self.tracker.look_at_spared(true, now);
        let held = watch.watched().iter().any(|mount| mount.tier == Tier::PreAccess);
        let limit = if held { now.checked_sub(SPARED_FOR).unwrap_or(Timestamp::MIN) } else { Timestamp::MIN };
        for pin in self.tracker.spared_enough(limit) {
            watch.unspare(pin.as_fd());
        }
    }

    /// The board knows who may not pass.
    fn post_unjudged(&self) {
        let Some(watch) = &self.watch else { return };
        let unjudged = self.tracker.unmeasured();
        watch.board().set_unjudged(unjudged.into_iter().flat_map(|actor| self.processes(actor)));
    }

    /// Whom the other thread froze goes on as soon as everything that waited too long was judged and speaks for it.
    fn settle_late(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        let Some(late) = &self.limits.late else { return Ok(()) };
        late.arm(self.settings.response == Response::Armed);
        let fresh: Vec<Provisional> = late.frozen.try_iter().collect();
        for frozen in &fresh {
            tell(Report::Shortfall(Shortfall::Late { pid: frozen.pid }));
            frozen.applied.actions.iter().for_each(|action| tell(Report::Action(action.clone())));
        }
        self.limits.provisional.extend(fresh);
        let still_late = self.watch.as_ref().is_some_and(|watch| !watch.board().late(HELD_MAX).is_empty());
        if still_late {
            return Ok(());
        }
        for frozen in std::mem::take(&mut self.limits.provisional) {
            self.settle_one(&frozen, tell)?;
            // The stop's own plan may have the same name.
            if let Some(plan) = frozen.plan.as_deref().filter(|plan| !self.is_held_by(plan)) {
                let _ = fs::remove_file(plan);
            }
        }
        Ok(())
    }

    fn settle_one(&mut self, frozen: &Provisional, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        if let Some(actor) = self.lineage.actor(frozen.pid) {
            if !self.is_stopped(actor) {
                self.judge_and_stop(actor, tell)?;
            }
            if self.is_stopped(actor) {
                return Ok(());
            }
        }
        for action in freeze::undo(&frozen.applied.actions, Timestamp::now()) {
            tell(Report::Action(action));
        }
        Ok(())
    }

    /// Says what fell short since the last time.
    fn tell_shortfalls(&mut self, tell: &mut dyn FnMut(Report)) {
        let board = self.watch.as_ref().map(|watch| watch.board());
        let counts = [
            self.tracker.store().refused(),
            board.map_or(0, |board| board.passed()),
            board.map_or(0, |board| board.denied()),
            board.map_or(0, |board| board.lost()) + self.limits.crowded,
            self.limits.unwritten,
        ];
        let told = std::mem::replace(&mut self.limits.told, counts);
        let kinds: [fn(u64) -> Shortfall; 5] = [
            |files| Shortfall::StoreFull { files },
            |opens| Shortfall::Passed { opens },
            |opens| Shortfall::Denied { opens },
            |times| Shortfall::Descriptors { times },
            |stops| Shortfall::StateFull { stops },
        ];
        for ((now, before), kind) in counts.into_iter().zip(told).zip(kinds) {
            if now > before {
                let shortfall = kind(now - before);
                self.tell_lapse(&shortfall, tell);
                tell(Report::Shortfall(shortfall));
            }
        }
    }

    /// The first lapse of its sort is a finding: an attacker may have brought it about.
    pub(super) fn tell_lapse(&mut self, shortfall: &Shortfall, tell: &mut dyn FnMut(Report)) {
        if let Some(severity) = self.limits.lapses.weigh(shortfall.lapse()) {
            tell(Report::Finding(self.tampered(shortfall, severity)));
        }
    }

    /// A finding about the guard itself.
    fn tampered(&self, shortfall: &Shortfall, severity_id: Severity) -> Finding {
        let now = Timestamp::now();
        let entry = &tamper::ENTRY;
        Finding {
            time: now,
            class: FindingClass::Detection,
            detector: entry.id.to_owned(),
            title: entry.title.to_owned(),
            title_ja: entry.title_ja.to_owned(),
            severity_id,
            attacks: (entry.attacks)(),
            actor: "unknown".to_owned(),
            reasons: vec![shortfall.sentence(schema::Lang::En)],
            reasons_ja: vec![shortfall.sentence(schema::Lang::Ja)],
            uid: format!("{}-{}-{}", entry.id, shortfall.id(), now.as_nanosecond()),
            subjects: subjects_of_machine(&self.settings),
        }
    }
}

/// Who waits.
pub(super) enum Who {
    Actor(Actor),
    /// The guard's own, a kernel thread, or somebody who has ended.
    Nobody,
    /// It cannot be found out now.
    Unknown,
}

/// Where the store of evidence and signs of life may lie.
pub(super) fn begin(store: &Path) -> anyhow::Result<(Alive, Option<Timestamp>)> {
    Alive::begin(store, Timestamp::now())
}
