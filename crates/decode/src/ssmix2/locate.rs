use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use schema::PatientId;

use super::RecordName;
use super::name::is_patient;

/// A record of standardized storage, found by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The folder that holds the three-digit patient folders.
    pub root: PathBuf,
    /// What the file's name says.
    pub name: RecordName,
    /// The folders around the file are not those of its name: another patient, date or type, or another depth.
    pub misplaced: bool,
}

/// Recognises a record of standardized storage by its path, of which nothing is opened.
///
/// The name must be a record's and some folders above it a patient's (`ID[0:3]/ID[3:6]/ID`); where the two
/// disagree the record is `misplaced`. Everything else is `None`: a file like others.
pub fn locate(path: &Path) -> Option<Located> {
    let parts = parts(path);
    let (file, folders) = parts.split_last()?;
    let name = RecordName::parse(file.as_bytes())?;
    let (at, patient) = patient_triple(folders)?;
    let expected = [name.care_date_text(), name.kind.clone()];
    let inside = folders.get(at + 3..).unwrap_or_default();
    let misplaced = patient != name.patient.0 || !inside.iter().copied().eq(expected.iter().map(OsStr::new));
    Some(Located { root: prefix(path, folders.len() + 1 - at), name, misplaced })
}

/// A patient's folder below a storage's root: `ID[0:3]/ID[3:6]/ID`.
pub fn patient_folder(patient: &PatientId) -> PathBuf {
    let (first, second) = shards(&patient.0);
    [first, second, &patient.0].iter().collect()
}

/// The plain names in a path; its root and `.` are left out.
pub(super) fn parts(path: &Path) -> Vec<&OsStr> {
    let plain = |part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    path.components().filter_map(plain).collect()
}

/// The innermost three folders that are a patient's: their position and the id.
pub(super) fn patient_triple<'p>(folders: &[&'p OsStr]) -> Option<(usize, &'p str)> {
    folders.windows(3).enumerate().rev().find_map(|(at, triple)| {
        let id = triple.get(2)?.to_str().filter(|id| is_patient(id))?;
        let (first, second) = shards(id);
        let fits = triple.first() == Some(&OsStr::new(first)) && triple.get(1) == Some(&OsStr::new(second));
        fits.then_some((at, id))
    })
}

/// The path without its last `depth` names.
pub(super) fn prefix(path: &Path, depth: usize) -> PathBuf {
    path.ancestors().nth(depth).unwrap_or(Path::new("")).to_path_buf()
}

/// `ID[0:3]` and `ID[3:6]`. Ids are ASCII, as the name's parser makes sure of.
fn shards(id: &str) -> (&str, &str) {
    let first = id.get(..3).unwrap_or(id);
    let second = id.get(3..6).or_else(|| id.get(3..)).unwrap_or_default();
    (first, second)
}
