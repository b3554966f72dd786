//! After the EMR is back: notes on one side, the restored EMR's chart on the other, and a person who decides.
//!
//! Nothing is decided by the machine. What it holds side by side and how, [`view`] says; what may be done with it, [`may`]; what was
//! done, the [`DecisionLog`].

mod candidate;
mod compare;
mod decision;
mod refusal;
#[cfg(test)]
mod tests;
pub(crate) mod vitals;

use std::collections::HashMap;

use schema::{Lang, PatientId};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use compare::{Counterpart, FieldDiff, Finding, State, compare};
pub use decision::{Act, Choice, Decision, DecisionLog, Decisions, ExportedFile, Seen, Standing};

pub use refusal::Refusal;

use crate::Error;
use crate::charts::{Banner, Chart};
use crate::downtime::identity::{Mismatch, agreeing, mismatches};
use crate::downtime::{Kept, NoteId, Notes};

/// About whom notes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A patient with an id.
    Patient(PatientId),
    /// Somebody who was first seen during the downtime, by the number of the form.
    Number(String),
}

impl Subject {
    /// Whom a note is about.
    pub fn of(kept: &Kept) -> Subject {
        let whom = &kept.note.patient;
        match &whom.id {
            Some(id) => Subject::Patient(id.clone()),
            None => Subject::Number(whom.downtime_number.clone().unwrap_or_default()),
        }
    }
}

/// Whether the note's patient is the chart's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Two identifiers or more are on both sides and agree.
    Fits,
    /// A person said whose note it is.
    Assigned,
    /// Fewer than two can be compared: a person must say whose it is.
    TooFew,
    /// They contradict each other.
    Contradicts(Vec<Mismatch>),
    /// The EMR has no such patient.
    NoChart,
    /// The note has a downtime number and nobody has said whose it is.
    Unassigned,
}

impl Identity {
    /// Whether something can be decided before a person has named the patient.
    pub fn is_settled(&self) -> bool {
        matches!(self, Identity::Fits | Identity::Assigned)
    }

    /// In words.
    pub fn words(&self, lang: Lang) -> String {
        match self {
            Identity::Fits => {
                lang.pick("patient confirmed by two identifiers", "患者一致（2項目以上）").to_owned()
            }
            Identity::Assigned => lang.pick("patient named by a person", "患者を担当者が指定").to_owned(),
            Identity::TooFew => lang
                .pick(
                    "WRONG PATIENT? fewer than two identifiers can be compared",
                    "患者違いの可能性: 照合できる項目が2つ未満です",
                )
                .to_owned(),
            Identity::Contradicts(odd) => {
                let odd: Vec<String> = odd.iter().map(|odd| odd.words(lang)).collect();
                lang.pick(
                    format!("WRONG PATIENT? {}", odd.join("; ")),
                    format!("患者違いの可能性: {}", odd.join("、")),
                )
            }
            Identity::NoChart => lang
                .pick("the EMR has no patient with this id", "電子カルテにこの患者IDがありません")
                .to_owned(),
            Identity::Unassigned => lang
                .pick("downtime number: say whose it is", "仮番号の記録: 患者を指定してください")
                .to_owned(),
        }
    }
}

/// One note on the desk.
#[derive(Debug, Clone)]
pub struct Line {
    /// The note.
    pub kept: Kept,
    /// Those that replace it; then only they are decided on.
    pub replaced_by: Vec<NoteId>,
    /// The chart it is held against; `None` while nobody can tell whose it is.
    pub target: Option<PatientId>,
    /// The target's banner, where the EMR has one.
    pub banner: Option<Banner>,
    /// Whether that is the right one.
    pub identity: Identity,
    /// The outcome.
    pub finding: Finding,
    /// SHA-256 of target and outcome, which a decision names.
    pub hash: String,
}

impl Line {
    /// What a decision has to name.
    pub fn seen(&self) -> Seen {
        Seen { note: self.kept.note.id.clone(), hash: self.hash.clone() }
    }
}

/// All notes about a subject, each held against the chart that it belongs to. `chart` reads the restored EMR.
pub fn view(
    notes: &Notes,
    decisions: &Decisions,
    subject: &Subject,
    chart: impl Fn(&PatientId) -> Option<Chart>,
    lang: Lang,
) -> Vec<Line> {
    let found = match subject {
        Subject::Patient(id) => notes.of_patient(id),
        Subject::Number(number) => notes.of_number(number),
    };
    let mut charts: HashMap<PatientId, Option<Chart>> = HashMap::new();
    let mut lines = Vec::new();
    for kept in found {
        let assigned = decisions.assigned(&kept.note.id);
        let target = assigned.map(|(_, to, _)| to.clone()).or_else(|| kept.note.patient.id.clone());
        let held =
            target.as_ref().and_then(|id| charts.entry(id.clone()).or_insert_with(|| chart(id)).as_ref());
        let identity = match (&target, assigned, held) {
            (None, _, _) => Identity::Unassigned,
            (Some(_), Some((_, _, true)), None) | (Some(_), Some(_), Some(_)) => Identity::Assigned,
            (Some(_), _, None) => Identity::NoChart,
            (Some(id), None, Some(chart)) => identity(kept, id, &chart.banner),
        };
        let finding = match held {
            Some(chart) => compare(&kept.note, chart, lang),
            None => compare::alone(&kept.note, lang),
        };
        lines.push(Line {
            replaced_by: notes.replacing(&kept.note.id).iter().map(|newer| newer.note.id.clone()).collect(),
            hash: hash(target.as_ref(), &finding),
            banner: held.map(|chart| chart.banner.clone()),
            kept: kept.clone(),
            target,
            identity,
            finding,
        });
    }
    lines
}

fn identity(kept: &Kept, id: &PatientId, banner: &Banner) -> Identity {
    let whom = &kept.note.patient;
    let odd = mismatches(whom, id, banner);
    if !odd.is_empty() {
        Identity::Contradicts(odd)
    } else if agreeing(whom, id, banner) < 2 {
        Identity::TooFew
    } else {
        Identity::Fits
    }
}

/// Of the values, not of the words around them: a decision taken in one language stands in the other.
fn hash(target: Option<&PatientId>, finding: &Finding) -> String {
    let fields: Vec<_> = finding.fields.iter().map(|field| (field.part, field.agrees)).collect();
    let record = finding.counterpart.as_ref().map(|found| (&found.from.path, &found.from.part, found.at));
    let seen = serde_json::to_vec(&(target, finding.state, fields, record)).unwrap_or_default();
    hex::encode(Sha256::digest(seen))
}

/// Whether an act may be done, given what is on the desk of its subject.
pub fn may(act: &Act, lines: &[Line], chart_exists: impl Fn(&PatientId) -> bool) -> Result<(), Error> {
    let refused = |cause| Err(Error::Decision { cause });
    let line = |note: &NoteId| {
        lines.iter().find(|line| line.kept.note.id == *note).ok_or(Error::Decision { cause: Refusal::NoNote })
    };
    let settled = |seen: &Seen, patient: &PatientId| -> Result<&Line, Error> {
        let line = line(&seen.note)?;
        if !line.replaced_by.is_empty() {
            return Err(Error::Decision { cause: Refusal::Replaced });
        }
        if line.hash != seen.hash {
            return Err(Error::Decision { cause: Refusal::Changed });
        }
        if line.target.as_ref() != Some(patient) {
            return Err(Error::Decision { cause: Refusal::OtherPatient });
        }
        Ok(line)
    };
    match act {
        Act::Decide { seen, patient, choice, .. } => {
            let line = settled(seen, patient)?;
            // A note may be thrown out without knowing whose it is; nothing else may be done with it.
            if !line.identity.is_settled() && *choice != Choice::Reject {
                return refused(Refusal::WrongPatient);
            }
            if *choice == Choice::KeepEmr && line.finding.counterpart.is_none() {
                return refused(Refusal::NothingToKeep);
            }
            Ok(())
        }
        Act::Confirm { notes, patient } => {
            for seen in notes {
                let line = settled(seen, patient)?;
                if !line.identity.is_settled() || line.finding.state != State::Equal {
                    return refused(Refusal::NotEqual);
                }
            }
            if notes.is_empty() { refused(Refusal::NoNotes) } else { Ok(()) }
        }
        Act::Assign { notes, to, is_new, .. } => {
            notes.iter().try_for_each(|note| line(note).map(|_| ()))?;
            if !crate::downtime::identity::is_record_id(to) {
                return refused(Refusal::NotAnId);
            }
            match (notes.is_empty(), chart_exists(to), is_new) {
                (true, _, _) => refused(Refusal::NoNotes),
                (_, false, false) => refused(Refusal::NoSuchPatient),
                (_, true, true) => refused(Refusal::NotNew),
                _ => Ok(()),
            }
        }
        Act::Undo { .. } | Act::Exported { .. } => Ok(()),
    }
}

/// A line of the list of all subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pile {
    /// About whom.
    pub subject: Subject,
    /// As the newest note has it.
    pub name: String,
    /// Notes that stand.
    pub notes: usize,
    /// Of these: decided on.
    pub decided: usize,
    /// Of these: taken, and not exported since.
    pub to_export: usize,
}

/// All subjects with what is left to be done; reads no chart.
pub fn piles(notes: &Notes, decisions: &Decisions) -> Vec<Pile> {
    let standing = decisions.standing();
    let mut piles: std::collections::BTreeMap<Subject, Pile> = std::collections::BTreeMap::new();
    for kept in notes.standing() {
        let subject = Subject::of(kept);
        let pile = piles.entry(subject.clone()).or_insert_with(|| Pile {
            subject,
            name: String::new(),
            notes: 0,
            decided: 0,
            to_export: 0,
        });
        pile.name.clone_from(&kept.note.patient.name);
        pile.notes = pile.notes.saturating_add(1);
        if let Some(standing) = standing.get(&kept.note.id) {
            pile.decided = pile.decided.saturating_add(1);
            let exported =
                decisions.exported(&kept.note.id).is_some_and(|export| export.at >= standing.decision.at);
            pile.to_export =
                pile.to_export.saturating_add(usize::from(standing.choice.exports() && !exported));
        }
    }
    piles.into_values().collect()
}
