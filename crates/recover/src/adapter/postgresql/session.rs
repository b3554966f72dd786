//! Talking to a server through `psql`, which every machine with `pg_dump` has: one statement in, rows of JSON out.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::programs::Programs;
use crate::adapter::handed::{self, Password};
use crate::adapter::{Engines, Settings, program};
use crate::error::Error;

/// No row of ours is longer.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// No answer has more rows: one for each table, say.
const ROWS_MAX: usize = 1_000_000;
/// Stands behind the rows of an answer. Rows are JSON, so none can be this.
const END: &str = "chartward-end";

/// How a server is reached.
pub(super) struct Connection {
    environment: Vec<(&'static str, String)>,
    password: Option<Password>,
    run_as: Option<String>,
}

impl Connection {
    pub(super) fn new(settings: &Settings) -> Result<Connection, Error> {
        let mut environment =
            vec![("PGAPPNAME", "chartward".to_owned()), ("PGCONNECT_TIMEOUT", "15".to_owned())];
        let mut set = |key, value: Option<String>| environment.extend(value.map(|value| (key, value)));
        set("PGHOST", settings.text("host").map(str::to_owned));
        set("PGPORT", settings.number("port")?.map(|port| port.to_string()));
        set("PGUSER", settings.text("user").map(str::to_owned));
        set("PGSSLMODE", settings.text("sslmode").map(str::to_owned));
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        set("PGPASSFILE", settings.secret_file("pgpass")?.map(text));
        set("PGSSLROOTCERT", settings.path("sslrootcert")?.map(text));
        let password = Password::of(settings, "pgpass", handed::pgpass)?;
        Ok(Connection { environment, password, run_as: settings.text("run-as").map(str::to_owned) })
    }

    /// A program that connects to the server; the database stands in the environment, where no name of one can be taken for
    /// an option.
    pub(super) fn command(
        &self,
        programs: &Programs,
        name: &str,
        database: Option<&str>,
    ) -> Result<Command, Error> {
        let mut command = program::as_user(self.run_as.as_deref(), &programs.path(name))?;
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        if let Some(password) = &self.password {
            command.env("PGPASSFILE", password.path()?);
        }
        if let Some(database) = database {
            command.env("PGDATABASE", database);
        }
        Ok(command)
    }

    /// A session with one database.
    pub(super) fn open(&self, programs: &Programs, database: &str) -> Result<Session, Error> {
        Session::start(self.command(programs, "psql", Some(database))?)
    }
}

/// A command for the private server of a drill, whose socket lies in `socket`.
pub(super) fn private(
    engines: &Engines,
    program: &Path,
    socket: &Path,
    user: &str,
    database: &str,
) -> Result<Command, Error> {
    let mut command = engines.command(program)?;
    command.env("PGHOST", socket).env("PGUSER", user).env("PGDATABASE", database);
    Ok(command)
}

/// One connection.
pub(super) struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    complaints: Option<program::Complaints>,
}

impl Session {
    /// With `psql`, which is told here how to speak.
    pub(super) fn start(mut command: Command) -> Result<Session, Error> {
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"]);
        command.args(["--set", "ON_ERROR_STOP=1"]);
        let mut child =
            program::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let complaints = Some(program::Complaints::of(&mut child));
        let stdin = child.stdin.take();
        let Some(stdout) = child.stdout.take() else {
            return Err(Error::Answer { program: "psql", answer: "no pipe".to_owned() });
        };
        let mut session = Session { child, stdin, stdout: BufReader::new(stdout), complaints };
        // A role's own settings must not hide rows from us, nor change how values read.
        session.run("SET client_encoding = 'UTF8'; SET row_security = off; SET statement_timeout = 0; SET lock_timeout = 0; SET search_path = pg_catalog")?;
        Ok(session)
    }

    /// One statement whose answer is of no interest.
    pub(super) fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.rows(sql).map(|_| ())
    }

    /// One statement of which every row is one JSON value.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Value>, Error> {
        let asked = format!("{sql}\n;\n\\echo {END}\n");
        let written =
            self.stdin.as_mut().map(|stdin| stdin.write_all(asked.as_bytes()).and_then(|()| stdin.flush()));
        if !matches!(written, Some(Ok(()))) {
            return Err(self.ended());
        }
        let mut rows = Vec::new();
        loop {
            let mut line = String::new();
            let read = (&mut self.stdout).take(LINE_BYTES_MAX).read_line(&mut line);
            if !matches!(read, Ok(1..)) {
                return Err(self.ended());
            }
            let line = line.trim_end();
            if line == END {
                return Ok(rows);
            }
            match serde_json::from_str(line) {
                Ok(row) if rows.len() < ROWS_MAX => rows.push(row),
                _ if line.is_empty() => {}
                _ => return Err(not_understood(line)),
            }
        }
    }

    /// The only value of the only row.
    pub(super) fn one(&mut self, sql: &str) -> Result<Value, Error> {
        let row = self.rows(sql)?.into_iter().next().unwrap_or_default();
        row.get(0).cloned().ok_or_else(|| not_understood(&row.to_string()))
    }

    /// As [`Session::one`], a text.
    pub(super) fn text(&mut self, sql: &str) -> Result<String, Error> {
        let value = self.one(sql)?;
        value.as_str().map(str::to_owned).ok_or_else(|| not_understood(&value.to_string()))
    }

    /// As [`Session::one`], a count.
    pub(super) fn count(&mut self, sql: &str) -> Result<u64, Error> {
        let value = self.one(sql)?;
        value.as_u64().ok_or_else(|| not_understood(&value.to_string()))
    }

    fn ended(&mut self) -> Error {
        self.stdin = None;
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = self.complaints.take().map(program::Complaints::said).unwrap_or_default();
        Error::ProgramFailed { program: "psql".to_owned(), status, said }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An error with the beginning of what was said.
pub(super) fn not_understood(answer: &str) -> Error {
    Error::Answer { program: "psql", answer: answer.chars().take(200).collect() }
}
