use std::cell::RefCell;
use std::ops::Deref;

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, ToSql, Transaction};

/// One transaction of [`State::write`](super::State::write): it changes through [`Writer::execute`] and reads as
/// a connection does, its own changes included.
///
/// What it executes is kept for the change log, from which a damaged database is made anew. So a change is
/// made nowhere else: one made past it undoes the whole transaction.
#[derive(Debug)]
pub struct Writer<'a> {
    db: &'a Transaction<'a>,
    changed_before: u64,
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    statements: Vec<Statement>,
    rows: u64,
}

/// A statement that changed something, with the values that were bound to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(db: &'a Transaction<'a>) -> Self {
        Self { db, changed_before: db.total_changes(), kept: RefCell::default() }
    }

    /// Runs one statement and says how many rows it changed; `values` as `params![…]` makes them.
    ///
    /// The same statement must do the same to the same database at any time, so what is drawn or read from a
    /// clock comes as a value: SQL that asks for either is refused.
    pub fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> rusqlite::Result<usize> {
        if let Some(word) = unrepeatable(sql) {
            return Err(refused(format!("`{word}` would not be the same when the change log is replayed")));
        }
        let before = self.db.total_changes();
        let rows = self.db.prepare_cached(sql)?.execute(values)?;
        let values = values.iter().map(|value| owned(value.to_sql()?)).collect::<rusqlite::Result<_>>()?;
        let mut kept = self.kept.borrow_mut();
        kept.rows += self.db.total_changes() - before;
        kept.statements.push(Statement { sql: sql.to_owned(), values });
        Ok(rows)
    }

    /// Number of the row that was inserted last.
    pub fn last_insert_rowid(&self) -> i64 {
        self.db.last_insert_rowid()
    }

    /// The connection, for reading.
    pub fn conn(&self) -> &Connection {
        self.db
    }

    /// What was executed; an error where something was changed past [`Writer::execute`].
    pub(super) fn finish(self) -> rusqlite::Result<Vec<Statement>> {
        let kept = self.kept.into_inner();
        if self.db.total_changes() - self.changed_before != kept.rows {
            return Err(refused("a change was made past Writer::execute and would not be in the log".into()));
        }
        Ok(kept.statements)
    }
}

impl Deref for Writer<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}

fn unrepeatable(sql: &str) -> Option<&'static str> {
    const WORDS: [&str; 6] = ["random", "'now'", "current_time", "current_date", "datetime()", "unixepoch()"];
    let sql = sql.to_ascii_lowercase();
    WORDS.into_iter().find(|word| sql.contains(word))
}

fn owned(value: ToSqlOutput<'_>) -> rusqlite::Result<Value> {
    match value {
        ToSqlOutput::Borrowed(value) => Value::try_from(value).map_err(|cause| refused(cause.to_string())),
        ToSqlOutput::Owned(value) => Ok(value),
        _ => Err(refused("a value of this sort cannot be written to the change log".into())),
    }
}

fn refused(why: String) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(why.into())
}
