use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Attack, Finding, Proof, Severity, Subject, Tactic, WatcherClass};

/// Number of an incident, counted from 1 in one state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{:04}", self.0)
    }
}

/// What findings about the same hosts, accounts, addresses and stores add up to (OCSF Incident Finding, 2005).
///
/// Its size is bounded: counts go on, lists end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Time of the first finding.
    pub first_at: Timestamp,
    /// Time of the latest finding.
    pub last_at: Timestamp,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The worst of its findings, raised where they add up.
    pub severity_id: Severity,
    /// One sentence in English.
    pub title: String,
    /// The same in Japanese.
    pub title_ja: String,
    /// Who and what is in it, with the number of findings that name them, most named first; at most 64.
    pub subjects: Vec<(Subject, u64)>,
    /// How many findings it holds.
    pub findings: u64,
    /// How many of them each detector said.
    pub detectors: BTreeMap<String, u64>,
    /// The watchers that contributed, by name.
    pub watchers: BTreeMap<String, WatcherClass>,
    /// What happened, in the order of ATT&CK's tactics, then of time; at most 64 chapters.
    pub story: Vec<Chapter>,
    /// What nobody looked at or nobody can tell yet.
    pub unknowns: Vec<Unknown>,
    /// The findings that say most: the first of each chapter, at most 64.
    pub samples: Vec<Finding>,
}

/// One technique in the story of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    /// The tactic; `None` for findings that name no technique, told last.
    pub tactic: Option<Tactic>,
    /// The technique; `None` as above.
    pub attack: Option<Attack>,
    /// First and latest finding.
    pub first_at: Timestamp,
    /// See `first_at`.
    pub last_at: Timestamp,
    /// How many findings.
    pub findings: u64,
    /// The first finding's title in English.
    pub en: String,
    /// The same in Japanese.
    pub ja: String,
}

/// A question that an incident leaves open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unknown {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// It goes on, or nobody said otherwise.
    Open,
    /// A countermeasure against its actor is in force.
    Contained,
    /// A person closed it.
    Closed,
    /// A person said that it was none.
    FalseAlarm,
}

/// One incident told from the first sign to the end, as the report tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentReport {
    /// Name that people use for it.
    pub title: String,
    /// What is synthetic or simulated about it; `None` for a real incident.
    pub synthetic: Option<String>,
    /// What happened, in order of time.
    pub timeline: Vec<Moment>,
    /// What detectors said.
    pub findings: Vec<Finding>,
    /// What it did to records and files.
    pub effect: Effect,
    /// The proof that recovery rested on.
    pub proof: Option<Proof>,
    /// What was watched, with its coverage: "file operations below DIR, by fanotify".
    pub observed: Vec<String>,
    /// What nobody looked at. Nothing is called absent that stands here.
    pub not_observed: Vec<String>,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Which part of the story it belongs to.
    pub stage: Stage,
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// Parts of the story of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything happened: backup and drill.
    Prepare,
    /// What the attacker did.
    Attack,
    /// What was seen.
    Detect,
    /// What was done against it.
    Contain,
    /// Care that went on meanwhile.
    Continue,
    /// Putting back.
    Restore,
    /// Checking and reporting.
    Prove,
}

/// What an incident did, counted by record and by file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Patients in the store.
    pub patients_total: u64,
    /// Patients of whom at least one record was changed, renamed or removed.
    pub patients_affected: u64,
    /// Patients whose every record is in the end as it was before.
    pub patients_intact: u64,
    /// Files that were changed, renamed or removed.
    pub files_touched: u64,
    /// Of those, files put back by the guard from its pre-images.
    pub files_put_back: u64,
    /// Of those, files restored from the vault.
    pub files_restored: u64,
    /// Of those, files that are lost for good.
    pub files_irrecoverable: u64,
    /// Milliseconds from the first harmful act to the attacker standing still.
    pub time_to_stop_ms: Option<u64>,
    /// Seconds from declaring the incident to reading a chart.
    pub first_chart_seconds: Option<f64>,
    /// Seconds until every file was back.
    pub restore_seconds: Option<f64>,
}
