//! Databases below the protected folders. Their servers' opens never wait (SQLite's do); they are covered by snapshots of short interval where the file
//! system shares blocks, and by the vault. Whoever else writes into them is looked at when it closes a file.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use observe::files::database_evidence;
use rustix::fs::OFlags;
use schema::FileEvidence;
use serde::{Deserialize, Serialize};

use super::approval::is_roots;

/// In a protected folder, where the store lies on another file system: copies of databases, which are none themselves.
pub(crate) const SNAPSHOTS: &str = ".chartward-snapshots";
/// Folders that are looked through for databases at the start; beyond them `--database` names one.
const FOLDERS_MAX: usize = 50_000;
const DEPTH_MAX: usize = 12;
const DATABASES_MAX: usize = 64;
/// Folders of one database.
const OWN_FOLDERS_MAX: usize = 4096;
/// A number of a database's file for the gate, apart from those of the tracker.
const FILE_NUMBER: u64 = 1 << 63;
/// Tiny files (PID files, settings, signals) say nothing by their bytes.
const JUDGED_MIN: u64 = 512;

/// What sort of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Postgresql,
    Mariadb,
    /// One file with its log; the index of Orthanc is such a one.
    Sqlite,
    /// A folder that the operator named.
    Named,
}

impl Kind {
    /// Names of its server's program.
    fn servers(self) -> &'static [&'static str] {
        match self {
            Kind::Postgresql => &["postgres"],
            Kind::Mariadb => &["mariadbd", "mysqld"],
            Kind::Sqlite => &[],
            Kind::Named => &["postgres", "mariadbd", "mysqld", "Orthanc", "mongod", "oracle"],
        }
    }
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Database {
    pub(crate) kind: Kind,
    /// Its folder; for SQLite the file.
    pub(crate) path: PathBuf,
}

impl Database {
    /// Whether `path` is a part of it that nobody waits for. SQLite's is none: it is opened once a connection, so that holding it costs
    /// little, and what is held comes back whole.
    pub(super) fn lets_pass(&self, path: &Path) -> bool {
        self.kind != Kind::Sqlite && path.starts_with(&self.path)
    }

    /// For SQLite: the file with its log, index and journal.
    pub(crate) fn files(&self) -> [PathBuf; 4] {
        ["", "-wal", "-shm", "-journal"].map(|suffix| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        })
    }

    /// Folders in which no open waits.
    pub(super) fn unheld(&self) -> Vec<PathBuf> {
        if self.kind == Kind::Sqlite {
            return vec![];
        }
        let mut found = vec![self.path.clone()];
        let mut at = 0;
        while let Some(folder) = found.get(at).cloned() {
            let below = fs::read_dir(folder).into_iter().flatten().flatten();
            let folders = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let room = OWN_FOLDERS_MAX.saturating_sub(found.len());
            found.extend(folders.map(|entry| entry.path()).take(room));
            at += 1;
        }
        found
    }

    /// Whether thread `tid` belongs to its server: a program of root's with the server's name, run by the owner of the data.
    pub(super) fn is_server(&self, tid: i32) -> bool {
        let exe = PathBuf::from(format!("/proc/{tid}/exe"));
        let Ok(program) = fs::read_link(&exe) else { return false };
        let is_named = program
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| self.kind.servers().contains(&name));
        is_named
            && fs::metadata(&exe).is_ok_and(|meta| is_roots(&meta))
            && Identity::of(tid).is_some_and(|identity| self.is_owners(identity))
    }

    /// Whether somebody acts as the owner of the data.
    pub(super) fn is_owners(&self, identity: Identity) -> bool {
        fs::metadata(&self.path).is_ok_and(|data| identity.user == data.uid())
    }

    /// What a file of it became, against the copy in the newest snapshot where there is one.
    pub(super) fn evidence(&self, file: &File, path: &Path, snapshot: Option<&Path>) -> Option<FileEvidence> {
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.len() < JUDGED_MIN {
            return None;
        }
        let copy = snapshot.and_then(|snapshot| open(&snapshot.join(path.strip_prefix(&self.path).ok()?)));
        database_evidence(copy.as_ref(), file, FILE_NUMBER | (meta.ino() & (FILE_NUMBER - 1)))
    }
}

/// Of proc_pid_status(5), which also shows a process that has ended until its parent asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// The process that a thread belongs to.
    pub(super) process: i32,
    /// As whom it acts.
    user: u32,
}

impl Identity {
    pub(super) fn of(tid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            process: field("Tgid:")?.trim().parse().ok()?,
            user: field("Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok()?,
        })
    }
}

fn open(path: &Path) -> Option<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// Looks for databases below `dirs`; `true` when not every folder was looked into. Whoever answers for the mounts `left_out` may have
/// stopped to answer: they are not touched.
pub(crate) fn find(dirs: &[PathBuf], named: &[PathBuf], left_out: &[PathBuf]) -> (Vec<Database>, bool) {
    let mut found: Vec<Database> = Vec::new();
    let mut folders: Vec<(PathBuf, usize)> = dirs.iter().map(|dir| (dir.clone(), 0)).collect();
    let (mut seen, mut cut) = (0, false);
    while let Some((folder, depth)) = folders.pop() {
        seen += 1;
        if seen > FOLDERS_MAX || found.len() >= DATABASES_MAX {
            cut = true;
            break;
        }
        if let Some(kind) = server_of(&folder) {
            found.push(Database { kind, path: folder });
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEPTH_MAX && entry.file_name() != SNAPSHOTS {
                folders.extend(Some((entry.path(), depth + 1)).filter(|(path, _)| !left_out.contains(path)));
            } else if kind.is_file() && is_log(&entry.path()) {
                found.extend(sqlite_of(&entry.path()));
            }
        }
    }
    let known = |found: &[Database], dir: &Path| found.iter().any(|database| database.path == dir);
    for dir in named.iter().filter_map(|dir| dir.canonicalize().ok()) {
        if !known(&found, &dir) {
            let kind = if dir.is_dir() { server_of(&dir).unwrap_or(Kind::Named) } else { Kind::Sqlite };
            found.push(Database { kind, path: dir });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    (found, cut)
}

fn server_of(folder: &Path) -> Option<Kind> {
    let is_dir = |name: &str| folder.join(name).is_dir();
    if folder.join("PG_VERSION").is_file() && is_dir("base") && is_dir("global") {
        return Some(Kind::Postgresql);
    }
    (folder.join("ibdata1").is_file() && is_dir("mysql")).then_some(Kind::Mariadb)
}

fn is_log(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"-wal")
}

/// The database that a log belongs to, when it is one now: a ciphered one is guarded as any other file.
fn sqlite_of(log: &Path) -> Option<Database> {
    let path = PathBuf::from(log.to_str()?.strip_suffix("-wal")?);
    let mut head = [0; 16];
    open(&path)?.read_exact(&mut head).ok()?;
    (&head == b"SQLite format 3\0").then_some(Database { kind: Kind::Sqlite, path })
}
