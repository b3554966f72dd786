//! Capturing one consistent moment of a store and sealing it with a manifest of what it should hold.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{DatabaseCensus, Exception, ExceptionKind, Manifest, RecoveryStep, RootMoment, SnapshotId};

use crate::adapter::ssmix2::Tally;
use crate::adapter::{Source, sqlite};
use crate::error::Error;
use crate::examine::{Condition, condition};
use crate::vault::{
    BackupReport, BackupRequest, FileSeen, Filter, Observer, ParentChoice, Progress, Snapshot, Vault,
};
use crate::vault::{distinct_texts, path_texts, refuse_reserved};
use crate::{manifest, proof};

mod instant;
pub(crate) mod sources;

use instant::{Asked, Instants};
use sources::Sources;

/// Folders deeper than this are not searched for databases.
const DEPTH_MAX: usize = 128;

/// How one moment is made out of files that go on changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MomentChoice {
    /// By a snapshot of the file system where it can be made, else by reading until everything holds still.
    #[default]
    Auto,
    /// By a snapshot of the file system; without one there is no backup.
    Snapshot,
    /// By reading until everything holds still.
    Reread,
}

/// What to capture.
pub struct CaptureRequest {
    /// Folders and files, absolute and without symbolic links: a root that is a link is captured as one.
    pub roots: Vec<PathBuf>,
    /// What is captured by means of its own, in this order and before the files.
    pub sources: Vec<Source>,
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
    /// A folder outside the vault for what speeds the next backup up; `None` for doing without.
    pub cache: Option<PathBuf>,
    /// Where unchanged files come from.
    pub parent: ParentChoice,
    /// How the files become of one moment.
    pub moment: MomentChoice,
    /// Folders that are copies of a share as it was at an instant; it is sealed with them.
    pub pulled: Vec<(PathBuf, Timestamp)>,
    /// An empty folder of mode 0700 with room for every database; the caller removes it.
    pub staging: PathBuf,
    /// How everything is started again; sealed with the rest, so that whoever has the vault has the plan.
    pub recovery: Vec<RecoveryStep>,
}

/// What a capture came to.
pub struct Captured {
    /// The sealed snapshot.
    pub snapshot: SnapshotId,
    /// The engine's report.
    pub report: BackupReport,
    /// The manifest that was sealed with it.
    pub manifest: Manifest,
    /// Why snapshots of file systems are still there. The next backup of the same folders removes them.
    pub left_behind: Vec<String>,
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
    let named = match request.roots.as_slice() {
        [] if !request.sources.is_empty() => Vec::new(),
        roots => vault.roots(roots)?,
    };
    // Before the files: a row that refers to a file is then never older than the file.
    let mut sources = Sources::capture(&request.sources, &request.staging, now)?;
    let asked = Asked {
        choice: request.moment,
        exclude: &request.exclude,
        one_file_system: request.filter.one_file_system,
    };
    let mut instants = Instants::take(&asked, &folders(&named, &sources, &request.staging), now)?;
    sources.grafts.append(&mut instants.grafts);
    let exclude = [request.exclude.as_slice(), &instants.left_out].concat();
    let databases = Databases::capture(
        &named,
        request,
        &Live { instants: &instants, grafts: &sources.grafts, exclude: &exclude },
    )?;
    let roots = vault.roots_with_grafts(&named, &sources.grafts)?;
    let known = known_broken(vault, &request.hostname, &roots)?;
    let notes = Mutex::new(Notes::new(request.zone.clone(), known, &roots));
    let look = || notes.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sealed = None;
    let report = vault.backup(
        BackupRequest {
            exclude: exclude.iter().chain(&databases.left_out).chain(&sources.left_out).cloned().collect(),
            grafts: std::mem::take(&mut sources.grafts),
            pictures: instants.pictures.clone(),
            substitutes: databases.copies,
            tags: request.tags.clone(),
            hostname: request.hostname.clone(),
            time: request.time.unwrap_or(started_at),
            filter: &request.filter,
            parent: request.parent.clone(),
            cache: request.cache.clone(),
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
                exceptions.append(&mut sources.exceptions);
                exceptions.sort_by(|a, b| a.path.cmp(&b.path));
                let finished_at = now();
                let manifest = Manifest {
                    version: manifest::VERSION,
                    started_at,
                    finished_at,
                    hostname: request.hostname.clone(),
                    roots: path_texts(&roots),
                    census: sources.complete(notes.tally.finish(databases.counted)),
                    exceptions,
                    sources: sources.captured,
                    recovery: request.recovery.clone(),
                    moments: as_pulled(instants.moments(finished_at), &request.pulled),
                };
                let bytes = manifest::write(&manifest)?;
                sealed = Some(manifest);
                Ok(vec![(manifest::PATH.to_owned(), bytes)])
            })),
            ..BackupRequest::new(named)
        },
        progress,
    )?;
    let left_behind = instants.release();
    let snapshot = report.snapshot.clone();
    let (Some(snapshot), Some(manifest)) = (snapshot, sealed) else {
        let source = std::io::Error::other("the engine sealed no snapshot");
        return Err(Error::Engine { op: "seal the snapshot", source });
    };
    Ok(Captured { snapshot, report, manifest, left_behind })
}

/// With the instants of those folders that are copies of a share.
fn as_pulled(mut moments: Vec<RootMoment>, pulled: &[(PathBuf, Timestamp)]) -> Vec<RootMoment> {
    for moment in &mut moments {
        let of_it = pulled.iter().find(|(folder, _)| Path::new(&moment.path) == folder);
        moment.pulled_as_of = of_it.map(|(_, at)| *at);
    }
    moments
}

/// What is read where it lies and goes on changing: the roots, and what a source has left in its place. Each by its path in
/// the snapshot and its own.
fn folders(named: &[PathBuf], sources: &Sources, staging: &Path) -> Vec<(PathBuf, PathBuf)> {
    let in_place = sources.grafts.iter().filter(|(_, at)| !at.starts_with(staging));
    let roots = named.iter().map(|root| (root.clone(), root.clone()));
    roots.chain(in_place.map(|(path, at)| (path.clone(), at.clone()))).collect()
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
    fn capture(roots: &[PathBuf], request: &CaptureRequest, live: &Live<'_>) -> Result<Databases, Error> {
        let mut found = Vec::new();
        for root in roots {
            let at = live.grafts.get(root).unwrap_or(root).clone();
            find(root, at, request, live, None, &mut found, 0);
        }
        let mut databases = Databases::default();
        for (number, (path, at)) in found.into_iter().enumerate() {
            let copy = request.staging.join(format!("{number}.sqlite"));
            let captured = if at == path {
                sqlite::capture(&path, &copy)
            } else {
                sqlite::capture_still(&at, &copy, &path)
            };
            match captured {
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

/// Where the folders are read.
struct Live<'a> {
    instants: &'a Instants,
    grafts: &'a BTreeMap<PathBuf, PathBuf>,
    exclude: &'a [PathBuf],
}

/// Databases below `path`, which is read at `at`. What cannot be listed is named by the archiver, which comes the same way.
fn find(
    path: &Path,
    at: PathBuf,
    request: &CaptureRequest,
    live: &Live<'_>,
    device: Option<u64>,
    found: &mut Vec<(PathBuf, PathBuf)>,
    depth: usize,
) {
    let filter = &request.filter;
    if depth > DEPTH_MAX || live.exclude.iter().any(|excluded| excluded == path) {
        return;
    }
    let at = live.instants.place(path, at);
    let Ok(metadata) = fs::symlink_metadata(&at) else { return };
    let is_elsewhere = filter.one_file_system && device.is_some_and(|device| device != metadata.dev());
    if is_elsewhere || filter.leaves_out(path, metadata.is_file().then_some(metadata.len())) {
        return;
    }
    if metadata.is_file() && sqlite::is_database(&at, metadata.len()) {
        found.push((path.to_path_buf(), at));
    } else if metadata.is_dir()
        && !filter.is_marked(&at)
        && let Ok(entries) = fs::read_dir(&at)
    {
        let device = Some(metadata.dev());
        for entry in entries.flatten() {
            find(&path.join(entry.file_name()), entry.path(), request, live, device, found, depth + 1);
        }
    }
}
