//! Capturing one consistent moment of a store and sealing it with a manifest of what it should hold.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{DatabaseCensus, Exception, ExceptionKind, Manifest, SnapshotId};

use crate::adapter::sqlite;
use crate::adapter::ssmix2::Tally;
use crate::error::Error;
use crate::examine::{Condition, condition};
use crate::vault::{BackupReport, BackupRequest, FileSeen, Filter, Observer, Progress, Snapshot, Vault};
use crate::vault::{distinct_texts, path_texts, refuse_reserved};
use crate::{manifest, proof};

/// Folders deeper than this are not searched for databases.
const DEPTH_MAX: usize = 128;

/// What to capture.
pub struct CaptureRequest {
    /// Folders and files, absolute and without symbolic links: a root that is a link is captured as one.
    pub roots: Vec<PathBuf>,
    /// Absolute paths that are left out.
    pub exclude: Vec<PathBuf>,
    /// What else is left out, by rules.
    pub filter: Filter,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// This host's name.
    pub hostname: String,
    /// The hospital's time zone.
    pub zone: TimeZone,
    /// The moment to note in the snapshot, if not the one at which the capture begins.
    pub time: Option<Timestamp>,
    /// An empty folder of mode 0700 with room for every database; the caller removes it.
    pub staging: PathBuf,
}

/// What a capture came to.
pub struct Captured {
    /// The sealed snapshot.
    pub snapshot: SnapshotId,
    /// The engine's report.
    pub report: BackupReport,
    /// The manifest that was sealed with it.
    pub manifest: Manifest,
}

/// Captures the databases by their own means, the rest as files, and seals the snapshot.
///
/// Trouble with single files is in the manifest's exceptions; an error means that no snapshot was made.
pub fn capture(
    vault: &Vault,
    request: &CaptureRequest,
    now: &dyn Fn() -> Timestamp,
    progress: &dyn Fn(Progress),
) -> Result<Captured, Error> {
    let started_at = now();
    refuse_reserved(&request.tags)?;
    let roots = vault.roots(&request.roots)?;
    let databases = Databases::capture(&roots, request)?;
    let known = known_broken(vault, &request.hostname, &roots)?;
    let notes = Mutex::new(Notes::new(request.zone.clone(), known, &roots));
    let look = || notes.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sealed = None;
    let report = vault.backup(
        BackupRequest {
            exclude: request.exclude.iter().chain(&databases.left_out).cloned().collect(),
            substitutes: databases.copies,
            tags: request.tags.clone(),
            hostname: request.hostname.clone(),
            time: request.time.unwrap_or(started_at),
            filter: &request.filter,
            observer: Some(Observer {
                pass: &|| look().pass(),
                content: &|path, content| {
                    // Only records are looked at here: the drill reads the rest.
                    if decode::ssmix2::locate(path).is_some() {
                        let condition = condition(content);
                        look().record(path, condition);
                    }
                },
                folder: &|folder, files| look().folder(folder, files),
            }),
            extra: Some(Box::new(|report| {
                let notes =
                    std::mem::replace(&mut *look(), Notes::new(request.zone.clone(), BTreeMap::new(), &[]));
                let mut exceptions = notes.exceptions();
                exceptions.extend(notes.empty_roots(&report.exceptions));
                exceptions.extend(report.exceptions.iter().cloned().chain(databases.failed));
                exceptions.sort_by(|a, b| a.path.cmp(&b.path));
                let manifest = Manifest {
                    version: manifest::VERSION,
                    started_at,
                    finished_at: now(),
                    hostname: request.hostname.clone(),
                    roots: path_texts(&roots),
                    census: notes.tally.finish(databases.counted),
                    exceptions,
                };
                let bytes = manifest::write(&manifest)?;
                sealed = Some(manifest);
                Ok(vec![(manifest::PATH.to_owned(), bytes)])
            })),
            ..BackupRequest::new(roots.clone())
        },
        progress,
    )?;
    let snapshot = report.snapshot.clone();
    let (Some(snapshot), Some(manifest)) = (snapshot, sealed) else {
        let source = std::io::Error::other("the engine sealed no snapshot");
        return Err(Error::Engine { op: "seal the snapshot", source });
    };
    Ok(Captured { snapshot, report, manifest })
}

/// What is noted of the store while it is captured.
struct Notes {
    zone: TimeZone,
    tally: Tally,
    /// How records read that are broken now or were before.
    read: BTreeMap<PathBuf, Condition>,
    /// Records that were broken in the last snapshot.
    known: BTreeMap<PathBuf, Exception>,
    /// Those of them that are still there.
    still_there: Vec<PathBuf>,
    /// The roots, and whether a regular file was seen in each.
    roots: Vec<(PathBuf, bool)>,
}

impl Notes {
    fn new(zone: TimeZone, known: BTreeMap<PathBuf, Exception>, roots: &[PathBuf]) -> Notes {
        Notes {
            tally: Tally::new(zone.clone()),
            zone,
            read: BTreeMap::new(),
            known,
            still_there: Vec::new(),
            roots: roots.iter().map(|root| (root.clone(), false)).collect(),
        }
    }

    /// Everything is looked at anew.
    fn pass(&mut self) {
        self.tally = Tally::new(self.zone.clone());
        self.still_there.clear();
        self.roots.iter_mut().for_each(|(_, holds_file)| *holds_file = false);
    }

    fn folder(&mut self, folder: &Path, files: &[FileSeen<'_>]) {
        for (root, holds_file) in self.roots.iter_mut().filter(|(_, holds_file)| !holds_file) {
            // A root that is a file is told with the folder it lies in.
            let is_root = |file: &FileSeen<'_>| folder.join(file.name) == *root;
            *holds_file = !files.is_empty() && (folder.starts_with(&*root) || files.iter().any(is_root));
        }
        for file in files {
            let path = folder.join(file.name);
            self.tally.file(&path, file.size, Some(file.mtime));
            if self.known.contains_key(&path) {
                self.still_there.push(path);
            }
        }
    }

    /// Good records are only noted where they were broken before: a hospital has millions of them.
    fn record(&mut self, path: &Path, condition: Condition) {
        let was_broken = self.known.contains_key(path) || self.read.contains_key(path);
        if was_broken || condition != Condition::Readable {
            self.read.insert(path.to_path_buf(), condition);
        }
    }

    fn exceptions(&self) -> Vec<Exception> {
        let unread = self.still_there.iter().filter(|path| !self.read.contains_key(*path));
        let carried = unread.filter_map(|path| self.known.get(path).cloned());
        self.read.iter().filter_map(|(path, condition)| broken(path, condition)).chain(carried).collect()
    }

    /// Roots without a regular file: what was to be mounted there is not. One that is named already is not named again.
    fn empty_roots(&self, named: &[Exception]) -> Vec<Exception> {
        let empty = self.roots.iter().filter(|(_, holds_file)| !holds_file);
        let exceptions = empty.map(|(root, _)| Exception {
            path: root.to_string_lossy().into_owned(),
            kind: ExceptionKind::Empty,
            cause: "there is no file in it: is what should be protected mounted there?".to_owned(),
        });
        exceptions.filter(|empty| named.iter().all(|other| other.path != empty.path)).collect()
    }
}

/// The exception for a record that does not decode.
fn broken(path: &Path, condition: &Condition) -> Option<Exception> {
    let (kind, cause) = match condition {
        Condition::Readable => return None,
        Condition::Undecodable(cause) => (ExceptionKind::Malformed, cause.clone()),
        Condition::Noise => (ExceptionKind::Encrypted, "its bytes look encrypted".to_owned()),
    };
    Some(Exception { path: path.to_string_lossy().into_owned(), kind, cause })
}

/// Records that were broken in the last snapshot of the same folders: unchanged files are not read again, so what
/// was known of them is carried on.
fn known_broken(
    vault: &Vault,
    hostname: &str,
    roots: &[PathBuf],
) -> Result<BTreeMap<PathBuf, Exception>, Error> {
    let roots = distinct_texts(path_texts(roots));
    let same = |snapshot: &Snapshot| snapshot.hostname == hostname && snapshot.paths == roots;
    let Some(last) = proof::data_snapshots(vault)?.into_iter().rev().find(same) else {
        return Ok(BTreeMap::new());
    };
    let exceptions = manifest::read(vault, &last)?.map(|manifest| manifest.exceptions).unwrap_or_default();
    let of_content =
        |exception: &Exception| matches!(exception.kind, ExceptionKind::Malformed | ExceptionKind::Encrypted);
    Ok(exceptions
        .into_iter()
        .filter(of_content)
        .map(|exception| (PathBuf::from(&exception.path), exception))
        .collect())
}

/// The databases below the roots, copied at one moment each.
#[derive(Default)]
struct Databases {
    /// From the path of the live database to its copy.
    copies: BTreeMap<PathBuf, PathBuf>,
    /// What must not be read as a file: companions of a captured database, and databases that failed.
    left_out: Vec<PathBuf>,
    counted: Vec<DatabaseCensus>,
    failed: Vec<Exception>,
}

impl Databases {
    fn capture(roots: &[PathBuf], request: &CaptureRequest) -> Result<Databases, Error> {
        let mut found = Vec::new();
        for root in roots {
            find(root, request, None, &mut found, 0);
        }
        let mut databases = Databases::default();
        for (number, path) in found.into_iter().enumerate() {
            let copy = request.staging.join(format!("{number}.sqlite"));
            match sqlite::capture(&path, &copy) {
                Ok(census) => {
                    databases.counted.push(census);
                    databases.left_out.extend(sqlite::companions(&path));
                    databases.copies.insert(path, copy);
                }
                // Torn or not, its bytes are better than nothing: it is captured as a file, and named.
                Err(error) => databases.failed.push(Exception {
                    path: path.to_string_lossy().into_owned(),
                    kind: ExceptionKind::Database,
                    cause: format!("captured as a plain file, since: {}", error.chain()),
                }),
            }
        }
        Ok(databases)
    }
}

/// Databases below `path`. What cannot be listed is named by the archiver, which comes the same way.
fn find(path: &Path, request: &CaptureRequest, device: Option<u64>, found: &mut Vec<PathBuf>, depth: usize) {
    let filter = &request.filter;
    if depth > DEPTH_MAX || request.exclude.iter().any(|excluded| excluded == path) {
        return;
    }
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    let is_elsewhere = filter.one_file_system && device.is_some_and(|device| device != metadata.dev());
    if is_elsewhere || filter.leaves_out(path, metadata.is_file().then_some(metadata.len())) {
        return;
    }
    if metadata.is_file() && sqlite::is_database(path, metadata.len()) {
        found.push(path.to_path_buf());
    } else if metadata.is_dir()
        && !filter.is_marked(path)
        && let Ok(entries) = fs::read_dir(path)
    {
        let device = Some(metadata.dev());
        entries.flatten().for_each(|entry| find(&entry.path(), request, device, found, depth + 1));
    }
}
