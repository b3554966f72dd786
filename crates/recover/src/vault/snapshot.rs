use std::collections::BTreeSet;

use jiff::Timestamp;
use schema::SnapshotId;
use serde::{Deserialize, Serialize};

use super::file_kind::FileKind;
use super::id::Id;
use super::repository::Vault;
use super::roots::distinct_texts;
use crate::Error;

/// One captured moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The name of its file.
    pub id: SnapshotId,
    /// When it was captured.
    pub time: Timestamp,
    /// Its root directory.
    pub tree: Id,
    /// The snapshot that unchanged files were taken over from.
    pub parent: Option<SnapshotId>,
    /// The folders that were read, absolute and ordered, none twice and none within another.
    pub paths: Vec<String>,
    /// The host that was read.
    pub hostname: String,
    /// Who read it.
    pub username: String,
    /// Labels.
    pub tags: Vec<String>,
    /// What wrote it, where that was noted.
    pub program_version: Option<String>,
}

/// A snapshot's file, with restic's field names in restic's order.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotFile {
    pub(crate) time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Id>,
    pub(crate) tree: Id,
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) hostname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) username: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) gid: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) excludes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program_version: Option<String>,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl SnapshotFile {
    pub(crate) fn into_snapshot(self, id: Id) -> Snapshot {
        Snapshot {
            id: SnapshotId(id.to_string()),
            time: self.time,
            tree: self.tree,
            parent: self.parent.map(|id| SnapshotId(id.to_string())),
            paths: distinct_texts(self.paths),
            hostname: self.hostname,
            username: self.username,
            tags: self.tags.unwrap_or_default(),
            program_version: self.program_version,
        }
    }
}

impl Vault {
    /// All snapshots, oldest first, and what is wrong with those that cannot be read.
    pub fn snapshots(&self) -> Result<(Vec<Snapshot>, Vec<Error>), Error> {
        let mut snapshots = Vec::new();
        let mut damaged = Vec::new();
        for (id, _) in self.backend.list(FileKind::Snapshot)? {
            match self.load_snapshot(&id) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(error) => damaged.push(error),
            }
        }
        snapshots.sort_by(|a: &Snapshot, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok((snapshots, damaged))
    }

    /// The one snapshot whose id begins with these digits, or the newest for `latest`.
    pub fn find(&self, wanted: &str) -> Result<Snapshot, Error> {
        let missing = || Error::SnapshotNotFound { wanted: wanted.to_owned() };
        if wanted == "latest" {
            // Proofs are about snapshots; nobody who asks for the latest one means them.
            let (snapshots, _) = self.snapshots()?;
            return snapshots.into_iter().rev().find(|s| !s.is_proof()).ok_or_else(missing);
        }
        let ids: BTreeSet<Id> =
            self.backend.list(FileKind::Snapshot)?.into_iter().map(|(id, _)| id).collect();
        let mut matching = ids.iter().filter(|id| !wanted.is_empty() && id.to_string().starts_with(wanted));
        let id = matching.next().ok_or_else(missing)?;
        if matching.next().is_some() {
            return Err(Error::SnapshotAmbiguous { wanted: wanted.to_owned() });
        }
        self.load_snapshot(id)
    }

    pub(crate) fn load_snapshot(&self, id: &Id) -> Result<Snapshot, Error> {
        self.load_snapshot_of(FileKind::Snapshot, id)
    }

    /// A snapshot's file, wherever it lies.
    pub(crate) fn load_snapshot_of(&self, kind: FileKind, id: &Id) -> Result<Snapshot, Error> {
        let text = self.load_file(kind, "snapshot", id)?;
        let file: SnapshotFile = serde_json::from_slice(&text).map_err(|e| Error::Damaged {
            what: "snapshot",
            id: id.to_string(),
            cause: e.to_string(),
        })?;
        Ok(file.into_snapshot(*id))
    }
}

/// The tag of snapshots that hold proofs.
pub(crate) const PROOF_TAG: &str = "chartward-proof";

/// A snapshot of records that is called a proof would never be found again.
pub(crate) fn refuse_reserved(tags: &[String]) -> Result<(), Error> {
    match tags.iter().find(|tag| *tag == PROOF_TAG) {
        Some(tag) => Err(Error::ReservedTag { tag: tag.clone() }),
        None => Ok(()),
    }
}

impl Snapshot {
    /// Whether it holds a proof, and no records.
    pub fn is_proof(&self) -> bool {
        self.tags.iter().any(|tag| tag == PROOF_TAG)
    }
}
