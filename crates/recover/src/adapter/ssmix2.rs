//! SS-MIX2 standardized storage: counted by its names, without opening a file.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use decode::ssmix2::{Flag, RecordName, locate};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Census, DatabaseCensus, PatientId, Ssmix2Census};

/// Counts files one by one; memory grows with patients and current keys (8 bytes a key), not with contents.
pub struct Tally {
    zone: TimeZone,
    census: Census,
    storages: BTreeMap<PathBuf, Storage>,
    newest_file: Option<Timestamp>,
}

#[derive(Default)]
struct Storage {
    census: Ssmix2Census,
    patients: HashSet<PatientId>,
    /// Hashes of the keys that have a current file: 8 bytes instead of four strings for each.
    current_keys: HashSet<u64>,
}

impl Tally {
    /// `zone` is the hospital's: time stamps in SS-MIX2 names are local times.
    pub fn new(zone: TimeZone) -> Tally {
        Tally { zone, census: Census::default(), storages: BTreeMap::new(), newest_file: None }
    }

    /// Counts one regular file; `path` is the one on the protected host.
    pub fn file(&mut self, path: &Path, bytes: u64, modified: Option<Timestamp>) {
        self.census.files += 1;
        self.census.bytes += bytes;
        self.newest_file = self.newest_file.max(modified);
        if let Some(located) = locate(path) {
            let zone = &self.zone;
            self.storages.entry(located.root).or_default().record(&located.name, zone);
        }
    }

    /// Ids of all patients seen, over all storages.
    pub fn patients(&self) -> HashSet<PatientId> {
        self.storages.values().flat_map(|storage| storage.patients.iter().cloned()).collect()
    }

    /// The census, with the databases that were counted elsewhere.
    pub fn finish(self, mut databases: Vec<DatabaseCensus>) -> Census {
        databases.sort_by(|a, b| a.path.cmp(&b.path));
        let ssmix2: Vec<Ssmix2Census> =
            self.storages.into_iter().map(|(root, storage)| storage.finish(&root)).collect();
        let newest_record =
            ssmix2.iter().filter_map(|storage| storage.newest_record).max().or(self.newest_file);
        Census { ssmix2, databases, newest_record, ..self.census }
    }
}

impl Storage {
    fn record(&mut self, name: &RecordName, zone: &TimeZone) {
        if !self.patients.contains(&name.patient) {
            self.patients.insert(name.patient.clone());
        }
        let census = &mut self.census;
        census.newest_record = census.newest_record.max(recorded_at(name, zone));
        match name.flag {
            Flag::History => census.history += 1,
            Flag::Deleted => census.deleted += 1,
            Flag::Current => {
                census.current += 1;
                *census.current_by_type.entry(name.kind.clone()).or_default() += 1;
                if !self.current_keys.insert(key_hash(name)) {
                    census.duplicate_current += 1;
                }
            }
        }
    }

    fn finish(self, root: &Path) -> Ssmix2Census {
        Ssmix2Census {
            root: root.to_string_lossy().into_owned(),
            patients: self.patients.len() as u64,
            ..self.census
        }
    }
}

fn recorded_at(name: &RecordName, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(name.recorded_at()?).ok()
}

fn key_hash(name: &RecordName) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.key().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(paths: &[&str]) -> Census {
        let mut tally = Tally::new(TimeZone::UTC);
        for path in paths {
            tally.file(Path::new(path), 10, Some(Timestamp::UNIX_EPOCH));
        }
        tally.finish(Vec::new())
    }

    #[test]
    fn flags_types_patients_and_double_current_files_are_counted() {
        let census = tally(&[
            "/s/000/000/0000001/20180101/OML-11/0000001_20180101_OML-11_000000000000001_20180101090000000_01_1",
            "/s/000/000/0000001/20180101/OML-11/0000001_20180101_OML-11_000000000000001_20180102090000000_01_1",
            "/s/000/000/0000001/20180101/OML-11/0000001_20180101_OML-11_000000000000001_20180101080000000_01_2",
            "/s/000/000/0000002/-/ADT-00/0000002_-_ADT-00_999999999999999_20180103090000000_-_0",
            "/s/readme.txt",
        ]);
        assert_eq!((census.files, census.bytes, census.patients(), census.records()), (5, 50, 2, 4));
        let storage = &census.ssmix2[0];
        assert_eq!(storage.root, "/s");
        assert_eq!(
            (storage.current, storage.history, storage.deleted, storage.duplicate_current),
            (2, 1, 1, 1)
        );
        assert_eq!(storage.current_by_type["OML-11"], 2);
        assert_eq!(census.newest_record, "2018-01-03T09:00:00Z".parse().ok());
    }

    #[test]
    fn a_folder_without_records_takes_its_newest_time_from_its_files() {
        assert_eq!(tally(&["/home/a.txt"]).newest_record, Some(Timestamp::UNIX_EPOCH));
    }
}
