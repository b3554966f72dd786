//! PostgreSQL by dump: every database in one custom-format file with its large objects, and the roles.
//!
//! Dump and counts come from the same snapshot of the server (`pg_export_snapshot`), so a drill that counts anything else has found
//! a loss. Dumps are not compressed here: the vault finds what did not change since the last one and compresses the rest.

mod census;
mod cluster;
pub mod physical;
mod programs;
mod replay;
mod session;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use schema::{DatabaseCensus, Shortfall, ShortfallKind};

use self::census::{Bound, Database};
use self::cluster::Cluster;
use self::programs::Programs;
use self::session::Connection;
use super::settings::{self, SECRET, Setting, optional};
use super::{Adapter, Entry, Findings, Place, Restored, Settings, Taken, program};
use crate::error::Error;

/// The adapter.
pub const ENTRY: Entry = Entry {
    kind: "postgresql",
    title: (
        "PostgreSQL, dumped: every database with large objects, and the roles",
        "PostgreSQL(ダンプ):全データベース(ラージオブジェクトを含む)とロール",
    ),
    settings: &SETTINGS,
    open: |settings| Ok(Box::new(Dump::new(settings)?)),
    proves: Some((
        "the dumps of PostgreSQL {} were loaded into a server of its own, every table counted, large objects compared",
        "PostgreSQL {}：専用に起動したサーバーへダンプを読み込み、全テーブルを計数し、ラージオブジェクトを照合した",
    )),
    drill,
};

/// How a server is reached, which all ways of capturing it share.
const CONNECTION: [Setting; 8] = [
    optional("host", "folder of its socket, or its address", "ソケットのあるフォルダー、またはアドレス"),
    optional("port", "its port", "ポート"),
    optional("user", "role to log in as", "接続に使うロール"),
    optional(
        "pgpass",
        "file with the password, in the form of ~/.pgpass",
        "パスワードのファイル(~/.pgpass の形式)",
    ),
    SECRET,
    optional(
        "run-as",
        "user of this machine to connect as (peer authentication)",
        "接続に使うこの機械のユーザー(peer認証)",
    ),
    optional("sslmode", "as libpq has it", "libpqのsslmode"),
    optional("sslrootcert", "certificate of who vouches for the server", "サーバーを保証する認証局の証明書"),
];

static SETTINGS: [Setting; CONNECTION.len() + 1] = settings::joined(
    &CONNECTION,
    &[optional("database", "this database only", "対象をこのデータベースだけにする")],
);

/// The part that holds the dumps.
const PART: &str = "dump";
const GLOBALS: &str = "globals.sql";

struct Dump {
    connection: Connection,
    only: Option<String>,
}

impl Dump {
    fn new(settings: &Settings) -> Result<Dump, Error> {
        Ok(Dump {
            connection: Connection::new(settings)?,
            only: settings.text("database").map(str::to_owned),
        })
    }
}

impl Adapter for Dump {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let programs = Programs::newest()?;
        let folder = place.staging.join(PART);
        program::folder(&folder)?;
        let mut taken = Taken { instant: Some((place.now)()), ..Taken::default() };
        let server = census::Server::of(&self.connection, &programs)?;
        let databases: Vec<&Database> = server
            .databases
            .iter()
            .filter(|database| self.only.as_ref().is_none_or(|only| *only == database.name))
            .collect();
        if let (true, Some(only)) = (databases.is_empty(), &self.only) {
            return Err(Error::Answer { program: "psql", answer: format!("there is no database {only}") });
        }
        taken.databases.push(globals(self, &programs, place.name, &folder, &server, &mut taken.not_proven)?);
        for database in databases {
            taken.databases.push(self.dump(&programs, place, &folder, database, &mut taken.not_proven)?);
        }
        taken.details = server.details();
        program::write(&folder.join("RESTORE.txt"), instructions(&server))?;
        taken.version = server.version;
        taken.parts.push((PART.to_owned(), folder));
        Ok(taken)
    }
}

impl Dump {
    /// Dumps and counts one database at one moment.
    fn dump(
        &self,
        programs: &Programs,
        place: &Place<'_>,
        folder: &Path,
        database: &Database,
        not_proven: &mut Vec<String>,
    ) -> Result<DatabaseCensus, Error> {
        let mut session = self.connection.open(programs, &database.name)?;
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let bound = Bound((place.now)());
        let snapshot = session.text("SELECT json_build_array(pg_export_snapshot())")?;
        let mut dump = self.connection.command(programs, "pg_dump", Some(&database.name))?;
        dump.args(["--format=custom", "--compress=0", "--blobs", "--no-password"]);
        dump.arg(format!("--snapshot={snapshot}"));
        program::into_file(&mut dump, &folder.join(file_name(&database.name)))?;
        let path = path(place.name, &database.name);
        let (census, unseen) = census::count(&mut session, &path, &bound)?;
        not_proven.extend(unseen.into_iter().map(|it| format!("{}: {it}", database.name)));
        session.run("COMMIT")?;
        Ok(census)
    }
}

/// Roles, their memberships and settings; counted by their number.
fn globals(
    dump: &Dump,
    programs: &Programs,
    name: &str,
    folder: &Path,
    server: &census::Server,
    not_proven: &mut Vec<String>,
) -> Result<DatabaseCensus, Error> {
    let path = folder.join(GLOBALS);
    let mut command = dump.connection.command(programs, "pg_dumpall", None)?;
    command.args(["--globals-only", "--no-password", "--no-tablespaces"]);
    if !server.reads_passwords {
        command.arg("--no-role-passwords");
        not_proven.push("passwords of roles were not captured: only a superuser may read them".to_owned());
    }
    program::into_file(&mut command, &path)?;
    Ok(DatabaseCensus {
        path: format!("postgresql:{name}"),
        engine: "postgresql".to_owned(),
        tables: BTreeMap::from([("roles".to_owned(), server.roles)]),
        ..DatabaseCensus::default()
    })
}

/// Starts a cluster of its own, loads roles and dumps, and counts.
fn drill(restored: &Restored<'_>) -> Result<Findings, Error> {
    let mut findings = Findings::default();
    let folder = restored.part(PART);
    let programs = Programs::for_server(&restored.source.version)?;
    let cluster =
        Cluster::create(restored.engines, &programs, restored.detail("bootstrap"), &restored.source.name)?;
    cluster.load_globals(&folder.join(GLOBALS))?;
    let bound = Bound(restored.source.instant);
    let prefix = path(&restored.source.name, "");
    for expected in restored.expected {
        let Some(name) = expected.path.strip_prefix(&prefix) else {
            let roles = cluster.roles()?;
            let tables = BTreeMap::from([("roles".to_owned(), roles)]);
            findings.databases.push(DatabaseCensus { tables, ..empty(&expected.path) });
            continue;
        };
        let loaded = load(restored, &cluster, name, &folder, &mut findings);
        match loaded.and_then(|()| cluster.count(name, &expected.path, &bound)) {
            Ok(census) => findings.databases.push(census),
            Err(error) => {
                let detail = error.chain();
                findings.shortfalls.push(Shortfall {
                    kind: ShortfallKind::DatabaseDamaged,
                    what: expected.path.clone(),
                    detail,
                });
            }
        }
    }
    Ok(findings)
}

/// One session with a private cluster, for reading.
pub(crate) struct Statements<'s> {
    cluster: &'s Cluster<'s>,
    database: &'s str,
    session: Option<session::Session>,
}

impl Statements<'_> {
    /// Runs statements one after the other; the last one brings rows of JSON. After one that fails, the next call begins anew.
    pub(crate) fn ask(&mut self, statements: &[&str]) -> Result<Vec<serde_json::Value>, Error> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.cluster.session(self.database)?,
        };
        let mut rows = Vec::new();
        for statement in statements {
            rows = session.rows(statement)?;
        }
        self.session = Some(session);
        Ok(rows)
    }
}

/// Starts a cluster of its own with one database of a dump, for as long as `work` takes.
pub(crate) fn reading(
    restored: &Restored<'_>,
    database: &str,
    work: &mut dyn FnMut(&mut Statements<'_>),
) -> Result<(), Error> {
    let folder = restored.part(PART);
    let programs = Programs::for_server(&restored.source.version)?;
    let cluster =
        Cluster::create(restored.engines, &programs, restored.detail("bootstrap"), &restored.source.name)?;
    cluster.load_globals(&folder.join(GLOBALS))?;
    load(restored, &cluster, database, &folder, &mut Findings::default())?;
    work(&mut Statements { cluster: &cluster, database, session: None });
    Ok(())
}

fn load(
    restored: &Restored<'_>,
    cluster: &Cluster<'_>,
    name: &str,
    folder: &Path,
    findings: &mut Findings,
) -> Result<(), Error> {
    let recipe = restored.detail(&format!("create {name}"));
    if let Err(error) = cluster.create_database(name, recipe) {
        // The counts do not depend on how text is sorted; that a language is missing here says nothing about the backup.
        cluster.create_database(name, census::plain_recipe(recipe))?;
        findings.remarks.push(Shortfall {
            kind: ShortfallKind::NotStarted,
            what: path(&restored.source.name, name),
            detail: format!("created with the sorting rules of C, since: {}", error.chain()),
        });
    }
    cluster.load(name, &folder.join(file_name(name)))
}

fn empty(path: &str) -> DatabaseCensus {
    DatabaseCensus { path: path.to_owned(), engine: "postgresql".to_owned(), ..DatabaseCensus::default() }
}

/// What the manifest calls a database.
fn path(source: &str, database: &str) -> String {
    format!("postgresql:{source}/{database}")
}

/// The file of a database's dump: everything but plain letters and digits is written as %XX.
fn file_name(database: &str) -> String {
    let mut name = String::new();
    for byte in database.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name + ".dump"
}

/// For whoever restores by hand, with a stock restic and PostgreSQL alone.
fn instructions(server: &census::Server) -> String {
    let mut text = format!(
        "PostgreSQL {}, dumped by Chartward. To restore into a new, empty cluster whose superuser is {}:\n\
         このダンプを新しい空のPostgreSQLに戻す手順(管理ロールは {}):\n\n  export PGOPTIONS='-c default_transaction_read_only=off'\n  psql -d postgres -f {GLOBALS}\n",
        server.version, server.bootstrap, server.bootstrap
    );
    for database in &server.databases {
        text += &format!("  pg_restore --create -d postgres {}\n", file_name(&database.name));
    }
    text
}

/// The instant of a capture in seconds since 1970, as SQL compares it.
fn epoch(instant: Timestamp) -> String {
    format!("{}.{:06}", instant.as_second(), instant.subsec_microsecond())
}
