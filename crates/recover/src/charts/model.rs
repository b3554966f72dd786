//! What a chart says. Every item names the record that it was read from.

use jiff::civil::{Date, DateTime};
use schema::PatientId;
use serde::Serialize;

/// One patient's chart, as the records of a snapshot tell it.
#[derive(Debug, Clone, Serialize)]
pub struct Chart {
    /// Whose.
    pub patient: PatientId,
    /// Who the patient is; from ADT-00.
    pub banner: Banner,
    /// What must be known before anything is done.
    pub alerts: Vec<Alert>,
    /// From ADT-61, and from ADT-00 what ADT-61 lacks.
    pub allergies: Vec<Item<Allergy>>,
    /// From PPR-01: unresolved ones first.
    pub problems: Vec<Item<Problem>>,
    /// From OMP-01 and OMP-02: current ones first, then by start, newest first.
    pub medication: Vec<Item<Medication>>,
    /// From OMP-11 and OMP-12, newest first.
    pub given: Vec<Item<Given>>,
    /// From OML-11: one series for each test, abnormal latest values first.
    pub labs: Vec<LabSeries>,
    /// Stays on a ward, from ADT-22, ADT-42 and ADT-52, newest first.
    pub stays: Vec<Item<Stay>>,
    /// Outpatient visits from ADT-12, newest first.
    pub visits: Vec<Item<Visit>>,
    /// Where the source has them (SS-MIX2 has none), the next one first.
    pub appointments: Vec<Item<Appointment>>,
    /// From OMD, newest first.
    pub meals: Vec<Item<Meal>>,
    /// From extended storage, newest first.
    pub notes: Vec<Item<Note>>,
    /// Records that are in the store and could not be read; their content is missing above.
    pub unread: Vec<Unread>,
    /// Current records of types that this chart does not show, by type.
    pub not_shown: Vec<(String, u64)>,
    /// When the newest of the patient's current records was made, by the hospital's clock.
    pub newest_record: Option<DateTime>,
}

/// A value with the record that it was read from.
#[derive(Debug, Clone, Serialize)]
pub struct Item<T> {
    /// What was recorded.
    #[serde(flatten)]
    pub value: T,
    /// Where.
    pub from: Provenance,
}

/// The record behind an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The file's path in the snapshot.
    pub path: String,
    /// Which part of the file: a FHIR resource (`Observation/12`), a database's row (`problems#12`). SS-MIX2 has a file for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// When the record was made, by the hospital's clock.
    pub recorded_at: Option<DateTime>,
    /// The record names another patient inside than its file's name does: to be checked before it is relied on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_patient: Option<PatientId>,
}

/// A file of this patient that the chart could not use.
#[derive(Debug, Clone, Serialize)]
pub struct Unread {
    /// The file's path in the snapshot.
    pub path: String,
    /// Its data type, as its name or its folder says.
    pub kind: String,
    /// Why, in words.
    pub cause: String,
}

/// Who the patient is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Banner {
    /// In kanji, family name first.
    pub name: Option<String>,
    /// In kana.
    pub kana: Option<String>,
    /// Date of birth.
    pub birth_date: Option<Date>,
    /// Whole years on the day of the data.
    pub age: Option<u16>,
    /// Administrative sex.
    pub sex: Option<Sex>,
    /// Postcode and address.
    pub address: Option<String>,
    /// First telephone number.
    pub phone: Option<String>,
    /// `A`, `B`, `O`, `AB` as recorded.
    pub blood_abo: Option<Item<Answer>>,
    /// Rh as recorded.
    pub blood_rh: Option<Item<Answer>>,
    /// As recorded, with its unit.
    pub height: Option<String>,
    /// As recorded, with its unit.
    pub weight: Option<String>,
    /// Latest results of tests for blood-borne infections.
    pub infections: Vec<Item<Infection>>,
    /// Where the patient lies now: the last of ADT-22, ADT-42 and ADT-52.
    pub ward: Option<Item<Bed>>,
    /// The record of ADT-00.
    pub from: Option<Provenance>,
}

/// HL7 table 0001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// M.
    Male,
    /// F.
    Female,
    /// Any other code.
    Other,
}

/// One recorded answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// As recorded.
    pub value: String,
}

/// The latest result of one test for an infection.
#[derive(Debug, Clone, Serialize)]
pub struct Infection {
    /// Which one.
    pub agent: Agent,
    /// The test's name.
    pub test: String,
    /// As recorded.
    pub value: String,
    /// What the value means, where that is plain.
    pub outcome: Outcome,
    /// When the specimen was taken.
    pub at: Option<DateTime>,
}

/// Infections that staff are protected from by knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    /// Hepatitis B surface antigen.
    HbsAntigen,
    /// Hepatitis B surface antibody: immunity, not infection.
    HbsAntibody,
    /// Hepatitis C.
    Hcv,
    /// HIV.
    Hiv,
    /// Syphilis.
    Syphilis,
}

/// What a qualitative result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Found.
    Positive,
    /// Looked for and not found.
    Negative,
    /// Neither can be told from the value.
    Unclear,
}

/// What must be known before anything is done.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// What sort.
    pub kind: AlertKind,
    /// The name of the allergen, infection, test or data type.
    pub what: String,
}

/// Sorts of alert, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A record could not be read, so the chart is incomplete.
    Unread,
    /// An allergy to a drug, or one that is severe.
    Allergy,
    /// A test for an infection was positive.
    Infection,
    /// The latest value is beyond the panic limits (HH, LL, AA).
    Critical,
    /// A record names another patient inside.
    OtherPatient,
}

/// An allergy or intolerance.
#[derive(Debug, Clone, Serialize)]
pub struct Allergy {
    /// What the patient is allergic to.
    pub substance: String,
    /// Code of it, which tells doubles apart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// HL7 table 0127, such as `DA` for a drug.
    pub category_code: String,
    /// Its name.
    pub category: String,
    /// HL7 table 0128: `SV`, `MO`, `MI`, `U`.
    pub severity_code: String,
    /// Its name.
    pub severity: String,
    /// What happened.
    pub reaction: String,
    /// Since when, as recorded.
    pub since: String,
}

/// A diagnosis or problem.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// With its modifiers ("suspected", "post-operative"), where they are recorded.
    pub name: String,
    /// ICD-10, where recorded.
    pub icd10: String,
    /// Whether it is the main diagnosis.
    pub main: bool,
    /// Begin.
    pub since: Option<Date>,
    /// End.
    pub until: Option<Date>,
    /// Outcome as recorded; empty when none is.
    pub outcome: String,
    /// Whether it goes on: no outcome and no end by the day of the data.
    pub active: bool,
}

/// A prescription or injection order.
#[derive(Debug, Clone, Serialize)]
pub struct Medication {
    /// How it is given.
    pub route: Route,
    /// The drug; for an injection all drugs of the mixture.
    pub drugs: Vec<Drug>,
    /// How and when to take it.
    pub usage: String,
    /// First day.
    pub start: Option<Date>,
    /// Last day, from the start and the number of days.
    pub until: Option<Date>,
    /// Number of days.
    pub days: Option<u16>,
    /// Whether it runs on the day of the data.
    pub state: Course,
    /// Who ordered it.
    pub ordered_by: String,
    /// Order number.
    pub order: String,
}

/// A drug with its dose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drug {
    /// As recorded.
    pub name: String,
    /// Code, such as HOT9 or YJ.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Amount and unit; for a prescription per dose.
    pub dose: String,
    /// Amount and unit in a day, where recorded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub per_day: String,
}

/// Which of the two order types it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// OMP-01.
    Prescription,
    /// OMP-02.
    Injection,
}

/// Whether a course of medication runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// It runs.
    Current,
    /// It begins after the day of the data.
    Planned,
    /// No end was recorded.
    Open,
    /// Its days are over.
    Ended,
    /// The order was stopped.
    Stopped,
}

/// A drug that was given.
#[derive(Debug, Clone, Serialize)]
pub struct Given {
    /// The drug and the amount.
    pub drug: Drug,
    /// Begin.
    pub at: Option<DateTime>,
    /// Completed, refused, not given: HL7 table 0322.
    pub status: String,
    /// Who gave it.
    pub by: String,
}

/// All results of one test, newest first; never empty.
#[derive(Debug, Clone, Serialize)]
pub struct LabSeries {
    /// JLAC10 code, or the hospital's own.
    pub code: String,
    /// The test's name.
    pub name: String,
    /// Newest first.
    pub results: Vec<Item<LabResult>>,
    /// From the value before to the latest.
    pub trend: Option<Trend>,
}

/// One laboratory value.
#[derive(Debug, Clone, Serialize)]
pub struct LabResult {
    /// As recorded.
    pub value: String,
    /// As recorded.
    pub unit: String,
    /// Reference range as recorded.
    pub range: String,
    /// How far from normal.
    pub flag: LabFlag,
    /// The laboratory gave no flag: this one was computed from the recorded range.
    pub flag_computed: bool,
    /// When the specimen was taken, else when the result was made.
    pub at: Option<DateTime>,
    /// The result may still change (OBX-11 is not F or C).
    pub preliminary: bool,
}

/// OBX-8 in the words of HL7 table 0078.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabFlag {
    /// HH, LL, AA: beyond panic limits.
    Critical,
    /// H.
    High,
    /// L.
    Low,
    /// A.
    Abnormal,
    /// N, or computed as within the range.
    Normal,
    /// Neither a flag nor a usable range was recorded.
    Unknown,
}

impl LabFlag {
    /// Whether a reader's eye should fall on it.
    pub fn is_abnormal(self) -> bool {
        !matches!(self, LabFlag::Normal | LabFlag::Unknown)
    }
}

/// How a value moved since the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// Higher by more than a twentieth.
    Up,
    /// Lower by more than a twentieth.
    Down,
    /// Within a twentieth.
    Level,
}

/// A place on a ward.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Bed {
    /// Ward.
    pub ward: String,
    /// Room.
    pub room: String,
    /// Bed.
    pub bed: String,
}

/// One stay in the hospital.
#[derive(Debug, Clone, Serialize)]
pub struct Stay {
    /// Admission; `None` when the record of it is not in the store.
    pub admitted: Option<DateTime>,
    /// Discharge; `None` while the patient is here.
    pub discharged: Option<DateTime>,
    /// Where the patient lay last.
    pub bed: Bed,
    /// Department.
    pub dept: String,
    /// Attending doctor.
    pub doctor: String,
}

/// One outpatient visit.
#[derive(Debug, Clone, Serialize)]
pub struct Visit {
    /// When.
    pub at: Option<DateTime>,
    /// Department.
    pub dept: String,
    /// Doctor.
    pub doctor: String,
}

/// An appointment.
#[derive(Debug, Clone, Serialize)]
pub struct Appointment {
    /// When.
    pub at: Option<DateTime>,
    /// Department or service.
    pub dept: String,
    /// Doctor.
    pub doctor: String,
    /// What for, as recorded.
    pub what: String,
    /// `booked`, `cancelled`, … as recorded.
    pub status: String,
}

/// A meal order.
#[derive(Debug, Clone, Serialize)]
pub struct Meal {
    /// The diet's name, else its code.
    pub diet: String,
    /// Free text, such as "less salt".
    pub instruction: String,
    /// Which meals.
    pub timing: String,
    /// From when on.
    pub start: Option<DateTime>,
}

/// A document of extended storage.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    /// What sort of document, as the hospital calls it.
    pub kind: String,
    /// LOINC or other standard code; empty when there is none.
    pub standard_code: String,
    /// The day of care.
    pub date: Option<Date>,
    /// Its text; `None` when the file is no text (a PDF, an image) or too long to be shown.
    pub text: Option<String>,
    /// The file's size.
    pub bytes: u64,
}
