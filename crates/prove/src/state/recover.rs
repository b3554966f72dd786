//! What happens before the database is used: it is looked at, and made anew where it is damaged or gone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rusqlite::backup::Progress;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::log::{self, Change, Log, What};
use super::{FILE_NAME, migrate};
use crate::Error;
use crate::durable::sync_dir;

/// How long the check at open may take; a database too big to be checked in that time is believed.
const CHECK_SECONDS: u64 = 10;

/// What became of the state database when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// What was wrong with it; `None` when nothing was.
    pub recovered: Option<Recovered>,
}

/// A database that was not as it was left, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What was wrong.
    pub because: Trouble,
    /// Changes that were replayed from the change log.
    pub replayed: u64,
    /// Changes that were acknowledged and are in no log any more. Nothing was lost when it is 0.
    pub missing: u64,
    /// The files that were set aside, without their folder.
    pub set_aside: Vec<String>,
}

/// What can be wrong with a state database at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It was ended between the log and the database.
    Killed,
    /// The last line of the change log was unfinished; it had never been acknowledged.
    TornLog,
    /// The change log is damaged or gone; the database is whole, and a new log was begun.
    LogDamaged,
    /// The database is gone.
    Missing,
    /// The database is damaged; what its check said.
    Damaged(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Killed => f.write_str("the hub was ended between the change log and the database"),
            Trouble::TornLog => f.write_str("the last line of the change log was unfinished"),
            Trouble::LogDamaged => f.write_str("the change log was damaged or gone"),
            Trouble::Missing => f.write_str("the database was gone"),
            Trouble::Damaged(why) => write!(f, "the database was damaged: {why}"),
        }
    }
}

/// Leaves the folder with a database that holds every change of the log, and says which log to go on with.
pub(super) fn recover(dir: &Path, migrations: &[&str]) -> Result<(Connection, Log, Opened), Error> {
    let path = dir.join(FILE_NAME);
    let logs = log::all_numbered(dir, "log")?;
    let bases = log::all_numbered(dir, "base")?;
    let nothing_kept = logs.is_empty() && bases.is_empty();
    let mut recovered =
        Recovered { because: Trouble::Killed, replayed: 0, missing: 0, set_aside: Vec::new() };
    let mut trouble = None;

    let connection = match look_at(&path) {
        Ok(connection) => connection,
        Err(Trouble::Missing) if nothing_kept => super::connect(&path)?,
        Err(why) => {
            set_database_aside(&path, &mut recovered.set_aside)?;
            trouble = Some(why);
            from_newest_base(dir, &path, &bases, &mut recovered.set_aside)?
        }
    };
    let mut replay = Replay { connection, migrations, replayed: 0, missing: 0 };
    let (mut whole, mut last, mut damaged) = (0, 0, false);
    for (begin, path) in &logs {
        let scanned = log::scan(path, |change| replay.apply(&change))?;
        damaged |= scanned.damaged;
        (whole, last) = (scanned.whole, scanned.last.unwrap_or(*begin));
        if let Some(aside) = log::set_torn_end_aside(path, whole)? {
            recovered.set_aside.push(file_name(&aside));
            trouble = trouble.or(Some(Trouble::TornLog));
        }
    }
    (recovered.replayed, recovered.missing) = (replay.replayed, replay.missing);
    let connection = replay.connection;
    let seq = position(&connection)?;
    // A log that lacks what the database has would leave a gap in what can be replayed.
    let continues = logs.last().filter(|_| !damaged && recovered.missing == 0 && last == seq);
    let log = match continues {
        Some((_, path)) => Log::at(path.clone(), whole)?,
        None if nothing_kept && seq == 0 => Log::begin(dir, 0)?,
        None => {
            trouble = trouble.or(Some(Trouble::LogDamaged));
            for (_, path) in &logs {
                let aside = log::free_name(&path.with_extension("log.damaged"));
                fs::rename(path, &aside).map_err(Error::file("rename", path))?;
                recovered.set_aside.push(file_name(&aside));
            }
            rotate(dir, &connection, seq)?
        }
    };
    recovered.because = trouble.clone().unwrap_or(Trouble::Killed);
    let happened = trouble.is_some() || recovered.replayed > 0;
    Ok((connection, log, Opened { recovered: happened.then_some(recovered) }))
}

/// Copies the database and begins the log of what comes after it. What is older than the pair before goes.
pub(super) fn rotate(dir: &Path, connection: &Connection, seq: u64) -> Result<Log, Error> {
    copy(dir, connection, seq)?;
    let log = Log::begin(dir, seq)?;
    remove_old(dir)?;
    Ok(log)
}

/// Copies the database, of which change `seq` is the last that `connection` sees.
pub(super) fn copy(dir: &Path, connection: &Connection, seq: u64) -> Result<(), Error> {
    let base = log::numbered(dir, seq, "base");
    let unfinished = base.with_extension("base.new");
    remove_unfinished(&unfinished);
    super::make_private(&unfinished)?;
    connection.backup("main", &unfinished, None::<fn(Progress)>).map_err(Error::state("copy"))?;
    File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, &base))
        .map_err(Error::file("write", &base))?;
    sync_dir(&base)
}

/// Leaves the newest two copies and the logs of what came after the older of them.
pub(super) fn remove_old(dir: &Path) -> Result<(), Error> {
    let mut bases = log::all_numbered(dir, "base")?;
    let kept = bases.split_off(bases.len().saturating_sub(2));
    let oldest = if kept.len() == 2 { kept[0].0 } else { 0 };
    let logs = log::all_numbered(dir, "log")?.into_iter().filter(|(begin, _)| *begin < oldest);
    for (_, path) in bases.into_iter().chain(logs) {
        fs::remove_file(&path).map_err(Error::file("remove", &path))?;
    }
    Ok(())
}

/// The number of the last change that the database contains; 0 before its first.
pub(super) fn position(connection: &Connection) -> Result<u64, Error> {
    let read = || {
        let made = connection.table_exists(None, "changes")?;
        let seq: Option<i64> = match made {
            true => connection.query_row("SELECT seq FROM changes", [], |row| row.get(0)).optional()?,
            false => None,
        };
        Ok(seq.unwrap_or(0).unsigned_abs())
    };
    read().map_err(Error::state("read"))
}

struct Replay<'a> {
    connection: Connection,
    migrations: &'a [&'a str],
    replayed: u64,
    missing: u64,
}

impl Replay<'_> {
    /// Applies a change that the database does not contain yet.
    fn apply(&mut self, change: &Change) -> Result<(), Error> {
        let seq = position(&self.connection)?;
        if change.seq <= seq {
            return Ok(());
        }
        self.missing += change.seq - seq - 1;
        match &change.what {
            What::Migrated(to) => migrate::run(&mut self.connection, self.migrations, *to, change.seq)?,
            What::Statements(statements) => {
                let mut run = || {
                    let transaction = self.connection.transaction()?;
                    for (sql, values) in statements {
                        let values = values.iter().map(Value::from);
                        transaction.prepare_cached(sql)?.execute(params_from_iter(values))?;
                    }
                    super::set_position(&transaction, change.seq)?;
                    transaction.commit()
                };
                run().map_err(Error::state("replay the change log into"))?;
            }
        }
        self.replayed += 1;
        Ok(())
    }
}

/// Opens a database and checks it.
fn look_at(path: &Path) -> Result<Connection, Trouble> {
    if !path.exists() {
        return Err(Trouble::Missing);
    }
    let damaged = |cause: &dyn std::fmt::Display| Trouble::Damaged(cause.to_string());
    let connection = super::connect(path).map_err(|cause| match cause {
        Error::State { source, .. } => damaged(&source),
        other => damaged(&other),
    })?;
    match check(&connection) {
        Ok(said) if said == "ok" => {}
        Ok(said) => return Err(Trouble::Damaged(said)),
        Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {}
        Err(cause) => return Err(damaged(&cause)),
    }
    position(&connection).map_err(|cause| damaged(&cause))?;
    Ok(connection)
}

/// `PRAGMA quick_check`, interrupted when it takes too long.
fn check(connection: &Connection) -> rusqlite::Result<String> {
    let interrupt = connection.get_interrupt_handle();
    let (done, waiting) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let waited = waiting.recv_timeout(Duration::from_secs(CHECK_SECONDS));
            if waited == Err(RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let said = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        drop(done);
        said
    })
}

/// Gives the database and what belongs to it names that say that they are damaged. A write-ahead file that stayed
/// without its database would be taken for the next one's.
fn set_database_aside(path: &Path, set_aside: &mut Vec<String>) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let part = PathBuf::from(&name);
        if part.exists() {
            name.push(".damaged");
            let aside = log::free_name(Path::new(&name));
            fs::rename(&part, &aside).map_err(Error::file("rename", &part))?;
            set_aside.push(file_name(&aside));
        }
    }
    sync_dir(path)
}

/// Puts the newest base that is whole in the database's place; without one it begins empty, for the log from change 0.
fn from_newest_base(
    dir: &Path,
    path: &Path,
    bases: &[(u64, PathBuf)],
    set_aside: &mut Vec<String>,
) -> Result<Connection, Error> {
    let copy = dir.join("state.db.new");
    for (_, base) in bases.iter().rev() {
        remove_unfinished(&copy);
        // The copy is what is checked: a look at the base itself would leave SQLite's files beside it.
        fs::copy(base, &copy)
            .and_then(|_| File::open(&copy)?.sync_all())
            .map_err(Error::file("write", &copy))?;
        if look_at(&copy).is_ok() {
            fs::rename(&copy, path).map_err(Error::file("write", path))?;
            sync_dir(path)?;
            break;
        }
        let aside = log::free_name(&base.with_extension("base.damaged"));
        fs::rename(base, &aside).map_err(Error::file("rename", base))?;
        set_aside.push(file_name(&aside));
    }
    remove_unfinished(&copy);
    super::connect(path)
}

/// Removes a copy that was not to be used, with what SQLite leaves beside a file that it could not read.
fn remove_unfinished(copy: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = copy.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
