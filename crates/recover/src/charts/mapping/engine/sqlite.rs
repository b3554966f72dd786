//! SQLite, in this process: the file is a copy of ours, opened for reading, and no function of the database is trusted.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::{Asked, Cells, Link, PATIENCE_SECONDS, VALUE_CHARS_MAX, quoted};
use crate::Error;
use crate::adapter::sqlite;

/// Opens the file, which nobody else has.
pub(in super::super) fn open(file: PathBuf) -> Result<Link, Error> {
    Link::new(move |serve| {
        let fail = |source| Error::Database { op: "open", path: file.clone(), source };
        let connection = sqlite::open(&file).map_err(fail)?;
        serve(&mut |asked| {
            let answer = |one| {
                bounded(&connection, || ask(&connection, one)).map_err(|source| Error::Database {
                    op: "query",
                    path: file.clone(),
                    source,
                })
            };
            asked.iter().map(answer).collect()
        });
        Ok(())
    })
}

/// Interrupts a query that takes too long.
fn bounded<T>(connection: &Connection, query: impl FnOnce() -> T) -> T {
    let handle = connection.get_interrupt_handle();
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(Duration::from_secs(PATIENCE_SECONDS)) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        let answer = query();
        drop(done);
        answer
    })
}

fn ask(connection: &Connection, asked: &Asked) -> rusqlite::Result<Cells> {
    let (sql, values) = match asked {
        Asked::Columns { sql } => {
            let statement = connection.prepare(&format!("SELECT * FROM ({sql}\n) AS q LIMIT 0"))?;
            return Ok(statement.column_names().map(|name| vec![Some(name.to_owned())]).collect());
        }
        Asked::Rows { sql, columns, of, limit, offset } => {
            let columns: Vec<String> = columns.iter().map(|name| format!("q.{}", quoted(name))).collect();
            let values: Vec<Value> = of.iter().flat_map(|key| spellings(key)).collect();
            let places = vec!["?"; values.len()].join(", ");
            let filter = if of.is_empty() {
                "ORDER BY 1".to_owned()
            } else {
                format!("WHERE q.\"patient\" IN ({places})")
            };
            let columns = columns.join(", ");
            (format!("SELECT {columns} FROM ({sql}\n) AS q {filter} LIMIT {limit} OFFSET {offset}"), values)
        }
    };
    let mut statement = connection.prepare(&sql)?;
    let count = statement.column_count();
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Cells::new();
    while let Some(row) = rows.next()? {
        found.push((0..count).map(|column| row.get_ref(column).map(text)).collect::<Result<_, _>>()?);
    }
    Ok(found)
}

/// An expression without a type equals a number only as a number, and a text only as a text.
fn spellings(key: &str) -> Vec<Value> {
    let number = key.parse::<i64>().ok().filter(|number| number.to_string() == key);
    std::iter::once(Value::Text(key.to_owned())).chain(number.map(Value::Integer)).collect()
}

fn text(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let bytes = bytes.get(..VALUE_CHARS_MAX * 4).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).chars().take(VALUE_CHARS_MAX).collect()
        }
    })
}
