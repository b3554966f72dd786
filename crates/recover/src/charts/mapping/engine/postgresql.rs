//! PostgreSQL: a dump, loaded into a cluster of its own as a drill does it.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{Asked, Cells, Link, PATIENCE_SECONDS, VALUE_CHARS_MAX, quoted};
use crate::Error;
use crate::adapter::postgresql::{self, Statements};
use crate::charts::mapping::place::Dump;

/// How values are written, whatever the database or its roles say: the session is ours alone.
const SETTINGS: &str = "SET search_path TO DEFAULT; SET default_transaction_read_only = off; \
    SET standard_conforming_strings = on; SET DateStyle = 'ISO, YMD'; SET bytea_output = 'hex'";

/// Starts the cluster with one database of the dump.
pub(in super::super) fn open(dump: Dump, zone: &TimeZone) -> Result<Link, Error> {
    // What a query casts to a day is the hospital's day.
    let zone = zone.iana_name().unwrap_or("UTC").replace('\'', "");
    Link::new(move |serve| {
        let engines = dump.engines()?;
        postgresql::reading(&dump.restored(&engines), &dump.database, &mut |statements| {
            serve(&mut |asked| asked.iter().map(|one| ask(statements, &zone, one)).collect());
        })
    })
}

fn ask(statements: &mut Statements<'_>, zone: &str, asked: &Asked) -> Result<Cells, Error> {
    let timeout = format!("SET statement_timeout = '{PATIENCE_SECONDS}s'; SET TimeZone = '{zone}'");
    let rows = match asked {
        Asked::Columns { sql } => statements.ask(&[
            SETTINGS,
            &timeout,
            "DROP VIEW IF EXISTS pg_temp.chartward_section",
            &format!("CREATE TEMPORARY VIEW chartward_section AS {sql}\n"),
            "SELECT json_build_array(attname) FROM pg_catalog.pg_attribute \
             WHERE attrelid = 'pg_temp.chartward_section'::pg_catalog.regclass AND attnum > 0 ORDER BY attnum",
        ])?,
        Asked::Rows { sql, columns, of, limit, offset } => {
            let values: Vec<String> = columns
                .iter()
                .map(|name| format!("pg_catalog.left(q.{}::pg_catalog.text, {VALUE_CHARS_MAX})", quoted(name)))
                .collect();
            // A literal takes the type of the column, so that an index on it can be used.
            let keys: Vec<String> = of.iter().map(|key| format!("'{}'", key.replace('\'', "''").replace('\0', ""))).collect();
            let filter = match keys.is_empty() {
                true => "ORDER BY q.\"patient\"".to_owned(),
                false => format!("WHERE q.\"patient\" IN ({})", keys.join(", ")),
            };
            statements.ask(&[
                SETTINGS,
                &timeout,
                &format!(
                    "SELECT pg_catalog.jsonb_build_array({}) FROM ({sql}\n) AS q {filter} LIMIT {limit} OFFSET {offset}",
                    values.join(", ")
                ),
            ])?
        }
    };
    let cell = |value: &Value| value.as_str().map(str::to_owned);
    Ok(rows.iter().map(|row| row.as_array().into_iter().flatten().map(cell).collect()).collect())
}
