use rusqlite::Connection;

use crate::Error;

/// Each file brings the database from the version before to its own; none is ever changed after it was released.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// The version that a database has; 0 before the first.
pub(super) fn version(connection: &Connection) -> Result<u32, Error> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    version.map_err(Error::state("read"))
}

/// Brings the database to the next version, as change `seq`.
pub(super) fn run(connection: &mut Connection, all: &[&str], to: u32, seq: u64) -> Result<(), Error> {
    let Some(migration) = (to as usize).checked_sub(1).and_then(|n| all.get(n)) else {
        return Err(Error::NewerState { version: to });
    };
    let mut run = || {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to)?;
        super::set_position(&transaction, seq)?;
        transaction.commit()
    };
    run().map_err(Error::state("migrate"))
}
