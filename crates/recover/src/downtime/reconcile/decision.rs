//! What people decided of notes: kept as the notes are, in a chained file, and never taken out of it again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schema::{Lang, PatientId};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::Error;
use crate::downtime::NoteId;
use crate::downtime::chain::{Chain, Contents, Purpose, Secret};
use crate::downtime::journal::{CarriedOver, Findings};

/// Characters of a reason or a name.
const FIELD_MAX: usize = 500;

/// What is to become of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// It goes into the EMR; where the EMR has something else, the note counts.
    TakeNote,
    /// What the EMR has counts; nothing is exported.
    KeepEmr,
    /// Both are so: the note goes into the EMR beside what is there.
    Both,
    /// It was a mistake; the reason says of which kind.
    Reject,
}

impl Choice {
    /// All four, in the order of a form.
    pub const ALL: [Choice; 4] = [Choice::TakeNote, Choice::KeepEmr, Choice::Both, Choice::Reject];

    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Choice::TakeNote => lang.pick("take the note", "停止中の記録を採用"),
            Choice::KeepEmr => lang.pick("keep what the EMR has", "電子カルテの記録を維持"),
            Choice::Both => lang.pick("both", "両方とも採用"),
            Choice::Reject => lang.pick("reject (say why)", "採用しない（理由必須）"),
        }
    }

    /// Whether the note is exported.
    pub fn exports(self) -> bool {
        matches!(self, Choice::TakeNote | Choice::Both)
    }

    /// As forms and the command line have it.
    pub fn tag(self) -> &'static str {
        match self {
            Choice::TakeNote => "take_note",
            Choice::KeepEmr => "keep_emr",
            Choice::Both => "both",
            Choice::Reject => "reject",
        }
    }

    /// The choice of that tag.
    pub fn of_tag(tag: &str) -> Option<Choice> {
        Choice::ALL.into_iter().find(|choice| choice.tag() == tag)
    }
}

/// A note with what was on the screen when it was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which note.
    pub note: NoteId,
    /// SHA-256 of what it was held against: a decision on another state of the EMR shows.
    pub hash: String,
}

/// A file that was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedFile {
    /// Below the export's folder.
    pub path: String,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Decided on one note.
    Decide {
        /// Which, and what was seen.
        #[serde(flatten)]
        seen: Seen,
        /// For whose chart.
        patient: PatientId,
        /// What.
        choice: Choice,
        /// Why; must be given for a rejection.
        #[serde(default)]
        reason: String,
    },
    /// Confirmed that the EMR has these notes already, equal in everything.
    Confirm {
        /// Which.
        notes: Vec<Seen>,
        /// For whose chart.
        patient: PatientId,
    },
    /// Said whose notes these are.
    Assign {
        /// Which.
        notes: Vec<NoteId>,
        /// The right patient.
        to: PatientId,
        /// The id was made after the downtime, and the EMR's copy does not have it yet.
        #[serde(default)]
        is_new: bool,
        /// How that is known.
        reason: String,
    },
    /// Took an earlier act back.
    Undo {
        /// The decision that no longer counts.
        decision: String,
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
    },
    /// Wrote files.
    Exported {
        /// `hl7`, `ssmix2`, `fhir`, `pdf`.
        formats: Vec<String>,
        /// The notes in them.
        notes: Vec<NoteId>,
        /// The files.
        files: Vec<ExportedFile>,
    },
}

/// An act with who and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// 32 hexadecimal digits.
    pub id: String,
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Decision(Box<Decision>),
    CarriedOver(CarriedOver),
}

/// All decisions in their order, and what stands of them.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    all: Vec<Decision>,
    undone: HashSet<String>,
    carried_over: Vec<CarriedOver>,
}

/// What stands for a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'d> {
    /// The decision.
    pub decision: &'d Decision,
    /// What it says of this note.
    pub choice: Choice,
    /// What was seen.
    pub seen: &'d Seen,
    /// For whose chart.
    pub patient: &'d PatientId,
}

impl Decisions {
    /// All of them, also those that were taken back.
    pub fn all(&self) -> &[Decision] {
        &self.all
    }

    /// Damaged files that this one replaced.
    pub fn carried_over(&self) -> &[CarriedOver] {
        &self.carried_over
    }

    /// Whether a decision was taken back.
    pub fn is_undone(&self, decision: &Decision) -> bool {
        self.undone.contains(&decision.id)
    }

    /// What stands, by note: the last decision that was not taken back.
    pub fn standing(&self) -> HashMap<&NoteId, Standing<'_>> {
        let mut standing = HashMap::new();
        for decision in self.all.iter().filter(|decision| !self.is_undone(decision)) {
            match &decision.act {
                Act::Decide { seen, patient, choice, .. } => {
                    standing.insert(&seen.note, Standing { decision, choice: *choice, seen, patient });
                }
                Act::Confirm { notes, patient } => {
                    for seen in notes {
                        let standing_one = Standing { decision, choice: Choice::KeepEmr, seen, patient };
                        standing.insert(&seen.note, standing_one);
                    }
                }
                Act::Assign { .. } | Act::Undo { .. } | Act::Exported { .. } => {}
            }
        }
        standing
    }

    /// Whose a note is, where a person said so: the decision, the patient, whether the id is new.
    pub fn assigned(&self, note: &NoteId) -> Option<(&Decision, &PatientId, bool)> {
        let standing = self.all.iter().rev().filter(|decision| !self.is_undone(decision));
        standing.into_iter().find_map(|decision| match &decision.act {
            Act::Assign { notes, to, is_new, .. } if notes.contains(note) => Some((decision, to, *is_new)),
            _ => None,
        })
    }

    /// When a note was last exported.
    pub fn exported(&self, note: &NoteId) -> Option<&Decision> {
        self.all
            .iter()
            .rev()
            .find(|decision| matches!(&decision.act, Act::Exported { notes, .. } if notes.contains(note)))
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::CarriedOver(carried_over) => self.carried_over.push(carried_over),
            Line::Decision(decision) => {
                if let Act::Undo { decision, .. } = &decision.act {
                    self.undone.insert(decision.clone());
                }
                self.all.push(*decision);
            }
        }
    }

    fn of_contents(contents: &Contents) -> (Decisions, u64) {
        let (mut decisions, mut unknown) = (Decisions::default(), 0u64);
        for record in &contents.records {
            match serde_json::from_slice(&record.payload) {
                Ok(line) => decisions.take(line),
                Err(_) => unknown = unknown.saturating_add(1),
            }
        }
        (decisions, unknown)
    }

    /// How many acts each person did.
    pub fn people(&self) -> BTreeMap<&str, usize> {
        let mut people = BTreeMap::new();
        for decision in &self.all {
            let count: &mut usize = people.entry(decision.by.as_str()).or_default();
            *count = count.saturating_add(1);
        }
        people
    }
}

/// The audit journal, open for writing. One process has it.
pub struct DecisionLog {
    chain: Chain,
    decisions: Decisions,
}

impl DecisionLog {
    /// Where the decisions on a journal of notes lie: beside it.
    pub fn beside(notes: &Path) -> PathBuf {
        let mut name = notes.as_os_str().to_owned();
        name.push(".decisions");
        PathBuf::from(name)
    }

    /// Opens the log, or makes it. A damaged one is set aside and what is readable of it is carried over.
    pub fn open(path: &Path, secret: Secret<'_>, now: Timestamp) -> Result<(DecisionLog, Findings), Error> {
        let carry = |from: &Path, contents: &Contents| {
            let damage = contents.damage.iter().map(ToString::to_string).collect();
            let line = Line::CarriedOver(CarriedOver { from: from.to_path_buf(), damage });
            serde_json::to_vec(&line).unwrap_or_default()
        };
        let (chain, opened) = Chain::open(path, Purpose::Decisions, secret, now, carry)?;
        let (decisions, unknown) = Decisions::of_contents(&opened.contents);
        let findings = Findings {
            damage: opened.contents.damage,
            torn: opened.contents.torn,
            unknown,
            set_aside: opened.set_aside,
        };
        Ok((DecisionLog { chain, decisions }, findings))
    }

    /// Reads a log that may be open elsewhere.
    pub fn read(path: &Path, secret: Secret<'_>) -> Result<(Decisions, Findings), Error> {
        let contents = Chain::read(path, Purpose::Decisions, secret)?;
        let (decisions, unknown) = Decisions::of_contents(&contents);
        Ok((decisions, Findings { damage: contents.damage, torn: contents.torn, unknown, set_aside: None }))
    }

    /// The decisions in it.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Writes an act down; it counts from when this returns. Whether it may be done is asked before (see [`super::may`]).
    pub fn record(&mut self, act: Act, by: &str, now: Timestamp) -> Result<Decision, Error> {
        let refused = |cause| Err(Error::Decision { cause });
        let by = by.trim();
        if by.is_empty() || by.chars().count() > FIELD_MAX || by.chars().any(char::is_control) {
            return refused(Refusal::Who);
        }
        let reason = match &act {
            Act::Decide { reason, choice, .. } => (reason, *choice == Choice::Reject),
            Act::Assign { reason, .. } => (reason, true),
            Act::Undo { reason, .. } => (reason, false),
            Act::Confirm { .. } | Act::Exported { .. } => (&String::new(), false),
        };
        if reason.1 && reason.0.trim().is_empty() {
            return refused(Refusal::Why);
        }
        if reason.0.chars().count() > FIELD_MAX {
            return refused(Refusal::ReasonLong);
        }
        if let Act::Undo { decision, .. } = &act {
            let known = self.decisions.all.iter().find(|known| known.id == *decision);
            match known {
                None => return refused(Refusal::NoDecision),
                Some(known) if self.decisions.is_undone(known) => return refused(Refusal::UndoneAlready),
                Some(Decision { act: Act::Undo { .. } | Act::Exported { .. }, .. }) => {
                    return refused(Refusal::NotUndoable);
                }
                Some(_) => {}
            }
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Error::Engine {
            op: "draw an id",
            source: std::io::Error::other(error.to_string()),
        })?;
        let decision = Decision { id: hex::encode(id), at: now, by: by.to_owned(), act };
        let line = Line::Decision(Box::new(decision.clone()));
        let bytes = serde_json::to_vec(&line)
            .map_err(|source| Error::Engine { op: "write a decision as JSON", source: source.into() })?;
        self.chain.append(&bytes)?;
        self.decisions.take(line);
        Ok(decision)
    }

    /// How many records there are, and the hash of the last one.
    pub fn head(&self) -> (u64, String) {
        self.chain.head()
    }
}
