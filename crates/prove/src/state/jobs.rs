use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::columns::{from_word, instant, instant_or_none, list, millis, word};
use super::{State, Writer};
use crate::Error;

/// One run of a scheduled job, also one that did not take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// Its number.
    pub id: i64,
    /// Name of the job in the configuration.
    pub name: String,
    /// What the job does.
    pub kind: JobKind,
    /// When it should have begun.
    pub due_at: Timestamp,
    /// When it began; `None` for a missed one.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What came of it.
    pub outcome: JobOutcome,
    /// The JSON summary line of what ran, or why it failed; empty until then.
    pub detail: String,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Capture a snapshot.
    Backup,
    /// Restore one and read it.
    Drill,
    /// Check the vault.
    Check,
    /// Give the ledger out.
    Export,
    /// Copy the vault to the medium whose turn it is.
    Media,
    /// Renew the static bundle of charts.
    Bundle,
    /// Forget snapshots by the rules of retention.
    Forget,
    /// Give the space of forgotten snapshots back.
    Prune,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// It goes on.
    Running,
    /// Done, and nothing was found.
    Done,
    /// Done, and something was found or left undone: exit status 1.
    Found,
    /// It could not run.
    Failed,
    /// It was due while nobody could run it.
    Missed,
    /// The hub ended before it did.
    Interrupted,
}

const COLUMNS: &str = "SELECT id, name, kind, due_at, started_at, finished_at, outcome, detail FROM jobs";

impl Writer<'_> {
    /// A run begins; its number is returned.
    pub fn start_job(
        &self,
        name: &str,
        kind: JobKind,
        due_at: Timestamp,
        started_at: Timestamp,
    ) -> rusqlite::Result<i64> {
        let sql =
            "INSERT INTO jobs (name, kind, due_at, started_at, outcome) VALUES (?1, ?2, ?3, ?4, 'running')";
        self.execute(sql, params![name, word(&kind)?, millis(due_at), millis(started_at)])?;
        Ok(self.last_insert_rowid())
    }

    /// A run ended.
    pub fn finish_job(
        &self,
        id: i64,
        outcome: JobOutcome,
        finished_at: Timestamp,
        detail: &str,
    ) -> rusqlite::Result<()> {
        let sql = "UPDATE jobs SET outcome = ?2, finished_at = ?3, detail = ?4 WHERE id = ?1";
        self.execute(sql, params![id, word(&outcome)?, millis(finished_at), detail]).map(|_| ())
    }

    /// A run did not take place when it was due.
    pub fn miss_job(&self, name: &str, kind: JobKind, due_at: Timestamp) -> rusqlite::Result<i64> {
        let sql = "INSERT INTO jobs (name, kind, due_at, outcome) VALUES (?1, ?2, ?3, 'missed')";
        self.execute(sql, params![name, word(&kind)?, millis(due_at)])?;
        Ok(self.last_insert_rowid())
    }

    /// Says at start that what still seems to run was ended with the hub before this one; how many there were.
    pub fn interrupt_running_jobs(&self, now: Timestamp) -> rusqlite::Result<usize> {
        let sql = "UPDATE jobs SET outcome = 'interrupted', finished_at = ?1 WHERE outcome = 'running'";
        self.execute(sql, params![millis(now)])
    }

    /// Forgets runs that were due before `then`, but for the latest of each job.
    pub fn expire_jobs(&self, then: Timestamp) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM jobs WHERE due_at < ?1 AND id NOT IN (SELECT max(id) FROM jobs GROUP BY name)";
        self.execute(sql, params![millis(then)])
    }
}

impl State {
    /// The run with that number.
    pub fn job_run(&self, id: i64) -> Result<Option<JobRun>, Error> {
        self.read(|db| db.query_row(&format!("{COLUMNS} WHERE id = ?1"), [id], run).optional())
    }

    /// Runs of one job, or of all; the one that began last first, whatever the clock showed then.
    pub fn job_runs(&self, name: Option<&str>, limit: u32) -> Result<Vec<JobRun>, Error> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR name = ?1 ORDER BY id DESC LIMIT ?2");
        self.read(|db| list(db, &sql, params![name, limit], run))
    }

    /// The latest run of each job that ended or never was, by name.
    pub fn last_ended_runs(&self) -> Result<Vec<JobRun>, Error> {
        let ended = "SELECT max(id) FROM jobs WHERE outcome <> 'running' GROUP BY name";
        self.read(|db| list(db, &format!("{COLUMNS} WHERE id IN ({ended}) ORDER BY name"), &[], run))
    }

    /// The latest run of each job, by name.
    pub fn last_runs(&self) -> Result<Vec<JobRun>, Error> {
        let sql = format!("{COLUMNS} WHERE id IN (SELECT max(id) FROM jobs GROUP BY name) ORDER BY name");
        self.read(|db| list(db, &sql, &[], run))
    }
}

fn run(row: &Row<'_>) -> rusqlite::Result<JobRun> {
    Ok(JobRun {
        id: row.get(0)?,
        name: row.get(1)?,
        kind: from_word(row, 2)?,
        due_at: instant(row, 3)?,
        started_at: instant_or_none(row, 4)?,
        finished_at: instant_or_none(row, 5)?,
        outcome: from_word(row, 6)?,
        detail: row.get(7)?,
    })
}
