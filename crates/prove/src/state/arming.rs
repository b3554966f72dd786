use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use schema::{ActKind, WatcherClass};

use super::columns::{from_word, instant, list, millis};
use super::{State, Writer};
use crate::Error;

/// An act that a class of watcher may cause. What has none is observe-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arming {
    /// The act.
    pub kind: ActKind,
    /// The class.
    pub class: WatcherClass,
    /// The administrator who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Writer<'_> {
    /// Lets a class of watcher cause an act. One that was armed before keeps who armed it first.
    pub fn arm(&self, arming: &Arming) -> rusqlite::Result<()> {
        let sql = "INSERT INTO armed (kind, class, by, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let values = params![arming.kind.id(), arming.class.id(), arming.by, millis(arming.at)];
        self.execute(sql, values).map(|_| ())
    }

    /// Makes it observe-only again.
    pub fn disarm(&self, kind: ActKind, class: WatcherClass) -> rusqlite::Result<()> {
        let sql = "DELETE FROM armed WHERE kind = ?1 AND class = ?2";
        self.execute(sql, params![kind.id(), class.id()]).map(|_| ())
    }
}

impl State {
    /// Everything that is armed.
    pub fn armed(&self) -> Result<Vec<Arming>, Error> {
        self.read(|db| {
            list(db, "SELECT kind, class, by, at FROM armed ORDER BY kind, class", &[], |row| {
                Ok(Arming {
                    kind: from_word(row, 0)?,
                    class: from_word(row, 1)?,
                    by: row.get(2)?,
                    at: instant(row, 3)?,
                })
            })
        })
    }

    /// Whether this class of watcher may cause this act.
    pub fn is_armed(&self, kind: ActKind, class: WatcherClass) -> Result<bool, Error> {
        self.read(|db| {
            let sql = "SELECT 1 FROM armed WHERE kind = ?1 AND class = ?2";
            let found = db.query_row(sql, params![kind.id(), class.id()], |_| Ok(())).optional()?;
            Ok(found.is_some())
        })
    }
}
