//! What is kept of a stop: the evidence folder, and a short record in the state folder by which people find it again.
//!
//! Nothing of this may keep files from being put back. What could not be kept is named.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use act::evidence::{self, Look, Scene, private_dir, write_json};
use act::put_back::PutBack;
use act::undo::{Turn, Undo, Version};
use crossbeam_channel::bounded;
use jiff::Timestamp;
use observe::files::{Actor, Touch};
use schema::{Action, Finding, Outcome};

use super::Guard;
use super::response::{attributes, finding};
use super::stops::{Counts, Stop};

/// Others wait while the scene is recorded.
const SCENE: Duration = Duration::from_secs(2);
/// Of what is written over, so much is copied for an undo where the file system has no reflinks.
pub(super) const OVERWRITTEN_MAX: u64 = 1 << 30;

/// The evidence of one stop.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) folder: PathBuf,
    /// Its record in the state folder.
    pub(super) stop: Stop,
    /// What could not be kept.
    pub(super) missing: Vec<String>,
}

impl Evidence {
    /// When and who.
    pub(super) fn id(at: Timestamp, actor: Actor) -> String {
        format!("{}-{}", at.strftime("%Y%m%dT%H%M%S%.3fZ"), actor.pid.unsigned_abs())
    }

    fn try_to<T>(&mut self, what: &str, result: Result<T, act::Error>) -> Option<T> {
        result.map_err(|error| self.missing.push(format!("{what}: {:#}", anyhow::Error::from(error)))).ok()
    }
}

impl Guard {
    /// Begins the folder of actors that were just stopped. `plans` keep them so, in the state folder.
    pub(super) fn begin_evidence(
        &self,
        id: String,
        finding: &Finding,
        actions: &[Action],
        plans: &[PathBuf],
    ) -> Evidence {
        let folder = self.settings.store.join("evidence").join(&id);
        let stopped = actions.iter().filter(|action| action.outcome == Outcome::Applied);
        let in_state = |plan: &PathBuf| plan.strip_prefix(&self.settings.state).ok().map(Path::to_owned);
        let stop = Stop {
            id,
            at: finding.time,
            actor: finding.actor.clone(),
            reasons: finding.reasons.clone(),
            reasons_ja: finding.reasons_ja.clone(),
            processes: stopped.filter_map(|action| action.act.process()).collect(),
            plans: plans.iter().filter_map(in_state).collect(),
            evidence: std::path::absolute(&folder).unwrap_or_else(|_| folder.clone()),
            counts: None,
            ended: None,
        };
        let mut evidence = Evidence { folder, stop, missing: Vec::new() };
        let made = private_dir(&evidence.folder.join("taken"));
        evidence.try_to("the folder for what makes way", made);
        let written = write_json(&evidence.folder.join("finding.json"), finding);
        evidence.try_to("the finding", written);
        let noted = evidence.stop.write(&self.settings.state);
        evidence.try_to("the record of the stop", noted);
        evidence
    }

    /// A folder of its own for what a stopped actor did after all.
    pub(super) fn late_evidence(&self, actor: Actor, now: Timestamp) -> Evidence {
        let finding = finding(actor, &[], &self.settings, now);
        let reasons = vec!["what it did after it was stopped".to_owned()];
        let reasons_ja = vec!["停止後に行われた変更".to_owned()];
        let finding = Finding { reasons, reasons_ja, ..finding };
        self.begin_evidence(format!("{}-late", Evidence::id(now, actor)), &finding, &[], &[])
    }

    /// Records who stands still, before anything is put back. On a thread of its own: a program on a network share that hangs must
    /// not hold up what comes next.
    pub(super) fn record_scene(&self, evidence: &mut Evidence, actions: &[Action]) {
        let (folder, actions) = (evidence.folder.clone(), actions.to_vec());
        let records = self.settings.dirs.clone();
        let (done, recorded) = bounded(1);
        let spawned = std::thread::Builder::new().name("evidence".into()).spawn(move || {
            let look = Look { folder: &folder, records: &records, until: Instant::now() + SCENE };
            let scene = Scene::of(&actions, look);
            let _ = done.send(write_json(&folder.join("processes.json"), &scene));
        });
        match spawned.map(|_| recorded.recv_timeout(2 * SCENE)) {
            Ok(Ok(written)) => {
                evidence.try_to("the processes", written);
            }
            Ok(Err(_)) => evidence.missing.push("the processes: they could not be read in time".into()),
            Err(error) => evidence.missing.push(format!("the processes: {error}")),
        }
    }

    /// Completes the folder with what became of the files; the hash of its list goes where the attacker cannot reach.
    pub(super) fn finish_evidence(
        &mut self,
        evidence: &mut Evidence,
        harmed: &[Touch],
        records: &impl serde::Serialize,
        undo: &Undo,
        counts: Counts,
    ) -> Option<String> {
        let folder = evidence.folder.clone();
        let notes = harmed.iter().filter(|touch| touch.note);
        let notes = notes.map(|touch| (touch.path_now.as_deref().unwrap_or(&touch.path_before), &*touch.pin));
        let written = write_json(&folder.join("notes.json"), &evidence::notes(notes));
        evidence.try_to("the notes", written);
        let written = write_json(&folder.join("files.json"), records);
        evidence.try_to("the files", written);
        let written = undo.write(&folder);
        evidence.try_to("what an undo needs", written);
        let sealed = evidence::seal(&folder);
        let sha256 = evidence.try_to("the list of the evidence", sealed);
        evidence.stop.counts = Some(counts);
        let noted = evidence.stop.write(&self.settings.state);
        if evidence.try_to("the record of the stop", noted).is_none() {
            self.limits.owe(evidence.stop.clone());
        }
        sha256
    }

    /// What an undo would turn, for one file that was put back.
    pub(super) fn note_put_back(&self, undo: &mut Undo, touch: &Touch, put: &PutBack) {
        let Some(original) = &touch.original else { return };
        let Some((tree, before)) = self.located(&touch.path_before) else { return };
        let now = touch.path_now.as_deref().and_then(|now| self.located(now));
        let whole = Version { sha256: put.sha256.clone(), attributes: attributes(original), kept: None };
        let left = if put.content_was_whole {
            whole.clone()
        } else {
            // Without a kept copy the undo of this file is refused, and says why.
            let lost = Version { sha256: String::new(), ..whole.clone() };
            put.taken.clone().map_or(lost, Version::from)
        };
        let turn = |tree: &Path, path: &Path, here, there| Turn {
            tree: tree.to_owned(),
            path: path.to_owned(),
            group: touch.file,
            here,
            there,
            undone: false,
        };
        match now {
            Some(now) if now == (tree, before.clone()) => {
                undo.note(turn(tree, &before, Some(whole), Some(left)));
            }
            Some((now_tree, now)) => {
                undo.note(turn(tree, &before, Some(whole), None));
                undo.note(turn(now_tree, &now, None, Some(left)));
            }
            None => undo.note(turn(tree, &before, Some(whole), None)),
        }
    }

    /// The same for a file that the actor had made and that was moved aside.
    pub(super) fn note_moved_aside(&self, undo: &mut Undo, touch: &Touch, taken: act::put_back::Taken) {
        let Some((tree, path)) = touch.path_now.as_deref().and_then(|now| self.located(now)) else { return };
        let (group, there) = (touch.file, Some(Version::from(taken)));
        undo.note(Turn { tree: tree.to_owned(), path, group, here: None, there, undone: false });
    }

    /// The protected folder that `path` lies in, and its path there.
    fn located(&self, path: &Path) -> Option<(&Path, PathBuf)> {
        let mut roots = self.trees.iter().map(|(root, _)| root.as_path());
        roots.find_map(|root| Some((root, path.strip_prefix(root).ok()?.to_owned())))
    }

    /// Processes that say, in the state folder, that they put an undo into effect.
    pub(super) fn look_for_undos(&mut self) {
        self.excused = act::undo::announced(&self.settings.state);
    }

    /// Whether a process is one of those.
    pub(super) fn is_excused(&self, pid: i32) -> bool {
        self.excused.iter().any(|(excused, _)| *excused == pid)
    }
}
