use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::RecordName;
use super::locate::{parts, patient_triple, prefix};
use super::name::name_text;

/// The type folder of extended storage: `local^name^system^std^name^system`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentKind {
    /// The hospital's own code.
    pub code: String,
    /// What the hospital calls such a document.
    pub name: String,
    /// The system of the hospital's code.
    pub system: String,
    /// Standard code, such as LOINC 11506-3 for a progress note; empty when there is none.
    pub standard_code: String,
    /// Its name.
    pub standard_name: String,
    /// Its system.
    pub standard_system: String,
}

impl DocumentKind {
    /// Reads a type folder's name; `None` when it has no `^`, which every type of extended storage has.
    pub fn parse(folder_name: &[u8]) -> Option<DocumentKind> {
        let text = name_text(folder_name)?;
        if !text.contains('^') {
            return None;
        }
        let mut parts = text.split('^').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Some(DocumentKind {
            code: next(),
            name: next(),
            system: next(),
            standard_code: next(),
            standard_name: next(),
            standard_system: next(),
        })
    }
}

/// A file in a content folder of extended storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedDocument {
    /// The folder that holds the three-digit patient folders.
    pub root: PathBuf,
    /// What sort of document it belongs to.
    pub kind: DocumentKind,
    /// What the content folder's name says.
    pub name: RecordName,
    /// The file below the content folder.
    pub inside: PathBuf,
    /// The folders around it are not those of its name.
    pub misplaced: bool,
}

/// Recognises a file of extended storage by its path:
/// `root/ID[0:3]/ID[3:6]/ID/{YYYYMMDD|-}/TYPE/CONTENT/…`, where CONTENT is named as a record is.
pub fn locate_document(path: &Path) -> Option<LocatedDocument> {
    let parts = parts(path);
    let (at, patient) = patient_triple(&parts)?;
    let [date, kind, content, inside @ ..] = parts.get(at + 3..)? else { return None };
    if inside.is_empty() {
        return None;
    }
    let kind_text = name_text(kind.as_bytes())?;
    let kind = DocumentKind::parse(kind.as_bytes())?;
    let name = RecordName::parse_extended(content.as_bytes())?;
    let belongs = patient == name.patient.0
        && *date == name.care_date_text().as_str()
        && (name.kind == kind_text || name.kind == kind.code);
    Some(LocatedDocument {
        root: prefix(path, parts.len() - at),
        kind,
        name,
        inside: inside.iter().collect(),
        misplaced: !belongs,
    })
}
