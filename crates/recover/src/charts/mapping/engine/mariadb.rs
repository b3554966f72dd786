//! MariaDB: a dump or a copy, started as a drill does it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Asked, Cells, Link, PATIENCE_SECONDS, VALUE_CHARS_MAX};
use crate::Error;
use crate::adapter::mariadb::{self, Statements};
use crate::charts::mapping::place::Dump;

/// Begins the rows of the next question: no value of ours, which are all hexadecimal.
const NEXT: &str = "chartward-next";

/// Starts the server with what was captured.
pub(in super::super) fn open(dump: Dump, zone: &TimeZone) -> Result<Link, Error> {
    // A new server knows no zones by name. TIMESTAMP is told by the hospital's clock as it goes today.
    let offset = zone.to_offset(Timestamp::now()).seconds() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    let zone = format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60);
    Link::new(move |serve| {
        let engines = dump.engines()?;
        let database = dump.database.clone();
        mariadb::reading(&dump.restored(&engines), &mut |statements| {
            serve(&mut |asked| answers(statements, &database, &zone, asked));
        })
    })
}

/// All in one go, since each go is a program of its own; where one question fails, each for itself.
fn answers(
    statements: &mut Statements<'_>,
    database: &str,
    zone: &str,
    asked: &[Asked],
) -> Vec<Result<Cells, Error>> {
    let one = |statements: &mut Statements<'_>, asked: &[Asked]| -> Result<Vec<Cells>, Error> {
        let begin = format!(
            "USE {}; SET SESSION time_zone = '{zone}', SESSION max_statement_time = {PATIENCE_SECONDS}, SESSION sql_mode = '', SESSION group_concat_max_len = 65536",
            mariadb::quoted(database)
        );
        let all: Vec<String> = asked.iter().map(|one| format!("SELECT '{NEXT}'; {}", sql(one))).collect();
        let rows = statements.ask(&format!("{begin}; {}", all.join("; ")))?;
        Ok(split(rows, asked))
    };
    if asked.len() > 1
        && let Ok(all) = one(statements, asked)
        && all.len() == asked.len()
    {
        return all.into_iter().map(Ok).collect();
    }
    let each = |asked: &Asked| {
        one(statements, std::slice::from_ref(asked)).map(|all| all.into_iter().next().unwrap_or_default())
    };
    asked.iter().map(each).collect()
}

fn sql(asked: &Asked) -> String {
    match asked {
        Asked::Columns { sql } => format!(
            "DROP TEMPORARY TABLE IF EXISTS chartward_section; \
             CREATE TEMPORARY TABLE chartward_section AS SELECT * FROM ({sql}\n) AS q LIMIT 0; SHOW COLUMNS FROM chartward_section"
        ),
        Asked::Rows { sql, columns, of, limit, offset } => {
            // In hexadecimal, no value can hold a separator, and NULL is no value.
            let value = |name: &String| {
                format!("HEX(LEFT(CONVERT(q.{} USING utf8mb4), {VALUE_CHARS_MAX}))", mariadb::quoted(name))
            };
            let values: Vec<String> = columns.iter().map(value).collect();
            let keys: Vec<String> =
                of.iter().map(|key| format!("CONVERT(X'{}' USING utf8mb4)", hex::encode(key))).collect();
            let filter = match keys.is_empty() {
                true => "ORDER BY q.`patient`".to_owned(),
                false => format!("WHERE q.`patient` IN ({})", keys.join(", ")),
            };
            format!("SELECT {} FROM ({sql}\n) AS q {filter} LIMIT {limit} OFFSET {offset}", values.join(", "))
        }
    }
}

/// The rows of each question, which begin behind a mark.
fn split(rows: Vec<Vec<String>>, asked: &[Asked]) -> Vec<Cells> {
    let mut all: Vec<Cells> = Vec::new();
    for row in rows {
        if row == [NEXT] {
            all.push(Cells::new());
            continue;
        }
        let names = matches!(asked.get(all.len().saturating_sub(1)), Some(Asked::Columns { .. }));
        let Some(cells) = all.last_mut() else { continue };
        cells.push(match names {
            // Of a column, its name.
            true => row.into_iter().take(1).map(Some).collect(),
            false => row.iter().map(|text| (text != "NULL").then(|| mariadb::unhex(text))).collect(),
        });
    }
    all
}
