//! SQLite databases: found by their header, captured by the online backup API, checked and counted.
//!
//! Copying the file of a live database gives a torn one; the online backup gives a single moment of it, its
//! write-ahead log included, while the EMR goes on writing (sqlite.org/backup.html).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use schema::DatabaseCensus;

use crate::error::Error;

/// First bytes of every SQLite 3 database (sqlite.org/fileformat.html §1.3).
pub const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Companion files that belong to a live database and mean nothing beside a captured copy.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Version of the file format for reading and for writing, in the header of a database in WAL mode.
const WAL_VERSION: u8 = 2;

/// How long a writer that holds the database may keep the capture waiting.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether the file at `path`, `size` bytes long, starts like a SQLite database.
///
/// Sizes are multiples of the page size, which is at least 512; so most files are never opened.
pub fn is_database(path: &Path, size: u64) -> bool {
    if size == 0 || !size.is_multiple_of(512) {
        return false;
    }
    let mut header = [0_u8; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok() && &header == HEADER
}

/// The paths of the companions of the database at `path`, whether they exist or not.
pub fn companions(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    COMPANIONS.iter().map(move |suffix| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Copies one consistent moment of the live database at `source` to `copy` and counts its rows there.
///
/// The source is held in a read transaction for as long as the copy takes; no statement can change it.
///
/// Reading a database in WAL mode makes SQLite create `-wal` and `-shm` beside it, and only a connection that may
/// write removes them when it closes as the last one. So where there is no log that waits to be written back, the source is
/// opened like that; removing the files here would pull them from under an EMR that starts meanwhile. If that EMR
/// also ends meanwhile, the last to close writes its log back, as it would have done itself. The files stay behind
/// where the database may not be written to, and `-shm` where a writer that died has left a log: closing would write
/// that log into the database, and how it lies there may be evidence.
pub fn capture(source: &Path, copy: &Path) -> Result<DatabaseCensus, Error> {
    let fail = |op| move |cause| Error::Database { op, path: source.to_path_buf(), source: cause };
    let live = open(source).map_err(fail("open"))?;
    let mut target = Connection::open(copy).map_err(fail("copy"))?;
    {
        let backup = Backup::new(&live, &mut target).map_err(fail("copy"))?;
        let began = Instant::now();
        // All pages in one step: smaller steps start over whenever the EMR writes and may never end.
        while backup.step(-1).map_err(fail("copy"))? != StepResult::Done {
            // A server may hold its database for itself as long as it runs.
            if began.elapsed() > BUSY_TIMEOUT {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(fail("copy")(rusqlite::Error::SqliteFailure(busy, None)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let mut census = count(&target, source).map_err(fail("count the rows of"))?;
    census.path = source.to_string_lossy().into_owned();
    Ok(census)
}

/// As [`capture`], for the files of a database that do not change any more and may not be written to: those in a snapshot
/// of a file system. `path` is where the live one is, for the census.
///
/// They are as after a power cut, so a copy of them is opened as SQLite opens a database then: its log is written back.
pub fn capture_still(source: &Path, copy: &Path, path: &Path) -> Result<DatabaseCensus, Error> {
    let fail = |op| move |cause| Error::Database { op, path: path.to_path_buf(), source: cause };
    let io = |cause| Error::Io { op: "copy", path: path.to_path_buf(), source: cause };
    fs::copy(source, copy).map_err(io)?;
    // Not `-shm`, which is made anew from the log.
    for (from, to) in companions(source).zip(companions(copy)).filter(|(from, _)| !is_shared_memory(from)) {
        match fs::copy(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            result => result.map_err(io),
        }?;
    }
    let census = {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(copy, access).map_err(fail("open"))?;
        database.pragma_update(None, "trusted_schema", false).map_err(fail("open"))?;
        let written_back =
            database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        written_back.map_err(fail("copy"))?;
        count(&database, copy).map_err(fail("count the rows of"))?
    };
    Ok(DatabaseCensus { path: path.to_string_lossy().into_owned(), ..census })
}

fn is_shared_memory(companion: &Path) -> bool {
    companion.as_os_str().as_encoded_bytes().ends_with(b"-shm")
}

/// What reading a restored database found.
pub struct Examined {
    /// Row counts as they are now.
    pub census: DatabaseCensus,
    /// What SQLite's own integrity check says; empty when it is content.
    pub complaints: Vec<String>,
}

/// Runs SQLite's integrity check on the restored database at `file` and counts its rows.
///
/// `path` is where it lives on the protected host, for the census. The file is not changed.
pub fn examine(file: &Path, path: &str) -> Result<Examined, Error> {
    let fail = |op| move |cause| Error::Database { op, path: file.to_path_buf(), source: cause };
    let database = open(file).map_err(fail("open"))?;
    let complaints = integrity(&database).map_err(fail("check"))?;
    let mut census = count(&database, file).map_err(fail("count the rows of"))?;
    census.path = path.to_owned();
    Ok(Examined { census, complaints })
}

/// Opens a database to read it and nothing else.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let access = if is_closed_wal_database(path) {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    // Views and triggers of a hostile database must not run functions with side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Whether the database is in WAL mode (sqlite.org/fileformat.html §1.3.3) and its log is missing or empty.
fn is_closed_wal_database(path: &Path) -> bool {
    let mut header = [0_u8; 20];
    let is_wal = File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok()
        && header[18..] == [WAL_VERSION; 2];
    let has_log =
        || companions(path).next().and_then(|log| log.metadata().ok()).is_some_and(|log| log.len() > 0);
    is_wal && !has_log()
}

fn integrity(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = database.prepare("PRAGMA integrity_check(20)")?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

fn count(database: &Connection, path: &Path) -> rusqlite::Result<DatabaseCensus> {
    let mut names = database.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let tables: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut census = DatabaseCensus {
        path: path.to_string_lossy().into_owned(),
        engine: "sqlite".to_owned(),
        ..DatabaseCensus::default()
    };
    for table in tables {
        let quoted = table.replace('"', "\"\"");
        let rows: i64 =
            database.query_row(&format!("SELECT count(*) FROM \"{quoted}\""), [], |row| row.get(0))?;
        census.tables.insert(table, rows.unsigned_abs());
    }
    Ok(census)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// A database in WAL mode with one row, open.
    fn live(path: &Path) -> Connection {
        let database = Connection::open(path).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
        database
    }

    fn contents(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
        let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
        entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
    }

    #[test]
    fn a_closed_database_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let emr = dir.path().join("emr");
        fs::create_dir(&emr).unwrap();
        let path = emr.join("emr.db");
        drop(live(&path));
        let before = contents(&emr);
        assert_eq!(before.len(), 1);
        let copy = dir.path().join("copy");
        assert_eq!(capture(&path, &copy).unwrap().tables["t"], 1);
        assert!(contents(&emr) == before, "{:?}", contents(&emr).keys());
        assert!(examine(&path, "/emr.db").unwrap().complaints.is_empty());
        assert!(contents(&emr) == before, "{:?}", contents(&emr).keys());
    }

    #[test]
    fn the_log_of_a_writer_that_died_is_read_and_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let emr = dir.path().join("emr");
        fs::create_dir(&emr).unwrap();
        let path = emr.join("emr.db");
        let writer = live(&dir.path().join("emr.db"));
        for name in ["emr.db", "emr.db-wal"] {
            fs::copy(dir.path().join(name), emr.join(name)).unwrap();
        }
        drop(writer);
        let before = contents(&emr);
        assert_eq!(capture(&path, &dir.path().join("copy")).unwrap().tables["t"], 1);
        let mut after = contents(&emr);
        after.remove(&OsString::from("emr.db-shm"));
        assert!(after == before, "{:?}", after.keys());
    }
}
