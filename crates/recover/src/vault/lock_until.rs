//! Until when the medium itself keeps snapshots from being taken away, as far as it says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schema::SnapshotId;

use super::repository::Vault;
use crate::Error;

/// What keeps whoever has the passphrase, or root here, from taking snapshots away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteLock {
    /// Nothing: in a folder, whoever may write may remove.
    Nothing,
    /// A server that does not say whether it locks, such as restic's own.
    Unsaid,
    /// A vault host.
    Until {
        /// The host's clock when it was asked.
        asked: Timestamp,
        /// Whether its files have the immutable flag, too.
        immutable: bool,
        /// Until when nobody removes a snapshot for good.
        snapshots: BTreeMap<SnapshotId, Timestamp>,
    },
}

impl Vault {
    /// Asks the medium. A folder has no lock of its own.
    pub fn write_lock(&self) -> Result<WriteLock, Error> {
        let Some(rest) = self.backend.rest() else { return Ok(WriteLock::Nothing) };
        Ok(match rest.protection()? {
            None => WriteLock::Unsaid,
            Some(said) => WriteLock::Until {
                asked: said.now,
                immutable: said.immutable,
                snapshots: said.snapshots.into_iter().map(|it| (it.id, it.until)).collect(),
            },
        })
    }
}
