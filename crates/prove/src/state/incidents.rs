use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};
use schema::{Incident, IncidentId, IncidentStatus, Moment, Severity};

use super::columns::{count, from_json, from_word, json, list, millis, signed, word};
use super::{State, Writer};
use crate::Error;

/// Which incidents a list holds; the default holds all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Those that stand so; empty for any.
    pub statuses: Vec<IncidentStatus>,
    /// Those at least as bad.
    pub severity_at_least: Option<Severity>,
}

/// The latest first; both are answered by an index up to the rows that they give.
const LIST: &str = "SELECT last_at, id, json FROM incidents WHERE severity_id >= ?1
    AND (?2 IS NULL OR (last_at, id) < (SELECT last_at, id FROM incidents WHERE id = ?2))
    ORDER BY last_at DESC, id DESC LIMIT ?3";
const LIST_OF_STATUS: &str = "SELECT last_at, id, json FROM incidents WHERE severity_id >= ?1
    AND (?2 IS NULL OR (last_at, id) < (SELECT last_at, id FROM incidents WHERE id = ?2)) AND status = ?4
    ORDER BY last_at DESC, id DESC LIMIT ?3";

impl Writer<'_> {
    /// The number that the next incident gets.
    pub fn next_incident_id(&self) -> rusqlite::Result<IncidentId> {
        let id = self
            .conn()
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM incidents", [], |row| count(row, 0))?;
        Ok(IncidentId(id))
    }

    /// Writes an incident as it stands now, new or known.
    pub fn put_incident(&self, incident: &Incident) -> rusqlite::Result<()> {
        let sql = "INSERT INTO incidents (id, status, severity_id, first_at, last_at, findings, json)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (id) DO UPDATE SET status = excluded.status, severity_id = excluded.severity_id,
            first_at = excluded.first_at, last_at = excluded.last_at, findings = excluded.findings, json = excluded.json";
        let values = params![
            signed(incident.id.0),
            word(&incident.status)?,
            u8::from(incident.severity_id),
            millis(incident.first_at),
            millis(incident.last_at),
            signed(incident.findings),
            json(incident)?
        ];
        self.execute(sql, values).map(|_| ())
    }

    /// Adds what a person or the hub did in an incident.
    pub fn add_moment(&self, incident: IncidentId, moment: &Moment) -> rusqlite::Result<()> {
        let sql = "INSERT INTO moments (incident, at, json) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![signed(incident.0), millis(moment.at), json(moment)?]).map(|_| ())
    }
}

impl State {
    /// The incident with that number.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Incident>, Error> {
        self.read(|db| {
            let sql = "SELECT json FROM incidents WHERE id = ?1";
            db.query_row(sql, [signed(id.0)], |row| from_json(row, 0)).optional()
        })
    }

    /// Incidents, the latest finding first. A page goes on below the last incident of the page before it.
    pub fn incidents(
        &self,
        filter: &IncidentFilter,
        limit: u32,
        before: Option<IncidentId>,
    ) -> Result<Vec<Incident>, Error> {
        let statuses: BTreeSet<String> =
            filter.statuses.iter().map(word).collect::<Result<_, _>>().map_err(Error::state("read"))?;
        let severity = filter.severity_at_least.map_or(0, u8::from);
        let before = before.map(|id| signed(id.0));
        let row = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), from_json(row, 2)?));
        let mut found: Vec<((i64, i64), Incident)> = self.read(|db| {
            if statuses.is_empty() {
                return list(db, LIST, params![severity, before, limit], row);
            }
            // One at a time, each from the index: all at once, SQLite walks through every incident instead.
            let mut found = Vec::new();
            for status in &statuses {
                found.extend(list(db, LIST_OF_STATUS, params![severity, before, limit, status], row)?);
            }
            Ok(found)
        })?;
        found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        found.truncate(limit as usize);
        Ok(found.into_iter().map(|(_, incident)| incident).collect())
    }

    /// How many incidents stand where.
    pub fn incident_counts(&self) -> Result<Vec<(IncidentStatus, u64)>, Error> {
        self.read(|db| {
            let sql = "SELECT status, count(*) FROM incidents GROUP BY status ORDER BY status";
            list(db, sql, &[], |row| Ok((from_word(row, 0)?, count(row, 1)?)))
        })
    }

    /// What people and the hub did in an incident, in order of time; the first `limit` of it.
    pub fn moments(&self, incident: IncidentId, limit: u32) -> Result<Vec<Moment>, Error> {
        self.read(|db| {
            let sql = "SELECT json FROM moments WHERE incident = ?1 ORDER BY at, id LIMIT ?2";
            list(db, sql, params![signed(incident.0), limit], |row| from_json(row, 0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::columns;
    use crate::state::migrate::MIGRATIONS;

    #[test]
    fn a_list_of_incidents_is_answered_from_an_index_and_sorts_nothing() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().for_each(|sql| db.execute_batch(sql).unwrap());
        for (sql, index) in [
            (LIST, "SCAN incidents USING INDEX incidents_by_time"),
            (LIST_OF_STATUS, "SEARCH incidents USING INDEX incidents_by_status (status=?)"),
        ] {
            let plan = columns::plan(&db, sql);
            assert!(plan.starts_with(index) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
