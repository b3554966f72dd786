//! What is counted: rows of every table, the newest time stamp in them, sampled large objects.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schema::DatabaseCensus;
use serde_json::Value;

use super::programs::Programs;
use super::session::{Connection, Session, not_understood};
use crate::error::Error;

/// Large objects whose content is compared; which ones is the same at capture and in a drill.
const LARGE_OBJECTS_SAMPLED: u32 = 64;
/// So much of each.
const LARGE_OBJECT_BYTES: u32 = 8 << 20;
/// `sha256()` is there from this version on.
const SHA256_SINCE: u64 = 110_000;

/// Time stamps after this one are appointments, not records.
pub(super) struct Bound(pub(super) Timestamp);

/// A database as the server describes it.
pub(super) struct Database {
    pub(super) name: String,
    /// What `CREATE DATABASE` needs behind the name.
    recipe: String,
}

/// A server as it describes itself.
pub(super) struct Server {
    pub(super) version: String,
    /// The role that `initdb` made.
    pub(super) bootstrap: String,
    pub(super) reads_passwords: bool,
    pub(super) roles: u64,
    pub(super) databases: Vec<Database>,
}

impl Server {
    pub(super) fn of(connection: &Connection, programs: &Programs) -> Result<Server, Error> {
        let mut session = connection.open(programs, "postgres")?;
        let version =
            session.text("SELECT json_build_array(split_part(current_setting('server_version'), ' ', 1))")?;
        let bootstrap = session.text("SELECT json_build_array(rolname) FROM pg_roles WHERE oid = 10")?;
        let reads_passwords = session
            .one("SELECT json_build_array(has_table_privilege('pg_authid', 'SELECT'))")?
            == Value::Bool(true);
        let roles = session.count(ROLES)?;
        let rows = session.rows(
            "SELECT json_build_array(datname, format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', \
             pg_encoding_to_char(encoding), datcollate, datctype)) \
             FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname",
        )?;
        let databases = rows.iter().map(|row| {
            let text = |column: usize| row[column].as_str().map(str::to_owned);
            let both = text(0).zip(text(1)).ok_or_else(|| not_understood(&row.to_string()));
            both.map(|(name, recipe)| Database { name, recipe })
        });
        let databases = databases.collect::<Result<_, _>>()?;
        Ok(Server { version, bootstrap, reads_passwords, roles, databases })
    }

    /// For the drill.
    pub(super) fn details(&self) -> BTreeMap<String, String> {
        let recipes = self.databases.iter().map(|it| (format!("create {}", it.name), it.recipe.clone()));
        recipes.chain([("bootstrap".to_owned(), self.bootstrap.clone())]).collect()
    }
}

/// Roles that people made.
pub(super) const ROLES: &str = "SELECT json_build_array(count(*)) FROM pg_roles WHERE rolname !~ '^pg_'";

/// The recipe without a language: the encoding alone.
pub(super) fn plain_recipe(recipe: &str) -> &str {
    recipe.split(" LC_COLLATE").next().unwrap_or_default()
}

/// Counts everything in the database of a session, and says in words what was left out.
pub(super) fn count(
    session: &mut Session,
    path: &str,
    bound: &Bound,
) -> Result<(DatabaseCensus, Vec<String>), Error> {
    let mut census = super::empty(path);
    // Time stamps without a zone are compared at the same zone at capture and in a drill.
    session.run("SET TIME ZONE 'UTC'")?;
    for row in session.rows(TABLES)? {
        let table = row[0].as_str().ok_or_else(|| not_understood(&row.to_string()))?;
        let columns = row[1].as_array().map(Vec::as_slice).unwrap_or_default();
        let newest = newest(columns, bound);
        let answer = session
            .rows(&format!("SELECT json_build_array(count(*), {newest}) FROM ONLY {table}"))?
            .into_iter()
            .next()
            .unwrap_or_default();
        let rows = answer[0].as_u64().ok_or_else(|| not_understood(&answer.to_string()))?;
        census.tables.insert(table.to_owned(), rows);
        let newest = answer[1].as_i64().and_then(|micros| Timestamp::from_microsecond(micros).ok());
        census.newest_record = census.newest_record.max(newest);
    }
    let unseen = large_objects(session, &mut census)?;
    Ok((census, unseen))
}

/// Tables that a dump holds with their rows, and their columns that hold time stamps. Tables of extensions come back with
/// the extension; foreign tables lie elsewhere; unlogged ones do not survive a crash, which a physical backup is.
const TABLES: &str = "SELECT json_build_array(format('%I.%I', n.nspname, c.relname), \
    (SELECT json_agg(quote_ident(a.attname) ORDER BY a.attnum) FROM (SELECT * FROM pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype) ORDER BY a.attnum LIMIT 8) a)) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND n.nspname !~ '^pg_(toast|temp)' \
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
    ORDER BY 1::text, c.oid";

/// The newest of all time stamps, in microseconds since 1970.
fn newest(columns: &[Value], bound: &Bound) -> String {
    let bound = super::epoch(bound.0);
    let each: Vec<String> = columns
        .iter()
        .filter_map(Value::as_str)
        .map(|column| format!("max({column}::timestamptz) FILTER (WHERE isfinite({column}) AND {column}::timestamptz <= to_timestamp({bound}))"))
        .collect();
    if each.is_empty() {
        return "NULL".to_owned();
    }
    format!("floor(extract(epoch FROM greatest({})) * 1000000)::bigint", each.join(", "))
}

fn large_objects(session: &mut Session, census: &mut DatabaseCensus) -> Result<Vec<String>, Error> {
    let all = session.count("SELECT json_build_array(count(*)) FROM pg_largeobject_metadata")?;
    if all == 0 {
        return Ok(Vec::new());
    }
    census.tables.insert("large objects".to_owned(), all);
    let version = session.count("SELECT json_build_array(current_setting('server_version_num')::int)")?;
    if version < SHA256_SINCE {
        return Ok(vec!["contents of large objects (the server is too old to hash them)".to_owned()]);
    }
    let sampled = session.rows(&format!(
        "SELECT json_build_array(oid::text, encode(sha256(lo_get(oid, 0, {LARGE_OBJECT_BYTES})), 'hex')) \
         FROM (SELECT oid FROM pg_largeobject_metadata ORDER BY md5(oid::text), oid LIMIT {LARGE_OBJECTS_SAMPLED}) s"
    ))?;
    for row in &sampled {
        let (Some(oid), Some(digest)) = (row[0].as_str(), row[1].as_str()) else {
            return Err(not_understood(&row.to_string()));
        };
        census.digests.insert(format!("large object {oid}"), digest.to_owned());
    }
    Ok(Vec::new())
}
