//! What must be consistent: incidents, countermeasures, jobs, proofs, accounts, settings. SQLite in WAL mode.
//!
//! A change that [`State::write`] returned from is on the disk twice: in a change log, which is fsynced, and
//! in the database. A database that is damaged or gone is made anew at the next open from a copy of it and the
//! log, with nothing missing. Passwords' hashes and sealed secrets stand in the log as in the database, so its
//! files are for their owner only.
//!
//! Findings, flows, logins and verdicts do not
//! stand here but in the lake; of them only counts and the samples of incidents do.

/// Accounts, recovery codes, sessions, API tokens.
pub mod accounts;
mod arming;
mod assets;
mod checkpoints;
mod columns;
mod countermeasures;
mod daily;
mod incidents;
mod jobs;
mod log;
mod migrate;
mod notices;
mod proofs;
mod recover;
mod settings;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use log::{Change, Log};

pub use arming::Arming;
pub use assets::{Asset, AssetKind, AssetState};
pub use columns::{instant, instant_or_none, millis};
pub use countermeasures::CountermeasureFilter;
pub use daily::Daily;
pub use incidents::IncidentFilter;
pub use jobs::{JobKind, JobOutcome, JobRun};
pub use notices::QueuedNotice;
pub use proofs::{Promise, Sealed};
pub use recover::{Opened, Recovered, Trouble};
pub use writer::Writer;

use crate::Error;
use crate::lock::{FolderLock, lock_folder};

/// Where the database lies below the state folder.
pub const FILE_NAME: &str = "state.db";

/// When the log is this long, the database is copied and a new log begun: what a recovery has to replay.
const ROTATE_BYTES: u64 = 64 << 20;
/// The same at open, where nobody waits.
const ROTATE_AT_OPEN_BYTES: u64 = 4 << 20;
/// Changes after which the write-ahead file is put into the database.
const TIDY_EVERY: u64 = 256;
/// Pages of 4 KiB in the write-ahead file above which whoever writes waits until all of them are in the database: only then it begins
/// anew, and it would grow for as long as somebody writes.
const WAL_PAGES_MAX: i64 = 16_384;
const LOCK_NAME: &str = "state.lock";
/// Connections for reading that are kept for the next reader.
const READERS: usize = 8;

/// The open database: one writer at a time, readers beside it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    /// Closed first: the last connection to be closed puts the write-ahead file into the database, if it may write.
    readers: Mutex<Vec<Connection>>,
    /// Held by the one who waits for the disk; those who wait for it meanwhile find themselves served.
    syncing: Mutex<Synced>,
    /// `None` when it was opened for reading.
    writing: Option<Mutex<Writing>>,
    opened: Opened,
}

#[derive(Debug, Default)]
struct Synced {
    /// The last change that is on the disk.
    seq: u64,
    /// The disk failed: nobody knows what of the log it holds.
    is_doubtful: bool,
    /// A connection for putting the write-ahead file into the database, which waits for the disk and is nothing for whoever writes.
    tidying: Option<Connection>,
    /// The number of the change at which that was last done.
    tidied_at: u64,
}

#[derive(Debug)]
struct Writing {
    connection: Connection,
    log: Log,
    seq: u64,
    rotate_at: u64,
    /// Written into the log's lines; nothing depends on it.
    opened_at: (Timestamp, Instant),
    /// Held as long as the database is open.
    _lock: FolderLock,
}

impl State {
    /// Opens the database of a state folder for reading and writing, made, repaired and migrated where needed.
    ///
    /// A folder that a process has open is refused with [`Error::InUse`]. What was damaged is set aside, and
    /// [`State::opened`] says what happened.
    pub fn open(state_dir: &Path, now: Timestamp) -> Result<Self, Error> {
        Self::open_with(state_dir, now, migrate::MIGRATIONS)
    }

    /// Opens the database of a state folder for reading, whoever writes to it meanwhile.
    pub fn open_read(state_dir: &Path) -> Result<Self, Error> {
        let shared = Shared {
            dir: state_dir.to_owned(),
            writing: None,
            syncing: Mutex::default(),
            readers: Mutex::default(),
            opened: Opened::default(),
        };
        let state = Self { shared: Arc::new(shared) };
        let version = state.read(|db| db.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        refuse_newer(version, migrate::MIGRATIONS)?;
        Ok(state)
    }

    fn open_with(state_dir: &Path, now: Timestamp, migrations: &[&str]) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(Error::file("make the state folder", state_dir))?;
        let lock = lock_folder(&state_dir.join(LOCK_NAME))?;
        let (mut connection, mut log, opened) = recover::recover(state_dir, migrations)?;
        let mut seq = recover::position(&connection)?;
        let version = migrate::version(&connection)?;
        refuse_newer(version, migrations)?;
        for to in version + 1..=migrations.len() as u32 {
            seq += 1;
            // A migration that ends half-way is found in the log and run again.
            let line = Change::migrated(seq, now, to).line()?;
            log.append(&line)?;
            migrate::run(&mut connection, migrations, to, seq).inspect_err(|_| log.take_back(&line))?;
        }
        if log.bytes() > ROTATE_AT_OPEN_BYTES {
            log = recover::rotate(state_dir, &connection, seq)?;
        }
        let opened_at = (now, Instant::now());
        let writing = Writing { connection, log, seq, rotate_at: ROTATE_BYTES, opened_at, _lock: lock };
        let writing = Some(Mutex::new(writing));
        let syncing = Mutex::new(Synced { seq, tidied_at: seq, ..Synced::default() });
        let shared =
            Shared { dir: state_dir.to_owned(), writing, syncing, readers: Mutex::default(), opened };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What happened when it was opened.
    pub fn opened(&self) -> &Opened {
        &self.shared.opened
    }

    /// The state folder.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Runs one transaction; it is durable when this returns, or nothing of it happened. Only when the disk fails in the last step,
    /// an error is told of a change that holds until the machine stops, and for good once a later one was written.
    pub fn write<T>(&self, change: impl FnOnce(&Writer<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let value = self.write_soon(change)?;
        self.sync()?;
        Ok(value)
    }

    /// The first half of [`State::write`]: a killed process loses nothing of it, a machine that stops may.
    pub fn write_soon<T>(&self, change: impl FnOnce(&Writer<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let writing = self.shared.writing.as_ref().ok_or(Error::ReadOnly)?;
        locked(writing).write(change)
    }

    /// The second half: every change that was made by now is on the disk when it returns. Whoever writes meanwhile waits only where a
    /// new log begins.
    pub fn sync(&self) -> Result<(), Error> {
        let writing = self.shared.writing.as_ref().ok_or(Error::ReadOnly)?;
        let wanted = locked(writing).seq;
        let mut synced = locked(&self.shared.syncing);
        if synced.seq >= wanted {
            return Ok(());
        }
        let ((file, path), seq) = {
            let writing = locked(writing);
            (writing.log.file(), writing.seq)
        };
        let failed = || io::Error::other("an earlier write failed");
        let done = if synced.is_doubtful { Err(failed()) } else { file.sync_data() };
        if let Err(cause) = done {
            // After a failed fsync the kernel may have dropped what was to be written: only what is copied anew is known.
            synced.is_doubtful = true;
            let mut writing = locked(writing);
            writing.log = recover::rotate(&self.shared.dir, &writing.connection, writing.seq)
                .map_err(|_| Error::file("append to", &path)(cause))?;
            (synced.seq, synced.is_doubtful) = (writing.seq, false);
            return Ok(());
        }
        synced.seq = seq;
        synced.tidy(&self.shared.dir, writing);
        let is_due = {
            let writing = locked(writing);
            writing.log.bytes() >= writing.rotate_at
        };
        if is_due {
            synced.rotate(&self.shared.dir, writing);
        }
        Ok(())
    }

    /// Reads; readers wait for nobody.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let spare = locked(&self.shared.readers).pop();
        let connection = match spare {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let path = self.shared.dir.join(FILE_NAME);
                Connection::open_with_flags(path, flags).map_err(Error::state("open"))?
            }
        };
        let value = look(&connection).map_err(Error::state("read"));
        let mut readers = locked(&self.shared.readers);
        if readers.len() < READERS {
            readers.push(connection);
        }
        value
    }
}

impl Synced {
    /// Where it cannot be done now, it is tried again after as many changes.
    fn tidy(&mut self, dir: &Path, writing: &Mutex<Writing>) {
        if self.seq - self.tidied_at < TIDY_EVERY {
            return;
        }
        self.tidied_at = self.seq;
        if self.tidying.is_none() {
            self.tidying = connect(&dir.join(FILE_NAME)).ok();
        }
        let tidy = |connection: &Connection| {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>("log")).ok()
        };
        let Some(pages) = self.tidying.as_ref().and_then(tidy) else {
            self.tidying = None;
            return;
        };
        if pages > WAL_PAGES_MAX {
            // Nearly all of it was moved a moment ago.
            let _nobody_writes = locked(writing);
            self.tidying.take_if(|connection| tidy(connection).is_none());
        }
    }

    /// Begins a new log, and copies the database as it was then while others go on writing. Where it cannot be done now, on a full
    /// disk for one, the log goes on and it is tried again later.
    fn rotate(&mut self, dir: &Path, writing: &Mutex<Writing>) {
        let mut held = locked(writing);
        if held.log.file().0.sync_data().is_err() {
            // What came since the last time may be lost: the next time copies it anew.
            self.is_doubtful = true;
            return;
        }
        let begun = held.begin_log(dir);
        drop(held);
        let copied = begun.and_then(|(snapshot, seq)| {
            self.seq = self.seq.max(seq);
            recover::copy(dir, &snapshot, seq)?;
            recover::remove_old(dir)
        });
        if copied.is_err() {
            let mut writing = locked(writing);
            writing.rotate_at = writing.log.bytes() + ROTATE_BYTES / 8;
        }
    }
}

impl Writing {
    /// The log before the database: what is only in the log is replayed at the next open, what is only in the
    /// database would be lost with it.
    fn write<T>(&mut self, change: impl FnOnce(&Writer<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let state = || Error::state("write to");
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(state())?;
        let writer = Writer::new(&transaction);
        let value = change(&writer).map_err(state())?;
        let statements = writer.finish().map_err(state())?;
        if statements.is_empty() {
            return Ok(value);
        }
        let seq = self.seq + 1;
        set_position(&transaction, seq).map_err(state())?;
        let (opened_at, since) = &self.opened_at;
        let at = opened_at.saturating_add(since.elapsed()).unwrap_or(*opened_at);
        let line = Change::statements(seq, at, statements).line()?;
        self.log.write(&line)?;
        if let Err(cause) = transaction.commit() {
            self.log.take_back(&line);
            return Err(state()(cause));
        }
        self.seq = seq;
        Ok(value)
    }

    /// The log of what comes after now, where all of the one before is on the disk; and a connection that sees the database as it is now.
    fn begin_log(&mut self, dir: &Path) -> Result<(Connection, u64), Error> {
        let snapshot = connect(&dir.join(FILE_NAME))?;
        snapshot.execute_batch("BEGIN").map_err(Error::state("read"))?;
        let seq = recover::position(&snapshot)?;
        (self.log, self.rotate_at) = (Log::begin(dir, seq)?, ROTATE_BYTES);
        Ok((snapshot, seq))
    }
}

/// A connection for writing. The log is what makes a change durable, so the database need not wait for the disk too; nor does whoever
/// writes put the write-ahead file into the database ([`Synced::tidy`]).
fn connect(path: &Path) -> Result<Connection, Error> {
    make_private(path)?;
    let connection = Connection::open(path).map_err(Error::state("open"))?;
    let set = || {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", WAL_PAGES_MAX * 4096)
    };
    set().map_err(Error::state("open"))?;
    Ok(connection)
}

/// Makes an empty file for its owner only where there is none: SQLite makes its own for everybody.
fn make_private(path: &Path) -> Result<(), Error> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(|_| ()).map_err(Error::file("open", path))
}

/// Says in the database which change it contains last.
fn set_position(db: &Connection, seq: u64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO changes (one, seq) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET seq = excluded.seq";
    db.prepare_cached(sql)?.execute([columns::signed(seq)]).map(|_| ())
}

fn refuse_newer(version: u32, migrations: &[&str]) -> Result<(), Error> {
    if version as usize > migrations.len() { Err(Error::NewerState { version }) } else { Ok(()) }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
