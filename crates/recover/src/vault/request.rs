//! What a backup is asked for, and what it reports.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schema::{Exception, SnapshotId};

use super::filter::{Filter, NO_FILTER};
use super::meta;
use crate::Error;

/// Files that the caller adds just before the snapshot is sealed: absolute paths in the snapshot and contents.
pub type Extra<'a> = Box<dyn FnOnce(&BackupReport) -> ExtraFiles + 'a>;

/// What an [`Extra`] adds.
pub type ExtraFiles = Result<Vec<(String, Vec<u8>)>, Error>;

/// Whoever wants to see what is captured while it is captured, without reading it again. Called from several threads.
#[derive(Clone, Copy)]
pub struct Observer<'a> {
    /// A pass over the roots begins: what was told of folders before no longer holds.
    pub pass: &'a (dyn Fn() + Sync),
    /// A file was read that is stored whole (up to 512 KiB).
    pub content: &'a (dyn Fn(&Path, &[u8]) + Sync),
    /// All that a folder holds is known: its path and its regular files. A root that is a file is told with the folder it lies in.
    pub folder: &'a (dyn Fn(&Path, &[FileSeen<'_>]) + Sync),
}

/// A regular file as it goes into the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct FileSeen<'a> {
    /// Its name.
    pub name: &'a OsStr,
    /// Bytes.
    pub size: u64,
    /// When its content changed last.
    pub mtime: Timestamp,
}

/// Which snapshot to take unchanged files over from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ParentChoice {
    /// The newest of the same host and roots.
    #[default]
    Newest,
    /// None: every file is read. Time stamps can be forged.
    ReadEverything,
    /// This one.
    Snapshot(SnapshotId),
}

/// Snapshots of file systems that stand for what was asked for. Those of whole roots are grafts.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    /// Folders within roots that are read elsewhere, by the path that they have in the snapshot: what is mounted there, and
    /// volumes of their own, of which a file system's snapshot has empty folders.
    pub overlays: BTreeMap<PathBuf, PathBuf>,
    /// From the device number of a picture to that of what it shows. Inodes and change times are the same.
    pub devices: BTreeMap<u64, u64>,
    /// The pictures are not older than this.
    pub since: Option<Timestamp>,
}

/// What to back up, and how.
pub struct BackupRequest<'a> {
    /// Folders and files, absolute.
    pub roots: Vec<PathBuf>,
    /// Labels.
    pub tags: Vec<String>,
    /// The host that is read.
    pub hostname: String,
    /// The moment to note in the snapshot.
    pub time: Timestamp,
    /// Absolute paths that are left out with all that is below them.
    pub exclude: Vec<PathBuf>,
    /// What else is left out, by rules.
    pub filter: &'a Filter,
    /// Folders and files from elsewhere, by the absolute path that they get in the snapshot: where an adapter has put what it captured.
    pub grafts: BTreeMap<PathBuf, PathBuf>,
    /// What of the roots and grafts is read from snapshots of their file systems.
    pub pictures: Pictures,
    /// Files to read in place of others, by the path that they have in the snapshot.
    pub substitutes: BTreeMap<PathBuf, PathBuf>,
    /// Where unchanged files come from.
    pub parent: ParentChoice,
    /// A folder outside the vault for what speeds the next backup up. It may be removed at any time.
    pub cache: Option<PathBuf>,
    /// Who looks on.
    pub observer: Option<Observer<'a>>,
    /// What else goes in.
    pub extra: Option<Extra<'a>>,
}

impl BackupRequest<'_> {
    /// A backup of these folders and files of this host, now.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        BackupRequest {
            roots,
            tags: Vec::new(),
            hostname: meta::hostname(),
            time: Timestamp::now(),
            exclude: Vec::new(),
            filter: &NO_FILTER,
            grafts: BTreeMap::new(),
            pictures: Pictures::default(),
            substitutes: BTreeMap::new(),
            parent: ParentChoice::Newest,
            cache: None,
            observer: None,
            extra: None,
        }
    }
}

/// What a backup did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackupReport {
    /// The new snapshot; `None` only while the backup is still running.
    pub snapshot: Option<SnapshotId>,
    /// The snapshot that unchanged files were taken over from.
    pub parent: Option<SnapshotId>,
    /// Regular files in the snapshot.
    pub files: u64,
    /// Their sizes added up.
    pub bytes: u64,
    /// Files that the parent does not have.
    pub files_new: u64,
    /// Files that look different from what the parent has.
    pub files_changed: u64,
    /// Files that were taken over unread.
    pub files_unmodified: u64,
    /// Directories.
    pub dirs: u64,
    /// Bytes read from the source.
    pub bytes_read: u64,
    /// Bytes that the vault has grown by.
    pub bytes_added: u64,
    /// What the snapshot does not hold as it should, ordered by path.
    pub exceptions: Vec<Exception>,
}
