use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
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

/// The newest first; each is answered by an index up to the rows that it gives.
const LIST: &str = "SELECT json FROM countermeasures WHERE (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2";
const LIST_OF_STATE: &str = "SELECT json FROM countermeasures WHERE (?1 IS NULL OR id < ?1) AND state = ?3
    ORDER BY id DESC LIMIT ?2";
const LIST_OF_INCIDENT: &str =
    "SELECT json FROM countermeasures WHERE (?1 IS NULL OR id < ?1) AND incident = ?3
    AND (?4 = '[]' OR state IN (SELECT value FROM json_each(?4))) ORDER BY id DESC LIMIT ?2";

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
        let states: BTreeSet<String> =
            filter.states.iter().map(word).collect::<Result<_, _>>().map_err(Error::state("read"))?;
        let before = before.map(|id| signed(id.0));
        let row = |row: &Row<'_>| from_json::<Countermeasure>(row, 0);
        let mut found = self.read(|db| match (filter.incident, states.is_empty()) {
            (Some(incident), _) => {
                let states = json(&filter.states)?;
                list(db, LIST_OF_INCIDENT, params![before, limit, signed(incident.0), states], row)
            }
            (None, true) => list(db, LIST, params![before, limit], row),
            // One at a time, each from the index: all at once, SQLite walks through every countermeasure instead.
            (None, false) => {
                let mut found = Vec::new();
                for state in &states {
                    found.extend(list(db, LIST_OF_STATE, params![before, limit, state], row)?);
                }
                Ok(found)
            }
        })?;
        found.sort_by_key(|measure| std::cmp::Reverse(measure.id));
        found.truncate(limit as usize);
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::columns;
    use crate::state::migrate::MIGRATIONS;

    #[test]
    fn a_list_of_countermeasures_is_answered_from_an_index_and_sorts_nothing() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().for_each(|sql| db.execute_batch(sql).unwrap());
        for (sql, begins) in [
            (LIST, "SCAN countermeasures"),
            (LIST_OF_STATE, "SEARCH countermeasures USING INDEX countermeasures_by_state_and_id (state=?)"),
            (LIST_OF_INCIDENT, "SEARCH countermeasures USING INDEX countermeasures_by_incident (incident=?)"),
        ] {
            let plan = columns::plan(&db, sql);
            assert!(plan.starts_with(begins) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
