//! What was accepted, as files that an EMR can take in: HL7 messages, SS-MIX2 storages, FHIR transactions, and lists to be signed.
//!
//! Nothing is lost on the way: what a format cannot hold is replaced in plain sight and listed in `export.json`, and the FHIR files
//! hold the notes as they were written.

mod fhir;
mod hl7;
mod jis;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schema::{Lang, PatientId};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Kept;
use super::reconcile::{Choice, Decisions, ExportedFile};
use super::{NoteId, Notes};
use crate::Error;
use crate::charts::{Banner, Sex};
use crate::print::{self, Print};
pub use jis::Replaced;

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Single HL7 messages, one file each.
    Hl7,
    /// The same in the layout of SS-MIX2, standardized and extended storage.
    Ssmix2,
    /// FHIR R4 transactions, one for each patient.
    Fhir,
    /// A list for each patient, to be signed.
    Pdf,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 4] = [Format::Hl7, Format::Ssmix2, Format::Fhir, Format::Pdf];

    /// As the command line has it.
    pub fn tag(self) -> &'static str {
        match self {
            Format::Hl7 => "hl7",
            Format::Ssmix2 => "ssmix2",
            Format::Fhir => "fhir",
            Format::Pdf => "pdf",
        }
    }

    /// The format of that tag.
    pub fn of_tag(tag: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.tag() == tag)
    }
}

/// Who a file is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Patient {
    /// The EMR's id.
    pub id: PatientId,
    /// Family name first, a space between.
    pub name: String,
    /// In kana.
    pub kana: String,
    /// Date of birth.
    pub birth_date: Option<Date>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Whether the patient lies on a ward.
    pub is_inpatient: bool,
}

/// A note that goes into the EMR.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The note.
    pub kept: Kept,
    /// For whose chart.
    pub patient: Patient,
    /// What was decided.
    pub choice: Choice,
    /// The decision's id, who took it and when.
    pub decision: String,
    /// Who took it.
    pub decided_by: String,
    /// When.
    pub decided_at: Timestamp,
}

/// The notes that were taken and that stand, with the EMR's banner of their patient, oldest first. `again`: also those that were
/// exported since they were decided on.
pub fn accepted(
    notes: &Notes,
    decisions: &Decisions,
    again: bool,
    banner: impl Fn(&PatientId) -> Option<Banner>,
) -> Vec<Accepted> {
    let mut banners: BTreeMap<PatientId, Option<Banner>> = BTreeMap::new();
    let standing = decisions.standing();
    let mut found = Vec::new();
    for kept in notes.standing() {
        let Some(standing) = standing.get(&kept.note.id).filter(|standing| standing.choice.exports()) else {
            continue;
        };
        let exported = decisions.exported(&kept.note.id);
        if !again && exported.is_some_and(|exported| exported.at >= standing.decision.at) {
            continue;
        }
        let id = standing.patient.clone();
        let banner = banners.entry(id.clone()).or_insert_with(|| banner(&id)).as_ref();
        found.push(Accepted {
            kept: kept.clone(),
            patient: patient(id, kept, banner),
            choice: standing.choice,
            decision: standing.decision.id.clone(),
            decided_by: standing.decision.by.clone(),
            decided_at: standing.decision.at,
        });
    }
    found.sort_by(|a, b| (&a.patient.id, a.kept.note.at).cmp(&(&b.patient.id, b.kept.note.at)));
    found
}

/// The EMR knows its patients better than a note does; who has no chart yet is described by the note.
fn patient(id: PatientId, kept: &Kept, banner: Option<&Banner>) -> Patient {
    let whom = &kept.note.patient;
    let or = |emr: Option<&String>, note: &str| emr.cloned().unwrap_or_else(|| note.to_owned());
    Patient {
        id,
        name: or(banner.and_then(|banner| banner.name.as_ref()), &whom.name),
        kana: or(banner.and_then(|banner| banner.kana.as_ref()), &whom.kana),
        birth_date: banner.and_then(|banner| banner.birth_date).or(whom.birth_date),
        sex: banner.and_then(|banner| banner.sex),
        is_inpatient: banner.is_some_and(|banner| banner.ward.is_some()),
    }
}

/// Files that are to be written.
#[derive(Debug, Clone, Default)]
pub struct Export {
    /// Path below the folder, and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Characters that HL7's encoding does not have.
    pub replaced: Vec<Replaced>,
    /// The notes in the files.
    pub notes: Vec<NoteId>,
}

impl Export {
    /// Makes the files of the formats.
    pub fn make(
        accepted: &[Accepted],
        formats: &BTreeSet<Format>,
        now: Timestamp,
        zone: &TimeZone,
        lang: Lang,
    ) -> Result<Export, Error> {
        if accepted.iter().any(|one| !super::identity::is_record_id(&one.patient.id)) {
            return Err(Error::Decision { cause: super::reconcile::Refusal::NotAnId });
        }
        let mut export = Export {
            notes: accepted.iter().map(|one| one.kept.note.id.clone()).collect(),
            ..Export::default()
        };
        if formats.contains(&Format::Hl7) || formats.contains(&Format::Ssmix2) {
            storage::add(&mut export, accepted, formats, now, zone);
        }
        if formats.contains(&Format::Fhir) {
            for (id, group) in by_patient(accepted) {
                let bundle = serde_json::to_vec_pretty(&fhir::bundle(&group, zone, now))
                    .map_err(|source| Error::Engine { op: "write FHIR", source: source.into() })?;
                export.add(format!("fhir/{}.json", file_part(id)), bundle);
            }
        }
        if formats.contains(&Format::Pdf) {
            for (id, group) in by_patient(accepted) {
                let pdf = pdf(&group, now, zone, lang).map_err(|fault| Error::Engine {
                    op: "print the notes",
                    source: std::io::Error::other(fault),
                })?;
                export.add(format!("pdf/{}.pdf", file_part(id)), pdf);
            }
        }
        Ok(export)
    }

    /// One file more.
    fn add(&mut self, path: String, bytes: Vec<u8>) {
        self.files.push((path, bytes));
    }

    /// Writes everything below a folder that is new or empty, readable by its owner alone, and returns what is there.
    pub fn write(
        &self,
        dir: &Path,
        accepted: &[Accepted],
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<ExportedFile>, Error> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { op: "write", path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
        if fs::read_dir(dir).map_err(failed(dir))?.next().is_some() {
            return Err(Error::NotEmpty { dir: dir.to_path_buf() });
        }
        let mut written = Vec::new();
        for (path, bytes) in &self.files {
            put(dir, path, bytes).map_err(failed(&dir.join(path)))?;
            written.push(ExportedFile {
                path: path.clone(),
                sha256: hex::encode(Sha256::digest(bytes)),
                bytes: bytes.len() as u64,
            });
        }
        let list = self.manifest(accepted, &written, by, now);
        let bytes = serde_json::to_vec_pretty(&list)
            .map_err(|source| Error::Engine { op: "write the list of files", source: source.into() })?;
        put(dir, "export.json", &bytes).map_err(failed(dir))?;
        written.push(ExportedFile {
            path: "export.json".to_owned(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes: bytes.len() as u64,
        });
        Ok(written)
    }

    fn manifest(
        &self,
        accepted: &[Accepted],
        written: &[ExportedFile],
        by: &str,
        now: Timestamp,
    ) -> serde_json::Value {
        let notes: Vec<_> = accepted
            .iter()
            .map(|one| {
                json!({"note": one.kept.note.id, "patient": one.patient.id, "author": one.kept.note.author,
                    "written_at": one.kept.note.written_at, "choice": one.choice, "decision": one.decision,
                    "decided_by": one.decided_by, "decided_at": one.decided_at})
            })
            .collect();
        json!({"made_at": now, "by": by, "notes": notes, "files": written, "replaced_characters": self.replaced})
    }
}

fn pdf(group: &[&Accepted], now: Timestamp, zone: &TimeZone, lang: Lang) -> Result<Vec<u8>, print::Fault> {
    let mut print = Print::new(lang, zone.clone(), now.to_zoned(zone.clone()).datetime())?;
    print.downtime_notes(group)?;
    Ok(print.finish()?.0)
}

/// The notes of each patient.
fn by_patient(accepted: &[Accepted]) -> BTreeMap<&PatientId, Vec<&Accepted>> {
    let mut groups: BTreeMap<&PatientId, Vec<&Accepted>> = BTreeMap::new();
    for one in accepted {
        groups.entry(&one.patient.id).or_default().push(one);
    }
    groups
}

/// An id as part of a file's name, whatever it holds.
fn file_part(id: &PatientId) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    id.0.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn put(dir: &Path, path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = dir.join(path);
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
