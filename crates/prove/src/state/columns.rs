//! How values stand in columns: instants as milliseconds, enums as the word that serde writes, the rest as JSON.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An instant as it stands in a column: milliseconds since 1970-01-01T00:00:00Z.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The instant that stands in a column.
pub fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let millis = row.get(column)?;
    Timestamp::from_millisecond(millis).map_err(|cause| unreadable(column, Type::Integer, cause))
}

/// See [`instant`]; `NULL` is `None`.
pub fn instant_or_none(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let millis: Option<i64> = row.get(column)?;
    millis
        .map(Timestamp::from_millisecond)
        .transpose()
        .map_err(|cause| unreadable(column, Type::Integer, cause))
}

/// A value as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|cause| rusqlite::Error::ToSqlConversionFailure(Box::new(cause)))
}

/// The value that stands in a JSON column.
pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|cause| unreadable(column, Type::Text, cause))
}

/// An enum as the word that serde writes for it.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    let quoted = json(value)?;
    Ok(quoted.trim_matches('"').to_owned())
}

/// The enum that a word stands for.
pub(super) fn from_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(word))
        .map_err(|cause| unreadable(column, Type::Text, cause))
}

/// Counts are unsigned; a column that holds a negative one is damaged.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|cause| unreadable(column, Type::Integer, cause))
}

/// SQLite's integers are signed; a count that passes their range stays at its end.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Every row of a query, as values.
pub(super) fn list<T>(
    db: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(values, each)?.collect()
}

fn unreadable(
    column: usize,
    kind: Type,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(cause))
}

/// How SQLite goes about a query, a line a step.
#[cfg(test)]
pub(super) fn plan(db: &Connection, sql: &str) -> String {
    let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = std::iter::repeat_n(rusqlite::types::Null, query.parameter_count());
    let rows = query.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3)).unwrap();
    rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}
