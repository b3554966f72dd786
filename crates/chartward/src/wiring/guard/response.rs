//! From a verdict to an actor that stands still and files that read as before.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use act::freeze::{self, Applied};
use act::put_back::{Aside, Attributes, Bench, Damaged, PutBack, Taken};
use act::undo::Undo;
use jiff::{SignedDuration, Timestamp};
use observe::files::fanotify::Message;
use observe::files::{Actor, PreImage, Stat, Touch, suffix_of};
use schema::{Entity, Finding, FindingClass, Lang, Outcome, Reason, Severity, Subject, SubjectRole};
use serde::Serialize;

use super::evidence::{Evidence, OVERWRITTEN_MAX};
use super::frozen::{Frozen, Held};
use super::report::{Report, Restored};
use super::stops::{self, Counts};
use super::{Guard, Response, STAND_STILL, Settings};

/// A time of change further back than this is the file's own, from before.
const PLAUSIBLE: SignedDuration = SignedDuration::from_secs(10);

/// What was taken so long before the first graded harm is looked at as well.
const BEFORE_HARM: SignedDuration = SignedDuration::from_mins(5);

const PUT_BACK: &str = "put back";

/// How sure it is who touched the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribution {
    /// The kernel named these actors with every event: all that they did since the first harm is put back.
    Certain(Vec<Actor>),
    /// The same of actors that were stopped before: whatever they did since is put back.
    Late(Vec<Actor>),
    /// Nobody did: only what was plainly harmed is put back, and the files (by device and inode) that the stopped processes
    /// had open for writing.
    Guessed(BTreeSet<(u64, u64)>),
}

/// One file in the evidence folder's list. Only its owner can read the list: names of records hold patient ids.
#[derive(Debug, Serialize)]
struct FileRecord {
    before: PathBuf,
    now: Option<PathBuf>,
    made_by_actor: bool,
    note: bool,
    touched_at: Timestamp,
    outcome: String,
    sha256: Option<String>,
}

impl Guard {
    /// Tells of the actor and, when armed, stops it. `false` when it may go on: observe only, or never-touch.
    pub(super) fn stop(
        &mut self,
        actor: Actor,
        processes: &[(i32, u64)],
        reasons: &[Reason],
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<bool> {
        let finding = finding(actor, reasons, &self.settings, Timestamp::now());
        let stopped = self.stop_each(finding, vec![(actor, processes.to_vec())], tell)?;
        Ok(!stopped.is_empty())
    }

    /// Tells of the actors and, when armed, stops each by itself, so that each can be released by itself. Gives those that were
    /// stopped; one that has ended counts as stopped. Left out: never-touch, and who was told of already.
    pub(super) fn stop_each(
        &mut self,
        finding: Finding,
        actors: Vec<(Actor, Vec<(i32, u64)>)>,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<Vec<Actor>> {
        let untold = |(actor, _): &(Actor, _)| !self.told.contains(actor);
        let actors: Vec<_> = actors.into_iter().filter(untold).collect();
        let Some((leader, _)) = actors.first() else { return Ok(vec![]) };
        let now = Timestamp::now();
        if self.settings.response == Response::ObserveOnly {
            self.told.extend(actors.iter().map(|(actor, _)| *actor));
            tell(Report::Finding(finding));
            return Ok(vec![]);
        }
        let because = finding.reasons.join("; ");
        let leader = *leader;
        let mut stopped = Vec::new();
        let mut all = Vec::new();
        for (actor, processes) in actors {
            let plan = freeze::plan(&processes, &because, now);
            let actions =
                if plan.acts.is_empty() { vec![] } else { freeze::apply(&plan, &self.settings.never, now) };
            all.extend(actions.iter().cloned());
            let spared = self.spared_client(actor)
                || actions.iter().any(|action| action.outcome == Outcome::NeverTouch);
            if spared {
                freeze::undo(&actions, now);
                self.told.push(actor);
            } else {
                stopped.push((actor, Applied { plan, actions }));
            }
        }
        tell(Report::Finding(finding.clone()));
        all.into_iter().for_each(|action| tell(Report::Action(action)));
        if stopped.is_empty() {
            return Ok(vec![]);
        }
        let (mut named, mut plans) = (Vec::with_capacity(stopped.len()), Vec::new());
        let id = Evidence::id(now, leader);
        let mut frozen = Vec::new();
        for (actor, applied) in stopped {
            // A state folder that takes no file must neither end the guard nor let anybody go.
            let plan = match self.lineage.client(actor) {
                Some(client) => self.refuse(client, &because, now, tell).map_or(Held::ByThisGuard, Held::By),
                // Nobody to hold and nobody to release.
                None if applied.actions.is_empty() => Held::Nobody,
                None => freeze::remember(&self.settings.state, &applied).map_or(Held::ByThisGuard, Held::By),
            };
            match &plan {
                Held::By(plan) => plans.push(plan.clone()),
                Held::ByThisGuard => self.limits.unwritten += 1,
                Held::Nobody => {}
            }
            frozen.extend(applied.actions.iter().cloned());
            self.frozen.insert(actor, Frozen { applied, plan, stop: id.clone() });
            named.push(actor);
        }
        let evidence = self.begin_evidence(id.clone(), &finding, &frozen, &plans);
        self.begun.insert(id, evidence);
        Ok(named)
    }

    /// Puts back what an actor that stands still touched since its first harmful act.
    pub(super) fn put_back(
        &mut self,
        actor: Actor,
        who: Attribution,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<()> {
        let stopped_at = Timestamp::now();
        let is_late = matches!(who, Attribution::Late(_));
        self.names_now();
        self.closes()?;
        let traced = match &who {
            Attribution::Certain(actors) | Attribution::Late(actors) => actors.clone(),
            Attribution::Guessed(_) => vec![Actor::ANYBODY],
        };
        traced.iter().for_each(|actor| self.measure_all(*actor));
        let begun = self.frozen.get(&actor).and_then(|frozen| self.begun.remove(&frozen.stop));
        let mut evidence = match (is_late, begun) {
            (true, _) => None,
            (false, Some(begun)) => Some(begun),
            (false, None) => return Ok(()),
        };
        if let Some(evidence) = &mut evidence {
            let named: BTreeSet<Actor> = traced.iter().chain([&actor]).copied().collect();
            let frozen = named.iter().filter_map(|actor| self.frozen.get(actor));
            let actions: Vec<_> = frozen.flat_map(|frozen| frozen.applied.actions.iter().cloned()).collect();
            self.record_scene(evidence, &actions);
        }
        self.end_connections(&traced);

        let touches = self.take_all(&traced, stopped_at);
        if is_late && touches.is_empty() {
            return Ok(());
        }
        let mut evidence = evidence.unwrap_or_else(|| self.late_evidence(actor, stopped_at));
        let first_harm_at = first_harm(&touches, &who).unwrap_or(stopped_at);
        // Nobody may be blamed by guess for having moved a folder.
        let moved_since = (!matches!(who, Attribution::Guessed(_))).then_some(first_harm_at);
        let mut harmed: Vec<Touch> = match who {
            Attribution::Certain(_) => harmed_by(touches, first_harm_at),
            Attribution::Late(_) => touches,
            Attribution::Guessed(held) => plainly_harmed(touches, &held),
        };
        let aside = Aside::new(&evidence.folder.join("taken"), OVERWRITTEN_MAX);
        for actor in &traced {
            self.rename_folders_back(*actor, moved_since, &mut harmed, &aside);
        }
        let (records, undo) = self.restore(&harmed, &aside);
        let count = |outcome: &str| {
            records.iter().filter(|record| record.outcome.starts_with(outcome)).count() as u64
        };
        let counts = Counts {
            touched: count("put back") + count("irrecoverable") + count("contested"),
            put_back: count("put back"),
            irrecoverable: count("irrecoverable"),
            contested: count("contested"),
            moved_aside: count("moved aside"),
        };
        let evidence_sha256 = self.finish_evidence(&mut evidence, &harmed, &records, &undo, counts);
        tell(Report::Restored(Restored {
            stop: evidence.stop.id.clone(),
            files_touched: counts.touched,
            files_put_back: counts.put_back,
            files_irrecoverable: counts.irrecoverable,
            files_contested: counts.contested,
            files_moved_aside: counts.moved_aside,
            time_to_stop_ms: u64::try_from(stopped_at.duration_since(first_harm_at).as_millis()).unwrap_or(0),
            first_harm_at,
            stopped_at,
            restored_at: Timestamp::now(),
            suffixes: new_suffixes(&harmed),
            evidence: evidence.folder.clone(),
            evidence_sha256,
            evidence_missing: evidence.missing.clone(),
        }));
        Ok(())
    }

    /// Answers what the actor still waits in, keeps everybody else's messages for later.
    pub(super) fn let_it_come_to_rest(&mut self, actor: Actor) {
        let end = Instant::now() + STAND_STILL;
        while Instant::now() < end {
            while let Some(message) = self.watch.as_mut().and_then(|watch| watch.arrived()) {
                match message {
                    Message::Open(waiting) | Message::Access(waiting)
                        if self.lineage.actor(waiting.tid).is_some_and(|other| self.is_stopped(other)) =>
                    {
                        waiting.deny()
                    }
                    other => self.backlog.push_back(other),
                }
            }
            let Some(frozen) = self.frozen.get(&actor) else { return };
            if freeze::wait(&frozen.applied.actions, Duration::from_millis(1)) {
                break;
            }
        }
    }

    fn restore(&self, harmed: &[Touch], aside: &Aside) -> (Vec<FileRecord>, Undo) {
        let attackers: BTreeSet<(u64, u64)> = harmed.iter().map(Touch::key).collect();
        let mut records = Vec::with_capacity(harmed.len());
        let mut undo = Undo::default();
        for touch in harmed.iter().filter(|touch| !touch.made) {
            let (outcome, sha256) = match self.restore_one(touch, aside, &attackers) {
                Ok((put, outcome)) => {
                    if outcome == PUT_BACK {
                        self.note_put_back(&mut undo, touch, &put);
                    }
                    (outcome.to_owned(), Some(put.sha256))
                }
                Err(why) => (why, None),
            };
            records.push(record(touch, outcome, sha256));
        }
        for touch in harmed.iter().filter(|touch| touch.made) {
            let outcome = match self.move_aside(touch, aside) {
                Ok(taken) => {
                    self.note_moved_aside(&mut undo, touch, taken);
                    "moved aside".to_owned()
                }
                Err(why) => why,
            };
            records.push(record(touch, outcome, None));
        }
        (records, undo)
    }

    fn restore_one(
        &self,
        touch: &Touch,
        aside: &Aside,
        attackers: &BTreeSet<(u64, u64)>,
    ) -> Result<(PutBack, &'static str), String> {
        let Some(original) = &touch.original else { return Err("irrecoverable: it was not kept".into()) };
        if touch.contested {
            return Err("contested: somebody else wrote to it since".into());
        }
        let Some((tree, before)) = self.relative(&touch.path_before) else {
            return Err("irrecoverable: it lies in no protected folder".into());
        };
        let now = touch.path_now.as_deref().and_then(|now| self.relative(now)).map(|(_, now)| now);
        let damaged = Damaged {
            before: &before,
            now: now.as_deref(),
            inode: &touch.pin,
            attributes: attributes(original),
        };
        let bench = Bench { tree: tree.as_fd(), aside };
        match bench.put_back(&damaged, || original.reader(), |inode| attackers.contains(&inode)) {
            Ok(put) if put.content_was_whole && now.as_deref() == Some(&before) => Ok((put, "unchanged")),
            Ok(put) => Ok((put, PUT_BACK)),
            Err(error) => Err(format!("irrecoverable: {:#}", anyhow::Error::from(error))),
        }
    }

    fn move_aside(&self, touch: &Touch, aside: &Aside) -> Result<Taken, String> {
        let Some((tree, now)) = touch.path_now.as_deref().and_then(|now| self.relative(now)) else {
            return Err("gone".into());
        };
        (Bench { tree: tree.as_fd(), aside })
            .move_aside(&now, &touch.pin)
            .map_err(|error| format!("left in place: {:#}", anyhow::Error::from(error)))
    }

    /// The processes that were stopped with this actor.
    pub(super) fn stopped(&self, actor: Actor) -> Vec<i32> {
        self.stopped_exactly(actor).map(|(pid, _)| pid).collect()
    }

    /// With the start of each in clock ticks.
    pub(super) fn stopped_exactly(&self, actor: Actor) -> impl Iterator<Item = (i32, u64)> + '_ {
        let actions =
            self.frozen.get(&actor).map(|frozen| frozen.applied.actions.as_slice()).unwrap_or_default();
        let applied = actions.iter().filter(|action| action.outcome == Outcome::Applied);
        applied.filter_map(|action| action.act.process())
    }

    /// Says who is left frozen by a guard that ends. Nobody is released: the attacker is among them.
    pub(super) fn farewell(&self, tell: &mut dyn FnMut(Report)) {
        let held = self.frozen.values().filter(|frozen| frozen.is_held());
        let mut actors: Vec<Vec<i32>> = held.map(|frozen| freeze::frozen(&frozen.applied.actions)).collect();
        actors.retain(|pids| !pids.is_empty());
        if !actors.is_empty() {
            actors.sort();
            tell(Report::StillFrozen { actors });
        }
    }

    /// A frozen actor's new processes are frozen as well.
    pub(super) fn freeze_newcomers(
        &mut self,
        actor: Actor,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let members = self.to_freeze(actor);
        let Some(frozen) = self.frozen.get_mut(&actor) else { return Ok(()) };
        let actions = &frozen.applied.actions;
        let known = |pid: i32| actions.iter().any(|a| a.act.process().is_some_and(|(known, _)| known == pid));
        let fresh: Vec<(i32, u64)> = members.into_iter().filter(|(pid, _)| !known(*pid)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let plan = freeze::plan(&fresh, &frozen.applied.plan.because, now);
        for action in freeze::apply(&plan, &self.settings.never, now) {
            tell(Report::Action(action.clone()));
            frozen.applied.actions.push(action);
        }
        if matches!(frozen.plan, Held::By(_))
            && frozen.is_held()
            && freeze::remember(&self.settings.state, &frozen.applied).is_err()
        {
            // The plan that is there still names the first ones; the newcomers are this guard's to hold.
            self.limits.unwritten += 1;
        }
        Ok(())
    }

    /// Whether somebody is kept frozen by this plan.
    pub(super) fn is_held_by(&self, plan: &Path) -> bool {
        self.frozen.values().any(|frozen| matches!(&frozen.plan, Held::By(known) if known == plan))
    }

    /// Keeps the frozen frozen, and lets go whom a person has released by removing the plan.
    pub(super) fn hold_or_release(&mut self) {
        let (gate, circles) = (&mut self.gate, &mut self.circles);
        let state = &self.settings.state;
        let owed = &mut self.limits.owed;
        for (actor, frozen) in &mut self.frozen {
            if !actor.is_client()
                && let Some((stop, plan)) = frozen.write_down(state)
                && let Some(mut stop) = stops::find(state, &stop).ok().or_else(|| owed.remove(&stop))
            {
                stop.plans.extend(plan.strip_prefix(state).ok().map(Path::to_owned));
                if stop.write(state).is_err() {
                    owed.insert(stop.id.clone(), stop);
                }
            }
        }
        let door = &self.door;
        self.frozen.retain(|actor, frozen| {
            // A client's refusal is written down by the door.
            let held = match self.lineage.client(*actor) {
                Some(client) if frozen.plan == Held::ByThisGuard => door.refuses(client.address),
                _ => frozen.is_held(),
            };
            if held {
                freeze::hold(&frozen.applied.actions);
            } else {
                gate.release(actor.number());
                // Who ended by itself was released by nobody.
                if !frozen.applied.actions.is_empty() || actor.is_client() {
                    circles.release(actor.number());
                }
            }
            held
        });
        self.door.renew();
    }
}

/// All that was touched since the first harm, and what was taken shortly before it without having been graded: contents in whose
/// place nothing sound stands, and names like those that the harmed files got. What the same program edited before stays.
fn harmed_by(touches: Vec<Touch>, first_harm_at: Timestamp) -> Vec<Touch> {
    let window = first_harm_at.checked_sub(BEFORE_HARM).unwrap_or(Timestamp::MIN);
    let suffixes: BTreeSet<String> =
        touches.iter().filter(|touch| touch.suspicious && !touch.made).filter_map(given).collect();
    let is_taken = |touch: &Touch| {
        let renamed_alike = || given(touch).is_some_and(|suffix| suffixes.contains(&suffix));
        touch.at >= window
            && !touch.made
            && !touch.contested
            && touch.original.is_some()
            && (!touch.sound || renamed_alike())
    };
    touches.into_iter().filter(|touch| touch.at >= first_harm_at || is_taken(touch)).collect()
}

/// The suffix that a file got.
fn given(touch: &Touch) -> Option<String> {
    let now = touch.path_now.as_deref().and_then(suffix_of)?;
    (suffix_of(&touch.path_before).as_ref() != Some(&now)).then_some(now)
}

/// What speaks against somebody by its own content, what took its place, the notes, what was renamed alike, and what was being written:
/// the rest may be anybody's work.
fn plainly_harmed(touches: Vec<Touch>, held: &BTreeSet<(u64, u64)>) -> Vec<Touch> {
    let suspicious = |touch: &Touch| touch.suspicious && !touch.made;
    let harmed = || touches.iter().filter(|touch| suspicious(touch));
    let replacements: BTreeSet<_> = harmed().filter_map(Touch::replaced_by).collect();
    let suffixes: BTreeSet<String> = harmed().filter_map(given).collect();
    let belongs = |touch: &Touch| {
        suspicious(touch)
            || touch.note
            || held.contains(&touch.key())
            || replacements.contains(&touch.key())
            || (!touch.made && given(touch).is_some_and(|suffix| suffixes.contains(&suffix)))
    };
    touches.iter().filter(|touch| belongs(touch)).cloned().collect()
}

/// When the first file that speaks against the actor was touched, or what took its place was made.
fn first_harm(touches: &[Touch], who: &Attribution) -> Option<Timestamp> {
    let suspicious = || touches.iter().filter(|touch| touch.suspicious);
    let replacements: BTreeSet<_> = suspicious().filter_map(Touch::replaced_by).collect();
    let made = touches.iter().filter(|touch| replacements.contains(&touch.key()));
    let at = |touch: &Touch| match who {
        Attribution::Certain(_) | Attribution::Late(_) => touch.at,
        // Seen only afterwards: the file's own time of change is nearer to the truth, where it says something plausible.
        Attribution::Guessed(_) => touch
            .modified_at()
            .filter(|at| *at > touch.at - PLAUSIBLE)
            .map_or(touch.at, |at| at.min(touch.at)),
    };
    suspicious().chain(made).map(at).min()
}

pub(super) fn attributes(original: &PreImage) -> Attributes {
    let stamp = &original.stamp;
    Attributes { mode: stamp.mode, owner: stamp.owner, atime: stamp.atime, mtime: stamp.mtime }
}

fn new_suffixes(harmed: &[Touch]) -> Vec<String> {
    let suffixes: BTreeSet<String> = harmed
        .iter()
        .filter(|touch| !touch.note)
        .filter_map(|touch| {
            let new = suffix_of(touch.path_now.as_deref()?)?;
            (touch.made || suffix_of(&touch.path_before).as_ref() != Some(&new)).then_some(new)
        })
        .collect();
    suffixes.into_iter().take(8).collect()
}

fn record(touch: &Touch, outcome: String, sha256: Option<String>) -> FileRecord {
    FileRecord {
        before: touch.path_before.clone(),
        now: touch.path_now.clone(),
        made_by_actor: touch.made,
        note: touch.note,
        touched_at: touch.at,
        outcome,
        sha256,
    }
}

pub(super) fn finding(actor: Actor, reasons: &[Reason], settings: &Settings, now: Timestamp) -> Finding {
    let command =
        Stat::of(actor.pid).map_or_else(|| "a process that has ended".to_owned(), |stat| stat.command);
    let entry = &judge::gate::ENTRY;
    Finding {
        time: now,
        class: FindingClass::Detection,
        detector: entry.id.to_owned(),
        title: entry.title.to_owned(),
        title_ja: entry.title_ja.to_owned(),
        severity_id: Severity::Critical,
        attacks: (entry.attacks)(),
        actor: format!("process {} ({command})", actor.pid),
        reasons: reasons.iter().map(|reason| sentence(reason, Lang::En)).collect(),
        reasons_ja: reasons.iter().map(|reason| sentence(reason, Lang::Ja)).collect(),
        uid: format!("{}-{}-{}-{}", entry.id, now.as_nanosecond(), actor.pid, actor.start_ticks),
        subjects: subjects(actor, settings),
    }
}

/// Who did it, and what it was done to: this machine and its protected folders.
fn subjects(actor: Actor, settings: &Settings) -> Vec<Subject> {
    let actor = Entity::Process { pid: actor.pid, start_ticks: actor.start_ticks };
    let mut subjects = vec![Subject { role: SubjectRole::Actor, entity: actor }];
    subjects.extend(subjects_of_machine(settings));
    subjects
}

/// This machine and its protected folders.
pub(super) fn subjects_of_machine(settings: &Settings) -> Vec<Subject> {
    let target = |entity| Subject { role: SubjectRole::Target, entity };
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let mut subjects = vec![target(Entity::Host { name: host })];
    subjects.extend(settings.addresses.iter().map(|&address| target(Entity::Address { address })));
    let stores = settings.dirs.iter().map(|store| store.to_string_lossy().into_owned());
    subjects.extend(stores.map(|name| target(Entity::Store { name })));
    subjects
}

pub(super) fn sentence(reason: &Reason, lang: Lang) -> String {
    let (files, en, ja) = match *reason {
        Reason::ContentReplacedByNoise { files } => {
            (files, "structured content became noise", "構造のある内容が乱数状のデータに置き換わった")
        }
        Reason::SpelledAsText { files } => (
            files,
            "became text that spells noise (base64 and the like)",
            "乱数状のデータを文字で書き表したもの(base64など)に変わった",
        ),
        Reason::ForgedFormat { files } => (
            files,
            "begins like a known format, and noise follows",
            "既知の形式を装った先頭部分の後に、乱数状のデータが続いている",
        ),
        Reason::StructureLost { files } => (
            files,
            "the format is lost and no other took its place",
            "ファイル形式が失われ、別の形式にもなっていない",
        ),
        Reason::Emptied { files } => {
            (files, "was emptied or cut off", "中身が空にされたか、途中で切り捨てられた")
        }
        Reason::Sealed { files } => (files, "got a password", "パスワードが設定された"),
        Reason::RemovedBesideNoise { files } => (
            files,
            "was removed or emptied while noise was written elsewhere",
            "別の場所に乱数状のデータが書かれる間に、削除されたか空にされた",
        ),
        Reason::NoteNamedAfterSuffix { files } => (
            files,
            "has a new suffix that a new note is named after",
            "新しい拡張子が付き、その拡張子を名前に含む脅迫文がある",
        ),
        Reason::SuffixWithLostStructure { files } => {
            (files, "a new suffix, and the structure is lost", "新しい拡張子が付き、構造が失われた")
        }
        Reason::KnownFamilyArtefact { files } => (
            files,
            "a suffix or a note that a known family leaves",
            "既知のランサムウェアが残す拡張子または脅迫文",
        ),
        Reason::OriginalsReplaced { files } => (
            files,
            "the original was removed and noise stands in its place",
            "元のファイルが消え、乱数状のデータが代わりにある",
        ),
        Reason::CanaryTouched { files } => (files, "a canary was changed", "おとりのファイルが変えられた"),
    };
    match lang {
        Lang::En if files == 1 => format!("1 file: {en}"),
        Lang::En => format!("{files} files: {en}"),
        Lang::Ja => format!("{files}ファイル: {ja}"),
    }
}
