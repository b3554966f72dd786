use jiff::civil::Date;
use rusqlite::params;
use rusqlite::types::Type;

use super::columns::{count, list, signed};
use super::{State, Writer};
use crate::Error;

/// How many lines of one sort came on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Daily {
    /// The day, by the time of arrival or of the event, as whoever counts decides.
    pub day: Date,
    /// OCSF `class_uid`.
    pub class_uid: u32,
    /// Name of the watcher.
    pub watcher: String,
    /// The detector's ENTRY id; empty for what is no finding.
    pub detector: String,
    /// OCSF `severity_id`.
    pub severity_id: u8,
    /// How many.
    pub lines: u64,
}

impl Writer<'_> {
    /// Adds to the counts; put together with the checkpoint whose watermark includes these lines.
    pub fn add_daily(&self, counts: &[Daily]) -> rusqlite::Result<()> {
        let sql = "INSERT INTO daily (day, class_uid, watcher, detector, severity_id, lines)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET lines = lines + excluded.lines";
        for it in counts {
            let values = params![
                it.day.to_string(),
                it.class_uid,
                it.watcher,
                it.detector,
                it.severity_id,
                signed(it.lines)
            ];
            self.execute(sql, values)?;
        }
        Ok(())
    }

    /// Forgets days before `day`.
    pub fn expire_daily(&self, day: Date) -> rusqlite::Result<usize> {
        self.execute("DELETE FROM daily WHERE day < ?1", params![day.to_string()])
    }
}

impl State {
    /// Counts of `from` and later, by day; at most `limit` rows of the latest.
    pub fn daily(&self, from: Date, limit: u32) -> Result<Vec<Daily>, Error> {
        let sql = "SELECT day, class_uid, watcher, detector, severity_id, lines FROM daily WHERE day >= ?1
            ORDER BY day DESC, lines DESC, class_uid, watcher, detector, severity_id LIMIT ?2";
        let mut found = self.read(|db| {
            list(db, sql, params![from.to_string(), limit], |row| {
                let day: String = row.get(0)?;
                let day = day.parse().map_err(|cause: jiff::Error| {
                    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(cause))
                })?;
                Ok(Daily {
                    day,
                    class_uid: row.get(1)?,
                    watcher: row.get(2)?,
                    detector: row.get(3)?,
                    severity_id: row.get(4)?,
                    lines: count(row, 5)?,
                })
            })
        })?;
        found.reverse();
        Ok(found)
    }
}
