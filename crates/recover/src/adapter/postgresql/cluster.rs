//! A private cluster for a drill: a Unix socket in its own folder, no port, no durability, gone afterwards.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use schema::DatabaseCensus;

use super::census::{self, Bound};
use super::programs::Programs;
use super::session::{Session, private};
use crate::adapter::server::Server;
use crate::adapter::{Engines, program};
use crate::error::Error;

const START: Duration = Duration::from_secs(60);
/// Nothing in a drill has to survive a crash, and nothing of it may be heard outside.
const CONFIGURATION: &str = "listen_addresses = ''\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
    autovacuum = off\njit = off\nwal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = '4GB'\n\
    max_locks_per_transaction = 1024\nlogging_collector = off\nlog_destination = 'stderr'\n\
    row_security = off\nunix_socket_permissions = 0700\nlc_messages = 'C'\n";

/// A running private cluster.
pub(super) struct Cluster<'e> {
    engines: &'e Engines,
    programs: &'e Programs,
    socket: PathBuf,
    superuser: String,
    _server: Server,
}

impl<'e> Cluster<'e> {
    /// A new and empty one.
    pub(super) fn create(
        engines: &'e Engines,
        programs: &'e Programs,
        superuser: &str,
        name: &str,
    ) -> Result<Cluster<'e>, Error> {
        let superuser = if superuser.is_empty() { "postgres" } else { superuser };
        let folder = engines.folder(&format!("pg-{name}"))?;
        let data = folder.join("data");
        let mut initdb = engines.command(&programs.path("initdb"))?;
        initdb.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"]);
        initdb.arg(format!("--username={superuser}")).arg("--pgdata").arg(&data);
        program::run(&mut initdb)?;
        program::write(&data.join("postgresql.conf"), CONFIGURATION)?;
        Cluster::start(engines, programs, superuser, &folder, &data, &[], START)
    }

    /// One on data that is there.
    pub(super) fn start(
        engines: &'e Engines,
        programs: &'e Programs,
        superuser: &str,
        folder: &Path,
        data: &Path,
        options: &[String],
        patience: Duration,
    ) -> Result<Cluster<'e>, Error> {
        let mut command = engines.command(&programs.path("postgres"))?;
        command.arg("-D").arg(data).arg("-k").arg(folder).args(["-h", ""]).args(options);
        // A fast shutdown: sessions are ended, none is waited for.
        let mut server = Server::start(engines, &mut command, &folder.join("log"), Signal::INT)?;
        let ready = programs.path("pg_isready");
        server.wait_until(patience, || {
            let probe = private(engines, &ready, folder, superuser, "postgres");
            probe.is_ok_and(|mut probe| program::run(&mut probe).is_ok())
        })?;
        let (superuser, socket) = (superuser.to_owned(), folder.to_path_buf());
        Ok(Cluster { engines, programs, socket, superuser, _server: server })
    }

    /// Everything the server said.
    pub(super) fn log(&self) -> String {
        self._server.log()
    }

    pub(super) fn session(&self, database: &str) -> Result<Session, Error> {
        Session::start(private(
            self.engines,
            &self.programs.path("psql"),
            &self.socket,
            &self.superuser,
            database,
        )?)
    }

    /// Creates the roles. The one that `initdb` made is there already; that alone may fail.
    pub(super) fn load_globals(&self, file: &Path) -> Result<(), Error> {
        let stdin = open(file)?;
        let mut psql =
            private(self.engines, &self.programs.path("psql"), &self.socket, &self.superuser, "postgres")?;
        psql.args(["--no-psqlrc", "--quiet", "--no-password"]).stdin(Stdio::from(stdin));
        program::run(&mut psql)
    }

    pub(super) fn roles(&self) -> Result<u64, Error> {
        self.session("postgres")?.count(census::ROLES)
    }

    /// Creates a database as its server described it; `postgres` is there already.
    pub(super) fn create_database(&self, name: &str, recipe: &str) -> Result<(), Error> {
        let mut session = self.session("template1")?;
        let quoted = name.replace('"', "\"\"");
        session.run(&format!("DROP DATABASE IF EXISTS \"{quoted}\""))?;
        session.run(&format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0 {recipe}"))
    }

    /// Loads a dump. It is read from a pipe, so that who reads it needs no access to what else was restored.
    pub(super) fn load(&self, database: &str, file: &Path) -> Result<(), Error> {
        let stdin = open(file)?;
        let restore = self.programs.path("pg_restore");
        let mut restore = private(self.engines, &restore, &self.socket, &self.superuser, database)?;
        // The name stands in `-d` as a connection string: as a bare word it could be one itself.
        let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
        restore.arg(format!("--dbname=dbname='{quoted}'"));
        restore.args(["--exit-on-error", "--no-tablespaces", "--no-password"]).stdin(Stdio::from(stdin));
        program::run(&mut restore)
    }

    pub(super) fn count(&self, database: &str, path: &str, bound: &Bound) -> Result<DatabaseCensus, Error> {
        let mut session = self.session(database)?;
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        census::count(&mut session, path, bound).map(|(census, _)| census)
    }
}

fn open(file: &Path) -> Result<File, Error> {
    File::open(file).map_err(|source| Error::Io { op: "read", path: file.to_path_buf(), source })
}
