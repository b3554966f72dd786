use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use schema::{Proof, SnapshotId, Status};

use super::columns::{count, from_json, instant, json, list, millis, signed};
use super::{State, Writer};
use crate::Error;

/// A snapshot in the vault, by its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The snapshot.
    pub id: SnapshotId,
    /// When its capture began.
    pub captured_at: Timestamp,
    /// Patients counted in it.
    pub patients: u64,
    /// Regular files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many paths are not in it as they should be.
    pub exceptions: u64,
}

/// The sentence on the first screen as it stood at some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// When.
    pub at: Timestamp,
    /// See [`Status::rpo_seconds`].
    pub rpo_seconds: Option<f64>,
    /// See [`Status::rto_first_chart_seconds`].
    pub rto_first_chart_seconds: Option<f64>,
    /// See [`Status::rto_full_seconds`].
    pub rto_full_seconds: Option<f64>,
    /// How many alarms spoke against it.
    pub alarms: u64,
}

impl From<&Status> for Promise {
    fn from(status: &Status) -> Self {
        Promise {
            at: status.at,
            rpo_seconds: status.rpo_seconds,
            rto_first_chart_seconds: status.rto_first_chart_seconds,
            rto_full_seconds: status.rto_full_seconds,
            alarms: status.alarms.len() as u64,
        }
    }
}

impl Writer<'_> {
    /// Writes a snapshot's counts.
    pub fn put_snapshot(&self, it: &Sealed) -> rusqlite::Result<()> {
        let sql = "INSERT INTO snapshots (id, captured_at, patients, files, bytes, exceptions)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (id) DO UPDATE SET captured_at = excluded.captured_at, patients = excluded.patients,
            files = excluded.files, bytes = excluded.bytes, exceptions = excluded.exceptions";
        let values = params![
            it.id.0,
            millis(it.captured_at),
            signed(it.patients),
            signed(it.files),
            signed(it.bytes),
            signed(it.exceptions)
        ];
        self.execute(sql, values).map(|_| ())
    }

    /// Forgets a snapshot that the vault no longer has.
    pub fn remove_snapshot(&self, id: &SnapshotId) -> rusqlite::Result<()> {
        self.execute("DELETE FROM snapshots WHERE id = ?1", params![id.0]).map(|_| ())
    }

    /// Adds what a drill measured, passed or not. A sample that was well proves nothing of the whole, so it is not marked as passed.
    pub fn add_drill(&self, proof: &Proof) -> rusqlite::Result<()> {
        let sql = "INSERT INTO drills (snapshot, proven_at, passed, json) VALUES (?1, ?2, ?3, ?4)";
        self.execute(
            sql,
            params![proof.snapshot.0, millis(proof.proven_at), proof.proves_all(), json(proof)?],
        )
        .map(|_| ())
    }

    /// Writes down how the promise stands.
    pub fn put_promise(&self, it: &Promise) -> rusqlite::Result<()> {
        let sql = "INSERT INTO promises (at, rpo_seconds, rto_first_chart_seconds, rto_full_seconds, alarms)
            VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (at) DO UPDATE SET rpo_seconds = excluded.rpo_seconds,
            rto_first_chart_seconds = excluded.rto_first_chart_seconds,
            rto_full_seconds = excluded.rto_full_seconds, alarms = excluded.alarms";
        let values = params![
            millis(it.at),
            it.rpo_seconds,
            it.rto_first_chart_seconds,
            it.rto_full_seconds,
            signed(it.alarms)
        ];
        self.execute(sql, values).map(|_| ())
    }

    /// Forgets promises older than `then`.
    pub fn expire_promises(&self, then: Timestamp) -> rusqlite::Result<usize> {
        self.execute("DELETE FROM promises WHERE at < ?1", params![millis(then)])
    }
}

impl State {
    /// Snapshots, the newest first.
    pub fn snapshots(&self, limit: u32) -> Result<Vec<Sealed>, Error> {
        let sql = "SELECT id, captured_at, patients, files, bytes, exceptions FROM snapshots
            ORDER BY captured_at DESC, id LIMIT ?1";
        self.read(|db| list(db, sql, params![limit], sealed))
    }

    /// Drills, the newest first.
    pub fn drills(&self, limit: u32) -> Result<Vec<Proof>, Error> {
        let sql = "SELECT json FROM drills ORDER BY proven_at DESC, id DESC LIMIT ?1";
        self.read(|db| list(db, sql, params![limit], |row| from_json(row, 0)))
    }

    /// The newest drill that passed.
    pub fn newest_proof(&self) -> Result<Option<Proof>, Error> {
        let sql = "SELECT json FROM drills WHERE passed ORDER BY proven_at DESC, id DESC LIMIT 1";
        self.read(|db| db.query_row(sql, [], |row| from_json(row, 0)).optional())
    }

    /// The promise as it stood since `then`, in order of time; at most `limit` of the latest.
    pub fn promises(&self, then: Timestamp, limit: u32) -> Result<Vec<Promise>, Error> {
        let sql = "SELECT at, rpo_seconds, rto_first_chart_seconds, rto_full_seconds, alarms FROM promises
            WHERE at >= ?1 ORDER BY at DESC LIMIT ?2";
        let mut found = self.read(|db| {
            list(db, sql, params![millis(then), limit], |row| {
                Ok(Promise {
                    at: instant(row, 0)?,
                    rpo_seconds: row.get(1)?,
                    rto_first_chart_seconds: row.get(2)?,
                    rto_full_seconds: row.get(3)?,
                    alarms: count(row, 4)?,
                })
            })
        })?;
        found.reverse();
        Ok(found)
    }
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    Ok(Sealed {
        id: SnapshotId(row.get(0)?),
        captured_at: instant(row, 1)?,
        patients: count(row, 2)?,
        files: count(row, 3)?,
        bytes: count(row, 4)?,
        exceptions: count(row, 5)?,
    })
}
