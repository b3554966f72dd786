//! MariaDB and MySQL by dump: one transaction of every database, or a physical copy by `mariadb-backup`.
//!
//! Neither offers a snapshot that two connections share, so counts are promised where nobody wrote meanwhile: a table whose
//! count was the same before and after the dump.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use schema::{DatabaseCensus, Shortfall, ShortfallKind};

use super::handed::{self, Password};
use super::server::Server;
use super::settings::{self, SECRET, Setting, optional};
use super::{Adapter, Engines, Entry, Findings, Place, Restored, Settings, Taken, program};
use crate::error::Error;

/// The adapter that dumps.
pub const DUMP: Entry = Entry {
    kind: "mariadb",
    title: (
        "MariaDB or MySQL, dumped in one transaction: every database, routines, events and accounts",
        "MariaDB / MySQL(単一トランザクションのダンプ):全データベース、ルーチン、イベント、アカウント",
    ),
    settings: &CONNECTION,
    open: |settings| Ok(Box::new(Dump(Connection::new(settings)?))),
    proves: Some((
        "the dump of MariaDB {} was loaded into a server of its own, every table counted",
        "MariaDB {}：専用に起動したサーバーへダンプを読み込み、全テーブルを計数した",
    )),
    drill: drill_dump,
};

/// The adapter that copies data files.
pub const COPY: Entry = Entry {
    kind: "mariadb-copy",
    title: (
        "MariaDB, data files copied while it runs (mariadb-backup, on the server's own machine)",
        "MariaDB(稼働中のデータファイルの複製):mariadb-backup。サーバーと同じ機械で実行",
    ),
    settings: &COPY_SETTINGS,
    open: |settings| {
        let datadir = settings.path("datadir")?;
        Ok(Box::new(Copy { connection: Connection::new(settings)?, datadir }))
    },
    proves: Some((
        "MariaDB {} was started on its copied data files, every table counted",
        "MariaDB {}：複製したデータファイルで起動し、全テーブルを計数した",
    )),
    drill: drill_copy,
};

const CONNECTION: [Setting; 7] = [
    optional("socket", "its socket", "ソケット"),
    optional("host", "its address", "アドレス"),
    optional("port", "its port", "ポート"),
    optional("user", "account to log in as", "接続に使うアカウント"),
    optional(
        "defaults-file",
        "file with the password, under [client]",
        "パスワードのファイル([client]の下に書く)",
    ),
    SECRET,
    optional(
        "run-as",
        "user of this machine to connect as (unix_socket authentication)",
        "接続に使うこの機械のユーザー(unix_socket認証)",
    ),
];

static COPY_SETTINGS: [Setting; CONNECTION.len() + 1] =
    settings::joined(&CONNECTION, &[optional("datadir", "its data folder", "データフォルダー")]);

const PACKAGE: &str = "mariadb-client";
const START: Duration = Duration::from_secs(120);
/// Databases that the server makes itself; accounts in `mysql` are dumped in words (`--system=users`).
const SYSTEM: &str = "'information_schema', 'performance_schema', 'sys', 'mysql'";
/// The part with the dump.
const PART: &str = "dump";
/// The part with the data files.
const FILES: &str = "files";

/// How a server is reached.
struct Connection {
    arguments: Vec<String>,
    password: Option<Password>,
    run_as: Option<String>,
}

impl Connection {
    fn new(settings: &Settings) -> Result<Connection, Error> {
        let mut arguments = Vec::new();
        let password = Password::of(settings, "defaults-file", handed::option_file)?;
        // It must be the first argument, and takes the place of every file that would be read unasked.
        match settings.secret_file("defaults-file")? {
            Some(file) => arguments.push(format!("--defaults-file={}", file.display())),
            None if password.is_some() => {}
            None => arguments.push("--no-defaults".to_owned()),
        }
        for key in ["socket", "host", "user"] {
            arguments.extend(settings.text(key).map(|value| format!("--{key}={value}")));
        }
        arguments.extend(settings.number("port")?.map(|port| format!("--port={port}")));
        Ok(Connection { arguments, password, run_as: settings.text("run-as").map(str::to_owned) })
    }

    fn command(&self, names: &[&str]) -> Result<Command, Error> {
        let mut command = program::as_user(self.run_as.as_deref(), &find(names, PACKAGE)?)?;
        if let Some(password) = &self.password {
            command.arg(format!("--defaults-file={}", password.path()?.display()));
        }
        command.args(&self.arguments);
        Ok(command)
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        ask(self.command(&["mariadb", "mysql"])?, sql)
    }

    fn count(&self, prefix: &str, until: Timestamp) -> Result<Vec<DatabaseCensus>, Error> {
        count(&|sql| self.ask(sql), prefix, until)
    }
}

/// The first of several names under which distributions have a program.
fn find(names: &[&str], package: &'static str) -> Result<PathBuf, Error> {
    let mut found = program::find(names.first().copied().unwrap_or_default(), package);
    for name in names.iter().skip(1) {
        found = found.or_else(|missing| program::find(name, package).map_err(|_| missing));
    }
    found
}

/// The answer to one statement, split into fields. Names are asked for in hexadecimal, so none can hold a separator.
fn ask(mut command: Command, sql: &str) -> Result<Vec<Vec<String>>, Error> {
    command.args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4", "--execute", sql]);
    let text = program::output(&mut command)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

type Ask<'a> = &'a dyn Fn(&str) -> Result<Vec<Vec<String>>, Error>;

/// Counts every table, and finds the newest time stamp that is not after `until`.
fn count(ask: Ask<'_>, prefix: &str, until: Timestamp) -> Result<Vec<DatabaseCensus>, Error> {
    let tables = ask(&format!(
        "SELECT HEX(table_schema), HEX(table_name) FROM information_schema.tables \
         WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ({SYSTEM}) ORDER BY 1, 2"
    ))?;
    let stamps = ask(&format!(
        "SELECT HEX(table_schema), HEX(table_name), HEX(column_name) FROM information_schema.columns \
         WHERE data_type IN ('datetime', 'timestamp') AND table_schema NOT IN ({SYSTEM}) ORDER BY 1, 2, ordinal_position"
    ))?;
    let mut found: BTreeMap<String, DatabaseCensus> = BTreeMap::new();
    for row in &tables {
        let [schema, table] = row.as_slice() else { continue };
        let (database, name) = (unhex(schema), unhex(table));
        let columns = stamps.iter().filter(|row| row.first() == Some(schema) && row.get(1) == Some(table));
        let bound = until.as_second();
        let newest: Vec<String> = columns
            .filter_map(|row| Some(quoted(&unhex(row.get(2)?))))
            .map(|column| {
                format!("MAX(IF(UNIX_TIMESTAMP({column}) <= {bound}, UNIX_TIMESTAMP({column}), NULL))")
            })
            .collect();
        // GREATEST of anything unknown is unknown.
        let known: Vec<String> = newest.iter().map(|max| format!("COALESCE({max}, 0)")).collect();
        let newest =
            if known.is_empty() { "0".to_owned() } else { format!("GREATEST(0, {})", known.join(", ")) };
        let answer = ask(&format!(
            "SET time_zone = '+00:00'; SELECT COUNT(*), FLOOR({newest}) FROM {}.{}",
            quoted(&database),
            quoted(&name)
        ))?;
        let number = |column: usize| {
            let text = answer.last().and_then(|row| row.get(column));
            text.and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| Error::Answer { program: "mariadb", answer: format!("{answer:?}") })
        };
        let path = format!("{prefix}/{database}");
        let census = found.entry(path.clone()).or_insert_with(|| empty(&path));
        census.tables.insert(name, number(0)?);
        let seconds = i64::try_from(number(1)?).ok().filter(|seconds| *seconds > 0);
        let newest = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        census.newest_record = census.newest_record.max(newest);
    }
    Ok(found.into_values().collect())
}

fn empty(path: &str) -> DatabaseCensus {
    DatabaseCensus { path: path.to_owned(), engine: "mariadb".to_owned(), ..DatabaseCensus::default() }
}

/// Counts that were the same before and after: what the dump in between must hold.
fn steady(
    before: Vec<DatabaseCensus>,
    after: &[DatabaseCensus],
    not_proven: &mut Vec<String>,
) -> Vec<DatabaseCensus> {
    let promised = before.into_iter().map(|mut database| {
        let later = after.iter().find(|other| other.path == database.path);
        database.tables.retain(|table, rows| {
            let same = later.and_then(|later| later.tables.get(table)) == Some(rows);
            if !same {
                not_proven.push(format!("row count of {table} in {}: it changed meanwhile", database.path));
            }
            same
        });
        database
    });
    promised.collect()
}

pub(crate) fn unhex(text: &str) -> String {
    String::from_utf8_lossy(&hex::decode(text).unwrap_or_default()).into_owned()
}

pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn version(connection: &Connection) -> Result<String, Error> {
    Ok(connection.ask("SELECT VERSION()")?.concat().concat())
}

struct Dump(Connection);

impl Adapter for Dump {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let Dump(connection) = self;
        let folder = place.staging.join(PART);
        program::folder(&folder)?;
        let instant = (place.now)();
        let prefix = format!("mariadb:{}", place.name);
        let mut not_proven = Vec::new();
        let foreign = connection.ask(&format!(
            "SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')') FROM information_schema.tables \
             WHERE table_type = 'BASE TABLE' AND engine NOT IN ('InnoDB') AND table_schema NOT IN ({SYSTEM})"
        ))?;
        not_proven.extend(
            foreign
                .iter()
                .map(|row| format!("one moment of {}: its engine has no transactions", row.concat())),
        );
        let before = connection.count(&prefix, instant)?;
        let mut dump = connection.command(&["mariadb-dump", "mysqldump"])?;
        dump.args(["--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob"]);
        dump.args(["--default-character-set=utf8mb4", "--tz-utc", "--databases"]);
        let databases = connection.ask(&format!(
            "SELECT HEX(schema_name) FROM information_schema.schemata WHERE schema_name NOT IN ({SYSTEM}) ORDER BY 1"
        ))?;
        if databases.is_empty() {
            return Err(Error::Answer { program: "mariadb", answer: "it shows us no database".to_owned() });
        }
        // A name that begins with a dash would be an option.
        dump.arg("--").args(databases.iter().map(|row| unhex(&row.concat())));
        program::into_file(&mut dump, &folder.join("databases.sql"))?;
        let mut accounts = connection.command(&["mariadb-dump", "mysqldump"])?;
        accounts.args(["--system=users", "--insert-ignore"]);
        if let Err(error) = program::into_file(&mut accounts, &folder.join("accounts.sql")) {
            let _ = fs::remove_file(folder.join("accounts.sql"));
            not_proven.push(format!("accounts were not captured: {error}"));
        } else {
            not_proven.push("accounts (accounts.sql): captured; no drill logs in with them".to_owned());
        }
        let after = connection.count(&prefix, instant)?;
        let databases = steady(before, &after, &mut not_proven);
        let parts = vec![(PART.to_owned(), folder)];
        let version = version(connection)?;
        Ok(Taken { parts, version, instant: Some(instant), databases, not_proven, ..Taken::default() })
    }
}

struct Copy {
    connection: Connection,
    datadir: Option<PathBuf>,
}

impl Adapter for Copy {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let folder = place.staging.join(FILES);
        let instant = (place.now)();
        let prefix = format!("mariadb-copy:{}", place.name);
        let mut not_proven = Vec::new();
        let before = self.connection.count(&prefix, instant)?;
        let mut copy = self.connection.command(&["mariadb-backup", "mariabackup"])?;
        copy.args(["--backup", "--target-dir"]).arg(&folder);
        if let Some(datadir) = &self.datadir {
            copy.arg("--datadir").arg(datadir);
        }
        if let Some(user) = &self.connection.run_as {
            program::folder(&folder)?;
            give(user, &[place.staging, &folder])?;
        }
        program::run(&mut copy)?;
        let after = self.connection.count(&prefix, instant)?;
        let databases = steady(before, &after, &mut not_proven);
        let parts = vec![(FILES.to_owned(), folder)];
        let version = version(&self.connection)?;
        Ok(Taken { parts, version, instant: Some(instant), databases, not_proven, ..Taken::default() })
    }
}

/// Lets a user of this machine write into folders of ours.
fn give(user: &str, folders: &[&Path]) -> Result<(), Error> {
    let mut id = program::command(&program::find("id", "coreutils")?);
    let uid = program::output(id.args(["-u", "--", user]))?;
    let uid = String::from_utf8_lossy(&uid).trim().parse().ok();
    for folder in folders {
        chown(folder, uid, None).map_err(|source| Error::Io {
            op: "hand over",
            path: folder.to_path_buf(),
            source,
        })?;
    }
    Ok(())
}

/// A private server on a socket; it checks no account, since nobody but its own user reaches it.
struct Private<'e> {
    engines: &'e Engines,
    socket: PathBuf,
    _server: Server,
}

impl<'e> Private<'e> {
    fn start(engines: &'e Engines, folder: &Path, data: &Path) -> Result<Private<'e>, Error> {
        let socket = folder.join("socket");
        let mut command = engines.command(&find(&["mariadbd", "mysqld"], "mariadb-server")?)?;
        command.args(["--no-defaults", "--skip-networking", "--skip-grant-tables", "--skip-log-bin"]);
        command.args(["--innodb-flush-log-at-trx-commit=0", "--event-scheduler=OFF", "--local-infile=OFF"]);
        command.arg(format!("--datadir={}", data.display())).arg(format!("--socket={}", socket.display()));
        command.arg(format!("--pid-file={}", folder.join("pid").display()));
        command.arg(format!("--secure-file-priv={}", folder.join("nothing").display()));
        program::folder(&folder.join("nothing"))?;
        let mut server = Server::start(engines, &mut command, &folder.join("log"), Signal::TERM)?;
        let private = |socket: &Path| -> Result<Command, Error> { client(engines, socket) };
        server.wait_until(START, || private(&socket).is_ok_and(|client| ask(client, "SELECT 1").is_ok()))?;
        Ok(Private { engines, socket, _server: server })
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        ask(client(self.engines, &self.socket)?, sql)
    }

    fn load(&self, file: &Path) -> Result<(), Error> {
        let stdin =
            File::open(file).map_err(|source| Error::Io { op: "read", path: file.to_path_buf(), source })?;
        let mut client = client(self.engines, &self.socket)?;
        client.args(["--batch", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]);
        program::run(client.stdin(Stdio::from(stdin)))
    }

    /// Every table that does not pass the server's own check.
    fn complaints(&self, path: &str, tables: &DatabaseCensus) -> Result<Vec<Shortfall>, Error> {
        let database = path.rsplit_once('/').map_or("", |(_, database)| database);
        let mut found = Vec::new();
        for table in tables.tables.keys() {
            let rows = self.ask(&format!("CHECK TABLE {}.{} EXTENDED", quoted(database), quoted(table)))?;
            let bad =
                rows.iter().filter(|row| row.get(2).is_some_and(|kind| kind == "error" || kind == "Error"));
            found.extend(bad.map(|row| Shortfall {
                kind: ShortfallKind::DatabaseDamaged,
                what: format!("{table} in {path}"),
                detail: row.last().cloned().unwrap_or_default(),
            }));
        }
        Ok(found)
    }

    fn findings(&self, restored: &Restored<'_>) -> Result<Findings, Error> {
        let prefix = format!("{}:{}", restored.source.kind, restored.source.name);
        let databases = count(&|sql| self.ask(sql), &prefix, restored.source.instant)?;
        let mut findings = Findings::default();
        for database in &databases {
            findings.shortfalls.extend(self.complaints(&database.path, database)?);
        }
        Ok(Findings { databases, ..findings })
    }
}

fn client(engines: &Engines, socket: &Path) -> Result<Command, Error> {
    let mut command = engines.command(&find(&["mariadb", "mysql"], PACKAGE)?)?;
    command.arg("--no-defaults").arg(format!("--socket={}", socket.display()));
    Ok(command)
}

fn drill_dump(restored: &Restored<'_>) -> Result<Findings, Error> {
    loaded(restored)?.findings(restored)
}

/// A private server for reading.
pub(crate) struct Statements<'s>(&'s Private<'s>);

impl Statements<'_> {
    /// Runs statements and returns the rows of all.
    pub(crate) fn ask(&mut self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        self.0.ask(sql)
    }
}

/// Starts what was captured, a dump or data files, for as long as `work` takes.
pub(crate) fn reading(
    restored: &Restored<'_>,
    work: &mut dyn FnMut(&mut Statements<'_>),
) -> Result<(), Error> {
    let server = if restored.source.kind == COPY.kind { prepared(restored)? } else { loaded(restored)? };
    work(&mut Statements(&server));
    Ok(())
}

/// A server with the dump in it.
fn loaded<'e>(restored: &Restored<'e>) -> Result<Private<'e>, Error> {
    let engines = restored.engines;
    let folder = engines.folder(&format!("my-{}", restored.source.name))?;
    let data = folder.join("data");
    let mut install =
        engines.command(&find(&["mariadb-install-db", "mysql_install_db"], "mariadb-server")?)?;
    install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
    program::run(install.arg(format!("--datadir={}", data.display())))?;
    let server = Private::start(engines, &folder, &data)?;
    server.load(&restored.part(PART).join("databases.sql"))?;
    Ok(server)
}

fn drill_copy(restored: &Restored<'_>) -> Result<Findings, Error> {
    prepared(restored)?.findings(restored)
}

/// A server on a copy of the data files.
fn prepared<'e>(restored: &Restored<'e>) -> Result<Private<'e>, Error> {
    let engines = restored.engines;
    let folder = engines.folder(&format!("my-{}", restored.source.name))?;
    let data = folder.join("data");
    copy_tree(&restored.part(FILES), &data, engines)?;
    let mut prepare = engines.command(&find(&["mariadb-backup", "mariabackup"], "mariadb-backup")?)?;
    program::run(prepare.args(["--prepare", "--target-dir"]).arg(&data))?;
    Private::start(engines, &folder, &data)
}

/// Copies folders and regular files, and gives them to whom servers run as.
pub(super) fn copy_tree(from: &Path, to: &Path, engines: &Engines) -> Result<(), Error> {
    let fail = |source| Error::Io { op: "copy", path: from.to_path_buf(), source };
    program::folder(to)?;
    engines.hand_over(to)?;
    for entry in fs::read_dir(from).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, engines)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).map_err(fail)?;
            engines.hand_over(&target)?;
        }
    }
    Ok(())
}
