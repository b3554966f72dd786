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

/// Folders opened while looking for storages.
const SEARCHED_MAX: usize = 1_000_000;
/// A folder with a storage's name and those below it, so many levels in all, are searched before all others.
const LIKELY_LEVELS: usize = 4;
/// Folders opened while listing one patient.
const FOLDERS_MAX: usize = 50_000;
/// Extensions of files that FHIR is looked for in.
const EXPORTS: [&str; 3] = ["ndjson", "json", "jsonl"];
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

/// What a search for storages came to.
pub(super) struct Found {
    /// Every folder that holds patients' folders. Storages are not searched for further ones inside.
    pub(super) roots: Vec<PathBuf>,
    /// Files beside them whose names are those of FHIR exports; what they hold is not known yet.
    pub(super) exports: Vec<PathBuf>,
    /// Folders that could not be listed; what lies beside them was still found.
    pub(super) unread: Vec<Unread>,
    /// Said on every chart: the search ended before everything was looked at.
    pub(super) cut_short: Option<Unread>,
}

/// Looks for storages: level by level, and first where a folder has a storage's name.
pub(super) fn find(source: &Source<'_>) -> Result<Found, Error> {
    find_within(source, SEARCHED_MAX)
}

fn find_within(source: &Source<'_>, searched_max: usize) -> Result<Found, Error> {
    let mut found = Found { roots: Vec::new(), exports: Vec::new(), unread: Vec::new(), cut_short: None };
    let mut waiting = Waiting { likely: VecDeque::new(), others: VecDeque::new() };
    waiting.others.push_back(source.top().to_path_buf());
    let mut opened = 0;
    while let Some((folder, likely_levels)) = waiting.next() {
        if opened == searched_max {
            found.cut_short = Some(cut_short(source, &folder, opened));
            break;
        }
        opened += 1;
        match source.list(&folder) {
            Ok(entries) if is_root(source, &entries) => found.roots.push(folder),
            Ok(entries) => {
                found.exports.extend(exports(&entries));
                waiting.extend(folders(entries), likely_levels);
            }
            Err(error) if opened == 1 => return Err(error),
            Err(error) => found.unread.push(Unread::new(&folder, "-", &error)),
        }
    }
    Ok(found)
}

/// Bulk exports (`Patient.ndjson`, `Observation.000.ndjson`) and Bundles (`*.json`).
fn exports(entries: &[Entry]) -> impl Iterator<Item = PathBuf> + '_ {
    let is_export = |entry: &&Entry| {
        let extension = entry.path.extension().and_then(OsStr::to_str).unwrap_or_default();
        !entry.is_folder && EXPORTS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    entries.iter().filter(is_export).map(|entry| entry.path.clone())
}

fn cut_short(source: &Source<'_>, next: &Path, opened: usize) -> Unread {
    let cause = format!(
        "the search for record storages ended after {opened} folders, before {}: records elsewhere are not shown",
        next.display()
    );
    Unread::because(source.top(), "-", cause)
}

/// Folders still to be searched.
struct Waiting {
    /// With a storage's name, or so many levels below one that has.
    likely: VecDeque<(PathBuf, usize)>,
    others: VecDeque<PathBuf>,
}

impl Waiting {
    fn next(&mut self) -> Option<(PathBuf, usize)> {
        self.likely.pop_front().or_else(|| Some((self.others.pop_front()?, 0)))
    }

    fn extend(&mut self, folders: impl Iterator<Item = PathBuf>, likely_levels: usize) {
        for folder in folders {
            let levels = match has_storage_name(&folder) {
                true => LIKELY_LEVELS,
                false => likely_levels.saturating_sub(1),
            };
            match levels {
                0 => self.others.push_back(folder),
                _ => self.likely.push_back((folder, levels)),
            }
        }
    }
}

/// Whether a folder is called as storages are: `SSMIX2`, `SS-MIX2_STD`, `ssmix2-standard`.
fn has_storage_name(folder: &Path) -> bool {
    let mut name = file_name(folder).as_bytes().to_ascii_lowercase();
    name.retain(u8::is_ascii_alphanumeric);
    name.windows(5).any(|part| part == b"ssmix")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A source whose top holds `junk` empty folders and, below each of `stores`, one patient.
    fn source(junk: usize, stores: &'static [&'static str]) -> Source<'static> {
        let patient = |store: &&str| Path::new(store).join("000/123/0001234567");
        let folders: Vec<PathBuf> = stores.iter().map(patient).collect();
        let list = move |folder: &Path| {
            let below = folders.iter().filter_map(|path| path.strip_prefix(folder).ok()?.iter().next());
            let mut paths: Vec<_> = below.map(|name| folder.join(name)).collect();
            if folder == Path::new("/") {
                paths.extend((0..junk).map(|number| Path::new("/").join(format!("junk{number:06}"))));
            }
            paths.dedup();
            Ok(paths.into_iter().map(|path| Entry { path, is_folder: true }).collect())
        };
        Source::new("/", list, |_| Ok(Vec::new()))
    }

    fn roots(found: &Found) -> Vec<&str> {
        found.roots.iter().filter_map(|root| root.to_str()).collect()
    }

    #[test]
    fn a_source_with_very_many_folders_is_searched_to_its_end() {
        let found = find(&source(60_000, &["/zz/emr/store"])).unwrap();
        assert_eq!((roots(&found), found.cut_short.is_none()), (vec!["/zz/emr/store"], true));
    }

    #[test]
    fn a_search_that_is_cut_short_gives_what_was_found_and_says_so() {
        let stores = &["/zz/emr/store", "/zz/SS-MIX2_STD/Standard", "/a/store"];
        // The top, its 1002 folders, and then what has a storage's name before what came earlier.
        let found = find_within(&source(1000, stores), 1005).unwrap();
        assert_eq!(roots(&found), ["/zz/SS-MIX2_STD/Standard"]);
        assert!(found.cut_short.unwrap().cause.contains("after 1005 folders"));
        let found = find_within(&source(1000, &["/ssmix2/a/b/store", "/zz/store"]), 10).unwrap();
        assert_eq!((roots(&found), found.cut_short.is_some()), (vec!["/ssmix2/a/b/store"], true));
        let found = find_within(&source(1, &["/store"]), 3).unwrap();
        assert!(found.cut_short.is_none(), "exactly as many as may be opened");
    }

    #[test]
    fn a_chart_says_that_the_search_was_cut_short() {
        let source = source(1000, &["/ssmix2"]);
        let Found { roots, cut_short, .. } = find_within(&source, 10).unwrap();
        let charts = super::super::Charts { roots, cut_short, ..super::super::Charts::open(source).unwrap() };
        let chart = charts.chart(&PatientId("0001234567".into()), None).unwrap();
        assert_eq!((chart.unread.len(), charts.roster().unread.len()), (1, 1));
    }
}
