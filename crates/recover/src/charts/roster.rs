//! The list of all patients.

use std::path::PathBuf;

use jiff::civil::Date;
use schema::PatientId;
use serde::Serialize;

use super::index::{Query, day_number, folded, scan};
use super::model::{Bed, Sex, Unread};
use super::source::Source;

/// One line for each patient, by id, with what could not be read on the way.
#[derive(Debug, Clone, Serialize)]
pub struct Roster {
    /// The patients.
    pub patients: Vec<RosterLine>,
    /// Folders and records that could not be read; a patient may be missing or nameless because of them.
    pub unread: Vec<Unread>,
}

/// What finds a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RosterLine {
    /// Patient id.
    pub patient: PatientId,
    /// What else the patient is known by: the id of a FHIR resource, an identifier of another system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_ids: Vec<String>,
    /// In kanji.
    pub name: Option<String>,
    /// In kana.
    pub kana: Option<String>,
    /// Date of birth.
    pub birth_date: Option<Date>,
    /// Administrative sex.
    pub sex: Option<Sex>,
    /// Where the patient lies now; `None` for who is not admitted.
    pub bed: Option<Bed>,
}

impl Roster {
    /// The patients that a person at a counter means by `query`: id, name, kana, ward, or birth date in any
    /// of the usual spellings (`1948-04-05`, `19480405`, `昭和23年4月5日`, `S23.4.5`). Every word must fit; spaces in
    /// names do not count.
    pub fn search(&self, query: &str) -> Vec<&RosterLine> {
        let query = Query::parse(query);
        self.patients.iter().filter(|line| line.fits(&query)).collect()
    }
}

impl RosterLine {
    fn fits(&self, query: &Query) -> bool {
        let texts = [Some(&self.patient.0), self.name.as_ref(), self.kana.as_ref()];
        let texts: Vec<String> =
            texts.into_iter().flatten().chain(&self.other_ids).map(|text| folded(text)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let ward = self.bed.as_ref().map(|bed| folded(&bed.ward));
        query.fits(&texts, ward.as_deref(), day_number(self.birth_date))
    }
}

/// Reads the demographics and the last movement of every patient, and nothing else.
pub(super) fn roster(source: &Source<'_>, roots: &[PathBuf], unread: Vec<Unread>) -> Roster {
    let mut roster = Roster { patients: Vec::new(), unread };
    scan(source, roots, &mut |batch| {
        roster.patients.extend(batch.lines);
        roster.unread.extend(batch.unread);
    });
    roster.patients.sort_by(|a, b| a.patient.cmp(&b.patient));
    roster
}

impl RosterLine {
    /// Fills in what another store knows of the same patient.
    pub(super) fn complete(&mut self, other: RosterLine) {
        self.other_ids.extend(other.other_ids);
        self.name = self.name.take().or(other.name);
        self.kana = self.kana.take().or(other.kana);
        self.birth_date = self.birth_date.or(other.birth_date);
        self.sex = self.sex.or(other.sex);
        self.bed = self.bed.take().or(other.bed);
    }
}
