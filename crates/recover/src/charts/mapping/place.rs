//! Taking a database out of a snapshot or a folder.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::SourceCapture;

use super::engine::{self, Link};
use super::file::{Engine, Mapping};
use crate::adapter::{Engines, FOLDER, Restored, sqlite};
use crate::vault::{Snapshot, Vault};
use crate::{Error, manifest};

/// Where a database lies.
pub enum Origin<'o> {
    /// In a snapshot of a vault.
    Snapshot(&'o Vault, &'o Snapshot),
    /// In a folder on disk into which a snapshot was restored, or, for an SQLite file, in any.
    Folder(&'o Path),
}

/// Two empty folders of mode 0700, which their owner removes at the end: what lies in them are patients' data in the clear.
pub struct Rooms<'r> {
    /// What is taken out of the snapshot.
    pub restored: &'r Path,
    /// Where servers run.
    pub engines: &'r Path,
}

/// A restored dump with all that starting it takes.
pub(super) struct Dump {
    source: SourceCapture,
    folder: PathBuf,
    engines: PathBuf,
    pub(super) database: String,
}

impl Dump {
    pub(super) fn engines(&self) -> Result<Engines, Error> {
        Engines::new(&self.engines)
    }

    pub(super) fn restored<'r>(&'r self, engines: &'r Engines) -> Restored<'r> {
        Restored { source: &self.source, expected: &[], folder: &self.folder, engines }
    }
}

/// Opens it, and says where it lies in the snapshot.
pub(super) fn open(
    mapping: &Mapping,
    origin: &Origin<'_>,
    rooms: &Rooms<'_>,
    zone: &TimeZone,
) -> Result<(Link, String), Error> {
    match mapping.kind {
        Engine::Sqlite => {
            let file = mapping.file.as_deref().unwrap_or(Path::new("/"));
            Ok((engine::sqlite(file_of(file, origin, rooms)?)?, file.display().to_string()))
        }
        Engine::Postgresql => {
            let dump = dump(mapping, &["postgresql"], origin, rooms)?;
            let path = dump.source.folder.clone();
            Ok((engine::postgresql(dump, zone)?, path))
        }
        Engine::Mariadb => {
            let dump = dump(mapping, &["mariadb", "mariadb-copy"], origin, rooms)?;
            let path = dump.source.folder.clone();
            Ok((engine::mariadb(dump, zone)?, path))
        }
    }
}

/// A copy of an SQLite file that nobody else writes to.
fn file_of(file: &Path, origin: &Origin<'_>, rooms: &Rooms<'_>) -> Result<PathBuf, Error> {
    match origin {
        Origin::Snapshot(vault, snapshot) => {
            // A missing path is no error to a restore, which would bring nothing.
            vault.files(snapshot).entry(file)?;
            vault.restore(snapshot, rooms.restored, &[file.to_path_buf()], &|_| {})?;
            Ok(below(rooms.restored, file))
        }
        Origin::Folder(dir) => {
            let copy = rooms.restored.join("database");
            sqlite::capture(&below(dir, file), &copy)?;
            Ok(copy)
        }
    }
}

fn below(dir: &Path, path: &Path) -> PathBuf {
    dir.join(path.strip_prefix("/").unwrap_or(path))
}

fn dump(mapping: &Mapping, kinds: &[&str], origin: &Origin<'_>, rooms: &Rooms<'_>) -> Result<Dump, Error> {
    let (source, folder) = match origin {
        Origin::Snapshot(vault, snapshot) => {
            let sources =
                manifest::read(vault, snapshot)?.map(|manifest| manifest.sources).unwrap_or_default();
            let source = chosen(mapping, kinds, sources)?;
            let path = PathBuf::from(&source.folder);
            vault.restore(snapshot, rooms.restored, std::slice::from_ref(&path), &|_| {})?;
            let folder = below(rooms.restored, &path);
            (source, folder)
        }
        Origin::Folder(dir) => {
            let source = in_folder(mapping, kinds, dir)?;
            let folder = below(dir, Path::new(&source.folder));
            (source, folder)
        }
    };
    let database = mapping.database.clone().unwrap_or_default();
    Ok(Dump { source, folder, engines: rooms.engines.to_path_buf(), database })
}

/// The source that the mapping names, or the only one of its kind.
fn chosen(mapping: &Mapping, kinds: &[&str], sources: Vec<SourceCapture>) -> Result<SourceCapture, Error> {
    let names: Vec<String> =
        sources.iter().map(|source| format!("{}:{}", source.kind, source.name)).collect();
    let fits = |source: &SourceCapture| {
        kinds.contains(&source.kind.as_str())
            && mapping.source.as_ref().is_none_or(|name| *name == source.name)
    };
    let mut found: Vec<SourceCapture> = sources.into_iter().filter(fits).collect();
    let reason = match found.len() {
        1 => return Ok(found.remove(0)),
        0 if names.is_empty() => "the snapshot holds no captured database".to_owned(),
        0 => format!("the snapshot holds {} and none that fits", names.join(", ")),
        _ => format!("the snapshot holds {}: name the one that is meant", names.join(", ")),
    };
    Err(Error::Mapping { what: "source".to_owned(), reason })
}

/// A restored folder has no manifest beside it, so that the kind is told from what lies there.
fn in_folder(mapping: &Mapping, kinds: &[&str], dir: &Path) -> Result<SourceCapture, Error> {
    let sources = below(dir, Path::new(FOLDER));
    let entries =
        fs::read_dir(&sources).map_err(|source| Error::Io { op: "list", path: sources.clone(), source })?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let has = |part: &str| entry.path().join(part).exists();
        let kind = match () {
            () if has("dump/databases.sql") => "mariadb",
            () if has("dump/globals.sql") => "postgresql",
            () if has("files") => "mariadb-copy",
            () => continue,
        };
        let folder = Path::new(FOLDER).join(&name).display().to_string();
        found.push(SourceCapture {
            name,
            kind: kind.to_owned(),
            folder,
            version: String::new(),
            instant: Timestamp::UNIX_EPOCH,
            details: std::collections::BTreeMap::new(),
            not_proven: Vec::new(),
        });
    }
    chosen(mapping, kinds, found)
}
