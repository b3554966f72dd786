use jiff::Timestamp;
use prove::State;
use prove::state::{JobOutcome, JobRun};
use schema::SnapshotId;

use super::due::{Due, LastRun, Missed, due};
use super::jobs::Job;
use super::run::Finished;

/// Runs of one due time that are looked at, for counting how often it was tried.
const ATTEMPTS_LOOKED_AT: u32 = 128;

/// The jobs of a configuration with what the state remembers of them.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) jobs: Vec<Job>,
}

/// A job that is to be started now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DueJob<'j> {
    pub(crate) job: &'j Job,
    pub(crate) due_at: Timestamp,
    /// To be told: an alarm, a line in the ledger.
    pub(crate) missed: Option<Missed>,
}

/// A run that was noted as begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Number of its row.
    pub(crate) id: i64,
}

impl Schedule {
    /// At the start of the hub: what still seems to run was interrupted with the hub before, and will be due at once. How many
    /// there were.
    pub(crate) fn open(
        jobs: Vec<Job>,
        state: &State,
        now: Timestamp,
    ) -> Result<(Schedule, usize), prove::Error> {
        let interrupted = state.write(|tx| tx.interrupt_running_jobs(now))?;
        Ok((Schedule { jobs }, interrupted))
    }

    /// Jobs that are due, in the order of the configuration, and when to look again.
    pub(crate) fn due(
        &self,
        state: &State,
        now: Timestamp,
    ) -> Result<(Vec<DueJob<'_>>, Option<Timestamp>), prove::Error> {
        let latest = state.last_runs()?;
        let mut to_start = Vec::new();
        let mut look_again: Option<Timestamp> = None;
        for job in &self.jobs {
            let last = latest.iter().find(|run| run.name == job.name);
            let last = last.map(|run| last_run(state, run)).transpose()?;
            match due(&job.plan, job.retry, last.as_ref(), now) {
                Due::Running => {}
                Due::Not { next_at } => {
                    look_again = Some(look_again.map_or(next_at, |other| other.min(next_at)));
                }
                Due::Now { due_at, missed } => to_start.push(DueJob { job, due_at, missed }),
            }
        }
        Ok((to_start, look_again))
    }

    pub(crate) fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == name)
    }
}

impl DueJob<'_> {
    /// Notes that it begins, with what was missed before, in one transaction.
    pub(crate) fn begin(&self, state: &State, now: Timestamp) -> Result<Begun, prove::Error> {
        let Job { name, kind, .. } = self.job;
        let id = state.write(|tx| {
            if let Some(missed) = self.missed {
                tx.miss_job(name, *kind, missed.since)?;
            }
            tx.start_job(name, *kind, self.due_at, now)
        })?;
        Ok(Begun { id })
    }
}

impl Begun {
    /// Notes what came of it.
    pub(crate) fn finish(
        self,
        state: &State,
        finished: &Finished,
        now: Timestamp,
    ) -> Result<(), prove::Error> {
        state.write(|tx| tx.finish_job(self.id, finished.outcome, now, &finished.detail()))
    }
}

/// The snapshot that the latest backup of a job made, from its summary line.
pub(crate) fn newest_snapshot(state: &State, backup: &str) -> Result<Option<SnapshotId>, prove::Error> {
    let runs = state.job_runs(Some(backup), ATTEMPTS_LOOKED_AT)?;
    Ok(runs.iter().filter(|run| run.started_at.is_some()).find_map(|run| {
        let line: serde_json::Value = serde_json::from_str(&run.detail).ok()?;
        serde_json::from_value(line.get("snapshot")?.clone()).ok()
    }))
}

fn last_run(state: &State, run: &JobRun) -> Result<LastRun, prove::Error> {
    let tried = matches!(run.outcome, JobOutcome::Failed | JobOutcome::Interrupted);
    let attempts = if tried {
        let runs = state.job_runs(Some(&run.name), ATTEMPTS_LOOKED_AT)?;
        runs.iter().filter(|other| other.due_at == run.due_at && other.started_at.is_some()).count()
    } else {
        1
    };
    Ok(LastRun {
        due_at: run.due_at,
        finished_at: run.finished_at,
        outcome: run.outcome,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}
