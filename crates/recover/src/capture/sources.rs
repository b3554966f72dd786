//! The sources of a capture: each writes into folders of its own, which get a place in the snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schema::{Census, DatabaseCensus, Exception, SourceCapture};

use crate::adapter::{Place, Source};
use crate::error::Error;

/// All sources, captured.
#[derive(Default)]
pub(super) struct Sources {
    /// From the path in the snapshot to where it lies.
    pub(super) grafts: BTreeMap<PathBuf, PathBuf>,
    /// Paths in the snapshot that are left out.
    pub(super) left_out: Vec<PathBuf>,
    pub(super) captured: Vec<SourceCapture>,
    pub(super) exceptions: Vec<Exception>,
    databases: Vec<DatabaseCensus>,
    /// The newest record of each source that has one.
    newest: Vec<Timestamp>,
}

impl Sources {
    /// One after the other; the first that fails ends it, since half a database is none.
    pub(super) fn capture(
        sources: &[Source],
        staging: &Path,
        now: &dyn Fn() -> Timestamp,
    ) -> Result<Sources, Error> {
        let mut all = Sources::default();
        let mut names = BTreeSet::new();
        for source in sources {
            if !names.insert(source.name.as_str()) {
                let reason = "another source of this backup has the same name; give it one with name=";
                return Err(Error::SourceText { text: source.name.clone(), reason: reason.to_owned() });
            }
            let folder = staging.join(format!("source-{}", source.name));
            make(&folder)?;
            let began = now();
            let taken = source.capture(&Place { name: &source.name, staging: &folder, now })?;
            for (part, at) in taken.parts {
                all.grafts.insert(source.folder().join(part), at);
            }
            all.left_out.extend(taken.left_out.iter().map(|path| source.folder().join(path)));
            all.newest.extend(newest(&taken.databases));
            all.exceptions.extend(taken.exceptions);
            all.databases.extend(taken.databases);
            all.captured.push(SourceCapture {
                name: source.name.clone(),
                kind: source.kind.to_owned(),
                folder: source.folder().to_string_lossy().into_owned(),
                version: taken.version,
                instant: taken.instant.unwrap_or(began),
                details: taken.details,
                not_proven: taken.not_proven,
            });
        }
        Ok(all)
    }

    /// The census of the files, with what the sources promise.
    pub(super) fn complete(&self, files: Census) -> Census {
        complete(files, &self.databases, &self.newest, !self.captured.is_empty())
    }
}

/// The newest record of one source.
pub(crate) fn newest(databases: &[DatabaseCensus]) -> Option<Timestamp> {
    databases.iter().filter_map(|database| database.newest_record).max()
}

/// Adds to what was counted in files what was counted in sources.
///
/// The newest record is the oldest of what each store has as its newest: all of them were promised. Times of files count only
/// where there is nothing else, since a dump is as new as the moment it was written.
pub(crate) fn complete(
    files: Census,
    databases: &[DatabaseCensus],
    newest: &[Timestamp],
    has_sources: bool,
) -> Census {
    if !has_sources {
        return files;
    }
    let records = files.ssmix2.iter().filter_map(|storage| storage.newest_record).max();
    let newest_record = newest.iter().copied().chain(records).min();
    let mut all = files;
    // Files of a source may hold a database that was counted by its adapter too.
    all.databases.retain(|found| databases.iter().all(|other| other.path != found.path));
    all.databases.extend(databases.iter().cloned());
    all.databases.sort_by(|a, b| a.path.cmp(&b.path));
    Census { newest_record, ..all }
}

fn make(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.and_then(|()| std::fs::set_permissions(folder, Permissions::from_mode(0o700)))
        .map_err(|source| Error::Io { op: "make", path: folder.to_path_buf(), source })
}
