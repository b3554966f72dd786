use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::columns::{count, from_json, json, signed};
use super::{State, Writer};
use crate::Error;

impl Writer<'_> {
    /// Writes the state of a part of `judge` that includes the journal up to and with `watermark`.
    ///
    /// Written in one transaction with what that part brought about, so that a replay brings it about once.
    pub fn put_checkpoint(&self, part: &str, watermark: u64, state: &impl Serialize) -> rusqlite::Result<()> {
        let sql = "INSERT INTO checkpoints (part, watermark, json) VALUES (?1, ?2, ?3)
            ON CONFLICT (part) DO UPDATE SET watermark = excluded.watermark, json = excluded.json";
        self.execute(sql, params![part, signed(watermark), json(state)?]).map(|_| ())
    }

    /// Forgets a part that no longer exists, so that the journal need not be kept for it.
    pub fn remove_checkpoint(&self, part: &str) -> rusqlite::Result<()> {
        self.execute("DELETE FROM checkpoints WHERE part = ?1", params![part]).map(|_| ())
    }
}

impl State {
    /// The watermark and state of a part; an error where the state has the shape of another version.
    pub fn checkpoint<T: DeserializeOwned>(&self, part: &str) -> Result<Option<(u64, T)>, Error> {
        self.read(|db| {
            let sql = "SELECT watermark, json FROM checkpoints WHERE part = ?1";
            db.query_row(sql, [part], |row| Ok((count(row, 0)?, from_json(row, 1)?))).optional()
        })
    }

    /// The lowest watermark of all parts: what the journal may let go of up to there. `None` without any part.
    pub fn lowest_watermark(&self) -> Result<Option<u64>, Error> {
        self.read(|db| {
            let sql = "SELECT watermark FROM checkpoints ORDER BY watermark LIMIT 1";
            db.query_row(sql, [], |row| count(row, 0)).optional()
        })
    }
}
