//! The list of all patients.

use std::path::{Path, PathBuf};

use decode::ssmix2::{Flag, locate};
use jiff::civil::Date;
use schema::PatientId;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::banner;
use super::care;
use super::model::{Banner, Bed, Sex, Unread};
use super::record::Record;
use super::source::Source;
use super::storage::{self, list_or_name};

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
    /// of the usual spellings (`1948-04-05`, `19480405`). Every word must fit; spaces in names do not count.
    pub fn search(&self, query: &str) -> Vec<&RosterLine> {
        let words: Vec<String> = query.split_whitespace().map(folded).collect();
        let fits = |line: &&RosterLine| words.iter().all(|word| line.fits(word));
        self.patients.iter().filter(fits).collect()
    }
}

impl RosterLine {
    fn fits(&self, word: &str) -> bool {
        let born = self.birth_date.map(|date| date.strftime("%Y%m%d").to_string());
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        let is_date = digits.len() == 8 && word.chars().all(|c| c.is_ascii_digit() || "-/.".contains(c));
        let texts = [Some(&self.patient.0), self.name.as_ref(), self.kana.as_ref()];
        texts.into_iter().flatten().any(|text| folded(text).contains(word))
            || is_date && born.as_deref() == Some(&*digits)
            || self.bed.as_ref().is_some_and(|bed| folded(&bed.ward) == *word)
    }
}

/// Hiragana and half-width kana as katakana, full-width ASCII as ASCII, compatibility forms of kanji as the kanji, no spaces, no
/// case: `さいとう` and `ｻｲﾄｳ` find `サイトウ`.
fn folded(text: &str) -> String {
    text.nfkc()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            'ぁ'..='ゖ' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
            _ => c,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Reads the demographics and movements of every patient, and nothing else.
pub(super) fn roster(source: &Source<'_>, roots: &[PathBuf], mut unread: Vec<Unread>) -> Roster {
    let mut patients: Vec<RosterLine> = Vec::new();
    for root in roots {
        for (patient, folder) in storage::patient_folders(source, root, &mut unread) {
            let line = line(source, patient, &folder, &mut unread);
            // A patient of two storages has one line, made of what either knows.
            match patients.iter_mut().rev().find(|known| roots.len() > 1 && known.patient == line.patient) {
                Some(known) => known.complete(line),
                None => patients.push(line),
            }
        }
    }
    patients.sort_by(|a, b| a.patient.cmp(&b.patient));
    Roster { patients, unread }
}

impl RosterLine {
    fn complete(&mut self, other: RosterLine) {
        self.name = self.name.take().or(other.name);
        self.kana = self.kana.take().or(other.kana);
        self.birth_date = self.birth_date.or(other.birth_date);
        self.sex = self.sex.or(other.sex);
        self.bed = self.bed.take().or(other.bed);
    }
}

fn line(source: &Source<'_>, patient: PatientId, folder: &Path, unread: &mut Vec<Unread>) -> RosterLine {
    let mut records = Vec::new();
    for date in storage::folders(list_or_name(source, folder, unread)) {
        for kind in storage::folders(list_or_name(source, &date, unread)) {
            let is_wanted =
                ["ADT-00", "ADT-22", "ADT-42", "ADT-52"].iter().any(|wanted| kind.ends_with(wanted));
            if is_wanted {
                open_current(source, &patient, &kind, &mut records, unread);
            }
        }
    }
    let Banner { name, kana, birth_date, sex, .. } = banner::banner(&records, None);
    let bed = care::ward(&records).map(|item| item.value);
    RosterLine { patient, name, kana, birth_date, sex, bed }
}

fn open_current(
    source: &Source<'_>,
    patient: &PatientId,
    kind: &Path,
    records: &mut Vec<Record>,
    unread: &mut Vec<Unread>,
) {
    for entry in list_or_name(source, kind, unread) {
        let Some(located) = locate(&entry.path) else {
            continue;
        };
        if located.name.flag != Flag::Current || located.name.patient != *patient {
            continue;
        }
        match Record::open(source, &entry.path, located.name) {
            Ok(record) => records.push(record),
            Err(damaged) => unread.push(damaged),
        }
    }
}
