//! Finding storages and a patient's files, by names alone.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use decode::ssmix2::{
    Flag, LocatedDocument, RecordKey, RecordName, locate, locate_document, patient_folder,
    resembles_record_name,
};
use schema::PatientId;

use super::model::Unread;
use super::source::{Entry, Source};
use crate::Error;

/// Folders opened while looking for storages, and while listing one patient.
const FOLDERS_MAX: usize = 50_000;
/// Names tried at each level before a folder is taken for none.
const TRIES: usize = 4;

/// What one patient's folders hold, over all storages.
#[derive(Default)]
pub(super) struct PatientFiles {
    /// Current records, one for each key.
    pub(super) records: Vec<(PathBuf, RecordName)>,
    /// Files of current documents.
    pub(super) documents: Vec<(PathBuf, LocatedDocument)>,
    pub(super) unread: Vec<Unread>,
    /// Files with names of neither, such as `Thumbs.db`.
    pub(super) other_files: u64,
    /// Whether any storage has a folder of this patient.
    pub(super) exists: bool,
}

/// Every folder that holds patients' folders. Storages are not searched for further ones inside.
///
/// A folder that cannot be listed is named, and what lies beside it is still found.
pub(super) fn roots(source: &Source<'_>) -> Result<(Vec<PathBuf>, Vec<Unread>), Error> {
    let (mut roots, mut unread) = (Vec::new(), Vec::new());
    let mut waiting = VecDeque::from([source.top().to_path_buf()]);
    let mut opened = 0;
    while let Some(folder) = waiting.pop_front() {
        opened += 1;
        if opened > FOLDERS_MAX {
            let what = source.top().display().to_string();
            return Err(Error::TooLarge { what, size: opened as u64, limit: FOLDERS_MAX as u64 });
        }
        match source.list(&folder) {
            Ok(entries) if is_root(source, &entries) => roots.push(folder),
            Ok(entries) => waiting.extend(folders(entries)),
            Err(error) if opened == 1 => return Err(error),
            Err(error) => unread.push(Unread::new(&folder, "-", &error)),
        }
    }
    Ok((roots, unread))
}

/// Whether below these entries lies `ID[0:3]/ID[3:6]/ID`.
fn is_root(source: &Source<'_>, entries: &[Entry]) -> bool {
    let listed = |entry: &Entry| source.list(&entry.path).unwrap_or_default();
    entries.iter().filter(|entry| is_shard(entry)).take(TRIES).any(|first| {
        listed(first).iter().filter(|entry| is_shard(entry)).take(TRIES).any(|second| {
            listed(second)
                .iter()
                .take(TRIES)
                .any(|patient| patient.is_folder && patient_id(&patient.path).is_some())
        })
    })
}

fn is_shard(entry: &Entry) -> bool {
    entry.is_folder && file_name(&entry.path).as_bytes().len() <= 3
}

/// The id of a patient's folder, when its two parents are the id's own.
pub(super) fn patient_id(folder: &Path) -> Option<PatientId> {
    let id = PatientId(file_name(folder).to_str()?.to_owned());
    (id.0.len() > 3 && folder.ends_with(patient_folder(&id))).then_some(id)
}

/// All patients' folders of a storage, in the order of their ids.
pub(super) fn patient_folders(
    source: &Source<'_>,
    root: &Path,
    unread: &mut Vec<Unread>,
) -> Vec<(PatientId, PathBuf)> {
    let mut level = vec![root.to_path_buf()];
    for _ in 0..3 {
        level = level.iter().flat_map(|folder| folders(list_or_name(source, folder, unread))).collect();
    }
    level.into_iter().filter_map(|folder| Some((patient_id(&folder)?, folder))).collect()
}

/// What a folder lists; a folder that cannot be listed is named in `unread`.
pub(super) fn list_or_name(source: &Source<'_>, folder: &Path, unread: &mut Vec<Unread>) -> Vec<Entry> {
    source.list(folder).unwrap_or_else(|error| {
        unread.push(Unread::new(folder, "-", &error));
        Vec::new()
    })
}

pub(super) fn folders(entries: Vec<Entry>) -> impl Iterator<Item = PathBuf> {
    entries.into_iter().filter(|entry| entry.is_folder).map(|entry| entry.path)
}

pub(super) fn file_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// Lists one patient in all storages, opening no folder of anybody else.
pub(super) fn patient_files(source: &Source<'_>, roots: &[PathBuf], patient: &PatientId) -> PatientFiles {
    let mut files = PatientFiles::default();
    let mut newest = BTreeMap::new();
    for root in roots {
        let folder = root.join(patient_folder(patient));
        if patient_id(&folder).as_ref() != Some(patient) {
            // Typed by a person: `..` or an empty text must not lead to another folder.
            continue;
        }
        match source.list(&folder) {
            Ok(entries) => {
                files.exists = true;
                files.walk(source, patient, entries, &mut newest);
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                files.exists = true;
                files.unread.push(Unread::new(&folder, "-", &error));
            }
        }
    }
    files.records = newest.into_values().collect();
    files
}

fn is_absent(error: &Error) -> bool {
    match error {
        Error::PathNotFound { .. } => true,
        Error::Io { source, .. } => {
            matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}

type Newest = BTreeMap<RecordKey, (PathBuf, RecordName)>;

impl PatientFiles {
    fn walk(&mut self, source: &Source<'_>, patient: &PatientId, entries: Vec<Entry>, newest: &mut Newest) {
        let mut waiting: VecDeque<Entry> = entries.into();
        let mut opened = 0;
        while let Some(entry) = waiting.pop_front() {
            if !entry.is_folder {
                self.sort_in(patient, entry.path, newest);
                continue;
            }
            opened += 1;
            if opened > FOLDERS_MAX {
                let cause = format!("more than {FOLDERS_MAX} folders for one patient");
                self.unread.push(Unread::because(&entry.path, "-", cause));
                return;
            }
            waiting.extend(list_or_name(source, &entry.path, &mut self.unread));
        }
    }

    fn sort_in(&mut self, patient: &PatientId, path: PathBuf, newest: &mut Newest) {
        if let Some(located) = locate(&path) {
            self.sort_record(patient, path, located.name, newest);
        } else if let Some(document) = locate_document(&path) {
            match (document.name.flag, document.misplaced && document.name.patient != *patient) {
                (_, true) => self.unread.push(foreign(&path, &document.kind.name)),
                (Flag::Current, false) => self.documents.push((path, document)),
                (Flag::History | Flag::Deleted, false) => {}
            }
        } else if resembles_record_name(file_name(&path).as_bytes()) {
            let cause = "its name is no longer a record's: something was added to it or cut off";
            self.unread.push(Unread::because(&path, kind_of_folder(&path), cause));
        } else {
            self.other_files += 1;
        }
    }

    fn sort_record(&mut self, patient: &PatientId, path: PathBuf, name: RecordName, newest: &mut Newest) {
        if name.patient != *patient {
            self.unread.push(foreign(&path, kind_of_folder(&path)));
        } else if name.flag == Flag::Current {
            let key = name.key();
            let Some((other_path, other)) = newest.insert(key.clone(), (path.clone(), name.clone())) else {
                return;
            };
            // The same file in two storages is a copy. Two current ones with different names break the
            // standard's rule: the newer one counts and the other is named.
            let older = if other.stamp > name.stamp {
                newest.insert(key, (other_path, other.clone()));
                path
            } else {
                other_path
            };
            if other != name {
                let cause = "a newer record of the same order is current too";
                self.unread.push(Unread::because(&older, &name.kind, cause));
            }
        }
    }
}

fn foreign(path: &Path, kind: &str) -> Unread {
    Unread::because(path, kind, "it lies in this patient's folder and its name is another patient's")
}

fn kind_of_folder(path: &Path) -> &str {
    path.parent().map(file_name).and_then(OsStr::to_str).unwrap_or("-")
}

impl Unread {
    pub(super) fn new(path: &Path, kind: &str, error: &dyn std::error::Error) -> Unread {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Unread::because(path, kind, cause)
    }

    pub(super) fn because(path: &Path, kind: &str, cause: impl Into<String>) -> Unread {
        Unread { path: path.display().to_string(), kind: kind.to_owned(), cause: cause.into() }
    }
}
