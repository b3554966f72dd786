use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use schema::IncidentId;
use serde::Serialize;

use super::columns::{count, instant, instant_or_none, json, list, millis, signed};
use super::{State, Writer};
use crate::Error;

/// A notice in the outbox. It leaves it when its channel accepted it, or when it is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedNotice {
    /// Its number.
    pub id: i64,
    /// Name of the channel in the configuration.
    pub channel: String,
    /// The incident that it is about.
    pub incident: Option<IncidentId>,
    /// The notice as JSON, as it was put in.
    pub json: String,
    /// When it was put in.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub tries: u64,
    /// When it is tried next; `None` once it was delivered or given up.
    pub next_try_at: Option<Timestamp>,
    /// When the channel accepted it.
    pub delivered_at: Option<Timestamp>,
    /// What the receiver answered, or the last error.
    pub proof: String,
}

const COLUMNS: &str =
    "SELECT id, channel, incident, json, created_at, tries, next_try_at, delivered_at, proof FROM notices";

impl Writer<'_> {
    /// Puts a notice into the outbox, due at once; its number is returned.
    pub fn queue_notice(
        &self,
        channel: &str,
        incident: Option<IncidentId>,
        notice: &impl Serialize,
        now: Timestamp,
    ) -> rusqlite::Result<i64> {
        let sql = "INSERT INTO notices (channel, incident, json, created_at, next_try_at)
            VALUES (?1, ?2, ?3, ?4, ?4)";
        let incident = incident.map(|id| signed(id.0));
        self.execute(sql, params![channel, incident, json(notice)?, millis(now)])?;
        Ok(self.last_insert_rowid())
    }

    /// Its channel accepted it and said `proof`.
    pub fn notice_delivered(&self, id: i64, at: Timestamp, proof: &str) -> rusqlite::Result<()> {
        let sql = "UPDATE notices SET tries = tries + 1, next_try_at = NULL, delivered_at = ?2, proof = ?3
            WHERE id = ?1";
        self.execute(sql, params![id, millis(at), proof]).map(|_| ())
    }

    /// It was not accepted; `None` gives it up.
    pub fn notice_failed(
        &self,
        id: i64,
        next_try_at: Option<Timestamp>,
        cause: &str,
    ) -> rusqlite::Result<()> {
        let sql = "UPDATE notices SET tries = tries + 1, next_try_at = ?2, proof = ?3 WHERE id = ?1";
        self.execute(sql, params![id, next_try_at.map(millis), cause]).map(|_| ())
    }

    /// Moves the times of those that wait, as the clock was moved.
    pub fn move_notices(&self, by: SignedDuration) -> rusqlite::Result<()> {
        let sql = "UPDATE notices SET next_try_at = next_try_at + ?1, created_at = created_at + ?1
            WHERE next_try_at IS NOT NULL";
        let by = i64::try_from(by.as_millis()).unwrap_or_default();
        self.execute(sql, params![by]).map(|_| ())
    }

    /// Forgets notices that were put in before `then` and are not waiting.
    pub fn expire_notices(&self, then: Timestamp) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM notices WHERE created_at < ?1 AND next_try_at IS NULL";
        self.execute(sql, params![millis(then)])
    }
}

impl State {
    /// The notice with that number.
    pub fn notice(&self, id: i64) -> Result<Option<QueuedNotice>, Error> {
        self.read(|db| db.query_row(&format!("{COLUMNS} WHERE id = ?1"), [id], notice).optional())
    }

    /// Notices, the newest first; those of one incident, or of all.
    pub fn notices(&self, incident: Option<IncidentId>, limit: u32) -> Result<Vec<QueuedNotice>, Error> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR incident = ?1 ORDER BY id DESC LIMIT ?2");
        self.read(|db| list(db, &sql, params![incident.map(|id| signed(id.0)), limit], notice))
    }

    /// Notices to be tried now, the one that waits longest first.
    pub fn notices_due(&self, now: Timestamp, limit: u32) -> Result<Vec<QueuedNotice>, Error> {
        let sql = format!("{COLUMNS} WHERE next_try_at <= ?1 ORDER BY next_try_at, id LIMIT ?2");
        self.read(|db| list(db, &sql, params![millis(now), limit], notice))
    }
}

fn notice(row: &Row<'_>) -> rusqlite::Result<QueuedNotice> {
    let incident: Option<i64> = row.get(2)?;
    Ok(QueuedNotice {
        id: row.get(0)?,
        channel: row.get(1)?,
        incident: incident.and_then(|id| u64::try_from(id).ok()).map(IncidentId),
        json: row.get(3)?,
        created_at: instant(row, 4)?,
        tries: count(row, 5)?,
        next_try_at: instant_or_none(row, 6)?,
        delivered_at: instant_or_none(row, 7)?,
        proof: row.get(8)?,
    })
}
