use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Census, SnapshotId};

/// What a drill measured: a restore of one snapshot into a sandbox, with every record read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// The snapshot that was restored.
    pub snapshot: SnapshotId,
    /// When that snapshot was captured.
    pub captured_at: Timestamp,
    /// When the drill began.
    pub started_at: Timestamp,
    /// When the last check ended.
    pub finished_at: Timestamp,
    /// Seconds from opening the vault until the first patient's chart was read.
    pub rto_first_chart_seconds: Option<f64>,
    /// Seconds from opening the vault until all files were back and checked.
    pub rto_full_seconds: f64,
    /// Age of the newest record when the drill began, in seconds: all that came later would be lost.
    pub rpo_seconds: Option<f64>,
    /// What was counted by reading the restored files.
    pub census: Census,
    /// SS-MIX2 records that decoded.
    pub records_decoded: u64,
    /// What the manifest promised.
    pub expected: Census,
    /// What is missing or wrong. A drill without any has passed.
    pub shortfalls: Vec<Shortfall>,
    /// What is wrong and was so when it was captured: restored byte for byte, named, not held against the vault.
    pub remarks: Vec<Shortfall>,
    /// What was restored and not looked into, since nothing can yet, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<String>,
}

impl Drill {
    /// Whether everything that should be there was there and could be read.
    pub fn passed(&self) -> bool {
        self.shortfalls.is_empty()
    }
}

/// One thing that a drill found missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// What kind of trouble it is.
    pub kind: ShortfallKind,
    /// What it is about: a path or a name of a count.
    pub what: String,
    /// What was expected and what was found.
    pub detail: String,
}

/// Kinds of trouble that a drill tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortfallKind {
    /// A file of the snapshot could not be restored.
    NotRestored,
    /// A record did not decode and does not look encrypted either.
    Undecodable,
    /// A record looks encrypted, or the names show what ransomware leaves.
    Encrypted,
    /// Fewer patients, records or rows than were captured, or than the snapshot before held.
    Fewer,
    /// More than one current file for one key.
    DuplicateCurrent,
    /// A database failed its own integrity check.
    DatabaseDamaged,
    /// The snapshot holds nothing.
    Empty,
    /// A restored server could not be started, so nothing in it was read.
    NotStarted,
}

/// The signed statement that a drill took place; what `status` speaks from.
///
/// It carries counts and no path, since paths of SS-MIX2 storage hold patient ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Version of this shape, counted from 1.
    pub version: u32,
    /// The repository's id from its restic `config`.
    pub vault_id: String,
    /// The snapshot that was restored.
    pub snapshot: SnapshotId,
    /// When it was captured.
    pub captured_at: Timestamp,
    /// When the drill ended.
    pub proven_at: Timestamp,
    /// Whether everything was there.
    pub passed: bool,
    /// Time of the newest record that the restored snapshot held.
    pub newest_record: Option<Timestamp>,
    /// Age of that record when the drill began, in seconds.
    pub rpo_seconds: Option<f64>,
    /// See [`Drill::rto_first_chart_seconds`].
    pub rto_first_chart_seconds: Option<f64>,
    /// See [`Drill::rto_full_seconds`].
    pub rto_full_seconds: f64,
    /// Patients read.
    pub patients: u64,
    /// SS-MIX2 records that decoded.
    pub records: u64,
    /// SS-MIX2 files that were broken when they were captured and still are.
    pub unreadable_records: u64,
    /// Regular files restored and compared by content.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Rows counted in databases that passed their integrity check.
    pub database_rows: u64,
    /// How many shortfalls of each kind; empty when passed.
    pub shortfalls: Vec<(ShortfallKind, u64)>,
    /// How it was measured, in one sentence.
    pub method: String,
    /// What was restored and not looked into, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<String>,
}
