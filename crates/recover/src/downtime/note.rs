//! One downtime note, as it is written, stored and handed on (JSON).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use schema::PatientId;
use serde::{Deserialize, Serialize};

/// Characters of a free text.
pub const LINES_MAX: usize = 20_000;
/// Characters of any other field.
const FIELD_MAX: usize = 200;

/// 32 lowercase hexadecimal digits, drawn at random where the note is written: notes of many devices never collide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoteId(pub String);

/// What somebody wrote down about one patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Which note.
    pub id: NoteId,
    /// When it was written, by the device's clock.
    pub written_at: Timestamp,
    /// When what it says took place, by the hospital's clock.
    pub at: DateTime,
    /// Who wrote it, as the device knows them.
    pub author: String,
    /// Where it was written: `viewer`, a bundle's id, `paper`.
    pub device: String,
    /// About whom.
    pub patient: Whom,
    /// The snapshot whose chart was on the screen; `None` for paper and for patients who are in no snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The note that this one replaces, because it was mistaken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<NoteId>,
    /// What it says.
    pub entry: Entry,
}

/// The patient, and how the writer made sure of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    /// The id of the chart; `None` for who was first seen during the downtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PatientId>,
    /// The number of a downtime form, for who has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_number: Option<String>,
    /// Name as the writer saw it.
    #[serde(default)]
    pub name: String,
    /// Kana as the writer saw it.
    #[serde(default)]
    pub kana: String,
    /// Date of birth as the patient or the wristband said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Date>,
    /// What was compared with the patient: two or more.
    pub checked: BTreeSet<Identifier>,
}

/// What tells one patient from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identifier {
    /// The patient id, read from the wristband or card.
    Id,
    /// The full name, said by the patient.
    Name,
    /// The date of birth, said by the patient.
    BirthDate,
    /// The number of the downtime form.
    DowntimeNumber,
}

/// The four kinds of note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Measured at the bedside.
    Vitals(Vitals),
    /// Asked for.
    Order(Order),
    /// A drug that was given, or was not.
    Given(Given),
    /// Anything else.
    Text(Text),
}

/// What was measured; what is `None` was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vitals {
    /// °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Beats per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulse: Option<u16>,
    /// mmHg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systolic: Option<u16>,
    /// mmHg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diastolic: Option<u16>,
    /// Breaths per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respiration: Option<u16>,
    /// SpO₂ in per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spo2: Option<u8>,
    /// kg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// 0 (none) to 10 (worst imaginable).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pain: Option<u8>,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which sort.
    pub order: OrderKind,
    /// What: drug, test, diet, as written.
    pub what: String,
    /// Dose, times, days, as written; may be empty.
    #[serde(default)]
    pub directions: String,
    /// Who ordered it, when that is not who wrote the note.
    #[serde(default)]
    pub ordered_by: String,
}

/// Sorts of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// By mouth or on the skin.
    Prescription,
    /// Injection or infusion.
    Injection,
    /// Laboratory.
    Lab,
    /// Radiology, endoscopy, physiology.
    Examination,
    /// Meals.
    Meal,
    /// Anything else.
    Other,
}

/// A drug at the bedside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// As written.
    pub drug: String,
    /// Amount with its unit.
    #[serde(default)]
    pub dose: String,
    /// By mouth, intravenous, …, as written.
    #[serde(default)]
    pub route: String,
    /// Number of the order in the chart that it was given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// `false`: it was due and was not given; the reason stands in `remark`.
    pub was_given: bool,
    /// May be empty.
    #[serde(default)]
    pub remark: String,
}

/// Free text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// At most [`LINES_MAX`] characters; line feeds allowed.
    pub text: String,
}

/// Why a note cannot be taken. Each names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Neither an id nor a downtime number, or both empty.
    #[error("the note names no patient")]
    Nobody,
    /// The wrong-patient entry is the commonest harm of a downtime.
    #[error("two identifiers must have been compared with the patient, {0} was")]
    Identifiers(usize),
    /// An identifier was compared that the note does not hold.
    #[error("{0:?} was compared with the patient, and the note does not say it")]
    Unsaid(Identifier),
    /// The id of the note is not 32 hexadecimal digits.
    #[error("the note's id is not 32 hexadecimal digits")]
    Id,
    /// Nothing was written.
    #[error("the note says nothing")]
    Empty,
    /// A field is longer than it may be, or holds control characters.
    #[error("{0} is too long or holds control characters")]
    Field(&'static str),
    /// A value that no living patient has.
    #[error("{0} is out of the range that can be measured")]
    Range(&'static str),
    /// Nothing can have taken place later than it was written, by more than two days.
    #[error("what the note says lies in the future")]
    Future,
}

impl Note {
    /// Whether the note may be taken as it is; every door calls it, whatever the device has checked before.
    pub fn check(&self) -> Result<(), Fault> {
        let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        let is_id = |id: &NoteId| id.0.len() == 32 && id.0.bytes().all(is_hex);
        if !is_id(&self.id) || self.replaces.as_ref().is_some_and(|id| !is_id(id)) {
            return Err(Fault::Id);
        }
        line("author", &self.author)?;
        line("device", &self.device)?;
        line("snapshot", self.snapshot.as_deref().unwrap_or_default())?;
        if self.author.trim().is_empty() {
            return Err(Fault::Field("author"));
        }
        self.patient.check()?;
        // Clocks of tablets are wrong by hours, and hospitals lie up to 14 hours from UTC, in which this is compared.
        let latest = self.written_at.as_second().saturating_add(2 * 86_400);
        if self.at.to_zoned(jiff::tz::TimeZone::UTC).map_or(true, |at| at.timestamp().as_second() > latest) {
            return Err(Fault::Future);
        }
        self.entry.check()
    }
}

impl Whom {
    fn check(&self) -> Result<(), Fault> {
        let id = self.id.as_ref().map_or("", |id| &id.0);
        let number = self.downtime_number.as_deref().unwrap_or_default();
        line("patient id", id)?;
        line("downtime number", number)?;
        line("name", &self.name)?;
        line("kana", &self.kana)?;
        if id.trim().is_empty() && number.trim().is_empty() {
            return Err(Fault::Nobody);
        }
        if self.checked.len() < 2 {
            return Err(Fault::Identifiers(self.checked.len()));
        }
        let unsaid = |identifier: &&Identifier| match identifier {
            Identifier::Id => id.trim().is_empty(),
            Identifier::DowntimeNumber => number.trim().is_empty(),
            Identifier::Name => self.name.trim().is_empty() && self.kana.trim().is_empty(),
            Identifier::BirthDate => self.birth_date.is_none(),
        };
        self.checked.iter().find(unsaid).map_or(Ok(()), |unsaid| Err(Fault::Unsaid(*unsaid)))
    }
}

impl Entry {
    fn check(&self) -> Result<(), Fault> {
        match self {
            Entry::Vitals(vitals) => vitals.check(),
            Entry::Order(order) => {
                line("what was ordered", &order.what)?;
                line("directions", &order.directions)?;
                line("ordered by", &order.ordered_by)?;
                said(&order.what)
            }
            Entry::Given(given) => {
                line("drug", &given.drug)?;
                line("dose", &given.dose)?;
                line("route", &given.route)?;
                line("order", given.order.as_deref().unwrap_or_default())?;
                line("remark", &given.remark)?;
                said(&given.drug)?;
                // A dose that was left out without a reason is the question that everybody asks next.
                if given.was_given { Ok(()) } else { said(&given.remark) }
            }
            Entry::Text(Text { text }) => {
                let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
                if text.chars().nth(LINES_MAX).is_some() || text.chars().any(is_odd) {
                    return Err(Fault::Field("text"));
                }
                said(text)
            }
        }
    }
}

impl Vitals {
    fn check(&self) -> Result<(), Fault> {
        if *self == Vitals::default() {
            return Err(Fault::Empty);
        }
        let within = |name, value: Option<f64>, low: f64, high: f64| match value {
            Some(value) if !(low..=high).contains(&value) => Err(Fault::Range(name)),
            _ => Ok(()),
        };
        within("temperature", self.temperature, 20.0, 46.0)?;
        within("pulse", self.pulse.map(f64::from), 0.0, 350.0)?;
        within("systolic pressure", self.systolic.map(f64::from), 0.0, 350.0)?;
        within("diastolic pressure", self.diastolic.map(f64::from), 0.0, 250.0)?;
        within("respiration", self.respiration.map(f64::from), 0.0, 120.0)?;
        within("SpO2", self.spo2.map(f64::from), 0.0, 100.0)?;
        within("weight", self.weight, 0.2, 650.0)?;
        within("pain", self.pain.map(f64::from), 0.0, 10.0)
    }
}

fn line(name: &'static str, text: &str) -> Result<(), Fault> {
    match text.chars().nth(FIELD_MAX).is_some() || text.chars().any(char::is_control) {
        true => Err(Fault::Field(name)),
        false => Ok(()),
    }
}

fn said(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() { Err(Fault::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = r#"{"id": "00112233445566778899aabbccddeeff", "written_at": "2018-10-16T05:40:00Z", "at": "2018-10-16T14:30:00",
        "author": "看護師 山田", "device": "viewer", "patient": {"id": "0001234567", "name": "斎藤 花子", "birth_date": "1948-04-05",
        "checked": ["name", "birth_date"]}, "entry": {"vitals": {"temperature": 37.2, "pulse": 88}}}"#;

    fn note(change: impl FnOnce(&mut serde_json::Value)) -> Result<Result<(), Fault>, serde_json::Error> {
        let mut value: serde_json::Value = serde_json::from_str(NOTE).unwrap();
        change(&mut value);
        serde_json::from_value::<Note>(value).map(|note| note.check())
    }

    #[test]
    fn a_note_reads_back_as_it_was_written() {
        let note: Note = serde_json::from_str(NOTE).unwrap();
        assert_eq!(note.check(), Ok(()));
        let again: Note = serde_json::from_str(&serde_json::to_string(&note).unwrap()).unwrap();
        assert_eq!(again, note);
    }

    #[test]
    fn what_no_door_takes() {
        use serde_json::json;
        type Change = fn(&mut serde_json::Value);
        let cases: &[(Change, Fault)] = &[
            (|v| v["patient"]["checked"] = json!(["name"]), Fault::Identifiers(1)),
            (|v| v["patient"]["checked"] = json!(["name", "name"]), Fault::Identifiers(1)),
            (
                |v| v["patient"]["checked"] = json!(["name", "downtime_number"]),
                Fault::Unsaid(Identifier::DowntimeNumber),
            ),
            (|v| v["patient"]["id"] = json!(" "), Fault::Nobody),
            (|v| v["id"] = json!("../../../etc/passwd-aaaaaaaaaaaaa"), Fault::Id),
            (|v| v["entry"]["vitals"] = json!({}), Fault::Empty),
            (|v| v["entry"]["vitals"] = json!({"temperature": 98.6}), Fault::Range("temperature")),
            (|v| v["author"] = json!("a\u{1b}[2J"), Fault::Field("author")),
            (|v| v["author"] = json!("x".repeat(201)), Fault::Field("author")),
            (|v| v["at"] = json!("2019-10-16T14:30:00"), Fault::Future),
            (|v| v["entry"] = json!({"text": {"text": "\u{3000}"}}), Fault::Empty),
            (|v| v["entry"] = json!({"given": {"drug": "ワーファリン", "was_given": false}}), Fault::Empty),
        ];
        for (change, fault) in cases {
            assert_eq!(note(change).unwrap(), Err(fault.clone()));
        }
        assert!(
            note(|v| v["entry"]["vitals"]["temprature"] = json!(37)).is_err(),
            "a misspelt field is not dropped"
        );
    }
}
