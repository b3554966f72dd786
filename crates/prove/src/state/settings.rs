use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::columns::{from_json, json, list};
use super::{State, Writer};
use crate::Error;

impl Writer<'_> {
    /// Writes a setting.
    pub fn put_setting(&self, key: &str, value: &impl Serialize) -> rusqlite::Result<()> {
        let sql = "INSERT INTO settings (key, value) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.execute(sql, params![key, json(value)?]).map(|_| ())
    }

    /// Takes a setting back to its default.
    pub fn remove_setting(&self, key: &str) -> rusqlite::Result<()> {
        self.execute("DELETE FROM settings WHERE key = ?1", params![key]).map(|_| ())
    }
}

impl State {
    /// A setting; `None` where its default holds.
    pub fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.read(|db| {
            let sql = "SELECT value FROM settings WHERE key = ?1";
            db.query_row(sql, [key], |row| from_json(row, 0)).optional()
        })
    }

    /// Settings that were made, with their values as JSON, by key; at most `limit`.
    pub fn settings(&self, limit: u32) -> Result<Vec<(String, serde_json::Value)>, Error> {
        self.read(|db| {
            let sql = "SELECT key, value FROM settings ORDER BY key LIMIT ?1";
            list(db, sql, params![limit], |row| Ok((row.get(0)?, from_json(row, 1)?)))
        })
    }
}
