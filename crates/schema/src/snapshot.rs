use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a snapshot should hold, written into it at `/.chartward/manifest.json` when it is sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this shape, counted from 1.
    pub version: u32,
    /// When reading began and ended.
    pub started_at: Timestamp,
    /// See `started_at`.
    pub finished_at: Timestamp,
    /// Name of the host that was read.
    pub hostname: String,
    /// The folders that were asked for, absolute.
    pub roots: Vec<String>,
    /// What was found there.
    pub census: Census,
    /// What could not be captured as it should have been. Empty in a whole snapshot.
    pub exceptions: Vec<Exception>,
    /// What was captured by means of its own, in the order of its capture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceCapture>,
    /// In which order everything is started again, as it was written down when the snapshot was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<RecoveryStep>,
    /// Which moment each folder shows. Empty in snapshots of older programs: their files were read until they held still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<RootMoment>,
}

/// One group of what a hospital runs, and how it is brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryStep {
    /// Its name.
    pub name: String,
    /// What it is to the others; steps are carried out in the order of these, then in the order in which they are written.
    pub role: RecoveryRole,
    /// What has to be typed to start it, one command after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// What shows that it works: commands, or sentences for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe: Vec<String>,
    /// What else must be known: where it runs, whom to call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a group is to the others. Nothing works before what stands above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryRole {
    /// Directory service, such as Active Directory: who may log in.
    Directory,
    /// Names and addresses: DNS, DHCP, time.
    Dns,
    /// Licence servers, without which applications refuse to start.
    Licence,
    /// Databases.
    Database,
    /// Applications.
    Application,
    /// Systems of single departments.
    Department,
}

impl RecoveryRole {
    /// What it is called, in English and Japanese.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            RecoveryRole::Directory => ("directory service", "ディレクトリサービス（認証）"),
            RecoveryRole::Dns => ("names and addresses (DNS)", "名前解決（DNS）"),
            RecoveryRole::Licence => ("licence server", "ライセンスサーバー"),
            RecoveryRole::Database => ("database", "データベース"),
            RecoveryRole::Application => ("application", "アプリケーション"),
            RecoveryRole::Department => ("department", "部門システム"),
        }
    }
}

/// Steps in the order in which they are carried out.
pub fn in_order(steps: &[RecoveryStep]) -> Vec<&RecoveryStep> {
    let mut ordered: Vec<&RecoveryStep> = steps.iter().collect();
    ordered.sort_by_key(|step| step.role);
    ordered
}

/// Which moment a folder of a snapshot shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RootMoment {
    /// The folder, as it is called in the snapshot. What lies in it and has a line of its own is of a moment of its own.
    pub path: String,
    /// How the moment was made.
    pub instant: Instant,
    /// What the folder shows is not older than this.
    pub began_at: Timestamp,
    /// And not newer than this.
    pub ended_at: Timestamp,
    /// Where the folder is a copy of a file share that was pulled from one previous version of it (shadow copy): the instant of that, by
    /// the server's clock. The folder itself did not change while it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled_as_of: Option<Timestamp>,
    /// Why there is no snapshot of the file system, where one was to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// How one moment was made out of files that go on changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instant {
    /// Of a read-only snapshot that btrfs made: everything is of one instant, as after a power cut.
    #[serde(rename = "btrfs snapshot")]
    BtrfsSnapshot,
    /// Files were read again until two passes saw the same; what never held still is among the exceptions.
    #[serde(rename = "re-read")]
    Reread,
}

/// A store that was captured by means of its own, such as a database server, and what a drill needs to start it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceCapture {
    /// Its name; unique in the snapshot.
    pub name: String,
    /// Kind of adapter, such as `postgresql`.
    pub kind: String,
    /// The folder in the snapshot that holds it.
    pub folder: String,
    /// Version of the server, as it says it.
    pub version: String,
    /// The moment that the capture shows.
    pub instant: Timestamp,
    /// What the adapter noted for its drill.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    /// What no drill looks at, in words.
    #[serde(default)]
    pub not_proven: Vec<String>,
}

/// A count of records, taken by names and row counts at capture, by reading everything in a drill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// Regular files of any kind.
    pub files: u64,
    /// Their sizes added up, in bytes.
    pub bytes: u64,
    /// One entry for each SS-MIX2 standardized storage, ordered by root.
    pub ssmix2: Vec<Ssmix2Census>,
    /// One entry for each database, ordered by path.
    pub databases: Vec<DatabaseCensus>,
    /// Time of the newest record: from SS-MIX2 names where there are any, else the newest file's mtime.
    pub newest_record: Option<Timestamp>,
}

impl Census {
    /// Patients over all storages; a patient who is in two of them counts once in each.
    pub fn patients(&self) -> u64 {
        self.ssmix2.iter().map(|storage| storage.patients).sum()
    }

    /// SS-MIX2 files over all storages, whatever their flag.
    pub fn records(&self) -> u64 {
        self.ssmix2.iter().map(|storage| storage.current + storage.history + storage.deleted).sum()
    }
}

/// Counts of one SS-MIX2 standardized storage (SS-MIX2 1.2i §3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ssmix2Census {
    /// The folder that holds the three-digit patient folders.
    pub root: String,
    /// Distinct patient ids.
    pub patients: u64,
    /// Files with flag 1.
    pub current: u64,
    /// Files with flag 2.
    pub history: u64,
    /// Files with flag 0.
    pub deleted: u64,
    /// Current files by data type, such as `OML-11`.
    pub current_by_type: BTreeMap<String, u64>,
    /// Keys (patient, date, type, order) with more than one current file; the standard allows none.
    pub duplicate_current: u64,
    /// Newest time stamp in a file name, read as local time of the host.
    pub newest_record: Option<Timestamp>,
}

/// Row counts of one database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabaseCensus {
    /// Where it lives on the protected host.
    pub path: String,
    /// `sqlite`, `postgresql`, `mariadb`, `orthanc`.
    pub engine: String,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// Newest time stamp in any row that was not in the future when it was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_record: Option<Timestamp>,
    /// SHA-256 of sampled contents that are no rows (large objects, images), by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
}

/// One thing that a snapshot does not hold as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The path on the protected host; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What kind of trouble it was.
    pub kind: ExceptionKind,
    /// The cause in words, as the operating system gave it.
    pub cause: String,
}

/// Why a path is named in a snapshot's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// It could not be read; the snapshot lacks it.
    Unreadable,
    /// It was there when the folder was listed and gone when it was read.
    Vanished,
    /// It kept changing; the snapshot holds what was read last.
    Unstable,
    /// A folder that was to be protected holds no file.
    Empty,
    /// A database that could not be captured by its own means; the snapshot holds its file as it was read.
    Database,
    /// A record that does not decode; the snapshot holds its bytes as they are.
    Malformed,
    /// A record that looks encrypted; the snapshot holds its bytes as they are.
    Encrypted,
}
