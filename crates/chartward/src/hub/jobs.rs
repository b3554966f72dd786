//! Backups, drills, checks and exports at their times: each a process of its own, noted before it begins and when it ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;
use prove::state::{CountermeasureFilter, JobKind, JobOutcome, Sealed};
use prove::{Fact, Ledger, State};
use schema::{Act, CountermeasureState, Proof, SnapshotId};
use serde_json::Value;
use zeroize::Zeroizing;

use super::handed::HandedOver;
use super::handle::{Hub, Live, Refusal};
use super::outbox::FindSecret;
use crate::config::Config;
use crate::schedule::{self, DueJob, Finished, Job, Known, Runner, Schedule, Task};
use crate::vault_at::RestArgs;

const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// What is in force or about to be, looked at before something is taken out of the vault.
const MEASURES_MAX: u32 = 100_000;

/// The jobs of the configuration. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Inner>);

struct Inner {
    schedule: Schedule,
    runner: Runner,
    state: State,
    ledger: Arc<Ledger>,
    hub: Hub,
    folder: PathBuf,
    vault: PathBuf,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    /// What the sealed store holds under a name.
    sealed: Arc<FindSecret>,
    /// Names of those that a person or a countermeasure wants now.
    wanted: Mutex<BTreeSet<String>>,
    running: Mutex<BTreeSet<String>>,
}

impl Jobs {
    pub(super) fn new(
        config: &Config,
        folder: &std::path::Path,
        state: State,
        ledger: Arc<Ledger>,
        hub: Hub,
        passphrase: Option<Zeroizing<Vec<u8>>>,
        sealed: Arc<FindSecret>,
    ) -> anyhow::Result<Self> {
        // What ran when the hub died is noted as interrupted here, and due again at once. The ledger hears of it first: killed
        // between the two it is told twice, which is better than never.
        for run in state.last_runs()?.into_iter().filter(|run| run.outcome == JobOutcome::Running) {
            let outcome = "interrupted".to_owned();
            ledger.append(
                Fact::JobFinished { name: run.name, due_at: run.due_at, outcome },
                Timestamp::now(),
            )?;
        }
        let (schedule, _) = Schedule::open(schedule::jobs(config), &state, Timestamp::now())?;
        let env = config.vault.as_ref().map(|vault| RestArgs::of(vault).env()).unwrap_or_default();
        let runner =
            Runner { program: std::env::current_exe()?, env, stop: Arc::new(AtomicBool::new(false)) };
        let vault = config.vault.as_ref().map(|vault| vault.dir.clone()).unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            schedule,
            runner,
            state,
            ledger,
            hub,
            folder: folder.to_owned(),
            vault,
            passphrase,
            sealed,
            wanted: Mutex::default(),
            running: Mutex::default(),
        })))
    }

    /// Starts a job as soon as it is not running already.
    pub(super) fn run_now(&self, name: &str) -> Result<(), Refusal> {
        let job = self.0.schedule.job(name);
        if job.is_some_and(|job| self.task(job, Timestamp::now()).is_none()) {
            return Err(Refusal {
                en: format!("there is nothing to drill yet: run {} first", name.replace("drill:", "backup:")),
                ja: format!(
                    "検証する対象がまだありません。先に {} を実行してください",
                    name.replace("drill:", "backup:")
                ),
            });
        }
        if job.is_none() {
            let known: Vec<&str> = self.0.schedule.jobs.iter().map(|job| job.name.as_str()).collect();
            let known = known.join(", ");
            return Err(Refusal {
                en: format!("there is no job {name}; there are: {known}"),
                ja: format!("ジョブ {name} はありません。あるもの: {known}"),
            });
        }
        if job.is_some_and(Job::takes_away) && self.is_vault_held() {
            return Err(Refusal {
                en: format!("{name} waits: an incident holds the vault; undo lock_vault first"),
                ja: format!(
                    "インシデント対応で保管庫を固定しているため、{name} は実行できません。先に保管庫の固定を解除してください"
                ),
            });
        }
        locked(&self.0.wanted).insert(name.to_owned());
        Ok(())
    }

    /// Whether a countermeasure holds the vault; also where that cannot be learned.
    fn is_vault_held(&self) -> bool {
        let states = vec![CountermeasureState::Approved, CountermeasureState::Applied];
        let filter = CountermeasureFilter { incident: None, states };
        let measures = self.0.state.countermeasures(&filter, MEASURES_MAX, None);
        measures.map_or(true, |all| all.iter().any(|it| matches!(it.act, Act::LockVault)))
    }

    /// What takes something out of the vault runs alone; everything that needs the vault waits for it rather than failing.
    fn has_to_wait(&self, job: &Job) -> bool {
        let running = locked(&self.0.running).clone();
        let mut running = running.iter().filter_map(|name| self.0.schedule.job(name));
        match job.takes_away() {
            true => running.any(Job::needs_passphrase) || self.is_vault_held(),
            // Two drills of the same thing would take twice the room, and the second adds nothing.
            false if job.kind == JobKind::Drill => running
                .any(|other| other.takes_away() || (other.kind == job.kind && other.protect == job.protect)),
            false => job.needs_passphrase() && running.any(Job::takes_away),
        }
    }

    /// Captures what is protected under that name as soon as possible.
    pub(super) fn backup_now(&self, protect: &str) -> Result<String, String> {
        self.run_now(&format!("backup:{protect}")).map_err(|refusal| refusal.en)?;
        Ok(format!("the backup of {protect} begins"))
    }

    fn look(&self) {
        let inner = &self.0;
        let now = Timestamp::now();
        let (due, _) = inner.schedule.due(&inner.state, now).unwrap_or_default();
        let mut start: Vec<DueJob<'_>> = due;
        // Nothing is lost by keeping it for longer, so nobody is told of that.
        start.iter_mut().filter(|due| due.job.takes_away()).for_each(|due| due.missed = None);
        for name in std::mem::take(&mut *locked(&inner.wanted)) {
            if let Some(job) =
                inner.schedule.job(&name).filter(|_| start.iter().all(|due| due.job.name != name))
            {
                start.push(DueJob { job, due_at: now, missed: None });
            }
        }
        for due in start {
            let is_running = locked(&inner.running).contains(&due.job.name);
            if is_running || self.has_to_wait(due.job) {
                // Wanted while it runs: what changed since its start is captured by the next one.
                if due.missed.is_none() && due.due_at == now {
                    locked(&inner.wanted).insert(due.job.name.clone());
                }
                continue;
            }
            self.begin(&due, now);
        }
    }

    fn begin(&self, due: &DueJob<'_>, now: Timestamp) {
        let inner = &self.0;
        let Some(task) = self.task(due.job, now) else { return };
        let begun = match due.begin(&inner.state, now) {
            Ok(begun) => begun,
            Err(error) => {
                // Also one that a person asked for, who was told that it begins.
                locked(&inner.wanted).insert(due.job.name.clone());
                return self.note_trouble(Some(format!("{:#}", anyhow::Error::from(error))));
            }
        };
        self.note_trouble(None);
        if due.missed.is_some() {
            let fact = Fact::JobMissed { name: due.job.name.clone(), due_at: due.due_at };
            let _ = inner.ledger.append(fact, now);
        }
        let (jobs, job, due_at) = (self.clone(), due.job.clone(), due.due_at);
        locked(&inner.running).insert(job.name.clone());
        inner.hub.tell(Live::Jobs);
        let run = move || {
            let finished = jobs.run(&job, &task);
            // First what it measured: killed between the two, the job is due again, and nothing that it made is unknown.
            jobs.finished(&job, due_at, &finished);
            let mut written = begun.finish(&jobs.0.state, &finished, Timestamp::now());
            // A job that seems to run for ever would never be due again.
            while written.is_err() && !jobs.0.runner.stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_secs(2));
                written = begun.finish(&jobs.0.state, &finished, Timestamp::now());
            }
            locked(&jobs.0.running).remove(&job.name);
            jobs.0.hub.tell(Live::Jobs);
        };
        if thread::Builder::new().name("job".into()).spawn(run).is_err() {
            locked(&inner.running).remove(&due.job.name);
        }
    }

    fn note_trouble(&self, trouble: Option<String>) {
        if self.0.hub.shown().jobs_trouble != trouble {
            self.0.hub.show(|shown| shown.jobs_trouble = trouble, Live::Promise);
        }
    }

    /// The job, after what has to be done before it.
    fn run(&self, job: &Job, task: &Task) -> Finished {
        if let Some(args) = job.args_before() {
            let before = Task { args, passphrase: None, timeout: task.timeout };
            let copied = self.0.runner.run(&before, &mut |_| {});
            // A copy that lacks some files is backed up all the same: the rest must not wait for them.
            if copied.outcome == JobOutcome::Failed {
                return copied;
            }
        }
        let handed = match HandedOver::of(&job.secrets(), &*self.0.sealed) {
            Ok(handed) => handed,
            Err(error) => return Finished::not_begun(format!("cannot hand over its passwords: {error}")),
        };
        let mut args = task.args.clone();
        // Behind the command's name, before whatever ends its options.
        let first = args.iter().position(|arg| arg.as_encoded_bytes().starts_with(b"-"));
        let first = first.unwrap_or(args.len());
        args.splice(first..first, handed.args());
        let task = Task { args, passphrase: task.passphrase.clone(), timeout: task.timeout };
        self.0.runner.run(&task, &mut |_| {})
    }

    /// What the job's process is called with; `None` while there is nothing to drill.
    fn task(&self, job: &Job, now: Timestamp) -> Option<Task> {
        let inner = &self.0;
        let newest: Option<SnapshotId> = job.protect.as_ref().and_then(|protect| {
            schedule::newest_snapshot(&inner.state, &format!("backup:{protect}")).ok().flatten()
        });
        if job.kind == JobKind::Drill && newest.is_none() && self.waits_for_its_first_backup(job) {
            return None;
        }
        let known = Known { vault: &inner.vault, state: &inner.folder, newest: newest.as_ref(), now };
        let passphrase = inner.passphrase.clone().filter(|_| job.needs_passphrase());
        Some(Task {
            args: job.args(&known)?,
            passphrase,
            timeout: Duration::try_from(job.timeout).unwrap_or(Duration::MAX),
        })
    }

    fn waits_for_its_first_backup(&self, job: &Job) -> bool {
        let backup = job.protect.as_ref().map(|protect| format!("backup:{protect}")).unwrap_or_default();
        let runs = self.0.state.job_runs(Some(&backup), 1).unwrap_or_default();
        runs.first().is_none_or(|run| run.outcome == JobOutcome::Running)
    }

    /// Takes what a job measured into the state, from which the console tells it.
    fn finished(&self, job: &Job, due_at: Timestamp, finished: &Finished) {
        let inner = &self.0;
        let line = finished.summary.clone().unwrap_or_default();
        let written = match job.kind {
            JobKind::Backup => sealed(&line).map(|it| inner.state.write(|tx| tx.put_snapshot(&it))),
            JobKind::Drill => proof(&line).map(|it| inner.state.write(|tx| tx.add_drill(&it))),
            JobKind::Check
            | JobKind::Export
            | JobKind::Media
            | JobKind::Bundle
            | JobKind::Forget
            | JobKind::Prune => None,
        };
        if let Some(Err(error)) = written {
            eprintln!("chartward: the outcome of {} could not be written down: {error}", job.name);
        }
        let outcome = serde_json::to_value(finished.outcome).ok();
        let outcome = outcome.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        let fact = Fact::JobFinished { name: job.name.clone(), due_at, outcome };
        let _ = inner.ledger.append(fact, Timestamp::now());
    }
}

/// Starts the thread that looks what is due; when `end` is closed, what runs is ended and waited for.
pub(super) fn start(jobs: Jobs, end: Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("jobs".into()).spawn(move || {
        while end.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
            jobs.look();
        }
        jobs.0.runner.stop.store(true, Ordering::Relaxed);
        while !locked(&jobs.0.running).is_empty() {
            thread::sleep(Duration::from_millis(50));
        }
    })
}

fn sealed(line: &Value) -> Option<Sealed> {
    let number = |field: &str| line[field].as_u64().unwrap_or(0);
    Some(Sealed {
        id: SnapshotId(line["snapshot"].as_str()?.to_owned()),
        captured_at: line["captured_at"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .unwrap_or_else(Timestamp::now),
        patients: number("patients"),
        files: number("files"),
        bytes: number("bytes"),
        exceptions: number("exceptions"),
    })
}

fn proof(line: &Value) -> Option<Proof> {
    serde_json::from_value(line["proof"].clone()).ok()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
