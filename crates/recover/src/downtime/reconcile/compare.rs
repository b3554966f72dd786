//! One note held against one chart: what the EMR already has of it, part by part.

use jiff::civil::DateTime;
use schema::Lang;
use serde::Serialize;

use super::candidate::{Candidate, candidates};
use crate::charts::{Chart, Provenance};
use crate::downtime::Note;
use crate::downtime::identity::folded;
use crate::downtime::words::Part;

/// How a note and the EMR stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Both have it and differ in more than the time.
    Conflict,
    /// The EMR has nothing like it.
    OnlyInNotes,
    /// Both have it, at different times.
    TimeOnly,
    /// Both have it, the same in everything that the note says.
    Equal,
}

impl State {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            State::Conflict => lang.pick("conflict", "相違あり"),
            State::OnlyInNotes => lang.pick("only in the notes", "停止中の記録のみ"),
            State::TimeOnly => lang.pick("in both, times differ", "両方にあり（日時のみ相違）"),
            State::Equal => lang.pick("in both, equal", "両方にあり（一致）"),
        }
    }
}

/// One part of a note beside what the EMR has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDiff {
    /// Which part.
    pub part: Part,
    /// As the note has it; may be empty.
    pub note: String,
    /// As the EMR has it; may be empty.
    pub emr: String,
    /// `None`: the EMR's records have no place for it, or the note does not say it.
    pub agrees: Option<bool>,
}

/// What the EMR has that a note was held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counterpart {
    /// Its record.
    pub from: Provenance,
    /// When, as the EMR has it.
    pub at: Option<DateTime>,
}

/// A note held against a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The outcome.
    pub state: State,
    /// What the EMR has, where it has something.
    pub counterpart: Option<Counterpart>,
    /// Both sides, part by part.
    pub fields: Vec<FieldDiff>,
}

/// Holds a note against a chart. Nothing is decided by it.
pub fn compare(note: &Note, chart: &Chart, lang: Lang) -> Finding {
    let said = note.entry.parts(lang);
    // The nearest in time, and of several at one time the one that agrees best.
    let held = candidates(note, chart, lang).into_iter().map(|found| (fields(note, &said, &found), found));
    let nearest = held.min_by_key(|(fields, found)| (found.distance(note.at), differing(fields)));
    let Some((fields, found)) = nearest else { return alone(note, lang) };
    let state = match fields.split_first() {
        Some((_, rest)) if differing(rest) > 0 => State::Conflict,
        Some((time, _)) if time.agrees == Some(false) => State::TimeOnly,
        _ => State::Equal,
    };
    Finding { state, counterpart: Some(Counterpart { from: found.from, at: found.at }), fields }
}

/// Both sides, the time first.
fn fields(note: &Note, said: &[(Part, String)], found: &Candidate) -> Vec<FieldDiff> {
    let mut fields = vec![time(note.at, found)];
    fields.extend(said.iter().map(|(part, text)| found.held_against(*part, text)));
    // What only the EMR says is shown, and is no conflict.
    for (part, emr) in found.parts.iter().filter(|(part, _)| !said.iter().any(|(known, _)| known == part)) {
        fields.push(FieldDiff { part: *part, note: String::new(), emr: emr.clone(), agrees: None });
    }
    fields
}

fn differing(fields: &[FieldDiff]) -> usize {
    fields.iter().filter(|field| field.agrees == Some(false)).count()
}

/// A note of which the EMR has nothing.
pub(super) fn alone(note: &Note, lang: Lang) -> Finding {
    let alone = |(part, note): (Part, String)| FieldDiff { part, note, emr: String::new(), agrees: None };
    let mut fields = vec![alone((Part::Time, minute(note.at)))];
    fields.extend(note.entry.parts(lang).into_iter().map(alone));
    Finding { state: State::OnlyInNotes, counterpart: None, fields }
}

fn time(at: DateTime, found: &Candidate) -> FieldDiff {
    let emr =
        found.at.map(|at| if found.is_day { at.date().to_string() } else { minute(at) }).unwrap_or_default();
    let agrees =
        found.at.map(|emr| if found.is_day { emr.date() == at.date() } else { minute(emr) == minute(at) });
    FieldDiff { part: Part::Time, note: minute(at), emr, agrees }
}

pub(super) fn minute(at: DateTime) -> String {
    crate::charts::words::minute(at)
}

impl Candidate {
    fn held_against(&self, part: Part, note: &str) -> FieldDiff {
        let emr = self.parts.iter().find(|(known, _)| *known == part).map(|(_, emr)| emr.clone());
        let agrees = match &emr {
            // The EMR's records have no place for it.
            None if self.silent.contains(&part) => None,
            // It could be said there and is not.
            None => Some(false),
            Some(emr) if emr.trim().is_empty() => Some(false),
            Some(emr) => Some(agree(part, note, emr)),
        };
        FieldDiff { part, note: note.to_owned(), emr: emr.unwrap_or_default(), agrees }
    }
}

/// Whether two spellings say the same.
fn agree(part: Part, note: &str, emr: &str) -> bool {
    let number = |text: &str| -> Option<f64> { text.split_whitespace().next()?.parse().ok() };
    match part {
        Part::Dose => same_amount(note, emr),
        Part::Text => {
            let (note, emr) = (folded(note), folded(emr));
            note == emr || emr.contains(&note)
        }
        part if !part.unit().is_empty() || part == Part::Pain => match (number(note), number(emr)) {
            (Some(note), Some(emr)) => (note - emr).abs() < 1e-9,
            _ => false,
        },
        _ => folded(note) == folded(emr),
    }
}

/// Units as the two sides may write them.
const UNITS: &[(&str, &[&str])] = &[
    ("ml", &["ml", "ミリリットル", "cc"]),
    ("mg", &["mg", "ミリグラム"]),
    ("g", &["g", "グラム"]),
    ("ug", &["ug", "μg", "µg", "mcg", "マイクログラム"]),
    ("錠", &["錠", "t", "tab", "tablet", "tablets"]),
    ("カプセル", &["カプセル", "c", "cap", "cp", "capsule"]),
    ("包", &["包", "p"]),
    ("単位", &["単位", "u", "iu", "units", "unit"]),
    ("本", &["本", "瓶", "v", "a", "アンプル", "バイアル", "袋"]),
];

/// `1錠` and `1 T` are the same; `1錠` and `2錠` are not; `500mg` and `1錠` cannot be told and are not.
pub(super) fn same_amount(a: &str, b: &str) -> bool {
    let (a, b) = (folded(a), folded(b));
    let split = |text: &str| -> Option<(f64, String)> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end)?;
        let known = UNITS.iter().find(|(_, spellings)| spellings.contains(&unit));
        Some((number.parse().ok()?, known.map_or(unit, |(unit, _)| unit).to_owned()))
    };
    match (split(&a), split(&b)) {
        (Some((a, unit_a)), Some((b, unit_b))) => (a - b).abs() < 1e-9 && unit_a == unit_b,
        _ => a == b,
    }
}

/// Whether two names may mean the same drug, test or diet: near enough to be held against each other, not to be taken as equal.
pub(super) fn similar(a: &str, b: &str) -> bool {
    let (a, b) = (folded(a), folded(b));
    if a.is_empty() || b.is_empty() {
        return false;
    }
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    a.contains(&b) || b.contains(&a) || shared >= 4
}
