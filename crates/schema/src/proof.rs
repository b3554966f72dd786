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
    /// What makes the outcome checkable, and how it came about.
    #[serde(default)]
    pub evidence: Evidence,
}

impl Drill {
    /// Whether everything that should be there was there and could be read.
    pub fn passed(&self) -> bool {
        self.shortfalls.is_empty()
    }

    /// What explains the most of what went wrong: a server that did not start explains every count that is missing.
    pub fn first_cause(&self) -> Option<&Shortfall> {
        self.shortfalls.iter().min_by_key(|shortfall| shortfall.kind.rank())
    }
}

/// What a drill can show for itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// The root of the snapshot's tree of hashes. The snapshot's id, which the ledger signed when it was sealed, is the hash of a file
    /// that names it.
    pub tree: String,
    /// SHA-256 over path, size and content hashes of every restored file, in the order of their paths, computed from the restored
    /// bytes; equal to what follows from `tree`.
    pub files_digest: String,
    /// Restored files whose bytes have the hashes that were sealed.
    pub files_verified: u64,
    /// Charts that were opened and whose records name the patient they are filed under.
    pub charts_read: u64,
    /// How old the data of each group was, and how long it took to come back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupTimes>,
    /// Set where only a part was restored. Such a drill proves that part and no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What changed since the snapshot that it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// What looked for malware, or why nothing did.
    pub malware_scan: String,
    /// [`Proof::method`] in Japanese; only in proofs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method_ja: String,
    /// How the servers were kept apart from this machine, and what could not be enforced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sandbox: Vec<String>,
    /// The kind of the first cause, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_cause: Option<ShortfallKind>,
}

/// Age and restore time of what belongs together: the files, or one database server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupTimes {
    /// `files`, or kind and name of a source.
    pub name: String,
    /// Age of its newest record when the drill began, in seconds.
    pub rpo_seconds: Option<f64>,
    /// Seconds from opening the vault until all of it was back and read.
    pub rto_seconds: f64,
}

/// How much of a snapshot a sampled drill looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// What the choice was drawn with: the same seed chooses the same files.
    pub seed: String,
    /// Files restored and read.
    pub files: u64,
    /// Files in the snapshot.
    pub files_total: u64,
    /// Bytes of the files that were read.
    pub bytes: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
}

/// Files that differ from an earlier snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// New paths.
    pub added: u64,
    /// Other content under the same path.
    pub changed: u64,
    /// Paths that are gone.
    pub deleted: u64,
    /// Content that went from one path to another; counted in neither `added` nor `deleted`.
    pub renamed: u64,
}

impl Activity {
    /// Everything that happened.
    pub fn total(&self) -> u64 {
        self.added + self.changed + self.deleted + self.renamed
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
    /// The snapshot itself could not be opened, or its list of files could not be read.
    NotOpened,
    /// A chart does not open, or names another patient than the one it is filed under.
    Chart,
    /// A record does not lie where its name says.
    Misfiled,
    /// Files that were useful before are gone.
    Deleted,
    /// Many files have the content of others and new names.
    Renamed,
    /// Files that hold another format than they did or than their names say.
    TypeChanged,
    /// Far more files changed than ever between drills.
    Activity,
    /// A scanner for malware found something.
    Malware,
}

impl ShortfallKind {
    /// Causes before effects: what has a lower rank can explain what has a higher one.
    pub fn rank(self) -> u8 {
        match self {
            ShortfallKind::NotOpened => 0,
            ShortfallKind::Empty => 1,
            ShortfallKind::NotRestored => 2,
            ShortfallKind::Encrypted => 3,
            ShortfallKind::NotStarted => 4,
            ShortfallKind::Deleted | ShortfallKind::Renamed => 5,
            ShortfallKind::DatabaseDamaged => 6,
            ShortfallKind::Fewer => 7,
            ShortfallKind::TypeChanged => 8,
            ShortfallKind::Undecodable => 9,
            ShortfallKind::Misfiled | ShortfallKind::DuplicateCurrent => 10,
            ShortfallKind::Chart => 11,
            ShortfallKind::Malware => 12,
            ShortfallKind::Activity => 13,
        }
    }

    /// What it is called among people, in English and Japanese.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            ShortfallKind::NotOpened => ("the snapshot could not be opened", "スナップショットを開けません"),
            ShortfallKind::Empty => ("the snapshot is empty", "スナップショットが空です"),
            ShortfallKind::NotRestored => ("files could not be restored", "復元できないファイルがあります"),
            ShortfallKind::Encrypted => {
                ("the data itself looks encrypted", "データそのものが暗号化されている疑いがあります")
            }
            ShortfallKind::NotStarted => {
                ("a restored server did not start", "復元したサーバーが起動しませんでした")
            }
            ShortfallKind::Deleted => ("useful files were deleted", "必要なファイルが大量に削除されています"),
            ShortfallKind::Renamed => ("files were renamed in bulk", "ファイル名が大量に変えられています"),
            ShortfallKind::DatabaseDamaged => ("a database is damaged", "データベースが破損しています"),
            ShortfallKind::Fewer => ("there is less than there should be", "件数が不足しています"),
            ShortfallKind::TypeChanged => {
                ("files no longer hold the format they held", "ファイルの形式が以前と変わっています")
            }
            ShortfallKind::Undecodable => ("records do not decode", "解読できない記録があります"),
            ShortfallKind::Misfiled => {
                ("records do not lie where their names say", "名前と違う場所に置かれた記録があります")
            }
            ShortfallKind::DuplicateCurrent => {
                ("keys have several current files", "現行ファイルが重複しています")
            }
            ShortfallKind::Chart => {
                ("charts could not be read as they should", "正しく読めないカルテがあります")
            }
            ShortfallKind::Malware => ("malware was found", "マルウェアが見つかりました"),
            ShortfallKind::Activity => {
                ("far more files changed than usual", "変更されたファイルが普段よりはるかに多くなっています")
            }
        }
    }
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
    /// How it was measured, in one sentence in English: what was restored, started, read and compared, and what was not.
    pub method: String,
    /// What was restored and not looked into, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<String>,
    /// What makes the outcome checkable; empty in proofs of version 1.
    #[serde(default)]
    pub evidence: Evidence,
}

impl Proof {
    /// Whether everything was restored and read, not a sample.
    pub fn is_full(&self) -> bool {
        self.evidence.coverage.is_none()
    }

    /// Whether it stands for the whole snapshot: a sample that was well says nothing about the rest.
    pub fn proves_all(&self) -> bool {
        self.passed && self.is_full()
    }
}
