//! What the hospital knows about one patient. Both the SS-MIX2 files and the rows of the database are made of this,
//! so that they cannot disagree.

use jiff::civil::{Date, DateTime};

use super::analytes::{Screening, Test};
use super::catalogue::{Allergen, Bed, Doctor, Drug, Infusion};
use super::diseases::Disease;
use super::person::Person;

/// One patient's facts, none of them later than the hospital's present.
pub(super) struct Chart {
    pub(super) person: Person,
    /// When the demographics were entered for the first time.
    pub(super) registered: DateTime,
    /// Who mostly looks after the patient.
    pub(super) care: Care,
    pub(super) allergies: Vec<Allergy>,
    pub(super) problems: Vec<Problem>,
    pub(super) visits: Vec<Visit>,
    pub(super) stays: Vec<Stay>,
    pub(super) orders: Vec<Order>,
    pub(super) notes: Vec<Note>,
}

/// Who treats, and where.
#[derive(Clone, Copy)]
pub(super) struct Care {
    /// Index into the departments.
    pub(super) department: usize,
    pub(super) doctor: &'static Doctor,
    /// The bed, or `None` for an outpatient.
    pub(super) bed: Option<Bed>,
}

pub(super) struct Allergy {
    pub(super) allergen: &'static Allergen,
    /// HL7 table 0128: code and name.
    pub(super) severity: (&'static str, &'static str),
    pub(super) since: Date,
    pub(super) recorded: DateTime,
}

pub(super) struct Problem {
    pub(super) number: u64,
    pub(super) disease: &'static Disease,
    pub(super) care: Care,
    pub(super) onset: Date,
    pub(super) recorded: DateTime,
    /// When it was over, for those that are.
    pub(super) resolved: Option<Date>,
}

pub(super) struct Visit {
    pub(super) at: DateTime,
    pub(super) care: Care,
}

/// An admission until its discharge.
pub(super) struct Stay {
    pub(super) admitted: DateTime,
    pub(super) care: Care,
    pub(super) disease: &'static Disease,
    /// To another bed.
    pub(super) moved: Option<(DateTime, Bed)>,
    pub(super) discharged: Option<DateTime>,
    /// A discharge that was entered and taken back: when it should have been, and when it was taken back.
    pub(super) withdrawn_discharge: Option<(DateTime, DateTime)>,
    /// The whole admission was a mistake, found at this time.
    pub(super) cancelled: Option<DateTime>,
}

impl Stay {
    /// Where the patient lies after any transfer.
    pub(super) fn last_care(&self) -> Care {
        Care { bed: self.moved.map_or(self.care.bed, |(_, bed)| Some(bed)), ..self.care }
    }
}

pub(super) struct Order {
    /// Fifteen digits, unique in the hospital.
    pub(super) number: u64,
    pub(super) ordered: DateTime,
    pub(super) care: Care,
    /// When the order was replaced by one that says something else.
    pub(super) amended: Option<DateTime>,
    pub(super) cancelled: Option<DateTime>,
    pub(super) body: Body,
}

pub(super) enum Body {
    Prescription {
        lines: Vec<&'static Drug>,
        days: i64,
        /// For how long it was before the amendment.
        days_before: i64,
    },
    Injection {
        fluid: &'static Infusion,
        additive: &'static Infusion,
        start: DateTime,
        end: DateTime,
        given: bool,
    },
    Meal {
        /// Index into the meals.
        meal: usize,
        meal_before: usize,
        /// What the kitchen must leave out.
        banned: Option<&'static str>,
        from: DateTime,
    },
    Lab {
        collected: DateTime,
        values: Vec<Value>,
        /// The reports that exist; the last is in force, the ones before it are history.
        reports: Vec<Report>,
    },
}

#[derive(Clone, Copy)]
pub(super) struct Report {
    pub(super) at: DateTime,
    pub(super) is_final: bool,
}

pub(super) enum Value {
    /// In units of the test's last decimal place.
    Measured {
        test: Test,
        value: i64,
    },
    Screened {
        screening: &'static Screening,
        positive: bool,
    },
}

pub(super) struct Note {
    pub(super) number: u64,
    pub(super) kind: NoteKind,
    pub(super) written: DateTime,
    pub(super) care: Care,
    pub(super) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NoteKind {
    Progress,
    DischargeSummary,
}

impl NoteKind {
    /// The hospital's own code of the document.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Progress => "PN01",
            Self::DischargeSummary => "DS01",
        }
    }

    /// The folder's name in extended storage: local code, name and system, then LOINC's.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Progress => "PN01^経過記録^99XYZ^11506-3^Progress note^LN",
            Self::DischargeSummary => "DS01^退院時サマリー^99XYZ^18842-5^Discharge summary^LN",
        }
    }
}
