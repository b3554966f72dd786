use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};
use schema::{Countermeasure, CountermeasureId, CountermeasureState, IncidentId};

use super::columns::{count, from_json, from_word, json, list, millis, signed, word};
use super::{State, Writer};
use crate::Error;

/// Which countermeasures a list holds; the default holds all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountermeasureFilter {
    /// Those that answer this incident.
    pub incident: Option<IncidentId>,
    /// Those that stand so; empty for any.
    pub states: Vec<CountermeasureState>,
}

impl Writer<'_> {
    /// The number that the next countermeasure gets.
    pub fn next_countermeasure_id(&self) -> rusqlite::Result<CountermeasureId> {
        let sql = "SELECT coalesce(max(id), 0) + 1 FROM countermeasures";
        Ok(CountermeasureId(self.conn().query_row(sql, [], |row| count(row, 0))?))
    }

    /// Writes a countermeasure as it stands now, new or known.
    pub fn put_countermeasure(&self, it: &Countermeasure) -> rusqlite::Result<()> {
        let sql = "INSERT INTO countermeasures (id, incident, kind, state, planned_at, deadline, ends_at, json)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (id) DO UPDATE SET incident = excluded.incident, kind = excluded.kind, state = excluded.state,
            planned_at = excluded.planned_at, deadline = excluded.deadline, ends_at = excluded.ends_at,
            json = excluded.json";
        let values = params![
            signed(it.id.0),
            it.incident.map(|id| signed(id.0)),
            it.act.kind().id(),
            word(&it.state)?,
            millis(it.planned_at),
            millis(it.deadline),
            ends_at(it).map(millis),
            json(it)?
        ];
        self.execute(sql, values).map(|_| ())
    }
}

impl State {
    /// The countermeasure with that number.
    pub fn countermeasure(&self, id: CountermeasureId) -> Result<Option<Countermeasure>, Error> {
        self.read(|db| {
            let sql = "SELECT json FROM countermeasures WHERE id = ?1";
            db.query_row(sql, [signed(id.0)], |row| from_json(row, 0)).optional()
        })
    }

    /// Countermeasures, the newest first. A page goes on below the last one of the page before it.
    pub fn countermeasures(
        &self,
        filter: &CountermeasureFilter,
        limit: u32,
        before: Option<CountermeasureId>,
    ) -> Result<Vec<Countermeasure>, Error> {
        self.read(|db| {
            let sql = "SELECT json FROM countermeasures WHERE (?1 IS NULL OR incident = ?1)
                AND (?2 = '[]' OR state IN (SELECT value FROM json_each(?2))) AND (?3 IS NULL OR id < ?3)
                ORDER BY id DESC LIMIT ?4";
            let incident = filter.incident.map(|id| signed(id.0));
            let before = before.map(|id| signed(id.0));
            list(db, sql, params![incident, json(&filter.states)?, before, limit], |row| from_json(row, 0))
        })
    }

    /// Those that something has to be done about at `now`: applied ones that have held long enough, and proposed
    /// or approved ones past their deadline; the most overdue first.
    pub fn countermeasures_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Countermeasure>, Error> {
        self.read(|db| {
            let sql = "SELECT json, coalesce(ends_at, deadline) AS due FROM countermeasures
                WHERE (state = 'applied' AND ends_at <= ?1) OR (state IN ('proposed', 'approved') AND deadline <= ?1)
                ORDER BY due, id LIMIT ?2";
            list(db, sql, params![millis(now), limit], |row| from_json(row, 0))
        })
    }

    /// How many countermeasures stand where.
    pub fn countermeasure_counts(&self) -> Result<Vec<(CountermeasureState, u64)>, Error> {
        self.read(|db| {
            let sql = "SELECT state, count(*) FROM countermeasures GROUP BY state ORDER BY state";
            list(db, sql, &[], |row| Ok((from_word(row, 0)?, count(row, 1)?)))
        })
    }
}

/// When an applied one is undone by itself. One that would last past the end of time lasts until somebody undoes it.
fn ends_at(it: &Countermeasure) -> Option<Timestamp> {
    let lasts = SignedDuration::from_secs(i64::try_from(it.lasts_seconds?).ok()?);
    it.applied_at?.checked_add(lasts).ok().filter(|_| it.state == CountermeasureState::Applied)
}
