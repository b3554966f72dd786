//! The tool policy at work: ciphertext that an approved program wrote does not speak against whoever had it written.
//!
//! What counts is who wrote the bytes that are found to be noise, file by file: the process that opened the file for writing, by its
//! program's inode and hash, its user, the place and the time. Anybody else's write to the same file takes the approval from it. The
//! originals are kept as those of an attack are, and an approval that proves to be a mistake is revoked with everything put back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use judge::gate::Gate;
use observe::files::{Actor, Intent, Tracker};
use schema::{FileEvidence, GateInput, Reason, Verdict};
use serde::Serialize;

use super::approval::{self, Approval};

const MARKS_MAX: usize = 65_536;
const EVIDENCE_MAX: usize = 8192;
const WRITERS_MAX: usize = 64;

/// What happened to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    InForce,
    /// Somebody would have been stopped without it.
    Allowed,
    Expired,
    Revoked,
    /// Its program is another than the one that was approved.
    Void,
    /// A file that is no approval, or that others could have written.
    Refused,
}

/// A line about an approval.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct News {
    pub(crate) event: Event,
    pub(crate) approval: String,
    pub(crate) tool: PathBuf,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: String,
    pub(crate) by: String,
    /// Who was let pass, in words.
    pub(crate) actor: Option<String>,
    /// Files that would have spoken against it so far.
    pub(crate) files: u32,
}

/// A file whose content comes from an approved program alone.
#[derive(Debug)]
struct Mark {
    approval: String,
    age: u64,
    /// Threads and processes that opened it so: at their end nobody can ask any more who they were.
    writers: Vec<i32>,
}

/// An approval with what the program looked like when it was hashed.
#[derive(Debug)]
struct Known {
    approval: Approval,
    identity: Option<Identity>,
    in_force: bool,
}

type Identity = (u64, u64, i64, i64, u64);

/// The approvals that a guard goes by.
#[derive(Debug)]
pub(super) struct Policy {
    state: PathBuf,
    changed: Option<(i64, i64)>,
    known: Vec<Known>,
    refused: BTreeSet<PathBuf>,
    marks: HashMap<(u64, u64), Mark>,
    clock: u64,
    /// What was not held against whom, by approval.
    passed: BTreeMap<String, BTreeMap<Actor, Vec<FileEvidence>>>,
    /// Judges what is passed as if there were no approval.
    shadow: Gate,
    told: BTreeSet<(String, Actor)>,
    news: Vec<News>,
    /// Against whom to hold it after all.
    recalled: Vec<(Actor, Vec<FileEvidence>)>,
}

impl Policy {
    /// With what the configuration allows beside the approvals in the state folder.
    pub(super) fn new(state: &Path, standing: Vec<Approval>) -> Self {
        let known = |approval| Known { approval, identity: None, in_force: false };
        let mut policy = Self {
            state: state.to_owned(),
            changed: None,
            known: standing.into_iter().map(known).collect(),
            refused: BTreeSet::new(),
            marks: HashMap::new(),
            clock: 0,
            passed: BTreeMap::new(),
            shadow: Gate::default(),
            told: BTreeSet::new(),
            news: Vec::new(),
            recalled: Vec::new(),
        };
        policy.refresh(Timestamp::now());
        policy
    }

    /// Takes up what was approved or revoked, and notices what expired. Cheap when nothing changed.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        let changed = approval::changed(&self.state);
        if changed != self.changed {
            self.changed = changed;
            self.read();
        }
        for at in 0..self.known.len() {
            self.look_at(at, now);
        }
    }

    fn read(&mut self) {
        let Ok((approvals, refused)) = approval::all(&self.state) else { return };
        let is_listed = |id: &str| approvals.iter().any(|approval| approval.id == id);
        self.known.retain(|known| known.approval.id.starts_with("config-") || is_listed(&known.approval.id));
        for approval in approvals {
            match self.known.iter_mut().find(|known| known.approval.id == approval.id) {
                Some(known) => known.approval = approval,
                None => self.known.push(Known { approval, identity: None, in_force: false }),
            }
        }
        for path in refused {
            if self.refused.insert(path.clone()) {
                self.news.push(refused_news(&path));
            }
        }
    }

    fn look_at(&mut self, at: usize, now: Timestamp) {
        let Some(known) = self.known.get_mut(at) else { return };
        let is_in_force = known.approval.is_in_force(now) && known.is_same_program();
        if is_in_force == known.in_force {
            return;
        }
        known.in_force = is_in_force;
        let event = match (&known.approval.revoked, is_in_force) {
            (_, true) => Event::InForce,
            (Some(_), _) => Event::Revoked,
            (None, false) if known.approval.is_in_force(now) => Event::Void,
            (None, false) => Event::Expired,
        };
        let approval = known.approval.clone();
        self.news.push(news(event, &approval, None, 0));
        if approval.revoked.is_some_and(|revoked| revoked.put_back) {
            self.recalled.extend(self.passed.remove(&approval.id).unwrap_or_default());
            self.marks.retain(|_, mark| mark.approval != approval.id);
        }
    }

    /// Somebody opens a file: an approved program's write marks it, anybody else's takes the mark.
    pub(super) fn opened(&mut self, tid: i32, key: (u64, u64), path: &Path, intent: Intent) {
        if intent != Intent::Write || !self.is_asked() {
            return;
        }
        let Some(id) = self.approved(tid, path) else {
            self.marks.remove(&key);
            return;
        };
        if self.marks.len() >= MARKS_MAX {
            let limit = self.clock.saturating_sub(MARKS_MAX as u64 / 2);
            self.marks.retain(|_, mark| mark.age >= limit);
        }
        self.clock += 1;
        let age = self.clock;
        let mark = self.marks.entry(key).or_insert(Mark { approval: id.clone(), age, writers: vec![] });
        mark.approval = id;
        mark.age = age;
        mark.writers.extend([Some(tid), process_of(tid)].into_iter().flatten());
        let beyond = mark.writers.len().saturating_sub(WRITERS_MAX);
        mark.writers.drain(..beyond);
    }

    /// Whether it matters who opens a file: something is approved, or was.
    pub(super) fn is_asked(&self) -> bool {
        !self.known.is_empty() || !self.marks.is_empty()
    }

    /// Whether any file is known whose content comes from an approved program.
    pub(super) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Somebody closed a file that it could write to. A process that has ended is known by its number.
    pub(super) fn closed(&mut self, tid: i32, key: (u64, u64), path: Option<&Path>) {
        let Some(mark) = self.marks.get(&key) else { return };
        let is_writer = |id: i32| mark.writers.contains(&id);
        let was_writer = is_writer(tid) || process_of(tid).is_some_and(is_writer);
        let is_approved = match fs::read_link(format!("/proc/{tid}/exe")) {
            Ok(_) => path.is_some_and(|path| self.approved(tid, path).is_some()) || was_writer,
            Err(_) => was_writer,
        };
        if !is_approved {
            self.marks.remove(&key);
        }
    }

    /// Takes out of the evidence what an approved program wrote.
    pub(super) fn pass(
        &mut self,
        input: GateInput,
        actor: Actor,
        tracker: &Tracker,
        now: Timestamp,
    ) -> GateInput {
        if self.marks.is_empty() {
            return input;
        }
        let mut held = Vec::with_capacity(input.evidence.len());
        let mut passed: BTreeMap<String, Vec<FileEvidence>> = BTreeMap::new();
        for evidence in input.evidence {
            match self.approval_of(&evidence, actor, tracker) {
                Some(id) => passed.entry(id).or_default().push(evidence),
                None => held.push(evidence),
            }
        }
        for (id, evidence) in passed {
            self.let_pass(&id, actor, evidence, now);
        }
        GateInput { actor: input.actor, evidence: held }
    }

    fn approval_of(&self, evidence: &FileEvidence, actor: Actor, tracker: &Tracker) -> Option<String> {
        if evidence.canary || evidence.ransom_note {
            return None;
        }
        let touch = tracker.touch_of(actor, evidence.file)?;
        let key = if touch.path_now.is_some() { touch.key() } else { touch.replaced_by()? };
        self.marks.get(&key).map(|mark| mark.approval.clone())
    }

    fn let_pass(&mut self, id: &str, actor: Actor, evidence: Vec<FileEvidence>, now: Timestamp) {
        let input = GateInput { actor: actor.number(), evidence };
        let verdict = self.shadow.decide(&input, now);
        let kept = self.passed.entry(id.to_owned()).or_default().entry(actor).or_default();
        let room = EVIDENCE_MAX.saturating_sub(kept.len());
        kept.extend(input.evidence.into_iter().take(room));
        let Verdict::Stop(reasons) = verdict else { return };
        if !self.told.insert((id.to_owned(), actor)) {
            return;
        }
        let files = reasons.iter().map(Reason::files).max().unwrap_or(0);
        let approval = self.known.iter().find(|known| known.approval.id == id).map(|known| &known.approval);
        if let Some(approval) = approval {
            let command = observe::files::Stat::of(actor.pid).map_or_else(String::new, |stat| stat.command);
            let actor = format!("process {} ({command})", actor.pid);
            self.news.push(news(Event::Allowed, approval, Some(actor), files));
        }
    }

    /// The approval under which `tid` may write to `path` now.
    fn approved(&self, tid: i32, path: &Path) -> Option<String> {
        let candidates: Vec<&Known> = self
            .known
            .iter()
            .filter(|known| known.in_force && path.starts_with(&known.approval.dir))
            .filter(|known| known.approval.is_in_force(Timestamp::now()))
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let exe = PathBuf::from(format!("/proc/{tid}/exe"));
        let (program, meta) = (fs::read_link(&exe).ok()?, fs::metadata(&exe).ok()?);
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let found = candidates.into_iter().find(|known| {
            known.approval.tool == program
                && known.identity.is_some_and(|identity| identity == identity_of(&meta))
                && runs_as(&known.approval, &status)
        });
        found.map(|known| known.approval.id.clone())
    }

    /// What is to be told.
    pub(super) fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Evidence that is held against its actor after all.
    pub(super) fn recalled(&mut self) -> Vec<(Actor, Vec<FileEvidence>)> {
        std::mem::take(&mut self.recalled)
    }
}

impl Known {
    /// Looks at the program's file, and hashes it when it is not the one that was hashed last.
    fn is_same_program(&mut self) -> bool {
        let Ok(meta) = fs::metadata(&self.approval.tool) else {
            self.identity = None;
            return false;
        };
        let identity = identity_of(&meta);
        if self.identity == Some(identity) {
            return true;
        }
        let is_right = approval::is_roots(&meta)
            && match &self.approval.sha256 {
                Some(wanted) => approval::sha256(&self.approval.tool).is_ok_and(|found| found == *wanted),
                None => true,
            };
        self.identity = is_right.then_some(identity);
        is_right
    }
}

fn identity_of(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size())
}

/// proc_pid_status(5): the effective user, and the effective and supplementary groups.
fn runs_as(approval: &Approval, status: &str) -> bool {
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    let is_user = approval.user.as_ref().is_none_or(|(_, uid)| ids("Uid:").get(1) == Some(uid));
    let in_group = |gid: &u32| ids("Gid:").get(1) == Some(gid) || ids("Groups:").contains(gid);
    is_user && approval.group.as_ref().is_none_or(|(_, gid)| in_group(gid))
}

fn process_of(tid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn news(event: Event, approval: &Approval, actor: Option<String>, files: u32) -> News {
    News {
        event,
        approval: approval.id.clone(),
        tool: approval.tool.clone(),
        user: approval.user.as_ref().map(|(name, _)| name.clone()),
        group: approval.group.as_ref().map(|(name, _)| name.clone()),
        until: approval.until,
        reason: approval.reason.clone(),
        by: approval.by.clone(),
        actor,
        files,
    }
}

fn refused_news(path: &Path) -> News {
    News {
        event: Event::Refused,
        approval: path.display().to_string(),
        tool: PathBuf::new(),
        user: None,
        group: None,
        until: None,
        reason: "this file is no approval, or others than the guard's user could have written it".into(),
        by: String::new(),
        actor: None,
        files: 0,
    }
}
