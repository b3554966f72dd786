//! What must be consistent: incidents, countermeasures, jobs, proofs, accounts, settings. SQLite in WAL mode.
//!
//! A change that [`State::write`] returned from is on the disk. Findings, flows, logins and verdicts do not
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
mod notices;
mod proofs;
mod settings;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

pub use arming::Arming;
pub use assets::{Asset, AssetKind, AssetState};
pub use columns::{instant, instant_or_none, millis};
pub use countermeasures::CountermeasureFilter;
pub use daily::Daily;
pub use incidents::IncidentFilter;
pub use jobs::{JobKind, JobOutcome, JobRun};
pub use notices::QueuedNotice;
pub use proofs::{Promise, Sealed};
pub use writer::Writer;

use crate::Error;

/// Where the database lies below the state folder.
pub const FILE_NAME: &str = "state.db";

/// Each file brings the database from the version before to its own; none is ever changed after it was released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The open database: one writer at a time, readers beside it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    path: PathBuf,
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Mutex<Vec<Connection>>>,
}

impl State {
    /// Opens the database of a state folder, made and migrated where needed.
    pub fn open(state_dir: &Path, _now: Timestamp) -> Result<Self, Error> {
        std::fs::create_dir_all(state_dir).map_err(Error::file("make the state folder", state_dir))?;
        let path = state_dir.join(FILE_NAME);
        let connection = Connection::open(&path).map_err(Error::state("open"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(Error::state("open"))?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(Error::state("open"))?;
        connection.pragma_update(None, "foreign_keys", true).map_err(Error::state("open"))?;
        let state = Self { path, writer: Arc::new(Mutex::new(connection)), readers: Arc::default() };
        state.migrate()?;
        Ok(state)
    }

    /// Runs one transaction; it is durable when this returns, or nothing of it happened.
    pub fn write<T>(&self, change: impl FnOnce(&Writer<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut connection = locked(&self.writer);
        let run = || {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let writer = Writer::new(&transaction);
            let value = change(&writer)?;
            writer.finish()?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(Error::state("write to"))
    }

    /// Reads; readers wait for nobody.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let spare = locked(&self.readers).pop();
        let connection = match spare {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(&self.path, flags).map_err(Error::state("open"))?
            }
        };
        let value = look(&connection).map_err(Error::state("read"));
        locked(&self.readers).push(connection);
        value
    }

    fn migrate(&self) -> Result<(), Error> {
        let version: u32 = self.read(|db| db.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        for (to, migration) in (1u32..).zip(MIGRATIONS).skip(version as usize) {
            let run = || {
                let mut connection = locked(&self.writer);
                let transaction = connection.transaction()?;
                transaction.execute_batch(migration)?;
                transaction.pragma_update(None, "user_version", to)?;
                transaction.commit()
            };
            run().map_err(Error::state("migrate"))?;
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
