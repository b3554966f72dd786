//! Snapshots of databases by shared blocks (reflinks): a copy that takes no room until something changes, made in milliseconds, so often that
//! an attack costs minutes. They lie where only root may look, and are bounded in number and age.
//!
//! Files are taken one after the other, so a snapshot is as good as what its database can recover from. PostgreSQL: its control file is
//! taken first and its log last, and no checkpoint may come between; what it then recovers from is what it recovers from after a
//! power cut. MariaDB: the same with the checkpoint in its redo log. Others: nothing may have changed meanwhile. Where that could
//! not be had after some tries, the snapshot is kept and says that it is not consistent by itself.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use act::evidence::{private_dir, write_json};
use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use observe::files::reflink;
use rustix::fs::{OFlags, Timespec, Timestamps, futimens};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::databases::{Database, Kind, SNAPSHOTS};

const LIST: &str = "snapshot.json";
const DATA: &str = "data";
const TRIES: u32 = 4;
const ENTRIES_MAX: usize = 1_000_000;
const DEPTH_MAX: usize = 32;
/// What was there before an attack is not removed for its age so soon.
const HELD: SignedDuration = SignedDuration::from_hours(30 * 24);
const HOLD: &str = "hold.json";

/// How often, and how many are kept for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) every: SignedDuration,
    pub(crate) max: usize,
    pub(crate) keep: SignedDuration,
}

/// What covers a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cover {
    #[serde(flatten)]
    pub(crate) database: Database,
    /// Where its snapshots lie; `None`: only the vault covers it.
    pub(crate) snapshots: Option<PathBuf>,
    /// In words.
    pub(crate) covered_by: String,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) database: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Its database can be started on it.
    pub(crate) consistent: bool,
    /// What could not be taken: links that lead elsewhere, for instance.
    pub(crate) left_out: u64,
}

/// Finds a place for the snapshots of a database: in the guard's store, else in the protected folder; both only if blocks can be shared.
pub(crate) fn cover(database: Database, store: &Path, roots: &[PathBuf], pace: Pace) -> Cover {
    let name = home_name(&database.path);
    let root = roots.iter().find(|root| database.path.starts_with(root));
    let places = [Some(store.join("snapshots")), root.map(|root| root.join(SNAPSHOTS))];
    for place in places.into_iter().flatten() {
        if shares_blocks(&place, &database) {
            let every = pace.every;
            let covered_by = format!("snapshots every {every:#} (shared blocks), and the vault");
            return Cover { database, snapshots: Some(place.join(name)), covered_by };
        }
    }
    let covered_by =
        "only the vault: this file system cannot share blocks (XFS with reflinks and btrfs can)".to_owned();
    Cover { database, snapshots: None, covered_by }
}

fn home_name(path: &Path) -> String {
    let hash = hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes()));
    let last: String = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .filter(|char| char.is_ascii_alphanumeric() || "._-".contains(*char))
        .take(40)
        .collect();
    format!("{last}-{}", hash.get(..12).unwrap_or_default())
}

fn shares_blocks(place: &Path, database: &Database) -> bool {
    let was_there = place.exists();
    let probe = place.join(format!("probe-{}", std::process::id()));
    let works = (|| -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(place)?;
        let to = File::options().write(true).create_new(true).mode(0o600).open(&probe)?;
        reflink(&to, &File::open(representative(database))?)
    })()
    .is_ok();
    let _ = fs::remove_file(&probe);
    if !works && !was_there {
        let _ = fs::remove_dir(place);
    }
    works
}

/// A file that every database of its kind has.
fn representative(database: &Database) -> PathBuf {
    match database.kind {
        Kind::Postgresql => database.path.join("global/pg_control"),
        Kind::Mariadb => database.path.join("ibdata1"),
        Kind::Sqlite => database.path.clone(),
        Kind::Named => {
            let files = fs::read_dir(&database.path).into_iter().flatten().flatten();
            let mut files = files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
            files.next().map_or_else(|| database.path.clone(), |entry| entry.path())
        }
    }
}

/// Takes one, and removes those that are too many or too old.
pub(crate) fn take(database: &Database, home: &Path, pace: Pace) -> anyhow::Result<Snapshot> {
    private_dir(home)?;
    remove_unfinished(home);
    let began_at = Timestamp::now();
    let id = began_at.strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
    let partial = home.join(format!("{id}.partial"));
    let mut last = None;
    for attempt in 1..=TRIES {
        let _ = fs::remove_dir_all(&partial);
        private_dir(&partial)?;
        let before = mark(database);
        let began_at = Timestamp::now();
        let mut copy = Copying::default();
        copy_database(database, &partial.join(DATA), &mut copy)?;
        let consistent = before.is_some() && before == mark(database);
        last = Some(Snapshot {
            id: id.clone(),
            database: database.path.clone(),
            kind: database.kind,
            began_at,
            ended_at: Timestamp::now(),
            files: copy.files,
            bytes: copy.bytes,
            consistent,
            left_out: copy.left_out,
        });
        if consistent || attempt == TRIES {
            break;
        }
    }
    let snapshot = last.context("take a snapshot")?;
    write_json(&partial.join(LIST), &snapshot)?;
    fs::rename(&partial, home.join(&id)).context("name the snapshot")?;
    prune(home, pace, Timestamp::now());
    Ok(snapshot)
}

/// What must be the same before and after for a snapshot to be one its database recovers from.
fn mark(database: &Database) -> Option<Vec<u8>> {
    match database.kind {
        // `ControlFileData`: the location of the last checkpoint, and where its redo begins (the same since PostgreSQL 9.4).
        Kind::Postgresql => stretches(&database.path.join("global/pg_control"), &[(32, 16)]),
        // The two checkpoint blocks of the redo log, as MariaDB 10.8 has them and as it was before.
        Kind::Mariadb => {
            stretches(&database.path.join("ib_logfile0"), &[(512, 512), (1536, 512), (4096, 64), (8192, 64)])
        }
        Kind::Sqlite | Kind::Named => {
            let mut stamps = Vec::new();
            let mut folders = if database.kind == Kind::Sqlite {
                database.files().to_vec()
            } else {
                vec![database.path.clone()]
            };
            while let Some(path) = folders.pop() {
                let Ok(meta) = fs::symlink_metadata(&path) else { continue };
                if meta.is_dir() {
                    folders.extend(fs::read_dir(&path).ok()?.flatten().map(|entry| entry.path()));
                }
                // The index of a log is made anew by whoever opens the database next.
                if !path.as_os_str().as_encoded_bytes().ends_with(b"-shm") {
                    let stamp = [
                        meta.ino().cast_signed(),
                        meta.size().cast_signed(),
                        meta.mtime(),
                        meta.mtime_nsec(),
                    ];
                    stamps.extend(stamp.into_iter().flat_map(i64::to_ne_bytes));
                }
            }
            Some(stamps)
        }
    }
}

fn stretches(path: &Path, places: &[(u64, usize)]) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let mut all = Vec::new();
    for (at, len) in places {
        let mut bytes = vec![0; *len];
        let read = file.read_at(&mut bytes, *at).ok()?;
        bytes.truncate(read);
        all.extend(bytes);
    }
    Some(all)
}

#[derive(Debug, Default)]
struct Copying {
    files: u64,
    bytes: u64,
    left_out: u64,
    entries: usize,
}

/// In the order that makes it recoverable.
fn copy_database(database: &Database, to: &Path, copy: &mut Copying) -> anyhow::Result<()> {
    private_dir(to)?;
    match database.kind {
        Kind::Sqlite => {
            for file in database.files().iter().filter(|file| file.exists()) {
                copy.file(file, &to.join(file.file_name().unwrap_or_default()))?;
            }
        }
        Kind::Postgresql => {
            copy.folder_like(&database.path.join("global"), &to.join("global"))?;
            copy.file(&database.path.join("global/pg_control"), &to.join("global/pg_control"))?;
            let taken_apart = |path: &Path| {
                path == Path::new("global/pg_control")
                    || path == Path::new("pg_wal")
                    || path == Path::new("postmaster.pid")
                    || path == Path::new("postmaster.opts")
                    || path.components().any(|part| part.as_os_str() == "pgsql_tmp")
            };
            copy.tree(&database.path, to, Path::new(""), &taken_apart, 0)?;
            copy.folder_like(&database.path.join("pg_wal"), &to.join("pg_wal"))?;
            // It may be a link to a disk of its own.
            let log = database.path.join("pg_wal").canonicalize().context("find the log")?;
            copy.tree(&log, &to.join("pg_wal"), Path::new(""), &|_| false, 0)?;
        }
        Kind::Mariadb | Kind::Named => {
            let log = Path::new("ib_logfile0");
            copy.tree(&database.path, to, Path::new(""), &|path| path == log, 0)?;
            if database.path.join(log).exists() {
                copy.file(&database.path.join(log), &to.join(log))?;
            }
        }
    }
    Ok(())
}

impl Copying {
    fn tree(
        &mut self,
        from: &Path,
        to: &Path,
        below: &Path,
        leave: &dyn Fn(&Path) -> bool,
        depth: usize,
    ) -> anyhow::Result<()> {
        let at = from.join(below);
        self.folder_like(&at, &to.join(below))?;
        let entries = fs::read_dir(&at).with_context(|| format!("read {}", at.display()))?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let path = below.join(&name);
            if leave(&path) {
                continue;
            }
            self.entries += 1;
            if self.entries > ENTRIES_MAX || depth > DEPTH_MAX {
                bail!("{} holds more than a snapshot takes", from.display());
            }
            // Servers remove files all the time.
            let Ok(meta) = fs::symlink_metadata(from.join(&path)) else { continue };
            if meta.is_dir() {
                self.tree(from, to, &path, leave, depth + 1)?;
            } else if meta.is_file() {
                self.file(&from.join(&path), &to.join(&path))?;
            } else if meta.is_symlink() {
                self.left_out += 1;
                let target = fs::read_link(from.join(&path))?;
                std::os::unix::fs::symlink(target, to.join(&path))?;
            }
        }
        Ok(())
    }

    fn folder_like(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        if !to.exists() {
            private_dir(to)?;
        }
        let meta = fs::metadata(from).with_context(|| format!("look at {}", from.display()))?;
        std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid())).context("keep a folder's owner")?;
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))
            .context("keep a folder's mode")
    }

    fn file(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
        let source = match File::options().read(true).custom_flags(flags).open(from) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("open {}", from.display())),
        };
        let meta = source.metadata()?;
        let target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
        if meta.len() > 0 {
            reflink(&target, &source).with_context(|| format!("share the blocks of {}", from.display()))?;
        }
        like(&target, &meta)?;
        self.files += 1;
        self.bytes += meta.len();
        Ok(())
    }
}

/// Owner, mode and times.
fn like(file: &File, meta: &fs::Metadata) -> anyhow::Result<()> {
    std::os::unix::fs::fchown(file, Some(meta.uid()), Some(meta.gid())).context("keep a file's owner")?;
    file.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777)).context("keep a file's mode")?;
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(futimens(file, &times)?)
}

/// What a guard that was killed left.
fn remove_unfinished(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|suffix| suffix == "partial") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn prune(home: &Path, pace: Pace, now: Timestamp) {
    let held_before = held_before(home, now);
    let all = list(home);
    for (place, snapshot) in all.iter().enumerate() {
        let is_old = now.duration_since(snapshot.began_at) > pace.keep || place >= pace.max;
        // The newest of all stays, however old: a server may have been off for long.
        if place > 0 && is_old && held_before.is_none_or(|held| snapshot.began_at >= held) {
            let _ = fs::remove_dir_all(home.join(&snapshot.id));
        }
    }
}

fn held_before(home: &Path, now: Timestamp) -> Option<Timestamp> {
    let held: Timestamp = serde_json::from_slice(&fs::read(home.join(HOLD)).ok()?).ok()?;
    (now.duration_since(held) < HELD).then_some(held)
}

/// Keeps everything from before an attack for a month.
pub(crate) fn hold(home: &Path, since: Timestamp) {
    if held_before(home, Timestamp::now()).is_none() {
        let _ = write_json(&home.join(HOLD), &since);
    }
}

/// The snapshots of one database, newest first.
pub(crate) fn list(home: &Path) -> Vec<Snapshot> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let read = |path: &Path| -> Option<Snapshot> {
        let mut bytes = Vec::new();
        File::open(path.join(LIST)).ok()?.take(1 << 20).read_to_end(&mut bytes).ok()?;
        let snapshot: Snapshot = serde_json::from_slice(&bytes).ok()?;
        (path.file_name()?.to_str()? == snapshot.id).then_some(snapshot)
    };
    let mut all: Vec<Snapshot> = entries.filter_map(|entry| read(&entry.path())).collect();
    all.sort_by(|a, b| b.id.cmp(&a.id));
    all
}

/// Where the data of a snapshot lies.
pub(crate) fn data(home: &Path, snapshot: &Snapshot) -> PathBuf {
    home.join(&snapshot.id).join(DATA)
}

/// Copies a snapshot's data into a folder that is empty or does not exist.
pub(crate) fn restore(home: &Path, snapshot: &Snapshot, target: &Path) -> anyhow::Result<u64> {
    if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty: restore beside it, and move it into place with the server stopped",
            target.display()
        );
    }
    let mut copied = 0;
    copy_out(&data(home, snapshot), target, &mut copied, 0)?;
    Ok(copied)
}

fn copy_out(from: &Path, to: &Path, copied: &mut u64, depth: usize) -> anyhow::Result<()> {
    if depth > DEPTH_MAX + 1 {
        bail!("{} is too deep", from.display());
    }
    Copying::default().folder_like(from, to)?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let name = entry?.file_name();
        let (from, to) = (from.join(&name), to.join(&name));
        let meta = fs::symlink_metadata(&from)?;
        if meta.is_dir() {
            copy_out(&from, &to, copied, depth + 1)?;
        } else if meta.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            let mut source = File::open(&from)?;
            let mut target = File::options().write(true).create_new(true).mode(0o600).open(&to)?;
            if reflink(&target, &source).is_err() {
                io::copy(&mut source, &mut target).with_context(|| format!("copy {}", from.display()))?;
            }
            like(&target, &meta)?;
            target.sync_all()?;
            *copied += 1;
        }
    }
    Ok(())
}

/// What a guard covers, as it wrote it down for the commands.
pub(crate) fn covers(state: &Path) -> anyhow::Result<Vec<Cover>> {
    let path = state.join("databases.json");
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("understand {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Writes it down.
pub(crate) fn write_covers(state: &Path, covers: &[Cover]) -> anyhow::Result<()> {
    private_dir(state)?;
    Ok(write_json(&state.join("databases.json"), &covers)?)
}
